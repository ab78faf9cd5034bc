//! `archivectl statement`: the completeness statement of days.

use recording_archiver::ops::statement::{Figures, statement};
use recording_archiver::ops::{Error, Listener, Session, Verdict};
use recording_archiver::statement::{Reason, Stated};

use crate::args::{BEGAN, Day, Days, day};
use crate::out::Out;
use crate::text::{BAD, DIM, GOOD, NOTE, Text};
use crate::words::{count, counted};

/// Issue the completeness statement of days: each conversation with a recording is archived, or has one reason.
///
/// Lists the conversations of the days at Genesys, holds each against ledger and audit, and writes a JSON document and
/// a page into the bucket, below statements/, once and locked. The audit names its hash. What no run ever saw is sent
/// as a job, once. The stack does the same each day by a schedule; a statement supersedes the one before it.
#[derive(Debug, clap::Args)]
#[command(mut_arg("from", |from| from.help(BEGAN)), after_help = "\
Examples:
  # one day
  archivectl statement --day 2026-03-01
  # the days that the schedule missed
  archivectl statement --from 2026-03-01 --to 2026-03-05

Exit code 1: something is not accounted for.")]
pub(crate) struct Args {
    /// The day (UTC) on which the conversations began.
    #[arg(long, value_name = "DAY", value_parser = day, allow_hyphen_values = true, conflicts_with = "from")]
    day: Option<Day>,
    #[command(flatten)]
    days: Days,
}

/// The variables that it cannot do without.
pub(crate) const NEEDS: &[&str] = &[
    "GENESYS_SECRET_ID",
    "S3_BUCKET_NAME",
    "AUDIT_TABLE_NAME",
    "LEDGER_TABLE_NAME",
];

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let range = match args.day {
        Some(day) => Days::on(day).required(session.now())?,
        None => args.days.required(session.now())?,
    };
    let progress = out.progress("statement");
    let show = |stated: Stated| out.item(&stated, || text(&stated));
    let listener = |event| progress.hear(event, show);
    let made = statement(session, range, Listener::new(&listener)).await;
    progress.finish();
    let figures = made?;
    out.summary(&figures, || words(&figures));
    Ok(figures.verdict())
}

fn text(stated: &Stated) -> Text {
    let (issued, figures) = (&stated.issued, &stated.figures);
    let (style, told) = if issued.clean {
        (GOOD, "complete")
    } else {
        (BAD, "not complete")
    };
    let mut text = Text::new(format!("{}  ", issued.day))
        .style(style, told)
        .add(format!(
            ": {}, {} with a recording, {} archived",
            counted(figures.listed, "conversation", "conversations"),
            count(figures.recorded()),
            count(figures.of(Reason::Archived))
        ));
    for (reason, number) in figures
        .reasons
        .iter()
        .filter(|(reason, _)| *reason != Reason::Archived.as_str())
    {
        text = text
            .line()
            .style(NOTE, format!("{:>9}  {reason}", count(*number)));
    }
    for open in &stated.open {
        text = text
            .line()
            .add(format!("  {}  {}", open.interaction_id, open.reason));
        if let Some(at) = open.delete_date {
            text = text.style(BAD, format!("  deleted at Genesys at {at:.0}"));
        }
    }
    let place = format!(
        "  statement {}: {}, SHA-256 {}",
        issued.number, issued.document.archive_key, issued.document.hash
    );
    text.line().style(DIM, place)
}

fn words(figures: &Figures) -> Text {
    Text::new(format!(
        "{} issued, {} of them complete; {}, {} without an archive, {} ahead at Genesys, {} sent",
        counted(figures.statements, "statement", "statements"),
        count(figures.clean),
        counted(figures.gaps, "gap", "gaps"),
        counted(figures.days_without_archive, "day", "days"),
        counted(figures.deletions_ahead, "deletion", "deletions"),
        counted(figures.sent, "job", "jobs")
    ))
}
