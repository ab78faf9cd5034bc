//! Signed tree heads: [C2SP tlog-checkpoint](https://c2sp.org/tlog-checkpoint) in a
//! [signed note](https://c2sp.org/signed-note).
//!
//! The one extension line, `time RFC3339`, says when the sealer signed; it is part of what is signed.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use signed_note::{Note, Signature, StandardVerifier, VerifierList, key_id};
use tlog_tiles::checkpoint::Checkpoint as TreeHead;
use tlog_tiles::tlog::Hash;

/// The signed note's number for Ed25519.
const ALGORITHM: u8 = 1;

/// What a DER-encoded Ed25519 public key begins with (RFC 8410, section 4); the 32 bytes of the key follow.
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The name and the public key of a log. Checks what its sealer signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    origin: String,
    public: [u8; 32],
}

/// The reason why a key or a checkpoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The public key cannot be read.
    #[error("{0}")]
    Key(String),
    /// The bytes are no signed checkpoint.
    #[error("no signed checkpoint: {0}")]
    Malformed(String),
    /// The signature is not by the log's key.
    #[error("the signature is not by the key of the log {0}")]
    Signature(String),
    /// The checkpoint is one of another log.
    #[error("a checkpoint of the log {found:?}, not of {wanted:?}")]
    Origin {
        /// The log that it names.
        found: String,
        /// The log that was asked for.
        wanted: String,
    },
}

/// A tree head that the log's key signed.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Number of leaves.
    pub size: u64,
    /// The root of the tree with so many leaves.
    pub root: Hash,
    /// When it was signed, by the sealer's clock.
    pub time: Timestamp,
    /// The signed note as it is stored.
    pub note: Vec<u8>,
}

impl LogKey {
    /// Makes the key of the log `origin` of an Ed25519 public key in DER, as KMS and `openssl` write it.
    pub fn from_der(origin: &str, der: &[u8]) -> Result<Self, Refused> {
        let refused = |why: &str| Refused::Key(format!("the key of the log {origin}: {why}"));
        if !signed_note::is_key_name_valid(origin) {
            return Err(refused(
                "a log's name is not empty and holds neither spaces nor pluses",
            ));
        }
        let public = der.strip_prefix(&SPKI).and_then(|key| key.try_into().ok());
        let public = public.ok_or_else(|| refused("no Ed25519 public key in DER"))?;
        let key = Self {
            origin: origin.to_owned(),
            public,
        };
        key.verifier()?;
        Ok(key)
    }

    /// Reads a verifier key, `ORIGIN+HASH+BASE64`, as signed-note specifies it.
    pub fn from_verifier_key(text: &str) -> Result<Self, Refused> {
        let refused = || Refused::Key("no verifier key of a signed note: ORIGIN+HASH+BASE64".to_owned());
        StandardVerifier::new(text).map_err(|_| refused())?;
        let (origin, key) = text.split_once('+').ok_or_else(refused)?;
        let (_, key) = key.split_once('+').ok_or_else(refused)?;
        let key = BASE64_STANDARD.decode(key).map_err(|_| refused())?;
        let public = key.strip_prefix(&[ALGORITHM]);
        let public = public.and_then(|key| key.try_into().ok()).ok_or_else(refused)?;
        Ok(Self {
            origin: origin.to_owned(),
            public,
        })
    }

    /// Returns the verifier key as signed-note writes it: what others need to check the log.
    pub fn verifier_key(&self) -> String {
        let key = self.key_bytes();
        let id = key_id(&self.origin, &key);
        format!("{}+{id:08x}+{}", self.origin, BASE64_STANDARD.encode(key))
    }

    /// Returns the name of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the text of a checkpoint, which is what the log's key has to sign.
    pub fn text(&self, size: u64, root: Hash, time: Timestamp) -> Vec<u8> {
        format!("{}\n{size}\n{root}\ntime {time}\n", self.origin).into_bytes()
    }

