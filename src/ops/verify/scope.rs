//! What a verification looked at, with what, by whom, and when: so that its result stands for itself.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::Request;
use crate::ops::span::Axis;
use crate::ops::{Error, Session};

/// The scope of a verification.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// What the days are days of; null without days.
    pub by: Option<Axis>,
    /// First day.
    pub from: Option<Date>,
    /// Last day.
    pub to: Option<Date>,
    /// The conversations that were named; null: all of the days, or of the archive.
    pub conversations: Option<Vec<String>>,
    /// Account of the caller; null where AWS did not say, or there is no such service.
    pub account: Option<String>,
    /// The caller, by AWS: an ARN.
    pub caller: Option<String>,
    /// Region of tables and bucket.
    pub region: Option<String>,
    /// The archive.
    pub bucket: String,
    /// The audit table.
    pub audit_table: String,
    /// The ledger table.
    pub ledger_table: String,
    /// Version and build of this program.
    pub tool: String,
    /// The beginning, by the clock of this machine.
    pub began: Timestamp,
    /// The end; null before it.
    pub ended: Option<Timestamp>,
}

impl Scope {
    /// Begins, and asks AWS who the caller is, unless Ctrl-C ends it: then nothing is looked at.
    pub(super) async fn begin(session: &Session, request: &Request) -> Self {
        let span = request.span;
        let named = request.conversations.iter().map(ToString::to_string);
        let asked = async { Ok::<_, Error>(session.caller().await) };
        let caller = session.unless_interrupted(asked).await.ok().flatten();
        let (account, caller) = caller.unzip();
        let config = &session.config;
        Self {
            by: span.map(|span| span.axis),
            from: span.map(|span| span.range.first),
            to: span.map(|span| span.range.last),
            conversations: Some(named.collect()).filter(|named: &Vec<_>| !named.is_empty()),
            account,
            caller,
            region: session.sdk.region().map(ToString::to_string),
            bucket: config.storage.bucket.clone(),
            audit_table: config.tables.audit.clone(),
            ledger_table: config.tables.ledger.clone(),
            tool: concat!(
                "archivectl ",
                env!("CARGO_PKG_VERSION"),
                " (",
                env!("ARCHIVER_BUILD"),
                ")"
            )
            .to_owned(),
            began: session.now(),
            ended: None,
        }
    }

    /// Ends.
    pub(super) fn end(self, now: Timestamp) -> Self {
        Self {
            ended: Some(now),
            ..self
        }
    }
}
