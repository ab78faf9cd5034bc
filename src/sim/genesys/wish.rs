//! The query parameters of a request for recordings (Genesys facts, 1.1).

use super::answer::ApiError;
use super::format::Format;
use super::model::Kind;

/// What the caller asked for.
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
        let audio = get("mediaFormats").or(get("formatId")).unwrap_or("WEBM"); // mediaFormats wins
        Ok(Self {
            audio: Format::from_id(audio).ok_or_else(|| ApiError::bad_value(audio))?,
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

    pub(super) fn format(&self, kind: Kind) -> Format {
        match kind {
            Kind::Audio | Kind::Screen => self.audio,
            Kind::Chat => self.chat,
            Kind::Email => self.email,
            Kind::Message => self.message,
        }
    }
}
