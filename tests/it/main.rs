//! Everything that is tested over real sockets.
mod openapi;
mod simulator;
