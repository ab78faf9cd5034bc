//! What `archivectl doctor` says of the protection of the evidence.

use aws_sdk_dynamodb::types::{StreamSpecification, StreamViewType};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use recording_archiver::sim::wire::{Exchange, Fault};
use recording_archiver::sim::{AUDIT_TABLE, BUCKET, LEDGER_TABLE, SEAL_BUCKET};
use serde_json::{Value, json};

use super::{checks, doctor, usual};
use crate::cloudformation::Template;
use crate::support::Bench;

/// Returns a policy of the template, for the simulated buckets.
pub(super) fn policy(of: &str) -> String {
    let template = Template::read();
    let stack = template.stack(&[]);
    let resource = template.resource(of);
    let document = if of.ends_with("BucketPolicy") {
        &resource["PolicyDocument"]
    } else {
        &resource["ResourcePolicy"]["PolicyDocument"]
    };
    let text = stack.value(document).to_string();
    let text = text.replace("${ArchiveBucket.Arn}", &format!("arn:aws:s3:::{BUCKET}"));
    text.replace("${SealBucket.Arn}", &format!("arn:aws:s3:::{SEAL_BUCKET}"))
}

pub(super) async fn put_policy(bench: &Bench, bucket: &str, policy: String) {
    let s3 = bench.world.aws.s3();
    let put = s3.put_bucket_policy().bucket(bucket).policy(policy);
    put.send().await.unwrap();
}

pub(super) async fn keep_versions(bench: &Bench, bucket: &str) {
    let versions = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
    let s3 = bench.world.aws.s3();
    let put = s3.put_bucket_versioning().bucket(bucket);
    put.versioning_configuration(versions.build())
        .send()
        .await
        .unwrap();
}

pub(super) fn answer(status: u16, kind: &str, body: &str) -> Fault {
    Fault::Respond {
        status,
        headers: vec![("content-type".to_owned(), kind.to_owned())],
        body: body.as_bytes().to_vec(),
    }
}

pub(super) fn refusal(status: u16, code: &str, message: &str) -> Fault {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    answer(status, "application/xml", &body)
}

fn is_probe(asked: &Exchange) -> bool {
    asked.operation == "PutObject" && asked.target.contains("recordings/archivectl-doctor-")
}

