//! Names in the call records of a batch: asked for together, and given up by few requests.

use std::collections::BTreeMap;
use std::time::Duration;

use recording_archiver::domain::record::State;
use recording_archiver::sim::wire::{Fault, Gate, Service};
use serde_json::json;

use super::described::{call_record, described, described_by, describing, taken_by};
use super::{bench, bulk_jobs, entry, faults, live_jobs, recording, state};
use crate::support::{Bench, invoke};

/// Returns the id of an agent.
fn agent(n: usize) -> String {
    format!("a0000000-0000-4000-8000-{n:012}")
}

/// Returns the names of users in so many call records.
async fn users(bench: &Bench, calls: usize) -> BTreeMap<String, String> {
    let mut users = BTreeMap::new();
    for n in 0..calls {
        let named = call_record(bench, n).await["names"]["users"].clone();
        users.extend(
            serde_json::from_value::<Option<BTreeMap<_, _>>>(named)
                .unwrap()
                .unwrap_or_default(),
        );
    }
    users
}

#[tokio::test]
async fn the_names_of_a_batch_are_asked_for_together() {
    let bench = bench(20).await;
    described_by(&bench, 20, agent).await;
    assert_eq!(bench.world.wire.count(Service::Genesys, "users"), 1);
    for n in [0, 19] {
        let names = &call_record(&bench, n).await["names"];
        assert_eq!(names["users"], json!({ agent(n): format!("Agent {n}") }));
    }
}

#[tokio::test]
async fn names_that_genesys_does_not_give_are_asked_for_once_for_all_calls_of_a_batch() {
    let bench = bench(20).await;
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "users", 10_000, Fault::status(503));
    described(&bench, 20).await;
    // Four tries of each of the runs that wait for them, of which the last one goes without.
    let runs = bulk_jobs(&bench).len();
    let asked = wire.count(Service::Genesys, "users");
    assert!(asked <= 4 * runs, "{asked} in {runs} runs");
    assert!(live_jobs(&bench).is_empty());
    for n in [0, 19] {
        let names = &call_record(&bench, n).await["names"];
        assert_eq!(names["missing"], json!({"users": "unavailable"}));
    }
}

#[tokio::test]
async fn a_kind_that_takes_minutes_to_fail_is_asked_for_once_in_a_run() {
    let bench = bench(5).await;
    let (clock, wire) = (bench.clock.clone(), bench.world.wire.clone());
    wire.disturb(move |exchange| {
        let asked = exchange.service == Service::Genesys && exchange.operation == "users";
        asked.then(|| {
            clock.advance(Duration::from_secs(30));
            Fault::status(503)
        })
    });
    described_by(&bench, 5, agent).await;
    let runs = bulk_jobs(&bench).len();
    let asked = wire.count(Service::Genesys, "users");
    assert!(asked <= 4 * runs, "{asked} in {runs} runs");
    assert!(live_jobs(&bench).is_empty());
}

#[tokio::test]
async fn what_an_answer_with_names_lacks_is_asked_for_once_more() {
    let bench = bench(5).await;
    let cut = json!({"entities": [{"id": agent(3), "name": "Agent 3"}]});
    let cut = Fault::Respond {
        status: 200,
        headers: Vec::new(),
        body: cut.to_string().into_bytes(),
    };
    bench.world.wire.disturb_next(Service::Genesys, "users", 1, cut);
    described_by(&bench, 5, agent).await;
    assert_eq!(bench.world.wire.count(Service::Genesys, "users"), 2);
    assert_eq!(users(&bench, 5).await.len(), 5);
}

#[tokio::test]
async fn ids_that_genesys_refuses_take_no_names_of_a_batch_away() {
    let bench = bench(100).await;
    let odd = [5, 6, 45, 85].map(agent);
    let refused = odd.clone();
    bench.world.wire.disturb(move |exchange| {
        let asked = exchange.service == Service::Genesys && exchange.operation == "users";
        (asked && refused.iter().any(|id| exchange.target.contains(id))).then(|| Fault::status(400))
    });
    described_by(&bench, 100, agent).await;
    let named = users(&bench, 100).await;
    assert_eq!(named.len(), 96);
    assert!(odd.iter().all(|id| !named.contains_key(id)));
    let missing = &call_record(&bench, 45).await["names"]["missing"];
    assert_eq!(missing, &json!({"users": "unavailable"}));
    assert_eq!(bulk_jobs(&bench).len(), 3, "nobody waits for what is refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_all_names_at_hand_waits_for_nobody_who_asks() {
    let bench = bench(3).await;
    // The first and the last call have the same agent.
    for (n, of) in [(0, 0), (1, 1), (2, 0)] {
        taken_by(&bench, n, &agent(of));
    }
    let handler = describing(&bench);
    let job = |n: usize| json!({"bulk": [entry(n)]});
    let first = faults::last_poll(&bench, &handler, job(0)).await;
    invoke(&handler, first).await.unwrap();
    let asks = faults::last_poll(&bench, &handler, job(1)).await;
    let knows = faults::last_poll(&bench, &handler, job(2)).await;
    let (gate, wire) = (Gate::default(), bench.world.wire.clone());
    wire.forget();
    wire.disturb_next(Service::Genesys, "users", 1, Fault::Hold(gate.clone()));
    let handler = std::sync::Arc::new(handler);
    let other = handler.clone();
    let waits = tokio::spawn(async move { invoke(&other, asks).await });
    wire.wait_until(|exchanges| exchanges.iter().any(|exchange| exchange.operation == "users"))
        .await;
    invoke(&handler, knows).await.unwrap();
    assert_eq!(state(&bench, 2, "-").await, Some(State::Settled));
    assert_ne!(state(&bench, 1, "-").await, Some(State::Settled));
    gate.open();
    waits.await.unwrap().unwrap();
    assert_eq!(state(&bench, 1, "-").await, Some(State::Settled));
    assert_eq!(state(&bench, 1, &recording(1, 0)).await, Some(State::Notified));
}
