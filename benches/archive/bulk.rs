//! Batch downloads: requests to Genesys for a recording, and recordings a minute through one function.

use std::time::Duration;

use serde_json::json;

use super::simulators::conversation;
use super::table::{Row, Target};
use super::{Bench, KIB, Result};

/// Recordings of a batch download.
const BATCH: u64 = 100;

/// Messages of an SQS batch.
const MESSAGES: usize = 10;

/// One recording in so many is answered with an error, once.
const ONE_ERROR_IN: u64 = 50;

/// Requests that Genesys allows a token a minute.
const BUDGET: f64 = 300.0;

fn changes() -> [(&'static str, String); 2] {
    [
        ("RECORDING_FORMAT", "original".to_owned()),
        ("SETTLE_SECONDS", "900".to_owned()),
    ]
}

/// Returns the bulk jobs of these conversations, as `archivectl backfill --bulk` sends them.
fn jobs(first: u64, count: u64) -> Vec<String> {
    let entry = |number| {
        json!({"conversationId": conversation(number), "conversationStart": "2026-01-15T10:14:20Z",
               "conversationEnd": "2026-01-15T10:21:00Z", "kinds": ["audio"]})
    };
    let numbers: Vec<u64> = (first..first + count).collect();
    let jobs = numbers.chunks(BATCH as usize).map(|numbers| {
        let entries: Vec<_> = numbers.iter().copied().map(entry).collect();
        json!({ "bulk": entries }).to_string()
    });
    jobs.collect()
}

/// What became of the jobs.
struct Done {
    /// Requests to Genesys.
    requests: usize,
    /// Time of all invocations.
    wall: Duration,
}

/// Archives these recordings by batch downloads. Messages wait as long as SQS would have them wait, which nobody does
/// here: those that one round sends come together in the next.
async fn archive(bench: &mut Bench, first: u64, count: u64) -> Result<Done> {
    let mut function = bench.function(&changes()).await?;
    bench.simulators.trace().await?;
    bench.simulators.sent().await?;
    let mut round = jobs(first, count);
    let mut wall = Duration::ZERO;
    while !round.is_empty() {
        for messages in round.chunks(MESSAGES) {
            wall += function.messages(messages).await?.wall;
        }
        round = bench.simulators.sent().await?;
    }
    let trace = bench.simulators.trace().await?;
    for number in first..first + count {
        bench.simulators.check(number).await?;
    }
    let requests = trace.iter().filter(|arrival| arrival.service == "Genesys");
    Ok(Done {
        requests: requests.count(),
        wall,
    })
}

/// Counts the requests for a recording, where some are answered with an error.
pub(crate) async fn requests(bench: &mut Bench, recordings: u64) -> Result<()> {
    let first = bench.simulators.add(recordings, 16 * KIB).await?;
    bench
        .simulators
        .fail_once(first, recordings, ONE_ERROR_IN)
        .await?;
    let done = archive(bench, first, recordings).await?;
    let each = done.requests as f64 / recordings as f64;
    bench.rows.extend([
        Row::new(
            format!(
                "by batch download, {recordings} recordings with 2 % errors: requests to Genesys for each"
            ),
            Target::AtMost(0.06),
            each,
            "",
        ),
        Row::new(
            "  a million recordings at 300 requests a minute",
            Target::AtMost(6.0),
            each * 1e6 / BUDGET / 60.0,
            "h",
        ),
    ]);
    Ok(())
}

/// Measures how many recordings of half a megabyte one function archives in a minute, with 20 ms at every service.
pub(crate) async fn throughput(bench: &mut Bench) -> Result<()> {
    let first = bench.simulators.add(BATCH, 512 * KIB).await?;
    bench.simulators.slow(20, 0).await?;
    let done = archive(bench, first, BATCH).await?;
    bench.simulators.slow(0, 0).await?;
    bench.rows.push(Row::new(
        "by batch download, 100 x 512 KiB, 20 ms per request: recordings a minute",
        Target::None,
        BATCH as f64 * 60.0 / done.wall.as_secs_f64(),
        "/min",
    ));
    Ok(())
}
