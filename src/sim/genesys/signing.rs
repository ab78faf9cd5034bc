//! Signed URLs of the media host (docs/genesys.md, "Media"): the signature covers each byte as it was sent.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;

use super::format::Format;
use super::recording::MERGED;
use crate::sim::hmac::hmac_sha256;

const KEY_PAIR: &str = "&Key-Pair-Id=K0000000000000";

/// Which file of which recording a URL is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) conversation: String,
    pub(super) recording: String,
    /// The key in `mediaUris`.
    pub(super) key: String,
    pub(super) format: Format,
    /// The part before the key in the name of the file: `AUDIO`, `SCREEN`, ...
    pub(super) kind: String,
}

/// Makes URLs and knows them again.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) lifetime: Duration,
    /// Counts up to make all earlier URLs invalid.
    pub(super) generation: u64,
}

impl Signer {
    /// Returns path and query for `address`, valid until `now` plus the lifetime.
    pub(super) fn sign(&self, address: &Address, file_name: Option<&str>, now: Duration) -> String {
        let Address {
            conversation,
            recording,
            key,
            format,
            kind,
        } = address;
        let (id, extension) = (format.id(), format.extension());
        let opaque = hmac_sha256(recording.as_bytes(), format!("{key}{id}").as_bytes());
        // The first letter ends the key.
        let opaque = format!("x{}", URL_SAFE.encode(&opaque[..16]).replace('=', "%3D"));
        let name = match file_name {
            Some(name) => encode(name),
            None => format!("{conversation}_{recording}.{extension}"),
        };
        let expires = (now + self.lifetime).as_secs();
        let signed = format!(
            "/MediaCache/{conversation}/{recording}/isDownloading%3A{}_format%3A{id}_locale%3Aen-US/\
             {kind}_{key}{opaque}.{extension}\
             ?response-content-disposition=attachment%3Bfilename%3D%22{name}%22&Expires={expires}",
            key == MERGED,
        );
        let signature = self.signature(&signed);
        format!("{signed}&Signature={signature}{KEY_PAIR}")
    }

    /// Returns which file `target` (path and query exactly as sent) is for; `None` if it was not signed like
    /// this, or is expired.
    pub(super) fn verify(&self, target: &str, now: Duration) -> Option<Address> {
        let (signed, signature) = target.strip_suffix(KEY_PAIR)?.rsplit_once("&Signature=")?;
        let (_, expires) = signed.rsplit_once("&Expires=")?;
        let valid = signature == self.signature(signed) && now.as_secs() < expires.parse().ok()?;
        valid.then(|| address(signed)).flatten()
    }

    /// Returns the signature as CloudFront writes it: base64 with its own three signs for `+`, `=` and `/`.
    fn signature(&self, signed: &str) -> String {
        let key = format!("media host, generation {}", self.generation);
        let code = hmac_sha256(key.as_bytes(), signed.as_bytes());
        URL_SAFE.encode(code).replace('_', "~").replace('=', "_")
    }
}

fn address(signed: &str) -> Option<Address> {
    let path = signed.split('?').next()?;
    let mut segments = path.strip_prefix("/MediaCache/")?.split('/');
    let (conversation, recording) = (segments.next()?, segments.next()?);
    let (_, format) = segments.next()?.split_once("_format%3A")?;
    let format = format.strip_suffix("_locale%3Aen-US")?;
    let (kind, rest) = segments.next()?.split_once('_')?;
    Some(Address {
        conversation: conversation.to_owned(),
        recording: recording.to_owned(),
        key: rest.split_once('x')?.0.to_owned(),
        format: Format::any(format)?,
        kind: kind.to_owned(),
    })
}

fn encode(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
