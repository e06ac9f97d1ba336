//! Names, families and bytes: what a snapshot looks like to Prometheus.

pub mod catalogue;
pub mod exposition;
pub mod families;
mod own;
pub mod pieces;
mod process;
pub mod reference;
mod registered;
pub mod rendering;
mod tasks;
mod view;

pub use own::{Cache, OwnMetrics, ScrapeTimer, TaskGuard, TaskState};
pub use process::ProcessMetrics;
pub use tasks::{Task, TaskView, Tasks};
pub use view::{ClusterSource, Granularity};
