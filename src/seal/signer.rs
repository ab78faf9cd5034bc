//! The log's key in KMS, which signs checkpoints and never leaves KMS.

use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{MessageType, SigningAlgorithmSpec};
use jiff::Timestamp;
use tlog_tiles::tlog::Hash;
use tokio::sync::OnceCell;

use super::checkpoint::{Checkpoint, LogKey};
use crate::aws::failed;
use crate::error::{Error, ErrorKind};

/// Signs the checkpoints of one log.
#[derive(Debug)]
pub struct Signer {
    client: aws_sdk_kms::Client,
    key_id: String,
    origin: String,
    key: OnceCell<LogKey>,
}

impl Signer {
    /// Makes a signer for the log `origin` with the KMS key `key_id` (id, ARN or alias). Sends nothing.
    pub fn new(client: aws_sdk_kms::Client, key_id: String, origin: String) -> Self {
        Self {
            client,
            key_id,
            origin,
            key: OnceCell::new(),
        }
    }

    /// Returns the log's name and public key. Asks KMS once.
    pub async fn key(&self) -> Result<&LogKey, Error> {
        self.key.get_or_try_init(|| self.public_key()).await
    }

    async fn public_key(&self) -> Result<LogKey, Error> {
        let doing = format!("reading the public key of {}", self.key_id);
        let got = self.client.get_public_key().key_id(&self.key_id).send().await;
        let got = got.map_err(|error| failed(&doing, error))?;
        let der = got.public_key.unwrap_or_else(|| Blob::new([]));
        LogKey::from_der(&self.origin, der.as_ref()).map_err(|refused| {
            let advice =
                "SEAL_KEY_ID has to name a key of the spec ECC_NIST_EDWARDS25519, SEAL_ORIGIN the log";
            Error::transient(format!("{refused} ({}; {advice})", self.key_id))
        })
    }

    /// Signs the root of a tree of `size` leaves at `time`. Fails unless the signature that comes back is by the key.
    pub async fn sign(&self, size: u64, root: Hash, time: Timestamp) -> Result<Checkpoint, Error> {
        let key = self.key().await?;
        let text = key.text(size, root, time);
        let signed = self
            .client
            .sign()
            .key_id(&self.key_id)
            .message(Blob::new(text.clone()))
            .message_type(MessageType::Raw)
            .signing_algorithm(SigningAlgorithmSpec::Ed25519Sha512)
            .send()
            .await;
        let signed = signed.map_err(|error| failed(&format!("signing with {}", self.key_id), error))?;
        let signature = signed.signature.map(Blob::into_inner).unwrap_or_default();
        let checkpoint = key.signed(&text, signature);
        checkpoint.map_err(|refused| {
            let message = format!(
                "KMS signed with {} what its public key refuses: {refused}",
                self.key_id
            );
            Error::new(ErrorKind::Defect, message)
        })
    }
}
