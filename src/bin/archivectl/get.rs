//! `archivectl get`: gets recordings out of the archive, into files.

use std::path::PathBuf;

use recording_archiver::ops::get::{Figures, Item, Request, Restoring, Written, get};
use recording_archiver::ops::{Error, Event, Listener, Session, Verdict};

use crate::args::{Access, Cold};
use crate::out::Out;
use crate::text::{DIM, GOOD, NOTE, Text};
use crate::verify;
use crate::words::{counted, exact_bytes};

/// Get recordings out of the archive into files, and record who got them and why.
///
/// The audit event `recording.accessed` is written first: who (by STS), why, and which files. Then each file is read,
/// and gets its name only if its bytes are those that the audit says were archived. A receipt lies beside it
/// (.receipt.json): where it came from, its SHA-256, who got it, why and when, and the event. Nothing is replaced.
///
/// Where a file lies in cold storage, nothing is read. With --restore S3 is asked to restore it, which is recorded,
/// too; the same command gets the files once that is done.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # all recordings of a conversation, into a folder
  archivectl get c0000000-0000-4000-8000-000000000001 --reason 'complaint 4711' --output case-4711/
  # one of them
  archivectl get c0000000-0000-4000-8000-000000000001 e0000000-0000-4000-8000-000000000101 --reason 'complaint 4711'
  # from Glacier: ask for it, and some hours later run the same again
  archivectl get c0000000-0000-4000-8000-000000000001 --reason 'complaint 4711' --restore

Exit code 1: a file is not there or not what was archived, or the audit of a recording is broken; 3: nothing was \
written yet, as a restore is under way.")]
pub(crate) struct Args {
    #[command(flatten)]
    access: Access,
    /// Into this folder, which is made if it ends with /, or into this file. Default: the current folder.
    #[arg(long, short, value_name = "DIR|FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    cold: Cold,
}

/// The variables that it cannot do without.
pub(crate) const NEEDS: &[&str] = &["S3_BUCKET_NAME", "AUDIT_TABLE_NAME", "LEDGER_TABLE_NAME"];

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let request = Request {
        conversation: args.access.conversation,
        recording: args.access.recording.clone(),
        reason: args.access.reason.clone(),
        output: args.output.clone(),
        restore: args.cold.days(),
    };
    let progress = out.progress("get");
    let show = |item: Item| out.item(&item, || text(&item));
    let listener = |event: Event<Item>| progress.hear(event, show);
    let ended = get(session, request, Listener::new(&listener)).await;
    progress.finish();
    let begun = ended.figures.files > 0 || !ended.figures.findings.is_empty();
    out.ended(&ended, begun, || words(&ended.figures));
    ended.end?;
    Ok(ended.figures.verdict())
}

fn text(item: &Item) -> Text {
    match item {
        Item::Finding(finding) => verify::finding(finding),
        Item::Written(written) => {
            let Written { path, receipt } = &**written;
            let size = exact_bytes(receipt.size_bytes);
            let text = Text::styled(GOOD, "written").add(format!(" {} {size}", path.display()));
            let text = text.line().add("  ").style(DIM, "SHA-256").add(" ");
            text.add(format!("{}, as archived", receipt.sha256))
        }
        Item::Restoring(file) => restoring(file),
    }
}

/// Says that nothing was read yet, as so many files are being restored.
pub(crate) fn waiting(files: u64) -> Text {
    let files = counted(files, "file is", "files are");
    Text::styled(NOTE, "nothing was read").add(format!(
        ": {files} being restored; run the same command again when that is done"
    ))
}

/// Says that a file is being restored.
pub(crate) fn restoring(file: &Restoring) -> Text {
    let asked = match file.restore {
        "requested" => "restore requested",
        _ => "being restored",
    };
    Text::styled(NOTE, asked).add(format!(
        " {} ({}): typically within {} hours of the request",
        file.archive_key, file.cold, file.hours
    ))
}

fn words(figures: &Figures) -> Text {
    if figures.restoring > 0 {
        return waiting(figures.restoring);
    }
    let files = counted(figures.files, "file", "files");
    let recordings = counted(figures.recordings, "recording", "recordings");
    let text = Text::new(format!("{files} of {recordings} written"));
    verify::with_findings(text, &figures.findings)
}
