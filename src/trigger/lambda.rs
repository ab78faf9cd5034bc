//! The Lambda function: environment and Runtime API around the handler. Wiring, and nothing else.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use super::handler::{Handler, Invocation};
use crate::archive::Archiver;
use crate::clock::Clock;
use crate::config::Config;
use crate::telemetry::{self, Lines};
use crate::{aws, error::Error};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;

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
    stop_on_sigterm(&handler).await;
    let served = lambda_runtime::run(service_fn(|event| answer(&handler, event))).await;
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cannot_start(&*error),
    }
}

async fn answer(handler: &Handler, event: LambdaEvent<Value>) -> Result<Value, Diagnostic> {
    let invocation = Invocation {
        remaining: event
            .context
            .deadline()
            .duration_since(SystemTime::now())
            .unwrap_or_default(),
        request_id: event.context.request_id,
        function_version: event.context.env_config.version.clone(),
    };
    handler
        .handle(event.payload, &invocation)
        .await
        .map_err(|error: Error| Diagnostic {
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
