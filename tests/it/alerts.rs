//! What `alerts/` holds together: rules, texts, runbooks, unit tests, the tables of its README.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use kafkascope::metrics::catalogue::CLUSTER_LABEL;
use kafkascope::rules::{RUNBOOKS, Rule, RuleFile};

use crate::hurried::milliseconds;
use crate::process::mortal;
use crate::rule_files::{alerts, files, known_metrics, rule_files, rule_paths};
use crate::rule_tests::{self, Observed};
use crate::tools::installed;

/// The longest summary: what a pager shows.
const MAX_SUMMARY: usize = 300;

/// Runs a checker to its end in `alerts/`.
#[track_caller]
fn accepted(program: &str, arguments: &[&str], files: &[PathBuf]) {
    let output = mortal(installed(program)).args(arguments).args(files).current_dir(alerts("")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{said}", output.status);
}

fn alerting(files: &[RuleFile]) -> impl Iterator<Item = (&str, &Rule)> {
    files.iter().flat_map(RuleFile::rules).filter_map(|rule| Some((rule.alert.as_deref()?, rule)))
}

#[test]
fn alerts_prometheus_reads_every_rule_file() {
    accepted("KAFKASCOPE_TEST_PROMTOOL", &["check", "rules", "--lint=all", "--lint-fatal"], &rule_paths());
}

#[test]
fn alerts_unit_tests_pass() {
    // Beside one another: a file takes seconds.
    std::thread::scope(|scope| {
        for file in files("tests", "yml") {
            scope.spawn(move || accepted("KAFKASCOPE_TEST_PROMTOOL", &["test", "rules"], &[file]));
        }
    });
}

#[test]
fn alerts_alertmanager_reads_its_configuration() {
    accepted("KAFKASCOPE_TEST_AMTOOL", &["check-config"], &[alerts("alertmanager.yml")]);
}

#[test]
fn alerts_tell_what_a_person_needs() {
    let (known, mut faults, files) = (known_metrics(), String::new(), rule_files());
    for (name, rule) in alerting(&files) {
        let mut fault = |what: &str| {
            let _ = writeln!(faults, "{name}: {what}");
        };
        let annotation = |key: &str| rule.annotations.get(key).map_or("", String::as_str).trim();
        if !name.starts_with("Kafka") {
            fault("is named neither Kafka… nor Kafkascope…");
        }
        if !matches!(rule.labels.get("severity").map(String::as_str), Some("critical" | "warning" | "info")) {
            fault("has no severity that is critical, warning or info");
        }
        let summary = annotation("summary");
        if summary.is_empty() || summary.contains('\n') || summary.len() > MAX_SUMMARY {
            fault("has no summary of one line");
        }
        let is_of_cluster = !name.starts_with("Kafkascope") && known.labels_of(&rule.expr).contains(CLUSTER_LABEL);
        if is_of_cluster && !summary.contains("$labels.cluster_name") {
            fault("has a summary that does not name the cluster");
        }
        if annotation("description").is_empty() || annotation("description") == summary {
            fault("has no description");
        }
        if annotation("runbook_url") != format!("{RUNBOOKS}{name}.md") {
            fault("has a runbook_url that is not that of its page");
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

#[test]
fn alerts_have_a_runbook_each_and_no_runbook_is_without_alert() {
    let rules = rule_files();
    let named: BTreeSet<String> = alerting(&rules).map(|(name, _)| name.to_owned()).collect();
    let pages = files("runbooks", "md");
    let names: BTreeSet<String> = pages.iter().map(|page| stem(page)).collect();
    assert_eq!(named.difference(&names).collect::<Vec<_>>(), Vec::<&String>::new(), "alerts without a page");
    assert_eq!(names.difference(&named).collect::<Vec<_>>(), Vec::<&String>::new(), "pages without an alert");
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        assert_eq!(text.lines().next(), Some(format!("# {}", stem(&page)).as_str()), "{}", page.display());
        for title in ["What it means", "How to check", "What to do", "What usually causes it"] {
            assert!(text.contains(&format!("\n## {title}\n")), "{} has no section `{title}`", page.display());
        }
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[test]
fn alerts_name_metrics_and_labels_that_exist() {
    let (known, mut faults, files) = (known_metrics(), String::new(), rule_files());
    for rule in files.iter().flat_map(RuleFile::rules) {
        let name = rule.alert.as_deref().or(rule.record.as_deref()).unwrap_or_default();
        let queries = rule.annotations.values().flat_map(|text| queries_in(text));
        for expression in [rule.expr.clone()].into_iter().chain(queries) {
            for complaint in known.complaints(&expression) {
                let _ = writeln!(faults, "{name}: {complaint}: {expression}");
            }
        }
        let labels = known.labels_of(&rule.expr);
        for text in rule.annotations.values() {
            for label in labels_in(text).filter(|label| !labels.contains(label) && !rule.labels.contains_key(label)) {
                let _ = writeln!(faults, "{name}: its series have no label {label}: {text}");
            }
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

/// The texts within a template that are handed to `query`: those that name a metric. What `printf` puts in is a text.
fn queries_in(template: &str) -> Vec<String> {
    let actions = template.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0));
    let texts = actions.filter(|action| action.contains("query")).flat_map(|action| {
        let quote = if action.contains('`') { '`' } else { '"' };
        action.split(quote).skip(1).step_by(2)
    });
    texts.map(|text| text.replace("\\\"", "\"").replace("%q", "\"x\"").replace("%s", "x")).collect()
}

/// The labels that a template names as `$labels.…`.
fn labels_in(template: &str) -> impl Iterator<Item = String> {
    let is_of_name = |char: &char| char.is_ascii_alphanumeric() || *char == '_';
    template.split("$labels.").skip(1).map(move |rest| rest.chars().take_while(is_of_name).collect())
}

#[test]
fn alerts_are_each_tested_to_fire_and_to_resolve() {
    let observed: Vec<Observed> = files("tests", "yml").iter().flat_map(|path| rule_tests::observed(path)).collect();
    let mut faults = String::new();
    let files = rule_files();
    for (name, rule) in alerting(&files) {
        let severity = rule.labels.get("severity").cloned().unwrap_or_default();
        let alert = (name.to_owned(), severity);
        let seen = [
            (observed.iter().any(|test| test.fires(&alert)), "fires"),
            (observed.iter().any(|test| test.begins(&alert)), "does not fire at first, then does"),
            (observed.iter().any(|test| test.resolves(&alert)), "fires, then does not any more"),
            (observed.iter().any(|test| test.worded.contains(name)), "is compared with its texts (alert_rule_test)"),
        ];
        if let Some((_, what)) = seen.iter().find(|(is_seen, _)| !is_seen) {
            let _ = writeln!(faults, "{name} ({}): there is no unit test in which it {what}", alert.1);
        }
    }
    assert!(faults.is_empty(), "{faults}");
}

/// How long an alert's rules keep it at least, in milliseconds.
#[track_caller]
fn kept(files: &[RuleFile], alert: &str) -> u64 {
    let rules = alerting(files).filter(|(name, _)| *name == alert).map(|(_, rule)| rule);
    let kept = rules.map(|rule| rule.keep_firing_for.as_deref().and_then(milliseconds).unwrap_or(0)).min();
    kept.unwrap_or_else(|| panic!("there is no {alert}"))
}

/// When the exporter dies its series end, and with them what is told of Kafka: by then KafkascopeDown has to fire, for that
/// keeps Alertmanager from telling that all is well.
#[test]
fn alerts_on_kafka_outlive_a_dead_exporter() {
    let files = rule_files();
    let (_, down) = alerting(&files).find(|(name, _)| *name == "KafkascopeDown").unwrap();
    let dead_for = down.pending_for.as_deref().and_then(milliseconds).unwrap();
    let critical = alerting(&files).filter(|(name, rule)| {
        !name.starts_with("Kafkascope") && rule.labels.get("severity").is_some_and(|severity| severity == "critical")
    });
    let short: BTreeSet<&str> = critical.map(|(name, _)| name).filter(|name| kept(&files, name) <= dead_for).collect();
    assert!(short.is_empty(), "kept no longer than the {dead_for} ms of KafkascopeDown: {short:?}");
}

/// Of these each keeps the following ones quiet (alertmanager.yml), which come from it and end with it: it is kept for longer,
/// or they would be told of when all is over.
const OUTLIVES: [(&str, &[&str]); 3] = [
    ("KafkaClusterUnreachable", &["KafkaBrokerDown", "KafkascopeCollectorFailing", "KafkascopeBreakerOpen"]),
    ("KafkaBrokerDown", &["KafkascopeCollectorFailing", "KafkascopeBreakerOpen", "KafkascopeCommitStreamNotStreaming"]),
    ("KafkascopeSnapshotNotFresh", &["KafkascopeTaskStuck", "KafkascopeCollectorFailing"]),
];

#[test]
fn alerts_are_kept_quiet_until_they_are_over() {
    let files = rule_files();
    for (source, targets) in OUTLIVES {
        for target in targets {
            assert!(kept(&files, source) > kept(&files, target), "{target} outlives {source}");
        }
    }
}

/// The cells of an alert's row in the README that are told by its rules: severity, `for`, `keep_firing_for`.
type Cells = [String; 3];

#[test]
fn alerts_tables_of_the_readme_are_those_of_the_rules() {
    let files = rule_files();
    let mut expected: BTreeMap<String, Vec<&Rule>> = BTreeMap::new();
    for (name, rule) in alerting(&files) {
        expected.entry(name.to_owned()).or_default().push(rule);
    }
    let expected: BTreeMap<String, Cells> = expected.into_iter().map(|(name, rules)| (name, cells(&rules))).collect();
    let readme = std::fs::read_to_string(alerts("README.md")).unwrap();
    let rows: Vec<(String, Cells)> = readme.lines().filter_map(row).collect();
    let mut faults = String::new();
    for (name, cells) in &rows {
        match expected.get(name) {
            None => writeln!(faults, "{name} is in a table and is no alert"),
            Some(expected) if expected != cells => writeln!(faults, "{name}: {cells:?} should be {expected:?}"),
            Some(_) => Ok(()),
        }
        .unwrap();
    }
    for (name, cells) in &expected {
        match rows.iter().filter(|(row, _)| row == name).count() {
            0 => writeln!(faults, "{name} is in no table: {cells:?}").unwrap(),
            1 => {}
            count => writeln!(faults, "{name} has {count} rows").unwrap(),
        }
    }
    assert!(faults.is_empty(), "alerts/README.md, [severity, for, keep]:\n{faults}");
}

/// What the rules of one alert have, separated by commas where they differ.
fn cells(rules: &[&Rule]) -> Cells {
    let joined = |cell: fn(&Rule) -> Option<&String>| {
        let mut values: Vec<&str> = rules.iter().map(|rule| cell(rule).map_or("", String::as_str)).collect();
        values.dedup();
        values.join(", ")
    };
    [
        joined(|rule| rule.labels.get("severity")),
        joined(|rule| rule.pending_for.as_ref()),
        joined(|rule| rule.keep_firing_for.as_ref()),
    ]
}

/// A row `| [Alert](runbooks/Alert.md) | severity | when | for | keep |`.
fn row(line: &str) -> Option<(String, Cells)> {
    let (name, rest) = line.strip_prefix("| [Kafka")?.split_once("](runbooks/")?;
    let name = format!("Kafka{name}");
    let cells: Vec<&str> = rest.split('|').map(str::trim).collect();
    match cells.as_slice() {
        [link, severity, when, pending_for, keep, ""] if *link == format!("{name}.md)") && !when.is_empty() => {
            Some((name, [severity, pending_for, keep].map(|cell| (*cell).to_owned())))
        }
        _ => panic!("a row of another form: {line}"),
    }
}
