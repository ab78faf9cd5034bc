//! The queue that all containers share.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use recording_archiver::clock::Clock;
use recording_archiver::sim::World;
use recording_archiver::sim::aws::SentMessage;
use serde_json::Value;

/// Time after which a message is received again.
const AGAIN: Duration = Duration::from_millis(150);

/// A conversation that Genesys does not know is waited for about an hour. Its jobs come again after that, when all else
/// is done: one every [`AGAIN`] would be thousands, and more with each message that comes twice.
const HOUR: Duration = Duration::from_secs(3_660);

/// The queue: at least once, in any order, and gone only when somebody says so.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<Waiting>,
    closes: Instant,
    clock: Clock,
    /// Conversations that Genesys does not know.
    unknown: BTreeSet<String>,
}

#[derive(Debug)]
struct Waiting {
    messages: Vec<(Instant, String)>,
    /// Messages that wait until an hour has passed.
    late: Vec<String>,
    in_flight: usize,
    delivered: usize,
    /// Number of the deferred jobs that were taken over from the simulated work queue.
    deferred: usize,
}

impl Queue {
    pub(crate) fn new(bodies: Vec<String>, closes: Instant, clock: Clock, unknown: BTreeSet<String>) -> Self {
        let now = Instant::now();
        let state = Mutex::new(Waiting {
            messages: bodies.into_iter().map(|body| (now, body)).collect(),
            late: Vec::new(),
            in_flight: 0,
            delivered: 0,
            deferred: 0,
        });
        Self {
            state,
            closes,
            clock,
            unknown,
        }
    }

    /// Returns how many messages were handed out, each time counted.
    pub(crate) fn delivered(&self) -> usize {
        self.lock().delivered
    }

    /// Returns how many are left.
    pub(crate) fn left(&self) -> usize {
        let state = self.lock();
        state.messages.len() + state.late.len()
    }

    /// Returns up to `most` messages; `None` when all is done, or it took too long.
    pub(crate) fn receive(&self, world: &World, most: usize) -> Option<Vec<String>> {
        loop {
            let mut state = self.lock();
            let new = world.aws.messages_after(state.deferred, &world.work_queue);
            let now = Instant::now();
            state.deferred += new.len();
            let (late, new): (Vec<_>, Vec<_>) = new.into_iter().partition(|message| self.is_late(message));
            state.late.extend(late.into_iter().map(|message| message.body));
            let new = new.into_iter();
            let new = new.map(|message| (now + delay_of(&message), message.body));
            state.messages.extend(new);
            let is_done = state.messages.is_empty() && state.in_flight == 0;
            if is_done && !state.late.is_empty() {
                self.clock.advance(HOUR);
                let late = std::mem::take(&mut state.late);
                state.messages.extend(late.into_iter().map(|body| (now, body)));
            } else if is_done || now > self.closes {
                return None;
            }
            let ready = state.messages.extract_if(.., |(from, _)| *from <= now);
            let batch: Vec<String> = ready.take(most).map(|(_, body)| body).collect();
            if !batch.is_empty() {
                state.in_flight += batch.len();
                state.delivered += batch.len();
                return Some(batch);
            }
            drop(state);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends a batch; these of its messages are received again.
    pub(crate) fn settle(&self, batch: usize, again: Vec<String>) {
        let mut state = self.lock();
        state.in_flight -= batch;
        let from = Instant::now() + AGAIN;
        state.messages.extend(again.into_iter().map(|body| (from, body)));
    }

    /// Says whether a message is the live lane's job of a conversation that Genesys does not know.
    fn is_late(&self, message: &SentMessage) -> bool {
        let job: Value = serde_json::from_str(&message.body).unwrap_or_default();
        let conversation = job["conversationId"].as_str();
        conversation.is_some_and(|id| self.unknown.contains(id))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns after what time a message comes: deferred jobs soon. A look that came before its time would only be sent on.
fn delay_of(message: &SentMessage) -> Duration {
    let is_look = message.body.contains("\"look\"");
    let seconds = message
        .delay_seconds
        .filter(|_| is_look)
        .and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or(AGAIN, |seconds| Duration::from_secs(seconds).max(AGAIN))
}
