//! `archivectl doctor`: a sound set-up, and each thing that can be wrong with one.

mod edges;
mod evidence;
mod log;

use std::collections::BTreeMap;
use std::time::Duration;

use recording_archiver::sim::wire::{Fault, Service};
use recording_archiver::sim::{AUDIT_TABLE, LEDGER_TABLE, SECRET};
use serde_json::Value;

use super::{Ran, command, end};
use crate::support::Bench;

/// Runs it with these variables on top of the bench's, and without patience.
async fn doctor(bench: &Bench, changes: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut doctor = command(bench, &[&["doctor"], arguments].concat());
    doctor.env("MAX_ATTEMPTS", "1").envs(changes.iter().copied());
    end(doctor.spawn().unwrap()).await
}

/// Returns state and detail of each check.
fn checks(ran: &Ran) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    ran.items()
        .iter()
        .map(|item| {
            let told = (text(&item["state"]), text(&item["detail"]));
            assert_eq!(
                item["mend"].is_string(),
                matches!(told.0.as_str(), "warning" | "problem"),
                "what is not right says how to mend it: {item}"
            );
            (text(&item["check"]), told)
        })
        .collect()
}

/// What is told of the evidence in the simulators, where nothing guards it.
const UNGUARDED: [(&str, &str); 11] = [
    // `SETTLE_SECONDS` is 0.
    ("settling", "warning"),
    ("object_lock", "warning"),
    ("versioning", "warning"),
    ("bucket_policy", "warning"),
    ("encryption", "skipped"),
    ("audit_protection", "skipped"),
    ("ledger_protection", "skipped"),
    ("log_protection", "warning"),
    ("checkpoint", "warning"),
    ("log_retention", "skipped"),
    ("trail", "skipped"),
];

/// Returns the state of a check in the simulators, if nothing is wrong.
fn usual(name: &str) -> &'static str {
    let unguarded = UNGUARDED.iter().find(|(check, _)| *check == name);
    match name {
        // Genesys cannot be asked about these.
        "other_permissions" => "skipped",
        "dead_letter_queue" => "warning",
        _ => unguarded.map_or("ok", |(_, state)| state),
    }
}

