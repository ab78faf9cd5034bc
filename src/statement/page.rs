//! A statement as a page for an auditor.

use super::reason::Class;
use super::{Checked, Open, OpenRecording, Reason, Statement, Survey};
use crate::html::{self, Column, cards, escape, figures as numbers, texts};

/// Conversations that each table of the page names; the document has all.
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

/// Writes a number.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut told = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

/// Writes a number and what it counts.
fn counted(number: u64, one: &str, more: &str) -> String {
    let noun = if number == 1 { one } else { more };
    format!("{} {noun}", count(number))
}

fn verdict(statement: &Statement) -> String {
    let figures = &statement.figures;
    let told = format!(
        "{}, {} with a recording: {} archived, {} filtered, {} erased",
        counted(figures.listed, "conversation", "conversations"),
        count(figures.recorded()),
        count(figures.of(Reason::Archived)),
        count(figures.of(Reason::Filtered)),
        count(figures.of(Reason::Erased))
    );
    if statement.clean {
        return format!("<p class=\"verdict good\">Complete: {told}. Nothing is missing.</p>\n");
    }
    let found = statement
        .survey
        .as_ref()
        .map_or(0, |survey| survey.deletions_ahead + survey.late_recordings);
    let class = if figures.gaps + figures.unreadable + found > 0 {
        "bad"
    } else {
        "warn"
    };
    let unreadable = match figures.unreadable {
        0 => String::new(),
        number => format!(
            ", {} of Genesys' list unreadable",
            counted(number, "entry", "entries")
        ),
    };
    format!(
        "<p class=\"verdict {class}\">Not complete: {told}; {} not accounted for, {} waited for{unreadable}.</p>\n",
        count(figures.gaps),
        count(figures.of(Reason::Waiting))
    )
}

/// Returns the reason that a label of a statement names.
fn reason(label: &str) -> Option<Reason> {
    let name = label.split(':').next().unwrap_or_default();
    Reason::ALL.into_iter().find(|reason| reason.as_str() == name)
}

fn class(label: &str) -> Class {
    reason(label).map_or(Class::Gap, Reason::class)
}

fn figures(statement: &Statement) -> String {
    let figures = &statement.figures;
    let mut rows = vec![
        vec![
            "listed by Genesys".to_owned(),
            count(figures.listed),
            String::new(),
        ],
        vec![
            "without a recording".to_owned(),
            count(figures.unrecorded),
            "no recording was started".to_owned(),
        ],
    ];
    for (label, number) in &figures.reasons {
        let colour = match class(label) {
            Class::Settled => "good",
            Class::Pending => "warn",
            Class::Gap => "bad",
        };
        rows.push(vec![
            format!("<span class=\"{colour}\">{}</span>", escape(label)),
            count(*number),
            escape(reason(label).map_or("", Reason::meaning)),
        ]);
    }
    let list = if statement.list_complete {
        "Genesys' list was that of an analytics job, whose data is complete for the day."
    } else {
        "Genesys' list was that of a query: the data of its analytics jobs did not cover the day yet."
    };
    let columns = [texts("Reason"), numbers("Conversations"), texts("Meaning")];
    format!(
        "<h2>Every conversation of the day</h2>\n{}<p class=\"dim\">{list}</p>\n",
        cards("Conversations by reason", &columns, &rows)
    )
}

/// Returns the conversations that are not accounted for, and below them those that are waited for.
fn open(statement: &Statement) -> String {
    let (gaps, waiting): (Vec<_>, Vec<_>) = statement
        .open
        .iter()
        .partition(|open| class(&open.reason) == Class::Gap);
    let figures = &statement.figures;
    let gaps = conversations("Not accounted for", figures.gaps, &gaps);
    let waited = figures.of(Reason::Waiting);
    gaps + &conversations("Waited for", waited, &waiting)
}

