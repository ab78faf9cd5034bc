//! `cargo local`: the function on a laptop, against simulators of everything it talks to.
//!
//! The handler is the one that Lambda runs; only the wiring differs.

mod evidence;
mod process;
mod replay;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use recording_archiver::sim::{Ports, World, library};

const HELP: &str = "\
cargo local                    start the simulators, replay events/*.json, and show the evidence
cargo local -- invoke FILE...  replay single events, on top of what target/local holds
cargo local -- serve           keep the simulators up, for cargo lambda and sam local

Archived files: target/local/archive/. Genesys, S3, DynamoDB, SQS, Secrets Manager and the
webhook's receiver are simulated on loopback; nothing leaves this machine.";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

// As many threads as a small function has: the memory it prints should not depend on the laptop.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        [] => replay_all().await,
        ["invoke", files @ ..] if !files.is_empty() => {
            replay_some(files.iter().map(PathBuf::from).collect()).await
        }
        // Not for people: this program as the function, for `process`.
        ["function"] => return recording_archiver::trigger::lambda::run().await,
        ["serve"] => serve().await.map(|()| true),
        ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(true)
        }
        other => {
            eprintln!("cargo local does not know {:?}.\n\n{HELP}", other.join(" "));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo local stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Wherever cargo keeps its output: beside the project, so that `cargo clean` takes it along.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/local")
}

/// All sample events in order, each compared with the outcome that its name promises.
async fn replay_all() -> Result<bool> {
    let folder = folder();
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(format!("emptying {}: {error}", folder.display()).into());
        }
        _ => {}
    }
    let mut events: Vec<PathBuf> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("events"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| replay::promise(path).is_some())
        .collect();
    events.sort();
    let world = start(&folder, Ports::default()).await?;
    replay::run(&world, &events, true).await
}

async fn replay_some(events: Vec<PathBuf>) -> Result<bool> {
    let world = start(&folder(), Ports::default()).await?;
    replay::run(&world, &events, false).await
}

async fn start(folder: &Path, ports: Ports) -> Result<World> {
    let world = World::in_folder(folder, ports).await?;
    library::fill(&world.genesys);
    Ok(world)
}

/// Keeps the simulators up until Ctrl-C, and says how to use them.
async fn serve() -> Result<()> {
    let world = start(&folder(), Ports::SERVE)
        .await
        .map_err(|error| format!("{error} (are they up already?)"))?;
    let environment = world.environment();
    println!("The simulators are up. For a function built and invoked with cargo-lambda:\n");
    for (name, value) in &environment {
        println!("export {name}={value}");
    }
    println!("\ncargo lambda watch     # then, in another terminal:");
    println!("cargo lambda invoke recording-archiver --data-file events/12-direct-job.archived.json\n");
    println!("With SAM and Docker (docs/deploy.md, \"On a laptop\"), which reads events/local-env.json:");
    println!("sam local invoke ArchiverFunction --event events/12-direct-job.archived.json");
    println!("\nThe operators' command line takes the same variables (docs/operations.md):");
    println!("cargo archivectl doctor");
    println!(
        "\nArchived files: {}. Ctrl-C stops the simulators.",
        folder().join("archive").display()
    );
    tokio::signal::ctrl_c().await?;
    Ok(())
}
