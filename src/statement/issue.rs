//! Issuing a statement: document and page are written once, then the audit names the hash. A document is believed only
//! if it has the hash that the audit, or a document that is believed, names.
//!
//! A run that dies in between is repeated from the same state: it finds its own document by the run's id, and goes on
//! from there. The document of another run under the same number is superseded.

use std::collections::HashSet;

use bytes::Bytes;
use jiff::civil::Date;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::state::{Day, Issued, Previous, WalkFound};
use super::{
    Figures, Open, Part, Reference, SCHEMA, State, Statement, Stater, Survey, Unchecked, folder, page,
};
use crate::aws::storage::Written;
use crate::clock::Deadline;
use crate::domain::audit::{Action, Apart, AuditEvent, Subject};
use crate::domain::recording::ConversationId;
use crate::error::Error;

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A document that the audit names.
pub(super) struct Named {
    pub(super) document: Reference,
    /// The number of a statement.
    number: Option<u32>,
    /// It is a statement that is clean.
    clean: bool,
}

/// The newest statement of a day, as the audit names it.
pub(super) struct Newest {
    number: u32,
    document: Reference,
    /// `None`: the bucket has no document of that hash.
    pub(super) statement: Option<Statement>,
}

/// What of a run goes into each of its statements.
pub(super) struct Besides {
    /// What Genesys says besides, for the newest day.
    pub(super) survey: Option<Survey>,
    /// What Genesys did not answer.
    pub(super) not_checked: Vec<Unchecked>,
}

impl Stater {
    fn folder_of(&self, day: Date) -> String {
        format!("{}{day}/", folder(&self.config))
    }

    /// Returns the documents of a day that the audit names: statements, with their numbers and whether they are clean,
    /// and runs.
    pub(super) async fn issued(&self, day: Date) -> Result<Vec<Named>, Error> {
        let folder = self.storage.archive_key(&self.folder_of(day)).to_string();
        let events = self.ledger.events(Subject::Statement(day)).await?.events;
        let documents = events.iter().filter_map(|event| {
            let archive_key = event.archive_key()?.to_owned();
            let name = archive_key.strip_prefix(&folder);
            Some(Named {
                number: name.and_then(|name| name.strip_suffix(".json")?.parse().ok()),
                clean: event.get("clean").is_some_and(|clean| *clean == true),
                document: Reference {
                    archive_key,
                    hash: event.text("hash")?.to_owned(),
                },
            })
        });
        Ok(documents.collect())
    }

    /// Returns whether the newest statement of a day is clean; `None`: there is none.
    pub(super) async fn is_clean(&self, day: Date) -> Result<Option<bool>, Error> {
        let issued = self.issued(day).await?.into_iter();
        let newest = issued
            .filter(|named| named.number.is_some())
            .max_by_key(|named| named.number);
        Ok(newest.map(|named| named.clean))
    }

    /// Returns the newest statement of a day.
    pub(super) async fn newest(&self, day: Date) -> Result<Option<Newest>, Error> {
        let issued = self.issued(day).await?.into_iter();
        let numbered = issued.filter_map(|named| Some((named.number?, named.document)));
        let Some((number, document)) = numbered.max_by_key(|(number, _)| *number) else {
            return Ok(None);
        };
        let statement = self.named(&document).await?;
        Ok(Some(Newest {
            number,
            document,
            statement,
        }))
    }

    /// Reads a document whose hash is known. `None`: the bucket has none of this hash, or not in this form.
    pub(super) async fn named<T: DeserializeOwned>(&self, document: &Reference) -> Result<Option<T>, Error> {
        let Reference { archive_key, hash } = document;
        let bucket = self.storage.archive_key("").to_string();
        let key = archive_key.strip_prefix(&bucket).unwrap_or(archive_key);
        let bytes = self.storage.document(key).await?;
        let bytes = bytes.filter(|bytes| digest(bytes) == *hash);
        let read = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if read.is_none() {
            tracing::error!(
                archive_key,
                hash,
                "a document of the statements is missing, or has another hash than was recorded"
            );
        }
        Ok(read)
    }

