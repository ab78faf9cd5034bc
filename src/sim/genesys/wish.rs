//! The query parameters of a request for recordings (docs/genesys.md, "Recordings of a conversation").

use super::answer::ApiError;
use super::format::Format;
use super::model::Kind;

/// The wishes of the caller.
pub(super) struct Wish {
    pub(super) audio: Format,
    chat: Format,
    email: Format,
    message: Format,
    pub(super) download: bool,
    pub(super) file_name: Option<String>,
}

impl Wish {
    pub(super) fn parse(parameters: &[(String, String)]) -> Result<Self, ApiError> {
        let get = |name: &str| {
            let mut values = parameters.iter().filter(|(key, _)| key == name);
            values.next().map(|(_, value)| value.as_str())
        };
        let text_format = |name, full: Format| match get(name) {
            None => Ok(full),
            Some("NONE") => Ok(Format::Original),
            Some(id) if id == full.id() => Ok(full),
            Some(other) => Err(ApiError::bad_value(other)),
        };
        if let Some(wait) = get("maxWaitMs")
            && !wait.parse::<u32>().is_ok_and(|wait| wait > 0)
        {
            return Err(ApiError::bad_value(wait));
        }
        Ok(Self {
            audio: audio(parameters, get("formatId"))?,
            chat: text_format("chatFormatId", Format::Zip)?,
            email: text_format("emailFormatId", Format::Eml)?,
            message: text_format("messageFormatId", Format::Zip)?,
            download: match get("download") {
                None | Some("false") => false,
                Some("true") => true,
                Some(other) => return Err(ApiError::bad_value(other)),
            },
            file_name: get("fileName").map(ToOwned::to_owned),
        })
    }

    /// Returns whether the recording comes as a file. Chats, e-mails and messages stand in the answer itself unless a
    /// download is asked for.
    pub(super) fn is_file(&self, kind: Kind) -> bool {
        match kind {
            Kind::Audio | Kind::Screen => true,
            _ => self.download && self.format(kind) != Format::Original,
        }
    }

    pub(super) fn format(&self, kind: Kind) -> Format {
        match kind {
            Kind::Audio | Kind::Screen => self.audio,
            Kind::Chat => self.chat,
            Kind::Email => self.email,
            Kind::Message => self.message,
        }
    }
}

/// Reads `mediaFormats`, which wins over `formatId`. It may be repeated, and the official SDK for Python joins its
/// values with commas; which of several Genesys prefers is not verified, so the first is taken.
fn audio(parameters: &[(String, String)], format_id: Option<&str>) -> Result<Format, ApiError> {
    let wanted = parameters.iter().filter(|(name, _)| name == "mediaFormats");
    let mut wanted = wanted.flat_map(|(_, values)| values.split(',')).map(|id| {
        let format = Format::from_id(id).filter(|format| *format != Format::Original);
        format.ok_or_else(|| ApiError::bad_value(id))
    });
    let first = wanted.next().transpose()?;
    wanted.try_for_each(|other| other.map(drop))?;
    let by_id = |id: &str| Format::from_id(id).ok_or_else(|| ApiError::bad_value(id));
    let format_id = by_id(format_id.unwrap_or("WEBM"))?;
    Ok(first.unwrap_or(format_id))
}
