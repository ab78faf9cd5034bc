//! The configuration of the completeness statement, a function of its own.

use reqwest::Url;

use super::{Config, ConfigError};

/// Every environment variable that the statement's function reads: some of the archiver's, and its own queue.
pub const STATING_VARIABLES: [&str; 20] = [
    "GENESYS_CLOUD_REGION",
    "GENESYS_API_BASE_URL",
    "GENESYS_LOGIN_BASE_URL",
    "GENESYS_MEDIA_HOSTS",
    "GENESYS_SECRET_ID",
    "GENESYS_RECORDING_API",
    "RECORDING_MEDIA",
    "S3_BUCKET_NAME",
    "S3_BUCKET_OWNER",
    "S3_SSE_KMS_KEY_ID",
    "S3_OBJECT_LOCK_MODE",
    "S3_OBJECT_LOCK_DAYS",
    "AUDIT_TABLE_NAME",
    "LEDGER_TABLE_NAME",
    "WORK_QUEUE_URL",
    "READINESS_DEADLINE_MINUTES",
    "SETTLE_SECONDS",
    "LOG_LEVEL",
    QUEUE,
    DEAD_LETTERS,
];

const QUEUE: &str = "STATEMENT_QUEUE_URL";

const DEAD_LETTERS: &str = "WORK_DEAD_LETTER_QUEUE_URL";

/// The configuration of the completeness statement.
#[derive(Debug, Clone)]
pub struct StatingConfig {
    /// What it has in common with the archiver.
    pub archive: Config,
    /// `STATEMENT_QUEUE_URL`: the queue through which a run goes on in another invocation.
    pub queue: String,
    /// `WORK_DEAD_LETTER_QUEUE_URL`: where messages lie that nothing delivers any more.
    pub dead_letters: String,
}

impl StatingConfig {
    /// Reads the configuration; `lookup` gives the value of an environment variable. Returns all problems in one error.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let archive = Config::from_lookup(|name| lookup(name).filter(|_| is_read(name)));
        let mut problems = Vec::new();
        let mut queue = |name: &str| {
            let url = lookup(name).filter(|url| Url::parse(url).is_ok_and(|url| url.has_host()));
            if url.is_none() {
                problems.push(format!(
                    "{name} is not set or no URL; accepted: the URL of an SQS queue"
                ));
            }
            url.unwrap_or_default()
        };
        let (queue, dead_letters) = (queue(QUEUE), queue(DEAD_LETTERS));
        match archive {
            Ok(archive) if problems.is_empty() => Ok(Self {
                archive,
                queue,
                dead_letters,
            }),
            archive => {
                let others = archive.err().map(|ConfigError(problems)| problems);
                let all = others.unwrap_or_default().into_iter().chain(problems);
                Err(ConfigError(all.collect()))
            }
        }
    }
}

/// Says whether a variable is one of the function's: the SDK's are not held back.
fn is_read(name: &str) -> bool {
    STATING_VARIABLES.contains(&name) || name.starts_with("AWS_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(changes: &[(&str, &str)]) -> Result<StatingConfig, ConfigError> {
        let usual = [
            ("GENESYS_SECRET_ID", "genesys"),
            ("S3_BUCKET_NAME", "calls"),
            ("AUDIT_TABLE_NAME", "audit"),
            ("LEDGER_TABLE_NAME", "ledger"),
            (
                QUEUE,
                "https://sqs.eu-central-1.amazonaws.com/123456789012/statement",
            ),
            (
                DEAD_LETTERS,
                "https://sqs.eu-central-1.amazonaws.com/123456789012/dead",
            ),
            // Not of this function.
            ("UPLOAD_PART_SIZE_MIB", "no number"),
        ];
        StatingConfig::from_lookup(|name| {
            let found = changes
                .iter()
                .chain(&usual)
                .find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_statement_reads_its_own_variables_and_no_others() {
        let config = read(&[("RECORDING_MEDIA", "audio,screen")]).unwrap();
        assert_eq!(config.archive.recording.media.len(), 2);
        assert!(config.queue.ends_with("/statement") && config.dead_letters.ends_with("/dead"));
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let problems = read(&[
            ("S3_BUCKET_NAME", "Calls"),
            (QUEUE, "statement"),
            (DEAD_LETTERS, ""),
        ])
        .unwrap_err()
        .to_string();
        for name in ["3 problems", "S3_BUCKET_NAME", QUEUE, DEAD_LETTERS] {
            assert!(problems.contains(name), "{problems}");
        }
    }
}
