//! The edge: what comes in, what goes back, what is counted.

mod bulk;
mod dispatch;
pub mod event;
mod gather;
pub mod handler;
mod kept;
pub mod lambda;
mod looks;
pub mod metrics;
pub mod sealing;
pub mod stating;
