//! A media file and how it is delivered; everything can be changed while the simulator runs.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::content::{CHUNK, Content};
use super::format::Format;
use super::wav;

/// One media file; clones are handles to the same file.
#[derive(Debug, Clone)]
pub struct Media(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    content: Content,
    tag: Uuid,
    delivery: Delivery,
    script: VecDeque<Mishap>,
    always: Mishap,
    requests: usize,
}

/// The delivery of a file by its host. Nothing of this is documented for Genesys; the default is what a
/// CDN over S3 does (docs/genesys.md, "Media").
#[derive(Debug, Clone)]
pub struct Delivery {
    /// True where `Range` and `If-Range` are honoured. Otherwise every answer is the whole file.
    pub ranges: bool,
    /// The entity tag of this version of the file.
    pub etag: Etag,
    /// The length that the answer announces.
    pub length: Length,
    /// Instead of the content type of the format.
    pub content_type: Option<String>,
    /// The file is delivered as it is, whatever format was asked for.
    pub as_it_is: bool,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            ranges: true,
            etag: Etag::Strong,
            length: Length::Exact,
            content_type: None,
            as_it_is: false,
        }
    }
}

/// The entity tag of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Etag {
    /// No header.
    None,
    /// `W/"..."`: not good enough for `If-Range`.
    Weak,
    /// `"..."`.
    Strong,
}

/// The length an answer announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// `Content-Length` is right.
    Exact,
    /// No `Content-Length`: the body is chunked.
    Absent,
    /// `Content-Length` is wrong by so many bytes. Too long a claim ends in a closed connection, too
    /// short a one truncates the body without a trace.
    OffBy(i64),
}

/// A mishap of one request for a file.
#[derive(Debug, Clone)]
pub enum Mishap {
    /// The ordinary answer.
    Nothing,
    /// The connection closes after the bytes before this offset of the file.
    CutAt(u64),
    /// From this offset of the file on no byte comes, for so long or (`None`) for ever.
    StallAt(u64, Option<Duration>),
    /// Another answer, whatever was asked.
    Instead {
        /// Status code.
        status: u16,
        /// Content type.
        content_type: String,
        /// Body.
        body: Bytes,
    },
    /// The file becomes another one, with another entity tag, and is then delivered.
    ChangesTo(Media),
    /// The answer to an expired URL, though its time is not over.
    Expired,
    /// `302 Found`.
    Redirect(Redirect),
}

impl Mishap {
    /// Returns a 200 with other content: an error page, a JSON error, nothing at all.
    pub fn instead(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::Instead {
            status: 200,
            content_type: content_type.to_owned(),
            body: body.into(),
        }
    }
}

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// To the URL just asked; with [`Media::always`] a loop.
    Back,
    /// To the URL just asked, under another scheme.
    Scheme(String),
    /// To this URL.
    To(String),
}

impl Turn {
    /// Returns this turn with other bytes, under an entity tag of their own.
    pub(super) fn with(mut self, bytes: impl Into<Bytes>) -> Self {
        self.content = Content::Bytes(bytes.into());
        self.tag.push_str("-with");
        self
    }

    /// Returns the file in the format that was asked for, and under an entity tag of its own.
    pub(super) fn transcoded(mut self, format: Format) -> Self {
        if !self.delivery.as_it_is {
            self.content = self.content.transcoded(format);
            self.tag = format!("{}-{}", self.tag, format.name());
        }
        self
    }

    /// Returns the content type that the format asked for has; as it was recorded, that of the bytes.
    pub(super) fn content_type(&self, format: Format) -> &'static str {
        match format {
            Format::Original => recorded_type(&self.content),
            format => format.content_type(),
        }
    }
}

