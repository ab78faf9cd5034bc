//! One file on its way into the bucket: held back, or sent in parts; made visible, or undone.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::object::{Object, Published};
use super::parts::{MAX_PARTS, Part, PartBuffer, SentPart, SentParts};
use super::{ObjectFacts, Storage, crc_base64};
use crate::clock::Deadline;
use crate::domain::digest::Digest;
use crate::domain::format::Format;
use crate::domain::recording::ArchivedFile;
use crate::error::{Error, ErrorKind};

/// One file on its way into the bucket. Ends in [`Prepared::publish`] or in [`Upload::abort`].
#[derive(Debug)]
pub struct Upload {
    object: Arc<Object>,
    buffer: PartBuffer,
    state: State,
}

/// The part of a file that was sent so far.
#[derive(Debug)]
enum State {
    /// Nothing. The first full part is held back, as it may be all there is.
    Held(Part),
    /// Parts of a multipart upload, which is open.
    Parts(Multipart),
}

impl Default for State {
    fn default() -> Self {
        Self::Held(Part::default())
    }
}

/// An open multipart upload.
#[derive(Debug)]
struct Multipart {
    id: Arc<str>,
    sending: JoinSet<Result<(SentPart, Bytes), Error>>,
    parts: SentParts,
}

/// Counts an upload that ended without `publish` or `abort`, as a panic, an abort that hangs or a refused one make it.
/// The bucket's lifecycle rule removes its parts.
impl Drop for Upload {
    fn drop(&mut self) {
        if let State::Parts(_) = self.state {
            self.object.storage.counters.abort_failures.add_one();
            tracing::warn!(
                key = self.object.facts.key,
                "a multipart upload is left to the lifecycle rule"
            );
        }
    }
}

/// A file whose bytes are verified, and in S3 or at hand. The object is not visible yet.
#[derive(Debug)]
pub struct Prepared {
    upload: Upload,
    digest: Digest,
    /// CRC64NVME of the whole, in base64, if it was sent in parts.
    crc64nvme: Option<String>,
}

impl Upload {
    pub(super) fn new(storage: Storage, facts: ObjectFacts) -> Self {
        Self {
            buffer: PartBuffer::new(storage.config.part_size),
            object: Arc::new(Object { storage, facts }),
            state: State::default(),
        }
    }

    /// Takes the next bytes of the file. A part is sent once it is full, and once fewer than `UPLOAD_CONCURRENCY` are
    /// in flight. In memory are those, and the one that is being filled or waits for its turn.
    pub async fn write(&mut self, mut chunk: Bytes) -> Result<(), Error> {
        while !chunk.is_empty() {
            if let Some(part) = self.buffer.take_from(&mut chunk) {
                self.send(part).await?;
            }
        }
        Ok(())
    }

    /// Sends the rest and waits until S3 has every part, short of making the object visible.
    pub async fn finish(&mut self) -> Result<(), Error> {
        let rest = self.buffer.rest();
        if !rest.bytes.is_empty() {
            self.send(rest).await?;
        }
        match &mut self.state {
            State::Held(_) => Ok(()),
            State::Parts(multipart) => multipart.wait_for_all().await,
        }
    }

    /// Declares the bytes right, now that their digest is known.
    pub fn verified(self, digest: Digest) -> Prepared {
        let crc64nvme = match &self.state {
            State::Held(_) => None,
            State::Parts(multipart) => Some(crc_base64(multipart.parts.crc64nvme())),
        };
        Prepared {
            upload: self,
            digest,
            crc64nvme,
        }
    }

    /// Undoes the upload.
    pub async fn abort(mut self) {
        let State::Parts(multipart) = &mut self.state else {
            return;
        };
        // Parts still in flight would be kept, and paid for, after the abort.
        multipart.sending.shutdown().await;
        match self.object.abort(&multipart.id).await {
            Ok(()) => self.state = State::default(),
            Err(error) => {
                let (key, error) = (&self.object.facts.key, error.redacted());
                tracing::warn!(key, error, "a multipart upload could not be aborted");
            }
        }
    }

