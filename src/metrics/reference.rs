//! The catalogue for people and programs: markdown for the README, JSON for scripts.

use std::fmt::Write;

use serde::Serialize;

use super::catalogue::{ALL, CLUSTER_LABEL, Family};

/// One family in the JSON reference.
#[derive(Debug, Serialize)]
struct Entry {
    name: &'static str,
    r#type: &'static str,
    labels: Vec<&'static str>,
    collector: &'static str,
    per_partition: bool,
    help: &'static str,
}

fn labels(family: &Family) -> Vec<&'static str> {
    let cluster = family.origin.per_cluster.then_some(CLUSTER_LABEL);
    cluster.into_iter().chain(family.labels.iter().copied()).collect()
}

/// The catalogue as a JSON array, ordered as the exposition. `cluster_name` is there where clusters have names.
///
/// # Errors
/// When serialisation fails, which plain strings do not.
pub fn json() -> Result<String, serde_json::Error> {
    let entries: Vec<Entry> = ALL
        .iter()
        .map(|family| Entry {
            name: family.name,
            r#type: family.kind.as_str(),
            labels: labels(family),
            collector: family.collector(),
            per_partition: family.is_per_partition(),
            help: family.help,
        })
        .collect();
    serde_json::to_string_pretty(&entries)
}

/// The catalogue as markdown tables: what Kafka told, then what the exporter says of itself.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    let (kafka, exporter): (Vec<&Family>, Vec<&Family>) =
        ALL.iter().copied().partition(|family| family.origin.collector.is_some());
    out.push_str(
        "#### Kafka\n\nEvery series has `cluster_name`, where clusters have names, and the cluster's constant ",
    );
    out.push_str("labels before the labels below.\nFamilies with a label `partition` are left out at granularity ");
    out.push_str("`topic`; families of a collector that is switched off are absent.\n\n");
    table(&kafka, &mut out);
    out.push_str("\n#### The exporter itself\n\n");
    table(&exporter, &mut out);
    out
}

fn table(families: &[&Family], out: &mut String) {
    out.push_str("| name | type | labels | collector | meaning |\n|---|---|---|---|---|\n");
    for family in families {
        let mut labels = family.labels.join(", ");
        if labels.is_empty() {
            labels.push('–');
        }
        if family.origin.collector.is_none() && family.origin.per_cluster {
            labels = match family.labels {
                [] => CLUSTER_LABEL.to_owned(),
                _ => format!("{CLUSTER_LABEL}, {labels}"),
            };
        }
        let (name, kind, collector) = (family.name, family.kind.as_str(), family.collector());
        // Writing into a string cannot fail.
        let _ = writeln!(out, "| `{name}` | {kind} | {labels} | {collector} | {} |", family.help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_every_family_once() {
        let (markdown, json) = (markdown(), json().unwrap_or_default());
        let parsed: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap_or_default();
        assert_eq!(parsed.len(), ALL.len());
        for family in ALL {
            assert_eq!(markdown.matches(&format!("| `{}` |", family.name)).count(), 1, "{}", family.name);
            assert_eq!(parsed.iter().filter(|entry| entry["name"] == family.name).count(), 1, "{}", family.name);
        }
    }

    #[test]
    fn no_cell_breaks_its_table() {
        for line in markdown().lines().filter(|line| line.starts_with('|')) {
            assert_eq!(line.matches('|').count(), 6, "{line}");
        }
    }
}
