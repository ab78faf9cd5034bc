//! Searches of the catalog for operators: the narrowest facet is read, page by page, and each of its items says whether
//! the others hold too.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Select};
use futures_util::future::try_join_all;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, ZonedDateTime};

use super::entry::{self, Entry, Key, Named, directory, moment, of_call, partition};
use super::{Catalog, Item};
use crate::aws::failed;
use crate::clock::Deadline;
use crate::domain::call::{CallRecord, Facet};
use crate::domain::days::Range;
use crate::domain::number::Number;
use crate::error::Error;

/// A value that calls must have.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// This agent, queue, wrap-up code or division, by id.
    Id(Facet, String),
    /// This number of a party.
    Number(Number),
}

/// What calls must have beside the values of facets.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// `inbound` or `outbound`.
    pub direction: Option<String>,
    /// A kind of session, such as `voice`, or of recording, such as `audio`.
    pub media: Option<String>,
    /// The call lasted this long at least.
    pub shortest: Option<Duration>,
    /// The call lasted this long at most.
    pub longest: Option<Duration>,
}

/// The recordings that were found.
#[derive(Debug, Default)]
pub struct Answer {
    /// In order of the call's start.
    pub entries: Vec<Entry>,
    /// The mark after which a search for more begins; `None`: there are no more.
    pub after: Option<String>,
    /// Recordings of the time that was looked at that the catalog does not have by each value, up to a page of each
    /// year; 0 where no value is wanted.
    pub partial: u64,
    /// The same of recordings that the catalog does not have by each number; 0 where no number is wanted.
    pub national: u64,
    /// Requests to DynamoDB.
    pub requests: u64,
}

/// Items of a call.
#[derive(Debug, Default)]
pub struct Items(HashSet<Key>);

impl Items {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Items in a page.
const PAGE: u16 = 1_000;
/// Most recordings of a year that are counted as missed: a page.
pub const MOST_COUNTED: u64 = PAGE as u64;
/// Most months or hours whose first pages are read at the same time.
const AHEAD: usize = 32;

/// A part of one partition.
struct Page {
    entries: Vec<Entry>,
    /// There are more items after these.
    more: bool,
}

/// Partitions of the same month or hour: one of each wanted value.
struct Bucket {
    start: Timestamp,
    keys: Vec<String>,
    /// The sort key to begin at.
    from: String,
}

impl Bucket {
    /// Returns the partitions that hold `start`, from there or from behind a mark.
    fn new(wanted: &[(Facet, String)], start: Timestamp, after: Option<&str>) -> Self {
        let begin = moment(start);
        let of = |(facet, value): &(Facet, String)| partition(*facet, value, start);
        Self {
            start,
            keys: match wanted {
                [] => vec![partition(Facet::Hour, "", start)],
                wanted => wanted.iter().map(of).collect(),
            },
            // No key goes on with this letter after a whole one.
            from: match after {
                Some(after) if after >= begin.as_str() => format!("{after}~"),
                _ => begin,
            },
        }
    }
}

/// One search.
struct Search<'a> {
    catalog: &'a Catalog,
    wanted: &'a [(Facet, String)],
    filter: &'a Filter,
    range: Range,
    most: usize,
    answer: Answer,
}

impl Catalog {
    /// Returns the first `most` recordings of calls that began on these days, have each wanted value and pass the
    /// filter, after the mark of an earlier search.
    pub async fn search(
        &self,
        range: Range,
        wanted: &[Wanted],
        filter: &Filter,
        (after, most): (Option<&str>, usize),
    ) -> Result<Answer, Error> {
        let mut values = Vec::new();
        for wanted in wanted {
            values.push(match wanted {
                Wanted::Id(facet, id) => (*facet, id.clone()),
                Wanted::Number(number) => (Facet::Number, self.hashing().await?.number(number)),
            });
        }
        let mut search = Search {
            catalog: self,
            wanted: &values,
            filter,
            range,
            most,
            answer: Answer::default(),
        };
        search.all(after).await?;
        if !values.is_empty() {
            search.answer.partial = search.count(Facet::Partial, after).await?;
        }
        if values.iter().any(|(facet, _)| *facet == Facet::Number) {
            search.answer.national = search.count(Facet::National, after).await?;
        }
        Ok(search.answer)
    }

