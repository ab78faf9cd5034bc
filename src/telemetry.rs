//! Output to stdout: log lines, audit lines and metrics, each a line of JSON in Lambda.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging in Lambda: one JSON object a line on stdout, filtered by `LOG_LEVEL`.
pub fn init(level: &str) {
    // An error means that a subscriber is set already, as in tests: then that one is wanted.
    let _ = tracing_subscriber::registry()
        .with(layer(level, std::io::stdout))
        .try_init();
}

/// Returns the layer that makes log lines: one JSON object a line, written to `writer` and filtered by a `LOG_LEVEL`.
/// `spans` holds the invocation, message and recording that a line is about.
pub fn layer<S, W>(level: &str, writer: W) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_writer(writer)
        .with_filter(filter(level))
}

/// Returns the filter of a `LOG_LEVEL`. Lines of foreign code below `info` are never written, whatever the level: the
/// runtime and the SDK log whole payloads and requests there.
pub fn filter(level: &str) -> Targets {
    const OURS: &str = env!("CARGO_CRATE_NAME");
    let wanted: Targets = level.parse().unwrap_or_default();
    let default = wanted.default_level().unwrap_or(LevelFilter::OFF);
    let capped = Targets::new()
        .with_default(default.min(LevelFilter::INFO))
        .with_target(OURS, default);
    let named = wanted.iter().filter(|(target, _)| !target.is_empty());
    named.fold(capped, |capped, (target, level)| {
        let most = if target.starts_with(OURS) {
            LevelFilter::TRACE
        } else {
            LevelFilter::INFO
        };
        capped.with_target(target, level.min(most))
    })
}

/// Where audit and metric lines go: stdout in Lambda, which `LOG_LEVEL` must not silence.
#[derive(Clone)]
pub struct Lines(Arc<dyn Fn(String) + Send + Sync>);

impl Lines {
    /// Sends every line to `write`, without its line end.
    pub fn new(write: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Sends every line to stdout.
    pub fn stdout() -> Self {
        Self::new(|line| {
            use std::io::Write as _;
            // One write a line, so that lines of concurrent records never mix. A closed stdout must not end the
            // process.
            let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
        })
    }

    /// Writes one line of JSON.
    pub fn json(&self, value: &Value) {
        (self.0)(value.to_string());
    }

    /// Writes an audit event as a line for a SIEM: the item itself and `"audit": true`.
    pub fn audit(&self, mut event: Map<String, Value>) {
        event.insert("audit".to_owned(), json!(true));
        self.json(&Value::Object(event));
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

/// Counts what happens deep inside; the edge turns them into metrics once per invocation.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests to Genesys' API, each try counted.
    pub genesys_requests: Counter,
    /// 429 answers of Genesys.
    pub genesys_throttled: Counter,
    /// Webhook deliveries that the receiver did not take, each try counted.
    pub webhook_failures: Counter,
    /// Multipart uploads that could not be aborted; the bucket's lifecycle rule removes them.
    pub abort_failures: Counter,
}

/// A number that only grows until it is taken.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the count since the last call, and starts again at zero.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn others_are_never_heard_below_info() {
        for (level, ours, others) in [
            ("info", false, true),
            ("trace", true, true),
            ("warn", false, false),
            ("lambda_runtime=trace,recording_archiver=debug", true, true),
            ("error,recording_archiver::genesys=debug", true, false),
        ] {
            let filter = filter(level);
            assert_eq!(
                filter.would_enable("recording_archiver::genesys", &Level::DEBUG),
                ours,
                "{level}"
            );
            assert_eq!(
                filter.would_enable("lambda_runtime", &Level::INFO),
                others,
                "{level}"
            );
            assert!(!filter.would_enable("lambda_runtime", &Level::DEBUG), "{level}");
        }
    }
}
