//! Faults of the other services: every fault, and everything that has to be true after it.

mod answers;
mod aws_hangs;
mod genesys;
mod interactions;
mod leaks;
mod ledger;
mod login;
mod media;
mod queues;
mod storage;
mod tls;
mod webhook;

use std::time::Duration;

use recording_archiver::domain::record::State;
use recording_archiver::error::{Disposition, Error};
use recording_archiver::sim::genesys::{Media, Recording};
use recording_archiver::sim::wire::{Exchange, Fault, Service};
use serde_json::{Value, json};

use crate::support::*;

/// The end of a run for [`CONVERSATION`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// The trigger has to come again.
    Retry,
    Deferred,
    /// With this `code` in the exception queue.
    Failed(&'static str),
    Expired,
}

/// The subject of a run when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// The list of recordings never came.
    Conversation,
    /// [`RECORDING`] had been claimed.
    Recording,
}

type Answer = Result<Value, Error>;

/// Returns a bench with one recording, changed like this.
async fn with(change: impl FnOnce(Recording) -> Recording) -> Bench {
    Bench::with_recording(change(Recording::audio(RECORDING, [call()]))).await
}

impl Bench {
    /// Asserts all that is true once [`RECORDING`] is archived by this answer's run and the receiver knows. `sha256`
    /// is that of the source.
    async fn assert_archived(&self, answer: Answer, sha256: &str) {
        let summary = answer.unwrap();
        assert_eq!(outcomes(&summary), ["archived"], "{summary}");
        self.assert_stored(sha256).await;
        assert_eq!(self.state(RECORDING).await, Some(State::Notified));
        let actions = self.actions(CONVERSATION, RECORDING).await;
        assert_eq!(actions.first().map(String::as_str), Some("download.initiated"));
        let tail: Vec<_> = actions.iter().rev().take(3).rev().collect();
        assert_eq!(
            tail,
            ["download.completed", "archive.stored", "webhook.delivered"]
        );
        self.assert_told_once(sha256);
        assert_eq!(self.exceptions(), Vec::<Value>::new());
        assert_eq!(self.deferred(), []);
        assert_eq!(self.metrics().last().unwrap()["Outcome"], "archived");
        leaks::assert_none(self, &Ok(summary)).await;
    }

    /// Asserts that the object is the source, byte for byte, and says so itself; nothing else lies in the bucket.
    async fn assert_stored(&self, sha256: &str) {
        let object = self.object(KEY).await.unwrap();
        assert_eq!(crate::support::sha256(&object.bytes), sha256);
        let tags = [("compliance", "archive"), ("sha256", sha256)].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(object.tags, tags);
        assert_eq!(self.keys().await, [KEY]);
        assert_eq!(self.uploads_in_progress().await, Vec::<String>::new());
    }

    /// Asserts that the receiver took the notification of [`RECORDING`] once, signed, and after the object was there.
    fn assert_told_once(&self, sha256: &str) {
        let deliveries = self.world.webhook.deliveries();
        let taken: Vec<_> = deliveries.iter().filter(|d| d.answer < 300).collect();
        let [delivery] = taken[..] else {
            panic!("{deliveries:?}")
        };
        assert!(delivery.verified);
        assert_eq!(delivery.body["hash"], sha256);
        assert_eq!(delivery.body["archiveKey"], format!("s3://calls/{KEY}"));
        let exchanges = self.world.wire.exchanges();
        let told = exchanges
            .iter()
            .position(|e| e.service == Service::Webhook)
            .unwrap();
        let stored = exchanges.iter().rposition(is_publication).unwrap();
        assert!(stored < told, "the location was told before the object was there");
    }

