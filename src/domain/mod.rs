//! Values: jobs, recordings, records, outcomes, audit events. No I/O, no clock, no environment, so that tests need
//! nothing else.

pub mod annotations;
pub mod audit;
pub mod bulk;
pub mod call;
pub mod days;
pub mod digest;
pub mod format;
pub mod job;
pub mod key;
pub mod number;
pub mod outcome;
pub mod record;
pub mod recording;
pub mod state;
