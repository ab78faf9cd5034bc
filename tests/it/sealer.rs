//! The sealer against the simulated S3, KMS and stream: each audit event is one leaf, whatever happens on the way.

mod crash;
mod imports;
mod log;
mod outside;
mod restoring;
mod tampering;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use recording_archiver::config::SealingConfig;
use recording_archiver::error::Error;
use recording_archiver::seal::Entry;
use recording_archiver::seal::batch::Batch;
use recording_archiver::seal::checkpoint::{Checkpoint, LogKey};
use recording_archiver::seal::layout;
use recording_archiver::seal::store::LogStore;
use recording_archiver::sim::{AUDIT_TABLE, SEAL_BUCKET, SEALER};
use recording_archiver::telemetry::Lines;
use recording_archiver::trigger::sealing::SealingHandler;
use serde_json::{Value, json};

use crate::support::Bench;

impl Bench {
    /// Returns the sealer as a new container would start it: a checkpoint with each batch, and `changes`.
    pub(crate) fn sealer(&self, changes: &[(&str, &str)]) -> SealingHandler {
        let mut environment = self.world.environment();
        environment.insert("CHECKPOINT_SECONDS", "0".to_owned());
        let config = SealingConfig::from_lookup(|name| {
            let changed = changes.iter().find(|(key, _)| *key == name);
            let changed = changed.map(|(_, value)| (*value).to_owned());
            changed.or_else(|| environment.get(name).cloned())
        })
        .unwrap();
        let captured = self.lines.clone();
        let lines = Lines::new(move |line| {
            let line = serde_json::from_str(&line).unwrap();
            captured.lock().unwrap().push(line);
        });
        let sdk = self.world.aws.sdk_config();
        SealingHandler::connect(&config, &sdk, self.clock.clone(), lines).unwrap()
    }

    /// Lets a sealer answer each `Invoke`, with so many seconds for each.
    pub(crate) fn serve_sealer(&self, seconds: u64) {
        let sealer = Arc::new(self.sealer(&[]));
        self.world.aws.serve_function(SEALER, move |payload| {
            let sealer = sealer.clone();
            async move {
                let answer = sealer.handle(&payload, Duration::from_secs(seconds)).await;
                answer.map_err(|error| (error.kind().code().to_owned(), error.redacted()))
            }
        });
    }

    /// Returns everything that the audit table's stream holds, as Lambda hands it over.
    pub(crate) async fn streamed(&self) -> Vec<Value> {
        let mut stream = self.world.aws.stream(AUDIT_TABLE).await.unwrap();
        let mut records = Vec::new();
        loop {
            let next = stream.next().await.unwrap();
            if next.is_empty() {
                return records;
            }
            records.extend(next);
            stream.done();
        }
    }

    /// Seals everything that the audit table's stream holds, and signs a checkpoint.
    pub(crate) async fn seal_all(&self) {
        let sealer = self.sealer(&[]);
        deliver(&sealer, &self.streamed().await).await.unwrap();
        sign(&sealer).await.unwrap();
    }

    /// Returns the bucket of the log.
    pub(crate) fn log(&self) -> LogStore {
        LogStore::new(self.world.aws.s3(), SEAL_BUCKET.to_owned())
    }

    /// Deletes all objects of the log, so that it begins again.
    pub(crate) async fn empty_the_log(&self) {
        for key in self.log().keys("", None).await.unwrap() {
            let delete = self.world.aws.s3().delete_object().bucket(SEAL_BUCKET);
            delete.key(key).send().await.unwrap();
        }
    }

    /// Returns the leaves that the batches hold, in order. Fails if the batches do not follow one another.
    pub(crate) async fn leaves(&self) -> Vec<Entry> {
        let batches = self.batches().await;
        batches.into_iter().flat_map(|batch| batch.entries).collect()
    }

    /// Returns the batches, in order. Fails if they do not follow one another.
    pub(crate) async fn batches(&self) -> Vec<Batch> {
        let log = self.log();
        let mut batches: Vec<Batch> = Vec::new();
        for start in log.batches_from(0).await.unwrap() {
            let batch = log.batch(start).await.unwrap().unwrap();
            assert_eq!(batch.start, batches.last().map_or(0, Batch::end));
            batches.push(batch);
        }
        batches
    }

