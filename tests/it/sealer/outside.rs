//! Checkpoints reach those who keep them outside, and nothing waits for these.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use recording_archiver::seal::layout;
use recording_archiver::sim::wire::{Fault, Service};
use tokio::net::TcpListener;

use super::{deliver, sign};
use crate::support::{Bench, sha256};

/// A request for a time-stamp of a SHA-256, as `openssl ts -query -sha256 -no_nonce -cert` writes it, without the hash.
const QUERY: &str = "30390201013031300d060960864801650304020105000420";

/// Starts an authority that grants (`status` 0) or rejects (2) time-stamps. Returns its URL, and what it was asked.
async fn authority(status: u8) -> (String, Arc<Mutex<Vec<Bytes>>>) {
    let asked = Arc::<Mutex<Vec<Bytes>>>::default();
    let kept = asked.clone();
    let answer = move |body: Bytes| async move {
        let hash = body[24..56].to_vec();
        kept.lock().unwrap().push(body);
        // Status and, in place of a signed token, the hash.
        let told = [
            &[0x30, 0x27, 0x30, 0x03, 0x02, 0x01, status, 0x04, 0x20][..],
            &hash,
        ]
        .concat();
        (
            StatusCode::OK,
            [(CONTENT_TYPE, "application/timestamp-reply")],
            told,
        )
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/tsr", listener.local_addr().unwrap());
    let router = Router::new().route("/tsr", axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, asked)
}

#[tokio::test]
async fn each_checkpoint_is_sent_to_the_topic_as_it_is_stored() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let topic = bench.world.aws.create_topic("checkpoints").await.unwrap();
    let sealer = bench.sealer(&[("CHECKPOINT_TOPIC_ARN", &topic)]);
    deliver(&sealer, &bench.streamed().await).await.unwrap();
    sign(&sealer).await.unwrap();
    let stored = bench.checkpoints().await.into_iter();
    let stored: Vec<String> = stored
        .map(|checkpoint| String::from_utf8(checkpoint.note).unwrap())
        .collect();
    assert_eq!(bench.world.aws.published(&topic), stored);
    assert_eq!(stored.len(), 2);
}

#[tokio::test]
async fn each_checkpoint_is_time_stamped_by_its_hash() {
    let bench = Bench::new().await;
    let (url, asked) = authority(0).await;
    sign(&bench.sealer(&[("TSA_URL", &url)])).await.unwrap();
    let checkpoint = bench.checkpoints().await.pop().unwrap();
    let hash = sha256(&checkpoint.note);
    let asked: Vec<String> = asked.lock().unwrap().iter().map(hex::encode).collect();
    assert_eq!(asked, [format!("{QUERY}{hash}0101ff")]);
    let key = layout::timestamp(checkpoint.time, checkpoint.size);
    let kept = bench.log().get(&key).await.unwrap().unwrap();
    assert!(hex::encode(kept).ends_with(&hash));
}

#[tokio::test]
async fn nothing_waits_for_those_who_keep_checkpoints() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let (rejecting, _) = authority(2).await;
    let topic = "arn:aws:sns:us-east-1:123456789012:nobody";
    let sealer = bench.sealer(&[("CHECKPOINT_TOPIC_ARN", topic), ("TSA_URL", &rejecting)]);
    deliver(&sealer, &bench.streamed().await).await.unwrap();
    bench.assert_sealed("neither took the checkpoint").await;
    assert_eq!(bench.log().keys(layout::TIMESTAMPS, None).await.unwrap(), [""; 0]);

    let topic = bench.world.aws.create_topic("checkpoints").await.unwrap();
    let sealer = bench.sealer(&[
        ("CHECKPOINT_TOPIC_ARN", &topic),
        ("TSA_URL", "http://127.0.0.1:1/"),
    ]);
    bench
        .world
        .wire
        .disturb_next(Service::Sns, "Query", 9, Fault::status(400));
    sign(&sealer).await.unwrap();
    assert_eq!(bench.world.aws.published(&topic), [""; 0]);
    bench.world.wire.calm();
    sign(&sealer).await.unwrap();
    let newest = bench.checkpoints().await.pop().unwrap();
    assert_eq!(
        bench.world.aws.published(&topic),
        [String::from_utf8(newest.note).unwrap()]
    );
}
