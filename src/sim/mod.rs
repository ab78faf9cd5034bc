//! Simulated services on loopback.
pub mod aws;
pub mod wire;
