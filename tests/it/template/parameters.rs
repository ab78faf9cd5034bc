//! Parameters: their bounds and combinations are those of the function and of AWS.

use std::collections::BTreeSet;

use recording_archiver::domain::number::Country;

use super::config;
use crate::cloudformation::{Template, text};
use crate::support::project;

#[test]
fn combinations_that_the_function_refuses_are_refused_before_anything_is_created() {
    let template = Template::read();
    for api in ["conversations", "interactions"] {
        for format in allowed_values(&template, "RecordingFormat") {
            for channels in ["merged", "split"] {
                let parameters = [
                    ("GenesysRecordingApi", api),
                    ("RecordingFormat", &format),
                    ("RecordingChannels", channels),
                ];
                let stack = template.stack(&parameters);
                let (template_says, function_says) = (stack.refused(), config(&stack).err());
                assert_eq!(
                    template_says.is_some(),
                    function_says.is_some(),
                    "{parameters:?}: {template_says:?}, {function_says:?}"
                );
            }
        }
    }
}

#[test]
fn a_stack_locks_what_it_archives_unless_it_is_a_trial() {
    let template = Template::read();
    for (evidence, mode, days, expires, lock) in [
        ("enforced", "", "", "2557", Some(("GOVERNANCE", "2557"))),
        ("enforced", "", "", "400", Some(("GOVERNANCE", "400"))),
        ("enforced", "", "", "36500", Some(("GOVERNANCE", "36500"))),
        // Kept for good, and locked for seven years.
        ("enforced", "", "", "0", Some(("GOVERNANCE", "2557"))),
        ("enforced", "", "30", "2557", Some(("GOVERNANCE", "30"))),
        ("enforced", "COMPLIANCE", "", "2557", Some(("COMPLIANCE", "2557"))),
        (
            "enforced",
            "COMPLIANCE",
            "36500",
            "0",
            Some(("COMPLIANCE", "36500")),
        ),
        ("trial", "", "", "2557", None),
        ("trial", "GOVERNANCE", "", "366", Some(("GOVERNANCE", "366"))),
        ("trial", "COMPLIANCE", "1", "2557", Some(("COMPLIANCE", "1"))),
    ] {
        let stack = template.stack(&[
            ("Evidence", evidence),
            ("S3ObjectLockMode", mode),
            ("S3ObjectLockDays", days),
            ("ExpireAfterDays", expires),
        ]);
        assert_eq!(stack.refused(), None);
        assert_eq!(config(&stack).err(), None);
        let environment = stack.environment();
        let set = |name: &str| environment.get(name).map(String::as_str);
        let told = set("S3_OBJECT_LOCK_MODE").zip(set("S3_OBJECT_LOCK_DAYS"));
        assert_eq!(told, lock, "{evidence} {mode} {days} {expires}");
        // archivectl takes them from the outputs.
        for (output, value) in [
            ("ObjectLockMode", lock.map(|(mode, _)| mode)),
            ("ObjectLockDays", lock.map(|(_, days)| days)),
        ] {
            let output = &template.0["Outputs"][output];
            let told = stack
                .condition(&output["Condition"])
                .then(|| text(&stack.value(&output["Value"])));
            assert_eq!(told.as_deref(), value, "{evidence} {mode} {days} {expires}");
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
fn the_countries_of_the_template_are_those_of_the_function() {
    let allowed = allowed_values(&Template::read(), "NumberCountry");
    assert_eq!(allowed[0], "");
    assert_eq!(allowed[1..].join(", "), Country::accepted());
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
                ("ExistingBucketHasObjectLock", "true"),
            ],
            None,
        ),
        (
            &[("ArchiveBucketName", "their-bucket")],
            Some("set ExistingBucketHasObjectLock to true"),
        ),
        (
            &[("ArchiveBucketName", "their-bucket"), ("Evidence", "trial")],
            None,
        ),
        (
            &[("Evidence", "trial"), ("S3ObjectLockDays", "30")],
            Some("needs S3ObjectLockMode"),
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
        (&[("ExpireAfterDays", "365")], Some("366 to 36500")),
        (&[("ExpireAfterDays", "366")], None),
        // S3 locks nothing for longer.
        (&[("ExpireAfterDays", "36501")], Some("366 to 36500")),
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
        "BulkConcurrency",
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
            let stack = template.stack(&[(name, value), ("ExistingBucketHasObjectLock", "true")]);
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

/// Returns the names in the first column of a table of docs/interface.md.
fn on_the_page(column: &str) -> BTreeSet<String> {
    let page = std::fs::read_to_string(project().join("docs/interface.md")).unwrap();
    let head = format!("| {column} |");
    let table = page.split("\n\n").find(|block| block.starts_with(&head));
    let rows = table.unwrap().lines().skip(2);
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn outputs_and_what_protects_the_evidence_are_on_the_page() {
    let template = Template::read();
    let outputs = template.0["Outputs"].as_object().unwrap();
    assert_eq!(on_the_page("output"), outputs.keys().cloned().collect());
    let groups = template.0["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        .as_array()
        .unwrap();
    let group = groups
        .iter()
        .find(|group| group["Label"]["default"] == "How it is protected");
    let names = group.unwrap()["Parameters"].as_array().unwrap().iter().map(text);
    assert_eq!(on_the_page("parameter"), names.collect());
}
