//! The report as a page.

use std::collections::BTreeSet;

use jiff::Timestamp;
use recording_archiver::ops::report::{
    Compared, Day, Figures, LISTED, Lengths, Month, NAMED, NEAR, OTHER, OUTCOMES, Report,
};

use super::chart::{self, Unit};
use super::level;
use crate::html::{self, cards, escape, figures as figures_column, table, texts};
use crate::words::{Zone, bytes, count, counted, duration};

/// Returns the whole page about the archive of `organisation`; `now` says when it was made.
pub(super) fn page(report: &Report, organisation: &str, now: Timestamp, zone: &Zone) -> String {
    let figures = &report.figures;
    let span = if figures.from == figures.to {
        figures.from.to_string()
    } else {
        format!("{} to {}", figures.from, figures.to)
    };
    let sources = match &figures.genesys {
        None => "ledger and audit",
        Some(_) => "ledger, audit and the lists of Genesys",
    };
    let mut body = format!(
        "<p class=\"dim\">Days in UTC. Made by archivectl at {} from {sources}.</p>\n{}",
        zone.second(now),
        chains(figures)
    );
    body.push_str(&tiles(figures));
    body.push_str(&completeness(figures));
    body.push_str(&days(&report.days));
    body.push_str("<h2>How recordings ended</h2>\n");
    let outcomes: Vec<_> = OUTCOMES
        .iter()
        .map(|outcome| ((*outcome).to_owned(), ended(figures, outcome)))
        .collect();
    body.push_str(&chart::shares(
        "Recordings by state",
        ["State", "Recordings", "Share"],
        &outcomes,
    ));
    body.push_str(&months(figures, zone));
    body.push_str(&lengths(figures));
    body.push_str(&failures(figures));
    body.push_str(&deadlines(figures, zone));
    html::page("Recording archive", &format!("{organisation}, {span}"), &body)
}

/// Says what was recorded, what is archived and what is missing, with the ids behind it.
fn completeness(figures: &Figures) -> String {
    let mut html = String::from("<h2>Recorded, archived, missing</h2>\n");
    match &figures.genesys {
        None => html.push_str(
            "<p class=\"warn\">Genesys was not asked, so what the archiver never saw is not among these: run \
             <code>archivectl report --genesys</code>, or <code>archivectl reconcile</code>.</p>\n",
        ),
        Some(compared) => html.push_str(&by_genesys(compared)),
    }
    let rows: Vec<_> = figures
        .recordings_by_state
        .iter()
        .map(|(state, named)| {
            let number = count(ended(figures, state));
            vec![escape(state), number, codes(named)]
        })
        .collect();
    if rows.is_empty() {
        html.push_str("<p>Every recording that was worked on in these days is archived.</p>\n");
    } else {
        let caption = format!(
            "Recordings that were worked on in these days and are not archived, the first {NAMED} of each state"
        );
        let columns = [
            texts("State"),
            figures_column("Recordings"),
            texts("Conversation / recording"),
        ];
        html.push_str(&cards(&caption, &columns, &rows));
    }
    html
}

/// Shows the comparison with Genesys.
fn by_genesys(compared: &Compared) -> String {
    let class = if compared.findings() == 0 { "good" } else { "bad" };
    let mut html = format!(
        "<p class=\"verdict {class}\">Conversations that began in these days and were recorded at Genesys: {}; archived: {}; \
         not yet: {}; missing: {}.</p>\n",
        count(compared.recorded),
        count(compared.archived),
        count(compared.waiting),
        count(compared.missing)
    );
    if compared.ongoing + compared.unreadable + compared.not_listed > 0 {
        html.push_str(&format!(
            "<p class=\"dim\">Besides: {} not over, {} of Genesys' entries unreadable, {} archived and not listed by \
             Genesys.</p>\n",
            count(compared.ongoing),
            count(compared.unreadable),
            count(compared.not_listed)
        ));
    }
    let rows: Vec<_> = compared
        .reasons
        .iter()
        .map(|(reason, number)| {
            let named = compared.conversations.get(reason.as_str());
            vec![
                escape(reason.as_str()),
                count(*number),
                named.map(codes).unwrap_or_default(),
            ]
        })
        .collect();
    let caption = format!("Recorded conversations by reason, the first {NAMED} of each that is not archived");
    let columns = [
        texts("Reason"),
        figures_column("Conversations"),
        texts("Conversation"),
    ];
    html.push_str(&cards(&caption, &columns, &rows));
    html
}

