//! The rule files of `alerts/`, their unit tests and runbooks, as they lie in the repository.

use std::path::{Path, PathBuf};

use kafkascope::rules::{Rule, RuleFile, Source};

use crate::known_metrics::KnownMetrics;

/// A path below `alerts/`.
pub(crate) fn alerts(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts").join(path)
}

/// The files of a directory below `alerts/` that have this extension, by name. There is at least one.
#[track_caller]
pub(crate) fn files(directory: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(alerts(directory)).unwrap_or_else(|error| panic!("alerts/{directory}: {error}"));
    let paths = entries.map(|entry| entry.expect("an entry of a directory").path());
    let mut files: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|found| found == extension) && !is_hidden(path)).collect();
    files.sort();
    assert!(!files.is_empty(), "alerts/{directory} has no .{extension}");
    files
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// The paths of every rule file, those that are switched on by choice included.
#[track_caller]
pub(crate) fn rule_paths() -> Vec<PathBuf> {
    files("rules", "yml").into_iter().chain(files("optional", "yml")).collect()
}

/// Every rule file.
#[track_caller]
pub(crate) fn rule_files() -> Vec<RuleFile> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a rule file");
        RuleFile::read(Source { name: &path.to_string_lossy(), text: &text }).unwrap_or_else(|error| panic!("{error}"))
    };
    rule_paths().into_iter().map(read).collect()
}

/// What expressions may name, with all that the rules record.
#[track_caller]
pub(crate) fn known_metrics() -> KnownMetrics {
    let files = rule_files();
    let recording = files.iter().flat_map(RuleFile::rules).filter_map(|rule: &Rule| {
        let labels = rule.labels.keys().map(String::as_str).collect();
        Some((rule.record.as_deref()?, rule.expr.as_str(), labels))
    });
    KnownMetrics::new().with_recorded(recording)
}
