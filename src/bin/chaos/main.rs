//! `chaos`: a storm of faults over the whole archiver, then calm, then the question whether each recording is in the
//! archive exactly once, with the right bytes and the right story.
//!
//! The handler, the clients and the sockets are the real ones; only the other ends are simulated. The dice have a seed;
//! how the threads interleave is the machine's affair.

mod model;
mod stage;
mod weather;
mod worker;

use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const HELP: &str = "\
chaos [--seed N] [--recordings M] [--workers W] [--seconds S]

Archives M recordings (200) with W containers (4) that share one queue, on simulators in this process. For S seconds (20),
and until there was a fault for every second recording and a crash for every tenth (0.1 s more for each recording at most),
a storm rages: requests are cut, hang, are refused, are carried out without an answer, or come late; media breaks off,
stalls, turns into error pages or changes; messages come twice; containers are killed; recordings turn up late. Then the
storm ends, the queue is worked off until every conversation is settled, and every recording is held against what the
source ever served of it.

The seed (1) decides about all of that. Nothing leaves this machine, and the run ends by itself. Exit code 1: something
was lost, stored twice or corrupt, or the storm did too little; the report says what, and which seed it was.";

/// How long the calm may last before what is still in the queue counts as lost.
const PATIENCE: Duration = Duration::from_secs(180);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What the command line asks for.
#[derive(Debug, Clone, Copy)]
struct Plan {
    seed: u64,
    recordings: usize,
    workers: usize,
    seconds: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let plan = match plan(std::env::args().skip(1)) {
        Ok(Some(plan)) => plan,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(plan).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("seed {}: chaos stopped: {error}", plan.seed);
            ExitCode::FAILURE
        }
    }
}

/// `None`: help is wanted.
fn plan(mut arguments: impl Iterator<Item = String>) -> Result<Option<Plan>> {
    let mut plan = Plan {
        seed: 1,
        recordings: 200,
        workers: 4,
        seconds: 20,
    };
    while let Some(name) = arguments.next() {
        if matches!(name.as_str(), "--help" | "-h" | "help") {
            return Ok(None);
        }
        let value = arguments.next().unwrap_or_default();
        match name.as_str() {
            "--seed" => plan.seed = number(&name, &value, u64::MAX)?,
            "--recordings" => plan.recordings = number(&name, &value, 10_000)?,
            "--workers" => plan.workers = number(&name, &value, 64)?,
            "--seconds" => plan.seconds = number(&name, &value, 3600)?,
            _ => return Err(format!("chaos does not know {name:?}").into()),
        }
    }
    Ok(Some(plan))
}

fn number<T: FromStr + PartialOrd + std::fmt::Display>(name: &str, value: &str, most: T) -> Result<T> {
    let number = value.parse().ok().filter(|number| *number <= most);
    number.ok_or_else(|| format!("{name} takes a number up to {most}, not {value:?}").into())
}

/// Storm, calm, verdict. True if all is well.
async fn run(plan: Plan) -> Result<bool> {
    let begun = Instant::now();
    let mut dice = fastrand::Rng::with_seed(plan.seed);
    let stage = Arc::new(stage::Stage::set(&plan, &mut dice).await?);
    let workers: Vec<_> = (0..plan.workers.max(1))
        .map(|_| {
            let (stage, dice) = (stage.clone(), dice.fork());
            // Threads of their own: each container has its own runtime, which can only be killed from outside of any.
            std::thread::spawn(move || worker::work(&stage, dice))
        })
        .collect();
    let stopped = tokio::task::spawn_blocking(|| {
        let ends: Vec<_> = workers.into_iter().map(std::thread::JoinHandle::join).collect();
        ends.into_iter().all(|end| end.is_ok())
    });
    if !stopped.await? {
        return Err("a worker panicked".into());
    }
    // All may be done before the storm is over; nobody is to disturb the judge.
    stage.world.wire.calm();
    let verdict = model::judge(&stage).await?;
    let counted = stage.weather.counted();
    println!(
        "seed {}: {} recordings ({} files), {} messages, {} duplicates, {} invocations, {} crashes, {} s",
        plan.seed,
        plan.recordings,
        verdict.files,
        stage.queue.delivered(),
        counted.get("duplicate").unwrap_or(&0),
        counted.get("invocation").unwrap_or(&0),
        counted.get("crash").unwrap_or(&0),
        begun.elapsed().as_secs(),
    );
    let faults = counted
        .iter()
        .filter(|(kind, _)| !weather::NO_FAULTS.contains(kind));
    let faults: Vec<_> = faults.map(|(kind, count)| format!("{kind} {count}")).collect();
    println!("  faults: {}", faults.join(", "));
    println!(
        "  settled: {} conversations, with {} looks",
        verdict.settled, verdict.looks
    );
    println!(
        "  lost {}, duplicated {}, corrupt {}",
        verdict.lost.len(),
        verdict.duplicated.len(),
        verdict.corrupt.len()
    );
    for (name, cases) in [
        ("lost", &verdict.lost),
        ("duplicated", &verdict.duplicated),
        ("corrupt", &verdict.corrupt),
    ] {
        for case in cases {
            println!("  {name}: {case}");
        }
    }
    let ((faults, crashes), (least_faults, least_crashes)) = (stage.weather.did(), stage.weather.enough());
    if !stage.weather.did_enough() {
        println!("  too calm: {faults} of {least_faults} faults, {crashes} of {least_crashes} crashes");
    }
    Ok(verdict.is_clean() && stage.weather.did_enough())
}
