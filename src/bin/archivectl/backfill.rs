//! `archivectl backfill`: what was recorded before the archiver was there, or while it was not.

use std::path::PathBuf;

use recording_archiver::domain::days::Age;
use recording_archiver::ops::backfill::{
    Bulk, Counts, Figures, Item, Rate, Request, Resumed, Source, backfill,
};
use recording_archiver::ops::{Error, Kind, Listener, Session, Verdict};

use crate::args::{self, BEGAN, Days, FilterArgs};
use crate::out::Out;
use crate::text::{BAD, NOTE, Text};
use crate::words;

mod estimated;

use estimated::estimated;

/// Archive what was recorded before the archiver was there, or while it was not.
///
/// Lists the conversations of the days given through Genesys' analytics, keeps those in which a recording was started,
/// drops those that are settled (archived, and nothing more can come), by audit and ledger, and sends the rest to the
/// work queue, where the function takes them. Or takes the ids from a list (--ids), or archives right here (--local).
///
/// Whatever interrupts it, the same command goes on where it was: the checkpoint file knows what was sent.
#[derive(Debug, clap::Args)]
#[command(mut_arg("from", |from| from.help(BEGAN)), after_help = "\
Examples:
  # how many, how long, how much?
  archivectl backfill --from 2026-01-01 --to 2026-01-31 --dry-run
  # the same, sent
  archivectl backfill --from 2026-01-01 --to 2026-01-31
  # a hundred by one batch download of Genesys, as they were recorded
  archivectl backfill --from 2026-01-01 --to 2026-01-31 --bulk
  # with a quarter of the requests that Genesys allows
  archivectl backfill --from 2026-01-01 --to 2026-01-31 --bulk --rate 25%
  # from a list
  archivectl backfill --ids missing.csv
  # without queue and function
  archivectl backfill --from 2026-01-05 --to 2026-01-05 --local

A list is CSV or JSON Lines: conversationId[,recordingId,expectedSha256].

Genesys allows 300 requests a minute per token, and live traffic needs its share: with some 4 requests for a \
conversation, the default rate leaves a third of it. What is settled is not sent, unless it was settled without a \
recording: then it is looked at again. What is archived and not settled is sent, too: it is listed again, and nothing is \
downloaded twice. Without settling (SETTLE_SECONDS=0, --local), what is archived by \
audit and ledger, and nothing else of it open, is not sent. Where these two contradict each other, nothing is sent and \
the conversation is named.")]
pub(crate) struct Args {
    #[command(flatten)]
    days: Days,
    /// Read ids from this file instead, CSV or JSON Lines; - is stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "media", "direction", "queue", "division", "min_duration", "max_duration"])]
    ids: Option<PathBuf>,
    /// Archive right here, without queue and function.
    #[arg(long)]
    local: bool,
    /// By batch downloads of a hundred conversations, as they were recorded; needs RECORDING_FORMAT=original. What a
    /// batch download does not give is archived one by one. So are conversations that ended in the last 48 hours, that
    /// have more than 16 recordings, or a wanted chat, e-mail or message.
    #[arg(long, conflicts_with = "local")]
    bulk: bool,
    /// With --bulk, where RECORDING_FORMAT is another one: these recordings come as they were recorded.
    #[arg(long, value_name = "original", value_parser = ["original"], requires = "bulk")]
    format: Option<String>,
    /// With --local: how many at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=10), requires = "local")]
    concurrency: u16,
    /// Only say what would be sent, how long it would take and what it would cost.
    #[arg(long)]
    dry_run: bool,
    /// How many conversations a minute, or the share of the requests that Genesys allows the OAuth client, such as 25%.
    /// With --bulk 1500, unless it is given: up to 150 requests to Genesys. A conversation that goes one by one
    /// all the same counts as 41 others.
    #[arg(long, value_name = "N", default_value = "50", default_value_if("bulk", "true", "1500"), value_parser = rate)]
    rate: Rate,
    /// The checkpoint file. Default: backfill-FIRST-LAST.checkpoint in this folder, or FILE.checkpoint beside a list.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    filter: FilterArgs,
}

