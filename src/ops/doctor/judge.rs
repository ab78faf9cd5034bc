//! Judges clocks, keys, policies and trails.

use aws_sdk_cloudtrail::types::{AdvancedEventSelector, EventSelector, ReadWriteType};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

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

/// Returns the statements of a policy that deny something. A text that is no policy has none.
fn denials(policy: &str) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
    let denies = |statement: &Value| {
        statement["Effect"] == "Deny"
            && (statement["Principal"] == "*" || statement["Principal"]["AWS"] == "*")
    };
    statements.into_iter().filter(denies).collect()
}

/// Returns whether a statement is about this action.
fn names(statement: &Value, action: &str) -> bool {
    let matches = |found: &Value| {
        found.as_str().is_some_and(|found| match found.split_once('*') {
            Some((start, _)) => action.starts_with(start),
            None => found == action,
        })
    };
    match &statement["Action"] {
        Value::Array(actions) => actions.iter().any(matches),
        action => matches(action),
    }
}

/// Returns which of these actions no statement of a policy denies, under whatever conditions.
pub(super) fn not_denied<'a>(policy: &str, actions: &[&'a str]) -> Vec<&'a str> {
    let denials = denials(policy);
    let open = actions
        .iter()
        .filter(|action| !denials.iter().any(|denial| names(denial, action)));
    open.copied().collect()
}

/// Returns what a bucket's policy does not refuse of what it should.
pub(super) fn bucket_policy(policy: &str) -> Vec<&'static str> {
    let denials = denials(policy);
    let denies = |action: &str, condition: [&str; 3]| {
        let [operator, key, value] = condition;
        let conditional =
            |denial: &&Value| key.is_empty() || denial["Condition"][operator][key].as_str() == Some(value);
        denials
            .iter()
            .filter(conditional)
            .any(|denial| names(denial, action))
    };
    let mut missing = Vec::new();
    if !denies("s3:PutObject", ["Null", "s3:if-none-match", "true"]) {
        missing.push("puts without If-None-Match");
    }
    if !denies("s3:DeleteObjectVersion", [""; 3]) {
        missing.push("deletes of versions");
    }
    if !denies("s3:PutObject", ["Bool", "aws:SecureTransport", "false"]) {
        missing.push("unencrypted transport");
    }
    missing
}

/// Returns whether selectors of a trail include management events that write.
pub(super) fn selects_management(basic: &[EventSelector], advanced: &[AdvancedEventSelector]) -> bool {
    let basic = basic.iter().any(|selector| {
        selector.include_management_events == Some(true)
            && selector.read_write_type != Some(ReadWriteType::ReadOnly)
    });
    let is = |selector: &AdvancedEventSelector, field: &str, value: &str| {
        let mut fields = selector.field_selectors().iter();
        fields.any(|of| of.field() == field && of.equals().contains(&value.to_owned()))
    };
    let advanced = advanced
        .iter()
        .any(|selector| is(selector, "eventCategory", "Management") && !is(selector, "readOnly", "true"));
    basic || advanced
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudtrail::types::AdvancedFieldSelector;

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
    fn a_policy_is_judged_by_what_it_denies_to_everybody() {
        assert_eq!(bucket_policy("no policy").len(), 3);
        let policy = |principal: &str, effect: &str| {
            format!(
                r#"{{"Statement": [{{"Effect": "{effect}", "Principal": {principal}, "Action": ["dynamodb:Put*", "x"]}}]}}"#
            )
        };
        let asked = ["dynamodb:PutItem", "dynamodb:DeleteItem"];
        for (principal, effect, open) in [
            (r#""*""#, "Deny", &asked[1..]),
            (r#"{"AWS": "*"}"#, "Deny", &asked[1..]),
            (r#"{"AWS": "arn:aws:iam::1:root"}"#, "Deny", &asked[..]),
            (r#""*""#, "Allow", &asked[..]),
        ] {
            assert_eq!(not_denied(&policy(principal, effect), &asked), open);
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
        assert!(!selects_management(
            &[],
            &[advanced(vec![field("eventCategory", "Data")])]
        ));
    }
}
