//! Numbers of parties in one spelling, so that a call is found by a number however its source wrote it.

mod country;

use std::fmt;

pub use country::Country;

/// A number of a party: E.164 with its `+`, or an extension of up to 6 digits as given.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(String);

/// Leaves the digits out of logs.
impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Number")
    }
}

/// Why a text is no number. Does not repeat the text, which is personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotANumber {
    /// It is in national form, and no country is known.
    #[error("is in national form, and no country is given")]
    National,
    /// It holds no number, or one that is too short or too long.
    #[error("is not a telephone number")]
    Other,
}

/// Most digits of an extension.
const LONGEST_EXTENSION: usize = 6;
/// Digits of a number in E.164: at most 15, and no assigned one has fewer than 7.
const E164: std::ops::RangeInclusive<usize> = 7..=15;
/// Longest text that is looked at.
const LONGEST_TEXT: usize = 256;

impl Number {
    /// Reads a number as people write it, with spaces, hyphens, dots, slashes and brackets. A national number needs its
    /// `country`.
    pub fn parse(text: &str, country: Option<Country>) -> Result<Self, NotANumber> {
        if text.len() > LONGEST_TEXT {
            return Err(NotANumber::Other);
        }
        let text = text.trim().replace('\u{a0}', " ");
        // The trunk prefix beside an international one: +49 (0)30 ...
        let text = match text.starts_with('+') {
            true => text.replacen("(0)", "", 1),
            false => text,
        };
        let (plus, rest) = match text.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let digits: String = rest.chars().filter(|c| !" -./()".contains(*c)).collect();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotANumber::Other);
        }
        if plus {
            return Self::e164(&digits);
        }
        if digits.len() <= LONGEST_EXTENSION {
            return Ok(Self(digits));
        }
        let country = country.ok_or(NotANumber::National)?;
        if let Some(abroad) = digits.strip_prefix(country.abroad) {
            return Self::e164(abroad);
        }
        let national = digits.strip_prefix(country.trunk).unwrap_or(&digits);
        Self::e164(&format!("{}{national}", country.calling))
    }

    /// Reads the address of a party as Genesys gives it: `tel:+4930123456`, `sip:1234@host`, or a number. `None` for an
    /// anonymous caller, the address of a user or a station, and a national number without a country.
    pub fn of_address(address: &str, country: Option<Country>) -> Option<Self> {
        Self::in_address(address, country).ok()
    }

    /// Reads an address like [`Self::of_address`], and says why it holds no number.
    pub fn in_address(address: &str, country: Option<Country>) -> Result<Self, NotANumber> {
        let scheme = ["tel:", "sip:", "sips:"]
            .iter()
            .find(|scheme| {
                address
                    .get(..scheme.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            })
            .map_or(0, |scheme| scheme.len());
        let user = address[scheme..]
            .split(['@', ';', '?'])
            .next()
            .unwrap_or_default();
        let user = user.replace("%2B", "+").replace("%2b", "+");
        Self::parse(&user, country)
    }

    fn e164(digits: &str) -> Result<Self, NotANumber> {
        if digits.starts_with('0') || !E164.contains(&digits.len()) {
            return Err(NotANumber::Other);
        }
        Ok(Self(format!("+{digits}")))
    }

    /// Returns the spelling that is hashed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, country: &str) -> Result<String, NotANumber> {
        Number::parse(text, Country::parse(country)).map(|number| number.0)
    }

    #[test]
    fn one_number_has_one_spelling() {
        for (text, country, number) in [
            ("+49 30 123456", "", "+4930123456"),
            ("+49 (0)30 12 34-56", "", "+4930123456"),
            ("030/123456", "DE", "+4930123456"),
            ("0049 30 123456", "DE", "+4930123456"),
            ("030 123456", "de", "+4930123456"),
            ("(555) 555-0100", "US", "+15555550100"),
            ("1-555-555-0100", "US", "+15555550100"),
            ("011 49 30 123456", "US", "+4930123456"),
            ("06 1 234 5678", "IT", "+390612345678"),
            ("06 1 234 5678", "HU", "+3612345678"),
            ("1234", "", "1234"),
            ("110", "DE", "110"),
        ] {
            assert_eq!(read(text, country).as_deref(), Ok(number), "{text} {country}");
        }
    }

    #[test]
    fn a_national_number_needs_a_country() {
        assert_eq!(read("030 1234567", ""), Err(NotANumber::National));
        for text in ["", "+", "anonymous", "+0123456789", "+1234567890123456", "12a"] {
            assert_eq!(read(text, "DE"), Err(NotANumber::Other), "{text}");
        }
    }

    #[test]
    fn addresses_of_parties_are_numbers_or_nobody() {
        let of = |text: &str| Number::of_address(text, None).map(|number| number.0);
        assert_eq!(of("tel:+15555550100").as_deref(), Some("+15555550100"));
        assert_eq!(
            of("sip:%2B15555550100@10.0.0.1;user=phone").as_deref(),
            Some("+15555550100")
        );
        assert_eq!(of("SIP:1234@edge.example").as_deref(), Some("1234"));
        for nobody in [
            "sip:anonymous@anonymous.invalid",
            "tel:unknown",
            "sip:5f3e1c2a+org.orgspan.com;tgrp=x@localhost",
            "tel:0301234567",
            "",
        ] {
            assert_eq!(of(nobody), None, "{nobody}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".{0,80}") {
            let _ = Number::parse(&text, Country::parse("DE"));
            let _ = Number::of_address(&text, Country::parse("US"));
        }
    }
}
