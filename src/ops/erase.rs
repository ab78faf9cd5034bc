//! Deletes a conversation from the archive for good, on purpose, and leaves the evidence whole.
//!
//! The audit event comes first: it says who deletes what, and why. Only then are the items of the catalog removed,
//! which are made of the call records, and then the objects are deleted, with all of their versions. A run that is cut
//! off anywhere in between is finished by the next one.

use jiff::Timestamp;
use serde::Serialize;

use super::custody::{self, Custody, Held};
use super::session::PATIENCE;
use super::{Error, Kind, Listener, Session};
use crate::aws::ledger::{Ledger, Marking, Writer};
use crate::aws::storage::{Storage, Version};
use crate::catalog::{Catalog, Items};
use crate::domain::audit::{Action, Actor, AuditEvent};
use crate::domain::call::CallRecord;
use crate::domain::record::{Record, State};
use crate::domain::recording::{ArchiveKey, ConversationId, RecordingRef};
use crate::error::ErrorKind;

/// What erasing a conversation deletes.
#[derive(Debug)]
pub struct Plan {
    /// The conversation.
    pub conversation: ConversationId,
    /// The conversation as a whole, then its recordings.
    targets: Vec<Target>,
    /// Its items in the catalog; `None` where none is configured.
    items: Option<(Catalog, Items)>,
}

/// A recording, or the conversation as a whole.
#[derive(Debug)]
struct Target {
    recording: RecordingRef,
    record: Option<Record>,
    files: Vec<Doomed>,
}

/// A file that an audit event names, stored or announced.
#[derive(Debug)]
struct Doomed {
    place: ArchiveKey,
    event: AuditEvent,
    versions: Vec<Version>,
}

/// A deleted object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Erased {
    /// Its conversation.
    pub interaction_id: String,
    /// Its recording.
    pub recording_id: String,
    /// `s3://bucket/key`.
    pub archive_key: String,
    /// Number of versions and delete markers that were deleted.
    pub versions: u64,
}

/// An erasure in figures.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Recordings that are marked as erased.
    pub recordings: u64,
    /// Objects that there were.
    pub objects: u64,
    /// Versions and delete markers of these.
    pub versions: u64,
    /// Items of the catalog; `None` where none is configured.
    pub items: Option<u64>,
}

impl Plan {
    /// Returns what there is to delete.
    pub fn figures(&self) -> Figures {
        let files = || self.targets.iter().flat_map(|target| &target.files);
        let recordings = self
            .targets
            .iter()
            .filter(|target| target.recording.recording.is_some());
        Figures {
            recordings: recordings.count() as u64,
            objects: files().filter(|file| !file.versions.is_empty()).count() as u64,
            versions: files().map(|file| file.versions.len() as u64).sum(),
            items: self.items.as_ref().map(|(_, items)| items.len() as u64),
        }
    }
}

/// Finds out what erasing a conversation would delete. Fails if it could not be deleted or marked as a whole; nothing
/// is changed.
pub async fn plan(session: &Session, conversation: ConversationId) -> Result<Plan, Error> {
    let (ledger, storage) = (session.ledger(), session.storage());
    let catalog = Catalog::connect(&session.clients, &session.config);
    let now = session.now();
    let planned = async {
        let targets = planned(ledger, &storage, conversation, now).await?;
        let items = match catalog {
            Some(catalog) => {
                let items = items(&catalog, &storage, &targets).await?;
                Some((catalog, items))
            }
            None => None,
        };
        Ok::<_, Error>(Plan {
            conversation,
            targets,
            items,
        })
    };
    session.unless_interrupted(planned).await
}

async fn planned(
    ledger: Ledger,
    storage: &Storage,
    conversation: ConversationId,
    now: Timestamp,
) -> Result<Vec<Target>, Error> {
    // Who accessed it stays on record.
    let Held {
        custodies, findings, ..
    } = custody::of(&ledger, conversation).await?;
    if let Some(finding) = findings.first() {
        return Err(refused(format!("{}: {}", finding.about(), finding.detail)));
    }
    if custodies.is_empty() {
        let message = format!("neither the ledger nor the audit knows the conversation {conversation}");
        return Err(Error::new(Kind::Usage, message).remedy(
            "the id of a conversation stands in its objects' keys and in their metadata interaction-id",
        ));
    }
    let mut targets = vec![Target {
        recording: RecordingRef::whole(conversation),
        record: None,
        files: Vec::new(),
    }];
    for custody in custodies {
        let target = target(conversation, custody, storage, now).await?;
        match target.recording.recording {
            None => targets[0] = target,
            Some(_) => targets.push(target),
        }
    }
    Ok(targets)
}

/// Returns the items that the catalog has of a conversation. Its call records say which; where one cannot be read, all
/// of the catalog is searched.
async fn items(catalog: &Catalog, storage: &Storage, targets: &[Target]) -> Result<Items, Error> {
    let is_marked = |target: &Target| target.record.as_ref().is_some_and(Record::is_erased);
    let mut files = targets.iter().flat_map(|target| &target.files);
    let is_done = targets.iter().all(is_marked) && files.all(|file| file.versions.is_empty());
    // Objects are deleted last.
    let Some(whole) = targets.first().filter(|_| !is_done) else {
        return Ok(Items::default());
    };
    let mut calls = Vec::new();
    for file in &whole.files {
        let hash = file.event.sha256().unwrap_or_default();
        let read = match storage.read_call(&file.place, hash).await {
            Ok(bytes) => CallRecord::read(&bytes.unwrap_or_default()).ok(),
            Err(error) if error.kind() == ErrorKind::HashMismatch => None,
            Err(error) => return Err(error.into()),
        };
        let Some(call) = read else {
            let conversation = whole.recording.conversation.to_string();
            return Ok(catalog.search_items(&conversation).await?);
        };
        calls.push(call);
    }
    Ok(catalog.items(&calls).await?)
}

