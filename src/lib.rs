//! Archives Genesys Cloud recordings into S3, proves that each byte arrived, and keeps the evidence.
//!
//! The data path, the only one, whoever calls it:
//!
//! 1. [`trigger::handler`] takes a payload apart into jobs ([`trigger::event`]) and gives each its run.
//! 2. [`archive::Archiver::archive`] asks [`genesys`] which recordings there are, and the [`aws::ledger`] for each.
//! 3. The media streams through [`archive::digest`] and [`archive::parts`] into [`aws::storage`].
//! 4. Once hash and length are right and the ledger says `storing`, the object becomes visible.
//! 5. Ledger and audit say `archived`, the [`webhook`] is told, and they say `notified`.
//! 6. The handler sends what has to come again, or to people, to the [`aws::queues`], and answers.
//!
//! Layers: `archive::{format, recording, job, digest, parts, audit}`, [`config`], [`error`], [`clock`] and [`retry`]
//! are values without I/O; [`genesys`], [`aws`] and [`webhook`] each know one outside system; [`archive`] is the use
//! case over them; [`trigger`] and the binaries are the edge. Behind the feature `cli`, `ops` is what operators ask for: it knows
//! everything below, and prints nothing.

pub mod archive;
pub mod aws;
pub mod clock;
pub mod config;
pub mod domain;
pub mod error;
pub mod genesys;
mod http;
#[cfg(feature = "cli")]
pub mod ops;
pub mod redact;
pub mod retry;
#[cfg(feature = "sim")]
pub mod sim;
pub mod telemetry;
pub mod trigger;
pub mod webhook;
