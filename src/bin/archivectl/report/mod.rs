//! `archivectl report`: what a span of days brought, for people who do not read logs.

mod chart;
mod level;
mod listed;
mod page;

use std::path::PathBuf;

use recording_archiver::ops::report::{
    Behind, Compared, Day, Figures, Lengths, NEAR, Report, Request, report,
};
use recording_archiver::ops::{Error, Listener, Session, Verdict};

use self::listed::List;
use crate::args::{ARCHIVED, Days};
use crate::html;
use crate::out::Out;
use crate::text::{BAD, NOTE, Text};
use crate::words::{self, Zone, bytes, count, counted};

/// Report what days brought: recordings and bytes, how they ended, how long it took, what failed, what is urgent.
///
/// Counts what was archived in these days, and what is not archived and was last worked on in them. Reads ledger and
/// audit, and checks each audit chain on the way; the objects are read back by `archivectl verify`. What the archiver
/// never saw is not in the audit: --genesys asks Genesys for the conversations that began in these days, as reconcile
/// does.
#[derive(Debug, clap::Args)]
#[command(mut_arg("from", |from| from.help(ARCHIVED)), after_help = "\
Examples:
  # a page
  archivectl report --from 2026-03-01 --to 2026-03-31 --html march.html
  # what Genesys recorded, and the locks as they are now
  archivectl report --from 2026-03-01 --genesys --locks --html march.html
  # for programs
  archivectl report --from 2026-03-01 --to 2026-03-31 --json

Exit code 1: an audit chain is not whole, or with --genesys something is missing.")]
pub(crate) struct Args {
    #[command(flatten)]
    days: Days,
    /// Write a page for people into this file; - is stdout.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Name the organisation in the page's title. Default: the audit table's name.
    #[arg(long, value_name = "NAME", requires = "html")]
    organisation: Option<String>,
    /// Compare with the lists of Genesys: what was recorded there, archived, and missing.
    #[arg(long)]
    genesys: bool,
    /// Ask S3 for lock and legal hold of each file as they are now: a request for each.
    #[arg(long)]
    locks: bool,
    /// Write a line for each recording behind the figures into this new file, as comma-separated values.
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
}

/// Number of reasons and deadlines in the text; the page and `--json` have more.
const SHOWN: usize = 5;

impl Args {
    /// Returns the variables that it cannot do without.
    pub(crate) fn needs(&self) -> &'static [&'static str] {
        const ALL: &[&str] = &[
            "AUDIT_TABLE_NAME",
            "LEDGER_TABLE_NAME",
            "S3_BUCKET_NAME",
            "GENESYS_SECRET_ID",
        ];
        match (self.genesys, self.locks) {
            (true, _) => ALL,
            (false, true) => &ALL[..3],
            (false, false) => &ALL[..2],
        }
    }
}

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let range = args.days.required(session.now())?;
    let progress = out.progress("report");
    let request = Request {
        range,
        genesys: args.genesys,
        locks: args.locks,
    };
    let list = args.ids.as_deref().map(List::begin).transpose()?;
    let show = |behind: Behind| {
        if let Some(list) = &list {
            list.add(&behind);
        }
    };
    let listener = |event| progress.hear(event, show);
    let made = report(session, request, Listener::new(&listener)).await;
    progress.finish();
    if made.as_ref().is_err_and(Error::is_interruption) {
        out.note("interrupted: half a report says the wrong thing, so there is none".to_owned());
    }
    let made = made?;
    if let Some(list) = list {
        out.note(format!("written: {}", list.publish()?));
    }
    if let Some(path) = &args.html {
        let table = || format!("audit table {}", session.audit_table());
        let organisation = args.organisation.clone().unwrap_or_else(table);
        let page = page::page(&made, &organisation, session.now(), out.zone());
        if html::is_stdout(path) {
            out.raw(page.as_bytes());
            return Ok(made.figures.verdict());
        }
        html::write(path, &page)?;
        out.note(format!("written: {}", path.display()));
    }
    tell(&made, out);
    Ok(made.figures.verdict())
}

fn tell(report: &Report, out: &Out) {
    for day in &report.days {
        out.item(day, || day_text(day));
    }
    out.summary(&report.figures, || text(&report.figures, out.zone()));
}

