//! Where the simulators listen, the name under which others reach them, and the environment that leads there.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use super::names;

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

/// Address, name and ports of the simulators.
#[derive(Debug, Clone)]
pub struct Site {
    /// The address of this machine that they listen on.
    pub bind: IpAddr,
    /// The host in every URL that they hand out.
    pub name: String,
    /// Their ports.
    pub ports: Ports,
}

impl Default for Site {
    fn default() -> Self {
        Self::loopback(Ports::default())
    }
}

impl Site {
    /// Returns the site that only this machine reaches.
    pub fn loopback(ports: Ports) -> Self {
        let bind = IpAddr::from(Ipv4Addr::LOCALHOST);
        Self {
            bind,
            name: bind.to_string(),
            ports,
        }
    }

    /// Returns the fixed ports of `cargo local -- serve`, on `bind` and under `name`; without one, under an address on
    /// which this machine reaches them.
    pub fn served(bind: IpAddr, name: Option<String>) -> Self {
        let own = || match bind {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) if ip.is_unspecified() => "[::1]".to_owned(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self {
            bind,
            name: name.unwrap_or_else(own),
            ports: Ports::SERVE,
        }
    }

    /// Returns the URL of a port, without a slash at its end.
    pub fn url(&self, port: u16) -> String {
        format!("http://{}:{port}", self.name)
    }

    /// Returns the URL of a queue.
    pub fn queue_url(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.url(self.ports.aws), names::ACCOUNT_ID)
    }

    /// Returns the environment that makes a function talk to the simulators, and to nothing else.
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        let own = |text: &str| text.to_owned();
        let genesys = self.url(self.ports.genesys);
        BTreeMap::from([
            ("AWS_ACCESS_KEY_ID", own(names::ACCESS_KEY_ID)),
            ("AWS_SECRET_ACCESS_KEY", own(names::SECRET_ACCESS_KEY)),
            ("AWS_REGION", own(names::REGION)),
            ("AWS_ENDPOINT_URL", self.url(self.ports.aws)),
            ("GENESYS_CLOUD_REGION", own("eu-central-1")),
            ("GENESYS_API_BASE_URL", genesys.clone()),
            ("GENESYS_LOGIN_BASE_URL", genesys),
            ("GENESYS_SECRET_ID", own(names::SECRET)),
            ("S3_BUCKET_NAME", own(names::BUCKET)),
            ("S3_BUCKET_OWNER", own(names::ACCOUNT_ID)),
            ("AUDIT_TABLE_NAME", own(names::AUDIT_TABLE)),
            ("LEDGER_TABLE_NAME", own(names::LEDGER_TABLE)),
            ("CATALOG_TABLE_NAME", own(names::CATALOG_TABLE)),
            ("CATALOG_KEY_SECRET_ID", own(names::CATALOG_SECRET)),
            ("ARCHIVER_ROLE_ID", own(names::ROLE_ID)),
            ("SEAL_BUCKET_NAME", own(names::SEAL_BUCKET)),
            ("SEAL_KEY_ID", own(names::SEAL_KEY)),
            ("CHECKPOINT_SECONDS", own("0")),
            ("SEAL_ORIGIN", own(names::SEAL_ORIGIN)),
            ("WEBHOOK_URL", format!("{}/hook", self.url(self.ports.webhook))),
            ("WORK_QUEUE_URL", self.queue_url(names::WORK_QUEUE)),
            ("EXCEPTION_QUEUE_URL", self.queue_url(names::EXCEPTION_QUEUE)),
            ("STATEMENT_QUEUE_URL", self.queue_url(names::STATEMENT_QUEUE)),
        ])
    }

    /// Returns what operators need beyond the function's environment: the dead-letter queue, and the sealer.
    pub fn operators_environment(&self) -> BTreeMap<&'static str, String> {
        let mut environment = self.environment();
        environment.insert(
            "WORK_DEAD_LETTER_QUEUE_URL",
            self.queue_url(names::DEAD_LETTER_QUEUE),
        );
        environment.insert("SEALER_FUNCTION_NAME", names::SEALER.to_owned());
        environment
    }
}
