//! The lines of a check-up: what was looked at, how it came out, and what to do about it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::out::{BAD, DIM, GOOD, NOTE, Out, Text};
use crate::session::Session;
use crate::{Failure, Verdict};

/// What a check that did not fail says.
#[derive(Debug)]
pub(super) enum Said {
    Ok(String),
    /// It works, and somebody may want to look at it.
    Warning {
        detail: String,
        mend: String,
    },
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

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warning,
    Problem,
    Skipped,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Skipped => "skipped",
        }
    }
}

/// How long one check may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// All lines so far.
pub(super) struct Sheet<'a> {
    session: &'a Session,
    out: Out,
    states: BTreeMap<&'static str, State>,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(session: &'a Session, out: Out) -> Self {
        let states = BTreeMap::new();
        Self { session, out, states }
    }

    /// Runs a check, unless one that it needs did not succeed, and tells what came of it. `mend` says what to do about a
    /// problem. Ctrl-C breaks it off.
    pub(super) async fn check(
        &mut self,
        name: &'static str,
        needs: &[&'static str],
        mend: &str,
        work: impl Future<Output = Result<Said, Failure>>,
    ) {
        let session = self.session;
        let work = async {
            let said = session.unless_interrupted(work).await?;
            said.ok_or_else(|| "interrupted".into())
        };
        self.check_whole(name, needs, mend, work).await;
    }

    /// As `check`, for what would leave something behind if it were broken off.
    pub(super) async fn check_whole(
        &mut self,
        name: &'static str,
        needs: &[&'static str],
        mend: &str,
        work: impl Future<Output = Result<Said, Failure>>,
    ) {
        if self.session.is_interrupted() {
            return;
        }
        let works = |need: &&&str| matches!(self.states.get(**need), Some(State::Ok | State::Warning));
        let (state, detail, mend) = match needs.iter().find(|need| !works(need)) {
            Some(need) => (State::Skipped, format!("not checked: {need} is not right"), None),
            None => match tokio::time::timeout(PATIENCE, work).await {
                Ok(Ok(Said::Ok(detail))) => (State::Ok, detail, None),
                Ok(Ok(Said::Warning { detail, mend })) => (State::Warning, detail, Some(mend)),
                Ok(Ok(Said::Unknown(why))) => (State::Skipped, format!("not checked: {why}"), None),
                // What fails because of Ctrl-C says nothing about the set-up.
                Ok(Err(_)) if self.session.is_interrupted() => return,
                Ok(Err(error)) => (State::Problem, error.to_string(), Some(mend.to_owned())),
                Err(_) => {
                    let detail = format!("no answer within {} s", PATIENCE.as_secs());
                    (State::Problem, detail, Some(mend.to_owned()))
                }
            },
        };
        self.states.insert(name, state);
        let value = json!({"check": name, "state": state.as_str(), "detail": detail, "mend": mend});
        self.out.item(&value, || {
            let style = match state {
                State::Ok => GOOD,
                State::Warning => NOTE,
                State::Problem => BAD,
                State::Skipped => DIM,
            };
            let text = Text::styled(style, format!("{:<8}", state.as_str()));
            let text = text.add(format!(" {name:<18} {detail}"));
            match mend {
                Some(mend) => text.line().add(format!("{:28}to mend it: {mend}", "")),
                None => text,
            }
        });
    }

    pub(super) fn summary(&self) -> Verdict {
        let count = |state: State| self.states.values().filter(|other| **other == state).count();
        let [ok, warnings, problems, skipped] =
            [State::Ok, State::Warning, State::Problem, State::Skipped].map(count);
        let interrupted = self.session.is_interrupted();
        let value = json!({
            "ok": ok, "warnings": warnings, "problems": problems, "skipped": skipped, "interrupted": interrupted,
        });
        self.out.summary(&value, || {
            let end = if interrupted {
                "; interrupted before the rest"
            } else {
                ""
            };
            Text::new(format!(
                "ok {ok}, warnings {warnings}, problems {problems}, not checked {skipped}{end}"
            ))
        });
        match problems {
            _ if interrupted => Verdict::Interrupted,
            0 => Verdict::Clean,
            _ => Verdict::Findings,
        }
    }
}
