//! Objects of the log that are lost or rolled back: nothing is signed over them, and the error names the object.

use recording_archiver::error::{Error, ErrorKind};
use recording_archiver::seal::Entry;
use recording_archiver::seal::batch::{Batch, Via};
use recording_archiver::seal::layout;
use recording_archiver::seal::store::Put;
use recording_archiver::sim::SEAL_BUCKET;
use recording_archiver::sim::wire::Service;
use serde_json::Value;

use super::{deliver, sign};
use crate::support::Bench;

/// Returns a bench with a sealed call, and the records that were sealed.
async fn sealed() -> (Bench, Vec<Value>) {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let records = bench.streamed().await;
    let sealer = bench.sealer(&[]);
    // Two batches, each with its checkpoint.
    deliver(&sealer, &records[..2]).await.unwrap();
    deliver(&sealer, &records[2..]).await.unwrap();
    bench.world.wire.forget();
    (bench, records)
}

/// Deletes an object, as somebody with the right to does, and returns what it held.
async fn lose(bench: &Bench, key: &str) -> Vec<u8> {
    let held = bench.log().get(key).await.unwrap().unwrap();
    let delete = bench.world.aws.s3().delete_object().bucket(SEAL_BUCKET).key(key);
    delete.send().await.unwrap();
    held
}

/// Asserts that a new container signs nothing and names this object.
async fn assert_refused(bench: &Bench, key: &str) {
    let refused = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::LogInconsistent, "{error}");
        let named = format!("s3://{SEAL_BUCKET}/{key}: ");
        assert!(
            error.to_string().starts_with(&named),
            "{error} does not name {key}"
        );
        assert!(error.to_string().contains("docs/log.md"), "{error}");
    };
    refused(sign(&bench.sealer(&[])).await.unwrap_err());
    assert_eq!(bench.world.wire.count(Service::Kms, "Sign"), 0);
}

/// Asserts that everything goes on once the object is there again.
async fn assert_restored(bench: &Bench, key: &str, held: Vec<u8>) {
    assert_eq!(bench.log().put(key, held).await.unwrap(), Put::Created);
    sign(&bench.sealer(&[])).await.unwrap();
    bench.assert_sealed(key).await;
}

#[tokio::test]
async fn a_lost_batch_is_named_and_nothing_is_sealed_over_it() {
    for place in [0, 1, 2] {
        let (bench, records) = sealed().await;
        let key = layout::batch([0, 1, 3][place]);
        let held = lose(&bench, &key).await;
        let cold = bench.sealer(&[]);
        let error = deliver(&cold, &records).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LogInconsistent, "{error}");
        assert_eq!(
            bench.log().get(&key).await.unwrap(),
            None,
            "nothing took its place"
        );
        assert_refused(&bench, &key).await;
        assert_restored(&bench, &key, held).await;
    }
}

#[tokio::test]
async fn a_warm_container_misses_its_last_batch_before_it_signs() {
    let bench = Bench::with_a_call().await;
    bench.archive().await;
    let records = bench.streamed().await;
    let sealer = bench.sealer(&[("CHECKPOINT_SECONDS", "900")]);
    deliver(&sealer, &records[..2]).await.unwrap();
    deliver(&sealer, &records[2..]).await.unwrap();
    let key = layout::batch(3);
    let held = lose(&bench, &key).await;
    let error = sign(&sealer).await.unwrap_err();
    assert!(error.to_string().contains(&key), "{error}");
    assert_restored(&bench, &key, held).await;
}

#[tokio::test]
async fn a_lost_tile_of_the_edge_is_named() {
    let (bench, records) = sealed().await;
    let width = 1 + records.len();
    for key in [
        format!("tile/0/000.p/{width}"),
        format!("tile/entries/000.p/{width}"),
    ] {
        let held = lose(&bench, &key).await;
        assert_refused(&bench, &key).await;
        assert_restored(&bench, &key, held).await;
        bench.world.wire.forget();
    }
}

#[tokio::test]
async fn a_changed_tile_is_found_before_anything_is_signed() {
    let (bench, records) = sealed().await;
    let key = format!("tile/0/000.p/{}", 1 + records.len());
    let mut changed = lose(&bench, &key).await;
    changed[40] ^= 1;
    bench.log().put(&key, changed).await.unwrap();
    let newest = bench.checkpoints().await.pop().unwrap();
    assert_refused(&bench, &layout::checkpoint(newest.time, newest.size)).await;
}

#[tokio::test]
async fn a_tile_that_somebody_put_first_stops_the_log() {
    let (bench, records) = sealed().await;
    let key = format!("tile/0/000.p/{}", 2 + records.len());
    bench
        .log()
        .put(&key, vec![7; 32 * (2 + records.len())])
        .await
        .unwrap();
    let forged = Batch {
        start: 1 + records.len() as u64,
        via: Via::Stream,
        at: bench.clock.now(),
        entries: vec![Entry([9; 32])],
    };
    bench
        .log()
        .put(&layout::batch(forged.start), forged.to_bytes())
        .await
        .unwrap();
    assert_refused(&bench, &key).await;
}

#[tokio::test]
async fn lost_checkpoints_are_signed_again_from_the_batches_and_fork_nothing() {
    let (bench, _) = sealed().await;
    let kept = bench.checkpoints().await;
    for checkpoint in &kept {
        lose(&bench, &layout::checkpoint(checkpoint.time, checkpoint.size)).await;
        sign(&bench.sealer(&[])).await.unwrap();
        bench.assert_sealed("a checkpoint was lost").await;
        let again = bench.checkpoints().await.pop().unwrap();
        assert_eq!((again.size, again.root), (kept[1].size, kept[1].root));
    }
}

#[tokio::test]
async fn a_checkpoint_that_was_rolled_back_is_named() {
    let (bench, _) = sealed().await;
    let checkpoints = bench.checkpoints().await;
    let key = layout::checkpoint(checkpoints[1].time, checkpoints[1].size);
    let held = lose(&bench, &key).await;
    bench.log().put(&key, checkpoints[0].note.clone()).await.unwrap();
    assert_refused(&bench, &key).await;
    lose(&bench, &key).await;
    assert_restored(&bench, &key, held).await;
}

#[tokio::test]
async fn a_checkpoint_of_another_key_stops_the_log() {
    let (bench, _) = sealed().await;
    let newest = bench.checkpoints().await.pop().unwrap();
    bench.world.aws.create_signing_key("alias/other").await.unwrap();
    let other = bench.sealer(&[("SEAL_KEY_ID", "alias/other")]);
    let error = sign(&other).await.unwrap_err();
    assert!(
        error.to_string().contains("the signature is not by the key"),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains(&layout::checkpoint(newest.time, newest.size)),
        "{error}"
    );
    let other = bench.sealer(&[("SEAL_ORIGIN", "example.com/other")]);
    let error = sign(&other).await.unwrap_err();
    assert!(
        error.to_string().contains("not of \"example.com/other\""),
        "{error}"
    );
}
