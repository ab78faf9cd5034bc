//! From the media host into the bucket: download, hash, send, verify, make visible.

use std::time::Duration;

use futures_util::{FutureExt as _, TryStreamExt as _};
use jiff::Timestamp;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::{Archiver, Run};
use crate::aws::ledger::Lease;
use crate::aws::storage::parts::PartBuffer;
use crate::aws::storage::{ObjectFacts, Prepared, Published, Upload};
use crate::domain::audit::Action;
use crate::domain::digest::{Digest, Hashed};
use crate::domain::format::{FileType, file_type};
use crate::domain::key::KeyParts;
use crate::domain::record::State;
use crate::domain::recording::{ArchivedFile, RecordingRef};
use crate::error::{Error, ErrorKind};
use crate::genesys::{Listed, Media, Opened, Opening, Source};
use crate::retry::{Retry, Waits};

/// One file on its way: all of its bytes are in S3, and not visible.
struct Downloaded {
    prepared: Prepared,
    named: FileType,
    took: Duration,
}

/// How far the transfer of one recording got.
struct Progress<'a> {
    /// What is visible and verified.
    stored: Vec<ArchivedFile>,
    downloading: Duration,
    /// Tries of the file under way.
    retry: Retry<'a>,
}

impl Archiver {
    /// Transfers every file of the recording that is not in `visible` yet. Whatever may be better next time is tried
    /// again, each time with fresh URLs; asking for them has tries of its own. Gives all files of the recording, and
    /// how long the downloads took.
    pub(super) async fn transfer_all(
        &self,
        run: Run<'_>,
        of: RecordingRef,
        lease: &mut Lease,
        listed: &Listed,
        visible: Vec<ArchivedFile>,
    ) -> Result<(Vec<ArchivedFile>, Duration), Error> {
        let mut progress = Progress {
            stored: visible,
            downloading: Duration::ZERO,
            retry: Retry::new(self.policy, run.deadline),
        };
        loop {
            let (opened, _slot) = self.open(run, lease, listed).await?;
            let tried = self
                .try_transfer_all(run, of, lease, listed, &opened, &mut progress)
                .await;
            match tried {
                Ok(()) => return Ok((progress.stored, progress.downloading)),
                Err(error) if matches!(error.kind(), ErrorKind::Transient | ErrorKind::HashMismatch) => {
                    tracing::info!(error = %error, attempt = progress.retry.attempt(), "transfer failed");
                    progress.retry.wait(error, None).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks Genesys for the media, and for the right to transfer it. The first request starts the transcoding and is
    /// practically always answered "not yet", so it is asked again within the run, as long as `TRANSCODE_WAIT_SECONDS`
    /// allows; a recording that waits holds no slot.
    async fn open(
        &self,
        run: Run<'_>,
        lease: &mut Lease,
        listed: &Listed,
    ) -> Result<(Opened, SemaphorePermit<'_>), Error> {
        let limits = &self.config.limits;
        let mut waits = Waits::new(limits.transcode_first, limits.transcode_wait);
        loop {
            let slot = self.in_time(run, self.slot()).await?;
            let opening = self.genesys.open(run.job, listed, self.format(run), run.deadline);
            let after = match self.in_time(run, opening).await? {
                Opening::Ready(opened) => return Ok((opened, slot)),
                Opening::Transcoding { after } => after,
            };
            drop(slot);
            let wait = waits
                .take(after)
                .filter(|wait| *wait < run.deadline.working_time());
            let Some(wait) = wait else {
                lease.transcoding(self.clock.now());
                let message = format!("{} is still being transcoded", lease.of());
                return Err(Error::new(ErrorKind::NotReady { after }, message));
            };
            let waiting = tokio::time::sleep(wait).map(Ok);
            self.in_time(run, waiting).await?;
        }
    }

    async fn try_transfer_all(
        &self,
        run: Run<'_>,
        of: RecordingRef,
        lease: &mut Lease,
        listed: &Listed,
        opened: &Opened,
        progress: &mut Progress<'_>,
    ) -> Result<(), Error> {
        if run.job.expected_sha256.is_some() && opened.sources.len() > 1 {
            let message = format!(
                "the job's expectedSha256 is for one file, but {of} has {}",
                opened.sources.len()
            );
            return Err(Error::new(ErrorKind::MalformedJob, message));
        }
        let start = opened.start.or(listed.start).or(listed.end);
        // What an attempt with another RECORDING_CHANNELS made visible is no part of what is asked for now.
        let asked_for =
            |file: &ArchivedFile| opened.sources.iter().any(|source| source.channel == file.channel);
        progress.stored.retain(asked_for);
        for source in &opened.sources {
            if progress.stored.iter().any(|file| file.channel == source.channel) {
                continue;
            }
            let begun = Instant::now();
            let (prepared, named) = self
                .download(run, of, lease, start, source, &mut progress.retry)
                .await?;
            let downloaded = Downloaded {
                prepared,
                named,
                took: begun.elapsed(),
            };
            progress.downloading += downloaded.took;
            let file = self
                .make_visible(run, lease, downloaded, &progress.stored, source, opened)
                .await?;
            progress.stored.push(file);
            progress.retry.progressed();
        }
        Ok(())
    }

    /// Streams one file into the bucket, short of making it visible, and checks its hash. On every way out that is
    /// not a success, whatever was sent is undone.
    async fn download(
        &self,
        run: Run<'_>,
        of: RecordingRef,
        lease: &Lease,
        start: Option<Timestamp>,
        source: &Source,
        retry: &mut Retry<'_>,
    ) -> Result<(Prepared, FileType), Error> {
        let media = self
            .in_time(run, self.genesys.fetch(source, run.deadline, retry))
            .await?;
        let declared = media.content_type.as_deref();
        let named = file_type(source.format, source.media, &media.head, declared);
        let now = self.clock.now();
        let parts = KeyParts {
            recording: of,
            channel: source.channel,
            extension: named.extension,
            start: start.or(run.job.first_seen).unwrap_or(now),
            region: &self.config.genesys.region,
        };
        let mut upload = self.storage.upload(ObjectFacts {
            key: self.config.storage.key_template.key(parts),
            of,
            attempt: lease.attempt(),
            content_type: named.content_type.clone(),
            media_host: media.host.clone(),
            archived_at: now,
        });
        let streamed = self
            .in_time(run, stream(media, &mut upload, self.config.storage.part_size))
            .await;
        let checked = streamed.and_then(|digest| match &run.job.expected_sha256 {
            Some(expected) if *expected != digest.hex() => {
                let message = format!("{of} has SHA-256 {}, not the expected {expected}", digest.hex());
                Err(Error::new(ErrorKind::HashMismatch, message))
            }
            _ => Ok(digest),
        });
        match checked {
            Ok(digest) => Ok((upload.verified(digest), named)),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    /// Writes down what is about to appear, then lets it appear.
    async fn make_visible(
        &self,
        run: Run<'_>,
        lease: &mut Lease,
        downloaded: Downloaded,
        stored: &[ArchivedFile],
        source: &Source,
        opened: &Opened,
    ) -> Result<ArchivedFile, Error> {
        let Downloaded {
            mut prepared,
            named,
            took,
        } = downloaded;
        let file = ArchivedFile {
            part: source.part,
            part_name: source.part_name.clone(),
            format_found: named.format_found.map(ToOwned::to_owned),
            ..prepared.file(source.channel, self.format(run))
        };
        let mut told = opened.notes.clone();
        if let Some(sent) = &named.content_type_sent {
            told.insert("contentType".to_owned(), crate::redact::clip(sent).into());
        }
        if let Some(annotations) = &opened.annotations {
            lease.annotate(annotations);
        }
        let mut files = stored.to_vec();
        files.push(file.clone());
        let entry = self
            .entry(run, Action::DownloadCompleted, State::Storing)
            .with_file(&file)
            .with_latency(took)
            .with_genesys(told);
        let channels = opened.sources.iter().map(|source| source.channel).collect();
        if let Err(error) = self
            .ledger
            .storing(lease, files, channels, &entry, run.deadline)
            .await
        {
            prepared.abort().await;
            return Err(error);
        }
        let error = match self.in_time(run, prepared.publish()).await {
            Ok(Published::Visible) => return Ok(file),
            Ok(Published::Occupied) => {
                let message = format!(
                    "{} holds an object that this archiver did not write; it was kept",
                    file.archive_key
                );
                Error::new(ErrorKind::ForeignObject, message)
            }
            Err(error) => error,
        };
        // Or only the answer was lost, or a former attempt's object lies there. What was completed cannot be aborted
        // any more, and what is aborted cannot be completed: after this, looking once is enough.
        prepared.abort().await;
        let former = &lease.record().former_files;
        let visible = self.in_time(run, self.find_ours(&file, former)).await?;
        visible.ok_or(error)
    }

    /// Which of our own attempts' objects lies under the key, if any does.
    async fn find_ours(
        &self,
        file: &ArchivedFile,
        former: &[ArchivedFile],
    ) -> Result<Option<ArchivedFile>, Error> {
        let same_place = former.iter().filter(|old| old.archive_key == file.archive_key);
        for candidate in std::iter::once(file).chain(same_place) {
            if self.storage.holds(candidate).await? {
                return Ok(Some(candidate.clone()));
            }
        }
        Ok(None)
    }

    /// What former attempts made visible before they died, found in S3 and taken over.
    pub(super) async fn adopt_former(&self, lease: &Lease) -> Result<Vec<ArchivedFile>, Error> {
        let mut adopted: Vec<ArchivedFile> = Vec::new();
        for file in &lease.record().former_files {
            let known = adopted.iter().any(|other| other.archive_key == file.archive_key);
            if !known && self.storage.holds(file).await? {
                tracing::info!(archive_key = file.archive_key, "adopted what a former run stored");
                adopted.push(file.clone());
            }
        }
        Ok(adopted)
    }
}

/// The one data path: every byte is hashed, cut into parts and sent. Memory: `UPLOAD_CONCURRENCY` parts in flight, and
/// one that is being filled or waits for its turn.
async fn stream(media: Media<'_>, upload: &mut Upload, part_size: usize) -> Result<Digest, Error> {
    let mut hashed = Hashed::new(media.into_stream());
    let mut buffer = PartBuffer::new(part_size);
    while let Some(mut chunk) = hashed.try_next().await? {
        while !chunk.is_empty() {
            if let Some(part) = buffer.take_from(&mut chunk)
                && let Some(sent) = upload.put_part(part).await?
            {
                buffer.reuse(sent);
            }
        }
    }
    upload.prepare(buffer.finish()).await?;
    Ok(hashed.finish())
}
