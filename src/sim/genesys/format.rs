//! The formats recordings can be asked for in, and how a file in each of them begins.

use bytes::Bytes;

use super::wav::Layout;

/// A value of `formatId` (docs/genesys.md, "Recordings of a conversation"), or a format of the interactions API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Format {
    Wav,
    Webm,
    WavUlaw,
    OggVorbis,
    OggOpus,
    Mp3,
    /// Interactions API only.
    Flac,
    /// `NONE`: as it was recorded.
    Original,
    /// Chats and messages.
    Zip,
    /// E-mails.
    Eml,
    /// Chats, e-mails and messages in batch downloads.
    Json,
}

impl Format {
    /// The formats of `formatId`.
    const AUDIO: [Self; 7] = [
        Self::Wav,
        Self::Webm,
        Self::WavUlaw,
        Self::OggVorbis,
        Self::OggOpus,
        Self::Mp3,
        Self::Original,
    ];

    pub(super) fn from_id(id: &str) -> Option<Self> {
        Self::AUDIO.into_iter().find(|format| format.id() == id)
    }

    /// Returns the format of this id, those of chats and e-mails among them.
    pub(super) fn any(id: &str) -> Option<Self> {
        let text = [Self::Zip, Self::Eml, Self::Json];
        Self::from_id(id).or_else(|| text.into_iter().find(|format| format.id() == id))
    }

    /// Returns the format of a name of the interactions API, in lower case.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Wav, Self::Mp3, Self::Flac]
            .into_iter()
            .find(|format| format.name() == name)
    }

    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Wav => "WAV",
            Self::Webm => "WEBM",
            Self::WavUlaw => "WAV_ULAW",
            Self::OggVorbis => "OGG_VORBIS",
            Self::OggOpus => "OGG_OPUS",
            Self::Mp3 => "MP3",
            Self::Flac => "FLAC",
            Self::Original => "NONE",
            Self::Zip => "ZIP",
            Self::Eml => "EML",
            Self::Json => "JSON",
        }
    }

    /// Returns the extension of the file, in the capitals that the signed URLs have.
    pub(super) fn extension(self) -> &'static str {
        match self {
            Self::WavUlaw => "WAV",
            Self::OggVorbis => "OGG",
            Self::OggOpus | Self::Original => "OPUS",
            other => other.id(),
        }
    }

    pub(super) fn name(self) -> String {
        self.id().to_ascii_lowercase()
    }

    /// Returns the format of a file that begins like this; `None`: no sound that is known.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        let at = |offset: usize, magic: &[u8]| start.get(offset..offset + magic.len()) == Some(magic);
        match start.get(..4)? {
            b"RIFF" if at(20, &[7, 0]) => Some(Self::WavUlaw),
            b"RIFF" => Some(Self::Wav),
            b"OggS" if at(28, b"OpusHead") => Some(Self::OggOpus),
            b"OggS" => Some(Self::OggVorbis),
            b"fLaC" => Some(Self::Flac),
            b"\x1A\x45\xDF\xA3" => Some(Self::Webm),
            [b'I', b'D', b'3', _] | [0xFF, 0xE0..=0xFF, _, _] => Some(Self::Mp3),
            _ => None,
        }
    }

    /// Returns the bytes before `len` bytes of sound in this format; `None` where the format is not one of sound.
    pub(super) fn header(self, len: u64) -> Option<Bytes> {
        let ogg = |name: &[u8]| {
            let page = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13";
            Bytes::from([page, name].concat())
        };
        Some(match self {
            Self::Wav => Layout::telephone(len).header(len),
            Self::WavUlaw => Layout::mu_law(len).header(len),
            Self::OggVorbis => ogg(b"\x01vorbis"),
            Self::OggOpus => ogg(b"OpusHead"),
            Self::Webm => Bytes::from_static(
                b"\x1A\x45\xDF\xA3\x9F\x42\x86\x81\x01\x42\xF7\x81\x01\x42\xF2\x81\x04\x42\xF3\x81\x08\x42\x82\x84webm\
                  \x42\x87\x81\x04\x42\x85\x81\x02",
            ),
            Self::Mp3 => Bytes::from_static(b"ID3\x04\0\0\0\0\0\0"),
            Self::Flac => Bytes::from_static(b"fLaC"),
            Self::Original | Self::Zip | Self::Eml | Self::Json => return None,
        })
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Wav | Self::WavUlaw => "audio/wav",
            Self::Webm => "audio/webm",
            Self::OggVorbis | Self::OggOpus | Self::Original => "audio/ogg",
            Self::Mp3 => "audio/mpeg",
            Self::Flac => "audio/flac",
            Self::Zip => "application/zip",
            Self::Eml => "message/rfc822",
            Self::Json => "application/json",
        }
    }
}
