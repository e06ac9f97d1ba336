//! `kafkascope snapshot`: one pass, printed.

use std::path::PathBuf;

use super::flags::{AskingKafka, SettingFlags};
use super::{Request, resolve};
use crate::config::{ConfigError, Resolved, Surroundings};

/// Arguments of `snapshot`.
#[derive(Clone, Debug, clap::Args)]
pub struct SnapshotArgs {
    /// Config file (YAML) [env: KAFKASCOPE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// table, prometheus (what /metrics would say) or json
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true, default_value_t = SnapshotOutput::Table)]
    pub output: SnapshotOutput,
    /// Flags of single settings.
    #[command(flatten)]
    pub settings: SettingFlags<AskingKafka>,
}

/// The forms of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum SnapshotOutput {
    /// A table for people.
    Table,
    /// What `/metrics` would say, in Prometheus' text format.
    Prometheus,
    /// JSON for programs.
    Json,
}

impl SnapshotArgs {
    /// The configuration from flags, environment and file.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub fn resolve(&self, surroundings: &dyn Surroundings) -> Result<Resolved, Vec<ConfigError>> {
        let settings = self.settings.settings(surroundings);
        resolve(Request { config: self.config.clone(), settings, kafka_exporter: None }, surroundings)
    }
}
