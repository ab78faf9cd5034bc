//! The role of the function allows exactly the calls that the code makes.

use std::collections::BTreeSet;

use recording_archiver::sim::genesys::{Conversation, Media, Recording};
use recording_archiver::sim::wire::{Exchange, Fault, Service};
use serde_json::{Value, json};

use super::{BULK_SECRET, SECRET, SECRET_KEY, collect};
use crate::cloudformation::{Template, text};
use crate::support::{Bench, PART, invoke, outcomes};
use crate::work::Work;

/// Runs the function so that it calls all of AWS that it ever calls: short, long, locked, adopted, refused and
/// deferred.
async fn calls_of_the_code() -> Vec<Exchange> {
    let bench = Bench::new().await;
    let conversation = |n: u32| format!("c0000000-0000-4000-8000-0000000000{n:02}");
    let recording = |n: u32| format!("e0000000-0000-4000-8000-000000000{n:02}1");
    for (n, media) in [
        (1, Media::generated_wav(1_000, 1)),
        (2, Media::generated_wav(3 * PART, 2)),
        (3, Media::generated_wav(1_000, 3)),
        (4, Media::generated_wav(3 * PART, 4)),
    ] {
        let calls = Conversation::new(conversation(n)).recording(Recording::audio(recording(n), [media]));
        bench.world.genesys.add(calls);
    }
    let mut started = Conversation::new(conversation(5));
    started.marked = Some(true);
    bench.world.genesys.add(started);
    let template = Template::read();
    let stack = template.stack(&[("S3ObjectLockMode", "GOVERNANCE"), ("S3ObjectLockDays", "1")]);
    let of_stack = stack.environment();
    // Everything that changes what is asked of S3.
    let changes: Vec<(&str, &str)> = of_stack
        .iter()
        .filter(|(name, _)| name.starts_with("S3_") && !name.starts_with("S3_BUCKET_"))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain([
            ("MAX_ATTEMPTS", "1"),
            ("SETTLE_SECONDS", "900"),
            ("CALL_RECORD", "standard"),
        ])
        .collect();
    let handler = bench.handler(&changes);
    for (n, outcome) in [
        (1, "archived"),
        (2, "archived"),
        (3, "archived"),
        (4, "failed"),
        (5, "deferred"),
    ] {
        let mut job = json!({"conversationId": conversation(n)});
        match n {
            3 => bench
                .world
                .wire
                .disturb_next(Service::S3, "PutObject", 1, Fault::ApplyThenReset),
            4 => job["expectedSha256"] = json!("0".repeat(64)),
            _ => {}
        }
        let summary = invoke(&handler, job).await.unwrap();
        assert_eq!(outcomes(&summary), [outcome], "{summary}");
    }
    // One is deferred, and the others are looked at again.
    assert_eq!((bench.exceptions().len(), bench.deferred().len()), (1, 5));
    // Those that settle are described, and found by it.
    let mut work = Work::of(&bench);
    while bench.world.wire.count(Service::DynamoDb, "BatchWriteItem") == 0 {
        assert!(work.deliver(&handler).await > 0, "no call was described");
    }
    bench.world.wire.exchanges()
}

