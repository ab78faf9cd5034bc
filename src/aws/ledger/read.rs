//! Reads of both tables for the operators' command line. Memory holds no more than a page, or the items of one
//! conversation.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::query::QueryError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, IndexStatus, Select};
use jiff::Timestamp;
use jiff::civil::Date;

use super::look::Item;
use super::{Ledger, from_item, text};
use crate::aws::failure::failed;
use crate::domain::audit::{AuditEvent, Shard, Subject};
use crate::domain::record::Record;
use crate::error::Error;

/// The index of the audit table by the attribute `day`.
pub const BY_DAY: &str = "byDay";

/// The attributes of a [`Mark`].
const MARK: &str = "interactionId, eventId, #at, #day, genesys";

/// A page of the ledger.
#[derive(Debug, Default, PartialEq)]
pub struct RecordPage {
    /// Its records.
    pub records: Vec<Record>,
    /// Keys (`interactionId` and `recordingId`) of the items that are no records.
    pub unreadable: Vec<(String, String)>,
    /// The beginning of the next page; `None` after the last one.
    pub next: Option<PageKey>,
    /// Number of items that were read for it.
    pub scanned: u64,
}

/// The audit of a conversation, or of another subject.
#[derive(Debug, Default, PartialEq)]
pub struct Events {
    /// Its events: those about archiving in order of time, before or behind those of each chain apart.
    pub events: Vec<AuditEvent>,
    /// Items that are no events.
    pub unreadable: Vec<UnreadableEvent>,
}

/// An item of the audit table that is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableEvent {
    /// Its sort key.
    pub event_id: String,
    /// The recording whose chain it belongs to, if that can be read.
    pub recording_id: Option<String>,
    /// The fault.
    pub why: String,
}

/// A page of the audit table.
#[derive(Debug, Default, PartialEq)]
pub struct EventPage {
    /// What each of its items says of when and whose it is.
    pub marks: Vec<Mark>,
    /// The beginning of the next page; `None` after the last one.
    pub next: Option<PageKey>,
    /// Number of items that were read for it.
    pub scanned: u64,
}

/// What an item of the audit table says of when and whose it is, as far as that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Its partition key.
    pub interaction_id: String,
    /// Its sort key.
    pub event_id: String,
    /// When it was written.
    pub at: Option<Timestamp>,
    /// When the recording began, by Genesys.
    pub began: Option<Timestamp>,
    /// The day under which the index [`BY_DAY`] holds it.
    pub day: Option<Date>,
}

/// What DynamoDB says of the audit table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// About how many items the table holds, if it holds any. DynamoDB counts every six hours.
    pub items: Option<u64>,
    /// The table has the index [`BY_DAY`], and the index is ready.
    pub by_day: bool,
}

/// The beginning of a page of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct PageKey(Item);

impl Ledger {
    /// Returns all records of a conversation, by recording id; `-` is the conversation itself. Items that are no
    /// records are `unreadable`, and `next` is `None`.
    pub async fn all_records(&self, subject: impl Into<Subject>) -> Result<RecordPage, Error> {
        let items = self.all_of(&self.tables.ledger, subject.into()).await?;
        Ok(RecordPage::of(items))
    }

    /// Returns all audit events of a conversation or of another subject, those about archiving in order of time, and
    /// the items among them that are no events.
    pub async fn events(&self, subject: impl Into<Subject>) -> Result<Events, Error> {
        let items = self.all_of(&self.tables.audit, subject.into()).await?;
        let mut all = Events::default();
        for item in items {
            let [event_id, recording_id] = ["eventId", "recordingId"].map(|name| text(&item, name));
            match from_item(item) {
                Ok(event) => all.events.push(event),
                Err(error) => all.unreadable.push(UnreadableEvent {
                    event_id: event_id.unwrap_or_default(),
                    recording_id,
                    why: error.to_string(),
                }),
            }
        }
        Ok(all)
    }

    /// Returns a page of the whole ledger, conversation by conversation, from `from` on.
    pub async fn page(&self, from: Option<PageKey>) -> Result<RecordPage, Error> {
        let table = &self.tables.ledger;
        let page = self
            .client
            .scan()
            .table_name(table)
            .set_exclusive_start_key(from.map(|PageKey(key)| key))
            .send()
            .await
            .map_err(|error| failed(&format!("reading the table {table}"), error))?;
        Ok(RecordPage {
            scanned: u64::try_from(page.scanned_count).unwrap_or_default(),
            next: page.last_evaluated_key.map(PageKey),
            ..RecordPage::of(page.items.unwrap_or_default())
        })
    }
}

