//! The webhook's key: what cannot sign is noticed, and nothing is sent that its receiver could not prove.

use super::*;

const SHORT: &str = "whsec_c2hvcnQ=";
/// Of 29 bytes, like the one that the simulated receiver has.
const OTHER: &str = "whsec_YW5vdGhlci13ZWJob29rLWtleS1vZi0yOS1ieXRlcw==";

impl Bench {
    /// Asserts that the recording is archived and its notification neither sent nor deferred: a case that says `why`.
    async fn assert_kept_back(&self, changes: &[(&str, &str)], why: &str) {
        let before = self.world.webhook.deliveries().len();
        let summary = invoke(&self.handler(changes), job()).await.unwrap();
        assert_eq!(outcomes(&summary), ["failed"], "{why}");
        assert_eq!(
            summary["results"][0]["files"][0]["archiveKey"],
            format!("s3://calls/{KEY}")
        );
        assert_eq!(self.keys().await, [KEY]);
        assert_eq!(
            self.world.webhook.deliveries().len(),
            before,
            "{why}: nothing was sent"
        );
        let event = self.audit(CONVERSATION, RECORDING).await.pop().unwrap();
        assert_eq!(
            (&event["action"], &event["status"]),
            (&json!("webhook.failed"), &json!("archived"))
        );
        let told = event["error"].as_str().unwrap();
        assert!(told.contains(why), "{told} lacks {why}");
        assert_eq!(self.codes().last().unwrap(), "webhook_unsignable");
        assert_eq!(
            self.metrics().last().unwrap()["WebhookFailures"],
            1,
            "which an alarm watches"
        );
        assert!(self.deferred().is_empty());
    }
}

fn base64(length: usize) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode("k".repeat(length))
}

#[tokio::test]
async fn a_key_that_is_no_key_signs_nothing_and_keeps_no_recording_from_the_archive() {
    for key in [
        json!("whsec_"),
        json!(""),
        json!("whsec_AA=="),
        json!(SHORT),
        json!(base64(23)),
        json!(format!("whsec_{}", base64(65))),
        json!("hunter2-is-not-base64!"),
        json!(7),
        json!(["whsec_c2ltdWxhdGVkLXdlYmhvb2stc2VjcmV0LTAwMDE="]),
    ] {
        let bench = Bench::with_a_call().await;
        bench.secret_holds(json!({"webhookSecret": key})).await;
        bench.assert_kept_back(&[], "24 to 64 bytes").await;
        let everything = format!(
            "{:?}{:?}",
            bench.exceptions(),
            bench.audit(CONVERSATION, RECORDING).await
        );
        assert!(
            !everything.contains("hunter2") && !everything.contains("c2hvcnQ"),
            "{everything}"
        );
    }
    for length in [24, 64] {
        let bench = Bench::with_a_call().await;
        bench.secret_holds(json!({"webhookSecret": base64(length)})).await;
        bench.world.webhook.set_secret(&base64(length));
        assert_eq!(bench.archive().await[0]["outcome"], "archived");
        assert!(bench.world.webhook.deliveries()[0].verified);
    }
}

#[tokio::test]
async fn a_key_that_still_cannot_sign_is_one_event_and_a_case_for_each_job() {
    let bench = Bench::with_a_call().await;
    bench.secret_holds(json!({"webhookSecret": SHORT})).await;
    for cases in 1..=3 {
        bench.assert_kept_back(&[], "24 to 64 bytes").await;
        assert_eq!(
            bench.exceptions().len(),
            cases,
            "a replay that changes nothing is not lost"
        );
        let actions = bench.actions(CONVERSATION, RECORDING).await;
        assert_eq!(
            actions
                .iter()
                .filter(|action| *action == "webhook.failed")
                .count(),
            1
        );
        assert_eq!(
            bench
                .record(CONVERSATION, RECORDING)
                .await
                .unwrap()
                .lease_expires_at,
            0
        );
    }
    bench.secret_holds(json!({"webhookSecret": "other"})).await;
    bench.assert_kept_back(&[], "24 to 64 bytes").await;
    let actions = bench.actions(CONVERSATION, RECORDING).await;
    assert_eq!(
        actions
            .iter()
            .filter(|action| *action == "webhook.failed")
            .count(),
        2,
        "another reason"
    );
}

