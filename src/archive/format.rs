//! Media: what kind of recording, in which format, and the names the formats have outside.

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

    /// The name users write: `wav`, `ogg_opus`, ...
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

    /// The `Content-Type` of this format, where the format alone decides it.
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

    /// The file extension of this format, where the format alone decides it.
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

/// What was recorded.
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

    /// The name users write.
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

/// What a media body says of itself in its first bytes, for formats that the request did not decide
/// (`original`, screen recordings, transcripts).
///
/// Gives the file extension and the media type. Signatures: <https://mimesniff.spec.whatwg.org/#matching-an-audio-or-video-type-pattern>.
pub fn sniff(head: &[u8]) -> Option<(&'static str, &'static str)> {
    let at = |offset: usize, magic: &[u8]| head.get(offset..offset + magic.len()) == Some(magic);
    if at(0, b"RIFF") && at(8, b"WAVE") {
        Some(("wav", "audio/wav"))
    } else if at(0, b"OggS") && at(28, b"OpusHead") {
        Some(("opus", "audio/ogg"))
    } else if at(0, b"OggS") {
        Some(("ogg", "audio/ogg"))
    } else if at(0, b"fLaC") {
        Some(("flac", "audio/flac"))
    } else if at(0, b"\x1A\x45\xDF\xA3") {
        Some(("webm", "video/webm"))
    } else if at(4, b"ftyp") {
        Some(("mp4", "video/mp4"))
    } else if at(0, b"ID3") || matches!(head, [0xFF, second, ..] if second & 0xE0 == 0xE0) {
        Some(("mp3", "audio/mpeg"))
    } else if at(0, b"PK\x03\x04") {
        Some(("zip", "application/zip"))
    } else {
        None
    }
}

/// The file extension and content type that the archive gives a file of this format, when its first bytes are known.
pub fn file_type(format: Option<Format>, head: &[u8], declared: Option<&str>) -> (String, String) {
    let sniffed = sniff(head);
    let by_format = format.and_then(|f| Some((f.extension()?, f.content_type()?)));
    let (extension, content_type) = by_format
        .or(sniffed)
        .unwrap_or(("bin", "application/octet-stream"));
    match (by_format, declared) {
        // Genesys' own word is the best one where the request did not decide the type.
        (None, Some(declared)) if !declared.is_empty() && declared != "application/octet-stream" => {
            let extension = match (sniffed, declared) {
                (Some((extension, _)), _) => extension,
                (None, "message/rfc822") => "eml",
                _ => extension,
            };
            (extension.to_owned(), declared.to_owned())
        }
        _ => (extension.to_owned(), content_type.to_owned()),
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
        assert_eq!(sniff(b"RIFF\0\0\0\0WAVE"), Some(("wav", "audio/wav")));
    }
}