    /// Returns all names of a facet's ids.
    pub async fn names(&self, facet: Facet) -> Result<Vec<Named>, Error> {
        let table = &self.config.table;
        let items: Vec<Item> = self
            .dynamodb
            .query()
            .table_name(table)
            .key_condition_expression("facet = :facet")
            .expression_attribute_values(":facet", AttributeValue::S(directory(facet)))
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .map_err(|error| failed(&format!("reading names from the table {table}"), error))?;
        items.into_iter().map(crate::aws::ledger::from_item).collect()
    }

    /// Prepares a page of a partition, from one sort key to another.
    fn query(&self, facet: &str, from: &str, to: &str) -> QueryFluentBuilder {
        self.dynamodb
            .query()
            .table_name(&self.config.table)
            .key_condition_expression("facet = :facet AND #at BETWEEN :from AND :to")
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":facet", AttributeValue::S(facet.to_owned()))
            .expression_attribute_values(":from", AttributeValue::S(from.to_owned()))
            .expression_attribute_values(":to", AttributeValue::S(to.to_owned()))
            .limit(PAGE.into())
    }

    /// Asks for a page.
    async fn asked(&self, query: QueryFluentBuilder) -> Result<QueryOutput, Error> {
        let table = &self.config.table;
        let answer = query.send().await;
        answer.map_err(|error| failed(&format!("reading the catalog (table {table})"), error))
    }

    /// Returns a page of a partition, from one sort key to another.
    async fn page(&self, facet: &str, from: &str, to: &str) -> Result<Page, Error> {
        let page = self.asked(self.query(facet, from, to)).await?;
        let entries = page.items.unwrap_or_default().into_iter();
        Ok(Page {
            entries: entries
                .map(crate::aws::ledger::from_item)
                .collect::<Result<_, _>>()?,
            more: page.last_evaluated_key.is_some(),
        })
    }

    /// Counts the items of a partition from one sort key to another, those of a page.
    async fn count(&self, facet: &str, from: &str, to: &str) -> Result<u64, Error> {
        let query = self.query(facet, from, to).select(Select::Count);
        let counted = self.asked(query).await?;
        Ok(u64::try_from(counted.count).unwrap_or_default())
    }

    /// Returns a page of the recordings whose calls began in the hour of `at`, after the mark of the last page, and
    /// whether there are more.
    pub async fn began(&self, at: Timestamp, after: Option<&str>) -> Result<(Vec<Entry>, bool), Error> {
        let from = after.map_or_else(|| "0".to_owned(), |after| format!("{after}~"));
        let page = self.page(&partition(Facet::Hour, "", at), &from, "~").await?;
        Ok((page.entries, page.more))
    }

    /// Returns the items by hour of a call that began at `start`.
    pub async fn of_call(&self, start: Timestamp, conversation: &str) -> Result<Vec<Entry>, Error> {
        let (hour, call) = (partition(Facet::Hour, "", start), of_call(start, conversation));
        let (mut from, to) = (call.clone(), format!("{call}~"));
        let mut entries = Vec::new();
        loop {
            let page = self.page(&hour, &from, &to).await?;
            entries.extend(page.entries);
            match entries.last().filter(|_| page.more) {
                Some(last) => from = format!("{}~", last.at),
                None => return Ok(entries),
            }
        }
    }

    /// Returns all items of a conversation with these call records: those that are made of them, and those that were
    /// made with another key or for another country.
    pub async fn items(&self, calls: &[CallRecord]) -> Result<Items, Error> {
        let mut keys = HashSet::new();
        for call in calls {
            let facts = call.facts(self.config.country);
            let made = entry::of(call, &facts, self.hashing().await?);
            keys.extend(made.iter().map(Entry::key));
            let there = self.of_call(facts.start, &call.interaction_id).await?;
            keys.extend(there.iter().flat_map(Entry::keys));
        }
        Ok(Items(keys))
    }

    /// Returns the items of a call that its record does not lead to, as they were made for another country or with
    /// another key; and how many of its numbers are left out, as they are in national form and no country is known.
    pub async fn stale(&self, call: &CallRecord) -> Result<(Items, usize), Error> {
        let facts = call.facts(self.config.country);
        let Items(mut keys) = self.items(std::slice::from_ref(call)).await?;
        for made in entry::of(call, &facts, self.hashing().await?) {
            keys.remove(&made.key());
        }
        Ok((Items(keys), facts.national))
    }

    /// Returns all items of a conversation whose call records cannot be read. Reads all of the table.
    pub async fn search_items(&self, conversation: &str) -> Result<Items, Error> {
        let table = &self.config.table;
        let scan = self
            .dynamodb
            .scan()
            .table_name(table)
            .projection_expression("facet, #at")
            .expression_attribute_names("#at", "at")
            .filter_expression("interactionId = :id")
            .expression_attribute_values(":id", AttributeValue::S(conversation.to_owned()));
        let items: Vec<Item> = scan
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .map_err(|error| failed(&format!("searching the catalog (table {table})"), error))?;
        let text = |item: &Item, name: &str| Some(item.get(name)?.as_s().ok()?.clone());
        let keys = items
            .iter()
            .filter_map(|item| Some((text(item, "facet")?, text(item, "at")?)));
        Ok(Items(keys.collect()))
    }

    /// Removes items.
    pub async fn remove(&self, items: Items, deadline: &Deadline) -> Result<(), Error> {
        self.delete(items.0, deadline).await
    }

    /// Checks that the key of the hashes can be read.
    pub async fn reach_key(&self) -> Result<(), Error> {
        self.hashing().await.map(drop)
    }

    /// Checks whether a recording has an item in a partition.
    async fn has(&self, facet: String, at: &str) -> Result<bool, Error> {
        let table = &self.config.table;
        let get = self.dynamodb.get_item().table_name(table);
        let get = get.key("facet", AttributeValue::S(facet));
        let get = get.key("at", AttributeValue::S(at.to_owned()));
        let answer = get.send().await;
        let answer =
            answer.map_err(|error| failed(&format!("reading the catalog (table {table})"), error))?;
        Ok(answer.item.is_some())
    }
}

