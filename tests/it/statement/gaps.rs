//! Each kind of gap is named with its reason, and nothing else is.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use jiff::civil::Date;
use recording_archiver::domain::audit::Action;
use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{Conversation, FileState, Orphan, Recording};
use recording_archiver::sim::wire::Service;
use serde_json::json;

use super::made::{Entry, Made};
use super::{at, conversation, day, key, reasons, recorded, recording};
use crate::archivectl::run_settling;
use crate::support::{Bench, call};

/// Conversations a day: 3 x 1,667 are 5,001. Of these, some 300 were recorded.
const OF_A_DAY: usize = 1_667;
const RECORDED: usize = 300;

/// Numbers of the seeded conversations begin here, a hundred for each day.
const SEEDS: usize = 100_000;

/// Adds ordinary conversations to a day: those with a recording are archived.
fn ordinary(bench: &Bench, made: &mut Made, day: Date, first: usize) {
    for number in first..first + OF_A_DAY {
        let mut call = recorded(day, number);
        if number < first + RECORDED {
            made.archived(number, call.end.unwrap() + SignedDuration::from_mins(4));
        } else {
            call.recordings.clear();
        }
        bench.world.genesys.add(call);
    }
}

/// Adds one conversation of each kind of gap to a day. Returns the reason of each.
fn seed(bench: &Bench, made: &mut Made, day: Date, first: usize) -> BTreeMap<String, &'static str> {
    let genesys = &bench.world.genesys;
    let mut expected = BTreeMap::new();
    let mut numbers = first..;
    let mut next = |reason: Option<&'static str>| {
        let number = numbers.next().unwrap();
        expected.extend(reason.map(|reason| (conversation(number), reason)));
        (number, recorded(day, number), at(day, 30))
    };
    // Its end event was lost.
    let (_, lost, _) = next(Some("never_seen"));
    genesys.add(lost);
    // The same, of a snippet.
    let (number, mut snippet, _) = next(Some("never_seen"));
    snippet.recordings = vec![Recording::snippet(recording(number), call())];
    genesys.add(snippet);
    // Lost, and a policy deletes it soon.
    let (_, mut deleted, _) = next(Some("never_seen"));
    deleted.recordings[0].delete_date = Some(bench.clock.now() + SignedDuration::from_hours(5 * 24));
    genesys.add(deleted);
    // Nobody closed its after-call work, so it is not over: the function gave up, and Genesys lists no orphan yet.
    let (number, open, _) = next(Some("after_call_work_open"));
    genesys.add(open.acw_open());
    let code = "after_call_work_open";
    let (failed, gave_up) = (
        Action::DownloadFailed,
        bench.clock.now() - SignedDuration::from_hours(20),
    );
    made.ended(
        (number, false),
        failed,
        State::Failed,
        (gave_up, "still open"),
        code,
    );
    // The same, and no event came.
    let (_, unseen, _) = next(Some("after_call_work_open"));
    genesys.add(unseen.acw_open());
    // Genesys holds its recording as an orphan.
    let (number, mut orphan, _) = next(Some("orphaned"));
    orphan.recordings.clear();
    orphan.marked = Some(true);
    genesys.add(orphan);
    genesys.add_orphan(Orphan::of(conversation(number), recording(number)));
    made.ended(
        (number, false),
        failed,
        State::Failed,
        (at(day, 1_500), "nothing came"),
        "never_ready",
    );
    // Its upload failed.
    let (number, mut upload, _) = next(Some("upload_failed"));
    upload.recordings.clear();
    upload.marked = Some(true);
    genesys.add(upload);
    genesys.fail_upload(conversation(number));
    made.ended(
        (number, false),
        failed,
        State::Failed,
        (at(day, 1_500), "nothing came"),
        "never_ready",
    );
    // Genesys cut what the client may not hear.
    let (number, sensitive, when) = next(Some("sensitive_withheld"));
    genesys.add(sensitive);
    made.stored(number, when, json!({"genesys": {"redacted": "start_cut"}}));
    made.settled(number, when + SignedDuration::from_mins(15));
    let (number, cold, when) = next(Some("cold_at_source"));
    genesys.add(cold);
    made.ended(
        (number, true),
        failed,
        State::Failed,
        (when, "in cold storage"),
        "archived_at_source",
    );
    let (number, broken, when) = next(Some("failed:broken_at_source"));
    genesys.add(broken);
    made.ended(
        (number, true),
        failed,
        State::Failed,
        (when, "broken"),
        "broken_at_source",
    );
    let (number, mut gone, when) = next(Some("expired"));
    gone.recordings[0].state = FileState::Deleted;
    genesys.add(gone);
    made.ended(
        (number, true),
        Action::DownloadExpired,
        State::Expired,
        (when, "deleted"),
        "expired",
    );
    // Its run was killed, and no other came.
    let (number, killed, when) = next(Some("stalled"));
    genesys.add(killed);
    made.ended(
        (number, true),
        Action::DownloadInitiated,
        State::Claimed,
        (when, ""),
        "",
    );
    // Archived by a job that named it: nobody looked whether there is more.
    let (number, unsettled, when) = next(Some("unsettled"));
    genesys.add(unsettled);
    made.stored(number, when, json!({}));
    // Of a kind that nobody wants, and one that was erased on purpose.
    let (number, mut screen, _) = next(None);
    screen.recordings = vec![Recording::screen(recording(number), call())];
    genesys.add(screen);
    let (number, erased, when) = next(None);
    genesys.add(erased);
    made.ended(
        (number, true),
        Action::ObjectErased,
        State::Erased,
        (when, ""),
        "",
    );
    made.settled(number, when);
    expected
}

