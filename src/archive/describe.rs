//! The call record: written once a conversation is about to be settled, before that is recorded.
//!
//! The ledger names the object before it appears, so that a run which dies in between is followed by one that adopts
//! it. Only then the audit says `call.described`, and the conversation is settled.

use std::ops::ControlFlow;

use uuid::Uuid;

use super::{Archiver, Run};
use crate::aws::ledger::Described;
use crate::aws::storage::{CallObject, ObjectFacts, Published};
use crate::domain::audit::{Action, AuditEvent};
use crate::domain::call::{self, CONTENT_TYPE, CallRecord, Extent, FORMAT, Told};
use crate::domain::record::Record;
use crate::domain::recording::{ArchivedFile, ObjectKind};
use crate::error::{Disposition, Error, ErrorKind};
use crate::genesys::{self, Details};

/// A call record without its recordings, and what the last list said of them.
#[derive(Debug)]
pub(super) struct Draft {
    call: CallRecord,
    told: Vec<Told>,
}

/// What a conversation is settled by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proof<'a> {
    /// `details`, `listing` or `bulk`.
    pub(super) by: &'static str,
    /// What analytics say of it, if they were asked.
    pub(super) details: Option<&'a genesys::Told>,
    /// The details of the batch that it belongs to.
    pub(super) batch: &'a Details,
}

/// Whether a call record is written without the names that Genesys does not give now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unnamed {
    /// Genesys is asked again at the next look.
    Waits,
    /// The same, unless Genesys refuses to give them.
    WaitsUnlessRefused,
    /// The record says that they are missing.
    Accepted,
}

impl Archiver {
    /// Begins the call record of a conversation: its details, and the names of the ids in them. `None` where call
    /// records are off.
    pub(super) async fn draft(
        &self,
        run: Run<'_>,
        proof: Proof<'_>,
        told: &[Told],
        unnamed: Unnamed,
    ) -> Result<Option<Draft>, Error> {
        let extent = self.config.call_record;
        if extent == Extent::Off {
            return Ok(None);
        }
        let mut call = CallRecord::new(run.job.conversation, proof.by);
        match proof.details {
            Some(genesys::Told::Known(known)) => {
                let given = known.given.as_deref().unwrap_or_default();
                call = call.with_details(given, extent);
            }
            Some(genesys::Told::Denied) => call.details_missing = Some("denied".to_owned()),
            Some(genesys::Told::TooLong) => call.details_missing = Some("too_long".to_owned()),
            Some(genesys::Told::Unknown) | None => call.details_missing = Some("unknown".to_owned()),
        }
        let asking = self.genesys.names(proof.batch, &call, run.deadline);
        let (names, failed) = run.deadline.in_time(asking).await?;
        let waits = |error: &Error| match unnamed {
            Unnamed::Waits => true,
            Unnamed::WaitsUnlessRefused => error.disposition() == Disposition::Retry,
            Unnamed::Accepted => false,
        };
        if let Some(error) = failed.filter(waits) {
            return Err(error);
        }
        call.names = names;
        let told = told.to_vec();
        Ok(Some(Draft { call, told }))
    }

    /// Stores the call record of a conversation, unless the last one says as much. Returns the conversation's record as
    /// it is then; `None` if there is none.
    pub(super) async fn describe(&self, run: Run<'_>, draft: Draft) -> Result<Option<Box<Record>>, Error> {
        loop {
            let reading = self.ledger.records(run.job.conversation);
            let records = run.deadline.in_time(reading).await?;
            let Some(whole) = records.iter().find(|record| record.recording_id == "-") else {
                return Ok(None);
            };
            let whole = Box::new(whole.clone());
            let number = u32::try_from(whole.files.len()).unwrap_or(u32::MAX) + 1;
            let call = draft.call.clone();
            let call = call.with_recordings(number, &records, &draft.told);
            if whole.is_erased() || !adds(&call, &whole) {
                return Ok(Some(whole));
            }
            if let ControlFlow::Break(whole) = self.describe_as(run, call, whole).await? {
                return Ok(Some(whole));
            }
        }
    }

    /// Stores this call record, or adopts what an earlier attempt stored under its key. Goes on where that one says
    /// less: what it lacks stands in the next.
    async fn describe_as(
        &self,
        run: Run<'_>,
        call: CallRecord,
        whole: Box<Record>,
    ) -> Result<ControlFlow<Box<Record>>, Error> {
        let number = call.number;
        let ours = (archived(&call), has(&call));
        let object = self.call_object(run, &call, &whole)?;
        let file = object.file(FORMAT);
        let writer = run.writer(run.conversation());
        let entry = AuditEvent::new(Action::CallDescribed, whole.state, FORMAT).with("number", number);
        let whole = self.ledger.describing(writer, whole, &file, &entry).await?;
        if whole.is_erased() {
            return Ok(ControlFlow::Break(whole));
        }
        let file = self.publish_call(run, &object, file).await?;
        let call = self.as_stored(run, call, &file).await?;
        if let Some(catalog) = &self.catalog {
            let earlier = self.earlier(run, &whole).await?;
            catalog.put(&call, earlier.as_slice(), run.deadline).await?;
        }
        let entry = entry.with_file(&file).with_stored_as(&file);
        let (recordings, by) = (archived(&call), has(&call));
        let complete = (&recordings, by) == (&ours.0, ours.1);
        let described = Described { file, recordings, by };
        let record = self.ledger.described(writer, whole, &described, &entry).await?;
        tracing::info!(number, "described a call");
        Ok(if complete {
            ControlFlow::Break(record)
        } else {
            ControlFlow::Continue(())
        })
    }

