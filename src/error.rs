//! Errors, sorted by the next step.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

type Source = Box<dyn StdError + Send + Sync>;

/// A failure: its kind decides what happens next, its text says what happened and what to do about it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Source>,
    unreachable: Option<&'static str>,
    too_long: bool,
}

/// Every way in which a run ends without an archived recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The job itself is invalid: no retry can fix it.
    MalformedJob,
    /// 403: a permission or division is missing.
    Forbidden,
    /// Genesys does not know the conversation.
    UnknownConversation,
    /// Genesys refuses the request for good (400 and other client errors).
    Rejected,
    /// Still "not ready" when the readiness deadline has passed.
    NeverReady,
    /// The conversation's after-call work is still open when the readiness deadline has passed.
    AfterCallWorkOpen,
    /// In cold storage at Genesys: somebody has to restore it.
    ArchivedAtSource,
    /// Genesys reports the recording itself as broken.
    BrokenAtSource,
    /// The bytes are not those that the job expects.
    HashMismatch,
    /// Somebody else's object lies under the key.
    ForeignObject,
    /// Still deferred after more deferrals than any time limit allows.
    DeferralsExhausted,
    /// The message of the job lies among the dead letters, and nobody sent it again for a week.
    DeadLetter,
    /// Archived, but the webhook's receiver never accepted the notification.
    WebhookUndeliverable,
    /// Archived, but no key can sign the notification, which must be signed.
    WebhookUnsignable,
    /// Gone under its retention policy.
    Expired,
    /// Not of a wanted kind, by configuration.
    FilteredOut,
    /// Not ready yet; ask again later, not before `after` when Genesys said so.
    NotReady {
        /// The `Retry-After` of the source.
        after: Option<Duration>,
    },
    /// Archived; the notification is sent later.
    WebhookDown,
    /// Another run works on it until its lease ends.
    Busy {
        /// Remaining time of that lease.
        remaining: Duration,
    },
    /// The lease ended or went to another run; whatever was begun is undone.
    LeaseLost,
    /// The invocation's time is (nearly) up.
    DeadlineNear,
    /// Network, 5xx, throttling, a broken answer: another run may succeed.
    Transient,
    /// A panic, caught before it took neighbours down.
    Panic,
    /// A check of this program on its own work failed; nothing was made visible.
    Defect,
    /// Objects of the transparency log are missing or contradict each other: somebody has to restore them.
    LogInconsistent,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Leave the trigger to redeliver.
    Retry,
    /// Put the job on the work queue again.
    Defer,
    /// No run can fix it; a case for people is handed over to them.
    Discard,
}

impl ErrorKind {
    /// Returns what to do next: docs/interface.md, "Codes".
    pub fn disposition(self) -> Disposition {
        match self {
            Self::MalformedJob
            | Self::Forbidden
            | Self::UnknownConversation
            | Self::Rejected
            | Self::NeverReady
            | Self::AfterCallWorkOpen
            | Self::ArchivedAtSource
            | Self::BrokenAtSource
            | Self::HashMismatch
            | Self::ForeignObject
            | Self::DeferralsExhausted
            | Self::DeadLetter
            | Self::WebhookUndeliverable
            | Self::WebhookUnsignable
            | Self::Expired
            | Self::FilteredOut => Disposition::Discard,
            Self::NotReady { .. } | Self::WebhookDown | Self::Busy { .. } => Disposition::Defer,
            Self::LeaseLost
            | Self::DeadlineNear
            | Self::Transient
            | Self::Panic
            | Self::Defect
            | Self::LogInconsistent => Disposition::Retry,
        }
    }

    /// Says whether Genesys answered that there is no such thing, or none yet.
    pub fn is_not_found(self) -> bool {
        matches!(self, Self::UnknownConversation | Self::NotReady { .. })
    }

    /// Every kind, without the values that some carry.
    pub const ALL: [Self; 25] = [
        Self::MalformedJob,
        Self::Forbidden,
        Self::UnknownConversation,
        Self::Rejected,
        Self::NeverReady,
        Self::AfterCallWorkOpen,
        Self::ArchivedAtSource,
        Self::BrokenAtSource,
        Self::HashMismatch,
        Self::ForeignObject,
        Self::DeferralsExhausted,
        Self::DeadLetter,
        Self::WebhookUndeliverable,
        Self::WebhookUnsignable,
        Self::Expired,
        Self::FilteredOut,
        Self::NotReady { after: None },
        Self::WebhookDown,
        Self::Busy {
            remaining: Duration::ZERO,
        },
        Self::LeaseLost,
        Self::DeadlineNear,
        Self::Transient,
        Self::Panic,
        Self::Defect,
        Self::LogInconsistent,
    ];

