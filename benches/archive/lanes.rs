//! The two lanes beside each other: the share of the live lane's costs that a batch download takes for a recording, and
//! what a function that archives live notices of another that works off batch downloads.

use std::sync::atomic::{AtomicBool, Ordering};

use super::accounts::{median, millis};
use super::bulk::{BATCH, CALL, LATENCY, changes, to_genesys, work_off};
use super::function::Function;
use super::simulators::Arrival;
use super::small::{Production, produced};
use super::table::{Row, Target};
use super::{Bench, KIB, Result};

/// Recordings that are archived live, one after another.
const LIVE: u64 = 40;

/// Requests that Genesys allows a token a minute.
const LIMIT: u32 = 300;

/// The costs of one recording.
struct Share {
    /// Seconds of a function with 1 GB of memory.
    lambda: f64,
    /// Messages, each of which is sent, received and deleted by a request.
    messages: f64,
    genesys: f64,
}

impl Share {
    fn of(recordings: u64, seconds: f64, messages: usize, trace: &[Arrival]) -> Self {
        let each = |count: usize| count as f64 / recordings as f64;
        Self {
            lambda: seconds / recordings as f64,
            messages: each(messages),
            genesys: each(to_genesys(trace)),
        }
    }
}

/// Measures a recording by batch download: from the job until its conversation is settled.
async fn bulk(bench: &mut Bench) -> Result<Share> {
    let first = bench.simulators.add(BATCH, CALL).await?;
    let mut function = bench.function(&changes()).await?;
    bench.simulators.slow(LATENCY, 0).await?;
    bench.simulators.trace().await?;
    let took = work_off(&mut function, &mut bench.simulators, (first, BATCH)).await?;
    let trace = bench.simulators.trace().await?;
    bench.simulators.slow(0, 0).await?;
    for number in first..first + BATCH {
        bench.simulators.check(number).await?;
    }
    Ok(Share::of(BATCH, took.wall.as_secs_f64(), took.messages, &trace))
}

/// Measures a recording of the live lane: two end events, and the look that settles its conversation.
async fn live(bench: &mut Bench, transcoding: usize) -> Result<Share> {
    let Production {
        recordings,
        archived,
        again,
        looks,
        messages,
        trace,
        ..
    } = produced(bench, CALL, transcoding).await?;
    let seconds = [archived, again, looks].map(|cost| cost.wall.as_secs_f64());
    Ok(Share::of(recordings, seconds.iter().sum(), messages, &trace))
}

/// Measures what a recording by batch download costs, by what it costs in the live lane.
pub(crate) async fn shares(bench: &mut Bench) -> Result<()> {
    let by_batch = bulk(bench).await?;
    let by_event = live(bench, 1).await?;
    let transcoded = live(bench, 0).await?;
    let share = Target::AtMost(0.5);
    bench.rows.extend([
        Row::new(
            "a recording by batch download, by one of the live lane, 512 KiB: Lambda",
            share,
            by_batch.lambda / by_event.lambda,
            "x",
        ),
        Row::new("  SQS", share, by_batch.messages / by_event.messages, "x"),
        Row::new(
            "  requests to Genesys",
            share,
            by_batch.genesys / by_event.genesys,
            "x",
        ),
        Row::new(
            "  Lambda, where Genesys has transcoded already",
            Target::None,
            by_batch.lambda / transcoded.lambda,
            "x",
        ),
    ]);
    for (lane, cost) in [
        ("by batch download", by_batch),
        ("live", by_event),
        ("live, transcoded already", transcoded),
    ] {
        bench.notes.push(format!(
            "A recording {lane}: {:.3} s of Lambda, {:.2} messages, {:.2} requests to Genesys.",
            cost.lambda, cost.messages, cost.genesys
        ));
    }
    Ok(())
}

/// Archives recordings one after another. Returns how long each took, in milliseconds.
async fn calls(function: &mut Function, first: u64) -> Result<Vec<f64>> {
    let mut walls = Vec::new();
    for number in first..first + LIVE {
        walls.push(millis(function.archive(number).await?.wall));
    }
    Ok(walls)
}

/// Measures the live lane alone, and beside a function that works off one batch download after another.
pub(crate) async fn live_beside_bulk(bench: &mut Bench) -> Result<()> {
    let first = bench.simulators.add(1 + 2 * LIVE, 16 * KIB).await?;
    let mut function = bench.function(&[]).await?;
    let mut other = bench.function(&changes()).await?;
    function.archive(first).await?;
    bench.simulators.limit(LIMIT).await?;
    bench.simulators.slow(LATENCY, 0).await?;
    let alone = median(calls(&mut function, first + 1).await?);
    let done = AtomicBool::new(false);
    let measured = async {
        let walls = calls(&mut function, first + 1 + LIVE).await;
        done.store(true, Ordering::Relaxed);
        walls
    };
    let simulators = &mut bench.simulators;
    let meanwhile = async {
        let mut archived = Vec::new();
        while !done.load(Ordering::Relaxed) {
            let first = simulators.add(BATCH, 16 * KIB).await?;
            work_off(&mut other, simulators, (first, BATCH)).await?;
            archived.extend(first..first + BATCH);
        }
        Result::Ok(archived)
    };
    let (walls, archived) = tokio::join!(measured, meanwhile);
    let (beside, archived) = (median(walls?), archived?);
    bench.simulators.slow(0, 0).await?;
    bench.simulators.limit(u32::MAX).await?;
    for number in (first..=first + 2 * LIVE).chain(archived.iter().copied()) {
        bench.simulators.check(number).await?;
    }
    bench.rows.extend([
        Row::new(
            "live archive beside batch downloads, x alone",
            Target::AtMost(1.2),
            beside / alone,
            "x",
        ),
        Row::new("  alone, median of 40", Target::None, alone, "ms"),
        Row::new("  beside, median of 40", Target::None, beside, "ms"),
        Row::new(
            "  recordings by batch download meanwhile",
            Target::None,
            archived.len() as f64,
            "",
        ),
    ]);
    Ok(())
}
