//! From the media host into the bucket: download, hash, send, verify, make visible.

use std::time::Duration;

use futures_util::{FutureExt as _, TryStreamExt as _};
use jiff::Timestamp;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::attempt::Attempt;
use crate::aws::storage::{ObjectFacts, Prepared, Published, Upload};
use crate::domain::audit::Action;
use crate::domain::bulk::LANE;
use crate::domain::digest::{Digest, Hashed};
use crate::domain::format::{FileType, file_type};
use crate::domain::key::KeyParts;
use crate::domain::record::State;
use crate::domain::recording::{ArchivedFile, ObjectKind};
use crate::error::{Error, ErrorKind};
use crate::genesys::{Listed, Media, Opened, Opening, Source};
use crate::retry::{Retry, Waits};

/// One file of which all bytes are in S3, checked and not visible.
struct Downloaded {
    prepared: Prepared,
    named: FileType,
    took: Duration,
}

/// The progress of one recording's transfer.
struct Progress<'a> {
    /// The files that are visible and verified.
    stored: Vec<ArchivedFile>,
    downloading: Duration,
    /// Tries of the file under way.
    retry: Retry<'a>,
}

impl<'a> Attempt<'a> {
    /// Transfers every file of the recording that is not in `visible` yet. A passing failure is retried with fresh
    /// URLs; asking for them has tries of its own. Returns all files of the recording, and how long the downloads took.
    pub(super) async fn transfer(
        &mut self,
        listed: &Listed,
        visible: Vec<ArchivedFile>,
    ) -> Result<(Vec<ArchivedFile>, Duration), Error> {
        let mut progress = Progress {
            stored: visible,
            downloading: Duration::ZERO,
            retry: Retry::new(self.archiver.policy, self.run.deadline),
        };
        loop {
            let (opened, _slot) = self.open(listed).await?;
            match self.transfer_files(listed, &opened, &mut progress).await {
                Ok(()) => return Ok((progress.stored, progress.downloading)),
                Err(error) if matches!(error.kind(), ErrorKind::Transient | ErrorKind::HashMismatch) => {
                    let (error_text, attempt) = (error.redacted(), progress.retry.attempt());
                    tracing::info!(error = error_text, attempt, "transfer failed");
                    progress.retry.wait(error, None).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks Genesys for the media, and for the right to transfer it. The first request starts the transcoding and is
    /// practically always answered "not yet", so it is repeated within the run, as long as `TRANSCODE_WAIT_SECONDS`
    /// allows; a recording that waits holds no slot.
    ///
    /// What a batch download gave has its slot already.
    async fn open(&mut self, listed: &Listed) -> Result<(Opened, Option<SemaphorePermit<'a>>), Error> {
        let (archiver, run) = (self.archiver, self.run);
        let limits = &archiver.config.limits;
        let mut waits = Waits::new(limits.transcode_first, limits.transcode_wait);
        loop {
            let slot = match listed.given {
                None => Some(run.deadline.in_time(archiver.slot()).await?),
                Some(_) => None,
            };
            let opening = archiver.genesys.open(run.job, listed, self.format, run.deadline);
            let after = match run.deadline.in_time(opening).await? {
                Opening::Ready(opened) => return Ok((opened, slot)),
                Opening::Transcoding { after } => after,
            };
            drop(slot);
            let wait = waits
                .take(after)
                .filter(|wait| *wait < run.deadline.working_time());
            let Some(wait) = wait else {
                self.lease.transcoding(archiver.clock.now());
                let message = format!("{} is still being transcoded", self.lease.target());
                return Err(Error::new(ErrorKind::NotReady { after }, message));
            };
            let waiting = tokio::time::sleep(wait).map(Ok);
            run.deadline.in_time(waiting).await?;
        }
    }

    /// Transfers the files one after another, as long as none fails.
    async fn transfer_files(
        &mut self,
        listed: &Listed,
        opened: &Opened,
        progress: &mut Progress<'_>,
    ) -> Result<(), Error> {
        if self.run.job.expected_sha256.is_some() && opened.sources.len() > 1 {
            let (target, count) = (self.lease.target(), opened.sources.len());
            let message = format!("the job's expectedSha256 is for one file, but {target} has {count}");
            return Err(Error::new(ErrorKind::MalformedJob, message));
        }
        let start = opened.start.or(listed.start).or(listed.end);
        // A file that an attempt with another RECORDING_CHANNELS made visible is not asked for now.
        let asked_for =
            |file: &ArchivedFile| opened.sources.iter().any(|source| source.channel == file.channel);
        progress.stored.retain(asked_for);
        for source in &opened.sources {
            if progress.stored.iter().any(|file| file.channel == source.channel) {
                continue;
            }
            let downloaded = self.download(source, start, &mut progress.retry).await?;
            progress.downloading += downloaded.took;
            let file = self.publish(downloaded, source, opened, &progress.stored).await?;
            progress.stored.push(file);
            progress.retry.progressed();
        }
        Ok(())
    }

    /// Streams one file into the bucket, short of making it visible, and checks its hash. Undoes the upload where that
    /// fails.
    async fn download(
        &self,
        source: &Source,
        start: Option<Timestamp>,
        retry: &mut Retry<'_>,
    ) -> Result<Downloaded, Error> {
        let begun = Instant::now();
        let deadline = self.run.deadline;
        let fetching = self.archiver.genesys.fetch(source, deadline, retry);
        let media = deadline.in_time(fetching).await?;
        let _slot = self.slot_of_batch(source, media.length).await?;
        let declared = media.content_type.as_deref();
        let named = file_type(source.format, source.media, &media.head, declared);
        let facts = self.facts(source, start, &named, &media.host);
        let mut upload = self.archiver.storage.upload(facts);
        let streamed = deadline.in_time(stream(media, &mut upload)).await;
        match streamed.and_then(|digest| self.expected(digest)) {
            Ok(digest) => Ok(Downloaded {
                prepared: upload.verified(digest),
                named,
                took: begun.elapsed(),
            }),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    /// Waits for the right to send a result of a batch download in parts. Results of up to one part take no more
    /// memory than that, so there are `BULK_CONCURRENCY` of them at a time; longer ones count like all others.
    async fn slot_of_batch(
        &self,
        source: &Source,
        length: Option<u64>,
    ) -> Result<Option<SemaphorePermit<'a>>, Error> {
        let part = self.archiver.config.storage.part_size as u64;
        let short = length.is_some_and(|length| length <= part);
        if !source.batch || short {
            return Ok(None);
        }
        let waiting = self.archiver.slot();
        self.run.deadline.in_time(waiting).await.map(Some)
    }

    /// Returns what the object of a file says of itself.
    fn facts(
        &self,
        source: &Source,
        start: Option<Timestamp>,
        named: &FileType,
        media_host: &str,
    ) -> ObjectFacts {
        let config = &self.archiver.config;
        let now = self.archiver.clock.now();
        let started = start.unwrap_or(self.run.since);
        let parts = KeyParts {
            recording: self.lease.target(),
            channel: source.channel,
            extension: named.extension,
            start: started,
            region: &config.genesys.region,
        };
        ObjectFacts {
            key: config.storage.key_template.key(parts),
            of: self.lease.target(),
            attempt: self.lease.attempt(),
            content_type: named.content_type.clone(),
            media_host: media_host.to_owned(),
            lane: source.batch.then_some(LANE),
            started,
            archived_at: now,
            kind: ObjectKind::Recording,
        }
    }

    /// Compares the hash of a file with the one that the job expects, if it expects one.
    fn expected(&self, digest: Digest) -> Result<Digest, Error> {
        match &self.run.job.expected_sha256 {
            Some(expected) if *expected != digest.hex() => {
                let (target, found) = (self.lease.target(), digest.hex());
                let message = format!("{target} has SHA-256 {found}, not the expected {expected}");
                Err(Error::new(ErrorKind::HashMismatch, message))
            }
            Some(_) | None => Ok(digest),
        }
    }

    /// Records which file is about to appear, then makes it visible.
    async fn publish(
        &mut self,
        downloaded: Downloaded,
        source: &Source,
        opened: &Opened,
        stored: &[ArchivedFile],
    ) -> Result<ArchivedFile, Error> {
        let Downloaded {
            prepared,
            named,
            took,
        } = downloaded;
        let file = ArchivedFile {
            part: source.part,
            part_name: source.part_name.clone(),
            format_found: named.format_found.map(ToOwned::to_owned),
            ..prepared.file(source.channel, self.format)
        };
        let mut notes = opened.notes.clone();
        if let Some(sent) = &named.content_type_sent {
            notes.insert("contentType".to_owned(), crate::redact::clip(sent).into());
        }
        let entry = self
            .entry(Action::DownloadCompleted, State::Storing)
            .with_file(&file)
            .with_latency(took)
            .with_genesys(notes);
        if let Some(annotations) = &opened.annotations {
            self.lease.annotate(annotations);
        }
        let files = [stored, std::slice::from_ref(&file)].concat();
        let channels = opened.sources.iter().map(|source| source.channel).collect();
        let ledger = &self.archiver.ledger;
        if let Err(error) = ledger.storing(&mut self.lease, files, channels, &entry).await {
            prepared.abort().await;
            return Err(error);
        }
        let error = match prepared.publish(self.run.deadline).await {
            Ok(Published::Visible(answer)) => return Ok(file.answered(answer)),
            Ok(Published::Occupied) => {
                let key = &file.archive_key;
                let message = format!("{key} holds an object that this archiver did not write; it was kept");
                Error::new(ErrorKind::ForeignObject, message)
            }
            Err(error) => error,
        };
        // Or only the answer was lost, or a former attempt's object lies there.
        let visible = self.run.deadline.in_time(self.find_ours(&file)).await?;
        visible.ok_or(error)
    }

    /// Returns the file whose object lies under the key of `file`: this attempt's or a former one's.
    async fn find_ours(&self, file: &ArchivedFile) -> Result<Option<ArchivedFile>, Error> {
        let former = self.lease.record().former_files.iter();
        let same_place = former.filter(|old| old.archive_key == file.archive_key);
        for candidate in std::iter::once(file).chain(same_place) {
            if let Some(answer) = self.archiver.storage.find(candidate).await? {
                return Ok(Some(candidate.clone().answered(answer)));
            }
        }
        Ok(None)
    }

    /// Returns the files that former attempts made visible before they died.
    pub(super) async fn adopt_former(&self) -> Result<Vec<ArchivedFile>, Error> {
        let mut adopted: Vec<ArchivedFile> = Vec::new();
        for file in &self.lease.record().former_files {
            let known = adopted.iter().any(|other| other.archive_key == file.archive_key);
            if known {
                continue;
            }
            if let Some(answer) = self.archiver.storage.find(file).await? {
                tracing::info!(archive_key = %file.archive_key, "adopted what a former run stored");
                adopted.push(file.clone().answered(answer));
            }
        }
        Ok(adopted)
    }
}

/// Hashes every byte and passes it on to the bucket: the one data path.
async fn stream(media: Media<'_>, upload: &mut Upload) -> Result<Digest, Error> {
    let mut hashed = Hashed::new(media.into_stream());
    while let Some(chunk) = hashed.try_next().await? {
        upload.write(chunk).await?;
    }
    upload.finish().await?;
    Ok(hashed.finish())
}
