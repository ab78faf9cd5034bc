//! The sealer as a Lambda function: payloads in, answers out, metrics.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::handler::Invocation;
use super::lambda::{cannot_start, serve};
use super::metrics::Sealing;
use crate::aws;
use crate::aws::audit::AuditTable;
use crate::clock::{Clock, Deadline, Stop};
use crate::config::SealingConfig;
use crate::error::{Error, ErrorKind};
use crate::redact;
use crate::seal::checkpoint::Checkpoint;
use crate::seal::outside::{Authority, Topic};
use crate::seal::signer::Signer;
use crate::seal::store::LogStore;
use crate::sealer::stream::Tampering;
use crate::sealer::{Beginning, Sealer, When};
use crate::telemetry::{self, Lines};

/// The binary.
const NAME: &str = "recording-sealer";

/// Answers invocations of the sealer.
#[derive(Debug)]
pub struct SealingHandler {
    sealer: Sealer,
    table: Option<AuditTable>,
    topic: Option<Topic>,
    authority: Option<Authority>,
    clock: Clock,
    lines: Lines,
    stop: Stop,
}

/// What a payload asks for.
#[derive(Debug, PartialEq, Eq)]
enum Request<'a> {
    /// Records of the audit table's stream.
    Stream(&'a [Value]),
    /// A checkpoint, whether one is due or not.
    Checkpoint,
    /// A scan of the audit table, from here on.
    Import(Option<String>),
}

impl<'a> Request<'a> {
    /// Reads a payload. Fails with the payloads that there are.
    fn of(payload: &'a Value) -> Result<Self, Error> {
        let records = payload["Records"].as_array();
        let of_a_table = |record: &Value| record["eventSource"] == "aws:dynamodb";
        if let Some(records) = records.filter(|records| records.iter().all(of_a_table)) {
            return Ok(Self::Stream(records));
        }
        if payload["checkpoint"] == true || payload["detail-type"] == "Scheduled Event" {
            return Ok(Self::Checkpoint);
        }
        match (&payload["import"], &payload["import"]["from"]) {
            (Value::Object(_), Value::Null) => Ok(Self::Import(None)),
            (Value::Object(_), Value::String(from)) => Ok(Self::Import(Some(from.clone()))),
            _ => Err(Error::new(
                ErrorKind::MalformedJob,
                "the sealer takes records of a DynamoDB stream, a scheduled event of EventBridge, {\"checkpoint\":true} \
                 or {\"import\":{\"from\":TEXT}}, where `from` is the `next` of the answer before, or absent",
            )),
        }
    }
}

impl SealingHandler {
    /// Makes the sealer with its clients. Sends nothing. Fails if the system's certificates cannot be read.
    pub fn connect(
        config: &SealingConfig,
        sdk: &SdkConfig,
        clock: Clock,
        lines: Lines,
    ) -> Result<Self, Error> {
        let clients = aws::LogClients::new(sdk, config);
        let table = config.audit_table.clone();
        let beginning = Beginning {
            region: sdk.region().map(ToString::to_string),
            table: table.clone(),
        };
        let sealer = Sealer::new(
            LogStore::new(clients.s3, config.bucket.clone()),
            Signer::new(clients.kms, config.key_id.clone(), config.origin.clone()),
            beginning,
            clock.clone(),
            config.checkpoint,
        );
        let (topic, authority) = (config.topic.clone(), config.authority.clone());
        Ok(Self {
            sealer,
            table: table.map(|table| AuditTable::new(clients.dynamodb, table)),
            topic: topic.map(|topic| Topic::new(clients.sns, topic)),
            authority: authority.map(Authority::new).transpose()?,
            clock,
            lines,
            stop: Stop::default(),
        })
    }

    /// Returns the sealer itself.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Answers one payload within `remaining`, and prints a line of metrics.
    ///
    /// - Records of the audit table's stream are sealed: `{"sealed": n}`. An error leaves them to the stream, which
    ///   repeats them. A checkpoint that is due and cannot be signed is only logged: the records are sealed, and the
    ///   schedule reports the error.
    /// - A scheduled event, or `{"checkpoint": true}`, signs a checkpoint: `{"size": n, "root": BASE64}`.
    /// - `{"import": {"from": TEXT?}}` scans the audit table: `{"seen", "imported", "sealedLate", "refused",
    ///   "next"?}`.
    pub async fn handle(&self, payload: &Value, remaining: Duration) -> Result<Value, Error> {
        let mut done = Sealing::default();
        let answer = match Request::of(payload)? {
            Request::Stream(records) => self.records(records, &mut done).await,
            Request::Checkpoint => self.checkpoint(&mut done).await,
            Request::Import(from) => self.import(from, remaining, &mut done).await,
        };
        self.lines.json(&done.line(self.clock.now_ms()));
        answer
    }

