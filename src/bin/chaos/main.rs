//! `chaos`: a storm of faults over the whole archiver, then calm, then the question whether each recording is in the
//! archive exactly once, with the right bytes and the right story.
//!
//! The handler, the clients and the sockets are the real ones; only the other ends are simulated. The dice have a seed;
//! how the threads interleave is the machine's affair.

mod calls;
mod model;
mod plan;
mod queue;
mod stage;
mod verdict;
mod weather;
mod worker;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use plan::{HELP, Plan};
use stage::{Result, Stage};

#[tokio::main]
async fn main() -> ExitCode {
    let plan = match Plan::parse(std::env::args().skip(1)) {
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

/// Runs storm, calm and verdict. Returns whether all is well.
async fn run(plan: Plan) -> Result<bool> {
    let begun = Instant::now();
    let mut dice = fastrand::Rng::with_seed(plan.seed);
    let stage = Arc::new(Stage::set(&plan, &mut dice).await?);
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
        "  settled: {} conversations ({} by batch downloads), with {} looks and {} call records; cases as named: {}",
        verdict.settled, verdict.by_bulk, verdict.looks, verdict.calls, verdict.cases
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
