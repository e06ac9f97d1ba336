//! Wires the rooms together: start-up, polling and shutdown, in the order in which they happen.

mod failures;
mod stop;
mod supervise;
