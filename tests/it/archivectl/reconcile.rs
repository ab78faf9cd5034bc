//! `archivectl reconcile`: what was recorded and is not archived, and the reverse.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use recording_archiver::sim::LEDGER_TABLE;
use recording_archiver::sim::genesys::{Conversation, FileState, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use super::tampering::acts::retime;
use super::{Ran, archivectl, command, end, signal};
use crate::support::{Bench, call, invoke};

/// Two days of some weeks ago: of much older ones Genesys gives no recordings just so.
pub(super) static DAYS: LazyLock<[&str; 4]> = LazyLock::new(|| {
    let day =
        |hours| -> &str { Box::leak(date(first() + SignedDuration::from_hours(hours)).into_boxed_str()) };
    ["--from", day(0), "--to", day(24)]
});

/// Returns the first moment of those days.
pub(super) fn first() -> Timestamp {
    static FIRST: LazyLock<Timestamp> = LazyLock::new(|| {
        let weeks_ago = Timestamp::now() - SignedDuration::from_hours(60 * 24);
        format!("{}T00:00:00Z", date(weeks_ago)).parse().unwrap()
    });
    *FIRST
}

fn date(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d").to_string()
}

pub(super) fn conversation(number: usize) -> String {
    format!("c0000000-0000-4000-8000-{number:012x}")
}

fn recording(number: usize) -> String {
    format!("e0000000-0000-4000-8000-{number:012x}")
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Returns a call of the first day, with a recording in this state.
pub(super) fn call_in(number: usize, state: FileState) -> Conversation {
    let start = first() + SignedDuration::from_mins(8 * 60 + i64::try_from(number).unwrap());
    let mut conversation =
        Conversation::new(conversation(number)).lasting(start, SignedDuration::from_mins(5));
    conversation.marked = Some(true);
    conversation.recording(Recording::audio(recording(number), [call()]).state(state))
}

/// Changes the ledger's record of a recording.
async fn edit(bench: &Bench, number: usize, change: &str, values: &[(&str, AttributeValue)]) {
    let mut update = bench
        .world
        .aws
        .dynamodb()
        .update_item()
        .table_name(LEDGER_TABLE)
        .key("interactionId", AttributeValue::S(conversation(number)))
        .key("recordingId", AttributeValue::S(recording(number)))
        .update_expression(change);
    for (name, value) in values {
        update = update.expression_attribute_values(*name, value.clone());
    }
    update.send().await.unwrap();
}

/// Returns one conversation for each way to stand.
async fn one_of_each() -> Bench {
    let bench = Bench::new().await;
    let genesys = &bench.world.genesys;
    genesys.set_data_availability(first() + SignedDuration::from_hours(3 * 24));
    genesys.set_job_looks(0);
    let states = [
        FileState::Available, // 1: archived
        FileState::Available, // 2: never seen
        FileState::Archived,  // 3: failed
        FileState::Uploading, // 4: put off just now
        FileState::Uploading, // 5: put off long ago
        FileState::Deleted,   // 6: gone
        FileState::Available, // 7: a run died
        FileState::Available, // 8: a run is at it
    ];
    for (number, state) in (1..).zip(states) {
        genesys.add(call_in(number, state));
    }
    let mut unrecorded = call_in(9, FileState::Available);
    unrecorded.marked = Some(false);
    genesys.add(unrecorded);
    genesys.add(call_in(10, FileState::Available).ongoing());
    let handler = bench.handler(&[("MAX_ATTEMPTS", "1")]);
    for number in [1, 3, 4, 5, 6] {
        let _ = invoke(&handler, json!({"conversationId": conversation(number)})).await;
    }
    let nine = first() + SignedDuration::from_hours(9);
    let head = retime(&bench, [&conversation(5), &recording(5)], |_, _| nine).await;
    let values = [
        (":at", AttributeValue::S(nine.to_string())),
        (":head", AttributeValue::S(head)),
    ];
    edit(&bench, 5, "SET updatedAt = :at, chainHead = :head", &values).await;
    for number in [7, 8] {
        bench
            .world
            .wire
            .disturb_next(Service::Media, "media", 1, Fault::Hang);
        let downloads = bench.world.wire.count(Service::Media, "media");
        tokio::select! {
            answer = invoke(&handler, json!({"conversationId": conversation(number)})) => panic!("{answer:?}"),
            () = bench.world.wire.wait_until(|all| {
                all.iter().filter(|asked| asked.service == Service::Media).count() > downloads
            }) => {}
        }
    }
    let over = [(":expires", AttributeValue::N("1".to_owned()))];
    edit(&bench, 7, "SET leaseExpiresAt = :expires", &over).await;
    bench
}

async fn reconcile(bench: &Bench, arguments: &[&str]) -> Ran {
    archivectl(bench, &[&["reconcile", "--json"], &DAYS[..], arguments].concat()).await
}

/// Returns the reason of each finding, by the number of its conversation.
fn reasons(ran: &Ran) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    ran.items()
        .iter()
        .map(|item| (text(&item["interactionId"]), text(&item["reason"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_missing_conversation_is_told_with_its_reason() {
    let bench = one_of_each().await;
    let ran = reconcile(&bench, &[]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let expected = [
        (2, "never_seen"),
        (3, "failed"),
        (5, "deferred"),
        (6, "expired"),
        (7, "unfinished"),
    ];
    let expected = expected.map(|(number, reason)| (conversation(number), reason.to_owned()));
    assert_eq!(reasons(&ran), expected.into(), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        summary["reasons"],
        json!({"archived": 1, "in_progress": 1, "too_early": 1, "expired": 1, "deferred": 1, "unfinished": 1,
               "failed": 1, "never_seen": 1}),
    );
    for (name, count) in [
        ("listed", 10),
        ("unrecorded", 1),
        ("ongoing", 1),
        ("sent", 0),
        ("notListed", 0),
    ] {
        assert_eq!(summary[name], count, "{name}: {summary}");
    }
    let failed = ran
        .items()
        .into_iter()
        .find(|item| item["reason"] == "failed")
        .unwrap();
    let error = failed["recordings"][0]["error"].as_str().unwrap();
    assert!(error.contains("ARCHIVED at Genesys"), "{failed}");

    let ran = archivectl(&bench, &[&["reconcile"], &DAYS[..]].concat()).await;
    for expected in [
        "ARCHIVED at Genesys",
        "never_seen",
        "--enqueue sends what a job can fix",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}: {}", ran.stdout);
    }
    let ran = reconcile(&bench, &["--media", "chat"]).await;
    assert_eq!((ran.code(), ran.items().len()), (Some(0), 0), "{ran:?}");
    let ran = archivectl(&bench, &["reconcile"]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("which days?"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_job_can_mend_is_sent_archived_and_found_in_order() {
    let bench = one_of_each().await;
    let before = bench.deferred().len();
    let ran = reconcile(&bench, &["--enqueue", "--rate", "1000000"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["sent"], 4);
    for number in [3, 4, 5, 6, 8] {
        bench
            .world
            .genesys
            .conversation(&conversation(number), |conversation| {
                conversation.recordings[0].state = FileState::Available;
            })
            .unwrap();
    }
    let jobs: Vec<Value> = bench
        .deferred()
        .into_iter()
        .skip(before)
        .map(|(job, _)| job)
        .collect();
    let mut sent: Vec<_> = jobs.iter().map(|job| job["conversationId"].clone()).collect();
    sent.sort_by_key(Value::to_string);
    assert_eq!(sent, [2, 3, 5, 7].map(|number| json!(conversation(number))));
    assert!(
        jobs[0]["requestedBy"]
            .as_str()
            .unwrap()
            .starts_with(&format!("archivectl reconcile of {}", DAYS[1]))
    );
    let handler = bench.handler(&[]);
    for job in jobs {
        let summary = invoke(&handler, job).await.unwrap();
        assert_eq!(summary["results"][0]["outcome"], "archived", "{summary}");
    }
    let ran = reconcile(&bench, &["--enqueue", "--rate", "1000000"]).await;
    assert_eq!(
        reasons(&ran),
        [(conversation(6), "expired".to_owned())].into(),
        "{ran:?}"
    );
    assert_eq!(ran.summary()["sent"], 0, "what is gone cannot be mended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_archived_and_not_listed_any_more_is_told_and_is_no_finding() {
    let bench = Bench::new().await;
    let now = bench.clock.now();
    let today = now.strftime("%Y-%m-%d").to_string();
    let genesys = &bench.world.genesys;
    for (number, start) in [(1, now), (2, now), (3, first())] {
        let mut conversation = call_in(number, FileState::Available);
        (conversation.start, conversation.end) = (start, Some(start));
        conversation.recordings[0].start = start;
        genesys.add(conversation);
        bench
            .invoke(json!({"conversationId": self::conversation(number)}))
            .await
            .unwrap();
    }
    let elsewhere = |conversation: &mut Conversation| conversation.start = at("2025-01-05T08:00:00Z");
    genesys.conversation(&conversation(2), elsewhere).unwrap();
    let ran = archivectl(&bench, &["reconcile", "--json", "--from", &today, "--to", &today]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert_eq!(
        reasons(&ran),
        [(conversation(2), "not_listed".to_owned())].into(),
        "{ran:?}"
    );
    assert_eq!(ran.summary()["notListed"], 1);
    assert_eq!(ran.summary()["reasons"], json!({"archived": 1}));
    // A call of weeks ago that was archived today.
    let elsewhere = |conversation: &mut Conversation| conversation.start = at("2025-01-05T08:00:00Z");
    genesys.conversation(&conversation(3), elsewhere).unwrap();
    let ran = reconcile(&bench, &[]).await;
    assert_eq!(
        reasons(&ran),
        [(conversation(3), "not_listed".to_owned())].into(),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_it_says_so_and_sends_nothing_more() {
    let bench = one_of_each().await;
    let before = bench.deferred().len();
    bench
        .world
        .wire
        .disturb_next(Service::Genesys, "details-results", 1, Fault::Hang);
    let child = command(
        &bench,
        &[&["reconcile", "--json", "--enqueue"], &DAYS[..]].concat(),
    )
    .spawn()
    .unwrap();
    while bench.world.wire.count(Service::Genesys, "details-results") == 0 {
        tokio::task::yield_now().await;
    }
    signal(&child, "INT").await;
    let ran = end(child).await;
    assert_eq!(ran.code(), Some(130), "{ran:?}");
    assert_eq!(ran.summary()["finished"], false);
    assert_eq!(bench.deferred().len(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_came_up_after_its_conversation_was_archived_is_found_if_genesys_is_asked() {
    let bench = one_of_each().await;
    let later = Recording::audio(recording(0x101), [call()]);
    let add = |conversation: &mut Conversation| conversation.recordings.push(later);
    bench.world.genesys.conversation(&conversation(1), add).unwrap();
    let ran = reconcile(&bench, &[]).await;
    assert!(
        !reasons(&ran).contains_key(&conversation(1)),
        "analytics knows nothing of recordings"
    );
    let ran = reconcile(&bench, &["--recordings", "--rate", "1000000"]).await;
    assert_eq!(reasons(&ran)[&conversation(1)], "never_seen", "{ran:?}");
    let item = ran
        .items()
        .into_iter()
        .find(|item| item["interactionId"] == conversation(1))
        .unwrap();
    assert_eq!(item["recordings"].as_array().unwrap().len(), 1);
    assert_eq!(item["recordings"][0]["recordingId"], recording(0x101));
    bench.archive().await;
    let ran = reconcile(&bench, &["--recordings", "--rate", "1000000"]).await;
    assert!(!reasons(&ran).contains_key(&conversation(1)), "{ran:?}");
    let unlisted = |conversation: &mut Conversation| conversation.recordings.clear();
    bench
        .world
        .genesys
        .conversation(&conversation(1), unlisted)
        .unwrap();
    let ran = reconcile(&bench, &["--recordings", "--rate", "1000000"]).await;
    assert!(
        !reasons(&ran).contains_key(&conversation(1)),
        "deleted there after it was archived: {ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_genesys_no_longer_gives_just_so_is_told_apart_from_what_is_lost() {
    let bench = Bench::new().await;
    let now = bench.clock.now();
    for (number, days, reason, sent) in [
        (1, 300, "never_seen", 1),
        (2, 600, "older_than_18_months", 1),
        (3, 2_000, "older_than_5_years", 0),
    ] {
        let start = now - SignedDuration::from_hours(days * 24);
        let mut old = call_in(number, FileState::Available);
        (old.start, old.end) = (start, Some(start + SignedDuration::from_mins(5)));
        bench.world.genesys.add(old);
        let day = date(start);
        let range = ["--from", &day, "--to", &day];
        let ran = archivectl(
            &bench,
            &[&["reconcile", "--json", "--enqueue"], &range[..]].concat(),
        )
        .await;
        assert_eq!(ran.code(), Some(1), "not archived is not archived: {ran:?}");
        assert_eq!(reasons(&ran)[&conversation(number)], reason, "{ran:?}");
        assert_eq!(ran.summary()["sent"], sent, "{reason}");

        let ran = archivectl(&bench, &[&["backfill", "--dry-run"], &range[..]].concat()).await;
        assert_eq!(ran.code(), Some(0), "{ran:?}");
        let warned = ["than 1.5 years ago", "than 5 years ago"].map(|words| ran.stderr.contains(words));
        let expected = [reason == "older_than_18_months", reason == "older_than_5_years"];
        assert_eq!(warned, expected, "{}", ran.stderr);
    }
}
