//! A statement as a page for an auditor.

use super::reason::Class;
use super::{Checked, Reason, Statement, Survey};
use crate::html::{self, cards, escape, table};

/// Conversations that the page names; the document has all.
const NAMED: usize = 200;

/// Returns the page of a statement whose document has this SHA-256.
pub(super) fn page(statement: &Statement, hash: &str) -> String {
    let mut body = format!(
        "<p class=\"dim\">Statement {} of the conversations that began on {} (UTC), issued at {:.0}.{}</p>\n{}",
        statement.number,
        statement.day,
        statement.issued_at,
        match &statement.supersedes {
            Some(before) => format!(
                " It supersedes <code>{}</code> (SHA-256 <code>{}</code>).",
                escape(&before.archive_key),
                escape(&before.hash)
            ),
            None => String::new(),
        },
        verdict(statement)
    );
    body.push_str(&figures(statement));
    body.push_str(&open(statement));
    if let Some(survey) = &statement.survey {
        body.push_str(&beside(survey));
    }
    body.push_str(&format!(
        "<p class=\"dim\">SHA-256 of the statement's document, which the audit holds as <code>statement.issued</code>: \
         <code>{}</code></p>\n",
        escape(hash)
    ));
    html::page("Completeness statement", &statement.day.to_string(), &body)
}

fn verdict(statement: &Statement) -> String {
    let figures = &statement.figures;
    let told = format!(
        "{} conversations, {} with a recording: {} archived, {} filtered, {} erased",
        figures.listed,
        figures.recorded(),
        figures.of(Reason::Archived),
        figures.of(Reason::Filtered),
        figures.of(Reason::Erased)
    );
    if statement.clean {
        return format!("<p class=\"verdict good\">Complete: {told}. Nothing is missing.</p>\n");
    }
    let waiting = figures.of(Reason::Waiting);
    let found = statement
        .survey
        .as_ref()
        .map_or(0, |survey| survey.deletions_ahead + survey.late_recordings);
    let class = if figures.gaps + figures.unreadable + found > 0 {
        "bad"
    } else {
        "warn"
    };
    format!(
        "<p class=\"verdict {class}\">Not complete: {told}; {} not accounted for, {waiting} waited for, {} entries of \
         Genesys' list unreadable.</p>\n",
        figures.gaps, figures.unreadable
    )
}

fn figures(statement: &Statement) -> String {
    let figures = &statement.figures;
    let mut rows = vec![
        vec![
            "listed by Genesys".to_owned(),
            figures.listed.to_string(),
            String::new(),
        ],
        vec![
            "without a recording".to_owned(),
            figures.unrecorded.to_string(),
            "no recording was started".to_owned(),
        ],
    ];
    for (label, count) in &figures.reasons {
        let name = label.split(':').next().unwrap_or_default();
        let reason = Reason::ALL.into_iter().find(|reason| reason.as_str() == name);
        let class = match reason.map(Reason::class) {
            Some(Class::Settled) => "good",
            Some(Class::Pending) => "warn",
            Some(Class::Gap) | None => "bad",
        };
        rows.push(vec![
            format!("<span class=\"{class}\">{}</span>", escape(label)),
            count.to_string(),
            escape(reason.map_or("", Reason::meaning)),
        ]);
    }
    let list = if statement.list_complete {
        "Genesys' list was that of an analytics job, whose data is complete for the day."
    } else {
        "Genesys' list was that of a query: the data of its analytics jobs did not cover the day yet."
    };
    format!(
        "<h2>Every conversation of the day</h2>\n{}<p class=\"dim\">{list}</p>\n",
        table(&["Reason", "Conversations", "Meaning"], &rows)
    )
}

