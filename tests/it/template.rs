//! The template and the code agree, and what the template accepts the function accepts.

mod alarms;
mod besides;
mod dependencies;
mod evidence;
mod iam;
mod parameters;
mod role;
mod sealer;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use recording_archiver::config::{Config, STATING_VARIABLES, VARIABLES};
use recording_archiver::sim::Site;
use recording_archiver::sim::wire::{Exchange, Fault, Service};
use serde_json::{Value, json};

use crate::cloudformation::{Stack, Template};
use crate::support::{Bench, CONVERSATION, RECORDING, invoke_for, job, project};

/// Named by the template so that `sam local` passes it on; never set in AWS.
const FOR_SAM_LOCAL: &str = "AWS_ENDPOINT_URL";

/// Returns the configuration that the function reads from the environment of a stack.
fn config(stack: &Stack<'_>) -> Result<Config, String> {
    let environment = stack.environment();
    Config::from_lookup(|name| named(&environment, name)).map_err(|error| error.to_string())
}

#[test]
fn the_template_sets_exactly_the_variables_that_the_function_reads() {
    let template = Template::read();
    let variables = template.resource("ArchiverFunction")["Environment"]["Variables"]
        .as_object()
        .unwrap();
    let names: BTreeSet<&str> = variables.keys().map(String::as_str).collect();
    assert_eq!(names, VARIABLES.into_iter().chain([FOR_SAM_LOCAL]).collect());
    assert_eq!(variables[FOR_SAM_LOCAL], json!({"Ref": "AWS::NoValue"}));
}

#[test]
fn the_statement_has_the_variables_that_it_reads_with_the_values_of_the_archiver() {
    let template = Template::read();
    let stack = template.stack(&[("S3ObjectLockMode", "GOVERNANCE")]);
    let variables = &template.resource("StatementFunction")["Environment"]["Variables"];
    let names: BTreeSet<&str> = variables
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, STATING_VARIABLES.into());
    let of_archiver = stack.environment();
    let dead_letters = &variables["WORK_DEAD_LETTER_QUEUE_URL"];
    assert_eq!(*dead_letters, json!({"Ref": "WorkDeadLetterQueue"}));
    assert_eq!(variables["EXCEPTION_QUEUE_URL"], json!({"Ref": "ExceptionQueue"}));
    let own = ["STATEMENT_QUEUE_URL", "WORK_DEAD_LETTER_QUEUE_URL"];
    for name in names.into_iter().filter(|name| !own.contains(name)) {
        let value = stack.value(&variables[name]);
        let value = (!value.is_null()).then(|| crate::cloudformation::text(&value));
        assert_eq!(value.as_ref(), of_archiver.get(name), "{name}");
    }
}

#[test]
fn the_schedule_begins_a_run_that_the_function_understands() {
    let template = Template::read();
    let target = &template.resource("StatementSchedule")["Target"];
    assert_eq!(target["Arn"], json!({"Fn::GetAtt": "StatementQueue.Arn"}));
    assert_eq!(target["Input"], "{}");
    let event = &template.resource("StatementFunction")["Events"]["Run"]["Properties"];
    assert_eq!(
        (&event["Queue"], &event["BatchSize"]),
        (&json!({"Fn::GetAtt": "StatementQueue.Arn"}), &json!(1))
    );
    // A message stays hidden for longer than its invocation lasts.
    let seconds = |value: &Value| value.as_u64().unwrap();
    let hidden = seconds(&template.resource("StatementQueue")["VisibilityTimeout"]);
    assert!(hidden > seconds(&template.resource("StatementFunction")["Timeout"]));
}

#[test]
fn the_defaults_of_the_template_are_those_of_the_function() {
    let template = Template::read();
    // The function alone locks nothing; a stack does, unless it is for a trial.
    let stack = template.stack(&[("Evidence", "trial")]);
    assert_eq!(stack.refused(), None);
    let environment = stack.environment();
    // What a function cannot have a default for, as it is the name of something in the stack.
    let names = [
        "GENESYS_SECRET_ID",
        "S3_BUCKET_NAME",
        "S3_BUCKET_OWNER",
        "S3_SSE_KMS_KEY_ID",
        "AUDIT_TABLE_NAME",
        "LEDGER_TABLE_NAME",
        "CATALOG_TABLE_NAME",
        "CATALOG_KEY_SECRET_ID",
        "WORK_QUEUE_URL",
        "EXCEPTION_QUEUE_URL",
        "ARCHIVER_ROLE_ID",
    ];
    let by_template = Config::from_lookup(|name| named(&environment, name)).unwrap();
    let by_function =
        Config::from_lookup(|name| names.contains(&name).then(|| named(&environment, name))?).unwrap();
    assert_eq!(format!("{by_template:?}"), format!("{by_function:?}"));
}

