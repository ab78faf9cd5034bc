//! `archivectl audit`: the chain of custody of one conversation, for people who have to show it.

pub(crate) mod page;
mod told;

use std::path::PathBuf;

use recording_archiver::domain::audit::AuditEvent;
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::ops::audit::{Audit, audit};
use recording_archiver::ops::custody;
use recording_archiver::ops::{Error, Session, Verdict};

use crate::args::{self, OutsideArgs};
use crate::html;
use crate::out::Out;
use crate::text::{BAD, DIM, GOOD, Text};
use crate::verify;
use crate::words::Zone;
use told::{files_read, not_archived, particulars, sealed, state, with_before};

/// Show the chain of custody of a conversation: who asked, when downloaded, what hash, where stored, who was told.
///
/// Tells every event of its recordings in order, failures too, and checks that none was changed, removed or added
/// since, and that each file is as it was archived, to the byte.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archivectl audit c0000000-0000-4000-8000-000000000001
  # a page for an auditor
  archivectl audit c0000000-0000-4000-8000-000000000001 --html custody.html
  # the events as they are
  archivectl audit c0000000-0000-4000-8000-000000000001 --json

Exit code 1: the chain is not whole, a file is not as it was archived, or nothing is known of the conversation; 3: \
nothing of it is archived.")]
pub(crate) struct Args {
    /// Which conversation.
    #[arg(value_name = "CONVERSATION", value_parser = args::conversation)]
    conversation: ConversationId,
    /// Write a page for people into this file; - is stdout.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Do not read the files back; the result says so.
    #[arg(long)]
    no_read: bool,
    #[command(flatten)]
    outside: OutsideArgs,
}

/// The variables that it cannot do without.
pub(crate) const NEEDS: &[&str] = &["AUDIT_TABLE_NAME", "LEDGER_TABLE_NAME"];

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let audit = audit(session, args.conversation, &args.outside.read()?, !args.no_read).await?;
    let page = || page::page(&audit, session.now(), out.zone());
    if args.html.as_deref().is_some_and(html::is_stdout) {
        out.raw(page().as_bytes());
        return Ok(audit.verdict());
    }
    for custody in &audit.custodies {
        let heading = format!("{}: {}", custody::named(&custody.recording), state(custody));
        tell(&audit, &heading, &custody.events, out);
    }
    for chain in &audit.accesses {
        tell(&audit, &chain.name.to_string(), &chain.events, out);
    }
    if let Some(path) = &args.html {
        html::write(path, &page())?;
        out.note(format!("written: {}", path.display()));
    }
    out.summary(&audit.figures(), || words(&audit));
    Ok(audit.verdict())
}

fn words(audit: &Audit) -> Text {
    let mut findings = audit.findings.iter().map(|found| {
        let text = verify::finding(found);
        text.line().add("  ").style(DIM, found.code.remedy())
    });
    match findings.next() {
        Some(first) => findings.fold(first, |text, next| text.lines(&next)),
        None if !audit.is_archived() => Text::styled(BAD, "not archived")
            .add(": nothing of it was stored, so nothing is proven; no event was changed, removed or added"),
        None => {
            let whole = Text::styled(GOOD, "whole")
                .add(": no event was changed, removed or added, the ledger says the same, and ")
                .add(files_read(audit));
            let unarchived = audit.unarchived();
            unarchived.fold(whole, |text, custody| {
                text.line().style(BAD, not_archived(custody))
            })
        }
    }
}

fn tell(audit: &Audit, heading: &str, events: &[AuditEvent], out: &Out) {
    out.heading(|| heading.to_owned());
    for (event, before) in with_before(events) {
        out.item(event, || event_text(audit, event, before, out.zone()));
    }
}

fn event_text(audit: &Audit, event: &AuditEvent, before: Option<&AuditEvent>, zone: &Zone) -> Text {
    let style = if event.error().is_some() { BAD } else { GOOD };
    let text = |name: &str| event.text(name).unwrap_or_default();
    let at = zone.recorded(text("timestamp"));
    let line = Text::new(format!("  {at}  ")).style(style, text("action"));
    particulars(event, before)
        .into_iter()
        .chain(sealed(audit, event))
        .fold(line, |line, (name, value)| {
            let line = line.line().add("      ");
            let line = line.style(DIM, format!("{name:<10}")).add(" ").hang();
            line.add(value)
        })
}