fn open(statement: &Statement) -> String {
    if statement.open.is_empty() && statement.parts.is_empty() {
        return String::new();
    }
    let rows = statement.open.iter().take(NAMED).map(|open| {
        let details = open.recordings.iter().map(|one| {
            let error = one.error.as_deref().unwrap_or_default();
            escape(format!("{} {}: {error}", one.recording_id, one.state))
        });
        let deletion = open.delete_date.map_or_else(String::new, |at| format!("{at:.0}"));
        vec![
            format!("<code>{}</code>", escape(&open.interaction_id)),
            format!("<span class=\"fixed\">{:.0}</span>", open.start),
            escape(&open.reason),
            escape(if open.sent { "sent" } else { "" }),
            escape(deletion),
            details.collect::<Vec<_>>().join("<br>"),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let more: u64 = statement.parts.iter().map(|part| part.open).sum::<u64>()
        + statement.open.len().saturating_sub(NAMED) as u64;
    let more = match more {
        0 => String::new(),
        more => format!("<p class=\"dim\">{more} more are named in the document and its parts.</p>\n"),
    };
    let heads = [
        "Conversation",
        "Began",
        "Reason",
        "Job",
        "Deleted at Genesys",
        "Recordings",
    ];
    format!("<h2>Not accounted for</h2>\n{}{more}", cards(&heads, &rows))
}

fn beside(survey: &Survey) -> String {
    let code = |text: &str| format!("<code>{}</code>", escape(text));
    let mut html = String::new();
    let mut section = |title: &str, count: u64, heads: &[&str], rows: Vec<Vec<String>>| {
        if count > 0 {
            html.push_str(&format!("<h2>{title}: {count}</h2>\n{}", cards(heads, &rows)));
        }
    };
    let deletions = survey.deletions.iter().map(|deletion| {
        let at = format!("<span class=\"warn fixed\">{:.0}</span>", deletion.delete_date);
        vec![at, code(&deletion.interaction_id), code(&deletion.recording_id)]
    });
    let heads = ["Deleted at", "Conversation", "Recording"];
    let title = "Not archived, and deleted by Genesys within 14 days";
    section(title, survey.deletions_ahead, &heads, deletions.collect());
    let late = survey.late.iter().map(|late| {
        let at = late.created_at.map_or_else(String::new, |at| format!("{at:.0}"));
        vec![escape(at), code(&late.interaction_id), code(&late.recording_id)]
    });
    let heads = ["Made at", "Conversation", "Recording"];
    section(
        "Appeared after their conversation was settled",
        survey.late_recordings,
        &heads,
        late.collect(),
    );
    let orphans = survey.orphans.iter().map(|orphan| {
        let conversation = orphan.interaction_id.as_deref().unwrap_or("unknown");
        vec![
            code(&orphan.orphan_id),
            code(conversation),
            escape(&orphan.status),
        ]
    });
    let heads = ["Orphan recording", "Conversation", "Status"];
    section(
        "Orphan recordings at Genesys",
        survey.orphans_checked.read,
        &heads,
        orphans.collect(),
    );
    let uploads = survey.failed_uploads.iter().map(|id| vec![code(&id.to_string())]);
    section(
        "Ids in Genesys' report of failed uploads",
        survey.uploads_checked.read,
        &["Id"],
        uploads.collect(),
    );
    let checks = [
        ("recordings that came late, and deletions ahead", &survey.kept),
        ("orphan recordings", &survey.orphans_checked),
        ("failed uploads", &survey.uploads_checked),
    ];
    let rows: Vec<_> = checks
        .into_iter()
        .map(|(what, checked)| check(what, checked))
        .collect();
    html.push_str(&format!(
        "<h2>What else was checked</h2>\n{}",
        cards(&["What", "Checked", "Entries read", "Why not"], &rows)
    ));
    html
}

fn check(what: &str, checked: &Checked) -> Vec<String> {
    let (class, told) = match (checked.complete, checked.read) {
        (true, _) => ("good", "to the end"),
        (false, 0) => ("warn", "not checked"),
        (false, _) => ("warn", "in part"),
    };
    vec![
        escape(what),
        format!("<span class=\"{class}\">{told}</span>"),
        checked.read.to_string(),
        escape(checked.why.as_deref().unwrap_or_default()),
    ]
}
