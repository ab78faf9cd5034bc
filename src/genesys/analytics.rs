//! The conversations of a span: Genesys' analytics, one UTC day after the other.
//!
//! Days that the jobs' data covers are read through a job, later ones through the details query. Neither is asked to
//! filter: Genesys silently ignores a filter in the wrong place, and one with another meaning than we think would lose
//! recordings without a trace. Callers filter for themselves.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api::Api;
use super::bounded::Bounded;
use super::details::{self, Entry};
use crate::aws::secrets::Secrets;
use crate::clock::{Clock, Deadline};
use crate::config::Config;
use crate::domain::days::{day_of, start_of};
use crate::domain::recording::ConversationId;
use crate::error::{Error, ErrorKind};
use crate::retry::{Retry, RetryPolicy};
use crate::telemetry::Counters;

pub use super::details::Conversation;

const ACCESS: &str = "grant the OAuth client a role with analytics:conversationDetail:view, for all divisions that \
     are archived";

/// A page of the details query: in common use, the maximum is not documented.
const QUERY_PAGE: u32 = 100;
/// A page of a job's results. 1000 are in use; fewer keep an answer well below the longest that is read.
const JOB_PAGE: &str = "500";
/// Longest time between two looks at a job.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Genesys' analytics of one organisation.
#[derive(Debug)]
pub struct Analytics {
    api: Api,
    policy: RetryPolicy,
}

/// Some of a day's conversations.
#[derive(Debug, Default)]
pub struct Page {
    /// None of them stands in another page, nor in another day.
    pub conversations: Vec<Conversation>,
    /// Entries without an id or a start that can be read.
    pub unreadable: usize,
}

/// The conversations that began on one UTC day, page by page.
#[derive(Debug)]
pub struct Day<'a> {
    analytics: &'a Analytics,
    date: Date,
    pages: Pages,
    /// Pages may overlap.
    seen: HashSet<ConversationId>,
    /// The conversations of the last page.
    last: Vec<ConversationId>,
    /// Its only answer had no list.
    listless: bool,
}

/// A day whose first page can be asked for.
#[derive(Debug)]
pub struct Prepared {
    date: Date,
    pages: Pages,
}

/// The page of a day that is asked for next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Pages {
    Query {
        page: u32,
    },
    /// The results of a job that may not be done; `None`: it is to be submitted.
    Submitted {
        id: Option<String>,
    },
    Job {
        id: String,
        cursor: Option<String>,
    },
    End,
}

/// A place in a day's list, from which another process can go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    date: Date,
    pages: Pages,
    /// The conversations of the last page: the next one may overlap with it.
    last: Vec<ConversationId>,
}

impl Position {
    /// Returns whether the job of the day is not done.
    pub fn awaits_job(&self) -> bool {
        matches!(self.pages, Pages::Submitted { .. })
    }
}

impl Analytics {
    /// Connects to the organisation of this configuration. Sends nothing.
    pub fn new(
        config: &Config,
        secrets: Arc<Secrets>,
        clock: Clock,
        counters: Arc<Counters>,
    ) -> Result<Self, Error> {
        Ok(Self {
            api: Api::new(config, secrets, clock, counters, ACCESS)?,
            policy: config.limits.retry_policy(),
        })
    }

