//! The verdict on a run, and the tables that it is made of.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use recording_archiver::aws::ledger::from_item;

use crate::stage::{Result, Stage};

/// The faults that were found; each case in words.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) files: usize,
    /// Conversations that are settled.
    pub(crate) settled: usize,
    /// Conversations among them that batch downloads settled.
    pub(crate) by_bulk: usize,
    /// Entries of bulk jobs that nobody can archive, and that ended as their case.
    pub(crate) cases: usize,
    /// Call records that describe them.
    pub(crate) calls: usize,
    /// Looks that this took.
    pub(crate) looks: u32,
    pub(crate) lost: Vec<String>,
    pub(crate) duplicated: Vec<String>,
    pub(crate) corrupt: Vec<String>,
}

impl Verdict {
    pub(crate) fn is_clean(&self) -> bool {
        self.lost.is_empty() && self.duplicated.is_empty() && self.corrupt.is_empty()
    }

    pub(crate) fn corrupt_unless(&mut self, right: bool, what: impl FnOnce() -> String) {
        if !right {
            self.corrupt.push(what());
        }
    }
}

/// Returns all items of a table.
pub(crate) async fn scan<T: serde::de::DeserializeOwned>(stage: &Stage, table: &str) -> Result<Vec<T>> {
    let scan = stage
        .world
        .aws
        .dynamodb()
        .scan()
        .table_name(table)
        .consistent_read(true);
    let items: Vec<HashMap<String, AttributeValue>> =
        scan.into_paginator().items().send().try_collect().await?;
    let items: std::result::Result<Vec<T>, _> = items.into_iter().map(from_item).collect();
    Ok(items?)
}
