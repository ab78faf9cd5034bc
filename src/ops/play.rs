//! A call that somebody listens to: its files, range by range, and each held against the audit as a whole.

mod track;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Serialize;

use super::access::{Access, Accessor, Wanted, WantedFile};
use super::audit::{Audit, audit};
use super::finding::{Code, Finding};
use super::get::cold::{self, Restoring};
use super::log::Outside;
use super::{Error, Kind, Session, Verdict};
use crate::aws::storage::{Fetched, Shelf};
use crate::domain::call::CallRecord;
use crate::domain::recording::{ConversationId, ObjectKind, RecordingRef};
pub use track::{Check, Track};

/// What somebody wants to listen to.
#[derive(Debug, Clone)]
pub struct Request {
    /// The conversation.
    pub conversation: ConversationId,
    /// The recording, as ledger and audit spell it; `None`: all of the conversation.
    pub recording: Option<String>,
    /// Why.
    pub reason: String,
}

/// Calls that were open, in figures.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Conversations that were opened.
    pub conversations: u64,
    /// Recordings that were listened to.
    pub played: u64,
    /// Recordings of which a file was downloaded.
    pub downloaded: u64,
    /// Files whose SHA-256 was checked as a whole, and is that of the audit.
    pub checked: u64,
    /// Files that were listened to or downloaded, and whose SHA-256 was not checked as a whole before the end.
    pub unchecked: u64,
    /// Files that are being restored from cold storage.
    pub restoring: u64,
    /// Findings by kind.
    pub findings: BTreeMap<Code, u64>,
}

impl Figures {
    /// Counts findings.
    pub fn count(&mut self, findings: &[Finding]) {
        for finding in findings {
            *self.findings.entry(finding.code).or_default() += 1;
        }
    }

    /// Returns whether there are findings, somebody got what was not checked, or nobody listened.
    pub fn verdict(&self) -> Verdict {
        if !self.findings.is_empty() || self.unchecked > 0 {
            Verdict::Findings
        } else if self.played + self.downloaded == 0 {
            Verdict::Nothing
        } else {
            Verdict::Clean
        }
    }
}

/// A call that is open to be listened to.
#[derive(Debug)]
pub struct Call<'a> {
    accessor: Accessor<'a>,
    conversation: ConversationId,
    tracks: Vec<Arc<Track>>,
    findings: Vec<Finding>,
    /// The accesses that the audit has.
    told: tokio::sync::Mutex<Vec<(RecordingRef, Access)>>,
}

/// What is known of a call, beside its bytes.
#[derive(Debug)]
pub struct Described {
    /// Its custody.
    pub audit: Audit,
    /// Its call record.
    pub record: Option<CallRecord>,
    /// Why its call record cannot be shown.
    pub fault: Option<String>,
}

/// Opens a call. Reads none of its bytes.
pub async fn open<'a>(session: &'a Session, request: &Request) -> Result<Call<'a>, Error> {
    let (accessor, wanted, findings) = look(session, request).await?;
    let file = |recording: RecordingRef, file: WantedFile| {
        Arc::new(Track {
            recording,
            shelf: Mutex::new(file.shelf),
            file,
            state: Arc::default(),
        })
    };
    let tracks = wanted.into_iter().flat_map(|wanted| {
        let recording = wanted.recording;
        wanted.files.into_iter().map(move |one| file(recording, one))
    });
    Ok(Call {
        conversation: request.conversation,
        tracks: tracks.collect(),
        accessor,
        findings,
        told: tokio::sync::Mutex::default(),
    })
}

/// Asks S3 to restore what of a call lies in cold storage, and reports each file to `tell`; or says what that takes.
/// Without such a file, nothing is done; nor is, without `days`, where another file can be listened to now.
pub async fn restore(
    session: &Session,
    request: &Request,
    days: Option<u16>,
    tell: impl FnMut(Restoring),
) -> Result<(), Error> {
    let (accessor, wanted, _) = look(session, request).await?;
    let mut files = wanted.iter().flat_map(|wanted| &wanted.files);
    if days.is_none() && files.any(|file| file.shelf == Shelf::Ready) {
        return Ok(());
    }
    cold::restore(&accessor, &wanted, days, tell).await
}

async fn look<'a>(
    session: &'a Session,
    request: &Request,
) -> Result<(Accessor<'a>, Vec<Wanted>, Vec<Finding>), Error> {
    let accessor = Accessor::begin(session, "play", request.conversation, &request.reason).await?;
    let found = accessor.find(request.conversation, request.recording.as_deref());
    let (wanted, findings) = found.await?;
    Ok((accessor, wanted, findings))
}

