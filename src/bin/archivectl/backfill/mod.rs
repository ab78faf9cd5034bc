//! `archivectl backfill`: what was recorded before the archiver was there, or while it was not.

mod checkpoint;
mod done;
mod estimate;
mod list;
mod summary;

use std::collections::HashSet;
use std::io::BufReader;
use std::path::PathBuf;

use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::SignedDuration;
use jiff::civil::Date;
use recording_archiver::archive::job::Job;
use recording_archiver::aws::ledger::Ledger;
use recording_archiver::genesys::analytics::Page;
use serde_json::json;

use crate::days::{Age, Days, Range};
use crate::filter::{Fate, Filter};
use crate::out::{BAD, NOTE, Out, Progress, Text};
use crate::session::{PATIENCE, Session};
use crate::sink::{BATCH, Pace, Sink, rate, requester};
use crate::{Failure, Verdict, clock};
use checkpoint::{Checkpoint, Tally};
use done::{is_archived, key};
use list::List;
use summary::words;

/// Archive what was recorded before the archiver was there, or while it was not.
///
/// Lists the conversations of the days given through Genesys' analytics, keeps those in which a recording was started,
/// drops those that the ledger says are settled (archived, and nothing more can come), and sends the rest to the work queue, where the function takes them.
/// Or takes the ids from a list (--ids), or archives right here (--local).
///
/// Whatever interrupts it, the same command goes on where it was: the checkpoint file knows what was sent.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archivectl backfill --from 2026-01-01 --to 2026-01-31 --dry-run   how many, how long, how much
  archivectl backfill --from 2026-01-01 --to 2026-01-31             the same, done
  archivectl backfill --ids missing.csv                             from a list
  archivectl backfill --from 2026-01-05 --to 2026-01-05 --local     without queue and function

A list is CSV or JSON Lines: conversationId[,recordingId,expectedSha256].

Genesys allows 300 requests a minute per token, and live traffic needs its share: with some 4 requests for a \
conversation, the default rate leaves a third of it. What is settled is not sent. What is archived and not settled is: it \
is listed again, and nothing is downloaded twice. Without settling (SETTLE_SECONDS=0, --local), what the ledger knows as \
archived, and nothing else of it open, is not sent.")]
pub(crate) struct Args {
    #[command(flatten)]
    days: Days,
    /// Read ids from this file instead, CSV or JSON Lines; - is stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "media", "direction", "queue", "division", "min_duration", "max_duration"])]
    ids: Option<PathBuf>,
    /// Archive right here, without queue and function.
    #[arg(long)]
    local: bool,
    /// With --local: how many at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=10), requires = "local")]
    concurrency: u16,
    /// Only say what would be sent, how long it would take and what it would cost.
    #[arg(long)]
    dry_run: bool,
    /// How many conversations a minute.
    #[arg(long, value_name = "N", default_value = "50", value_parser = rate)]
    rate: f64,
    /// The checkpoint file. Default: backfill-FIRST-LAST.checkpoint in this folder, or FILE.checkpoint beside a list.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    #[command(flatten)]
    filter: Filter,
}

/// How many conversations the ledger is asked about at a time.
const LOOKUPS: usize = 16;

/// So long after its end a day may still grow in analytics.
const SETTLING: SignedDuration = SignedDuration::from_hours(1);

/// A job and what the checkpoint and the estimate need of it.
struct Item {
    key: String,
    job: Job,
    seconds: u64,
}

