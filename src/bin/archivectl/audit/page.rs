//! The chain of custody as a page.

use jiff::Timestamp;
use recording_archiver::domain::audit::AuditEvent;
use recording_archiver::ops::audit::Audit;
use recording_archiver::ops::custody::{self, Custody};

use super::told::{files_read, not_archived, particulars, sealed, state, with_before};
use crate::html::{self, cards, escape, figures, texts};
use crate::words::{Zone, capitalised, exact_bytes};

/// Returns the page for people.
pub(super) fn page(audit: &Audit, now: Timestamp, zone: &Zone) -> String {
    let body = format!(
        "<p class=\"dim\">Made by archivectl at {} from audit, ledger and files.</p>\n{}",
        zone.second(now),
        custody(audit, zone, "h2")
    );
    let subject = format!("of conversation {}", audit.conversation);
    html::page("Chain of custody", &subject, &body)
}

/// Returns the chain of custody as a part of a page, with headings of this `rank`.
pub(crate) fn custody(audit: &Audit, zone: &Zone, rank: &str) -> String {
    let mut body = verdict(audit);
    for custody in &audit.custodies {
        body.push_str(&section(audit, custody, zone, rank));
    }
    for chain in &audit.accesses {
        let heading = escape(capitalised(&chain.name.to_string()));
        body.push_str(&format!("<{rank}>{heading}</{rank}>\n"));
        body.push_str(&events(audit, &chain.events, None, zone));
    }
    body + &how_to_check(rank)
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
fn section(audit: &Audit, custody: &Custody, zone: &Zone, rank: &str) -> String {
    let mut html = format!(
        "<{rank}>{}: {}</{rank}>\n",
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
        html.push_str(&cards(
            "Files",
            &[
                texts("Object"),
                figures("Size"),
                texts("SHA-256"),
                texts("Read back"),
            ],
            &files,
        ));
    }
    let counted = custody.record.as_ref().map(|record| record.seq);
    html.push_str(&events(audit, &custody.events, counted, zone));
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

/// Returns the table of a chain's events, with a mark where one is missing. `counted` is the number of them by the
/// ledger, which does not know all chains.
fn events(audit: &Audit, events: &[AuditEvent], counted: Option<u64>, zone: &Zone) -> String {
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
    for (event, before) in with_before(events) {
        let seq = event.seq().unwrap_or_default();
        if seq > last + 1 {
            rows.push(missing(last + 1, seq - 1));
        }
        rows.push(event_row(audit, event, before, zone));
        last = seq.max(last);
    }
    if let Some(counted) = counted.filter(|counted| *counted > last) {
        rows.push(missing(last + 1, counted));
    }
    let time = format!("Time ({zone})");
    let columns = [texts("#"), texts(&time), texts("Event"), texts("")];
    cards("Events in order of their chain", &columns, &rows)
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

fn how_to_check(rank: &str) -> String {
    format!("<{rank}>How to check this yourself</{rank}>\n{HOW_TO_CHECK}")
}

const HOW_TO_CHECK: &str = "<p>An object: download it and run <code>sha256sum</code>; the result is the SHA-256 above, and stands in the object's tag \
<code>sha256</code> too.</p>\n\
<p>An event: take its item from the audit table, leave <code>eventHash</code> out, write the rest as JSON with sorted keys and \
without spaces; the SHA-256 of that text is its <code>eventHash</code>, and stands as <code>prevEventHash</code> in the event \
after it. The last one stands as <code>chainHead</code> in the ledger.</p>\n";

fn text_cell(event: &AuditEvent, name: &str) -> String {
    let value = &event[name];
    escape(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}
