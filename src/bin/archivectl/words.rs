//! Moments, lengths of time and sizes as people read them: each in one way.

use std::fmt;

use indicatif::{HumanBytes, HumanCount};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The time zone in which people want to see moments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// Reads the name of a time zone.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let zone = match text {
            "UTC" => Ok(TimeZone::UTC),
            "local" => TimeZone::try_system(),
            name => TimeZone::get(name),
        };
        zone.map(Self).map_err(|_| {
            "accepted: UTC, local, or a name of the IANA time zone database that this machine has (tzdata), such as Europe/Berlin"
                .to_owned()
        })
    }

    /// Returns its name.
    pub(crate) fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("local")
    }

    /// Writes a moment, to the second.
    pub(crate) fn second(&self, moment: Timestamp) -> String {
        self.write(moment, "%Y-%m-%dT%H:%M:%S")
    }

    /// Writes a moment as a record holds it: with all its digits in UTC, to the second elsewhere.
    pub(crate) fn recorded(&self, text: &str) -> String {
        match text.parse() {
            Ok(moment) if self.0 != TimeZone::UTC => self.second(moment),
            _ => text.to_owned(),
        }
    }

    /// Writes a moment for pages, to the minute.
    pub(crate) fn minute(&self, moment: Timestamp) -> String {
        let zoned = moment.to_zoned_datetime(self.0.clone());
        zoned.strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// Writes a moment as people speak of it, to the second, where the zone is named beside it.
    pub(crate) fn spoken(&self, moment: Timestamp) -> String {
        let zoned = moment.to_zoned_datetime(self.0.clone());
        zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Writes a moment as people speak of it, to the second.
    pub(crate) fn moment(&self, moment: Timestamp) -> String {
        format!("{} {}", self.spoken(moment), self.name())
    }

    fn write(&self, moment: Timestamp, form: &str) -> String {
        let zoned = moment.to_zoned_datetime(self.0.clone());
        let offset = if self.0 == TimeZone::UTC { "Z" } else { "%:z" };
        zoned.strftime(&format!("{form}{offset}")).to_string()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Returns a text that begins with a capital letter.
pub(crate) fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// Returns a text that begins with a capital letter, unless it begins with an id, a key or the like.
pub(crate) fn sentence(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    match word.chars().all(char::is_alphabetic) {
        true => capitalised(text),
        false => text.to_owned(),
    }
}

/// Writes a number.
pub(crate) fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// Writes a number and what it counts.
pub(crate) fn counted(number: u64, one: &str, more: &str) -> String {
    let noun = if number == 1 { one } else { more };
    format!("{} {noun}", count(number))
}

/// Writes a number of bytes with the binary unit that fits.
pub(crate) fn bytes(number: u64) -> String {
    HumanBytes(number).to_string()
}

/// Writes a number of bytes as evidence: to the byte.
pub(crate) fn exact_bytes(number: u64) -> String {
    format!("{} ({} bytes)", bytes(number), count(number))
}

/// Writes a length as hours, minutes and seconds.
pub(crate) fn clock(millis: u64) -> String {
    let seconds = millis / 1_000;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}

/// Writes milliseconds with the unit that fits.
#[expect(clippy::cast_precision_loss, reason = "one digit after the point")]
pub(crate) fn duration(millis: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    match UNITS.iter().find(|(unit, _)| millis >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", millis as f64 / *unit as f64),
        None => format!("{millis} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_length_has_its_unit() {
        let told = [0, 999, 1_500, 90_000, 5_400_000, 129_600_000].map(duration);
        assert_eq!(told, ["0 ms", "999 ms", "1.5 s", "1.5 min", "1.5 h", "1.5 d"]);
    }

    #[test]
    fn sizes_have_one_unit_system() {
        assert_eq!(bytes(144_044), "140.67 KiB");
        assert_eq!(exact_bytes(144_044), "140.67 KiB (144,044 bytes)");
    }

    #[test]
    fn moments_are_in_the_zone_and_say_so() {
        let moment = "2026-07-01T12:00:00.5Z".parse().unwrap();
        let utc = Zone::parse("UTC").unwrap();
        assert_eq!(utc.second(moment), "2026-07-01T12:00:00Z");
        assert_eq!(utc.recorded("2026-07-01T12:00:00.5Z"), "2026-07-01T12:00:00.5Z");
        let berlin = Zone(TimeZone::fixed(jiff::tz::offset(2)));
        assert_eq!(berlin.second(moment), "2026-07-01T14:00:00+02:00");
        assert_eq!(
            berlin.recorded("2026-07-01T12:00:00.5Z"),
            "2026-07-01T14:00:00+02:00"
        );
        assert_eq!(berlin.recorded("nonsense"), "nonsense");
        assert!(Zone::parse("Mars/Olympus").unwrap_err().contains("Europe/Berlin"));
    }
}
