//! A run: which days are stated, and the way from their lists to their statements.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{SignedDuration, Span, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::day::Left;
use super::issue::Besides;
use super::state::{Carried, Day, Issued, Walk};
use super::survey::Known;
use super::{Figures, Open, Reference, State, Stater, folder};
use crate::clock::Deadline;
use crate::domain::days::{Range, day_of, start_of};
use crate::error::{Error, ErrorKind};
use crate::genesys::analytics::Position;

/// A day is stated by the schedule when it has been over for a whole day: by then what is not ready has failed, unless
/// `READINESS_DEADLINE_MINUTES` is longer.
const COMPLETE_AFTER: i64 = 2;

/// Days for which one that is not clean is stated anew by each run. At this age a clean one is stated a last time: what
/// was not over when it was stated, and so in no list, is by then.
const STATED_AGAIN: i64 = 14;

/// Longest time that a run waits for one job of Genesys' analytics.
const LONGEST_JOB: SignedDuration = SignedDuration::from_hours(6);

/// Most days of one run; the next one states the others.
const MOST_DAYS: usize = 31;

/// How a run ended for now.
#[derive(Debug)]
pub enum Progress {
    /// All of its statements are issued.
    Finished(Finished),
    /// Its time is up; another process can go on.
    Unfinished(Box<State>),
}

/// A run that issued all of its statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its statements.
    pub statements: Vec<Stated>,
    /// Conversations that somebody has to act on or that are lost, of all days that are not clean; recordings that came
    /// late to other days; days that were too many or could not be read; a survey that is lost.
    pub gaps: u64,
    /// Days with recordings of which none is archived.
    pub empty_days: u64,
    /// Recordings without an archive that Genesys deletes within 14 days.
    pub deletions: u64,
}

/// A statement that was issued, and what it says of its day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stated {
    /// Where it is.
    #[serde(flatten)]
    pub issued: Issued,
    /// Its list was complete at Genesys.
    pub list_complete: bool,
    /// Its figures.
    pub figures: Figures,
    /// The conversations that are not accounted for, but for those in parts of the document.
    pub open: Vec<Open>,
}

/// The document that a run of the schedule leaves to the next one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunDocument {
    schema: String,
    run: Uuid,
    began: Timestamp,
    statements: Vec<Issued>,
    /// Days that are not clean, and that are not stated again.
    carried: Vec<Carried>,
    /// Days that were too many for the run.
    left: Vec<Date>,
}

/// The name of its form.
const RUN_SCHEMA: &str = "recording-archiver.statement-run/1";

impl RunDocument {
    /// Returns the statement with its survey.
    fn survey(&self) -> Option<Reference> {
        self.statements.last().map(|issued| issued.document.clone())
    }

    /// Returns the days that it left open.
    fn open_days(&self) -> impl Iterator<Item = Date> {
        let stated = self.statements.iter().filter(|issued| !issued.clean);
        let stated = stated.map(|issued| issued.day);
        stated.chain(self.carried.iter().map(|carried| carried.day))
    }
}

impl Stated {
    fn of(day: Day) -> Option<Self> {
        Some(Self {
            issued: day.issued?,
            list_complete: day.complete,
            figures: day.figures,
            open: day.open,
        })
    }
}

impl Carried {
    /// Returns the number of its gaps that somebody can close.
    fn open(&self) -> u64 {
        self.gaps.saturating_sub(self.lost)
    }
}

fn is_late(error: &Error) -> bool {
    error.kind() == ErrorKind::DeadlineNear
}

/// Returns how something was left; work that the end of the time cut off is to be done by the next invocation.
fn or_midway(left: Result<Left, Error>) -> Result<Left, Error> {
    match left {
        Err(error) if is_late(&error) => Ok(Left::Midway),
        left => left,
    }
}

fn days_before(date: Date, days: i64) -> Date {
    date.saturating_sub(Span::new().days(days))
}

impl Stater {
    fn runs(&self) -> String {
        format!("{}runs/", folder(&self.config))
    }

