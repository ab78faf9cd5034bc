//! A log as the sealer makes it, made of its values, and what somebody with every right does to its bucket.

use std::collections::HashSet;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use jiff::Timestamp;
use recording_archiver::seal::Entry;
use recording_archiver::seal::batch::{Batch, Via};
use recording_archiver::seal::checkpoint::LogKey;
use recording_archiver::seal::layout;
use recording_archiver::seal::store::{LogStore, Put};
use recording_archiver::seal::tree::Tree;
use recording_archiver::sim::AUDIT_TABLE;
use serde_json::json;

use super::super::{Folder, Ran, command, end};
use crate::support::Bench;

pub(super) const ORIGIN: &str = "example.com/archive-log";

/// What a DER-encoded Ed25519 public key begins with.
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A log in a bucket of its own, with a key of its own.
pub(in super::super) struct Made {
    pub(super) s3: aws_sdk_s3::Client,
    pub(super) bucket: String,
    pub(super) key: LogKey,
    pub(super) files: Folder,
    pair: Ed25519KeyPair,
    store: LogStore,
    tree: Tree,
    /// Entries of batches that no checkpoint has yet.
    waiting: Vec<Entry>,
    next: u64,
    sealed: HashSet<Entry>,
}

/// Returns an entry that no event has.
pub(super) fn entry(number: u64) -> Entry {
    Entry::of_record(&number.to_be_bytes())
}

impl Made {
    /// Makes a log with its first leaf, whose key is made of `seed`.
    pub(in super::super) async fn new(bench: &Bench, bucket: &str, seed: u8) -> Self {
        let s3 = bench.world.aws.s3();
        bench.world.aws.create_bucket(bucket).await.unwrap();
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
        let put = s3.put_bucket_versioning().bucket(bucket);
        put.versioning_configuration(on.build()).send().await.unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let der = [&SPKI[..], pair.public_key().as_ref()].concat();
        let files = Folder::new();
        std::fs::write(files.file("der"), &der).unwrap();
        let key = LogKey::from_der(ORIGIN, &der).unwrap();
        std::fs::write(files.file("key"), key.verifier_key()).unwrap();
        let mut made = Self {
            store: LogStore::new(s3.clone(), bucket.to_owned()),
            s3,
            bucket: bucket.to_owned(),
            key,
            files,
            pair,
            tree: Tree::default(),
            waiting: Vec::new(),
            next: 0,
            sealed: HashSet::new(),
        };
        let (key, now) = (made.key.verifier_key(), Timestamp::now());
        let record =
            json!({"schema": "recording-archiver/genesis/1", "origin": ORIGIN, "key": key, "began": now});
        let genesis = made.record(record.to_string().as_bytes()).await;
        made.seal(&[genesis]).await;
        made
    }

    async fn put(&self, key: &str, bytes: Vec<u8>) {
        assert_eq!(self.store.put(key, bytes).await.unwrap(), Put::Created, "{key}");
    }

    /// Keeps a record, whose entry it gives.
    pub(super) async fn record(&self, record: &[u8]) -> Entry {
        let entry = Entry::of_record(record);
        self.put(&layout::record(&entry), record.to_vec()).await;
        entry
    }

    /// Puts a batch of these entries.
    pub(super) async fn seal(&mut self, entries: &[Entry]) {
        let batch = Batch {
            start: self.next,
            via: Via::Stream,
            at: Timestamp::now(),
            entries: entries.to_vec(),
        };
        self.put(&layout::batch(batch.start), batch.to_bytes()).await;
        self.next = batch.end();
        self.waiting.extend(entries);
        self.sealed.extend(entries);
    }

    /// Puts a batch of all audit events that are in none.
    pub(in super::super) async fn seal_all(&mut self, bench: &Bench) {
        let scan = bench.world.aws.dynamodb().scan().table_name(AUDIT_TABLE);
        let items = scan.into_paginator().items().send().try_collect().await.unwrap();
        let hashes = items
            .iter()
            .map(|item| item["eventHash"].as_s().unwrap().parse().unwrap());
        let fresh: Vec<_> = hashes.filter(|hash| !self.sealed.contains(hash)).collect();
        if !fresh.is_empty() {
            self.seal(&fresh).await;
        }
    }

