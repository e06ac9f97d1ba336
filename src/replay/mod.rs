//! Recordings of clusters: observations as JSON lines, replayed through the real pipeline on a virtual clock.
//!
//! A recording is read (`input`, `line`, `wire`), kept as told (`told`), put into the state as the answers of brokers
//! (`answers`, `cluster`), and printed where a line wishes it (`print`, `run`). One is made from what a poller has read
//! (`record`). Time is what the lines say: nothing here reads a clock.

mod answers;
mod cluster;
mod error;
mod input;
mod line;
mod print;
mod record;
mod run;
#[cfg(test)]
mod tests;
mod told;
mod wire;

pub use error::{LineFault, MAX_CLUSTERS, MAX_FACTS, MAX_LINE_BYTES, ReplayError};
pub use record::{Recorder, TimedCommit};
pub use run::{Form, NAMELESS, replay};
