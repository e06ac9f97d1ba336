//! Which metrics and labels an expression may name: the catalogue's, what rules record, and a short list of others' metrics.

use std::collections::{BTreeMap, BTreeSet};

use kafkascope::metrics::catalogue::{ALL, CLUSTER_LABEL, Kind};

use crate::promql;

/// Labels that Prometheus, or who sets it up, gives to every series of a target.
pub(crate) const TARGET_LABELS: &[&str] = &["job", "instance", "namespace", "pod", "container", "service", "endpoint"];

/// Metrics of others, with their own labels.
const OTHERS: &[(&str, &[&str])] = &[
    ("up", &[]),
    ("scrape_samples_scraped", &[]),
    ("scrape_duration_seconds", &[]),
    ("ALERTS", &["alertname", "alertstate", "severity"]),
    ("ALERTS_FOR_STATE", &["alertname", "severity"]),
    ("container_spec_memory_limit_bytes", &["container", "pod", "image", "name"]),
    ("container_memory_working_set_bytes", &["container", "pod", "image", "name"]),
    // What applications may observe: no exporter can.
    ("end_to_end_latency_seconds_bucket", &["le"]),
];

/// Every metric with its labels, those of its target left out.
#[derive(Clone, Debug)]
pub(crate) struct KnownMetrics(BTreeMap<String, BTreeSet<String>>);

impl KnownMetrics {
    /// The catalogue's series, a histogram's three included, and those of others.
    pub(crate) fn new() -> Self {
        let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for family in ALL {
            let cluster = family.origin.per_cluster.then_some(CLUSTER_LABEL);
            let labels = || cluster.into_iter().chain(family.labels.iter().copied()).map(str::to_owned);
            if family.kind == Kind::Histogram {
                known.insert(format!("{}_bucket", family.name), labels().chain(["le".to_owned()]).collect());
                known.insert(format!("{}_sum", family.name), labels().collect());
                known.insert(format!("{}_count", family.name), labels().collect());
            } else {
                known.insert(family.name.to_owned(), labels().collect());
            }
        }
        for (name, labels) in OTHERS {
            known.insert((*name).to_owned(), labels.iter().map(|label| (*label).to_owned()).collect());
        }
        // Alerts carry the labels of what they are about.
        let all: BTreeSet<String> = known.values().flatten().cloned().collect();
        for name in ["ALERTS", "ALERTS_FOR_STATE"] {
            known.entry(name.to_owned()).or_default().extend(all.clone());
        }
        Self(known)
    }

    /// Adds what rules record: (name, expression, labels that the rule adds), in any order.
    pub(crate) fn with_recorded<'a>(
        mut self,
        rules: impl IntoIterator<Item = (&'a str, &'a str, Vec<&'a str>)>,
    ) -> Self {
        let rules: Vec<_> = rules.into_iter().collect();
        for (name, _, added) in &rules {
            self.0.entry((*name).to_owned()).or_default().extend(added.iter().map(|label| (*label).to_owned()));
        }
        // A recorded series has at most the labels of what it is made of, which may be recorded itself.
        let count = |known: &Self| -> usize { known.0.values().map(BTreeSet::len).sum() };
        loop {
            let before = count(&self);
            for (name, expression, _) in &rules {
                let labels = promql::read(expression).map(|read| self.labels_in(&read)).unwrap_or_default();
                let labels = if is_constant_limit(name, expression) { self.labels_in_groups() } else { labels };
                self.0.entry((*name).to_owned()).or_default().extend(labels);
            }
            if before == count(&self) {
                return self;
            }
        }
    }

    /// What a limit on groups by topic is made of where a user sets one of its own.
    fn labels_in_groups(&self) -> BTreeSet<String> {
        self.0.get("kafkascope:consumergroup_topic:known").cloned().unwrap_or_default()
    }

    /// The labels that the series of an expression may have, those of the target included.
    pub(crate) fn labels_of(&self, expression: &str) -> BTreeSet<String> {
        let of_metrics = promql::read(expression).map(|read| self.labels_in(&read)).unwrap_or_default();
        of_metrics.into_iter().chain(TARGET_LABELS.iter().map(|label| (*label).to_owned())).collect()
    }

    fn labels_in(&self, read: &promql::Expression) -> BTreeSet<String> {
        let of_metrics = read.metrics().into_iter().filter_map(|metric| self.0.get(metric)).flatten();
        of_metrics.chain(&read.made).cloned().collect()
    }

    /// What of an expression does not exist, in words; empty: all does.
    pub(crate) fn complaints(&self, expression: &str) -> Vec<String> {
        let read = match promql::read(expression) {
            Ok(read) => read,
            Err(error) => return vec![error],
        };
        let mut complaints = Vec::new();
        for selector in &read.selectors {
            let Some(metric) = &selector.metric else {
                complaints.push("series are chosen without naming their metric".to_owned());
                continue;
            };
            let Some(labels) = self.0.get(metric) else {
                complaints.push(format!("there is no metric {metric}"));
                continue;
            };
            let unknown = selector.labels.iter().filter(|label| !is_target(label) && !labels.contains(*label));
            complaints.extend(unknown.map(|label| format!("{metric} has no label {label}")));
        }
        let labels = self.labels_in(&read);
        let unknown = read.labels.iter().filter(|label| !is_target(label) && !labels.contains(*label));
        complaints.extend(unknown.map(|label| format!("none of its metrics has a label {label}")));
        complaints
    }
}

/// Whether a limit has, as shipped, one series without labels: those that users add have some.
fn is_constant_limit(name: &str, expression: &str) -> bool {
    name.ends_with(":limit") && promql::read(expression).is_ok_and(|read| read.selectors.is_empty())
}

fn is_target(label: &str) -> bool {
    TARGET_LABELS.contains(&label)
}

#[test]
fn known_metrics_are_those_that_exist() {
    let recorded = [
        ("k:sum", "sum by (topic, made) (k:part)", vec![]),
        ("k:part", "kafka_topic_partitions", vec!["made"]),
        ("k:limit", "vector(3)", vec![]),
        ("k:constant", "vector(3)", vec![]),
        ("kafkascope:consumergroup_topic:known", "kafka_consumergroup_lag_sum", vec![]),
    ];
    let known = KnownMetrics::new().with_recorded(recorded);
    let well = [
        "sum by (job, cluster_name, topic) (kafka_topic_partitions{topic=~\"$topic\"})",
        "rate(kafkascope_pass_duration_seconds_bucket{le=\"1\"}[5m])",
        "k:sum{topic=\"x\", made=\"1\"} > on (cluster_name) up",
        "scalar(k:limit{consumergroup=\"\", topic=\"\"})",
    ];
    for expression in well {
        assert_eq!(known.complaints(expression), Vec::<String>::new(), "{expression}");
    }
    let amiss = [
        ("kafka_topic_partition", "there is no metric kafka_topic_partition"),
        ("k:none", "there is no metric k:none"),
        ("k:constant{topic=\"\"}", "k:constant has no label topic"),
        ("kafkascope_pass_duration_seconds", "there is no metric kafkascope_pass_duration_seconds"),
        ("kafka_topic_partitions{partition=\"0\"}", "kafka_topic_partitions has no label partition"),
        ("sum by (group) (kafka_consumergroup_members)", "none of its metrics has a label group"),
        ("sum({job=\"x\"})", "series are chosen without naming their metric"),
    ];
    for (expression, complaint) in amiss {
        assert_eq!(known.complaints(expression), [complaint], "{expression}");
    }
}
