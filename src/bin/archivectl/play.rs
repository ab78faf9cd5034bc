//! `archivectl play`: listens to recordings, on a page of this machine.

use std::sync::Arc;

use recording_archiver::ops::play::{Figures, Request, open, restore};
use recording_archiver::ops::{Error, Session, Verdict};

use crate::args::{Access, Cold};
use crate::get;
use crate::out::Out;
use crate::site::{self, Shown, SiteArgs};
use crate::text::Text;
use crate::verify;
use crate::words::counted;

/// Listen to the recordings of a conversation on a page of this machine, and record who listened and why.
///
/// The page is served on 127.0.0.1 under a URL that nobody can guess. It shows what the call was, a player for each
/// file, pauses and holds, and the chain of custody. The audit event recording.accessed is written before the first
/// byte of a recording is read: who (by STS), why, and which files. Once somebody listens to a file, all of it is held
/// against the audit, and the page says what came of that; a download is complete only if its bytes are those that were
/// archived. No URL of the archive leaves this machine, and the page loads nothing from elsewhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archivectl play c0000000-0000-4000-8000-000000000001 --reason 'complaint 4711'
  # from Glacier: ask for it, and some hours later run the same again
  archivectl play c0000000-0000-4000-8000-000000000001 --reason 'complaint 4711' --restore

Exit code 1: a file is not there or not what was archived, or the audit of a recording is broken; 3: nobody listened, or \
a restore is under way.")]
pub(crate) struct Args {
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    cold: Cold,
    #[command(flatten)]
    site: SiteArgs,
}

/// The variables that it cannot do without.
pub(crate) const NEEDS: &[&str] = get::NEEDS;

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let request = Request {
        conversation: args.access.conversation,
        recording: args.access.recording.clone(),
        reason: args.access.reason.clone(),
    };
    let figures = listen(args, &request, session, out).await?;
    out.summary(&figures, || words(&figures));
    Ok(figures.verdict())
}

async fn listen(args: &Args, request: &Request, session: &Session, out: &Out) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    let days = args.cold.days();
    restore(session, request, days, |file| {
        figures.restoring += 1;
        out.item(&file, || get::restoring(&file));
    })
    .await?;
    if figures.restoring > 0 {
        return Ok(figures);
    }
    let call = open(session, request).await?;
    if call.tracks().is_empty() {
        let findings = call.findings();
        figures.count(&findings);
        for finding in &findings {
            out.item(finding, || verify::finding(finding));
        }
        return Ok(figures);
    }
    let shown = Shown::Call(args.access.conversation, Arc::new(call));
    site::serve((session, out), &args.site, &args.access.reason, shown).await
}

/// Says what became of the calls that were open.
pub(crate) fn words(figures: &Figures) -> Text {
    if figures.restoring > 0 {
        return get::waiting(figures.restoring);
    }
    let played = counted(figures.played, "recording", "recordings");
    let checked = counted(figures.checked, "file", "files");
    let text = Text::new(format!("{played} listened to, {checked} checked and as archived"));
    let text = match figures.downloaded {
        0 => text,
        downloaded => text.add(format!(
            ", {} downloaded",
            counted(downloaded, "recording", "recordings")
        )),
    };
    verify::with_findings(text, &figures.findings)
}
