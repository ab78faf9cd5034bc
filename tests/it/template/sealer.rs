//! The template's half of the sealer: what it is told, what it may do, and what keeps it going.

use std::collections::BTreeSet;
use std::time::Duration;

use recording_archiver::config::{SEALING_VARIABLES, SealingConfig};
use recording_archiver::sim::SEAL_BUCKET;
use recording_archiver::sim::wire::{Exchange, Service};
use serde_json::{Value, json};

use super::role::granted;
use crate::cloudformation::{Template, text};
use crate::sealer::{deliver, sign};
use crate::support::Bench;

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:checkpoints";
const AUTHORITY: &str = "https://tsa.example.com/tsr";

#[test]
fn the_template_sets_exactly_the_variables_that_the_sealer_reads() {
    let template = Template::read();
    let variables = template.resource("SealerFunction")["Environment"]["Variables"]
        .as_object()
        .unwrap();
    let names: BTreeSet<&str> = variables.keys().map(String::as_str).collect();
    assert_eq!(names, SEALING_VARIABLES.into());
}

#[test]
fn the_sealer_starts_with_what_a_stack_tells_it() {
    let template = Template::read();
    let outside = [("CheckpointTopicArn", TOPIC), ("TsaUrl", AUTHORITY)];
    for (parameters, topic, authority) in [(&[][..], None, None), (&outside, Some(TOPIC), Some(AUTHORITY))] {
        let stack = template.stack(parameters);
        assert_eq!(stack.refused(), None);
        let environment = stack.environment_of("SealerFunction");
        // What AWS would call the resources of a stack.
        let named = |name: &str| {
            let value = environment.get(name)?;
            Some(match value.as_str() {
                "SealBucket" => "seal-bucket".to_owned(),
                "SealKey.Arn" => "arn:aws:kms:us-east-1:123456789012:key/log".to_owned(),
                other => other.to_owned(),
            })
        };
        let config = SealingConfig::from_lookup(named).unwrap();
        assert_eq!(config.bucket, "seal-bucket");
        assert!(config.key_id.ends_with(":key/log"), "{config:?}");
        assert_eq!(
            config.origin,
            text(&stack.value(&template.0["Outputs"]["SealOrigin"]["Value"]))
        );
        assert_eq!(config.audit_table.as_deref(), Some("AuditTable"));
        assert_eq!(config.topic.as_deref(), topic);
        assert_eq!(
            config.authority.as_ref().map(ToString::to_string).as_deref(),
            authority
        );
    }
}

/// Lets a sealer do all that it ever asks AWS for: a delivery, a checkpoint, an import, and each in a new container.
async fn calls_of_the_sealer() -> Vec<Exchange> {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let topic = bench.world.aws.create_topic("checkpoints").await.unwrap();
    let records = bench.streamed().await;
    let before = bench.world.wire.exchanges().len();
    let sealer = || bench.sealer(&[("CHECKPOINT_TOPIC_ARN", &topic)]);
    deliver(&sealer(), &records).await.unwrap();
    sign(&sealer()).await.unwrap();
    let import = json!({"import": {}});
    sealer().handle(&import, Duration::from_secs(900)).await.unwrap();
    bench.world.wire.exchanges().split_off(before)
}

/// Adds the permissions that AWS asks for, for a call.
fn asked_for(call: &Exchange, grants: &mut BTreeSet<(String, String)>) {
    let mut grant = |action: &str, resource: &str| {
        grants.insert((action.to_owned(), resource.to_owned()));
    };
    let (bucket, objects) = ("SealBucket.Arn", "${SealBucket.Arn}/*");
    let of_the_log = call.service != Service::S3 || call.target.starts_with(&format!("/{SEAL_BUCKET}"));
    assert!(of_the_log, "the log is all that it touches: {call:?}");
    match (call.service, call.operation.as_str()) {
        (Service::S3, "ListObjectsV2") => grant("s3:ListBucket", bucket),
        (Service::S3, "GetObject") => {
            grant("s3:GetObject", objects);
            // For a 404 instead of a 403.
            grant("s3:ListBucket", bucket);
        }
        (Service::S3, "PutObject") => grant("s3:PutObject", objects),
        (Service::Kms, "GetPublicKey") => grant("kms:GetPublicKey", "SealKey.Arn"),
        (Service::Kms, "Sign") => grant("kms:Sign", "SealKey.Arn"),
        (Service::DynamoDb, "Scan") => grant("dynamodb:Scan", "AuditTable.Arn"),
        (Service::Sns, _) => grant("sns:Publish", TOPIC),
        other => panic!("nobody thought of the permission for {other:?}"),
    }
}

