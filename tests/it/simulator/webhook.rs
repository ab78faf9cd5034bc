//! The receiver of webhooks.

use std::time::{SystemTime, UNIX_EPOCH};

use recording_archiver::sim::webhook::{Answer as Reply, Receiver};
use recording_archiver::sim::wire::{Fault, Service, Wire};
use standardwebhooks::Webhook;

use super::Answer;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = r#"{"event":"recording.download.complete"}"#;

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs().try_into().unwrap()
}

fn signed(url: &str, timestamp: i64, body: &'static str) -> reqwest::RequestBuilder {
    // Signed by the crate, checked by the simulator's own code.
    let signature = Webhook::new(SECRET)
        .unwrap()
        .sign("msg_1", timestamp, BODY.as_bytes())
        .unwrap();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
        .post(url)
        .header("webhook-id", "msg_1")
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", format!("v1,bm90IHRoaXMgb25l {signature}"))
        .body(body)
}

#[tokio::test]
async fn a_signed_delivery_is_verified_and_kept() {
    let wire = Wire::default();
    let receiver = Receiver::start(&wire, 0, SECRET).await.unwrap();
    let timestamp = now();
    assert_eq!(
        Answer::of(signed(&receiver.url(), timestamp, BODY)).await.status,
        204
    );
    let [delivery] = receiver.deliveries().try_into().unwrap();
    assert!(delivery.verified);
    assert_eq!(delivery.id, "msg_1");
    assert_eq!(delivery.timestamp, u64::try_from(timestamp).ok());
    assert_eq!(delivery.body["event"], "recording.download.complete");
    assert_eq!(delivery.headers["webhook-id"], "msg_1");
    assert_eq!(wire.count(Service::Webhook, "deliver"), 1);
}

#[tokio::test]
async fn another_body_another_secret_and_an_old_timestamp_are_not_verified() {
    let receiver = Receiver::start(&Wire::default(), 0, SECRET).await.unwrap();
    Answer::of(signed(&receiver.url(), now(), "{}")).await;
    Answer::of(signed(&receiver.url(), now() - 3600, BODY)).await;
    receiver.set_secret("whsec_AAAA");
    Answer::of(signed(&receiver.url(), now(), BODY)).await;
    let verified: Vec<_> = receiver
        .deliveries()
        .iter()
        .map(|delivery| delivery.verified)
        .collect();
    assert_eq!(verified, [false, false, false]);
}

#[tokio::test]
async fn deliveries_are_answered_by_the_script() {
    let wire = Wire::default();
    let receiver = Receiver::start(&wire, 0, SECRET).await.unwrap();
    receiver.answer_with([500, 503]);
    receiver.answer_with([Reply::Redirect("http://elsewhere.test/".to_owned())]);
    wire.disturb(|exchange| (exchange.seq == 1).then(|| Fault::status(502)));
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(Answer::of(signed(&receiver.url(), now(), BODY)).await.status);
    }
    assert_eq!(statuses, [502, 500, 503, 307, 204]);
    assert_eq!(receiver.deliveries().len(), 4);
}
