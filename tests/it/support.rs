//! A world of simulators, the function in it, and a look at what it left behind.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use recording_archiver::aws::Clients;
use recording_archiver::aws::ledger::from_item;
use recording_archiver::clock::Clock;
use recording_archiver::config::Config;
use recording_archiver::domain::audit::{self, AuditEvent};
use recording_archiver::domain::record::Record;
use recording_archiver::error::Error;
use recording_archiver::sim::aws::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use recording_archiver::sim::genesys::{Conversation, Media, Recording};
use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::sim::{AUDIT_TABLE, BUCKET, LEDGER_TABLE, World};
use recording_archiver::telemetry::Lines;
use recording_archiver::trigger::handler::{Handler, Invocation};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const CONVERSATION: &str = "c0000000-0000-4000-8000-000000000001";
pub(crate) const RECORDING: &str = "e0000000-0000-4000-8000-000000000101";
/// The key of that recording with the default template.
pub(crate) const KEY: &str =
    "recordings/c0000000-0000-4000-8000-000000000001/e0000000-0000-4000-8000-000000000101.wav";

/// Session token of the function's AWS credentials.
pub(crate) const SESSION_TOKEN: &str = "a-session-token-LEAKED";

/// 5 MiB, the smallest part that S3 takes, and the size the tests configure.
pub(crate) const PART: u64 = 5 * 1024 * 1024;

/// Turns settling on, as it is by default.
pub(crate) const SETTLING: (&str, &str) = ("SETTLE_SECONDS", "900");

/// Time that the tests' function waits for an answer that never comes; a busy machine answers everything else in it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Everything a test needs.
pub(crate) struct Bench {
    pub(crate) world: World,
    pub(crate) clock: Clock,
    pub(crate) lines: Arc<Mutex<Vec<Value>>>,
    /// Time that the function waits for one answer of AWS.
    pub(crate) aws_patience: Duration,
}

/// An object with all that S3 says of it.
pub(crate) struct Object {
    pub(crate) bytes: Vec<u8>,
    pub(crate) head: aws_sdk_s3::operation::head_object::HeadObjectOutput,
    pub(crate) tags: Vec<(String, String)>,
}

impl Bench {
    /// Lets the queue refuse the first message of so many batches that come.
    pub(crate) fn refuse_first_of_batch(&self, times: usize) {
        let answer = json!({"Successful": [{"Id": "1", "MessageId": "m", "MD5OfMessageBody": ""}],
                            "Failed": [{"Id": "0", "Code": "InternalError", "SenderFault": false}]});
        let refusal = Fault::Respond {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/x-amz-json-1.0".to_owned())],
            body: answer.to_string().into_bytes(),
        };
        let wire = &self.world.wire;
        wire.disturb_next(Service::Sqs, "SendMessageBatch", times, refusal);
    }

    pub(crate) async fn new() -> Self {
        let world = World::temporary().await.unwrap();
        Self {
            world,
            clock: Clock::default(),
            lines: Arc::default(),
            aws_patience: Duration::from_secs(60),
        }
    }

    /// Returns a bench at whose Genesys there is this conversation.
    pub(crate) async fn with(conversation: Conversation) -> Self {
        let bench = Self::new().await;
        bench.world.genesys.add(conversation);
        bench
    }

    /// Returns a bench whose conversation has this recording.
    pub(crate) async fn with_recording(recording: Recording) -> Self {
        Self::with(Conversation::new(CONVERSATION).recording(recording)).await
    }

    /// Returns a bench whose conversation has one recording of this media.
    pub(crate) async fn with_media(media: Media) -> Self {
        Self::with_recording(Recording::audio(RECORDING, [media])).await
    }

    /// Returns a bench whose conversation has one short recording.
    pub(crate) async fn with_a_call() -> Self {
        Self::with_media(call()).await
    }

    /// Returns the function as a new container would start it: default configuration and `changes`, and no patience.
    pub(crate) fn handler(&self, changes: &[(&str, &str)]) -> Handler {
        let captured = self.lines.clone();
        let lines = Lines::new(move |line| {
            captured
                .lock()
                .unwrap()
                .push(serde_json::from_str(&line).unwrap());
        });
        self.handler_with(changes, lines)
    }