    /// Returns the checkpoints in order of their keys, each checked by the key in KMS.
    pub(crate) async fn checkpoints(&self) -> Vec<Checkpoint> {
        let (log, key) = (self.log(), self.log_key().await);
        let mut checkpoints = Vec::new();
        for name in log.checkpoints(None).await.unwrap() {
            let checkpoint = key.open(&log.get(&name).await.unwrap().unwrap()).unwrap();
            assert_eq!(name, layout::checkpoint(checkpoint.time, checkpoint.size));
            checkpoints.push(checkpoint);
        }
        checkpoints
    }

    /// Returns name and public key of the log.
    pub(crate) async fn log_key(&self) -> LogKey {
        let environment = self.world.environment();
        let kms = self.world.aws.kms();
        let key = kms.get_public_key().key_id(&environment["SEAL_KEY_ID"]);
        let der = key.send().await.unwrap().public_key.unwrap();
        LogKey::from_der(&environment["SEAL_ORIGIN"], der.as_ref()).unwrap()
    }

    /// Returns the hashes of all events in the audit table, sorted.
    pub(crate) async fn event_hashes(&self) -> Vec<Entry> {
        let scan = self.world.aws.dynamodb().scan().table_name(AUDIT_TABLE);
        let items: Vec<_> = scan.into_paginator().items().send().try_collect().await.unwrap();
        let hashes = items
            .iter()
            .map(|item| item["eventHash"].as_s().unwrap().parse().unwrap());
        let mut hashes: Vec<Entry> = hashes.collect();
        hashes.sort_unstable();
        hashes
    }

    /// Asserts that each event is one leaf behind the first, that there are no others, and that the last checkpoint
    /// signs them all.
    pub(crate) async fn assert_sealed(&self, story: &str) {
        let leaves = self.leaves().await;
        let mut sealed = leaves[1..].to_vec();
        sealed.sort_unstable();
        assert_eq!(sealed, self.event_hashes().await, "{story}");
        let checkpoints = self.checkpoints().await;
        for checkpoint in &checkpoints {
            let size = usize::try_from(checkpoint.size).unwrap();
            assert_eq!(
                checkpoint.root.to_string(),
                root(&leaves[..size]),
                "{story}: the root of {size} leaves"
            );
        }
        let last = checkpoints.last().expect(story);
        assert_eq!(last.size, leaves.len() as u64, "{story}");
    }
}

/// Hands records to the sealer as Lambda does.
pub(crate) async fn deliver(sealer: &SealingHandler, records: &[Value]) -> Result<Value, Error> {
    let payload = json!({ "Records": records });
    sealer.handle(&payload, Duration::from_secs(900)).await
}

/// Has the sealer sign a checkpoint, as the schedule does.
pub(crate) async fn sign(sealer: &SealingHandler) -> Result<Value, Error> {
    let payload = json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
    sealer.handle(&payload, Duration::from_secs(900)).await
}

/// Returns the root of a tree in base64, by the definition of RFC 6962, section 2.1.
fn root(leaves: &[Entry]) -> String {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};
    fn hash(leaves: &[Entry]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => Sha256::digest([&[0][..], &leaf.0].concat()).into(),
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                Sha256::digest([&[1][..], &hash(left), &hash(right)].concat()).into()
            }
        }
    }
    base64::prelude::BASE64_STANDARD.encode(hash(leaves))
}

/// Returns a record of the stream for an item that was added, given in plain JSON.
fn added(number: usize, attributes: &BTreeMap<&str, String>) -> Value {
    let image: BTreeMap<_, _> = attributes
        .iter()
        .map(|(name, value)| (*name, json!({ "S": value })))
        .collect();
    json!({
        "eventName": "INSERT", "eventSource": "aws:dynamodb",
        "dynamodb": {
            "Keys": {"interactionId": {"S": "c"}, "eventId": {"S": number.to_string()}},
            "SequenceNumber": format!("{number:021}"), "NewImage": image,
            "ApproximateCreationDateTime": 1_795_794_276,
        },
    })
}
