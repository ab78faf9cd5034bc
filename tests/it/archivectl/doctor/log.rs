//! What `archivectl doctor` says of the transparency log.

use jiff::{SignedDuration, Timestamp};
use recording_archiver::seal::layout;
use recording_archiver::seal::signer::Signer;
use recording_archiver::sim::wire::Service;
use recording_archiver::sim::{SEAL_BUCKET, SEAL_ORIGIN};
use tlog_tiles::tlog::Hash;

use super::evidence::{answer, keep_versions, policy, put_policy, refusal};
use super::{checks, doctor};
use crate::sealer::sign;
use crate::support::Bench;

/// Answers what the simulators have not: the Object Lock of the log's bucket.
fn locks(bench: &Bench, rule: &'static str) {
    bench.world.wire.disturb(move |asked| {
        let asked = asked.operation == "GetObjectLockConfiguration" && asked.target.contains(SEAL_BUCKET);
        let lock = format!(
            "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>{rule}</ObjectLockConfiguration>"
        );
        asked.then(|| answer(200, "application/xml", &lock))
    });
}

const RETENTION: &str =
    "<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>2557</Days></DefaultRetention></Rule>";

/// Asserts state and words of checks.
async fn assert_told(bench: &Bench, expected: &[(&str, &str, &str)]) {
    let ran = doctor(bench, &[], &["--json"]).await;
    let found = checks(&ran);
    for (name, state, words) in expected {
        let (told, detail) = &found[*name];
        assert_eq!(told, state, "{name}: {detail}");
        assert!(detail.contains(words), "{name}: {words}: {detail}");
    }
    let problems = expected.iter().any(|(_, state, _)| *state == "problem");
    assert_eq!(ran.code(), Some(i32::from(problems)), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_guarded_as_the_template_does_it_is_ok() {
    let bench = Bench::new().await;
    let none =
        "puts of others, puts without If-None-Match, deletes, bypassing of locks, unencrypted transport";
    assert_told(
        &bench,
        &[
            ("log_key", "ok", SEAL_ORIGIN),
            ("log_protection", "warning", "recording-seal lacks versions"),
            ("log_protection", "warning", none),
            ("checkpoint", "warning", "no checkpoint was signed yet"),
        ],
    )
    .await;
    keep_versions(&bench, SEAL_BUCKET).await;
    put_policy(&bench, SEAL_BUCKET, policy("SealBucketPolicy")).await;
    locks(&bench, "");
    sign(&bench.sealer(&[])).await.unwrap();
    let unlocked = (
        "log_protection",
        "warning",
        "recording-seal lacks a default retention",
    );
    assert_told(&bench, &[unlocked, ("checkpoint", "ok", "1 leaf")]).await;
    bench.world.wire.calm();
    locks(&bench, RETENTION);
    let locked = ("log_protection", "ok", "GOVERNANCE for 2557 days");
    assert_told(&bench, &[locked]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_stands_still_is_a_problem() {
    let bench = Bench::new().await;
    let disabled = r#"{"__type":"DisabledException","message":"the key is disabled."}"#;
    let disabled = answer(400, "application/x-amz-json-1.1", disabled);
    bench
        .world
        .wire
        .disturb_next(Service::Kms, "GetPublicKey", 9, disabled);
    assert_told(
        &bench,
        &[
            ("log_key", "problem", "DisabledException"),
            ("log_protection", "skipped", "log_key"),
            ("checkpoint", "skipped", "log_key"),
        ],
    )
    .await;
    bench.world.wire.calm();

    let environment = bench.world.environment();
    let (key, origin) = (&environment["SEAL_KEY_ID"], &environment["SEAL_ORIGIN"]);
    let signer = Signer::new(bench.world.aws.kms(), key.clone(), origin.clone());
    // Also one of long ago, before what is looked through first.
    for (hours, words) in [(50, "50 hours ago"), (3, "3 hours ago")] {
        let time = Timestamp::now() - SignedDuration::from_hours(hours);
        let old = signer.sign(1, Hash([7; 32]), time).await.unwrap();
        let key = layout::checkpoint(old.time, old.size);
        bench.log().put(&key, old.note).await.unwrap();
        assert_told(&bench, &[("checkpoint", "problem", words)]).await;
    }
    let forged = layout::checkpoint(Timestamp::now(), 7);
    bench.log().put(&forged, b"no note".to_vec()).await.unwrap();
    assert_told(&bench, &[("checkpoint", "problem", &forged)]).await;
    let denied = refusal(403, "AccessDenied", "no");
    bench
        .world
        .wire
        .disturb_next(Service::S3, "ListObjectsV2", 9, denied);
    assert_told(&bench, &[("checkpoint", "problem", "lack this permission")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_up_without_a_log_is_not_checked_for_one() {
    let bench = Bench::new().await;
    let found = checks(&doctor(&bench, &[("SEAL_BUCKET_NAME", "")], &["--json"]).await);
    for name in ["log_key", "log_protection", "checkpoint"] {
        assert_eq!(found[name].0, "skipped", "{found:?}");
    }
    assert!(found["log_key"].1.contains("--stack"), "{found:?}");
}
