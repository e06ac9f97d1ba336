//! What the exporter should say, worked out from what Kafka's own admin client says, series by series.
//!
//! The rules are written down here a second time, as plainly as they can be, and from nothing of the exporter's source.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::Driver;
use crate::kafka::truth::{GroupTruth, PartitionTruth, TopicTruth, Truth};
use crate::wait::eventually;

/// How long the exporter may take until it says what Kafka says: several passes on a busy machine.
const SETTLES: Duration = Duration::from_secs(60);

/// How many differences are worth reading.
const SHOWN: usize = 20;

/// Families of what no admin client can tell at one time: they are made of what was seen before. Others test them.
const UNTOLD: [&str; 14] = [
    "kafka_consumergroup_catch_up_seconds",
    "kafka_consumergroup_commits_total",
    "kafka_consumergroup_consume_rate",
    "kafka_consumergroup_lag_seconds",
    "kafka_consumergroup_lag_velocity",
    "kafka_consumergroup_last_commit_timestamp_seconds",
    "kafka_consumergroup_max_lag_seconds",
    "kafka_consumergroup_oldest_unread_timestamp_seconds",
    "kafka_consumergroup_partition_status",
    "kafka_consumergroup_retention_headroom_seconds",
    "kafka_consumergroup_status",
    "kafka_consumergroup_topic_max_lag_seconds",
    "kafka_exporter_build_info",
    "kafka_topic_produce_rate",
];

/// Labels without the empty ones, which are none to Prometheus.
type Labels = BTreeMap<String, String>;

/// Series with their values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Series(BTreeMap<(String, Labels), f64>);

impl Series {
    fn put(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels = labels.iter().filter(|(_, value)| !value.is_empty());
        let labels = labels.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let again = self.0.insert((name.to_owned(), labels), value);
        assert!(again.is_none(), "{name} is worked out twice");
    }

