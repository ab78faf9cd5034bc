//! Completeness statements of days, as an operator asks for them.

use serde::Serialize;

use super::{Error, Listener, Session, Verdict, clock};
use crate::domain::days::Range;
use crate::statement::{Finished, Progress, Stated, Stater};
use crate::telemetry::Lines;

use super::session::PATIENCE;

/// Statements in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Statements that were issued.
    pub statements: u64,
    /// Those that are clean.
    pub clean: u64,
    /// Conversations that somebody has to act on, or that are lost, and recordings that came late.
    pub gaps: u64,
    /// Days with recordings of which none is archived.
    pub days_without_archive: u64,
    /// Recordings without an archive that Genesys deletes within 14 days.
    pub deletions_ahead: u64,
    /// Jobs that were sent.
    pub sent: u64,
}

impl Figures {
    fn of(finished: &Finished) -> Self {
        let statements = finished.statements.iter();
        Self {
            statements: finished.statements.len() as u64,
            clean: statements.clone().filter(|stated| stated.issued.clean).count() as u64,
            gaps: finished.gaps,
            days_without_archive: finished.empty_days,
            deletions_ahead: finished.deletions,
            sent: statements.map(|stated| stated.figures.sent).sum(),
        }
    }

    /// Returns whether each statement is clean.
    pub fn verdict(&self) -> Verdict {
        if self.clean == self.statements {
            Verdict::Clean
        } else {
            Verdict::Findings
        }
    }
}

/// Issues a statement for each of these days. An interruption leaves days without one; nothing is half stated.
pub async fn statement(
    session: &Session,
    range: Range,
    listener: Listener<'_, Stated>,
) -> Result<Figures, Error> {
    // The audit names the time.
    clock::check(session).await?;
    let actor = session.operator(None).await;
    let lines = Lines::new(|_| {});
    let stater = Stater::connect(
        session.config.clone(),
        &session.clients,
        session.clock.clone(),
        lines,
        actor,
    )?;
    let mut state = session.unless_interrupted(stater.begin_days(range)).await?;
    loop {
        let deadline = session.deadline(PATIENCE);
        match session.unless_interrupted(stater.go(state, &deadline)).await? {
            Progress::Unfinished(unfinished) => state = *unfinished,
            Progress::Finished(finished) => {
                let figures = Figures::of(&finished);
                finished
                    .statements
                    .into_iter()
                    .for_each(|stated| listener.item(stated));
                return Ok(figures);
            }
        }
    }
}
