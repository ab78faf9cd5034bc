//! The catalog: a DynamoDB table that finds a call by hour, agent, queue, wrap-up code, division or number.
//!
//! One item for each archived recording and value. Partition keys carry the month (of hours: the hour), and all facets
//! share the sort key: start, conversation, recording. Numbers stand in it as HMAC-SHA256 under a key of the stack's
//! own, names only as attributes of the directory's items. Items are put idempotently; the call records are the truth,
//! from which the catalog can be built again at any time, to the byte.

mod entry;
mod hashing;
#[cfg(feature = "cli")]
mod search;

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use tokio::sync::{Mutex, OnceCell};

use self::entry::Key;
use self::hashing::Hashing;
use crate::aws::{Clients, failed};
use crate::clock::Deadline;
use crate::config::{CatalogConfig, Config};
use crate::domain::call::CallRecord;
use crate::error::Error;
use crate::retry::{Retry, RetryPolicy};

pub use entry::{Entry, MOST_CARRIED, Named};
#[cfg(feature = "cli")]
pub use entry::{id, is_mark};
#[cfg(feature = "cli")]
pub use search::{Answer, Filter, Items, MOST_COUNTED, Wanted};

/// An item as DynamoDB takes it.
type Item = HashMap<String, AttributeValue>;

/// The catalog.
#[derive(Debug)]
pub struct Catalog {
    dynamodb: aws_sdk_dynamodb::Client,
    secrets: aws_sdk_secretsmanager::Client,
    config: CatalogConfig,
    policy: RetryPolicy,
    hashing: OnceCell<Hashing>,
    /// Keys of the directory's items that this container has put.
    named: Mutex<HashSet<Key>>,
}

/// Items in one request: <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>.
const BATCH: usize = 25;
/// Directory items that a container remembers having put.
const MOST_NAMED: usize = 50_000;

impl Catalog {
    /// Connects to the catalog, if the configuration names one. Sends nothing.
    pub fn connect(clients: &Clients, config: &Config) -> Option<Self> {
        Some(Self {
            dynamodb: clients.dynamodb.clone(),
            secrets: clients.secrets.clone(),
            config: config.catalog.clone()?,
            policy: config.limits.retry_policy(),
            hashing: OnceCell::new(),
            named: Mutex::default(),
        })
    }

    /// Puts the items of a call, and then removes those that only its `earlier` call records had: another start leads
    /// to other keys. Returns how many were put. The same call always has the same items.
    pub async fn put(
        &self,
        call: &CallRecord,
        earlier: &[CallRecord],
        deadline: &Deadline,
    ) -> Result<usize, Error> {
        let (entries, names) = self.made(call).await?;
        let hashing = self.hashing().await?;
        let new = self.new_names(names).await;
        let puts = entries
            .iter()
            .map(put::<Entry>)
            .chain(new.iter().map(put::<Named>));
        self.write(puts.collect::<Result<_, _>>()?, deadline).await?;
        self.named.lock().await.extend(new.iter().map(Named::key));
        let mut stale: HashSet<_> = HashSet::new();
        for call in earlier {
            let former = entry::of(call, &call.facts(self.config.country), hashing);
            stale.extend(former.iter().map(Entry::key));
        }
        for entry in &entries {
            stale.remove(&entry.key());
        }
        self.delete(stale, deadline).await?;
        Ok(entries.len())
    }

    /// Returns the items of a call, and the names of the ids in them.
    pub async fn made(&self, call: &CallRecord) -> Result<(Vec<Entry>, Vec<Named>), Error> {
        let hashing = self.hashing().await?;
        let entries = entry::of(call, &call.facts(self.config.country), hashing);
        Ok((entries, entry::names(call, hashing)))
    }

    /// Returns the names that this container has not put yet.
    async fn new_names(&self, names: Vec<Named>) -> Vec<Named> {
        let mut put = self.named.lock().await;
        if put.len() > MOST_NAMED {
            put.clear();
        }
        let is_new = |name: &Named| !put.contains(&name.key());
        names.into_iter().filter(is_new).collect()
    }

    /// Deletes items.
    async fn delete(&self, keys: impl IntoIterator<Item = Key>, deadline: &Deadline) -> Result<(), Error> {
        let deletes = keys.into_iter().map(delete).collect::<Result<Vec<_>, _>>()?;
        self.write(deletes, deadline).await
    }

    /// Writes items, in as few requests as they fit into, until DynamoDB has taken each.
    async fn write(&self, all: Vec<WriteRequest>, deadline: &Deadline) -> Result<(), Error> {
        let table = &self.config.table;
        let doing = || format!("writing the catalog (table {table})");
        for some in all.chunks(BATCH) {
            let mut left = some.to_vec();
            let mut retry = Retry::new(self.policy, deadline);
            while !left.is_empty() {
                let request = self.dynamodb.batch_write_item().request_items(table, left);
                let answer = deadline.in_time(async {
                    let answer = request.send().await;
                    answer.map_err(|error| failed(&doing(), error))
                });
                let mut unprocessed = answer.await?.unprocessed_items.unwrap_or_default();
                left = unprocessed.remove(table).unwrap_or_default();
                if !left.is_empty() {
                    let message = format!("{}: DynamoDB left {} items out", doing(), left.len());
                    retry.wait(Error::transient(message), None).await?;
                }
            }
        }
        Ok(())
    }

    /// Returns the means to hash numbers, whose key is read once.
    async fn hashing(&self) -> Result<&Hashing, Error> {
        let id = &self.config.key_secret_id;
        let reading = self.hashing.get_or_try_init(|| async {
            let request = self.secrets.get_secret_value().secret_id(id);
            let answer = request.send().await.map_err(|error| {
                failed(&format!("reading the secret {id} (CATALOG_KEY_SECRET_ID)"), error)
            })?;
            let key = answer.secret_string().unwrap_or_default();
            Hashing::new(key).map_err(|fault| Error::transient(format!("the secret {id} {fault}")))
        });
        reading.await
    }
}

fn put<T: serde::Serialize>(value: &T) -> Result<WriteRequest, Error> {
    let put = PutRequest::builder().set_item(Some(item(value)?)).build();
    let put = put.map_err(|error| Error::transient("an item does not fit DynamoDB").caused_by(error))?;
    Ok(WriteRequest::builder().put_request(put).build())
}

fn delete((facet, at): Key) -> Result<WriteRequest, Error> {
    let delete = DeleteRequest::builder()
        .key("facet", AttributeValue::S(facet))
        .key("at", AttributeValue::S(at))
        .build();
    let delete = delete.map_err(|error| Error::transient("a key does not fit DynamoDB").caused_by(error))?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}

fn item(value: &impl serde::Serialize) -> Result<Item, Error> {
    serde_dynamo::aws_sdk_dynamodb_1::to_item(value)
        .map_err(|error| Error::transient("an item does not fit DynamoDB").caused_by(error))
}
