//! `archivectl reconcile`: what was recorded at Genesys and is not archived, and the reverse.

use recording_archiver::ops::reconcile::{Figures, Item, Reason, Request, Standing, reconcile};
use recording_archiver::ops::{Error, Listener, Session, Verdict, custody};

use crate::args::{BEGAN, Days, FilterArgs, rate};
use crate::out::Out;
use crate::text::{BAD, DIM, GOOD, NOTE, Text};
use crate::words::{Zone, count};

/// Find what was recorded at Genesys and is not archived, with the reason, and what is archived and not at Genesys.
///
/// Lists the conversations of the days as backfill does, and asks ledger and audit about each in which a recording was
/// started. Where there is a catalog of calls, it is held against the archive, too. With --enqueue, what a job can fix
/// goes to the work queue.
#[derive(Debug, clap::Args)]
#[command(mut_arg("from", |from| from.help(BEGAN)), after_help = "\
Examples:
  # what is missing, and why?
  archivectl reconcile --from 2026-03-01 --to 2026-03-31
  # the same, sent
  archivectl reconcile --from 2026-03-01 --to 2026-03-31 --enqueue
  # recordings that came up after their conversation was settled
  archivectl reconcile --from 2026-03-01 --to 2026-03-31 --recordings --rate 200

Reasons:
  never_seen            no event of it arrived
  failed                see its error, and fix the cause first
  unfinished            a run died, and no other came
  deferred              was not ready, and never came again
  unsettled             archived, but nobody looked whether more came up
  undescribed           archived, but without a call record: archivectl find
                        does not know it, and a job describes it
  uncatalogued          archived and described, but not in the catalog:
                        archivectl catalog rebuild puts it there; no job is sent
  nothing_found         settled without a recording, and analytics say that one
                        was started
  expired               gone at Genesys: cannot be archived any more
  older_than_18_months  not lost: Genesys gives these to organisations on its
                        list only
  older_than_5_years    not lost: Genesys gives these through a special job
  contradicted          ledger and audit contradict each other: see archivectl
                        verify CONVERSATION; no job is sent
That a recording was started is no promise that there is one: a job for what has none ends as never_ready.

Exit code 1: something is missing. What is archived and not listed by Genesys is told, and is no finding: it was deleted \
there, or the OAuth client may not see its division. For that, 16 bytes of each conversation listed stay in memory.")]
pub(crate) struct Args {
    #[command(flatten)]
    days: Days,
    /// Send what a job can fix to the work queue.
    #[arg(long)]
    enqueue: bool,
    /// Also ask Genesys for the recordings of each conversation that is archived or settled without any: one may have
    /// come up later.
    #[arg(long)]
    recordings: bool,
    /// How many conversations a minute to send, or to ask for their recordings.
    #[arg(long, value_name = "N", default_value = "50", value_parser = rate)]
    rate: f64,
    #[command(flatten)]
    filter: FilterArgs,
}

/// The variables that it cannot do without.
pub(crate) const NEEDS: &[&str] = &["GENESYS_SECRET_ID", "AUDIT_TABLE_NAME", "LEDGER_TABLE_NAME"];

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let request = Request {
        range: args.days.required(session.now())?,
        filter: args.filter.filter(),
        enqueue: args.enqueue,
        recordings: args.recordings,
        rate: args.rate,
    };
    let progress = out.progress("reconcile");
    let show = |item: Item| out.item(&item, || text(&item, out.zone()));
    let listener = |event| progress.hear(event, show);
    let ended = reconcile(session, &request, Listener::new(&listener)).await;
    progress.finish();
    let ended = ended?;
    let begun = ended.figures.listed > 0;
    out.ended(&ended, begun, || words(&ended.figures, args.enqueue));
    ended.end?;
    Ok(ended.figures.verdict())
}