/// Asserts that of all checks just these are problems, and these are not made because of them.
async fn assert_problems(
    bench: &Bench,
    changes: &[(&str, &str)],
    problems: &[(&str, &str)],
    skipped: &[&str],
) {
    let ran = doctor(bench, changes, &["--json", "--webhook"]).await;
    assert_eq!(ran.code(), Some(1), "{ran:?}");
    let checks = checks(&ran);
    for (name, (state, detail)) in &checks {
        let problem = problems.iter().find(|(problem, _)| problem == name);
        let expected = match problem {
            Some(_) => "problem",
            None if skipped.contains(&name.as_str()) => "skipped",
            None if changes.iter().any(|(name, _)| *name == "S3_OBJECT_LOCK_MODE")
                && name == "object_lock" =>
            {
                "ok"
            }
            None => usual(name),
        };
        assert_eq!(state, expected, "{name}: {detail}: {ran:?}");
        if let Some((_, words)) = problem {
            assert!(detail.contains(words), "{name}: {words}: {detail}");
        }
    }
    assert_eq!(ran.summary()["problems"], problems.len());
    for secret in ["c2ltdWxhdGVk", &bench.world.genesys.credentials().1] {
        assert!(
            !ran.stdout.contains(secret) && !ran.stderr.contains(secret),
            "{ran:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sound_set_up_is_all_ok_and_is_left_as_it_was() {
    let bench = Bench::new().await;
    let letters = bench.world.aws.create_queue("dead-letters").await.unwrap();
    let letters = [("WORK_DEAD_LETTER_QUEUE_URL", letters.as_str())];
    let ran = doctor(&bench, &letters, &["--json"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let checks = checks(&ran);
    assert_eq!(checks.len(), 38, "{checks:?}");
    for (name, (state, detail)) in &checks {
        let expected = if name == "dead_letter_queue" {
            "ok"
        } else {
            usual(name)
        };
        assert_eq!(state, expected, "{name}: {detail}");
    }
    assert!(
        bench.world.webhook.deliveries().is_empty(),
        "the receiver is told only if asked for"
    );
    let settling = doctor(&bench, &[letters[0], ("SETTLE_SECONDS", "900")], &["--json"]).await;
    assert_eq!(self::checks(&settling)["settling"].0, "ok");
    assert!(checks["settling"].1.contains("archivectl find knows no call"));
    let ran = doctor(&bench, &letters, &["--webhook"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("ok 26, warnings 6, problems 0"),
        "{}",
        ran.stdout
    );
    let deliveries = bench.world.webhook.deliveries();
    assert_eq!(deliveries.len(), 1);
    assert!(deliveries[0].verified);
    assert_eq!(deliveries[0].body["event"], "recording.archiver.test");
    assert!(bench.keys().await.is_empty(), "the test object is gone");
    assert!(bench.deferred().is_empty() && bench.exceptions().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_configured_is_a_warning_or_nothing() {
    let bench = Bench::new().await;
    let without = [
        ("WORK_QUEUE_URL", ""),
        ("EXCEPTION_QUEUE_URL", ""),
        ("WEBHOOK_URL", ""),
    ];
    let ran = doctor(&bench, &without, &["--json"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let checks = checks(&ran);
    for name in ["work_queue", "exception_queue", "dead_letter_queue"] {
        assert_eq!(checks[name].0, "warning", "{checks:?}");
    }
    assert_eq!(checks["webhook"].0, "ok");
    let unguarded = |item: &Value| UNGUARDED.iter().any(|(name, _)| item["check"] == *name);
    for item in ran
        .items()
        .iter()
        .filter(|item| item["state"] == "warning" && !unguarded(item))
    {
        assert!(item["mend"].as_str().unwrap().contains("--stack"), "{item}");
    }
    bench.world.genesys.deny_analytics(true);
    let ran = doctor(&bench, &[], &["--json"]).await;
    assert_eq!(ran.code(), Some(0), "the function does without: {ran:?}");
    let checks = self::checks(&ran);
    for name in ["analytics_jobs", "analytics_query"] {
        assert_eq!(checks[name].0, "warning", "{checks:?}");
        assert!(
            checks[name].1.contains("analytics:conversationDetail:view"),
            "{checks:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_client_may_not_see_and_what_event_bridge_does_not_offer_is_a_warning() {
    let bench = Bench::new().await;
    let genesys = &bench.world.genesys;
    for permission in ["recording:recording:view", "recording:orphan:view"] {
        genesys.deny(permission, true);
    }
    let end = "v2.detail.events.conversation.{id}.customer.end";
    genesys.set_topics([
        (end, vec!["Websocket"]),
        ("v2.recordings.{id}", vec!["EventBridge"]),
    ]);
    let screens = [("RECORDING_MEDIA", "audio,screen")];
    let ran = doctor(&bench, &screens, &["--json"]).await;
    assert_eq!(ran.code(), Some(0), "warnings alone are no problem: {ran:?}");
    let checks = checks(&ran);
    for (name, words) in [
        ("recording_view", "recording:recording:view is not held"),
        ("orphan_view", "recording:orphan:view is not held"),
        (
            "topics",
            "conversation ends: none; about recordings: v2.recordings.{id}",
        ),
    ] {
        let (state, detail) = &checks[name];
        assert_eq!(state, "warning", "{name}: {detail}");
        assert!(detail.contains(words), "{name}: {detail}");
    }
    let (_, told) = &checks["other_permissions"];
    for permission in ["snippetRecording", "screenRecording", "viewSensitiveData"] {
        assert!(told.contains(permission), "{told}");
    }
    let (_, limits) = &checks["limits"];
    assert!(
        limits.contains("client.credentials.token.rate.per.minute 300"),
        "{limits}"
    );
    let asked = |operation| bench.world.wire.count(Service::Genesys, operation);
    assert_eq!((asked("limits"), asked("topics")), (3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_secret_and_genesys_is_told_where_it_is_wrong() {
    let bench = Bench::new().await;
    let genesys = [
        "token",
        "list_recordings",
        "read_recordings",
        "analytics_jobs",
        "analytics_query",
        "names",
        "recording_view",
        "orphan_view",
        "other_permissions",
        "limits",
        "batch_downloads",
        "topics",
    ];
    let without_secret = [&genesys[..], &["webhook"]].concat();
    let missing = [("GENESYS_SECRET_ID", "no/such/secret")];
    assert_problems(&bench, &missing, &[("secret", "no/such/secret")], &without_secret).await;
    let aws = &bench.world.aws;
    let (client, _) = bench.world.genesys.credentials();
    let whole = |secret: &str| {
        format!(
            r#"{{"clientId":"{client}","clientSecret":"{secret}","webhookSecret":"whsec_c2ltdWxhdGVkLXdlYmhvb2stc2VjcmV0LTAwMDE="}}"#
        )
    };
    aws.put_secret(SECRET, &format!(r#"{{"clientId":"{client}"}}"#))
        .await
        .unwrap();
    assert_problems(&bench, &[], &[("secret", "has no clientSecret")], &without_secret).await;
    aws.put_secret(SECRET, &whole("wrong")).await.unwrap();
    assert_problems(
        &bench,
        &[],
        &[("token", "refuses the OAuth client")],
        &genesys[1..],
    )
    .await;
    aws.put_secret(SECRET, &whole(&bench.world.genesys.credentials().1))
        .await
        .unwrap();

    let denied = Fault::Respond {
        status: 403,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: br#"{"status":403,"code":"missing.any.permissions","message":"Unable to perform the requested action"}"#.to_vec(),
    };
    let wire = &bench.world.wire;
    for (operation, check) in [
        ("recordingmetadata", "list_recordings"),
        ("recording", "read_recordings"),
    ] {
        wire.disturb_next(Service::Genesys, operation, 1, denied.clone());
        assert_problems(&bench, &[], &[(check, "recording:recording:view")], &[]).await;
    }
    let early = Fault::Respond {
        status: 404,
        headers: vec![("date".to_owned(), "Mon, 05 Jan 2026 12:00:00 GMT".to_owned())],
        body: Vec::new(),
    };
    wire.disturb(move |exchange| {
        let asked = exchange.service == Service::Genesys && exchange.target == "/";
        asked.then(|| early.clone())
    });
    assert_problems(&bench, &[], &[("clock", "ahead of Genesys' clock")], &[]).await;
    wire.calm();
    bench.world.webhook.always_answer(500);
    assert_problems(&bench, &[], &[("webhook", "answered 500")], &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_for_batch_downloads_and_the_life_of_their_urls_are_checked() {
    let bench = Bench::new().await;
    let of = async |changes: &[(&str, &str)]| {
        let ran = doctor(&bench, changes, &["--json"]).await;
        checks(&ran).remove("batch_downloads").unwrap()
    };
    let (state, detail) = of(&[]).await;
    assert_eq!(state, "ok", "{detail}");
    assert!(
        detail.contains("share") && detail.contains("60 minutes"),
        "{detail}"
    );
    bench.world.genesys.set_url_lifetime(Duration::from_secs(600));
    let (state, detail) = of(&[]).await;
    assert_eq!(state, "warning", "{detail}");
    assert!(detail.contains("10 minutes"), "{detail}");
    let apart = [("GENESYS_BULK_SECRET_ID", "genesys/bulk")];
    let (state, detail) = of(&apart).await;
    assert_eq!(state, "problem", "{detail}");
    bench.world.genesys.add_client("bulk-client", "its-secret");
    let secret = r#"{"clientId":"bulk-client","clientSecret":"its-secret"}"#;
    let aws = &bench.world.aws;
    aws.put_secret("genesys/bulk", secret).await.unwrap();
    let (_, detail) = of(&apart).await;
    assert!(detail.starts_with("by the client of genesys/bulk"), "{detail}");
    bench.world.genesys.deny("recording:recording:view", true);
    let (state, detail) = of(&apart).await;
    assert_eq!(state, "warning", "{detail}");
    assert!(
        detail.contains("is not held by the client of genesys/bulk"),
        "{detail}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_the_client_may_not_ask_for_are_told_with_their_permission() {
    let bench = Bench::new().await;
    for permission in ["routing:queue:view", "routing:queue:search"] {
        bench.world.genesys.deny(permission, true);
    }
    let names = async |more: &[(&str, &str)]| {
        let ran = doctor(&bench, more, &["--json"]).await;
        let items = ran.items();
        items.into_iter().find(|item| item["check"] == "names").unwrap()
    };
    let told = names(&[]).await;
    assert_eq!(told["state"], "warning", "{told}");
    assert_eq!(
        told["detail"],
        "call records hold ids without names of queues (routing:queue:view)"
    );
    let off = names(&[("CALL_RECORD", "off")]).await;
    assert_eq!(off["state"], "ok", "{off}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_bucket_tables_and_queues_is_told_where_it_is_wrong() {
    let bench = Bench::new().await;
    let queue = bench.world.work_queue.replace("recording-work", "no-such-queue");
    for (variable, value, check, words, skipped) in [
        (
            "S3_BUCKET_NAME",
            "no-such-bucket",
            "bucket",
            "there is no bucket no-such-bucket",
            &["conditional_writes", "object_lock", "versioning", "bucket_policy"][..],
        ),
        (
            "LEDGER_TABLE_NAME",
            "no-such-table",
            "ledger_table",
            "no-such-table",
            &[],
        ),
        (
            "AUDIT_TABLE_NAME",
            "no-such-table",
            "audit_table",
            "no-such-table",
            &[],
        ),
        (
            "CATALOG_TABLE_NAME",
            "no-such-table",
            "catalog_table",
            "no-such-table",
            &[],
        ),
        (
            "CATALOG_KEY_SECRET_ID",
            "no/such/secret",
            "catalog_key",
            "no/such/secret",
            &[],
        ),
        ("WORK_QUEUE_URL", &queue, "work_queue", "no-such-queue", &[]),
    ] {
        assert_problems(&bench, &[(variable, value)], &[(check, words)], skipped).await;
    }
    let swapped = [
        ("LEDGER_TABLE_NAME", AUDIT_TABLE),
        ("AUDIT_TABLE_NAME", LEDGER_TABLE),
    ];
    let keys = [
        ("ledger_table", "they must be interactionId and recordingId"),
        ("audit_table", "they must be interactionId and eventId"),
    ];
    assert_problems(&bench, &swapped, &keys, &[]).await;
    let wire = &bench.world.wire;
    // A store that takes every write.
    wire.disturb_next(Service::S3, "PutObject", 2, Fault::status(200));
    assert_problems(
        &bench,
        &[],
        &[("conditional_writes", "in spite of If-None-Match")],
        &[],
    )
    .await;
    wire.disturb_next(Service::S3, "DeleteObject", 1, Fault::status(403));
    let ran = doctor(&bench, &[], &["--json"]).await;
    assert_eq!(ran.code(), Some(0), "{ran:?}");
    let (state, detail) = &checks(&ran)["conditional_writes"];
    assert_eq!(state, "warning");
    let left = bench.keys().await.remove(0);
    assert!(detail.contains(&left), "{left}: {detail}");
    let told = ran.items();
    let told = told
        .iter()
        .find(|item| item["check"] == "conditional_writes")
        .unwrap();
    let mend = told["mend"].as_str().unwrap();
    assert!(mend.contains(&left), "it says what is to be deleted: {mend}");
    let ran = doctor(&bench, &[("S3_BUCKET_NAME", "")], &[]).await;
    assert_eq!(ran.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("S3_BUCKET_NAME"), "{}", ran.stderr);
}
