//! The cost of listing history: `archivectl backfill --dry-run` over conversations of which none is archived yet.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::table::{Row, Target};
use super::{Bench, MIB, Result, accounts};

/// The conversations lie in so many days, from this one on.
pub(crate) const DAYS: i64 = 30;
pub(crate) const FIRST_DAY: &str = "2026-01-01";
const LAST_DAY: &str = "2026-01-30";

/// Time between two readings of the peak of the memory, which only grows: the last one misses next to nothing.
const LOOK: Duration = Duration::from_millis(20);

struct Listing {
    seconds: f64,
    peak: f64,
    requests: usize,
}

/// Lists a tenth of the conversations, then all of them: the rate is that of all, and the memory should not differ.
pub(crate) async fn listing(bench: &mut Bench, all: u64) -> Result<()> {
    bench.simulators.history(all / 10).await?;
    let few = list(bench, all / 10).await?;
    bench.simulators.history(all - all / 10).await?;
    let many = list(bench, all).await?;
    #[expect(clippy::cast_precision_loss, reason = "a rate of three digits")]
    let rate = all as f64 / many.seconds;
    bench.rows.extend([
        Row::new(
            format!("backfill --dry-run of {all}: listed and looked up"),
            Target::None,
            rate,
            "/s",
        ),
        Row::new(
            format!("peak memory, {all} against {}", all / 10),
            Target::AtMost(few.peak * 1.1),
            many.peak,
            "MiB",
        ),
    ]);
    bench.notes.push(format!(
        "history: {all} conversations of {DAYS} days took {:.1} s and {} requests to Genesys; {} took {:.1} s, {} requests and {:.1} MiB",
        many.seconds,
        many.requests,
        all / 10,
        few.seconds,
        few.requests,
        few.peak
    ));
    Ok(())
}

async fn list(bench: &mut Bench, expected: u64) -> Result<Listing> {
    bench.simulators.trace().await?;
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_archivectl"))
        .args([
            "backfill",
            "--dry-run",
            "--json",
            "--from",
            FIRST_DAY,
            "--to",
            LAST_DAY,
        ])
        .env_clear()
        .envs(&bench.simulators.environment)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let id = child.id().ok_or("archivectl ended at once")?;
    let mut peak = 0;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            () = tokio::time::sleep(LOOK) => peak = accounts::peak(id).unwrap_or(peak),
        }
    };
    let seconds = begun.elapsed().as_secs_f64();
    let mut told = String::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_string(&mut told).await?;
    }
    let last: Value = serde_json::from_str(told.lines().last().unwrap_or_default())?;
    if !status.success() || last["summary"]["sent"] != expected {
        return Err(format!("archivectl listed something else than {expected}: {status}, {last}").into());
    }
    let requests = bench.simulators.trace().await?;
    Ok(Listing {
        seconds,
        #[expect(clippy::cast_precision_loss, reason = "MiB of one digit after the point")]
        peak: peak as f64 / MIB as f64,
        requests: requests
            .iter()
            .filter(|request| request.service == "Genesys")
            .count(),
    })
}