fn text(item: &Item, zone: &Zone) -> Text {
    let (style, reason) = match item.reason {
        Standing::Missing(reason) if reason.is_finding() => (BAD, reason.as_str()),
        Standing::Missing(reason) => (NOTE, reason.as_str()),
        Standing::NotListed(_) => (NOTE, "not_listed"),
        Standing::OnlyCatalogued(_) => (BAD, "only_catalogued"),
    };
    let text = Text::styled(style, reason).add(format!(" {}  ", item.interaction_id));
    let mut text = text.style(DIM, format!("began {}", zone.second(item.start)));
    for cause in item.recordings.iter().flatten() {
        let recording = custody::named(&cause.recording);
        let state = cause.state.replace('_', " ");
        text = text.line().add(format!("  {recording}: {state}"));
        if let Some(since) = cause.since {
            text = text.add(format!(" since {}", zone.second(since)));
        }
        if let Some(error) = &cause.error {
            text = text.add(format!(": {error}"));
        }
    }
    text
}

fn words(figures: &Figures, enqueue: bool) -> Text {
    let mut text = Text::new(format!(
        "{} conversations listed, {} without recording, {} left out by filters, {} going on",
        count(figures.listed),
        count(figures.unrecorded),
        count(figures.filtered),
        count(figures.ongoing)
    ));
    for (reason, number) in &figures.reasons {
        let style = if reason.is_finding() { BAD } else { GOOD };
        let line = format!("{:>9}  {}", count(*number), reason.as_str());
        text = text.line().style(style, line);
    }
    if figures.reasons.contains_key(&Reason::Contradicted) {
        let remedy = "contradicted: archivectl verify CONVERSATION says what differs, and what to do";
        text = text.line().add(remedy);
    }
    for (number, what) in [
        (figures.not_listed, "archived, and not listed by Genesys any more"),
        (
            figures.only_catalogued,
            "only_catalogued: in the catalog, and named by no call record",
        ),
        (
            figures.unreadable,
            "entries of Genesys' lists have no id or start that can be read",
        ),
        (figures.sent, "sent to the work queue"),
        (
            figures.refused,
            "were refused by the work queue: the same command tries them again",
        ),
    ] {
        if number > 0 {
            text = text.line().add(format!("{:>9}  {what}", count(number)));
        }
    }
    if !figures.finished {
        text.line()
            .style(BAD, "not finished")
            .add(": what is not counted here was not looked at")
    } else if figures.findings() == 0 {
        text.line().add("nothing is missing")
    } else if !enqueue {
        text.line().add("--enqueue sends what a job can fix")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use recording_archiver::ops::reconcile::{Cause, NotListed};

    use super::*;

    fn item(reason: Standing, recordings: Option<Vec<Cause>>) -> Item {
        Item {
            interaction_id: "c0000000-0000-4000-8000-000000000001".to_owned(),
            start: "2026-01-05T08:00:00.123Z".parse().unwrap(),
            reason,
            recordings,
        }
    }

    #[test]
    fn a_conversation_is_told_with_its_recordings() {
        let cause = Cause {
            recording: "e0000000-0000-4000-8000-000000000101".to_owned(),
            state: "failed",
            since: Some("2026-01-05T09:00:00Z".parse().unwrap()),
            error: Some("ARCHIVED at Genesys: restore it there (set a later archiveDate)".to_owned()),
        };
        let whole = Cause {
            recording: "-".to_owned(),
            state: "never_listed",
            since: None,
            error: Some("it was archived by name".to_owned()),
        };
        let utc = Zone::parse("UTC").unwrap();
        let missing = text(
            &item(Standing::Missing(Reason::Failed), Some(vec![whole, cause])),
            &utc,
        );
        let not_listed = text(&item(Standing::NotListed(NotListed::NotListed), None), &utc);
        insta::assert_snapshot!(missing.lines(&not_listed).plain_at(80));
    }

    #[test]
    fn the_summary_counts_every_conversation_once() {
        let figures = Figures {
            listed: 12_345,
            unrecorded: 10,
            filtered: 5,
            ongoing: 1,
            unreadable: 1,
            reasons: BTreeMap::from([(Reason::Archived, 12_300), (Reason::NeverSeen, 29)]),
            not_listed: 2,
            only_catalogued: 0,
            sent: 20,
            refused: 9,
            finished: true,
        };
        let nothing = Figures {
            finished: true,
            ..Figures::default()
        };
        let all = words(&figures, false)
            .lines(&words(&nothing, false))
            .lines(&words(&Figures::default(), true));
        insta::assert_snapshot!(all.plain());
    }
}
