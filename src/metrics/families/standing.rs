//! How groups stand now: their time lag, the verdict on them, and what is to be expected.

use super::super::catalogue;
use crate::derive::{Snapshot, Standing, TopicStanding};
use crate::metrics::exposition::{ClusterView, Samples, Value};
use crate::model::{GroupStatus, Messages, TimeLagMethod, WallTime};

/// A sample for each topic that the group has committed on.
fn by_topic<V: Value>(
    snapshot: &Snapshot,
    standing: &Standing<'_>,
    samples: &mut Samples<'_>,
    value: impl Fn(&TopicStanding<'_>) -> Option<V>,
) {
    for topic in standing.topics() {
        if let (Some(name), Some(value)) = (snapshot.world.names.name(topic.segment.topic), value(&topic)) {
            samples.sample(&[&standing.group.table.name, name], value);
        }
    }
}

/// A sample for each partition that the group has committed on, without those that are left out for having no lag.
fn by_partition<V: Value>(
    snapshot: &Snapshot,
    standing: &Standing<'_>,
    samples: &mut Samples<'_>,
    value: impl Fn(usize) -> Option<V>,
) {
    let has_no_lag = |row: usize| standing.group.lag(row) == Some(Messages(0));
    let is_left_out = |row: usize| snapshot.detail.terms.drops_zero_lag && has_no_lag(row);
    for topic in standing.topics() {
        let Some(name) = snapshot.world.names.name(topic.segment.topic) else { continue };
        let mut run = samples.run(&[&standing.group.table.name, name]);
        for row in topic.segment.rows.clone().filter(|row| !is_left_out(*row)) {
            if let (Some(partition), Some(value)) = (topic.commits.partitions.get(row), value(row)) {
                run.row(partition.0, value);
            }
        }
    }
}

pub(super) fn lag_seconds(snapshot: &Snapshot, standing: &Standing<'_>, samples: &mut Samples<'_>) {
    by_partition(snapshot, standing, samples, |row| standing.time_lag(row));
}

pub(super) fn topic_max_lag_seconds(snapshot: &Snapshot, standing: &Standing<'_>, samples: &mut Samples<'_>) {
    by_topic(snapshot, standing, samples, |topic| topic.max_time_lag());
}

pub(super) fn max_lag_seconds(_: &Snapshot, standing: &Standing<'_>, samples: &mut Samples<'_>) {
    if let Some(lag) = standing.max_time_lag() {
        samples.sample(&[&standing.group.table.name], lag);
    }
}

pub(super) fn oldest_unread(snapshot: &Snapshot, standing: &Standing<'_>, samples: &mut Samples<'_>) {
    by_topic(snapshot, standing, samples, |topic| topic.oldest_unread().map(WallTime::as_seconds));
}

pub(super) fn status(_: &Snapshot, standing: &Standing<'_>, samples: &mut Samples<'_>) {
    // Bad news from a sample is true of the whole, good news is not.
    let is_whole = |status: &GroupStatus| *status == GroupStatus::Error || !standing.is_sampled();
    if let Some(status) = standing.status().filter(is_whole) {
        samples.sample(&[&standing.group.table.name], u32::from(status.code()));
    }
}

pub(super) fn partition_status(snapshot: &Snapshot, standing: &Standing<'_>, samples: &mut Samples<'_>) {
    let code = |status: GroupStatus| u32::from(status.code());
    by_partition(snapshot, standing, samples, |row| standing.partition_status(row).map(code));
}

pub(super) fn velocity(snapshot: &Snapshot, standing: &Standing<'_>, samples: &mut Samples<'_>) {
    by_topic(snapshot, standing, samples, |topic| topic.velocity());
}

pub(super) fn consume_rate(snapshot: &Snapshot, standing: &Standing<'_>, samples: &mut Samples<'_>) {
    by_topic(snapshot, standing, samples, |topic| topic.consume_rate());
}

pub(super) fn catch_up(snapshot: &Snapshot, standing: &Standing<'_>, samples: &mut Samples<'_>) {
    by_topic(snapshot, standing, samples, |topic| topic.catch_up());
}

pub(super) fn retention_headroom(snapshot: &Snapshot, standing: &Standing<'_>, samples: &mut Samples<'_>) {
    by_topic(snapshot, standing, samples, |topic| topic.retention_headroom());
}

/// How many partitions are behind, by how their time lag is known.
pub(super) fn time_lag_methods(cluster: &ClusterView, samples: &mut Samples<'_>) {
    let Some(snapshot) = cluster.snapshot.as_deref() else { return };
    let behind = snapshot.outlook().behind;
    for (method, partitions) in TimeLagMethod::ALL.iter().zip(behind.dated) {
        samples.sample(&[method.as_str()], partitions);
    }
    samples.sample(&[catalogue::UNKNOWN_METHOD], behind.unknown);
}