fn day_text(day: &Day) -> Text {
    let (recordings, bytes) = (count(day.recordings), bytes(day.bytes));
    Text::new(format!("{}  {recordings:>9} recordings  {bytes:>11}", day.day))
}

fn text(figures: &Figures, zone: &Zone) -> Text {
    let mut text = Text::new(format!(
        "together    {:>9} recordings  {:>11}",
        count(figures.recordings),
        bytes(figures.bytes)
    ));
    let outcomes = figures.outcomes.iter().filter(|(_, number)| **number > 0);
    let outcomes = outcomes.map(|(outcome, number)| format!("{} {outcome}", count(*number)));
    let outcomes = outcomes.collect::<Vec<_>>().join(", ");
    if !outcomes.is_empty() {
        text = text.line().add("ended       ").hang().add(outcomes);
    }
    for (name, lengths) in [("a run", &figures.latency_ms), ("age", &figures.age_ms)] {
        if let Some(told) = percentiles(lengths) {
            text = text.line().add(format!("{name:<10}  ")).hang().add(told);
        }
    }
    if let Some(told) = level::service(figures) {
        text = text.line().add("service     ").hang().add(told);
    }
    if figures.deferrals > 0 {
        text = text.line().add(format!(
            "deferred    {}",
            counted(figures.deferrals, "time", "times")
        ));
    }
    for (reason, times) in figures.reasons().into_iter().take(SHOWN) {
        let times = counted(times, "time", "times");
        text = text.line().style(NOTE, "failed").add("      ").hang();
        text = text.add(format!("{times}: {reason}"));
        if let Some(ids) = figures.failed_conversations.get(reason) {
            let ids: Vec<_> = ids.iter().map(String::as_str).collect();
            text = text.add(format!(": {}", ids.join(", ")));
        }
    }
    for deadline in figures.deadlines.iter().take(SHOWN) {
        text = text.line().style(BAD, "urgent").add("      ").hang();
        text = text.add(format!(
            "{} {zone} deleted at Genesys, {}: recording {} of conversation {}",
            zone.minute(deadline.delete_date),
            deadline.state,
            deadline.recording_id,
            deadline.interaction_id
        ));
    }
    let shown = figures.deadlines.len().min(SHOWN) as u64;
    if figures.deadlines_near > shown {
        text = text.line().add(format!(
            "            and {} more within {} days",
            count(figures.deadlines_near - shown),
            NEAR.as_hours() / 24
        ));
    }
    if let Some(compared) = &figures.genesys {
        text = by_genesys(text.line(), compared);
    }
    let (text, chains) = (text.line(), count(figures.chains));
    match figures.broken_chains {
        0 if figures.chains == 0 => text
            .style(NOTE, "audit       no chain was there to be checked")
            .add(": these are days of archiving, not of the conversations"),
        0 => text.add(format!("audit       {chains} chains checked, all whole")),
        broken => text
            .style(
                BAD,
                format!("audit       {} of {chains} chains are not whole", count(broken)),
            )
            .add(": run archivectl verify"),
    }
}

fn by_genesys(text: Text, compared: &Compared) -> Text {
    let text = text.add(format!(
        "Genesys     {} recorded, {} archived, {} not yet",
        counted(compared.recorded, "conversation", "conversations"),
        count(compared.archived),
        count(compared.waiting)
    ));
    match compared.findings() {
        0 => text.add(", none missing"),
        _ => text
            .add(", ")
            .style(BAD, format!("{} missing", count(compared.missing)))
            .add(": archivectl reconcile names each"),
    }
}

