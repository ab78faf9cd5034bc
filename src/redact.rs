//! Keeps overlong input, phone numbers, e-mail addresses and values that may be secrets out of error texts and cases;
//! and shows control and bidi characters, which are invisible or steer the reader.

use std::fmt::Write as _;

use url::Url;

/// Longest piece of foreign text that an error echoes, in characters.
const ECHO: usize = 200;

/// Returns the first characters of a foreign text, without addresses of people, control characters escaped.
pub fn clip(text: &str) -> String {
    let text = people(text);
    let mut clipped: String = text.chars().take(ECHO).flat_map(char::escape_debug).collect();
    if text.chars().nth(ECHO).is_some() {
        clipped.push('…');
    }
    clipped
}

/// Returns a foreign text fit for an error message: as [`clip`] gives it, in quotes.
pub fn quote(text: &str) -> String {
    format!("\"{}\"", clip(text))
}

/// Stands for a value that an error must not show.
pub const NOT_SHOWN: &str = "(not shown)";

/// Describes a text that may be a secret by its length alone.
pub fn length(text: &str) -> String {
    format!("{} characters long {NOT_SHOWN}", text.chars().count())
}

/// Shows the value of a setting: of a URL only scheme and host, as its path and query, and a name and password before
/// the host, can be secrets.
pub fn setting(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => {
            let host = clip(url.host_str().unwrap_or_default());
            let shown = format!("{}://{host}", url.scheme());
            let rest = if text.trim_end_matches('/') == shown {
                ""
            } else {
                " (rest not shown)"
            };
            format!("\"{shown}\"{rest}")
        }
        _ if text.contains('@') => length(text),
        _ => quote(text),
    }
}

/// Quotes the beginning of an answer, up to the query of a URL, which may be a signature.
pub fn beginning(body: &[u8]) -> String {
    const SHOWN: usize = 60;
    let text = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    quote(text.split('?').next().unwrap_or_default())
}

/// Says whether a character does something else than being shown: it moves a terminal's cursor, ends a line, or turns
/// the reading direction of the text around it
/// (<https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters>).
pub fn is_deceptive(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Shows a foreign text on one line: deceptive characters as Rust escapes them, all others unchanged.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_deceptive(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Returns the same JSON with the deceptive characters in its strings as `\uXXXX`. JSON itself demands that below
/// U+0020 only.
pub fn visible_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for letter in json.chars() {
        if is_deceptive(letter) {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Replaces what looks like a phone number, a `tel:` or `sip:` address or an e-mail address, percent-encoded or not.
///
/// Only numbers in international form (`+`, at least 7 digits: ITU-T E.164) count as such: bare digits are more
/// often times and sizes than people.
pub fn people(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(ends_word) {
        let word = piece.trim_end_matches(ends_word);
        out.push_str(if is_address(word) { REDACTED } else { word });
        out.push_str(&piece[word.len()..]);
    }
    without_numbers(&out)
}

const REDACTED: &str = "[redacted]";

fn ends_word(c: char) -> bool {
    c.is_whitespace() || "\"'<>,;(){}[]\\".contains(c)
}

fn is_address(word: &str) -> bool {
    let word = word.to_ascii_lowercase().replace("%3a", ":").replace("%40", "@");
    let scheme = ["tel:", "sip:", "sips:", "mailto:"].iter().any(|scheme| {
        word.match_indices(scheme)
            .any(|(at, _)| !word[..at].ends_with(char::is_alphanumeric))
    });
    let mail = word
        .split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && host.contains('.'));
    scheme || mail
}

/// Numbers go last, as spaces, brackets, dots and dashes may be between their digits.
fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['+', '%']) {
        let (before, from_plus) = rest.split_at(at);
        out.push_str(before);
        let plus = ["+", "%2B", "%2b"]
            .iter()
            .find(|plus| from_plus.starts_with(**plus));
        let end = plus.and_then(|plus| Some(plus.len() + end_of_number(&from_plus[plus.len()..])?));
        out.push_str(if end.is_some() { REDACTED } else { &from_plus[..1] });
        rest = &from_plus[end.unwrap_or(1)..];
    }
    out.push_str(rest);
    out
}

/// Returns the end of the number that a text begins with, if it begins with one.
fn end_of_number(text: &str) -> Option<usize> {
    let run = text.find(|c: char| !(c.is_ascii_digit() || " -./()".contains(c)));
    let number = text[..run.unwrap_or(text.len())].trim_end_matches(|c: char| !c.is_ascii_digit());
    let digits = number.bytes().filter(u8::is_ascii_digit).count();
    (number.starts_with(|c: char| c.is_ascii_digit() || c == '(') && digits >= 7).then_some(number.len())
}

/// Takes out what an error quotes: text between `"` and values between backticks, except names that `is_name` knows.
pub fn unquoted(text: &str, is_name: impl Fn(&str) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', '`']) {
        let mark = if rest[at..].starts_with('"') { '"' } else { '`' };
        let (before, quoted) = (&rest[..at], &rest[at + 1..]);
        let end = end_of_quote(quoted, mark);
        let value = &quoted[..end.unwrap_or(quoted.len())];
        out.push_str(before);
        match mark == '`' && end.is_some() && is_name(value) {
            true => out.extend(["`", value, "`"]),
            false => out.push_str(NOT_SHOWN),
        }
        rest = end.map_or("", |end| &quoted[end + 1..]);
    }
    out + rest
}

/// Finds where a quote ends; a mark with a backslash before it does not end it.
fn end_of_quote(text: &str, mark: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == mark && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
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
            ("call +49 (30) 123 45-67, now", "call [redacted], now"),
            ("ani=sip:anna@host&to=x", "[redacted]"),
            ("/x/tel%3A%2B15555550100", "[redacted]"),
            ("?ani=%2b15555550100&n=1", "?ani=[redacted]&n=1"),
            ("anna%40example.com", "[redacted]"),
            ("1 + 1 %2B %2 +", "1 + 1 %2B %2 +"),
            ("2026-01-15T10:20:30+01:00", "2026-01-15T10:20:30+01:00"),
            ("size 123456789012", "size 123456789012"),
        ] {
            assert_eq!(people(text), expected);
        }
    }

    #[test]
    fn deceptive_characters_are_shown_and_others_stay() {
        let evil = "a\u{1b}[2J\n\u{9b}\u{202e}é\u{7f}";
        assert_eq!(visible(evil), r"a\u{1b}[2J\n\u{9b}\u{202e}é\u{7f}");
        let json = serde_json::Value::from(evil).to_string();
        let shown = visible_json(&json);
        assert!(!shown.chars().any(is_deceptive), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), evil);
    }

    #[test]
    fn the_beginning_of_an_answer_ends_before_a_signature() {
        assert_eq!(
            beginning(b"{\"u\": \"https://x/y?Signature=abc"),
            "\"{\\\"u\\\": \\\"https://x/y\""
        );
        assert_eq!(beginning(&[b'a'; 90]).len(), 62);
    }

    proptest! {
        #[test]
        fn quoting_is_short_and_never_panics(text in any::<String>()) {
            prop_assert!(quote(&text).len() < 2000);
        }

        #[test]
        fn what_was_quoted_is_never_shown(text in any::<String>(), around in "[a-z ]{0,9}") {
            let shown = unquoted(&format!("{around}{}{around}", quote(&text)), |_| false);
            prop_assert_eq!(shown, format!("{around}(not shown){around}"));
        }
    }
}
