//! From the environment's text to configuration values, and to messages that say what is accepted.

use std::num::NonZeroUsize;
use std::time::Duration;

use reqwest::Url;

use super::hosts::{self, MediaHosts, is_domain, is_label, is_local};
use super::{
    AWS_ATTEMPT_TIMEOUT, CatalogConfig, Config, GenesysConfig, LimitConfig, ObjectLock, QueueConfig,
    RecordingConfig, StorageConfig, TableConfig, WebhookSignature,
};
use crate::domain::call::Extent;
use crate::domain::format::{Channels, Format, MediaKind, RecordingApi};
use crate::domain::key::KeyTemplate;
use crate::domain::number::Country;
use crate::redact;

/// Regions and their domains: the region table of the official SDKs. A closed list, because the OAuth client's secret
/// is sent to the login host of the domain.
const REGIONS: [(&str, &str); 18] = [
    ("us-east-1", "mypurecloud.com"),
    ("us-east-2", "use2.us-gov-pure.cloud"),
    ("us-west-2", "usw2.pure.cloud"),
    ("ca-central-1", "cac1.pure.cloud"),
    ("mx-central-1", "mxc1.pure.cloud"),
    ("sa-east-1", "sae1.pure.cloud"),
    ("eu-west-1", "mypurecloud.ie"),
    ("eu-west-2", "euw2.pure.cloud"),
    ("eu-central-1", "mypurecloud.de"),
    ("eu-central-2", "euc2.pure.cloud"),
    ("eusc-de-east-1", "edee1.eusc-pure.cloud"),
    ("me-central-1", "mec1.pure.cloud"),
    ("ap-south-1", "aps1.pure.cloud"),
    ("ap-southeast-1", "apse1.pure.cloud"),
    ("ap-southeast-2", "mypurecloud.com.au"),
    ("ap-northeast-1", "mypurecloud.jp"),
    ("ap-northeast-2", "apne2.pure.cloud"),
    ("ap-northeast-3", "apne3.pure.cloud"),
];

type Lookup<'a> = Box<dyn Fn(&str) -> Option<String> + 'a>;

/// Reads and checks every variable. Returns all problems, not just the first.
pub(super) fn config(lookup: impl Fn(&str) -> Option<String>) -> Result<Config, Vec<String>> {
    all(lookup, |env| env.config())
}

/// Reads and checks the variables of one function. Returns all problems, not just the first.
pub(super) fn all<T>(
    lookup: impl Fn(&str) -> Option<String>,
    read: impl FnOnce(&mut Env<'_>) -> Option<T>,
) -> Result<T, Vec<String>> {
    let mut env = Env {
        lookup: Box::new(lookup),
        problems: Vec::new(),
    };
    let config = read(&mut env);
    match (config, env.problems) {
        (Some(config), problems) if problems.is_empty() => Ok(config),
        (_, problems) => Err(problems),
    }
}

/// Reads variables one by one and collects what is wrong with them.
pub(super) struct Env<'a> {
    lookup: Lookup<'a>,
    problems: Vec<String>,
}