impl Media {
    /// Returns a file with these bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new(Content::Bytes(bytes.into()))
    }

    /// Returns a file on disk; it is read while it is served.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(Content::File(path.into()))
    }

    /// Returns a WAV of `bytes` bytes including its header (cut down to whole frames, 4 GiB at most): stereo,
    /// 8 kHz, 16 bits, computed while it is served. The same seed gives the same bytes.
    pub fn generated_wav(bytes: u64, seed: u64) -> Self {
        Self::new(Content::call(bytes, seed))
    }

    /// Returns the same as [`Media::generated_wav`], of this duration.
    pub fn generated_call(duration: Duration, seed: u64) -> Self {
        Self::generated_wav(wav::HEADER as u64 + duration.as_secs() * wav::PER_SECOND, seed)
    }

    fn new(content: Content) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            content,
            tag: Uuid::new_v4(),
            delivery: Delivery::default(),
            script: VecDeque::new(),
            always: Mishap::Nothing,
            requests: 0,
        })))
    }

    /// Changes how the file is delivered.
    pub fn deliver(&self, change: impl FnOnce(&mut Delivery)) -> &Self {
        change(&mut self.lock().delivery);
        self
    }

    /// Scripts the mishaps of the next requests, one each, in this order.
    pub fn script(&self, mishaps: impl IntoIterator<Item = Mishap>) -> &Self {
        self.lock().script.extend(mishaps);
        self
    }

    /// Sets the mishap of every request once the script is over.
    pub fn always(&self, mishap: Mishap) -> &Self {
        self.lock().always = mishap;
        self
    }

    /// Gives the file the content of `other`, and another entity tag.
    pub fn replace_with(&self, other: &Self) {
        let content = other.content();
        let mut inner = self.lock();
        inner.content = content;
        inner.tag = Uuid::new_v4();
    }

    /// Returns how many requests this file has met.
    pub fn requests(&self) -> usize {
        self.lock().requests
    }

    /// Returns the length of the file in bytes.
    pub fn len(&self) -> io::Result<u64> {
        self.content().len()
    }

    /// Returns whether the file has no bytes.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Returns SHA-256 of the file in hexadecimal: what an archive of it has to have.
    pub fn sha256(&self) -> io::Result<String> {
        Self::hash(&self.content())
    }

    /// Returns the same of the file in another format.
    pub fn sha256_in(&self, format: Format) -> io::Result<String> {
        Self::hash(&self.content().transcoded(format))
    }

    fn hash(content: &Content) -> io::Result<String> {
        let (mut hash, mut at) = (Sha256::new(), 0);
        loop {
            let chunk = content.read(at, CHUNK)?;
            if chunk.is_empty() {
                return Ok(hex::encode(hash.finalize()));
            }
            hash.update(&chunk);
            at += chunk.len() as u64;
        }
    }

    /// Returns how long a WAV lasts, in milliseconds; `None` for anything else.
    pub fn millis(&self) -> Option<u64> {
        self.content().millis()
    }

    /// Returns the content type of the file as it was recorded.
    pub(super) fn recorded_type(&self) -> &'static str {
        recorded_type(&self.content())
    }

    /// Counts one request and says what it meets.
    pub(super) fn turn(&self) -> Turn {
        let mut inner = self.lock();
        inner.requests += 1;
        let mishap = match inner.script.pop_front() {
            Some(mishap) => mishap,
            None => inner.always.clone(),
        };
        drop(inner);
        if let Mishap::ChangesTo(other) = &mishap {
            self.replace_with(other);
        }
        let inner = self.lock();
        Turn {
            content: inner.content.clone(),
            tag: inner.tag.simple().to_string(),
            delivery: inner.delivery.clone(),
            mishap,
        }
    }

    fn content(&self) -> Content {
        self.lock().content.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the content type of these bytes.
fn recorded_type(content: &Content) -> &'static str {
    let start = content.read(0, 64).ok();
    let format = start.and_then(|start| Format::of(&start));
    format.map_or("binary/octet-stream", Format::content_type)
}

/// The file as one request meets it.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) content: Content,
    pub(super) tag: String,
    pub(super) delivery: Delivery,
    pub(super) mishap: Mishap,
}
