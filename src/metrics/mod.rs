//! Names, families and bytes: what a snapshot looks like to Prometheus.

mod view;

pub use view::{ClusterSource, Granularity};