fn codes(ids: &BTreeSet<String>) -> String {
    let ids: Vec<_> = ids
        .iter()
        .map(|id| format!("<code>{}</code>", escape(id)))
        .collect();
    ids.join("<br>")
}

/// Shows retention, locks and holds by month.
fn months(figures: &Figures, zone: &Zone) -> String {
    let mut html = String::from("<h2>Retention, locks and holds</h2>\n");
    let asked = figures.months.iter().any(|month| month.holds.is_some());
    html.push_str(match asked {
        true => "<p class=\"dim\">As S3 told them for each file when this was made.</p>\n",
        false => {
            "<p class=\"dim\">As they were when each file was archived, by the audit. S3 was not asked for locks and holds \
             of now: <code>archivectl report --locks</code>.</p>\n"
        }
    });
    if figures.months.is_empty() {
        html.push_str("<p>No file was archived in these days.</p>\n");
        return html;
    }
    let moment = |at: Option<Timestamp>| at.map_or_else(|| "–".to_owned(), |at| zone.minute(at));
    let row = |month: &Month| {
        let figures = [
            month.files,
            month.governance,
            month.compliance,
            month.unlocked,
            month.unknown,
            month.over,
        ];
        let holds = month.holds.map_or_else(|| "not asked".to_owned(), count);
        let cells = [escape(&month.month)].into_iter().chain(figures.map(count));
        cells
            .chain([holds, moment(month.first_end), moment(month.last_end)])
            .collect::<Vec<_>>()
    };
    let rows: Vec<_> = figures.months.iter().map(row).collect();
    let ends = [
        format!("First lock ends ({zone})"),
        format!("Last lock ends ({zone})"),
    ];
    let columns = [
        texts("Month of archiving"),
        figures_column("Files"),
        figures_column("GOVERNANCE"),
        figures_column("COMPLIANCE"),
        figures_column("Not locked"),
        figures_column("Not known"),
        figures_column("Lock over"),
        figures_column("Legal hold"),
        figures_column(&ends[0]),
        figures_column(&ends[1]),
    ];
    html.push_str(&cards(
        "Files of recordings by month of archiving",
        &columns,
        &rows,
    ));
    html
}

fn ended(figures: &Figures, outcome: &str) -> u64 {
    figures.outcomes.get(outcome).copied().unwrap_or_default()
}

fn tiles(figures: &Figures) -> String {
    let ended = |outcome| ended(figures, outcome);
    let waiting = ended("waiting") + ended("in progress");
    let mut html = String::from("<div class=\"tiles\">");
    let alarming = |number: u64| if number > 0 { " class=\"bad\"" } else { "" };
    for (name, value, class) in [
        ("recordings archived", count(figures.recordings), ""),
        ("in S3", bytes(figures.bytes), ""),
        (
            "failed, not archived",
            count(ended("failed")),
            alarming(ended("failed")),
        ),
        ("not finished", count(waiting), ""),
        (
            "expired at Genesys",
            count(ended("expired")),
            alarming(ended("expired")),
        ),
    ] {
        html.push_str(&format!("<div><b{class}>{}</b>{name}</div>", escape(value)));
    }
    html.push_str("</div>\n");
    html
}

fn days(days: &[Day]) -> String {
    let bars = |of: fn(&Day) -> u64| {
        let bars = days
            .iter()
            .map(|day| (day.day.strftime("%m-%d").to_string(), of(day)));
        bars.collect::<Vec<_>>()
    };
    let (recordings, sizes) = (bars(|day| day.recordings), bars(|day| day.bytes));
    format!(
        "<h2>Recordings archived per day</h2>\n{}<h2>Bytes archived per day</h2>\n{}",
        chart::bars("Recordings archived per day", "Day", &recordings, Unit::Count),
        chart::bars("Bytes archived per day", "Day", &sizes, Unit::Bytes)
    )
}

