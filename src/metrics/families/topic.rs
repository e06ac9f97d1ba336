//! Topics: where their partitions lie, and where their logs start and end.

use super::TopicItem;
use crate::derive::Snapshot;
use crate::metrics::exposition::{Samples, Value};
use crate::model::{Offset, TopicSettings};
use crate::state::Placement;

pub(super) fn partitions(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    if snapshot.freshness.is_placed(topic.table) {
        samples.sample(&[&topic.table.name], topic.table.partitions());
    }
}

pub(super) fn sampled_partitions(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    if let Some(sample) = topic.table.sample.filter(|_| snapshot.freshness.is_placed(topic.table)) {
        samples.sample(&[&topic.table.name], sample.partitions());
    }
}

/// A row for each partition that is shown and of which `value` says something, while the metadata may be.
fn placements<V: Value>(
    snapshot: &Snapshot,
    topic: &TopicItem<'_>,
    samples: &mut Samples<'_>,
    value: impl Fn(&Placement) -> Option<V>,
) {
    if !snapshot.freshness.is_placed(topic.table) {
        return;
    }
    let mut run = samples.run(&[&topic.table.name]);
    for (partition, placement) in topic.table.placements.iter().enumerate() {
        let is_shown = snapshot.world.scope.has_partition(placement.leader);
        if let Some(value) = value(placement).filter(|_| is_shown) {
            run.row(partition, value);
        }
    }
}

/// Every partition has replicas: an empty list means that the answer did not tell them.
fn knows_replicas(placement: &Placement) -> bool {
    placement.replicas > 0
}

pub(super) fn leader(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    placements(snapshot, topic, samples, |placement| placement.leader.map(|broker| broker.0));
}

pub(super) fn offline(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    placements(snapshot, topic, samples, |placement| Some(placement.leader.is_none()));
}

pub(super) fn replicas(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    placements(snapshot, topic, samples, |placement| knows_replicas(placement).then_some(placement.replicas));
}

pub(super) fn in_sync(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    placements(snapshot, topic, samples, |placement| knows_replicas(placement).then_some(placement.in_sync));
}

pub(super) fn leader_is_preferred(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    placements(snapshot, topic, samples, |placement| Some(placement.leader? == placement.preferred?));
}

pub(super) fn under_replicated(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    placements(snapshot, topic, samples, |placement| {
        knows_replicas(placement).then_some(placement.in_sync < placement.replicas)
    });
}

/// The topic's settings, while the metadata may be shown.
fn settings<'a>(snapshot: &Snapshot, topic: &TopicItem<'a>) -> Option<&'a TopicSettings> {
    topic.table.settings.as_deref().filter(|_| snapshot.freshness.is_placed(topic.table))
}

pub(super) fn retention(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    if let Some(age) = settings(snapshot, topic).and_then(TopicSettings::deletes_after) {
        samples.sample(&[&topic.table.name], age.as_secs_f64());
    }
}

pub(super) fn min_insync_replicas(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    if let Some(settings) = settings(snapshot, topic) {
        samples.sample(&[&topic.table.name], settings.min_insync_replicas);
    }
}

pub(super) fn under_min_isr(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    let Some(settings) = settings(snapshot, topic) else { return };
    placements(snapshot, topic, samples, |placement| {
        knows_replicas(placement).then_some(placement.in_sync < settings.min_insync_replicas)
    });
}

/// A row for each partition that is shown and whose offset is known.
fn offsets(
    snapshot: &Snapshot,
    topic: &TopicItem<'_>,
    samples: &mut Samples<'_>,
    offset: impl Fn(usize) -> Option<Offset>,
) {
    let mut run = samples.run(&[&topic.table.name]);
    for (place, placement) in topic.table.placements.iter().enumerate() {
        if let Some(offset) = offset(place).filter(|_| snapshot.world.scope.has_partition(placement.leader)) {
            run.row(place, offset.get());
        }
    }
}

pub(super) fn current_offset(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    offsets(snapshot, topic, samples, |place| snapshot.freshness.end(topic.table, place));
}

pub(super) fn oldest_offset(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    offsets(snapshot, topic, samples, |place| snapshot.freshness.start(topic.table, place));
}

fn sum(topic: &TopicItem<'_>, samples: &mut Samples<'_>, sum: Option<u64>) {
    if let Some(sum) = sum {
        samples.sample(&[&topic.table.name], sum);
    }
}

pub(super) fn current_offset_sum(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    sum(topic, samples, snapshot.topic(topic.ix).end_sum);
}

pub(super) fn current_offset_sampled_sum(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    sum(topic, samples, snapshot.topic(topic.ix).end_sampled_sum);
}

pub(super) fn oldest_offset_sum(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    sum(topic, samples, snapshot.topic(topic.ix).start_sum);
}

pub(super) fn oldest_offset_sampled_sum(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    sum(topic, samples, snapshot.topic(topic.ix).start_sampled_sum);
}

pub(super) fn unknown(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    samples.sample(&[&topic.table.name], snapshot.topic(topic.ix).unknown);
}

pub(super) fn produce_rate(snapshot: &Snapshot, topic: &TopicItem<'_>, samples: &mut Samples<'_>) {
    if let (Some(rate), Some(_)) = (snapshot.outlook().produce_rate(topic.ix), snapshot.topic(topic.ix).end_sum) {
        samples.sample(&[&topic.table.name], rate);
    }
}
