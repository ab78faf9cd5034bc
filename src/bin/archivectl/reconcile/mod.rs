//! `archivectl reconcile`: what was recorded at Genesys and is not archived, and the reverse.

mod reason;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use recording_archiver::archive::job::Job;
use recording_archiver::archive::recording::ConversationId;
use recording_archiver::aws::ledger::Ledger;
use recording_archiver::error::ErrorKind;
use recording_archiver::genesys::Genesys;
use recording_archiver::genesys::analytics::{Conversation, Page};
use serde_json::{Value, json};

use crate::custody::{self, Custody, started};
use crate::days::{Age, Days, Range};
use crate::filter::{Fate, Filter};
use crate::out::{BAD, DIM, GOOD, NOTE, Out, Progress, Text};
use crate::scan::{self, Scan};
use crate::session::{PATIENCE, Session};
use crate::sink::{BATCH, Pace, Sink, rate, requester};
use crate::{Failure, Verdict};
use reason::{Cause, Patience, Reason, judge};

/// Find what was recorded at Genesys and is not archived, with the reason, and what is archived and not at Genesys.
///
/// Lists the conversations of the days as backfill does, and asks ledger and audit about each in which a recording was
/// started. With --enqueue, what a job can mend goes to the work queue.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archivectl reconcile --from 2026-03-01 --to 2026-03-31              what is missing, and why
  archivectl reconcile --from 2026-03-01 --to 2026-03-31 --enqueue    the same, sent
  archivectl reconcile --from 2026-03-01 --to 2026-03-31 --recordings --rate 200

Reasons: never_seen (no event of it arrived), failed (see its error; mend the cause first), unfinished (a run died and no \
other came), deferred (was not ready and never came again), unsettled (archived, but nobody looked whether more came up), \
expired (gone at Genesys: cannot be archived any more), older_than_18_months and older_than_5_years (not lost: Genesys \
gives these to organisations on its list only, or through a special job).
That a recording was started is no promise that there is one: a job for what has none ends as never_ready.

Exit code 1: something is missing. What is archived and not listed by Genesys is told, and is no finding: it was deleted \
there, or the OAuth client may not see its division. For that, 16 bytes of each conversation listed stay in memory.")]
pub(crate) struct Args {
    #[command(flatten)]
    days: Days,
    /// Send what a job can mend to the work queue.
    #[arg(long)]
    enqueue: bool,
    /// Also ask Genesys for the recordings of each conversation that is archived: one may have come up later.
    #[arg(long)]
    recordings: bool,
    /// How many conversations a minute to send, or to ask for their recordings.
    #[arg(long, value_name = "N", default_value = "50", value_parser = rate)]
    rate: f64,
    #[command(flatten)]
    filter: Filter,
}

/// How many conversations the ledger is asked about at a time.
const LOOKUPS: usize = 16;

pub(crate) async fn run(args: &Args, session: &Session, out: Out) -> Result<Verdict, Failure> {
    let range = args
        .days
        .range(session.clock.now())?
        .ok_or("which days? Give --from, and --to (see --help)")?;
    let sink = args.enqueue.then(|| Sink::queue(session)).transpose()?;
    let genesys = || Genesys::new(&session.config, session.secrets(), Arc::default());
    let mut reconciliation = Reconciliation {
        args,
        session,
        out,
        range,
        ledger: session.ledger(),
        sink,
        genesys: args.recordings.then(genesys).transpose()?,
        pace: Pace::new(args.rate),
        batch: Vec::new(),
        listed: HashSet::new(),
        by_reason: BTreeMap::new(),
        tally: Tally::default(),
        progress: out.progress("reconcile", None),
    };
    let ended = reconciliation.all().await;
    reconciliation.progress.finish();
    let interrupted = session.is_interrupted();
    reconciliation.summary(interrupted || ended.is_err());
    ended?;
    Ok(match reconciliation.findings() {
        _ if interrupted => Verdict::Interrupted,
        0 => Verdict::Clean,
        _ => Verdict::Findings,
    })
}

