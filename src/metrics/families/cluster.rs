//! The cluster as a whole, and its brokers.

use std::fmt::Write;

use crate::derive::Snapshot;
use crate::metrics::exposition::{ClusterView, Samples};
use crate::model::Broker;
use crate::state::BrokerFacts;

/// 0 before the first pass has ended: until then the cluster was not reached. It is about this exporter's own way to Kafka,
/// so each shows it, whatever part of the cluster it shows.
pub(super) fn up(cluster: &ClusterView, samples: &mut Samples<'_>) {
    samples.sample(&[], cluster.snapshot.as_ref().is_some_and(|snapshot| snapshot.world.up));
}

/// The snapshot, where what belongs to the cluster as a whole is shown.
fn of_cluster(cluster: &ClusterView) -> Option<&Snapshot> {
    cluster.snapshot.as_deref().filter(|snapshot| snapshot.world.scope.has_cluster())
}

/// The same, as long as its metadata may be shown.
fn with_metadata(cluster: &ClusterView) -> Option<&Snapshot> {
    of_cluster(cluster).filter(|snapshot| snapshot.has_metadata())
}

pub(super) fn info(cluster: &ClusterView, samples: &mut Samples<'_>) {
    if let Some(id) = with_metadata(cluster).and_then(|snapshot| snapshot.world.cluster_id.as_deref()) {
        samples.sample(&[id], true);
    }
}

/// The brokers that the metadata names; others are only expected.
fn present(snapshot: &Snapshot) -> impl Iterator<Item = (&BrokerFacts, &Broker)> {
    snapshot.world.brokers.iter().filter_map(|broker| Some((broker, broker.endpoint.as_ref()?)))
}

pub(super) fn brokers(cluster: &ClusterView, samples: &mut Samples<'_>) {
    if let Some(snapshot) = with_metadata(cluster) {
        samples.sample(&[], present(snapshot).count());
    }
}

pub(super) fn broker_info(cluster: &ClusterView, samples: &mut Samples<'_>) {
    let Some(snapshot) = with_metadata(cluster) else { return };
    let mut id = String::new();
    for (broker, endpoint) in present(snapshot) {
        id.clear();
        // Writing into a string cannot fail.
        let _ = write!(id, "{}", broker.id);
        samples.sample(&[&id, &endpoint.address(), broker.rack.as_deref().unwrap_or("")], true);
    }
}

pub(super) fn broker_up(cluster: &ClusterView, samples: &mut Samples<'_>) {
    let Some(snapshot) = of_cluster(cluster) else { return };
    let mut run = samples.run(&[]);
    for broker in snapshot.world.brokers.iter() {
        run.row(broker.id.0, broker.answers);
    }
}