    /// Returns the survey of a statement; `None`: the bucket does not have it any more.
    pub(super) async fn survey_of(&self, document: &Reference) -> Result<Option<Survey>, Error> {
        let statement: Option<Statement> = self.named(document).await?;
        Ok(statement.map(|statement| statement.survey.unwrap_or_default()))
    }

    /// Calls `see` with the conversations of each of these documents, one document at a time.
    pub(super) async fn each_part(&self, parts: &[Part], mut see: impl FnMut(&[Open])) -> Result<(), Error> {
        for part in parts {
            see(&self.named::<Vec<Open>>(&part.document).await?.unwrap_or_default());
        }
        Ok(())
    }

    /// Returns the conversations of a day for which a job was sent: by the statement before this run, and by the run.
    pub(super) async fn sent_before(&self, day: &Day) -> Result<HashSet<ConversationId>, Error> {
        let mut sent = HashSet::new();
        let mut take = |open: &[Open]| {
            let ids = open.iter().filter(|open| open.sent);
            sent.extend(ids.filter_map(|open| ConversationId::parse(&open.interaction_id).ok()));
        };
        take(&day.open);
        self.each_part(&day.parts, &mut take).await?;
        if let Some(previous) = &day.previous
            && let Some(statement) = self.named::<Statement>(&previous.document).await?
        {
            take(&statement.open);
            self.each_part(&statement.parts, &mut take).await?;
        }
        Ok(sent)
    }

    /// Returns what a new statement of a day has to know of the one before it.
    pub(super) async fn previous(&self, day: Date) -> Result<Option<Previous>, Error> {
        let newest = self.newest(day).await?;
        Ok(newest.map(|newest| Previous {
            number: newest.number,
            document: newest.document,
            lost: newest.statement.is_none(),
            listed: newest.statement.map_or(0, |statement| {
                let Figures { listed, vanished, .. } = statement.figures;
                if statement.list_complete {
                    listed + vanished
                } else {
                    0
                }
            }),
        }))
    }

    async fn write(&self, key: &str, content_type: &str, bytes: Bytes) -> Result<Written, Error> {
        let now = self.clock.now();
        self.storage.write_document(key, content_type, bytes, now).await
    }

    /// Writes a document under a name of its own.
    async fn write_new(&self, kind: &str, value: &impl Serialize) -> Result<Reference, Error> {
        let bytes = to_json(value)?;
        let hash = digest(&bytes);
        let key = format!("{kind}-{}.json", Uuid::new_v4());
        self.write(&key, "application/json", bytes).await?;
        let archive_key = self.storage.archive_key(&key).to_string();
        Ok(Reference { archive_key, hash })
    }

    /// Moves what a walk found from the state into a document of its own.
    pub(super) async fn write_found(&self, state: &mut State) -> Result<(), Error> {
        let found = WalkFound {
            deletions: std::mem::take(&mut state.walk.deletions),
            late: std::mem::take(&mut state.walk.late),
        };
        let document = self
            .write_new(&format!("{}walks/found", folder(&self.config)), &found)
            .await?;
        state.walk.found = Some(document);
        Ok(())
    }

    /// Takes back what [`Stater::write_found`] moved.
    pub(super) async fn read_found(&self, state: &mut State) -> Result<(), Error> {
        if let Some(document) = state.walk.found.take() {
            let found: Option<WalkFound> = self.named(&document).await?;
            let found = found.ok_or_else(|| {
                Error::transient(format!(
                    "{} is missing, or another document",
                    document.archive_key
                ))
            })?;
            (state.walk.deletions, state.walk.late) = (found.deletions, found.late);
        }
        Ok(())
    }

    /// Moves the conversations of a day from memory into a document of their own.
    pub(super) async fn write_part(&self, day: &mut Day) -> Result<(), Error> {
        if day.open.is_empty() {
            return Ok(());
        }
        let document = self
            .write_new(&format!("{}part", self.folder_of(day.date)), &day.open)
            .await?;
        day.parts.push(Part {
            document,
            open: day.open.len() as u64,
        });
        day.open.clear();
        Ok(())
    }

