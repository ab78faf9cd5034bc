//! `archivectl audit`: the chain of custody of one conversation, for people who have to show it.

use std::path::PathBuf;

use recording_archiver::archive::audit::AuditItem;
use recording_archiver::archive::recording::ConversationId;
use serde_json::{Value, json};

use crate::custody::{self, Custody, text};
use crate::finding::Finding;
use crate::html::{self, escape, table};
use crate::out::{BAD, DIM, GOOD, Out, Text};
use crate::session::{self, Session};
use crate::{Failure, Verdict};

/// Show the chain of custody of a conversation: who asked, when downloaded, what hash, where stored, who was told.
///
/// Tells every event of its recordings in order, failures too, and checks that none was changed, removed or added since.
/// The objects themselves are read back by `archivectl verify CONVERSATION`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archivectl audit c0000000-0000-4000-8000-000000000001
  archivectl audit c0000000-0000-4000-8000-000000000001 --html custody.html    a page for an auditor
  archivectl audit c0000000-0000-4000-8000-000000000001 --json                 the events as they are

Exit code 1: the chain is not whole, or nothing is known of the conversation.")]
pub(crate) struct Args {
    /// Which conversation.
    #[arg(value_name = "CONVERSATION", value_parser = session::conversation)]
    conversation: ConversationId,
    /// Write a page for people into this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(crate) async fn run(args: &Args, session: &Session, out: Out) -> Result<Verdict, Failure> {
    let (custodies, mut findings) = custody::of(&session.ledger(), args.conversation).await?;
    findings.extend(custodies.iter().flat_map(|custody| custody.findings.clone()));
    for custody in &custodies {
        tell(custody, out);
    }
    if let Some(path) = &args.html {
        let now = session.clock.now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        html::write(path, &page(args.conversation, &custodies, &findings, &now))?;
        out.note(format!("written: {}", path.display()));
    }
    let recordings = custodies.iter().map(|custody| {
        let record = custody.record.as_ref();
        json!({"recordingId": custody.recording, "state": record.map(|record| record.state.as_str()),
               "events": custody.events.len(), "chainHead": record.map(|record| &record.chain_head),
               "files": record.map(|record| &record.files), "whole": custody.findings.is_empty()})
    });
    let value = json!({"interactionId": args.conversation.to_string(), "recordings": recordings.collect::<Vec<_>>(),
                       "findings": findings.iter().map(Finding::json).collect::<Vec<_>>()});
    out.summary(&value, || {
        let mut texts = findings.iter().map(Finding::text);
        match texts.next() {
            Some(first) => texts.fold(first, |text, next| text.lines(&next)),
            None => Text::styled(GOOD, "whole")
                .add(": no event was changed, removed or added, and the ledger knows each chain's end"),
        }
    });
    Ok(if findings.is_empty() {
        Verdict::Clean
    } else {
        Verdict::Findings
    })
}

fn tell(custody: &Custody, out: Out) {
    out.heading(|| format!("{}: {}", custody::named(&custody.recording), state(custody)));
    for (event, before) in with_before(&custody.events) {
        out.item(&Value::Object(event.clone()), || {
            let action = text(event, "action");
            let style = if event.contains_key("error") { BAD } else { GOOD };
            let line = Text::new(format!("  {}  ", text(event, "timestamp"))).style(style, action);
            particulars(event, before)
                .into_iter()
                .fold(line, |line, (name, value)| {
                    let line = line.line().add("      ");
                    line.style(DIM, format!("{name:<10}")).add(format!(" {value}"))
                })
        });
    }
}

fn state(custody: &Custody) -> &'static str {
    custody
        .record
        .as_ref()
        .map_or("not in the ledger", |record| record.state.as_str())
}

/// Each event, with the one before it.
fn with_before(events: &[AuditItem]) -> impl Iterator<Item = (&AuditItem, Option<&AuditItem>)> {
    let before = std::iter::once(None).chain(events.iter().map(Some));
    events.iter().zip(before)
}

