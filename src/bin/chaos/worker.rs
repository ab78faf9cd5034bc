//! Containers that share one queue, and what befalls them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use recording_archiver::config::Config;
use recording_archiver::sim::aws::SentMessage;
use recording_archiver::telemetry::Lines;
use recording_archiver::trigger::handler::{Handler, Invocation};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::Result;
use super::stage::Stage;

/// How long an invocation may take in the storm, and so how long the lease of a dead one runs.
const LEASE: Duration = Duration::from_secs(3);

/// How long it may take in the calm: nobody dies any more, and a slow machine has to come to the end, too.
const CALM: Duration = Duration::from_secs(60);

/// A message that comes again does so after this.
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
    /// How many of the deferred jobs were taken over from the simulated work queue.
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

    /// How many messages were handed out, each time counted.
    pub(crate) fn delivered(&self) -> usize {
        self.lock().delivered
    }

    /// How many are left.
    pub(crate) fn left(&self) -> usize {
        self.lock().messages.len()
    }

    /// Up to `most` messages; `None` when all is done, or it took too long.
    fn receive(&self, stage: &Stage, most: usize) -> Option<Vec<String>> {
        loop {
            let mut state = self.lock();
            let deferred = stage.world.aws.messages(&stage.world.work_queue);
            let now = Instant::now();
            let new = deferred.iter().skip(state.deferred);
            let new: Vec<_> = new
                .map(|message| (now + delay_of(message), message.body.clone()))
                .collect();
            state.deferred = deferred.len();
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

    /// A batch is dealt with; these of its messages come again.
    fn settle(&self, batch: usize, again: Vec<String>) {
        let mut state = self.lock();
        state.in_flight -= batch;
        let from = Instant::now() + AGAIN;
        state.messages.extend(again.into_iter().map(|body| (from, body)));
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A container: a runtime of its own, so that killing it leaves nothing running.
struct Container {
    runtime: Runtime,
    handler: Arc<Handler>,
}

impl Container {
    fn start(stage: &Stage) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let mut environment = stage.world.environment();
        environment.insert("UPLOAD_PART_SIZE_MIB", "5".to_owned());
        environment.insert("RECORDING_CHANNELS", "split".to_owned());
        environment.insert("SETTLE_SECONDS", "1".to_owned());
        let mut config = Config::from_lookup(|name| environment.get(name).cloned())?;
        config.limits.backoff_base = Duration::from_millis(2);
        config.limits.transcode_first = Duration::from_millis(2);
        config.limits.transcode_wait = Duration::from_millis(10);
        config.limits.media_idle = Duration::from_millis(300);
        config.limits.webhook_timeout = Duration::from_millis(300);
        let patience = TimeoutConfig::builder()
            .operation_attempt_timeout(Duration::from_secs(1))
            .build();
        let retries = RetryConfig::standard().with_initial_backoff(Duration::from_millis(2));
        let sdk = stage.world.aws.sdk_config().into_builder();
        let sdk = sdk.retry_config(retries).timeout_config(patience).build();
        let lines = Lines::new(drop);
        Ok(Self {
            runtime,
            handler: Arc::new(Handler::connect(config, &sdk, stage.clock.clone(), lines)?),
        })
    }

    /// The answer, or `None` when the container is to be killed first.
    fn invoke(&self, event: Value, remaining: Duration, killed_after: Option<Duration>) -> Option<Value> {
        let handler = self.handler.clone();
        let run = self.runtime.spawn(async move {
            let invocation = Invocation {
                request_id: "chaos".to_owned(),
                function_version: "1".to_owned(),
                remaining,
            };
            handler.handle(event, &invocation).await
        });
        self.runtime.block_on(async {
            tokio::select! {
                answer = run => answer.ok()?.ok(),
                () = tokio::time::sleep(killed_after.unwrap_or(Duration::MAX)) => None,
            }
        })
    }
}

/// Works until the queue is empty.
pub(crate) fn work(stage: &Stage, mut dice: fastrand::Rng) {
    let mut container = None;
    while let Some(batch) = stage.queue.receive(stage, dice.usize(1..6)) {
        let rages = stage.weather.rages();
        // Most of those that are to be killed answer first.
        let one_in = if stage.weather.did_enough() { 6 } else { 3 };
        let killed_after = (rages && dice.u32(..one_in) == 0).then(|| Duration::from_millis(dice.u64(..250)));
        let up = container.take().map_or_else(|| Container::start(stage), Ok);
        let up = up.expect("a container starts: nothing that it needs for that is disturbed");
        stage.weather.count("invocation");
        let mut again: Vec<String> =
            match up.invoke(event(&batch), if rages { LEASE } else { CALM }, killed_after) {
                Some(answer) => {
                    container = Some(up);
                    named(&answer, &batch)
                }
                None => {
                    stage.weather.count("crash");
                    up.runtime.shutdown_timeout(LEASE);
                    batch.clone()
                }
            };
        if rages && dice.u32(..8) == 0 {
            stage.weather.count("duplicate");
            again.push(batch[0].clone());
        }
        // Once in a while a sandbox was frozen: leases run out while their holders work. A receiver of webhooks takes
        // signatures of the next five minutes, so all of it is not to be more.
        if rages
            && dice.u32(..40) == 0
            && stage.clock.now().duration_since(jiff::Timestamp::now()).as_secs() < 200
        {
            stage.weather.count("lease run out");
            stage.clock.advance(LEASE);
        }
        stage.queue.settle(batch.len(), again);
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

fn event(batch: &[String]) -> Value {
    let record = |(n, body): (usize, &String)| json!({"messageId": n.to_string(), "body": body, "eventSource": "aws:sqs"});
    json!({"Records": batch.iter().enumerate().map(record).collect::<Vec<_>>()})
}

/// The messages that an answer leaves to the queue.
fn named(answer: &Value, batch: &[String]) -> Vec<String> {
    let items = answer["batchItemFailures"].as_array().into_iter().flatten();
    let positions = items.filter_map(|item| item["itemIdentifier"].as_str()?.parse::<usize>().ok());
    positions.filter_map(|n| batch.get(n).cloned()).collect()
}
