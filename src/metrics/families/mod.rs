//! How each family's samples come from a snapshot: one table, one small function a family.
//!
//! A function writes what one cluster, one topic or one group shows of the family. What is not known now is left out:
//! the snapshot's accessors answer `None` for it, and nothing here puts a number in its place.

mod cluster;
mod exporter;
mod group;
mod standing;
mod topic;

use std::sync::Arc;

use super::catalogue::{self as names, Family};
use super::exposition::{ClusterView, Samples};
use crate::derive::{GroupMeaning, Snapshot, Standing};
use crate::state::{TopicIx, TopicTable};

/// One existing topic.
#[derive(Debug, Clone, Copy)]
pub struct TopicItem<'a> {
    /// Its place in the snapshot.
    pub ix: TopicIx,
    /// Its facts.
    pub table: &'a Arc<TopicTable>,
}

/// Where a family's samples come from.
#[derive(Clone, Copy)]
pub enum Source {
    /// Once for each cluster, before its first snapshot too.
    Cluster(fn(&ClusterView, &mut Samples<'_>)),
    /// Once for each topic of a snapshot.
    Topic(fn(&Snapshot, &TopicItem<'_>, &mut Samples<'_>)),
    /// Once for each group of a snapshot.
    Group(fn(&Snapshot, &GroupMeaning, &mut Samples<'_>)),
    /// Once for each group of a snapshot, as it stands now: the clock moves it.
    Standing(fn(&Snapshot, &Standing<'_>, &mut Samples<'_>)),
    /// Once for each group of a snapshot, by what the past says of it: the clock does not move it.
    Outlook(fn(&Snapshot, &Standing<'_>, &mut Samples<'_>)),
    /// The exporter's registry.
    Registry,
    /// The operating system.
    Process,
}

impl Source {
    /// Whether each cluster is asked for it.
    #[must_use]
    pub fn is_per_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_)) || self.is_by_item()
    }

    /// Whether each topic or each group is asked for it.
    #[must_use]
    pub fn is_by_item(&self) -> bool {
        matches!(self, Self::Topic(_) | Self::Group(_) | Self::Standing(_) | Self::Outlook(_))
    }
}

/// Every family with its source, in the order of the catalogue.
pub static SOURCES: &[(&Family, Source)] = &[
    (&names::KAFKA_UP, Source::Cluster(cluster::up)),
    (&names::KAFKA_CLUSTER_INFO, Source::Cluster(cluster::info)),
    (&names::KAFKA_BROKERS, Source::Cluster(cluster::brokers)),
    (&names::KAFKA_BROKER_INFO, Source::Cluster(cluster::broker_info)),
    (&names::KAFKA_BROKER_UP, Source::Cluster(cluster::broker_up)),
    (&names::KAFKA_TOPIC_PARTITIONS, Source::Topic(topic::partitions)),
    (&names::KAFKA_TOPIC_SAMPLED_PARTITIONS, Source::Topic(topic::sampled_partitions)),
    (&names::KAFKA_TOPIC_PARTITION_LEADER, Source::Topic(topic::leader)),
    (&names::KAFKA_TOPIC_PARTITION_OFFLINE, Source::Topic(topic::offline)),
    (&names::KAFKA_TOPIC_PARTITION_REPLICAS, Source::Topic(topic::replicas)),
    (&names::KAFKA_TOPIC_PARTITION_IN_SYNC_REPLICA, Source::Topic(topic::in_sync)),
    (&names::KAFKA_TOPIC_PARTITION_LEADER_IS_PREFERRED, Source::Topic(topic::leader_is_preferred)),
    (&names::KAFKA_TOPIC_PARTITION_UNDER_REPLICATED_PARTITION, Source::Topic(topic::under_replicated)),
    (&names::KAFKA_TOPIC_RETENTION_SECONDS, Source::Topic(topic::retention)),
    (&names::KAFKA_TOPIC_MIN_INSYNC_REPLICAS, Source::Topic(topic::min_insync_replicas)),
    (&names::KAFKA_TOPIC_PARTITION_UNDER_MIN_ISR, Source::Topic(topic::under_min_isr)),
    (&names::KAFKA_TOPIC_PARTITION_CURRENT_OFFSET, Source::Topic(topic::current_offset)),
    (&names::KAFKA_TOPIC_PARTITION_OLDEST_OFFSET, Source::Topic(topic::oldest_offset)),
    (&names::KAFKA_TOPIC_CURRENT_OFFSET_SUM, Source::Topic(topic::current_offset_sum)),
    (&names::KAFKA_TOPIC_CURRENT_OFFSET_SAMPLED_SUM, Source::Topic(topic::current_offset_sampled_sum)),
    (&names::KAFKA_TOPIC_OLDEST_OFFSET_SUM, Source::Topic(topic::oldest_offset_sum)),
    (&names::KAFKA_TOPIC_OLDEST_OFFSET_SAMPLED_SUM, Source::Topic(topic::oldest_offset_sampled_sum)),
    (&names::KAFKA_TOPIC_UNKNOWN_PARTITIONS, Source::Topic(topic::unknown)),
    (&names::KAFKA_TOPIC_PRODUCE_RATE, Source::Topic(topic::produce_rate)),
    (&names::KAFKA_CONSUMERGROUP_INFO, Source::Group(group::info)),
    (&names::KAFKA_CONSUMERGROUP_STATE, Source::Group(group::state)),
    (&names::KAFKA_CONSUMERGROUP_MEMBERS, Source::Group(group::members)),
    (&names::KAFKA_CONSUMERGROUP_TOPIC_MEMBERS, Source::Group(group::topic_members)),
    (&names::KAFKA_CONSUMERGROUP_TOPIC_ASSIGNED_PARTITIONS, Source::Group(group::assigned_partitions)),
    (&names::KAFKA_CONSUMERGROUP_TOPIC_UNASSIGNED_PARTITIONS, Source::Group(group::unassigned_partitions)),
    (&names::KAFKA_CONSUMERGROUP_CURRENT_OFFSET, Source::Group(group::current_offset)),
    (&names::KAFKA_CONSUMERGROUP_CURRENT_OFFSET_SUM, Source::Group(group::current_offset_sum)),
    (&names::KAFKA_CONSUMERGROUP_CURRENT_OFFSET_SAMPLED_SUM, Source::Group(group::current_offset_sampled_sum)),
    (&names::KAFKA_CONSUMERGROUP_LAG, Source::Group(group::lag)),
    (&names::KAFKA_CONSUMERGROUP_LAG_SUM, Source::Group(group::lag_sum)),
    (&names::KAFKA_CONSUMERGROUP_LAG_SAMPLED_SUM, Source::Group(group::lag_sampled_sum)),
    (&names::KAFKA_CONSUMERGROUP_TOPIC_MAX_LAG, Source::Group(group::topic_max_lag)),
    (&names::KAFKA_CONSUMERGROUP_MAX_LAG, Source::Group(group::max_lag)),
    (&names::KAFKA_CONSUMERGROUP_UNKNOWN_PARTITIONS, Source::Group(group::unknown)),
    (&names::KAFKA_CONSUMERGROUP_LAST_COMMIT_TIMESTAMP_SECONDS, Source::Group(group::last_commit)),
    (&names::KAFKA_CONSUMERGROUP_COMMITS_TOTAL, Source::Group(group::commits_total)),
    (&names::KAFKA_CONSUMERGROUP_LOST_MESSAGES_SUM, Source::Group(group::lost_sum)),
    (&names::KAFKA_CONSUMERGROUP_LAG_SECONDS, Source::Standing(standing::lag_seconds)),
    (&names::KAFKA_CONSUMERGROUP_TOPIC_MAX_LAG_SECONDS, Source::Standing(standing::topic_max_lag_seconds)),
    (&names::KAFKA_CONSUMERGROUP_MAX_LAG_SECONDS, Source::Standing(standing::max_lag_seconds)),
    (&names::KAFKA_CONSUMERGROUP_OLDEST_UNREAD_TIMESTAMP_SECONDS, Source::Outlook(standing::oldest_unread)),
    (&names::KAFKA_CONSUMERGROUP_STATUS, Source::Standing(standing::status)),
    (&names::KAFKA_CONSUMERGROUP_PARTITION_STATUS, Source::Standing(standing::partition_status)),
    (&names::KAFKA_CONSUMERGROUP_LAG_VELOCITY, Source::Outlook(standing::velocity)),
    (&names::KAFKA_CONSUMERGROUP_CONSUME_RATE, Source::Outlook(standing::consume_rate)),
    (&names::KAFKA_CONSUMERGROUP_CATCH_UP_SECONDS, Source::Outlook(standing::catch_up)),
    (&names::KAFKA_CONSUMERGROUP_RETENTION_HEADROOM_SECONDS, Source::Standing(standing::retention_headroom)),
    (&names::KAFKASCOPE_TIME_LAG_PARTITIONS, Source::Cluster(standing::time_lag_methods)),
    (&names::KAFKASCOPE_COLLECTOR_SUCCESS, Source::Cluster(exporter::collector_success)),
    (&names::KAFKASCOPE_COLLECTOR_DURATION_SECONDS, Source::Cluster(exporter::collector_duration)),
    (&names::KAFKASCOPE_COLLECTOR_LAST_SUCCESS_TIMESTAMP_SECONDS, Source::Cluster(exporter::collector_last_success)),
    (&names::KAFKASCOPE_PASS_DURATION_SECONDS, Source::Registry),
    (&names::KAFKASCOPE_INTERVAL_SECONDS, Source::Registry),
    (&names::KAFKASCOPE_SCRAPE_PERIOD_SECONDS, Source::Cluster(exporter::scrape_period)),
    (&names::KAFKASCOPE_INTERVAL_STRETCH_RATIO, Source::Cluster(exporter::stretch)),
    (&names::KAFKASCOPE_EFFECTIVE_INTERVAL_SECONDS, Source::Cluster(exporter::effective_interval)),
    (&names::KAFKASCOPE_SCHEDULED_ITEMS, Source::Cluster(exporter::scheduled_items)),
    (&names::KAFKASCOPE_COMMIT_STREAM_PARTITIONS, Source::Cluster(exporter::commit_stream)),
    (&names::KAFKASCOPE_SNAPSHOT_TIMESTAMP_SECONDS, Source::Cluster(exporter::snapshot_timestamp)),
    (&names::KAFKASCOPE_SNAPSHOT_ROWS, Source::Cluster(exporter::snapshot_rows)),
    (&names::KAFKASCOPE_WITHHELD_SERIES, Source::Cluster(exporter::withheld)),
    (&names::KAFKASCOPE_STATE_BYTES, Source::Cluster(exporter::state_bytes)),
    (&names::KAFKASCOPE_CACHE_HITS_TOTAL, Source::Registry),
    (&names::KAFKASCOPE_CACHE_MISSES_TOTAL, Source::Registry),
    (&names::KAFKASCOPE_CACHE_INVALIDATIONS_TOTAL, Source::Registry),
    (&names::KAFKASCOPE_CACHE_MISS_SECONDS, Source::Registry),
    (&names::KAFKASCOPE_BROKER_REQUESTS_TOTAL, Source::Cluster(exporter::requests)),
    (&names::KAFKASCOPE_BROKER_ERRORS_TOTAL, Source::Registry),
    (&names::KAFKASCOPE_BROKER_CONNECTION_UP, Source::Cluster(exporter::connection_up)),
    (&names::KAFKASCOPE_BROKER_CONNECTS_TOTAL, Source::Cluster(exporter::connects)),
    (&names::KAFKASCOPE_BROKER_DISCONNECTS_TOTAL, Source::Cluster(exporter::disconnects)),
    (&names::KAFKASCOPE_BROKER_TIMEOUTS_TOTAL, Source::Cluster(exporter::timeouts)),
    (&names::KAFKASCOPE_BROKER_IN_FLIGHT, Source::Cluster(exporter::in_flight)),
    (&names::KAFKASCOPE_BROKER_ROUND_TRIP_SECONDS, Source::Cluster(exporter::round_trip)),
    (&names::KAFKASCOPE_BROKER_BREAKER_STATE, Source::Cluster(exporter::breaker)),
    (&names::KAFKASCOPE_BROKER_BREAKER_TRIPS_TOTAL, Source::Cluster(exporter::breaker_trips)),
    (&names::KAFKASCOPE_CONNECTION_REPLACEMENTS_TOTAL, Source::Cluster(exporter::replacements)),
    (&names::KAFKASCOPE_BUILD_INFO, Source::Registry),
    (&names::KAFKA_EXPORTER_BUILD_INFO, Source::Registry),
    (&names::KAFKASCOPE_SCRAPES_TOTAL, Source::Registry),
    (&names::KAFKASCOPE_SCRAPE_DURATION_SECONDS, Source::Registry),
    (&names::KAFKASCOPE_HTTP_CONNECTIONS, Source::Registry),
    (&names::KAFKASCOPE_HTTP_REQUESTS_TOTAL, Source::Registry),
    (&names::KAFKASCOPE_CONFIG_LAST_RELOAD_SUCCESSFUL, Source::Registry),
    (&names::KAFKASCOPE_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS, Source::Registry),
    (&names::KAFKASCOPE_STATE_FILE_LAST_SUCCESS_TIMESTAMP_SECONDS, Source::Registry),
    (&names::KAFKASCOPE_STATE_FILE_BYTES, Source::Registry),
    (&names::KAFKASCOPE_TASKS, Source::Registry),
    (&names::KAFKASCOPE_TASKS_STARTED_TOTAL, Source::Registry),
    (&names::KAFKASCOPE_TASKS_FINISHED_TOTAL, Source::Registry),
    (&names::KAFKASCOPE_TASKS_RESTARTED_TOTAL, Source::Registry),
    (&names::KAFKASCOPE_TASK_PANICS_TOTAL, Source::Registry),
    (&names::KAFKASCOPE_TASK_START_TIMESTAMP_SECONDS, Source::Registry),
    (&names::KAFKASCOPE_TASK_STUCK, Source::Registry),
    (&names::PROCESS_CPU_SECONDS_TOTAL, Source::Process),
    (&names::PROCESS_RESIDENT_MEMORY_BYTES, Source::Process),
    (&names::PROCESS_VIRTUAL_MEMORY_BYTES, Source::Process),
    (&names::PROCESS_START_TIME_SECONDS, Source::Process),
    (&names::PROCESS_OPEN_FDS, Source::Process),
    (&names::PROCESS_MAX_FDS, Source::Process),
    (&names::PROCESS_THREADS, Source::Process),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_a_source_and_keeps_its_place() {
        let with_source: Vec<&str> = SOURCES.iter().map(|(family, _)| family.name).collect();
        let all: Vec<&str> = names::ALL.iter().map(|family| family.name).collect();
        assert_eq!(with_source, all);
    }

    #[test]
    fn only_the_exporters_own_families_come_from_elsewhere_than_a_cluster() {
        for (family, source) in SOURCES {
            assert!(source.is_per_cluster() || family.origin.collector.is_none(), "{}", family.name);
            assert!(!source.is_per_cluster() || family.origin.per_cluster, "{}", family.name);
        }
    }
}
