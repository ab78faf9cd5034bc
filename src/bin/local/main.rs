//! `cargo local`: the function on a laptop, against simulators of everything it talks to.
//!
//! The handler is the one that Lambda runs; only the wiring differs.

mod args;
mod evidence;
mod folder;
mod function;
mod process;
mod replay;
mod screen;
mod sealing;
mod serve;
mod worker;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use recording_archiver::sim::Site;

use args::{Arguments, Command, HELP};
use folder::{Folder, Result};
use screen::Screen;

// As many threads as a small function has: the memory it prints should not depend on the laptop.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let Arguments { command, verbose } = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            return refuse(&error);
        }
    };
    let screen = Screen::detect(verbose);
    let done = match command {
        Command::Replay => replay_all(&screen).await,
        // Before anything starts or is shown.
        Command::Invoke(files) => match replay::read(&files) {
            Ok(events) => replay_some(&screen, events).await,
            Err(error) => return refuse(&error),
        },
        Command::Serve(options) => serve::run(&screen, options).await.map(|()| true),
        Command::Env { name } => serve::print_environment(&screen, name).map(|()| true),
        Command::Help => screen.line(HELP).map(|()| true).map_err(Into::into),
        Command::Function => return recording_archiver::trigger::lambda::run().await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // What a shell says of a program that a closed pipe ended.
        Err(error) if reader_is_gone(&*error) => ExitCode::from(128 + 13),
        Err(error) => {
            eprintln!("cargo local stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says what is wrong with the arguments.
fn refuse(error: &str) -> ExitCode {
    eprintln!("cargo local: {error}\n`cargo local -- --help` shows what there is.");
    ExitCode::from(2)
}

/// Says whether the reader of the output has read enough, as `head` does.
fn reader_is_gone(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Replays all sample events in order, in an empty folder.
async fn replay_all(screen: &Screen) -> Result<bool> {
    let mut events: Vec<PathBuf> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("events"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| replay::promise(path).is_some())
        .collect();
    events.sort();
    let events = replay::read(&events)?;
    let folder = Folder::take("cargo local")?;
    if let Some(emptied) = folder.empty()? {
        screen.line(emptied)?;
    }
    let world = folder.start(Site::default()).await?;
    replay::run(&world, screen, events, replay::Ground::Empty).await
}

/// Replays these events on top of what the folder holds.
async fn replay_some(screen: &Screen, events: Vec<replay::Event>) -> Result<bool> {
    let folder = Folder::take("cargo local -- invoke")?;
    let world = folder.start(Site::default()).await?;
    replay::run(&world, screen, events, replay::Ground::Trodden).await
}
