//! Batch downloads: requests to Genesys for a recording, and recordings a minute through one function.

use std::time::Duration;

use serde_json::json;

use super::accounts::Cpu;
use super::control::Simulators;
use super::function::Function;
use super::simulators::{Arrival, conversation};
use super::table::{Row, Target};
use super::{Bench, KIB, Result};

/// Recordings of a batch download.
pub(crate) const BATCH: u64 = 100;

/// Bytes of each, where time is measured.
pub(crate) const CALL: u64 = 512 * KIB;

/// Latency of every request where time is measured, in milliseconds.
pub(crate) const LATENCY: u64 = 20;

/// Messages of an SQS batch.
const MESSAGES: usize = 10;

/// One recording in so many is answered with an error, once.
const ONE_ERROR_IN: u64 = 50;

/// Requests that Genesys allows a token a minute.
const BUDGET: f64 = 300.0;

/// The requests that a batch download makes, by kind. All others are the live lane's.
const KINDS: [(&str, &[&str]); 4] = [
    ("submissions", &["batch-submit"]),
    ("polls", &["batch-job"]),
    ("details", &["details", "details-one"]),
    ("names", &["users", "queues", "wrapupcodes", "divisions"]),
];

/// Returns what a function is told that takes batch downloads.
pub(crate) fn changes() -> [(&'static str, String); 3] {
    [
        ("RECORDING_FORMAT", "original".to_owned()),
        ("SETTLE_SECONDS", "900".to_owned()),
        ("CALL_RECORD", "standard".to_owned()),
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

/// What the invocations of a function took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Took {
    /// Messages that it was given.
    pub(crate) messages: usize,
    pub(crate) wall: Duration,
    pub(crate) cpu: Cpu,
}

/// Works off the jobs of these conversations. Messages wait as long as SQS would have them wait, which nobody does
/// here: those that one round sends come together in the next.
pub(crate) async fn work_off(
    function: &mut Function,
    simulators: &mut Simulators,
    (first, count): (u64, u64),
) -> Result<Took> {
    simulators.sent().await?;
    let before = function.cpu()?;
    let mut took = Took::default();
    let mut round = jobs(first, count);
    while !round.is_empty() {
        for messages in round.chunks(MESSAGES) {
            took.wall += function.messages(messages).await?.wall;
            took.messages += messages.len();
        }
        round = simulators.sent().await?;
    }
    took.cpu = function.cpu()?.since(before);
    Ok(took)
}

/// Returns how many requests to Genesys are among these.
pub(crate) fn to_genesys(trace: &[Arrival]) -> usize {
    trace
        .iter()
        .filter(|arrival| arrival.service == "Genesys")
        .count()
}

/// Counts the requests for a recording, where some are answered with an error and details hold ids of people, queues
/// and wrap-up codes.
pub(crate) async fn requests(bench: &mut Bench, recordings: u64) -> Result<()> {
    let first = bench.simulators.add(recordings, 16 * KIB).await?;
    bench.simulators.staff(first, recordings).await?;
    bench
        .simulators
        .fail_once(first, recordings, ONE_ERROR_IN)
        .await?;
    let mut function = bench.function(&changes()).await?;
    bench.simulators.trace().await?;
    work_off(&mut function, &mut bench.simulators, (first, recordings)).await?;
    let trace = bench.simulators.trace().await?;
    for number in first..first + recordings {
        bench.simulators.check(number).await?;
        bench.simulators.check_names(number).await?;
    }
    let all = to_genesys(&trace);
    let each = all as f64 / recordings as f64;
    bench.rows.extend([
        Row::new(
            format!(
                "by batch download, {recordings} recordings with 2 % errors, details and names: requests to Genesys for each"
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
        Row::new("  requests together", Target::None, all as f64, ""),
    ]);
    let mut others = all;
    for (kind, operations) in KINDS {
        let of_kind = |arrival: &&Arrival| operations.contains(&arrival.operation.as_str());
        let count = trace.iter().filter(of_kind).count();
        others -= count;
        bench.rows.push(Row::new(
            format!("  requests: {kind}"),
            Target::None,
            count as f64,
            "",
        ));
    }
    bench.rows.push(Row::new(
        "  requests: the live lane",
        Target::None,
        others as f64,
        "",
    ));
    Ok(())
}

/// Measures how many recordings of half a megabyte one function archives in a minute, with so many at a time.
pub(crate) async fn throughput(bench: &mut Bench) -> Result<()> {
    for concurrency in [8, 16, 32] {
        let first = bench.simulators.add(BATCH, CALL).await?;
        let transfers = ("BULK_CONCURRENCY", concurrency.to_string());
        let changes: Vec<_> = changes().into_iter().chain([transfers]).collect();
        let mut function = bench.function(&changes).await?;
        bench.simulators.slow(LATENCY, 0).await?;
        let before = bench.simulators.cpu()?;
        let took = work_off(&mut function, &mut bench.simulators, (first, BATCH)).await?;
        let simulators = bench.simulators.cpu()?.since(before);
        bench.simulators.slow(0, 0).await?;
        for number in first..first + BATCH {
            bench.simulators.check(number).await?;
        }
        let part = |cpu: Cpu| cpu.seconds() / took.wall.as_secs_f64() * 100.0;
        bench.rows.extend([
            Row::new(
                format!(
                    "by batch download, 100 x 512 KiB, 20 ms per request, {concurrency} at a time: recordings a minute"
                ),
                Target::None,
                BATCH as f64 * 60.0 / took.wall.as_secs_f64(),
                "/min",
            ),
            Row::new("  CPU of the function by wall clock", Target::None, part(took.cpu), "%"),
            Row::new(
                "  CPU of the simulators by wall clock",
                Target::None,
                part(simulators),
                "%",
            ),
        ]);
    }
    Ok(())
}
