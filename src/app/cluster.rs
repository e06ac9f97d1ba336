//! One configured cluster: what its client, its poller and its web side are told.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::collect::{CallLimits, CpuMeter, GroupScope, PollSettings, TopicScope};
use crate::config::{Budget, Cluster, Config, Granularity as Configured, NameFilter, Polling, PollingMode};
use crate::kafka::{ClientSettings, KafkaError, KafkaPool};
use crate::metrics::{ClusterSource, Granularity};
use crate::model::{GroupState, NamePredicate};
use crate::schedule::{self, BoundsOverride, BoundsRules, Rules};
use crate::state::CollectorName;

/// Sets up a cluster's connections. Nothing is asked yet.
pub(super) fn connect(cluster: &Cluster, polling: &Polling) -> Result<KafkaPool, KafkaError> {
    let settings = ClientSettings {
        cluster: cluster.name.as_deref().unwrap_or_default().into(),
        properties: cluster.librdkafka_properties(),
        request_timeout: polling.request_timeout,
    };
    KafkaPool::connect(&settings, cluster.connections_per_broker)
}

/// What the cluster's poller is told. As long as it is, the cluster has its part of what may be in flight.
pub(super) fn poll_settings(
    cluster: &Cluster,
    config: &Config,
    limits: &Arc<CallLimits>,
    cpu: &Arc<CpuMeter>,
) -> PollSettings {
    let is_named = |state: &GroupState| cluster.groups.states.iter().any(|name| name == state.as_str());
    PollSettings {
        topics: TopicScope {
            names: predicate(&cluster.topics.filter),
            sample_partitions: cluster.topics.sample_partitions,
        },
        groups: GroupScope {
            names: predicate(&cluster.groups.filter),
            states: GroupState::ALL.into_iter().filter(is_named).collect(),
        },
        collectors: collectors(cluster),
        limit: limits.join(),
        // Any number that other exporters do not have: the standard library seeds its hashers at random.
        breaker_seed: RandomState::new().hash_one(&cluster.name),
        cpu: cpu.clone(),
        rules: rules(cluster, config),
    }
}

/// How often the cluster is asked.
fn rules(cluster: &Cluster, config: &Config) -> Rules {
    let polling = config.polling_of(cluster);
    let overrides = cluster.polling.overrides.iter().map(|rule| BoundsOverride {
        topics: rule.topics.as_ref().map(predicate),
        groups: rule.groups.as_ref().map(predicate),
        min: rule.min_interval,
        max: rule.max_interval,
    });
    let Budget { requests_per_second_per_broker, cpu } = config.budget;
    Rules {
        fixed: (polling.mode == PollingMode::Fixed).then_some(polling.interval),
        bounds: BoundsRules {
            min: polling.min_interval,
            max: polling.max_interval,
            overrides: overrides.collect(),
            max_age: polling.max_age,
        },
        budget: schedule::Budget { requests_per_second_per_broker, cpu },
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
