//! How long nobody asked for anything, or was given anything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Since when it is quiet.
#[derive(Debug, Clone)]
pub(super) struct Quiet(Arc<Mutex<Instant>>);

impl Quiet {
    /// Begins now.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Ends, and begins again.
    pub(super) fn end(&self) {
        *self.since() = Instant::now();
    }

    /// Waits until it was quiet for this time.
    pub(super) async fn lasts(&self, time: Duration) {
        loop {
            let end = *self.since() + time;
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }

    fn since(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_lasts_from_the_last_request() {
        let (begin, quiet) = (Instant::now(), Quiet::new());
        let asks = async {
            tokio::time::sleep(Duration::from_secs(40)).await;
            quiet.end();
        };
        tokio::join!(asks, quiet.lasts(Duration::from_secs(60)));
        assert_eq!(begin.elapsed(), Duration::from_secs(100));
    }
}