impl Env<'_> {
    fn config(&mut self) -> Option<Config> {
        let api = self.api();
        let genesys = self.genesys(api);
        let recording = self.recording(api);
        let storage = self.storage(api);
        let call_record = self.optional("CALL_RECORD", "off, standard or full", Extent::parse);
        let audit = self.required("AUDIT_TABLE_NAME", "the name of the audit table", table_name);
        let ledger = self.required("LEDGER_TABLE_NAME", "the name of the ledger table", table_name);
        if audit.is_some() && audit == ledger {
            self.problems
                .push("LEDGER_TABLE_NAME names the audit table; accepted: another table".to_owned());
        }
        let catalog = self.catalog();
        let webhook_url = self.optional("WEBHOOK_URL", WEB_URL, web_url);
        let webhook_signature = self.optional(
            "WEBHOOK_SIGNATURE",
            "required, optional, or unset: required where the secret holds a webhookSecret",
            |text| match text {
                "required" => Some(WebhookSignature::Required),
                "optional" => Some(WebhookSignature::Optional),
                _ => None,
            },
        );
        let work = self.optional("WORK_QUEUE_URL", QUEUE_URL, queue_url);
        let exceptions = self.optional("EXCEPTION_QUEUE_URL", QUEUE_URL, queue_url);
        let limits = self.limits();
        let log_level = self.log_level();
        let role_id = self.optional(
            "ARCHIVER_ROLE_ID",
            "a role's unique id such as AROAJQABLZS4A3QDU576Q",
            role_id,
        );
        Some(Config {
            genesys: genesys?,
            recording: recording?,
            storage: storage?,
            call_record: call_record.unwrap_or(Extent::Standard),
            catalog,
            tables: TableConfig {
                audit: audit?,
                ledger: ledger?,
            },
            queues: QueueConfig { work, exceptions },
            webhook_url,
            webhook_signature: webhook_signature.unwrap_or(WebhookSignature::WhereKeyExists),
            limits: limits?,
            log_level,
            role_id,
        })
    }

    /// Says whether S3 is reached by an endpoint of its own.
    pub(super) fn path_style(&self) -> bool {
        let endpoints = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"];
        endpoints.iter().any(|name| self.get(name).is_some())
    }

    pub(super) fn log_level(&mut self) -> String {
        let level = self.optional(
            "LOG_LEVEL",
            "a tracing filter such as info or recording_archiver=debug,info",
            |text| {
                text.parse::<tracing_subscriber::filter::Targets>()
                    .ok()
                    .map(|_| text.to_owned())
            },
        );
        level.unwrap_or_else(|| "info".to_owned())
    }

    fn api(&mut self) -> Option<RecordingApi> {
        match self.get("GENESYS_RECORDING_API").as_deref() {
            None | Some("conversations") => Some(RecordingApi::Conversations),
            Some("interactions") => Some(RecordingApi::Interactions),
            found => {
                self.problem("GENESYS_RECORDING_API", found, "conversations or interactions");
                None
            }
        }
    }

    fn genesys(&mut self, api: Option<RecordingApi>) -> Option<GenesysConfig> {
        let region = self
            .get("GENESYS_CLOUD_REGION")
            .unwrap_or_else(|| "us-east-1".to_owned());
        let api_base = self.optional("GENESYS_API_BASE_URL", BASE_URL, base_url);
        let login_base = self.optional("GENESYS_LOGIN_BASE_URL", BASE_URL, base_url);
        let domain = REGIONS
            .iter()
            .find(|(name, domain)| *name == region || *domain == region)
            .map(|(_, domain)| *domain);
        let known_hosts = api_base.is_some() && login_base.is_some();
        let usable = domain.is_some() || (known_hosts && (is_label(&region) || is_domain(&region)));
        if !usable {
            let names = REGIONS
                .map(|(name, domain)| format!("{name} or {domain}"))
                .join(", ");
            self.problem(
                "GENESYS_CLOUD_REGION",
                Some(&region),
                &format!(
                    "{names}; any other name needs both GENESYS_API_BASE_URL and GENESYS_LOGIN_BASE_URL"
                ),
            );
        }
        let host =
            |service: &str| domain.and_then(|domain| Url::parse(&format!("https://{service}.{domain}")).ok());
        let more = self.optional("GENESYS_MEDIA_HOSTS", MEDIA_HOSTS, hosts::media_hosts);
        let secret_id = self.required("GENESYS_SECRET_ID", "a Secrets Manager name or ARN", secret_name);
        let bulk_secret_id = self.optional(
            "GENESYS_BULK_SECRET_ID",
            "a Secrets Manager name or ARN",
            secret_name,
        );
        let api_base = api_base.or_else(|| host("api"))?;
        Some(GenesysConfig {
            media_hosts: MediaHosts::new(&api_base, domain, more.unwrap_or_default()),
            api_base,
            login_base: login_base.or_else(|| host("login"))?,
            secret_id: secret_id?,
            bulk_secret_id,
            api: api?,
            region,
        })
    }

    /// Reads the kinds and formats to archive. Without a valid API, everything that one of the two accepts is
    /// accepted.
    fn recording(&mut self, api: Option<RecordingApi>) -> Option<RecordingConfig> {
        let format = match self.get("RECORDING_FORMAT") {
            None => Some(Format::Wav),
            Some(text) if api.is_none() && Format::parse(&text).is_some() => Format::parse(&text),
            Some(text) => api
                .unwrap_or(RecordingApi::Conversations)
                .parse_format(&text)
                .map_err(|accepted| self.problem("RECORDING_FORMAT", Some(&text), &accepted))
                .ok(),
        };
        let channels = self.optional("RECORDING_CHANNELS", "merged or split", |text| match text {
            "merged" => Some(Channels::Merged),
            "split" => Some(Channels::Split),
            _ => None,
        });
        if channels == Some(Channels::Split) && api == Some(RecordingApi::Interactions) {
            self.problem(
                "RECORDING_CHANNELS",
                Some("split"),
                "merged, as the interactions API gives one file; split needs GENESYS_RECORDING_API=conversations",
            );
        }
        let media = self.optional(
            "RECORDING_MEDIA",
            "a comma list of audio, screen, chat, email, message",
            |text| text.split(',').map(MediaKind::parse).collect::<Option<Vec<_>>>(),
        );
        Some(RecordingConfig {
            format: format?,
            channels: channels.unwrap_or(Channels::Merged),
            media: media.unwrap_or_else(|| vec![MediaKind::Audio]),
        })
    }

    fn storage(&mut self, api: Option<RecordingApi>) -> Option<StorageConfig> {
        let bucket = self.required(
            "S3_BUCKET_NAME",
            "the name of an S3 bucket (not a URL or a path)",
            bucket_name,
        );
        let bucket_owner = self.optional("S3_BUCKET_OWNER", "the 12 digits of an AWS account", |text| {
            let fits = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
            fits.then(|| text.to_owned())
        });
        let storage_class = self.optional(
            "S3_STORAGE_CLASS",
            "an S3 storage class such as STANDARD_IA",
            |text| {
                let fits = text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
                fits.then(|| text.to_owned())
            },
        );
        let key_template = self.key_template(api);
        let object_lock = self.object_lock();
        // S3: 5 MiB to 5 GiB a part, https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html.
        // The upper bound here is what a function's memory can hold.
        let part_mib = self.number("UPLOAD_PART_SIZE_MIB", 8, 5..=512);
        let concurrency = self.number("UPLOAD_CONCURRENCY", 4, 1..=64);
        // Nothing is given up before each variable was looked at: the message names all problems.
        Some(StorageConfig {
            bucket: bucket?,
            bucket_owner,
            key_template: key_template?,
            kms_key_id: self.get("S3_SSE_KMS_KEY_ID"),
            storage_class,
            object_lock,
            part_size: usize::try_from(part_mib?).ok()? * 1024 * 1024,
            concurrency: NonZeroUsize::new(usize::try_from(concurrency?).ok()?)?,
            path_style: self.path_style(),
        })
    }

    fn key_template(&mut self, api: Option<RecordingApi>) -> Option<KeyTemplate> {
        let template_text = self
            .get("S3_KEY_TEMPLATE")
            .unwrap_or_else(|| "recordings/{interactionId}/{recordingId}{channel}.{ext}".to_owned());
        let template = KeyTemplate::parse(&template_text).and_then(|template| {
            let apart = match api {
                Some(RecordingApi::Conversations) => template.tells_recordings_apart(),
                Some(RecordingApi::Interactions) => template.tells_conversations_apart(),
                None => template.tells_recordings_apart() || template.tells_conversations_apart(),
            };
            if apart {
                Ok(template)
            } else {
                Err("gives several recordings one key".to_owned())
            }
        });
        template
            .map_err(|fault| {
                let fields =
                    "{interactionId} {recordingId} {channel} {ext} {year} {month} {day} {hour} {region}";
                let accepted = format!(
                    "folders and a file name with {{recordingId}} in it, made of {fields}; this one {fault}"
                );
                self.problem("S3_KEY_TEMPLATE", Some(&template_text), &accepted);
            })
            .ok()
    }

    fn catalog(&mut self) -> Option<CatalogConfig> {
        let table = self.optional(
            "CATALOG_TABLE_NAME",
            "the name of the catalog's table",
            table_name,
        );
        let accepted = "a Secrets Manager name or ARN";
        let key_secret_id = match &table {
            Some(_) => self.required("CATALOG_KEY_SECRET_ID", accepted, secret_name),
            None => self.optional("CATALOG_KEY_SECRET_ID", accepted, secret_name),
        };
        let country = self.optional("NUMBER_COUNTRY", &Country::accepted(), Country::parse);
        Some(CatalogConfig {
            table: table?,
            key_secret_id: key_secret_id?,
            country,
        })
    }

    fn object_lock(&mut self) -> Option<ObjectLock> {
        let mode = self.optional("S3_OBJECT_LOCK_MODE", "GOVERNANCE or COMPLIANCE", |text| {
            ["GOVERNANCE", "COMPLIANCE"]
                .contains(&text)
                .then(|| text.to_owned())
        });
        let days = self.number("S3_OBJECT_LOCK_DAYS", 0, 0..=36_500);
        // A half that is set but invalid was reported already, and is not missing.
        let mode_is_set = self.get("S3_OBJECT_LOCK_MODE").is_some();
        match (mode_is_set, days != Some(0)) {
            (true, false) => self.problem(
                "S3_OBJECT_LOCK_DAYS",
                None,
                "a number of days, as S3_OBJECT_LOCK_MODE is set",
            ),
            (false, true) => self.problem(
                "S3_OBJECT_LOCK_MODE",
                None,
                "GOVERNANCE or COMPLIANCE, as S3_OBJECT_LOCK_DAYS is set",
            ),
            (true, true) | (false, false) => {}
        }
        let days = u32::try_from(days?).ok().filter(|days| *days > 0)?;
        Some(ObjectLock { mode: mode?, days })
    }

    fn limits(&mut self) -> Option<LimitConfig> {
        let records = self.number("RECORD_CONCURRENCY", 4, 1..=64);
        let bulk = self.number("BULK_CONCURRENCY", 8, 1..=64);
        let readiness = self.number("READINESS_DEADLINE_MINUTES", 1440, 1..=43_200);
        let settle = self.number("SETTLE_SECONDS", 900, 0..=21_600);
        let unrecorded_after = self.number("UNRECORDED_AFTER_MINUTES", 60, 1..=720);
        let transcode_wait = self.number("TRANSCODE_WAIT_SECONDS", 15, 0..=300);
        let attempts = self.number("MAX_ATTEMPTS", 3, 1..=20);
        Some(LimitConfig {
            record_concurrency: NonZeroUsize::new(usize::try_from(records?).ok()?)?,
            bulk_concurrency: NonZeroUsize::new(usize::try_from(bulk?).ok()?)?,
            readiness: Duration::from_secs(readiness? * 60),
            settle: Duration::from_secs(settle?),
            unrecorded_after: Duration::from_secs(unrecorded_after? * 60),
            transcode_wait: Duration::from_secs(transcode_wait?),
            transcode_first: Duration::from_secs(3),
            max_attempts: u32::try_from(attempts?).ok()?,
            backoff_base: Duration::from_millis(200),
            answer_timeout: Duration::from_secs(30),
            aws_attempt_timeout: AWS_ATTEMPT_TIMEOUT,
            media_idle: Duration::from_secs(30),
            webhook_timeout: Duration::from_secs(10),
        })
    }

    fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        accepted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.get(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.problem(name, Some(&text), accepted);
        }
        value
    }

    pub(super) fn required<T>(
        &mut self,
        name: &str,
        accepted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        if self.get(name).is_none() {
            self.problem(name, None, accepted);
        }
        self.optional(name, accepted, parse)
    }

    pub(super) fn number(
        &mut self,
        name: &str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let Some(text) = self.get(name) else {
            return Some(default);
        };
        let value = text.parse::<u64>().ok().filter(|value| range.contains(value));
        if value.is_none() {
            let accepted = format!("a whole number from {} to {}", range.start(), range.end());
            self.problem(name, Some(&text), &accepted);
        }
        value
    }

    fn problem(&mut self, name: &str, found: Option<&str>, accepted: &str) {
        let found = match found {
            None => "is not set".to_owned(),
            // A secret pasted into the wrong variable must not end up in a log.
            Some(text) if name.ends_with("_SECRET_ID") => format!("is {}", redact::length(text)),
            Some(text) => format!("is {}", redact::setting(text)),
        };
        self.problems
            .push(format!("{name} {found}; accepted: {accepted}"));
    }
}

