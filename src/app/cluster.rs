//! One configured cluster: what its client, its poller and its web side are told.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::locate::Locator;
use crate::collect::{CallLimits, CpuMeter, GroupScope, PollSettings, ScopeRule, TopicScope};
use crate::config::{
    Budget, Cluster, CommitSource, Config, Granularity, Isolation, LocalBroker, NameFilter, Polling, PollingMode,
    Scope, Status, TimeLag as ConfiguredTimeLag,
};
use crate::kafka::{ClientSettings, KafkaError, KafkaPool, OffsetsStream};
use crate::metrics::{ByPartition, ClusterSource, Shown};
use crate::model::{BrokerId, GroupState, NamePredicate};
use crate::schedule::{self, BoundsOverride, BoundsRules, Rules};
use crate::state::CollectorName;
use crate::track::{StatusSettings, TimeLag, TimeLagRule, TrackSettings};

/// Sets up a cluster's connections. Nothing is asked yet.
pub(super) fn connect(cluster: &Cluster, polling: &Polling) -> Result<KafkaPool, KafkaError> {
    KafkaPool::connect(&client_settings(cluster, polling), cluster.connections_per_broker)
}

fn client_settings(cluster: &Cluster, polling: &Polling) -> ClientSettings {
    ClientSettings {
        cluster: cluster.name.as_deref().unwrap_or_default().into(),
        properties: cluster.librdkafka_properties(),
        request_timeout: polling.request_timeout,
    }
}

/// Begins to read the cluster's commits as they are made, where that is wanted.
pub(super) fn stream(cluster: &Cluster, polling: &Polling) -> Result<Option<Arc<OffsetsStream>>, KafkaError> {
    let is_wanted = cluster.commits == CommitSource::Stream && cluster.collectors.commits;
    is_wanted.then(|| OffsetsStream::start(&client_settings(cluster, polling)).map(Arc::new)).transpose()
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
        scope_rule: scope_rule(cluster),
        topics: TopicScope {
            names: predicate(&cluster.topics.filter),
            sample_partitions: cluster.topics.sample_partitions,
        },
        groups: GroupScope {
            names: predicate(&cluster.groups.filter),
            states: GroupState::ALL.into_iter().filter(is_named).collect(),
            read_committed: read_committed(cluster),
        },
        collectors: collectors(cluster),
        limit: limits.join(),
        // Any number that other exporters do not have: the standard library seeds its hashers at random.
        breaker_seed: RandomState::new().hash_one(&cluster.name),
        cpu: cpu.clone(),
        rules: rules(cluster, config),
        commit_feed: None,
    }
}

/// Which part of the cluster is exported.
fn scope_rule(cluster: &Cluster) -> ScopeRule {
    match (cluster.scope, locator(cluster)) {
        (Scope::LocalBroker(LocalBroker::Id(id)), _) => ScopeRule::Broker(BrokerId(id)),
        (_, Some(locator)) => ScopeRule::Local(locator),
        _ => ScopeRule::Cluster,
    }
}

/// What finds out beside which broker the exporter runs, where that is wanted.
pub(super) fn locator(cluster: &Cluster) -> Option<Arc<Locator>> {
    let is_wanted = cluster.scope == Scope::LocalBroker(LocalBroker::Auto);
    is_wanted.then(|| Arc::new(Locator::new(&cluster.bootstrap_servers)))
}

/// The groups whose lag ends at the last stable offset.
fn read_committed(cluster: &Cluster) -> NamePredicate {
    let groups = cluster.groups.clone();
    let isolations = || groups.isolations().map(|(_, isolation)| isolation).chain([groups.isolation]);
    if isolations().all(|isolation| isolation == Isolation::ReadUncommitted) {
        return NamePredicate::nothing();
    }
    NamePredicate::new(move |group| groups.isolation_of(group) == Isolation::ReadCommitted)
}

/// How the cluster's past is judged, and where append times come from.
pub(super) fn track_settings(cluster: &Cluster, config: &Config) -> TrackSettings {
    let Status { intervals, allowed_lag, marker_slack, min_distance, abandoned_after } = config.status;
    let topics = cluster.topics.clone();
    let time_lag = TimeLagRule::new(move |topic| match topics.time_lag_of(topic) {
        ConfiguredTimeLag::Auto => TimeLag::Auto,
        ConfiguredTimeLag::History => TimeLag::History,
        ConfiguredTimeLag::Broker => TimeLag::Broker,
        ConfiguredTimeLag::Off => TimeLag::Off,
    });
    let status = StatusSettings {
        intervals: u8::try_from(intervals).unwrap_or(u8::MAX),
        allowed_lag,
        marker_slack,
        poll_distance: min_distance,
        abandoned_after,
        ..StatusSettings::default()
    };
    TrackSettings { status, time_lag }
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
    let mut source = ClusterSource::new(cluster.name.as_deref(), cluster.bootstrap_servers.clone());
    source.labels.clone_from(&cluster.labels);
    let (topics, groups) = (cluster.topics.clone(), cluster.groups.clone());
    let (topics_say, groups_say) = (topics.granularities(), groups.granularities());
    source.shown = Shown {
        topics: by_partition(topics_say, move |topic| topics.granularity_of(topic)),
        groups: by_partition(groups_say, move |group| groups.granularity_of(group)),
        drops_zero_lag: cluster.groups.drop_zero_lag_partitions,
        max_series: cluster.max_series,
    };
    source.collectors = collectors(cluster);
    source
}

