//! The template and the code agree, and what the template accepts the function accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use recording_archiver::config::{Config, VARIABLES};
use recording_archiver::sim::Site;
use recording_archiver::sim::genesys::{Conversation, Media, Recording};
use recording_archiver::sim::wire::{Exchange, Fault, Service};
use serde_json::{Value, json};

use crate::cloudformation::{Stack, Template, text};
use crate::support::{Bench, CONVERSATION, PART, RECORDING, invoke, invoke_for, job, outcomes, project};

/// Named by the template so that `sam local` passes it on; never set in AWS.
const FOR_SAM_LOCAL: &str = "AWS_ENDPOINT_URL";

/// What the function says to the environment that a stack gives it.
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
fn the_defaults_of_the_template_are_those_of_the_function() {
    let template = Template::read();
    let stack = template.stack(&[]);
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
        "WORK_QUEUE_URL",
        "EXCEPTION_QUEUE_URL",
    ];
    let by_template = Config::from_lookup(|name| named(&environment, name)).unwrap();
    let by_function =
        Config::from_lookup(|name| names.contains(&name).then(|| named(&environment, name))?).unwrap();
    assert_eq!(format!("{by_template:?}"), format!("{by_function:?}"));
}

/// A variable; for the resources of a stack, of which the tests know only what the template calls them, a fitting name.
fn named(environment: &BTreeMap<String, String>, name: &str) -> Option<String> {
    let value = environment.get(name)?;
    Some(match value.as_str() {
        "ArchiveBucket" => "archive-bucket".to_owned(),
        "AWS::AccountId" => "123456789012".to_owned(),
        queue @ ("WorkQueue" | "ExceptionQueue") => format!("https://sqs.us-east-1.amazonaws.com/1/{queue}"),
        other => other.to_owned(),
    })
}

#[test]
fn combinations_that_the_function_refuses_are_refused_before_anything_is_created() {
    let template = Template::read();
    for api in ["conversations", "interactions"] {
        for format in allowed_values(&template, "RecordingFormat") {
            for channels in ["merged", "split"] {
                for mode in ["", "GOVERNANCE", "COMPLIANCE"] {
                    for days in ["", "1", "36500"] {
                        let parameters = [
                            ("GenesysRecordingApi", api),
                            ("RecordingFormat", &format),
                            ("RecordingChannels", channels),
                            ("S3ObjectLockMode", mode),
                            ("S3ObjectLockDays", days),
                        ];
                        let stack = template.stack(&parameters);
                        let (template_says, function_says) = (stack.refused(), config(&stack).err());
                        // One half of an object lock never reaches the function, which gets both or neither.
                        let half = mode.is_empty() != days.is_empty();
                        assert_eq!(
                            template_says.is_some(),
                            function_says.is_some() || half,
                            "{parameters:?}: {template_says:?}, {function_says:?}"
                        );
                    }
                }
            }
        }
    }
}