#[tokio::test]
async fn the_sealers_role_allows_exactly_the_calls_that_the_sealer_makes() {
    let mut asked = BTreeSet::new();
    for call in calls_of_the_sealer().await {
        asked_for(&call, &mut asked);
    }
    // Lambda reads the stream in the role's name, and needs all four:
    // https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-eventsourcemapping.html
    for action in ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"] {
        asked.insert((
            format!("dynamodb:{action}"),
            "${AuditTable.Arn}/stream/*".to_owned(),
        ));
    }
    let template = Template::read();
    let stack = template.stack(&[("CheckpointTopicArn", TOPIC)]);
    let inline = stack.value(&template.resource("SealerRole")["Policies"]);
    let apart = template.resource("SealerSignsPolicy");
    assert_eq!(apart["Roles"], json!([{"Ref": "SealerRole"}]));
    let policies = [inline.as_array().unwrap().as_slice(), &[stack.value(apart)]].concat();
    let logs = "WriteLogsOfSealer";
    let (granted, left) = granted(&policies, &[logs]);
    assert_eq!(granted, asked);
    assert_eq!(left, [logs.to_owned()].into());
    let silent = template
        .stack(&[])
        .value(&template.resource("SealerRole")["Policies"]);
    assert!(!silent.to_string().contains("sns:"), "{silent}");
    let role = &template.resource("SealerFunction")["Role"];
    assert_eq!(*role, json!({"Fn::GetAtt": "SealerRole.Arn"}));
}

#[test]
fn each_event_reaches_the_sealer_whole_and_until_it_is_sealed() {
    let template = Template::read();
    // A stream without images, or with the new ones alone, makes tampering of every event, or hides what was there.
    let stream = &template.resource("AuditTable")["StreamSpecification"];
    assert_eq!(*stream, json!({"StreamViewType": "NEW_AND_OLD_IMAGES"}));
    let events = &template.resource("SealerFunction")["Events"];
    let mut source = events["AuditStream"].clone();
    assert_eq!(source["Type"], "DynamoDB");
    // How many at a time is a matter of costs.
    let properties = source["Properties"].as_object_mut().unwrap();
    properties.retain(|name, _| !["BatchSize", "MaximumBatchingWindowInSeconds"].contains(&name.as_str()));
    assert_eq!(
        source["Properties"],
        json!({"Stream": {"Fn::GetAtt": "AuditTable.StreamArn"}, "StartingPosition": "TRIM_HORIZON",
            "MaximumRetryAttempts": -1, "BisectBatchOnFunctionError": false})
    );
    let schedule = &events["Checkpoint"];
    assert_eq!(schedule["Type"], "Schedule");
    let rate = schedule["Properties"].as_object().unwrap();
    assert_eq!(rate.len(), 1, "{rate:?}");
    let minutes = text(&rate["Schedule"]);
    let minutes = minutes
        .strip_prefix("rate(")
        .and_then(|rest| rest.strip_suffix(" minutes)"));
    assert!(
        minutes.unwrap().parse::<u32>().unwrap() <= 60,
        "a checkpoint at least hourly"
    );
}

#[test]
fn the_log_is_signed_by_a_key_that_the_sealer_can_use() {
    let key = &Template::read().0["Resources"]["SealKey"]["Properties"];
    assert_eq!(
        (&key["KeySpec"], &key["KeyUsage"]),
        (&json!("ECC_NIST_EDWARDS25519"), &json!("SIGN_VERIFY"))
    );
}