/// Returns a variable; for the resources of a stack, of which the tests know only what the template calls them, a
/// fitting name.
fn named(environment: &BTreeMap<String, String>, name: &str) -> Option<String> {
    let value = environment.get(name)?;
    Some(match value.as_str() {
        "ArchiveBucket" => "archive-bucket".to_owned(),
        "AWS::AccountId" => "123456789012".to_owned(),
        queue @ ("WorkQueue" | "ExceptionQueue") => format!("https://sqs.us-east-1.amazonaws.com/1/{queue}"),
        other => other.to_owned(),
    })
}

#[tokio::test]
async fn a_message_stays_hidden_for_longer_than_its_lease_can_last() {
    let template = Template::read();
    let seconds = |value: &Value| value.as_u64().unwrap();
    let timeout = template.parameter("Timeout");
    let window = seconds(&template.parameter("BatchWindowSeconds")["MaxValue"]);
    let queue = template.resource("WorkQueue");
    let visibility = seconds(&queue["VisibilityTimeout"]);
    assert_eq!(
        template.resource("ArchiverFunction")["Timeout"],
        json!({"Ref": "Timeout"})
    );
    assert!(
        visibility >= 6 * seconds(&timeout["MaxValue"]) + window,
        "what AWS asks of a queue that a function reads"
    );
    let receptions = seconds(&queue["RedrivePolicy"]["maxReceiveCount"]);
    let retention = seconds(&queue["MessageRetentionPeriod"]);
    assert!(
        retention > receptions * visibility,
        "a message is given up on before it is forgotten"
    );
    assert!(
        seconds(&template.resource("WorkDeadLetterQueue")["MessageRetentionPeriod"]) > retention,
        "and kept then, although its age counts from the first sending"
    );

    // The lease of a run that is in the middle of a download.
    let bench = Bench::with_a_call().await;
    bench
        .world
        .wire
        .disturb_next(Service::Media, "media", 1, Fault::Hang);
    let handler = bench.handler(&[]);
    let remaining = Duration::from_secs(seconds(&timeout["MaxValue"]));
    let downloading = |exchanges: &[Exchange]| exchanges.iter().any(|e| e.service == Service::Media);
    tokio::select! {
        answer = invoke_for(&handler, job(), remaining) => panic!("{answer:?}"),
        () = bench.world.wire.wait_until(downloading) => {}
    }
    let record = bench.record(CONVERSATION, RECORDING).await.unwrap();
    let left = Duration::from_millis(u64::try_from(record.lease_expires_at - bench.clock.now_ms()).unwrap());
    assert!(left <= remaining, "{left:?}: a lease ends with its invocation");
    assert!(left < Duration::from_secs(visibility), "{left:?}");
}

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:genesys-AbCdEf";
const BULK_SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:bulk-AbCdEf";
const SECRET_KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-4333-8444-555555555555";

/// Collects all values under `name`, at any depth.
fn collect<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                if key == name {
                    found.push(value);
                } else {
                    collect(value, name, found);
                }
            }
        }
        _ => {}
    }
}

#[test]
fn the_rule_leads_to_the_queue_or_to_the_function_and_either_lets_it_in() {
    let template = Template::read();
    let bus = ("PartnerEventBusName", "aws.partner/genesys.com/cloud/org/archive");
    for (trigger, target) in [("Queue", "WorkQueue.Arn"), ("Direct", "ArchiverFunction.Alias")] {
        let stack = template.stack(&[bus, ("LiveTrigger", trigger)]);
        assert_eq!(stack.refused(), None);
        let targets = stack.value(&template.resource("ConversationEndRule")["Targets"]);
        assert_eq!(targets.as_array().unwrap().len(), 1);
        assert_eq!(targets[0]["Arn"], target);
        assert_eq!(targets[0]["DeadLetterConfig"]["Arn"], "WorkDeadLetterQueue.Arn");
        assert_eq!(stack.makes("ConversationEndPermission"), trigger == "Direct");
    }
    let ends = ["customer.end", "user.end"].map(|end| format!("v2.detail.events.conversation.{{id}}.{end}"));
    let stack = template.stack(&[bus, ("EventTopics", &ends.join(","))]);
    let pattern = stack.value(&template.resource("ConversationEndRule")["EventPattern"]);
    assert_eq!(pattern["detail-type"], json!(ends));
    let policy = &template.resource("ConversationEndQueuePolicy")["PolicyDocument"]["Statement"][0];
    let queues: Vec<&Value> = policy["Resource"].as_array().unwrap().iter().collect();
    assert_eq!(
        queues,
        [
            &json!({"Fn::GetAtt": "WorkQueue.Arn"}),
            &json!({"Fn::GetAtt": "WorkDeadLetterQueue.Arn"})
        ]
    );
    let without = template.stack(&[]);
    assert!(!without.makes("ConversationEndRule") && !without.makes("ConversationEndPermission"));
}

