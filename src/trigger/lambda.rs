//! The Lambda function: environment and Runtime API around the handler. Wiring, and nothing else.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::handler::{Handler, Invocation};
use crate::archive::Archiver;
use crate::aws;
use crate::clock::Clock;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::telemetry::{self, Lines};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;
use tokio::runtime::Builder;

/// Lambda gives one virtual CPU for each 1,769 MB:
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>.
const MEMORY_PER_CPU_MB: usize = 1_769;

/// The function with a runtime of its own: one thread for each CPU that Lambda gives it, not for each that it shows. With
/// less than one, a second thread could not hash while the first receives; the bytes would only change caches.
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
        Err(error) => cannot_start(&error),
    }
}

/// Serves invocations until the Runtime API ends. A configuration that cannot be used ends it at once.
pub async fn run() -> ExitCode {
    let config = match Config::from_lookup(|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(error) => return cannot_start(&error),
    };
    telemetry::init(&config.log_level);
    let sdk = aws::sdk_config(&config.limits).load().await;
    let lines = Lines::stdout();
    let handler = match Archiver::connect(config, &sdk, Clock::default(), lines.clone()) {
        Ok(archiver) => Handler::new(archiver, lines),
        Err(error) => return cannot_start(&error),
    };
    let handler = Arc::new(handler);
    stop_on_sigterm(&handler).await;
    let served = lambda_runtime::run(service_fn(|event| answer(handler.clone(), event))).await;
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cannot_start(&*error),
    }
}

async fn answer(handler: Arc<Handler>, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let invocation = Invocation {
        remaining: event
            .context
            .deadline()
            .duration_since(SystemTime::now())
            .unwrap_or_default(),
        request_id: event.context.request_id,
        function_version: event.context.env_config.version.clone(),
    };
    // As a task: what `main` blocks on runs beside the runtime's threads, and every chunk would change threads.
    let handling = tokio::spawn(async move { handler.handle(event.payload, &invocation).await });
    let handled = handling.await.unwrap_or_else(|panic| {
        Err(Error::new(ErrorKind::Panic, "handling the event panicked").caused_by(panic))
    });
    handled.map_err(|error| Diagnostic {
        error_type: error.kind().code().to_owned(),
        error_message: crate::redact::people(&error.to_string()),
    })
}

/// Lambda sends SIGTERM only to functions with an extension, so the runtime crate registers one that does nothing.
/// Where it cannot (an emulator without the extensions API), the deadline still bounds every invocation.
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

/// One message on stderr, which Lambda logs, and an exit that fails the deployment's first invocation.
fn cannot_start(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("recording-archiver cannot start: {error}");
    ExitCode::FAILURE
}
