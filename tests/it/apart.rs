//! Chains of events that are not about archiving, as they are written: who writes at once, whose clock is wrong, and
//! whose answer is lost, gets a place of his own.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::aws::Clients;
use recording_archiver::aws::ledger::Ledger;
use recording_archiver::clock::{Clock, Deadline, Stop};
use recording_archiver::config::Config;
use recording_archiver::domain::audit::{Action, Actor, Apart, AuditEvent, Source, Subject};
use recording_archiver::error::Error;
use recording_archiver::sim::AUDIT_TABLE;
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::telemetry::Lines;
use serde_json::json;

use crate::support::{Bench, CONVERSATION, RECORDING, invoke, job, outcomes};

/// The `recordingId` of the accesses to [`RECORDING`].
pub(crate) const ACCESSES: &str = "e0000000-0000-4000-8000-000000000101!access";

/// The `interactionId` of a statement.
pub(crate) const STATEMENT: &str = "statement#2026-01-15";

/// Returns the name of a chain apart.
pub(crate) fn chain(subject: &str, recording: &str) -> Apart {
    Apart::parse(Subject::parse(subject).unwrap(), recording).unwrap()
}

fn ledger(bench: &Bench, clock: Clock) -> Ledger {
    let environment = bench.world.environment();
    let mut config = Config::from_lookup(|name| environment.get(name).cloned()).unwrap();
    config.limits.backoff_base = Duration::from_millis(1);
    let clients = Clients::new(&bench.world.aws.sdk_config(), &config);
    clients.ledger(&config, clock, Lines::new(|_| {}))
}

/// Writes one event into a chain apart.
async fn write(ledger: &Ledger, chain: &Apart, reason: &str) -> Result<AuditEvent, Error> {
    let entry = AuditEvent::apart(Action::RecordingAccessed).with("reason", reason);
    let actor = Actor {
        source: Source::Operator,
        ..Actor::default()
    };
    let deadline = Deadline::new(Duration::from_secs(60), &Stop::default());
    ledger.append(chain, &entry, &actor, &deadline).await
}

impl Bench {
    /// Writes this many events into a chain apart.
    pub(crate) async fn apart(&self, chain: Apart, events: usize) {
        let ledger = ledger(self, self.clock.clone());
        for number in 0..events {
            write(&ledger, &chain, &format!("case {number}")).await.unwrap();
        }
    }
}