#[cfg(test)]
mod tests {
    use recording_archiver::domain::record::Record;
    use recording_archiver::ops::custody::Custody;
    use recording_archiver::ops::finding::{Code, Finding};
    use serde_json::{Value, json};

    use super::*;

    const CONVERSATION: &str = "c0000000-0000-4000-8000-000000000001";
    const RECORDING: &str = "e0000000-0000-4000-8000-000000000101";

    fn with(findings: Vec<Finding>) -> Audit {
        let attempt = "a0000000-0000-4000-8000-000000000001";
        let record: Record = serde_json::from_value(json!({
            "interactionId": CONVERSATION, "recordingId": RECORDING, "state": "notified", "leaseOwner": attempt,
            "leaseExpiresAt": 0, "attempts": 1, "chainHead": "cd".repeat(32), "seq": 2, "format": "WAV",
            "files": [{"archiveKey": "s3://calls/a.wav", "sha256": "ab".repeat(32), "sizeBytes": 144_044, "format": "WAV",
                       "attemptId": attempt}],
            "updatedAt": "2026-01-05T08:00:02Z",
        }))
        .unwrap();
        let event = |value: Value| -> AuditEvent { serde_json::from_value(value).unwrap() };
        let actor = json!({"source": "sqs", "messageId": "m-1", "requestId": "r-1", "functionVersion": "7",
                           "requestedBy": "<b>Ann</b>"});
        let genesys = json!({"fileState": "AVAILABLE"});
        let events = vec![
            event(
                json!({"timestamp": "2026-01-05T08:00:00Z", "seq": 1, "action": "download.initiated", "status": "claimed", "actor": actor,
                         "attemptId": attempt, "genesys": genesys}),
            ),
            event(
                json!({"timestamp": "2026-01-05T08:00:01Z", "seq": 2, "action": "archive.stored", "status": "archived", "actor": actor,
                         "archiveKey": "s3://calls/a.wav", "hash": "ab".repeat(32), "sizeBytes": 144_044, "latencyMs": 1_234,
                         "attemptId": attempt, "genesys": genesys, "error": "none <&>"}),
            ),
        ];
        let custody = Custody {
            recording: RECORDING.to_owned(),
            record: Some(record),
            events,
            unreadable: Vec::new(),
            intact: true,
            superseded: false,
            findings: findings.clone(),
            contradiction: None,
        };
        Audit {
            conversation: ConversationId::parse(CONVERSATION).unwrap(),
            custodies: vec![custody],
            accesses: Vec::new(),
            findings,
            proven: None,
            sealed: None,
            gone: Vec::new(),
        }
    }

    #[test]
    fn the_timeline_says_who_asked_and_what_was_stored() {
        let (audit, utc) = (with(Vec::new()), Zone::parse("UTC").unwrap());
        let texts = with_before(&audit.custodies[0].events);
        let texts: Vec<_> = texts
            .map(|(event, before)| event_text(&audit, event, before, &utc).plain())
            .collect();
        insta::assert_snapshot!("text", format!("{}\n{}", texts.join("\n"), words(&audit).plain()));
        let broken = with(vec![Finding {
            code: Code::AuditBroken,
            interaction_id: Some(CONVERSATION.to_owned()),
            recording_id: Some(RECORDING.to_owned()),
            archive_key: None,
            detail: "event 2 is missing".to_owned(),
        }]);
        let page = page::page(&broken, "2026-03-03T10:00:00Z".parse().unwrap(), &utc);
        // The style is the same on each page.
        let (before, rest) = page.split_once("<meta http-equiv").unwrap();
        let (_, after) = rest.split_once("</style>").unwrap();
        insta::assert_snapshot!("page", format!("{before}{after}"));
    }
}