#[tokio::test]
async fn a_corrected_key_delivers_the_replayed_case() {
    let bench = Bench::with_a_call().await;
    bench.secret_holds(json!({"webhookSecret": SHORT})).await;
    bench.assert_kept_back(&[], "24 to 64 bytes").await;
    let key = recording_archiver::sim::WEBHOOK_SECRET;
    bench.secret_holds(json!({"webhookSecret": key})).await;
    let replay = bench.exceptions()[0]["job"].clone();
    assert_eq!(
        outcomes(&bench.invoke(replay).await.unwrap()),
        ["already_archived"]
    );
    let deliveries = bench.world.webhook.deliveries();
    assert!(deliveries.len() == 1 && deliveries[0].verified);
}

#[tokio::test]
async fn a_misspelt_key_is_noticed() {
    for name in [
        "webhookSecert",
        "webhook_secret",
        "WEBHOOK_SECRET",
        "wehbookSecret",
        "webhookKey",
        "webhookSecret ",
        "signingKey",
    ] {
        let bench = Bench::with_a_call().await;
        bench.secret_holds(json!({name: OTHER})).await;
        bench.assert_kept_back(&[], "webhookSecret").await;
    }
}

#[tokio::test]
async fn a_removed_key_is_noticed_by_a_new_container() {
    let bench = Bench::with_a_call().await;
    bench.secret_holds(json!({})).await;
    bench.assert_kept_back(&[], "WEBHOOK_SIGNATURE").await;
}

#[tokio::test]
async fn a_required_key_that_is_missing_is_noticed_and_an_optional_one_is_not_missed() {
    let bench = Bench::with_a_call().await;
    let (id, secret) = bench.world.genesys.credentials();
    let value = json!({"clientId": id, "clientSecret": secret}).to_string();
    bench.world.aws.put_secret("without/key", &value).await.unwrap();
    let never = ("GENESYS_SECRET_ID", "without/key");
    bench
        .assert_kept_back(&[never, ("WEBHOOK_SIGNATURE", "required")], "WEBHOOK_SIGNATURE")
        .await;
    let handler = bench.handler(&[never]);
    assert_eq!(
        outcomes(&invoke(&handler, job()).await.unwrap()),
        ["already_archived"]
    );

    let bench = Bench::with_a_call().await;
    bench.secret_holds(json!({})).await;
    let handler = bench.handler(&[("WEBHOOK_SIGNATURE", "optional")]);
    assert_eq!(outcomes(&invoke(&handler, job()).await.unwrap()), ["archived"]);
    let deliveries = bench.world.webhook.deliveries();
    assert_eq!(deliveries.len(), 1);
    assert!(!deliveries[0].headers.contains_key("webhook-signature"));
}

#[tokio::test]
async fn each_of_several_keys_signs() {
    for ours in [OTHER, recording_archiver::sim::WEBHOOK_SECRET] {
        let bench = Bench::with_a_call().await;
        let keys = json!([OTHER, recording_archiver::sim::WEBHOOK_SECRET]);
        bench.secret_holds(json!({"webhookSecrets": keys})).await;
        bench.world.webhook.set_secret(ours);
        assert_eq!(bench.archive().await[0]["outcome"], "archived");
        let delivery = bench.world.webhook.deliveries().remove(0);
        assert!(delivery.verified);
        assert_eq!(delivery.headers["webhook-signature"].split(' ').count(), 2);
    }
    let bench = Bench::with_a_call().await;
    bench
        .secret_holds(json!({"webhookSecrets": [OTHER, SHORT]}))
        .await;
    bench.assert_kept_back(&[], "webhookSecrets[1]").await;
}
