//! `archivectl`: the operators' command line. Backfills history, proves the archive, finds what is missing.
//!
//! It shares configuration, clients and pure code with the function; each command is a module with its arguments and
//! a `run`. Results go to stdout, everything on the way there to stderr.

mod audit;
mod backfill;
mod clock;
mod custody;
mod days;
mod doctor;
mod files;
mod filter;
mod finding;
mod html;
mod out;
mod reconcile;
mod redrive;
mod report;
mod scan;
mod session;
mod sink;
mod stack;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use out::Out;
use session::Session;

/// Why a command could not do what it was asked; its text names the thing and the way out.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a command that ran to its end found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing to look after.
    Clean,
    /// Something to look after, already told: exit code 1.
    Findings,
    /// Ctrl-C ended it early, in a state that it can go on from: exit code 130.
    Interrupted,
}

#[derive(Debug, Parser)]
#[command(name = "archivectl", version, about, long_about = LONG_ABOUT, after_help = AFTER_HELP, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Operates the recording archive: backfills history, proves what is there, finds what is missing.
const LONG_ABOUT: &str = "\
Operates the recording archive: backfills history, proves what is there, finds what is missing.

It is configured by the function's own environment variables (README), or by a deployed stack (--stack \
NAME). AWS credentials and region come from where the AWS SDKs look for them.";

const AFTER_HELP: &str = "\
Exit codes: 0 all is well; 1 there are findings; 2 wrong usage, or it could not be done; 130 interrupted.
A first backfill, a monthly proof and the recovery after an outage: docs/operations.md.";

/// What every command takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Common {
    /// Take the configuration from this CloudFormation stack; it wins over the environment.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Everywhere")]
    stack: Option<String>,
    /// JSON Lines on stdout: one object per item, and {"summary": ...} as the last line.
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Backfill(Box<backfill::Args>),
    Redrive(redrive::Args),
    Reconcile(reconcile::Args),
    Verify(verify::Args),
    Audit(audit::Args),
    Doctor(doctor::Args),
    Report(report::Args),
    /// Print the completions of a shell, to be sourced by it.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = Out::new(cli.common.json);
    match run(cli, out).await {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::FAILURE,
        Ok(Verdict::Interrupted) => ExitCode::from(130),
        Err(error) => {
            out.error(&*error);
            ExitCode::from(2)
        }
    }
}

async fn run(cli: Cli, out: Out) -> Result<Verdict, Failure> {
    let session = || Session::start(&cli.common);
    match &cli.command {
        Command::Backfill(args) => backfill::run(args, &session().await?, out).await,
        Command::Redrive(args) => redrive::run(args, &session().await?, out).await,
        Command::Verify(args) => verify::run(args, &session().await?, out).await,
        Command::Audit(args) => audit::run(args, &session().await?, out).await,
        Command::Doctor(args) => doctor::run(args, &session().await?, out).await,
        Command::Report(args) => report::run(args, &session().await?, out).await,
        Command::Reconcile(args) => reconcile::run(args, &session().await?, out).await,
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "archivectl", &mut std::io::stdout());
            Ok(Verdict::Clean)
        }
    }
}