#[test]
fn the_log_is_locked_as_long_as_what_it_proves() {
    let template = Template::read();
    for parameters in [
        &[][..],
        &[("S3ObjectLockDays", "30")],
        &[("S3ObjectLockMode", "COMPLIANCE"), ("ExpireAfterDays", "0")],
        &[("Evidence", "trial")],
        &[("Evidence", "trial"), ("S3ObjectLockMode", "GOVERNANCE")],
    ] {
        let stack = template.stack(parameters);
        assert_eq!(stack.refused(), None);
        let environment = stack.environment();
        let archive = environment
            .get("S3_OBJECT_LOCK_MODE")
            .zip(environment.get("S3_OBJECT_LOCK_DAYS"));
        let expected = archive.map_or(Value::Null, |(mode, days)| {
            json!({"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": mode, "Days": days}}})
        });
        let found = stack.value(&template.resource("SealBucket")["ObjectLockConfiguration"]);
        assert_eq!(found, expected, "{parameters:?}");
        assert_eq!(
            archive.is_none(),
            parameters == [("Evidence", "trial")],
            "{parameters:?}"
        );
    }
}

#[test]
fn both_buckets_keep_versions_can_lock_tell_of_deletions_and_are_nobody_elses() {
    let template = Template::read();
    for name in ["ArchiveBucket", "SealBucket"] {
        let bucket = template.resource(name);
        assert_eq!(
            bucket["VersioningConfiguration"],
            json!({"Status": "Enabled"}),
            "{name}"
        );
        assert_eq!(bucket["ObjectLockEnabled"], true, "{name}");
        let told = &bucket["NotificationConfiguration"]["EventBridgeConfiguration"]["EventBridgeEnabled"];
        assert_eq!(*told, true, "{name}: DeletedObjectsRule sees nothing otherwise");
        assert_eq!(
            bucket["PublicAccessBlockConfiguration"],
            json!({"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true,
                "RestrictPublicBuckets": true}),
            "{name}"
        );
    }
}

#[test]
fn the_alarms_of_the_log_ring_at_once_and_one_also_when_nothing_is_heard() {
    let template = Template::read();
    for (name, metric, statistic, rings, missing, seconds) in [
        (
            "TamperingAlarm",
            "AuditTampering",
            "Sum",
            "GreaterThanThreshold 0",
            "notBreaching",
            300,
        ),
        (
            "SealerErrorsAlarm",
            "Errors",
            "Sum",
            "GreaterThanThreshold 0",
            "notBreaching",
            300,
        ),
        (
            "SealerBehindAlarm",
            "IteratorAge",
            "Maximum",
            "GreaterThanThreshold 7200000",
            "notBreaching",
            300,
        ),
        (
            "CheckpointMissingAlarm",
            "CheckpointsSigned",
            "Sum",
            "LessThanThreshold 1",
            "breaching",
            7200,
        ),
    ] {
        let alarm = template.resource(name);
        let said = |field: &str| text(&alarm[field]);
        let number = |field: &str| alarm[field].as_u64().unwrap();
        assert_eq!(
            (said("MetricName"), said("Statistic")),
            (metric.to_owned(), statistic.to_owned()),
            "{name}"
        );
        assert_eq!(
            format!("{} {}", said("ComparisonOperator"), said("Threshold")),
            rings,
            "{name}"
        );
        assert_eq!(said("TreatMissingData"), missing, "{name}");
        assert_eq!(number("Period") * number("EvaluationPeriods"), seconds, "{name}");
        let of_lambda = said("Namespace") == "AWS/Lambda";
        let function = json!([{"Name": "FunctionName", "Value": {"Ref": "SealerFunction"}}]);
        assert_eq!(
            alarm["Dimensions"],
            if of_lambda { function } else { Value::Null },
            "{name}"
        );
    }
}
