//! What the exporter's work for a cluster looks like: its collectors, its snapshot and its connections.

use crate::metrics::catalogue::ANY_BROKER;
use crate::metrics::exposition::{ClusterView, Samples, Value};
use crate::metrics::limit;
use crate::model::{BrokerConnection, BrokerId, StatePart, StreamState};
use crate::schedule::PERCENTILES;
use crate::state::{CollectorName, CollectorStatus};

/// A sample for each collector that is switched on; before the first pass they count as not yet successful.
fn collectors<V: Value>(
    cluster: &ClusterView,
    samples: &mut Samples<'_>,
    value: impl Fn(&CollectorStatus) -> Option<V>,
) {
    for name in CollectorName::ALL.iter().filter(|name| cluster.source.collectors.contains(name)) {
        let known = cluster.snapshot.as_deref().and_then(|snapshot| snapshot.world.collectors.get(*name).copied());
        if let Some(value) = value(&known.unwrap_or_default()) {
            samples.sample(&[name.as_str()], value);
        }
    }
}

pub(super) fn collector_success(cluster: &ClusterView, samples: &mut Samples<'_>) {
    collectors(cluster, samples, |status| Some(status.success));
}

pub(super) fn collector_duration(cluster: &ClusterView, samples: &mut Samples<'_>) {
    collectors(cluster, samples, |status| Some(status.duration.as_secs_f64()));
}

pub(super) fn collector_last_success(cluster: &ClusterView, samples: &mut Samples<'_>) {
    collectors(cluster, samples, |status| Some(status.last_success?.as_seconds()));
}

pub(super) fn commit_stream(cluster: &ClusterView, samples: &mut Samples<'_>) {
    let Some(stream) = cluster.snapshot.as_deref().and_then(|snapshot| snapshot.world.stream.as_deref()) else {
        return;
    };
    for (state, partitions) in StreamState::ALL.iter().zip(stream.partitions) {
        samples.sample(&[state.as_str()], partitions);
    }
}

pub(super) fn snapshot_timestamp(cluster: &ClusterView, samples: &mut Samples<'_>) {
    if let Some(snapshot) = &cluster.snapshot {
        samples.sample(&[], snapshot.derived_at.wall.as_seconds());
    }
}

pub(super) fn snapshot_rows(cluster: &ClusterView, samples: &mut Samples<'_>) {
    let Some(snapshot) = &cluster.snapshot else { return };
    // What of it is shown: beside each broker, these add up to the cluster's.
    let topics = snapshot.world.topics_by_name().filter(|(_, table)| snapshot.world.scope.has_topic(table)).count();
    let topic_partitions: usize = snapshot.world.shown_topics().map(|(_, _, partitions)| partitions).sum();
    let commits = snapshot.groups.iter().filter_map(|group| group.table.commits.as_ref());
    let group_partitions: usize = commits.map(|commits| commits.partitions.len()).sum();
    samples.sample(&["topics"], topics);
    samples.sample(&["topic_partitions"], topic_partitions);
    samples.sample(&["groups"], snapshot.groups.len());
    samples.sample(&["group_partitions"], group_partitions);
}

/// A sample for each family that is withheld; none while none is.
pub(super) fn withheld(cluster: &ClusterView, samples: &mut Samples<'_>) {
    let Some(snapshot) = &cluster.snapshot else { return };
    for (family, series) in limit::left_out(&snapshot.detail) {
        samples.sample(&[family.name], series);
    }
}

pub(super) fn state_bytes(cluster: &ClusterView, samples: &mut Samples<'_>) {
    for part in StatePart::ALL {
        samples.sample(&[part.as_str()], cluster.source.bytes_of(part));
    }
}

pub(super) fn scrape_period(cluster: &ClusterView, samples: &mut Samples<'_>) {
    if let Some(period) = cluster.schedule.scrape_period {
        samples.sample(&[], period.as_secs_f64());
    }
}

