//! A snapshot for people and programs: tables, JSON, and what is wrong in words.

mod estimate;
mod group;
mod human;
mod json;
mod scope;
mod sentence;
mod table;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
mod tests;

pub use estimate::EstimateReport;
pub use group::GroupReport;
pub use human::{Count, MessageCount, Roughly, TimeOfDay};
pub use json::{ClusterReport, clusters_json};
pub use scope::scope_in_words;
pub use sentence::sentence;
pub use table::{cluster_table, printable};
