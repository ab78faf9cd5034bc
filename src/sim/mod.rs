//! Simulated services on loopback: everything the archiver talks to, in one process.
//!
//! They know the wire formats only and share no code with the archiver, so that a mistake made twice
//! cannot cancel itself out.

pub mod aws;
pub mod genesys;
mod hmac;
pub mod library;
pub mod runtime;
pub mod webhook;
pub mod wire;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

/// Name of the simulated bucket.
pub const BUCKET: &str = "calls";
/// Name of the simulated audit table.
pub const AUDIT_TABLE: &str = "recording-audit";
/// Name of the simulated ledger table.
pub const LEDGER_TABLE: &str = "recording-ledger";
/// Name of the simulated secret.
pub const SECRET: &str = "genesys/archiver";
/// Key of the webhook's signature.
pub const WEBHOOK_SECRET: &str = "whsec_c2ltdWxhdGVkLXdlYmhvb2stc2VjcmV0LTAwMDE=";

/// Where each simulator listens; 0 is any free port.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    /// Genesys' API and login.
    pub genesys: u16,
    /// The host of the signed media URLs.
    pub media: u16,
    /// All of AWS.
    pub aws: u16,
    /// The webhook's receiver.
    pub webhook: u16,
}

impl Ports {
    /// Those of `cargo local -- serve`: fixed, so that an environment once written down stays good.
    pub const SERVE: Self = Self {
        genesys: 9101,
        media: 9102,
        aws: 9103,
        webhook: 9104,
    };
}

/// Everything the archiver talks to, set up and running. Stops when dropped.
#[derive(Debug, Clone)]
pub struct World {
    /// What all of them were asked, and the script of faults.
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
}

/// Why a simulated world did not come up.
pub type StartError = Box<dyn std::error::Error + Send + Sync>;

impl World {
    /// On any free ports, with everything in memory or in a folder that goes away with it.
    pub async fn temporary() -> Result<Self, StartError> {
        let wire = wire::Wire::default();
        let aws = aws::Aws::temporary(&wire).await?;
        Self::around(wire, aws, Ports::default()).await
    }

    /// On these ports, with objects as plain files below `folder` and the tables beside them.
    pub async fn in_folder(folder: &Path, ports: Ports) -> Result<Self, StartError> {
        let wire = wire::Wire::default();
        let aws = aws::Aws::start(&wire, ports.aws, folder).await?;
        Self::around(wire, aws, ports).await
    }

    async fn around(wire: wire::Wire, aws: aws::Aws, ports: Ports) -> Result<Self, StartError> {
        let genesys = genesys::Genesys::start(&wire, ports.genesys, ports.media).await?;
        let webhook = webhook::Receiver::start(&wire, ports.webhook, WEBHOOK_SECRET).await?;
        aws.create_bucket(BUCKET).await?;
        aws.create_tables(AUDIT_TABLE, LEDGER_TABLE).await?;
        let (client_id, client_secret) = genesys.credentials();
        let secret =
            json!({"clientId": client_id, "clientSecret": client_secret, "webhookSecret": WEBHOOK_SECRET});
        aws.put_secret(SECRET, &secret.to_string()).await?;
        let work_queue = aws.create_queue("recording-work").await?;
        let exception_queue = aws.create_queue("recording-exceptions").await?;
        wire.forget();
        Ok(Self {
            wire,
            genesys,
            aws,
            webhook,
            work_queue,
            exception_queue,
        })
    }

    /// The environment that makes a function talk to this world, and to nothing else.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        let own = |text: &str| text.to_owned();
        BTreeMap::from([
            ("AWS_ACCESS_KEY_ID", own(aws::ACCESS_KEY_ID)),
            ("AWS_SECRET_ACCESS_KEY", own(aws::SECRET_ACCESS_KEY)),
            ("AWS_REGION", own(aws::REGION)),
            ("AWS_ENDPOINT_URL", self.aws.endpoint_url()),
            ("GENESYS_CLOUD_REGION", own("eu-central-1")),
            ("GENESYS_API_BASE_URL", self.genesys.base_url()),
            ("GENESYS_LOGIN_BASE_URL", self.genesys.base_url()),
            ("GENESYS_SECRET_ID", own(SECRET)),
            ("S3_BUCKET_NAME", own(BUCKET)),
            ("S3_BUCKET_OWNER", own(aws::ACCOUNT_ID)),
            ("AUDIT_TABLE_NAME", own(AUDIT_TABLE)),
            ("LEDGER_TABLE_NAME", own(LEDGER_TABLE)),
            ("WEBHOOK_URL", self.webhook.url()),
            ("WORK_QUEUE_URL", self.work_queue.clone()),
            ("EXCEPTION_QUEUE_URL", self.exception_queue.clone()),
        ])
    }
}
