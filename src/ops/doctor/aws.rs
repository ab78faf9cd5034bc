//! Checks of bucket, tables and queues.

use aws_sdk_dynamodb::types::{KeyType, TableStatus};
use aws_sdk_sqs::types::QueueAttributeName;

use super::sheet::Said;
use super::{Doctor, judge};
use crate::aws::failed;
use crate::aws::storage::Storage;
use crate::config::ObjectLock;
use crate::ops::Error;

impl Doctor<'_> {
    pub(super) async fn storage(&mut self) -> Result<(), Error> {
        let config = &self.session.config.storage;
        let storage = self.session.storage();
        self.sheet
            .check(
                "bucket",
                &["aws_credentials"],
                "check S3_BUCKET_NAME and AWS_REGION; grant s3:ListBucket",
                async {
                    storage.reach().await?;
                    Ok(Said::Ok(format!("{} can be reached", config.bucket)))
                },
            )
            .await?;
        self.sheet
            .check_to_its_end(
                "conditional_writes",
                &["bucket"],
                "grant s3:PutObject (and kms:GenerateDataKey); use a store that enforces If-None-Match, or two runs may \
                 overwrite each other's archive",
                conditional_writes(&storage),
            )
            .await?;
        let Some(lock) = &config.object_lock else {
            let unlocked = async {
                Ok(Said::warning(
                    "what is archived is not locked: it can be deleted",
                    "set Evidence to enforced (a stack), or S3_OBJECT_LOCK_MODE and S3_OBJECT_LOCK_DAYS",
                ))
            };
            return self.sheet.check("object_lock", &["bucket"], "", unlocked).await;
        };
        self.sheet
            .check(
                "object_lock",
                &["bucket"],
                "grant s3:GetBucketObjectLockConfiguration; switch Object Lock on for the bucket (it needs versioning), or \
                 unset S3_OBJECT_LOCK_MODE and S3_OBJECT_LOCK_DAYS",
                object_lock(&storage, &config.bucket, lock),
            )
            .await
    }

    pub(super) async fn tables_and_queues(&mut self) -> Result<(), Error> {
        let session = self.session;
        let dynamodb = &session.clients.dynamodb;
        let tables = &session.config.tables;
        let catalog = session.config.catalog.as_ref();
        for (name, table, keys) in [
            (
                "ledger_table",
                Some(&tables.ledger),
                ["interactionId", "recordingId"],
            ),
            ("audit_table", Some(&tables.audit), ["interactionId", "eventId"]),
            (
                "catalog_table",
                catalog.map(|catalog| &catalog.table),
                ["facet", "at"],
            ),
        ] {
            let fix = "check the table's name and region; grant dynamodb:DescribeTable; make it as template.yaml does";
            let looked = async {
                match table {
                    Some(table) => self::table(dynamodb, table, keys).await,
                    None => Ok(Said::warning(
                        "CATALOG_TABLE_NAME is not set: archivectl find has nothing to search",
                        "set it and CATALOG_KEY_SECRET_ID, or name the stack (--stack)",
                    )),
                }
            };
            self.sheet.check(name, &["aws_credentials"], fix, looked).await?;
        }
        self.settling().await?;
        self.catalog_key().await?;
        self.queues().await
    }

    /// Warns where no conversation is settled, so that none is described.
    async fn settling(&mut self) -> Result<(), Error> {
        let config = &self.session.config;
        let said = match config.settles() {
            true => Said::ok("conversations are looked at until nothing more can come, and then described"),
            false => Said::warning(
                "no conversation is settled: recordings that appear later are missed, and archivectl find knows no call",
                "set WORK_QUEUE_URL, SETTLE_SECONDS above 0 and GENESYS_RECORDING_API=conversations, or name the stack \
                 (--stack)",
            ),
        };
        self.sheet.check("settling", &[], "", async { Ok(said) }).await
    }

    async fn catalog_key(&mut self) -> Result<(), Error> {
        let Ok(catalog) = self.session.catalog() else {
            return Ok(());
        };
        let fix = "check CATALOG_KEY_SECRET_ID; grant secretsmanager:GetSecretValue; a text of 32 characters or more, chosen \
                   at random";
        self.sheet
            .check("catalog_key", &["aws_credentials"], fix, async {
                catalog.reach_key().await?;
                Ok(Said::ok("numbers can be hashed"))
            })
            .await
    }

    async fn queues(&mut self) -> Result<(), Error> {
        let session = self.session;
        let sqs = &session.clients.sqs;
        let queues = &session.config.queues;
        for (name, url, lost) in [
            (
                "work_queue",
                &queues.work,
                "WORK_QUEUE_URL is not set: a recording that is not ready yet cannot be retried later",
            ),
            (
                "exception_queue",
                &queues.exceptions,
                "EXCEPTION_QUEUE_URL is not set: cases for people stand in the log only",
            ),
            (
                "dead_letter_queue",
                &session.dead_letter_queue,
                "WORK_DEAD_LETTER_QUEUE_URL is not set: archivectl redrive cannot find it by its name",
            ),
        ] {
            let fix = "check the queue's URL; grant sqs:GetQueueAttributes";
            let looked = async {
                match url {
                    Some(url) => queue(sqs, url).await,
                    None => Ok(Said::warning(lost, "set it, or name the stack (--stack)")),
                }
            };
            self.sheet.check(name, &["aws_credentials"], fix, looked).await?;
        }
        Ok(())
    }
}

