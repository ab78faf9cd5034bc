//! The cost of the transparency log: proving a year of it with `archivectl log verify`, where a checkpoint was signed
//! each half hour, and sealing batches.

use std::pin::pin;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use recording_archiver::clock::Clock;
use recording_archiver::seal::batch::{Batch, Via};
use recording_archiver::seal::checkpoint::LogKey;
use recording_archiver::seal::signer::Signer;
use recording_archiver::seal::store::LogStore;
use recording_archiver::seal::tree::Tree;
use recording_archiver::seal::{Entry, layout};
use recording_archiver::sealer::{Beginning, Sealer, When};
use recording_archiver::sim::aws::Aws;
use recording_archiver::sim::wire::Wire;
use serde_json::{Value, json};
use tokio::process::Command;

use super::table::{Row, Target};
use super::{Bench, Result, folder};

const ORIGIN: &str = "example.com/bench";
const BUCKET: &str = "bench-log";
const KEY: &str = "alias/bench-log";

/// Leaves between two checkpoints: about a million in a year.
const LEAVES: u64 = 57;

/// Objects that are put at a time.
const SIDE_BY_SIDE: usize = 32;

/// What a DER-encoded Ed25519 public key begins with.
const SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Proves a log of so many checkpoints.
pub(crate) async fn chain(bench: &mut Bench, checkpoints: u64) -> Result<()> {
    let wire = Wire::default();
    let aws = Aws::temporary(&wire).await?;
    aws.create_bucket(BUCKET).await?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).map_err(|_| "no key")?;
    let key = LogKey::from_der(ORIGIN, &[&SPKI[..], pair.public_key().as_ref()].concat())?;
    let store = LogStore::new(aws.s3(), BUCKET.to_owned());
    fill(&store, &key, &pair, checkpoints).await?;
    let path = folder()?.join("log.pub");
    std::fs::write(&path, key.verifier_key())?;
    wire.forget();
    let begun = Instant::now();
    // The checkpoints are proven when the first request about a batch arrives.
    let proven = async {
        wire.wait_until(|seen| seen.last().is_some_and(|last| last.target.contains("batches")))
            .await;
        begun.elapsed().as_secs_f64()
    };
    let verify = Command::new(env!("CARGO_BIN_EXE_archivectl"))
        .args(["log", "verify", "--json", "--key"])
        .arg(&path)
        .env_clear()
        .envs(&bench.simulators.environment)
        .env("AWS_ENDPOINT_URL", aws.endpoint_url())
        .env("SEAL_BUCKET_NAME", BUCKET)
        .env("SEAL_ORIGIN", ORIGIN)
        .stderr(Stdio::inherit())
        .output();
    let mut verify = pin!(verify);
    let chain = tokio::select! {
        seconds = proven => seconds,
        output = &mut verify => return Err(format!("archivectl read no batch: {:?}", output?).into()),
    };
    let output = verify.await?;
    let seconds = begun.elapsed().as_secs_f64();
    let told = String::from_utf8(output.stdout)?;
    let last: Value = serde_json::from_str(told.lines().last().unwrap_or_default())?;
    let summary = &last["summary"];
    if summary["checkpoints"] != checkpoints || summary["findings"] != json!({}) {
        let first = told.lines().next().unwrap_or_default();
        return Err(
            format!("archivectl did not prove {checkpoints} checkpoints: {last}, first {first}").into(),
        );
    }
    let year = format!("{checkpoints} checkpoints, {} leaves", checkpoints * LEAVES);
    let chain = Row::new(format!("the chain of {year}"), Target::None, chain, "s");
    let all = Row::new(format!("log verify of {year}"), Target::None, seconds, "s");
    bench.rows.extend([chain, all]);
    Ok(())
}

/// Events of a batch where a million come a day through three shards with a window of five minutes, and the number of
/// batches of a quarter of an hour, after which a checkpoint is due.
const EVENTS: u64 = 1_000_000 / (3 * 288);
const DUE: u64 = 9;

/// Seals batches as the function does in AWS, in this process, and signs after each [`DUE`] of them.
pub(crate) async fn sealing(bench: &mut Bench) -> Result<()> {
    let aws = Aws::temporary(&Wire::default()).await?;
    aws.create_bucket(BUCKET).await?;
    aws.create_signing_key(KEY).await?;
    let store = LogStore::new(aws.s3(), BUCKET.to_owned());
    let signer = Signer::new(aws.kms(), KEY.to_owned(), ORIGIN.to_owned());
    let (clock, interval) = (Clock::default(), Duration::from_secs(900));
    let sealer = Sealer::new(store, signer, Beginning::default(), clock, interval);
    let rounds: u64 = 10;
    let begun = Instant::now();
    for round in 0..rounds {
        for batch in 0..DUE {
            let first = (round * DUE + batch) * EVENTS;
            let entries: Vec<_> = (first..first + EVENTS)
                .map(|event| Entry::of_record(&event.to_be_bytes()))
                .collect();
            sealer.seal(&entries, Via::Stream).await?;
        }
        sealer.checkpoint(When::Now).await?;
    }
    let millis = begun.elapsed().as_secs_f64() * 1e3;
    #[expect(clippy::cast_precision_loss, reason = "a number of two digits")]
    let each = millis / (rounds * DUE) as f64;
    let figure = format!("sealing a batch of {EVENTS} events, a checkpoint every {DUE}");
    bench.rows.push(Row::new(figure, Target::None, each, "ms"));
    Ok(())
}

/// Makes the log: a batch for each checkpoint, and its tiles.
async fn fill(store: &LogStore, key: &LogKey, pair: &Ed25519KeyPair, checkpoints: u64) -> Result<()> {
    let year: Timestamp = "2026-01-01T00:00:00Z".parse()?;
    let mut tree = Tree::default();
    let mut objects = Vec::new();
    for number in 0..checkpoints {
        let at = year + SignedDuration::from_mins(30) * i32::try_from(number)?;
        let start = tree.size();
        let entries: Vec<_> = (start..start + LEAVES)
            .map(|leaf| Entry::of_record(&leaf.to_be_bytes()))
            .collect();
        let batch = Batch {
            start,
            via: Via::Stream,
            at,
            entries,
        };
        objects.extend(tree.grow(&batch.entries)?);
        objects.push((layout::batch(start), batch.to_bytes()));
        let text = key.text(tree.size(), tree.root()?, at);
        let checkpoint = key.signed(&text, pair.sign(&text).as_ref().to_vec())?;
        objects.push((layout::checkpoint(at, checkpoint.size), checkpoint.note));
    }
    stream::iter(objects)
        .map(|(key, bytes)| async move { store.put(&key, bytes).await.map(drop) })
        .buffer_unordered(SIDE_BY_SIDE)
        .try_collect::<()>()
        .await?;
    Ok(())
}