impl Call<'_> {
    /// Returns its files.
    pub fn tracks(&self) -> &[Arc<Track>] {
        &self.tracks
    }

    /// Returns who listens: an ARN, by STS.
    pub fn identity(&self) -> &str {
        &self.accessor.identity
    }

    /// Returns why, as the audit keeps it.
    pub fn reason(&self) -> &str {
        &self.accessor.reason
    }

    /// Returns all findings so far.
    pub fn findings(&self) -> Vec<Finding> {
        let of_tracks = self.tracks.iter().flat_map(|track| {
            let findings = track.state.findings.lock();
            findings.unwrap_or_else(PoisonError::into_inner).clone()
        });
        self.findings.iter().cloned().chain(of_tracks).collect()
    }

    /// Adds what became of it to the figures.
    pub async fn count(&self, figures: &mut Figures) {
        let told = self.told.lock().await;
        let of = |access| told.iter().filter(|(_, other)| *other == access).count() as u64;
        let checked = self.tracks.iter().filter(|track| track.check() == Check::Matches);
        figures.conversations += 1;
        figures.played += of(Access::Played);
        figures.downloaded += of(Access::Downloaded);
        figures.checked += checked.count() as u64;
        let unchecked = self.tracks.iter().filter(|track| track.is_unchecked());
        figures.unchecked += unchecked.count() as u64;
        figures.count(&self.findings());
    }

    /// Reads what is known of it: where its files lie and its custody as they are now, and the last call record.
    pub async fn describe(&self) -> Result<Described, Error> {
        let session = self.accessor.session;
        for track in &self.tracks {
            session
                .unless_interrupted(track.look(&self.accessor.storage))
                .await?;
        }
        let audit = audit(session, self.conversation, &Outside::default(), false).await?;
        let whole = audit.custodies.iter().find(|custody| custody.recording == "-");
        let whole = whole.filter(|custody| custody.intact);
        let mut files = whole.map(|custody| custody.files()).unwrap_or_default();
        files.retain(|file| file.kind == ObjectKind::CallRecord);
        let (mut record, mut fault) = (None, None);
        if let Some(last) = files.pop() {
            let reading = self.accessor.storage.read_call(&last.archive_key, &last.sha256);
            match session.unless_interrupted(reading).await {
                Ok(Some(bytes)) => match CallRecord::read(&bytes) {
                    Ok(read) => record = Some(read),
                    Err(error) => fault = Some(format!("{} {error}", last.archive_key)),
                },
                Ok(None) => fault = Some(format!("{} is not there", last.archive_key)),
                Err(error) => fault = Some(error.to_string()),
            }
        }
        Ok(Described { audit, record, fault })
    }

    /// Writes down once that a recording is about to be accessed like this.
    async fn tell(&self, recording: RecordingRef, access: Access) -> Result<(), Error> {
        let mut told = self.told.lock().await;
        if told.contains(&(recording, access)) {
            return Ok(());
        }
        let of_recording = self.tracks.iter().filter(|track| track.recording == recording);
        let files: Vec<_> = of_recording.map(|track| &track.file).collect();
        self.accessor.record(recording, &files, access).await?;
        told.push((recording, access));
        Ok(())
    }

    /// Begins to read a file for somebody who listens, or the bytes of it from the first to the last of `range`, once
    /// the audit says so.
    pub async fn listen(&self, track: &Arc<Track>, range: Option<(u64, u64)>) -> Result<Reading, Error> {
        self.begin(track, Access::Played, range).await
    }

    /// Begins to read a file for somebody who keeps it, once the audit says so. Its last bytes come only if all of
    /// them are those that were archived.
    pub async fn download(&self, track: &Arc<Track>) -> Result<Reading, Error> {
        self.begin(track, Access::Downloaded, None).await
    }

    async fn begin(
        &self,
        track: &Arc<Track>,
        access: Access,
        range: Option<(u64, u64)>,
    ) -> Result<Reading, Error> {
        let begun = async {
            self.accessor
                .session
                .unless_interrupted(track.look(&self.accessor.storage))
                .await?;
            if let Some(wait) = track.wait() {
                return Err(Error::new(Kind::Usage, wait));
            }
            self.tell(track.recording, access).await?;
            let opening = track.open(&self.accessor.storage, range);
            self.accessor.session.unless_interrupted(opening).await
        };
        let fetched = begun.await.inspect_err(|error| {
            if track.check() == Check::Pending {
                track.state.set(Check::Failed(error.to_string()));
            }
        })?;
        track.state.heard.store(true, Ordering::Relaxed);
        Ok(Reading {
            track: track.clone(),
            fetched: Some(fetched),
            held: None,
            kept: access == Access::Downloaded,
        })
    }

    /// Reads all of a file, and holds it against the audit. Comes after [`Track::begin_check`].
    pub async fn check(&self, track: &Track) {
        let reading = track.read(&self.accessor.storage);
        let read = self.accessor.session.unless_interrupted(reading).await;
        if let (Err(error), Check::Running(_)) = (read, track.check()) {
            track.state.set(Check::Failed(error.to_string()));
        }
    }
}

/// The bytes of a file on their way.
#[derive(Debug)]
pub struct Reading {
    track: Arc<Track>,
    /// `None` at their end.
    fetched: Option<Fetched>,
    /// Bytes that wait for what comes after them.
    held: Option<Bytes>,
    /// Somebody keeps the file.
    kept: bool,
}

impl Reading {
    /// Returns the next bytes; `None` after the last ones.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(fetched) = &mut self.fetched else {
                return Ok(self.held.take());
            };
            let next = fetched.next().await.inspect_err(|error| {
                if self.track.check() == Check::Pending {
                    self.track.state.set(Check::Failed(error.to_string()));
                }
            })?;
            match next {
                Some(bytes) if !self.kept => return Ok(Some(bytes)),
                Some(bytes) => {
                    if let Some(before) = self.held.replace(bytes) {
                        return Ok(Some(before));
                    }
                }
                None => {
                    let all = self.fetched.take().filter(|_| self.kept);
                    if let Some(Err(error)) = all.map(|all| self.track.conclude(all)) {
                        self.held = None;
                        return Err(error);
                    }
                }
            }
        }
    }
}