fn seqs(events: &[AuditEvent]) -> Vec<u64> {
    events.iter().filter_map(AuditEvent::seq).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_chain_apart_follow_one_another_and_the_ledger_stays_as_it_is() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let before = bench.record(CONVERSATION, RECORDING).await;
    bench.world.wire.forget();
    bench.apart(chain(CONVERSATION, ACCESSES), 2).await;
    bench.apart(chain(STATEMENT, "-"), 1).await;
    let operations: Vec<_> = bench.world.wire.exchanges();
    let operations: Vec<_> = operations.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(
        operations,
        ["Query", "TransactWriteItems"].repeat(3),
        "no put outside a transaction"
    );
    let accesses = bench.audit(CONVERSATION, ACCESSES).await;
    assert_eq!(seqs(&accesses), [1, 2]);
    assert_eq!(accesses[0]["eventId"], format!("{ACCESSES}#00000000000000000001"));
    assert_eq!(seqs(&bench.audit(STATEMENT, "-").await), [1]);
    assert_eq!(bench.record(CONVERSATION, RECORDING).await, before);
    assert_eq!(bench.record(CONVERSATION, ACCESSES).await, None);
    assert_eq!(bench.record(STATEMENT, "-").await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_at_once_and_with_wrong_clocks_each_get_a_place_of_their_own() {
    let bench = Bench::new().await;
    let chain = chain(CONVERSATION, ACCESSES);
    let ahead = Clock::default();
    ahead.advance(Duration::from_secs(600));
    let writers = (0..12).map(|number| {
        let clock = if number % 2 == 0 {
            ahead.clone()
        } else {
            Clock::default()
        };
        let ledger = ledger(&bench, clock);
        tokio::spawn(async move { write(&ledger, &chain, &format!("case {number}")).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    let events = bench.audit(CONVERSATION, ACCESSES).await;
    assert_eq!(seqs(&events), (1..=12).collect::<Vec<_>>());
    // The last one is the one with the highest number, not the one with the latest time.
    bench.apart(chain, 1).await;
    assert_eq!(bench.audit(CONVERSATION, ACCESSES).await.len(), 13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_whose_answer_is_lost_is_written_once() {
    let bench = Bench::new().await;
    bench
        .world
        .wire
        .disturb_next(Service::DynamoDb, "TransactWriteItems", 1, Fault::ApplyThenReset);
    bench.apart(chain(CONVERSATION, ACCESSES), 2).await;
    assert_eq!(seqs(&bench.audit(CONVERSATION, ACCESSES).await), [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_ends_in_no_event_of_ours_is_not_continued() {
    let bench = Bench::new().await;
    let accesses = chain(CONVERSATION, ACCESSES);
    bench.apart(accesses, 1).await;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    for seq in [None, Some(u64::MAX)] {
        let put = bench.world.aws.dynamodb().put_item().table_name(AUDIT_TABLE);
        let put = put.item("interactionId", text(CONVERSATION));
        let put = put.item("eventId", text(&format!("{ACCESSES}#99999999999999999999")));
        let put = match seq {
            None => put,
            Some(seq) => put
                .item("seq", AttributeValue::N(seq.to_string()))
                .item("eventHash", text(&"0".repeat(64))),
        };
        put.send().await.unwrap();
        let refused = write(&ledger(&bench, Clock::default()), &accesses, "case 1").await;
        let told = refused.unwrap_err().to_string();
        assert!(told.contains("cannot be continued"), "{told}");
    }
}

/// An id of a chain apart, where Genesys or a caller gives one of its own, is no id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_id_that_somebody_sends_becomes_the_name_of_a_chain_apart() {
    let bench = Bench::with_a_call().await;
    let entry = |id: &str, conversation: &str| json!({"id": id, "conversationId": conversation, "media": "audio", "fileState": "AVAILABLE"});
    let listed = json!([
        entry(ACCESSES, CONVERSATION),
        entry(&format!("{RECORDING}#1-2!access"), CONVERSATION),
        entry(&format!("{RECORDING}!"), CONVERSATION),
        entry("statement#2026-01-15", CONVERSATION),
        entry("-", CONVERSATION),
        entry("!access", CONVERSATION),
    ]);
    let answer = Fault::Respond {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: listed.to_string().into_bytes(),
    };
    bench
        .world
        .wire
        .disturb_next(Service::Genesys, "recordingmetadata", 1, answer);
    let handler = bench.handler(&[]);
    let listed = invoke(&handler, job()).await.unwrap();
    assert_eq!(outcomes(&listed), ["failed"], "{listed}");
    for body in [
        json!({"conversationId": CONVERSATION, "recordingId": ACCESSES}),
        json!({"conversationId": CONVERSATION, "recordingId": "-!access"}),
        json!({"conversationId": STATEMENT}),
        json!({"interactionId": format!("{CONVERSATION}!access")}),
    ] {
        let refused = invoke(&handler, body.clone()).await.unwrap_err();
        assert_eq!(refused.kind().code(), "malformed_job", "{body}: {refused}");
    }
    assert_eq!(bench.keys().await, [""; 0]);
    let scan = bench.world.aws.dynamodb().scan().table_name(AUDIT_TABLE);
    let items = scan.send().await.unwrap().items.unwrap();
    assert!(!items.is_empty());
    for item in items {
        let subject = Subject::parse(item["interactionId"].as_s().unwrap()).unwrap();
        let recording = item["recordingId"].as_s().unwrap();
        assert_eq!(Apart::parse(subject, recording), None, "{item:?}");
    }
}