pub(crate) async fn run(args: &Args, session: &Session, out: &Out) -> Result<Verdict, Error> {
    let request = Request {
        source: args.source(session)?,
        local: args.local.then_some(args.concurrency.into()),
        bulk: args.bulk.then_some(Bulk {
            original: args.format.is_some(),
        }),
        dry_run: args.dry_run,
        rate: args.rate,
        checkpoint: args.checkpoint.clone(),
    };
    let progress = out.progress("backfill");
    let done = args.done();
    let show = |item: Item| match &item {
        Item::Aged(age) => out.note(age_note(*age)),
        Item::Resumed(resumed) => resumed_notes(resumed, args.local)
            .into_iter()
            .for_each(|note| out.note(note)),
        other => out.item(other, || text(other, done)),
    };
    let listener = |event| progress.hear(event, show);
    let ended = backfill(session, request, Listener::new(&listener)).await?;
    progress.finish();
    // The error itself says what it ended.
    if ended.end.as_ref().err().is_none_or(Error::is_interruption) {
        out.summary(&ended.figures, || summary(&ended.figures, done));
    }
    ended.end?;
    Ok(ended.figures.verdict())
}

impl Args {
    /// Returns the variables that it cannot do without.
    pub(crate) fn needs(&self) -> &'static [&'static str] {
        const ALL: &[&str] = &[
            "GENESYS_SECRET_ID",
            "AUDIT_TABLE_NAME",
            "LEDGER_TABLE_NAME",
            "S3_BUCKET_NAME",
        ];
        match (self.local, &self.ids) {
            (true, _) => ALL,
            // Only the days come from Genesys, and for batch downloads when a conversation was, and its limits.
            (false, Some(_)) if !self.bulk && !matches!(self.rate, Rate::Share(_)) => {
                &["AUDIT_TABLE_NAME", "LEDGER_TABLE_NAME"]
            }
            (false, _) => &["GENESYS_SECRET_ID", "AUDIT_TABLE_NAME", "LEDGER_TABLE_NAME"],
        }
    }

    fn source(&self, session: &Session) -> Result<Source, Error> {
        if let Some(path) = &self.ids {
            return Ok(Source::List(path.clone()));
        }
        match self.days.range(session.now())? {
            Some(range) => Ok(Source::Days(range, self.filter.filter())),
            None => {
                let missing = Error::new(Kind::Usage, "what is to be archived?");
                Err(missing.remedy("give --from and --to, or --ids FILE (see archivectl backfill --help)"))
            }
        }
    }

    /// Says what becomes of what is not archived yet.
    fn done(&self) -> &'static str {
        match (self.dry_run, self.local) {
            (true, _) => "to send",
            (_, true) => "done",
            _ => "sent",
        }
    }
}

/// Reads a number of conversations a minute, or a share of the requests that Genesys allows.
fn rate(text: &str) -> Result<Rate, String> {
    if text.ends_with('%') {
        return args::percent(text).map(Rate::Share);
    }
    args::rate(text)
        .map(Rate::PerMinute)
        .map_err(|accepted| format!("{accepted}, or a share such as 25%"))
}

/// Says what to know before recordings of this age are asked for.
fn age_note(age: Age) -> Text {
    Text::styled(
        NOTE,
        match age {
            Age::Recent => return Text::default(),
            Age::OverEighteenMonths => {
                "some of these days are more than 1.5 years ago: Genesys gives recordings of that age only to organisations \
                 that it has put on its list, so ask its support first"
            }
            Age::OverFiveYears => {
                "some of these days are more than 5 years ago: Genesys gives recordings of that age through a special job only, \
                 and those of more than 1.5 years only to organisations that it has put on its list, so ask its support first"
            }
        },
    )
}

