//! The work queue as SQS would deliver it, with the clock advanced to each message instead of waiting for it.

use std::time::Duration;

use jiff::Timestamp;
use recording_archiver::trigger::handler::Handler;
use serde_json::Value;

use crate::support::{Bench, invoke, sqs_from};
use recording_archiver::sim::ROLE_ID;

/// SQS gives a function at most so many messages at once.
const BATCH: usize = 10;

/// No settling takes more invocations than this.
const MOST: usize = 200;

/// Messages on their way.
pub(crate) struct Work<'a> {
    bench: &'a Bench,
    /// Number of the messages ever sent that are taken over.
    seen: usize,
    waiting: Vec<(Timestamp, String)>,
}

impl<'a> Work<'a> {
    pub(crate) fn of(bench: &'a Bench) -> Self {
        let mut work = Self {
            bench,
            seen: 0,
            waiting: Vec::new(),
        };
        work.collect();
        work
    }

    /// Returns the waiting jobs, in order of time.
    pub(crate) fn waiting(&mut self) -> Vec<Value> {
        self.collect();
        self.waiting
            .iter()
            .map(|(_, body)| serde_json::from_str(body).unwrap())
            .collect()
    }

    /// Sends a message as somebody else would, to be delivered at once.
    pub(crate) fn send(&mut self, body: &Value) {
        self.collect();
        self.waiting.insert(0, (self.bench.clock.now(), body.to_string()));
    }

    /// Loses every message that waits.
    pub(crate) fn lose(&mut self) {
        self.collect();
        self.waiting.clear();
    }

    /// Takes up to so many messages that are due now.
    pub(crate) fn due(&mut self, most: usize) -> Vec<String> {
        self.collect();
        let now = self.bench.clock.now();
        let due = self.waiting.iter().take_while(|(due, _)| *due <= now).count();
        let due = self.waiting.drain(..due.min(most));
        due.map(|(_, body)| body).collect()
    }

    /// Delivers the next batch, and says how many messages that were; 0: none is left.
    pub(crate) async fn deliver(&mut self, handler: &Handler) -> usize {
        self.collect();
        let Some((due, _)) = self.waiting.first() else {
            return 0;
        };
        if let Ok(wait) = Duration::try_from(due.duration_since(self.bench.clock.now())) {
            self.bench.advance(wait + Duration::from_millis(1));
        }
        let now = self.bench.clock.now();
        // SQS counts whole seconds.
        let next = Timestamp::from_second(now.as_second() + 1).unwrap();
        let ready = self.waiting.iter().take_while(|(due, _)| *due < next).count();
        let batch: Vec<_> = self
            .waiting
            .drain(..ready.min(BATCH))
            .map(|(_, body)| body)
            .collect();
        let answer = invoke(
            handler,
            sqs_from(batch.clone(), &format!("{ROLE_ID}:recording-archiver")),
        )
        .await
        .unwrap();
        for failure in answer["batchItemFailures"].as_array().unwrap() {
            let id = failure["itemIdentifier"].as_str().unwrap();
            let at: usize = id.strip_prefix("m-").unwrap().parse().unwrap();
            let again = self.bench.clock.now() + jiff::SignedDuration::from_secs(60);
            self.waiting.push((again, batch[at].clone()));
        }
        self.collect();
        batch.len()
    }

    /// Delivers until nothing is left, and says how many invocations that took.
    pub(crate) async fn run_dry(&mut self, handler: &Handler) -> usize {
        for invocations in 0..MOST {
            if self.deliver(handler).await == 0 {
                return invocations;
            }
        }
        panic!("there is no end to it: {:?}", self.waiting)
    }

    fn collect(&mut self) {
        let now = self.bench.clock.now();
        let sent = self.bench.deferred();
        for (body, delay) in &sent[self.seen..] {
            let due = now + jiff::SignedDuration::from_secs(*delay);
            self.waiting.push((due, body.to_string()));
        }
        self.seen = sent.len();
        self.waiting.sort_by_key(|(due, _)| *due);
    }
}
