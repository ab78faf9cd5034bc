//! The formats recordings can be asked for in.

/// A value of `formatId` (Genesys facts, 1.1), or a format of the interactions API.
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

    /// Any format by its id, those of chats and e-mails among them.
    pub(super) fn any(id: &str) -> Option<Self> {
        let text = [Self::Zip, Self::Eml];
        Self::from_id(id).or_else(|| text.into_iter().find(|format| format.id() == id))
    }

    /// The formats of the interactions API have lower-case names.
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
        }
    }

    /// The extension of the file, in the capitals that the signed URLs have.
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

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Wav | Self::WavUlaw => "audio/wav",
            Self::Webm => "audio/webm",
            Self::OggVorbis | Self::OggOpus | Self::Original => "audio/ogg",
            Self::Mp3 => "audio/mpeg",
            Self::Flac => "audio/flac",
            Self::Zip => "application/zip",
            Self::Eml => "message/rfc822",
        }
    }
}
