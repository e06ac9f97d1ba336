//! Names, families and bytes: what a snapshot looks like to Prometheus.

pub mod catalogue;
mod estimate;
pub mod exposition;
pub mod families;
pub mod limit;
mod own;
pub mod pieces;
mod process;
mod publish;
pub mod reference;
mod registered;
pub mod rendering;
mod tasks;
mod view;

pub use estimate::Estimate;
pub use own::{Cache, OwnMetrics, ScrapeTimer, TaskGuard, TaskState};
pub use process::ProcessMetrics;
pub use tasks::{Task, TaskView, Tasks};
pub use view::{ByPartition, ClusterSource, Shown};
