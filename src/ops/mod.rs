//! The commands of operators: each is a function from a request to figures, with events on the way.
//!
//! Nothing here prints or knows a command line: the caller shows the events, and renders the figures as text, JSON or a
//! page. A command that ends early returns an [`Error`], for Ctrl-C too, so that `?` carries it.

pub mod access;
pub mod accesses;
pub mod audit;
pub mod backfill;
pub mod catalog;
mod clock;
mod credentials;
pub mod doctor;
pub mod erase;
mod error;
pub mod files;
pub mod filter;
pub mod find;
pub mod get;
mod indexed;
mod listing;
pub mod log;
pub mod play;
pub mod reconcile;
pub mod redrive;
pub mod report;
mod scan;
mod session;
pub mod sink;
pub mod span;
mod stack;
pub mod statement;
pub mod verify;

use std::fmt;

pub use crate::custody::{self, finding};

pub use error::{Error, Kind};
pub use session::{Interrupt, Session};

/// The verdict of a command that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No findings.
    Clean,
    /// Findings, which are reported already.
    Findings,
    /// Nothing was checked, so nothing is proven.
    Nothing,
}

/// The end of a command: its figures as far as it got, and the error that ended it early.
#[derive(Debug)]
pub struct Ended<T> {
    /// The figures of the command.
    pub figures: T,
    /// The error, if it did not get to its end.
    pub end: Result<(), Error>,
}

/// An event of a command while it works.
#[derive(Debug)]
pub enum Event<T> {
    /// A result.
    Item(T),
    /// This many more steps are done.
    Steps(u64),
    /// There are this many steps in all, as far as is known.
    Total(u64),
    /// Of parts of about the same size, this many are done.
    Parts {
        /// Done.
        done: u64,
        /// In all.
        all: u64,
    },
    /// The command works on this now.
    At(String),
    /// This many bytes were read so far.
    Bytes(u64),
}

/// The listener to the events of a command.
pub struct Listener<'a, T>(&'a dyn Fn(Event<T>));

impl<'a, T> Listener<'a, T> {
    /// Passes every event to `listen`.
    pub fn new(listen: &'a dyn Fn(Event<T>)) -> Self {
        Self(listen)
    }

    /// Reports a result.
    fn item(&self, item: T) {
        (self.0)(Event::Item(item));
    }

    /// Reports that `count` more steps are done.
    fn steps(&self, count: u64) {
        (self.0)(Event::Steps(count));
    }

    /// Reports the number of steps in all.
    fn total(&self, count: u64) {
        (self.0)(Event::Total(count));
    }

    /// Reports the number of bytes read so far.
    fn bytes(&self, count: u64) {
        (self.0)(Event::Bytes(count));
    }

    /// Reports the number of parts done, of parts of about the same size.
    fn parts(&self, done: u64, all: u64) {
        (self.0)(Event::Parts { done, all });
    }

    /// Reports the thing that the command works on now.
    fn at(&self, what: impl fmt::Display) {
        (self.0)(Event::At(what.to_string()));
    }
}

impl<T> Clone for Listener<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Listener<'_, T> {}

impl<T> fmt::Debug for Listener<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}
