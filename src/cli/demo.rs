//! `kafkascope demo`: the daemon against a simulated cluster.

use super::flags::{SettingFlags, Surface};
use crate::config::{self, ConfigError, Origin, Resolved, Setting, Surroundings, schema};

/// Where the demo listens unless told otherwise: on this machine only.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:9308";

/// The demo's bounds of intervals unless told otherwise: short, so that there is something to see.
pub const DEFAULT_INTERVALS: [&str; 2] = ["1s", "5s"];

/// Arguments of `demo`.
#[derive(Clone, Debug, clap::Args)]
#[command(mut_arg("listen", |arg| arg.help("Address to serve HTTP on [default: 127.0.0.1:9308] [env: KAFKASCOPE_LISTEN]")))]
#[command(mut_arg("min-interval", |arg| arg.help("The shortest interval of the adaptive mode [default: 1s] [env: KAFKASCOPE_MIN_INTERVAL]")))]
#[command(mut_arg("max-interval", |arg| arg.help("The longest interval of the adaptive mode [default: 5s] [env: KAFKASCOPE_MAX_INTERVAL]")))]
pub struct DemoArgs {
    /// Flags of single settings.
    #[command(flatten)]
    pub settings: SettingFlags<Surface>,
}

impl DemoArgs {
    /// The configuration for a simulated cluster at these addresses. Config files and the
    /// variables that name a real cluster do not count.
    ///
    /// # Errors
    /// Everything that is wrong in the flags and variables that do count.
    pub fn resolve(
        &self,
        bootstrap_servers: &[String],
        surroundings: &dyn Surroundings,
    ) -> Result<Resolved, Vec<ConfigError>> {
        let fixed = [
            ("web.listen", vec![DEFAULT_LISTEN.to_owned()]),
            ("polling.min_interval", vec![DEFAULT_INTERVALS[0].to_owned()]),
            ("polling.max_interval", vec![DEFAULT_INTERVALS[1].to_owned()]),
            ("clusters[].bootstrap_servers", bootstrap_servers.to_vec()),
        ];
        let fixed = fixed
            .into_iter()
            .filter_map(|(path, values)| Some(Setting { key: schema::find(path)?, origin: Origin::Default, values }));
        let mut settings: Vec<Setting> = fixed.collect();
        settings.extend(self.settings.settings(surroundings));
        config::resolve(None, &settings, surroundings)
    }
}