impl Ledger {
    /// Returns a page of the whole audit table, conversation by conversation, from `from` on.
    pub async fn event_page(&self, from: Option<PageKey>) -> Result<EventPage, Error> {
        let table = &self.tables.audit;
        let page = self
            .client
            .scan()
            .table_name(table)
            .projection_expression(MARK)
            .expression_attribute_names("#at", "timestamp")
            .expression_attribute_names("#day", "day")
            .set_exclusive_start_key(from.map(|PageKey(key)| key))
            .send()
            .await
            .map_err(|error| failed(&format!("reading the table {table}"), error))?;
        Ok(EventPage {
            scanned: u64::try_from(page.scanned_count).unwrap_or_default(),
            next: page.last_evaluated_key.map(PageKey),
            marks: page.items.unwrap_or_default().iter().map(Mark::of).collect(),
        })
    }

    /// Returns a page of the events of a shard of a UTC day by the index [`BY_DAY`], in order of time, from `from` on.
    pub async fn day_page(&self, day: Date, shard: Shard, from: Option<PageKey>) -> Result<EventPage, Error> {
        let page = self
            .of_day(day, shard)
            .projection_expression(MARK)
            .expression_attribute_names("#at", "timestamp")
            .set_exclusive_start_key(from.map(|PageKey(key)| key))
            .send()
            .await
            .map_err(|error| self.day_failed(error))?;
        Ok(EventPage {
            scanned: u64::try_from(page.scanned_count).unwrap_or_default(),
            next: page.last_evaluated_key.map(PageKey),
            marks: page.items.unwrap_or_default().iter().map(Mark::of).collect(),
        })
    }

    /// Returns whether the index [`BY_DAY`] holds an event of a shard of a UTC day.
    pub async fn has_events_on(&self, day: Date, shard: Shard) -> Result<bool, Error> {
        let page = self.of_day(day, shard).limit(1).select(Select::Count).send();
        let page = page.await.map_err(|error| self.day_failed(error))?;
        Ok(page.count > 0)
    }

    fn of_day(&self, day: Date, shard: Shard) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.tables.audit)
            .index_name(BY_DAY)
            .key_condition_expression("#day = :day")
            .expression_attribute_names("#day", "day")
            .expression_attribute_values(":day", AttributeValue::S(shard.on(day)))
    }

    fn day_failed(&self, error: SdkError<QueryError>) -> Error {
        let table = &self.tables.audit;
        failed(&format!("reading the index {BY_DAY} of the table {table}"), error)
    }

    /// Returns the time here.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Mark {
    /// Returns partition key and sort key.
    pub fn into_keys(self) -> (String, String) {
        (self.interaction_id, self.event_id)
    }

    fn of(item: &Item) -> Self {
        let moment = |text: String| text.parse().ok();
        let genesys = item.get("genesys").and_then(|notes| notes.as_m().ok());
        let began = |name: &str| genesys.and_then(|notes| text(notes, name)).and_then(moment);
        Self {
            interaction_id: text(item, "interactionId").unwrap_or_default(),
            event_id: text(item, "eventId").unwrap_or_default(),
            at: text(item, "timestamp").and_then(moment),
            day: text(item, "day").and_then(|day| day.split('#').next()?.parse().ok()),
            began: began("startTime").or_else(|| began("originalRecordingStartTime")),
        }
    }
}

impl Ledger {
    /// Returns what DynamoDB says of the audit table; nothing if it does not answer.
    pub async fn audit_table(&self) -> TableFacts {
        let described = self
            .client
            .describe_table()
            .table_name(&self.tables.audit)
            .send()
            .await;
        let Some(table) = described.ok().and_then(|described| described.table) else {
            return TableFacts::default();
        };
        let count = table.item_count.and_then(|count| u64::try_from(count).ok());
        TableFacts {
            items: count.filter(|count| *count > 0),
            by_day: table.global_secondary_indexes().iter().any(|index| {
                // An index that is being made does not hold everything yet.
                index.index_name() == Some(BY_DAY) && index.index_status() == Some(&IndexStatus::Active)
            }),
        }
    }
}

impl RecordPage {
    /// Sorts items into records and others.
    fn of(items: Vec<Item>) -> Self {
        let mut page = Self::default();
        for item in items {
            let keys = ["interactionId", "recordingId"].map(|name| text(&item, name).unwrap_or_default());
            match from_item(item) {
                Ok(record) => page.records.push(record),
                Err(_) => page.unreadable.push(keys.into()),
            }
        }
        page
    }
}
