//! No day is clean that is not complete, whoever says so.

use std::time::Duration;

use jiff::SignedDuration;
use recording_archiver::domain::audit::Action;
use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{FileState, Orphan, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use super::days::issued;
use super::made::{Entry, Made};
use super::{LONG, at, conversation, day, key, reasons, recorded, recording, state_within};
use crate::support::{Bench, call, invoke};

/// Returns a day with these conversations, each of them archived.
pub(super) async fn archived(numbers: impl IntoIterator<Item = usize>) -> Bench {
    let bench = Bench::stated().await;
    let mut made = Made::default();
    for number in numbers {
        let call = recorded(day(&bench, 0), number);
        made.archived(number, call.end.unwrap());
        bench.world.genesys.add(call);
    }
    made.write(&bench).await;
    bench
}

/// Returns the statement of the newest day, of a new run.
pub(super) async fn stated(bench: &Bench) -> Value {
    let answer = bench.issue().await;
    let newest = answer["issued"].as_array().unwrap().last().unwrap();
    let number = usize::try_from(newest["number"].as_u64().unwrap()).unwrap();
    bench.statement_of(day(bench, 0), number).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_leg_does_not_hide_another_that_genesys_holds_or_lost() {
    let bench = archived(1..=3).await;
    let day = day(&bench, 0);
    bench
        .world
        .genesys
        .add_orphan(Orphan::of(conversation(1), recording(11)));
    bench.world.genesys.fail_upload(conversation(2));
    // One whose conversation nobody knows, one of another day, and one of a kind that nobody wants.
    let unknown = |number: usize, created| Orphan {
        created,
        ..Orphan::unknown(recording(number))
    };
    bench.world.genesys.add_orphan(unknown(12, at(day, 1)));
    bench
        .world
        .genesys
        .add_orphan(unknown(13, at(day.yesterday().unwrap(), 1)));
    let screen = Recording::screen(recording(14), call()).kind;
    bench.world.genesys.add_orphan(Orphan {
        kind: screen,
        ..unknown(14, at(day, 1))
    });
    let statement = stated(&bench).await;
    let expected = [(1, "orphaned"), (2, "upload_failed")];
    let expected = expected.map(|(number, reason)| (conversation(number), reason.to_owned()));
    assert_eq!(reasons(&statement), expected.into());
    let figures = &statement["figures"];
    assert_eq!(
        [&figures["orphans"], &figures["gaps"], &figures["lost"]],
        [&json!(1), &json!(3), &json!(1)]
    );
    assert_eq!(statement["clean"], false);
    let page = bench.object(&key(day, "1.html")).await.unwrap();
    let page = String::from_utf8(page.bytes).unwrap();
    assert!(page.contains("orphan recordings</span>"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_of_another_kind_does_not_stand_for_the_one_that_was_started() {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    let mut made = Made::default();
    for number in 1..=2 {
        let mut call = recorded(day, number);
        call.recordings = vec![Recording::screen(recording(number), crate::support::call())];
        // Of the first, an audio recording was started too.
        call.marked = Some(number == 1);
        bench.world.genesys.add(call);
        let end = (at(day, 30), "");
        made.ended((number, true), Action::DownloadSkipped, State::Skipped, end, "");
        made.settled(number, at(day, 60));
    }
    made.write(&bench).await;
    let statement = stated(&bench).await;
    let expected = (conversation(1), "nothing_found".to_owned());
    assert_eq!(reasons(&statement), [expected].into());
    assert_eq!(statement["figures"]["reasons"]["filtered"], 1);
}

/// Returns an answer of Genesys.
fn answer(body: &Value) -> Fault {
    Fault::Respond {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.to_string().into_bytes(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_a_list_is_no_end_of_a_day() {
    let bench = archived(1..=1).await;
    let (wire, genesys) = (&bench.world.wire, &bench.world.genesys);
    let first = day(&bench, 0);
    // Instead of the first page: the day may be empty.
    wire.disturb_next(Service::Genesys, "details-results", 1, answer(&json!({})));
    let statement = stated(&bench).await;
    assert_eq!(
        (&statement["clean"], &statement["listComplete"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(stated(&bench).await["clean"], true, "stated again");
    // Behind it there is a list.
    for number in 2..=600 {
        let mut call = recorded(first, number);
        call.recordings.clear();
        genesys.add(call);
    }
    let mut pages = 0;
    wire.disturb(move |exchange| {
        pages += usize::from(exchange.operation == "details-results");
        (pages == 2 && exchange.operation == "details-results").then(|| answer(&json!({})))
    });
    let error = state_within(&bench.statement(&[]), &json!({}), LONG)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("has no list"), "{error}");
    wire.calm();
    // A query that counts hits, and lists none.
    genesys.set_data_availability(bench.clock.now() - SignedDuration::from_hours(48));
    let hits = answer(&json!({"totalHits": 7}));
    wire.disturb_next(Service::Genesys, "details-query", 1, hits);
    let error = state_within(&bench.statement(&[]), &json!({}), LONG)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("lists none"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_shorter_than_before_closes_no_gap() {
    let bench = archived(1..=2).await;
    let first = day(&bench, 0);
    bench.world.genesys.add(recorded(first, 3));
    assert_eq!(stated(&bench).await["clean"], false);
    // The client may not see it any more, or nobody knows why.
    bench
        .world
        .genesys
        .conversation(&conversation(3), |call| call.start = at(day(&bench, 40), 1));
    for number in 2..=3 {
        let statement = stated(&bench).await;
        let figures = &statement["figures"];
        assert_eq!(
            (&figures["vanished"], &figures["gaps"], &statement["clean"]),
            (&json!(1), &json!(1), &json!(false)),
            "{number}"
        );
    }
    let page = bench.object(&key(first, "3.html")).await.unwrap();
    let page = String::from_utf8(page.bytes).unwrap();
    assert!(page.contains("vanished</span>"), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orphan_that_turns_up_later_opens_its_day_again() {
    let bench = archived(1..=1).await;
    let first = day(&bench, 0);
    assert_eq!(stated(&bench).await["clean"], true);
    bench.pass(20);
    bench.issue().await;
    bench.world.genesys.add_orphan(Orphan {
        created: at(first, 1),
        ..Orphan::of(conversation(77), recording(12))
    });
    let answer = bench.issue().await;
    assert!(issued(&answer).contains(&format!("{first} 3")), "{answer}");
    let statement = bench.statement_of(first, 3).await;
    assert_eq!(
        (&statement["clean"], &statement["figures"]["orphans"]),
        (&json!(false), &json!(1))
    );
    // From then on it is counted, as its day is too old to be stated again.
    assert!(!issued(&bench.issue().await).contains(&format!("{first} 4")));
    let gaps = bench.metrics().pop().unwrap()["StatementGaps"].as_u64();
    assert_eq!(gaps, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_made_after_midnight_opens_the_day_on_which_its_conversation_began() {
    let bench = archived(1..=1).await;
    let first = day(&bench, 0);
    let mut made = Made::default();
    let mut call = recorded(first, 2);
    call.start = at(first, 15 * 60 + 50);
    let end = call.start + SignedDuration::from_mins(30);
    call.end = Some(end);
    made.archived(2, end);
    made.write(&bench).await;
    bench.world.genesys.add(call.clone());
    assert_eq!(stated(&bench).await["clean"], true);
    let mut second = call.recordings[0].clone();
    (second.id, second.start) = (recording(12), at(first, 16 * 60 + 5));
    call.recordings.push(second);
    bench.world.genesys.add(call);
    bench.pass(2);
    let answer = bench.issue().await;
    assert!(issued(&answer).contains(&format!("{first} 2")), "{answer}");
    let statement = bench.statement_of(first, 2).await;
    let expected = (conversation(2), "late".to_owned());
    assert_eq!(reasons(&statement), [expected].into());
    let gaps = bench.metrics().pop().unwrap()["StatementGaps"].as_u64();
    assert_eq!(gaps, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_genesys_cuts_or_leaves_out_is_not_checked() {
    let bench = archived(1..=1).await;
    for number in 1..=500 {
        bench
            .world
            .genesys
            .add_orphan(Orphan::unknown(recording(1_000 + number)));
    }
    bench
        .world
        .wire
        .disturb_next(Service::Genesys, "retention", 1, answer(&json!({})));
    let statement = stated(&bench).await;
    assert_eq!(statement["notChecked"], json!(["kept", "orphans"]));
    let page = bench.object(&key(day(&bench, 0), "1.html")).await.unwrap();
    assert!(!String::from_utf8(page.bytes).unwrap().contains("verdict good"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_analytics_that_never_ends_is_given_up() {
    let bench = archived(1..=1).await;
    bench.issue().await;
    bench.pass(2);
    bench.world.genesys.set_job_looks(1_000);
    let goes_on = json!({"goesOn": true});
    let until_job = async |body: &Value| bench.state_until(body, &[], ("details-job", 1)).await;
    assert_eq!(until_job(&json!({})).await.unwrap(), goes_on);
    bench.advance(Duration::from_secs(7 * 3_600));
    // The first of its two days is the next run's, and the second is all that there is.
    assert_eq!(until_job(&bench.handed_over()).await.unwrap(), goes_on);
    let error = until_job(&bench.handed_over()).await.unwrap_err();
    assert!(error.to_string().contains("longer than six hours"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_without_a_conversation_is_not_told_to_be_complete_in_green() {
    let bench = Bench::stated().await;
    let statement = stated(&bench).await;
    assert_eq!(statement["clean"], true, "nothing is open");
    let page = bench.object(&key(day(&bench, 0), "1.html")).await.unwrap();
    let page = String::from_utf8(page.bytes).unwrap();
    let line = "Genesys lists no conversation of the day.";
    assert!(
        page.contains(line) && !page.contains("verdict good") && !page.contains("Nothing is missing"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_came_late_opens_its_own_day_again() {
    let bench = archived(1..=2).await;
    let first = day(&bench, 0);
    assert_eq!(stated(&bench).await["clean"], true);
    bench.pass(3);
    bench.issue().await;
    // Then a second recording of a call of the first day comes up.
    let mut late = recorded(first, 1);
    let mut second = late.recordings[0].clone();
    second.id = recording(11);
    late.recordings.push(second);
    bench.world.genesys.add(late);
    let answer = bench.issue().await;
    assert!(issued(&answer).contains(&format!("{first} 2")), "{answer}");
    let statement = bench.statement_of(first, 2).await;
    assert_eq!(reasons(&statement), [(conversation(1), "late".to_owned())].into());
    assert_eq!(
        (&statement["clean"], &statement["open"][0]["sent"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(bench.metrics().pop().unwrap()["StatementGaps"], 1, "counted once");
    // Whoever asks for that day alone hears the same.
    let day = first.to_string();
    let ran = crate::archivectl::run(&bench, &["statement", "--day", &day, "--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(bench.jobs(), [conversation(1)], "sent once");
    let mut made = Made::default();
    made.also_archived(1, &recording(11), bench.clock.now());
    made.write(&bench).await;
    bench.pass(1);
    bench.issue().await;
    assert_eq!(bench.statement_of(first, 4).await["clean"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_cannot_be_read_holds_up_no_other() {
    let bench = archived(1..=1).await;
    bench.issue().await;
    bench.pass(2);
    let [broken, newest] = [1, 0].map(|before| day(&bench, before));
    bench.world.genesys.add(recorded(newest, 2));
    let mut asked = 0;
    bench.world.wire.disturb(move |exchange| {
        let hit = exchange.operation == "details-results";
        asked += usize::from(hit);
        (hit && asked == 1).then(|| Fault::status(400))
    });
    assert_eq!(issued(&bench.issue().await), [format!("{newest} 1")]);
    assert_eq!(
        bench.metrics().pop().unwrap()["StatementGaps"],
        2,
        "one is the day"
    );
    bench.world.wire.calm();
    let both = [format!("{broken} 1"), format!("{newest} 2")];
    assert_eq!(issued(&bench.issue().await), both);
    assert_eq!(bench.jobs(), [conversation(2)], "sent once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_analytics_that_takes_long_is_waited_for_by_the_next_invocation() {
    let bench = archived(1..=1).await;
    bench.world.wire.forget();
    let answer = bench
        .state_until(&json!({}), &[], ("details-job", 1))
        .await
        .unwrap();
    assert_eq!(answer, json!({"goesOn": true}));
    let body = bench.handed_over();
    state_within(&bench.statement(&[]), &body, LONG).await.unwrap();
    assert_eq!(bench.statement_of(day(&bench, 0), 1).await["clean"], true);
    let exchanges = bench.world.wire.exchanges();
    let submitted = exchanges
        .iter()
        .filter(|one| one.operation == "details-job-submit");
    assert_eq!(submitted.count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_still_waited_for_after_two_weeks_is_a_gap() {
    let bench = Bench::stated().await;
    let mut call = recorded(day(&bench, 0), 1);
    call.recordings[0].state = FileState::Uploading;
    bench.world.genesys.add(call);
    // Longer than the days for which one that is not clean is stated again.
    let patient = [("READINESS_DEADLINE_MINUTES", "43200")];
    let handler = bench.handler(&[patient[0], ("SETTLE_SECONDS", "900")]);
    invoke(&handler, json!({"conversationId": conversation(1)}))
        .await
        .unwrap();
    let gaps = async |days| {
        bench.pass(days);
        state_within(&bench.statement(&patient), &json!({}), LONG)
            .await
            .unwrap();
        bench.metrics().pop().unwrap()["StatementGaps"].as_u64()
    };
    assert_eq!(gaps(0).await, Some(0));
    let statement = bench.statement_of(day(&bench, 0), 1).await;
    let expected = (conversation(1), "waiting".to_owned());
    assert_eq!(reasons(&statement), [expected].into());
    assert_eq!(gaps(15).await, Some(0), "stated a last time");
    assert_eq!(gaps(1).await, Some(1), "counted from then on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_deletion_ahead_is_named_with_the_recording_that_goes_first() {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    bench.world.genesys.set_least_retention(1);
    let mut made = Made::default();
    let dates = [30, 3].map(|days| bench.clock.now() + SignedDuration::from_hours(days * 24));
    for number in 1..=120 {
        bench.world.genesys.add(recorded(day, number));
        for (at, recording) in [recording(number), recording(1_000 + number)].iter().enumerate() {
            let entry = Entry {
                number,
                recording: Some(recording),
                action: Action::DownloadFailed,
                state: State::Failed,
                at: super::at(day, 30),
            };
            let notes = json!({"deleteDate": dates[at].to_string()});
            made.entry(
                &entry,
                json!({"error": "x", "code": "forbidden", "genesys": notes}),
                json!({}),
            );
        }
    }
    made.write(&bench).await;
    let survey = stated(&bench).await["survey"].clone();
    let named = survey["deletions"].as_array().unwrap();
    assert_eq!((named.len(), &survey["deletionsAhead"]), (120, &json!(120)));
    let ids: Vec<&str> = named
        .iter()
        .map(|one| one["recordingId"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = (1..=120).map(|number| recording(1_000 + number)).collect();
    assert_eq!(ids, expected);
}
