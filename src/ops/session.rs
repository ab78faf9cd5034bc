//! What every command works with: configuration, AWS, the clock, and Ctrl-C.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_s3::config::ResponseChecksumValidation;
use recording_archiver::archive::Archiver;
use recording_archiver::archive::recording::ConversationId;
use recording_archiver::aws;
use recording_archiver::aws::ledger::Ledger;
use recording_archiver::aws::secrets::Secrets;
use recording_archiver::aws::storage::Storage;
use recording_archiver::clock::{Clock, Deadline, Stop};
use recording_archiver::config::Config;
use recording_archiver::genesys::analytics::Analytics;
use recording_archiver::retry::RetryPolicy;
use recording_archiver::telemetry::Lines;
use tokio::sync::watch;

use crate::{Common, Failure, stack};

/// How long listing one page of Genesys' analytics, or waiting for one day's job, may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3_600);

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Session {
    /// As the function has it.
    pub(crate) config: Config,
    /// For any AWS client.
    pub(crate) sdk: SdkConfig,
    /// Now.
    pub(crate) clock: Clock,
    /// The work queue's dead-letter queue, where it is named.
    pub(crate) dead_letter_queue: Option<String>,
    stop: Stop,
    interrupted: watch::Receiver<bool>,
}

impl Session {
    /// Reads the configuration and listens for Ctrl-C. Sends nothing, but to CloudFormation if a stack is named.
    pub(crate) async fn start(common: &Common) -> Result<Self, Failure> {
        let stack = match &common.stack {
            Some(name) => stack::variables(name).await?,
            None => BTreeMap::new(),
        };
        let lookup = |name: &str| stack.get(name).cloned().or_else(|| std::env::var(name).ok());
        let config = Config::from_lookup(lookup).map_err(|error| match &common.stack {
            None => format!("{error}. Set these, or name the deployed stack: --stack NAME"),
            Some(name) => format!("{error} (as the stack {name} tells it)"),
        })?;
        let sdk = aws::sdk_config(&config.limits).load().await;
        let (sender, interrupted) = watch::channel(false);
        tokio::spawn(async move {
            // The first Ctrl-C asks to stop, the second does not ask.
            for again in [false, true] {
                if tokio::signal::ctrl_c().await.is_err() {
                    return;
                }
                if again {
                    std::process::exit(130);
                }
                sender.send_replace(true);
            }
        });
        Ok(Self {
            config,
            sdk,
            clock: Clock::default(),
            dead_letter_queue: lookup("WORK_DEAD_LETTER_QUEUE_URL").filter(|url| !url.is_empty()),
            stop: Stop::default(),
            interrupted,
        })
    }

    /// The function's own use case. Its audit lines go to `lines`.
    pub(crate) fn archiver(&self, lines: Lines) -> Result<Archiver, Failure> {
        Ok(Archiver::connect(
            self.config.clone(),
            &self.sdk,
            self.clock.clone(),
            lines,
        )?)
    }

    /// The secret with the credentials.
    pub(crate) fn secrets(&self) -> Arc<Secrets> {
        let secrets = aws_sdk_secretsmanager::Client::new(&self.sdk);
        let id = self.config.genesys.secret_id.clone();
        Arc::new(Secrets::new(secrets, id, self.clock.clone()))
    }

    /// Genesys' lists of conversations.
    pub(crate) fn analytics(&self) -> Result<Analytics, Failure> {
        Ok(Analytics::new(&self.config, self.secrets(), Arc::default())?)
    }

    /// Ledger and audit, to be read.
    pub(crate) fn ledger(&self) -> Ledger {
        let limits = &self.config.limits;
        Ledger::new(
            aws_sdk_dynamodb::Client::new(&self.sdk),
            self.config.tables.clone(),
            RetryPolicy::new(limits.max_attempts, limits.backoff_base),
            self.clock.clone(),
            Lines::new(|_| {}),
        )
    }

    /// The archive bucket, to be read.
    pub(crate) fn storage(&self) -> Storage {
        let config = self.config.storage.clone();
        let s3 = aws_sdk_s3::config::Builder::from(&self.sdk)
            .force_path_style(config.path_style)
            // Whoever reads an object recomputes its SHA-256, and tells what is wrong with all of its bytes; the SDK
            // would break off at the end of those that do not match its checksum.
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Storage::new(aws_sdk_s3::Client::from_conf(s3), config, Arc::default())
    }

    /// The end of a piece of work that may take `time`; Ctrl-C ends it early.
    pub(crate) fn deadline(&self, time: Duration) -> Deadline {
        Deadline::new(time, &self.stop)
    }

    /// Whether Ctrl-C was pressed.
    pub(crate) fn is_interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }

    /// Waits for Ctrl-C.
    pub(crate) async fn interruption(&self) {
        let mut interrupted = self.interrupted.clone();
        if interrupted.wait_for(|pressed| *pressed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Does `work` unless Ctrl-C comes first; `None`: it came.
    pub(crate) async fn unless_interrupted<T, E: Into<Failure>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<Option<T>, Failure> {
        tokio::select! {
            done = work => done.map(Some).map_err(Into::into),
            () = self.interruption() => Ok(None),
        }
    }

    /// Ends every [`Deadline`] of this session now.
    pub(crate) fn stop(&self) {
        self.stop.pull();
    }
}

/// Reads a conversation's id, as several commands take it.
pub(crate) fn conversation(text: &str) -> Result<ConversationId, String> {
    ConversationId::parse(text).map_err(|error| format!("it {error}"))
}
