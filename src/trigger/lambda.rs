//! The Lambda function: environment and Runtime API around the handler. Wiring, and nothing else.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use super::handler::{Handler, Invocation};
use crate::aws::{self, Clients};
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::telemetry::{self, Lines};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::runtime::Builder;

/// The binary.
const NAME: &str = "recording-archiver";

/// Lambda gives one virtual CPU for each 1,769 MB:
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>.
const MEMORY_PER_CPU_MB: usize = 1_769;

/// The longest invocation that Lambda allows, and the default of `Timeout` in the template:
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html>.
const LONGEST_INVOCATION: Duration = Duration::from_secs(900);

/// Runs the function on one thread for each CPU that Lambda gives it, not for each that it shows. With less than one
/// CPU, a second thread could not hash while the first receives; the bytes would only change caches.
pub fn main() -> ExitCode {
    crate::http::begin();
    let memory = std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").ok();
    let memory: usize = memory
        .and_then(|text| text.parse().ok())
        .unwrap_or(MEMORY_PER_CPU_MB);
    let mut runtime = match memory.div_ceil(MEMORY_PER_CPU_MB) {
        0 | 1 => Builder::new_current_thread(),
        cpus => {
            let mut runtime = Builder::new_multi_thread();
            runtime.worker_threads(cpus);
            runtime
        }
    };
    match runtime.enable_all().build() {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => cannot_start(NAME, &error),
    }
}

/// Serves invocations until the Runtime API ends. A configuration that cannot be used ends it at once.
pub async fn run() -> ExitCode {
    let config = match Config::from_lookup(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(error) => return cannot_start(NAME, &error),
    };
    telemetry::init(&config.log_level);
    let clients = Clients::new(&aws::sdk_config().load().await, &config);
    let lines = Lines::stdout();
    let handler = match Handler::connect(config, &clients, Clock::default(), lines) {
        Ok(handler) => handler,
        Err(error) => return cannot_start(NAME, &error),
    };
    let process = Process {
        handler: Arc::new(handler),
        began: SystemTime::now(),
        invocations: AtomicUsize::new(0),
    };
    stop_on_sigterm(&process.handler).await;
    let served = lambda_runtime::run(service_fn(|event| process.answer(event))).await;
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => process.ended(&*error),
    }
}

/// State that lives as long as the process.
struct Process {
    handler: Arc<Handler>,
    began: SystemTime,
    invocations: AtomicUsize,
}

impl Process {
    async fn answer(&self, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
        self.invocations.fetch_add(1, Ordering::Relaxed);
        let invocation = invocation(&event, self.began);
        answer(self.handler.clone(), event.payload, invocation).await
    }

    /// Reports that the Runtime API does not answer: Lambda's never goes away, an emulator's does.
    fn ended(&self, error: &dyn std::error::Error) -> ExitCode {
        let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap_or_default();
        let error = with_causes(error);
        match self.invocations.load(Ordering::Relaxed) {
            0 => eprintln!("{NAME} cannot start: the Lambda Runtime API at {api} does not answer ({error})"),
            count => eprintln!(
                "{NAME} ends: the Lambda Runtime API at {api} went away ({error}). Invocations answered, the \
                 last one perhaps without being heard: {count}. What is archived stays, and an event may be sent again"
            ),
        }
        ExitCode::FAILURE
    }
}

/// Returns how much time an invocation has. An emulator may give no deadline of its own: cargo-lambda's names 600,000
/// ms after 1970. A deadline that this process cannot have seen, as it passed longer ago than any invocation lasts,
/// counts as "not given".
fn remaining(deadline: SystemTime, began: SystemTime, now: SystemTime) -> Duration {
    if deadline + LONGEST_INVOCATION < began {
        return LONGEST_INVOCATION;
    }
    deadline.duration_since(now).unwrap_or_default()
}

/// Returns an error and what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Serves the invocations of a function that waits most of the time, until the Runtime API ends. `name` is its
/// binary's.
pub(super) async fn serve<H: Future<Output = Result<Value, Error>>>(
    name: &str,
    handle: impl Fn(Value, Invocation) -> H,
) -> ExitCode {
    let began = SystemTime::now();
    let answer = |event: LambdaEvent<Value>| {
        let invocation = invocation(&event, began);
        let handling = handle(event.payload, invocation);
        async { handling.await.map_err(diagnostic) }
    };
    match lambda_runtime::run(service_fn(answer)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = with_causes(&*error);
            eprintln!("{name} ends: the Lambda Runtime API does not answer ({error})");
            ExitCode::FAILURE
        }
    }
}

/// Returns the runtime's facts about an invocation, in a process that began then.
fn invocation(event: &LambdaEvent<Value>, began: SystemTime) -> Invocation {
    Invocation {
        remaining: remaining(event.context.deadline(), began, SystemTime::now()),
        request_id: event.context.request_id.clone(),
        function_version: event.context.env_config.version.clone(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "what map_err gives")]
fn diagnostic(error: Error) -> Diagnostic {
    Diagnostic {
        error_type: error.kind().code().to_owned(),
        error_message: error.redacted(),
    }
}

async fn answer(handler: Arc<Handler>, payload: Value, invocation: Invocation) -> Result<Value, Diagnostic> {
    // As a task: the future that `main` blocks on runs beside the runtime's threads, and every chunk would change
    // threads.
    let handling = tokio::spawn(async move { handler.handle(payload, &invocation).await });
    let handled = handling.await.unwrap_or_else(|panic| {
        Err(Error::new(ErrorKind::Panic, "handling the event panicked").caused_by(panic))
    });
    handled.map_err(diagnostic)
}

/// Pulls the stop on SIGTERM. Lambda sends that only to functions with an extension, so the runtime crate registers
/// one that does nothing. Where it cannot (an emulator without the extensions API), the deadline still bounds every
/// invocation.
async fn stop_on_sigterm(handler: &Handler) {
    let stop = handler.stop().clone();
    let registering = tokio::spawn(lambda_runtime::spawn_graceful_shutdown_handler(
        move || async move {
            stop.pull();
            // Lambda kills the process 500 ms after SIGTERM at the latest; until then uploads are aborted.
            tokio::time::sleep(Duration::from_millis(400)).await;
        },
    ));
    if !matches!(
        tokio::time::timeout(Duration::from_secs(2), registering).await,
        Ok(Ok(()))
    ) {
        tracing::warn!("no SIGTERM before shutdown: the extensions API did not answer");
    }
}

/// Prints one message to stderr, which Lambda logs. The exit code fails the deployment's first invocation.
pub(super) fn cannot_start(name: &str, error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{name} cannot start: {error}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_deadline_long_before_the_process_began_is_none() {
        let (began, now) = (at(1_800_000_000), at(1_800_000_060));
        assert_eq!(remaining(at(600), began, now), LONGEST_INVOCATION);
        assert_eq!(remaining(at(1_799_999_099), began, now), LONGEST_INVOCATION);
    }

    #[test]
    fn a_deadline_that_just_passed_stays_passed() {
        let (began, now) = (at(1_800_000_000), at(1_800_000_060));
        assert_eq!(remaining(at(1_800_000_090), began, now), Duration::from_secs(30));
        for passed in [1_800_000_059, 1_799_999_999, 1_799_999_100] {
            assert_eq!(remaining(at(passed), began, now), Duration::ZERO, "{passed}");
        }
    }
}
