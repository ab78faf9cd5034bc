//! Wall-clock time and the end of an invocation. Below the edges nothing reads the time by itself.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind};

/// Tells the wall-clock time; tests move it forward instead of waiting.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead_ms: Arc<AtomicI64>,
}

impl Clock {
    /// Returns the current time, UTC.
    pub fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_millis(self.ahead_ms.load(Ordering::Relaxed));
        Timestamp::now().saturating_add(ahead).unwrap_or(Timestamp::MAX)
    }

    /// Milliseconds since the epoch, as leases count them.
    pub fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    /// Moves this clock, and every clone of it, forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.ahead_ms.fetch_add(by, Ordering::Relaxed);
    }
}

/// The end of an invocation, the margin kept for cleaning up before it, and the order to stop early.
#[derive(Debug, Clone)]
pub struct Deadline {
    end: Instant,
    margin: Duration,
    stop: watch::Receiver<bool>,
}

/// Orders every [`Deadline`] made from it to end now; SIGTERM pulls it.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

impl Default for Stop {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Stop {
    /// Ends the work in progress; it cleans up and reports.
    pub fn pull(&self) {
        self.0.send_replace(true);
    }
}

/// Kept free at the end of an invocation for aborting uploads, releasing leases and answering.
const MARGIN: Duration = Duration::from_secs(10);

impl Deadline {
    /// Makes a deadline `remaining` from now. The margin is 10 s, or a tenth of what remains if that is less.
    pub fn new(remaining: Duration, stop: &Stop) -> Self {
        Self {
            end: Instant::now() + remaining,
            margin: MARGIN.min(remaining / 10),
            stop: stop.0.subscribe(),
        }
    }

    /// Returns this deadline, or one that ends work `time` from now if that is earlier.
    #[must_use]
    pub fn within(&self, time: Duration) -> Self {
        Self {
            end: self.end.min(Instant::now() + time + self.margin),
            ..self.clone()
        }
    }

    /// Returns the time until the sandbox may be frozen or killed, for which a lease is taken.
    pub fn remaining(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Returns the time until work has to stop and cleaning up begins.
    pub fn working_time(&self) -> Duration {
        if *self.stop.borrow() {
            Duration::ZERO
        } else {
            self.remaining().saturating_sub(self.margin)
        }
    }

    /// Waits until the answer has to get out, whatever still hangs: half of the margin is left.
    pub async fn answer_due(&self) {
        tokio::time::sleep_until(self.end - self.margin / 2).await;
    }

    /// Says whether there is time to begin another recording: at least as much as cleaning up may take.
    pub fn allows_new_work(&self) -> bool {
        self.working_time() > self.margin
    }

    /// Waits until work has to stop.
    pub async fn work_ends(&self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep_until(self.end - self.margin) => {}
            // An error means that the Stop is gone: then nobody can pull it, and only time ends the work.
            Ok(_) = stop.wait_for(|stop| *stop) => {}
        }
    }

    /// Does `work` until the working time ends, and turns a panic into an error. The caller gets the chance to undo
    /// what `work` began.
    pub async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            done = AssertUnwindSafe(work).catch_unwind() => {
                done.unwrap_or_else(|panic| Err(Error::caught(&*panic)))
            }
            () = self.work_ends() => {
                Err(Error::new(ErrorKind::DeadlineNear, "the invocation ends before the work does"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_ends_a_margin_before_the_invocation_does() {
        let stop = Stop::default();
        let deadline = Deadline::new(Duration::from_secs(900), &stop);
        assert_eq!(deadline.working_time(), Duration::from_secs(890));
        assert!(deadline.allows_new_work());
        tokio::time::advance(Duration::from_secs(881)).await;
        assert!(
            !deadline.allows_new_work(),
            "9 s of work are less than the margin"
        );
        deadline.work_ends().await;
        assert_eq!(deadline.remaining(), Duration::from_secs(10));
        deadline.answer_due().await;
        assert_eq!(deadline.remaining(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_of_the_work_may_have_to_end_earlier_and_never_ends_later() {
        let stop = Stop::default();
        let deadline = Deadline::new(Duration::from_secs(900), &stop);
        let part = deadline.within(Duration::from_secs(60));
        assert_eq!(part.working_time(), Duration::from_secs(60));
        assert_eq!(
            deadline.within(Duration::from_secs(3_600)).working_time(),
            deadline.working_time()
        );
        stop.pull();
        assert_eq!(part.working_time(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_work_at_once() {
        let stop = Stop::default();
        let deadline = Deadline::new(Duration::from_secs(900), &stop);
        stop.pull();
        deadline.work_ends().await;
        assert_eq!(deadline.remaining(), Duration::from_secs(900));
        assert!(!deadline.allows_new_work());
    }
}
