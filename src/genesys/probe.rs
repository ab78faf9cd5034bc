//! Checks whether Genesys would let the archiver do its work, without doing any.

use jiff::Timestamp;
use reqwest::header::DATE;
use serde::Deserialize;
use serde_json::Map;

use super::Genesys;
use super::api::Api;
use super::listing::{Availability, Listed};
use super::names::Kind;
use crate::clock::Deadline;
use crate::domain::format::{Format, MediaKind};
use crate::domain::job::Job;
use crate::domain::recording::RecordingId;
use crate::error::{Error, ErrorKind};

/// A limit of the organisation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit {
    /// Its name, such as `client.credentials.token.rate.per.minute`.
    pub key: String,
    /// The most that is allowed.
    pub value: i64,
}

/// A topic of events that the organisation can have delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its name, with the literal `{id}`.
    pub id: String,
    /// Its ways of delivery; empty if Genesys names none.
    pub transports: Vec<String>,
}

impl Topic {
    /// Says whether it is delivered through Amazon EventBridge. Genesys' spelling of that is not documented.
    pub fn is_on_event_bridge(&self) -> bool {
        let plain = |name: &String| {
            let letters = name.chars().filter(char::is_ascii_alphabetic);
            letters.collect::<String>().to_ascii_lowercase()
        };
        self.transports
            .iter()
            .any(|name| plain(name).contains("eventbridge"))
    }
}

/// The common shape of the platform's lists.
#[derive(Deserialize)]
struct Entities<T> {
    entities: Option<Vec<T>>,
}

impl Genesys {
    /// Returns the organisation's limits in a namespace, such as `recording`, by name.
    pub async fn limits(&self, namespace: &str, deadline: &Deadline) -> Result<Vec<Limit>, Error> {
        #[derive(Deserialize)]
        struct Entry {
            key: Option<String>,
            value: Option<i64>,
        }
        let what = format!("the limits of {namespace}");
        let path = format!("/api/v2/organizations/limits/namespaces/{namespace}");
        let answer = self.api.get(&path, &[], &what, deadline).await?;
        let list: Entities<Entry> = answer.json(&what)?;
        let named = |entry: Entry| {
            Some(Limit {
                key: crate::redact::clip(&entry.key?),
                value: entry.value?,
            })
        };
        let mut limits: Vec<_> = list.entities.into_iter().flatten().filter_map(named).collect();
        limits.sort();
        Ok(limits)
    }

    /// Returns the topics that the organisation can have delivered.
    pub async fn topics(&self, deadline: &Deadline) -> Result<Vec<Topic>, Error> {
        #[derive(Deserialize)]
        struct Entry {
            id: Option<String>,
            transports: Option<Vec<String>>,
        }
        let what = "the topics of events";
        let query = [("expand", "transports"), ("includePreview", "true")];
        let path = "/api/v2/notifications/availabletopics";
        let answer = self.api.get(path, &query, what, deadline).await?;
        let list: Entities<Entry> = answer.json(what)?;
        let named = |entry: Entry| {
            Some(Topic {
                id: crate::redact::clip(&entry.id?),
                transports: entry.transports.unwrap_or_default(),
            })
        };
        Ok(list.entities.into_iter().flatten().filter_map(named).collect())
    }

    /// Checks that the client has `recording:recording:view`. The list of recordings kept longer than a century needs
    /// just that permission, and is empty.
    pub async fn may_view_calls(&self, deadline: &Deadline) -> Result<(), Error> {
        may_view_calls(&self.api, deadline).await
    }

    /// Checks the same of the client that asks for batch downloads.
    pub async fn may_view_batches(&self, deadline: &Deadline) -> Result<(), Error> {
        may_view_calls(&self.bulk, deadline).await
    }

    /// Checks that the client has `recording:orphan:view`.
    pub async fn may_view_orphans(&self, deadline: &Deadline) -> Result<(), Error> {
        let path = "/api/v2/orphanrecordings";
        let asked = self
            .api
            .get(path, &[("pageSize", "1")], "orphan recordings", deadline);
        asked.await.map(drop)
    }

    /// Returns the kinds of names that the client may not ask for, each with the permission that it lacks. Asks for the
    /// name of `nothing`, an id that does not exist.
    pub async fn unnamed(
        &self,
        nothing: &str,
        deadline: &Deadline,
    ) -> Result<Vec<(&'static str, &'static str)>, Error> {
        let mut denied = Vec::new();
        for kind in Kind::ALL {
            let (path, permission) = kind.list();
            let query = [("pageSize", "1"), ("id", nothing)];
            let what = format!("names of {}", kind.as_str());
            match self.api.get(path, &query, &what, deadline).await {
                Err(error) if error.kind() == ErrorKind::Forbidden => {
                    denied.push((kind.as_str(), permission));
                }
                answer => allowed(answer)?,
            }
        }
        Ok(denied)
    }

    /// Gets a token with the OAuth client of the secret.
    pub async fn log_in(&self, deadline: &Deadline) -> Result<(), Error> {
        self.api.log_in(deadline).await
    }

    /// Gets a token with the OAuth client that asks for batch downloads.
    pub async fn log_in_for_batches(&self, deadline: &Deadline) -> Result<(), Error> {
        self.bulk.log_in(deadline).await
    }

    /// Returns for how many minutes the URLs of a batch download are valid; `None` if Genesys does not say.
    pub async fn batch_url_minutes(&self, deadline: &Deadline) -> Result<Option<u32>, Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Settings {
            recording_batch_download_url_ttl: Option<u32>,
        }
        let what = "the recording settings";
        let answer = self
            .api
            .get("/api/v2/recording/settings", &[], what, deadline)
            .await?;
        Ok(answer.json::<Settings>(what)?.recording_batch_download_url_ttl)
    }

    /// Returns the time at Genesys, to the second; `None` if its answer has none.
    pub async fn time(&self) -> Result<Option<Timestamp>, Error> {
        let headers = self.api.headers().await?;
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        Ok(date.and_then(crate::http::date))
    }

    /// Checks that the list of a conversation's recordings may be asked for. `job` names a conversation that does not
    /// exist.
    pub async fn may_list(&self, job: &Job, deadline: &Deadline) -> Result<(), Error> {
        allowed(self.recordings(job, deadline).await)
    }

    /// Checks that a recording's media may be asked for. Neither the job's conversation nor `recording` exists.
    pub async fn may_open(
        &self,
        job: &Job,
        recording: RecordingId,
        format: Format,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let listed = Listed {
            id: recording,
            media: MediaKind::Audio,
            availability: Availability::Ready,
            start: None,
            end: None,
            notes: Map::new(),
            given: None,
        };
        allowed(self.open(job, &listed, format, deadline).await)
    }
}

/// Treats "not found" as permission granted: a client without permission gets 403 instead.
fn allowed<T>(answer: Result<T, Error>) -> Result<(), Error> {
    match answer {
        Ok(_) => Ok(()),
        Err(error) if error.kind().is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

async fn may_view_calls(api: &Api, deadline: &Deadline) -> Result<(), Error> {
    let query = [("retentionThresholdDays", "36500"), ("pageSize", "1")];
    let path = "/api/v2/recordings/retention/query";
    let what = "how long recordings are kept";
    api.get(path, &query, what, deadline).await.map(drop)
}
