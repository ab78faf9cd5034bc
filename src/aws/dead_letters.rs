//! Queues whose messages wait for a person, dead letters and cases: they are read, and stay.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName};
use jiff::Timestamp;

use super::failure::failed;
use crate::error::Error;

/// Number of messages that SQS takes or gives at a time.
const BATCH: usize = 10;

/// Time for which a message that was read is hidden from others, unless it is shown again before.
const HIDDEN: Duration = Duration::from_secs(300);

/// A message that nothing delivers any more.
#[derive(Debug)]
pub struct DeadLetter {
    /// Its id.
    pub id: String,
    /// Its text.
    pub body: String,
    /// When it was sent first, from which SQS counts its 14 days.
    pub sent: Timestamp,
}

/// A walk through the queue.
#[derive(Debug)]
pub struct DeadLetters {
    client: Client,
    url: String,
    /// The variable with the URL, for errors.
    variable: &'static str,
    /// Receipt handles of the messages that are hidden.
    hidden: Vec<String>,
}

impl DeadLetters {
    /// Begins a walk through the queue of this URL, which is that of an environment variable. Sends nothing.
    pub fn new(client: Client, url: String, variable: &'static str) -> Self {
        Self {
            client,
            url,
            variable,
            hidden: Vec::new(),
        }
    }

    /// Returns the number of messages that were read.
    pub fn read(&self) -> usize {
        self.hidden.len()
    }

    /// Returns the next messages, and hides them; none: there are no others.
    pub async fn next(&mut self) -> Result<Vec<DeadLetter>, Error> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(BATCH).unwrap_or(i32::MAX))
            // Without a wait SQS asks only some of its servers, and an empty answer proves nothing.
            .wait_time_seconds(1)
            .visibility_timeout(i32::try_from(HIDDEN.as_secs()).unwrap_or(i32::MAX))
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| failed(&format!("reading a queue ({})", self.variable), error))?;
        let messages = received.messages.unwrap_or_default().into_iter();
        let letters = messages.map(|mut message| {
            self.hidden.extend(message.receipt_handle.take());
            let sent = message
                .attributes()
                .and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp))
                .and_then(|text| Timestamp::from_millisecond(text.parse().ok()?).ok());
            DeadLetter {
                id: message.message_id.unwrap_or_default(),
                body: message.body.unwrap_or_default(),
                // One of which nothing is known counts as old.
                sent: sent.unwrap_or(Timestamp::UNIX_EPOCH),
            }
        });
        Ok(letters.collect())
    }

    /// Shows all messages to others again.
    pub async fn show_again(self) -> Result<(), Error> {
        let doing = format!("showing the messages of a queue again ({})", self.variable);
        for handles in self.hidden.chunks(BATCH) {
            let mut request = self.client.change_message_visibility_batch().queue_url(&self.url);
            for (at, handle) in handles.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(at.to_string())
                    .receipt_handle(handle)
                    .visibility_timeout(0)
                    .build();
                let entry = entry.map_err(|error| Error::transient(doing.clone()).caused_by(error));
                request = request.entries(entry?);
            }
            request.send().await.map_err(|error| failed(&doing, error))?;
        }
        Ok(())
    }
}
