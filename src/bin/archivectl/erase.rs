//! `archivectl erase`: deletes a conversation from the archive for good.

use std::io::{self, IsTerminal as _, Write as _};

use recording_archiver::domain::recording::ConversationId;
use recording_archiver::ops::erase::{Erased, Figures, Plan, erase, plan};
use recording_archiver::ops::{Error, Event, Kind, Listener, Session, Verdict};

use crate::args;
use crate::out::Out;
use crate::text::Text;
use crate::words::counted;

/// Delete a conversation from the archive for good, and record who did it and why.
///
/// The audit event `object.erased` is written first. Then every version of every object of the conversation is
/// deleted, the call record's too, and its items in the catalog, also where a lock in the mode GOVERNANCE holds it; the
/// credentials in use need
/// s3:BypassGovernanceRetention and s3:DeleteObjectVersion, which the template's bucket allows nobody but
/// BreakGlassRoleArn. A legal hold, and a lock in the mode COMPLIANCE, cannot be lifted this way: then nothing is
/// erased. The chain of events stays whole, verify knows the erasure for what it is, and nothing of the conversation
/// is archived again. Genesys keeps its own copy.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  # what there is
  archivectl erase c0000000-0000-4000-8000-000000000001 --reason 'request 4711' --dry-run
  # delete it
  archivectl erase c0000000-0000-4000-8000-000000000001 --reason 'request 4711'")]
pub(crate) struct Args {
    /// The conversation's id.
    #[arg(value_name = "CONVERSATION", value_parser = args::conversation)]
    conversation: ConversationId,
    /// Why: kept in the audit for good, so name a case and no person.
    #[arg(long, value_name = "TEXT", value_parser = args::reason)]
    reason: String,
    /// Only say what would be deleted.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask. Needed where nobody can be asked.
    #[arg(long, short)]
    yes: bool,
}

/// The variables that it cannot do without.
pub(crate) const NEEDS: &[&str] = &["S3_BUCKET_NAME", "AUDIT_TABLE_NAME", "LEDGER_TABLE_NAME"];

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let plan = plan(session, args.conversation).await?;
    let about = words(&plan.figures());
    if args.dry_run {
        out.summary(&plan.figures(), || Text::new(format!("would be erased: {about}")));
        return Ok(Verdict::Clean);
    }
    args.confirm(&plan, &about)?;
    let progress = out.progress("erase");
    let show = |item: Erased| out.item(&item, || text(&item));
    let listener = |event: Event<Erased>| progress.hear(event, show);
    let erased = erase(session, plan, &args.reason, Listener::new(&listener)).await;
    progress.finish();
    let figures = erased?;
    out.summary(&figures, || Text::new(format!("erased: {}", words(&figures))));
    Ok(Verdict::Clean)
}

impl Args {
    /// Asks before anything is deleted.
    fn confirm(&self, plan: &Plan, about: &str) -> Result<(), Error> {
        if self.yes {
            return Ok(());
        }
        if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
            let message =
                format!("{about} would be deleted for good, and nobody can be asked whether that is meant");
            return Err(Error::new(Kind::Usage, message)
                .remedy("add --yes to delete it, or --dry-run to see what there is"));
        }
        let _ = write!(
            io::stderr(),
            "Delete {about} of {} for good? [y/N] ",
            plan.conversation
        );
        let mut answer = String::new();
        let read = io::stdin().read_line(&mut answer);
        if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
            Ok(())
        } else {
            Err(Error::new(Kind::Usage, "nothing was erased"))
        }
    }
}

fn text(erased: &Erased) -> Text {
    let versions = counted(erased.versions, "version", "versions");
    Text::new(format!("erased {} ({versions})", erased.archive_key))
}

fn words(figures: &Figures) -> String {
    let items = match figures.items {
        Some(items) => format!(", and {} of the catalog", counted(items, "item", "items")),
        None => String::new(),
    };
    format!(
        "{} in {} of {}{items}",
        counted(figures.versions, "version", "versions"),
        counted(figures.objects, "object", "objects"),
        counted(figures.recordings, "recording", "recordings")
    )
}
