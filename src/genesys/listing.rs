//! Listings and opened recordings as values. Neither API of Genesys shows through, apart from where the bytes come
//! from.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::domain::annotations::Annotations;
use crate::domain::call::Told;
use crate::domain::format::{Format, MediaKind};
use crate::domain::recording::RecordingId;
use crate::error::{Error, ErrorKind};

/// The recordings that Genesys lists for a conversation.
#[derive(Debug, Default)]
pub struct Listing {
    /// The recordings.
    pub recordings: Vec<Listed>,
    /// The number of entries that cannot be read, and why the first cannot. Each may be a recording, so that somebody
    /// has to look at them.
    pub unreadable: Option<Error>,
}

/// A recording as the metadata describes it, before anything is downloaded.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: RecordingId,
    /// The kind of the recording.
    pub media: MediaKind,
    /// Its availability for download.
    pub availability: Availability,
    /// The time at which it began, as far as the metadata says.
    pub start: Option<Timestamp>,
    /// The time at which it ended, as far as the metadata says.
    pub end: Option<Timestamp>,
    /// The attributes for the audit: retention policy, region, dates.
    pub notes: Map<String, Value>,
    /// Its files, where a batch download gave them: nobody has to ask for its media.
    pub given: Option<Vec<Source>>,
}

impl Listed {
    /// Returns what a call record says of it.
    pub fn told(&self) -> Told {
        Told {
            recording_id: self.id.to_string(),
            media: self.media.to_string(),
            start: self.start,
            end: self.end,
        }
    }
}

/// The availability of a recording for download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// Now.
    Ready,
    /// Not now, or never: the kind says which, the text why.
    Not(ErrorKind, String),
}

/// The answer to a request for a recording's media.
#[derive(Debug)]
pub enum Opening {
    /// The media can be fetched.
    Ready(Opened),
    /// Genesys is transcoding it (202); the request started that.
    Transcoding {
        /// `Retry-After`, where Genesys sent one.
        after: Option<Duration>,
    },
}

/// A recording whose media can be fetched.
#[derive(Debug)]
pub struct Opened {
    /// Its files, at least one.
    pub sources: Vec<Source>,
    /// The time at which it began.
    pub start: Option<Timestamp>,
    /// Further attributes for the audit, which the metadata does not hold.
    pub notes: Map<String, Value>,
    /// Its pauses and holds; `None` where the API does not give any.
    pub annotations: Option<Annotations>,
}

/// The source of the bytes of one file.
#[derive(Debug, Clone)]
pub struct Source {
    /// `None` for the only file of a recording.
    pub channel: Option<u32>,
    /// The format that the request decided; `None`: look at the bytes.
    pub format: Option<Format>,
    /// The kind of the recording that it belongs to.
    pub media: MediaKind,
    /// The number of the file among the consecutive files of a screen recording, from 0.
    pub part: Option<u32>,
    /// Genesys' name of that part, where that is not its number.
    pub part_name: Option<String>,
    /// A batch download gave it.
    pub batch: bool,
    pub(super) location: Location,
}

/// The address of one file's bytes.
#[derive(Debug, Clone)]
pub(super) enum Location {
    /// A signed URL: a secret in itself, fetched without the token.
    Signed(SignedUrl),
    /// A path of the API, fetched with the token and an `Accept`.
    Api {
        path: String,
        query: Vec<(&'static str, String)>,
        accept: &'static str,
    },
}

/// A signed media URL. Anybody who has it can download the recording, so `Debug` does not show it.
#[derive(Clone)]
pub(super) struct SignedUrl(String);

impl SignedUrl {
    pub(super) fn new(url: String) -> Self {
        Self(url)
    }

    /// Returns the URL as Genesys signed it: to be sent, never to be shown.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedUrl")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_url_never_shows_itself() {
        assert_eq!(
            format!("{:?}", SignedUrl::new("https://x/?Signature=abc".into())),
            "SignedUrl"
        );
    }
}
