//! The report as a page.

use jiff::Timestamp;
use recording_archiver::ops::report::{Day, Figures, LISTED, Lengths, NAMED, NEAR, OTHER, OUTCOMES, Report};

use super::chart::{self, Unit};
use super::level;
use crate::html::{self, cards, escape, table};
use crate::words::{Zone, bytes, count, counted, duration};

/// Returns the whole page; `now` says when it was made.
pub(super) fn page(report: &Report, now: Timestamp, zone: &Zone) -> String {
    let figures = &report.figures;
    let days_of = if figures.from == figures.to {
        format!("{}, a day", figures.from)
    } else {
        format!("{} to {}, days", figures.from, figures.to)
    };
    let mut body = format!(
        "<p class=\"dim\">{days_of} in UTC. Made by archivectl at {} from ledger and audit.</p>\n{}",
        zone.second(now),
        chains(figures)
    );
    body.push_str(&tiles(figures));
    body.push_str(&days(&report.days));
    body.push_str("<h2>How recordings ended</h2>\n");
    let outcomes: Vec<_> = OUTCOMES
        .iter()
        .map(|outcome| ((*outcome).to_owned(), ended(figures, outcome)))
        .collect();
    body.push_str(&chart::shares(["State", "Recordings", "Share"], &outcomes));
    body.push_str(&lengths(figures));
    body.push_str(&failures(figures));
    body.push_str(&deadlines(figures, zone));
    html::page("Recording archive", "", &body)
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
        chart::bars("Recordings archived per day", &recordings, Unit::Count),
        chart::bars("Bytes archived per day", &sizes, Unit::Bytes)
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
    let heads = ["", "half within", "90 % within", "99 % within", "longest"];
    format!(
        "<h2>How long it took</h2>\n{}<p class=\"dim\">Percentiles are exact to within 5 %.</p>\n{}",
        table(&heads, &rows),
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
    html.push_str(&chart::shares(["Reason", "Times", "Share"], &rows));
    let named = rows.iter().filter_map(|(reason, _)| {
        let ids = figures.failed_conversations.get(reason)?.iter();
        let ids: Vec<_> = ids.map(|id| format!("<code>{}</code>", escape(id))).collect();
        Some(vec![escape(reason), ids.join("<br>")])
    });
    html.push_str(&format!(
        "<p class=\"dim\">The conversations behind them, the first {NAMED} for each reason:</p>\n{}",
        cards(&["Reason", "Conversations"], &named.collect::<Vec<_>>())
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
    html.push_str(&cards(
        &[
            &format!("Deleted at ({zone})"),
            "Conversation",
            "Recording",
            "State",
        ],
        &rows,
    ));
    html
}
