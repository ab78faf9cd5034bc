//! Lambda's reader of the audit table's stream: hands records to the sealer, here in this process. `Invoke` reaches the
//! same one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use recording_archiver::clock::Clock;
use recording_archiver::config::SealingConfig;
use recording_archiver::seal::checkpoint::{Checkpoint, LogKey};
use recording_archiver::seal::store::LogStore;
use recording_archiver::seal::tree::Tree;
use recording_archiver::seal::{Entry, layout};
use recording_archiver::sim::aws::Stream;
use recording_archiver::sim::{AUDIT_TABLE, SEALER, World};
use recording_archiver::telemetry::Lines;
use recording_archiver::trigger::sealing::SealingHandler;
use serde_json::json;
use tokio::sync::Notify;

use super::folder::Result;
use super::function::REMAINING;
use super::screen::{Screen, count};

/// Pause between two looks at the stream.
const POLL: Duration = Duration::from_millis(500);

/// The sealer, and its place in the stream.
pub(crate) struct Sealing {
    handler: Arc<SealingHandler>,
    stream: Stream,
}

/// What the log holds, read back and held against the audit table.
struct Proof {
    checkpoint: Checkpoint,
    events: usize,
    /// Events that are no leaf, or leaves that are no event.
    missing: usize,
    /// Leaves that stand for something else than an event.
    records: usize,
}

impl Sealing {
    /// Starts the sealer, at the beginning of the stream: what is sealed already is not sealed again.
    pub(crate) async fn new(world: &World) -> Result<Self> {
        let environment = world.environment();
        let config = SealingConfig::from_lookup(|name| environment.get(name).cloned())?;
        let sdk = world.aws.sdk_config();
        let handler = SealingHandler::connect(&config, &sdk, Clock::default(), Lines::new(drop))?;
        let handler = Arc::new(handler);
        let invoked = handler.clone();
        world.aws.serve_function(SEALER, move |payload| {
            let handler = invoked.clone();
            async move {
                let answer = handler.handle(&payload, REMAINING).await;
                answer.map_err(|error| (error.kind().code().to_owned(), error.redacted()))
            }
        });
        Ok(Self {
            handler,
            stream: world.aws.stream(AUDIT_TABLE).await?,
        })
    }

    /// Seals everything that the stream holds by now.
    async fn catch_up(&mut self) -> Result<()> {
        loop {
            let records = self.stream.next().await?;
            if records.is_empty() {
                return Ok(());
            }
            self.handler
                .handle(&json!({ "Records": records }), REMAINING)
                .await?;
            self.stream.done();
        }
    }

    /// Seals until `stop`. An error is shown once, and tried again.
    pub(crate) async fn run(&mut self, screen: &Screen, stop: &Notify) -> Result<()> {
        let mut told = String::new();
        loop {
            if let Err(error) = self.catch_up().await {
                let error = format!("not sealed: {error}");
                if error != told {
                    screen.line(&error)?;
                }
                told = error;
            }
            tokio::select! {
                biased;
                () = stop.notified() => return Ok(()),
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    /// Seals what is left, signs a checkpoint, reads the log back and shows what it proves. Returns whether each event
    /// is sealed.
    pub(crate) async fn conclude(&mut self, world: &World, screen: &Screen) -> Result<bool> {
        self.catch_up().await?;
        self.handler
            .handle(&json!({"checkpoint": true}), REMAINING)
            .await?;
        let proof = Proof::read(world, self.handler.sealer().log()).await?;
        screen.line(proof.line())?;
        Ok(proof.missing == 0)
    }
}

impl Proof {
    /// Reads the newest checkpoint, checks its signature with the key in KMS, computes its root again from all leaves,
    /// and compares these with the events in the audit table.
    async fn read(world: &World, log: &LogStore) -> Result<Self> {
        let environment = world.environment();
        let get = world
            .aws
            .kms()
            .get_public_key()
            .key_id(&environment["SEAL_KEY_ID"]);
        let der = get.send().await?.public_key.ok_or("KMS gives no public key")?;
        let key = LogKey::from_der(&environment["SEAL_ORIGIN"], der.as_ref())?;
        let newest = log
            .checkpoints(None)
            .await?
            .pop()
            .ok_or("the log has no checkpoint")?;
        let note = log.get(&newest).await?.ok_or("the checkpoint is gone")?;
        let checkpoint = key.open(&note)?;
        let mut leaves: Vec<Entry> = Vec::new();
        for start in log.batches_from(0).await? {
            leaves.extend(log.batch(start).await?.ok_or("a batch is gone")?.entries);
        }
        let mut tree = Tree::default();
        tree.grow(&leaves)?;
        if (tree.size(), tree.root()?) != (checkpoint.size, checkpoint.root) {
            return Err(format!("the checkpoint {newest} is not of the leaves in the log").into());
        }
        let kept = log.keys(layout::RECORDS, None).await?;
        let records: BTreeSet<_> = kept.iter().filter_map(|key| layout::record_entry(key)).collect();
        let (records, leaves): (BTreeSet<Entry>, BTreeSet<Entry>) =
            leaves.into_iter().partition(|leaf| records.contains(leaf));
        let events = events(world).await?;
        Ok(Self {
            checkpoint,
            events: events.len(),
            missing: events.symmetric_difference(&leaves).count(),
            records: records.len(),
        })
    }

    fn line(&self) -> String {
        let sealed = match self.missing {
            0 => format!("{} sealed, all of them", count(self.events, "event")),
            missing => format!(
                "{}, {missing} not as they were sealed",
                count(self.events, "event")
            ),
        };
        // The first leaf is the beginning of the log.
        let tampering = match self.records.saturating_sub(1) {
            0 => String::new(),
            more => format!(", {} to the audit table", count(more, "tampering change")),
        };
        let Checkpoint { size, root, .. } = &self.checkpoint;
        format!(
            "{sealed}{tampering}: checkpoint of {size} leaves,\nroot {root}, its signature and root checked."
        )
    }
}

/// Returns the hashes of all events in the audit table.
async fn events(world: &World) -> Result<BTreeSet<Entry>> {
    let scan = world.aws.dynamodb().scan().table_name(AUDIT_TABLE);
    let items: Vec<_> = scan.into_paginator().items().send().try_collect().await?;
    let hashes = items
        .iter()
        .filter_map(|item| item.get("eventHash")?.as_s().ok()?.parse().ok());
    Ok(hashes.collect())
}
