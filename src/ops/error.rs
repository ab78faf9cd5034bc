//! The errors of commands, with the way out.

use std::fmt;

use reqwest::Url;

use crate::config::is_local;

/// The reason why a command did not do what it was asked for.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    remedy: Option<String>,
    unreachable: Option<&'static str>,
    url: Option<String>,
}

/// The kind of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ctrl-C was pressed; the command ended in a state that it can continue from.
    Interrupted,
    /// The request: something is missing in it, or cannot be done.
    Usage,
    /// The configuration of the function, or of the command.
    Configuration,
    /// A file that cannot be read or written.
    File,
    /// The output, such as a full disk behind stdout.
    Output,
    /// This machine's clock.
    Clock,
    /// AWS or Genesys.
    Service,
    /// A defect of this program.
    Defect,
}

impl Kind {
    /// Returns its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Usage => "usage",
            Self::Configuration => "configuration",
            Self::File => "file",
            Self::Output => "output",
            Self::Clock => "clock",
            Self::Service => "service",
            Self::Defect => "defect",
        }
    }
}

impl Error {
    /// Makes an error without a way out.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            remedy: None,
            unreachable: None,
            url: None,
        }
    }

    /// Makes an error about the request.
    pub(super) fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message).remedy(remedy)
    }

    /// Makes the error that stands for Ctrl-C.
    pub(super) fn interrupted() -> Self {
        Self::new(Kind::Interrupted, "interrupted")
    }

    /// Adds the way out.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Returns its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Adds the URL of a service that could not be reached.
    #[must_use]
    pub(super) fn at(mut self, url: String) -> Self {
        let service = self.unreachable.unwrap_or_default();
        let check = if Url::parse(&url).is_ok_and(|url| is_local(&url)) {
            "is `cargo local -- serve` running? If another server is meant, check the endpoint"
        } else {
            "check region and endpoint, network, proxy and firewall"
        };
        self.remedy = Some(format!("{service} is expected at {url}: {check}"));
        self.url = Some(url);
        self
    }

    /// Returns the service that could not be reached, if there is one.
    pub fn unreachable(&self) -> Option<&'static str> {
        self.unreachable
    }

    /// Returns the URL of that service.
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Returns whether Ctrl-C was pressed.
    pub fn is_interruption(&self) -> bool {
        self.kind == Kind::Interrupted
    }

    /// Returns the way out, if there is one.
    pub fn way_out(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<crate::error::Error> for Error {
    fn from(error: crate::error::Error) -> Self {
        Self {
            unreachable: error.unreachable_service(),
            ..Self::new(Kind::Service, error.to_string())
        }
    }
}

impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::new(Kind::Defect, error.to_string())
    }
}

impl From<aws_sdk_sqs::error::BuildError> for Error {
    fn from(error: aws_sdk_sqs::error::BuildError) -> Self {
        Self::new(Kind::Defect, error.to_string())
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::new(Kind::Defect, error.to_string())
    }
}
