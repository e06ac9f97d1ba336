//! Checks the whole tree: sections, ranges, and what must fit together.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Surroundings;
use super::cluster;
use super::error::{Origin, Place, Problems, ValueError};
use super::polling::{self, Chosen};
use super::tracking;
use super::tree::{Field, Node, Value};
use super::types::{Cluster, Config, LogFormat, LogSettings, Web};
use super::values;

/// The most clusters of one exporter.
pub const MAX_CLUSTERS: usize = 100;
/// Shortest and longest time-outs of the HTTP server.
pub const WEB_TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);
/// Fewest and most HTTP connections.
pub const MAX_CONNECTIONS_RANGE: RangeInclusive<usize> = 1..=10_000;

/// Checks every section and what must fit together; errors are kept in `problems`.
pub(crate) fn check(root: &Node, surroundings: &dyn Surroundings, problems: &mut Problems) -> Config {
    let mut checker = Checker { surroundings, problems };
    let root = Field { node: Some(root), path: String::new() };
    let web = checker.web(&root.field("web"));
    let chosen = polling::polling(&mut checker, &root.field("polling"));
    Config {
        web,
        budget: polling::budget(&mut checker, &root.field("budget")),
        state_file: checker.state_file(&root.field("state_file")),
        status: tracking::status(&mut checker, &root.field("status")),
        log: checker.log(&root.field("log")),
        clusters: checker.clusters(&root.field("clusters"), &chosen),
        polling: chosen.polling,
    }
}

/// The checks' access to the outside, and where they leave what they find.
pub(crate) struct Checker<'a> {
    surroundings: &'a dyn Surroundings,
    problems: &'a mut Problems,
}

