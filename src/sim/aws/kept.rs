//! The messages in the queues, in a file: a line for each that was sent and each that was deleted. So they outlive the
//! simulator.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// A message that was sent and not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) queue: String,
    pub(super) id: String,
    pub(super) body: String,
    /// When it may be received, in seconds since 1970.
    pub(super) due: i64,
}

/// The messages of all queues, and their file.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    waiting: Vec<Kept>,
    /// Messages that an earlier simulator left, for queues that do not exist yet.
    left: Vec<Kept>,
    /// The message that each receipt is for.
    receipts: HashMap<String, String>,
}

impl Journal {
    /// Opens the file, or begins it. A line that was cut off counts for nothing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut left = Vec::new();
        let text = match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text?,
        };
        for line in text.lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            match line["deleted"].as_str() {
                Some(id) => left.retain(|kept: &Kept| kept.id != id),
                None => left.push(Kept {
                    queue: text_of(&line["queue"]),
                    id: text_of(&line["id"]),
                    body: text_of(&line["body"]),
                    due: line["due"].as_i64().unwrap_or_default(),
                }),
            }
        }
        let mut file = File::options().create(true).append(true).open(path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            writeln!(file)?;
        }
        Ok(Self {
            file,
            waiting: Vec::new(),
            left,
            receipts: HashMap::new(),
        })
    }

    /// Takes what an earlier simulator left in this queue.
    pub(super) fn take(&mut self, queue: &str) -> Vec<Kept> {
        self.left.extract_if(.., |kept| kept.queue == queue).collect()
    }

    /// Returns how many messages are in a queue.
    pub(super) fn depth(&self, queue: &str) -> usize {
        self.waiting.iter().filter(|kept| kept.queue == queue).count()
    }

    /// Writes down what a request that succeeded did to the queues.
    pub(super) fn note(&mut self, operation: &str, request: &Value, answer: &Value) -> io::Result<()> {
        let queue = queue_name(request["QueueUrl"].as_str().unwrap_or_default());
        match operation {
            "SendMessage" => self.sent(queue, request, answer),
            "SendMessageBatch" => entries(answer, "Successful").try_for_each(|done| {
                let entry = entries(request, "Entries").find(|entry| entry["Id"] == done["Id"]);
                entry.map_or(Ok(()), |entry| self.sent(queue, entry, done))
            }),
            "ReceiveMessage" => {
                entries(answer, "Messages").for_each(|message| self.received(queue, message));
                Ok(())
            }
            "DeleteMessage" => self.deleted(request),
            "DeleteMessageBatch" => entries(request, "Entries").try_for_each(|entry| self.deleted(entry)),
            "PurgeQueue" => {
                let purged = self.waiting.extract_if(.., |kept| kept.queue == queue);
                let ids: Vec<_> = purged.map(|kept| kept.id).collect();
                ids.iter().try_for_each(|id| self.forget(id))
            }
            _ => Ok(()),
        }
    }

    fn sent(&mut self, queue: &str, message: &Value, answer: &Value) -> io::Result<()> {
        let kept = Kept {
            queue: queue.to_owned(),
            id: text_of(&answer["MessageId"]),
            body: text_of(&message["MessageBody"]),
            due: now() + message["DelaySeconds"].as_i64().unwrap_or_default(),
        };
        let line = json!({"queue": kept.queue, "id": kept.id, "body": kept.body, "due": kept.due});
        self.waiting.push(kept);
        writeln!(self.file, "{line}")
    }

    /// Notes a receipt. A message received from another queue than it was sent to has become a dead letter.
    fn received(&mut self, queue: &str, message: &Value) {
        let id = text_of(&message["MessageId"]);
        if let Some(kept) = self.waiting.iter_mut().find(|kept| kept.id == id) {
            queue.clone_into(&mut kept.queue);
        }
        self.receipts.insert(text_of(&message["ReceiptHandle"]), id);
    }

    fn deleted(&mut self, request: &Value) -> io::Result<()> {
        let receipt = request["ReceiptHandle"].as_str().unwrap_or_default();
        let id = self.receipts.remove(receipt);
        id.map_or(Ok(()), |id| self.forget(&id))
    }

    /// Writes down that a message is gone.
    pub(super) fn forget(&mut self, id: &str) -> io::Result<()> {
        self.waiting.retain(|kept| kept.id != id);
        writeln!(self.file, "{}", json!({"deleted": id}))
    }
}

impl Kept {
    /// Returns the request that sends it again, to be received when it was to be.
    pub(super) fn request(&self, queue_url: &str) -> Value {
        let delay = (self.due - now()).max(0);
        json!({"QueueUrl": queue_url, "MessageBody": self.body, "DelaySeconds": delay})
    }
}

/// Returns the name at the end of a queue's URL.
pub(super) fn queue_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
}

fn entries<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().into_iter().flatten()
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
