//! `kafkascope [serve]`: the daemon.

use std::path::PathBuf;

use super::flags::{Everything, SettingFlags};
use super::kafka_exporter::KafkaExporterFlags;
use super::{Request, resolve};
use crate::config::{ConfigError, Resolved, Surroundings};

/// Arguments of `serve`.
#[derive(Clone, Debug, clap::Args)]
pub struct ServeArgs {
    /// Config file (YAML) [env: KAFKASCOPE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Flags of single settings.
    #[command(flatten)]
    pub settings: SettingFlags<Everything>,
    /// kafka_exporter's flags.
    #[command(flatten)]
    pub kafka_exporter: KafkaExporterFlags,
}

impl ServeArgs {
    /// The configuration from flags, environment and file.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub fn resolve(&self, surroundings: &dyn Surroundings) -> Result<Resolved, Vec<ConfigError>> {
        let request = Request {
            config: self.config.clone(),
            settings: self.settings.settings(surroundings),
            kafka_exporter: Some(&self.kafka_exporter),
        };
        resolve(request, surroundings)
    }
}
