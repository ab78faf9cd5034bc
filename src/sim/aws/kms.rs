//! KMS, as far as a log's key needs it: Ed25519 keys that sign, and aliases.
//!
//! The signatures are by another implementation than the one that checks them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{Response, StatusCode};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sim::names::{ACCOUNT_ID, REGION};

const SPEC: &str = "ECC_NIST_EDWARDS25519";
const USAGE: &str = "SIGN_VERIFY";
const ALGORITHMS: [&str; 2] = ["ED25519_SHA_512", "ED25519_PH_SHA_512"];
/// Longest message, in bytes: <https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html>.
const LONGEST_MESSAGE: usize = 4_096;
/// What a DER-encoded Ed25519 public key begins with: RFC 8410, section 4.
const DER: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The keys, and the file that they are kept in.
#[derive(Debug)]
pub(super) struct Keys {
    file: Option<PathBuf>,
    held: Mutex<Held>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Held {
    /// By id.
    keys: BTreeMap<String, Key>,
    /// The id that each alias stands for.
    aliases: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Key {
    seed: String,
    created: u64,
}

/// An error of KMS: its type, and its message.
type Refusal = (&'static str, String);

impl Keys {
    /// Reads the keys out of the file; without one they are kept in memory.
    pub(super) fn open(file: Option<&Path>) -> io::Result<Self> {
        let held = match file.map(std::fs::read) {
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Held::default(),
            Some(bytes) => serde_json::from_slice(&bytes?)?,
            None => Held::default(),
        };
        Ok(Self {
            file: file.map(Path::to_owned),
            held: Mutex::new(held),
        })
    }

    /// Answers a request.
    pub(super) fn call(&self, operation: &str, body: &[u8]) -> Response<Body> {
        let request: Value = serde_json::from_slice(body).unwrap_or_default();
        let answer = match operation {
            "CreateKey" => self.create(&request),
            "CreateAlias" => self.alias(&request),
            "DescribeKey" => self.describe(&request),
            "GetPublicKey" => self.public_key(&request),
            "Sign" => self.sign(&request),
            _ => refuse("UnknownOperationException", "KMS simulator: not simulated"),
        };
        let (status, answer) = match answer {
            Ok(answer) => (StatusCode::OK, answer),
            Err((kind, message)) => (
                StatusCode::BAD_REQUEST,
                json!({"__type": kind, "message": message}),
            ),
        };
        let mut response = Response::new(Body::from(answer.to_string()));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/x-amz-json-1.1");
        response.headers_mut().insert(CONTENT_TYPE, json);
        response
    }

    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html>
    fn create(&self, request: &Value) -> Result<Value, Refusal> {
        if request["KeySpec"] != SPEC {
            return refuse(
                "UnsupportedOperationException",
                "KMS simulator: only Ed25519 keys",
            );
        }
        if request["KeyUsage"] != USAGE {
            let message = format!(
                "KeyUsage {} is not compatible with KeySpec {SPEC}",
                request["KeyUsage"]
            );
            return refuse("ValidationException", &message);
        }
        let id = Uuid::new_v4().to_string();
        let seed = [Uuid::new_v4(), Uuid::new_v4()].map(Uuid::into_bytes).concat();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let key = Key {
            seed: hex::encode(seed),
            created: since.as_secs(),
        };
        let metadata = metadata(&id, &key);
        let mut held = self.lock();
        held.keys.insert(id, key);
        self.keep(&held)?;
        Ok(json!({ "KeyMetadata": metadata }))
    }

    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateAlias.html>
    fn alias(&self, request: &Value) -> Result<Value, Refusal> {
        let name = request["AliasName"].as_str().unwrap_or_default().to_owned();
        if !name.starts_with("alias/") || name.starts_with("alias/aws/") {
            return refuse(
                "ValidationException",
                "Alias must start with the prefix \"alias/\"",
            );
        }
        let mut held = self.lock();
        let (id, _) = held.find(&request["TargetKeyId"])?;
        if held.aliases.contains_key(&name) {
            return refuse(
                "AlreadyExistsException",
                &format!("An alias with the name {name} already exists"),
            );
        }
        held.aliases.insert(name, id);
        self.keep(&held)?;
        Ok(json!({}))
    }

    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html>
    fn describe(&self, request: &Value) -> Result<Value, Refusal> {
        let (id, key) = self.lock().find(&request["KeyId"])?;
        Ok(json!({ "KeyMetadata": metadata(&id, &key) }))
    }

    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_GetPublicKey.html>
    fn public_key(&self, request: &Value) -> Result<Value, Refusal> {
        let (id, key) = self.lock().find(&request["KeyId"])?;
        let public = [&DER[..], key.pair()?.public_key().as_ref()].concat();
        Ok(json!({
            "KeyId": arn(&id), "KeySpec": SPEC, "CustomerMasterKeySpec": SPEC, "KeyUsage": USAGE,
            "SigningAlgorithms": ALGORITHMS, "PublicKey": BASE64_STANDARD.encode(public),
        }))
    }

    /// <https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html>
    fn sign(&self, request: &Value) -> Result<Value, Refusal> {
        let (id, key) = self.lock().find(&request["KeyId"])?;
        let message = request["Message"]
            .as_str()
            .and_then(|text| BASE64_STANDARD.decode(text).ok());
        let message = message.unwrap_or_default();
        if message.is_empty() || message.len() > LONGEST_MESSAGE {
            let message = format!(
                "1 validation error detected: Value at 'message' failed to satisfy constraint: Member must have length \
                 between 1 and {LONGEST_MESSAGE}"
            );
            return refuse("ValidationException", &message);
        }
        let algorithm = request["SigningAlgorithm"].as_str().unwrap_or_default();
        if !ALGORITHMS.contains(&algorithm) {
            let message = format!("Algorithm {algorithm} is incompatible with key spec {SPEC}.");
            return refuse("InvalidKeyUsageException", &message);
        }
        // ED25519_SHA_512 takes the message itself, ED25519_PH_SHA_512 a digest.
        if algorithm != ALGORITHMS[0] {
            return refuse(
                "UnsupportedOperationException",
                "KMS simulator: only ED25519_SHA_512",
            );
        }
        if !matches!(request["MessageType"].as_str(), None | Some("RAW")) {
            let message = format!(
                "Message type {} is incompatible with {algorithm}",
                request["MessageType"]
            );
            return refuse("ValidationException", &message);
        }
        let signature = key.pair()?.sign(&message);
        Ok(json!({
            "KeyId": arn(&id), "SigningAlgorithm": algorithm,
            "Signature": BASE64_STANDARD.encode(signature.as_ref()),
        }))
    }

    fn keep(&self, held: &Held) -> Result<(), Refusal> {
        let Some(file) = &self.file else { return Ok(()) };
        let bytes = serde_json::to_vec(held).map_err(io::Error::from);
        let written = bytes.and_then(|bytes| std::fs::write(file, bytes));
        written.map_err(|error| ("KMSInternalException", error.to_string()))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Returns a key by its id, its ARN, its alias or the ARN of that.
    fn find(&self, name: &Value) -> Result<(String, Key), Refusal> {
        let name = name.as_str().unwrap_or_default();
        let prefix = format!("arn:aws:kms:{REGION}:{ACCOUNT_ID}:");
        let short = name.strip_prefix(&prefix).unwrap_or(name);
        let id = match short.strip_prefix("key/") {
            Some(id) => id,
            None => self.aliases.get(short).map_or(short, String::as_str),
        };
        match self.keys.get(id) {
            Some(key) => Ok((id.to_owned(), key.clone())),
            None if short.starts_with("alias/") => refuse(
                "NotFoundException",
                &format!("Alias {prefix}{short} is not found."),
            ),
            None => refuse(
                "NotFoundException",
                &format!("Key '{prefix}key/{short}' does not exist"),
            ),
        }
    }
}

impl Key {
    fn pair(&self) -> Result<Ed25519KeyPair, Refusal> {
        let seed = hex::decode(&self.seed).unwrap_or_default();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
        pair.map_err(|error| ("KMSInternalException", error.to_string()))
    }
}

fn refuse<T>(kind: &'static str, message: &str) -> Result<T, Refusal> {
    Err((kind, message.to_owned()))
}

fn arn(id: &str) -> String {
    format!("arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/{id}")
}

fn metadata(id: &str, key: &Key) -> Value {
    json!({
        "AWSAccountId": ACCOUNT_ID, "KeyId": id, "Arn": arn(id), "CreationDate": key.created, "Enabled": true,
        "KeyState": "Enabled", "KeyManager": "CUSTOMER", "Origin": "AWS_KMS", "MultiRegion": false,
        "KeySpec": SPEC, "CustomerMasterKeySpec": SPEC, "KeyUsage": USAGE, "SigningAlgorithms": ALGORITHMS,
    })
}
