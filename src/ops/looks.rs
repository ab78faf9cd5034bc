//! Looks at a conversation whose recordings were archived on this machine, so that it is settled and described.

use super::custody::standing::Patience;
use super::custody::{self, noted};
use super::sink::Done;
use super::{Error, Session};
use crate::archive::{Archiver, Looked, Run};
use crate::aws::queues::Queues;
use crate::domain::outcome::{Outcome, RecordingResult};
use crate::domain::recording::ConversationId;
use crate::genesys::Details;

/// Looks that are taken right here, at most: two that list the same settle a conversation.
const HERE: usize = 2;

/// Takes a look at the conversation of a run that archived it, as the function does: the next one is sent before
/// this one counts. Of a conversation that ended longer ago than recordings are waited for, the next one is taken
/// right here as well, and the function drops the one that was sent by its number.
///
/// Gives each result that a former run did not have to `tell`. Ends at a look that leaves something to a next run,
/// with the worst end of all results.
pub(super) async fn settle(
    (session, archiver): (&Session, &Archiver),
    archived: Run<'_>,
    tell: impl Fn(&RecordingResult),
) -> Result<Done, Error> {
    let queues = Queues::new(session.clients.sqs.clone(), session.config.queues.clone());
    let looks = match is_long_over(session, archived.job.conversation).await? {
        true => HERE,
        false => 1,
    };
    let mut job = archived.job.clone();
    let mut worst = Done::Taken;
    for _ in 0..looks {
        let mut this = job.clone();
        let run = Run::new(&mut this, archived.actor, archived.deadline, session.now());
        // Boxed, as the whole data path is in these futures.
        let Looked { results, taken } = Box::pin(archiver.look(run)).await;
        for result in &results {
            worst = worst.max(of_look(result));
            if is_news(result) {
                tell(result);
            }
        }
        let Some(taken) = taken.filter(|_| worst != Done::Refused) else {
            return Ok(worst);
        };
        let details = Details::default();
        let concluded = match Box::pin(archiver.conclude_look(run, taken, &details)).await {
            Ok(concluded) => concluded,
            Err(ended) => return ended.error.map_or(Ok(worst), |error| Err(error.into())),
        };
        let next = concluded.next().cloned();
        if let Some(next) = &next {
            queues.send(next).await?;
        }
        let recorded = Box::pin(archiver.record_look(run, concluded)).await;
        if let Some(error) = recorded.and_then(|result| result.error) {
            return Err(error.into());
        }
        match next {
            Some(next) => job = next.job,
            None => return Ok(worst),
        }
    }
    Ok(worst)
}

/// Returns the end of a job by a result of a look. Looks that go on by themselves leave nothing to a next run.
fn of_look(result: &RecordingResult) -> Done {
    match result.outcome {
        Outcome::Settling => Done::Taken,
        _ => Done::of_result(result),
    }
}

/// Checks whether a result is not that of the run before the look, once more.
fn is_news(result: &RecordingResult) -> bool {
    of_look(result) != Done::Taken || result.outcome == Outcome::Archived
}

/// Returns whether each recording of a conversation ended so long ago that no further one is waited for.
async fn is_long_over(session: &Session, conversation: ConversationId) -> Result<bool, Error> {
    let held = custody::of(&session.ledger(), conversation).await?;
    let Patience { now, readiness, .. } = Patience::of(&session.config, session.now());
    let recordings = held.custodies.iter().filter(|custody| custody.recording != "-");
    let mut ends = recordings.map(|custody| noted(&custody.events, "endTime"));
    Ok(ends.all(|end| end.is_some_and(|end| now.duration_since(end) > readiness)))
}
