//! Accesses to archived recordings: who, why and what stand in the audit before the first byte is read.

use std::fmt;

use serde_json::json;

use super::custody::{self, Custody};
use super::finding::{Code, Finding};
use super::session::PATIENCE;
use super::{Error, Kind, Session};
use crate::aws::ledger::Ledger;
use crate::aws::storage::{Shelf, Storage};
use crate::domain::audit::{Action, Actor, Apart, AuditEvent, Stored};
use crate::domain::digest::Digest;
use crate::domain::record::State;
use crate::domain::recording::{ConversationId, RecordingRef};

/// The kind of an access: the attribute `access`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The bytes go into a file.
    Downloaded,
    /// Somebody listens to them.
    Played,
    /// S3 is asked to restore them from cold storage.
    RestoreRequested,
}

impl Access {
    /// Returns the value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Downloaded => "downloaded",
            Self::Played => "played",
            Self::RestoreRequested => "restore_requested",
        }
    }
}

/// A recording that somebody wants to access.
#[derive(Debug)]
pub struct Wanted {
    /// The recording.
    pub recording: RecordingRef,
    /// Its files that are there.
    pub files: Vec<WantedFile>,
}

/// A file of it.
#[derive(Debug)]
pub struct WantedFile {
    /// What the audit says of it.
    pub stored: Stored,
    /// Where its bytes lie now.
    pub shelf: Shelf,
}

impl WantedFile {
    /// Returns the version that was archived; `None` where the bucket kept none, or it was not recorded then.
    pub fn version_id(&self) -> Option<&str> {
        let stored_as = self.stored.stored_as.as_ref()?;
        stored_as.kept.answer.version_id.as_deref()
    }
}

/// Somebody who accesses recordings for a reason.
pub struct Accessor<'a> {
    pub(super) session: &'a Session,
    pub(super) storage: Storage,
    /// Who it is, by STS.
    pub(super) identity: String,
    pub(super) reason: String,
    actor: Actor,
    ledger: Ledger,
}

impl fmt::Debug for Accessor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accessor")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl<'a> Accessor<'a> {
    /// Asks AWS who it is. Fails where AWS does not say: nobody reads a recording without a name. `reason` is kept in
    /// the audit, without addresses of people; `command` and `conversation` as what was asked for.
    pub(super) async fn begin(
        session: &'a Session,
        command: &str,
        conversation: ConversationId,
        reason: &str,
    ) -> Result<Self, Error> {
        let requester = session.requester(command, &conversation.to_string());
        let asked = async { Ok::<_, Error>(session.operator(Some(requester)).await) };
        let actor = session.unless_interrupted(asked).await?;
        let Some(identity) = actor.identity.clone() else {
            let message = "AWS does not say who you are, so nothing is read";
            return Err(Error::new(Kind::Service, message)
                .remedy("sts:GetCallerIdentity has to be reachable with these credentials"));
        };
        Ok(Self {
            session,
            storage: session.storage(),
            identity,
            reason: crate::redact::people(reason),
            actor,
            ledger: session.ledger(),
        })
    }

    /// Looks up the files of a conversation, or of the recording of it that is named as ledger and audit spell it.
    /// Reads none of them. Returns findings, too: recordings whose audit cannot be relied on, which are left out, and
    /// files that are not there.
    pub(super) async fn find(
        &self,
        conversation: ConversationId,
        only: Option<&str>,
    ) -> Result<(Vec<Wanted>, Vec<Finding>), Error> {
        let reading = custody::of(&self.ledger, conversation);
        let held = self.session.unless_interrupted(reading).await?;
        let recordings = held
            .custodies
            .into_iter()
            .filter(|custody| custody.recording != "-");
        let (named, others): (Vec<_>, Vec<_>) =
            recordings.partition(|custody| only.is_none_or(|only| custody.recording == only));
        if named.is_empty() {
            return Err(unknown(conversation, only, &others));
        }
        let (mut wanted, mut findings) = (Vec::new(), Vec::new());
        let mut without = Vec::new();
        for custody in named {
            let Some(recording) = RecordingRef::of_key(conversation, &custody.recording) else {
                continue;
            };
            if !custody.intact {
                // Its hashes prove nothing.
                findings.extend(custody.findings);
                continue;
            }
            let files = custody.files();
            if files.is_empty() || custody.state() == Some(State::Erased) {
                without.push(custody);
                continue;
            }
            let files = self.shelved(conversation, &custody, files, &mut findings).await?;
            wanted.push(Wanted { recording, files });
        }
        if wanted.is_empty() && findings.is_empty() {
            return Err(not_archived(&without));
        }
        Ok((wanted, findings))
    }

    /// Asks S3 where each file lies.
    async fn shelved(
        &self,
        conversation: ConversationId,
        custody: &Custody,
        files: Vec<Stored>,
        findings: &mut Vec<Finding>,
    ) -> Result<Vec<WantedFile>, Error> {
        let mut there: Vec<WantedFile> = Vec::new();
        for stored in files {
            let mut file = WantedFile {
                stored,
                shelf: Shelf::Ready,
            };
            let place = &file.stored.archive_key;
            if there.iter().any(|other| other.stored.archive_key == *place) {
                continue;
            }
            let asked = self.storage.shelf(place, file.version_id());
            match self.session.unless_interrupted(asked).await? {
                Some(shelf) => {
                    file.shelf = shelf;
                    there.push(file);
                }
                None => findings.push(missing(conversation, &custody.recording, &file)),
            }
        }
        Ok(there)
    }

    /// Writes down that these files of a recording are about to be accessed. Returns the event as it is stored.
    pub(super) async fn record(
        &self,
        recording: RecordingRef,
        files: &[&WantedFile],
        access: Access,
    ) -> Result<AuditEvent, Error> {
        let files: Vec<_> = files
            .iter()
            .map(|file| {
                let mut told = json!({"archiveKey": file.stored.archive_key, "hash": file.stored.sha256,
                                      "sizeBytes": file.stored.size_bytes});
                if let Some(version) = file.version_id() {
                    told["versionId"] = version.into();
                }
                told
            })
            .collect();
        let event = AuditEvent::apart(Action::RecordingAccessed)
            .with("access", access.as_str())
            .with("reason", self.reason.as_str())
            .with("files", files);
        let deadline = self.session.deadline(PATIENCE);
        let chain = Apart::Access(recording);
        let writing = self.ledger.append(&chain, &event, &self.actor, &deadline);
        self.session.unless_interrupted(writing).await
    }
}

