//! `archivectl audit`: the chain of custody of one conversation, for people who have to show it.

use std::path::PathBuf;

use jiff::Timestamp;
use recording_archiver::domain::audit::{Action, AuditEvent};
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::ops::audit::{Audit, audit};
use recording_archiver::ops::custody::{self, Custody};
use recording_archiver::ops::{Error, Session, Verdict};
use serde_json::Value;

use crate::args::{self, KeyArg};
use crate::html::{self, cards, escape};
use crate::out::Out;
use crate::text::{BAD, DIM, GOOD, Text};
use crate::verify;
use crate::words::{Zone, counted, duration, exact_bytes};

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
    key: KeyArg,
}

/// The variables that it cannot do without.
pub(crate) const NEEDS: &[&str] = &["AUDIT_TABLE_NAME", "LEDGER_TABLE_NAME"];

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let audit = audit(session, args.conversation, &args.key.read()?, !args.no_read).await?;
    let page = || page(&audit, session.now(), out.zone());
    if args.html.as_deref().is_some_and(html::is_stdout) {
        out.raw(page().as_bytes());
        return Ok(audit.verdict());
    }
    for custody in &audit.custodies {
        tell(&audit, custody, out);
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

/// Says that a recording of a conversation is not archived, and how it stands.
fn not_archived(custody: &Custody) -> String {
    let named = capitalised(&custody::named(&custody.recording));
    format!("{named} is not archived: {}", state(custody))
}

/// Says what became of the files of a conversation without findings, and what the log holds.
fn files_read(audit: &Audit) -> String {
    let log = audit.sealed.as_ref().map(|log| {
        let events: usize = audit.custodies.iter().map(|custody| custody.events.len()).sum();
        format!(
            "; the log {} holds {} of {events} events",
            log.origin,
            log.leaves.len()
        )
    });
    let log = log.unwrap_or_default();
    files_alone(audit) + &log
}

/// Says what became of the files.
fn files_alone(audit: &Audit) -> String {
    match &audit.proven {
        None => "no file was read back (--no-read)".to_owned(),
        Some(proven) => {
            let files = counted(proven.len() as u64, "file", "files");
            let read = format!("{files} read back: as archived, to the byte");
            match audit.gone.len() {
                0 => read,
                _ if proven.is_empty() => "no file was read back: all have expired or been erased".to_owned(),
                gone => format!(
                    "{read}; {} expired",
                    counted(gone as u64, "file has", "files have")
                ),
            }
        }
    }
}

fn tell(audit: &Audit, custody: &Custody, out: &Out) {
    out.heading(|| format!("{}: {}", custody::named(&custody.recording), state(custody)));
    for (event, before) in with_before(&custody.events) {
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

/// Says whether the log holds an event, where one is configured.
fn sealed(audit: &Audit, event: &AuditEvent) -> Option<(&'static str, String)> {
    let log = audit.sealed.as_ref()?;
    let sealed = match log.leaf(event) {
        Some(leaf) => format!("leaf {leaf} of the log {}", log.origin),
        None => "not yet".to_owned(),
    };
    Some(("sealed", sealed))
}

fn state(custody: &Custody) -> &'static str {
    custody.state().map_or("no state", |state| state.as_str())
}

/// Returns each event, with the one before it.
fn with_before(events: &[AuditEvent]) -> impl Iterator<Item = (&AuditEvent, Option<&AuditEvent>)> {
    let before = std::iter::once(None).chain(events.iter().map(Some));
    events.iter().zip(before)
}

/// Returns a moment as the other times of the audit are written; anything else as it is.
fn to_the_microsecond(value: &str) -> String {
    let moment: Result<jiff::Timestamp, _> = value.parse();
    moment.map_or_else(|_| value.to_owned(), |moment| format!("{moment:.6}"))
}

/// Returns an event beyond its time and action, in words. Statements of Genesys are shown where they are new.
fn particulars(event: &AuditEvent, before: Option<&AuditEvent>) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    if event.action() == Some(Action::DownloadInitiated)
        && let Some(actor) = event.actor()
    {
        let mut asked = actor.source.to_string();
        if let Some(id) = actor.message_id.or(actor.event_id) {
            asked.push_str(&format!(" {id}"));
        }
        if let Some(who) = actor.requested_by {
            asked.push_str(&format!(", by {who}"));
        }
        told.push(("asked", asked));
        let (request, version) = (actor.request_id, actor.function_version);
        told.push(("run", format!("request {request}, version {version}")));
    }
    let named = [
        ("stored", "archiveKey"),
        ("SHA-256", "hash"),
        ("attempt", "attemptId"),
        ("settled by", "settledBy"),
        ("next look", "nextLookAt"),
        ("error", "error"),
    ];
    for (label, name) in named {
        if let Some(value) = event.text(name) {
            told.push((label, to_the_microsecond(value)));
        }
    }
    if let Some(number) = event.number("look") {
        told.push(("look", number.to_string()));
    }
    if let Some(Value::Array(ids)) = event.get("recordings") {
        let ids: Vec<_> = ids.iter().filter_map(Value::as_str).collect();
        told.push((
            "recordings",
            if ids.is_empty() {
                "none".to_owned()
            } else {
                ids.join(", ")
            },
        ));
    }
    if let Some(size) = event.number("sizeBytes") {
        told.push(("size", exact_bytes(size)));
    }
    if let Some(latency) = event.latency_ms() {
        told.push(("took", duration(latency)));
    }
    let known = before.and_then(|before| before.get("genesys"));
    if let Some(Value::Object(notes)) = event.get("genesys").filter(|notes| Some(*notes) != known) {
        let notes = notes.iter().map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name} {value}")
        });
        told.push(("Genesys", notes.collect::<Vec<_>>().join(", ")));
    }
    told
}

