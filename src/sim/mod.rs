//! Simulated services on loopback.
//!
//! They know the wire formats only and share no code with the archiver, so that a mistake made twice
//! cannot cancel itself out.

pub mod aws;
pub mod genesys;
mod hmac;
pub mod webhook;
pub mod wire;
