//! Looks at whether Genesys would let the archiver do its work, without doing any.

use jiff::Timestamp;
use reqwest::header::DATE;
use serde_json::Map;

use super::{Availability, Genesys, Listed};
use crate::archive::format::{Format, MediaKind};
use crate::archive::job::Job;
use crate::archive::recording::RecordingId;
use crate::clock::Deadline;
use crate::error::{Error, ErrorKind};

impl Genesys {
    /// Gets a token with the OAuth client of the secret.
    pub async fn log_in(&self, deadline: &Deadline) -> Result<(), Error> {
        self.api.log_in(deadline).await
    }

    /// The time at Genesys, to the second; `None` if its answer does not tell.
    pub async fn time(&self) -> Result<Option<Timestamp>, Error> {
        let headers = self.api.headers().await?;
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        Ok(date.and_then(crate::http::date))
    }

    /// Whether the list of a conversation's recordings may be asked for. `job` names a conversation that does not exist.
    pub async fn may_list(&self, job: &Job, deadline: &Deadline) -> Result<(), Error> {
        allowed(self.recordings(job, deadline).await)
    }

    /// Whether a recording's media may be asked for. Neither the job's conversation nor `recording` exists.
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
        };
        allowed(self.open(job, &listed, format, deadline).await)
    }
}

/// That there is no such thing is what an allowed question is answered with.
fn allowed<T>(answer: Result<T, Error>) -> Result<(), Error> {
    match answer {
        Err(error)
            if !matches!(
                error.kind(),
                ErrorKind::UnknownConversation | ErrorKind::NotReady { .. }
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}
