//! The keys of the webhook's signature, as the secret holds them: `webhookSecret`, and `webhookSecrets` for rotation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::SecretString;
use serde_json::{Map, Value};

/// The part of the secret that is about the webhook's signature. No text here holds a part of a key.
#[derive(Debug)]
pub enum WebhookKeys {
    /// Each of them signs; at least one.
    Keys(Vec<SecretString>),
    /// There is none.
    None,
    /// There is none, but a field whose name looks like a misspelt one; says which.
    Misspelt(String),
    /// The value cannot be a key, for this reason.
    Unusable(String),
}

/// Length of a decoded key in bytes:
/// <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme>.
const LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

const PREFIX: &str = "whsec_";

/// The fields that mean something, or did in an older form.
const KNOWN: [&str; 6] = [
    "clientId",
    "clientSecret",
    "GENESYS_CLOUD_CLIENT_ID",
    "GENESYS_CLOUD_CLIENT_SECRET",
    "webhookSecret",
    "webhookSecrets",
];

impl WebhookKeys {
    pub(super) fn read(fields: &Map<String, Value>) -> Self {
        let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
        let mut keys: Vec<(String, &Value)> = Vec::new();
        keys.extend(given("webhookSecret").map(|value| ("webhookSecret".to_owned(), value)));
        match given("webhookSecrets") {
            None => {}
            Some(Value::Array(list)) => {
                let numbered = list.iter().enumerate();
                keys.extend(numbered.map(|(at, value)| (format!("webhookSecrets[{at}]"), value)));
            }
            Some(other) => keys.push(("webhookSecrets".to_owned(), other)),
        }
        if keys.is_empty() {
            return fields
                .iter()
                .find_map(lookalike)
                .map_or(Self::None, Self::Misspelt);
        }
        let keys = keys.into_iter().map(|(name, value)| key(&name, value));
        keys.collect::<Result<_, _>>()
            .map_or_else(Self::Unusable, Self::Keys)
    }
}

fn key(name: &str, value: &Value) -> Result<SecretString, String> {
    let unusable = |what: &str| {
        Err(format!(
            "{name} {what}; accepted: base64 of {} to {} bytes, with or without the prefix {PREFIX}",
            LENGTH.start(),
            LENGTH.end()
        ))
    };
    let Some(text) = value.as_str().map(str::trim) else {
        return unusable("is not text");
    };
    let encoded = text.strip_prefix(PREFIX).unwrap_or(text);
    match BASE64.decode(encoded) {
        Err(_) => unusable("is not base64"),
        Ok(bytes) if !LENGTH.contains(&bytes.len()) => unusable(&format!("decodes to {} bytes", bytes.len())),
        Ok(_) => Ok(SecretString::from(encoded)),
    }
}

/// Describes a field that means nothing and looks like a key: by its name, or as its value has the prefix of one.
fn lookalike((name, value): (&String, &Value)) -> Option<String> {
    let letters: String = name.chars().filter(char::is_ascii_alphabetic).collect();
    let letters = letters.to_ascii_lowercase();
    let by_name = ["hook", "whsec", "secret", "signing", "signature"];
    let by_value = value.as_str().is_some_and(|text| text.trim().starts_with(PREFIX));
    if KNOWN.contains(&name.as_str()) || !(by_value || by_name.iter().any(|part| letters.contains(part))) {
        return None;
    }
    // A name with digits in it may be a key that was pasted into the wrong place.
    let plain = name.len() <= 40 && !name.chars().any(|c| c.is_ascii_digit() || c.is_control());
    let named = if plain {
        format!("{name:?}")
    } else {
        "whose name is not shown".to_owned()
    };
    Some(format!(
        "there is no webhookSecret, but a field {named} that may be a misspelt one"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(fields: Value) -> WebhookKeys {
        WebhookKeys::read(fields.as_object().unwrap())
    }

    fn of(length: usize) -> String {
        BASE64.encode("k".repeat(length))
    }

    #[test]
    fn a_key_has_24_to_64_bytes() {
        for (length, fits) in [
            (0, false),
            (1, false),
            (23, false),
            (24, true),
            (64, true),
            (65, false),
        ] {
            for text in [
                of(length),
                format!("whsec_{}", of(length)),
                format!(" {} ", of(length)),
            ] {
                let keys = read(json!({"webhookSecret": text}));
                assert_eq!(matches!(keys, WebhookKeys::Keys(_)), fits, "{length}: {keys:?}");
            }
        }
    }

    #[test]
    fn several_keys_are_one_list_and_one_bad_key_spoils_it() {
        let keys = read(json!({"webhookSecret": of(24), "webhookSecrets": [of(25), of(26)]}));
        assert!(matches!(keys, WebhookKeys::Keys(keys) if keys.len() == 3));
        let WebhookKeys::Unusable(why) = read(json!({"webhookSecrets": [of(25), "c2hvcnQ="]})) else {
            panic!()
        };
        assert!(
            why.contains("webhookSecrets[1] decodes to 5 bytes") && !why.contains("c2hvcnQ"),
            "{why}"
        );
        let WebhookKeys::Unusable(why) = read(json!({"webhookSecrets": "c2hvcnQ="})) else {
            panic!()
        };
        assert!(why.contains("webhookSecrets decodes to 5 bytes"), "{why}");
        assert!(matches!(
            read(json!({"webhookSecrets": [], "webhookSecret": null})),
            WebhookKeys::None
        ));
    }

    #[test]
    fn what_may_be_a_misspelt_key_is_named_and_never_shown() {
        for (name, value) in [
            ("webhookSecert", "x"),
            ("WEBHOOK_SECRET", "x"),
            ("key", "whsec_aGVsbG8="),
            ("Web-Hook", ""),
        ] {
            let WebhookKeys::Misspelt(why) = read(json!({"clientSecret": "s", name: value})) else {
                panic!("{name}")
            };
            assert!(why.contains(name) && !why.contains("aGVsbG8"), "{why}");
        }
        let WebhookKeys::Misspelt(why) = read(json!({"whsec_aGVsbG8x": 1})) else {
            panic!()
        };
        assert!(!why.contains("aGVsbG8"), "{why}");
        assert!(matches!(
            read(json!({"clientId": "whsec_", "other": 1, "note": "x"})),
            WebhookKeys::None
        ));
        assert!(matches!(
            read(json!({"webhookSecert": "x", "webhookSecret": of(24)})),
            WebhookKeys::Keys(_)
        ));
    }
}
