//! Brings a command's flags, the environment and the config file together.

use std::path::PathBuf;

use super::kafka_exporter::KafkaExporterFlags;
use crate::config::{self, ConfigError, Origin, Place, Resolved, Setting, Surroundings};

/// The variable that names the config file.
pub const CONFIG_ENV: &str = "KAFKASCOPE_CONFIG";

/// What a command has to go by.
#[derive(Debug)]
pub struct Request<'a> {
    /// The config file that was named on the command line.
    pub config: Option<PathBuf>,
    /// Settings from the environment and the flags, lowest precedence first.
    pub settings: Vec<Setting>,
    /// kafka_exporter's flags, for the command that takes them.
    pub kafka_exporter: Option<&'a KafkaExporterFlags>,
}

/// The configuration of a command: flag over environment over file.
///
/// # Errors
/// Everything that is wrong in any of them, at once.
pub fn resolve(mut request: Request<'_>, surroundings: &dyn Surroundings) -> Result<Resolved, Vec<ConfigError>> {
    let from_env = || surroundings.env(CONFIG_ENV).filter(|file| !file.is_empty()).map(PathBuf::from);
    let file = request.config.or_else(from_env);
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    if let Some(exporter) = request.kafka_exporter {
        let (settings, found) = exporter.settings(surroundings);
        warnings.extend(found);
        errors = both_given(&request.settings, &settings);
        let at = request.settings.iter().position(|setting| matches!(setting.origin, Origin::Flag(_)));
        // A variable of kafka_exporter is of the environment's rank, and so stands before all flags.
        let at = at.unwrap_or(request.settings.len());
        request.settings.splice(at..at, settings);
    }
    match config::resolve(file.as_deref(), &request.settings, surroundings) {
        Ok((config, found)) if errors.is_empty() => {
            warnings.extend(found);
            Ok((config, warnings))
        }
        Ok(_) => Err(errors),
        Err(found) => {
            errors.extend(found);
            Err(errors)
        }
    }
}

/// Two flags for one setting: neither can be the one that is meant.
fn both_given(own: &[Setting], exporter: &[Setting]) -> Vec<ConfigError> {
    let is_flag = |setting: &&Setting| matches!(setting.origin, Origin::Flag(_));
    let pairs = exporter.iter().filter(is_flag).filter_map(|theirs| {
        let ours = own.iter().filter(is_flag).find(|ours| ours.key.path == theirs.key.path)?;
        let Origin::Flag(name) = &ours.origin else { return None };
        Some(ConfigError {
            place: Place { origin: theirs.origin.clone(), path: theirs.key.path.to_owned() },
            what: format!("means the same as {name}, and both are given"),
            advice: "keep one of the two".to_owned(),
        })
    });
    pairs.collect()
}
