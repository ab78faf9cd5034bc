//! Gets recordings out of the archive: into files, each held against the audit, and with a receipt beside it.

pub(super) mod cold;
pub(super) mod target;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::access::{Access, Accessor, Wanted, WantedFile, difference, missing};
use super::finding::{Code, Finding};
use super::{Ended, Error, Kind, Listener, Session, Verdict};
use crate::aws::storage::{Got, Shelf};
use crate::domain::audit::AuditEvent;
use crate::domain::digest::Digest;
use crate::domain::recording::{ConversationId, RecordingRef};
use crate::ops::files::{self, Partial};
pub use cold::Restoring;
use target::Targets;

/// Name and version of the receipt's form.
const SCHEMA: &str = "recording-archiver.receipt/1";

/// Number of times that a file is read while its reading breaks off.
const TRIES: usize = 3;

/// What somebody wants out of the archive.
#[derive(Debug)]
pub struct Request {
    /// The conversation.
    pub conversation: ConversationId,
    /// The recording, as ledger and audit spell it; `None`: all of the conversation.
    pub recording: Option<String>,
    /// Why.
    pub reason: String,
    /// A file, or a folder; `None`: the current folder.
    pub output: Option<PathBuf>,
    /// Ask S3 to restore what lies in cold storage, for so many days.
    pub restore: Option<u16>,
}

/// A result on the way.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Item {
    /// A file was written.
    Written(Box<Written>),
    /// A file in cold storage is being restored.
    Restoring(Restoring),
    /// A fault.
    Finding(Finding),
}

/// A file that was written, with its receipt.
#[derive(Debug, Serialize)]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// The receipt beside it.
    #[serde(flatten)]
    pub receipt: Receipt,
}

/// What a file is, where it came from, and who got it out of the archive, why and when: JSON beside the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    schema: &'static str,
    /// The name of the file.
    pub file: String,
    /// The conversation.
    pub interaction_id: String,
    /// The recording as ledger and audit spell it.
    pub recording_id: String,
    /// Its channel, for a recording with a file for each.
    pub channel: Option<u64>,
    /// Its number among consecutive files.
    pub part: Option<u64>,
    /// `s3://bucket/key`.
    pub archive_key: String,
    /// The version that was read; null where the bucket keeps none.
    pub version_id: Option<String>,
    /// SHA-256 of the bytes, which is that of the audit.
    pub sha256: String,
    /// Number of the bytes.
    pub size_bytes: u64,
    /// When they were read, by the clock of this machine.
    pub read_at: Timestamp,
    /// Who read them: an ARN, by STS.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The event of the access.
    pub event_id: String,
    /// Its hash.
    pub event_hash: String,
    /// Version and build of this program.
    pub tool: String,
}

/// What became of it, in figures.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// The conversation.
    pub interaction_id: String,
    /// Recordings whose files were looked up.
    pub recordings: u64,
    /// Files that were written.
    pub files: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Files that are being restored from cold storage.
    pub restoring: u64,
    /// Findings by kind.
    pub findings: BTreeMap<Code, u64>,
}

impl Figures {
    /// Returns whether there are findings, or no file was written.
    pub fn verdict(&self) -> Verdict {
        if !self.findings.is_empty() {
            Verdict::Findings
        } else if self.files == 0 {
            Verdict::Nothing
        } else {
            Verdict::Clean
        }
    }
}

/// Gets recordings out of the archive. Where a file lies in cold storage, none is read.
pub async fn get(session: &Session, request: Request, listener: Listener<'_, Item>) -> Ended<Figures> {
    let mut get = Get {
        listener,
        figures: Figures {
            interaction_id: request.conversation.to_string(),
            ..Figures::default()
        },
    };
    let end = Box::pin(get.all(session, &request)).await;
    Ended {
        figures: get.figures,
        end,
    }
}

struct Get<'a> {
    listener: Listener<'a, Item>,
    figures: Figures,
}

