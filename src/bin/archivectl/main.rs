//! `archivectl`: the operators' command line. Backfills history, proves the archive, finds what is missing.
//!
//! What the commands do is `recording_archiver::ops`; here are their arguments, and how figures and events look as
//! text, JSON or a page. Results go to stdout, everything on the way there to stderr.

mod accesses;
mod args;
mod audit;
mod backfill;
mod catalog;
mod doctor;
mod erase;
mod find;
mod get;
mod html;
mod log;
mod man;
mod out;
mod play;
mod progress;
mod proof;
mod reconcile;
mod redrive;
mod report;
mod site;
mod statement;
mod text;
mod usage;
mod verify;
mod words;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use recording_archiver::ops::{Error, Interrupt, Kind, Session, Verdict};
use recording_archiver::telemetry;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use args::Common;
use out::Out;

#[derive(Debug, Parser)]
#[command(name = "archivectl", version = VERSION, about = ABOUT, long_about = LONG_ABOUT, after_help = AFTER_HELP, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("ARCHIVER_BUILD"), ")");

const ABOUT: &str =
    "Operates the recording archive: backfills history, proves what is there, finds what is missing";

const LONG_ABOUT: &str = "\
Operates the recording archive: backfills history, proves what is there, finds what is missing.

It is configured by the function's own environment variables (README), or by a deployed stack (--stack \
NAME). AWS credentials and region come from where the AWS SDKs look for them.";

const AFTER_HELP: &str = "\
Exit codes: 0 all is well; 1 there are findings; 2 wrong usage, or it could not be done; 3 there was nothing to verify \
or report; 130 interrupted.
A first backfill, a monthly proof and the recovery after an outage: docs/operations.md.";

#[derive(Debug, Subcommand)]
enum Command {
    Backfill(Box<backfill::Args>),
    Redrive(redrive::Args),
    Reconcile(reconcile::Args),
    Verify(verify::Args),
    Audit(audit::Args),
    Log(log::Args),
    Get(get::Args),
    Play(play::Args),
    Accesses(accesses::Args),
    Erase(erase::Args),
    Doctor(doctor::Args),
    Report(report::Args),
    Statement(statement::Args),
    Find(Box<find::Args>),
    Catalog(catalog::Args),
    /// Print the completions of a shell, to be sourced by it.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    Man(man::Args),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(arguments()) {
        Ok(cli) => cli,
        Err(error) => return refused(&error),
    };
    let interrupt = on_ctrl_c();
    let out = Out::new(&cli.common, interrupt.clone());
    show_log(&cli.common);
    let done = run(&cli, &out, interrupt).await;
    // A proof that is cut off is none, whatever it would have said.
    match (out.finish(), done) {
        (Err(error), _) => failed(&out, &error),
        (Ok(()), Ok(Verdict::Clean)) => ExitCode::SUCCESS,
        (Ok(()), Ok(Verdict::Findings)) => ExitCode::from(1),
        (Ok(()), Ok(Verdict::Nothing)) => ExitCode::from(3),
        (Ok(()), Err(error)) if error.is_interruption() => ExitCode::from(130),
        (Ok(()), Err(error)) => failed(&out, &error),
    }
}

fn failed(out: &Out, error: &Error) -> ExitCode {
    out.error(error);
    ExitCode::from(2)
}

/// Returns the arguments, without the `--` that `cargo archivectl -- --version` leaves in front.
fn arguments() -> impl Iterator<Item = OsString> {
    let stray = std::env::args_os().nth(1).is_some_and(|first| first == "--");
    let arguments = std::env::args_os().enumerate();
    arguments.filter_map(move |(at, argument)| (!stray || at != 1).then_some(argument))
}

/// Shows help, the version, or what is wrong with the arguments: as JSON where that was asked for.
fn refused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        return match out::help(&error.render()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(lost) => {
                out::error_people(&lost);
                ExitCode::from(2)
            }
        };
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        out::error_line(&usage::error(error, &Cli::command()));
    } else if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // Where it cannot be written, there is nobody to tell.
        let _ = error.print();
    } else {
        out::error_people(&usage::error(error, &Cli::command()));
    }
    ExitCode::from(2)
}

