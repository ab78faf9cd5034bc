//! Media: the kinds of recordings, their formats, and the public names of the formats.

use std::fmt;

/// The audio format a recording is archived in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// PCM in a RIFF container.
    Wav,
    /// MPEG-1/2 layer III.
    Mp3,
    /// Free Lossless Audio Codec; only the tutorial's API offers it.
    Flac,
    /// Opus in WebM.
    Webm,
    /// µ-law in a RIFF container.
    WavUlaw,
    /// Vorbis in Ogg.
    OggVorbis,
    /// Opus in Ogg.
    OggOpus,
    /// As Genesys stored it, not transcoded.
    Original,
}

impl Format {
    /// Every format, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Wav,
        Self::Mp3,
        Self::Flac,
        Self::Webm,
        Self::WavUlaw,
        Self::OggVorbis,
        Self::OggOpus,
        Self::Original,
    ];

    /// Reads a name as users write it, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str().eq_ignore_ascii_case(text.trim()))
    }

    /// Returns the name that users write: `wav`, `ogg_opus`, ...
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
            Self::Flac => "flac",
            Self::Webm => "webm",
            Self::WavUlaw => "wav_ulaw",
            Self::OggVorbis => "ogg_vorbis",
            Self::OggOpus => "ogg_opus",
            Self::Original => "original",
        }
    }

    /// Returns the `Content-Type` of this format, where the format alone decides it.
    pub fn content_type(self) -> Option<&'static str> {
        match self {
            Self::Wav | Self::WavUlaw => Some("audio/wav"),
            Self::Mp3 => Some("audio/mpeg"),
            Self::Flac => Some("audio/flac"),
            Self::Webm => Some("audio/webm"),
            Self::OggVorbis | Self::OggOpus => Some("audio/ogg"),
            Self::Original => None,
        }
    }

    /// Returns the file extension of this format, where the format alone decides it.
    /// `.opus` for Opus in Ogg: <https://www.rfc-editor.org/rfc/rfc7845#section-9>.
    pub fn extension(self) -> Option<&'static str> {
        match self {
            Self::Wav | Self::WavUlaw => Some("wav"),
            Self::Mp3 => Some("mp3"),
            Self::Flac => Some("flac"),
            Self::Webm => Some("webm"),
            Self::OggVorbis => Some("ogg"),
            Self::OggOpus => Some("opus"),
            Self::Original => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The files that the channels of a call are archived in: `RECORDING_CHANNELS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channels {
    /// One file of all channels.
    Merged,
    /// One file for each channel.
    Split,
}

/// The kind of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// A voice call.
    Audio,
    /// An agent's screen.
    Screen,
    /// A web chat.
    Chat,
    /// An e-mail.
    Email,
    /// A message conversation (SMS, WhatsApp, ...).
    Message,
}

impl MediaKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 5] = [Self::Audio, Self::Screen, Self::Chat, Self::Email, Self::Message];

    /// Reads the `media` field of Genesys, which calls messages `messaging` in a recording and
    /// `message` in its metadata, or a name of ours.
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("messaging") {
            return Some(Self::Message);
        }
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text.trim()))
    }

    /// Returns the name that users write.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Screen => "screen",
            Self::Chat => "chat",
            Self::Email => "email",
            Self::Message => "message",
        }
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The type of a media body by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// Its name: that of a [`Format`], or `ogg`, `mp4`, `zip`.
    pub name: &'static str,
    /// The file extension.
    pub extension: &'static str,
    /// The media type.
    pub content_type: &'static str,
    /// Other media types that mean the same.
    aliases: &'static [&'static str],
}

impl Signature {
    const fn new(
        name: &'static str,
        extension: &'static str,
        content_type: &'static str,
        aliases: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            extension,
            content_type,
            aliases,
        }
    }

    fn agrees_with(&self, content_type: &str) -> bool {
        self.content_type == content_type || self.aliases.contains(&content_type)
    }
}

const WAV_TYPES: &[&str] = &["audio/x-wav", "audio/wave", "audio/vnd.wave"];
const OGG_TYPES: &[&str] = &["audio/opus", "application/ogg", "video/ogg"];

/// Returns the type of a media body by its first bytes; `None` for an unknown type.
/// Signatures: <https://mimesniff.spec.whatwg.org/#matching-an-audio-or-video-type-pattern>.
pub fn sniff(head: &[u8]) -> Option<Signature> {
    let at = |offset: usize, magic: &[u8]| head.get(offset..offset + magic.len()) == Some(magic);
    if at(0, b"RIFF") && at(8, b"WAVE") {
        // The format tag of the first chunk: 7 is µ-law.
        let name = if at(12, b"fmt ") && at(20, &[7, 0]) {
            "wav_ulaw"
        } else {
            "wav"
        };
        Some(Signature::new(name, "wav", "audio/wav", WAV_TYPES))
    } else if at(0, b"OggS") && at(28, b"OpusHead") {
        Some(Signature::new("ogg_opus", "opus", "audio/ogg", OGG_TYPES))
    } else if at(0, b"OggS") {
        let name = if at(28, b"\x01vorbis") {
            "ogg_vorbis"
        } else {
            "ogg"
        };
        Some(Signature::new(name, "ogg", "audio/ogg", OGG_TYPES))
    } else if at(0, b"fLaC") {
        Some(Signature::new("flac", "flac", "audio/flac", &["audio/x-flac"]))
    } else if at(0, b"\x1A\x45\xDF\xA3") {
        let types = &["audio/webm", "video/x-matroska", "audio/x-matroska"];
        Some(Signature::new("webm", "webm", "video/webm", types))
    } else if at(4, b"ftyp") {
        let types = &["audio/mp4", "video/quicktime"];
        Some(Signature::new("mp4", "mp4", "video/mp4", types))
    } else if at(0, b"ID3") || matches!(head, [0xFF, second, ..] if second & 0xE0 == 0xE0) {
        let types = &["audio/mp3", "audio/mpeg3", "audio/x-mpeg"];
        Some(Signature::new("mp3", "mp3", "audio/mpeg", types))
    } else if at(0, b"PK\x03\x04") {
        let types = &["application/x-zip-compressed"];
        Some(Signature::new("zip", "zip", "application/zip", types))
    } else {
        None
    }
}

/// The name and type of a file in the archive, and its differences from the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileType {
    /// The file extension.
    pub extension: &'static str,
    /// The media type.
    pub content_type: String,
    /// The type by the first bytes, if it is not the format asked for: the name of a [`Signature`], or `unknown`.
    pub format_found: Option<&'static str>,
    /// The `Content-Type` that came with the bytes, if they contradict it.
    pub content_type_sent: Option<String>,
}

/// Returns the name and type of a file whose first bytes are `head`.
///
/// The first bytes decide. If their type is unknown, the format asked for does, then the media type `declared` by the
/// host. `format` is `None` if the request did not decide one.
pub fn file_type(format: Option<Format>, media: MediaKind, head: &[u8], declared: Option<&str>) -> FileType {
    let found = sniff(head);
    let declared = declared.filter(|declared| !says_nothing(declared));
    let asked =
        format.and_then(|format| Some((format.as_str(), format.extension()?, format.content_type()?)));
    let as_asked = asked.filter(|(name, ..)| found.is_none_or(|found| found.name == *name));
    let by_name = match media {
        MediaKind::Email => ("eml", "message/rfc822"),
        MediaKind::Audio | MediaKind::Screen | MediaKind::Chat | MediaKind::Message => {
            ("bin", "application/octet-stream")
        }
    };
    let (extension, content_type) = match (as_asked, found) {
        (Some((_, extension, content_type)), _) => (extension, content_type),
        (None, Some(found)) => {
            let sound = media == MediaKind::Audio && found.name == "webm";
            let own = if sound { "audio/webm" } else { found.content_type };
            // The host's own name for the same type is as good.
            let told = declared.filter(|declared| asked.is_none() && found.agrees_with(declared));
            (found.extension, told.unwrap_or(own))
        }
        (None, None) => match declared {
            Some("message/rfc822") => ("eml", "message/rfc822"),
            Some(declared) => (by_name.0, declared),
            None => by_name,
        },
    };
    let contradicts = |declared: &&str| found.is_some_and(|found| !found.agrees_with(declared));
    FileType {
        extension,
        content_type: content_type.to_owned(),
        format_found: asked
            .filter(|(name, ..)| found.is_none_or(|found| found.name != *name))
            .map(|_| found.map_or("unknown", |found| found.name)),
        content_type_sent: declared.filter(contradicts).map(ToOwned::to_owned),
    }
}

/// Returns whether a media type is one that stores give where nobody set one.
fn says_nothing(content_type: &str) -> bool {
    matches!(
        content_type,
        "" | "application/octet-stream" | "binary/octet-stream"
    )
}

/// The API that recordings are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingApi {
    /// The public API of today.
    Conversations,
    /// The tutorial's endpoints.
    Interactions,
}

impl RecordingApi {
    /// Returns the formats that this API offers.
    ///
    /// Public API: the values of `formatId`; `original` is its `NONE`. The tutorial's API: `wav`, `mp3`, `flac`.
    pub fn formats(self) -> &'static [Format] {
        match self {
            Self::Conversations => &[
                Format::Wav,
                Format::Mp3,
                Format::Webm,
                Format::WavUlaw,
                Format::OggVorbis,
                Format::OggOpus,
                Format::Original,
            ],
            Self::Interactions => &[Format::Wav, Format::Mp3, Format::Flac],
        }
    }

    /// Returns the value of `GENESYS_RECORDING_API`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conversations => "conversations",
            Self::Interactions => "interactions",
        }
    }

    /// Reads a format name for this API. The error names the accepted ones.
    pub fn parse_format(self, text: &str) -> Result<Format, String> {
        let accepted = self
            .formats()
            .iter()
            .map(|f| f.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        match Format::parse(text) {
            Some(format) if self.formats().contains(&format) => Ok(format),
            Some(format) => Err(format!(
                "the {} API does not offer {format}; it offers {accepted} (any case)",
                self.as_str()
            )),
            None => Err(format!("one of {accepted} (any case)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_back_in_any_case() {
        for format in Format::ALL {
            assert_eq!(Format::parse(&format.as_str().to_uppercase()), Some(format));
        }
        for kind in MediaKind::ALL {
            assert_eq!(MediaKind::parse(&kind.as_str().to_uppercase()), Some(kind));
        }
        assert_eq!(Format::parse("wave"), None);
        assert_eq!(MediaKind::parse("messaging"), Some(MediaKind::Message));
    }

    #[test]
    fn short_heads_are_never_taken_for_media() {
        assert_eq!(sniff(b""), None);
        assert_eq!(sniff(b"RIFF"), None);
        assert_eq!(sniff(b"RIFF\0\0\0\0WAVE").unwrap().name, "wav");
    }

    const OPUS: &[u8] = b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead";
    const WAV: &[u8] = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0";
    const ULAW: &[u8] = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x07\0";
    const WEBM: &[u8] = b"\x1A\x45\xDF\xA3";

    /// Extension, content type and both contradictions.
    fn named(
        format: Option<Format>,
        media: MediaKind,
        head: &[u8],
        declared: Option<&str>,
    ) -> (&'static str, String, Option<&'static str>, Option<String>) {
        let named = file_type(format, media, head, declared);
        (
            named.extension,
            named.content_type,
            named.format_found,
            named.content_type_sent,
        )
    }

    #[test]
    fn a_file_that_is_what_was_asked_for_is_named_after_that() {
        for (format, head, extension, content_type) in [
            (Format::Wav, WAV, "wav", "audio/wav"),
            (Format::WavUlaw, ULAW, "wav", "audio/wav"),
            (Format::OggOpus, OPUS, "opus", "audio/ogg"),
            (Format::Webm, WEBM, "webm", "audio/webm"),
        ] {
            for declared in [None, Some("binary/octet-stream"), Some(content_type)] {
                assert_eq!(
                    named(Some(format), MediaKind::Audio, head, declared),
                    (extension, content_type.to_owned(), None, None)
                );
            }
        }
    }

    #[test]
    fn a_file_that_is_something_else_is_named_by_what_it_is_and_says_so() {
        for (format, head, expected) in [
            (Format::Wav, OPUS, ("opus", "audio/ogg", "ogg_opus")),
            (Format::Mp3, WAV, ("wav", "audio/wav", "wav")),
            (Format::Wav, ULAW, ("wav", "audio/wav", "wav_ulaw")),
            (Format::OggVorbis, WEBM, ("webm", "audio/webm", "webm")),
            // Nothing better is known than what was asked for.
            (Format::Wav, b"\0\0\0\0", ("wav", "audio/wav", "unknown")),
        ] {
            let (extension, content_type, found) = expected;
            let expected = (extension, content_type.to_owned(), Some(found), None);
            assert_eq!(named(Some(format), MediaKind::Audio, head, None), expected);
        }
    }

    #[test]
    fn a_content_type_that_the_bytes_contradict_is_not_kept_and_noted() {
        let sent = |text: &str| Some(text.to_owned());
        let asked = named(Some(Format::Wav), MediaKind::Audio, WAV, Some("audio/mpeg"));
        assert_eq!(asked, ("wav", "audio/wav".to_owned(), None, sent("audio/mpeg")));
        let original = named(None, MediaKind::Audio, OPUS, Some("audio/wav"));
        assert_eq!(
            original,
            ("opus", "audio/ogg".to_owned(), None, sent("audio/wav"))
        );
        let same = named(None, MediaKind::Screen, WEBM, Some("video/x-matroska"));
        assert_eq!(same, ("webm", "video/x-matroska".to_owned(), None, None));
    }

    #[test]
    fn content_types_that_say_nothing_are_not_kept() {
        for declared in [
            None,
            Some(""),
            Some("binary/octet-stream"),
            Some("application/octet-stream"),
        ] {
            let original = named(None, MediaKind::Audio, OPUS, declared);
            assert_eq!(original, ("opus", "audio/ogg".to_owned(), None, None));
            let mail = named(None, MediaKind::Email, b"From: a", declared);
            assert_eq!(mail, ("eml", "message/rfc822".to_owned(), None, None));
            let unknown = named(None, MediaKind::Screen, b"????", declared);
            assert_eq!(
                unknown,
                ("bin", "application/octet-stream".to_owned(), None, None)
            );
        }
        let told = named(None, MediaKind::Screen, b"????", Some("video/x-odd"));
        assert_eq!(told, ("bin", "video/x-odd".to_owned(), None, None));
    }
}