    async fn records(&self, records: &[Value], done: &mut Sealing) -> Result<Value, Error> {
        let delivered = self.sealer.deliver(records).await?;
        delivered.tampering.iter().for_each(report);
        done.sealed = delivered.sealed;
        done.tampering = delivered.tampering.len() as u64;
        match self.sealer.checkpoint(When::Due).await {
            Ok(None) => {}
            Ok(Some(checkpoint)) => self.signed(&checkpoint, done).await,
            Err(error) => tracing::error!(code = error.kind().code(), "no checkpoint: {}", error.redacted()),
        }
        Ok(json!({ "sealed": delivered.sealed }))
    }

    async fn checkpoint(&self, done: &mut Sealing) -> Result<Value, Error> {
        let Some(checkpoint) = self.sealer.checkpoint(When::Now).await? else {
            return Ok(json!({}));
        };
        self.signed(&checkpoint, done).await;
        Ok(json!({ "size": checkpoint.size, "root": checkpoint.root.to_string() }))
    }

    /// Counts a checkpoint, and hands it to those who keep it outside. An error of theirs is logged, and the next
    /// checkpoint covers what this one did.
    async fn signed(&self, checkpoint: &Checkpoint, done: &mut Sealing) {
        done.checkpoints += 1;
        let sent = async {
            match &self.topic {
                Some(topic) => topic.send(checkpoint).await,
                None => Ok(()),
            }
        };
        let stamped = async {
            match &self.authority {
                Some(authority) => authority.stamp(self.sealer.log(), checkpoint).await,
                None => Ok(()),
            }
        };
        let (sent, stamped) = tokio::join!(sent, stamped);
        for error in [sent, stamped].into_iter().filter_map(Result::err) {
            tracing::error!(
                size = checkpoint.size,
                "the checkpoint is not kept outside: {}",
                error.redacted()
            );
        }
    }

    async fn import(
        &self,
        from: Option<String>,
        remaining: Duration,
        done: &mut Sealing,
    ) -> Result<Value, Error> {
        let table = self.table.as_ref().ok_or_else(|| {
            let message = "an import scans the audit table, and AUDIT_TABLE_NAME is not set";
            Error::new(ErrorKind::MalformedJob, message)
        })?;
        let deadline = Deadline::new(remaining, &self.stop);
        let imported = self.sealer.import(table, from, &deadline).await?;
        done.sealed = imported.imported + imported.sealed_late;
        for key in &imported.refused {
            tracing::error!(
                item = redact::clip(key),
                "not sealed: the item is no audit event with a hash that fits"
            );
        }
        let mut answer = json!({
            "seen": imported.seen, "imported": imported.imported, "sealedLate": imported.sealed_late,
            "refused": imported.refused.len(),
        });
        if let Some(next) = imported.next {
            answer["next"] = next.into();
        }
        Ok(answer)
    }
}

/// Logs a change of the audit table that no archiver makes.
fn report(tampering: &Tampering) {
    tracing::error!(
        change = redact::clip(&tampering.event_name),
        interaction_id = tampering.key("interactionId"),
        event_id = tampering.key("eventId"),
        "the audit table was tampered with: an item was changed, removed, or added without a hash that fits"
    );
}

/// Runs the sealer as a Lambda function, on one thread: one shard's records need no second.
pub fn main() -> ExitCode {
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => cannot_start(NAME, &error),
    }
}

async fn run() -> ExitCode {
    let config = match SealingConfig::from_lookup(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(error) => return cannot_start(NAME, &error),
    };
    telemetry::init(&config.log_level);
    let sdk = aws::sdk_config().load().await;
    let handler = match SealingHandler::connect(&config, &sdk, Clock::default(), Lines::stdout()) {
        Ok(handler) => Arc::new(handler),
        Err(error) => return cannot_start(NAME, &error),
    };
    let answer = |payload: Value, invocation: Invocation| {
        let handler = handler.clone();
        async move { handler.handle(&payload, invocation.remaining).await }
    };
    serve(NAME, answer).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_one_of_four() {
        let records = json!({"Records": [{"eventSource": "aws:dynamodb"}]});
        assert!(matches!(Request::of(&records), Ok(Request::Stream([_]))));
        let scheduled = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
        for payload in [scheduled, json!({"checkpoint": true})] {
            assert_eq!(Request::of(&payload).ok(), Some(Request::Checkpoint), "{payload}");
        }
        let import = json!({"import": {}});
        assert_eq!(Request::of(&import).ok(), Some(Request::Import(None)));
        let import = json!({"import": {"from": "abc"}});
        assert_eq!(
            Request::of(&import).ok(),
            Some(Request::Import(Some("abc".to_owned())))
        );
        for other in [
            json!({}),
            json!({"import": true}),
            json!({"import": {"from": 7}}),
            json!({"Records": [{"eventSource": "aws:sqs"}]}),
        ] {
            let error = Request::of(&other).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MalformedJob, "{other}");
        }
    }
}