/// Returns the moment that is so much after the beginning of a day.
fn next_of(first: Result<ZonedDateTime, jiff::Error>, step: Span) -> Timestamp {
    let next = first.and_then(|first| first.start_of_day()?.checked_add(step));
    next.map_or(Timestamp::MAX, |next| next.timestamp())
}

impl Search<'_> {
    /// Reads month by month, or hour by hour where no value is wanted. The first pages of the next ones are read at the
    /// same time: of the more, the less was found so far.
    async fn all(&mut self, after: Option<&str>) -> Result<(), Error> {
        let (mut start, end) = (self.begin(after), self.range.end());
        // A key begins with the moment and goes on, so that one that is just the moment stands before all of it.
        let to = moment(end);
        let mut ahead = 1;
        while start < end {
            let next = |start: &Timestamp| Some(self.next(*start)).filter(|start| *start < end);
            let starts: Vec<_> = std::iter::successors(Some(start), next).take(ahead).collect();
            let buckets = starts.iter().map(|start| Bucket::new(self.wanted, *start, after));
            let buckets: Vec<_> = buckets.collect();
            let first = buckets
                .iter()
                .flat_map(|bucket| bucket.keys.iter().map(|key| (key, &bucket.from)));
            let first = try_join_all(first.map(|(key, from)| self.catalog.page(key, from, &to))).await?;
            self.answer.requests += first.len() as u64;
            let mut first = first.into_iter();
            for bucket in &buckets {
                let pages = first.by_ref().take(bucket.keys.len()).collect();
                self.bucket(bucket, pages, &to).await?;
                if self.answer.after.is_some() {
                    return Ok(());
                }
            }
            start = starts.last().map_or(end, |last| self.next(*last));
            ahead = (ahead * 2).min(AHEAD);
        }
        Ok(())
    }

    /// Returns where the search begins: at its first day, or at the call of a mark.
    fn begin(&self, after: Option<&str>) -> Timestamp {
        let start = self.range.start();
        let at = after.and_then(|after| after.split('#').next()?.parse::<Timestamp>().ok());
        at.map_or(start, |at| start.max(at))
    }

    /// Counts the recordings of a facet of those that a search may miss, as far as this one went.
    async fn count(&mut self, missed: Facet, after: Option<&str>) -> Result<u64, Error> {
        let (mut start, end) = (self.begin(after), self.range.end());
        let mut counted = 0;
        let to = self.answer.after.clone().unwrap_or_else(|| moment(end));
        let missed = [(missed, String::new())];
        while start < end && moment(start) <= to {
            let Bucket { keys, from, .. } = Bucket::new(&missed, start, after);
            for key in keys {
                counted += self.catalog.count(&key, &from, &to).await?;
                self.answer.requests += 1;
            }
            let zoned = start.to_zoned_datetime(TimeZone::UTC);
            start = next_of(zoned.first_of_year(), Span::new().years(1));
        }
        Ok(counted)
    }

    /// Returns the beginning of the partitions after those of a moment.
    fn next(&self, at: Timestamp) -> Timestamp {
        match self.wanted {
            [] => {
                let next = at.checked_add(SignedDuration::from_hours(1));
                let hour = next.and_then(|next| {
                    let past = next.as_second().rem_euclid(3_600);
                    Timestamp::from_second(next.as_second() - past)
                });
                hour.unwrap_or(Timestamp::MAX)
            }
            _ => {
                let zoned = at.to_zoned_datetime(TimeZone::UTC);
                next_of(zoned.first_of_month(), Span::new().months(1))
            }
        }
    }

    /// Reads the partitions of a bucket, of which the first pages are there.
    async fn bucket(&mut self, bucket: &Bucket, pages: Vec<Page>, to: &str) -> Result<(), Error> {
        let mut from = bucket.from.clone();
        // The page that reaches furthest is of the narrowest facet.
        let reach = |page: &Page| match page.entries.last() {
            Some(last) if page.more => last.at.clone(),
            _ => "~".to_owned(),
        };
        let narrowest = pages
            .into_iter()
            .enumerate()
            .max_by_key(|(_, page)| (reach(page), std::cmp::Reverse(page.entries.len())));
        let Some((narrowest, mut page)) = narrowest else {
            return Ok(());
        };
        loop {
            let more = page.more;
            for entry in page.entries {
                from = format!("{}~", entry.at);
                if self.passes(&entry) && self.has_all(&entry, bucket.start).await? {
                    if self.answer.entries.len() == self.most {
                        let last = self.answer.entries.last();
                        self.answer.after = last.map(|last| last.at.clone());
                        return Ok(());
                    }
                    self.answer.entries.push(entry);
                }
            }
            if !more {
                return Ok(());
            }
            page = self.catalog.page(&bucket.keys[narrowest], &from, to).await?;
            self.answer.requests += 1;
        }
    }

    /// Checks whether a recording has each wanted value. Of a call with more values than its items carry, the catalog
    /// is asked.
    async fn has_all(&mut self, entry: &Entry, start: Timestamp) -> Result<bool, Error> {
        for (facet, value) in self.wanted {
            if entry.has(*facet, value) {
                continue;
            }
            if !entry.cut {
                return Ok(false);
            }
            self.answer.requests += 1;
            let has = self.catalog.has(partition(*facet, value, start), &entry.at);
            if !has.await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn passes(&self, entry: &Entry) -> bool {
        let filter = self.filter;
        let is =
            |wanted: &Option<String>, found: Option<&String>| wanted.is_none() || wanted.as_ref() == found;
        let lasted = entry.end.map(|end| end.duration_since(entry.start));
        let within = |bound: Option<Duration>, fits: fn(SignedDuration, SignedDuration) -> bool| {
            bound.is_none_or(|bound| {
                let bound = SignedDuration::try_from(bound).unwrap_or(SignedDuration::MAX);
                lasted.is_some_and(|lasted| fits(lasted, bound))
            })
        };
        let media = filter.media.as_ref();
        is(&filter.direction, entry.direction.as_ref())
            && media.is_none_or(|media| entry.media.contains(media))
            && within(filter.shortest, |lasted, bound| lasted >= bound)
            && within(filter.longest, |lasted, bound| lasted <= bound)
    }
}