impl Get<'_> {
    async fn all(&mut self, session: &Session, request: &Request) -> Result<(), Error> {
        let conversation = request.conversation;
        let accessor = Accessor::begin(session, "get", conversation, &request.reason).await?;
        let found = accessor.find(conversation, request.recording.as_deref()).await?;
        let (wanted, findings) = found;
        self.figures.recordings = wanted.len() as u64;
        findings.into_iter().for_each(|finding| self.found(finding));
        let files = || wanted.iter().flat_map(|wanted| &wanted.files);
        if files().any(|file| file.shelf != Shelf::Ready) {
            let restoring = &mut self.figures.restoring;
            let tell = |file| {
                *restoring += 1;
                self.listener.item(Item::Restoring(file));
            };
            return cold::restore(&accessor, &wanted, request.restore, tell).await;
        }
        let targets = Targets::of(&wanted, request.output.as_deref())?;
        self.listener.total(files().count() as u64);
        for Wanted { recording, files } in &wanted {
            let files: Vec<_> = files.iter().collect();
            if files.is_empty() {
                continue;
            }
            session.go_on()?;
            let event = accessor.record(*recording, &files, Access::Downloaded).await?;
            for file in files {
                session.go_on()?;
                self.file(&Order {
                    accessor: &accessor,
                    recording: *recording,
                    target: targets.path(*recording, file),
                    file,
                    event: &event,
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Reads a file, holds it against the audit, and gives it its name only if it is the one that was archived.
    async fn file(&mut self, order: &Order<'_>) -> Result<(), Error> {
        let target = &order.target;
        let mut partial = Partial::begin(target).map_err(|error| not_written(target, &error))?;
        let reading = order.read(&mut partial, self.listener, self.figures.bytes);
        let Some((digest, version_id)) = order.accessor.session.unless_interrupted(reading).await? else {
            self.found(order.missing());
            return Ok(());
        };
        if let Some((code, detail)) = difference(order.file, digest) {
            self.found(Finding {
                code,
                detail: detail + "; the file was not kept",
                ..order.missing()
            });
            return Ok(());
        }
        let receipt = order.receipt(version_id);
        // Keys are texts, and numbers whole.
        let mut json = serde_json::to_vec_pretty(&receipt).unwrap_or_default();
        json.push(b'\n');
        partial.publish().map_err(|error| not_written(target, &error))?;
        let beside = target::receipt_of(target);
        files::create(&beside, &json).map_err(|error| not_written(&beside, &error))?;
        self.figures.files += 1;
        self.figures.bytes += digest.size;
        self.listener.steps(1);
        self.listener.item(Item::Written(Box::new(Written {
            path: target.clone(),
            receipt,
        })));
        Ok(())
    }

    fn found(&mut self, finding: Finding) {
        *self.figures.findings.entry(finding.code).or_default() += 1;
        self.listener.item(Item::Finding(finding));
    }
}

/// A file that is to be got, once the audit says so.
struct Order<'a> {
    accessor: &'a Accessor<'a>,
    recording: RecordingRef,
    file: &'a WantedFile,
    /// The event of the access.
    event: &'a AuditEvent,
    target: PathBuf,
}

impl Order<'_> {
    /// Makes the finding that the object is not there.
    fn missing(&self) -> Finding {
        let recording = self.recording.recording_key();
        missing(self.recording.conversation, &recording, self.file)
    }

    /// Reads the object into a file, again from its beginning while its reading breaks off. Returns digest and version;
    /// `None` if there is no such object.
    async fn read(
        &self,
        partial: &mut Partial,
        listener: Listener<'_, Item>,
        before: u64,
    ) -> Result<Option<(Digest, Option<String>)>, Error> {
        let (place, version) = (&self.file.stored.archive_key, self.file.version_id());
        let failed = |error: std::io::Error| not_written(&self.target, &error);
        let mut tries = 1;
        'again: loop {
            partial.restart().map_err(failed)?;
            let found = self.accessor.storage.fetch(place, version, None, None).await?;
            let Got::Bytes(mut fetched) = found else {
                return Ok(None);
            };
            let mut count = 0;
            loop {
                match fetched.next().await {
                    Ok(Some(bytes)) => {
                        partial.write(&bytes).map_err(failed)?;
                        count += bytes.len() as u64;
                        listener.bytes(before + count);
                    }
                    Ok(None) => {
                        let version = fetched.version_id.clone();
                        return Ok(Some((fetched.finish(), version)));
                    }
                    Err(_) if tries < TRIES => {
                        tries += 1;
                        continue 'again;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }

    fn receipt(&self, version_id: Option<String>) -> Receipt {
        let text = |name: &str| self.event.text(name).unwrap_or_default().to_owned();
        let stored = &self.file.stored;
        let name = self.target.file_name().unwrap_or_default();
        Receipt {
            schema: SCHEMA,
            file: name.to_string_lossy().into_owned(),
            interaction_id: self.recording.conversation.to_string(),
            recording_id: self.recording.recording_key(),
            channel: stored.channel,
            part: stored.part,
            archive_key: stored.archive_key.to_string(),
            version_id,
            sha256: stored.sha256.clone(),
            size_bytes: stored.size_bytes,
            read_at: self.accessor.session.now(),
            by: self.accessor.identity.clone(),
            reason: self.accessor.reason.clone(),
            event_id: text("eventId"),
            event_hash: text("eventHash"),
            tool: concat!(
                "archivectl ",
                env!("CARGO_PKG_VERSION"),
                " (",
                env!("ARCHIVER_BUILD"),
                ")"
            )
            .to_owned(),
        }
    }
}

/// Makes the error of a file that cannot be written.
fn not_written(path: &Path, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return target::there_already(path);
    }
    let message = format!("{} cannot be written: {error}", path.display());
    Error::new(Kind::File, message).remedy("name a folder where you may write and that has room: --output")
}