/// Adds the permissions that AWS asks for, for a call:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>,
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>.
fn asked_for(call: &Exchange, grants: &mut BTreeSet<(String, String)>) {
    let mut grant = |action: &str, resource: &str| {
        grants.insert((action.to_owned(), resource.to_owned()));
    };
    let objects = "arn:${AWS::Partition}:s3:::ArchiveBucket/recordings/*";
    match (call.service, call.operation.as_str()) {
        (Service::Login | Service::Genesys | Service::Media | Service::Webhook, _) => {}
        (Service::S3, "HeadObject") => {
            grant("s3:GetObject", objects);
            // For the checksum of an encrypted object.
            grant("kms:Decrypt", "ArchiveKey.Arn");
            // For a 404 instead of a 403.
            grant("s3:ListBucket", "arn:${AWS::Partition}:s3:::ArchiveBucket");
        }
        (Service::S3, "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload") => {
            grant("s3:PutObject", objects);
            for (header, action) in [
                ("x-amz-tagging", "s3:PutObjectTagging"),
                ("x-amz-object-lock-mode", "s3:PutObjectRetention"),
            ] {
                if call.headers.contains_key(header) {
                    grant(action, objects);
                }
            }
            if call
                .headers
                .contains_key("x-amz-server-side-encryption-aws-kms-key-id")
            {
                grant("kms:GenerateDataKey", "ArchiveKey.Arn");
            }
            if call.operation != "PutObject" {
                grant("kms:Decrypt", "ArchiveKey.Arn");
            }
        }
        (Service::S3, "PutObjectTagging") => grant("s3:PutObjectTagging", objects),
        (Service::S3, "AbortMultipartUpload") => grant("s3:AbortMultipartUpload", objects),
        // The transactions hold nothing but puts, into both tables.
        (Service::DynamoDb, "TransactWriteItems") => {
            grant("dynamodb:PutItem", "LedgerTable.Arn");
            grant("dynamodb:PutItem", AUDIT_TABLE);
        }
        (Service::DynamoDb, "BatchWriteItem") => grant("dynamodb:BatchWriteItem", CATALOG_TABLE),
        (Service::DynamoDb, "Query") => grant("dynamodb:Query", "LedgerTable.Arn"),
        (Service::Sqs, "SendMessage") => {
            grant("sqs:SendMessage", "WorkQueue.Arn");
            grant("sqs:SendMessage", "ExceptionQueue.Arn");
        }
        (Service::SecretsManager, "GetSecretValue") => {
            grant("secretsmanager:GetSecretValue", SECRET);
            // Where batch downloads have an OAuth client of their own.
            grant("secretsmanager:GetSecretValue", BULK_SECRET);
            grant("secretsmanager:GetSecretValue", "CatalogKey");
            grant("kms:Decrypt", SECRET_KEY);
        }
        other => panic!("nobody thought of the permission for {other:?}"),
    }
}

/// The audit table by its name, as the role has it: the table's policy names the role.
const AUDIT_TABLE: &str =
    "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${AWS::StackName}-AuditTable-*";

/// The catalog's table, for the same reason.
const CATALOG_TABLE: &str =
    "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${AWS::StackName}-CatalogTable-*";

/// Statements for what Lambda does in the function's name, and the function itself never does.
const FOR_LAMBDA: [&str; 4] = [
    "WriteLogs",
    "TraceInvocations",
    "ReceiveWork",
    "KeepFailedInvocations",
];

#[tokio::test]
async fn the_role_allows_exactly_the_calls_that_the_code_makes() {
    let mut asked = BTreeSet::new();
    for call in calls_of_the_code().await {
        asked_for(&call, &mut asked);
    }
    let template = Template::read();
    let stack = template.stack(&[
        ("S3ObjectLockMode", "GOVERNANCE"),
        ("S3ObjectLockDays", "1"),
        ("GenesysSecretArn", SECRET),
        ("GenesysSecretKmsKeyArn", SECRET_KEY),
        ("GenesysBulkSecretArn", BULK_SECRET),
    ]);
    assert_eq!(stack.refused(), None);
    let policies = stack.value(&template.resource("ArchiverRole")["Policies"]);
    let (granted, for_lambda) = granted(policies.as_array().unwrap(), &FOR_LAMBDA);
    assert_eq!(granted, asked);
    assert_eq!(for_lambda, FOR_LAMBDA.map(str::to_owned).into());
}

/// Returns each action that policies grant, with its resource, and the names of the statements that are left aside.
pub(super) fn granted(policies: &[Value], aside: &[&str]) -> (BTreeSet<(String, String)>, BTreeSet<String>) {
    let mut granted = BTreeSet::new();
    let mut left = BTreeSet::new();
    for statement in policies.iter().flat_map(statements) {
        let sid = text(&statement["Sid"]);
        assert_eq!(statement["Effect"], "Allow", "{sid}");
        if aside.contains(&sid.as_str()) {
            left.insert(sid);
            continue;
        }
        for action in list(&statement["Action"]) {
            for resource in list(&statement["Resource"]) {
                assert!(
                    granted.insert((action.clone(), resource)),
                    "{sid} grants {action} again"
                );
            }
        }
    }
    (granted, left)
}