/// The collectors that are switched on; brokers and topics always are.
fn collectors(cluster: &Cluster) -> Vec<CollectorName> {
    let enabled = |name: &CollectorName| match name {
        CollectorName::Brokers | CollectorName::Topics => true,
        CollectorName::Offsets => cluster.collectors.offsets,
        CollectorName::Groups => cluster.collectors.groups,
        CollectorName::Commits => cluster.collectors.commits,
        CollectorName::Configs => cluster.collectors.configs,
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

/// What has series by partition, where these granularities are configured and `of` tells which is whose.
fn by_partition(configured: Vec<Granularity>, of: impl Fn(&str) -> Granularity + Send + Sync + 'static) -> ByPartition {
    let is_all = |granularity| configured.iter().all(|configured| *configured == granularity);
    match () {
        () if is_all(Granularity::Partition) => ByPartition::All,
        () if is_all(Granularity::Topic) => ByPartition::None,
        () => ByPartition::Named(NamePredicate::new(move |name| of(name) == Granularity::Partition)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::config;
    use crate::config::tests::Fake;

    #[test]
    fn isolation_is_by_group() {
        let yaml = "
clusters:
- bootstrap_servers: [b1:9092]
  name: some
  groups: {overrides: [{groups: ['^pay'], isolation: read_committed}]}
- bootstrap_servers: [b1:9092]
  name: other
- bootstrap_servers: [b1:9092]
  name: all
  groups: {isolation: read_committed}
";
        let fake = Fake::default().file("k.yml", yaml);
        let (config, _) = config::resolve(Some(Path::new("k.yml")), &[], &fake).unwrap();
        let is_meant = |place: usize, group| read_committed(&config.clusters[place]).matches(group);
        assert_eq!([0, 1, 2].map(|place| is_meant(place, "payments")), [true, false, true]);
        assert_eq!([0, 1, 2].map(|place| is_meant(place, "orders")), [false, false, true]);
    }

    #[test]
    fn the_memory_goes_by_what_is_configured() {
        let of = |yaml: &str| {
            let fake = Fake::default().file("k.yml", &format!("{yaml}\n  bootstrap_servers: [b1:9092]\n"));
            let (config, _) = config::resolve(Some(Path::new("k.yml")), &[], &fake).unwrap();
            track_settings(&config.clusters[0], &config)
        };
        assert_eq!(of("clusters:\n- topics: {}").status, StatusSettings::default(), "the defaults agree");
        let status = of("
status: {intervals: 100, allowed_lag: 5, marker_slack: 2, min_distance: 10s, abandoned_after: 1h}
clusters:
- topics: {}")
        .status;
        let expected = StatusSettings {
            intervals: 100,
            allowed_lag: 5,
            marker_slack: 2,
            poll_distance: Duration::from_secs(10),
            abandoned_after: Duration::from_secs(3600),
            ..StatusSettings::default()
        };
        assert_eq!(status, expected);
        let rule = of("
clusters:
- topics: {time_lag: broker, overrides: [{topics: ^a, time_lag: off}, {topics: b, time_lag: history}, {topics: c, time_lag: auto}]}")
        .time_lag;
        let told = ["ab", "b", "c", "d"].map(|topic| rule.of(topic));
        assert_eq!(told, [TimeLag::Off, TimeLag::History, TimeLag::Auto, TimeLag::Broker]);
    }

    #[test]
    fn overrides_are_for_names() {
        let yaml = "
clusters:
- polling: {overrides: [{topics: ['^pay', ^ord], max_interval: 5s}, {groups: slow, min_interval: 1m}, {topics: [x], groups: [y], min_interval: 2s, max_interval: 3s}]}
  bootstrap_servers: [b1:9092]
";
        let fake = Fake::default().file("k.yml", yaml);
        let (config, _) = config::resolve(Some(Path::new("k.yml")), &[], &fake).unwrap();
        let all = rules(&config.clusters[0], &config).bounds;
        let one =
            |place: usize| BoundsRules { overrides: vec![all.overrides[place].clone()], ..BoundsRules::default() };
        let is_for_topic = |rules: &BoundsRules, topic: &str| rules.of_topic(topic).is_some();
        let is_for_group = |rules: &BoundsRules, group: &str, topic: &str| rules.of_group_topic(group, topic).is_some();
        let [topics, groups, both] = [one(0), one(1), one(2)];
        assert!(is_for_topic(&topics, "orders") && !is_for_topic(&topics, "reorder"));
        assert!(is_for_group(&topics, "any", "payments") && !is_for_group(&topics, "any", "x"));
        assert_eq!((all.overrides[0].min, all.overrides[0].max), (None, Some(Duration::from_secs(5))));
        assert!(!is_for_topic(&groups, "slow"), "a topic by itself has no group");
        assert!(is_for_group(&groups, "too-slow", "x") && !is_for_group(&groups, "fast", "slow"));
        assert!(!is_for_topic(&both, "x"));
        assert!(is_for_group(&both, "y", "x"));
        assert!(!is_for_group(&both, "y", "z") && !is_for_group(&both, "z", "x"));
    }
}