/// What an event says beyond time and action, in words. What Genesys says is told when it is new.
fn particulars(event: &AuditItem, before: Option<&AuditItem>) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    let actor = |name: &str| event.get("actor")?.get(name)?.as_str().map(str::to_owned);
    let trigger = ["messageId", "eventId"].into_iter().find_map(actor);
    let mut asked = actor("source").unwrap_or_default();
    if let Some(id) = trigger {
        asked.push_str(&format!(" {id}"));
    }
    if let Some(who) = actor("requestedBy") {
        asked.push_str(&format!(", by {who}"));
    }
    if event.get("action") == Some(&"download.initiated".into()) {
        told.push(("asked", asked));
        let run = ["requestId", "functionVersion"].map(|name| actor(name).unwrap_or_default());
        told.push(("run", format!("request {}, version {}", run[0], run[1])));
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
        if let Some(value) = event.get(name).and_then(Value::as_str) {
            told.push((label, value.to_owned()));
        }
    }
    if let Some(number) = event.get("look").and_then(Value::as_u64) {
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
    if let Some(size) = event.get("sizeBytes").and_then(Value::as_u64) {
        told.push(("size", format!("{} bytes", indicatif::HumanCount(size))));
    }
    if let Some(latency) = event.get("latencyMs").and_then(Value::as_u64) {
        told.push(("took", format!("{} ms", indicatif::HumanCount(latency))));
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

/// The page for people.
fn page(conversation: ConversationId, custodies: &[Custody], findings: &[Finding], now: &str) -> String {
    let verdict = if findings.is_empty() {
        "<p class=\"verdict good\">The chain of custody is whole: no event was changed, removed or added since it was written.</p>\n"
            .to_owned()
    } else {
        let items = findings
            .iter()
            .map(|finding| format!("<p class=\"verdict bad\">{}</p>\n", escape(finding.plain())));
        items.collect()
    };
    let mut body =
        format!("<p class=\"dim\">Made by archivectl at {now} from ledger and audit.</p>\n{verdict}");
    for custody in custodies {
        body.push_str(&format!(
            "<h2>{}: {}</h2>\n",
            escape(custody::named(&custody.recording)),
            escape(state(custody))
        ));
        let files = custody.record.iter().flat_map(|record| &record.files);
        let files: Vec<_> = files
            .map(|file| {
                let code = |text: &str| format!("<code>{}</code>", escape(text));
                vec![
                    code(&file.archive_key),
                    indicatif::HumanCount(file.size_bytes).to_string(),
                    code(&file.sha256),
                ]
            })
            .collect();
        if !files.is_empty() {
            body.push_str(&table(&["Object", "Bytes", "SHA-256"], &files));
        }
        let events = with_before(&custody.events).map(|(event, before)| {
            let particulars = particulars(event, before);
            let particulars = particulars.iter().map(|(name, value)| {
                format!("<span class=\"dim\">{name}</span> <code>{}</code>", escape(value))
            });
            let class = if event.contains_key("error") {
                "bad"
            } else {
                "good"
            };
            vec![
                text_cell(event, "seq"),
                format!("<span class=\"fixed\">{}</span>", text_cell(event, "timestamp")),
                format!("<span class=\"{class}\">{}</span>", text_cell(event, "action")),
                particulars.collect::<Vec<_>>().join("<br>"),
            ]
        });
        body.push_str(&table(
            &["", "Time (UTC)", "Event", ""],
            &events.collect::<Vec<_>>(),
        ));
        if let Some(record) = &custody.record {
            body.push_str(&format!(
                "<p class=\"dim\">End of the chain in the ledger: event {}, hash <code>{}</code></p>\n",
                record.seq,
                escape(&record.chain_head)
            ));
        }
    }
    body.push_str(HOW_TO_CHECK);
    html::page(&format!("Chain of custody of conversation {conversation}"), &body)
}

const HOW_TO_CHECK: &str = "<h2>How to check this yourself</h2>\n\
<p>An object: download it and run <code>sha256sum</code>; the result is the SHA-256 above, and stands in the object's tag \
<code>sha256</code> too.</p>\n\
<p>An event: take its item from the audit table, leave <code>eventHash</code> out, write the rest as JSON with sorted keys and \
without spaces; the SHA-256 of that text is its <code>eventHash</code>, and stands as <code>prevEventHash</code> in the event \
after it. The last one stands as <code>chainHead</code> in the ledger.</p>\n";

fn text_cell(event: &AuditItem, name: &str) -> String {
    let value = event.get(name).unwrap_or(&Value::Null);
    escape(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}
