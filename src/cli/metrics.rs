//! `kafkascope metrics`: the catalogue of metrics, or how many series of them a cluster would have.

use std::path::PathBuf;

use super::flags::{AskingKafka, SettingFlags};
use super::{Request, resolve};
use crate::config::{ConfigError, Resolved, Surroundings};

const AFTER_HELP: &str = "\
With --estimate every cluster of the configuration is asked once, and nothing is served. Exit codes then:
  0  every cluster was reached
  1  one was not
  2  the configuration is wrong";

/// Arguments of `metrics`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct MetricsArgs {
    /// markdown (tables as in the README) or json; with --estimate a table or json
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true, default_value_t = MetricsOutput::Markdown)]
    pub output: MetricsOutput,
    /// Ask Kafka once and print how many series there would be of each metric, how large a scrape, and what to spare
    #[arg(long)]
    pub estimate: bool,
    /// With --estimate: config file (YAML) [env: KAFKASCOPE_CONFIG]
    #[arg(long, value_name = "FILE", requires = "estimate")]
    pub config: Option<PathBuf>,
    /// Flags of single settings.
    #[command(flatten)]
    pub settings: SettingFlags<AskingKafka>,
}

/// The forms of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum MetricsOutput {
    /// A table as in the README, or one for people.
    Markdown,
    /// JSON for programs.
    Json,
}

impl MetricsArgs {
    /// The configuration from flags, environment and file.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub fn resolve(&self, surroundings: &dyn Surroundings) -> Result<Resolved, Vec<ConfigError>> {
        let settings = self.settings.settings(surroundings);
        resolve(Request { config: self.config.clone(), settings, kafka_exporter: None }, surroundings)
    }

    /// The first flag that was given and that only `--estimate` goes by.
    #[must_use]
    pub fn needs_estimate(&self) -> Option<&'static str> {
        self.settings.first_given().filter(|_| !self.estimate)
    }
}
