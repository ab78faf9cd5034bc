//! The report as a page.

use indicatif::{HumanBytes, HumanCount};

use super::chart::{self, Unit};
use super::tally::{Histogram, LISTED, NEAR, OTHER, OUTCOMES, Tally};
use super::words;
use crate::days::Range;
use crate::html::{self, escape, table};

/// The whole page; `now` says when it was made.
pub(super) fn page(range: Range, tally: &Tally, now: &str) -> String {
    let total = tally.total();
    let mut body = format!(
        "<p class=\"dim\">{range}, days in UTC. Made by archivectl at {now} from ledger and audit.</p>\n{}",
        chains(tally)
    );
    body.push_str("<div class=\"tiles\">");
    let count = |outcome| tally.outcomes.get(outcome).copied().unwrap_or_default();
    let waiting = count("waiting") + count("in progress");
    for (name, value) in [
        ("recordings archived", HumanCount(total.recordings).to_string()),
        ("in S3", HumanBytes(total.bytes).to_string()),
        ("failed, not archived", HumanCount(count("failed")).to_string()),
        ("not finished", HumanCount(waiting).to_string()),
        ("expired at Genesys", HumanCount(count("expired")).to_string()),
    ] {
        body.push_str(&format!("<div><b>{}</b>{name}</div>", escape(value)));
    }
    body.push_str("</div>\n");
    let day = |of: fn(&super::tally::Day) -> u64| {
        let days = tally
            .days
            .iter()
            .map(|(date, day)| (date.strftime("%m-%d").to_string(), of(day)));
        days.collect::<Vec<_>>()
    };
    body.push_str("<h2>Recordings archived per day</h2>\n");
    let recordings = day(|day| day.recordings);
    body.push_str(&chart::bars(
        "Recordings archived per day",
        &recordings,
        Unit::Count,
    ));
    body.push_str("<h2>Bytes archived per day</h2>\n");
    let bytes = day(|day| day.bytes);
    body.push_str(&chart::bars("Bytes archived per day", &bytes, Unit::Bytes));
    body.push_str("<h2>How recordings ended</h2>\n");
    let outcomes: Vec<_> = OUTCOMES
        .iter()
        .map(|outcome| ((*outcome).to_owned(), count(*outcome)))
        .collect();
    body.push_str(&chart::shares(["State", "Recordings", "Share"], &outcomes));
    body.push_str("<h2>How long it took</h2>\n");
    let row = |name: &str, histogram: &Histogram| {
        let figures = [50, 90, 99].map(|percent| histogram.percentile(percent));
        let figures = figures.into_iter().chain([histogram.most()]);
        let told = figures.map(|value| value.map_or_else(|| "–".to_owned(), words::duration));
        [escape(name)].into_iter().chain(told).collect::<Vec<_>>()
    };
    let rows = [
        row("a run, from its claim to the verified object", &tally.latency),
        row("age when archived, from the start of the recording", &tally.age),
    ];
    body.push_str(&table(
        &["", "half within", "90 % within", "99 % within", "longest"],
        &rows,
    ));
    body.push_str("<p class=\"dim\">Percentiles are exact to within 5 %.</p>\n");
    body.push_str(&failures(tally));
    body.push_str(&deadlines(tally));
    html::page("Recording archive", &body)
}

fn chains(tally: &Tally) -> String {
    let checked = HumanCount(tally.chains);
    match tally.broken_chains {
        0 => format!(
            "<p class=\"verdict good\">{checked} audit chains checked: all whole. Whether the objects are as archived is \
             proven by <code>archivectl verify</code>.</p>\n"
        ),
        broken => format!(
            "<p class=\"verdict bad\">{} of {checked} audit chains are not whole: run <code>archivectl verify</code>.</p>\n",
            HumanCount(broken)
        ),
    }
}

fn failures(tally: &Tally) -> String {
    let mut html = format!(
        "<h2>Failures by reason</h2>\n<p class=\"dim\">Failed runs and webhook deliveries, whatever became of the recording later. \
         Times that a recording was put off because Genesys was not ready: {}.</p>\n",
        HumanCount(tally.deferrals)
    );
    let reasons = tally.reasons();
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
    html
}

fn deadlines(tally: &Tally) -> String {
    let mut html = format!(
        "<h2>Not archived, and to be deleted at Genesys within {} days</h2>\n",
        NEAR.as_hours() / 24
    );
    if tally.deadlines.is_empty() {
        html.push_str("<p>None that is known. Conversations that the archiver never saw are found by <code>archivectl reconcile</code>.</p>\n");
        return html;
    }
    if tally.deadlines_near > tally.deadlines.len() as u64 {
        html.push_str(&format!(
            "<p>{}, of which these are the next ones:</p>\n",
            HumanCount(tally.deadlines_near)
        ));
    }
    let rows: Vec<_> = tally
        .deadlines
        .iter()
        .map(|deadline| {
            let at = deadline.at.strftime("%Y-%m-%d %H:%M").to_string();
            let code = |text: &str| format!("<code>{}</code>", escape(text));
            vec![
                format!("<span class=\"warn fixed\">{at}</span>"),
                code(&deadline.conversation),
                code(&deadline.recording),
                escape(deadline.state),
            ]
        })
        .collect();
    html.push_str(&table(
        &["Deleted at (UTC)", "Conversation", "Recording", "State"],
        &rows,
    ));
    html
}
