//! `archivectl report`: what a span of days brought, for people who do not read logs.

mod chart;
mod page;
mod tally;
mod words;

use std::path::PathBuf;

use indicatif::{HumanBytes, HumanCount};
use serde_json::json;

use crate::custody;
use crate::days::{Days, Range};
use crate::html;
use crate::out::{BAD, NOTE, Out, Text};
use crate::scan::{self, Scan};
use crate::session::Session;
use crate::{Failure, Verdict};
use tally::{Histogram, Tally};

/// Report what days brought: recordings and bytes, how they ended, how long it took, what failed, what is urgent.
///
/// Counts what was archived in these days, and what is not archived and was last worked on in them. Reads ledger and
/// audit, and checks each audit chain on the way; the objects are read back by `archivectl verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archivectl report --from 2026-03-01 --to 2026-03-31 --html march.html    a page
  archivectl report --from 2026-03-01 --to 2026-03-31 --json               for programs

Exit code 1: an audit chain is not whole.")]
pub(crate) struct Args {
    #[command(flatten)]
    days: Days,
    /// Write a page for people into this file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// How many reasons and deadlines the text shows; the page and `--json` have more.
const SHOWN: usize = 5;

/// How many conversations are read at a time.
const CONCURRENCY: usize = 8;

pub(crate) async fn run(args: &Args, session: &Session, out: Out) -> Result<Verdict, Failure> {
    let now = session.clock.now();
    let range = args
        .days
        .range(now)?
        .ok_or("which days? Give --from, and --to (see --help)")?;
    let ledger = session.ledger();
    let mut tally = Tally::new(range, now);
    let progress = out.progress("report", None);
    let mut scan = Scan::new(&ledger, Some(range.start()));
    while !session.is_interrupted()
        && let Some(page) = scan.next(|record| tally::is_meant(record, range)).await?
    {
        let read = |id| {
            let ledger = ledger.clone();
            async move { custody::of(&ledger, id).await }
        };
        scan::each(session, CONCURRENCY, page.ids, read, |(custodies, _)| {
            custodies.iter().for_each(|custody| tally.add(custody));
            progress.advance(1);
        })
        .await?;
    }
    progress.finish();
    if session.is_interrupted() {
        out.note("interrupted: half a report says the wrong thing, so there is none".to_owned());
        return Ok(Verdict::Interrupted);
    }
    if let Some(path) = &args.html {
        let now = now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        html::write(path, &page::page(range, &tally, &now))?;
        out.note(format!("written: {}", path.display()));
    }
    tell(range, &tally, out);
    Ok(match tally.broken_chains {
        0 => Verdict::Clean,
        _ => Verdict::Findings,
    })
}

fn tell(range: Range, tally: &Tally, out: Out) {
    for (date, day) in &tally.days {
        let item = json!({"day": date, "recordings": day.recordings, "bytes": day.bytes});
        out.item(&item, || {
            let recordings = HumanCount(day.recordings).to_string();
            Text::new(format!(
                "{date}  {recordings:>9} recordings  {:>11}",
                HumanBytes(day.bytes).to_string()
            ))
        });
    }
    let mut value = tally.json();
    value["from"] = json!(range.first);
    value["to"] = json!(range.last);
    out.summary(&value, || text(tally));
}

fn text(tally: &Tally) -> Text {
    let total = tally.total();
    let mut text = Text::new(format!(
        "together    {:>9} recordings  {:>11}",
        HumanCount(total.recordings).to_string(),
        HumanBytes(total.bytes).to_string()
    ));
    let outcomes = tally.outcomes.iter().filter(|(_, count)| **count > 0);
    let outcomes = outcomes.map(|(outcome, count)| format!("{} {outcome}", HumanCount(*count)));
    let outcomes = outcomes.collect::<Vec<_>>().join(", ");
    text = text.line().add(format!("ended       {outcomes}"));
    for (name, histogram) in [("a run", &tally.latency), ("age", &tally.age)] {
        if let Some(told) = percentiles(histogram) {
            text = text.line().add(format!("{name:<10}  {told}"));
        }
    }
    if tally.deferrals > 0 {
        text = text
            .line()
            .add(format!("put off     {} x", HumanCount(tally.deferrals)));
    }
    for (reason, count) in tally.reasons().into_iter().take(SHOWN) {
        let times = HumanCount(count);
        text = text
            .line()
            .style(NOTE, "failed")
            .add(format!("      {times} x: {reason}"));
    }
    for deadline in tally.deadlines.iter().take(SHOWN) {
        text = text.line().style(BAD, "urgent").add(format!(
            "      {} UTC deleted at Genesys, {}: recording {} of conversation {}",
            deadline.at.strftime("%Y-%m-%d %H:%M"),
            deadline.state,
            deadline.recording,
            deadline.conversation
        ));
    }
    let shown = tally.deadlines.len().min(SHOWN) as u64;
    if tally.deadlines_near > shown {
        text = text.line().add(format!(
            "            and {} more within {} days",
            HumanCount(tally.deadlines_near - shown),
            tally::NEAR.as_hours() / 24
        ));
    }
    let (text, chains) = (text.line(), HumanCount(tally.chains));
    match HumanCount(tally.broken_chains) {
        HumanCount(0) => text.add(format!("audit       {chains} chains checked, all whole")),
        broken => text
            .style(
                BAD,
                format!("audit       {broken} of {chains} chains are not whole"),
            )
            .add(": run archivectl verify"),
    }
}

fn percentiles(histogram: &Histogram) -> Option<String> {
    let most = histogram.most()?;
    let within = [50, 90, 99].into_iter().filter_map(|percent| {
        let value = words::duration(histogram.percentile(percent)?);
        Some(format!("{percent} % within {value}"))
    });
    Some(format!(
        "{}, longest {}",
        within.collect::<Vec<_>>().join(", "),
        words::duration(most)
    ))
}
