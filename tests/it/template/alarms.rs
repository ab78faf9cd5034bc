//! Alarms and dashboard name metrics that the function writes.

mod evaluator;
mod gameday;
mod rings;
mod weeks;

use std::collections::BTreeSet;

use recording_archiver::ops::report::{DAY_OBJECTIVE, HOUR_OBJECTIVE};
use serde_json::{Map, Value, json};

use super::collect;
use crate::cloudformation::{Template, text};
use crate::support::{Bench, CONVERSATION, project, sqs};

/// The metrics that the sealer writes, and those of the completeness statement.
const OF_OTHERS: [&str; 8] = [
    "AuditTampering",
    "CheckpointsSigned",
    "LeavesSealed",
    "StatementsIssued",
    "StatementGaps",
    "DaysWithoutArchive",
    "DeletionsAhead",
    "OldDeadLetters",
];

#[tokio::test]
async fn alarms_and_dashboard_name_only_metrics_that_the_function_writes() {
    // One archived recording that an end event asked for: the line of an invocation with everything in it.
    let bench = Bench::with_a_call().await;
    let event = json!({"detail-type": "v2.detail.events.conversation.{id}.customer.end", "id": "evt",
        "detail": {"eventBody": {"conversationId": CONVERSATION}}});
    bench.invoke(sqs([event.to_string()])).await.unwrap();
    let mut written = BTreeSet::new();
    for directive in bench
        .metrics()
        .iter()
        .flat_map(|line| line["_aws"]["CloudWatchMetrics"].as_array().unwrap())
    {
        let dimensions = directive["Dimensions"][0].to_string();
        for metric in directive["Metrics"].as_array().unwrap() {
            written.insert((
                text(&directive["Namespace"]),
                text(&metric["Name"]),
                dimensions.clone(),
            ));
        }
    }
    let template = Template::read();
    let mut watched = BTreeSet::new();
    for name in template.of_type("AWS::CloudWatch::Alarm") {
        let alarm = template.resource(name);
        let mut metrics = vec![alarm];
        collect(alarm, "Metric", &mut metrics);
        for metric in metrics
            .into_iter()
            .filter(|metric| metric["Namespace"] == "RecordingArchiver")
        {
            let dimensions = metric["Dimensions"].as_array();
            let dimensions: Vec<Value> = dimensions
                .into_iter()
                .flatten()
                .map(|dimension| dimension["Name"].clone())
                .collect();
            watched.insert((
                text(&metric["Namespace"]),
                text(&metric["MetricName"]),
                json!(dimensions).to_string(),
            ));
        }
    }
    assert!(watched.len() >= 5, "{watched:?}");
    let body = text(&template.resource("Dashboard")["DashboardBody"]["Fn::Sub"]);
    let dashboard: Value = serde_json::from_str(&body).unwrap();
    let mut metrics = Vec::new();
    collect(&dashboard, "metrics", &mut metrics);
    for metric in metrics.into_iter().flat_map(|list| list.as_array().unwrap()) {
        if metric[0] == "RecordingArchiver" {
            let dimensions = if metric[2] == "Outcome" {
                json!(["Outcome"])
            } else {
                json!([])
            };
            watched.insert((text(&metric[0]), text(&metric[1]), dimensions.to_string()));
        }
    }
    for name in OF_OTHERS {
        assert!(
            watched.remove(&("RecordingArchiver".to_owned(), name.to_owned(), "[]".to_owned())),
            "nobody looks at {name}"
        );
    }
    assert!(watched.is_subset(&written), "{:?}", watched.difference(&written));
    let unwatched: Vec<_> = written
        .difference(&watched)
        .map(|(_, name, _)| name.as_str())
        .collect();
    // The dashboard finds it by a search.
    assert_eq!(unwatched, ["Recordings"]);
    assert!(
        body.contains(r#"{RecordingArchiver,Outcome} MetricName=\"Recordings\""#),
        "{body}"
    );
}

#[test]
fn every_alarm_and_every_rule_that_rings_is_in_the_runbook() {
    let template = Template::read();
    let runbook = std::fs::read_to_string(project().join("docs/deploy.md")).unwrap();
    let dashboard = text(&template.resource("Dashboard")["DashboardBody"]["Fn::Sub"]);
    let rules = template.of_type("AWS::Events::Rule");
    for rule in rules.into_iter().filter(|rule| *rule != "ConversationEndRule") {
        assert!(
            runbook.contains(&format!("| `{rule}` |")),
            "docs/deploy.md does not explain {rule}"
        );
        let target = &template.resource(rule)["Targets"][0];
        assert_eq!(target["Arn"], json!({"Ref": "AlarmTopicArn"}), "{rule}");
        let says = text(&target["InputTransformer"]["InputTemplate"]);
        assert!(says.contains(rule) && !says.contains("userIdentity"), "{says}");
    }
    for name in template.of_type("AWS::CloudWatch::Alarm") {
        assert!(
            runbook.contains(&format!("| `{name}` |")),
            "docs/deploy.md does not explain {name}"
        );
        assert!(
            dashboard.contains(&format!("${{{name}.Arn}}")),
            "{name} is not on the dashboard"
        );
        for actions in ["AlarmActions", "OKActions"] {
            let wired =
                json!({"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]});
            assert_eq!(template.resource(name)[actions], wired, "{name}");
        }
    }
}

/// Checks an event against a pattern, as far as the template's patterns use EventBridge's language.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html>
fn matches(pattern: &Value, event: &Value) -> bool {
    match pattern {
        Value::Object(fields) => fields.iter().all(|(name, expected)| match name.as_str() {
            "$or" => expected
                .as_array()
                .unwrap()
                .iter()
                .any(|pattern| matches(pattern, event)),
            name => matches(expected, &event[name]),
        }),
        Value::Array(allowed) => allowed.iter().any(|allowed| match allowed {
            Value::Object(operator) => event.as_str().is_some_and(|found| operates(operator, found)),
            value => value == event,
        }),
        other => panic!("no pattern: {other}"),
    }
}

/// Checks a text against an operator of a pattern.
fn operates(operator: &Map<String, Value>, found: &str) -> bool {
    let (name, of) = operator.iter().next().unwrap();
    match name.as_str() {
        "prefix" => found.starts_with(of.as_str().unwrap()),
        "suffix" => found.ends_with(of.as_str().unwrap()),
        "anything-but" => !operates(of.as_object().unwrap(), found),
        other => panic!("the tests do not know {other}"),
    }
}

/// Returns the rules that ring for an event.
fn ringing(event: &Value) -> Vec<&'static str> {
    let template = Template::read();
    let topic = ("AlarmTopicArn", "arn:aws:sns:us-east-1:123456789012:alarms");
    let stack = template.stack(&[topic]);
    let rules = [
        "DeletedObjectsRule",
        "EvidenceBucketsChangedRule",
        "EvidenceKeysChangedRule",
        "EvidenceTablesChangedRule",
        "SealerChangedRule",
    ];
    let rings = |rule: &&'static str| {
        assert!(stack.makes(rule) && !template.stack(&[]).makes(rule), "{rule}");
        matches(&stack.value(&template.resource(rule)["EventPattern"]), event)
    };
    rules.into_iter().filter(rings).collect()
}

/// Returns an event of S3: an object of this bucket and key is gone, for this reason.
fn deleted(bucket: &str, key: &str, reason: &str) -> Value {
    let detail = json!({"bucket": {"name": bucket}, "object": {"key": key, "version-id": "1"}, "reason": reason,
        "deletion-type": "Delete Marker Created"});
    json!({"source": "aws.s3", "detail-type": "Object Deleted", "detail": detail})
}

/// Returns an event of CloudTrail.
fn called(service: &str, name: &str, parameters: &Value) -> Value {
    let detail = json!({"eventSource": format!("{service}.amazonaws.com"), "eventName": name,
        "requestParameters": parameters});
    json!({"source": format!("aws.{service}"), "detail-type": "AWS API Call via CloudTrail", "detail": detail})
}

#[test]
fn deletions_and_changes_of_rules_ring_and_nothing_else_does() {
    let recording = "recordings/c/r.wav";
    let test = "archivectl-doctor/11111111-2222-4333-8444-555555555555";
    let bucket = |name: &str| json!({"bucketName": name});
    let key = |id: &str| json!({"keyId": id});
    let table = |name: &str| json!({"tableName": name});
    for (event, rule) in [
        (
            deleted("ArchiveBucket", recording, "DeleteObject"),
            "DeletedObjectsRule",
        ),
        (
            deleted("SealBucket", "checkpoints/1", "DeleteObject"),
            "DeletedObjectsRule",
        ),
        (deleted("ArchiveBucket", recording, "Lifecycle Expiration"), ""),
        (deleted("ArchiveBucket", test, "DeleteObject"), ""),
        (deleted("another", recording, "DeleteObject"), ""),
        (
            called("s3", "PutBucketPolicy", &bucket("ArchiveBucket")),
            "EvidenceBucketsChangedRule",
        ),
        (
            called("s3", "PutBucketLifecycle", &bucket("SealBucket")),
            "EvidenceBucketsChangedRule",
        ),
        (called("s3", "PutBucketPolicy", &bucket("another")), ""),
        (called("s3", "GetBucketPolicy", &bucket("ArchiveBucket")), ""),
        (
            called("kms", "PutKeyPolicy", &key("ArchiveKey.Arn")),
            "EvidenceKeysChangedRule",
        ),
        (
            called("kms", "ScheduleKeyDeletion", &key("SealKey")),
            "EvidenceKeysChangedRule",
        ),
        (called("kms", "Sign", &key("SealKey")), ""),
        (called("kms", "PutKeyPolicy", &key("another")), ""),
        (
            called("dynamodb", "UpdateTable", &table("AuditTable")),
            "EvidenceTablesChangedRule",
        ),
        (
            called("dynamodb", "UpdateContinuousBackups", &table("LedgerTable.Arn")),
            "EvidenceTablesChangedRule",
        ),
        (
            called(
                "dynamodb",
                "PutResourcePolicy",
                &json!({"resourceArn": "AuditTable.Arn"}),
            ),
            "EvidenceTablesChangedRule",
        ),
        (called("dynamodb", "UpdateTable", &table("another")), ""),
    ] {
        let expected: Vec<&str> = Some(rule).filter(|rule| !rule.is_empty()).into_iter().collect();
        assert_eq!(ringing(&event), expected, "{event}");
    }
}

#[test]
fn the_alarms_have_the_objectives_of_the_report_and_the_costs_count_them() {
    let template = Template::read();
    for (level, objective) in [("Hour", HOUR_OBJECTIVE), ("Day", DAY_OBJECTIVE)] {
        for (speed, rate) in [("Fast", 14.4), ("Slow", 6.0)] {
            let name = format!("{level}Level{speed}BurnAlarm");
            let threshold = template.resource(&name)["Threshold"].as_f64().unwrap();
            assert!(
                (threshold - (100.0 - objective) * rate).abs() < 1e-9,
                "{name}: {threshold}"
            );
        }
    }
    let watched: usize = template
        .of_type("AWS::CloudWatch::Alarm")
        .into_iter()
        .map(|name| {
            let mut metrics = Vec::new();
            collect(template.resource(name), "MetricStat", &mut metrics);
            metrics.len().max(1)
        })
        .sum();
    let page = std::fs::read_to_string(project().join("docs/deploy.md")).unwrap();
    let row = format!(
        "| alarms | {watched} metrics watched x 0.10 | {:.2} |",
        watched as f64 * 0.1
    );
    assert!(page.contains(&row), "{row}");
}

#[test]
fn whoever_stops_or_changes_the_sealer_rings() {
    let function = |name: &str| json!({"functionName": name});
    // The id of the mapping that SAM makes of the event AuditStream.
    let mapping = |key: &str, id: &str| json!({key: id, "enabled": false});
    let sealers = "SealerFunctionAuditStream";
    for (name, parameters, rings) in [
        ("UpdateEventSourceMapping20150331", mapping("uUID", sealers), true),
        ("UpdateEventSourceMapping20150331", mapping("uuid", sealers), true),
        ("DeleteEventSourceMapping20150331", mapping("uUID", sealers), true),
        (
            "DeleteEventSourceMapping20150331",
            mapping("uUID", "another"),
            false,
        ),
        ("UpdateFunctionCode20150331v2", function("SealerFunction"), true),
        (
            "UpdateFunctionConfiguration20150331v2",
            function("arn:aws:lambda:us-east-1:123456789012:function:${SealerFunction}"),
            true,
        ),
        (
            "PutFunctionConcurrency20171031",
            function("123456789012:function:${SealerFunction}"),
            true,
        ),
        ("DeleteFunction20150331", function("SealerFunction"), true),
        (
            "UpdateFunctionCode20150331v2",
            function("ArchiverFunction"),
            false,
        ),
        ("GetFunction20150331v2", function("SealerFunction"), false),
        ("Invoke", function("SealerFunction"), false),
    ] {
        let expected = if rings { &["SealerChangedRule"][..] } else { &[] };
        assert_eq!(
            ringing(&called("lambda", name, &parameters)),
            expected,
            "{name} {parameters}"
        );
    }
    // Whatever CloudTrail calls the id, the answer names the function.
    let mut event = called("lambda", "DeleteEventSourceMapping20150331", &json!({}));
    assert_eq!(ringing(&event), [""; 0]);
    event["detail"]["responseElements"] = json!({"functionArn": "SealerFunction.Arn", "state": "Deleting"});
    assert_eq!(ringing(&event), ["SealerChangedRule"]);
}
