//! The completeness statement as a Lambda function: a message begins a run or goes on with one.
//!
//! The schedule puts a message on the function's own queue; a run that does not end in time puts its state there. A
//! message whose invocation died comes back, and repeats what that invocation did.

mod dead_letters;

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::handler::Invocation;
use super::lambda::{cannot_start, serve};
use super::metrics::{self, Stating};
use crate::archive::Archiver;
use crate::aws::dead_letters::DeadLetters;
use crate::aws::{self, Clients, failed};
use crate::clock::{Clock, Deadline, Stop};
use crate::config::StatingConfig;
use crate::domain::audit::{Actor, Source};
use crate::error::{Error, ErrorKind};
use crate::statement::{Finished, Progress, State, Stater};
use crate::telemetry::{self, Lines};

/// The binary.
const NAME: &str = "recording-statement";

/// Answers invocations of the statement's function.
#[derive(Debug)]
pub struct StatingHandler {
    config: StatingConfig,
    clients: Clients,
    clock: Clock,
    lines: Lines,
    stop: Stop,
}

/// What a message asks for.
#[derive(Debug, PartialEq)]
enum Request {
    /// To begin the run of the day.
    Begin,
    /// To go on with a run.
    GoOn(Box<State>),
}

impl Request {
    /// Reads the body of a message. Fails with what there is.
    fn of(body: &Value) -> Result<Self, Error> {
        let malformed = || {
            let message = "accepted: {} to begin a run, or {\"state\": STATE} to go on with one";
            Error::new(ErrorKind::MalformedJob, message)
        };
        let fields = body.as_object().ok_or_else(malformed)?;
        match fields.get("state") {
            None if fields.is_empty() => Ok(Self::Begin),
            Some(state) if fields.len() == 1 => {
                let state = serde_json::from_value(state.clone());
                state
                    .map(Self::GoOn)
                    .map_err(|error| malformed().caused_by(error))
            }
            _ => Err(malformed()),
        }
    }
}

impl StatingHandler {
    /// Wires everything together. Sends nothing. Audit and metric lines go to `lines`.
    pub fn new(config: StatingConfig, clients: Clients, clock: Clock, lines: Lines) -> Self {
        Self {
            config,
            clients,
            clock,
            lines,
            stop: Stop::default(),
        }
    }

    /// Returns the stop that ends the work in progress: a run hands over what it has.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Answers one payload: a message of the queue, or its body. Returns the statements that were issued, or that the
    /// run goes on. An error leaves the message to the queue.
    pub async fn handle(&self, payload: &Value, invocation: &Invocation) -> Result<Value, Error> {
        let deadline = Deadline::new(invocation.remaining, &self.stop);
        let actor = Actor {
            source: Source::Schedule,
            request_id: invocation.request_id.clone(),
            function_version: invocation.function_version.clone(),
            ..Actor::default()
        };
        let Some(records) = payload["Records"].as_array() else {
            return self.answer(payload, actor, &deadline).await;
        };
        let mut answer = json!({});
        for record in records {
            let body = record["body"].as_str().unwrap_or_default();
            let body = serde_json::from_str(body).unwrap_or_default();
            let actor = Actor {
                message_id: record["messageId"].as_str().map(str::to_owned),
                ..actor.clone()
            };
            answer = self.answer(&body, actor, &deadline).await?;
        }
        Ok(answer)
    }

    async fn answer(&self, body: &Value, actor: Actor, deadline: &Deadline) -> Result<Value, Error> {
        let request = Request::of(body)?;
        let (config, clock, lines) = (
            self.config.archive.clone(),
            self.clock.clone(),
            self.lines.clone(),
        );
        if request == Request::Begin {
            let archiver = Archiver::connect(config.clone(), &self.clients, clock.clone(), lines.clone())?;
            let letters = DeadLetters::new(self.clients.sqs.clone(), self.config.dead_letters.clone());
            let old = dead_letters::record(letters, &archiver, &actor, deadline).await?;
            lines.json(&metrics::old_dead_letters(old, clock.now_ms()));
        }
        let stater = Stater::connect(config, &self.clients, clock, lines, actor)?;
        let state = match request {
            Request::Begin => deadline.in_time(stater.begin()).await?,
            Request::GoOn(state) => *state,
        };
        match stater.go(state, deadline).await? {
            Progress::Unfinished(state) => {
                self.go_on_later(&state).await?;
                Ok(json!({"goesOn": true}))
            }
            Progress::Finished(finished) => {
                self.lines.json(&counted(&finished).line(self.clock.now_ms()));
                let issued: Vec<_> = finished.statements.iter().map(|stated| &stated.issued).collect();
                Ok(json!({ "issued": issued }))
            }
        }
    }

    async fn go_on_later(&self, state: &State) -> Result<(), Error> {
        let sent = self
            .clients
            .sqs
            .send_message()
            .queue_url(&self.config.queue)
            .message_body(json!({ "state": state }).to_string())
            .send()
            .await;
        sent.map(drop)
            .map_err(|error| failed("sending a run to its queue (STATEMENT_QUEUE_URL)", error))
    }
}

fn counted(finished: &Finished) -> Stating {
    Stating {
        issued: finished.statements.len() as u64,
        gaps: finished.gaps,
        empty_days: finished.empty_days,
        deletions: finished.deletions,
    }
}

/// Runs the statement as a Lambda function, on one thread: it waits most of the time.
pub fn main() -> ExitCode {
    crate::http::begin();
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => cannot_start(NAME, &error),
    }
}

async fn run() -> ExitCode {
    let config = match StatingConfig::from_lookup(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(error) => return cannot_start(NAME, &error),
    };
    telemetry::init(&config.archive.log_level);
    let clients = Clients::new(&aws::sdk_config().load().await, &config.archive);
    let handler = Arc::new(StatingHandler::new(
        config,
        clients,
        Clock::default(),
        Lines::stdout(),
    ));
    let answer = |payload: Value, invocation: Invocation| {
        let handler = handler.clone();
        async move { handler.handle(&payload, &invocation).await }
    };
    serve(NAME, answer).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_begins_a_run_or_goes_on_with_one() {
        assert_eq!(Request::of(&json!({})).unwrap(), Request::Begin);
        for other in [
            json!(null),
            json!({"state": {}}),
            json!({"day": "2026-01-15"}),
            json!([]),
        ] {
            assert_eq!(
                Request::of(&other).unwrap_err().kind(),
                ErrorKind::MalformedJob,
                "{other}"
            );
        }
    }
}
