//! The completeness statement: every conversation of a day that Genesys lists with a recording is archived, or has one
//! reason of a closed list.
//!
//! A run goes through days (`day`), asks Genesys what it keeps beside them (`survey`), and issues a statement for
//! each (`issue`): a JSON document and a page for people, written once, with the hash in an audit event. A run that
//! ends early leaves its [`State`], from which another process goes on. Its memory does not grow with the days.

mod day;
mod issue;
mod page;
mod reason;
mod run;
mod state;
mod survey;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::aws::Clients;
use crate::aws::ledger::Ledger;
use crate::aws::queues::Queues;
use crate::aws::storage::Storage;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::audit::Actor;
use crate::error::Error;
use crate::genesys::analytics::Analytics;
use crate::genesys::{Genesys, OrphanRecording};
use crate::telemetry::{Counters, Lines};
pub use reason::{Class, Reason};
pub use run::{Finished, Progress, Stated};
pub use state::{Issued, State};

/// The name of the document's form.
pub const SCHEMA: &str = "recording-archiver.statement/1";

/// Returns the folder of the statements in the bucket. The audit's table names it: its events hold the statements'
/// hashes, and stacks that share a bucket keep apart.
fn folder(config: &Config) -> String {
    format!("statements/{}/", config.tables.audit)
}

/// A completeness statement, as its JSON document has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// [`SCHEMA`].
    pub schema: String,
    /// The UTC day on which its conversations began.
    pub day: Date,
    /// Its number among the statements of the day, from 1.
    pub number: u32,
    /// The statement before it, which it supersedes.
    pub supersedes: Option<Reference>,
    /// The run that made it.
    pub run: uuid::Uuid,
    /// When it was made.
    pub issued_at: Timestamp,
    /// The list was complete, every conversation is accounted for, and nothing else was found.
    pub clean: bool,
    /// The list was complete at Genesys: that of an analytics job, not of a query.
    pub list_complete: bool,
    /// The kinds of recordings that are archived: `RECORDING_MEDIA`.
    #[serde(default)]
    pub recording_media: Vec<String>,
    /// What Genesys did not answer to its end besides.
    #[serde(default)]
    pub not_checked: Vec<Unchecked>,
    /// The figures.
    pub figures: Figures,
    /// The conversations that are not accounted for.
    pub open: Vec<Open>,
    /// Documents with more of these.
    pub parts: Vec<Part>,
    /// What Genesys says beside its lists of conversations; `None`: the run's newest statement has it.
    pub survey: Option<Survey>,
}

/// A document under its key, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// Its place, as `s3://bucket/key`.
    pub archive_key: String,
    /// SHA-256 of its bytes, in hex.
    pub hash: String,
}

/// A document with more conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The document.
    #[serde(flatten)]
    pub document: Reference,
    /// Number of conversations in it.
    pub open: u64,
}

/// A day in figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Conversations that Genesys lists.
    pub listed: u64,
    /// Those in which no recording was started.
    pub unrecorded: u64,
    /// Entries of the list that cannot be read.
    pub unreadable: u64,
    /// Those of which the archive holds a recording at least, whatever their reason.
    pub held: u64,
    /// Orphan recordings at Genesys that were made on the day, and whose conversation is not known, or not in the list.
    #[serde(default)]
    pub orphans: u64,
    /// Conversations by which the list is shorter than that of a statement before it.
    #[serde(default)]
    pub vanished: u64,
    /// Those with a recording, by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Those that somebody has to act on, or that are lost, those orphans, and what vanished.
    pub gaps: u64,
    /// Those of the gaps that nobody can close any more.
    pub lost: u64,
    /// Jobs that were sent.
    pub sent: u64,
}

impl Figures {
    /// Returns the number of conversations with a recording.
    pub fn recorded(&self) -> u64 {
        self.reasons.values().sum()
    }

    /// Returns the number of conversations with this reason.
    pub fn of(&self, reason: Reason) -> u64 {
        self.reasons.get(reason.as_str()).copied().unwrap_or_default()
    }

    /// Returns whether every conversation is accounted for.
    pub fn is_settled(&self) -> bool {
        let settled = [Reason::Archived, Reason::Erased, Reason::Filtered];
        let settled: u64 = settled.into_iter().map(|reason| self.of(reason)).sum();
        settled == self.recorded() && self.unreadable + self.orphans + self.vanished == 0
    }

    /// Returns whether there were recordings, and none of them is archived.
    pub fn is_empty_day(&self) -> bool {
        let expected =
            self.recorded() - self.of(Reason::Filtered) - self.of(Reason::Erased) - self.of(Reason::Waiting);
        expected > 0 && self.held == 0
    }
}

