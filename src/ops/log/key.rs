//! The log's public key: from a file that was kept outside, or from KMS.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::aws::failed;
use crate::ops::error::{Error, Kind};
use crate::ops::session::Session;
use crate::seal::checkpoint::LogKey;

/// The first and the last line of a public key in PEM.
const PEM: (&str, &str) = ("-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----");

/// The log's public key in a file: a verifier key (`ORIGIN+HASH+BASE64`), or an Ed25519 public key in PEM or DER.
#[derive(Debug, Clone)]
pub struct KeyFile(Vec<u8>);

impl KeyFile {
    /// Takes the bytes of a file. Checks nothing yet.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the key of the log `origin`; a verifier key has its own name, which must be that one where one is given.
    fn read(&self, origin: Option<&str>) -> Result<LogKey, Error> {
        let refused = |message: String| {
            Error::new(Kind::File, message).remedy(
                "--key takes a verifier key (archivectl log show prints it), or a public key in PEM or DER",
            )
        };
        let text = std::str::from_utf8(&self.0).unwrap_or_default().trim();
        if text.contains('+') && !text.contains('\n') {
            let key = LogKey::from_verifier_key(text).map_err(|error| refused(error.to_string()))?;
            return match origin.filter(|origin| *origin != key.origin()) {
                Some(origin) => {
                    let named = key.origin();
                    Err(refused(format!(
                        "this is the key of the log {named}, and SEAL_ORIGIN is {origin}"
                    )))
                }
                None => Ok(key),
            };
        }
        let pem = text.strip_prefix(PEM.0).and_then(|text| text.strip_suffix(PEM.1));
        let der = match pem {
            Some(lines) => {
                let lines: String = lines.split_whitespace().collect();
                BASE64_STANDARD
                    .decode(lines)
                    .map_err(|error| refused(format!("no PEM: {error}")))?
            }
            None => self.0.clone(),
        };
        let key = LogKey::from_der(named(origin)?, &der);
        key.map_err(|error| refused(error.to_string()))
    }
}

/// Returns the key of the log that is configured: the one in `file`, or else the one of KMS.
pub(super) async fn find(session: &Session, file: Option<&KeyFile>) -> Result<LogKey, Error> {
    let origin = session.log.origin.as_deref();
    if let Some(file) = file {
        return file.read(origin);
    }
    let origin = named(origin)?;
    let id = session.log.key_id.as_deref().ok_or_else(|| {
        Error::new(
            Kind::Configuration,
            "the log's key is not known: SEAL_KEY_ID is not set",
        )
        .remedy("set SEAL_KEY_ID, or give the public key: --key FILE")
    })?;
    let got = aws_sdk_kms::Client::new(&session.sdk)
        .get_public_key()
        .key_id(id)
        .send()
        .await;
    let got = got.map_err(|error| Error::from(failed(&format!("reading the public key of {id}"), error)))?;
    let der = got.public_key.unwrap_or_default().into_inner();
    LogKey::from_der(origin, &der).map_err(|error| Error::new(Kind::Configuration, error.to_string()))
}

/// Returns the name of the log, which a bare public key does not say.
fn named(origin: Option<&str>) -> Result<&str, Error> {
    origin.ok_or_else(|| {
        Error::new(Kind::Configuration, "the log has no name: SEAL_ORIGIN is not set").remedy(
            "set SEAL_ORIGIN to the first line of its checkpoints, or give a verifier key: --key FILE",
        )
    })
}
