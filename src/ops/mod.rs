//! What operators ask for: each command is a function from a request to figures, with events on the way.
//!
//! Nothing here prints, and nothing knows a command line: whoever calls shows the events, and renders the figures as text,
//! JSON or a page. What ends a command early is an [`Error`], Ctrl-C included, so that `?` carries it.

pub mod audit;
pub mod backfill;
mod clock;
mod credentials;
pub mod custody;
pub mod doctor;
mod error;
pub mod files;
pub mod filter;
pub mod finding;
mod listing;
pub mod reconcile;
pub mod redrive;
pub mod report;
mod scan;
mod session;
pub mod sink;
mod stack;
pub mod verify;

use std::fmt;

pub use error::{Error, Kind};
pub use session::{Interrupt, Session};

/// What a command that ran to its end found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to look after.
    Clean,
    /// Something to look after, already told.
    Findings,
    /// Nothing was looked at, so nothing is proven.
    Nothing,
}

/// How a command ended: its figures as far as it got, and what ended it early.
#[derive(Debug)]
pub struct Ended<T> {
    /// What was counted.
    pub figures: T,
    /// An error if it did not get to its end.
    pub end: Result<(), Error>,
}

/// What a command tells while it works.
#[derive(Debug)]
pub enum Event<T> {
    /// A result.
    Item(T),
    /// So many more steps are done.
    Steps(u64),
    /// So many steps there are in all, as far as is known now.
    Total(u64),
    /// Of parts of about the same size, so many are done.
    Parts {
        /// Done.
        done: u64,
        /// In all.
        all: u64,
    },
    /// What is being worked on.
    At(String),
    /// So many bytes were read so far.
    Bytes(u64),
}

/// Who is told.
pub struct Tell<'a, T>(&'a dyn Fn(Event<T>));

impl<'a, T> Tell<'a, T> {
    /// Makes `listener` hear every event.
    pub fn new(listener: &'a dyn Fn(Event<T>)) -> Self {
        Self(listener)
    }

    /// Tells a result.
    fn item(&self, item: T) {
        (self.0)(Event::Item(item));
    }

    /// Tells that so many more steps are done.
    fn steps(&self, count: u64) {
        (self.0)(Event::Steps(count));
    }

    /// Tells how many steps there are in all.
    fn total(&self, count: u64) {
        (self.0)(Event::Total(count));
    }

    /// Tells how many bytes were read so far.
    fn bytes(&self, count: u64) {
        (self.0)(Event::Bytes(count));
    }

    /// Tells how many of parts of about the same size are done.
    fn parts(&self, done: u64, all: u64) {
        (self.0)(Event::Parts { done, all });
    }

    /// Tells what is being worked on.
    fn at(&self, what: impl fmt::Display) {
        (self.0)(Event::At(what.to_string()));
    }
}

impl<T> Clone for Tell<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Tell<'_, T> {}

impl<T> fmt::Debug for Tell<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tell")
    }
}