    /// Signs a checkpoint at `time`. Returns its key.
    pub(in super::super) async fn checkpoint_at(&mut self, time: Timestamp) -> String {
        let waiting = std::mem::take(&mut self.waiting);
        for (key, bytes) in self.tree.grow(&waiting).unwrap() {
            // A tile that a checkpoint before this one needed, too, is there.
            self.store.put(&key, bytes).await.unwrap();
        }
        let note = self.note(self.tree.size(), self.tree.root().unwrap().0, time);
        let key = layout::checkpoint(time, self.tree.size());
        self.put(&key, note).await;
        key
    }

    /// Signs a checkpoint now. Returns the path of a file with it, kept outside.
    pub(in super::super) async fn checkpoint(&mut self) -> String {
        let time: Timestamp = format!("{:.3}", Timestamp::now()).parse().unwrap();
        let key = self.checkpoint_at(time).await;
        let path = self.files.file(&format!("{}.checkpoint", key.replace('/', "-")));
        std::fs::write(&path, self.object(&key).await).unwrap();
        path
    }

    /// Signs whatever is asked for.
    pub(super) fn note(&self, size: u64, root: [u8; 32], time: Timestamp) -> Vec<u8> {
        let text = self.key.text(size, tlog_tiles::tlog::Hash(root), time);
        let signature = self.pair.sign(&text).as_ref().to_vec();
        self.key.signed(&text, signature).unwrap().note
    }

    pub(super) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Runs a command with this log.
    pub(in super::super) async fn archivectl(&self, bench: &Bench, arguments: &[&str]) -> Ran {
        let mut command = command(bench, arguments);
        command
            .env("SEAL_BUCKET_NAME", &self.bucket)
            .env("SEAL_ORIGIN", ORIGIN);
        command.args(["--key", &self.files.file("key")]);
        end(command.spawn().unwrap()).await
    }

    pub(super) async fn keys(&self) -> Vec<String> {
        self.store.keys("", None).await.unwrap()
    }

    pub(super) async fn object(&self, key: &str) -> Vec<u8> {
        self.store.get(key).await.unwrap().unwrap()
    }

    /// Removes an object with all its versions, and puts other bytes in its place.
    pub(super) async fn change(&self, key: &str, bytes: Vec<u8>) {
        self.purge(key).await;
        self.again(key, bytes).await;
    }

    /// Puts a version above.
    pub(super) async fn again(&self, key: &str, bytes: Vec<u8>) {
        let put = self.s3.put_object().bucket(&self.bucket).key(key);
        put.body(bytes.into()).send().await.unwrap();
    }

    /// Puts a delete marker above.
    pub(super) async fn delete(&self, key: &str) {
        let delete = self.s3.delete_object().bucket(&self.bucket).key(key);
        delete.send().await.unwrap();
    }

    /// Removes the delete markers of an object.
    pub(super) async fn unmark(&self, key: &str) {
        let listed = self.s3.list_object_versions().bucket(&self.bucket).prefix(key);
        for marker in listed.send().await.unwrap().delete_markers() {
            let delete = self.s3.delete_object().bucket(&self.bucket).key(key);
            let delete = delete.set_version_id(marker.version_id().map(str::to_owned));
            delete.send().await.unwrap();
        }
    }

    /// Removes an object with all its versions.
    pub(super) async fn purge(&self, key: &str) {
        let listed = self.s3.list_object_versions().bucket(&self.bucket).prefix(key);
        for version in listed.send().await.unwrap().versions() {
            if version.key() == Some(key) {
                let delete = self.s3.delete_object().bucket(&self.bucket).key(key);
                let delete = delete.set_version_id(version.version_id().map(str::to_owned));
                delete.bypass_governance_retention(true).send().await.unwrap();
            }
        }
    }

    /// Replaces all of the log by one that holds the audit as it is now, signed with the same key.
    pub(super) async fn replace(self, bench: &Bench, seed: u8) -> Self {
        for key in self.keys().await {
            self.purge(&key).await;
        }
        let mut other = Self::new(bench, &self.bucket, seed).await;
        other.seal_all(bench).await;
        other.checkpoint().await;
        other
    }
}
