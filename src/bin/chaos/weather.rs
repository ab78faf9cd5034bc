//! The storm: which fault befalls a request, and how often each did.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use recording_archiver::sim::genesys::{Media, Mishap, failure};
use recording_archiver::sim::wire::{Exchange, Fault, Service, Wire};

/// One request in so many meets a fault.
const ONE_IN: u32 = 12;

/// Events that are counted and are no faults.
pub(crate) const NO_FAULTS: [&str; 3] = ["duplicate", "invocation", "crash"];

/// Rages until its end, and counts what it does; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    /// The storm ends then, if it did enough.
    end: Instant,
    /// The storm ends then, whatever it did.
    at_last: Instant,
    /// Number of faults, and of crashes, that are enough.
    enough: (usize, usize),
    counts: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

impl Weather {
    /// Makes a storm over so many recordings, which does not rage yet: a fault for every second of them at least, and a
    /// crash for every tenth.
    pub(crate) fn over(recordings: usize) -> Self {
        let now = Instant::now();
        Self {
            end: now,
            at_last: now,
            enough: (recordings / 2, recordings / 10),
            counts: Arc::default(),
        }
    }

    /// Has it rage until `end`, and on until it did enough, but no longer than `at_last`.
    pub(crate) fn until(self, end: Instant, at_last: Instant) -> Self {
        Self { end, at_last, ..self }
    }

    pub(crate) fn rages(&self) -> bool {
        let now = Instant::now();
        now < self.end || (now < self.at_last && !self.did_enough())
    }

    /// Returns faults and crashes so far.
    pub(crate) fn did(&self) -> (usize, usize) {
        let counts = self.counted();
        let faults = counts.iter().filter(|(kind, _)| !NO_FAULTS.contains(kind));
        (
            faults.map(|(_, count)| count).sum(),
            counts.get("crash").copied().unwrap_or(0),
        )
    }

    /// Tells whether there were as many as the recordings ask for.
    pub(crate) fn did_enough(&self) -> bool {
        let (faults, crashes) = self.did();
        faults >= self.enough.0 && crashes >= self.enough.1
    }

    /// Returns how many faults and crashes are enough.
    pub(crate) fn enough(&self) -> (usize, usize) {
        self.enough
    }

    pub(crate) fn count(&self, kind: &'static str) {
        *self
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(kind)
            .or_default() += 1;
    }

    pub(crate) fn counted(&self) -> BTreeMap<&'static str, usize> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives every request from now on its chance of a fault.
    pub(crate) fn disturb(&self, wire: &Wire, mut dice: fastrand::Rng) {
        let weather = self.clone();
        wire.disturb(move |exchange| {
            if !weather.rages() || dice.u32(..ONE_IN) > 0 {
                return None;
            }
            let (kind, fault) = fault(exchange, &mut dice);
            weather.count(kind);
            Some(fault)
        });
    }

    /// Scripts the mishaps of the next requests for a file. Each version that the file turns into is added to `served`.
    pub(crate) fn spoil(
        &self,
        media: &Media,
        length: u64,
        served: &mut Vec<Media>,
        dice: &mut fastrand::Rng,
    ) {
        while dice.u32(..4) == 0 {
            let at = dice.u64(..length);
            let (kind, mishap) = match dice.u32(..6) {
                0 | 1 => ("media cut", Mishap::CutAt(at)),
                2 => (
                    "media pause",
                    Mishap::StallAt(at, Some(Duration::from_millis(dice.u64(..200)))),
                ),
                3 => ("media stall", Mishap::StallAt(at, None)),
                4 => (
                    "media error page",
                    Mishap::instead("text/html", "<html>Bad Gateway</html>"),
                ),
                _ => {
                    let other = Media::generated_wav(length + dice.u64(..9) * 4, dice.u64(..));
                    served.push(other.clone());
                    ("media change", Mishap::ChangesTo(other))
                }
            };
            self.count(kind);
            media.script([mishap]);
        }
    }
}

fn fault(exchange: &Exchange, dice: &mut fastrand::Rng) -> (&'static str, Fault) {
    if exchange.operation == "batch-job" && dice.bool() {
        return match dice.bool() {
            true => (
                "batch of another client",
                failure(403, "batch.download.permission.denied"),
            ),
            false => ("batch lost", failure(404, "not.found")),
        };
    }
    match dice.u32(..10) {
        0 | 1 => ("reset", Fault::Reset),
        2 | 3 => ("done, then reset", Fault::ApplyThenReset),
        4 => ("hang", Fault::Hang),
        5 => ("done, then hang", Fault::ApplyThenHang),
        6 => ("500", Fault::status(500)),
        7 => ("503", Fault::status(503)),
        8 if matches!(
            exchange.service,
            Service::Genesys | Service::Login | Service::Webhook
        ) =>
        {
            ("429", Fault::status(429))
        }
        _ => ("delay", Fault::Delay(Duration::from_millis(dice.u64(1..400)))),
    }
}