fn allowed_values(template: &Template, name: &str) -> Vec<String> {
    template.parameter(name)["AllowedValues"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect()
}

#[test]
fn combinations_that_aws_would_refuse_later_are_refused_before_anything_is_created() {
    let template = Template::read();
    let bus = ("PartnerEventBusName", "aws.partner/genesys.com/cloud/org/archive");
    let secret = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:genesys-AbCdEf";
    let key = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-4333-8444-555555555555";
    let direct = ("LiveTrigger", "Direct");
    for (parameters, refusal) in [
        (&[direct][..], Some("LiveTrigger Direct needs")),
        (&[direct, bus], None),
        (
            &[("GenesysSecretKmsKeyArn", key)],
            Some("GenesysSecretKmsKeyArn is"),
        ),
        (
            &[("GenesysSecretKmsKeyArn", key), ("GenesysSecretArn", secret)],
            None,
        ),
        (
            &[("ArchiveBucketOwner", "999999999999")],
            Some("ArchiveBucketOwner is"),
        ),
        (
            &[
                ("ArchiveBucketOwner", "999999999999"),
                ("ArchiveBucketName", "their-bucket"),
            ],
            None,
        ),
        (
            &[
                ("GenesysCloudRegion", "new1.pure.cloud"),
                ("GenesysApiBaseUrl", "https://api.new1.pure.cloud"),
            ],
            Some("name GenesysApiBaseUrl and GenesysLoginBaseUrl"),
        ),
        (
            &[
                ("GenesysCloudRegion", "new1.pure.cloud"),
                ("GenesysApiBaseUrl", "https://api.new1.pure.cloud"),
                ("GenesysLoginBaseUrl", "https://login.new1.pure.cloud"),
            ],
            None,
        ),
        (
            &[("S3StorageClass", "DEEP_ARCHIVE")],
            Some("cannot move to Glacier"),
        ),
        (
            &[("S3StorageClass", "DEEP_ARCHIVE"), ("GlacierAfterDays", "0")],
            None,
        ),
        (&[("EventMediaTypes", "VOICE,FAX")], Some("EventMediaTypes holds")),
        (&[("EventMediaTypes", "VOICE,CHAT")], None),
        (
            &[("EventTopics", "v2.detail.events.conversation.{id}.acw")],
            Some("EventTopics holds"),
        ),
        (
            &[(
                "EventTopics",
                "v2.detail.events.conversation.{id}.customer.end,v2.detail.events.conversation.{id}.user.end",
            )],
            None,
        ),
        (&[("ExpireAfterDays", "365")], Some("366 and more")),
        (&[("ExpireAfterDays", "366")], None),
    ] {
        let refused = template.stack(parameters).refused();
        match refusal {
            None => assert_eq!(refused, None),
            Some(why) => assert!(
                refused.as_deref().unwrap_or_default().contains(why),
                "{refused:?}"
            ),
        }
    }
    // S3 moves before it deletes, whatever is chosen.
    assert_eq!(template.parameter("GlacierAfterDays")["MaxValue"], 365);
}

#[test]
fn numbers_have_the_bounds_that_the_function_has() {
    let template = Template::read();
    for name in [
        "ReadinessDeadlineMinutes",
        "SettleSeconds",
        "UnrecordedAfterMinutes",
        "TranscodeWaitSeconds",
        "RecordConcurrency",
        "UploadPartSizeMib",
        "UploadConcurrency",
        "MaxAttempts",
    ] {
        let bound = |which: &str| template.parameter(name)[which].as_u64().unwrap();
        let below = bound("MinValue").checked_sub(1).map(|value| (value, false));
        for (value, fits) in below.into_iter().chain([
            (bound("MinValue"), true),
            (bound("MaxValue"), true),
            (bound("MaxValue") + 1, false),
        ]) {
            let value = value.to_string();
            let stack = template.stack(&[(name, &value)]);
            assert_eq!(
                (stack.refused().is_none(), config(&stack).is_ok()),
                (fits, fits),
                "{name} {value}"
            );
        }
    }
}

#[test]
fn texts_that_the_template_accepts_are_texts_that_the_function_accepts() {
    let template = Template::read();
    for (name, good, bad) in [
        (
            "GenesysCloudRegion",
            &[
                "us-east-1",
                "us-east-2",
                "us-west-2",
                "ca-central-1",
                "mx-central-1",
                "sa-east-1",
                "eu-west-1",
                "eu-west-2",
                "eu-central-1",
                "eu-central-2",
                "eusc-de-east-1",
                "me-central-1",
                "ap-south-1",
                "ap-southeast-1",
                "ap-southeast-2",
                "ap-northeast-1",
                "ap-northeast-2",
                "ap-northeast-3",
                "mypurecloud.com",
                "use2.us-gov-pure.cloud",
                "usw2.pure.cloud",
                "cac1.pure.cloud",
                "mxc1.pure.cloud",
                "sae1.pure.cloud",
                "mypurecloud.ie",
                "euw2.pure.cloud",
                "mypurecloud.de",
                "euc2.pure.cloud",
                "edee1.eusc-pure.cloud",
                "mec1.pure.cloud",
                "aps1.pure.cloud",
                "apse1.pure.cloud",
                "mypurecloud.com.au",
                "mypurecloud.jp",
                "apne2.pure.cloud",
                "apne3.pure.cloud",
            ][..],
            &[
                "us-east-9",
                "mypurecloud.co",
                "login.mypurecloud.de",
                "MyPureCloud.de",
                "https://mypurecloud.de",
                "",
                "a..b",
            ][..],
        ),
        (
            "GenesysApiBaseUrl",
            &[
                "",
                "https://proxy.example.com",
                "https://proxy.example.com:8443/genesys",
            ],
            &[
                "http://proxy.example.com",
                "proxy.example.com",
                "https://x/?a=b",
                "https://",
            ],
        ),
        (
            "GenesysLoginBaseUrl",
            &["", "https://proxy.example.com/login"],
            &["ftp://x", "https://user@x", "https://user:password@x"],
        ),
        (
            "GenesysMediaHosts",
            &["", "media.example.com", "media.example.com,cdn.example"],
            &[
                "com",
                "https://media.example.com",
                "a.example,",
                "*.example.com",
                "10.0.0.1",
            ],
        ),
        (
            "WebhookUrl",
            &["", "https://example.com/hook?tenant=1"],
            &[
                "http://example.com",
                "https://",
                "https://exa mple.com",
                "https://user:password@example.com",
            ],
        ),
        (
            "RecordingMedia",
            &["audio", "audio,screen,chat,email,message"],
            &["", "audio,", "voice", "audio, screen"],
        ),
        (
            "S3KeyTemplate",
            &[
                "recordings/{interactionId}/{recordingId}{channel}.{ext}",
                "calls/{region}/{year}/{month}/{day}/{hour}/{recordingId}{channel}.{ext}",
                "a/b.c/{recordingId}",
            ],
            &[
                "",
                "{recordingId}.{ext}",
                "recordings/{interactionId}.{ext}",
                "recordings/{recordingid}",
                "/recordings/{recordingId}",
                "recordings//{recordingId}",
                "recordings/../{recordingId}",
                "./x/{recordingId}",
                "recordings/{recordingId",
                "recordings*/{recordingId}",
                "records/{recordingId}/.",
            ],
        ),
        (
            "S3ObjectLockDays",
            &["1", "9999", "29999", "35999", "36500"],
            &["0", "36501", "-1", "1.5", "100000"],
        ),
        (
            "LogLevel",
            &["info", "recording_archiver=debug,info", "aws_config::profile=off"],
            &["", "loud", "info,", "x=loud"],
        ),
        (
            "ArchiveBucketName",
            &["", "my-archive.example"],
            &["My-Archive", "ab", "s3://archive"],
        ),
        (
            "PartnerEventBusName",
            &[
                "",
                "aws.partner/genesys.com/cloud/11111111-2222-4333-8444-555555555555/call-archive",
            ],
            &[
                "default",
                "aws.partner/genesys.com/cloud/org",
                "aws.partner/example.com/x/y",
            ],
        ),
        (
            "AuditLogDestinationArn",
            &[
                "",
                "arn:aws:logs:eu-central-1:123456789012:destination:siem",
                "arn:aws:firehose:eu-central-1:123456789012:deliverystream/siem",
                "arn:aws:kinesis:eu-central-1:123456789012:stream/siem",
            ],
            &["siem", "arn:aws:sqs:eu-central-1:123456789012:siem"],
        ),
    ] {
        for value in good {
            let lock = ("S3ObjectLockMode", "GOVERNANCE");
            let parameters = [(name, *value), lock];
            let parameters = if name == "S3ObjectLockDays" {
                &parameters[..]
            } else {
                &parameters[..1]
            };
            let stack = template.stack(parameters);
            assert_eq!(stack.refused(), None);
            assert_eq!(config(&stack).err(), None, "{name} {value}");
        }
        for value in bad {
            assert!(
                template.stack(&[(name, value)]).refused().is_some(),
                "{name} {value}"
            );
        }
    }
}

#[test]
fn every_parameter_is_explained_and_grouped_once() {
    let template = Template::read();
    let groups = template.0["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        .as_array()
        .unwrap();
    let mut grouped: Vec<&str> = groups
        .iter()
        .flat_map(|group| group["Parameters"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect();
    grouped.sort_unstable();
    let parameters = template.0["Parameters"].as_object().unwrap();
    let mut names: Vec<&str> = parameters.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(grouped, names);
    for (name, parameter) in parameters {
        assert!(parameter["Description"].is_string(), "{name} has no description");
        assert_eq!(
            parameter["AllowedPattern"].is_string(),
            parameter["ConstraintDescription"].is_string(),
            "{name}: a pattern is explained in words"
        );
    }
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

/// A run that calls all of AWS that the function ever calls: short, long, locked, adopted, refused and deferred.
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
        .chain([("MAX_ATTEMPTS", "1"), ("SETTLE_SECONDS", "900")])
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
    bench.world.wire.exchanges()
}

/// What AWS asks for, for each call: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>,
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
            grant("dynamodb:PutItem", "AuditTable.Arn");
        }
        (Service::DynamoDb, "Query") => grant("dynamodb:Query", "LedgerTable.Arn"),
        (Service::Sqs, "SendMessage") => {
            grant("sqs:SendMessage", "WorkQueue.Arn");
            grant("sqs:SendMessage", "ExceptionQueue.Arn");
        }
        (Service::SecretsManager, "GetSecretValue") => {
            grant("secretsmanager:GetSecretValue", SECRET);
            grant("kms:Decrypt", SECRET_KEY);
        }
        other => panic!("nobody thought of the permission for {other:?}"),
    }
}

const SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:genesys-AbCdEf";
const SECRET_KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-4333-8444-555555555555";

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
    ]);
    assert_eq!(stack.refused(), None);
    let policies = stack.value(&template.resource("ArchiverRole")["Policies"]);
    let mut granted = BTreeSet::new();
    let mut for_lambda = BTreeSet::new();
    for statement in policies.as_array().unwrap().iter().flat_map(statements) {
        let sid = text(&statement["Sid"]);
        assert_eq!(statement["Effect"], "Allow", "{sid}");
        if FOR_LAMBDA.contains(&sid.as_str()) {
            for_lambda.insert(sid);
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
    assert_eq!(granted, asked);
    assert_eq!(for_lambda, FOR_LAMBDA.map(str::to_owned).into());
}

#[test]
fn the_role_may_use_a_bucket_of_the_named_account_only() {
    let template = Template::read();
    let theirs = ("ArchiveBucketName", "their-bucket");
    for (parameters, owner) in [
        (
            &[("S3ObjectLockMode", "GOVERNANCE"), ("S3ObjectLockDays", "1")][..],
            "AWS::AccountId",
        ),
        (&[theirs], "AWS::AccountId"),
        (&[theirs, ("ArchiveBucketOwner", "999999999999")], "999999999999"),
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
        assert_eq!(
            checked,
            if parameters[0].0 == "S3ObjectLockMode" {
                3
            } else {
                2
            }
        );
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
                !anywhere || ["TraceInvocations", "LetIamDecide"].contains(&sid.as_str()),
                "{sid}"
            );
        }
    }
    assert!(seen.contains("AppendAudit"), "{seen:?}");
}

/// All values under `name`, at any depth.
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

#[tokio::test]
async fn alarms_and_dashboard_name_only_metrics_that_the_function_writes() {
    // One archived recording: the line of an invocation with everything in it.
    let bench = Bench::with_a_call().await;
    bench.archive().await;
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
fn every_alarm_is_in_the_runbook_and_on_the_dashboard() {
    let template = Template::read();
    let runbook = std::fs::read_to_string(project().join("docs/deploy.md")).unwrap();
    let dashboard = text(&template.resource("Dashboard")["DashboardBody"]["Fn::Sub"]);
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
    let stack = template.stack(&[("ArchiveBucketName", "their-bucket"), ("S3KmsKeyArn", SECRET_KEY)]);
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
        assert_eq!(
            table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true,
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
