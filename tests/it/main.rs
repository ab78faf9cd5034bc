//! Everything that is tested over real sockets.
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod openapi;
mod simulator;
