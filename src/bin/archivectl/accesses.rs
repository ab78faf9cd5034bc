//! `archivectl accesses`: who listened to recordings or downloaded them, and why.

use jiff::civil::Date;
use recording_archiver::ops::accesses::{
    Accessed, Figures, Item, NAMED, Reads, TrailFigures, Untrailed, accesses,
};
use recording_archiver::ops::{Error, Listener, Session, Verdict};

use crate::args::Days;
use crate::out::Out;
use crate::text::{BAD, DIM, NOTE, Text};
use crate::verify;
use crate::words::{Zone, count, counted};

/// List who accessed recordings in some days, and why.
///
/// Reads the chains of accesses, which archivectl writes before the first byte is read, and checks each of them. Where
/// the stack has a trail of reads (its parameter ReadTrail), also the reads that CloudTrail wrote down and that no
/// access explains: by another program, or by one that calls itself archivectl, as those commands do that read files to
/// prove them. CloudTrail delivers within minutes as a rule, so the reads of the last hour may be missing.
#[derive(Debug, clap::Args)]
#[command(mut_arg("from", |from| from.help("First day (UTC) of the accesses: 2026-01-01, today, yesterday, or 7d (seven days ago)")), after_help = "\
Examples:
  # who listened last week
  archivectl accesses --from 7d
  # for programs
  archivectl accesses --from 2026-03-01 --to 2026-03-31 --json

It needs to read only: dynamodb:Query on both tables, and with a trail s3:ListBucket and GetObject on its bucket.
Exit code 1: a chain of accesses is not whole, a log file cannot be read, somebody but the function read without an \
access, or the trail names no read of an access that is older than an hour; 3: nobody accessed anything.")]
pub(crate) struct Args {
    #[command(flatten)]
    days: Days,
}

/// The variables that it cannot do without.
pub(crate) const NEEDS: &[&str] = &["S3_BUCKET_NAME", "AUDIT_TABLE_NAME", "LEDGER_TABLE_NAME"];

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let range = args.days.required(session.now())?;
    let progress = out.progress("accesses");
    let show = |item: Item| out.item(&item, || text(&item, out.zone()));
    let listener = |event| progress.hear(event, show);
    let ended = accesses(session, range, Listener::new(&listener)).await;
    progress.finish();
    let begun = ended.figures.accesses > 0 || ended.figures.reads.is_some();
    out.ended(&ended, begun, || words(&ended.figures));
    ended.end?;
    Ok(ended.figures.verdict())
}

fn text(item: &Item, zone: &Zone) -> Text {
    match item {
        Item::Access(access) => of_access(access, zone),
        Item::Reads(reads) => of_reads(reads, zone),
        Item::Untrailed(Untrailed { untrailed }) => {
            Text::styled(BAD, "no read in the trail").lines(&of_access(untrailed, zone))
        }
        Item::Finding(finding) => verify::finding(finding),
    }
}

fn of_access(access: &Accessed, zone: &Zone) -> Text {
    let by = access.by.as_deref().unwrap_or("somebody whom AWS did not name");
    let kind = access.access.replace('_', " ");
    let text = Text::new(format!("{}  {kind} by {by}", zone.second(access.at)));
    let text = text
        .line()
        .add("  ")
        .hang()
        .add(format!("reason: {}", access.reason));
    let files = counted(access.files.len() as u64, "file", "files");
    text.line().add("  ").style(
        DIM,
        format!(
            "recording {} of conversation {}, {files}",
            access.recording_id, access.interaction_id
        ),
    )
}

fn of_reads(reads: &Reads, zone: &Zone) -> Text {
    let number = counted(reads.reads, "read", "reads");
    let (style, kind) = match (&reads.refused, reads.own_program) {
        (Some(_), _) => (NOTE, "refused"),
        (None, true) => (BAD, "no access recorded"),
        (None, false) => (BAD, "past archivectl"),
    };
    let text = Text::styled(style, kind).add(format!(" {number} by {}", reads.by));
    let text = match &reads.source_identity {
        Some(identity) => text.add(format!(" ({identity})")),
        None => text,
    };
    let why = reads.refused.as_ref().map(|code| format!(", {code}"));
    let text = text.line().add("  ").hang().add(format!(
        "{} to {} from {} with {}{}",
        zone.second(reads.first),
        zone.second(reads.last),
        reads.address,
        reads.user_agent,
        why.unwrap_or_default()
    ));
    let mut objects: Vec<_> = reads.objects.iter().map(String::as_str).collect();
    if objects.len() == NAMED && reads.reads > NAMED as u64 {
        objects.push("perhaps others");
    }
    text.line().add("  ").hang().style(DIM, objects.join(", "))
}

fn words(figures: &Figures) -> Text {
    let accesses = counted(figures.accesses, "access", "accesses");
    let chains = counted(figures.chains, "chain", "chains");
    let text = Text::new(format!("{accesses} recorded; {chains} checked"));
    let text = verify::with_findings(text, &figures.findings);
    match &figures.reads {
        None => text
            .line()
            .style(NOTE, "reads with other programs are not seen")
            .add(": the stack has no trail of reads (parameter ReadTrail)"),
        Some(reads) => of_trail(text.line(), reads),
    }
}

fn of_trail(text: Text, reads: &TrailFigures) -> Text {
    let seen = counted(reads.reads, "read", "reads");
    let files = counted(reads.files, "log file", "log files");
    let text = text.add(format!(
        "{seen} by CloudTrail ({files}): {} of a recorded access, {} by the function, {} refused",
        count(reads.recorded),
        count(reads.function),
        count(reads.refused)
    ));
    let untrailed = counted(reads.untrailed, "access", "accesses");
    let own = count(reads.own_program);
    let text = [
        (reads.untrailed, format!("{untrailed} of which it names no read")),
        (
            reads.own_program,
            format!("{own} without one by programs that call themselves archivectl: a proof, or anybody"),
        ),
        (
            reads.unrecorded,
            format!("{} past archivectl", count(reads.unrecorded)),
        ),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .fold(text, |text, (_, words)| text.add(", ").style(BAD, words));
    let text = match reads.own_program + reads.unrecorded {
        0 if reads.files == 0 => text
            .add(", ")
            .style(NOTE, "so nothing shows whether other programs read"),
        0 if reads.days_without_files.is_empty() => text.add(", none past archivectl"),
        _ => text,
    };
    match reads.days_without_files.as_slice() {
        [] => text,
        days => text.line().style(NOTE, without_files(days)),
    }
}

/// Names days without a log file.
fn without_files(days: &[Date]) -> String {
    let named: Vec<_> = days.iter().take(NAMED).map(Date::to_string).collect();
    let more = if days.len() > NAMED { ", ..." } else { "" };
    let number = counted(days.len() as u64, "day", "days");
    format!(
        "{number} without a log file, so nobody read, or the files are gone: {}{more}",
        named.join(", ")
    )
}
