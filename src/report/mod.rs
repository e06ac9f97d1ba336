//! A snapshot for people and programs: the table and the JSON of `kafkascope snapshot`.

mod json;
mod table;

pub use json::{ClusterReport, clusters_json};
pub use table::cluster_table;