fn lengths(figures: &Figures) -> String {
    let row = |name: &str,
               Lengths {
                   p50, p90, p99, max, ..
               }: &Lengths| {
        let told = [p50, p90, p99, max].map(|value| value.map_or_else(|| "–".to_owned(), duration));
        [escape(name)].into_iter().chain(told).collect::<Vec<_>>()
    };
    let rows = [
        row(
            "a run, from its claim to the verified object",
            &figures.latency_ms,
        ),
        row(
            "age when archived, from the start of the recording",
            &figures.age_ms,
        ),
    ];
    let columns = [
        texts("Time of"),
        figures_column("half within"),
        figures_column("90 % within"),
        figures_column("99 % within"),
        figures_column("longest"),
    ];
    format!(
        "<h2>How long it took</h2>\n{}<p class=\"dim\">Percentiles are exact to within 5 %.</p>\n{}",
        table("How long it took", &columns, &rows),
        level::service(figures)
            .map(|told| format!("<p>Service level: {}.</p>\n", escape(told)))
            .unwrap_or_default()
    )
}

fn chains(figures: &Figures) -> String {
    let checked = count(figures.chains);
    match figures.broken_chains {
        0 if figures.chains == 0 => {
            "<p class=\"verdict warn\">No audit chain was there to be checked, so nothing is proven: \
             these are days of archiving, not of the conversations.</p>\n"
                .to_owned()
        }
        0 => format!(
            "<p class=\"verdict good\">{checked} audit chains checked: all whole. Whether the objects are as archived is \
             proven by <code>archivectl verify</code>.</p>\n"
        ),
        broken => format!(
            "<p class=\"verdict bad\">{} of {checked} audit chains are not whole: run <code>archivectl verify</code>.</p>\n",
            count(broken)
        ),
    }
}

fn failures(figures: &Figures) -> String {
    let mut html = format!(
        "<h2>Failures by reason</h2>\n<p class=\"dim\">Failed runs and webhook deliveries, whatever became of the recording later. \
         Deferred because Genesys was not ready: {}.</p>\n",
        counted(figures.deferrals, "time", "times")
    );
    let reasons = figures.reasons();
    if reasons.is_empty() {
        html.push_str("<p>None.</p>\n");
        return html;
    }
    let rest: u64 = reasons.iter().skip(LISTED).map(|(_, count)| count).sum();
    let mut rows: Vec<_> = reasons
        .iter()
        .take(LISTED)
        .map(|(reason, count)| ((*reason).to_owned(), *count))
        .collect();
    if rest > 0 {
        rows.push((OTHER.to_owned(), rest));
    }
    html.push_str(&chart::shares(
        "Failures by reason",
        ["Reason", "Times", "Share"],
        &rows,
    ));
    let named = rows.iter().filter_map(|(reason, _)| {
        let ids = figures.failed_conversations.get(reason)?;
        Some(vec![escape(reason), codes(ids)])
    });
    html.push_str(&cards(
        &format!("The conversations behind them, the first {NAMED} for each reason"),
        &[texts("Reason"), texts("Conversations")],
        &named.collect::<Vec<_>>(),
    ));
    html
}

fn deadlines(figures: &Figures, zone: &Zone) -> String {
    let mut html = format!(
        "<h2>Not archived, and to be deleted at Genesys within {} days</h2>\n",
        NEAR.as_hours() / 24
    );
    if figures.deadlines.is_empty() {
        html.push_str("<p>None that is known. Conversations that the archiver never saw are found by <code>archivectl reconcile</code>.</p>\n");
        return html;
    }
    if figures.deadlines_near > figures.deadlines.len() as u64 {
        html.push_str(&format!(
            "<p>{}, of which these are the next ones:</p>\n",
            count(figures.deadlines_near)
        ));
    }
    let rows: Vec<_> = figures
        .deadlines
        .iter()
        .map(|deadline| {
            let at = zone.minute(deadline.delete_date);
            let code = |text: &str| format!("<code>{}</code>", escape(text));
            vec![
                format!("<span class=\"warn fixed\">{at}</span>"),
                code(&deadline.interaction_id),
                code(&deadline.recording_id),
                escape(deadline.state),
            ]
        })
        .collect();
    let deleted = format!("Deleted at ({zone})");
    let columns = [
        texts(&deleted),
        texts("Conversation"),
        texts("Recording"),
        texts("State"),
    ];
    html.push_str(&cards("The next deletions at Genesys", &columns, &rows));
    html
}
