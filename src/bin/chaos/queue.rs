//! The queue that all containers share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use recording_archiver::sim::World;
use recording_archiver::sim::aws::SentMessage;

/// Time after which a message is received again.
const AGAIN: Duration = Duration::from_millis(150);

/// The queue: at least once, in any order, and gone only when somebody says so.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<Waiting>,
    closes: Instant,
}

#[derive(Debug)]
struct Waiting {
    messages: Vec<(Instant, String)>,
    in_flight: usize,
    delivered: usize,
    /// Number of the deferred jobs that were taken over from the simulated work queue.
    deferred: usize,
}

impl Queue {
    pub(crate) fn new(bodies: Vec<String>, closes: Instant) -> Self {
        let now = Instant::now();
        let state = Mutex::new(Waiting {
            messages: bodies.into_iter().map(|body| (now, body)).collect(),
            in_flight: 0,
            delivered: 0,
            deferred: 0,
        });
        Self { state, closes }
    }

    /// Returns how many messages were handed out, each time counted.
    pub(crate) fn delivered(&self) -> usize {
        self.lock().delivered
    }

    /// Returns how many are left.
    pub(crate) fn left(&self) -> usize {
        self.lock().messages.len()
    }

    /// Returns up to `most` messages; `None` when all is done, or it took too long.
    pub(crate) fn receive(&self, world: &World, most: usize) -> Option<Vec<String>> {
        loop {
            let mut state = self.lock();
            let new = world.aws.messages_after(state.deferred, &world.work_queue);
            let now = Instant::now();
            state.deferred += new.len();
            let new = new.into_iter();
            let new = new.map(|message| (now + delay_of(&message), message.body));
            state.messages.extend(new);
            if now > self.closes || (state.messages.is_empty() && state.in_flight == 0) {
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
