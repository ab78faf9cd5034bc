//! Issuing a statement: document and page are written once, then the audit names the hash.
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

use super::state::{Day, Issued, Previous};
use super::{Open, Part, Reference, SCHEMA, State, Statement, Stater, Survey, folder, page};
use crate::aws::storage::Written;
use crate::clock::Deadline;
use crate::domain::audit::{Action, Apart, AuditEvent, Subject};
use crate::domain::recording::ConversationId;
use crate::error::Error;

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

impl Stater {
    fn folder_of(&self, day: Date) -> String {
        format!("{}{day}/", folder(&self.config))
    }

    /// Returns the newest statement of a day, and its document.
    pub(super) async fn newest(&self, day: Date) -> Result<Option<(Statement, Reference)>, Error> {
        let folder = self.folder_of(day);
        let keys = self.storage.documents(&folder, "").await?;
        let number = |key: &String| {
            key.strip_prefix(&folder)?
                .strip_suffix(".json")?
                .parse::<u32>()
                .ok()
        };
        let Some(newest) = keys.iter().filter_map(number).max() else {
            return Ok(None);
        };
        self.read(&format!("{folder}{newest}.json")).await
    }

    async fn read(&self, key: &str) -> Result<Option<(Statement, Reference)>, Error> {
        let Some(bytes) = self.storage.document(key).await? else {
            return Ok(None);
        };
        let reference = Reference {
            archive_key: self.storage.archive_key(key).to_string(),
            hash: digest(&bytes),
        };
        from_json(key, &bytes).map(|statement| Some((statement, reference)))
    }

    /// Reads a document that a statement names.
    async fn named<T: DeserializeOwned>(&self, document: &Reference) -> Result<T, Error> {
        let key = document
            .archive_key
            .strip_prefix(&self.storage.archive_key("").to_string())
            .unwrap_or(&document.archive_key);
        let bytes = self.storage.document(key).await?.unwrap_or_default();
        from_json(key, &bytes)
    }

    /// Returns the survey of a statement.
    pub(super) async fn survey_of(&self, document: &Reference) -> Result<Survey, Error> {
        let statement: Statement = self.named(document).await?;
        Ok(statement.survey.unwrap_or_default())
    }

    /// Returns the conversations of a day for which the statements before this run sent a job.
    pub(super) async fn sent_before(&self, day: &Day) -> Result<HashSet<ConversationId>, Error> {
        let mut sent = HashSet::new();
        let Some(previous) = &day.previous else {
            return Ok(sent);
        };
        let mut take = |open: &[Open]| {
            let ids = open.iter().filter(|open| open.sent);
            sent.extend(ids.filter_map(|open| ConversationId::parse(&open.interaction_id).ok()));
        };
        let statement: Statement = self.named(&previous.document).await?;
        take(&statement.open);
        for part in &statement.parts {
            take(&self.named::<Vec<Open>>(&part.document).await?);
        }
        Ok(sent)
    }

    /// Returns what a new statement of a day has to know of the one before it.
    pub(super) async fn previous(&self, day: Date) -> Result<Option<Previous>, Error> {
        let newest = self.newest(day).await?;
        Ok(newest.map(|(statement, document)| Previous {
            number: statement.number,
            document,
        }))
    }

    pub(super) async fn write_json(&self, key: &str, value: &impl Serialize) -> Result<Written, Error> {
        let bytes = to_json(value)?;
        self.write(key, "application/json", bytes).await
    }

    async fn write(&self, key: &str, content_type: &str, bytes: Bytes) -> Result<Written, Error> {
        let now = self.clock.now();
        self.storage.write_document(key, content_type, bytes, now).await
    }

    /// Moves the conversations of a day from memory into a document of their own.
    pub(super) async fn write_part(&self, day: &mut Day) -> Result<(), Error> {
        if day.open.is_empty() {
            return Ok(());
        }
        let bytes = to_json(&day.open)?;
        let hash = digest(&bytes);
        let key = format!("{}part-{}.json", self.folder_of(day.date), Uuid::new_v4());
        self.write(&key, "application/json", bytes).await?;
        day.parts.push(Part {
            document: Reference {
                archive_key: self.storage.archive_key(&key).to_string(),
                hash,
            },
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
        survey: Option<Survey>,
        deadline: &Deadline,
    ) -> Result<Issued, Error> {
        let day = &state.days[at];
        let mut previous = day
            .previous
            .as_ref()
            .map(|previous| (previous.number, previous.document.clone()));
        let (statement, document) = loop {
            let (number, supersedes) = match &previous {
                Some((number, document)) => (number + 1, Some(document.clone())),
                None => (1, None),
            };
            let key = format!("{}{number}.json", self.folder_of(day.date));
            let statement = self.statement(state, day, (number, supersedes), survey.clone());
            let bytes = to_json(&statement)?;
            let hash = digest(&bytes);
            if self.write(&key, "application/json", bytes).await? == Written::New {
                let archive_key = self.storage.archive_key(&key).to_string();
                break (statement, Reference { archive_key, hash });
            }
            match self.read(&key).await? {
                // Of this very run: it died before it could say so.
                Some((statement, document)) if statement.run == state.run => break (statement, document),
                Some((statement, document)) => previous = Some((statement.number, document)),
                None => return Err(Error::transient(format!("{key} is neither free nor readable"))),
            }
        };
        let page = page::page(&statement, &document.hash);
        let page_hash = digest(page.as_bytes());
        let key = format!("{}{}.html", self.folder_of(day.date), statement.number);
        self.write(&key, "text/html; charset=utf-8", page.into()).await?;
        self.record(&statement, &document, &page_hash, deadline).await?;
        Ok(Issued {
            day: statement.day,
            number: statement.number,
            document,
            clean: statement.clean,
            gaps: statement.figures.gaps,
            lost: statement.figures.lost,
        })
    }

    fn statement(
        &self,
        state: &State,
        day: &Day,
        (number, supersedes): (u32, Option<Reference>),
        survey: Option<Survey>,
    ) -> Statement {
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
            clean: day.figures.is_settled() && !found,
            list_complete: day.complete,
            figures: day.figures.clone(),
            open: day.open.clone(),
            parts: day.parts.clone(),
            survey,
        }
    }

    /// Has the audit name the statement, unless it does.
    async fn record(
        &self,
        statement: &Statement,
        document: &Reference,
        page_hash: &str,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let known = self.ledger.events(Subject::Statement(statement.day)).await?;
        let mut keys = known.events.iter().filter_map(AuditEvent::archive_key);
        if keys.any(|key| key == document.archive_key) {
            return Ok(());
        }
        let event = AuditEvent::apart(Action::StatementIssued)
            .with("archiveKey", document.archive_key.as_str())
            .with("hash", document.hash.as_str())
            .with("pageHash", page_hash)
            .with("number", statement.number)
            .with("clean", statement.clean);
        let chain = Apart::Statement(statement.day);
        self.ledger
            .append(&chain, &event, &self.actor, deadline)
            .await
            .map(drop)
    }
}

fn from_json<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, Error> {
    let read = serde_json::from_slice(bytes);
    read.map_err(|error| {
        Error::transient(format!("{key} is missing, or no document of a statement")).caused_by(error)
    })
}

fn to_json(value: &impl Serialize) -> Result<Bytes, Error> {
    let bytes = serde_json::to_vec_pretty(value);
    bytes
        .map(Bytes::from)
        .map_err(|error| Error::transient("writing a statement").caused_by(error))
}