fn resumed_notes(resumed: &Resumed, local: bool) -> Vec<Text> {
    let mut notes = Vec::new();
    if let Some(path) = &resumed.finished {
        let note = format!(
            "this backfill was finished; to run it again, remove {}",
            path.display()
        );
        return vec![Text::new(note)];
    }
    if let Some(through) = resumed.through {
        notes.push(Text::new(format!("going on after {through}")));
    }
    if resumed.sent > 0 {
        let (sent, done) = (
            words::count(resumed.sent as u64),
            if local { "done" } else { "sent" },
        );
        let note = format!("going on where it was: {sent} {done} since the last finished day");
        notes.push(Text::new(note));
    }
    if resumed.unknown > 0 {
        let unknown = Text::styled(NOTE, words::count(resumed.unknown as u64));
        notes.push(unknown.add(if local {
            " were being archived when the last run ended; they are tried again"
        } else {
            " may be on the queue already, as the last run ended while it sent them; they are sent again, and the function \
             answers already_archived to the second"
        }));
    }
    notes
}

fn text(item: &Item, done: &str) -> Text {
    match item {
        // Notes tell of these.
        Item::Resumed(_) | Item::Aged(_) => Text::default(),
        Item::Day(day) => Text::new(format!("{}  {}", day.day, counts(&day.counts, done))),
        Item::BadLine(bad) => Text::styled(BAD, format!("line {}", bad.line)).add(format!(": {}", bad.error)),
        Item::Refused(refused) => {
            Text::styled(BAD, "not taken").add(format!(" by the work queue: {}", refused.key))
        }
        Item::LeftOut(left) => Text::styled(BAD, "left out").add(format!(
            " {}, recording {}: {}",
            left.interaction_id, left.recording_id, left.error
        )),
        Item::Archived(archived) => {
            let of = match archived.recording_id.as_str() {
                "-" => format!("conversation {}", archived.interaction_id),
                id => format!("recording {id} of conversation {}", archived.interaction_id),
            };
            match &archived.reason {
                None => Text::new(archived.outcome).add(format!(" {of}")),
                Some(reason) => Text::styled(BAD, archived.outcome).add(format!(" {of}: {reason}")),
            }
        }
    }
}

fn summary(figures: &Figures, done: &str) -> Text {
    let mut text = Text::new(format!("together    {}", counts(&figures.counts, done)));
    for (count, one, more) in [
        (
            figures.sent_before,
            "was sent by an earlier run, and is counted above",
            "were sent by earlier runs, and are counted above",
        ),
        (
            figures.duplicates,
            "line repeats an earlier one",
            "lines repeat earlier ones",
        ),
        (
            figures.counts.ongoing,
            "goes on: its event will bring it, or `archivectl reconcile` later",
            "go on: their events will bring them, or `archivectl reconcile` later",
        ),
        (
            figures.bad_lines,
            "invalid line: fix it and run again",
            "invalid lines: fix them and run again",
        ),
        (
            figures.expired,
            "is gone at Genesys (expired) and cannot be archived any more",
            "are gone at Genesys (expired) and cannot be archived any more",
        ),
        (
            figures.unexpected,
            "was refused for its hash (hash_mismatch) and is left out: give it in a list (--ids) with the expectedSha256 that is right",
            "were refused for their hashes (hash_mismatch) and are left out: give them in a list (--ids) with the expectedSha256 that is right",
        ),
        (
            figures.contradicted,
            "is left out, as ledger and audit contradict each other: see archivectl verify CONVERSATION",
            "are left out, as ledger and audit contradict each other: see archivectl verify CONVERSATION",
        ),
        (
            figures.refused,
            "did not work out: the same command tries it again",
            "did not work out: the same command tries them again",
        ),
        (
            figures.unreadable_now,
            "entry of Genesys' lists has no id or start that can be read",
            "entries of Genesys' lists have no id or start that can be read",
        ),
    ] {
        if count > 0 {
            let what = if count == 1 { one } else { more };
            text = text
                .line()
                .style(NOTE, words::count(count))
                .add(format!(" {what}"));
        }
    }
    if figures.interrupted {
        text = text.line().add("interrupted: the same command goes on from here");
    }
    match &figures.estimate {
        Some(estimate) => text.lines(&estimated(estimate)),
        None => text,
    }
}

