//! One configured cluster: what its client, its poller and its web side are told.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::collect::{GroupScope, NamePredicate, PollSettings, TopicScope};
use crate::config::{Cluster, Granularity as Configured, NameFilter, Polling};
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

/// What the cluster's poller is told.
pub(super) fn poll_settings(cluster: &Cluster, interval: Duration) -> PollSettings {
    let enabled = |name: &CollectorName| match name {
        CollectorName::Brokers | CollectorName::Topics => true,
        CollectorName::Offsets => cluster.collectors.offsets,
        CollectorName::Groups => cluster.collectors.groups,
        CollectorName::Commits => cluster.collectors.commits,
    };
    let is_named = |state: &GroupState| cluster.groups.states.iter().any(|name| name == state.as_str());
    PollSettings {
        topics: TopicScope { names: predicate(&cluster.topics.filter) },
        groups: GroupScope {
            names: predicate(&cluster.groups.filter),
            states: GroupState::ALL.into_iter().filter(is_named).collect(),
        },
        collectors: CollectorName::ALL.into_iter().filter(enabled).collect(),
        interval,
    }
}

/// What the web side is told.
pub(super) fn source(cluster: &Cluster) -> ClusterSource {
    ClusterSource {
        name: cluster.name.as_deref().map(Arc::from),
        bootstrap_servers: cluster.bootstrap_servers.clone(),
        labels: cluster.labels.clone(),
        topic_granularity: granularity(cluster.topics.granularity),
        group_granularity: granularity(cluster.groups.granularity),
        snapshot: ArcSwapOption::empty(),
        connections: ArcSwap::default(),
        last_error: ArcSwapOption::empty(),
    }
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