    /// Returns the object of a call record. One of the same bytes that an earlier attempt named is written as that
    /// attempt would have.
    fn call_object(&self, run: Run<'_>, call: &CallRecord, whole: &Record) -> Result<CallObject, Error> {
        let bytes = call.bytes();
        let bytes =
            bytes.map_err(|error| Error::transient("a call record cannot be written").caused_by(error))?;
        let prefix = self.config.storage.key_template.prefix();
        let mut facts = ObjectFacts {
            key: call::key(prefix, run.job.conversation, call.number),
            of: run.conversation(),
            attempt: Uuid::new_v4(),
            content_type: CONTENT_TYPE.to_owned(),
            media_host: String::new(),
            lane: None,
            started: call.facts(None).start,
            archived_at: self.clock.now(),
            kind: ObjectKind::CallRecord,
        };
        let object = self.storage.call_record(facts.clone(), bytes);
        let ours = object.file(FORMAT);
        let same =
            |known: &&ArchivedFile| (&known.archive_key, &known.sha256) == (&ours.archive_key, &ours.sha256);
        let Some(known) = whole.describing.iter().find(same) else {
            return Ok(object);
        };
        facts.attempt = known.attempt_id;
        if let Some(stored) = &known.stored_as {
            facts.archived_at = stored.archived_at;
        }
        Ok(object.written_as(facts))
    }

    /// Makes a call record visible. Returns the file that lies under its key: this one, or one that another attempt
    /// named.
    async fn publish_call(
        &self,
        run: Run<'_>,
        object: &CallObject,
        file: ArchivedFile,
    ) -> Result<ArchivedFile, Error> {
        let error = match run.deadline.in_time(object.put()).await {
            Ok(Published::Visible(answer)) => return Ok(file.answered(answer)),
            Ok(Published::Occupied) => {
                let key = &file.archive_key;
                let message = format!("{key} holds an object that this archiver did not write; it was kept");
                Error::new(ErrorKind::ForeignObject, message)
            }
            Err(error) => error,
        };
        let reading = self.ledger.records(run.job.conversation);
        let records = run.deadline.in_time(reading).await?;
        let whole = records.into_iter().find(|record| record.recording_id == "-");
        let named = whole
            .into_iter()
            .flat_map(|whole| whole.describing.into_iter().chain(whole.files));
        for candidate in named.filter(|named| named.archive_key == file.archive_key) {
            let finding = self.storage.find(&candidate);
            if let Some(answer) = run.deadline.in_time(finding).await? {
                return Ok(candidate.answered(answer));
            }
        }
        Err(error)
    }

    /// Returns the last call record that the conversation already has. One that cannot be read counts as none: `verify`
    /// reports it, and nothing here depends on it but items that lead to the same recordings.
    async fn earlier(&self, run: Run<'_>, whole: &Record) -> Result<Option<CallRecord>, Error> {
        let Some(last) = whole.files.last() else {
            return Ok(None);
        };
        let place = &last.archive_key;
        let reading = self.storage.read_call(place, &last.sha256);
        let bytes = match run.deadline.in_time(reading).await {
            Err(error) if error.kind() == ErrorKind::HashMismatch => Err(error.redacted()),
            read => Ok(read?),
        };
        let call = bytes.and_then(|bytes| CallRecord::read(&bytes.unwrap_or_default()));
        if let Err(error) = &call {
            tracing::warn!(interaction_id = %run.job.conversation, error, "the earlier call record cannot be read");
        }
        Ok(call.ok())
    }

    /// Returns the call record that lies in S3: another attempt's may have other names.
    async fn as_stored(
        &self,
        run: Run<'_>,
        call: CallRecord,
        file: &ArchivedFile,
    ) -> Result<CallRecord, Error> {
        let place = &file.archive_key;
        let ours = call
            .bytes()
            .map(|bytes| crate::domain::digest::Digest::of(&bytes).hex());
        if ours.is_ok_and(|ours| ours == file.sha256) {
            return Ok(call);
        }
        let reading = self.storage.read_call(place, &file.sha256);
        let bytes = run.deadline.in_time(reading).await?;
        let bytes = bytes.ok_or_else(|| Error::transient(format!("{place} is gone")))?;
        CallRecord::read(&bytes).map_err(|fault| Error::transient(format!("{place} {fault}")))
    }
}

/// Checks whether a call record says more than the last one of its conversation: it names an archived recording that
/// that one does not, or it has the details that that one has not. There is none of a conversation without an archived
/// recording.
fn adds(call: &CallRecord, whole: &Record) -> bool {
    let new = call
        .archived()
        .any(|recording| !whole.described.contains(&recording.recording_id));
    let details =
        !whole.files.is_empty() && call.details.is_some() && whole.described_by.as_deref() == Some("listing");
    new || details
}

fn archived(call: &CallRecord) -> Vec<String> {
    call.archived()
        .map(|recording| recording.recording_id.clone())
        .collect()
}

fn has(call: &CallRecord) -> &'static str {
    match call.details {
        Some(_) => "details",
        None => "listing",
    }
}
