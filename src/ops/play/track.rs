//! A file of a call, and what is known of its bytes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::aws::storage::{Fetched, Got, Shelf, Storage};
use crate::domain::recording::RecordingRef;
use crate::ops::access::{WantedFile, difference, missing};
use crate::ops::finding::{Code, Finding};
use crate::ops::get::{cold, target};
use crate::ops::{Error, Kind};

/// What is known of a file's bytes as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Check {
    /// They were not read yet.
    #[default]
    Pending,
    /// So many of them were read.
    Running(u64),
    /// They are those that were archived.
    Matches,
    /// They are not those that were archived.
    Differs(String),
    /// They could not be read.
    Failed(String),
}

/// A file of the call.
#[derive(Debug)]
pub struct Track {
    /// Its recording.
    pub recording: RecordingRef,
    /// The file.
    pub file: WantedFile,
    /// Where its bytes lie, as S3 said last.
    pub(super) shelf: Mutex<Shelf>,
    pub(super) state: Arc<State>,
}

/// What becomes of a file, as everybody who reads it finds out.
#[derive(Debug, Default)]
pub(super) struct State {
    check: Mutex<Check>,
    pub(super) findings: Mutex<Vec<Finding>>,
    /// The tag of the object that was read first: all bytes have to be of that one.
    tag: Mutex<Option<String>>,
    /// Somebody was given bytes of it, to listen to or to keep.
    pub(super) heard: AtomicBool,
}

impl State {
    /// Notes what is known now; that the bytes were others once is not taken back.
    pub(super) fn set(&self, check: Check) {
        let mut known = self.check.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*known, Check::Differs(_)) {
            *known = check;
        }
    }

    fn get(&self) -> Check {
        self.check.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checks that an object is the one that was read first, and takes it for that if none was.
    fn is_same(&self, tag: Option<&String>) -> bool {
        let mut first = self.tag.lock().unwrap_or_else(PoisonError::into_inner);
        match (first.as_ref(), tag) {
            (Some(first), Some(tag)) => first == tag,
            (None, Some(tag)) => {
                *first = Some(tag.clone());
                true
            }
            (_, None) => true,
        }
    }

    /// Returns the tag of the object that was read first.
    fn tag(&self) -> Option<String> {
        self.tag.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds a finding, unless one of its kind is there.
    fn found(&self, finding: Finding) {
        self.set(Check::Differs(finding.detail.clone()));
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        if findings.iter().all(|known| known.code != finding.code) {
            findings.push(finding);
        }
    }
}

impl Track {
    /// Returns what is known of its bytes as a whole.
    pub fn check(&self) -> Check {
        self.state.get()
    }

    /// Returns whether its bytes have to be checked as a whole, and takes it that this begins now: once, and again
    /// after it failed.
    pub fn begin_check(&self) -> bool {
        let mut check = self.state.check.lock().unwrap_or_else(PoisonError::into_inner);
        let due = matches!(*check, Check::Pending | Check::Failed(_));
        if due {
            *check = Check::Running(0);
        }
        due
    }

    /// Returns why it cannot be read now; `None`: it can.
    pub fn wait(&self) -> Option<String> {
        cold::wait(&self.file, self.shelf())
    }

    fn shelf(&self) -> Shelf {
        *self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks S3 again where its bytes lie, unless they could be read before.
    pub(super) async fn look(&self, storage: &Storage) -> Result<(), Error> {
        if self.shelf() != Shelf::Ready {
            let (place, version) = (&self.file.stored.archive_key, self.file.version_id());
            if let Some(now) = storage.shelf(place, version).await? {
                *self.shelf.lock().unwrap_or_else(PoisonError::into_inner) = now;
            }
        }
        Ok(())
    }

    /// Returns the name of the file that `get` would write.
    pub fn name(&self) -> String {
        target::name(self.recording, &self.file)
    }

    fn missing(&self) -> Finding {
        let recording = self.recording.recording_key();
        missing(self.recording.conversation, &recording, &self.file)
    }

    /// Returns whether somebody listened to it or kept it, and its bytes as a whole were not checked.
    pub(super) fn is_unchecked(&self) -> bool {
        let known = matches!(self.check(), Check::Matches | Check::Differs(_));
        self.state.heard.load(Ordering::Relaxed) && !known
    }

    /// Opens its object. The bytes of an object of another length are not handed out, nor those of another one than
    /// was read before.
    pub(super) async fn open(&self, storage: &Storage, range: Option<(u64, u64)>) -> Result<Fetched, Error> {
        let (place, version) = (&self.file.stored.archive_key, self.file.version_id());
        let archived = self.file.stored.size_bytes;
        let tag = self.state.tag();
        let replaced = || Finding {
            code: Code::ObjectChanged,
            detail: "it was replaced while this page was open".to_owned(),
            ..self.missing()
        };
        let finding = match storage.fetch(place, version, range, tag.as_deref()).await? {
            Got::Bytes(fetched) => match fetched.length {
                Some(length) if length != archived => Finding {
                    code: Code::SizeDiffers,
                    detail: format!("it has {length} bytes, and {archived} were archived"),
                    ..self.missing()
                },
                _ if self.state.is_same(fetched.tag.as_ref()) => return Ok(*fetched),
                _ => replaced(),
            },
            Got::Replaced => replaced(),
            Got::Missing => self.missing(),
        };
        let error = Error::new(Kind::Service, finding.detail.clone());
        self.state.found(finding);
        Err(error)
    }

    /// Says whether these bytes are those that were archived.
    pub(super) fn conclude(&self, fetched: Fetched) -> Result<(), Error> {
        let Some((code, detail)) = difference(&self.file, fetched.finish()) else {
            self.state.set(Check::Matches);
            return Ok(());
        };
        let error = Error::new(Kind::Service, detail.clone());
        self.state.found(Finding {
            code,
            detail,
            ..self.missing()
        });
        Err(error)
    }

    /// Reads all of it.
    pub(super) async fn read(&self, storage: &Storage) -> Result<(), Error> {
        let mut fetched = self.open(storage, None).await?;
        let mut read = 0;
        while let Some(bytes) = fetched.next().await? {
            read += bytes.len() as u64;
            self.state.set(Check::Running(read));
        }
        self.conclude(fetched)
    }
}
