//! Keeps what must not be seen out of error texts and hand-overs: overlong input, phone numbers, e-mail addresses.

use serde_json::Value;

/// Longest piece of foreign text that an error echoes, in characters.
const ECHO: usize = 200;

/// The first characters of a foreign text, control characters escaped.
pub fn clip(text: &str) -> String {
    let mut clipped: String = text.chars().take(ECHO).flat_map(char::escape_debug).collect();
    if text.chars().nth(ECHO).is_some() {
        clipped.push('…');
    }
    clipped
}

/// A foreign text fit for an error message: quoted, clipped, without addresses of people.
pub fn quote(text: &str) -> String {
    format!("\"{}\"", clip(&people(text)))
}

/// Replaces what looks like a phone number, a `tel:` or `sip:` address or an e-mail address.
///
/// Only numbers in international form (`+`, 7 to 15 digits: ITU-T E.164) count as such: bare digits are
/// more often times and sizes than people.
pub fn people(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars() {
        if c.is_whitespace() || "\"'<>,;(){}[]\\".contains(c) {
            push_word(&mut out, &word);
            word.clear();
            out.push(c);
        } else {
            word.push(c);
        }
    }
    push_word(&mut out, &word);
    out
}

fn push_word(out: &mut String, word: &str) {
    let lower = word.to_ascii_lowercase();
    let address = ["tel:", "sip:", "sips:", "mailto:"]
        .iter()
        .any(|scheme| lower.starts_with(scheme));
    let digits = |text: &str| {
        text.bytes()
            .take_while(|b| b.is_ascii_digit() || b"-. ".contains(b))
            .count()
    };
    let phone = word
        .match_indices('+')
        .any(|(at, _)| digits(&word[at + 1..]) >= 7);
    let mail = word
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && host.contains('.'));
    out.push_str(if address || phone || mail {
        "[redacted]"
    } else {
        word
    });
}

/// The same for every string of a JSON value. `requestedBy` is kept: it is what the audit is for.
pub fn people_in_json(value: &mut Value) {
    match value {
        Value::String(text) => *text = people(text),
        Value::Array(items) => items.iter_mut().for_each(people_in_json),
        Value::Object(fields) => {
            fields
                .iter_mut()
                .filter(|(name, _)| *name != "requestedBy")
                .for_each(|(_, v)| people_in_json(v));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn people_are_taken_out_and_the_rest_stays() {
        for (text, expected) in [
            ("ani tel:+15555550100 rang", "ani [redacted] rang"),
            (
                r#"{"ani":"sip:anna@host","n":1}"#,
                r#"{"ani":"[redacted]","n":1}"#,
            ),
            ("mail anna.b@example.com,", "mail [redacted],"),
            ("+1-555-555-0100", "[redacted]"),
            ("2026-01-15T10:20:30+01:00", "2026-01-15T10:20:30+01:00"),
            ("size 123456789012", "size 123456789012"),
        ] {
            assert_eq!(people(text), expected);
        }
    }

    #[test]
    fn whoever_asked_is_kept() {
        let mut value = serde_json::json!({"requestedBy": "anna@example.com", "to": ["bob@example.com"]});
        people_in_json(&mut value);
        assert_eq!(
            value,
            serde_json::json!({"requestedBy": "anna@example.com", "to": ["[redacted]"]})
        );
    }

    proptest! {
        #[test]
        fn quoting_is_short_and_never_panics(text in any::<String>()) {
            prop_assert!(quote(&text).len() < 2000);
        }
    }
}