pub(crate) async fn run(args: &Args, session: &Session, out: Out) -> Result<Verdict, Failure> {
    let range = args.days.range(session.clock.now())?;
    let (arguments, default, source) = match (&args.ids, range) {
        (Some(path), _) if path.as_os_str() == "-" => {
            ("--ids -".to_owned(), None, Source::List(path.clone()))
        }
        (Some(path), _) => {
            let beside = path.with_added_extension("checkpoint");
            (
                format!("--ids {}", path.display()),
                Some(beside),
                Source::List(path.clone()),
            )
        }
        (None, Some(range)) => {
            let arguments = format!(
                "--from {} --to {}{}",
                range.first,
                range.last,
                args.filter.describe()
            );
            let name = format!("backfill-{}-{}.checkpoint", range.first, range.last);
            (arguments, Some(PathBuf::from(name)), Source::Days(range))
        }
        (None, None) => {
            return Err("what is to be archived? Give --from and --to, or --ids FILE (see --help)".into());
        }
    };
    let sink = match (args.dry_run, args.local) {
        (true, _) => None,
        (_, true) => {
            clock::check(session).await?;
            Some(Sink::local(session, args.concurrency.into())?)
        }
        _ => Some(Sink::queue(session)?),
    };
    let path = args.checkpoint.clone().or(default).filter(|_| !args.dry_run);
    let place = match &sink {
        Some(Sink::Queue { url, .. }) => format!(" to {url}"),
        Some(Sink::Local { .. }) => " --local".to_owned(),
        None => String::new(),
    };
    let checkpoint = path
        .map(|path| Checkpoint::open(&path, format!("{arguments}{place}")))
        .transpose()?;
    let tally = checkpoint
        .as_ref()
        .map(|checkpoint| checkpoint.tally.clone())
        .unwrap_or_default();
    if let Some(checkpoint) = &checkpoint {
        tell_where_it_goes_on(checkpoint, out);
    }
    let mut backfill = Backfill {
        args,
        session,
        out,
        ledger: session.ledger(),
        sink,
        checkpoint,
        tally,
        findings: Findings::default(),
        batch: Vec::new(),
        sent: Vec::new(),
        pace: Pace::new(args.rate),
        progress: out.progress("backfill", None),
    };
    if let Source::Days(range) = &source
        && let Some(warning) = Age::of(range.start(), session.clock.now()).warning()
    {
        out.note(Text::styled(NOTE, warning));
    }
    let ended = match source {
        Source::Days(range) => backfill.days(range).await,
        Source::List(path) => backfill.list(&path).await,
    };
    backfill.progress.finish();
    let verdict = ended?;
    backfill.summary(verdict);
    Ok(verdict)
}

enum Source {
    Days(Range),
    List(PathBuf),
}

fn tell_where_it_goes_on(checkpoint: &Checkpoint, out: Out) {
    let sent = checkpoint.sent_since();
    if let Some(through) = checkpoint.through {
        out.note(format!("going on after {through}"));
    }
    if sent > 0 {
        out.note(format!(
            "going on where it was: {sent} are sent since the last finished day"
        ));
    }
    if !checkpoint.unknown.is_empty() {
        out.note(Text::styled(NOTE, checkpoint.unknown.len()).add(
            " may be on the queue already, as the last run ended while it sent them; they are sent again, and the function \
             answers already_archived to the second",
        ));
    }
}

/// What somebody has to look after.
#[derive(Debug, Default)]
struct Findings {
    bad_lines: u64,
    duplicates: u64,
    refused: u64,
    unreadable: u64,
}

struct Backfill<'a> {
    args: &'a Args,
    session: &'a Session,
    out: Out,
    ledger: Ledger,
    /// None in a dry run.
    sink: Option<Sink>,
    /// None in a dry run, and for stdin without a name.
    checkpoint: Option<Checkpoint>,
    tally: Tally,
    findings: Findings,
    /// Waiting to be sent.
    batch: Vec<Item>,
    /// What was sent of the day at hand.
    sent: Vec<String>,
    pace: Pace,
    progress: Progress,
}