    /// The series of the families that `keep` names.
    pub(crate) fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|((name, _), _)| keep(name)).map(|(key, value)| (key.clone(), *value)).collect())
    }

    /// What differs from `right`, in words: missing, too much, or of another value.
    pub(crate) fn differences(&self, right: &Self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for ((name, labels), value) in &right.0 {
            match self.0.get(&(name.clone(), labels.clone())) {
                None => all.push(format!("missing: {name}{labels:?} {value}")),
                Some(other) if other != value => all.push(format!("{name}{labels:?} is {other}, not {value}")),
                Some(_) => {}
            }
        }
        let extra = self.0.keys().filter(|key| !right.0.contains_key(*key));
        all.extend(extra.map(|(name, labels)| format!("too much: {name}{labels:?}")));
        all
    }

    /// The same with labels on every series, as a cluster's name and its constant labels are.
    pub(crate) fn with_labels(&self, constant: &[(&str, &str)]) -> Self {
        let constant = || constant.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let labelled = self.0.iter().map(|((name, labels), value)| {
            ((name.clone(), labels.clone().into_iter().chain(constant()).collect()), *value)
        });
        Self(labelled.collect())
    }

    /// What a scrape says of Kafka: the topics and groups that start with `prefix`, and whatever names neither.
    /// Of several clusters, the one whose series carry `constant`.
    pub(crate) fn scraped(exposition: &Exposition, prefix: &str, constant: &[(&str, &str)]) -> Self {
        let mut series = Self::default();
        for sample in &exposition.samples {
            let named = |label| sample.labels.get(label).is_none_or(|name: &String| name.starts_with(prefix));
            let here = constant.iter().all(|(name, value)| sample.label(name) == *value);
            let told = sample.name.starts_with("kafka_") && !UNTOLD.contains(&sample.name.as_str());
            if told && here && named("topic") && named("consumergroup") {
                let labels: Vec<_> =
                    sample.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                series.put(&sample.name, &labels, sample.value);
            }
        }
        series
    }

    /// What the exporter should say.
    pub(crate) fn of_truth(truth: &Truth) -> Self {
        Self::of_sample(truth, usize::MAX)
    }

    /// What it should say when it asks for the first so many partitions of a topic at most.
    pub(crate) fn of_sample(truth: &Truth, limit: usize) -> Self {
        let mut series = Self::default();
        series.cluster(truth);
        for (name, topic) in &truth.topics {
            series.topic(name, &topic.partitions, limit);
            series.settings(name, topic);
        }
        for (name, group) in &truth.groups {
            series.group(truth, name, group, limit);
        }
        series
    }

    fn cluster(&mut self, truth: &Truth) {
        self.put("kafka_up", &[], 1.0);
        self.put("kafka_cluster_info", &[("cluster_id", &truth.cluster_id)], 1.0);
        self.put("kafka_brokers", &[], count(truth.brokers.len()));
        for broker in &truth.brokers {
            let id = broker.id.to_string();
            let address = format!("{}:{}", broker.host, broker.port);
            let rack = broker.rack.as_deref().unwrap_or_default();
            self.put("kafka_broker_info", &[("id", &id), ("address", &address), ("rack", rack)], 1.0);
            self.put("kafka_broker_up", &[("id", &id)], 1.0);
        }
    }

    fn topic(&mut self, topic: &str, partitions: &[PartitionTruth], limit: usize) {
        let is_sampled = partitions.len() > limit;
        let (mut ends, mut starts) = (Some(0.0), Some(0.0));
        let mut unknown = 0;
        for row in partitions {
            let number = row.partition.to_string();
            let labels = [("topic", topic), ("partition", number.as_str())];
            let short = row.isr.len() < row.replicas.len();
            self.put("kafka_topic_partition_offline", &labels, flag(row.leader.is_none()));
            self.put("kafka_topic_partition_replicas", &labels, count(row.replicas.len()));
            self.put("kafka_topic_partition_in_sync_replica", &labels, count(row.isr.len()));
            self.put("kafka_topic_partition_under_replicated_partition", &labels, flag(short));
            if let Some(leader) = row.leader {
                self.put("kafka_topic_partition_leader", &labels, f64::from(leader));
                let preferred = row.replicas.first() == Some(&leader);
                self.put("kafka_topic_partition_leader_is_preferred", &labels, flag(preferred));
            }
            if is_sampled && is_outside(row.partition, limit) {
                continue;
            }
            for (name, offset, sum) in [
                ("kafka_topic_partition_current_offset", row.latest, &mut ends),
                ("kafka_topic_partition_oldest_offset", row.earliest, &mut starts),
            ] {
                *sum = sum.zip(offset.map(number_of)).map(|(sum, offset)| sum + offset);
                if let Some(offset) = offset {
                    self.put(name, &labels, number_of(offset));
                }
            }
            unknown += usize::from(row.latest.is_none() || row.earliest.is_none());
        }
        self.put("kafka_topic_partitions", &[("topic", topic)], count(partitions.len()));
        self.put("kafka_topic_unknown_partitions", &[("topic", topic)], count(unknown));
        let kind = if is_sampled { "sampled_sum" } else { "sum" };
        for (name, sum) in [("kafka_topic_current_offset", ends), ("kafka_topic_oldest_offset", starts)] {
            if let Some(sum) = sum {
                self.put(&format!("{name}_{kind}"), &[("topic", topic)], sum);
            }
        }
        if is_sampled {
            self.put("kafka_topic_sampled_partitions", &[("topic", topic)], count(limit));
        }
    }

    fn settings(&mut self, name: &str, topic: &TopicTruth) {
        let of_topic = [("topic", name)];
        let (age, policy) = (topic.number("retention.ms"), topic.configs.get("cleanup.policy"));
        if let Some(age) = age.filter(|age| *age >= 0.0 && policy.is_some_and(|policy| policy.contains("delete"))) {
            self.put("kafka_topic_retention_seconds", &of_topic, age / 1000.0);
        }
        let Some(least) = topic.number("min.insync.replicas") else { return };
        self.put("kafka_topic_min_insync_replicas", &of_topic, least);
        for row in &topic.partitions {
            let labels = [("topic", name), ("partition", &row.partition.to_string())];
            self.put("kafka_topic_partition_under_min_isr", &labels, flag(count(row.isr.len()) < least));
        }
    }

    fn group(&mut self, truth: &Truth, name: &str, group: &GroupTruth, limit: usize) {
        let named = ("consumergroup", name);
        let kind = group.kind.to_lowercase();
        let coordinator = group.coordinator.map(|id| id.to_string()).unwrap_or_default();
        let about = [named, ("type", &kind), ("protocol", &group.assignor), ("coordinator", &coordinator)];
        self.put("kafka_consumergroup_info", &about, 1.0);
        self.put("kafka_consumergroup_state", &[named, ("state", &group.state)], 1.0);
        self.put("kafka_consumergroup_members", &[named], count(group.members.len()));
        self.assignment(truth, name, group);
        let mut worst: Option<f64> = None;
        let topics: std::collections::BTreeSet<&str> = group.offsets.iter().map(|row| row.topic.as_str()).collect();
        let mut is_whole = true;
        for topic in topics {
            if truth.topics.get(topic).is_some_and(|topic| topic.partitions.len() > limit) {
                self.sampled_commits(truth, name, group, topic, limit);
                is_whole = false;
                continue;
            }
            let lags = self.commits(truth, name, group, topic);
            worst = lags.into_iter().chain(worst).reduce(f64::max);
        }
        if let Some(worst) = worst.filter(|_| is_whole) {
            self.put("kafka_consumergroup_max_lag", &[named], worst);
        }
    }

    fn assignment(&mut self, truth: &Truth, name: &str, group: &GroupTruth) {
        // By topic: members that hold a part of it, and partitions held.
        let mut held: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for member in &group.members {
            let mut own: BTreeMap<&str, usize> = BTreeMap::new();
            for partition in &member.assignment {
                *own.entry(&partition.topic).or_default() += 1;
            }
            for (topic, partitions) in own {
                let all = held.entry(topic).or_default();
                *all = (all.0 + 1, all.1 + partitions);
            }
        }
        for (topic, (members, assigned)) in held {
            let labels = [("consumergroup", name), ("topic", topic)];
            let unassigned = truth.topics[topic].partitions.len() - assigned;
            self.put("kafka_consumergroup_topic_members", &labels, count(members));
            self.put("kafka_consumergroup_topic_assigned_partitions", &labels, count(assigned));
            self.put("kafka_consumergroup_topic_unassigned_partitions", &labels, count(unassigned));
        }
    }

    /// One topic that a group has committed on; returns the lags.
    fn commits(&mut self, truth: &Truth, name: &str, group: &GroupTruth, topic: &str) -> Vec<f64> {
        let labels = [("consumergroup", name), ("topic", topic)];
        let (mut sum, mut lost, mut unknown) = (0.0, 0.0, 0);
        let mut lags = Vec::new();
        for row in group.offsets.iter().filter(|row| row.topic == topic) {
            let number = row.partition.to_string();
            let one = [labels[0], labels[1], ("partition", number.as_str())];
            self.put("kafka_consumergroup_current_offset", &one, number_of(row.offset));
            sum += number_of(row.offset);
            let Some(partition) = truth.partition(topic, row.partition) else { continue };
            let (Some(start), Some(end)) = (partition.earliest, partition.latest) else {
                unknown += 1;
                continue;
            };
            let lag = number_of((end - row.offset.max(start)).max(0));
            self.put("kafka_consumergroup_lag", &one, lag);
            lags.push(lag);
            lost += number_of((start - row.offset).max(0));
        }
        self.put("kafka_consumergroup_current_offset_sum", &labels, sum);
        self.put("kafka_consumergroup_unknown_partitions", &labels, count(unknown));
        if let Some(worst) = lags.iter().copied().reduce(f64::max) {
            self.put("kafka_consumergroup_topic_max_lag", &labels, worst);
            if unknown == 0 {
                self.put("kafka_consumergroup_lag_sum", &labels, lags.iter().sum());
                self.put("kafka_consumergroup_lost_messages_sum", &labels, lost);
            }
        }
        lags
    }

    /// One sampled topic that a group has committed on: sums over the sample, where something is committed there.
    fn sampled_commits(&mut self, truth: &Truth, name: &str, group: &GroupTruth, topic: &str, limit: usize) {
        let labels = [("consumergroup", name), ("topic", topic)];
        let (mut committed, mut lags, mut unknown) = (Vec::new(), Vec::new(), 0);
        for row in group.offsets.iter().filter(|row| row.topic == topic && !is_outside(row.partition, limit)) {
            let number = row.partition.to_string();
            let one = [labels[0], labels[1], ("partition", number.as_str())];
            self.put("kafka_consumergroup_current_offset", &one, number_of(row.offset));
            committed.push(number_of(row.offset));
            let partition = truth.partition(topic, row.partition).expect("a partition of the sample");
            let (Some(start), Some(end)) = (partition.earliest, partition.latest) else {
                unknown += 1;
                continue;
            };
            let lag = number_of((end - row.offset.max(start)).max(0));
            self.put("kafka_consumergroup_lag", &one, lag);
            lags.push(lag);
        }
        self.put("kafka_consumergroup_unknown_partitions", &labels, count(unknown));
        if !committed.is_empty() {
            self.put("kafka_consumergroup_current_offset_sampled_sum", &labels, committed.iter().sum());
        }
        if !lags.is_empty() && unknown == 0 {
            self.put("kafka_consumergroup_lag_sampled_sum", &labels, lags.iter().sum());
        }
    }

    /// What `kafkascope snapshot --output json` says of one cluster, under the names that the metrics have for it.
    pub(crate) fn of_json(cluster: &Value, prefix: &str) -> Self {
        let mut series = Self::default();
        for topic in rows(cluster, "topics").filter(|topic| text(topic, "name").starts_with(prefix)) {
            let labels = [("topic", text(topic, "name"))];
            let fields = [
                ("start_offset_sum", "kafka_topic_oldest_offset_sum"),
                ("end_offset_sum", "kafka_topic_current_offset_sum"),
                ("sampled_partitions", "kafka_topic_sampled_partitions"),
                ("start_offset_sampled_sum", "kafka_topic_oldest_offset_sampled_sum"),
                ("end_offset_sampled_sum", "kafka_topic_current_offset_sampled_sum"),
                ("unknown_partitions", "kafka_topic_unknown_partitions"),
            ];
            series.put_fields(topic, &labels, &fields);
            for row in rows(topic, "partitions") {
                let number = row["partition"].to_string();
                let fields = [
                    ("leader", "kafka_topic_partition_leader"),
                    ("replicas", "kafka_topic_partition_replicas"),
                    ("in_sync_replicas", "kafka_topic_partition_in_sync_replica"),
                    ("start_offset", "kafka_topic_partition_oldest_offset"),
                    ("end_offset", "kafka_topic_partition_current_offset"),
                ];
                series.put_fields(row, &[labels[0], ("partition", &number)], &fields);
            }
        }
        for group in rows(cluster, "groups").filter(|group| text(group, "group").starts_with(prefix)) {
            series.json_group(group);
        }
        series
    }

    fn json_group(&mut self, group: &Value) {
        let named = ("consumergroup", text(group, "group"));
        let coordinator = group["coordinator"].to_string();
        let about = [
            named,
            ("type", text(group, "type")),
            ("protocol", text(group, "protocol")),
            ("coordinator", &coordinator),
        ];
        self.put("kafka_consumergroup_info", &about, 1.0);
        self.put("kafka_consumergroup_state", &[named, ("state", text(group, "state"))], 1.0);
        let fields = [("members", "kafka_consumergroup_members"), ("max_lag", "kafka_consumergroup_max_lag")];
        self.put_fields(group, &[named], &fields);
        for topic in rows(group, "topics") {
            let labels = [named, ("topic", text(topic, "topic"))];
            let fields = [
                ("committed_sum", "kafka_consumergroup_current_offset_sum"),
                ("lag_sum", "kafka_consumergroup_lag_sum"),
                ("max_lag", "kafka_consumergroup_topic_max_lag"),
                ("lost_messages", "kafka_consumergroup_lost_messages_sum"),
                ("committed_sampled_sum", "kafka_consumergroup_current_offset_sampled_sum"),
                ("lag_sampled_sum", "kafka_consumergroup_lag_sampled_sum"),
                ("unknown_partitions", "kafka_consumergroup_unknown_partitions"),
            ];
            self.put_fields(topic, &labels, &fields);
            for row in rows(topic, "partitions") {
                let number = row["partition"].to_string();
                let fields = [("committed", "kafka_consumergroup_current_offset"), ("lag", "kafka_consumergroup_lag")];
                self.put_fields(row, &[labels[0], labels[1], ("partition", &number)], &fields);
            }
        }
    }

    /// A series for each field that is there.
    fn put_fields(&mut self, row: &Value, labels: &[(&str, &str)], fields: &[(&str, &str)]) {
        for (field, name) in fields {
            if let Some(value) = row.get(*field) {
                self.put(name, labels, value.as_f64().expect("a number"));
            }
        }
    }

    /// The names of the families that are there.
    pub(crate) fn names(&self) -> std::collections::BTreeSet<String> {
        self.0.keys().map(|(name, _)| name.clone()).collect()
    }
}

