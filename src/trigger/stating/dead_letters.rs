//! Messages that nobody touched for a week. Dead letters: before SQS forgets them, their jobs become failures of the
//! ledger. Cases: they are counted, as the ledger has them.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use crate::archive::{Archiver, Run};
use crate::aws::dead_letters::{DeadLetter, DeadLetters};
use crate::clock::{Clock, Deadline};
use crate::domain::audit::Actor;
use crate::domain::format::Format;
use crate::domain::job::Job;
use crate::error::{Error, ErrorKind};
use crate::trigger::event::{self, Request, Wanted};

/// From this age on a message is old. SQS forgets it after 14 days, some of which it spent in the work queue.
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
    let mut old = 0;
    while let Some(due) = next_old(letters, archiver.clock(), deadline).await? {
        let recorded = due
            .into_iter()
            .map(|letter| give_up(letter, archiver, actor.clone(), deadline));
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
    Ok(old)
}

/// Returns the number of cases of 7 days, which stay in their queue.
pub(super) async fn old_cases(
    mut cases: DeadLetters,
    clock: &Clock,
    deadline: &Deadline,
) -> Result<u64, Error> {
    let counted = count_old(&mut cases, clock, deadline).await;
    cases.show_again().await?;
    counted
}

async fn count_old(cases: &mut DeadLetters, clock: &Clock, deadline: &Deadline) -> Result<u64, Error> {
    let mut old = 0;
    while let Some(due) = next_old(cases, clock, deadline).await? {
        old += due.len() as u64;
    }
    Ok(old)
}

/// Returns the old ones of the next messages; `None`: there are no others, or a run reads no more.
async fn next_old(
    letters: &mut DeadLetters,
    clock: &Clock,
    deadline: &Deadline,
) -> Result<Option<Vec<DeadLetter>>, Error> {
    if letters.read() >= MOST || !deadline.allows_new_work() {
        tracing::warn!(read = letters.read(), "not all messages of the queue were read");
        return Ok(None);
    }
    let batch = letters.next().await?;
    let any = !batch.is_empty();
    let now = clock.now();
    let due = batch
        .into_iter()
        .filter(|letter| now.duration_since(letter.sent) >= OLD);
    Ok(any.then(|| due.collect()))
}

/// Records what a dead letter asked for as failed: of a bulk job, each of its entries. One that asks for nothing names
/// nothing that could be recorded.
async fn give_up(
    letter: DeadLetter,
    archiver: &Archiver,
    mut actor: Actor,
    deadline: &Deadline,
) -> Result<(), Error> {
    let message_id = letter.id.as_str();
    // Whether batch downloads fit is the function's to say: this configuration may lack its format and its queue.
    let wanted = Wanted {
        format: Format::Original,
        defers: true,
        ..Wanted::of(archiver.config())
    };
    let jobs = match event::from_body(&letter.body, &wanted) {
        Ok(Request::Archive { job, event_id }) => {
            actor.event_id = event_id;
            vec![job]
        }
        Ok(Request::Bulk { job }) => job.entries.iter().map(|entry| job.live(entry)).collect(),
        Ok(Request::Nothing { .. }) | Err(_) => {
            tracing::warn!(message_id, "an old dead letter holds no job");
            return Ok(());
        }
    };
    actor.message_id = Some(letter.id);
    let mut ended = Ok(());
    for mut job in jobs {
        let failed = fail(&mut job, actor.clone(), letter.sent, archiver, deadline);
        // One that cannot be recorded must not keep the others of its message back.
        ended = ended.and(failed.await);
    }
    ended
}

/// Records that a job failed whose message was sent first at `sent`.
async fn fail(
    job: &mut Job,
    mut actor: Actor,
    sent: Timestamp,
    archiver: &Archiver,
    deadline: &Deadline,
) -> Result<(), Error> {
    actor.requested_by.clone_from(&job.requested_by);
    let own_role = archiver.config().role_id.as_deref();
    actor.asked_first(job.origin.take(), own_role);
    let message = format!(
        "its message, sent first at {sent:.0}, lies among the dead letters, and nobody sent it again for 7 days \
         (archivectl redrive)"
    );
    let error = Error::new(ErrorKind::DeadLetter, message);
    let run = Run::new(job, &actor, deadline, archiver.clock().now());
    archiver.give_up(run, error).await
}
