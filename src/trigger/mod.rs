//! The edge: what comes in, what goes back, what is counted.

pub mod event;
pub mod handler;
pub mod lambda;
pub mod metrics;
