//! Checks of what protects the evidence: bucket, tables, log and trail.

use aws_sdk_cloudtrail::types::Trail;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::PointInTimeRecoveryStatus;

use super::sheet::Said;
use super::{Doctor, Policy, judge, policies};
use crate::aws::failed;
use crate::aws::storage::{Enforcement, Setting, Storage};
use crate::ops::Error;

/// Shortest time that log lines should be kept, in days: the template's default.
const LOG_DAYS: i32 = 365;

/// The remedy of a bucket that lacks something.
const AS_TEMPLATE: &str = "set the bucket up as template.yaml does; docs/deploy.md says what each part stops";

impl Doctor<'_> {
    pub(super) async fn evidence(&mut self, policy: Policy) -> Result<(), Error> {
        self.bucket(policy).await?;
        self.protection().await?;
        let session = self.session;
        let fix = "check the log group's name; grant logs:DescribeLogGroups";
        let kept = log_retention(&session.sdk, session.log_group.as_deref());
        self.sheet
            .check("log_retention", &["aws_credentials"], fix, kept)
            .await?;
        let fix = "create a trail that logs all management events (aws cloudtrail create-trail, start-logging), or nobody is \
                   told when policies change; grant cloudtrail:DescribeTrails, GetTrailStatus and GetEventSelectors";
        let logs = trail(&session.sdk);
        self.sheet.check("trail", &["aws_credentials"], fix, logs).await
    }

    async fn bucket(&mut self, policy: Policy) -> Result<(), Error> {
        let storage = self.session.storage();
        let bucket = &self.session.config.storage.bucket;
        let fix = "grant s3:GetBucketVersioning";
        let kept = versioning(&storage, bucket);
        self.sheet.check("versioning", &["bucket"], fix, kept).await?;
        let fix = "grant s3:GetBucketPolicy";
        let prefix = self.session.config.storage.key_template.prefix();
        let read = bucket_policy(&storage, bucket, prefix);
        self.sheet.check("bucket_policy", &["bucket"], fix, read).await?;
        let fix = "grant s3:GetEncryptionConfiguration";
        let set = encryption(&storage, bucket);
        self.sheet.check("encryption", &["bucket"], fix, set).await?;
        if policy == Policy::Probe {
            let fix = "give the bucket the policy of template.yaml: DenyOverwrites in ArchiveBucketPolicy";
            let proven = probe(&storage, bucket);
            self.sheet
                .check_to_its_end("probe", &["bucket"], fix, proven)
                .await?;
        }
        Ok(())
    }

    async fn protection(&mut self) -> Result<(), Error> {
        let tables = &self.session.config.tables;
        let fix = "grant dynamodb:DescribeTable, DescribeContinuousBackups and GetResourcePolicy";
        for (name, needs, table, holds) in [
            ("audit_protection", "audit_table", &tables.audit, Holds::Events),
            ("ledger_protection", "ledger_table", &tables.ledger, Holds::States),
        ] {
            let dynamodb = &self.session.clients.dynamodb;
            let looked = table_protection(dynamodb, table, holds);
            self.sheet.check(name, &[needs], fix, looked).await?;
        }
        Ok(())
    }
}

/// What a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// The audit's events, which the sealer follows, and which its writers alone put.
    Events,
    /// The ledger's states, which are put anew.
    States,
}

async fn versioning(storage: &Storage, bucket: &str) -> Result<Said, Error> {
    Ok(match storage.versioning().await? {
        Setting::Set(()) => Said::Ok(format!("{bucket} keeps versions")),
        Setting::Unset => Said::warning(
            format!("{bucket} keeps no versions: what is replaced or deleted is gone"),
            AS_TEMPLATE,
        ),
        Setting::Untold => Said::Unknown("the store does not say whether it keeps versions".to_owned()),
    })
}

