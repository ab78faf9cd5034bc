//! The common ground of all commands: configuration, AWS, the clock, and Ctrl-C.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use tokio::sync::watch;

use super::error::{Error, Kind};
use super::log::Settings;
use super::stack;
use crate::archive::Archiver;
use crate::aws::ledger::Ledger;
use crate::aws::secrets::Secrets;
use crate::aws::storage::Storage;
use crate::aws::{self, Clients};
use crate::clock::{Clock, Deadline, Stop};
use crate::config::Config;
use crate::genesys::Genesys;
use crate::genesys::analytics::Analytics;
use crate::telemetry::Lines;

/// Longest wait for one page of Genesys' analytics, or for one day's job.
pub(super) const PATIENCE: Duration = Duration::from_secs(3_600);

/// The variables that the function requires.
const REQUIRED: [&str; 4] = [
    "GENESYS_SECRET_ID",
    "S3_BUCKET_NAME",
    "AUDIT_TABLE_NAME",
    "LEDGER_TABLE_NAME",
];

/// The variables that say where AWS services are; the one of all services has no name.
const ENDPOINTS: [(&str, &str); 9] = [
    ("", "AWS_ENDPOINT_URL"),
    ("cloudtrail", "AWS_ENDPOINT_URL_CLOUDTRAIL"),
    ("cloudwatchlogs", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS"),
    ("dynamodb", "AWS_ENDPOINT_URL_DYNAMODB"),
    ("kms", "AWS_ENDPOINT_URL_KMS"),
    ("lambda", "AWS_ENDPOINT_URL_LAMBDA"),
    ("s3", "AWS_ENDPOINT_URL_S3"),
    ("sqs", "AWS_ENDPOINT_URL_SQS"),
    ("secretsmanager", "AWS_ENDPOINT_URL_SECRETS_MANAGER"),
];

/// The common ground of all commands.
#[derive(Debug)]
pub struct Session {
    /// The function's configuration.
    pub(super) config: Config,
    /// Region and credentials.
    pub(super) sdk: SdkConfig,
    /// The clients of AWS.
    pub(super) clients: Clients,
    /// The clock.
    pub(super) clock: Clock,
    /// The work queue's dead-letter queue, where it is named.
    pub(super) dead_letter_queue: Option<String>,
    /// The transparency log, where one is named.
    pub(super) log: Settings,
    /// The bucket of the trail of reads, where it is named.
    pub(super) trail_bucket: Option<String>,
    /// The function's log group, where it is named.
    pub(super) log_group: Option<String>,
    /// The user of this machine, where it names one.
    user: Option<String>,
    /// `AWS_ENDPOINT_URL`, and those of single services.
    endpoints: BTreeMap<&'static str, String>,
    stop: Stop,
    interrupt: Interrupt,
}

/// Ends commands early, in a state that they can go on from.
#[derive(Debug, Clone)]
pub struct Interrupt(watch::Sender<bool>);

impl Default for Interrupt {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Interrupt {
    /// Asks every command of this session to end.
    pub fn pull(&self) {
        self.0.send_replace(true);
    }

    /// Says whether somebody asked to end.
    pub fn is_pulled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody asks to end.
    async fn pulled(&self) {
        // The sender lives as long as this does.
        let _ = self.0.subscribe().wait_for(|pulled| *pulled).await;
    }
}

impl Session {
    /// Reads the configuration: from the stack of this name, which wins, and from `variables`. Of those that the
    /// function cannot do without, only the ones in `needs` have to be there. Sends nothing, but to CloudFormation if
    /// a stack is named.
    pub async fn start(
        stack: Option<&str>,
        variables: impl Fn(&str) -> Option<String>,
        needs: &[&str],
        interrupt: Interrupt,
    ) -> Result<Self, Error> {
        let sdk = aws::sdk_config().load().await;
        let told = match stack {
            Some(name) => stack::variables(&sdk, name).await?,
            None => BTreeMap::new(),
        };
        let lookup = |name: &str| told.get(name).cloned().or_else(|| variables(name));
        // The stand-ins are never used.
        let needless = |name: &str| REQUIRED.contains(&name) && !needs.contains(&name);
        let stand_in = |name: &str| format!("not-needed-{}", name.to_lowercase().replace('_', "-"));
        let all = |name: &str| lookup(name).or_else(|| needless(name).then(|| stand_in(name)));
        let config = Config::from_lookup(all).map_err(|error| {
            let error = Error::new(Kind::Configuration, error.to_string());
            match stack {
                None => error.remedy("set these, or name the deployed stack: --stack NAME"),
                Some(name) => error.remedy(format!("update the stack {name}, which says so")),
            }
        })?;
        Ok(Self {
            clients: Clients::new(&sdk, &config),
            config,
            sdk,
            clock: Clock::default(),
            dead_letter_queue: lookup("WORK_DEAD_LETTER_QUEUE_URL").filter(|url| !url.is_empty()),
            log: Settings::read(lookup),
            trail_bucket: lookup("TRAIL_BUCKET_NAME").filter(|name| !name.is_empty()),
            log_group: lookup("LOG_GROUP_NAME").filter(|name| !name.is_empty()),
            user: lookup("USER").or_else(|| lookup("USERNAME")),
            endpoints: ENDPOINTS
                .iter()
                .filter_map(|(service, variable)| Some((*service, lookup(variable)?)))
                .collect(),
            stop: Stop::default(),
            interrupt,
        })
    }

    /// Adds the URL of the service that no request reached to an error.
    pub fn locate(&self, error: Error) -> Error {
        let Some(service) = error.unreachable() else {
            return error;
        };
        let url = match service {
            "genesys-api" => self.config.genesys.api_base.to_string(),
            "genesys-login" => self.config.genesys.login_base.to_string(),
            service => {
                let given = self.endpoints.get(service).or_else(|| self.endpoints.get(""));
                let region = self.sdk.region().map_or("us-east-1", |region| region.as_ref());
                given
                    .cloned()
                    .unwrap_or_else(|| format!("https://{service}.{region}.amazonaws.com"))
            }
        };
        error.at(url)
    }

    /// Returns the name of the audit table.
    pub fn audit_table(&self) -> &str {
        &self.config.tables.audit
    }

    /// Returns the time here.
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// Returns `requestedBy` for the audit: the command, its target, and the user of this machine.
    pub(super) fn requester(&self, command: &str, what: &str) -> String {
        let user = self.user.as_ref();
        let user = user.map(|user| format!(" by {}", user.chars().take(64).collect::<String>()));
        format!("archivectl {command} of {what}{}", user.unwrap_or_default())
    }

    /// Connects the function's own use case. The audit table has every event; the lines for a log go nowhere.
    pub(super) fn archiver(&self) -> Result<Archiver, Error> {
        let lines = Lines::new(|_| {});
        let archiver = Archiver::connect(self.config.clone(), &self.clients, self.clock.clone(), lines);
        Ok(archiver?)
    }

    /// Connects to the secret with the credentials.
    pub(super) fn secrets(&self) -> Arc<Secrets> {
        self.clients.secrets(&self.config, self.clock.clone())
    }

    /// Connects to Genesys' lists of conversations.
    pub(super) fn analytics(&self) -> Result<Analytics, Error> {
        Ok(Analytics::new(
            &self.config,
            self.secrets(),
            self.clock.clone(),
            Arc::default(),
        )?)
    }

    /// Connects to Genesys' recordings.
    pub(super) fn genesys(&self) -> Result<Genesys, Error> {
        let clock = || self.clock.clone();
        let genesys = Genesys::new(&self.config, self.secrets(), clock(), Arc::default())?;
        match self.clients.bulk_secrets(&self.config, clock()) {
            Some(secrets) => Ok(genesys.with_bulk(&self.config, secrets, clock(), Arc::default())?),
            None => Ok(genesys),
        }
    }

    /// Connects to ledger and audit, to be read.
    pub(super) fn ledger(&self) -> Ledger {
        let lines = Lines::new(|_| {});
        self.clients.ledger(&self.config, self.clock.clone(), lines)
    }

    /// Connects to the archive bucket, to be read.
    pub(super) fn storage(&self) -> Storage {
        self.clients.storage(&self.config, Arc::default())
    }

    /// Returns the deadline of work that may take `time`; [`Self::stop`] ends it early.
    pub(super) fn deadline(&self, time: Duration) -> Deadline {
        Deadline::new(time, &self.stop)
    }

    /// Ends every [`Deadline`] of this session now.
    pub(super) fn stop(&self) {
        self.stop.pull();
    }

    /// Says whether Ctrl-C was pressed.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupt.is_pulled()
    }

    /// Fails once Ctrl-C was pressed.
    pub(super) fn go_on(&self) -> Result<(), Error> {
        if self.is_interrupted() {
            Err(Error::interrupted())
        } else {
            Ok(())
        }
    }

    /// Waits for Ctrl-C.
    pub async fn interruption(&self) {
        self.interrupt.pulled().await;
    }

    /// Runs `work`, unless Ctrl-C comes first. Boxes it, so that the future of a command does not hold those of the
    /// AWS clients by value, whose types are too deep for the compiler's default limit.
    pub(super) fn unless_interrupted<T, E: Into<Error>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, Error>> {
        let work = Box::pin(work);
        async move {
            tokio::select! {
                done = work => done.map_err(Into::into),
                () = self.interruption() => Err(Error::interrupted()),
            }
        }
    }
}