/// Looks up all objects that the events of a recording name.
async fn target(
    conversation: ConversationId,
    custody: Custody,
    storage: &Storage,
    now: Timestamp,
) -> Result<Target, Error> {
    let key = &custody.recording;
    let Some(recording) = RecordingRef::of_key(conversation, key) else {
        return Err(refused(format!("{key} is no recording's id")));
    };
    if !custody.intact {
        return Err(refused(format!("the audit of {recording} is not whole")));
    }
    if custody.record.is_none() {
        let message = format!("the audit has events of {recording}, and the ledger has no record");
        return Err(refused(message));
    }
    let mut files: Vec<Doomed> = Vec::new();
    // A run that died may have made call records visible that no event names.
    let describing = custody.record.iter().flat_map(|record| &record.describing);
    let describing: Vec<_> = describing
        .map(|file| AuditEvent::new(Action::CallDescribed, State::Erased, &file.format).with_file(file))
        .collect();
    for event in custody.events.into_iter().chain(describing) {
        let place = event.archive_key().and_then(|key| ArchiveKey::parse(key).ok());
        let Some(place) = place.filter(|place| !files.iter().any(|file| file.place == *place)) else {
            continue;
        };
        let versions = storage.all_versions(&place).await?;
        for version in &versions {
            if let Some(why) = storage.obstacle(&place, version, now).await? {
                let message = format!("{place} cannot be deleted, so nothing was: {why}");
                return Err(Error::new(Kind::Service, message).remedy(
                    "a hold is released with aws s3api put-object-legal-hold; the mode COMPLIANCE ends by itself",
                ));
            }
        }
        files.push(Doomed {
            place,
            event,
            versions,
        });
    }
    Ok(Target {
        recording,
        record: custody.record,
        files,
    })
}

/// Says why the evidence has to be put right first.
fn refused(why: String) -> Error {
    Error::new(Kind::Service, format!("nothing was erased: {why}"))
        .remedy("archivectl verify CONVERSATION names what is wrong; restore both tables (point-in-time recovery), then erase")
}

/// Deletes what is planned. `reason` is kept in the audit, without addresses of people.
pub async fn erase(
    session: &Session,
    plan: Plan,
    reason: &str,
    listener: Listener<'_, Erased>,
) -> Result<Figures, Error> {
    let requester = session.requester("erase", &plan.conversation.to_string());
    let erasure = Erasure {
        ledger: session.ledger(),
        storage: session.storage(),
        actor: session.operator(Some(requester)).await,
        reason: crate::redact::people(reason),
        session,
    };
    let figures = plan.figures();
    let conversation = plan.conversation.to_string();
    listener.total(plan.targets.len() as u64);
    for target in &plan.targets {
        session.go_on()?;
        Box::pin(erasure.mark(target)).await?;
    }
    if let Some((catalog, items)) = plan.items {
        let deadline = session.deadline(PATIENCE);
        session
            .unless_interrupted(catalog.remove(items, &deadline))
            .await?;
    }
    for target in &plan.targets {
        for file in &target.files {
            session.go_on()?;
            Box::pin(erasure.delete(file)).await?;
            listener.item(Erased {
                interaction_id: conversation.clone(),
                recording_id: target.recording.recording_key(),
                archive_key: file.place.to_string(),
                versions: file.versions.len() as u64,
            });
        }
        listener.steps(1);
    }
    Ok(figures)
}

struct Erasure<'a> {
    session: &'a Session,
    ledger: Ledger,
    storage: Storage,
    actor: Actor,
    reason: String,
}

impl Erasure<'_> {
    /// Writes the events, and that nothing is archived of it again. One that is marked stays as it is.
    async fn mark(&self, target: &Target) -> Result<(), Error> {
        let record = target.record.as_ref();
        if record.is_some_and(Record::is_erased) {
            return Ok(());
        }
        let format = record.map_or("", |record| record.format.as_str());
        let event =
            AuditEvent::new(Action::ObjectErased, State::Erased, format).with("reason", self.reason.as_str());
        let mut events: Vec<_> = target
            .files
            .iter()
            .map(|file| event.clone().naming(&file.event))
            .collect();
        if events.is_empty() {
            events.push(event);
        }
        let deadline = self.session.deadline(PATIENCE);
        let writer = Writer {
            target: target.recording,
            actor: &self.actor,
            deadline: &deadline,
        };
        match self.ledger.erase(writer, record, &events).await? {
            Marking::Marked => Ok(()),
            Marking::Busy => {
                let message = format!("a run works on {}", target.recording);
                Err(Error::new(Kind::Service, message).remedy(
                    "wait until it ends, 15 minutes at most, and erase again: what is done stays done",
                ))
            }
        }
    }

    /// Deletes every version, and fails if one is left.
    async fn delete(&self, file: &Doomed) -> Result<(), Error> {
        for version in &file.versions {
            self.storage.delete_version(&file.place, version).await?;
        }
        match self.storage.all_versions(&file.place).await?.as_slice() {
            [] => Ok(()),
            left => {
                let message = format!(
                    "{} versions of {} came up while it was erased",
                    left.len(),
                    file.place
                );
                Err(Error::new(Kind::Service, message).remedy("erase again: what is done stays done"))
            }
        }
    }
}