/// A conversation that is not accounted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// The conversation.
    pub interaction_id: String,
    /// When it began.
    pub start: Timestamp,
    /// Its reason; `failed:CODE` for a failure.
    pub reason: String,
    /// When Genesys deletes the first of its recordings that are not archived, where that is known.
    pub delete_date: Option<Timestamp>,
    /// A job was sent for it, by this statement or by one before it.
    pub sent: bool,
    /// Its recordings that are not archived, as far as audit and ledger know them; `-`: the conversation as a whole.
    pub recordings: Vec<OpenRecording>,
}

/// A recording that is not archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenRecording {
    /// The recording as ledger and audit spell it.
    pub recording_id: String,
    /// Its state.
    pub state: String,
    /// The last error.
    pub error: Option<String>,
}

/// What Genesys says beside its lists of conversations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Survey {
    /// Recordings without an archive that Genesys deletes within 14 days: the first 10,000.
    pub deletions: Vec<Deletion>,
    /// Their number.
    pub deletions_ahead: u64,
    /// Recordings that Genesys keeps, of conversations that were archived without them.
    pub late: Vec<Late>,
    /// Their number.
    pub late_recordings: u64,
    /// How far Genesys' list of all recordings that it keeps was read.
    pub kept: Checked,
    /// Where the next run goes on with that list; `None`: at its beginning.
    pub kept_next: Option<String>,
    /// When the pass through that list began that goes on there.
    #[serde(default)]
    pub kept_began: Option<Timestamp>,
    /// When the last pass began that came to the end of the list: what Genesys kept then was looked at.
    #[serde(default)]
    pub kept_passed: Option<Timestamp>,
    /// The orphan recordings.
    pub orphans: Vec<OrphanRecording>,
    /// How far Genesys' list of orphans was read.
    pub orphans_checked: Checked,
    /// Ids in Genesys' report of failed uploads: the first ones. The report does not say what they are the ids of.
    pub failed_uploads: Vec<uuid::Uuid>,
    /// How far Genesys' report of failed uploads was read.
    pub uploads_checked: Checked,
}

/// A question that Genesys did not answer to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unchecked {
    /// Which recordings it keeps: whether some came late, and which it deletes soon. A pass through the list that took
    /// several runs answers it for two weeks.
    Kept,
    /// Which recordings are orphans.
    Orphans,
    /// Which uploads failed.
    FailedUploads,
}

impl Unchecked {
    /// Returns what is not known, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Kept => "recordings that came late",
            Self::Orphans => "orphan recordings",
            Self::FailedUploads => "failed uploads",
        }
    }
}

/// How far something was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// It was read to its end.
    pub complete: bool,
    /// Number of entries that were read.
    pub read: u64,
    /// Why it was not read to its end.
    pub why: Option<String>,
}

/// A recording that Genesys deletes soon, and that is not archived.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deletion {
    /// When.
    pub delete_date: Timestamp,
    /// Its conversation.
    pub interaction_id: String,
    /// The recording; `-` where only its conversation is known.
    pub recording_id: String,
}

/// A recording that Genesys keeps and that no run ever saw, of a conversation that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Late {
    /// Its conversation.
    pub interaction_id: String,
    /// The recording.
    pub recording_id: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// The day on which its conversation began, as far as its recordings tell.
    #[serde(default)]
    pub day: Option<Date>,
    /// A job was sent for its conversation, by this statement or by one before it.
    pub sent: bool,
    /// Its conversation is in the list of a day of the run, and a gap there.
    #[serde(default)]
    pub stated: bool,
}

/// Makes statements. One for the life of a process.
#[derive(Debug)]
pub struct Stater {
    config: Config,
    clock: Clock,
    analytics: Analytics,
    genesys: Genesys,
    ledger: Ledger,
    storage: Storage,
    queues: Queues,
    actor: Actor,
}

impl Stater {
    /// Wires everything together. Sends nothing. Audit lines go to `lines`; `actor` is who makes the statements.
    pub fn connect(
        config: Config,
        clients: &Clients,
        clock: Clock,
        lines: Lines,
        actor: Actor,
    ) -> Result<Self, Error> {
        let counters: Arc<Counters> = Arc::default();
        let secrets = clients.secrets(&config, clock.clone());
        Ok(Self {
            analytics: Analytics::new(&config, secrets.clone(), clock.clone(), counters.clone())?,
            genesys: Genesys::new(&config, secrets, clock.clone(), counters.clone())?,
            ledger: clients.ledger(&config, clock.clone(), lines),
            storage: clients.storage(&config, counters),
            queues: clients.queues(&config),
            config,
            clock,
            actor,
        })
    }
}
