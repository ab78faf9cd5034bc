//! Short recordings, which are most of them: starting, the first one, the next ones, batches, and the package.

use std::collections::BTreeMap;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::Value;

use super::accounts::{median, millis};
use super::function::Cost;
use super::simulators::Arrival;
use super::table::{Row, Target};
use super::{Bench, KIB, MIB, Result};

/// A call of five minutes.
const CALL: u64 = 5 * MIB;

/// Latency of every request where one is simulated, in milliseconds.
const LATENCY: u64 = 10;

/// Latency of every request of a batch as in production, in milliseconds.
const PRODUCTION: u64 = 20;

/// Messages of an SQS batch.
const BATCH: u64 = 10;

/// Measures the time from exec to the first question for work.
pub(crate) async fn start(bench: &mut Bench) -> Result<()> {
    let (mut ready, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..21 {
        let function = bench.function(&[]).await?;
        ready.push(millis(function.ready_after));
        cpu.push(function.precise_cpu()?);
    }
    bench.rows.extend([
        Row::new(
            "exec to first poll, median of 21",
            Target::AtMost(15.0),
            median(ready),
            "ms",
        ),
        Row::new("  CPU until then, median", Target::None, median(cpu), "ms"),
    ]);
    Ok(())
}

/// Returns which requests waited for which: from the last one back, each time to the latest that can have been
/// answered.
fn critical_path(trace: &[Arrival]) -> Vec<&Arrival> {
    let answered = |arrival: &Arrival| arrival.at + LATENCY as f64 / 1e3;
    let mut path: Vec<&Arrival> = trace.last().into_iter().collect();
    while let Some(before) = path.last().and_then(|next| {
        let earlier = trace.iter().filter(|arrival| answered(arrival) <= next.at);
        earlier.max_by(|a, b| a.at.total_cmp(&b.at))
    }) {
        path.push(before);
    }
    path.reverse();
    path
}

/// Measures the first recording of a fresh process, with latency: the figure is how many requests wait for one another.
pub(crate) async fn first(bench: &mut Bench) -> Result<()> {
    let mut walls = Vec::new();
    let mut trace = Vec::new();
    for _ in 0..bench.repeats {
        let number = bench.simulators.add(1, CALL).await?;
        bench.simulators.slow(LATENCY, 0).await?;
        bench.simulators.trace().await?;
        let mut function = bench.function(&[]).await?;
        walls.push(millis(function.archive(number).await?.wall));
        bench.simulators.slow(0, 0).await?;
        trace = bench.simulators.trace().await?;
        bench.simulators.check(number).await?;
    }
    let path = critical_path(&trace);
    let start = path.first().map_or(0.0, |first| first.at);
    bench.notes.push(format!(
        "The first archive's critical path, {} of {} requests (ms after the first):",
        path.len(),
        trace.len()
    ));
    for arrival in &path {
        let after = (arrival.at - start) * 1e3;
        bench.notes.push(format!(
            "  {after:>6.1}  {} {}",
            arrival.service, arrival.operation
        ));
    }
    // Secret, token, metadata, claim, recording, media, `storing`, the object, `archived`, webhook, `notified`. Two of
    // the waits could be avoided, and would cost more than they save: see docs/performance.md.
    bench.rows.extend([
        Row::new(
            "first archive of 5 MiB, 10 ms per request: serial round trips",
            Target::AtMost(11.0),
            path.len() as f64,
            "",
        ),
        Row::new("  from event to answer", Target::None, median(walls), "ms"),
    ]);
    Ok(())
}

/// The cost of each of the next recordings of a process.
pub(crate) struct Warm {
    /// CPU time of one, in milliseconds.
    pub(crate) cpu: f64,
    walls: Vec<f64>,
    peak: f64,
    requests: BTreeMap<String, f64>,
}

/// Archives so many calls one after another, in a process that has archived one before.
pub(crate) async fn warmed(bench: &mut Bench, runs: u64) -> Result<Warm> {
    let first = bench.simulators.add(runs + 1, CALL).await?;
    let mut function = bench.function(&[]).await?;
    function.archive(first).await?;
    bench.simulators.check(first).await?;
    bench.simulators.trace().await?;
    let before = function.precise_cpu()?;
    let mut walls = Vec::new();
    for number in first + 1..=first + runs {
        walls.push(millis(function.archive(number).await?.wall));
    }
    let warm = Warm {
        cpu: (function.precise_cpu()? - before) / runs as f64,
        walls,
        peak: function.peak()?,
        requests: requests(bench, runs).await?,
    };
    for number in first + 1..=first + runs {
        bench.simulators.check(number).await?;
    }
    Ok(warm)
}

/// Returns the requests to each service since the last time, for one of so many recordings.
async fn requests(bench: &mut Bench, recordings: u64) -> Result<BTreeMap<String, f64>> {
    Ok(for_each(bench.simulators.trace().await?, recordings))
}

/// Returns how many of these requests went to each service, for one of so many recordings.
fn for_each(trace: Vec<Arrival>, recordings: u64) -> BTreeMap<String, f64> {
    let mut requests: BTreeMap<String, f64> = BTreeMap::new();
    for arrival in trace {
        *requests.entry(arrival.service).or_default() += 1.0;
    }
    for count in requests.values_mut() {
        *count = (*count / recordings as f64 * 100.0).round() / 100.0;
    }
    requests
}

/// Reports the requests to these services, and those to all others together.
fn report(bench: &mut Bench, mut requests: BTreeMap<String, f64>, services: &[(&str, Target)]) {
    for (service, target) in services {
        let count = requests.remove(*service).unwrap_or_default();
        bench
            .rows
            .push(Row::new(format!("  requests: {service}"), *target, count, ""));
    }
    let others = requests.values().sum();
    bench
        .rows
        .push(Row::new("  requests: all others", Target::None, others, ""));
}

/// Measures the next recordings of the same process: CPU time and requests.
pub(crate) async fn warm(bench: &mut Bench) -> Result<()> {
    let warm = warmed(bench, 20).await?;
    bench.rows.extend([
        Row::new("warm archive of 5 MiB: CPU", Target::AtMost(25.0), warm.cpu, "ms"),
        Row::new(
            "  wall clock, no latency, median",
            Target::None,
            median(warm.walls),
            "ms",
        ),
        Row::new("  peak memory", Target::None, warm.peak, "MiB"),
    ]);
    let services = [
        ("S3", Target::AtMost(1.0)),
        ("DynamoDb", Target::AtMost(4.0)),
        ("Genesys", Target::AtMost(2.0)),
        ("Media", Target::None),
        ("Webhook", Target::None),
    ];
    report(bench, warm.requests, &services);
    Ok(())
}

/// Returns messages that wait for a time as if it had come.
fn at_once(messages: Vec<String>) -> Result<Vec<String>> {
    let due = |message: String| -> Result<String> {
        let mut job: Value = serde_json::from_str(&message)?;
        job.as_object_mut()
            .ok_or("a message is no job")?
            .remove("notBefore");
        Ok(job.to_string())
    };
    messages.into_iter().map(due).collect()
}

/// A batch as in production, until its conversations are settled.
pub(crate) struct Production {
    pub(crate) recordings: u64,
    /// The batch itself, the same jobs again, and the looks that settle.
    pub(crate) archived: Cost,
    pub(crate) again: Cost,
    pub(crate) looks: Cost,
    /// CPU time of archiving one, in milliseconds.
    cpu: f64,
    /// Messages that the function was given.
    pub(crate) messages: usize,
    /// All requests, and how many of them the batch itself made.
    pub(crate) trace: Vec<Arrival>,
    first: usize,
}

/// Archives a batch of recordings of this length as in production: each conversation is asked for twice and looked at
/// again. So many requests for a recording find it being transcoded.
pub(crate) async fn produced(bench: &mut Bench, bytes: u64, transcoding: usize) -> Result<Production> {
    let mut function = bench.function(&[("SETTLE_SECONDS", "900".to_owned())]).await?;
    // Makes the connections and gets the token.
    let first = bench.simulators.add(1, bytes).await?;
    function.batch(first, 1).await?;
    bench.simulators.check(first).await?;
    let first = bench.simulators.add(BATCH, bytes).await?;
    bench.simulators.transcoding(transcoding).await?;
    bench.simulators.slow(PRODUCTION, 0).await?;
    bench.simulators.trace().await?;
    bench.simulators.sent().await?;
    let before = function.precise_cpu()?;
    let archived = function.batch(first, BATCH).await?;
    let cpu = (function.precise_cpu()? - before) / BATCH as f64;
    let mut trace = bench.simulators.trace().await?;
    let of_batch = trace.len();
    let again = function.batch(first, BATCH).await?;
    let due = at_once(bench.simulators.sent().await?)?;
    let looks = function.messages(&due).await?;
    trace.extend(bench.simulators.trace().await?);
    bench.simulators.slow(0, 0).await?;
    for number in first..first + BATCH {
        bench.simulators.check(number).await?;
    }
    match bench.simulators.sent().await?.len() {
        0 => Ok(Production {
            recordings: BATCH,
            archived,
            again,
            looks,
            cpu,
            messages: 2 * BATCH as usize + due.len(),
            trace,
            first: of_batch,
        }),
        left => Err(format!("WRONG: the looks sent {left} messages, and were to settle").into()),
    }
}

/// Measures a batch as in production, whose recordings Genesys has to transcode first.
pub(crate) async fn production(bench: &mut Bench) -> Result<()> {
    let Production {
        archived,
        again,
        looks,
        cpu,
        mut trace,
        first,
        ..
    } = produced(bench, CALL, 1).await?;
    trace.truncate(first);
    let requests = for_each(trace, BATCH);
    bench.rows.extend([
        Row::new(
            "as in production, batch of 10 x 5 MiB, 20 ms per request: CPU for each",
            Target::None,
            cpu,
            "ms",
        ),
        Row::new(
            "  wall clock of the batch, 3 s of it Genesys' transcoding",
            Target::None,
            archived.wall.as_secs_f64(),
            "s",
        ),
        Row::new(
            "  time of the function for each recording",
            Target::None,
            archived.wall.as_secs_f64() / BATCH as f64,
            "s",
        ),
        Row::new(
            "  wall clock of the same jobs again",
            Target::None,
            again.wall.as_secs_f64(),
            "s",
        ),
        Row::new(
            "  wall clock of their looks",
            Target::None,
            looks.wall.as_secs_f64(),
            "s",
        ),
    ]);
    let services = ["S3", "DynamoDb", "Genesys", "Sqs"].map(|service| (service, Target::None));
    report(bench, requests, &services);
    Ok(())
}

/// Returns how long a warm function takes for a batch of small recordings, in seconds.
pub(crate) async fn batch_of(bench: &mut Bench, count: u64, concurrency: u64) -> Result<f64> {
    let mut walls = Vec::new();
    let changes = [("RECORD_CONCURRENCY", concurrency.to_string())];
    let mut function = bench.function(&changes).await?;
    for round in 0..=bench.repeats {
        let first = bench.simulators.add(count, 256 * KIB).await?;
        bench.simulators.slow(LATENCY, 0).await?;
        let cost = function.batch(first, count).await?;
        bench.simulators.slow(0, 0).await?;
        for number in first..first + count {
            bench.simulators.check(number).await?;
        }
        // The first makes the connections and gets the token.
        if round > 0 {
            walls.push(cost.wall.as_secs_f64());
        }
    }
    Ok(median(walls))
}

/// Measures ten small recordings one after another, and four at a time.
pub(crate) async fn batch(bench: &mut Bench) -> Result<()> {
    let one = batch_of(bench, 10, 1).await?;
    let four = batch_of(bench, 10, 4).await?;
    bench.rows.extend([
        Row::new(
            "batch of 10 x 256 KiB, 10 ms per request: 4 at a time",
            Target::None,
            four * 1e3,
            "ms",
        ),
        Row::new("  one at a time", Target::None, one * 1e3, "ms"),
        Row::new("  speed-up", Target::AtLeast(3.0), one / four, "x"),
    ]);
    Ok(())
}

/// Measures the size of the package: the binary in a zip file.
pub(crate) fn package(bench: &mut Bench) -> Result<()> {
    /// Local header, central directory and end record of a file named `bootstrap`.
    const AROUND: usize = 30 + 46 + 22 + 2 * "bootstrap".len();
    let binary = std::fs::read(&bench.binary)?;
    let mut zip = DeflateEncoder::new(Vec::new(), Compression::best());
    zip.write_all(&binary)?;
    let mib = |bytes: usize| bytes as f64 / MIB as f64;
    bench.rows.extend([
        Row::new(
            "package, zipped",
            Target::AtMost(5.0),
            mib(zip.finish()?.len() + AROUND),
            "MiB",
        ),
        Row::new("  the binary in it", Target::None, mib(binary.len()), "MiB"),
    ]);
    Ok(())
}