    /// Asserts all that is true after a run that archived nothing.
    async fn assert_ended(&self, answer: Answer, ending: Ending, about: About) {
        let key = if about == About::Recording { RECORDING } else { "-" };
        let (outcome, action, state) = match ending {
            // However far it got, `storing` included, it stays there.
            Ending::Retry => (
                "retry",
                "download.failed",
                self.state(key).await.unwrap_or(State::Claimed),
            ),
            Ending::Deferred => ("deferred", "download.deferred", State::Deferred),
            Ending::Failed(_) => ("failed", "download.failed", State::Failed),
            Ending::Expired => ("expired", "download.expired", State::Expired),
        };
        match &answer {
            Ok(summary) => assert_eq!(outcomes(summary), [outcome], "{summary}"),
            Err(error) => {
                assert_eq!(ending, Ending::Retry, "{error}");
                assert_eq!(error.disposition(), Disposition::Retry, "{error}");
            }
        }
        assert_eq!(self.keys().await, Vec::<String>::new());
        assert_eq!(self.uploads_in_progress().await, Vec::<String>::new());
        // A run that never got to a recording and comes again leaves no trace in the tables.
        let traced = ending != Ending::Retry || about == About::Recording;
        let unfinished = [State::Claimed, State::Storing].contains(&state);
        assert_eq!(unfinished, ending == Ending::Retry, "{state:?}");
        assert_eq!(self.state(key).await, traced.then_some(state));
        let actions = self.actions(CONVERSATION, key).await;
        assert_eq!(actions.last().map(String::as_str), traced.then_some(action));
        let released = self
            .record(CONVERSATION, key)
            .await
            .map(|record| record.lease_expires_at);
        assert_eq!(released, traced.then_some(0), "whoever comes next need not wait");
        assert!(self.world.webhook.deliveries().is_empty());
        let codes = self.codes();
        let expected = match ending {
            Ending::Failed(code) => vec![json!(code)],
            Ending::Expired => vec![json!("expired")],
            Ending::Retry | Ending::Deferred => Vec::new(),
        };
        assert_eq!(codes, expected);
        assert_eq!(self.deferred().len(), usize::from(ending == Ending::Deferred));
        assert_eq!(self.metrics().last().unwrap()["Outcome"], outcome);
        leaks::assert_none(self, &answer).await;
    }

    async fn state(&self, recording: &str) -> Option<State> {
        self.record(CONVERSATION, recording)
            .await
            .map(|record| record.state)
    }

    /// Returns how often this was asked for.
    fn asked(&self, service: Service, operation: &str) -> usize {
        self.world.wire.count(service, operation)
    }

    /// Asserts that the next run, over a network without faults, archives the recording.
    async fn assert_next_run_archives(&self, sha256: &str) {
        self.world.wire.calm();
        self.assert_archived(self.invoke(job()).await, sha256).await;
    }

    /// Lets enough time pass for a lease that a run could not release.
    fn let_the_lease_run_out(&self) {
        self.clock.advance(Duration::from_secs(901));
    }
}

/// Returns whether this made an object visible.
fn is_publication(exchange: &Exchange) -> bool {
    exchange.service == Service::S3
        && matches!(
            exchange.operation.as_str(),
            "PutObject" | "CompleteMultipartUpload"
        )
}

/// Returns a call of two full parts and a little: its media, and the SHA-256 an archive of it must have.
fn long_call() -> (Media, String) {
    let media = Media::generated_wav(2 * PART + 1_000, 7);
    let sha256 = media.sha256().unwrap();
    (media, sha256)
}

fn call_sha256() -> String {
    sha256(&call_bytes())
}

/// Returns an answer with this content type and body.
fn respond(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Fault {
    Fault::Respond {
        status,
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: body.into(),
    }
}

/// Returns an error as S3 words it.
fn s3_error(status: u16, code: &str) -> Fault {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>Simulated</Message>\
         <RequestId>0123456789ABCDEF</RequestId><HostId>host</HostId></Error>"
    );
    respond(status, "application/xml", body)
}

/// Returns an error as the JSON services of AWS word it.
fn json_error(status: u16, code: &str) -> Fault {
    let body = json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "Simulated"});
    respond(status, "application/x-amz-json-1.0", body.to_string())
}