    /// Issues the statement of a day.
    pub(super) async fn issue(
        &self,
        state: &State,
        at: usize,
        besides: &Besides,
        deadline: &Deadline,
    ) -> Result<Issued, Error> {
        let day = &state.days[at];
        let mut previous = day
            .previous
            .as_ref()
            .map(|previous| (previous.number, Some(previous.document.clone())));
        let (statement, document) = loop {
            let (before, supersedes) = previous.unwrap_or_default();
            let number = before + 1;
            let key = format!("{}{number}.json", self.folder_of(day.date));
            let statement = self.statement(state, day, (number, supersedes.clone()), besides);
            let bytes = to_json(&statement)?;
            let hash = digest(&bytes);
            if self.write(&key, "application/json", bytes).await? == Written::New {
                let archive_key = self.storage.archive_key(&key).to_string();
                break (statement, Reference { archive_key, hash });
            }
            let bytes = self.storage.document(&key).await?.unwrap_or_default();
            let (hash, archive_key) = (digest(&bytes), self.storage.archive_key(&key).to_string());
            let document = Reference { archive_key, hash };
            previous = match serde_json::from_slice::<Statement>(&bytes) {
                // Of this very run: it died before it could say so.
                Ok(statement) if statement.run == state.run => break (statement, document),
                Ok(statement) if statement.number == number => Some((number, Some(document))),
                // Somebody else's: its number is skipped, and it is no statement that could be superseded.
                _ => Some((number, supersedes)),
            };
        };
        let page = page::page(&statement, &document.hash);
        let page_hash = digest(page.as_bytes());
        let key = format!("{}{}.html", self.folder_of(day.date), statement.number);
        self.write(&key, "text/html; charset=utf-8", page.into()).await?;
        let event = AuditEvent::apart(Action::StatementIssued)
            .with("pageHash", page_hash)
            .with("number", statement.number)
            .with("clean", statement.clean);
        self.record(statement.day, &document, event, deadline).await?;
        Ok(Issued {
            day: statement.day,
            number: statement.number,
            document,
            clean: statement.clean,
            gaps: statement.figures.gaps,
            lost: statement.figures.lost,
            not_checked: statement.not_checked,
        })
    }

    fn statement(
        &self,
        state: &State,
        day: &Day,
        (number, supersedes): (u32, Option<Reference>),
        besides: &Besides,
    ) -> Statement {
        let survey = besides.survey.clone();
        let media = self.config.recording.media.iter();
        let found = survey
            .as_ref()
            .is_some_and(|survey| survey.deletions_ahead + survey.late_recordings > 0);
        Statement {
            schema: SCHEMA.to_owned(),
            day: day.date,
            number,
            supersedes,
            run: state.run,
            issued_at: self.clock.now(),
            clean: day.complete && day.figures.is_settled() && day.figures.gaps == 0 && !found,
            list_complete: day.complete,
            recording_media: media.map(|kind| kind.as_str().to_owned()).collect(),
            not_checked: besides.not_checked.clone(),
            figures: day.figures.clone(),
            open: day.open.clone(),
            parts: day.parts.clone(),
            survey,
        }
    }

    /// Writes the document of a run that began on this day, and has the audit name it.
    pub(super) async fn leave(
        &self,
        key: &str,
        day: Date,
        run: &impl Serialize,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let bytes = to_json(run)?;
        let document = Reference {
            archive_key: self.storage.archive_key(key).to_string(),
            hash: digest(&bytes),
        };
        // Written by this very run, if it is there already.
        let _: Written = self.write(key, "application/json", bytes).await?;
        let event = AuditEvent::apart(Action::StatementRun);
        self.record(day, &document, event, deadline).await
    }

    /// Has the audit name a document of a day by this event, unless it does.
    async fn record(
        &self,
        day: Date,
        document: &Reference,
        event: AuditEvent,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let issued = self.issued(day).await?;
        if issued.iter().any(|named| named.document == *document) {
            return Ok(());
        }
        let event = event
            .with("archiveKey", document.archive_key.as_str())
            .with("hash", document.hash.as_str());
        let chain = Apart::Statement(day);
        self.ledger
            .append(&chain, &event, &self.actor, deadline)
            .await
            .map(drop)
    }
}

fn to_json(value: &impl Serialize) -> Result<Bytes, Error> {
    let bytes = serde_json::to_vec_pretty(value);
    bytes
        .map(Bytes::from)
        .map_err(|error| Error::transient("writing a statement").caused_by(error))
}
