//! What a run takes over from the one before it, and leaves to the next.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use recording_archiver::domain::audit::Action;
use recording_archiver::domain::record::State;
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use super::days::{A_DAY, issued};
use super::made::{Entry, Made};
use super::{LONG, conversation, day, recorded, recording, state_within};
use crate::support::Bench;

/// Runs the schedule's statement. Returns the survey of its newest day.
async fn survey(bench: &Bench) -> Value {
    let answer = bench.issue().await;
    let newest = answer["issued"].as_array().unwrap().last().unwrap();
    let number = usize::try_from(newest["number"].as_u64().unwrap()).unwrap();
    let day = newest["day"].as_str().unwrap().parse().unwrap();
    bench.statement_of(day, number).await["survey"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_came_late_gets_one_job_and_is_named_until_it_is_archived() {
    let bench = Bench::stated().await;
    let mut made = Made::default();
    let late = super::gaps::late(&bench, &mut made, day(&bench, 0), 1);
    made.write(&bench).await;
    for _ in 0..3 {
        let survey = survey(&bench).await;
        let named = &survey["late"][0];
        assert_eq!(
            (&named["recordingId"], &named["sent"]),
            (&json!(late), &json!(true))
        );
        assert_eq!(survey["lateRecordings"], 1);
        assert_eq!(bench.jobs(), [conversation(1)], "sent once");
        bench.advance(A_DAY);
    }
    let mut made = Made::default();
    made.also_archived(1, &late, bench.clock.now());
    made.write(&bench).await;
    assert_eq!(survey(&bench).await["lateRecordings"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_is_too_long_for_a_run_is_gone_on_with_by_the_next_one() {
    let bench = Bench::stated().await;
    let now = bench.clock.now();
    let old = now - SignedDuration::from_hours(365 * 24);
    let in_days = |days: i64| Some(now + SignedDuration::from_hours(days * 24));
    let kept = |number: usize, deletes: Option<Timestamp>| {
        let mut one = Recording::audio(recording(number), []);
        (one.start, one.delete_date) = (old, deletes);
        one
    };
    // A run reads 10,000: the first is deleted in 9 days, the last of 10,200 in 10.
    let mut long = Conversation::new(conversation(1)).lasting(old, SignedDuration::from_mins(5));
    long.recordings = (1..=10_200)
        .map(|number| {
            let deletes = match number {
                1 => in_days(9),
                10_200 => in_days(10),
                _ => None,
            };
            kept(number, deletes)
        })
        .collect();
    bench.world.genesys.add(long);
    let told = |survey: &Value| {
        let kept = &survey["kept"];
        assert!(kept["why"].is_string(), "{survey}");
        let number = |value: &Value| value.as_u64().unwrap();
        let next = survey["keptNext"].as_str().map(str::to_owned);
        (number(&kept["read"]), next, number(&survey["deletionsAhead"]))
    };
    let next = Some("10000".to_owned());
    assert_eq!(told(&survey(&bench).await), (10_000, next.clone(), 1));
    // What the first run found is looked at again.
    assert_eq!(told(&survey(&bench).await), (200, None, 2));
    assert_eq!(told(&survey(&bench).await), (10_000, next.clone(), 2));
    // Genesys does not know the place any more.
    bench
        .world
        .wire
        .disturb_next(Service::Genesys, "retention", 1, Fault::status(400));
    assert_eq!(told(&survey(&bench).await), (10_000, next, 2));
    // Deleted by now.
    bench.advance(9 * A_DAY + Duration::from_secs(3_600));
    assert_eq!(told(&survey(&bench).await), (200, None, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_that_are_too_many_for_a_run_are_stated_by_the_next_one() {
    let bench = Bench::stated().await;
    bench.issue().await;
    bench.pass(40);
    let days = |from: i64, to: i64, number: usize| {
        let days = (to..=from).rev();
        days.map(|before| format!("{} {number}", day(&bench, before)))
            .collect::<Vec<_>>()
    };
    assert_eq!(issued(&bench.issue().await), days(30, 0, 1));
    // The first day is two weeks older than a missed one, so it is stated once more.
    let left = [days(40, 40, 2), days(39, 31, 1), days(0, 0, 2)].concat();
    assert_eq!(issued(&bench.issue().await), left);
    assert_eq!(issued(&bench.issue().await), days(0, 0, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_is_too_old_is_stated_again_while_a_deletion_is_ahead() {
    let bench = Bench::stated().await;
    let first = day(&bench, 0);
    // Genesys does not list what it keeps: only the audit knows the date.
    bench.world.genesys.set_least_retention(1);
    bench.world.genesys.add(recorded(first, 1));
    let deletes = bench.clock.now() + SignedDuration::from_hours(20 * 24);
    let id = recording(1);
    let entry = Entry {
        number: 1,
        recording: Some(&id),
        action: Action::DownloadFailed,
        state: State::Failed,
        at: super::at(first, 30),
    };
    let mut made = Made::default();
    let event = json!({"error": "x", "code": "forbidden", "genesys": {"deleteDate": deletes.to_string()}});
    made.entry(&entry, event, json!({}));
    made.write(&bench).await;
    let stated = async || {
        let issued = issued(&bench.issue().await);
        let again = issued.iter().any(|one| one.starts_with(&first.to_string()));
        let metrics = bench.metrics().pop().unwrap();
        (
            again,
            metrics["DeletionsAhead"].as_u64(),
            metrics["StatementGaps"].as_u64(),
        )
    };
    assert_eq!(stated().await, (true, Some(0), Some(1)));
    bench.pass(16);
    assert_eq!(stated().await, (true, Some(1), Some(1)));
    // It is gone: counted on, and not stated again.
    bench.pass(5);
    assert_eq!(stated().await, (false, Some(0), Some(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_the_queue_refuses_is_not_taken_for_sent() {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    for number in 1..=2 {
        bench.world.genesys.add(recorded(day, number));
    }
    bench.refuse_first_of_batch(1);
    let error = state_within(&bench.statement(&[]), &json!({}), LONG)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("WORK_QUEUE_URL"), "{error}");
    // The message of the schedule comes back.
    bench.issue().await;
    assert_eq!(bench.jobs(), [1, 2].map(conversation));
}
