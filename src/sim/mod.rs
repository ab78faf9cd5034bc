//! Simulated services on loopback.
pub mod wire;
