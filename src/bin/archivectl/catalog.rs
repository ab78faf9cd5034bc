//! `archivectl catalog`: builds the catalog of calls again.

use recording_archiver::ops::catalog::{Figures, rebuild};
use recording_archiver::ops::finding::Finding;
use recording_archiver::ops::{Error, Listener, Session, Verdict};

use crate::out::Out;
use crate::text::Text;
use crate::verify::finding;
use crate::words::{count, counted};

/// Look after the catalog of calls.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # after the table was lost, or got a new key
  archivectl catalog rebuild")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Rebuild(Rebuild),
}

/// Put the items of every call again, from the audit and the call records that it names.
///
/// Asks Genesys nothing. After a change of the catalog's key, rebuild into a new table: numbers
/// under the old key stay in the old one and find nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It needs dynamodb:Scan and Query on the audit table, s3:GetObject, dynamodb:BatchWriteItem on the catalog's table, and \
secretsmanager:GetSecretValue on its key.")]
struct Rebuild {
    /// How many conversations at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
}

/// The variables that it cannot do without.
pub(crate) const NEEDS: &[&str] = &["S3_BUCKET_NAME", "AUDIT_TABLE_NAME", "LEDGER_TABLE_NAME"];

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let Command::Rebuild(args) = &args.command;
    let progress = out.progress("catalog rebuild");
    let show = |found: Finding| out.item(&found, || finding(&found));
    let listener = |event| progress.hear(event, show);
    let ended = rebuild(session, args.concurrency.into(), Listener::new(&listener)).await;
    progress.finish();
    out.ended(&ended, ended.figures.conversations > 0, || words(&ended.figures));
    ended.end?;
    Ok(ended.figures.verdict())
}

fn words(figures: &Figures) -> Text {
    let text = Text::new(format!(
        "{}: {} with a call record, whose {} are in the catalog",
        counted(figures.conversations, "conversation", "conversations"),
        count(figures.described),
        counted(figures.items, "item", "items"),
    ));
    match figures.undescribed {
        0 => text,
        without => text.line().add(format!(
            "{} with a recording and without a call record: find does not know them",
            counted(without, "conversation", "conversations")
        )),
    }
}