impl Checker<'_> {
    pub(crate) fn error(&mut self, field: &Field<'_>, error: ValueError) {
        self.problems.error(field.place(), error);
    }

    pub(crate) fn warn(&mut self, field: &Field<'_>, what: &str) {
        self.problems.warn(field.place(), what);
    }

    /// The value, or its error kept and `None`.
    pub(crate) fn take<T>(&mut self, field: &Field<'_>, result: Result<T, ValueError>) -> Option<T> {
        result.map_err(|error| self.error(field, error)).ok()
    }

    /// As [`Self::take`], for what stands elsewhere than the field's value, such as its key.
    pub(crate) fn take_at<T>(&mut self, origin: Origin, path: &str, result: Result<T, ValueError>) -> Option<T> {
        result.map_err(|error| self.problems.error(Place { origin, path: path.to_owned() }, error)).ok()
    }

    /// Parses a field's text, if it has one.
    pub(crate) fn parse<T>(&mut self, field: &Field<'_>, parse: impl Fn(&str) -> Result<T, ValueError>) -> Option<T> {
        let text = field.text()?;
        self.take(field, parse(text))
    }

    pub(crate) fn boolean(&mut self, field: &Field<'_>, default: bool) -> bool {
        self.parse(field, values::boolean).unwrap_or(default)
    }

    pub(crate) fn number(&mut self, field: &Field<'_>, default: usize, range: RangeInclusive<usize>) -> usize {
        self.parse(field, |text| values::number(text, range.clone())).unwrap_or(default)
    }

    pub(crate) fn seconds(&mut self, field: &Field<'_>, default: u64, range: RangeInclusive<Duration>) -> Duration {
        let parsed = self.parse(field, |text| values::duration(text, range.clone()));
        parsed.unwrap_or(Duration::from_secs(default))
    }

    pub(crate) fn limit(&mut self, field: &Field<'_>, count: usize, most: usize, what: &str) {
        if count > most {
            let error = ValueError::new(format!("{count} {what}, and at most {most} are allowed"), "use fewer");
            self.error(field, error);
        }
    }

    /// The content of a file that somebody else reads in earnest; `None` when it cannot be read, or only once.
    pub(crate) fn look_at_file(&self, path: &Path, limit: u64) -> Option<Vec<u8>> {
        self.surroundings.is_file(path).then(|| self.surroundings.read(path, limit).ok()).flatten()
    }

    /// What librdkafka has against a property, if anything.
    pub(crate) fn property_fault(&self, name: &str, value: &str) -> Option<String> {
        self.surroundings.property_fault(name, value)
    }

    /// Reads the file that a field names.
    pub(crate) fn read_file(&mut self, field: &Field<'_>, limit: u64) -> Option<(PathBuf, Vec<u8>)> {
        let text = field.text()?;
        if text.is_empty() {
            self.error(field, ValueError::new("the path is empty", "write the path of a file, or leave the key out"));
            return None;
        }
        let path = path_of(field, text);
        match self.surroundings.read(&path, limit) {
            Ok(content) => Some((path, content)),
            Err(error) => {
                let what = format!("{} {}", path.display(), super::read_reason(&error));
                self.error(field, ValueError::new(what, "check the path and who may read it"));
                None
            }
        }
    }

    /// A file that will be written: its directory must be there, so that a path with a slip in it is noticed.
    fn state_file(&mut self, field: &Field<'_>) -> Option<PathBuf> {
        let text = field.text()?;
        if text.is_empty() {
            self.error(field, ValueError::new("the path is empty", "write the path of a file, or leave the key out"));
            return None;
        }
        let path = path_of(field, text);
        if text.ends_with('/') || self.surroundings.is_directory(&path) {
            let what = format!("{} is a directory, not a file", path.display());
            self.error(field, ValueError::new(what, "write the path of a file in it, such as kafkascope.state"));
            return None;
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !self.surroundings.is_directory(directory) {
            let what = format!("there is no directory {}", directory.display());
            self.error(field, ValueError::new(what, "make it, writable for the exporter, or choose another path"));
            return None;
        }
        Some(path)
    }

    fn web(&mut self, section: &Field<'_>) -> Web {
        let listen = self.parse(&section.field("listen"), values::listen);
        let path = self.parse(&section.field("telemetry_path"), values::telemetry_path);
        Web {
            listen: listen.unwrap_or(super::types::Listen { host: None, port: 9308 }),
            telemetry_path: path.unwrap_or_else(|| "/metrics".to_owned()),
            max_connections: self.number(&section.field("max_connections"), 128, MAX_CONNECTIONS_RANGE),
            header_timeout: self.seconds(&section.field("header_timeout"), 10, WEB_TIMEOUT_RANGE),
            request_timeout: self.seconds(&section.field("request_timeout"), 30, WEB_TIMEOUT_RANGE),
            admin: self.boolean(&section.field("admin"), false),
        }
    }

    fn log(&mut self, section: &Field<'_>) -> LogSettings {
        LogSettings {
            format: self.parse(&section.field("format"), values::log_format).unwrap_or(LogFormat::Auto),
            level: self.parse(&section.field("level"), values::log_level).unwrap_or_else(|| "info".to_owned()),
        }
    }

    fn clusters(&mut self, field: &Field<'_>, polling: &Chosen) -> Vec<Cluster> {
        let items = match field.node.map(|node| &node.value) {
            Some(Value::List(items)) => items.len(),
            None | Some(Value::Null) => 0,
            // Wrong shapes have been reported.
            Some(_) => return Vec::new(),
        };
        if items == 0 {
            let advice = "give --bootstrap-servers HOST:PORT, which is enough, or clusters in a config file";
            self.error(field, ValueError::new("no Kafka cluster is given", advice));
        }
        self.limit(field, items, MAX_CLUSTERS, "clusters");
        let fields = field.items();
        self.names(&fields);
        let sections = fields.iter().take(MAX_CLUSTERS);
        sections
            .filter(|section| matches!(section.node.map(|node| &node.value), Some(Value::Map(_))))
            .map(|section| cluster::cluster(self, section, polling))
            .collect()
    }

    /// Names must differ, for they are what keeps the clusters' series apart.
    fn names(&mut self, clusters: &[Field<'_>]) {
        let mut first: HashMap<&str, &Field<'_>> = HashMap::new();
        for cluster in clusters {
            let name = cluster.field("name");
            match name.text() {
                Some(text) => {
                    if let Some(earlier) = first.get(text) {
                        let what = format!("the name '{text}' is that of {} too", earlier.path);
                        self.error(&name, ValueError::new(what, "give each cluster a name of its own"));
                    } else {
                        first.insert(text, cluster);
                    }
                }
                None if clusters.len() > 1 && !name.is_given() => {
                    let at = Field { node: cluster.node, path: name.path };
                    let what = "one of several clusters has no name";
                    self.error(&at, ValueError::new(what, "give it one: the label cluster_name tells clusters apart"));
                }
                None => {}
            }
        }
    }
}

/// Relative paths start where they were written: at the config file, or at the working directory.
fn path_of(field: &Field<'_>, text: &str) -> PathBuf {
    match field.place().origin {
        Origin::File { file, .. } => Path::new(file.as_ref()).parent().unwrap_or(Path::new("")).join(text),
        _ => PathBuf::from(text),
    }
}
