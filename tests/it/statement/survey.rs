//! What Genesys does not answer is said, and never counts as "nothing".

use jiff::SignedDuration;
use recording_archiver::sim::wire::{Fault, Service};
use serde_json::{Value, json};

use super::made::Made;
use super::{conversation, day, key, recorded, recording};
use crate::support::Bench;

/// Returns a day with an archived conversation.
async fn one() -> Bench {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    let mut made = Made::default();
    let call = recorded(day, 1);
    made.archived(1, call.end.unwrap());
    bench.world.genesys.add(call);
    made.write(&bench).await;
    bench
}

async fn survey(bench: &Bench) -> Value {
    bench.issue().await;
    bench.statement_of(day(bench, 0), 1).await["survey"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_threshold_of_zero_that_genesys_refuses_leaves_late_recordings_unchecked() {
    let bench = one().await;
    bench.world.genesys.set_least_retention(1);
    let survey = survey(&bench).await;
    assert_eq!(
        (&survey["kept"]["complete"], &survey["kept"]["read"]),
        (&json!(false), &json!(0))
    );
    let why = survey["kept"]["why"].as_str().unwrap();
    assert!(why.contains("retentionThresholdDays"), "{why}");
    let day = day(&bench, 0);
    let page = bench.object(&key(day, "1.html")).await.unwrap();
    let page = String::from_utf8(page.bytes).unwrap();
    assert!(
        page.contains("recordings that came late, and deletions ahead") && page.contains("not checked"),
        "{page}"
    );
    assert_eq!(
        bench.statement_of(day, 1).await["clean"],
        true,
        "unknown is not missing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_that_the_audit_knows_of_is_named_where_genesys_own_list_is_not_read() {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    bench.world.genesys.set_least_retention(1);
    bench.world.genesys.add(recorded(day, 1));
    let soon = bench.clock.now() + SignedDuration::from_hours(24);
    let mut made = Made::default();
    let id = recording(1);
    let entry = super::made::Entry {
        number: 1,
        recording: Some(&id),
        action: recording_archiver::domain::audit::Action::DownloadFailed,
        state: recording_archiver::domain::record::State::Failed,
        at: super::at(day, 30),
    };
    made.entry(
        &entry,
        json!({"error": "x", "code": "forbidden", "genesys": {"deleteDate": soon.to_string()}}),
        json!({}),
    );
    made.write(&bench).await;
    let survey = survey(&bench).await;
    assert_eq!(survey["deletionsAhead"], 1);
    let named = &survey["deletions"][0];
    assert_eq!(
        (&named["interactionId"], &named["recordingId"]),
        (&json!(conversation(1)), &json!(id))
    );
    assert_eq!(bench.metrics().pop().unwrap()["DeletionsAhead"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_said_and_does_not_stop_the_statement() {
    let bench = one().await;
    for permission in [
        "recording:orphan:view",
        "recording:uploadReport:add",
        "recording:recording:view",
    ] {
        bench.world.genesys.deny(permission, true);
    }
    let survey = survey(&bench).await;
    for (checked, permission) in [
        ("orphansChecked", "recording:orphan:view"),
        ("uploadsChecked", "recording:uploadReport:add"),
        ("kept", "recording:recording:view"),
    ] {
        assert_eq!(survey[checked]["complete"], false, "{checked}");
        let why = survey[checked]["why"].as_str().unwrap();
        assert!(why.contains(permission), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_analytics_there_is_no_statement_at_all() {
    let bench = one().await;
    bench
        .world
        .genesys
        .deny("analytics:conversationDetail:view", true);
    let handler = bench.statement(&[]);
    let error = super::state_within(&handler, &json!({}), super::LONG)
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("analytics:conversationDetail:view"),
        "{error}"
    );
    assert_eq!(
        bench.keys().await,
        [""; 0],
        "a wrong all-is-well is worse than none"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_breaks_off_is_said() {
    let bench = one().await;
    bench.world.wire.disturb(|exchange| {
        (exchange.service == Service::Genesys && exchange.operation == "upload-report-request")
            .then(|| Fault::status(500))
    });
    let survey = survey(&bench).await;
    assert_eq!(survey["uploadsChecked"]["complete"], false);
    assert!(
        survey["uploadsChecked"]["why"]
            .as_str()
            .unwrap()
            .contains("failed uploads"),
        "{survey}"
    );
}
