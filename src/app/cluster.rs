//! One configured cluster: what its client, its poller and its web side are told.

use std::time::Duration;

use crate::collect::{GroupScope, NamePredicate, PollSettings, TopicScope};
use crate::config::{Cluster, Config, Granularity as Configured, NameFilter, Polling};
use crate::kafka::{ClientSettings, KafkaClient, KafkaError};
use crate::metrics::{ClusterSource, Granularity};
use crate::model::GroupState;
use crate::state::CollectorName;

/// Sets up a cluster's client. Nothing is asked yet.
pub(super) fn connect(cluster: &Cluster, polling: &Polling) -> Result<KafkaClient, KafkaError> {
    KafkaClient::connect(&ClientSettings {
        cluster: cluster.name.as_deref().unwrap_or_default().into(),
        properties: cluster.librdkafka_properties(),
        request_timeout: polling.request_timeout,
    })
}

/// How old a value of the cluster may be and still be served.
pub(super) fn max_age(cluster: &Cluster, config: &Config) -> Duration {
    let polling = config.polling_of(cluster);
    polling.max_age_for(polling.interval)
}

/// What the cluster's poller is told.
pub(super) fn poll_settings(cluster: &Cluster, config: &Config) -> PollSettings {
    let is_named = |state: &GroupState| cluster.groups.states.iter().any(|name| name == state.as_str());
    PollSettings {
        topics: TopicScope { names: predicate(&cluster.topics.filter) },
        groups: GroupScope {
            names: predicate(&cluster.groups.filter),
            states: GroupState::ALL.into_iter().filter(is_named).collect(),
        },
        collectors: collectors(cluster),
        // The clusters share what may be in flight, so that a sick one does not hold up the others.
        max_in_flight: (config.polling.max_in_flight / config.clusters.len().max(1)).max(1),
        interval: config.polling_of(cluster).interval,
    }
}

/// What the web side is told.
pub(super) fn source(cluster: &Cluster) -> ClusterSource {
    ClusterSource {
        labels: cluster.labels.clone(),
        topic_granularity: granularity(cluster.topics.granularity),
        group_granularity: granularity(cluster.groups.granularity),
        collectors: collectors(cluster),
        ..ClusterSource::new(cluster.name.as_deref(), cluster.bootstrap_servers.clone())
    }
}

/// The collectors that are switched on; brokers and topics always are.
fn collectors(cluster: &Cluster) -> Vec<CollectorName> {
    let enabled = |name: &CollectorName| match name {
        CollectorName::Brokers | CollectorName::Topics => true,
        CollectorName::Offsets => cluster.collectors.offsets,
        CollectorName::Groups => cluster.collectors.groups,
        CollectorName::Commits => cluster.collectors.commits,
    };
    CollectorName::ALL.into_iter().filter(enabled).collect()
}

fn predicate(filter: &NameFilter) -> NamePredicate {
    if filter.is_match_all() {
        return NamePredicate::everything();
    }
    let filter = filter.clone();
    NamePredicate::new(move |name| filter.matches(name))
}

fn granularity(configured: Configured) -> Granularity {
    match configured {
        Configured::Partition => Granularity::Partition,
        Configured::Topic => Granularity::Topic,
    }
}