    /// Begins a run of the schedule: the days since the last run's, up to the newest that is complete, and those that
    /// were not clean.
    pub async fn begin(&self) -> Result<State, Error> {
        let now = self.clock.now();
        let newest = days_before(day_of(now), COMPLETE_AFTER);
        let last = self.last_run(now).await?;
        let surveyed = last.as_ref().and_then(RunDocument::survey);
        let mut dates: BTreeSet<Date> = self.open_days(newest).await?.into_iter().collect();
        let mut first = BTreeSet::from([newest]);
        let mut carried = Vec::new();
        if let Some(last) = last {
            dates.extend(self.missed(&last, newest).await?);
            let old = last
                .open_days()
                .filter(|date| *date < days_before(newest, STATED_AGAIN));
            for date in old {
                match self.still_open(date).await? {
                    // A day with a deletion ahead is stated again, whatever its age.
                    Some((_, true)) => drop(dates.insert(date)),
                    Some((still, false)) => carried.push(still),
                    None => {}
                }
            }
            first.extend(last.left);
        }
        dates.extend(&first);
        carried.retain(|carried: &Carried| !dates.contains(&carried.day));
        let mut stated: Vec<Date> = dates.into_iter().collect();
        // Those that had to wait come first.
        stated.sort_by_key(|date| (!first.contains(date), Reverse(*date)));
        let mut left = stated.split_off(MOST_DAYS.min(stated.len()));
        left.sort_unstable();
        stated.sort_unstable();
        let mut state = self.state(stated, surveyed, now).await?;
        state.carried = carried;
        state.left = left;
        state.scheduled = true;
        Ok(state)
    }

    /// Returns the days of the last two weeks whose newest statement is not clean, and those without one that follow a
    /// day with one.
    async fn open_days(&self, newest: Date) -> Result<Vec<Date>, Error> {
        let mut open = Vec::new();
        let mut begun = false;
        for before in (0..=STATED_AGAIN).rev() {
            let date = days_before(newest, before);
            let clean = self.is_clean(date).await?;
            begun |= clean.is_some();
            if begun && clean != Some(true) {
                open.push(date);
            }
        }
        Ok(open)
    }

    /// Returns the days behind those of a run, and for each the one that is two weeks older, if that has a statement.
    async fn missed(&self, last: &RunDocument, newest: Date) -> Result<Vec<Date>, Error> {
        let stated = last.statements.iter().map(|issued| issued.day).max();
        let next = stated.map_or(newest, |stated| stated.saturating_add(Span::new().days(1)));
        let mut missed = Vec::new();
        if let Ok(range) = Range::new(next, newest, self.clock.now()) {
            for date in range.days() {
                missed.push(date);
                let once_more = days_before(date, STATED_AGAIN);
                if self.is_clean(once_more).await?.is_some() {
                    missed.push(once_more);
                }
            }
        }
        Ok(missed)
    }

    /// Begins a run of these days.
    pub async fn begin_days(&self, range: Range) -> Result<State, Error> {
        let now = self.clock.now();
        let last = self.last_run(now).await?;
        let surveyed = last.as_ref().and_then(RunDocument::survey);
        self.state(range.days().collect(), surveyed, now).await
    }

    /// Returns the state of a run at its beginning. The statement with the survey before it is `surveyed`, else that of
    /// its newest day.
    async fn state(
        &self,
        dates: Vec<Date>,
        surveyed: Option<Reference>,
        now: Timestamp,
    ) -> Result<State, Error> {
        let mut days = Vec::new();
        for date in dates {
            days.push(Day::new(date, self.previous(date).await?));
        }
        let newest = days.last().and_then(|day| day.previous.as_ref());
        let before = surveyed.or_else(|| newest.map(|previous| previous.document.clone()));
        Ok(State {
            run: Uuid::new_v4(),
            began: now,
            days,
            carried: Vec::new(),
            left: Vec::new(),
            unread: Vec::new(),
            scheduled: false,
            walk: Walk {
                before,
                ..Walk::default()
            },
        })
    }

