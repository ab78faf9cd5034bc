//! Which days a run states, how a statement follows another, and how a run goes on in another invocation.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::SignedDuration;
use recording_archiver::sim::BUCKET;
use serde_json::{Value, json};

use super::made::Made;
use super::{FOLDER, LONG, at, conversation, day, key, reasons, recorded, state_within};
use crate::support::{Bench, invoke, sha256};

pub(super) const A_DAY: Duration = Duration::from_secs(24 * 3_600);

/// Returns the days of an answer.
pub(super) fn issued(answer: &Value) -> Vec<String> {
    let issued = answer["issued"].as_array().unwrap().iter();
    issued
        .map(|one| format!("{} {}", one["day"].as_str().unwrap(), one["number"]))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_that_is_not_clean_is_stated_again_until_it_is_and_a_job_is_sent_once() {
    let bench = Bench::stated().await;
    let first = day(&bench, 0);
    bench.world.genesys.add(recorded(first, 1));
    assert_eq!(issued(&bench.issue().await), [format!("{first} 1")]);
    assert_eq!(bench.jobs(), [conversation(1)]);

    // Nobody processed the job.
    bench.advance(A_DAY);
    let second = day(&bench, 0);
    assert_eq!(
        issued(&bench.issue().await),
        [format!("{first} 2"), format!("{second} 1")]
    );
    let statement = bench.statement_of(first, 2).await;
    assert_eq!(reasons(&statement)[&conversation(1)], "never_seen");
    assert_eq!(statement["open"][0]["sent"], true);
    assert_eq!(bench.jobs(), [conversation(1)], "sent once");
    let before = bench.object(&key(first, "1.json")).await.unwrap();
    let before_key = format!("s3://{BUCKET}/{}", key(first, "1.json"));
    let supersedes = json!({"archiveKey": before_key, "hash": sha256(&before.bytes)});
    assert_eq!(statement["supersedes"], supersedes);

    // Somebody did.
    invoke(&bench.handler(&[]), json!({"conversationId": conversation(1)}))
        .await
        .unwrap();
    let settles = bench.handler(&[("SETTLE_SECONDS", "900")]);
    for _ in 0..3 {
        let _ = invoke(
            &settles,
            json!({"conversationId": conversation(1), "recheck": true}),
        )
        .await;
        bench.advance(Duration::from_secs(1_000));
        let look = bench.deferred().pop().map(|(job, _)| job);
        if let Some(look) = look {
            let _ = invoke(&settles, look).await;
        }
        bench.advance(A_DAY / 4);
    }
    bench.advance(A_DAY / 4);
    let answer = bench.issue().await;
    assert!(issued(&answer).contains(&format!("{first} 3")), "{answer}");
    assert_eq!(bench.statement_of(first, 3).await["clean"], true);
    bench.advance(A_DAY);
    let answer = bench.issue().await;
    assert!(
        issued(&answer)
            .iter()
            .all(|one| !one.starts_with(&first.to_string())),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_that_a_run_missed_are_made_up_for() {
    let bench = Bench::stated().await;
    bench.issue().await;
    bench.advance(4 * A_DAY);
    let days: Vec<String> = [3, 2, 1, 0]
        .map(|before| format!("{} 1", day(&bench, before)))
        .into();
    assert_eq!(issued(&bench.issue().await), days);
    // A second run of the same day has nothing new to say, and says that.
    let newest = day(&bench, 0);
    assert_eq!(issued(&bench.issue().await), [format!("{newest} 2")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_that_nobody_closes_is_counted_for_as_long_as_somebody_could() {
    let bench = Bench::stated().await;
    let first = day(&bench, 0);
    let mut made = Made::default();
    for (number, code) in [(1, "forbidden"), (2, "broken_at_source")] {
        bench.world.genesys.add(recorded(first, number));
        let failed = recording_archiver::domain::audit::Action::DownloadFailed;
        let state = recording_archiver::domain::record::State::Failed;
        made.ended((number, true), failed, state, (at(first, 30), "no"), code);
    }
    made.write(&bench).await;
    let gaps = async || {
        bench.issue().await;
        bench.metrics().pop().unwrap()["StatementGaps"].as_u64().unwrap()
    };
    assert_eq!(gaps().await, 2);
    // Beyond the days that are stated again, what can be closed counts on, and what is broken at Genesys does not.
    bench.advance(20 * A_DAY);
    assert_eq!(gaps().await, 1);
    bench.advance(A_DAY);
    assert_eq!(gaps().await, 1, "and goes on, run after run");
    assert!(bench.object(&key(first, "2.json")).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_does_not_end_in_time_goes_on_in_the_next_invocation() {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    let mut made = Made::default();
    // Three pages of a job's results; every hundredth is a gap.
    for number in 1..=1_200 {
        let call = recorded(day, number);
        if number % 100 == 0 {
            bench.world.genesys.add(call);
        } else if number % 10 == 0 {
            made.archived(number, call.end.unwrap());
            bench.world.genesys.add(call);
        } else {
            let mut call = call;
            call.recordings.clear();
            bench.world.genesys.add(call);
        }
    }
    made.write(&bench).await;
    // Each of the first two invocations gets through one page.
    let mut body = json!({});
    for _ in 0..2 {
        assert_eq!(
            bench.state_until_page(&body, &[], 2).await,
            json!({"goesOn": true})
        );
        body = bench.handed_over();
        assert!(bench.object(&key(day, "1.json")).await.is_none());
    }
    let listed = body["state"]["days"][0]["figures"]["listed"].as_u64().unwrap();
    assert_eq!(listed, 1_000, "what was read is not read again");
    let answer = state_within(&bench.statement(&[]), &body, LONG).await.unwrap();
    assert_eq!(issued(&answer), [format!("{day} 1")]);
    let statement = bench.statement_of(day, 1).await;
    assert_eq!(statement["figures"]["listed"], 1_200);
    assert_eq!(
        (
            &statement["figures"]["gaps"],
            &statement["figures"]["reasons"]["archived"]
        ),
        (&json!(12), &json!(108))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_locked_and_never_replaced_and_run_documents_chain_the_days() {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    let handler = bench.statement(&[
        ("S3_OBJECT_LOCK_MODE", "GOVERNANCE"),
        ("S3_OBJECT_LOCK_DAYS", "30"),
    ]);
    for _ in 0..2 {
        state_within(&handler, &json!({}), LONG).await.unwrap();
    }
    let keys: BTreeSet<String> = bench.keys().await.into_iter().collect();
    let of_day: Vec<&str> = keys
        .iter()
        .map(String::as_str)
        .filter(|key| key.contains(&day.to_string()))
        .collect();
    let expected = ["1.html", "1.json", "2.html", "2.json"].map(|name| key(day, name));
    assert_eq!(of_day, expected.each_ref().map(String::as_str));
    assert_eq!(
        keys.iter()
            .filter(|key| key.starts_with(&format!("{FOLDER}runs/")))
            .count(),
        2
    );
    for key in &keys {
        let object = bench.object(key).await.unwrap();
        let until = object.head.object_lock_retain_until_date().unwrap().secs();
        let days = (until - bench.clock.now().as_second()) / 86_400;
        assert!((29..=30).contains(&days), "{key}: {days}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_of_today_is_told_to_be_incomplete_and_a_day_without_calls_is_clean() {
    let bench = Bench::stated().await;
    let yesterday = (bench.clock.now() - SignedDuration::from_hours(24))
        .strftime("%Y-%m-%d")
        .to_string();
    let ran = crate::archivectl::run(&bench, &["statement", "--day", &yesterday, "--json"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let statement = bench.statement_of(yesterday.parse().unwrap(), 1).await;
    assert_eq!(
        (&statement["listComplete"], &statement["clean"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(ran.summary()["statements"], 1);
    // Both names of the days at once are refused.
    let ran = crate::archivectl::run(&bench, &["statement", "--day", &yesterday, "--from", &yesterday]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_genesys_no_longer_keeps_begin_the_day_anew() {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    for number in 1..=600 {
        let mut call = recorded(day, number);
        call.recordings.clear();
        bench.world.genesys.add(call);
    }
    assert_eq!(
        bench.state_until_page(&json!({}), &[], 2).await,
        json!({"goesOn": true})
    );
    let mut body = bench.handed_over();
    // A job that nobody knows any more.
    body["state"]["days"][0]["position"]["pages"]["job"]["id"] =
        json!("a0000000-0000-4000-8000-000000000000");
    let answer = state_within(&bench.statement(&[]), &body, LONG).await.unwrap();
    assert_eq!(issued(&answer), [format!("{day} 1")]);
    assert_eq!(
        bench.statement_of(day, 1).await["figures"]["listed"],
        600,
        "none twice"
    );
}
