//! A run: which days are stated, and the way from their lists to their statements.

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::day::Left;
use super::state::{Carried, Day, Issued, Walk};
use super::{Deletion, Figures, Open, Reference, State, Stater, folder};
use crate::aws::storage::Written;
use crate::clock::Deadline;
use crate::domain::days::{Range, day_of, start_of};
use crate::error::{Error, ErrorKind};

/// A day is stated by the schedule when it has been over for a whole day: by then what is not ready has failed, unless
/// `READINESS_DEADLINE_MINUTES` is longer.
const COMPLETE_AFTER: i64 = 2;

/// Days for which one that is not clean is stated anew by each run.
const STATED_AGAIN: i64 = 14;

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
    /// Conversations that somebody has to act on or that are lost, of all days that are not clean, and recordings that
    /// came late.
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

impl Stated {
    fn of(day: Day) -> Option<Self> {
        Some(Self {
            issued: day.issued?,
            figures: day.figures,
            open: day.open,
        })
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
        let mut dates = vec![newest];
        let mut carried = Vec::new();
        let mut surveyed = None;
        if let Some(last) = last {
            surveyed = last.statements.last().map(|issued| issued.document.clone());
            dates.extend(last.left);
            let stated = last.statements.iter().map(|issued| issued.day).max();
            let next = stated.map_or(newest, |stated| stated.saturating_add(Span::new().days(1)));
            if let Ok(missed) = Range::new(next, newest, now) {
                dates.extend(missed.days());
            }
            let open = last
                .statements
                .iter()
                .filter(|issued| !issued.clean)
                .map(|issued| issued.day);
            for date in open.chain(last.carried.iter().map(|carried| carried.day)) {
                if date >= days_before(newest, STATED_AGAIN) {
                    dates.push(date);
                } else if let Some((still, deletes)) = self.still_open(date).await? {
                    // A day with a deletion ahead is stated again, whatever its age.
                    if deletes {
                        dates.push(date);
                    } else {
                        carried.push(still);
                    }
                }
            }
        }
        dates.sort_unstable();
        dates.dedup();
        let stated = dates.split_off(dates.len().saturating_sub(MOST_DAYS));
        let mut state = self.state(stated, surveyed, now).await?;
        state.carried = carried;
        state.left = dates;
        state.scheduled = true;
        Ok(state)
    }

    /// Begins a run of these days.
    pub async fn begin_days(&self, range: Range) -> Result<State, Error> {
        self.state(range.days().collect(), None, self.clock.now()).await
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
        let keys = self.storage.documents(&runs, &after).await?;
        let Some(newest) = keys.last() else {
            return Ok(None);
        };
        let document = self.storage.document(newest).await?.unwrap_or_default();
        let read = serde_json::from_slice(&document);
        read.map(Some).map_err(|error| {
            Error::transient(format!(
                "{newest} cannot be read, so it is unknown which days are open"
            ))
            .caused_by(error)
        })
    }

    /// Returns a day that is too old to be stated again, unless its newest statement is clean by now, or names only
    /// what nobody can close any more; and whether Genesys deletes one of its recordings soon.
    async fn still_open(&self, day: Date) -> Result<Option<(Carried, bool)>, Error> {
        let Some((statement, _)) = self.newest(day).await? else {
            return Ok(None);
        };
        let figures = &statement.figures;
        let undecided = figures.of(super::Reason::Waiting) > 0 || figures.unreadable > 0;
        let open = !statement.clean && (figures.gaps > figures.lost || undecided);
        let now = self.clock.now();
        let ahead = now..now + super::survey::SOON;
        let deletes = statement
            .open
            .iter()
            .any(|open| open.delete_date.is_some_and(|at| ahead.contains(&at)));
        let carried = Carried {
            day,
            gaps: figures.gaps,
            lost: figures.lost,
        };
        Ok(open.then_some((carried, deletes)))
    }

    /// Goes on with a run until its statements are issued, or until its time is up.
    pub async fn go(&self, mut state: State, deadline: &Deadline) -> Result<Progress, Error> {
        let since = state.days.first().map_or(state.began, |day| start_of(day.date));
        let known = deadline.in_time(self.known(since, deadline)).await?;
        for at in 0..state.days.len() {
            if !state.days[at].read {
                let left = self.read_day(&mut state.days[at], &known, deadline).await;
                if or_midway(left)? == Left::Midway {
                    return self.hand_over(state).await;
                }
                state.days[at].position = None;
            }
        }
        if or_midway(self.walk(&mut state, deadline).await)? == Left::Midway {
            return self.hand_over(state).await;
        }
        self.add_deletions(&mut state);
        let newest = state.days.len().saturating_sub(1);
        for at in 0..state.days.len() {
            let survey = (at == newest).then(|| state.walk.survey(&known));
            if state.days[at].issued.is_none() {
                match deadline.in_time(self.issue(&state, at, survey, deadline)).await {
                    Ok(issued) => state.days[at].issued = Some(issued),
                    Err(error) if is_late(&error) => return self.hand_over(state).await,
                    Err(error) => return Err(error),
                }
            }
        }
        self.finish(state).await.map(Progress::Finished)
    }

    /// Adds what the tables know of deletions, where Genesys' own list was not read to its end.
    fn add_deletions(&self, state: &mut State) {
        if state.walk.checked.complete {
            return;
        }
        let soon = self.clock.now() + super::survey::SOON;
        let open = state.days.iter().flat_map(|day| &day.open);
        let deletions = open.filter_map(|open| {
            let recording = open.recordings.first();
            Some(Deletion {
                delete_date: open.delete_date.filter(|at| *at <= soon)?,
                interaction_id: open.interaction_id.clone(),
                recording_id: recording.map_or_else(|| "-".to_owned(), |one| one.recording_id.clone()),
            })
        });
        for deletion in deletions.collect::<Vec<_>>() {
            state.walk.delete(deletion);
        }
    }

    /// Makes a state small enough for a message.
    async fn hand_over(&self, mut state: State) -> Result<Progress, Error> {
        /// Conversations that stay in the state.
        const MOST_OPEN: usize = 20;
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
    async fn finish(&self, state: State) -> Result<Finished, Error> {
        if state.scheduled {
            let document = RunDocument {
                schema: RUN_SCHEMA.to_owned(),
                run: state.run,
                began: state.began,
                statements: state.days.iter().filter_map(|day| day.issued.clone()).collect(),
                carried: state.carried.clone(),
                left: state.left.clone(),
            };
            let key = format!("{}{:.0}-{}.json", self.runs(), state.began, state.run);
            // Written by this very run, if it is there already.
            let _: Written = self.write_json(&key, &document).await?;
        }
        let carried = state.carried.iter().map(|day| day.gaps - day.lost);
        let gaps = state
            .days
            .iter()
            .map(|day| day.figures.gaps + day.figures.unreadable);
        Ok(Finished {
            gaps: gaps.chain(carried).sum::<u64>() + state.walk.late_recordings,
            empty_days: state.days.iter().filter(|day| day.figures.is_empty_day()).count() as u64,
            deletions: state.walk.deletions_ahead,
            statements: state.days.into_iter().filter_map(Stated::of).collect(),
        })
    }
}