/// Returns how the bytes differ from those that were archived.
pub(super) fn difference(file: &WantedFile, read: Digest) -> Option<(Code, String)> {
    let Digest { size, .. } = read;
    let (stored, hex) = (&file.stored, read.hex());
    if size != stored.size_bytes {
        let detail = format!("{size} bytes were read, and {} were archived", stored.size_bytes);
        return Some((Code::SizeDiffers, detail));
    }
    (hex != stored.sha256).then(|| {
        let detail = format!(
            "the SHA-256 of what was read is {hex}, and {} was archived",
            stored.sha256
        );
        (Code::ObjectChanged, detail)
    })
}

/// Makes the finding that an object is not there.
pub(super) fn missing(conversation: ConversationId, recording: &str, file: &WantedFile) -> Finding {
    let version = file.version_id();
    let detail = match version {
        Some(version) => format!("its version {version}, which was archived, is not there"),
        None => "there is no object under its key".to_owned(),
    };
    Finding {
        code: Code::ObjectMissing,
        interaction_id: Some(conversation.to_string()),
        recording_id: Some(recording.to_owned()),
        archive_key: Some(file.stored.archive_key.to_string()),
        detail,
    }
}

/// Makes the error of a conversation without the recording that was named, or without any.
fn unknown(conversation: ConversationId, only: Option<&str>, others: &[Custody]) -> Error {
    let Some(only) = only.filter(|_| !others.is_empty()) else {
        let message = format!("the archive knows no recording of the conversation {conversation}");
        return Error::usage(
            message,
            "the id of a conversation stands in its objects' keys; archivectl reconcile finds what is missing",
        );
    };
    let message = format!(
        "the conversation {conversation} has no recording {}",
        crate::redact::quote(only)
    );
    let known: Vec<_> = others.iter().map(|custody| custody.recording.as_str()).collect();
    Error::usage(message, format!("its recordings: {}", known.join(", ")))
}

/// Makes the error of recordings of which no file is archived.
fn not_archived(custodies: &[Custody]) -> Error {
    let told = custodies.iter().map(|custody| {
        let state = custody.state().map_or("unknown", State::as_str);
        format!("recording {} is not in the archive: {state}", custody.recording)
    });
    Error::usage(
        told.collect::<Vec<_>>().join("; "),
        "archivectl audit CONVERSATION --no-read shows what became of it",
    )
}
