//! Archives Genesys Cloud recordings into S3, proves that each byte arrived, and keeps the evidence.
//!
//! The data path, the only one, whoever calls it:
//!
//! 1. [`trigger::handler`] takes a payload apart into jobs ([`trigger::event`]) and gives each its run.
//! 2. [`archive::Archiver::archive`] asks [`genesys`] which recordings there are, and the [`aws::ledger`] for each.
//! 3. The media streams through [`domain::digest`] into [`aws::storage`].
//! 4. Once hash and length are right and the ledger says `storing`, the object becomes visible.
//! 5. Ledger and audit say `archived`; once the [`webhook`] is delivered, they say `notified`.
//! 6. The handler sends deferred jobs and cases to the [`aws::queues`], and answers.
//!
//! Imports point down, to a lower layer or within one; `tests/it/layers.rs` reads this table and holds the code to it:
//!
//! | layer | modules | what they are |
//! | --- | --- | --- |
//! | 6 | main, bin/archivectl, bin/chaos, bin/local | the edges: arguments, terminals, pages |
//! | 6 | bin/recording-sealer, bin/recording-statement | functions of their own |
//! | 5 | ops | what operators ask for, as values and events |
//! | 4 | trigger | payloads in, answers out, metrics |
//! | 3 | archive, custody, sealer, statement | the use cases; what both tables hold of a conversation |
//! | 2 | aws, catalog, genesys, seal, webhook | one outside system each; where calls are found; the transparency log |
//! | 1 | config, http, retry | the environment as values; what HTTP clients share |
//! | 0 | clock, domain, error, html, redact, telemetry | values, and what every layer needs |
//! | 0 | sim | beside the rest: imports only itself, so that a mistake made twice cannot cancel itself out |

pub mod archive;
pub mod aws;
pub mod catalog;
pub mod clock;
pub mod config;
pub mod custody;
pub mod domain;
pub mod error;
pub mod genesys;
pub mod html;
mod http;
#[cfg(feature = "cli")]
pub mod ops;
pub mod redact;
pub mod retry;
pub mod seal;
pub mod sealer;
#[cfg(feature = "sim")]
pub mod sim;
pub mod statement;
pub mod telemetry;
pub mod trigger;
pub mod webhook;
