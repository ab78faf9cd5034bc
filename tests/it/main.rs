//! Everything that is tested over real sockets: the simulators, and the archiver against them.

mod aws_simulator;
mod openapi;
mod simulator;
