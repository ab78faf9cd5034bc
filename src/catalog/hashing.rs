//! Hashes under the stack's own key, in place of what must not stand in a key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use crate::domain::number::Number;

/// The key of the catalog.
#[derive(Debug)]
pub(super) struct Hashing(SecretString);

/// Fewest characters of the key. The template makes one of 64.
const SHORTEST: usize = 32;

impl Hashing {
    /// Takes the secret's text as the key. The error never holds a part of it.
    pub(super) fn new(key: &str) -> Result<Self, String> {
        let length = key.chars().count();
        if length < SHORTEST {
            return Err(format!(
                "has {length} characters; accepted: at least {SHORTEST}, chosen at random"
            ));
        }
        Ok(Self(key.into()))
    }

    /// Returns what stands for a number in keys: HMAC-SHA256, in base64.
    pub(super) fn number(&self, number: &Number) -> String {
        URL_SAFE_NO_PAD.encode(self.hash("number", number.as_str()))
    }

    /// Returns what tells the names of one id apart.
    pub(super) fn name(&self, name: &str) -> String {
        URL_SAFE_NO_PAD.encode(&self.hash("name", name)[..6])
    }

    fn hash(&self, kind: &str, text: &str) -> [u8; 32] {
        // HMAC takes keys of any length.
        Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes())
            .map(|mut mac| {
                mac.update(kind.as_bytes());
                mac.update(b"\0");
                mac.update(text.as_bytes());
                mac.finalize().into_bytes().into()
            })
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_number_is_that_of_the_standard() {
        let hashing = Hashing::new(&"k".repeat(32)).unwrap();
        let number = Number::parse("+4930123456", None).unwrap();
        // printf 'number\0+4930123456' | openssl dgst -sha256 -hmac kkkk... -binary | basenc --base64url
        assert_eq!(
            hashing.number(&number),
            "5i5iyUqig2xSKpR7Z7SDhPhRcphx0E1xMvrb0pa05ng"
        );
    }

    #[test]
    fn a_short_key_is_refused_without_being_told() {
        let refused = Hashing::new("short").unwrap_err();
        assert_eq!(
            refused,
            "has 5 characters; accepted: at least 32, chosen at random"
        );
    }
}
