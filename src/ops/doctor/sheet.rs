//! The checks of a set-up, with their results and remedies.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::ops::{Error, Listener, Session, Verdict};

/// The result of a check that was made.
#[derive(Debug)]
pub(super) enum Said {
    Ok(String),
    /// Works as it should, with more details than people read at a glance.
    Long {
        brief: String,
        detail: String,
    },
    /// Works, and somebody may want to change it.
    Warning {
        detail: String,
        fix: String,
    },
    /// Does not work.
    Problem(String),
    /// Cannot be checked from here.
    Unknown(String),
}

impl Said {
    pub(super) fn ok(detail: impl Into<String>) -> Self {
        Self::Ok(detail.into())
    }

    pub(super) fn warning(detail: impl Into<String>, fix: impl Into<String>) -> Self {
        let (detail, fix) = (detail.into(), fix.into());
        Self::Warning { detail, fix }
    }
}

/// A check of a set-up.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its stable name.
    pub check: &'static str,
    /// Its result.
    pub state: State,
    /// The facts that were found.
    pub detail: String,
    /// The same in short, for people who did not ask for every detail.
    #[serde(skip)]
    pub brief: Option<String>,
    /// The remedy.
    #[serde(rename = "mend")]
    pub fix: Option<String>,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Works as it should.
    Ok,
    /// Works, and somebody may want to change it.
    Warning,
    /// Does not work.
    Problem,
    /// The check was not made.
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

/// Checks by result.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Works as it should.
    pub ok: usize,
    /// Works, and somebody may want to change it.
    pub warnings: usize,
    /// Does not work.
    pub problems: usize,
    /// Not made.
    pub skipped: usize,
    /// Ctrl-C ended it before the rest.
    pub interrupted: bool,
}

impl Figures {
    /// Returns whether there are problems. Warnings alone are none.
    pub fn verdict(&self) -> Verdict {
        if self.problems == 0 {
            Verdict::Clean
        } else {
            Verdict::Findings
        }
    }
}

/// Longest time that one check may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// All checks so far.
pub(super) struct Sheet<'a> {
    session: &'a Session,
    listener: Listener<'a, Check>,
    states: BTreeMap<&'static str, State>,
    /// URLs that cannot be reached, and the check that found it.
    unreachable: BTreeMap<String, &'static str>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(session: &'a Session, listener: Listener<'a, Check>) -> Self {
        Self {
            session,
            listener,
            states: BTreeMap::new(),
            unreachable: BTreeMap::new(),
        }
    }

    /// Runs a check, unless one that it needs did not succeed, and reports its result. `fix` is the remedy of a
    /// problem. Ctrl-C interrupts it.
    pub(super) async fn check(
        &mut self,
        name: &'static str,
        needs: &[&'static str],
        fix: &str,
        work: impl Future<Output = Result<Said, Error>>,
    ) -> Result<(), Error> {
        let session = self.session;
        let work = session.unless_interrupted(work);
        self.check_to_its_end(name, needs, fix, work).await
    }

    /// Runs a check like `check`, but not interrupted by Ctrl-C: for checks that would leave something behind.
    pub(super) async fn check_to_its_end(
        &mut self,
        name: &'static str,
        needs: &[&'static str],
        fix: &str,
        work: impl Future<Output = Result<Said, Error>>,
    ) -> Result<(), Error> {
        self.session.go_on()?;
        let works = |need: &&&str| matches!(self.states.get(**need), Some(State::Ok | State::Warning));
        let mut short = None;
        let (state, detail, fix) = match needs.iter().find(|need| !works(need)) {
            Some(need) => (State::Skipped, format!("not checked: {need} is not right"), None),
            None => match tokio::time::timeout(PATIENCE, work).await {
                Ok(Ok(Said::Ok(detail))) => (State::Ok, detail, None),
                Ok(Ok(Said::Long { brief, detail })) => {
                    short = Some(brief);
                    (State::Ok, detail, None)
                }
                Ok(Ok(Said::Warning { detail, fix })) => (State::Warning, detail, Some(fix)),
                Ok(Ok(Said::Problem(detail))) => (State::Problem, detail, Some(fix.to_owned())),
                Ok(Ok(Said::Unknown(why))) => (State::Skipped, format!("not checked: {why}"), None),
                Ok(Err(error)) => {
                    // A failure because of Ctrl-C says nothing about the set-up.
                    self.session.go_on()?;
                    self.failed(name, self.session.locate(error), fix)
                }
                Err(_) => {
                    let detail = format!("no answer within {} s", PATIENCE.as_secs());
                    (State::Problem, detail, Some(fix.to_owned()))
                }
            },
        };
        self.states.insert(name, state);
        self.listener.item(Check {
            check: name,
            state,
            detail,
            brief: short,
            fix,
        });
        Ok(())
    }

    /// Returns the result of a check that failed. A server that cannot be reached is one problem, however many checks
    /// ask it.
    fn failed(&mut self, name: &'static str, error: Error, fix: &str) -> (State, String, Option<String>) {
        let Some(url) = error.url() else {
            let way_out = error.way_out().unwrap_or(fix).to_owned();
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

    /// Counts the checks by result.
    pub(super) fn figures(&self, end: &Result<(), Error>) -> Figures {
        let count = |state: State| self.states.values().filter(|other| **other == state).count();
        Figures {
            ok: count(State::Ok),
            warnings: count(State::Warning),
            problems: count(State::Problem),
            skipped: count(State::Skipped),
            interrupted: end.as_ref().is_err_and(Error::is_interruption),
        }
    }
}
