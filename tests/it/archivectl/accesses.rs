//! Who accessed recordings and why: by the chains of accesses, and by what CloudTrail writes down of reads.

use std::collections::BTreeSet;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use recording_archiver::sim::wire::Service;
use recording_archiver::sim::{BUCKET, ROLE_ID};
use serde_json::{Value, json};
use uuid::Uuid;

use super::apart::items_of;
use super::{Folder, Ran, archivectl, command, end, remove};
use crate::apart::{ACCESSES, chain};
use crate::support::{Bench, CONVERSATION, KEY, RECORDING};

const TRAIL: &str = "reads";

/// Who the simulated STS says that everybody is.
const OPERATOR: &str = "arn:aws:iam::123456789012:user/simulated";

/// An archived call that somebody downloaded.
async fn downloaded() -> Bench {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let folder = Folder::new();
    let output = folder.file("");
    let get = [
        "get",
        CONVERSATION,
        "--reason",
        "complaint 4711",
        "--output",
        &output,
    ];
    let ran = archivectl(&bench, &get).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    bench
}

/// Lists the accesses of a day.
async fn of_day(bench: &Bench, day: &str, more: &[&str]) -> Ran {
    let days = ["accesses", "--from", day, "--to", day];
    archivectl(bench, &[&days, more].concat()).await
}

