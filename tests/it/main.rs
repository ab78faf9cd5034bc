//! Everything that is tested over real sockets: the simulators, and the archiver against them.
#![expect(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod archive;
mod archivectl;
mod aws_simulator;
mod bad_input;
mod binary;
mod bounds;
mod browser;
mod calls;
mod cloudformation;
mod concurrency;
mod costs;
mod crash;
mod deadline;
mod docs;
mod events;
mod facts;
mod faults;
mod genesys_sdk;
mod interface;
mod isolation;
mod kill;
mod layers;
mod local;
mod log_lines;
mod lost_answers;
mod openapi;
mod sealer;
mod settled;
mod settling;
mod simulator;
mod stack;
mod support;
mod template;
mod who;
mod work;
