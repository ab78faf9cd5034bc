//! A run that is killed at any request: its message comes back, and the end is the same.

use std::sync::Arc;

use jiff::civil::Date;
use recording_archiver::sim::wire::Exchange;
use serde_json::{Value, json};

use super::made::Made;
use super::{LONG, conversation, day, key, reasons, recorded, state_within};
use crate::kill::{MOMENTS, Moment, kill_run};
use crate::support::Bench;

/// Returns a day with an archived conversation and two that no run ever saw.
async fn three() -> Bench {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    let mut made = Made::default();
    for number in 1..=3 {
        let call = recorded(day, number);
        if number == 1 {
            made.archived(number, call.end.unwrap());
        }
        bench.world.genesys.add(call);
    }
    made.write(&bench).await;
    bench
}

/// Returns the moments that differ for a request: one that only reads and whose answer is lost leaves what one leaves
/// that was never carried out.
fn moments(request: &Exchange) -> &'static [Moment] {
    let changes = ["PutObject", "TransactWriteItems", "SendMessageBatch"];
    if changes.contains(&request.operation.as_str()) {
        &MOMENTS
    } else {
        &MOMENTS[..1]
    }
}

/// Returns what a statement says of its day, whichever run made it.
fn said(statement: &Value) -> Value {
    json!({"day": statement["day"], "clean": statement["clean"], "reasons": statement["figures"]["reasons"],
        "open": reasons(statement), "survey": statement["survey"]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_survives_a_kill_at_every_request() {
    let clean = three().await;
    clean.world.wire.forget();
    clean.issue().await;
    let requests = clean.world.wire.exchanges();
    let day = day(&clean, 0);
    let expected = said(&clean.statement_of(day, 1).await);
    assert!(requests.len() > 15, "{}", requests.len());
    for (k, request) in (1..).zip(&requests) {
        for moment in moments(request) {
            let bench = Arc::new(three().await);
            let killed = bench.clone();
            let run = async move {
                let handler = killed.statement(&[]);
                let _ = state_within(&handler, &json!({}), LONG).await;
            };
            assert!(kill_run(&bench, k, *moment, run).await, "{k}");
            // The message of the schedule comes back.
            bench.issue().await;
            let newest = newest(&bench, day).await;
            assert_eq!(
                said(&bench.statement_of(day, newest).await),
                expected,
                "killed at {k}, {moment:?}"
            );
            // Whatever the killed run left is superseded, so nobody takes it for the last word.
            assert!(newest <= 2, "{newest}");
            let mut jobs = bench.jobs();
            jobs.dedup();
            assert_eq!(jobs, [2, 3].map(conversation), "each at least once");
        }
    }
}

async fn newest(bench: &Bench, day: Date) -> usize {
    let keys = bench.keys().await;
    let folder = key(day, "");
    let numbers = keys
        .iter()
        .filter_map(|key| key.strip_prefix(&folder)?.strip_suffix(".json")?.parse().ok());
    numbers.max().unwrap()
}