/// Returns figures in words; those that are nothing are left out.
fn counts(counts: &Counts, done: &str) -> String {
    let named = [
        (Some(counts.listed), "listed"),
        (
            Some(counts.unrecorded).filter(|count| *count > 0),
            "without recording",
        ),
        (
            Some(counts.filtered).filter(|count| *count > 0),
            "left out by filters",
        ),
        (Some(counts.ongoing).filter(|count| *count > 0), "going on"),
        (
            Some(counts.archived).filter(|count| *count > 0),
            "archived already",
        ),
        (Some(counts.sent), done),
    ];
    let words = named
        .into_iter()
        .filter_map(|(count, word)| Some(format!("{} {word}", words::count(count?))));
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use recording_archiver::ops::backfill::{BadLine, Day, Estimate, Lane, Refused};
    use recording_archiver::ops::sink::Archived;

    use super::*;

    const CONVERSATION: &str = "c0000000-0000-4000-8000-000000000001";

    fn figures() -> Figures {
        Figures {
            counts: Counts {
                listed: 12_345,
                unrecorded: 300,
                filtered: 45,
                ongoing: 1,
                archived: 2_000,
                sent: 9_999,
            },
            unreadable: 3,
            bad_lines: 2,
            duplicates: 4,
            refused: 1,
            sent_before: 5_000,
            expired: 1,
            unexpected: 1,
            contradicted: 1,
            dry_run: false,
            interrupted: true,
            estimate: None,
            unreadable_now: 1,
        }
    }

    #[test]
    fn each_item_is_one_line() {
        let archived = |reason: Option<&str>| {
            Item::Archived(Archived {
                interaction_id: CONVERSATION.to_owned(),
                recording_id: if reason.is_some() {
                    "-"
                } else {
                    "e0000000-0000-4000-8000-000000000101"
                }
                .to_owned(),
                outcome: if reason.is_some() { "failed" } else { "archived" },
                reason: reason.map(str::to_owned),
                files: Vec::new(),
            })
        };
        let refused = Item::Refused(Refused {
            interaction_id: CONVERSATION.to_owned(),
            error: "the work queue did not take it",
            key: CONVERSATION.to_owned(),
        });
        let day = Item::Day(Day {
            day: "2026-01-05".parse().unwrap(),
            counts: Counts {
                listed: 4,
                sent: 2,
                ..Counts::default()
            },
        });
        let bad = Item::BadLine(BadLine {
            line: 7,
            error: "conversationId must be a UUID".to_owned(),
        });
        let items = [day, bad, refused, archived(None), archived(Some("403"))];
        let lines: Vec<_> = items.iter().map(|item| text(item, "sent").plain()).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn the_summary_says_what_to_look_after_and_a_dry_run_what_is_ahead() {
        let dry = Figures {
            dry_run: true,
            estimate: Some(Estimate {
                jobs: 9_999,
                live: Lane {
                    bytes: 95_990_400_000,
                    genesys_requests: 29_997,
                    seconds: 11_998,
                    usd: 0.717,
                    usd_per_month: 2.207,
                },
                bulk: None,
            }),
            ..figures()
        };
        let all = summary(&figures(), "sent").lines(&summary(&dry, "to send"));
        insta::assert_snapshot!(all.plain());
    }

    #[test]
    fn a_run_that_goes_on_says_where() {
        let resumed = Resumed {
            through: Some("2026-01-05".parse().unwrap()),
            sent: 12,
            unknown: 10,
            finished: None,
        };
        let notes = [false, true].map(|local| resumed_notes(&resumed, local));
        let notes: Vec<_> = notes.iter().flatten().map(Text::plain).collect();
        insta::assert_snapshot!(notes.join("\n"));
    }
}