#[derive(Debug, Default)]
struct Tally {
    /// Entries of Genesys' lists that cannot be read.
    unreadable: u64,
    unrecorded: u64,
    filtered: u64,
    ongoing: u64,
    sent: u64,
    refused: u64,
    /// Archived, and not listed by Genesys.
    not_listed: u64,
}

struct Reconciliation<'a> {
    args: &'a Args,
    session: &'a Session,
    out: Out,
    range: Range,
    ledger: Ledger,
    /// None without `--enqueue`.
    sink: Option<Sink>,
    /// None without `--recordings`.
    genesys: Option<Genesys>,
    pace: Pace,
    /// Waiting to be sent.
    batch: Vec<Job>,
    /// All that Genesys lists.
    listed: HashSet<ConversationId>,
    /// Recorded conversations by how they stand.
    by_reason: BTreeMap<Reason, u64>,
    tally: Tally,
    progress: Progress,
}

impl Reconciliation<'_> {
    async fn all(&mut self) -> Result<(), Failure> {
        let analytics = self.session.analytics()?;
        let available = analytics
            .available_until(&self.session.deadline(PATIENCE))
            .await?;
        for date in self.range.days() {
            self.progress.message(date.to_string());
            let deadline = self.session.deadline(PATIENCE);
            let day = analytics.day(date, available, &deadline);
            let Some(mut day) = self.session.unless_interrupted(day).await? else {
                return Ok(());
            };
            loop {
                let deadline = self.session.deadline(PATIENCE);
                let page = day.next_page(&deadline);
                let Some(page) = self.session.unless_interrupted(page).await? else {
                    return Ok(());
                };
                let Some(page) = page else { break };
                self.page(page).await?;
                if self.session.is_interrupted() {
                    return Ok(());
                }
            }
        }
        self.flush().await?;
        self.reverse().await
    }

    /// Asks the tables about each conversation of a page that has what is wanted.
    async fn page(&mut self, page: Page) -> Result<(), Failure> {
        self.tally.unreadable += page.unreadable as u64;
        let mut wanted = Vec::new();
        for conversation in page.conversations {
            self.listed.insert(conversation.id);
            let count = match self.args.filter.fate(&conversation, &self.session.config) {
                Fate::Wanted => {
                    wanted.push(conversation);
                    continue;
                }
                Fate::Unrecorded => &mut self.tally.unrecorded,
                Fate::Filtered => &mut self.tally.filtered,
                Fate::Ongoing => &mut self.tally.ongoing,
            };
            *count += 1;
        }
        let ledger = &self.ledger;
        let lookups = wanted.into_iter().map(|conversation| async move {
            let (custodies, _) = custody::of(ledger, conversation.id).await?;
            Ok::<_, Failure>((conversation, custodies))
        });
        let looked_up = futures_util::stream::iter(lookups)
            .buffered(LOOKUPS)
            .try_collect::<Vec<_>>();
        let Some(looked_up) = self.session.unless_interrupted(looked_up).await? else {
            return Ok(());
        };
        for (conversation, custodies) in looked_up {
            self.progress.advance(1);
            let limits = &self.session.config.limits;
            let readiness = SignedDuration::try_from(limits.readiness).unwrap_or(SignedDuration::MAX);
            let end = conversation.end.unwrap_or(conversation.start);
            let patience = Patience {
                now: self.session.clock.now(),
                readiness,
                settles: self.session.config.settles(),
            };
            let (mut reason, mut causes) = judge(&custodies, end, patience);
            let by_recordings =
                self.args.recordings && matches!(reason, Reason::Settling | Reason::Unsettled);
            if reason == Reason::Archived || by_recordings {
                causes = self.unknown_recordings(conversation.id, &custodies).await?;
                reason = if causes.is_empty() {
                    Reason::Archived
                } else {
                    Reason::NeverSeen
                };
            }
            if self.session.is_interrupted() {
                return Ok(());
            }
            let age = Age::of(conversation.start, self.session.clock.now());
            self.tell(&conversation, reason.at_age(age), &causes);
            if self.batch.len() == BATCH {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// With `--recordings`: those that Genesys lists, that are wanted, and that no run ever heard of.
    async fn unknown_recordings(
        &mut self,
        id: ConversationId,
        custodies: &[Custody],
    ) -> Result<Vec<Cause>, Failure> {
        let Some(genesys) = &self.genesys else {
            return Ok(Vec::new());
        };
        if !self.pace.wait(self.session).await {
            return Ok(Vec::new());
        }
        let (job, deadline) = (Job::new(id), self.session.deadline(PATIENCE));
        let asked = self
            .session
            .unless_interrupted(genesys.recordings(&job, &deadline));
        let asked = asked.await;
        self.pace.spend(1);
        let listing = match asked {
            Ok(listing) => listing.unwrap_or_default(),
            // Gone there, after it was archived.
            Err(error) if is_nothing(&*error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let wanted = &self.session.config.recording.media;
        let known = |id: &str| custodies.iter().any(|custody| custody.recording == id);
        let unknown = listing
            .recordings
            .into_iter()
            .filter(|recording| wanted.contains(&recording.media) && !known(&recording.id.to_string()));
        Ok(unknown.map(|recording| Cause::never_seen(recording.id)).collect())
    }

    fn tell(&mut self, conversation: &Conversation, reason: Reason, causes: &[Cause]) {
        *self.by_reason.entry(reason).or_default() += 1;
        if !reason.is_finding() {
            return;
        }
        let (id, start) = (conversation.id, conversation.start);
        let item = json!({"interactionId": id.to_string(), "start": start, "reason": reason.as_str(),
                          "recordings": causes.iter().map(Cause::json).collect::<Vec<_>>()});
        self.progress.suspend(|| {
            self.out.item(&item, || {
                let text = Text::styled(BAD, reason.as_str()).add(format!(" {id}  "));
                let mut text = text.style(DIM, format!("began {}", second(start)));
                for cause in causes {
                    let recording = custody::named(&cause.recording);
                    text = text.line().add(format!("  {recording}: {}", cause.state));
                    if let Some(since) = cause.since {
                        text = text.add(format!(" since {}", second(since)));
                    }
                    if let Some(error) = &cause.error {
                        text = text.add(format!(": {error}"));
                    }
                }
                text
            });
        });
        if self.sink.is_some() && reason.can_be_sent() {
            let mut job = Job::new(id);
            job.requested_by = Some(requester("reconcile", &self.range.to_string()));
            // The function may call it settled, and somebody has a reason to doubt it.
            job.recheck = self.session.config.settles();
            self.batch.push(job);
        }
    }

    /// Sends the batch, when its time has come.
    async fn flush(&mut self) -> Result<(), Failure> {
        let jobs = std::mem::take(&mut self.batch);
        let Some(sink) = self.sink.as_ref().filter(|_| !jobs.is_empty()) else {
            return Ok(());
        };
        if !self.pace.wait(self.session).await {
            return Ok(());
        }
        let taken = sink.take(&jobs, self.session, self.out).await?;
        self.pace.spend(jobs.len());
        let sent = taken.into_iter().filter(|taken| *taken).count() as u64;
        self.tally.sent += sent;
        self.tally.refused += jobs.len() as u64 - sent;
        Ok(())
    }

    /// Looks for what was archived in these days, began in them, and is not listed.
    async fn reverse(&mut self) -> Result<(), Failure> {
        let range = self.range;
        let ledger = self.ledger.clone();
        let mut scan = Scan::new(&ledger, Some(range.start()));
        let archived = |at: Option<Timestamp>| at.is_some_and(|at| range.holds(at));
        while !self.session.is_interrupted()
            && let Some(page) = scan.next(|record| archived(record.archived_at)).await?
        {
            let strangers = page.ids.into_iter().filter(|id| !self.listed.contains(id));
            let read = |id| {
                let ledger = ledger.clone();
                async move {
                    custody::of(&ledger, id)
                        .await
                        .map(|(custodies, _)| (id, custodies))
                }
            };
            let (session, out) = (self.session, self.out);
            scan::each(session, LOOKUPS, strangers.collect(), read, |(id, custodies)| {
                let start = custodies.iter().find_map(|custody| started(&custody.events));
                // Without a start nobody can tell to which days it belongs.
                if let Some(start) = start.filter(|start| range.holds(*start)) {
                    self.tally.not_listed += 1;
                    let item =
                        json!({"interactionId": id.to_string(), "start": start, "reason": "not_listed"});
                    let text = || {
                        Text::styled(NOTE, "not_listed")
                            .add(format!(" {id}  "))
                            .style(DIM, format!("began {}", second(start)))
                    };
                    self.progress.suspend(|| out.item(&item, text));
                }
            })
            .await?;
        }
        Ok(())
    }

    fn findings(&self) -> u64 {
        let findings = self.by_reason.iter().filter(|(reason, _)| reason.is_finding());
        findings.map(|(_, count)| count).sum::<u64>() + self.tally.unreadable + self.tally.refused
    }

    fn summary(&self, unfinished: bool) {
        let tally = &self.tally;
        let reasons = self
            .by_reason
            .iter()
            .map(|(reason, count)| (reason.as_str().to_owned(), json!(count)));
        let value = json!({"listed": self.listed.len(), "unrecorded": tally.unrecorded, "filtered": tally.filtered,
                           "ongoing": tally.ongoing, "unreadable": tally.unreadable, "reasons": Value::Object(reasons.collect()),
                           "notListed": tally.not_listed, "sent": tally.sent, "refused": tally.refused, "finished": !unfinished});
        self.out.summary(&value, || self.words(unfinished));
    }

    fn words(&self, unfinished: bool) -> Text {
        let tally = &self.tally;
        let count = |number| indicatif::HumanCount(number).to_string();
        let mut text = Text::new(format!(
            "{} conversations listed, {} without recording, {} left out by filters, {} going on",
            count(self.listed.len() as u64),
            count(tally.unrecorded),
            count(tally.filtered),
            count(tally.ongoing)
        ));
        for (reason, number) in &self.by_reason {
            let style = if reason.is_finding() { BAD } else { GOOD };
            let line = format!("{:>9}  {}", count(*number), reason.as_str());
            text = text.line().style(style, line);
        }
        for (number, what) in [
            (tally.not_listed, "archived, and not listed by Genesys any more"),
            (
                tally.unreadable,
                "entries of Genesys' lists have no id or start that can be read",
            ),
            (tally.sent, "sent to the work queue"),
            (
                tally.refused,
                "were refused by the work queue: the same command tries them again",
            ),
        ] {
            if number > 0 {
                text = text.line().add(format!("{:>9}  {what}", count(number)));
            }
        }
        if unfinished {
            text.line()
                .style(BAD, "not finished")
                .add(": what is not counted here was not looked at")
        } else if self.findings() == 0 {
            text.line().add("nothing is missing")
        } else if !self.args.enqueue {
            text.line().add("--enqueue sends what a job can mend")
        } else {
            text
        }
    }
}

/// Whether Genesys says that it has no such conversation, or no recording of it.
fn is_nothing(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    let kind = error
        .downcast_ref::<recording_archiver::error::Error>()
        .map(|error| error.kind());
    matches!(
        kind,
        Some(ErrorKind::UnknownConversation | ErrorKind::NotReady { .. })
    )
}

/// A moment, to the second.
fn second(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