/// Adds a conversation whose second recording came up after it was settled.
pub(super) fn late(bench: &Bench, made: &mut Made, day: Date, number: usize) -> String {
    let mut call = recorded(day, number);
    let mut second = call.recordings[0].clone();
    second.id = format!("f0000000-0000-4000-8000-{number:012x}");
    let id = second.id.clone();
    call.recordings.push(second);
    made.archived(number, call.end.unwrap() + SignedDuration::from_mins(4));
    bench.world.genesys.add(call);
    id
}

/// Makes a day with one conversation of each kind of gap, one that came late, and one that is waited for.
pub(crate) async fn with_gaps() -> Bench {
    let bench = Bench::stated().await;
    let mut made = Made::default();
    let day = day(&bench, 0);
    seed(&bench, &mut made, day, SEEDS);
    late(&bench, &mut made, day, SEEDS + 900);
    waiting(&bench, &mut made, day, SEEDS + 901);
    // An error without a space at which it could be wrapped.
    bench.world.genesys.add(recorded(day, SEEDS + 902));
    let (when, error) = (at(day, 30), "x".repeat(180));
    made.ended(
        (SEEDS + 902, true),
        Action::DownloadFailed,
        State::Failed,
        (when, &error),
        "rejected",
    );
    made.write(&bench).await;
    bench
}