pub(super) fn stretch(cluster: &ClusterView, samples: &mut Samples<'_>) {
    // Nothing is stretched before the first pass.
    samples.sample(&[], cluster.schedule.stretch.max(1.0));
}

pub(super) fn effective_interval(cluster: &ClusterView, samples: &mut Samples<'_>) {
    for kind in &cluster.schedule.intervals {
        for (part, interval) in PERCENTILES.iter().zip(kind.percentiles).filter(|_| kind.moving + kind.quiet > 0) {
            // Not "quantile": Prometheus keeps that label for summaries.
            let percentile = (part * 100.0).round().to_string();
            samples.sample(&[kind.kind, &percentile], interval.as_secs_f64());
        }
    }
}

pub(super) fn scheduled_items(cluster: &ClusterView, samples: &mut Samples<'_>) {
    for kind in &cluster.schedule.intervals {
        samples.sample(&[kind.kind, "moving"], kind.moving);
        samples.sample(&[kind.kind, "quiet"], kind.quiet);
    }
}

/// The value of the label `broker`: its id, or that any broker was meant.
fn broker_label(broker: BrokerId, buffer: &mut itoa::Buffer) -> &str {
    if broker.0 < 0 { ANY_BROKER } else { buffer.format(broker.0) }
}

/// A sample for each connection.
fn connections<V: Value>(
    cluster: &ClusterView,
    samples: &mut Samples<'_>,
    value: impl Fn(&BrokerConnection) -> Option<V>,
) {
    let mut buffer = itoa::Buffer::new();
    for connection in &cluster.connections.brokers {
        if let Some(value) = value(connection) {
            samples.sample(&[broker_label(connection.broker, &mut buffer)], value);
        }
    }
}

pub(super) fn requests(cluster: &ClusterView, samples: &mut Samples<'_>) {
    let mut buffer = itoa::Buffer::new();
    for connection in &cluster.connections.brokers {
        let broker = broker_label(connection.broker, &mut buffer);
        for (api, count) in &connection.requests {
            samples.sample(&[broker, api], *count);
        }
    }
}

pub(super) fn connection_up(cluster: &ClusterView, samples: &mut Samples<'_>) {
    connections(cluster, samples, |connection| Some(connection.is_up));
}

pub(super) fn connects(cluster: &ClusterView, samples: &mut Samples<'_>) {
    connections(cluster, samples, |connection| Some(connection.connects));
}

pub(super) fn disconnects(cluster: &ClusterView, samples: &mut Samples<'_>) {
    connections(cluster, samples, |connection| Some(connection.disconnects));
}

pub(super) fn timeouts(cluster: &ClusterView, samples: &mut Samples<'_>) {
    connections(cluster, samples, |connection| Some(connection.timeouts));
}

pub(super) fn in_flight(cluster: &ClusterView, samples: &mut Samples<'_>) {
    connections(cluster, samples, |connection| Some(connection.in_flight));
}

pub(super) fn round_trip(cluster: &ClusterView, samples: &mut Samples<'_>) {
    connections(cluster, samples, |connection| Some(connection.round_trip?.as_secs_f64()));
}

pub(super) fn breaker(cluster: &ClusterView, samples: &mut Samples<'_>) {
    let Some(snapshot) = &cluster.snapshot else { return };
    let mut buffer = itoa::Buffer::new();
    for broker in snapshot.world.brokers.iter() {
        samples.sample(&[broker_label(broker.id, &mut buffer), broker.breaker.as_str()], true);
    }
}

pub(super) fn breaker_trips(cluster: &ClusterView, samples: &mut Samples<'_>) {
    let Some(snapshot) = &cluster.snapshot else { return };
    let mut buffer = itoa::Buffer::new();
    for broker in snapshot.world.brokers.iter() {
        samples.sample(&[broker_label(broker.id, &mut buffer)], broker.breaker_trips);
    }
}

pub(super) fn replacements(cluster: &ClusterView, samples: &mut Samples<'_>) {
    samples.sample(&[], cluster.connections.replacements);
}
