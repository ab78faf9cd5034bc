//! Values: what is asked for, what is there, what came of it. No I/O, no clock, no environment: all of it can be tested
//! without a world around it.

pub mod annotations;
pub mod audit;
pub mod days;
pub mod digest;
pub mod format;
pub mod job;
pub mod key;
pub mod outcome;
pub mod record;
pub mod recording;
pub mod state;