#[test]
fn audit_lines_go_to_a_siem_with_a_role_only_where_one_is_needed() {
    let template = Template::read();
    for (destination, subscribed, role) in [
        ("", false, false),
        (
            "arn:aws:logs:eu-central-1:123456789012:destination:siem",
            true,
            false,
        ),
        (
            "arn:aws:firehose:eu-central-1:123456789012:deliverystream/siem",
            true,
            true,
        ),
        (
            "arn:aws:kinesis:eu-central-1:123456789012:stream/siem",
            true,
            true,
        ),
    ] {
        let stack = template.stack(&[("AuditLogDestinationArn", destination)]);
        assert_eq!(stack.refused(), None);
        assert_eq!(stack.makes("AuditSubscription"), subscribed, "{destination}");
        assert_eq!(stack.makes("AuditSubscriptionRole"), role, "{destination}");
        let named = stack.value(&template.resource("AuditSubscription")["RoleArn"]);
        assert_eq!(named.is_string(), role, "{destination}");
    }
    assert_eq!(
        template.resource("AuditSubscription")["FilterPattern"],
        "{ $.audit IS TRUE }"
    );
}

#[test]
fn a_given_bucket_and_a_given_key_take_the_place_of_those_that_the_stack_would_make() {
    let template = Template::read();
    let stack = template.stack(&[
        ("ArchiveBucketName", "their-bucket"),
        ("ExistingBucketHasObjectLock", "true"),
        ("S3KmsKeyArn", SECRET_KEY),
    ]);
    assert_eq!(stack.refused(), None);
    for name in ["ArchiveBucket", "ArchiveBucketPolicy", "ArchiveKey"] {
        assert!(!stack.makes(name), "{name}");
    }
    let environment = stack.environment();
    assert_eq!(environment["S3_BUCKET_NAME"], "their-bucket");
    assert_eq!(environment["S3_SSE_KMS_KEY_ID"], SECRET_KEY);
    let role = stack
        .value(&template.resource("ArchiverRole")["Policies"])
        .to_string();
    assert!(
        role.contains(":::their-bucket/recordings/*") && role.contains(SECRET_KEY),
        "{role}"
    );
    assert!(
        !role.contains("ArchiveBucket") && !role.contains("ArchiveKey"),
        "{role}"
    );
}

#[test]
fn what_is_evidence_outlives_the_stack() {
    let template = Template::read();
    for kind in [
        "AWS::DynamoDB::Table",
        "AWS::S3::Bucket",
        "AWS::KMS::Key",
        "AWS::Logs::LogGroup",
    ] {
        for name in template.of_type(kind) {
            let resource = &template.0["Resources"][name];
            assert_eq!(
                (&resource["DeletionPolicy"], &resource["UpdateReplacePolicy"]),
                (&json!("Retain"), &json!("Retain")),
                "{name}"
            );
        }
    }
    for name in template.of_type("AWS::DynamoDB::Table") {
        let table = template.resource(name);
        assert_eq!(table["DeletionProtectionEnabled"], true, "{name}");
        // The catalog is made again of what is evidence.
        assert_eq!(
            table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] == true,
            name != "CatalogTable",
            "{name}"
        );
    }
}

#[test]
fn the_environment_for_sam_local_is_that_of_the_simulators_as_a_container_knows_them() {
    let text = std::fs::read_to_string(project().join("events/local-env.json")).unwrap();
    let file: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_str(&text).unwrap();
    let name = Some("host.docker.internal".to_owned());
    let site = Site::served(Ipv4Addr::UNSPECIFIED.into(), name);
    let template = Template::read();
    let variables = &template.resource("ArchiverFunction")["Environment"]["Variables"];
    // `sam local` passes on what the template names; region and credentials it takes from the shell.
    let expected = site
        .environment()
        .into_iter()
        .filter(|(name, _)| variables.get(name).is_some())
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    assert_eq!(file, BTreeMap::from([("ArchiverFunction".to_owned(), expected)]));
}