/// Whether a partition is not among the first so many.
fn is_outside(partition: i32, limit: usize) -> bool {
    usize::try_from(partition).expect("a partition's number") >= limit
}

fn rows<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    object[field].as_array().expect("a list").iter()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn count(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn number_of(offset: i64) -> f64 {
    offset as f64
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// No differences, or the first of them.
pub(crate) fn equal(said: &Series, right: &Series) -> Result<(), String> {
    let differences = said.differences(right);
    if differences.is_empty() {
        return Ok(());
    }
    let first = differences[..differences.len().min(SHOWN)].join("\n  ");
    Err(format!("{} differences, such as\n  {first}", differences.len()))
}

/// Waits until the exporter says what Kafka says of everything with this prefix, no more and no less.
#[track_caller]
pub(crate) fn agrees(exporter: &Exporter, driver: &Driver, prefix: &str) -> (Truth, Exposition) {
    agrees_on(exporter, driver, prefix, &[])
}

/// As [`agrees`], for the cluster whose series carry these labels.
#[track_caller]
pub(crate) fn agrees_on(
    exporter: &Exporter,
    driver: &Driver,
    prefix: &str,
    constant: &[(&str, &str)],
) -> (Truth, Exposition) {
    agrees_with(exporter, driver, prefix, constant, Series::of_truth)
}

/// As [`agrees`], for an exporter that asks for the first so many partitions of a topic at most.
#[track_caller]
pub(crate) fn agrees_on_sample(
    exporter: &Exporter,
    driver: &Driver,
    prefix: &str,
    limit: usize,
) -> (Truth, Exposition) {
    agrees_with(exporter, driver, prefix, &[], |truth| Series::of_sample(truth, limit))
}

#[track_caller]
fn agrees_with(
    exporter: &Exporter,
    driver: &Driver,
    prefix: &str,
    constant: &[(&str, &str)],
    right: impl Fn(&Truth) -> Series,
) -> (Truth, Exposition) {
    eventually(&format!("the exporter agrees with Kafka on {prefix}*"), SETTLES, || {
        let truth = driver.truth(prefix).map_err(|error| error.to_string())?;
        let exposition = exporter.scrape();
        let right = right(&truth).with_labels(constant);
        equal(&Series::scraped(&exposition, prefix, constant), &right)?;
        Ok((truth, exposition))
    })
}
