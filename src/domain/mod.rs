//! Values without I/O.

#[cfg(feature = "cli")]
pub mod days;