const BASE_URL: &str = "a base URL such as https://api.mypurecloud.de, without user, password and query; http only to this machine";
const WEB_URL: &str = "an https URL without user and password; http only to this machine (localhost, 127.0.0.1, [::1], \
     host.docker.internal)";
const MEDIA_HOSTS: &str = "a comma list of host names or domains such as media.example.com";
const QUEUE_URL: &str =
    "the URL of an SQS queue, such as https://sqs.eu-central-1.amazonaws.com/123456789012/work";

fn web_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_local(&url));
    (safe && url.has_host() && !has_user(&url)).then_some(url)
}

/// Says whether a URL holds a name or password, which would show wherever the URL does.
pub(super) fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn base_url(text: &str) -> Option<Url> {
    let url = web_url(text)?;
    (url.query().is_none() && url.fragment().is_none()).then_some(url)
}

fn queue_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let fits =
        matches!(url.scheme(), "https" | "http") && url.has_host() && url.path().len() > 1 && !has_user(&url);
    fits.then(|| text.to_owned())
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids>
fn role_id(text: &str) -> Option<String> {
    let rest = text.strip_prefix("AROA")?;
    let fits = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    fits.then(|| text.to_owned())
}

/// Accepts access point aliases, too: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
pub(super) fn bucket_name(text: &str) -> Option<String> {
    let fits = (3..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
    fits.then(|| text.to_owned())
}

/// Accepts table names and ARNs:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>.
pub(super) fn table_name(text: &str) -> Option<String> {
    let fits = (3..=1024).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-:/".contains(&b));
    fits.then(|| text.to_owned())
}

/// Accepts names of secrets and ARNs:
/// <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html>.
fn secret_name(text: &str) -> Option<String> {
    let fits = text.len() <= 2048
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/_+=.@-:!".contains(&b));
    fits.then(|| text.to_owned())
}
