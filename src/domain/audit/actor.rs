//! Who caused a run: what AWS says, and apart from it what the caller claims.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The trigger that a job came by: the attribute `actor.source`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Source {
    /// A message of the work queue.
    Sqs,
    /// An event of Genesys by EventBridge.
    EventBridge,
    /// A direct invocation.
    #[default]
    Direct,
    /// A person with `archivectl`.
    Operator,
    /// A run that a schedule of AWS starts.
    Schedule,
    /// Stored by another version of the archiver.
    Other(String),
}

impl Source {
    /// All that this version knows.
    pub const KNOWN: [Self; 5] = [
        Self::Sqs,
        Self::EventBridge,
        Self::Direct,
        Self::Operator,
        Self::Schedule,
    ];

    /// Returns the value of the attribute.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Sqs => "sqs",
            Self::EventBridge => "eventbridge",
            Self::Direct => "direct",
            Self::Operator => "operator",
            Self::Schedule => "schedule",
            Self::Other(source) => source,
        }
    }
}

impl From<String> for Source {
    fn from(source: String) -> Self {
        let known = Self::KNOWN.into_iter().find(|known| known.as_str() == source);
        known.unwrap_or(Self::Other(source))
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.as_str().to_owned()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who asked first, in a job that the function sends itself: the field `origin`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The first trigger.
    pub source: Source,
    /// Its Lambda request id, where it was no message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Its SQS message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Its EventBridge event, as the message or the payload names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Who sent its message, by SQS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_id: Option<String>,
}

impl Origin {
    /// Returns its texts.
    pub(in crate::domain) fn texts(&self) -> impl Iterator<Item = &str> {
        let ids = [
            &self.request_id,
            &self.message_id,
            &self.event_id,
            &self.sender_id,
        ];
        let ids = ids.into_iter().filter_map(|id| id.as_deref());
        ids.chain([self.source.as_str()])
    }
}

/// The cause of a run: the attribute `actor`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    /// The trigger.
    pub source: Source,
    /// Lambda's request id.
    #[serde(default)]
    pub request_id: String,
    /// Lambda's function version.
    #[serde(default)]
    pub function_version: String,
    /// The SQS message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Who sent the message, by SQS: a user's id, or a role's id and the name of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_id: Option<String>,
    /// The queue that the message came from, by SQS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_arn: Option<String>,
    /// The ARN of the operator, by STS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Who asked first, where the function sent the job itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Box<Origin>>,
    /// The EventBridge event, as the message or the payload names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The person or system that asked, in the job's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// The `origin` of a job that somebody else than the function sent: a claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<Box<Origin>>,
}

impl Actor {
    /// Takes what the job says of who asked first: as a fact where the function itself sent the message, which only a
    /// session of its own role can, else as a claim. Returns who asked first, for the jobs that the run sends.
    ///
    /// `own_role` is the id of the function's role; without it nothing is believed.
    pub fn asked_first(&mut self, told: Option<Box<Origin>>, own_role: Option<&str>) -> Box<Origin> {
        match told {
            Some(told) if is_own(self.sender_id.as_deref(), own_role) => {
                self.origin = Some(told.clone());
                return told;
            }
            told => self.claimed = told,
        }
        let is_message = self.message_id.is_some();
        Box::new(Origin {
            source: self.source.clone(),
            request_id: Some(self.request_id.clone()).filter(|_| !is_message),
            message_id: self.message_id.clone(),
            event_id: self.event_id.clone(),
            sender_id: self.sender_id.clone(),
        })
    }
}

/// Says whether a session of the function's own role sent a message, by what SQS says of its sender.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#principaltable>
pub fn is_own(sender_id: Option<&str>, own_role: Option<&str>) -> bool {
    let sender = sender_id.and_then(|sender| sender.split_once(':'));
    sender.is_some_and(|(role, _session)| Some(role) == own_role)
}