/// Returns the page for people.
fn page(audit: &Audit, now: Timestamp, zone: &Zone) -> String {
    let mut body = format!(
        "<p class=\"dim\">Made by archivectl at {} from audit, ledger and files.</p>\n{}",
        zone.second(now),
        verdict(audit)
    );
    for custody in &audit.custodies {
        body.push_str(&section(audit, custody, zone));
    }
    body.push_str(HOW_TO_CHECK);
    let subject = format!("of conversation {}", audit.conversation);
    html::page("Chain of custody", &subject, &body)
}

/// Returns the verdict of the page: green only where the files were read back, too.
fn verdict(audit: &Audit) -> String {
    let whole = "The chain of custody is whole: no event was changed, removed or added since it was written";
    let lines = match audit.findings.as_slice() {
        [] if !audit.is_archived() => {
            vec![(
                "bad",
                "Not archived: nothing of this conversation was stored, so nothing is proven.".to_owned(),
            )]
        }
        [] => {
            let read = audit.proven.as_ref().is_some_and(|proven| !proven.is_empty());
            let class = if read { "good" } else { "warn" };
            let unarchived = audit
                .unarchived()
                .map(|custody| ("bad", format!("{}.", not_archived(custody))));
            let lines = [(class, format!("{whole}, and {}.", files_read(audit)))];
            lines.into_iter().chain(unarchived).collect()
        }
        findings => {
            let told = findings.iter().map(|finding| {
                let about = finding.archive_key.clone().unwrap_or_else(|| finding.about());
                ("bad", format!("{} {about}: {}", finding.code, finding.detail))
            });
            told.collect()
        }
    };
    let lines = lines.into_iter();
    let line = |(class, text): (&str, String)| format!("<p class=\"verdict {class}\">{}</p>\n", escape(text));
    lines.map(line).collect()
}

/// Returns how a file was proven, for the page.
fn proof(audit: &Audit, key: &str) -> String {
    let Some(proven) = &audit.proven else {
        return "<span class=\"warn\">not read back</span>".to_owned();
    };
    if let Some(gone) = audit.gone.iter().find(|gone| gone.archive_key == key) {
        let ending = gone.ending.as_str();
        return format!("<span class=\"warn\">{ending}</span>: {}", escape(&gone.detail));
    }
    match proven.iter().find(|proven| proven.archive_key == key) {
        Some(proven) if proven.notes.is_empty() => "<span class=\"good\">as archived</span>".to_owned(),
        Some(proven) => format!(
            "<span class=\"good\">as archived</span>; {}",
            escape(proven.notes.join("; "))
        ),
        None => "<span class=\"bad\">not as archived</span>".to_owned(),
    }
}

