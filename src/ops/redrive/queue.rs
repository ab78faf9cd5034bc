//! The queue that messages are taken from, and the queue that they go to.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName,
};

use crate::aws::failed;
use crate::ops::error::{Error, Kind};
use crate::ops::sink::{BATCH, Delivery, send_batch};

/// Longest time that a received message is hidden from others, which bounds a run.
const HIDDEN: Duration = Duration::from_secs(3_600);

/// Both queues.
#[derive(Debug)]
pub(super) struct Queues {
    pub(super) client: Client,
    pub(super) from: String,
    pub(super) to: String,
    /// Receipt handles of the messages that stay.
    pub(super) hidden: Vec<String>,
}

impl Queues {
    /// Returns about how many messages can be received; `None` if the queue does not say.
    pub(super) async fn about_how_many(&self) -> Option<u64> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let asked = self
            .client
            .get_queue_attributes()
            .queue_url(&self.from)
            .attribute_names(name.clone());
        asked.send().await.ok()?.attributes()?.get(&name)?.parse().ok()
    }

    /// Receives up to [`BATCH`] messages and hides them.
    pub(super) async fn receive(&self) -> Result<Vec<Message>, Error> {
        let hidden = i32::try_from(HIDDEN.as_secs()).unwrap_or(i32::MAX);
        let received = self
            .client
            .receive_message()
            .queue_url(&self.from)
            .max_number_of_messages(10)
            .wait_time_seconds(1)
            .visibility_timeout(hidden)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| failed(&format!("receiving from the queue {}", self.from), error))?;
        Ok(received.messages.unwrap_or_default())
    }

    /// Sends a batch to the work queue. Returns its answer to each message.
    pub(super) async fn send(&self, bodies: impl Iterator<Item = &str>) -> Result<Vec<Delivery>, Error> {
        Ok(send_batch(&self.client, &self.to, bodies).await?.deliveries)
    }

    /// Deletes a batch that was sent.
    pub(super) async fn delete(&self, handles: Vec<String>) -> Result<(), Error> {
        if handles.is_empty() {
            return Ok(());
        }
        let entry = |(at, handle): (usize, String)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(handle)
                .build()
        };
        let entries = handles
            .into_iter()
            .enumerate()
            .map(entry)
            .collect::<Result<Vec<_>, _>>()?;
        let deleted = self
            .client
            .delete_message_batch()
            .queue_url(&self.from)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| failed(&format!("deleting what was sent from {}", self.from), error))?;
        let Some(first) = deleted.failed().first() else {
            return Ok(());
        };
        let message = format!(
            "{} messages were sent but could not be deleted from {} ({}): the next redrive sends them again, and the function \
             answers already_archived",
            deleted.failed().len(),
            self.from,
            first.code()
        );
        Err(Error::new(Kind::Service, message))
    }

    /// Makes the messages that stay visible to others at once.
    pub(super) async fn show_again(&mut self) -> Result<(), Error> {
        for handles in std::mem::take(&mut self.hidden).chunks(BATCH) {
            let entry = |(at, handle): (usize, &String)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(at.to_string())
                    .receipt_handle(handle)
                    .visibility_timeout(0)
                    .build()
            };
            let entries = handles
                .iter()
                .enumerate()
                .map(entry)
                .collect::<Result<Vec<_>, _>>()?;
            self.client
                .change_message_visibility_batch()
                .queue_url(&self.from)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| failed(&format!("showing again what stays in {}", self.from), error))?;
        }
        Ok(())
    }
}
