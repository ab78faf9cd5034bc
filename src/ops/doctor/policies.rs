//! Judges policies of buckets and tables by what they deny to everybody.

use serde_json::Value;

use super::evidence::Holds;

/// Operator, key and value of a condition that holds of a request. A value of `None` stands for any without a wildcard:
/// of somebody who is none of those that a statement names.
type Fact<'a> = (&'a str, &'a str, Option<&'a str>);

/// Somebody whom no statement excepts.
const OTHERS: &[Fact<'_>] = &[("ArnNotEquals", "aws:PrincipalArn", None)];

/// A put of a whole object that may replace another.
const OVERWRITE: &[Fact<'_>] = &[
    ("Null", "s3:if-none-match", Some("true")),
    ("Bool", "s3:ObjectCreationOperation", Some("true")),
];

const UNENCRYPTED: &[Fact<'_>] = &[("Bool", "aws:SecureTransport", Some("false"))];

const OUTSIDE_TRANSACTIONS: &[Fact<'_>] = &[("Null", "dynamodb:EnclosingOperation", Some("true"))];

/// What neither table takes from anybody.
const CHANGES: [&str; 7] = [
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "PartiQLInsert",
    "PartiQLUpdate",
    "PartiQLDelete",
    "UpdateTimeToLive",
];

/// The statements of a policy that deny everybody something, on all of the resources that are asked about.
struct Denials(Vec<Value>);

impl Denials {
    /// Reads a policy. A text that is no policy has no statements.
    fn read(policy: &str, covers: impl Fn(&str) -> bool) -> Self {
        let mut policy: Value = serde_json::from_str(policy).unwrap_or_default();
        let statements = match policy["Statement"].take() {
            Value::Array(statements) => statements,
            one => vec![one],
        };
        let denies = |statement: &Value| {
            let principal = &statement["Principal"];
            let everybody = principal == "*" || texts(&principal["AWS"]).any(|who| who == "*");
            statement["Effect"] == "Deny" && everybody && texts(&statement["Resource"]).any(&covers)
        };
        Self(statements.into_iter().filter(denies).collect())
    }

    /// Returns whether each request of an action of which these facts hold is denied.
    fn deny(&self, action: &str, facts: &[Fact<'_>]) -> bool {
        self.0.iter().any(|statement| {
            texts(&statement["Action"]).any(|pattern| begins(pattern, action)) && binds(statement, facts)
        })
    }
}

/// Returns a text, or the texts of a list.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(Value::as_str)
}

/// Checks an action against a pattern that has a wildcard at its end or none. Any other fits nothing.
fn begins(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_lowercase(), action.to_lowercase());
    match pattern.strip_suffix('*') {
        Some(start) => action.starts_with(start),
        None => action == pattern,
    }
}

/// Returns whether all conditions of a statement are met by a request of which these facts hold.
fn binds(statement: &Value, facts: &[Fact<'_>]) -> bool {
    let condition = &statement["Condition"];
    let Some(operators) = condition.as_object() else {
        return condition.is_null();
    };
    operators.iter().all(|(operator, keys)| {
        let keys = keys.as_object();
        keys.is_some_and(|keys| {
            keys.iter()
                .all(|(key, value)| is_met(operator, key, value, facts))
        })
    })
}

fn is_met(operator: &str, key: &str, value: &Value, facts: &[Fact<'_>]) -> bool {
    facts.iter().any(|(of, named, wanted)| {
        let values = || texts(value);
        let fits = match wanted {
            Some(wanted) => *value == (*wanted == "true") || values().any(|value| value == *wanted),
            None => values().next().is_some() && !values().any(|value| value.contains(['*', '?'])),
        };
        *of == operator && named.eq_ignore_ascii_case(key) && fits
    })
}

/// Returns what the policy of a table does not refuse of what it should; one of events takes puts of its writers
/// only, in transactions.
pub(super) fn table(policy: &str, arn: &str, holds: Holds) -> Vec<&'static str> {
    let denials = Denials::read(policy, |on| on == "*" || on == arn);
    let denied = |action: &str, facts| denials.deny(&format!("dynamodb:{action}"), facts);
    let mut missing: Vec<_> = CHANGES
        .into_iter()
        .filter(|change| !denied(change, &[]))
        .collect();
    let events = holds == Holds::Events;
    if events && !denied("PutItem", OUTSIDE_TRANSACTIONS) {
        missing.push("PutItem outside transactions");
    }
    if events && !denied("PutItem", OTHERS) {
        missing.push("PutItem of others");
    }
    missing
}

/// Returns the statements about all objects of a bucket whose keys begin with `prefix`.
fn below(policy: &str, bucket: &str, prefix: &str) -> Denials {
    let objects = format!("{bucket}/{prefix}");
    Denials::read(policy, |on| {
        let start = on
            .strip_suffix('*')
            .map(|on| on.rsplit(":::").next().unwrap_or(on));
        start.is_some_and(|start| objects.starts_with(start))
    })
}

/// Returns whether S3 refuses what is sent in clear, in either direction.
fn refuses_clear_text(denials: &Denials) -> bool {
    let both = ["s3:PutObject", "s3:GetObject"];
    both.iter().all(|action| denials.deny(action, UNENCRYPTED))
}

/// Returns what the policy of the archive's bucket does not refuse of what it should.
pub(super) fn archive(policy: &str, bucket: &str, prefix: &str) -> Vec<&'static str> {
    let denials = below(policy, bucket, prefix);
    let refused = [
        (
            "puts without If-None-Match",
            denials.deny("s3:PutObject", OVERWRITE),
        ),
        (
            "deletes of versions",
            denials.deny("s3:DeleteObjectVersion", OTHERS),
        ),
        (
            "bypassing of locks",
            denials.deny("s3:BypassGovernanceRetention", OTHERS),
        ),
        ("unencrypted transport", refuses_clear_text(&denials)),
    ];
    open(refused)
}

/// Returns what the policy of the log's bucket does not refuse of what it should.
pub(super) fn log(policy: &str, bucket: &str) -> Vec<&'static str> {
    let denials = below(policy, bucket, "");
    let deletes = ["s3:DeleteObject", "s3:DeleteObjectVersion"];
    let refused = [
        ("puts of others", denials.deny("s3:PutObject", OTHERS)),
        (
            "puts without If-None-Match",
            denials.deny("s3:PutObject", OVERWRITE),
        ),
        ("deletes", deletes.iter().all(|action| denials.deny(action, &[]))),
        (
            "bypassing of locks",
            denials.deny("s3:BypassGovernanceRetention", &[]),
        ),
        ("unencrypted transport", refuses_clear_text(&denials)),
    ];
    open(refused)
}

fn open(refused: impl IntoIterator<Item = (&'static str, bool)>) -> Vec<&'static str> {
    let open = refused.into_iter().filter(|(_, refused)| !refused);
    open.map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:dynamodb:us-east-1:1:table/audit";

    /// Returns a policy of one statement: a denial of `Action` to everybody on everything, with these changes.
    fn denying(action: &str, changes: &Value) -> String {
        let mut statement = json!({"Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*"});
        let changes = changes.as_object().into_iter().flatten();
        changes.for_each(|(name, value)| statement[name] = value.clone());
        json!({ "Statement": [statement] }).to_string()
    }

    #[test]
    fn a_table_is_judged_by_what_its_policy_denies_to_everybody_on_all_of_it() {
        for text in ["", "no policy", "{}", r#"{"Statement": []}"#] {
            assert_eq!(table(text, ARN, Holds::Events).len(), 9, "{text}");
        }
        for (changes, missing) in [
            (json!({}), 0),
            (json!({"Principal": {"AWS": "*"}}), 0),
            (json!({"Principal": {"AWS": ["*"]}}), 0),
            (json!({"Resource": [ARN]}), 0),
            (json!({"Action": ["dynamodb:*"]}), 0),
            (json!({"Action": "DynamoDB:*"}), 0),
            (json!({"Condition": {}}), 0),
            (json!({"Principal": {"AWS": "arn:aws:iam::1:root"}}), 9),
            (json!({"Effect": "Allow"}), 9),
            (json!({"Resource": format!("{ARN}/index/*")}), 9),
            (json!({"Action": "dynamodb:*Nothing"}), 9),
            (json!({"Action": null, "NotAction": "s3:*"}), 9),
            (json!({"Action": "dynamodb:UpdateItem"}), 8),
            // Conditions under which it binds nobody, or some.
            (
                json!({"Condition": {"StringEquals": {"aws:PrincipalArn": "arn:aws:iam::1:role/x"}}}),
                9,
            ),
            (
                json!({"Condition": {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::1:role/x"}}}),
                8,
            ),
            (
                json!({"Condition": {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::1:role/*"}}}),
                9,
            ),
            (
                json!({"Condition": {"ArnNotEquals": {"aws:PrincipalArn": []}}}),
                9,
            ),
            (
                json!({"Condition": {"Null": {"dynamodb:EnclosingOperation": "true"}}}),
                8,
            ),
            (
                json!({"Condition": {"Null": {"dynamodb:EnclosingOperation": true}}}),
                8,
            ),
            (
                json!({"Condition": {"Null": {"dynamodb:EnclosingOperation": "false"}}}),
                9,
            ),
            (
                json!({"Condition": {"Null": {"dynamodb:EnclosingOperation": "true"},
                    "StringEquals": {"aws:PrincipalAccount": "1"}}}),
                9,
            ),
        ] {
            let found = table(&denying("dynamodb:*", &changes), ARN, Holds::Events);
            assert_eq!(found.len(), missing, "{changes}: {found:?}");
        }
        // The ledger's puts are free, and a single statement needs no list around it.
        let puts = denying("dynamodb:PutItem", &json!({}));
        assert_eq!(table(&puts, ARN, Holds::States), CHANGES);
        let single = denying("dynamodb:*", &json!({})).replace(['[', ']'], "");
        assert_eq!(table(&single, ARN, Holds::Events), [""; 0]);
    }

    #[test]
    fn a_bucket_is_judged_by_what_its_policy_denies_below_the_prefix() {
        let on = |resource: &str| denying("s3:*", &json!({ "Resource": resource }));
        for (resource, covers) in [
            ("*", true),
            ("arn:aws:s3:::calls/*", true),
            ("arn:aws-cn:s3:::calls/recordings/*", true),
            ("arn:aws:s3:::calls/rec*", true),
            ("arn:aws:s3:::calls", false),
            ("arn:aws:s3:::calls/recordings/", false),
            ("arn:aws:s3:::calls/recordings/2026/*", false),
            ("arn:aws:s3:::calls/*/x*", false),
            ("arn:aws:s3:::other/*", false),
        ] {
            let found = archive(&on(resource), "calls", "recordings/");
            assert_eq!(found.is_empty(), covers, "{resource}: {found:?}");
        }
        assert_eq!(log(&on("arn:aws:s3:::calls/*"), "calls"), [""; 0]);
        assert_eq!(log(&on("arn:aws:s3:::calls/recordings/*"), "calls").len(), 5);
        // Some may delete what is archived, and nobody may what is in the log.
        let excepting = json!({"Condition": {"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::1:role/x"}}});
        let policy = denying("s3:*", &excepting);
        assert_eq!(
            archive(&policy, "calls", "recordings/"),
            ["puts without If-None-Match", "unencrypted transport"]
        );
        assert_eq!(
            log(&policy, "calls"),
            [
                "puts without If-None-Match",
                "deletes",
                "bypassing of locks",
                "unencrypted transport"
            ]
        );
        let overwrites = json!({"Condition": {"Null": {"s3:if-none-match": "true"},
            "Bool": {"s3:ObjectCreationOperation": "true"}}});
        let policy = denying("s3:PutObject", &overwrites);
        assert_eq!(
            archive(&policy, "calls", "recordings/"),
            [
                "deletes of versions",
                "bypassing of locks",
                "unencrypted transport"
            ]
        );
        // Puts may be refused in clear, and gets not.
        let clear = json!({"Condition": {"Bool": {"aws:securetransport": "false"}}});
        assert_eq!(archive(&denying("s3:*", &clear), "calls", "recordings/").len(), 3);
        assert_eq!(
            archive(&denying("s3:PutObject", &clear), "calls", "recordings/").len(),
            4
        );
    }
}