    /// Returns the time until which the data of jobs is complete.
    pub async fn available_until(&self, deadline: &Deadline) -> Result<Timestamp, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Availability {
            data_availability_date: Timestamp,
        }
        let what = "the availability of analytics";
        let path = format!("{JOBS}/availability");
        let availability: Availability = self.api.get(&path, &[], what, deadline).await?.json(what)?;
        Ok(availability.data_availability_date)
    }

    /// Returns the conversations that began on `date` (UTC). Through a job where its data is complete up to the end of
    /// the following day, as a conversation is in it from its end on; else through the query.
    pub async fn day(
        &self,
        date: Date,
        available_until: Timestamp,
        deadline: &Deadline,
    ) -> Result<Day<'_>, Error> {
        Ok(self.open(self.prepare(date, available_until, deadline).await?))
    }

    /// Prepares a day: runs its job, which takes time before the first page can be asked for.
    pub async fn prepare(
        &self,
        date: Date,
        available_until: Timestamp,
        deadline: &Deadline,
    ) -> Result<Prepared, Error> {
        let mut day = self.begin(date, available_until);
        day.await_job(deadline).await?;
        Ok(Prepared {
            date,
            pages: day.pages,
        })
    }

    /// Begins with a day, and asks for nothing yet: its job runs when its first page is asked for. Where the time is up
    /// before the job is done, [`Day::position`] names the job, so that the next process does not begin another.
    pub fn begin(&self, date: Date, available_until: Timestamp) -> Day<'_> {
        let covered = start_of(date.saturating_add(jiff::Span::new().days(2))) <= available_until;
        let pages = if covered {
            Pages::Submitted { id: None }
        } else {
            Pages::Query { page: 1 }
        };
        self.open(Prepared { date, pages })
    }

    /// Opens a day that was prepared.
    pub fn open(&self, prepared: Prepared) -> Day<'_> {
        Day {
            analytics: self,
            date: prepared.date,
            pages: prepared.pages,
            seen: HashSet::new(),
            last: Vec::new(),
            listless: false,
        }
    }

    /// Opens a day where another process left it. Genesys keeps the results of a job for an unknown time.
    pub fn resume(&self, position: Position) -> Day<'_> {
        Day {
            analytics: self,
            date: position.date,
            pages: position.pages,
            seen: position.last.iter().copied().collect(),
            last: position.last,
            listless: false,
        }
    }

    /// Submits a job for the day. Returns its id.
    async fn submit_job(&self, date: Date, what: &str, deadline: &Deadline) -> Result<String, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Submitted {
            job_id: String,
        }
        let body = json!({"interval": interval(date), "order": "asc", "orderBy": "conversationStart"});
        let submitted: Submitted = self.api.post(JOBS, &body, what, deadline).await?.json(what)?;
        // It goes into paths.
        let id = uuid::Uuid::try_parse(&submitted.job_id).map_err(|_| {
            Error::transient(format!("Genesys' answer about {what} names a job that is no id"))
        })?;
        Ok(id.to_string())
    }

    /// Waits for the job `id`, which is submitted first where there is none. One that fails is begun anew. `id` is that
    /// of the last job, also where the time is up before it is done.
    async fn finished_job(
        &self,
        date: Date,
        id: &mut Option<String>,
        deadline: &Deadline,
    ) -> Result<String, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Status {
            state: String,
            error_message: Option<String>,
        }
        let what = format!("the conversations of {date}");
        let mut retry = Retry::new(self.policy, deadline);
        'job: loop {
            let job = match id {
                Some(id) => id.clone(),
                None => id.insert(self.submit_job(date, &what, deadline).await?).clone(),
            };
            let mut wait = Duration::from_secs(1);
            loop {
                let path = format!("{JOBS}/{job}");
                let status: Status = self.api.get(&path, &[], &what, deadline).await?.json(&what)?;
                match status.state.as_str() {
                    "FULFILLED" => return Ok(job),
                    "FAILED" | "CANCELLED" | "EXPIRED" => {
                        let why = crate::redact::clip(status.error_message.as_deref().unwrap_or_default());
                        let state = &status.state;
                        let error = Error::transient(format!("Genesys' job for {what} ended {state} {why}"));
                        *id = None;
                        retry.wait(error, None).await?;
                        continue 'job;
                    }
                    // QUEUED, PENDING, and any other state takes time.
                    _ => {}
                }
                tokio::select! {
                    () = tokio::time::sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
                    () = deadline.work_ends() => {
                        let message = format!("Genesys' job for {what} takes too long");
                        return Err(Error::new(ErrorKind::DeadlineNear, message));
                    }
                }
            }
        }
    }
}

