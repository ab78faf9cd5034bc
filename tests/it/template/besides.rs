//! Who may do what with what stands beside the evidence: the catalog, the statements'
//! queue, and the log of reads.

use super::evidence::{GUARDED, NOTHING, PLAIN, TEMPLATE, hold};
use super::iam::{ADMINISTRATOR, Account, Request, Verdict};

#[test]
fn the_statements_queue_takes_messages_of_its_schedule_and_of_the_statement_only() {
    let (send, denied) = ("sqs:SendMessage", "DenyRunsOfOthers");
    hold(
        "StatementQueue",
        "",
        &[
            ("StatementRole", send, NOTHING, "allowed", "allowed"),
            ("StatementScheduleRole", send, NOTHING, "allowed", "allowed"),
            ("ArchiverRole", send, NOTHING, denied, denied),
            ("OperatorRole", send, NOTHING, denied, denied),
            ("administrator", send, NOTHING, denied, denied),
            ("break-glass", send, NOTHING, denied, denied),
        ],
    );
}

#[test]
fn the_catalog_is_written_in_batches_by_those_who_make_its_items() {
    let batch = "dynamodb:BatchWriteItem";
    let (changes, others) = ("DenyChangesToCatalog", "DenyBatchesOfOthers");
    hold(
        "CatalogTable",
        "",
        &[
            ("ArchiverRole", batch, NOTHING, "allowed", "allowed"),
            ("OperatorRole", batch, NOTHING, "allowed", "allowed"),
            // Whoever erases takes the items away, too.
            ("break-glass", batch, NOTHING, others, "allowed"),
            ("administrator", batch, NOTHING, others, others),
            ("SealerRole", batch, NOTHING, others, others),
            ("OperatorRole", "dynamodb:Query", NOTHING, "allowed", "allowed"),
            (
                "ArchiverRole",
                "dynamodb:Query",
                NOTHING,
                "not allowed",
                "not allowed",
            ),
            (
                "administrator",
                "dynamodb:DeleteTable",
                NOTHING,
                "allowed",
                "allowed",
            ),
        ],
    );
    for action in [
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
        "dynamodb:DeleteItem",
        "dynamodb:PartiQLDelete",
        "dynamodb:UpdateTimeToLive",
    ] {
        for by in ["administrator", "break-glass", "OperatorRole", "ArchiverRole"] {
            hold("CatalogTable", "", &[(by, action, NOTHING, changes, changes)]);
        }
    }
}

#[test]
fn reads_are_written_down_where_that_is_switched_on_and_nobody_removes_their_log() {
    let without = TEMPLATE.stack(PLAIN);
    let with = [GUARDED, &[("ReadTrail", "on")]].concat();
    for name in ["ReadsTrail", "ReadsBucket", "ReadsBucketPolicy"] {
        assert!(
            !without.makes(name) && TEMPLATE.stack(&with).makes(name),
            "{name}"
        );
    }
    let selector = &TEMPLATE.resource("ReadsTrail")["AdvancedEventSelectors"][0]["FieldSelectors"];
    let fields: Vec<_> = selector.as_array().unwrap().iter().collect();
    let of = |name: &str| fields.iter().find(|field| field["Field"] == name).unwrap();
    assert_eq!(of("eventCategory")["Equals"], serde_json::json!(["Data"]));
    let names = of("eventName")["Equals"].as_array().unwrap();
    assert!(names.iter().any(|name| name == "GetObject"), "{names:?}");
    let account = Account::new(&TEMPLATE, &with);
    let file = format!(
        "{}/AWSLogs/111122223333/CloudTrail/x.json.gz",
        account.arn("ReadsBucket")
    );
    let denied = || Verdict::Denied("DenyDeletesOfReads".to_owned());
    let operator = account.arn("OperatorRole");
    for (by, action, expected) in [
        (operator.as_str(), "s3:GetObject", Verdict::Allowed),
        (operator.as_str(), "s3:PutObject", Verdict::NotAllowed),
        (operator.as_str(), "s3:DeleteObject", denied()),
        (ADMINISTRATOR, "s3:DeleteObjectVersion", denied()),
    ] {
        let request = Request::new(by, action, &file);
        assert_eq!(account.decide(&request), expected, "{by} {action}");
    }
}