fn percentiles(lengths: &Lengths) -> Option<String> {
    let longest = words::duration(lengths.max?);
    let within = [(50, lengths.p50), (90, lengths.p90), (99, lengths.p99)];
    let within = within.into_iter().filter_map(|(percent, value)| {
        let value = words::duration(value?);
        Some(format!("{percent} % within {value}"))
    });
    let within = within.collect::<Vec<_>>().join(", ");
    Some(format!("{within}, longest {longest}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use recording_archiver::domain::days::Range;
    use recording_archiver::ops::reconcile::Reason;
    use recording_archiver::ops::report::{Deadline, Month};

    use super::*;

    fn report() -> Report {
        let range = Range {
            first: "2026-03-01".parse().unwrap(),
            last: "2026-03-02".parse().unwrap(),
        };
        let lengths = Lengths {
            count: 3,
            p50: Some(900),
            p90: Some(90_000),
            p99: Some(5_400_000),
            max: Some(129_600_000),
        };
        let day = |day, recordings, bytes| Day {
            day,
            recordings,
            bytes,
        };
        let deadline = |recording: u32| Deadline {
            delete_date: "2026-03-09T10:20:30Z".parse().unwrap(),
            interaction_id: "c0000000-0000-4000-8000-000000000001".to_owned(),
            recording_id: format!("e0000000-0000-4000-8000-{recording:012}"),
            state: "waiting",
        };
        Report {
            days: vec![day(range.first, 3, 105_660_000), day(range.last, 0, 0)],
            figures: Figures {
                recordings: 3,
                bytes: 105_660_000,
                outcomes: BTreeMap::from([("archived", 3), ("failed", 1), ("waiting", 7), ("skipped", 0)]),
                live_recordings: 3,
                live_within_hour: 2,
                live_within_day: 3,
                latency_ms: lengths.clone(),
                age_ms: lengths,
                failed_conversations: BTreeMap::from([(
                    "Genesys answered 403 <&>".to_owned(),
                    ["c0000000-0000-4000-8000-000000000001".to_owned()].into(),
                )]),
                failures: BTreeMap::from([
                    ("Genesys answered 403 <&>".to_owned(), 5),
                    ("else".to_owned(), 1),
                ]),
                deferrals: 2,
                deadlines_near: 7,
                deadlines: (1..=7).map(deadline).collect(),
                chains: 11,
                broken_chains: 1,
                recordings_by_state: BTreeMap::from([(
                    "failed",
                    ["c0000000-0000-4000-8000-000000000001/-".to_owned()].into(),
                )]),
                months: months(),
                genesys: Some(compared()),
                ..Figures::of(range)
            },
        }
    }

    fn months() -> Vec<Month> {
        vec![Month {
            month: "2026-03".to_owned(),
            files: 3,
            governance: 2,
            unlocked: 1,
            first_end: Some("2033-03-01T10:00:00Z".parse().unwrap()),
            last_end: Some("2033-03-02T10:00:00Z".parse().unwrap()),
            holds: Some(1),
            ..Month::default()
        }]
    }

    fn compared() -> Compared {
        Compared {
            listed: 7,
            recorded: 5,
            archived: 3,
            waiting: 1,
            missing: 1,
            reasons: BTreeMap::from([
                (Reason::Archived, 3),
                (Reason::TooEarly, 1),
                (Reason::NeverSeen, 1),
            ]),
            conversations: BTreeMap::from([(
                "never_seen",
                ["c0000000-0000-4000-8000-000000000009".to_owned()].into(),
            )]),
            ..Compared::default()
        }
    }

    #[test]
    fn the_text_is_short_and_the_page_has_it_all() {
        let (made, utc) = (report(), Zone::parse("UTC").unwrap());
        let days: Vec<_> = made.days.iter().map(|day| day_text(day).plain()).collect();
        insta::assert_snapshot!(
            "text",
            format!("{}\n{}", days.join("\n"), text(&made.figures, &utc).plain())
        );
        // The style is the same on each page.
        let now = "2026-03-03T10:00:00Z".parse().unwrap();
        let page = page::page(&made, "Example & Co", now, &utc);
        let (before, rest) = page.split_once("<meta http-equiv").unwrap();
        let (_, after) = rest.split_once("</style>").unwrap();
        insta::assert_snapshot!("page", format!("{before}{after}"));
    }

    #[test]
    fn a_page_of_nothing_proves_nothing() {
        let mut nothing = report();
        (nothing.figures.chains, nothing.figures.broken_chains) = (0, 0);
        let utc = Zone::parse("UTC").unwrap();
        let now = "2026-03-03T10:00:00Z".parse().unwrap();
        let page = page::page(&nothing, "Example & Co", now, &utc);
        assert!(
            page.contains("nothing is proven") && !page.contains("all whole"),
            "{page}"
        );
    }
}
