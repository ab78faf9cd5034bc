//! The audit table as the sealer reads it: page by page, whole events.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::failed;
use super::ledger::{from_item, text};
use crate::domain::audit::AuditEvent;
use crate::error::{Error, ErrorKind};

/// Attributes of the table's key.
const KEY: [&str; 2] = ["interactionId", "eventId"];

/// The audit table.
#[derive(Debug, Clone)]
pub struct AuditTable {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

/// A page of the audit table.
#[derive(Debug)]
pub struct AuditPage {
    /// Its items: the key as `interactionId/eventId`, and the event, if the item is one.
    pub items: Vec<(String, Option<AuditEvent>)>,
    /// The beginning of the next page, opaque; `None` after the last one.
    pub next: Option<String>,
}

impl AuditTable {
    /// Makes a reader of `table`. Sends nothing.
    pub fn new(client: aws_sdk_dynamodb::Client, table: String) -> Self {
        Self { client, table }
    }

    /// Returns the page of the table from `from` on, which an earlier page gave as `next`; the first one without it.
    pub async fn page(&self, from: Option<&str>) -> Result<AuditPage, Error> {
        let from = from.map(start_key).transpose()?;
        let scan = self.client.scan().table_name(&self.table);
        let page = scan.set_exclusive_start_key(from).send().await;
        let page = page.map_err(|error| failed(&format!("reading the table {}", self.table), error))?;
        let items = page.items.unwrap_or_default().into_iter();
        let items = items.map(|item| {
            let [conversation, event] = KEY.map(|name| text(&item, name).unwrap_or_default());
            (format!("{conversation}/{event}"), from_item(item).ok())
        });
        let next = page.last_evaluated_key.map(|key| {
            let key = serde_json::json!(KEY.map(|name| text(&key, name).unwrap_or_default()));
            BASE64_URL_SAFE_NO_PAD.encode(key.to_string())
        });
        Ok(AuditPage {
            items: items.collect(),
            next,
        })
    }
}

/// Reads the beginning of a page.
fn start_key(from: &str) -> Result<HashMap<String, AttributeValue>, Error> {
    let key = BASE64_URL_SAFE_NO_PAD.decode(from).ok();
    let key = key.and_then(|key| serde_json::from_slice::<[String; 2]>(&key).ok());
    let key = key.ok_or_else(|| {
        let message = "`from` is not the `next` of an earlier answer; without it the import starts over";
        Error::new(ErrorKind::MalformedJob, message)
    })?;
    let attributes = KEY.map(str::to_owned).into_iter().zip(key.map(AttributeValue::S));
    Ok(attributes.collect())
}
