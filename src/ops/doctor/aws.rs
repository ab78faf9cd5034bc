//! What the doctor asks of tables and queues.

use aws_sdk_dynamodb::types::{KeyType, TableStatus};
use aws_sdk_sqs::types::QueueAttributeName;

use recording_archiver::aws::failed;

use super::judge;
use super::sheet::Said;
use crate::Failure;

/// Whether a table exists, is in use, and has these keys.
pub(super) async fn table(
    client: &aws_sdk_dynamodb::Client,
    name: &str,
    keys: [&str; 2],
) -> Result<Said, Failure> {
    let described = client.describe_table().table_name(name).send().await;
    let described = described.map_err(|error| failed(&format!("describing the table {name}"), error))?;
    let table = described.table.ok_or("DynamoDB's answer describes no table")?;
    let key = |kind: &KeyType| {
        let mut schema = table.key_schema().iter();
        schema
            .find(|key| key.key_type() == kind)
            .map(|key| key.attribute_name())
    };
    judge::keys(name, [key(&KeyType::Hash), key(&KeyType::Range)], keys)?;
    match table.table_status() {
        Some(TableStatus::Active) | None => Ok(Said::Ok(format!("{name}, keys {} and {}", keys[0], keys[1]))),
        Some(status) => Ok(Said::warning(
            format!("{name} is {}", status.as_str()),
            "wait until it is ACTIVE, and look again",
        )),
    }
}

/// Whether a queue exists, and how many messages wait in it.
pub(super) async fn queue(client: &aws_sdk_sqs::Client, url: &str) -> Result<Said, Failure> {
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
    Ok(Said::Ok(format!("{url}, about {waiting} messages waiting")))
}