impl Backfill<'_> {
    /// Day after day: each is listed, sifted and sent before the next one begins.
    async fn days(&mut self, range: Range) -> Result<Verdict, Failure> {
        let analytics = self.session.analytics()?;
        let deadline = self.session.deadline(PATIENCE);
        let available = analytics.available_until(&deadline).await?;
        let through = self.checkpoint.as_ref().and_then(|checkpoint| checkpoint.through);
        for date in range
            .days()
            .filter(|date| through.is_none_or(|through| *date > through))
        {
            let before = self.tally.clone();
            self.sent.clear();
            self.progress.message(format!("{date}"));
            let deadline = self.session.deadline(PATIENCE);
            let mut day = self
                .session
                .unless_interrupted(analytics.day(date, available, &deadline))
                .await?;
            let Some(day) = &mut day else {
                return Ok(Verdict::Interrupted);
            };
            loop {
                let deadline = self.session.deadline(PATIENCE);
                let Some(page) = self.session.unless_interrupted(day.next_page(&deadline)).await? else {
                    return Ok(Verdict::Interrupted);
                };
                let Some(page) = page else { break };
                let items = self.sift(page, range)?;
                if self.offer(items).await? == Verdict::Interrupted {
                    return Ok(Verdict::Interrupted);
                }
            }
            if self.flush().await? == Verdict::Interrupted {
                return Ok(Verdict::Interrupted);
            }
            self.day_done(date, &before)?;
        }
        Ok(self.verdict())
    }

    /// Line after line.
    async fn list(&mut self, path: &std::path::Path) -> Result<Verdict, Failure> {
        let file: Box<dyn std::io::Read> = if path.as_os_str() == "-" {
            Box::new(std::io::stdin())
        } else {
            Box::new(std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?)
        };
        let mut list = List::new(BufReader::new(file), self.session.config.genesys.api);
        let mut seen = HashSet::new();
        loop {
            let mut items = Vec::new();
            let mut ended = false;
            while items.len() < LOOKUPS {
                match list
                    .next()
                    .map_err(|error| format!("{}: {error}", path.display()))?
                {
                    None => {
                        ended = true;
                        break;
                    }
                    Some(Err(bad)) => {
                        self.findings.bad_lines += 1;
                        let item = json!({"line": bad.number, "error": bad.why});
                        let text = || {
                            Text::styled(BAD, format!("line {}", bad.number)).add(format!(": {}", bad.why))
                        };
                        self.progress.suspend(|| self.out.item(&item, text));
                    }
                    Some(Ok(job)) => {
                        let key = key(&job);
                        if seen.insert(key.clone()) {
                            self.tally.listed += 1;
                            let requested_by = job
                                .requested_by
                                .clone()
                                .or_else(|| Some(requester("backfill", "a list")));
                            items.push(Item {
                                key,
                                job: Job { requested_by, ..job },
                                seconds: 0,
                            });
                        } else {
                            self.findings.duplicates += 1;
                        }
                    }
                }
            }
            if self.offer(items).await? == Verdict::Interrupted {
                return Ok(Verdict::Interrupted);
            }
            if ended {
                break;
            }
        }
        match self.flush().await? {
            Verdict::Interrupted => Ok(Verdict::Interrupted),
            _ => Ok(self.verdict()),
        }
    }

    /// Of a page, what may have wanted recordings.
    fn sift(&mut self, page: Page, range: Range) -> Result<Vec<Item>, Failure> {
        self.tally.unreadable += page.unreadable as u64;
        self.findings.unreadable += page.unreadable as u64;
        let mut items = Vec::new();
        for conversation in page.conversations {
            self.tally.listed += 1;
            match self.args.filter.fate(&conversation, &self.session.config) {
                Fate::Wanted => {}
                Fate::Unrecorded => {
                    self.tally.unrecorded += 1;
                    continue;
                }
                Fate::Filtered => {
                    self.tally.filtered += 1;
                    continue;
                }
                Fate::Ongoing => {
                    self.tally.ongoing += 1;
                    continue;
                }
            }
            let mut job = Job::new(conversation.id);
            job.requested_by = Some(requester("backfill", &range.to_string()));
            let lasted = conversation.end.map(|end| end.duration_since(conversation.start));
            let seconds = lasted.map_or(0, |lasted| lasted.as_secs().max(0).unsigned_abs());
            items.push(Item {
                key: key(&job),
                job,
                seconds,
            });
        }
        Ok(items)
    }

    /// Puts what has to be sent into the batch, and sends it whenever it is full.
    async fn offer(&mut self, items: Vec<Item>) -> Result<Verdict, Failure> {
        let mut new = Vec::new();
        for item in items {
            if self
                .checkpoint
                .as_ref()
                .is_some_and(|checkpoint| checkpoint.was_sent(&item.key))
            {
                self.count_sent(&item);
            } else {
                new.push(item);
            }
        }
        let ledger = &self.ledger;
        // Nothing settles what is archived right here: that takes later looks.
        let settles = self.session.config.settles() && !self.args.local;
        let lookups = new.into_iter().map(|item| async move {
            let known = ledger.all_records(item.job.conversation).await?;
            // What cannot be read may be open: the function finds out.
            let archived = known.unreadable.is_empty() && is_archived(&item.job, &known.records, settles);
            Ok::<_, Failure>((archived, item))
        });
        let looked_up = futures_util::stream::iter(lookups)
            .buffered(LOOKUPS)
            .try_collect::<Vec<_>>();
        let Some(looked_up) = self.session.unless_interrupted(looked_up).await? else {
            return Ok(Verdict::Interrupted);
        };
        for (archived, item) in looked_up {
            if archived {
                self.tally.archived += 1;
                continue;
            }
            self.batch.push(item);
            if self.batch.len() == BATCH && self.flush().await? == Verdict::Interrupted {
                return Ok(Verdict::Interrupted);
            }
        }
        Ok(Verdict::Clean)
    }

    /// Sends the batch, when its time has come.
    async fn flush(&mut self) -> Result<Verdict, Failure> {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(Verdict::Clean);
        }
        let Some(sink) = &self.sink else {
            batch.iter().for_each(|item| self.count_sent(item));
            return Ok(Verdict::Clean);
        };
        if !self.pace.wait(self.session).await {
            return Ok(Verdict::Interrupted);
        }
        let keys: Vec<_> = batch.iter().map(|item| item.key.clone()).collect();
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.sending(keys.clone())?;
        }
        let jobs: Vec<_> = batch.iter().map(|item| item.job.clone()).collect();
        // Begun, it is seen through: only its answer tells what arrived.
        let taken = sink.take(&jobs, self.session, self.out).await?;
        let arrived: Vec<_> = keys
            .into_iter()
            .zip(&taken)
            .filter(|(_, taken)| **taken)
            .map(|(key, _)| key)
            .collect();
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.sent(arrived)?;
        }
        self.pace.spend(batch.len());
        for (item, taken) in batch.iter().zip(taken) {
            if taken {
                self.count_sent(item);
                continue;
            }
            self.findings.refused += 1;
            if !self.args.local {
                let value = json!({"interactionId": item.job.conversation.to_string(), "error": "the work queue did not take it"});
                let text = || Text::styled(BAD, "not taken").add(format!(" by the work queue: {}", item.key));
                self.progress.suspend(|| self.out.item(&value, text));
            }
        }
        Ok(Verdict::Clean)
    }

    fn count_sent(&mut self, item: &Item) {
        if self.checkpoint.is_some() {
            self.sent.push(item.key.clone());
        }
        self.tally.sent += 1;
        self.tally.seconds += item.seconds;
        self.progress.advance(1);
    }

    /// Says what the day brought, and has the checkpoint remember that it is done: if it cannot grow any more, and if
    /// nothing of it has to be tried again.
    fn day_done(&mut self, date: Date, before: &Tally) -> Result<(), Failure> {
        let settled = Range {
            first: date,
            last: date,
        }
        .end()
            + SETTLING
            <= self.session.clock.now();
        if settled
            && self.findings.refused == 0
            && let Some(checkpoint) = &mut self.checkpoint
        {
            checkpoint.done(date, &self.tally, &std::mem::take(&mut self.sent))?;
        }
        let now = &self.tally;
        let difference = |of: fn(&Tally) -> u64| of(now) - of(before);
        let value = json!({"day": date, "listed": difference(|t| t.listed), "unrecorded": difference(|t| t.unrecorded),
                           "filtered": difference(|t| t.filtered), "ongoing": difference(|t| t.ongoing),
                           "archived": difference(|t| t.archived), "sent": difference(|t| t.sent)});
        let text = || Text::new(format!("{date}  {}", words(&value, self.done())));
        self.progress.suspend(|| self.out.item(&value, text));
        Ok(())
    }
}
