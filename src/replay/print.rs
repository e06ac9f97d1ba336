//! How the clusters stand at a time, as one JSON object on a line. What is not known is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::derive::{Diagnosis, Snapshot, Standing, TopicStanding};
use crate::model::{PartitionId, WallTime};
use crate::report::sentence;

/// All clusters at a time.
#[derive(Debug, Serialize)]
pub(super) struct Printed<'a> {
    t: i64,
    clusters: BTreeMap<&'a str, PrintedCluster<'a>>,
}

#[derive(Debug, Serialize)]
struct PrintedCluster<'a> {
    groups: BTreeMap<&'a str, PrintedGroup<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    topics: BTreeMap<&'a str, PrintedTopic>,
}

#[derive(Debug, Serialize)]
struct PrintedTopic {
    produce_rate: f64,
}

#[derive(Debug, Serialize)]
struct PrintedGroup<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    velocity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consume_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catch_up_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retention_headroom_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<String>,
    topics: BTreeMap<&'a str, BTreeMap<i32, PrintedPartition>>,
}

#[derive(Debug, Serialize)]
struct PrintedPartition {
    #[serde(skip_serializing_if = "Option::is_none")]
    committed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_seconds_method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    complete: Option<f64>,
}

impl<'a> Printed<'a> {
    /// How clusters stand at a time, by name.
    pub(super) fn new(t: i64, clusters: impl Iterator<Item = (&'a str, &'a Snapshot)>) -> Self {
        let now = WallTime(t);
        Self { t, clusters: clusters.map(|(name, snapshot)| (name, cluster(snapshot, now))).collect() }
    }
}

fn cluster(snapshot: &Snapshot, now: WallTime) -> PrintedCluster<'_> {
    let groups = snapshot.standings(now).map(|standing| (&*standing.group.table.name, group(snapshot, &standing, now)));
    let topics = snapshot.world.topics_by_name().filter_map(|(ix, table)| {
        let produce_rate = to_thousandth(snapshot.outlook().produce_rate(ix)?);
        Some((&*table.name, PrintedTopic { produce_rate }))
    });
    PrintedCluster { groups: groups.collect(), topics: topics.collect() }
}

fn group<'a>(snapshot: &'a Snapshot, standing: &Standing<'a>, now: WallTime) -> PrintedGroup<'a> {
    let topics = standing.topics().filter_map(|topic| {
        Some((&**snapshot.world.names.name(topic.segment.topic)?, partitions(snapshot, standing, &topic)))
    });
    PrintedGroup {
        status: standing.status().map(|status| status.as_str()),
        lag: standing.lag_sum().map(|lag| lag.0),
        lag_seconds: standing.max_time_lag().map(seconds),
        lost: standing.lost_sum().map(|lost| lost.0),
        velocity: standing.velocity().map(to_thousandth),
        consume_rate: standing.consume_rate().map(to_thousandth),
        catch_up_seconds: standing.catch_up().map(seconds),
        retention_headroom_seconds: standing.retention_headroom().map(seconds),
        diagnosis: Diagnosis::of(snapshot, *standing, now).map(|diagnosis| sentence(&diagnosis, now)),
        topics: topics.collect(),
    }
}

fn partitions(
    snapshot: &Snapshot,
    standing: &Standing<'_>,
    topic: &TopicStanding<'_>,
) -> BTreeMap<i32, PrintedPartition> {
    let partition = |row: usize| {
        let partition = topic.commits.partitions[row];
        let committed = snapshot.freshness.commit(topic.commits, topic.segment, row);
        let lost = log_start(snapshot, topic, partition)
            .zip(committed)
            .map(|(start, committed)| crate::derive::lost(start, committed).0);
        let printed = PrintedPartition {
            committed: committed.map(|offset| offset.get()),
            lag: standing.group.lag(row).map(|lag| lag.0),
            lag_seconds: standing.time_lag(row).map(seconds),
            lag_seconds_method: standing.method(row).map(|method| method.as_str()),
            lost: lost.filter(|lost| *lost > 0),
            status: standing.partition_status(row).map(|status| status.as_str()),
            complete: standing.partition_status(row).and_then(|_| standing.complete(row)),
        };
        (partition.0, printed)
    };
    topic.segment.rows.clone().map(partition).collect()
}

fn log_start(snapshot: &Snapshot, topic: &TopicStanding<'_>, partition: PartitionId) -> Option<crate::model::Offset> {
    let table = snapshot.world.topic(topic.segment.topic)?;
    snapshot.freshness.start(table, table.place(partition)?)
}

/// Seconds, exact to the millisecond.
fn seconds(duration: Duration) -> f64 {
    to_thousandth(duration.as_secs_f64())
}

fn to_thousandth(value: f64) -> f64 {
    // Adding zero makes a negative zero a positive one.
    (value * 1000.0).round() / 1000.0 + 0.0
}