async fn run(cli: &Cli, out: &Out, interrupt: Interrupt) -> Result<Verdict, Error> {
    let needs = match &cli.command {
        Command::Backfill(args) => args.needs(),
        Command::Redrive(_) => &[],
        Command::Reconcile(_) => reconcile::NEEDS,
        Command::Verify(_) => verify::NEEDS,
        Command::Audit(_) => audit::NEEDS,
        Command::Log(args) => args.needs(),
        Command::Get(_) => get::NEEDS,
        Command::Play(_) => play::NEEDS,
        Command::Accesses(_) => accesses::NEEDS,
        Command::Erase(_) => erase::NEEDS,
        Command::Doctor(_) => doctor::NEEDS,
        Command::Report(args) => args.needs(),
        Command::Find(args) => args.needs(),
        Command::Catalog(_) => catalog::NEEDS,
        Command::Statement(_) => statement::NEEDS,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "archivectl", &mut script);
            out.raw(&script);
            return Ok(Verdict::Clean);
        }
        Command::Man(args) => return man::run(args, Cli::command(), out),
    };
    let variables = |name: &str| std::env::var(name).ok();
    let session = Session::start(cli.common.stack.as_deref(), variables, needs, interrupt).await?;
    // The doctor has a line about it.
    if !matches!(cli.command, Command::Doctor(_)) {
        session.has_region()?;
    }
    let done = match &cli.command {
        Command::Backfill(args) => backfill::run(args, &session, out).await,
        Command::Redrive(args) => redrive::run(args, &session, out).await,
        Command::Verify(args) => verify::run(args, &session, out).await,
        Command::Audit(args) => audit::run(args, &session, out).await,
        Command::Log(args) => log::run(args, &session, out).await,
        Command::Get(args) => get::run(args, &session, out).await,
        Command::Play(args) => play::run(args, &session, out).await,
        Command::Accesses(args) => accesses::run(args, &session, out).await,
        Command::Erase(args) => erase::run(args, &session, out).await,
        Command::Doctor(args) => doctor::run(args, &session, out).await,
        Command::Report(args) => report::run(args, &session, out).await,
        Command::Statement(args) => statement::run(args, &session, out).await,
        Command::Find(args) => find::run(args, &session, out).await,
        Command::Catalog(args) => catalog::run(args, &session, out).await,
        Command::Reconcile(args) => reconcile::run(args, &session, out).await,
        Command::Completions { .. } | Command::Man(_) => Ok(Verdict::Clean),
    };
    match done {
        Ok(verdict) => Ok(verdict),
        Err(error) => Err(with_way_out(session.locate(session.cause(error).await))),
    }
}

/// Adds where to look on to an error of a service that names no way out.
fn with_way_out(error: Error) -> Error {
    if error.kind() == Kind::Service && error.way_out().is_none() {
        return error.remedy("archivectl doctor checks names and permissions one by one");
    }
    error
}

/// Returns what the first Ctrl-C pulls; the second does not ask.
fn on_ctrl_c() -> Interrupt {
    let interrupt = Interrupt::default();
    let pulled = interrupt.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if pulled.is_pulled() {
                std::process::exit(130);
            }
            pulled.pull();
        }
    });
    interrupt
}

/// Writes what the library has to say to stderr: warnings, and more with `-v` and `-vv`. Below `-v` the SDKs' own code
/// is silent, as what matters of it is in an error, and so is archiving, whose results are items.
fn show_log(common: &Common) {
    let level = match (common.quiet, common.verbose) {
        (true, _) => "off,recording_archiver=error",
        (_, 0) => "off,recording_archiver=warn,recording_archiver::archive=error",
        (_, 1) => "info",
        _ => "info,recording_archiver=debug",
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(|| out::LogWriter)
        .with_ansi(false)
        .with_target(false);
    // Nobody else sets one.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(telemetry::filter(level)))
        .try_init();
}