    /// Makes a checkpoint of its text and the signature over it. Fails unless the signature is by this key.
    pub fn signed(&self, text: &[u8], signature: Vec<u8>) -> Result<Checkpoint, Refused> {
        let malformed = |error: signed_note::NoteError| Refused::Malformed(error.to_string());
        let id = key_id(&self.origin, &self.key_bytes());
        let signature = Signature::new(self.origin.clone(), id, signature).map_err(malformed)?;
        let note = Note::new(text, &[signature]).map_err(malformed)?;
        self.open(&note.to_bytes())
    }

    /// Reads a checkpoint and checks that this key signed it for this log.
    pub fn open(&self, note: &[u8]) -> Result<Checkpoint, Refused> {
        let malformed = |why: &str| Refused::Malformed(why.to_owned());
        let signed = Note::from_bytes(note).map_err(|error| malformed(&error.to_string()))?;
        let head = TreeHead::from_bytes(signed.text()).map_err(|error| malformed(&error.to_string()))?;
        if head.origin() != self.origin {
            return Err(Refused::Origin {
                found: head.origin().to_owned(),
                wanted: self.origin.clone(),
            });
        }
        let known = VerifierList::new(vec![Box::new(self.verifier()?)]);
        if signed.verify(&known).is_err() {
            return Err(Refused::Signature(self.origin.clone()));
        }
        let time = head.extension().strip_prefix("time ");
        let time = time.and_then(|time| time.strip_suffix('\n')?.parse().ok());
        Ok(Checkpoint {
            size: head.size(),
            root: *head.hash(),
            time: time.ok_or_else(|| malformed("it does not say when it was signed"))?,
            note: note.to_vec(),
        })
    }

    fn verifier(&self) -> Result<StandardVerifier, Refused> {
        let refused = |error| Refused::Key(format!("the key of the log {}: {error}", self.origin));
        StandardVerifier::new(&self.verifier_key()).map_err(refused)
    }

    fn key_bytes(&self) -> Vec<u8> {
        [&[ALGORITHM][..], &self.public].concat()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;

    const ORIGIN: &str = "example.com/archive";

    fn pair() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
    }

    fn key(pair: &Ed25519KeyPair) -> LogKey {
        LogKey::from_der(ORIGIN, &[&SPKI[..], pair.public_key().as_ref()].concat()).unwrap()
    }

    fn checkpoint() -> (LogKey, Checkpoint) {
        let (pair, time) = (pair(), "2026-11-27T15:44:36.120Z".parse().unwrap());
        let key = key(&pair);
        let text = key.text(3, Hash([9; 32]), time);
        let checkpoint = key.signed(&text, pair.sign(&text).as_ref().to_vec());
        (key, checkpoint.unwrap())
    }

    #[test]
    fn a_checkpoint_is_a_signed_note_that_says_when_it_was_signed() {
        let (key, checkpoint) = checkpoint();
        let note = String::from_utf8(checkpoint.note.clone()).unwrap();
        let lines: Vec<_> = note.lines().collect();
        assert_eq!(lines[..2], [ORIGIN, "3"]);
        assert_eq!(lines[3..5], ["time 2026-11-27T15:44:36.12Z", ""]);
        assert!(lines[5].starts_with("\u{2014} example.com/archive "), "{note}");
        assert_eq!(key.open(&checkpoint.note), Ok(checkpoint));
    }

    #[test]
    fn a_changed_checkpoint_or_one_of_another_log_is_refused() {
        let (key, checkpoint) = checkpoint();
        for at in 0..checkpoint.note.len() {
            let mut changed = checkpoint.note.clone();
            changed[at] ^= 1;
            assert!(key.open(&changed).is_err(), "byte {at}");
        }
        let other = LogKey {
            origin: "example.com/other".to_owned(),
            ..key
        };
        let refused = other.open(&checkpoint.note).unwrap_err();
        assert!(matches!(refused, Refused::Origin { .. }), "{refused}");
    }

    #[test]
    fn a_verifier_key_is_read_back() {
        let (key, _) = checkpoint();
        assert_eq!(LogKey::from_verifier_key(&key.verifier_key()), Ok(key));
        assert!(LogKey::from_verifier_key("example.com+00000000+AAAA").is_err());
    }
}
