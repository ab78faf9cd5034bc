//! A table's stream, read as Lambda reads it, and handed over in Lambda's words.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::{AttributeValue, Record, ShardIteratorType};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

use crate::sim::names::REGION;

/// The reason why a stream was not read.
pub type StreamError = Box<dyn std::error::Error + Send + Sync>;

/// A reader of one table's stream, from its oldest record on. Keeps its place: a record is handed over again until
/// [`Self::done`] says that it was taken.
#[derive(Debug)]
pub struct Stream {
    client: Client,
    arn: String,
    /// Sequence number of the last record of each shard that was taken.
    taken: HashMap<String, String>,
    /// The same of those that were handed over last.
    handed: HashMap<String, String>,
}

impl Stream {
    /// Makes a reader of the stream with this ARN. Sends nothing.
    pub(super) fn new(client: Client, arn: String) -> Self {
        Self {
            client,
            arn,
            taken: HashMap::new(),
            handed: HashMap::new(),
        }
    }

    /// Returns the records that come next, at most 1,000 of each shard, as Lambda's payload has them; none at the end.
    pub async fn next(&mut self) -> Result<Vec<Value>, StreamError> {
        let described = self.client.describe_stream().stream_arn(&self.arn).send().await?;
        let shards = described.stream_description.and_then(|stream| stream.shards);
        let mut records = Vec::new();
        self.handed.clear();
        for shard in shards.unwrap_or_default() {
            let id = shard.shard_id.unwrap_or_default();
            let taken = self.taken.get(&id).cloned();
            let from = match taken {
                Some(_) => ShardIteratorType::AfterSequenceNumber,
                None => ShardIteratorType::TrimHorizon,
            };
            let iterator = self
                .client
                .get_shard_iterator()
                .stream_arn(&self.arn)
                .shard_id(&id);
            let iterator = iterator.shard_iterator_type(from).set_sequence_number(taken);
            let iterator = iterator.send().await?.shard_iterator;
            let got = self
                .client
                .get_records()
                .set_shard_iterator(iterator)
                .send()
                .await?;
            let got = got.records.unwrap_or_default();
            let last = got.last().and_then(|record| record.dynamodb()?.sequence_number());
            if let Some(last) = last {
                self.handed.insert(id, last.to_owned());
            }
            records.extend(got.iter().map(|record| self.record(record)));
        }
        Ok(records)
    }

    /// Takes the records that were handed over last: [`Self::next`] goes on behind them.
    pub fn done(&mut self) {
        self.taken.extend(self.handed.drain());
    }

    fn record(&self, record: &Record) -> Value {
        let change = record.dynamodb();
        let image = |image: Option<&HashMap<String, AttributeValue>>| image.map(item);
        let mut told = json!({
            "Keys": image(change.and_then(|change| change.keys())),
            "SequenceNumber": change.and_then(|change| change.sequence_number()),
            "SizeBytes": change.and_then(|change| change.size_bytes()),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            "ApproximateCreationDateTime":
                change.and_then(|change| Some(change.approximate_creation_date_time()?.secs())),
        });
        let images = [
            ("NewImage", change.and_then(|change| change.new_image())),
            ("OldImage", change.and_then(|change| change.old_image())),
        ];
        for (name, held) in images {
            if let Some(held) = image(held) {
                told[name] = held;
            }
        }
        json!({
            "eventID": record.event_id(), "eventName": record.event_name().map(|name| name.as_str()),
            "eventVersion": "1.1", "eventSource": "aws:dynamodb", "awsRegion": REGION, "dynamodb": told,
            "eventSourceARN": self.arn,
        })
    }
}

/// Returns an item as DynamoDB writes it in JSON.
fn item(item: &HashMap<String, AttributeValue>) -> Value {
    let attributes = item.iter().map(|(name, held)| (name.clone(), value(held)));
    Value::Object(attributes.collect::<Map<_, _>>())
}

fn value(held: &AttributeValue) -> Value {
    let base64 = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    match held {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(flag) => json!({ "NULL": flag }),
        AttributeValue::M(inner) => json!({ "M": item(inner) }),
        AttributeValue::L(inner) => json!({ "L": inner.iter().map(value).collect::<Vec<_>>() }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::B(bytes) => json!({ "B": base64(bytes.as_ref()) }),
        AttributeValue::Bs(all) => {
            json!({ "BS": all.iter().map(|bytes| base64(bytes.as_ref())).collect::<Vec<_>>() })
        }
        _ => Value::Null,
    }
}