    /// Returns what the last run of the schedule left.
    async fn last_run(&self, now: Timestamp) -> Result<Option<RunDocument>, Error> {
        // Longer ago than any run is missed without an alarm.
        let runs = self.runs();
        let after = format!("{runs}{}", days_before(day_of(now), 400));
        for key in self.storage.documents(&runs, &after).await?.iter().rev() {
            let day = key
                .strip_prefix(&runs)
                .and_then(|name| name.get(..10)?.parse().ok());
            let Some(day) = day else { continue };
            // Whoever can write into the bucket could write one as well. Only the audit says which are a run's.
            let archive_key = self.storage.archive_key(key).to_string();
            let issued = self.issued(day).await?;
            let named = issued
                .iter()
                .find(|named| named.document.archive_key == archive_key);
            let Some(named) = named else { continue };
            // Without it, the run before it says which days are open: more of them than necessary.
            if let Some(run) = self.named(&named.document).await? {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }

    /// Returns a day that is too old to be stated again, unless its newest statement is clean by now, or names only
    /// what nobody can close any more; and whether Genesys deletes one of its recordings soon.
    async fn still_open(&self, day: Date) -> Result<Option<(Carried, bool)>, Error> {
        let newest = self.newest(day).await?;
        let Some(statement) = newest.and_then(|newest| newest.statement) else {
            // What it said is lost, or even that there was one.
            let (gaps, lost) = (1, 0);
            return Ok(Some((Carried { day, gaps, lost }, false)));
        };
        let figures = &statement.figures;
        // By now nothing is early any more.
        let overdue = figures.of(super::Reason::Waiting) + figures.unreadable;
        let carried = Carried {
            day,
            gaps: figures.gaps + overdue + u64::from(!statement.list_complete && figures.listed > 0),
            lost: figures.lost,
        };
        if statement.clean || carried.open() == 0 {
            return Ok(None);
        }
        let now = self.clock.now();
        let ahead = now..now + super::survey::SOON;
        let mut deletes = false;
        let mut see = |open: &[Open]| {
            let mut dates = open.iter().filter_map(|open| open.delete_date);
            deletes |= dates.any(|at| ahead.contains(&at));
        };
        see(&statement.open);
        self.each_part(&statement.parts, &mut see).await?;
        Ok(Some((carried, deletes)))
    }

    /// Goes on with a run until its statements are issued, or until its time is up.
    pub async fn go(&self, mut state: State, deadline: &Deadline) -> Result<Progress, Error> {
        self.read_found(&mut state).await?;
        let since = state.days.first().map_or(state.began, |day| start_of(day.date));
        let known = deadline.in_time(self.known(since, deadline)).await?;
        if or_midway(self.walk(&mut state, deadline).await)? == Left::Midway {
            return self.hand_over(state).await;
        }
        self.add_late_days(&mut state, &known).await?;
        if self.read_days(&mut state, &known, deadline).await? == Left::Midway {
            return self.hand_over(state).await;
        }
        let newest = state.days.len().saturating_sub(1);
        for at in 0..state.days.len() {
            let besides = Besides {
                survey: (at == newest).then(|| state.walk.survey(&known)),
                not_checked: state.walk.not_checked(&known, self.clock.now()),
            };
            if state.days[at].issued.is_none() {
                match deadline.in_time(self.issue(&state, at, &besides, deadline)).await {
                    Ok(issued) => state.days[at].issued = Some(issued),
                    Err(error) if is_late(&error) => return self.hand_over(state).await,
                    Err(error) => return Err(error),
                }
            }
        }
        self.finish(state, deadline).await.map(Progress::Finished)
    }

    /// Goes through the lists of all days. One that cannot be read is the next run's, and holds up no other, unless all
    /// of them are such.
    async fn read_days(&self, state: &mut State, known: &Known, deadline: &Deadline) -> Result<Left, Error> {
        let mut at = 0;
        while let Some(day) = state.days.get_mut(at) {
            if !day.read {
                let left = or_midway(self.read_day(day, &mut state.walk, known, deadline).await);
                let awaits_job = day.position.as_ref().is_some_and(Position::awaits_job);
                let endless = awaits_job && self.clock.now().duration_since(state.began) > LONGEST_JOB;
                match left {
                    Ok(Left::Midway) if !endless => return Ok(Left::Midway),
                    Ok(Left::Read) => day.position = None,
                    Ok(Left::Midway) if state.days.len() == 1 => {
                        return Err(Error::transient(
                            "a job of Genesys' analytics takes longer than six hours",
                        ));
                    }
                    // The next run begins another one.
                    Ok(Left::Midway) => state.unread.push(state.days.remove(at).date),
                    Err(error) if !state.scheduled || state.days.len() == 1 => return Err(error),
                    Err(error) => {
                        let date = state.days.remove(at).date;
                        let (code, text) = (error.kind().code(), error.redacted());
                        tracing::error!(%date, code, error = text, "a day cannot be stated; the next run tries again");
                        state.unread.push(date);
                    }
                }
            }
            at += usize::from(state.days.get(at).is_some_and(|day| day.read));
        }
        Ok(Left::Read)
    }

    /// Has the schedule's run state the days to which a recording came late, or an orphan after a clean statement. A
    /// conversation may have begun on the day before its recording.
    async fn add_late_days(&self, state: &mut State, known: &Known) -> Result<(), Error> {
        let Some(newest) = state.days.last().map(|day| day.date) else {
            return Ok(());
        };
        if !state.scheduled {
            return Ok(());
        }
        let late = state.walk.late.iter().filter_map(|late| late.day);
        let late: BTreeSet<Date> = late.flat_map(|day| [days_before(day, 1), day]).collect();
        let mut days: BTreeSet<Date> = known.days_of_orphans().collect();
        days.extend(&late);
        for date in days.range(..newest).copied() {
            let there = state.days.iter().any(|day| day.date == date);
            if there || state.unread.contains(&date) || state.left.contains(&date) {
                continue;
            }
            // A day without a statement is from before the stack. One that is not clean names its orphans.
            let clean = self.is_clean(date).await?;
            if clean.is_none() || clean == Some(false) && !late.contains(&date) {
                continue;
            }
            if state.days.len() >= MOST_DAYS {
                state.left.push(date);
            } else {
                let day = Day::new(date, self.previous(date).await?);
                let at = state.days.partition_point(|day| day.date < date);
                state.days.insert(at, day);
            }
        }
        Ok(())
    }

    /// Makes a state small enough for a message.
    async fn hand_over(&self, mut state: State) -> Result<Progress, Error> {
        /// Conversations, and findings of the walk, that stay in the state.
        const MOST_OPEN: usize = 20;
        if state.walk.late.len() + state.walk.deletions.len() > MOST_OPEN {
            self.write_found(&mut state).await?;
        }
        let mut open: usize = state.days.iter().map(|day| day.open.len()).sum();
        for day in &mut state.days {
            if open > MOST_OPEN {
                open -= day.open.len();
                self.write_part(day).await?;
            }
        }
        Ok(Progress::Unfinished(Box::new(state)))
    }

    /// Leaves the next run what it needs, and sums up.
    async fn finish(&self, state: State, deadline: &Deadline) -> Result<Finished, Error> {
        if state.scheduled {
            let document = RunDocument {
                schema: RUN_SCHEMA.to_owned(),
                run: state.run,
                began: state.began,
                statements: state.days.iter().filter_map(|day| day.issued.clone()).collect(),
                carried: state.carried.clone(),
                left: state.left.iter().chain(&state.unread).copied().collect(),
            };
            let key = format!("{}{:.0}-{}.json", self.runs(), state.began, state.run);
            self.leave(&key, day_of(state.began), &document, deadline).await?;
        }
        let late = state.walk.late.iter().filter(|late| !late.stated);
        let unstated = state.left.len() + state.unread.len() + usize::from(state.walk.survey_lost);
        let carried = state.carried.iter().map(Carried::open);
        let gaps = state
            .days
            .iter()
            .map(|day| day.figures.gaps + day.figures.unreadable);
        Ok(Finished {
            gaps: gaps.chain(carried).sum::<u64>() + (late.count() + unstated) as u64,
            empty_days: state.days.iter().filter(|day| day.figures.is_empty_day()).count() as u64,
            deletions: state.walk.deletions_ahead,
            statements: state.days.into_iter().filter_map(Stated::of).collect(),
        })
    }
}