    /// Returns the same, with its lines going elsewhere.
    pub(crate) fn handler_with(&self, changes: &[(&str, &str)], lines: Lines) -> Handler {
        let mut environment = self.world.environment();
        environment.insert("UPLOAD_PART_SIZE_MIB", "5".to_owned());
        // Most tests are about one run; those about later ones ask for SETTLING.
        environment.insert("SETTLE_SECONDS", "0".to_owned());
        // Those about call records ask for them; all others look at recordings alone.
        environment.insert("CALL_RECORD", "off".to_owned());
        let mut config = Config::from_lookup(|name| {
            let changed = changes
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned());
            changed.or_else(|| environment.get(name).cloned())
        })
        .unwrap();
        config.limits.backoff_base = Duration::from_millis(1);
        config.limits.transcode_first = Duration::from_millis(3);
        config.limits.transcode_wait /= 1000;
        config.limits.aws_attempt_timeout = self.aws_patience;
        config.limits.answer_timeout = PATIENCE;
        config.limits.media_idle = PATIENCE;
        config.limits.webhook_timeout = PATIENCE;
        // As in Lambda the credentials have a session token, which must not get out either.
        let session = Some(SESSION_TOKEN.to_owned());
        let credentials = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, session, None, "bench");
        let sdk = self
            .world
            .aws
            .sdk_config()
            .into_builder()
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let clients = Clients::new(&sdk, &config);
        Handler::connect(config, &clients, self.clock.clone(), lines).unwrap()
    }

    /// Invokes a new container with the default configuration.
    pub(crate) async fn invoke(&self, payload: Value) -> Result<Value, Error> {
        invoke(&self.handler(&[]), payload).await
    }

    /// Archives [`CONVERSATION`] in a new container and gives the summary's results.
    pub(crate) async fn archive(&self) -> Vec<Value> {
        results(self.invoke(job()).await.unwrap())
    }

    pub(crate) async fn object(&self, key: &str) -> Option<Object> {
        let s3 = self.world.aws.s3();
        let get = s3.get_object().bucket(BUCKET).key(key).send().await.ok()?;
        let bytes = get.body.collect().await.unwrap().to_vec();
        let head = s3.head_object().bucket(BUCKET).key(key);
        let head = head
            .checksum_mode(aws_sdk_s3::types::ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        let tags = s3
            .get_object_tagging()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        let tags = tags
            .tag_set()
            .iter()
            .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
            .collect();
        Some(Object { bytes, head, tags })
    }

    /// Returns all keys in the bucket.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let list = self
            .world
            .aws
            .s3()
            .list_objects_v2()
            .bucket(BUCKET)
            .send()
            .await
            .unwrap();
        list.contents()
            .iter()
            .filter_map(|object| object.key().map(str::to_owned))
            .collect()
    }

    pub(crate) async fn uploads_in_progress(&self) -> Vec<String> {
        self.world.aws.uploads_in_progress(BUCKET).await
    }

    /// Returns the audit events of a recording (`-`: of the conversation as a whole), in order, their chain verified.
    pub(crate) async fn audit(&self, conversation: &str, recording: &str) -> Vec<AuditEvent> {
        let events = self.audit_unverified(conversation, recording).await;
        let end = audit::verify(&events).unwrap();
        if let Some(record) = self.record(conversation, recording).await {
            assert_eq!(
                (end.head, end.seq),
                (record.chain_head, record.seq),
                "the ledger knows the chain's end"
            );
        }
        events
    }

    pub(crate) async fn audit_unverified(&self, conversation: &str, recording: &str) -> Vec<AuditEvent> {
        let query = self.world.aws.dynamodb().query().table_name(AUDIT_TABLE);
        let query = query
            .key_condition_expression("interactionId = :id")
            .expression_attribute_values(":id", AttributeValue::S(conversation.to_owned()));
        let items: Vec<_> = query.into_paginator().items().send().try_collect().await.unwrap();
        let mut events: Vec<AuditEvent> = items.into_iter().map(|item| from_item(item).unwrap()).collect();
        events.retain(|event| event["recordingId"] == recording);
        events.sort_by_key(AuditEvent::seq);
        events
    }

    /// Returns the actions of those events.
    pub(crate) async fn actions(&self, conversation: &str, recording: &str) -> Vec<String> {
        let events = self.audit(conversation, recording).await;
        events
            .iter()
            .map(|event| event["action"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) async fn record(&self, conversation: &str, recording: &str) -> Option<Record> {
        let get = self
            .world
            .aws
            .dynamodb()
            .get_item()
            .table_name(LEDGER_TABLE)
            .consistent_read(true);
        let get = get.key("interactionId", AttributeValue::S(conversation.to_owned()));
        let get = get.key("recordingId", AttributeValue::S(recording.to_owned()));
        get.send()
            .await
            .unwrap()
            .item
            .map(|item| from_item(item).unwrap())
    }

    /// Returns the bodies sent to the exception queue.
    pub(crate) fn exceptions(&self) -> Vec<Value> {
        bodies(&self.world, &self.world.exception_queue)
    }

    /// Returns the codes of those cases.
    pub(crate) fn codes(&self) -> Vec<String> {
        let cases = self.exceptions();
        let codes = cases.iter().map(|case| case["code"].as_str().unwrap().to_owned());
        codes.collect()
    }

    /// Returns the jobs sent to the work queue, each with its delay in seconds.
    pub(crate) fn deferred(&self) -> Vec<(Value, i64)> {
        let delays = self.world.aws.messages(&self.world.work_queue);
        let delays = delays
            .iter()
            .map(|message| message.delay_seconds.unwrap_or_default())
            .collect::<Vec<_>>();
        bodies(&self.world, &self.world.work_queue)
            .into_iter()
            .zip(delays)
            .collect()
    }

    /// Returns how many requests Genesys' API got, the login left out.
    pub(crate) fn genesys_requests(&self) -> usize {
        let exchanges = self.world.wire.exchanges();
        exchanges
            .iter()
            .filter(|call| call.service == Service::Genesys)
            .count()
    }

    /// Lets time pass for the function and for Genesys.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.world.genesys.advance(by);
    }

    /// Returns the metric lines of all invocations so far.
    pub(crate) fn metrics(&self) -> Vec<Value> {
        self.lines
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line.get("_aws").is_some())
            .cloned()
            .collect()
    }
}