    /// Returns the stable name of this kind: `code` in exception messages and logs.
    pub fn code(self) -> &'static str {
        match self {
            Self::MalformedJob => "malformed_job",
            Self::Forbidden => "forbidden",
            Self::UnknownConversation => "unknown_conversation",
            Self::Rejected => "rejected",
            Self::NeverReady => "never_ready",
            Self::AfterCallWorkOpen => "after_call_work_open",
            Self::ArchivedAtSource => "archived_at_source",
            Self::BrokenAtSource => "broken_at_source",
            Self::HashMismatch => "hash_mismatch",
            Self::ForeignObject => "foreign_object",
            Self::DeferralsExhausted => "deferrals_exhausted",
            Self::DeadLetter => "dead_letter",
            Self::WebhookUndeliverable => "webhook_undeliverable",
            Self::WebhookUnsignable => "webhook_unsignable",
            Self::Expired => "expired",
            Self::FilteredOut => "filtered_out",
            Self::NotReady { .. } => "not_ready",
            Self::WebhookDown => "webhook_down",
            Self::Busy { .. } => "busy",
            Self::LeaseLost => "lease_lost",
            Self::DeadlineNear => "deadline_near",
            Self::Transient => "transient",
            Self::Panic => "panic",
            Self::Defect => "defect",
            Self::LogInconsistent => "log_inconsistent",
        }
    }
}

impl Error {
    /// Makes an error without a cause.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
            unreachable: None,
            too_long: false,
        }
    }

    /// Makes a transient error: another run may succeed.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Transient, message)
    }

    /// Makes an error of a caught panic.
    pub fn caught(panic: &(dyn Any + Send)) -> Self {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        let message = format!("a panic was caught: {}", text.unwrap_or("no message"));
        Self::new(ErrorKind::Panic, message)
    }

    /// Adds the cause, which must not carry URLs with signatures (`reqwest::Error::without_url`) nor secrets.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Names the service that no request reached, such as `dynamodb` or `genesys-api`.
    #[must_use]
    pub fn unreachable(mut self, service: &'static str) -> Self {
        self.unreachable = Some(service);
        self
    }

    /// Marks the error of an answer that is longer than its limit.
    #[must_use]
    pub fn too_long(mut self) -> Self {
        self.too_long = true;
        self
    }

    /// Says whether an answer was longer than its limit.
    pub fn is_too_long(&self) -> bool {
        self.too_long
    }

    /// Returns the service that no request reached, if that is the cause.
    pub fn unreachable_service(&self) -> Option<&'static str> {
        self.unreachable
    }

    /// Returns the text as it may leave this process: without phone numbers and addresses of people.
    pub fn redacted(&self) -> String {
        crate::redact::people(&self.to_string())
    }

    /// Returns the kind, which decides the next step.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the next step.
    pub fn disposition(&self) -> Disposition {
        self.kind.disposition()
    }
}

/// The message and all its causes, on one line.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(source) = &self.source {
            write!(f, ": {}", chain(source.as_ref()))?;
        }
        Ok(())
    }
}

// `source` stays the default `None`: Display shows the causes already, and each is to appear once.
impl StdError for Error {}

/// Returns the first cause of an error.
pub fn root(error: &(dyn StdError + 'static)) -> String {
    let mut root = error;
    while let Some(cause) = root.source() {
        root = cause;
    }
    root.to_string()
}

/// Returns an error and its causes on one line, without causes that their parent's text already holds.
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_are_listed() {
        let source = include_str!("error.rs");
        let (_, code) = source.split_once("pub fn code(self)").unwrap();
        let (code, _) = code.split_once("\n    }").unwrap();
        let named: Vec<_> = code.lines().filter_map(|line| line.split('"').nth(1)).collect();
        assert_eq!(ErrorKind::ALL.map(ErrorKind::code).to_vec(), named);
    }

    #[test]
    fn the_text_tells_every_cause_once() {
        let io = std::io::Error::other("connection reset");
        let error = Error::transient("the media host closed the connection").caused_by(io);
        assert_eq!(
            error.to_string(),
            "the media host closed the connection: connection reset"
        );
    }
}
