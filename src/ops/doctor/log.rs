//! Checks of the transparency log: its key, what protects its bucket, and whether checkpoints are signed.

use std::sync::Arc;

use jiff::SignedDuration;

use super::sheet::Said;
use super::{Doctor, policies};
use crate::aws::storage::{Setting, Storage};
use crate::config::StorageConfig;
use crate::ops::log::Log;
use crate::ops::{Error, Session};

/// Age of the newest checkpoint at which the stack's alarm rings.
const STALE: SignedDuration = SignedDuration::from_hours(2);

/// Time in which the newest checkpoint is looked for first.
const RECENT: SignedDuration = SignedDuration::from_hours(24);

impl Doctor<'_> {
    pub(super) async fn log(&mut self) -> Result<(), Error> {
        let session = self.session;
        let mut opened = None;
        let fix = "check SEAL_KEY_ID and SEAL_ORIGIN; enable the key, or cancel its deletion; grant kms:GetPublicKey";
        let open = key(session, &mut opened);
        self.sheet
            .check("log_key", &["aws_credentials"], fix, open)
            .await?;
        let log = opened.as_ref();
        let fix = "check SEAL_BUCKET_NAME; grant s3:GetBucketVersioning, GetBucketPolicy and GetBucketObjectLockConfiguration";
        let looked = protection(session, log);
        self.sheet
            .check("log_protection", &["log_key"], fix, looked)
            .await?;
        let fix = "read the sealer's log: its schedule, its key or its bucket stops it; grant s3:ListBucket and GetObject on \
                   the log's bucket";
        let newest = checkpoint(session, log);
        self.sheet.check("checkpoint", &["log_key"], fix, newest).await
    }
}

/// Says that no log is configured.
fn unnamed() -> Said {
    Said::Unknown("SEAL_BUCKET_NAME is not set; name the stack (--stack)".to_owned())
}

/// Opens the log with the key of KMS, which tells no public key of one that cannot sign.
async fn key(session: &Session, opened: &mut Option<Log>) -> Result<Said, Error> {
    *opened = Log::open(session, None).await?;
    Ok(opened
        .as_ref()
        .map_or_else(unnamed, |log| Said::Ok(log.key.verifier_key())))
}

/// Checks what the policy and settings of the log's bucket lack.
async fn protection(session: &Session, log: Option<&Log>) -> Result<Said, Error> {
    let Some(log) = log else { return Ok(unnamed()) };
    let bucket = log.store.bucket();
    // The log belongs to the account of the stack, wherever the archive is.
    let config = StorageConfig {
        bucket: bucket.to_owned(),
        bucket_owner: None,
        ..session.config.storage.clone()
    };
    let storage = Storage::new(session.clients.s3.clone(), config, Arc::default());
    let mut missing = Vec::new();
    if storage.versioning().await? == Setting::Unset {
        missing.push("versions".to_owned());
    }
    let retention = storage.default_retention().await?;
    if retention == Setting::Unset {
        missing.push("a default retention".to_owned());
    }
    let policy = match storage.policy().await? {
        Setting::Set(policy) => Some(policy),
        Setting::Unset => Some(String::new()),
        Setting::Untold => None,
    };
    let open = policy.map_or_else(Vec::new, |policy| policies::log(&policy, bucket));
    if !open.is_empty() {
        missing.push(format!("a policy that refuses {}", open.join(", ")));
    }
    Ok(match retention {
        _ if !missing.is_empty() => {
            let fix = "deploy the stack with Evidence enforced, or set the bucket up as template.yaml does";
            Said::warning(format!("{bucket} lacks {}", missing.join("; ")), fix)
        }
        Setting::Set(retention) => Said::Ok(format!("{bucket} takes new objects only; {retention}")),
        _ => Said::Unknown(format!("the store does not tell how {bucket} is protected")),
    })
}

/// Checks the newest checkpoint.
async fn checkpoint(session: &Session, log: Option<&Log>) -> Result<Said, Error> {
    let Some(log) = log else { return Ok(unnamed()) };
    let now = session.now();
    let mut keys = log.store.checkpoints(Some(now - RECENT)).await?;
    if keys.is_empty() {
        keys = log.store.checkpoints(None).await?;
    }
    // Keys sort by time.
    let Some(key) = keys.pop() else {
        let fix = "wait for the sealer's first run; without one, read its log";
        return Ok(Said::warning("no checkpoint was signed yet", fix));
    };
    let note = log.store.get(&key).await?.unwrap_or_default();
    let newest = match log.key.open(&note) {
        Ok(newest) => newest,
        Err(refused) => {
            return Ok(Said::Problem(format!(
                "{key} is no checkpoint of this log: {refused}"
            )));
        }
    };
    let age = now.duration_since(newest.time);
    let leaves = if newest.size == 1 { "leaf" } else { "leaves" };
    let told = format!("of {} {leaves}, signed", newest.size);
    Ok(if age > STALE {
        Said::Problem(format!("the newest is {told} {} hours ago", age.as_hours()))
    } else {
        Said::Ok(format!("{told} {} minutes ago", age.as_mins().max(0)))
    })
}