    /// Sends a part, or holds it back if it is the first one. The second one opens the multipart upload.
    async fn send(&mut self, part: Part) -> Result<(), Error> {
        loop {
            match &mut self.state {
                State::Held(held) if held.bytes.is_empty() => {
                    *held = part;
                    return Ok(());
                }
                State::Held(held) => {
                    let first = std::mem::take(held);
                    let mut multipart = Multipart::new(self.object.create().await?);
                    multipart.begin(&self.object, first);
                    self.state = State::Parts(multipart);
                }
                State::Parts(multipart) => {
                    if let Some(sent) = multipart.send(&self.object, part).await? {
                        self.buffer.reuse(sent);
                    }
                    return Ok(());
                }
            }
        }
    }
}

impl Multipart {
    fn new(id: String) -> Self {
        Self {
            id: id.into(),
            sending: JoinSet::new(),
            parts: SentParts::default(),
        }
    }

    /// Sends a part as soon as fewer than `UPLOAD_CONCURRENCY` are in flight. Returns the memory of a part that ended
    /// for that, if one had to.
    async fn send(&mut self, object: &Arc<Object>, part: Part) -> Result<Option<Bytes>, Error> {
        let config = &object.storage.config;
        if self.parts.begun() == MAX_PARTS {
            let longest = MAX_PARTS * config.part_size / (1024 * 1024 * 1024);
            let message = format!("the recording is longer than {longest} GiB; raise UPLOAD_PART_SIZE_MIB");
            return Err(Error::new(ErrorKind::Rejected, message));
        }
        let mut sent = None;
        while self.sending.len() >= config.concurrency.get() {
            sent = self.wait_for_one().await?;
        }
        self.begin(object, part);
        Ok(sent)
    }

    fn begin(&mut self, object: &Arc<Object>, part: Part) {
        let (object, id, number) = (object.clone(), self.id.clone(), self.parts.begin());
        let sending = async move { object.send_part(&id, number, part).await };
        self.sending.spawn(sending.in_current_span());
    }

    async fn wait_for_all(&mut self) -> Result<(), Error> {
        while !self.sending.is_empty() {
            self.wait_for_one().await?;
        }
        Ok(())
    }

    async fn wait_for_one(&mut self) -> Result<Option<Bytes>, Error> {
        match self.sending.join_next().await {
            None => Ok(None),
            Some(Ok(sent)) => {
                let (part, bytes) = sent?;
                self.parts.add(part);
                Ok(Some(bytes))
            }
            Some(Err(panic)) => Err(Error::new(ErrorKind::Panic, "sending a part panicked").caused_by(panic)),
        }
    }
}

impl Prepared {
    /// Returns the file as ledger and audit name it.
    pub fn file(&self, channel: Option<u32>, format: Format) -> ArchivedFile {
        let Object { storage, facts } = &*self.upload.object;
        let stored_as = storage.config.stored_as(facts, self.crc64nvme.is_some());
        ArchivedFile {
            archive_key: storage.archive_key(&facts.key),
            sha256: self.digest.hex(),
            size_bytes: self.digest.size,
            format: format.as_str().to_owned(),
            attempt_id: facts.attempt,
            channel,
            part: None,
            part_name: None,
            format_found: None,
            crc64nvme: self.crc64nvme.clone(),
            media_host: Some(facts.media_host.clone()).filter(|host| !host.is_empty()),
            stored_as: Some(stored_as),
        }
    }

    /// Undoes the upload.
    pub async fn abort(self) {
        self.upload.abort().await;
    }

    /// Makes the object visible, or undoes the upload. After an error nothing is known: only the answer may be lost,
    /// and [`Storage::find`] says whether the object is there. What was completed cannot be aborted any more, and what
    /// is aborted cannot be completed, so looking once is enough.
    pub async fn publish(mut self, deadline: &Deadline) -> Result<Published, Error> {
        let published = deadline.in_time(self.make_visible()).await;
        if let Ok(Published::Visible(_)) = published {
            self.upload.state = State::default();
        }
        self.upload.abort().await;
        published
    }

    async fn make_visible(&self) -> Result<Published, Error> {
        let object = &self.upload.object;
        match &self.upload.state {
            State::Held(part) => object.put(part.bytes.clone(), &self.digest).await,
            State::Parts(Multipart { id, parts, .. }) => {
                parts.review(self.digest.size)?;
                let crc64nvme = self.crc64nvme.clone();
                object.complete(id, parts, crc64nvme, self.digest.size).await
            }
        }
    }
}
