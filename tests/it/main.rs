//! Everything that needs sockets: the simulators, and the archiver against them.

mod aws_simulator;
