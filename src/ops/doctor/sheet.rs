//! The lines of a check-up: what was looked at, how it came out, and what to do about it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::ops::{Error, Session, Tell, Verdict};

/// What a check says that could be made.
#[derive(Debug)]
pub(super) enum Said {
    Ok(String),
    /// As it should be, with more to say than people read at a glance.
    Long {
        brief: String,
        detail: String,
    },
    /// It works, and somebody may want to look at it.
    Warning {
        detail: String,
        mend: String,
    },
    /// It does not work.
    Problem(String),
    /// It cannot be looked at from here.
    Unknown(String),
}

impl Said {
    pub(super) fn ok(detail: impl Into<String>) -> Self {
        Self::Ok(detail.into())
    }

    pub(super) fn warning(detail: impl Into<String>, mend: impl Into<String>) -> Self {
        let (detail, mend) = (detail.into(), mend.into());
        Self::Warning { detail, mend }
    }
}

/// One line of a check-up.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its stable name.
    pub check: &'static str,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// The same in short, for people who did not ask for every detail.
    #[serde(skip)]
    pub brief: Option<String>,
    /// What to do about it.
    pub mend: Option<String>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, and somebody may want to look at it.
    Warning,
    /// It does not work.
    Problem,
    /// It was not made.
    Skipped,
}

impl State {
    /// Returns its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Skipped => "skipped",
        }
    }
}

/// How many checks came out how.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// As it should be.
    pub ok: usize,
    /// It works, and somebody may want to look at it.
    pub warnings: usize,
    /// It does not work.
    pub problems: usize,
    /// Not made.
    pub skipped: usize,
    /// Ctrl-C ended it before the rest.
    pub interrupted: bool,
}

impl Figures {
    /// Says whether there is something to look after. Warnings alone are no problem.
    pub fn verdict(&self) -> Verdict {
        if self.problems == 0 {
            Verdict::Clean
        } else {
            Verdict::Findings
        }
    }
}

/// How long one check may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// All lines so far.
pub(super) struct Sheet<'a> {
    session: &'a Session,
    tell: Tell<'a, Check>,
    states: BTreeMap<&'static str, State>,
    /// What cannot be reached, and the check that found it.
    unreachable: BTreeMap<String, &'static str>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(session: &'a Session, tell: Tell<'a, Check>) -> Self {
        Self {
            session,
            tell,
            states: BTreeMap::new(),
            unreachable: BTreeMap::new(),
        }
    }

    /// Runs a check, unless one that it needs did not succeed, and tells what came of it. `mend` says what to do about a
    /// problem. Ctrl-C breaks it off.
    pub(super) async fn check(
        &mut self,
        name: &'static str,
        needs: &[&'static str],
        mend: &str,
        work: impl Future<Output = Result<Said, Error>>,
    ) -> Result<(), Error> {
        let session = self.session;
        let work = session.unless_interrupted(work);
        self.check_whole(name, needs, mend, work).await
    }

    /// Runs a check as `check` does, and sees it through: broken off, it would leave something behind.
    pub(super) async fn check_whole(
        &mut self,
        name: &'static str,
        needs: &[&'static str],
        mend: &str,
        work: impl Future<Output = Result<Said, Error>>,
    ) -> Result<(), Error> {
        self.session.go_on()?;
        let works = |need: &&&str| matches!(self.states.get(**need), Some(State::Ok | State::Warning));
        let mut short = None;
        let (state, detail, mend) = match needs.iter().find(|need| !works(need)) {
            Some(need) => (State::Skipped, format!("not checked: {need} is not right"), None),
            None => match tokio::time::timeout(PATIENCE, work).await {
                Ok(Ok(Said::Ok(detail))) => (State::Ok, detail, None),
                Ok(Ok(Said::Long { brief, detail })) => {
                    short = Some(brief);
                    (State::Ok, detail, None)
                }
                Ok(Ok(Said::Warning { detail, mend })) => (State::Warning, detail, Some(mend)),
                Ok(Ok(Said::Problem(detail))) => (State::Problem, detail, Some(mend.to_owned())),
                Ok(Ok(Said::Unknown(why))) => (State::Skipped, format!("not checked: {why}"), None),
                Ok(Err(error)) => {
                    // What fails because of Ctrl-C says nothing about the set-up.
                    self.session.go_on()?;
                    self.failed(name, self.session.locate(error), mend)
                }
                Err(_) => {
                    let detail = format!("no answer within {} s", PATIENCE.as_secs());
                    (State::Problem, detail, Some(mend.to_owned()))
                }
            },
        };
        self.states.insert(name, state);
        self.tell.item(Check {
            check: name,
            state,
            detail,
            brief: short,
            mend,
        });
        Ok(())
    }

    /// Returns what a check that failed comes to: that one server cannot be reached is one problem, however many checks
    /// ask it.
    fn failed(&mut self, name: &'static str, error: Error, mend: &str) -> (State, String, Option<String>) {
        let Some(url) = error.url() else {
            let way_out = error.way_out().unwrap_or(mend).to_owned();
            return (State::Problem, error.to_string(), Some(way_out));
        };
        if let Some(found) = self.unreachable.get(url) {
            let detail = format!("not checked: {url} cannot be reached ({found})");
            return (State::Skipped, detail, None);
        }
        self.unreachable.insert(url.to_owned(), name);
        (
            State::Problem,
            error.to_string(),
            error.way_out().map(str::to_owned),
        )
    }

    pub(super) fn figures(&self, interrupted: bool) -> Figures {
        let count = |state: State| self.states.values().filter(|other| **other == state).count();
        Figures {
            ok: count(State::Ok),
            warnings: count(State::Warning),
            problems: count(State::Problem),
            skipped: count(State::Skipped),
            interrupted,
        }
    }
}