#[test]
fn the_role_may_use_a_bucket_of_the_named_account_only() {
    let template = Template::read();
    let theirs = ("ArchiveBucketName", "their-bucket");
    let trial = ("Evidence", "trial");
    for (parameters, owner) in [
        (&[][..], "AWS::AccountId"),
        (&[trial, theirs], "AWS::AccountId"),
        (
            &[trial, theirs, ("ArchiveBucketOwner", "999999999999")],
            "999999999999",
        ),
    ] {
        let stack = template.stack(parameters);
        assert_eq!(stack.refused(), None);
        assert_eq!(stack.environment()["S3_BUCKET_OWNER"], owner);
        let policies = stack.value(&template.resource("ArchiverRole")["Policies"]);
        let mut checked = 0;
        for statement in policies.as_array().unwrap().iter().flat_map(statements) {
            if list(&statement["Action"])
                .iter()
                .any(|action| action.starts_with("s3:"))
            {
                assert_eq!(
                    statement["Condition"]["StringEquals"]["aws:ResourceAccount"], owner,
                    "{statement}"
                );
                checked += 1;
            }
        }
        assert_eq!(checked, if parameters.is_empty() { 3 } else { 2 });
    }
}

fn statements(policy: &Value) -> Vec<&Value> {
    policy["PolicyDocument"]["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .collect()
}

fn list(value: &Value) -> Vec<String> {
    value
        .as_array()
        .map_or_else(|| vec![text(value)], |items| items.iter().map(text).collect())
}

#[test]
fn every_statement_says_why_and_none_is_for_everything() {
    let template = Template::read();
    let mut policies: Vec<&Value> = Vec::new();
    collect(&template.0["Resources"], "PolicyDocument", &mut policies);
    collect(
        &template.0["Resources"],
        "AssumeRolePolicyDocument",
        &mut policies,
    );
    collect(&template.0["Resources"], "KeyPolicy", &mut policies);
    let mut seen = BTreeSet::new();
    for policy in policies {
        let mut found = Vec::new();
        collect(policy, "Statement", &mut found);
        for statement in found.iter().flat_map(|list| list.as_array().unwrap()) {
            let statement = if statement["Fn::If"].is_array() {
                &statement["Fn::If"][1]
            } else {
                statement
            };
            let sid = text(&statement["Sid"]);
            assert!(
                statement["Sid"].is_string() && seen.insert(sid.clone()),
                "{statement}"
            );
            let anywhere = statement["Effect"] == "Allow" && statement["Resource"] == "*";
            // X-Ray knows no resources; in a key's policy, * is that key.
            assert!(
                !anywhere
                    || [
                        "TraceInvocations",
                        "LookAtTrailsAndLogs",
                        "LetIamDecide",
                        "LetIamDecideOnLogKey"
                    ]
                    .contains(&sid.as_str()),
                "{sid}"
            );
        }
    }
    assert!(seen.contains("AppendAudit"), "{seen:?}");
}

/// Adds the permissions that AWS asks for, for a call of the statement.
fn asked_for_by_statement(call: &Exchange, grants: &mut BTreeSet<(String, String)>) {
    let mut grant = |action: &str, resource: &str| {
        grants.insert((action.to_owned(), resource.to_owned()));
    };
    let objects = "arn:${AWS::Partition}:s3:::ArchiveBucket/statements/${AuditTable}/*";
    match (call.service, call.operation.as_str()) {
        (Service::Login | Service::Genesys | Service::Media, _) => {}
        (Service::S3, "ListObjectsV2") => grant("s3:ListBucket", "arn:${AWS::Partition}:s3:::ArchiveBucket"),
        (Service::S3, "GetObject") => {
            grant("s3:GetObject", objects);
            grant("kms:Decrypt", "ArchiveKey.Arn");
        }
        (Service::S3, "PutObject") => {
            grant("s3:PutObject", objects);
            assert!(call.headers.contains_key("x-amz-object-lock-mode"));
            grant("s3:PutObjectRetention", objects);
            assert!(
                call.headers
                    .contains_key("x-amz-server-side-encryption-aws-kms-key-id")
            );
            grant("kms:GenerateDataKey", "ArchiveKey.Arn");
        }
        (Service::DynamoDb, "Query") => {
            grant("dynamodb:Query", "LedgerTable.Arn");
            grant("dynamodb:Query", "AuditTable.Arn");
        }
        (Service::DynamoDb, "TransactWriteItems") => grant("dynamodb:PutItem", "AuditTable.Arn"),
        (Service::Sqs, "ReceiveMessage") => {
            grant("sqs:ReceiveMessage", "WorkDeadLetterQueue.Arn");
            grant("sqs:ReceiveMessage", "ExceptionQueue.Arn");
        }
        (Service::Sqs, "ChangeMessageVisibilityBatch") => {
            grant("sqs:ChangeMessageVisibility", "WorkDeadLetterQueue.Arn");
            grant("sqs:ChangeMessageVisibility", "ExceptionQueue.Arn");
        }
        (Service::Sqs, "SendMessageBatch") => grant("sqs:SendMessage", "WorkQueue.Arn"),
        (Service::Sqs, "SendMessage") => grant("sqs:SendMessage", "StatementQueue.Arn"),
        (Service::SecretsManager, "GetSecretValue") => {
            grant("secretsmanager:GetSecretValue", SECRET);
            grant("kms:Decrypt", SECRET_KEY);
        }
        other => panic!("nobody thought of the permission for {other:?}"),
    }
}

#[tokio::test]
async fn the_statements_role_allows_exactly_the_calls_that_its_code_makes() {
    let bench = Bench::stated().await;
    let failing = crate::statement::conversation(900);
    bench.bury(&json!({"conversationId": failing})).await;
    bench.pass(8);
    let day = crate::statement::day(&bench, 0);
    for number in 1..=600 {
        let mut call = crate::statement::recorded(day, number);
        if number > 1 {
            call.recordings.clear();
        }
        bench.world.genesys.add(call);
    }
    let template = Template::read();
    let stack = template.stack(&[
        ("S3ObjectLockMode", "GOVERNANCE"),
        ("S3ObjectLockDays", "1"),
        ("GenesysSecretArn", SECRET),
        ("GenesysSecretKmsKeyArn", SECRET_KEY),
    ]);
    let variables = stack.value(&template.resource("StatementFunction")["Environment"]["Variables"]);
    let of_s3 = variables.as_object().unwrap().iter();
    let of_s3 = of_s3.filter(|(name, value)| {
        name.starts_with("S3_") && !name.starts_with("S3_BUCKET_") && !value.is_null()
    });
    let changes: Vec<(&str, String)> = of_s3.map(|(name, value)| (name.as_str(), text(value))).collect();
    let changes: Vec<(&str, &str)> = changes
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let handler = bench.statement(&changes);
    bench.world.wire.forget();
    // One that ends, one after it that has to read what that one left, and one whose time is up.
    for _ in 0..2 {
        crate::statement::state_within(&handler, &json!({}), crate::statement::LONG)
            .await
            .unwrap();
    }
    let goes_on = bench.state_until_page(&json!({}), &changes, 2).await;
    assert_eq!(goes_on["goesOn"], true);
    let mut asked = BTreeSet::new();
    for call in bench.world.wire.exchanges() {
        asked_for_by_statement(&call, &mut asked);
    }
    // The transaction of a dead letter puts into both tables.
    if bench.record(&failing, "-").await.is_some() {
        asked.insert(("dynamodb:PutItem".to_owned(), "LedgerTable.Arn".to_owned()));
    }
    let mut granted = BTreeSet::new();
    let role = stack.value(&template.resource("StatementRole")["Policies"]);
    let audits = stack.value(&json!([template.resource("StatementAuditsPolicy")]));
    for statement in [&role, &audits]
        .into_iter()
        .flat_map(|list| list.as_array().unwrap())
        .flat_map(statements)
    {
        for action in list(&statement["Action"]) {
            for resource in list(&statement["Resource"]) {
                granted.insert((action.clone(), resource));
            }
        }
    }
    // What Lambda does in the function's name.
    for action in [
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:GetQueueAttributes",
    ] {
        assert!(
            granted.remove(&(action.to_owned(), "StatementQueue.Arn".to_owned())),
            "{action}"
        );
    }
    for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
        assert!(
            granted.remove(&(action.to_owned(), "StatementLogGroup.Arn".to_owned())),
            "{action}"
        );
    }
    assert_eq!(granted, asked);
}