async fn probed(bench: &Bench) -> (String, String) {
    let ran = doctor(bench, &[], &["--json", "--probe"]).await;
    checks(&ran)["probe"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_probe_tells_a_policy_that_holds_from_one_that_does_not() {
    let bench = Bench::new().await;
    let (state, detail) = probed(&bench).await;
    assert_eq!(state, "problem", "{detail}");
    assert!(detail.contains("only its wrong checksum"), "{detail}");
    put_policy(&bench, BUCKET, policy("ArchiveBucketPolicy")).await;
    let (state, detail) = probed(&bench).await;
    assert_eq!(state, "ok", "{detail}");
    // Anybody else's refusal proves nothing of the bucket.
    let wire = &bench.world.wire;
    for (message, status, code) in [
        ("Access Denied", 403, "AccessDenied"),
        (
            "User: arn:aws:iam::1:user/x is not authorized to perform: s3:PutObject on resource: x because no identity-based \
             policy allows the s3:PutObject action",
            403,
            "AccessDenied",
        ),
        (
            "User: arn:aws:iam::1:user/x is not authorized to perform: s3:PutObject on resource: x with an explicit deny in an \
             identity-based policy",
            403,
            "AccessDenied",
        ),
        ("Object Lock", 400, "InvalidRequest"),
    ] {
        wire.calm();
        wire.disturb(move |asked| is_probe(asked).then(|| refusal(status, code, message)));
        let (state, detail) = probed(&bench).await;
        assert_eq!(state, "skipped", "{message}: {detail}");
        assert!(detail.contains("proves nothing"), "{detail}");
    }
    assert!(bench.keys().await.is_empty(), "nothing was ever stored");
    // A store that does not look at checksums takes it.
    wire.calm();
    wire.disturb(move |asked| is_probe(asked).then(|| answer(200, "application/xml", "")));
    let (state, detail) = probed(&bench).await;
    assert_eq!(state, "problem", "{detail}");
    assert!(
        detail.contains(&format!("s3://{BUCKET}/recordings/archivectl-doctor-")),
        "{detail}"
    );
}

/// What guards the evidence besides bucket and tables.
#[derive(Clone)]
struct Guards {
    /// The policy of both tables.
    policy: String,
    trail: Value,
    logging: bool,
    /// What the trail selects, where it says that it does.
    selectors: Value,
    /// Days that log lines are kept.
    days: i32,
}

impl Guards {
    /// Those of a stack of the template.
    fn of_template() -> Self {
        Self {
            // Says more than the ledger's, and all of that.
            policy: policy("AuditTable"),
            trail: json!({"Name": "all", "TrailARN": "arn:aws:cloudtrail:us-east-1:1:trail/all"}),
            logging: true,
            selectors: json!({}),
            days: 365,
        }
    }
}

/// Answers what the simulators have not.
fn guarded(bench: &Bench, guards: Guards) {
    let json = |body: &Value| answer(200, "application/x-amz-json-1.1", &body.to_string());
    let Guards {
        policy,
        trail,
        logging,
        selectors,
        days,
    } = guards;
    bench.world.wire.disturb(move |asked| {
        let target = asked.headers.get("x-amz-target");
        let operation = target.and_then(|target| target.split_once('.')).map(|(_, name)| name);
        match (operation, asked.operation.as_str()) {
            (Some("DescribeContinuousBackups"), _) => Some(json(&json!({"ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"},
            }}))),
            (Some("GetResourcePolicy"), _) => Some(json(&json!({"Policy": policy}))),
            (Some("DescribeTrails"), _) => Some(json(&json!({"trailList": [trail]}))),
            (Some("GetTrailStatus"), _) => Some(json(&json!({"IsLogging": logging}))),
            (Some("GetEventSelectors"), _) => Some(json(&json!({"EventSelectors": [selectors]}))),
            (Some("DescribeLogGroups"), _) => Some(json(&json!({"logGroups": [
                {"logGroupName": "/archiver", "retentionInDays": days}]}))),
            (_, "GetBucketEncryption") => Some(answer(
                200,
                "application/xml",
                "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms\
                 </SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>",
            )),
            (_, "GetObjectLockConfiguration") => Some(answer(
                200,
                "application/xml",
                "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
            )),
            _ => None,
        }
    });
}