/// Adds a conversation whose recording is archived, and whose next look is to come.
fn waiting(bench: &Bench, made: &mut Made, day: Date, number: usize) {
    bench.world.genesys.add(recorded(day, number));
    let now = bench.clock.now();
    made.stored(number, now - SignedDuration::from_hours(2), json!({}));
    let entry = Entry {
        number,
        recording: None,
        action: Action::ConversationListed,
        state: State::Settling,
        at: now - SignedDuration::from_hours(1),
    };
    let listed = [recording(number)];
    let next = now + SignedDuration::from_hours(1);
    let record = json!({"looks": 2, "recordings": listed, "listed": listed, "nextLookAt": next.to_string()});
    made.entry(&entry, json!({}), record);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_gap_of_5000_conversations_is_named_with_its_reason_and_nothing_else_is() {
    let bench = Bench::stated().await;
    let mut made = Made::default();
    let days = [2, 1, 0].map(|before| day(&bench, before));
    let mut expected = Vec::new();
    for (at, day) in days.into_iter().enumerate() {
        ordinary(&bench, &mut made, day, 1 + at * OF_A_DAY);
        expected.push(seed(&bench, &mut made, day, SEEDS + at * 100));
    }
    let late = late(&bench, &mut made, days[1], SEEDS + 900);
    made.write(&bench).await;
    bench.world.wire.forget();

    let range = [days[0].to_string(), days[2].to_string()];
    let ran = run_settling(
        &bench,
        &["statement", "--from", &range[0], "--to", &range[1], "--json"],
    )
    .await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    for (at, day) in days.into_iter().enumerate() {
        let statement = bench.statement_of(day, 1).await;
        let found = reasons(&statement);
        let wanted = expected[at]
            .iter()
            .map(|(id, reason)| (id.clone(), (*reason).to_owned()))
            .collect();
        assert_eq!(found, wanted, "{day}");
        let figures = &statement["figures"];
        let more = u64::from(at == 1);
        assert_eq!(figures["listed"], json!(OF_A_DAY as u64 + 15 + more), "{day}");
        assert_eq!(figures["unrecorded"], json!(OF_A_DAY - RECORDED));
        assert_eq!(figures["reasons"]["archived"], json!(RECORDED as u64 + more));
        assert_eq!(
            (&figures["reasons"]["filtered"], &figures["reasons"]["erased"]),
            (&json!(1), &json!(1))
        );
        assert_eq!((&figures["gaps"], &figures["lost"]), (&json!(13), &json!(2)));
    }
    // The newest says what Genesys keeps besides.
    let survey = bench.statement_of(days[2], 1).await["survey"].clone();
    assert_eq!(survey["late"][0]["recordingId"], late.as_str());
    assert_eq!(
        (&survey["lateRecordings"], &survey["deletionsAhead"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(survey["orphansChecked"]["read"], 3);
    assert_eq!(survey["failedUploads"].as_array().unwrap().len(), 3);
    for checked in ["kept", "orphansChecked", "uploadsChecked"] {
        assert_eq!(survey[checked]["complete"], true, "{checked}");
    }
    // What no run ever saw is sent, and what came late is looked at again.
    let unseen = |at: usize| [0, 1, 2].map(|number| conversation(SEEDS + at * 100 + number));
    let mut sent: Vec<String> = (0..3)
        .flat_map(unseen)
        .chain([conversation(SEEDS + 900)])
        .collect();
    sent.sort();
    assert_eq!(bench.jobs(), sent);

    let exchanges = bench.world.wire.exchanges();
    let asked = exchanges.iter().filter(|call| call.service == Service::Genesys);
    let besides: Vec<&str> = asked
        .map(|call| call.operation.as_str())
        .filter(|name| !name.starts_with("details-"))
        .collect();
    let most = 3 * OF_A_DAY / 50;
    assert!(
        besides.len() <= most,
        "{} requests besides the lists, {most} allowed: {besides:?}",
        besides.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_day_is_one_line_of_green_with_its_figures() {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    let mut made = Made::default();
    for number in 1..=3 {
        let call = recorded(day, number);
        made.archived(number, call.end.unwrap());
        bench.world.genesys.add(call);
    }
    let mut unrecorded = recorded(day, 4);
    unrecorded.recordings.clear();
    bench.world.genesys.add(unrecorded);
    // The day before is another statement's.
    bench.world.genesys.add(recorded(super::day(&bench, 1), 5));
    made.write(&bench).await;
    bench.issue().await;
    let statement = bench.statement_of(day, 1).await;
    assert_eq!(
        (&statement["clean"], &statement["open"]),
        (&json!(true), &json!([]))
    );
    let figures = json!({"listed": 4, "unrecorded": 1, "unreadable": 0, "held": 3, "reasons": {"archived": 3}, "gaps": 0,
        "lost": 0, "sent": 0});
    assert_eq!(statement["figures"], figures);
    let page = bench.object(&key(day, "1.html")).await.unwrap();
    let page = String::from_utf8(page.bytes).unwrap();
    let line = "<p class=\"verdict good\">Complete: 4 conversations, 3 with a recording: 3 archived, 0 filtered, 0 erased. \
                Nothing is missing.</p>";
    assert!(page.contains(line), "{page}");
    assert!(
        !page.contains("class=\"verdict bad\"") && !page.contains("Not accounted for"),
        "{page}"
    );
    let metrics = bench.metrics().pop().unwrap();
    for (name, value) in [
        ("StatementsIssued", 1),
        ("StatementGaps", 0),
        ("DaysWithoutArchive", 0),
        ("DeletionsAhead", 0),
    ] {
        assert_eq!(metrics[name], value, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_which_nothing_is_archived_is_counted() {
    let bench = Bench::stated().await;
    for number in 1..=4 {
        bench.world.genesys.add(recorded(day(&bench, 0), number));
    }
    bench.issue().await;
    let metrics = bench.metrics().pop().unwrap();
    assert_eq!(
        (&metrics["DaysWithoutArchive"], &metrics["StatementGaps"]),
        (&json!(1), &json!(4))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_whose_recordings_are_archived_and_whose_conversations_wait_has_an_archive() {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    let mut made = Made::default();
    waiting(&bench, &mut made, day, 1);
    bench.world.genesys.add(recorded(day, 2));
    made.write(&bench).await;
    bench.issue().await;
    let statement = bench.statement_of(day, 1).await;
    let expected = [
        (conversation(1), "waiting".to_owned()),
        (conversation(2), "never_seen".to_owned()),
    ];
    assert_eq!(reasons(&statement), expected.into());
    assert_eq!(statement["figures"]["held"], 1);
    let metrics = bench.metrics().pop().unwrap();
    assert_eq!(
        (&metrics["DaysWithoutArchive"], &metrics["StatementGaps"]),
        (&json!(0), &json!(1))
    );
    // Gaps have a table of their own, above what is waited for.
    let page = bench.object(&key(day, "1.html")).await.unwrap();
    let page = String::from_utf8(page.bytes).unwrap();
    let (gaps, waiting) = page.split_once("<h2>Waited for: 1</h2>").unwrap();
    let (_, gaps) = gaps.split_once("<h2>Not accounted for: 1</h2>").unwrap();
    assert!(
        gaps.contains(&conversation(2)) && !gaps.contains(&conversation(1)),
        "{page}"
    );
    assert!(waiting.contains(&conversation(1)), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_still_waited_for_is_no_gap_and_not_clean() {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    let call: Conversation = recorded(day, 1);
    bench.world.genesys.add(call);
    let handler = bench.handler(&[("READINESS_DEADLINE_MINUTES", "43200"), ("SETTLE_SECONDS", "900")]);
    bench
        .world
        .genesys
        .recording(&recording(1), |one| one.state = FileState::Uploading)
        .unwrap();
    crate::support::invoke(&handler, json!({"conversationId": conversation(1)}))
        .await
        .unwrap();
    let statement = bench.statement(&[("READINESS_DEADLINE_MINUTES", "43200")]);
    super::state_within(&statement, &json!({}), super::LONG)
        .await
        .unwrap();
    let statement = bench.statement_of(day, 1).await;
    assert_eq!(
        reasons(&statement),
        BTreeMap::from([(conversation(1), "waiting".to_owned())])
    );
    assert_eq!(
        (&statement["clean"], &statement["figures"]["gaps"]),
        (&json!(false), &json!(0))
    );
}
