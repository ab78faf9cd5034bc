//! Containers that share one queue, and the crashes that befall them.

use std::sync::Arc;
use std::time::Duration;

use recording_archiver::aws::Clients;
use recording_archiver::config::Config;
use recording_archiver::sim::ROLE_ID;
use recording_archiver::telemetry::Lines;
use recording_archiver::trigger::handler::{Handler, Invocation};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::stage::{Result, Stage};

/// Time of an invocation in the storm, and so of the lease of a dead one.
const LEASE: Duration = Duration::from_secs(3);

/// Time of an invocation in the calm: no container dies any more, and a slow machine has to finish, too.
const CALM: Duration = Duration::from_secs(60);

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
        config.limits.aws_attempt_timeout = Duration::from_secs(1);
        let clients = Clients::new(&stage.world.aws.sdk_config(), &config);
        let lines = Lines::new(drop);
        Ok(Self {
            runtime,
            handler: Arc::new(Handler::connect(config, &clients, stage.clock.clone(), lines)?),
        })
    }

    /// Returns the answer, or `None` when the container is to be killed first.
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
    while let Some(batch) = stage.queue.receive(&stage.world, dice.usize(1..6)) {
        let rages = stage.weather.rages();
        // Most of those that are to be killed answer first.
        let one_in = if stage.weather.did_enough() { 6 } else { 3 };
        let killed_after = (rages && dice.u32(..one_in) == 0).then(|| Duration::from_millis(dice.u64(..250)));
        let up = container.take().map_or_else(|| Container::start(stage), Ok);
        let up = up.expect("a container starts: nothing that it needs for that is disturbed");
        stage.weather.count("invocation");
        // Nobody looks at the requests afterwards, of which there are a hundred and more for each recording.
        stage.world.wire.forget();
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
        if rages && dice.u32(..40) == 0 {
            stage.weather.count("URLs expire");
            stage.world.genesys.expire_urls();
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

fn event(batch: &[String]) -> Value {
    let record = |(n, body): (usize, &String)| {
        json!({"messageId": n.to_string(), "body": body, "eventSource": "aws:sqs",
            "attributes": {"SenderId": format!("{ROLE_ID}:recording-archiver")}})
    };
    json!({"Records": batch.iter().enumerate().map(record).collect::<Vec<_>>()})
}

/// Returns the messages that an answer leaves to the queue.
fn named(answer: &Value, batch: &[String]) -> Vec<String> {
    let items = answer["batchItemFailures"].as_array().into_iter().flatten();
    let positions = items.filter_map(|item| item["itemIdentifier"].as_str()?.parse::<usize>().ok());
    positions.filter_map(|n| batch.get(n).cloned()).collect()
}