fn bodies(world: &World, queue: &str) -> Vec<Value> {
    world
        .aws
        .messages(queue)
        .iter()
        .map(|message| serde_json::from_str(&message.body).unwrap())
        .collect()
}

/// Invokes a container that is up.
pub(crate) async fn invoke(handler: &Handler, payload: Value) -> Result<Value, Error> {
    invoke_for(handler, payload, Duration::from_secs(900)).await
}

/// Invokes a container that is up, with this much time.
pub(crate) async fn invoke_for(
    handler: &Handler,
    payload: Value,
    remaining: Duration,
) -> Result<Value, Error> {
    let invocation = Invocation {
        request_id: "request-1".to_owned(),
        function_version: "7".to_owned(),
        remaining,
    };
    handler.handle(payload, &invocation).await
}

/// Returns the results of a summary.
pub(crate) fn results(summary: Value) -> Vec<Value> {
    summary["results"].as_array().unwrap().clone()
}

/// Returns the outcomes of a summary's results.
pub(crate) fn outcomes(summary: &Value) -> Vec<&str> {
    summary["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["outcome"].as_str().unwrap())
        .collect()
}

/// Returns a job for [`CONVERSATION`].
pub(crate) fn job() -> Value {
    json!({"conversationId": CONVERSATION})
}

/// Returns an SQS event of these bodies; message `n` has the id `m-n`, from 0.
pub(crate) fn sqs(bodies: impl IntoIterator<Item = String>) -> Value {
    sqs_from(bodies, "AIDASIMULATED")
}

/// Returns an SQS event of these bodies, all sent by `sender`.
pub(crate) fn sqs_from(bodies: impl IntoIterator<Item = String>, sender: &str) -> Value {
    let record = |(n, body): (usize, String)| {
        json!({"messageId": format!("m-{n}"), "receiptHandle": "handle", "body": body,
               "attributes": {"SenderId": sender},
               "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs",
               "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:work", "awsRegion": "us-east-1"})
    };
    json!({"Records": bodies.into_iter().enumerate().map(record).collect::<Vec<_>>()})
}

/// Returns the call of the sample events: genuine speech.
pub(crate) fn call_bytes() -> Vec<u8> {
    std::fs::read(project().join("src/sim/media/call-01.wav")).unwrap()
}

pub(crate) fn call() -> Media {
    Media::bytes(call_bytes())
}

pub(crate) fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