/// Checks that the bucket refuses to replace an object.
async fn conditional_writes(storage: &Storage) -> Result<Said, Error> {
    let tried = storage.try_conditional_writes().await?;
    Ok(match (tried.enforced, tried.left) {
        (false, left) => {
            let left = left.map(|(object, why)| format!("; the test object {object} stays: {why}"));
            let replaced = "a second write replaced an object in spite of If-None-Match: *";
            Said::Problem(format!("{replaced}{}", left.unwrap_or_default()))
        }
        (true, None) => Said::ok("nothing is ever replaced"),
        (true, Some((object, why))) => Said::warning(
            format!("nothing is ever replaced; the test object {object} stays: {why}"),
            format!("delete {object}; if the bucket locks it, once its retention is over"),
        ),
    })
}

/// Checks that the bucket can lock objects, if they are to be locked.
async fn object_lock(storage: &Storage, bucket: &str, lock: &ObjectLock) -> Result<Said, Error> {
    Ok(match storage.has_object_lock().await? {
        Some(true) => Said::Ok(format!("{bucket} has it; {} for {} days", lock.mode, lock.days)),
        Some(false) => Said::Problem(format!("{bucket} has no Object Lock: it refuses every recording")),
        None => Said::Unknown("the store does not say whether it has Object Lock".to_owned()),
    })
}

/// Checks that a table exists, is active, and has these keys.
async fn table(client: &aws_sdk_dynamodb::Client, name: &str, keys: [&str; 2]) -> Result<Said, Error> {
    let described = client.describe_table().table_name(name).send().await;
    let described = described.map_err(|error| failed(&format!("describing the table {name}"), error))?;
    let Some(table) = described.table else {
        return Ok(Said::Problem("DynamoDB's answer describes no table".to_owned()));
    };
    let key = |kind: &KeyType| {
        let mut schema = table.key_schema().iter();
        schema
            .find(|key| key.key_type() == kind)
            .map(|key| key.attribute_name())
    };
    if let Err(wrong) = judge::keys(name, [key(&KeyType::Hash), key(&KeyType::Range)], keys) {
        return Ok(Said::Problem(wrong));
    }
    Ok(match table.table_status() {
        Some(TableStatus::Active) | None => Said::Ok(format!("{name}, keys {} and {}", keys[0], keys[1])),
        Some(status) => Said::warning(
            format!("{name} is {}", status.as_str()),
            "wait until it is ACTIVE, and look again",
        ),
    })
}

/// Checks that a queue exists, and counts the messages that wait in it.
async fn queue(client: &aws_sdk_sqs::Client, url: &str) -> Result<Said, Error> {
    let asked = client
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(QueueAttributeName::ApproximateNumberOfMessages)
        .send()
        .await
        .map_err(|error| failed(&format!("looking for the queue {url}"), error))?;
    let waiting = asked
        .attributes()
        .and_then(|all| all.get(&QueueAttributeName::ApproximateNumberOfMessages))
        .map_or("?", String::as_str);
    let noun = if waiting == "1" { "message" } else { "messages" };
    Ok(Said::Ok(format!("{url}, about {waiting} {noun} waiting")))
}
