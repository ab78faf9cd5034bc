//! Long recordings: CPU time, memory, and what a slow network makes of them.

use sha2::{Digest as _, Sha256};

use super::accounts::{self, median};
use super::function::Cost;
use super::simulators::Arrival;
use super::table::{Row, Target};
use super::{Bench, KIB, MIB, Result};

pub(crate) const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// The default of `UPLOAD_PART_SIZE_MIB`, and of `UPLOAD_CONCURRENCY`.
const PART: u64 = 8 * MIB;
const IN_FLIGHT: u64 = 4;

fn says(bytes: u64) -> String {
    match bytes {
        gib if gib >= 1024 * MIB => format!("{} GiB", gib / (1024 * MIB)),
        mib if mib >= MIB => format!("{} MiB", mib / MIB),
        kib => format!("{} KiB", kib / KIB),
    }
}

/// The cost of archiving one recording in a fresh process; CPU time of the process's whole life.
pub(crate) struct Whole {
    pub(crate) cost: Cost,
    /// CPU seconds, more finely.
    pub(crate) precise: f64,
    pub(crate) peak: f64,
}

/// Archives one recording of this length in a fresh process, and looks at the object.
pub(crate) async fn fresh(bench: &mut Bench, bytes: u64) -> Result<Whole> {
    let number = bench.simulators.add(1, bytes).await?;
    let mut function = bench.function(&[]).await?;
    let cost = function.archive(number).await?;
    let whole = Whole {
        cost: Cost {
            cpu: function.cpu()?,
            ..cost
        },
        precise: function.precise_cpu()? / 1e3,
        peak: function.peak()?,
    };
    bench.simulators.check(number).await?;
    Ok(whole)
}

/// Measures CPU time and memory of the recording that the targets speak of.
pub(crate) async fn one(bench: &mut Bench) -> Result<()> {
    let (size, mut runs) = (bench.gib, Vec::new());
    for _ in 0..bench.repeats {
        runs.push(fresh(bench, size).await?);
    }
    let per_gib = |seconds: f64| seconds * GIB / size as f64;
    let of = |figure: fn(&Whole) -> f64| median(runs.iter().map(figure).collect());
    let cpu = per_gib(of(|run| run.cost.cpu.seconds()));
    let system = per_gib(of(|run| run.cost.cpu.system));
    let wall = of(|run| run.cost.wall.as_secs_f64());
    let floor = per_gib(hashing_alone(size)?);
    let what = says(size);
    bench.rows.extend([
        Row::new(format!("CPU per GiB, from {what}"), Target::AtMost(1.3), cpu, "s"),
        Row::new("  of it in the kernel", Target::None, system, "s"),
        Row::new("  hashing alone, per GiB", Target::None, floor, "s"),
        Row::new("  in passes of SHA-256", Target::AtMost(2.0), cpu / floor, "x"),
        Row::new(
            format!("  wall clock for {what}, simulators on the same cores"),
            Target::None,
            wall,
            "s",
        ),
        Row::new(
            format!("peak memory, {what}"),
            Target::AtMost(64.0),
            of(|run| run.peak),
            "MiB",
        ),
    ]);
    Ok(())
}

/// Returns CPU time of one pass of SHA-256 over as many bytes, in this process.
pub(crate) fn hashing_alone(bytes: u64) -> Result<f64> {
    let block = vec![0x5a; 64 * 1024];
    let (mut sha256, before) = (Sha256::new(), accounts::own()?);
    for _ in 0..bytes / block.len() as u64 {
        sha256.update(&block);
    }
    std::hint::black_box(sha256.finalize());
    Ok(accounts::own()?.since(before).seconds())
}

/// Measures the longest recording: memory must not grow with the length.
pub(crate) async fn longest(bench: &mut Bench) -> Result<()> {
    let (short, long) = (bench.gib, bench.four_gib);
    let base = fresh(bench, short).await?.peak;
    let run = fresh(bench, long).await?;
    let (what, per_gib) = (says(long), run.cost.cpu.seconds() * GIB / long as f64);
    bench.rows.extend([
        Row::new(
            format!("peak memory, {what}"),
            Target::AtMost(base * 1.1),
            run.peak,
            "MiB",
        ),
        Row::new(format!("  CPU per GiB, from {what}"), Target::None, per_gib, "s"),
    ]);
    Ok(())
}

/// Returns the peak memory of four recordings side by side, as one batch with the default settings, in MiB.
pub(crate) async fn peak_of_four(bench: &mut Bench) -> Result<f64> {
    let first = bench.simulators.add(4, bench.gib).await?;
    let mut function = bench.function(&[]).await?;
    function.batch(first, 4).await?;
    let peak = function.peak()?;
    drop(function);
    for number in first..first + 4 {
        bench.simulators.check(number).await?;
    }
    Ok(peak)
}

/// Measures four recordings side by side.
pub(crate) async fn four_at_once(bench: &mut Bench) -> Result<()> {
    let peak = peak_of_four(bench).await?;
    let figure = format!("peak memory, 4 x {} at once", says(bench.gib));
    bench
        .rows
        .push(Row::new(figure, Target::AtMost(200.0), peak, "MiB"));
    Ok(())
}

/// Returns the part of a run between asking for the media and having sent all of it: until `storing` is written down.
fn transfer(trace: &[Arrival]) -> Result<f64> {
    let media = trace.iter().find(|arrival| arrival.service == "Media");
    let media = media.ok_or("nothing was downloaded")?.at;
    let stored = trace
        .iter()
        .find(|arrival| arrival.service == "DynamoDb" && arrival.at > media);
    Ok(stored.ok_or("nothing was written down")?.at - media)
}

/// Returns how long transferring takes when every answer of every service comes `all` later, and that of a part `part`
/// more.
async fn slowed(bench: &mut Bench, bytes: u64, all: u64, part: u64) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..bench.repeats {
        let number = bench.simulators.add(1, bytes).await?;
        let mut function = bench.function(&[]).await?;
        bench.simulators.slow(all, part).await?;
        bench.simulators.trace().await?;
        function.archive(number).await?;
        bench.simulators.slow(0, 0).await?;
        times.push(transfer(&bench.simulators.trace().await?)?);
        bench.simulators.check(number).await?;
    }
    Ok(median(times))
}

/// Measures throughput with latencies, against the possible one with the parts in flight.
pub(crate) async fn slow_network(bench: &mut Bench) -> Result<()> {
    let size = bench.gib / 2;
    let rate = |seconds: f64| size as f64 / MIB as f64 / seconds;
    let unhindered = slowed(bench, size, 0, 0).await?;
    let slow = slowed(bench, size, 20, 0).await?;
    // Either the machine is the limit, or the parts in flight are.
    let rounds = (size / PART).div_ceil(IN_FLIGHT) as f64;
    let possible = unhindered.max(rounds * 0.020);
    bench.rows.extend([
        Row::new(
            "throughput without latency",
            Target::None,
            rate(unhindered),
            "MiB/s",
        ),
        Row::new(
            "throughput, 20 ms at source and sink",
            Target::AtLeast(0.9 * rate(possible)),
            rate(slow),
            "MiB/s",
        ),
    ]);
    // Here the parts in flight are the limit for sure, so every gap between two parts shows. A part is in flight for
    // its latency and for as long as its bytes take.
    let slower = slowed(bench, size, 20, 380).await?;
    let possible = rounds * (0.400 + PART as f64 / (size as f64 / unhindered));
    bench.rows.push(Row::new(
        "throughput, 400 ms per part",
        Target::AtLeast(0.9 * rate(possible)),
        rate(slower),
        "MiB/s",
    ));
    Ok(())
}
