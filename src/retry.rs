//! Retry: the policy as data, its progress as a value.

use std::time::Duration;

use crate::clock::Deadline;
use crate::error::{Error, ErrorKind};

/// Draws the random part of a backoff; tests fix it.
#[derive(Debug, Clone, Copy)]
pub struct Jitter(fn() -> f64);

impl Jitter {
    /// Draws with `draw`, which returns a number from 0 to 1.
    pub fn new(draw: fn() -> f64) -> Self {
        Self(draw)
    }
}

impl Default for Jitter {
    /// Draws a random number; spread is all that is asked of it.
    fn default() -> Self {
        Self(|| {
            let high = u32::try_from(uuid::Uuid::new_v4().as_u128() >> 96).unwrap_or(0);
            f64::from(high) / f64::from(u32::MAX)
        })
    }
}

/// Number of tries of one HTTP step within a run, and the waits between them.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Tries in all, at least 1.
    pub max_attempts: u32,
    /// Ceiling of the first backoff; doubles with each try.
    pub base: Duration,
    /// Ceiling of every backoff.
    pub cap: Duration,
    /// Random part of every backoff.
    pub jitter: Jitter,
}

impl RetryPolicy {
    /// Returns a policy with this many tries and this first backoff, never waiting longer than 20 s at a time.
    pub fn new(max_attempts: u32, base: Duration) -> Self {
        Self {
            max_attempts,
            base,
            cap: Duration::from_secs(20),
            jitter: Jitter::default(),
        }
    }

    /// Returns the wait after a try: exponential backoff with full jitter, anything from nothing to the ceiling.
    /// <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>
    pub fn backoff(&self, attempt: u32) -> Duration {
        let ceiling = self
            .base
            .saturating_mul(1 << attempt.saturating_sub(1).min(20))
            .min(self.cap);
        ceiling.mul_f64((self.jitter.0)().clamp(0.0, 1.0))
    }
}

/// The tries of one step so far.
#[derive(Debug)]
pub struct Retry<'a> {
    policy: RetryPolicy,
    deadline: &'a Deadline,
    attempt: u32,
}

impl<'a> Retry<'a> {
    /// Begins before the first try.
    pub fn new(policy: RetryPolicy, deadline: &'a Deadline) -> Self {
        Self {
            policy,
            deadline,
            attempt: 1,
        }
    }

    /// Returns the number of the current try, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Starts the count anew, because the last try made progress.
    pub fn progressed(&mut self) {
        self.attempt = 1;
    }

    /// Waits before the next try: as long as the other side asked for, else with backoff.
    ///
    /// Gives `error` back when the tries are used up, and when the wait would outlast the working time:
    /// waiting for what cannot happen only keeps others from working.
    pub async fn wait(&mut self, error: Error, asked: Option<Duration>) -> Result<(), Error> {
        if self.attempt >= self.policy.max_attempts {
            return Err(error);
        }
        let wait = asked.unwrap_or_else(|| self.policy.backoff(self.attempt));
        pause(wait, self.deadline, error).await?;
        self.attempt += 1;
        Ok(())
    }
}

/// Waits that long, because of `why`. Fails at once if the wait would outlast the working time.
pub async fn pause(wait: Duration, deadline: &Deadline, why: Error) -> Result<(), Error> {
    if wait >= deadline.working_time() {
        let message = format!("no time left to try again in {} s", wait.as_secs());
        return Err(Error::new(ErrorKind::DeadlineNear, message).caused_by(why));
    }
    tokio::select! {
        () = tokio::time::sleep(wait) => Ok(()),
        () = deadline.work_ends() => {
            Err(Error::new(ErrorKind::DeadlineNear, "the invocation ends").caused_by(why))
        }
    }
}

/// The waits for something that is being prepared: the first, then doubled ones, until their sum reaches a budget.
#[derive(Debug, Clone, Copy)]
pub struct Waits {
    next: Duration,
    left: Duration,
}

impl Waits {
    /// Begins with a wait of `first`; all waits together last `budget` at most.
    pub fn new(first: Duration, budget: Duration) -> Self {
        Self {
            next: first,
            left: budget,
        }
    }

    /// Returns how long to wait before asking again: as long as the other side `asked` for, else the next doubled
    /// wait, the last one cut to what is left of the budget. `None`: the budget is used up, or is less than what was
    /// asked for.
    pub fn take(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let wait = match asked {
            Some(asked) if asked > self.left => return None,
            Some(asked) => asked,
            None => self.next.min(self.left),
        };
        if self.left.is_zero() {
            return None;
        }
        // A wait of nothing would be taken for ever.
        let wait = wait.max(Duration::from_millis(1)).min(self.left);
        self.left -= wait;
        self.next = self.next.saturating_mul(2);
        Some(wait)
    }
}

/// The longest wait that a failing server may ask for.
const LONGEST_WAIT_FOR_5XX: Duration = Duration::from_secs(60);

