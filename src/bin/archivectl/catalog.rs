//! `archivectl catalog`: builds the catalog of calls again.

use recording_archiver::ops::catalog::{Figures, rebuild};
use recording_archiver::ops::finding::Finding;
use recording_archiver::ops::{Error, Listener, Session, Verdict};

use crate::args::{BEGAN, Days};
use crate::out::Out;
use crate::text::{BAD, DIM, NOTE, Text};
use crate::verify::finding;
use crate::words::{count, counted};

/// Look after the catalog of calls.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # after the table was lost, or got a new key
  archivectl catalog rebuild
  # a month after the other, which can be begun again anywhere
  archivectl catalog rebuild --from 2026-01-01 --to 2026-01-31")]
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
/// Asks Genesys nothing. A run that was interrupted is begun again, all of it or from the day that it came to: to put
/// an item twice changes nothing. Items that were made for another NUMBER_COUNTRY, or with another key, are removed.
#[derive(Debug, clap::Args)]
#[command(mut_arg("from", |from| from.help(BEGAN)), after_help = "\
It needs dynamodb:Scan and Query on the audit table, s3:GetObject, dynamodb:Query and BatchWriteItem on the catalog's \
table, and secretsmanager:GetSecretValue on its key.
Exit code 1: a call record is missing or changed, or a call has none; 3: there are no conversations.")]
struct Rebuild {
    #[command(flatten)]
    days: Days,
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
    let scope = (args.days.range(session.now())?, args.concurrency.into());
    let ended = rebuild(session, scope, Listener::new(&listener)).await;
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
    let conversations = |number| counted(number, "conversation", "conversations");
    let text = match figures.removed {
        0 => text,
        removed => text.line().add(format!(
            "{} of another NUMBER_COUNTRY or key removed",
            counted(removed, "item", "items")
        )),
    };
    let text = match figures.national {
        0 => text,
        national => text
            .line()
            .style(NOTE, counted(national, "number", "numbers"))
            .add(" in national form left out: set NUMBER_COUNTRY, and run it again"),
    };
    let text = match figures.settling {
        0 => text,
        settling => text.line().add(format!(
            "{} not settled yet: its call record follows",
            conversations(settling)
        )),
    };
    if figures.undescribed == 0 {
        return text;
    }
    let named: Vec<_> = figures
        .undescribed_conversations
        .iter()
        .map(String::as_str)
        .collect();
    let text = text.line().style(BAD, conversations(figures.undescribed));
    let text = text.add(" with a recording and without a call record: find does not know them");
    text.line()
        .add("  ")
        .hang()
        .style(DIM, named.join(", "))
        .line()
        .add("  archivectl reconcile --enqueue sends jobs that describe them, as long as Genesys knows them")
}