async fn bucket_policy(storage: &Storage, bucket: &str, prefix: &str) -> Result<Said, Error> {
    let missing = match storage.policy().await? {
        Setting::Set(text) => policies::archive(&text, bucket, prefix),
        Setting::Unset => policies::archive("", bucket, prefix),
        Setting::Untold => return Ok(Said::Unknown("the store does not tell its policy".to_owned())),
    };
    Ok(if missing.is_empty() {
        Said::ok("refuses overwrites, deletes of versions, bypassing of locks and unencrypted transport")
    } else {
        let missing = missing.join(", ");
        Said::warning(
            format!("the policy of {bucket} does not refuse: {missing}"),
            AS_TEMPLATE,
        )
    })
}

async fn encryption(storage: &Storage, bucket: &str) -> Result<Said, Error> {
    Ok(match storage.encryption().await? {
        Setting::Set(algorithm) => Said::Ok(format!("{algorithm} by default")),
        Setting::Unset => Said::warning(format!("{bucket} encrypts nothing by default"), AS_TEMPLATE),
        Setting::Untold => Said::Unknown("the store does not tell how it encrypts".to_owned()),
    })
}

/// Proves that the bucket's policy refuses what could replace an object.
async fn probe(storage: &Storage, bucket: &str) -> Result<Said, Error> {
    Ok(match storage.probe().await {
        Enforcement::Enforced => {
            Said::ok("a put that could replace an object was refused by the bucket's policy")
        }
        Enforcement::Open => Said::Problem(format!(
            "{bucket} would take a put that replaces an object: only its wrong checksum kept the test out"
        )),
        Enforcement::Unknown(why) => {
            Said::Unknown(format!("another refusal than the policy's proves nothing: {why}"))
        }
        Enforcement::Stored(object) => Said::Problem(format!(
            "the store took a put that could replace an object, with a wrong checksum; {object} stays and can be deleted"
        )),
    })
}

/// Returns whether the service at this endpoint is another one than AWS's own, which has all operations.
fn is_unknown<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code() == Some("UnknownOperationException")
}

/// Checks backups, protection against deletion, the table's own policy, and what the sealer needs.
async fn table_protection(
    client: &aws_sdk_dynamodb::Client,
    name: &str,
    holds: Holds,
) -> Result<Said, Error> {
    let described = client.describe_table().table_name(name).send().await;
    let described = described.map_err(|error| failed(&format!("describing the table {name}"), error))?;
    let Some(table) = described.table else {
        return Ok(Said::Problem("DynamoDB's answer describes no table".to_owned()));
    };
    let mut missing = Vec::new();
    if table.deletion_protection_enabled != Some(true) {
        missing.push("protection against deletion".to_owned());
    }
    let follows = table.stream_specification.as_ref();
    if holds == Holds::Events && !follows.is_some_and(|stream| stream.stream_enabled) {
        missing.push("a stream, without which nothing is sealed".to_owned());
    }
    let backups = client.describe_continuous_backups().table_name(name).send().await;
    match backups {
        Ok(told) => {
            let told = told.continuous_backups_description;
            let recovery = told.and_then(|told| told.point_in_time_recovery_description);
            let status = recovery.and_then(|told| told.point_in_time_recovery_status);
            if status != Some(PointInTimeRecoveryStatus::Enabled) {
                missing.push("point-in-time recovery".to_owned());
            }
        }
        Err(error) if is_unknown(&error) => return Ok(untold(name)),
        Err(error) => return Err(failed(&format!("reading the backups of {name}"), error).into()),
    }
    let Some(arn) = table.table_arn else {
        return Ok(untold(name));
    };
    let policy = match client.get_resource_policy().resource_arn(&arn).send().await {
        Ok(told) => told.policy.unwrap_or_default(),
        Err(error) if error.code() == Some("PolicyNotFoundException") => String::new(),
        Err(error) if is_unknown(&error) => return Ok(untold(name)),
        Err(error) => return Err(failed(&format!("reading the policy of {name}"), error).into()),
    };
    let allowed = policies::table(&policy, &arn, holds);
    if !allowed.is_empty() {
        missing.push(format!("a policy that refuses {}", allowed.join(", ")));
    }
    Ok(if missing.is_empty() {
        Said::ok("protected against changes and loss")
    } else {
        let missing = missing.join("; ");
        let fix = "set the table up as template.yaml does";
        Said::warning(format!("{name} lacks {missing}"), fix)
    })
}

