//! The budget of requests: how many of those that Genesys allows a token in a minute are used.
//!
//! Genesys counts for each token, and each process has one of its own, so its answers say all that there is to know:
//! nothing is shared between processes, and nobody is asked.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderMap;

use crate::clock::Clock;

/// Length of the window in which Genesys counts, until an answer says when it ends.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// The header with the seconds to the end of the window.
pub(super) const RESET: &str = "inin-ratelimit-reset";

/// The end of a window is told in whole seconds: one that ends later than this after the known one is another.
const ROUNDING: SignedDuration = SignedDuration::from_secs(5);

/// No window ends later than this, whatever an answer or a clock says.
const LONGEST: Duration = Duration::from_secs(120);

/// The part of the budget that requests may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// All requests that Genesys allows.
    All,
    /// A quarter of them, which leaves the rest to those who wait for their answer.
    Quarter,
}

/// Counts the requests of one token.
#[derive(Debug)]
pub(super) struct Budget {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: no answer has told yet.
    window: Option<Window>,
    /// Requests that are not answered yet.
    under_way: u64,
    /// Requests of the window that took of the quarter.
    of_quarter: u64,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    allowed: u64,
    used: u64,
    ends: Timestamp,
}

/// A request within the budget, until it is dropped.
#[derive(Debug)]
pub(super) struct Asking<'a>(&'a Budget);

impl Budget {
    /// Makes the budget of a token of which nothing is known yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Takes one request out of the budget. The error is the time until there are any again.
    pub(super) fn take(&self, share: Share) -> Result<Asking<'_>, Duration> {
        let now = self.clock.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(window) = &mut state.window {
            if window.ends <= now || window.ends > now + LONGEST {
                (window.used, window.ends) = (state.under_way, now + WINDOW);
                state.of_quarter = 0;
            }
            let is_over = share == Share::Quarter && state.of_quarter >= (window.allowed / 4).max(1);
            if is_over || window.used >= window.allowed {
                let wait = Duration::try_from(window.ends.duration_since(now));
                return Err(wait.unwrap_or_default());
            }
            window.used += 1;
        }
        state.under_way += 1;
        state.of_quarter += u64::from(share == Share::Quarter);
        Ok(Asking(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the number in a header.
pub(super) fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

impl Asking<'_> {
    /// Takes over what an answer says of the token's requests, if it does.
    pub(super) fn answered(&self, headers: &HeaderMap) {
        let told = || {
            let count = number(headers, "inin-ratelimit-count")?;
            let allowed = number(headers, "inin-ratelimit-allowed")?;
            let reset = Duration::from_secs(number(headers, RESET)?);
            (allowed > 0).then_some((count, allowed, reset.min(LONGEST)))
        };
        let Some((count, allowed, reset)) = told() else {
            return;
        };
        let ends = self.0.clock.now() + reset;
        let mut state = self.0.lock();
        // Those under way may be counted already, or not.
        let mut used = count.max(state.under_way);
        match state.window {
            Some(known) if ends > known.ends + ROUNDING => state.of_quarter = 0,
            Some(known) if known.allowed == allowed => used = count.max(known.used),
            Some(_) | None => {}
        }
        state.window = Some(Window { allowed, used, ends });
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way = state.under_way.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(asking: &Asking<'_>, count: u64, allowed: u64, reset: u64) {
        let named = [("count", count), ("allowed", allowed), ("reset", reset)];
        let headers = named.map(|(name, number)| {
            let name = format!("inin-ratelimit-{name}");
            (name.parse().unwrap(), number.to_string().parse().unwrap())
        });
        asking.answered(&HeaderMap::from_iter(headers));
    }

    /// Returns how many requests the budget gives now, one after another.
    fn left(budget: &Budget, share: Share) -> usize {
        std::iter::from_fn(|| budget.take(share).ok().map(drop)).count()
    }

    #[test]
    fn nothing_is_held_back_until_an_answer_tells_and_nothing_beyond_what_it_tells() {
        let budget = Budget::new(Clock::default());
        let early: Vec<_> = (0..7).map(|_| budget.take(Share::Quarter).unwrap()).collect();
        told(&early[0], 1, 40, 61);
        assert_eq!(left(&budget, Share::Quarter), 3, "7 of 10 are under way");
        assert_eq!(left(&budget, Share::Quarter), 0);
        assert_eq!(left(&budget, Share::All), 30, "whatever the quarter took");
        assert!(budget.take(Share::Quarter).is_err());
        let wait = budget.take(Share::All).unwrap_err();
        assert!((60..=61).contains(&wait.as_secs()), "{wait:?}");
    }

    #[test]
    fn each_window_begins_anew_with_what_is_under_way() {
        let clock = Clock::default();
        let budget = Budget::new(clock.clone());
        let slow = budget.take(Share::All).unwrap();
        told(&slow, 40, 40, 30);
        assert_eq!(left(&budget, Share::All), 0);
        clock.advance(Duration::from_secs(31));
        assert_eq!(left(&budget, Share::Quarter), 10);
        assert_eq!(left(&budget, Share::All), 29, "one is under way");
        // Its answer belongs to the window before, which is over at once.
        told(&slow, 40, 40, 0);
        drop(slow);
        assert_eq!(left(&budget, Share::All), 40);
        assert_eq!(
            left(&budget, Share::Quarter),
            0,
            "nothing is left of which to take"
        );
    }

    #[test]
    fn another_count_than_the_known_one_replaces_it() {
        let budget = Budget::new(Clock::default());
        let asking = budget.take(Share::All).unwrap();
        told(&asking, 299, 300, 5);
        // Genesys has begun the next window before this process thought so.
        told(&asking, 1, 300, 61);
        assert_eq!(left(&budget, Share::Quarter), 75);
        // Somebody else uses the token, too.
        told(&asking, 290, 300, 60);
        assert_eq!(left(&budget, Share::All), 10);
        told(&asking, 3, 180, 60);
        assert_eq!(left(&budget, Share::Quarter), 0, "75 of the window are taken");
        assert_eq!(left(&budget, Share::All), 177);
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_back_for_longer_than_a_window() {
        let budget = Budget::new(Clock::default());
        told(&budget.take(Share::All).unwrap(), 5, 5, 60);
        assert_eq!(left(&budget, Share::All), 0);
        let set_back = SignedDuration::from_hours(1);
        budget.lock().window.as_mut().unwrap().ends += set_back;
        assert_eq!(left(&budget, Share::All), 5);
    }

    #[test]
    fn headers_that_tell_nothing_hold_nothing_back() {
        let budget = Budget::new(Clock::default());
        let asking = budget.take(Share::All).unwrap();
        told(&asking, 5, 0, 60);
        asking.answered(&HeaderMap::new());
        assert!(budget.lock().window.is_none());
        told(&asking, 5, 5, u64::MAX);
        assert!(budget.take(Share::All).unwrap_err() <= LONGEST);
    }
}
