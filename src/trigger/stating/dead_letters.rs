//! Dead letters that nobody sent again for a week: before SQS forgets them, their jobs become failures of the ledger.

use futures_util::future::join_all;
use jiff::SignedDuration;

use crate::archive::{Archiver, Run};
use crate::aws::dead_letters::{DeadLetter, DeadLetters};
use crate::clock::Deadline;
use crate::domain::audit::Actor;
use crate::error::{Error, ErrorKind};
use crate::trigger::event::{self, Request, Wanted};

/// From this age on a dead letter is recorded. SQS forgets it after 14 days, some of which it spent in the work queue.
const OLD: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Messages that a run reads at most.
const MOST: usize = 10_000;

/// Records each dead letter of 7 days, as `actor`, and leaves it in the queue. Returns the number of those.
pub(super) async fn record(
    mut letters: DeadLetters,
    archiver: &Archiver,
    actor: &Actor,
    deadline: &Deadline,
) -> Result<u64, Error> {
    let recorded = all(&mut letters, archiver, actor, deadline).await;
    // After a failure as well: whoever looks for them has to find them.
    letters.show_again().await?;
    recorded
}

async fn all(
    letters: &mut DeadLetters,
    archiver: &Archiver,
    actor: &Actor,
    deadline: &Deadline,
) -> Result<u64, Error> {
    let (mut read, mut old) = (0, 0);
    while read < MOST && deadline.allows_new_work() {
        let batch = letters.next().await?;
        if batch.is_empty() {
            return Ok(old);
        }
        read += batch.len();
        let now = archiver.clock().now();
        let batch = batch.into_iter();
        let due = batch.filter(|letter| now.duration_since(letter.sent) >= OLD);
        let recorded = due.map(|letter| give_up(letter, archiver, actor.clone(), deadline));
        let recorded = join_all(recorded).await;
        old += recorded.len() as u64;
        // One of which an item cannot be read must not keep the statement of all others back.
        for error in recorded.into_iter().filter_map(Result::err) {
            let text = error.redacted();
            tracing::error!(
                code = error.kind().code(),
                error = text,
                "a dead letter is not recorded"
            );
        }
    }
    tracing::warn!(read, "not all dead letters were read");
    Ok(old)
}

/// Records what a dead letter asked for as failed. One that asks for nothing names nothing that could be recorded.
async fn give_up(
    letter: DeadLetter,
    archiver: &Archiver,
    mut actor: Actor,
    deadline: &Deadline,
) -> Result<(), Error> {
    let message_id = letter.id.as_str();
    let request = event::from_body(&letter.body, &Wanted::of(archiver.config()));
    let Ok(Request::Archive { mut job, event_id }) = request else {
        tracing::warn!(message_id, "an old dead letter holds no job");
        return Ok(());
    };
    actor.message_id = Some(letter.id);
    actor.event_id = event_id;
    actor.requested_by.clone_from(&job.requested_by);
    let own_role = archiver.config().role_id.as_deref();
    actor.asked_first(job.origin.take(), own_role);
    let message = format!(
        "its message, sent first at {:.0}, lies among the dead letters, and nobody sent it again for 7 days (archivectl \
         redrive)",
        letter.sent
    );
    let error = Error::new(ErrorKind::DeadLetter, message);
    let run = Run::new(&mut job, &actor, deadline, archiver.clock().now());
    archiver.give_up(run, error).await
}