impl Day<'_> {
    /// Returns the place behind the pages that were returned.
    pub fn position(&self) -> Position {
        Position {
            date: self.date,
            pages: self.pages.clone(),
            last: self.last.clone(),
        }
    }

    /// Returns whether the list is that of a job, whose data is complete for the day.
    pub fn is_of_job(&self) -> bool {
        !matches!(self.pages, Pages::Query { .. })
    }

    /// Returns whether Genesys answered without a list, so that the day may be empty or not.
    pub fn is_listless(&self) -> bool {
        self.listless
    }

    /// Forgets all pages but the last one: a day of any size takes the same memory. Pages that overlap follow one
    /// another.
    pub fn forget(&mut self) {
        self.seen = self.last.iter().copied().collect();
    }

    /// Waits for the job of the day, where that is not done.
    async fn await_job(&mut self, deadline: &Deadline) -> Result<(), Error> {
        if let Pages::Submitted { id } = &mut self.pages {
            let id = self.analytics.finished_job(self.date, id, deadline).await?;
            self.pages = Pages::Job { id, cursor: None };
        }
        Ok(())
    }

    /// Returns the next page; `None` after the last one. A page may be empty.
    pub async fn next_page(&mut self, deadline: &Deadline) -> Result<Option<Page>, Error> {
        let what = format!("the conversations of {}", self.date);
        self.await_job(deadline).await?;
        let api = &self.analytics.api;
        let (entries, next) = match &self.pages {
            Pages::End | Pages::Submitted { .. } => return Ok(None),
            Pages::Query { page } => {
                let body = json!({"interval": interval(self.date), "order": "asc", "orderBy": "conversationStart",
                                  "paging": {"pageSize": QUERY_PAGE, "pageNumber": page}});
                let answer = api.post(QUERY, &body, &what, deadline).await;
                let answer: Answer = answer.map_err(|error| self.beyond(*page, error))?.json(&what)?;
                match answer.conversations {
                    Some(Bounded(entries)) if !entries.is_empty() => {
                        (entries, Pages::Query { page: page + 1 })
                    }
                    // The number of hits is approximate, but an answer that counts some and lists none is broken.
                    _ if *page == 1 && answer.total_hits.is_some_and(|hits| hits > 0) => {
                        return Err(Error::transient(format!("Genesys counts {what}, and lists none")));
                    }
                    // Past the last page there is no list. A page that is not full is no such sign.
                    _ => (Vec::new(), Pages::End),
                }
            }
            Pages::Job { id, cursor } => {
                let mut query = vec![("pageSize", JOB_PAGE)];
                query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
                let path = format!("{JOBS}/{id}/results");
                let answer: Answer = api.get(&path, &query, &what, deadline).await?.json(&what)?;
                let next = match answer.cursor {
                    Some(next) => Pages::Job {
                        id: id.clone(),
                        cursor: Some(next),
                    },
                    None => Pages::End,
                };
                // Whether the answer about an empty day has a list is not documented. One without anything of a page is
                // none, though; and behind the first page there is one.
                if answer.conversations.is_none() && answer.data_availability_date.is_none() {
                    if cursor.is_some() {
                        return Err(Error::transient(format!(
                            "Genesys' answer about {what} has no list"
                        )));
                    }
                    self.listless = true;
                }
                (answer.conversations.unwrap_or_default().0, next)
            }
        };
        self.pages = next;
        let mut page = Page::default();
        self.last.clear();
        for entry in entries {
            match details::conversation(entry) {
                None => page.unreadable += 1,
                Some(conversation) => {
                    // A job lists by activity: a conversation that began on another day belongs to that one.
                    let begun = day_of(conversation.start);
                    self.last.push(conversation.id);
                    if begun == self.date && self.seen.insert(conversation.id) {
                        page.conversations.push(conversation);
                    }
                }
            }
        }
        Ok(Some(page))
    }
}

impl Day<'_> {
    /// Explains an error of the query beyond 10,000 conversations, where it is said to end, however narrow its
    /// interval.
    fn beyond(&self, page: u32, error: Error) -> Error {
        if error.kind() != ErrorKind::Rejected || page <= 10_000 / QUERY_PAGE {
            return error;
        }
        let message = format!(
            "{} has more conversations than Genesys' query gives: try again when the data of its jobs covers the day",
            self.date
        );
        Error::new(ErrorKind::Rejected, message).caused_by(error)
    }
}

const QUERY: &str = "/api/v2/analytics/conversations/details/query";
const JOBS: &str = "/api/v2/analytics/conversations/details/jobs";

fn interval(date: Date) -> String {
    let next = date.saturating_add(jiff::Span::new().days(1));
    format!("{date}T00:00:00.000Z/{next}T00:00:00.000Z")
}

/// The answer of both kinds of list. Every field may be missing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    conversations: Option<Bounded<Vec<Entry>>>,
    cursor: Option<String>,
    total_hits: Option<u64>,
    data_availability_date: Option<String>,
}