fn untold(name: &str) -> Said {
    Said::Unknown(format!("the store does not tell how {name} is protected"))
}

/// Checks how long the function's log is kept.
async fn log_retention(sdk: &aws_config::SdkConfig, name: Option<&str>) -> Result<Said, Error> {
    let Some(name) = name else {
        let unknown = "LOG_GROUP_NAME is not set; name the stack (--stack)";
        return Ok(Said::Unknown(unknown.to_owned()));
    };
    let client = aws_sdk_cloudwatchlogs::Client::new(sdk);
    let asked = client.describe_log_groups().log_group_name_prefix(name).send();
    let told = match asked.await {
        Ok(told) => told,
        Err(error) if error.code() == Some("UnknownOperationException") => {
            return Ok(Said::Unknown("the endpoint has no CloudWatch Logs".to_owned()));
        }
        Err(error) => return Err(failed(&format!("looking for the log group {name}"), error).into()),
    };
    let groups = told.log_groups.unwrap_or_default();
    let group = groups
        .into_iter()
        .find(|group| group.log_group_name.as_deref() == Some(name));
    Ok(match group.map(|group| group.retention_in_days) {
        None => Said::Problem(format!("there is no log group {name}")),
        Some(Some(days)) if days < LOG_DAYS => Said::warning(
            format!("log lines, audit events among them, are kept for {days} days"),
            "raise LogRetentionDays; many rules ask for a year",
        ),
        Some(Some(days)) => Said::Ok(format!("log lines are kept for {days} days")),
        Some(None) => Said::ok("log lines are kept for good"),
    })
}

/// Checks that a trail logs the management events that the stack's rules wait for.
async fn trail(sdk: &aws_config::SdkConfig) -> Result<Said, Error> {
    let client = aws_sdk_cloudtrail::Client::new(sdk);
    let described = match client.describe_trails().send().await {
        Ok(described) => described,
        Err(error) if error.code() == Some("UnknownOperationException") => {
            return Ok(Said::Unknown("the endpoint has no CloudTrail".to_owned()));
        }
        Err(error) => return Err(failed("listing the trails of CloudTrail", error).into()),
    };
    for trail in described.trail_list.unwrap_or_default() {
        let Some(arn) = &trail.trail_arn else { continue };
        let status = client.get_trail_status().name(arn).send().await;
        let status = status.map_err(|error| failed(&format!("reading the state of {arn}"), error))?;
        if status.is_logging == Some(true) && logs_management(&client, &trail, arn).await? {
            let name = trail.name.as_deref().unwrap_or(arn);
            return Ok(Said::Ok(format!("the trail {name} logs management events")));
        }
    }
    Ok(Said::Problem(
        "no trail of CloudTrail logs all management events that write, of KMS, S3, DynamoDB and Lambda: nobody is told when a \
         policy, lifecycle, key or the sealer changes"
            .to_owned(),
    ))
}

/// Asks whether a trail logs management events that write. A trail without selectors of its own does.
async fn logs_management(
    client: &aws_sdk_cloudtrail::Client,
    trail: &Trail,
    arn: &str,
) -> Result<bool, Error> {
    if trail.has_custom_event_selectors != Some(true) {
        return Ok(true);
    }
    let asked = client.get_event_selectors().trail_name(arn).send().await;
    let told = asked.map_err(|error| failed(&format!("reading the selectors of {arn}"), error))?;
    Ok(judge::selects_management(
        told.event_selectors(),
        told.advanced_event_selectors(),
    ))
}
