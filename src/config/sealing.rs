//! The configuration of the sealer, a function of its own.

use std::time::Duration;

use reqwest::Url;

use super::ConfigError;
use super::read::{self, bucket_name, has_user, table_name};

/// Every environment variable that the sealer itself reads; the AWS SDK reads its own besides.
pub const SEALING_VARIABLES: [&str; 8] = [
    "SEAL_BUCKET_NAME",
    "SEAL_KEY_ID",
    "SEAL_ORIGIN",
    "AUDIT_TABLE_NAME",
    "CHECKPOINT_SECONDS",
    "CHECKPOINT_TOPIC_ARN",
    "TSA_URL",
    "LOG_LEVEL",
];

/// The configuration of the sealer.
#[derive(Debug, Clone)]
pub struct SealingConfig {
    /// `SEAL_BUCKET_NAME`: the bucket of the transparency log.
    pub bucket: String,
    /// `SEAL_KEY_ID`: id, ARN or alias of the KMS key that signs checkpoints.
    pub key_id: String,
    /// `SEAL_ORIGIN`: the name of the log, the first line of each checkpoint.
    pub origin: String,
    /// `AUDIT_TABLE_NAME`: what an import scans; the stream needs no name.
    pub audit_table: Option<String>,
    /// `CHECKPOINT_SECONDS`: age of a checkpoint at which another is due; zero: one with each batch.
    pub checkpoint: Duration,
    /// `CHECKPOINT_TOPIC_ARN`: an SNS topic that gets each checkpoint.
    pub topic: Option<String>,
    /// `TSA_URL`: a time-stamping authority (RFC 3161) that confirms each checkpoint.
    pub authority: Option<Url>,
    /// The bucket goes into the path: emulators and private endpoints rarely serve a host name per bucket.
    pub path_style: bool,
    /// `LOG_LEVEL`: a `tracing` filter.
    pub log_level: String,
}

impl SealingConfig {
    /// Reads the configuration; `lookup` gives the value of an environment variable. Empty and blank values count as
    /// unset. Returns all problems in one error.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let config = read::all(lookup, |env| {
            let bucket = env.required("SEAL_BUCKET_NAME", "the name of the log's bucket", bucket_name);
            let key = "id, ARN or alias of a KMS key of the spec ECC_NIST_EDWARDS25519";
            let key_id = env.required("SEAL_KEY_ID", key, key_name);
            let origin = "the name of the log such as example.com/recordings, without spaces and pluses";
            let origin = env.required("SEAL_ORIGIN", origin, origin_name);
            let audit_table = env.optional("AUDIT_TABLE_NAME", "the name of the audit table", table_name);
            let checkpoint = env.number("CHECKPOINT_SECONDS", 900, 0..=3_600);
            let topic = "the ARN of an SNS topic such as arn:aws:sns:eu-central-1:123456789012:checkpoints";
            let topic = env.optional("CHECKPOINT_TOPIC_ARN", topic, topic_arn);
            let authority = "an http or https URL without user and password";
            let authority = env.optional("TSA_URL", authority, authority_url);
            let log_level = env.log_level();
            Some(Self {
                bucket: bucket?,
                key_id: key_id?,
                origin: origin?,
                audit_table,
                checkpoint: Duration::from_secs(checkpoint?),
                topic,
                authority,
                path_style: env.path_style(),
                log_level,
            })
        });
        config.map_err(ConfigError)
    }
}

/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html>
fn key_name(text: &str) -> Option<String> {
    let fits = text.len() <= 2_048
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b":/_-".contains(&b));
    fits.then(|| text.to_owned())
}

/// Accepts ARNs of standard topics:
/// <https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html>.
fn topic_arn(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split(':').collect();
    let name = |name: &str| {
        name.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let fits = matches!(parts[..], ["arn", _, "sns", region, account, topic]
        if !region.is_empty() && account.len() == 12 && !topic.is_empty() && name(topic));
    fits.then(|| text.to_owned())
}

/// Accepts http as well: many authorities have nothing else, and their answers are signed.
fn authority_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let fits = matches!(url.scheme(), "https" | "http") && url.has_host() && !has_user(&url);
    fits.then_some(url)
}

fn origin_name(text: &str) -> Option<String> {
    signed_note::is_key_name_valid(text).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, &str)]) -> Result<SealingConfig, ConfigError> {
        let usual = [
            ("SEAL_BUCKET_NAME", "log"),
            ("SEAL_KEY_ID", "alias/log"),
            ("SEAL_ORIGIN", "example.com/log"),
        ];
        SealingConfig::from_lookup(|name| {
            let all = changes.iter().chain(&usual);
            let found = all.clone().find(|(variable, _)| *variable == name);
            let listed = SEALING_VARIABLES.contains(&name) || name.starts_with("AWS_");
            assert!(listed, "{name} is not listed");
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_checkpoint_is_due_after_15_minutes_by_default() {
        let config = read(&[]).unwrap();
        assert_eq!(config.checkpoint, Duration::from_secs(900));
        assert_eq!(config.audit_table, None);
        assert_eq!((&config.topic, &config.authority), (&None, &None));
        let topic = "arn:aws:sns:eu-central-1:123456789012:checkpoints";
        let outside = [
            ("CHECKPOINT_TOPIC_ARN", topic),
            ("TSA_URL", "http://tsa.example.com/tsr"),
        ];
        let config = read(&outside).unwrap();
        assert_eq!(config.topic.as_deref(), Some(topic));
        assert_eq!(config.authority.unwrap().as_str(), "http://tsa.example.com/tsr");
        assert_eq!(
            read(&[("CHECKPOINT_SECONDS", "0")]).unwrap().checkpoint,
            Duration::ZERO
        );
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let changes = [
            ("SEAL_BUCKET_NAME", "Log"),
            ("SEAL_KEY_ID", "a key"),
            ("SEAL_ORIGIN", "my log"),
            ("CHECKPOINT_SECONDS", "3601"),
            (
                "CHECKPOINT_TOPIC_ARN",
                "arn:aws:sqs:eu-central-1:123456789012:checkpoints",
            ),
            ("TSA_URL", "https://me:secret@tsa.example.com"),
            ("LOG_LEVEL", "loud=loud"),
        ];
        let problems = read(&changes).unwrap_err().to_string();
        assert!(problems.contains("7 problems"), "{problems}");
        for (variable, _) in changes {
            assert!(problems.contains(variable), "{problems}");
        }
        let missing = read(&[("SEAL_ORIGIN", " ")]).unwrap_err().to_string();
        assert!(
            missing.contains("SEAL_ORIGIN is not set; accepted: the name of the log"),
            "{missing}"
        );
    }
}