/// Bounds how long an answer asks to wait: a server that fails (5xx) gets a minute at most, as the wait is paid time
/// and another run costs less. A rate limit (429) knows how long it lasts.
pub fn patience(status: reqwest::StatusCode, asked: Option<Duration>) -> Option<Duration> {
    match asked {
        Some(asked) if status.is_server_error() => Some(asked.min(LONGEST_WAIT_FOR_5XX)),
        asked => asked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stop;

    #[test]
    fn only_a_failing_server_is_not_waited_for_as_long_as_it_asks() {
        let seconds = Duration::from_secs;
        for (status, asked, waited) in [(503, 800, 60), (500, 59, 59), (429, 800, 800), (202, 800, 800)] {
            let status = reqwest::StatusCode::from_u16(status).unwrap();
            assert_eq!(patience(status, Some(seconds(asked))), Some(seconds(waited)));
            assert_eq!(patience(status, None), None);
        }
    }

    #[test]
    fn backoff_doubles_up_to_its_cap_and_jitter_spreads_all_of_it() {
        let backoff = |attempt, draw| {
            let jitter = Jitter::new(draw);
            let policy = RetryPolicy::new(9, Duration::from_millis(200));
            RetryPolicy { jitter, ..policy }.backoff(attempt)
        };
        assert_eq!(backoff(1, || 1.0), Duration::from_millis(200));
        assert_eq!(backoff(4, || 1.0), Duration::from_millis(1600));
        assert_eq!(backoff(4, || 0.5), Duration::from_millis(800));
        assert_eq!(backoff(30, || 1.0), Duration::from_secs(20));
        assert_eq!(backoff(4, || 0.0), Duration::ZERO);
        assert_eq!(
            backoff(4, || 7.0),
            Duration::from_millis(1600),
            "never above the ceiling"
        );
    }

    #[test]
    fn the_default_jitter_spreads() {
        let Jitter(draw) = Jitter::default();
        let drawn: Vec<_> = (0..64).map(|_| draw()).collect();
        assert!(drawn.iter().all(|unit| (0.0..=1.0).contains(unit)), "{drawn:?}");
        assert!(drawn.iter().any(|unit| *unit < 0.5) && drawn.iter().any(|unit| *unit > 0.5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_follows_the_policy_where_the_other_side_asks_for_none() {
        let stop = Stop::default();
        let deadline = Deadline::new(Duration::from_secs(100), &stop);
        let policy = RetryPolicy {
            jitter: Jitter::new(|| 0.5),
            ..RetryPolicy::new(4, Duration::from_secs(2))
        };
        let mut retry = Retry::new(policy, &deadline);
        for waited in [1, 2, 4] {
            let before = tokio::time::Instant::now();
            retry.wait(Error::transient("503"), None).await.unwrap();
            assert_eq!(before.elapsed(), Duration::from_secs(waited));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_outlasts_the_deadline_is_not_begun() {
        let stop = Stop::default();
        let deadline = Deadline::new(Duration::from_secs(100), &stop);
        let mut retry = Retry::new(RetryPolicy::new(3, Duration::from_millis(1)), &deadline);
        let before = tokio::time::Instant::now();
        let error = retry
            .wait(Error::transient("429"), Some(Duration::from_secs(95)))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeadlineNear);
        assert_eq!(before.elapsed(), Duration::ZERO);
        retry
            .wait(Error::transient("429"), Some(Duration::from_secs(12)))
            .await
            .unwrap();
        assert_eq!(
            before.elapsed(),
            Duration::from_secs(12),
            "exactly what was asked for"
        );
    }

    #[test]
    fn waits_double_until_their_budget_is_used_up() {
        let seconds = |first, budget, asked: Option<u64>| {
            let mut waits = Waits::new(Duration::from_secs(first), Duration::from_secs(budget));
            std::iter::from_fn(|| waits.take(asked.map(Duration::from_secs)))
                .map(|wait| wait.as_secs())
                .collect::<Vec<_>>()
        };
        assert_eq!(seconds(3, 15, None), [3, 6, 6]);
        assert_eq!(seconds(3, 9, None), [3, 6]);
        assert_eq!(seconds(3, 2, None), [2]);
        assert_eq!(seconds(3, 0, None), [0; 0], "off");
        assert_eq!(
            seconds(3, 15, Some(7)),
            [7, 7],
            "as long as asked for, while it fits"
        );
        assert_eq!(seconds(3, 15, Some(16)), [0; 0]);
        let mut waits = Waits::new(Duration::from_secs(3), Duration::from_secs(15));
        assert_eq!(waits.take(Some(Duration::ZERO)), Some(Duration::from_millis(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn tries_are_counted() {
        let stop = Stop::default();
        let deadline = Deadline::new(Duration::from_secs(100), &stop);
        let mut retry = Retry::new(RetryPolicy::new(3, Duration::from_millis(1)), &deadline);
        assert!(retry.wait(Error::transient("one"), None).await.is_ok());
        assert!(retry.wait(Error::transient("two"), None).await.is_ok());
        assert_eq!(retry.attempt(), 3);
        assert_eq!(
            retry
                .wait(Error::transient("three"), None)
                .await
                .unwrap_err()
                .to_string(),
            "three"
        );
    }
}
