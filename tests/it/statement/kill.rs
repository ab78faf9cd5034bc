//! A run that is killed at any request: its message comes back, and the end is the same.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
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

fn changes(request: &Exchange) -> bool {
    let changes = ["PutObject", "TransactWriteItems", "SendMessageBatch"];
    changes.contains(&request.operation.as_str())
}

/// Returns the moments that differ for a request: one that only reads and whose answer is lost leaves what one leaves
/// that was never carried out.
fn moments(request: &Exchange) -> &'static [Moment] {
    if changes(request) { &MOMENTS } else { &MOMENTS[..1] }
}

/// Kills a run at this request.
async fn killed(bench: &Arc<Bench>, k: usize, moment: Moment) {
    let killed = bench.clone();
    let run = async move {
        let handler = killed.statement(&[]);
        let _ = state_within(&handler, &json!({}), LONG).await;
    };
    assert!(kill_run(bench, k, moment, run).await, "{k}");
}

/// Returns what a statement says of its day, whichever run made it.
fn said(statement: &Value) -> Value {
    let mut survey = statement["survey"].clone();
    for time in ["keptBegan", "keptPassed"] {
        survey[time] = json!(survey[time].is_string());
    }
    json!({"day": statement["day"], "clean": statement["clean"], "reasons": statement["figures"]["reasons"],
        "open": reasons(statement), "survey": survey})
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
    // Up to the first request that changes anything, a killed run leaves nothing at all.
    let first_change = requests.iter().position(changes).unwrap();
    let bench = Arc::new(three().await);
    for k in 1..=first_change {
        killed(&bench, k, Moment::Before).await;
    }
    assert_eq!((bench.keys().await.len(), bench.jobs().len()), (0, 0));
    let kills = (1..).zip(&requests).skip(first_change);
    let kills = kills.flat_map(|(k, request)| moments(request).iter().map(move |moment| (k, *moment)));
    // Each in a world of its own.
    let ends = kills.map(|(k, moment)| async move {
        let bench = Arc::new(three().await);
        killed(&bench, k, moment).await;
        // The message of the schedule comes back.
        bench.issue().await;
        let newest = newest(&bench, day).await;
        // Whatever the killed run left is superseded, so nobody takes it for the last word.
        assert!(newest <= 2, "{newest}");
        let mut jobs = bench.jobs();
        jobs.dedup();
        assert_eq!(jobs, [2, 3].map(conversation), "each at least once");
        (k, moment, said(&bench.statement_of(day, newest).await))
    });
    let ends: Vec<_> = stream::iter(ends).buffer_unordered(4).collect().await;
    for (k, moment, said) in ends {
        assert_eq!(said, expected, "killed at {k}, {moment:?}");
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