fn conversations(title: &str, all: u64, open: &[&Open]) -> String {
    if all == 0 {
        return String::new();
    }
    let rows = open.iter().take(NAMED).map(|open| {
        let details = open.recordings.iter().map(told);
        let sent = if open.sent { ", a job was sent" } else { "" };
        let deleted = open
            .delete_date
            .map(|at| format!(", deleted at Genesys at {at:.0}"));
        vec![
            format!("<code>{}</code>", escape(&open.interaction_id)),
            format!("<span class=\"fixed\">{:.0}</span>", open.start),
            escape(format!("{}{sent}{}", open.reason, deleted.unwrap_or_default())),
            details.collect::<Vec<_>>().join("<br>"),
        ]
    });
    let rows: Vec<_> = rows.collect();
    let more = match all.saturating_sub(rows.len() as u64) {
        0 => String::new(),
        more => format!(
            "<p class=\"dim\">{} named in the document and its parts.</p>\n",
            counted(more, "more is", "more are")
        ),
    };
    let table = if rows.is_empty() {
        String::new()
    } else {
        let columns = ["Conversation", "Began", "Reason", "Recordings"].map(texts);
        cards(title, &columns, &rows)
    };
    format!("<h2>{title}: {}</h2>\n{table}{more}", count(all))
}

/// Says how a recording stands that is not archived.
fn told(one: &OpenRecording) -> String {
    let recording = match one.recording_id.as_str() {
        "-" => "the conversation as a whole",
        recording => recording,
    };
    let error = one.error.as_deref().filter(|error| !error.is_empty());
    let error = error.map(|error| format!(": {error}"));
    let told = format!("{recording} {}{}", one.state, error.unwrap_or_default());
    format!("<span class=\"long\">{}</span>", escape(told))
}

fn beside(survey: &Survey) -> String {
    let code = |text: &str| format!("<code>{}</code>", escape(text));
    let mut html = String::new();
    let mut section = |title: &str, number: u64, columns: &[Column<'_>], rows: Vec<Vec<String>>| {
        if number > 0 {
            let number = count(number);
            html.push_str(&format!(
                "<h2>{title}: {number}</h2>\n{}",
                cards(title, columns, &rows)
            ));
        }
    };
    let deletions = survey.deletions.iter().map(|deletion| {
        let at = format!("<span class=\"warn fixed\">{:.0}</span>", deletion.delete_date);
        vec![at, code(&deletion.interaction_id), code(&deletion.recording_id)]
    });
    let columns = ["Deleted at", "Conversation", "Recording"].map(texts);
    let title = "Not archived, and deleted by Genesys within 14 days";
    section(title, survey.deletions_ahead, &columns, deletions.collect());
    let late = survey.late.iter().map(|late| {
        let at = late
            .created_at
            .map_or_else(|| "not told".to_owned(), |at| format!("{at:.0}"));
        let at = format!("<span class=\"fixed\">{}</span>", escape(at));
        vec![at, code(&late.interaction_id), code(&late.recording_id)]
    });
    let columns = ["Made at", "Conversation", "Recording"].map(texts);
    let title = "Appeared after their conversation was settled";
    section(title, survey.late_recordings, &columns, late.collect());
    let orphans = survey.orphans.iter().map(|orphan| {
        let conversation = orphan.interaction_id.as_deref().unwrap_or("unknown");
        let (id, conversation) = (code(&orphan.orphan_id), code(conversation));
        vec![id, conversation, escape(&orphan.status)]
    });
    let columns = ["Orphan recording", "Conversation", "Status"].map(texts);
    let title = "Orphan recordings at Genesys";
    section(title, survey.orphans_checked.read, &columns, orphans.collect());
    if !survey.failed_uploads.is_empty() {
        let ids = survey.failed_uploads.iter();
        let ids: String = ids
            .map(|id| format!("<li>{}</li>", code(&id.to_string())))
            .collect();
        html.push_str(&format!(
            "<h2>Ids in Genesys' report of failed uploads: {}</h2>\n<ul>{ids}</ul>\n",
            count(survey.uploads_checked.read)
        ));
    }
    let checks = [
        ("recordings that came late, and deletions ahead", &survey.kept),
        ("orphan recordings", &survey.orphans_checked),
        ("failed uploads", &survey.uploads_checked),
    ];
    let rows = checks.into_iter().map(|(what, checked)| check(what, checked));
    let columns = [
        texts("What"),
        texts("Checked"),
        numbers("Entries read"),
        texts("Why not"),
    ];
    html.push_str(&format!(
        "<h2>What else was checked</h2>\n{}",
        cards("Other lists of Genesys", &columns, &rows.collect::<Vec<_>>())
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
        count(checked.read),
        escape(checked.why.as_deref().unwrap_or_default()),
    ]
}