const LOCK: [(&str, &str); 3] = [
    ("S3_OBJECT_LOCK_MODE", "GOVERNANCE"),
    ("S3_OBJECT_LOCK_DAYS", "2557"),
    ("LOG_GROUP_NAME", "/archiver"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_that_is_guarded_as_the_template_does_it_is_ok() {
    let bench = Bench::new().await;
    put_policy(&bench, BUCKET, policy("ArchiveBucketPolicy")).await;
    keep_versions(&bench, BUCKET).await;
    let dynamodb = bench.world.aws.dynamodb();
    for table in [AUDIT_TABLE, LEDGER_TABLE] {
        let update = dynamodb
            .update_table()
            .table_name(table)
            .deletion_protection_enabled(true);
        update.send().await.unwrap();
    }
    let guards = Guards::of_template();
    guarded(&bench, guards.clone());
    let off = StreamSpecification::builder().stream_enabled(false).build();
    let update = dynamodb.update_table().table_name(AUDIT_TABLE);
    update.stream_specification(off.unwrap()).send().await.unwrap();
    let found = checks(&doctor(&bench, &LOCK, &["--json"]).await);
    for name in [
        "object_lock",
        "versioning",
        "bucket_policy",
        "encryption",
        "ledger_protection",
        "log_retention",
        "trail",
    ] {
        assert_eq!(found[name].0, "ok", "{name}: {found:?}");
    }
    assert_eq!(
        found["audit_protection"],
        (
            "warning".to_owned(),
            format!("{AUDIT_TABLE} lacks a stream, without which nothing is sealed")
        ),
    );
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages);
    let update = dynamodb.update_table().table_name(AUDIT_TABLE);
    update
        .stream_specification(stream.build().unwrap())
        .send()
        .await
        .unwrap();
    let found = checks(&doctor(&bench, &LOCK, &["--json"]).await);
    assert_eq!(found["audit_protection"].0, "ok", "{found:?}");

    // A trail that stands still, some that leave out what the rules wait for, and a log that forgets.
    let still = Guards {
        logging: false,
        ..guards.clone()
    };
    let choosing = |selectors: Value| {
        let mut guards = guards.clone();
        guards.trail["HasCustomEventSelectors"] = json!(true);
        Guards { selectors, ..guards }
    };
    for guards in [
        still,
        choosing(json!({"IncludeManagementEvents": true, "ReadWriteType": "ReadOnly"})),
        choosing(json!({"IncludeManagementEvents": true, "ReadWriteType": "All",
            "ExcludeManagementEventSources": ["kms.amazonaws.com"]})),
    ] {
        bench.world.wire.calm();
        guarded(&bench, Guards { days: 30, ..guards });
        let ran = doctor(&bench, &LOCK, &["--json"]).await;
        assert_eq!(ran.code(), Some(1), "{ran:?}");
        let found = checks(&ran);
        assert_eq!(found["trail"].0, "problem", "{found:?}");
        assert_eq!(found["log_retention"].0, "warning", "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_that_nobody_guards_is_told() {
    let bench = Bench::new().await;
    let found = checks(&doctor(&bench, &[], &["--json"]).await);
    for (name, words) in [
        ("object_lock", "is not locked"),
        ("versioning", "keeps no versions"),
        ("bucket_policy", "puts without If-None-Match, deletes of versions"),
    ] {
        let (state, detail) = &found[name];
        assert_eq!((state.as_str(), usual(name)), ("warning", "warning"), "{detail}");
        assert!(detail.contains(words), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_binds_nobody_guards_nothing() {
    let bench = Bench::new().await;
    let of = |actions: &str| {
        let nobody = json!({"StringEquals": {"aws:PrincipalArn": "arn:aws:iam::1:role/nobody"}});
        let deny = json!({"Effect": "Deny", "Principal": "*", "Action": actions, "Resource": "*", "Condition": nobody});
        json!({ "Statement": [deny] }).to_string()
    };
    put_policy(&bench, BUCKET, of("s3:*")).await;
    let policy = of("dynamodb:*");
    guarded(
        &bench,
        Guards {
            policy,
            ..Guards::of_template()
        },
    );
    let found = checks(&doctor(&bench, &LOCK, &["--json"]).await);
    for (name, words) in [
        (
            "bucket_policy",
            "does not refuse: puts without If-None-Match, deletes of versions, bypassing of locks, unencrypted transport",
        ),
        (
            "audit_protection",
            "a policy that refuses UpdateItem, DeleteItem, BatchWriteItem, PartiQLInsert, PartiQLUpdate, PartiQLDelete, \
             UpdateTimeToLive, PutItem outside transactions, PutItem of others",
        ),
        (
            "ledger_protection",
            "a policy that refuses UpdateItem, DeleteItem, BatchWriteItem, PartiQLInsert, PartiQLUpdate, PartiQLDelete, \
             UpdateTimeToLive",
        ),
    ] {
        let (state, detail) = &found[name];
        assert_eq!(state, "warning", "{name}: {detail}");
        assert!(detail.contains(words), "{name}: {detail}");
    }
}
