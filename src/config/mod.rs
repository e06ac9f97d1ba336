//! Text to checked settings: every error with the file, line and field it stands in, all at once.
//!
//! The way of a setting: `yaml` makes a tree with positions, `interpolate` fills in variables,
//! `shape` compares it with the [`schema`], `overlay` lays variables and flags over it, and
//! `check` makes the values of [`Config`] from what is left. Nothing here touches the network.

mod check;
mod cluster;
mod digest;
mod error;
mod filter;
mod interpolate;
mod keys;
mod librdkafka;
mod overlay;
mod polling;
mod reference;
pub mod schema;
mod secret;
mod shape;
mod tracking;
mod tree;
mod types;
mod values;
mod yaml;

#[cfg(test)]
pub(crate) mod tests;

use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

pub use check::{MAX_CLUSTERS, MAX_CONNECTIONS_RANGE, WEB_TIMEOUT_RANGE};
pub use cluster::{
    CONNECTIONS_PER_BROKER_RANGE, MAX_BOOTSTRAP_SERVERS, MAX_KAFKA_PROPERTIES, MAX_LABELS_PER_CLUSTER,
    MAX_PATTERNS_PER_FILTER, MAX_PEM_BYTES, MAX_SECRET_BYTES, MAX_SERIES_RANGE, SAMPLE_PARTITIONS_RANGE,
};
pub use digest::ContentDigest;
pub use error::{ConfigError, MAX_ERRORS, Origin, Place, Warning};
pub use filter::NameFilter;
pub use interpolate::MAX_VALUE_BYTES;
pub use overlay::Setting;
pub use polling::{
    Budget, CPU_PERCENT_RANGE, ClusterPolling, INTERVAL_RANGE, MAX_AGE_RANGE, MAX_IN_FLIGHT_RANGE,
    MAX_POLLING_OVERRIDES, Polling, PollingMode, PollingOverride, REQUEST_TIMEOUT_RANGE, REQUESTS_RANGE,
    STUCK_AFTER_RANGE,
};
pub use reference::reference_markdown;
pub use secret::{HIDDEN, Properties, Secret};
pub use tracking::{
    ABANDONED_AFTER_RANGE, ALLOWED_LAG_RANGE, CommitSource, GroupOverride, Isolation, MARKER_SLACK_RANGE,
    MAX_OVERRIDES, MIN_DISTANCE_RANGE, STATUS_INTERVALS_RANGE, Status, TimeLag, TopicOverride,
};
pub use types::{
    Cluster, Collectors, Config, Granularity, GroupSettings, Listen, LocalBroker, LogFormat, LogSettings, Sasl,
    SaslMechanism, Scope, Tls, TopicSettings, Web,
};
pub use values::{GROUP_STATES, MAX_LABEL_VALUE_BYTES, MAX_PATTERN_BYTES, OWN_LABELS};
pub use yaml::{MAX_DEPTH, MAX_NODES};

use error::{Problems, ValueError};
use tree::{Node, Value};

/// The largest config file.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// What the configuration takes from its process; tests stand in for it.
pub trait Surroundings {
    /// The value of an environment variable.
    fn env(&self, name: &str) -> Option<String>;

    /// The content of a file.
    ///
    /// # Errors
    /// When it cannot be read, or is larger than `limit` bytes.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// Whether the path is that of a regular file: what is read from a pipe is gone for the next reader.
    fn is_file(&self, path: &Path) -> bool;

    /// Whether the path is that of a directory.
    fn is_directory(&self, path: &Path) -> bool;

    /// What librdkafka has against one of its properties; `None` when it takes it.
    fn property_fault(&self, name: &str, value: &str) -> Option<String>;
}

/// The environment and the file system of this process, and the librdkafka that is built in.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Asks librdkafka about a property: this room does not know it.
    pub property_fault: fn(&str, &str) -> Option<String>,
}

impl Surroundings for Process {
    fn property_fault(&self, name: &str, value: &str) -> Option<String> {
        (self.property_fault)(name, value)
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn env(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        std::fs::File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut content)?;
        if u64::try_from(content.len()).is_ok_and(|length| length > limit) {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("is larger than {limit} bytes")));
        }
        Ok(content)
    }
}

/// A configuration that can be used, and what is odd about it.
pub type Resolved = (Config, Vec<Warning>);

/// Makes the configuration from a file, if there is one, and the settings over it, lowest precedence first.
///
/// # Errors
/// Everything that is wrong, in the order of the file and then of the settings.
pub fn resolve(
    file: Option<&Path>,
    settings: &[Setting],
    surroundings: &dyn Surroundings,
) -> Result<Resolved, Vec<ConfigError>> {
    let mut problems = Problems::default();
    let mut root = match file {
        Some(path) => match load(path, surroundings, &mut problems) {
            Some(root) => root,
            None => return Err(problems.into_errors()),
        },
        None => Node::new(Value::Null, Origin::Default),
    };
    shape::check(&root, &mut problems);
    overlay::apply(&mut root, settings, &mut problems);
    let config = check::check(&root, surroundings, &mut problems);
    if problems.is_clean() { Ok((config, problems.into_warnings())) } else { Err(problems.into_errors()) }
}

/// A duration as it is written in the configuration, for flags that are no settings.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn duration(text: &str, range: RangeInclusive<std::time::Duration>) -> Result<std::time::Duration, String> {
    values::duration(text, range).map_err(|error| error.to_string())
}

/// Reads and parses a file and fills in its variables.
fn load(path: &Path, surroundings: &dyn Surroundings, problems: &mut Problems) -> Option<Node> {
    let file: Arc<str> = path.display().to_string().into();
    let place = || Place { origin: Origin::Document { file: file.clone() }, path: String::new() };
    let content = match surroundings.read(path, MAX_FILE_BYTES) {
        Ok(content) => content,
        Err(error) => {
            let what = format!("the config file {}", read_reason(&error));
            problems.error(place(), ValueError::new(what, "check the path and who may read it"));
            return None;
        }
    };
    let Ok(text) = String::from_utf8(content) else {
        problems.error(place(), ValueError::new("the config file is not UTF-8 text", "save it as UTF-8"));
        return None;
    };
    let mut root = yaml::parse(&file, &text, problems)?;
    interpolate::expand_tree(&mut root, "", &|name| surroundings.env(name), problems);
    Some(root)
}

/// Why a file cannot be read, to stand after its name.
fn read_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read (permission denied)".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory, not a file".to_owned(),
        io::ErrorKind::FileTooLarge => error.to_string(),
        _ => format!("cannot be read: {error}"),
    }
}

/// The configuration as a YAML file that says all of it; secrets are shown as [`HIDDEN`].
///
/// # Errors
/// Never in practice: every part of a configuration can be written as YAML.
pub fn effective_yaml(config: &Config) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(config)
}