/// Returns the section of the page about one recording.
fn section(audit: &Audit, custody: &Custody, zone: &Zone) -> String {
    let mut html = format!(
        "<h2>{}: {}</h2>\n",
        escape(capitalised(&custody::named(&custody.recording))),
        escape(state(custody))
    );
    let files: Vec<_> = custody
        .files()
        .iter()
        .map(|file| {
            let (code, key) = (
                |text: &str| format!("<code>{}</code>", escape(text)),
                file.archive_key.to_string(),
            );
            vec![
                code(&key),
                exact_bytes(file.size_bytes),
                code(&file.sha256),
                proof(audit, &key),
            ]
        })
        .collect();
    if !files.is_empty() {
        html.push_str(&cards(&["Object", "Size", "SHA-256", "Read back"], &files));
    }
    html.push_str(&events(audit, custody, zone));
    if let Some(record) = &custody.record {
        html.push_str(&format!(
            "<p class=\"dim\">End of the chain in the ledger: event {}, hash <code>{}</code>, state {}</p>\n",
            record.seq,
            escape(&record.chain_head),
            record.state.as_str()
        ));
    }
    html
}

/// Returns the table of a recording's events, with a mark where one is missing.
fn events(audit: &Audit, custody: &Custody, zone: &Zone) -> String {
    let missing = |from: u64, to: u64| {
        let which = if from == to {
            format!("event {from}")
        } else {
            format!("events {from} to {to}")
        };
        let mark = format!("<span class=\"bad\">missing: {which}</span>");
        vec![from.to_string(), String::new(), mark, String::new()]
    };
    let (mut rows, mut last) = (Vec::new(), 0);
    for (event, before) in with_before(&custody.events) {
        let seq = event.seq().unwrap_or_default();
        if seq > last + 1 {
            rows.push(missing(last + 1, seq - 1));
        }
        rows.push(event_row(audit, event, before, zone));
        last = seq.max(last);
    }
    if let Some(record) = custody.record.as_ref().filter(|record| record.seq > last) {
        rows.push(missing(last + 1, record.seq));
    }
    cards(&["#", &format!("Time ({zone})"), "Event", ""], &rows)
}

fn event_row(audit: &Audit, event: &AuditEvent, before: Option<&AuditEvent>, zone: &Zone) -> Vec<String> {
    let hashes = ["prevEventHash", "eventHash"].map(|name| {
        let value = event.text(name).unwrap_or("missing").to_owned();
        (name, value)
    });
    let particulars = particulars(event, before).into_iter().chain(hashes);
    let particulars = particulars.chain(sealed(audit, event));
    let particulars = particulars
        .map(|(name, value)| format!("<span class=\"dim\">{name}</span> <code>{}</code>", escape(value)));
    let class = if event.error().is_some() { "bad" } else { "good" };
    vec![
        text_cell(event, "seq"),
        format!(
            "<span class=\"fixed\">{}</span>",
            escape(zone.recorded(event.text("timestamp").unwrap_or_default()))
        ),
        format!("<span class=\"{class}\">{}</span>", text_cell(event, "action")),
        particulars.collect::<Vec<_>>().join("<br>"),
    ]
}

/// Returns a text that begins with a capital letter.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

const HOW_TO_CHECK: &str = "<h2>How to check this yourself</h2>\n\
<p>An object: download it and run <code>sha256sum</code>; the result is the SHA-256 above, and stands in the object's tag \
<code>sha256</code> too.</p>\n\
<p>An event: take its item from the audit table, leave <code>eventHash</code> out, write the rest as JSON with sorted keys and \
without spaces; the SHA-256 of that text is its <code>eventHash</code>, and stands as <code>prevEventHash</code> in the event \
after it. The last one stands as <code>chainHead</code> in the ledger.</p>\n";

fn text_cell(event: &AuditEvent, name: &str) -> String {
    let value = &event[name];
    escape(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use recording_archiver::domain::record::Record;
    use recording_archiver::ops::finding::{Code, Finding};
    use serde_json::json;

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
        let page = page(&broken, "2026-03-03T10:00:00Z".parse().unwrap(), &utc);
        // The style is the same on each page.
        let (before, rest) = page.split_once("<meta http-equiv").unwrap();
        let (_, after) = rest.split_once("</style>").unwrap();
        insta::assert_snapshot!("page", format!("{before}{after}"));
    }
}
