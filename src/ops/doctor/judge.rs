//! Judges clocks and keys.

use jiff::{SignedDuration, Timestamp};

use super::sheet::Said;
use crate::ops::clock;

/// Largest difference at which AWS and webhook receivers accept a signature.
const SKEW_REFUSED: SignedDuration = SignedDuration::from_mins(5);

/// Judges the difference between the clock of this machine and that of Genesys, which has whole seconds.
pub(super) fn skew(here: Timestamp, there: Option<Timestamp>) -> Said {
    let Some(there) = there else {
        return Said::Unknown("Genesys' answer has no date to compare with".to_owned());
    };
    let off = here.duration_since(there);
    let difference = clock::difference(off, "Genesys");
    if off.abs() > SKEW_REFUSED {
        Said::Problem(format!(
            "it is {difference}: AWS and the webhook's receiver refuse what is signed with it"
        ))
    } else if off.abs() > clock::TOLERATED {
        Said::warning(difference, "synchronise this machine's clock (NTP)")
    } else {
        Said::Ok(difference)
    }
}

/// Checks that a table's keys (HASH, RANGE) are those that the function writes.
pub(super) fn keys(table: &str, found: [Option<&str>; 2], expected: [&str; 2]) -> Result<(), String> {
    if found == expected.map(Some) {
        return Ok(());
    }
    let [hash, range] = found.map(|key| key.unwrap_or("none"));
    Err(format!(
        "{table} has the keys {hash} and {range}; they must be {} and {}",
        expected[0], expected[1]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off_in_either_direction() {
        let now: Timestamp = "2026-01-05T12:00:00Z".parse().unwrap();
        let judged = |ahead: i64| skew(now, Some(now - SignedDuration::from_secs(ahead)));
        for fine in [0, 60, -60] {
            assert!(matches!(judged(fine), Said::Ok(_)), "{fine}");
        }
        for told in [61, -61, 300, -300] {
            assert!(matches!(judged(told), Said::Warning { .. }), "{told}");
        }
        assert!(matches!(judged(301), Said::Problem(told) if told.contains("301 s ahead")));
        assert!(matches!(judged(-3_600), Said::Problem(told) if told.contains("3600 s behind")));
        assert!(matches!(skew(now, None), Said::Unknown(_)));
    }

    #[test]
    fn keys_are_right_only_by_name_and_place() {
        let expected = ["interactionId", "recordingId"];
        let judged = |hash, range| keys("ledger", [hash, range], expected);
        assert_eq!(judged(Some("interactionId"), Some("recordingId")), Ok(()));
        for (hash, range, told) in [
            (
                Some("recordingId"),
                Some("interactionId"),
                "recordingId and interactionId;",
            ),
            (Some("interactionId"), None, "interactionId and none;"),
            (
                Some("interactionId"),
                Some("eventId"),
                "interactionId and eventId;",
            ),
        ] {
            assert!(
                judged(hash, range).is_err_and(|error| error.contains(told)),
                "{told}"
            );
        }
    }
}
