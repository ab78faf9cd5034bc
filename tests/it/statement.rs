//! The completeness statement: every conversation of a day is archived or has its reason, whatever happens on the way.

mod again;
mod believed;
mod binary;
mod clean;
mod days;
mod dead;
pub(crate) mod gaps;
mod kill;
pub(crate) mod made;
mod survey;

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use recording_archiver::aws::Clients;
use recording_archiver::config::StatingConfig;
use recording_archiver::domain::audit::AuditEvent;
use recording_archiver::domain::days::{day_of, start_of};
use recording_archiver::error::Error;
use recording_archiver::sim::genesys::{Conversation, Recording};
use recording_archiver::sim::wire::Fault;
use recording_archiver::telemetry::Lines;
use recording_archiver::trigger::handler::Invocation;
use recording_archiver::trigger::stating::StatingHandler;
use serde_json::{Value, json};

use crate::support::{Bench, call};

/// The folder of the stack's statements.
const FOLDER: &str = "statements/recording-audit/";

/// Time of an invocation.
pub(crate) const LONG: Duration = Duration::from_secs(900);

pub(crate) fn conversation(number: usize) -> String {
    format!("c0000000-0000-4000-8000-{number:012x}")
}

pub(crate) fn recording(number: usize) -> String {
    format!("e0000000-0000-4000-8000-{number:012x}")
}

/// Returns the key of a document of a day.
pub(crate) fn key(day: Date, name: &str) -> String {
    format!("{FOLDER}{day}/{name}")
}

/// Returns the day that the schedule states now, or one so many days before it.
pub(crate) fn day(bench: &Bench, before: i64) -> Date {
    day_of(bench.clock.now() - SignedDuration::from_hours(24 * (2 + before)))
}

/// Returns a moment of a day.
pub(crate) fn at(day: Date, minute: i64) -> Timestamp {
    start_of(day) + SignedDuration::from_mins(8 * 60 + minute)
}

/// Returns a call of five minutes with a recording, of this number.
pub(crate) fn recorded(day: Date, number: usize) -> Conversation {
    let start = at(day, i64::try_from(number % 600).unwrap());
    let mut one = Recording::audio(recording(number), [call()]);
    one.start = start;
    one.duration = Some(SignedDuration::from_mins(5));
    Conversation::new(conversation(number))
        .lasting(start, SignedDuration::from_mins(5))
        .recording(one)
}

impl Bench {
    /// Returns a bench whose Genesys knows all of its days at once.
    pub(crate) async fn stated() -> Self {
        let bench = Self::new().await;
        bench.world.genesys.set_data_availability(bench.clock.now());
        bench.world.genesys.set_job_looks(0);
        bench.world.genesys.set_rate_limit(100_000);
        bench
    }

    /// Returns the statement's function as a new container would start it.
    pub(crate) fn statement(&self, changes: &[(&str, &str)]) -> StatingHandler {
        let mut environment = self.world.environment();
        environment.insert("WORK_DEAD_LETTER_QUEUE_URL", self.world.dead_letter_queue.clone());
        environment.insert("SETTLE_SECONDS", "900".to_owned());
        let mut config = StatingConfig::from_lookup(|name| {
            let changed = changes.iter().find(|(key, _)| *key == name);
            let changed = changed.map(|(_, value)| (*value).to_owned());
            changed.or_else(|| environment.get(name).cloned())
        })
        .unwrap();
        config.archive.limits.backoff_base = Duration::from_millis(1);
        let captured = self.lines.clone();
        let lines = Lines::new(move |line| {
            captured
                .lock()
                .unwrap()
                .push(serde_json::from_str(&line).unwrap());
        });
        let clients = Clients::new(&self.world.aws.sdk_config(), &config.archive);
        StatingHandler::new(config, clients, self.clock.clone(), lines)
    }

    /// Runs the schedule's statement in one invocation. Returns the answer.
    pub(crate) async fn issue(&self) -> Value {
        // Names of runs tell seconds.
        self.advance(Duration::from_secs(1));
        state_within(&self.statement(&[]), &json!({}), LONG)
            .await
            .unwrap()
    }

    /// Returns a statement of a day, whose hash the audit holds.
    pub(crate) async fn statement_of(&self, day: Date, number: usize) -> Value {
        let document = key(day, &format!("{number}.json"));
        let object = self
            .object(&document)
            .await
            .unwrap_or_else(|| panic!("no {document}"));
        let hash = crate::support::sha256(&object.bytes);
        let events = self.audit(&format!("statement#{day}"), "-").await;
        let named: Vec<&AuditEvent> = events
            .iter()
            .filter(|event| event["hash"] == hash.as_str())
            .collect();
        assert_eq!(named.len(), 1, "{events:?}");
        assert_eq!(
            named[0]["archiveKey"],
            format!("s3://{}/{document}", recording_archiver::sim::BUCKET)
        );
        let page = self.object(&key(day, &format!("{number}.html"))).await.unwrap();
        assert_eq!(named[0]["pageHash"], crate::support::sha256(&page.bytes).as_str());
        serde_json::from_slice(&object.bytes).unwrap()
    }

    /// Returns the conversations for which jobs were sent.
    pub(crate) fn jobs(&self) -> Vec<String> {
        let jobs = self.deferred().into_iter();
        let mut ids: Vec<String> = jobs
            .map(|(job, _)| job["conversationId"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    }

    /// Runs a statement whose time is up as soon as it makes the `n`-th request of this operation. Returns the end.
    pub(crate) async fn state_until(
        &self,
        body: &Value,
        changes: &[(&str, &str)],
        (operation, n): (&'static str, usize),
    ) -> Result<Value, Error> {
        let handler = Arc::new(self.statement(changes));
        let (stopped, mut requests) = (handler.clone(), 0);
        self.world.wire.disturb(move |exchange| {
            requests += usize::from(exchange.operation == operation);
            // The answer must not win against the end of the time.
            (requests == n && exchange.operation == operation).then(|| {
                stopped.stop().pull();
                Fault::Hang
            })
        });
        let answer = state_within(&handler, body, LONG).await;
        self.world.wire.calm();
        answer
    }

    /// The same for the `n`-th page of a day's list. Returns the answer.
    pub(crate) async fn state_until_page(&self, body: &Value, changes: &[(&str, &str)], n: usize) -> Value {
        let page = ("details-results", n);
        self.state_until(body, changes, page).await.unwrap()
    }

    /// Returns the last message of the statement's queue.
    pub(crate) fn handed_over(&self) -> Value {
        let messages = self.world.aws.messages(&self.world.statement_queue);
        let last = messages.last().expect("no message");
        assert!(last.body.len() < 262_144, "SQS takes no longer message");
        serde_json::from_str(&last.body).unwrap()
    }
}

pub(crate) async fn state_within(
    handler: &StatingHandler,
    body: &Value,
    remaining: Duration,
) -> Result<Value, Error> {
    let invocation = Invocation {
        request_id: "request-1".to_owned(),
        function_version: "7".to_owned(),
        remaining,
    };
    let payload = json!({"Records": [{"messageId": "m-1", "body": body.to_string()}]});
    handler.handle(&payload, &invocation).await
}

/// Returns reason by conversation, of what a statement names.
pub(crate) fn reasons(statement: &Value) -> std::collections::BTreeMap<String, String> {
    let open = statement["open"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    open.map(|open| (text(&open["interactionId"]), text(&open["reason"])))
        .collect()
}
