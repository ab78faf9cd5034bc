//! The function as the deployments that the sample events are about, and what an invocation of it came to.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use recording_archiver::aws::Clients;
use recording_archiver::clock::Clock;
use recording_archiver::config::Config;
use recording_archiver::sim::World;
use recording_archiver::telemetry::Lines;
use recording_archiver::trigger::handler::{Handler, Invocation};
use serde_json::Value;

use super::folder::Result;
use super::process::Process;

/// Time that each invocation has.
pub(crate) const REMAINING: Duration = Duration::from_secs(900);

/// The lines of stdout that an invocation would have written in Lambda.
type Captured = Arc<Mutex<Vec<Value>>>;

/// The function with either API.
pub(crate) struct Function {
    conversations: Handler,
    interactions: Handler,
    captured: Captured,
}

/// The result of an invocation.
pub(crate) struct Ran {
    /// The answer, or the error's code and its text.
    pub(crate) answer: std::result::Result<Value, (String, String)>,
    /// Log lines of audit and metrics.
    pub(crate) lines: Vec<Value>,
    /// The most memory that it held in MiB, where it was a process of its own.
    pub(crate) memory: Option<f64>,
}

impl Function {
    pub(crate) fn new(world: &World) -> Result<Self> {
        let captured = Captured::default();
        Ok(Self {
            conversations: handler(world, "conversations", &captured)?,
            interactions: handler(world, "interactions", &captured)?,
            captured,
        })
    }

    /// Invokes the deployment that the story is about. The long call is for a process of its own, whose memory tells.
    pub(crate) async fn invoke(&self, world: &World, story: &str, payload: Value) -> Result<Ran> {
        if story.contains("-long-") {
            let mut process = Process::start(world).await?;
            let (answer, lines) = process.invoke(payload, REMAINING).await?;
            let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
            let answer = answer.map_err(|error| (text(&error, "errorType"), text(&error, "errorMessage")));
            let memory = process.peak_memory();
            return Ok(Ran {
                answer,
                lines,
                memory,
            });
        }
        let handler = if story.contains("-interactions-") {
            &self.interactions
        } else {
            &self.conversations
        };
        self.captured().clear();
        let invocation = Invocation {
            request_id: format!("local-{story}"),
            function_version: "$LATEST".to_owned(),
            remaining: REMAINING,
        };
        let answer = handler.handle(payload, &invocation).await;
        let answer = answer.map_err(|error| (error.kind().code().to_owned(), error.to_string()));
        let lines = self.captured().clone();
        let memory = None;
        Ok(Ran {
            answer,
            lines,
            memory,
        })
    }

    /// Ends work in progress: it cleans up and answers.
    pub(crate) fn stop(&self) {
        self.conversations.stop().pull();
    }

    fn captured(&self) -> MutexGuard<'_, Vec<Value>> {
        self.captured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn handler(world: &World, api: &str, captured: &Captured) -> Result<Handler> {
    let mut environment = world.environment();
    environment.insert("GENESYS_RECORDING_API", api.to_owned());
    let mut config = Config::from_lookup(|name| environment.get(name).cloned())?;
    // The simulator's transcoding takes no time, so there are no seconds to wait for it.
    config.limits.transcode_first = Duration::from_millis(20);
    let captured = captured.clone();
    let lines = Lines::new(move |line| {
        let mut captured = captured.lock().unwrap_or_else(PoisonError::into_inner);
        captured.extend(serde_json::from_str::<Value>(&line));
    });
    let clients = Clients::new(&world.aws.sdk_config(), &config);
    Ok(Handler::connect(config, &clients, Clock::default(), lines)?)
}

impl Ran {
    /// Returns the outcomes, from the metrics: the one place that names them for every kind of trigger.
    pub(crate) fn outcomes(&self) -> BTreeSet<String> {
        let metrics = self.lines.iter().filter(|line| line.get("_aws").is_some());
        metrics
            .flat_map(|line| {
                let ignored = line["EventsIgnored"].as_u64().is_some_and(|count| count > 0);
                let outcome = line["Outcome"].as_str();
                outcome.into_iter().chain(ignored.then_some("ignored"))
            })
            .map(str::to_owned)
            .collect()
    }
}
