//! Wires the rooms together: the daemon, a single pass, a check of the connections, the demo and the simulated cluster.

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod beside;
mod check;
mod cluster;
mod clusters;
mod demo;
mod estimate;
mod failures;
mod findings;
mod locate;
mod memory;
mod once;
mod poll;
mod record;
mod reload;
mod serve;
mod simulate;
mod state_file;
mod stop;
mod stream_log;
mod supervise;

pub use check::{Connections, connect};
pub use demo::{DemoCluster, DemoError, start_demo_cluster};
pub use estimate::{Estimated, ScrapeSize, estimate};
pub use once::{Found, snapshot};
pub use record::{RecordError, RecordLimits, record};
pub use reload::Reread;
pub use serve::{ServeError, polling_runtime, serve};
pub use simulate::{Simulation, SimulationError};
