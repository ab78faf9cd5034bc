//! What text and page tell of a chain of custody alike.

use recording_archiver::domain::audit::{Action, AuditEvent};
use recording_archiver::ops::audit::Audit;
use recording_archiver::ops::custody::{self, Custody};
use recording_archiver::ops::verify::Ending;
use serde_json::Value;

use crate::words::{capitalised, counted, duration, exact_bytes};

/// Says that a recording of a conversation is not archived, and how it stands.
pub(super) fn not_archived(custody: &Custody) -> String {
    let named = capitalised(&custody::named(&custody.recording));
    format!("{named} is not archived: {}", state(custody))
}

/// Says what became of the files of a conversation without findings, and what the log says.
pub(super) fn files_read(audit: &Audit) -> String {
    let said = audit.sealed.as_ref().map(|log| {
        let events = audit.custodies.iter().map(|custody| &custody.events);
        let events = events.chain(audit.accesses.iter().map(|chain| &chain.events));
        let events: usize = events.map(Vec::len).sum();
        let kept = match log.kept {
            true => ", and goes on from the checkpoint that was given",
            false => "; not held against a checkpoint kept outside (--checkpoint)",
        };
        format!(
            "; the log {} holds {} of {events} events and no record of a change{kept}",
            log.origin,
            log.leaves.len()
        )
    });
    let unsaid = || "; no log is configured: a history that was rewritten as a whole is not found".to_owned();
    files_alone(audit) + &said.unwrap_or_else(unsaid)
}

/// Says what became of the files.
fn files_alone(audit: &Audit) -> String {
    match &audit.proven {
        None => "no file was read back".to_owned(),
        Some(proven) => {
            let read = match proven.len() {
                0 if !audit.gone.is_empty() => "no file was read back".to_owned(),
                files => {
                    let files = counted(files as u64, "file", "files");
                    format!("{files} read back: as archived, to the byte")
                }
            };
            [Ending::Expired, Ending::Untraced, Ending::Erased]
                .into_iter()
                .filter_map(|ending| ended(audit, ending))
                .fold(read, |text, ended| format!("{text}; {ended}"))
        }
    }
}

/// Says how many files ended like this, if any did.
fn ended(audit: &Audit, ending: Ending) -> Option<String> {
    let files = audit.gone.iter().filter(|gone| gone.ending == ending);
    let files = Some(files.count() as u64).filter(|files| *files > 0)?;
    let are = counted(files, "file is", "files are");
    let have = counted(files, "file has", "files have");
    Some(match ending {
        Ending::Expired => format!("{have} expired"),
        Ending::Untraced => format!("{are} gone without a trace of when, and the lock has ended"),
        Ending::Erased => format!("{have} been erased on purpose"),
    })
}

/// Says whether the log holds an event, where one is configured.
pub(super) fn sealed(audit: &Audit, event: &AuditEvent) -> Option<(&'static str, String)> {
    let log = audit.sealed.as_ref()?;
    let sealed = match log.leaf(event) {
        Some(leaf) => format!("leaf {leaf} of the log {}", log.origin),
        None => "not yet".to_owned(),
    };
    Some(("sealed", sealed))
}

pub(super) fn state(custody: &Custody) -> &'static str {
    custody.state().map_or("no state", |state| state.as_str())
}

/// Returns each event, with the one before it.
pub(super) fn with_before(events: &[AuditEvent]) -> impl Iterator<Item = (&AuditEvent, Option<&AuditEvent>)> {
    let before = std::iter::once(None).chain(events.iter().map(Some));
    events.iter().zip(before)
}

/// Returns a moment as the other times of the audit are written; anything else as it is.
fn to_the_microsecond(value: &str) -> String {
    let moment: Result<jiff::Timestamp, _> = value.parse();
    moment.map_or_else(|_| value.to_owned(), |moment| format!("{moment:.6}"))
}

/// Returns an event beyond its time and action, in words. Statements of Genesys are shown where they are new.
pub(super) fn particulars(event: &AuditEvent, before: Option<&AuditEvent>) -> Vec<(&'static str, String)> {
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
    if let Some(who) = event.actor().and_then(|actor| actor.identity) {
        told.push(("by", who));
    }
    for file in event.accessed() {
        told.push(("file", file.to_owned()));
    }
    let named = [
        ("why", "reason"),
        ("access", "access"),
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
