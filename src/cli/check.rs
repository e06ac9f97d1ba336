//! `kafkascope check`: what is wrong with a configuration, without running it.

use std::path::PathBuf;

use super::flags::{Everything, SettingFlags};
use super::{CONFIG_ENV, Request, resolve};
use crate::config::{self, Config, ConfigError, Surroundings, Warning};

const AFTER_HELP: &str = "\
Exit codes:
  0  all is well
  1  with --connect: a cluster is not reached, or something that the exporter needs is refused
  2  the configuration is wrong; every error is printed, with its line";

/// Arguments of `check`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct CheckArgs {
    /// Config file (YAML) [env: KAFKASCOPE_CONFIG]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print the whole configuration as it would be used, with every default; secrets are hidden
    #[arg(long)]
    pub effective: bool,
    /// Connect to each cluster too: can it be reached, what is visible, what may be done with it
    #[arg(long)]
    pub connect: bool,
    /// Flags of single settings.
    #[command(flatten)]
    pub settings: SettingFlags<Everything>,
}

/// What a check without connecting has found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The configuration, to connect with.
    pub config: Config,
    /// What works but is probably not meant.
    pub warnings: Vec<Warning>,
    /// What to print: one line, or the whole configuration as YAML.
    pub report: String,
}

/// Checks the configuration without connecting.
///
/// # Errors
/// Everything that is wrong.
pub fn run(args: &CheckArgs, surroundings: &dyn Surroundings) -> Result<Checked, Vec<ConfigError>> {
    let settings = args.settings.settings(surroundings);
    let (config, warnings) =
        resolve(Request { config: args.file.clone(), settings, kafka_exporter: None }, surroundings)?;
    let report = match config::effective_yaml(&config) {
        Ok(yaml) if args.effective => yaml,
        Err(error) if args.effective => format!("the configuration cannot be shown: {error}\n"),
        _ => format!("{}: ok, {}\n", subject(args, surroundings), summary(&config)),
    };
    Ok(Checked { config, warnings, report })
}

fn subject(args: &CheckArgs, surroundings: &dyn Surroundings) -> String {
    let file = args.file.as_ref().map(|file| file.display().to_string());
    let file = file.or_else(|| surroundings.env(CONFIG_ENV).filter(|file| !file.is_empty()));
    file.unwrap_or_else(|| "flags and environment".to_owned())
}

/// `2 clusters: prod (b1:9092, b2:9092), test (t1:9092)`.
fn summary(config: &Config) -> String {
    let shown: Vec<String> = config
        .clusters
        .iter()
        .map(|cluster| {
            let servers = cluster.bootstrap_servers.join(", ");
            cluster.name.as_ref().map_or(servers.clone(), |name| format!("{name} ({servers})"))
        })
        .collect();
    let noun = if shown.len() == 1 { "cluster" } else { "clusters" };
    format!("{} {noun}: {}", shown.len(), shown.join(", "))
}
