//! Log lines read alone: each says which invocation, conversation and recording it is about.

use std::io;
use std::sync::{Arc, Mutex};

use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::telemetry;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{Bench, call, invoke, sqs};

/// Lines as they are written.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// Returns the function's own lines.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        let lines = String::from_utf8(bytes).unwrap();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let own = |line: &Value| {
            let target = line["target"].as_str().unwrap();
            target.starts_with("recording_archiver") && !target.contains("::sim")
        };
        lines.filter(own).collect()
    }
}

/// Returns a field of the spans of a line.
fn named(line: &Value, field: &str) -> Option<String> {
    let spans = line["spans"].as_array()?;
    spans
        .iter()
        .find_map(|span| span[field].as_str().map(str::to_owned))
}

#[tokio::test]
async fn no_line_of_a_batch_is_without_its_invocation_message_and_conversation() {
    let bench = Bench::new().await;
    let ids: Vec<_> = (1..4)
        .map(|n| format!("c0000000-0000-4000-8000-00000000020{n}"))
        .collect();
    for (n, id) in ids.iter().enumerate() {
        let recording = Recording::audio(format!("e0000000-0000-4000-8000-00000000020{n}"), [call()]);
        bench
            .world
            .genesys
            .add(Conversation::new(id).recording(recording));
    }
    // Each kind of line: retried transfers, something left to SQS, something archived.
    let broken = ids[1].clone();
    bench.world.wire.disturb(move |exchange| {
        let media = exchange.service == Service::Media && exchange.target.contains(&broken);
        media.then(|| Fault::status(503))
    });
    let written = Written::default();
    let writer = written.clone();
    for level in ["info", "warn"] {
        let layer = telemetry::layer(level, {
            let writer = writer.clone();
            move || writer.clone()
        });
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let bodies = ids.iter().map(|id| json!({"conversationId": id}).to_string());
        let answer = invoke(&bench.handler(&[]), sqs(bodies)).await.unwrap();
        assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "m-1"}]}));
    }
    let lines = written.lines();
    let about = |id: &String| {
        lines
            .iter()
            .filter(|line| named(line, "interaction_id").as_ref() == Some(id))
            .count()
    };
    assert!(ids.iter().all(|id| about(id) > 0), "{lines:#?}");
    for line in &lines {
        for field in ["request_id", "message_id", "interaction_id"] {
            assert!(named(line, field).is_some(), "{field} is missing from {line}");
        }
    }
    let transfer = lines
        .iter()
        .find(|line| line["message"] == "transfer failed")
        .unwrap();
    assert!(named(transfer, "recording_id").is_some(), "{transfer}");
}
