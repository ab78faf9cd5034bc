//! Simulated services on loopback: everything the archiver talks to, in one process.
//!
//! They know the wire formats only and share no code with the archiver, so that a mistake made twice
//! cannot cancel itself out.

pub mod aws;
pub mod genesys;
mod hmac;
pub mod library;
mod names;
pub mod runtime;
mod site;
pub mod webhook;
pub mod wire;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

pub use names::{
    ACCOUNT_ID as ACCOUNT, AUDIT_TABLE, BUCKET, CATALOG_KEY, CATALOG_SECRET, CATALOG_TABLE,
    DEAD_LETTER_QUEUE, EXCEPTION_QUEUE, LEDGER_TABLE, ROLE_ID, SEAL_BUCKET, SEAL_KEY, SEAL_ORIGIN, SEALER,
    SECRET, STATEMENT_QUEUE, WEBHOOK_SECRET, WORK_QUEUE,
};
pub use site::{Ports, Site};

/// Number of receptions after which a message of the work queue becomes a dead letter, as in the template.
const MOST_RECEPTIONS: u32 = 5;

/// Everything the archiver talks to, set up and running. Stops when dropped.
#[derive(Debug, Clone)]
pub struct World {
    /// The requests to all of them, and the script of faults.
    pub wire: wire::Wire,
    /// Genesys Cloud.
    pub genesys: genesys::Genesys,
    /// S3, DynamoDB, SQS and Secrets Manager.
    pub aws: aws::Aws,
    /// The webhook's receiver.
    pub webhook: webhook::Receiver,
    /// URL of the work queue.
    pub work_queue: String,
    /// URL of the exception queue.
    pub exception_queue: String,
    /// URL of the queue of the completeness statement.
    pub statement_queue: String,
    /// URL of the work queue's dead-letter queue.
    pub dead_letter_queue: String,
    site: Site,
}

/// Why a simulated world did not come up.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

impl World {
    /// Starts on any free ports, with everything in memory or in a folder that goes away with it.
    pub async fn temporary() -> Result<Self, StartError> {
        let wire = wire::Wire::default();
        let aws = aws::Aws::temporary(&wire).await?;
        Self::around(wire, aws, Site::default()).await
    }

    /// Starts at this site, with objects as plain files below `folder` and the tables beside them.
    pub async fn in_folder(folder: &Path, site: Site) -> Result<Self, StartError> {
        let wire = wire::Wire::default();
        let aws = aws::Aws::start(&wire, &site, folder).await?;
        Self::around(wire, aws, site).await
    }

    async fn around(wire: wire::Wire, aws: aws::Aws, mut site: Site) -> Result<Self, StartError> {
        let genesys = genesys::Genesys::start_at(&wire, &site).await?;
        let webhook = webhook::Receiver::start_at(&wire, &site, WEBHOOK_SECRET).await?;
        aws.create_bucket(BUCKET).await?;
        aws.create_bucket(SEAL_BUCKET).await?;
        aws.create_signing_key(SEAL_KEY).await?;
        aws.create_tables(AUDIT_TABLE, LEDGER_TABLE).await?;
        aws.create_catalog(CATALOG_TABLE).await?;
        aws.put_secret(CATALOG_SECRET, CATALOG_KEY).await?;
        let (client_id, client_secret) = genesys.credentials();
        let secret =
            json!({"clientId": client_id, "clientSecret": client_secret, "webhookSecret": WEBHOOK_SECRET});
        aws.put_secret(SECRET, &secret.to_string()).await?;
        let dead_letter_queue = aws.create_queue(DEAD_LETTER_QUEUE).await?;
        let work_queue = aws
            .create_queue_with_dead_letters(WORK_QUEUE, DEAD_LETTER_QUEUE, MOST_RECEPTIONS)
            .await?;
        let exception_queue = aws.create_queue(EXCEPTION_QUEUE).await?;
        let statement_queue = aws.create_queue(STATEMENT_QUEUE).await?;
        wire.forget();
        site.ports = Ports {
            genesys: port_of(&genesys.base_url()),
            media: port_of(&genesys.media_base_url()),
            aws: port_of(&aws.endpoint_url()),
            webhook: port_of(webhook.url().trim_end_matches("/hook")),
        };
        Ok(Self {
            wire,
            genesys,
            aws,
            webhook,
            work_queue,
            exception_queue,
            statement_queue,
            dead_letter_queue,
            site,
        })
    }

    /// Returns where it listens, with the ports that it got.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Returns the environment that makes a function talk to this world, and to nothing else.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        self.site.environment()
    }
}

/// Returns the port at the end of a base URL.
fn port_of(url: &str) -> u16 {
    let (_, port) = url.rsplit_once(':').unwrap_or_default();
    port.parse().unwrap_or_default()
}
