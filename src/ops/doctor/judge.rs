//! Judges clocks, keys of tables, and trails.

use aws_sdk_cloudtrail::types::{AdvancedEventSelector, AdvancedFieldSelector, EventSelector, ReadWriteType};
use jiff::{SignedDuration, Timestamp};

use super::sheet::Said;
use crate::ops::clock;

/// Largest difference at which AWS and webhook receivers accept a signature.
const SKEW_REFUSED: SignedDuration = SignedDuration::from_mins(5);

/// Services whose management events the stack's rules wait for.
const LISTENED_TO: [&str; 4] = [
    "dynamodb.amazonaws.com",
    "kms.amazonaws.com",
    "lambda.amazonaws.com",
    "s3.amazonaws.com",
];

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

/// Returns whether selectors of a trail include all management events that write, of the services that the stack's
/// rules listen to. Advanced selectors that narrow them down in another way count as if they left some out.
pub(super) fn selects_management(basic: &[EventSelector], advanced: &[AdvancedEventSelector]) -> bool {
    let heard = |sources: &[String]| {
        !sources
            .iter()
            .any(|source| LISTENED_TO.contains(&source.as_str()))
    };
    let basic = basic.iter().any(|selector| {
        selector.include_management_events == Some(true)
            && selector.read_write_type != Some(ReadWriteType::ReadOnly)
            && heard(selector.exclude_management_event_sources())
    });
    let keeps = |of: &AdvancedFieldSelector| match of.field() {
        "eventCategory" => of.equals() == ["Management"],
        "readOnly" => of.equals() == ["false"],
        "eventSource" => {
            let others = AdvancedFieldSelector::builder().field("eventSource");
            let others = others.set_not_equals(of.not_equals.clone()).build();
            others.is_ok_and(|others| others == *of) && heard(of.not_equals())
        }
        _ => false,
    };
    let advanced = advanced.iter().any(|selector| {
        let mut fields = selector.field_selectors().iter();
        fields.clone().any(|of| of.field() == "eventCategory") && fields.all(keeps)
    });
    basic || advanced
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

    #[test]
    fn a_trail_is_judged_by_the_management_events_that_write() {
        let basic = |included, kind| {
            let selector = EventSelector::builder().include_management_events(included);
            selector.read_write_type(kind).build()
        };
        let field = |name: &str, value: &str| {
            let field = AdvancedFieldSelector::builder().field(name).equals(value);
            field.build().unwrap()
        };
        let advanced = |fields: Vec<AdvancedFieldSelector>| {
            let selector = AdvancedEventSelector::builder().set_field_selectors(Some(fields));
            selector.build().unwrap()
        };
        assert!(selects_management(&[basic(true, ReadWriteType::All)], &[]));
        assert!(!selects_management(&[basic(true, ReadWriteType::ReadOnly)], &[]));
        assert!(!selects_management(&[basic(false, ReadWriteType::All)], &[]));
        let management = || field("eventCategory", "Management");
        assert!(selects_management(&[], &[advanced(vec![management()])]));
        let reads = advanced(vec![management(), field("readOnly", "true")]);
        assert!(!selects_management(&[], &[reads]));
        let data = advanced(vec![field("eventCategory", "Data")]);
        assert!(!selects_management(&[], &[data]));
        let all = |selected: AdvancedFieldSelector| {
            selects_management(&[], &[advanced(vec![management(), selected])])
        };
        assert!(all(field("readOnly", "false")));
        let sources = AdvancedFieldSelector::builder().field("eventSource");
        for (source, complete) in [
            ("rdsdata.amazonaws.com", true),
            ("kms.amazonaws.com", false),
            ("s3.amazonaws.com", false),
            ("dynamodb.amazonaws.com", false),
            ("lambda.amazonaws.com", false),
        ] {
            assert_eq!(
                all(sources.clone().not_equals(source).build().unwrap()),
                complete,
                "{source}"
            );
            let selector = EventSelector::builder().include_management_events(true);
            let excluding = selector.exclude_management_event_sources(source).build();
            assert_eq!(selects_management(&[excluding], &[]), complete, "{source}");
        }
        // What narrows them down otherwise.
        assert!(!all(field("eventSource", "kms.amazonaws.com")));
        assert!(!all(sources.not_starts_with("k").build().unwrap()));
        assert!(!all(field("eventName", "PutKeyPolicy")));
    }
}