fn today(bench: &Bench) -> String {
    bench.clock.now().strftime("%Y-%m-%d").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_downloaded_a_recording_is_listed_on_that_day_with_the_reason() {
    let bench = downloaded().await;
    let ran = of_day(&bench, &today(&bench), &["--json"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let items = ran.items();
    let [access] = items.as_slice() else {
        panic!("{ran:?}")
    };
    for (name, value) in [
        ("interactionId", json!(CONVERSATION)),
        ("recordingId", json!(RECORDING)),
        ("access", json!("downloaded")),
        ("by", json!(OPERATOR)),
        ("reason", json!("complaint 4711")),
        ("files", json!([format!("s3://{BUCKET}/{KEY}")])),
    ] {
        assert_eq!(access[name], value, "{name}: {access}");
    }
    let summary = ran.summary();
    assert_eq!(
        (&summary["accesses"], &summary["reads"]),
        (&json!(1), &Value::Null)
    );
    let ran = of_day(&bench, &today(&bench), &[]).await;
    for told in ["downloaded by", OPERATOR, "complaint 4711", "are not seen"] {
        assert!(ran.stdout.contains(told), "{told}: {ran:?}");
    }
    let ran = of_day(&bench, "2020-01-01", &["--json"]).await;
    assert_eq!((ran.code(), ran.items().len()), (Some(3), 0), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_that_was_removed_is_a_finding() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    bench.apart(chain(CONVERSATION, ACCESSES), 3).await;
    let ran = of_day(&bench, &today(&bench), &["--json"]).await;
    assert_eq!((ran.code(), ran.items().len()), (Some(0), 3), "{ran:?}");
    remove(&bench, &items_of(&bench, [CONVERSATION, ACCESSES]).await[1]).await;
    let ran = of_day(&bench, &today(&bench), &["--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["findings"], json!({"audit_broken": 1}));
}

/// A record of CloudTrail about a read.
fn read(at: Timestamp, by: &str, key: &str, program: &str) -> Value {
    json!({
        "eventVersion": "1.11", "eventID": Uuid::new_v4(), "eventTime": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "eventSource": "s3.amazonaws.com", "eventName": "GetObject", "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.7", "userAgent": format!("[{program}]"),
        "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": by, "accountId": "123456789012"},
        "requestParameters": {"bucketName": BUCKET, "key": key, "Host": "s3.us-east-1.amazonaws.com"},
        "responseElements": null, "readOnly": true, "eventType": "AwsApiCall", "managementEvent": false,
        "recipientAccountId": "123456789012", "eventCategory": "Data",
        "resources": [{"type": "AWS::S3::Object", "ARN": format!("arn:aws:s3:::{BUCKET}/{key}")},
                      {"accountId": "123456789012", "type": "AWS::S3::Bucket", "ARN": format!("arn:aws:s3:::{BUCKET}")}],
    })
}

/// Delivers a log file as CloudTrail does.
async fn deliver(bench: &Bench, at: Timestamp, records: &[Value]) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(json!({ "Records": records }).to_string().as_bytes())
        .unwrap();
    put(bench, at, encoder.finish().unwrap()).await;
}

async fn put(bench: &Bench, at: Timestamp, bytes: Vec<u8>) {
    let (day, minute) = (at.strftime("%Y/%m/%d"), at.strftime("%Y%m%dT%H%MZ"));
    let unique = &Uuid::new_v4().simple().to_string()[..16];
    let key = format!(
        "AWSLogs/123456789012/CloudTrail/us-east-1/{day}/123456789012_CloudTrail_us-east-1_{minute}_{unique}.json.gz"
    );
    let put = bench.world.aws.s3().put_object().bucket(TRAIL).key(key);
    put.body(bytes.into()).send().await.unwrap();
}

/// Lists the accesses of today, and what a trail saw.
async fn with_trail(bench: &Bench, more: &[&str]) -> Ran {
    let day = today(bench);
    let days = ["accesses", "--from", &day, "--to", &day];
    let mut command = command(bench, &[&days, more].concat());
    command.env("TRAIL_BUCKET_NAME", TRAIL);
    end(command.spawn().unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_is_explained_by_an_access_of_the_same_identity_to_the_same_object_and_by_nothing_else() {
    let bench = downloaded().await;
    bench.world.aws.create_bucket(TRAIL).await.unwrap();
    let exchanges = bench.world.wire.exchanges();
    let own = exchanges.iter().find(|call| {
        call.service == Service::S3 && call.operation == "GetObject" && call.target.contains(RECORDING)
    });
    let own = own.unwrap().headers["user-agent"].clone();
    let now = bench.clock.now();
    let cli = "aws-cli/2.15";
    let thief = "arn:aws:iam::123456789012:user/thief";
    let other = KEY.replace(RECORDING, "e0000000-0000-4000-8000-0000000000ff");
    // What `get` did; and nothing that is explained or told by it.
    deliver(&bench, now, &[read(now, OPERATOR, KEY, &own)]).await;
    let ran = with_trail(&bench, &["--json"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let counts = |reads: u64, recorded: u64, own: u64, unrecorded: u64, refused: u64| json!({"reads": reads, "recorded": recorded, "function": 0, "ownProgram": own, "unrecorded": unrecorded, "refused": refused});
    let told = |ran: &Ran| {
        let mut reads = ran.summary()["reads"].clone();
        let left = reads.as_object_mut().unwrap();
        left.remove("files");
        assert_eq!(left.remove("untrailed"), Some(json!(0)));
        assert_eq!(left.remove("daysWithoutFiles"), Some(json!([])));
        reads
    };
    assert_eq!(told(&ran), counts(1, 1, 0, 0, 0));
    // A proof, of another object; and a refused attempt.
    let mut refused = read(now, thief, KEY, cli);
    refused["errorCode"] = json!("AccessDenied");
    deliver(&bench, now, &[read(now, OPERATOR, &other, &own), refused]).await;
    let ran = with_trail(&bench, &["--json"]).await;
    assert_eq!(
        (ran.code(), told(&ran)),
        (Some(1), counts(3, 1, 1, 0, 1)),
        "{ran:?}"
    );
    let text = with_trail(&bench, &[]).await.stdout;
    assert!(!text.contains("none past archivectl"), "{text}");
    // The thief, twice, one of them delivered twice; the operator before the access, and with another program
    // elsewhere.
    let twice = read(now, thief, KEY, cli);
    let records = [
        twice.clone(),
        twice,
        read(now, thief, &other, cli),
        read(now - SignedDuration::from_mins(20), OPERATOR, KEY, cli),
        read(now, thief, "elsewhere/x.wav", cli),
    ];
    deliver(&bench, now, &records).await;
    let ran = with_trail(&bench, &["--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let told = told(&ran);
    // Twenty minutes ago may have been yesterday.
    assert!(
        told == counts(6, 1, 1, 3, 1) || told == counts(5, 1, 1, 2, 1),
        "{told}"
    );
    let items = ran.items();
    let stolen = items
        .iter()
        .find(|item| item["by"] == thief && item["refused"].is_null());
    let stolen = stolen.unwrap();
    assert_eq!(
        (&stolen["reads"], &stolen["ownProgram"]),
        (&json!(2), &json!(false))
    );
    let objects = stolen["objects"].as_array().unwrap().iter();
    let objects: BTreeSet<_> = objects.map(|key| key.as_str().unwrap().to_owned()).collect();
    let expected = [KEY, &other].map(|key| format!("s3://{BUCKET}/{key}"));
    assert_eq!(objects, expected.into());
    let ran = with_trail(&bench, &[]).await;
    assert!(ran.stdout.contains("past archivectl 2 reads by"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_file_that_cannot_be_read_is_a_finding_and_an_empty_trail_none() {
    let bench = downloaded().await;
    bench.world.aws.create_bucket(TRAIL).await.unwrap();
    let ran = with_trail(&bench, &["--json"]).await;
    assert_eq!(
        (ran.code(), &ran.summary()["reads"]["files"]),
        (Some(0), &json!(0)),
        "{ran:?}"
    );
    let text = with_trail(&bench, &[]).await.stdout;
    assert!(text.contains("nothing shows whether other"), "{text}");
    assert!(!text.contains("none past archivectl"), "{text}");
    put(&bench, bench.clock.now(), b"{}".to_vec()).await;
    let ran = with_trail(&bench, &["--json"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    assert_eq!(ran.summary()["findings"], json!({"object_unreadable": 1}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_of_the_function_are_told_by_its_role_and_by_no_name_that_a_program_takes() {
    let bench = downloaded().await;
    bench.world.aws.create_bucket(TRAIL).await.unwrap();
    let now = bench.clock.now();
    let other = KEY.replace(RECORDING, "e0000000-0000-4000-8000-0000000000ff");
    let role = "arn:aws:sts::123456789012:assumed-role/archiver/function";
    let mut function = read(now, role, &other, "app/recording-archiver");
    function["userIdentity"]["principalId"] = json!(format!("{ROLE_ID}:function"));
    deliver(&bench, now, &[function.clone()]).await;
    let ran = with_trail(&bench, &["--json"]).await;
    assert_eq!(
        (ran.code(), &ran.summary()["reads"]["function"]),
        (Some(0), &json!(1)),
        "{ran:?}"
    );
    function["userIdentity"]["principalId"] = json!("AROAOTHER:function");
    function["eventID"] = json!(Uuid::new_v4());
    deliver(&bench, now, &[function]).await;
    let ran = with_trail(&bench, &["--json"]).await;
    assert_eq!(
        (ran.code(), &ran.summary()["reads"]["ownProgram"]),
        (Some(1), &json!(1)),
        "{ran:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_of_a_span_whose_log_files_are_gone_are_named_and_no_trail_is_missed_before_its_first() {
    let bench = downloaded().await;
    bench.world.aws.create_bucket(TRAIL).await.unwrap();
    let now = bench.clock.now();
    let day = |ago: i64| {
        (now - SignedDuration::from_hours(24 * ago))
            .strftime("%Y-%m-%d")
            .to_string()
    };
    let within = async |from: &str, to: &str, more: &[&str]| {
        let mut command = command(
            &bench,
            &[&["accesses", "--from", from, "--to", to], more].concat(),
        );
        command.env("TRAIL_BUCKET_NAME", TRAIL);
        end(command.spawn().unwrap()).await
    };
    let without = |ran: &Ran| ran.summary()["reads"]["daysWithoutFiles"].clone();
    for ago in [3, 6] {
        deliver(&bench, now - SignedDuration::from_hours(24 * ago), &[]).await;
    }
    let ran = within(&day(5), &day(3), &["--json"]).await;
    assert_eq!(
        without(&ran),
        json!([day(5), day(4)]),
        "also at the start of the span: {ran:?}"
    );
    let text = within(&day(5), &day(3), &[]).await.stdout;
    assert!(text.contains("2 days without a log file"), "{text}");
    let ran = within(&day(9), &day(6), &["--json"]).await;
    assert_eq!(without(&ran), json!([]), "{ran:?}");
}
