//! The reports and leftovers of `doctor` where a set-up is unusual or Ctrl-C comes.

use recording_archiver::sim::wire::{Exchange, Fault, Gate, Service};
use recording_archiver::sim::{BUCKET, SECRET};

use super::{assert_problems, checks, doctor};
use crate::archivectl::{command, end, signal};
use crate::support::Bench;

/// Returns an answer of S3, or of CloudFormation, which the simulators do not speak.
fn xml(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Fault::Respond {
        status,
        headers: headers.iter().map(own).collect(),
        body: body.as_bytes().to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_without_a_key_is_told_to_be_unsigned() {
    let bench = Bench::new().await;
    let (client, secret) = bench.world.genesys.credentials();
    let unsigned = format!(r#"{{"clientId":"{client}","clientSecret":"{secret}"}}"#);
    bench
        .world
        .aws
        .put_secret("never/had/a/key", &unsigned)
        .await
        .unwrap();
    let never = [("GENESYS_SECRET_ID", "never/had/a/key")];
    let ran = doctor(&bench, &never, &["--json", "--webhook"]).await;
    let items = ran.items();
    let told = items.iter().find(|item| item["check"] == "secret").unwrap();
    assert_eq!(told["state"], "warning", "{told}");
    assert!(
        told["mend"].as_str().unwrap().contains("add webhookSecret"),
        "{told}"
    );
    let delivery = bench.world.webhook.deliveries().remove(0);
    assert!(!delivery.verified);
    let (_, detail) = &checks(&ran)["webhook"];
    assert!(detail.contains("not signed"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_sign_is_told_and_nothing_is_sent() {
    let bench = Bench::new().await;
    let (client, secret) = bench.world.genesys.credentials();
    for (field, detail) in [("webhookSecert", "misspelt"), ("webhookSecret", "24 to 64 bytes")] {
        let value =
            format!(r#"{{"clientId":"{client}","clientSecret":"{secret}","{field}":"whsec_c2hvcnQ="}}"#);
        bench.world.aws.put_secret(SECRET, &value).await.unwrap();
        let ran = doctor(&bench, &[], &["--json", "--webhook"]).await;
        assert_eq!(ran.code(), Some(1), "{ran:?}");
        let checks = checks(&ran);
        assert_eq!(
            (checks["secret"].0.as_str(), checks["webhook"].0.as_str()),
            ("warning", "problem")
        );
        assert!(checks["secret"].1.contains(detail), "{checks:?}");
        assert!(!ran.stdout.contains("c2hvcnQ"), "{}", ran.stdout);
    }
    assert!(bench.world.webhook.deliveries().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_it_at_once_and_is_no_finding() {
    let bench = Bench::new().await;
    let wire = &bench.world.wire;
    wire.disturb_next(Service::Genesys, "recordingmetadata", 1, Fault::Hang);
    let child = command(&bench, &["doctor", "--json"]).spawn().unwrap();
    wire.wait_until(|all| all.iter().any(|asked| asked.operation == "recordingmetadata"))
        .await;
    signal(&child, "INT").await;
    let ran = end(child).await;
    assert_eq!(ran.code(), Some(130), "{ran:?}");
    let summary = ran.summary();
    assert_eq!(
        (&summary["interrupted"], &summary["problems"]),
        (&true.into(), &0.into()),
        "{ran:?}"
    );
    let checks = checks(&ran);
    assert!(checks.contains_key("clock"), "{checks:?}");
    for name in ["list_recordings", "read_recordings", "bucket", "webhook"] {
        assert!(!checks.contains_key(name), "{name}: {checks:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_leaves_no_test_object_behind() {
    let bench = Bench::new().await;
    let (wire, gate) = (&bench.world.wire, Gate::default());
    wire.disturb_next(Service::S3, "PutObject", 1, Fault::ApplyThenHold(gate.clone()));
    let child = command(&bench, &["doctor"]).spawn().unwrap();
    wire.wait_until(|all| {
        let written = |asked: &Exchange| asked.operation == "PutObject" && asked.status.is_some();
        all.iter().any(written)
    })
    .await;
    assert_eq!(bench.keys().await.len(), 1);
    signal(&child, "INT").await;
    gate.open();
    let ran = end(child).await;
    assert_eq!(ran.code(), Some(130), "{ran:?}");
    assert!(bench.keys().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_bucket_with_versions_the_test_objects_own_version_is_deleted() {
    let bench = Bench::new().await;
    let wire = &bench.world.wire;
    let refused =
        "<Error><Code>PreconditionFailed</Code><Message>At least one did not hold</Message></Error>";
    // The rule that is added last is asked first.
    wire.disturb_next(Service::S3, "PutObject", 2, xml(412, &[], refused));
    wire.disturb_next(
        Service::S3,
        "PutObject",
        1,
        xml(200, &[("x-amz-version-id", "version-7")], ""),
    );
    let ran = doctor(&bench, &[], &["--json"]).await;
    assert_eq!(checks(&ran)["conditional_writes"].0, "ok", "{ran:?}");
    let asked = wire.exchanges();
    let deleted = asked
        .iter()
        .find(|asked| asked.operation == "DeleteObject")
        .unwrap();
    assert!(
        deleted.target.contains("versionId=version-7"),
        "{}",
        deleted.target
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_the_bucket_cannot_keep_is_a_problem() {
    let bench = Bench::new().await;
    let lock = [
        ("S3_OBJECT_LOCK_MODE", "GOVERNANCE"),
        ("S3_OBJECT_LOCK_DAYS", "10"),
    ];
    let none =
        "<Error><Code>ObjectLockConfigurationNotFoundError</Code><Message>There is none</Message></Error>";
    let enabled =
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
    for (answer, problems) in [
        (
            xml(404, &[], none),
            &[("object_lock", "refuses every recording")][..],
        ),
        (
            xml(403, &[], "<Error><Code>AccessDenied</Code></Error>"),
            &[("object_lock", "lack this permission")],
        ),
    ] {
        bench.world.wire.disturb(move |asked| {
            let lock = asked.target.contains("object-lock") && asked.target.contains(BUCKET);
            lock.then(|| answer.clone())
        });
        assert_problems(&bench, &lock, problems, &[]).await;
    }
    bench.world.wire.disturb(move |asked| {
        let lock = asked.service == Service::S3 && asked.target.contains("object-lock");
        lock.then(|| xml(200, &[], enabled))
    });
    let ran = doctor(&bench, &lock, &["--json"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    bench.world.wire.calm();
    let untold = doctor(&bench, &lock, &["--json"]).await;
    assert_eq!(untold.code(), Some(0), "{untold:?}");
    assert_eq!(
        checks(&untold)["object_lock"].0,
        "skipped",
        "a store without that call"
    );
    let (state, detail) = &checks(&ran)["object_lock"];
    assert_eq!(
        (state.as_str(), detail.contains("GOVERNANCE for 10 days")),
        ("ok", true),
        "{detail}"
    );
}
