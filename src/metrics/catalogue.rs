//! Every metric family there is: name, type, labels, help and origin. No other file of the source holds a metric's name.
//!
//! Counters carry their full name here, `_total` included, as text 0.0.4 shows it; the OpenMetrics encoder takes the
//! suffix off for the family's name, as that format wants it. Families without a unit in their name count things.
//! Names and labels of kafka_exporter's families are its own, because dashboards and alerts are built on them.

use crate::state::CollectorName;

/// The type of a family, in Prometheus's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only grows while the process lives.
    Counter,
    /// Counts of observations by size.
    Histogram,
}

impl Kind {
    /// The word in a `# TYPE` line; both formats have the same.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// Where a family's values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The collector that asks for the values; `None`: the exporter observes itself.
    pub collector: Option<CollectorName>,
    /// Another collector without which there are no values.
    pub also_needs: Option<CollectorName>,
    /// Whether each cluster has series of its own, told apart by the label `cluster_name` where clusters have names.
    pub per_cluster: bool,
}

/// One metric family.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name, unit and `_total` included.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its own labels, in the order in which they are written, after `cluster_name` and the constant ones.
    pub labels: &'static [&'static str],
    /// Where its values come from.
    pub origin: Origin,
    /// What it means, in one or two sentences.
    pub help: &'static str,
}

impl Family {
    /// The name of the collector, `exporter` when there is none: a value of `?collect[]=`.
    #[must_use]
    pub fn collector(&self) -> &'static str {
        self.origin.collector.map_or(EXPORTER_COLLECTOR, CollectorName::as_str)
    }

    /// Whether there is a series for each partition.
    #[must_use]
    pub fn is_per_partition(&self) -> bool {
        self.labels.contains(&"partition")
    }

    /// Whether its series are of consumer groups.
    #[must_use]
    pub fn is_of_groups(&self) -> bool {
        self.labels.first() == Some(&"consumergroup")
    }

    /// Whether the cluster's constant labels stand on its series: they do on what Kafka told.
    #[must_use]
    pub fn has_constant_labels(&self) -> bool {
        self.origin.collector.is_some()
    }
}

/// What stands for a collector's name where the exporter observes itself.
pub const EXPORTER_COLLECTOR: &str = "exporter";

/// The label that tells clusters apart.
pub const CLUSTER_LABEL: &str = "cluster_name";

/// The value of the label `broker` for calls that were not sent to a certain broker.
pub const ANY_BROKER: &str = "bootstrap";

/// The value of the label `method` where a time lag is not known.
pub const UNKNOWN_METHOD: &str = "unknown";
/// The value of the label `broker` once too many brokers were seen to count each.
pub const OTHER_BROKER: &str = "other";

const fn of(collector: CollectorName) -> Origin {
    Origin { collector: Some(collector), also_needs: None, per_cluster: true }
}

const BROKERS: Origin = of(CollectorName::Brokers);
const TOPICS: Origin = of(CollectorName::Topics);
const OFFSETS: Origin = of(CollectorName::Offsets);
const GROUPS: Origin = of(CollectorName::Groups);
const COMMITS: Origin = of(CollectorName::Commits);
const CONFIGS: Origin = of(CollectorName::Configs);
/// A lag is a pair of a commit and an end offset.
const LAG: Origin = Origin { also_needs: Some(CollectorName::Offsets), ..COMMITS };
const EXPORTER_BY_CLUSTER: Origin = Origin { collector: None, also_needs: None, per_cluster: true };
const EXPORTER: Origin = Origin { collector: None, also_needs: None, per_cluster: false };

const fn gauge(name: &'static str, labels: &'static [&'static str], origin: Origin, help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels, origin, help }
}

const fn counter(name: &'static str, labels: &'static [&'static str], origin: Origin, help: &'static str) -> Family {
    Family { name, kind: Kind::Counter, labels, origin, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], origin: Origin, help: &'static str) -> Family {
    Family { name, kind: Kind::Histogram, labels, origin, help }
}

/// The table: a static for each family, and the list of them all.
macro_rules! families {
    ($($id:ident = $family:expr;)*) => {
        $(
            #[doc = concat!("The family `", stringify!($id), "`, its name in capitals.")]
            pub static $id: Family = $family;
        )*

        /// Every family, in the order of the exposition.
        pub static ALL: &[&Family] = &[$(&$id),*];
    };
}

const TOPIC: &[&str] = &["topic"];
const TOPIC_PARTITION: &[&str] = &["topic", "partition"];
const GROUP: &[&str] = &["consumergroup"];
const GROUP_TOPIC: &[&str] = &["consumergroup", "topic"];
const GROUP_TOPIC_PARTITION: &[&str] = &["consumergroup", "topic", "partition"];

families! {
    // The cluster and its brokers.
    KAFKA_UP = gauge("kafka_up", &[], BROKERS,
        "Whether the last polling pass reached the cluster (1) or not (0).");
    KAFKA_CLUSTER_INFO = gauge("kafka_cluster_info", &["cluster_id"], BROKERS,
        "Always 1; tells the cluster's id (DescribeCluster, polled).");
    KAFKA_BROKERS = gauge("kafka_brokers", &[], BROKERS,
        "Brokers in the cluster's metadata (Metadata, polled).");
    KAFKA_BROKER_INFO = gauge("kafka_broker_info", &["id", "address", "rack"], BROKERS,
        "Always 1 for each broker in the metadata; tells its advertised address and its rack, if it has one \
         (Metadata and DescribeCluster, polled).");
    KAFKA_BROKER_UP = gauge("kafka_broker_up", &["id"], BROKERS,
        "Whether a broker that is in the metadata, or that a replica list names, answered in the last pass (1), \
         or is missing or silent (0).");

    // Topics and where their partitions lie.
    KAFKA_TOPIC_PARTITIONS = gauge("kafka_topic_partitions", TOPIC, TOPICS,
        "Partitions of the topic (Metadata, polled).");
    KAFKA_TOPIC_SAMPLED_PARTITIONS = gauge("kafka_topic_sampled_partitions", TOPIC, TOPICS,
        "Partitions of the topic whose offsets and commits are asked for, always the first ones; absent when all are \
         (Metadata, polled).");
    KAFKA_TOPIC_PARTITION_LEADER = gauge("kafka_topic_partition_leader", TOPIC_PARTITION, TOPICS,
        "Broker id of the partition's leader; absent while there is none (Metadata, polled).");
    KAFKA_TOPIC_PARTITION_OFFLINE = gauge("kafka_topic_partition_offline", TOPIC_PARTITION, TOPICS,
        "Whether the partition has no leader (1) or has one (0) (Metadata, polled).");
    KAFKA_TOPIC_PARTITION_REPLICAS = gauge("kafka_topic_partition_replicas", TOPIC_PARTITION, TOPICS,
        "Replicas of the partition (Metadata, polled).");
    KAFKA_TOPIC_PARTITION_IN_SYNC_REPLICA = gauge("kafka_topic_partition_in_sync_replica", TOPIC_PARTITION, TOPICS,
        "Replicas of the partition that are in sync (Metadata, polled).");
    KAFKA_TOPIC_PARTITION_LEADER_IS_PREFERRED = gauge("kafka_topic_partition_leader_is_preferred", TOPIC_PARTITION,
        TOPICS,
        "Whether the leader is the first replica of the list (1) or another (0); absent while there is no leader \
         (Metadata, polled).");
    KAFKA_TOPIC_PARTITION_UNDER_REPLICATED_PARTITION = gauge("kafka_topic_partition_under_replicated_partition",
        TOPIC_PARTITION, TOPICS,
        "Whether fewer replicas are in sync than the partition has (1) or all are (0) (Metadata, polled).");

    // What the topics are set to.
    KAFKA_TOPIC_RETENTION_SECONDS = gauge("kafka_topic_retention_seconds", TOPIC, CONFIGS,
        "How long the topic keeps records until they may be deleted for their age (retention.ms); absent while it is not \
         known, and where age deletes none: without a limit, or with a cleanup.policy of compact alone \
         (DescribeConfigs, polled).");
    KAFKA_TOPIC_MIN_INSYNC_REPLICAS = gauge("kafka_topic_min_insync_replicas", TOPIC, CONFIGS,
        "Replicas that must be in sync for producers with acks=all to be served (min.insync.replicas); absent while it \
         is not known (DescribeConfigs, polled).");
    KAFKA_TOPIC_PARTITION_UNDER_MIN_ISR = gauge("kafka_topic_partition_under_min_isr", TOPIC_PARTITION, CONFIGS,
        "Whether fewer replicas of the partition are in sync than min.insync.replicas (1), so that producers with \
         acks=all are refused, or enough are (0); absent while either is not known (DescribeConfigs and Metadata, \
         polled).");

    // Where the logs start and end.
    KAFKA_TOPIC_PARTITION_CURRENT_OFFSET = gauge("kafka_topic_partition_current_offset", TOPIC_PARTITION, OFFSETS,
        "High watermark of the partition: the offset after its last replicated record (ListOffsets latest, polled).");
    KAFKA_TOPIC_PARTITION_OLDEST_OFFSET = gauge("kafka_topic_partition_oldest_offset", TOPIC_PARTITION, OFFSETS,
        "Log start offset of the partition (ListOffsets earliest, polled).");
    KAFKA_TOPIC_CURRENT_OFFSET_SUM = gauge("kafka_topic_current_offset_sum", TOPIC, OFFSETS,
        "Sum of the high watermarks of the topic's partitions; absent while one is unknown, and while the topic is \
         sampled (ListOffsets latest, polled).");
    KAFKA_TOPIC_CURRENT_OFFSET_SAMPLED_SUM = gauge("kafka_topic_current_offset_sampled_sum", TOPIC, OFFSETS,
        "Sum of the high watermarks of the sampled topic's partitions that are asked for; absent while one is unknown \
         (ListOffsets latest, polled).");
    KAFKA_TOPIC_OLDEST_OFFSET_SUM = gauge("kafka_topic_oldest_offset_sum", TOPIC, OFFSETS,
        "Sum of the log start offsets of the topic's partitions; absent while one is unknown, and while the topic is \
         sampled (ListOffsets earliest, polled).");
    KAFKA_TOPIC_OLDEST_OFFSET_SAMPLED_SUM = gauge("kafka_topic_oldest_offset_sampled_sum", TOPIC, OFFSETS,
        "Sum of the log start offsets of the sampled topic's partitions that are asked for; absent while one is \
         unknown (ListOffsets earliest, polled).");
    KAFKA_TOPIC_UNKNOWN_PARTITIONS = gauge("kafka_topic_unknown_partitions", TOPIC, OFFSETS,
        "Partitions of the topic that are asked for and whose log start or end is not known now \
         (ListOffsets, polled).");

    KAFKA_TOPIC_PRODUCE_RATE = gauge("kafka_topic_produce_rate", TOPIC, OFFSETS,
        "How fast the topic's high watermarks advance, in messages a second, smoothed over about two minutes; absent \
         while one is unknown, and while the topic is sampled (ListOffsets latest, polled).");
    // Groups as their coordinators describe them.
    KAFKA_CONSUMERGROUP_INFO = gauge("kafka_consumergroup_info", &["consumergroup", "type", "protocol", "coordinator"],
        GROUPS,
        "Always 1; tells the group's type (classic or consumer), its assignor, if any, and the broker that \
         coordinates it (DescribeGroups, polled).");
    KAFKA_CONSUMERGROUP_STATE = gauge("kafka_consumergroup_state", &["consumergroup", "state"], GROUPS,
        "Always 1, for the one state that the group is in (DescribeGroups, polled).");
    KAFKA_CONSUMERGROUP_MEMBERS = gauge("kafka_consumergroup_members", GROUP, GROUPS,
        "Members of the group (DescribeGroups, polled).");
    KAFKA_CONSUMERGROUP_TOPIC_MEMBERS = gauge("kafka_consumergroup_topic_members", GROUP_TOPIC, GROUPS,
        "Members of the group that hold at least one partition of the topic (DescribeGroups, polled).");
    KAFKA_CONSUMERGROUP_TOPIC_ASSIGNED_PARTITIONS = gauge("kafka_consumergroup_topic_assigned_partitions", GROUP_TOPIC,
        GROUPS,
        "Partitions of the topic that a member of the group holds (DescribeGroups, polled).");
    KAFKA_CONSUMERGROUP_TOPIC_UNASSIGNED_PARTITIONS = gauge("kafka_consumergroup_topic_unassigned_partitions",
        GROUP_TOPIC, GROUPS,
        "Partitions of a topic that the group holds parts of, but that no member holds \
         (DescribeGroups and Metadata, polled).");

    // What groups have committed, and how far behind they are.
    KAFKA_CONSUMERGROUP_CURRENT_OFFSET = gauge("kafka_consumergroup_current_offset", GROUP_TOPIC_PARTITION, COMMITS,
        "Offset that the group has committed on the partition; absent where it has committed nothing \
         (OffsetFetch, polled).");
    KAFKA_CONSUMERGROUP_CURRENT_OFFSET_SUM = gauge("kafka_consumergroup_current_offset_sum", GROUP_TOPIC, COMMITS,
        "Sum of the group's committed offsets on the topic; absent while one is unknown, and while the topic is \
         sampled (OffsetFetch, polled).");
    KAFKA_CONSUMERGROUP_CURRENT_OFFSET_SAMPLED_SUM = gauge("kafka_consumergroup_current_offset_sampled_sum",
        GROUP_TOPIC, COMMITS,
        "Sum of the group's committed offsets on the sampled topic's partitions that are asked for; absent while one \
         is unknown (OffsetFetch, polled).");
    KAFKA_CONSUMERGROUP_LAG = gauge("kafka_consumergroup_lag", GROUP_TOPIC_PARTITION, LAG,
        "Messages between the group's committed offset, or the log start if that is later, and the high watermark, or, \
         for groups whose isolation is read_committed, the last stable offset (OffsetFetch, then ListOffsets, polled).");
    KAFKA_CONSUMERGROUP_LAG_SUM = gauge("kafka_consumergroup_lag_sum", GROUP_TOPIC, LAG,
        "Sum of the group's lags on the topic; absent while one is unknown, and while the topic is sampled \
         (OffsetFetch, then ListOffsets, polled).");
    KAFKA_CONSUMERGROUP_LAG_SAMPLED_SUM = gauge("kafka_consumergroup_lag_sampled_sum", GROUP_TOPIC, LAG,
        "Sum of the group's lags on the sampled topic's partitions that are asked for; absent while one is unknown \
         (OffsetFetch, then ListOffsets, polled).");
    KAFKA_CONSUMERGROUP_TOPIC_MAX_LAG = gauge("kafka_consumergroup_topic_max_lag", GROUP_TOPIC, LAG,
        "Largest known lag of the group on a partition of the topic; absent while the topic is sampled \
         (OffsetFetch, then ListOffsets, polled).");
    KAFKA_CONSUMERGROUP_MAX_LAG = gauge("kafka_consumergroup_max_lag", GROUP, LAG,
        "Largest known lag of the group on any partition; absent while one of its topics is sampled \
         (OffsetFetch, then ListOffsets, polled).");
    KAFKA_CONSUMERGROUP_UNKNOWN_PARTITIONS = gauge("kafka_consumergroup_unknown_partitions", GROUP_TOPIC, LAG,
        "Partitions that are asked for, that the group has committed on and whose lag is not known now \
         (OffsetFetch and ListOffsets, polled).");
    KAFKA_CONSUMERGROUP_LAST_COMMIT_TIMESTAMP_SECONDS = gauge("kafka_consumergroup_last_commit_timestamp_seconds",
        GROUP_TOPIC, COMMITS,
        "When a committed offset of the group on the topic was last seen to move; absent until one moves \
         (OffsetFetch, polled). With commits: stream, when the newest commit was made.");
    KAFKA_CONSUMERGROUP_COMMITS_TOTAL = counter("kafka_consumergroup_commits_total", GROUP, COMMITS,
        "Commits of the group on exported topics, one for each partition, since the group was first seen; only with \
         commits: stream (__consumer_offsets, streamed).");
    KAFKA_CONSUMERGROUP_LOST_MESSAGES_SUM = gauge("kafka_consumergroup_lost_messages_sum", GROUP_TOPIC, LAG,
        "Messages of the topic that were deleted after the group's committed offsets and before the group read them; \
         absent while the topic is sampled (OffsetFetch and ListOffsets earliest, polled).");

    // How far behind they are in time, how they are doing, and what is to be expected.
    KAFKA_CONSUMERGROUP_LAG_SECONDS = gauge("kafka_consumergroup_lag_seconds", GROUP_TOPIC_PARTITION, LAG,
        "How long ago the oldest record of the partition that the group has not consumed was appended; 0 when it has \
         consumed all, absent while that is not known (from the history of polled end offsets, or ListOffsets by timestamp).");
    KAFKA_CONSUMERGROUP_TOPIC_MAX_LAG_SECONDS = gauge("kafka_consumergroup_topic_max_lag_seconds", GROUP_TOPIC, LAG,
        "Longest known time lag of the group on a partition of the topic; absent while the topic is sampled \
         (OffsetFetch and ListOffsets, polled).");
    KAFKA_CONSUMERGROUP_MAX_LAG_SECONDS = gauge("kafka_consumergroup_max_lag_seconds", GROUP, LAG,
        "Longest known time lag of the group on any partition; absent while one of its topics is sampled \
         (OffsetFetch and ListOffsets, polled).");
    KAFKA_CONSUMERGROUP_OLDEST_UNREAD_TIMESTAMP_SECONDS = gauge("kafka_consumergroup_oldest_unread_timestamp_seconds",
        GROUP_TOPIC, LAG,
        "When the oldest known record of the topic that the group has not consumed was appended; absent when it has \
         consumed all (OffsetFetch and ListOffsets, polled).");
    KAFKA_CONSUMERGROUP_STATUS = gauge("kafka_consumergroup_status", GROUP, LAG,
        "How the group is doing, in Burrow's codes: 1 OK, 2 WARN (a partition's lag does not fall), 3 ERR (a partition \
         is stopped, stalled or rewound); while one of its topics is sampled only ERR is told (OffsetFetch, ListOffsets \
         and DescribeGroups, polled).");
    KAFKA_CONSUMERGROUP_PARTITION_STATUS = gauge("kafka_consumergroup_partition_status", GROUP_TOPIC_PARTITION, LAG,
        "How the group is doing on the partition, in Burrow's codes: 1 OK, 2 WARN (the lag does not fall), 4 STOP \
         (nobody commits any more), 5 STALL (held, and the offset does not move), 6 REWIND (the offset went back) \
         (OffsetFetch, ListOffsets and DescribeGroups, polled).");
    KAFKA_CONSUMERGROUP_LAG_VELOCITY = gauge("kafka_consumergroup_lag_velocity", GROUP_TOPIC, LAG,
        "How fast the group's lag on the topic grows, in messages a second, smoothed over about two minutes; negative \
         while it catches up (OffsetFetch and ListOffsets, polled).");
    KAFKA_CONSUMERGROUP_CONSUME_RATE = gauge("kafka_consumergroup_consume_rate", GROUP_TOPIC, COMMITS,
        "How fast the group's committed offsets on the topic advance, in messages a second, smoothed over about two \
         minutes (OffsetFetch, polled).");
    KAFKA_CONSUMERGROUP_CATCH_UP_SECONDS = gauge("kafka_consumergroup_catch_up_seconds", GROUP_TOPIC, LAG,
        "How long the group needs to catch up on the topic at its present pace; absent while it does not catch up \
         (OffsetFetch and ListOffsets, polled).");
    KAFKA_CONSUMERGROUP_RETENTION_HEADROOM_SECONDS = gauge("kafka_consumergroup_retention_headroom_seconds",
        GROUP_TOPIC, LAG,
        "How long until the oldest record that the group has not consumed may be deleted, by the topic's retention or \
         by how its log starts move; absent when nothing is unread, nothing is deleted, or it is not known \
         (ListOffsets and DescribeConfigs, polled).");
    // The exporter's work, by cluster.
    KAFKASCOPE_TIME_LAG_PARTITIONS = gauge("kafkascope_time_lag_partitions", &["method"], EXPORTER_BY_CLUSTER,
        "Partitions of groups that are behind, by how their time lag is known: from the history of end offsets, from \
         the broker, or not (unknown).");
    KAFKASCOPE_COLLECTOR_SUCCESS = gauge("kafkascope_collector_success", &["collector"], EXPORTER_BY_CLUSTER,
        "Whether everything that the collector asks for was answered when it was last asked for (1) or not (0).");
    KAFKASCOPE_COLLECTOR_DURATION_SECONDS = gauge("kafkascope_collector_duration_seconds", &["collector"],
        EXPORTER_BY_CLUSTER, "How long the collector worked in the last pass.");
    KAFKASCOPE_COLLECTOR_LAST_SUCCESS_TIMESTAMP_SECONDS = gauge("kafkascope_collector_last_success_timestamp_seconds",
        &["collector"], EXPORTER_BY_CLUSTER,
        "When the collector last succeeded; absent before its first success.");
    KAFKASCOPE_PASS_DURATION_SECONDS = histogram("kafkascope_pass_duration_seconds", &[], EXPORTER_BY_CLUSTER,
        "How long polling passes took, from the first request to the last answer.");
    KAFKASCOPE_INTERVAL_SECONDS = gauge("kafkascope_interval_seconds", &[], EXPORTER_BY_CLUSTER,
        "Time between two passes that ask for all that moves: the period of the scrapes, within the bounds, or the \
         interval of mode fixed; stretched as everything else.");
    KAFKASCOPE_SCRAPE_PERIOD_SECONDS = gauge("kafkascope_scrape_period_seconds", &[], EXPORTER_BY_CLUSTER,
        "Shortest period of a client that scrapes regularly, as learned from its scrapes; absent until there is one.");
    KAFKASCOPE_INTERVAL_STRETCH_RATIO = gauge("kafkascope_interval_stretch_ratio", &[], EXPORTER_BY_CLUSTER,
        "How much longer all intervals are than wanted, so that polling stays within its budget; 1 when it is.");
    KAFKASCOPE_EFFECTIVE_INTERVAL_SECONDS = gauge("kafkascope_effective_interval_seconds", &["kind", "percentile"],
        EXPORTER_BY_CLUSTER,
        "Interval at which the ends of topics, the commits of groups by topic and the descriptions of groups are asked \
         for, stretched: half of them (percentile 50), 95 % and 99 % are asked for at least so often; absent in mode \
         fixed.");
    KAFKASCOPE_SCHEDULED_ITEMS = gauge("kafkascope_scheduled_items", &["kind", "pace"], EXPORTER_BY_CLUSTER,
        "Topics, topics of groups and descriptions of groups that moved when they were last asked for, or were quiet; \
         absent in mode fixed.");
    KAFKASCOPE_COMMIT_STREAM_PARTITIONS = gauge("kafkascope_commit_stream_partitions", &["state"], EXPORTER_BY_CLUSTER,
        "Partitions of __consumer_offsets by how they are read: streaming, catching_up, pinned (a transaction hangs) or \
         failed. Commits of groups on partitions that are not streaming are polled. All 0: the topic is not to be seen, \
         and the log says why; absent with commits: poll.");
    KAFKASCOPE_SNAPSHOT_TIMESTAMP_SECONDS = gauge("kafkascope_snapshot_timestamp_seconds", &[], EXPORTER_BY_CLUSTER,
        "When the snapshot that is served was made: after a pass, or when a value became too old; absent before the first.");
    KAFKASCOPE_SNAPSHOT_ROWS = gauge("kafkascope_snapshot_rows", &["kind"], EXPORTER_BY_CLUSTER,
        "Size of the snapshot that is served: its topics, topic partitions, groups and committed group partitions.");
    KAFKASCOPE_WITHHELD_SERIES = gauge("kafkascope_withheld_series", &["family"], EXPORTER_BY_CLUSTER,
        "Series of the family that are left out because the cluster would have more than max_series; absent while \
         nothing is.");
    KAFKASCOPE_STATE_BYTES = gauge("kafkascope_state_bytes", &["part"], EXPORTER_BY_CLUSTER,
        "Bytes of memory that what is known of the cluster takes after a pass, by part: names, topics and groups (facts), \
         lags, history (of the ends of logs), verdicts (what is remembered of groups), outlook (what that says), schedule, \
         stream (commits: stream) and rendered (parts of scrapes that are kept ready). What only a pass or a scrape in \
         progress takes, librdkafka and the allocator's own come on top: see process_resident_memory_bytes.");
    KAFKASCOPE_CACHE_HITS_TOTAL = counter("kafkascope_cache_hits_total", &["cache"], EXPORTER_BY_CLUSTER,
        "Values that were served at a tick of the scheduler without asking Kafka for them again.");
    KAFKASCOPE_CACHE_MISSES_TOTAL = counter("kafkascope_cache_misses_total", &["cache"], EXPORTER_BY_CLUSTER,
        "Values that were due at a tick of the scheduler and that Kafka was asked for.");
    KAFKASCOPE_CACHE_INVALIDATIONS_TOTAL = counter("kafkascope_cache_invalidations_total", &["cache"],
        EXPORTER_BY_CLUSTER, "Values that were served as quiet until Kafka, asked again, told that they had moved.");
    KAFKASCOPE_CACHE_MISS_SECONDS = gauge("kafkascope_cache_miss_seconds", &["cache"], EXPORTER_BY_CLUSTER,
        "Mean cost of a miss: what asking took in the last pass that asked, divided by the values asked for.");
    KAFKASCOPE_BROKER_REQUESTS_TOTAL = counter("kafkascope_broker_requests_total", &["broker", "api"],
        EXPORTER_BY_CLUSTER,
        "Requests sent to the broker, without those of the first contact, before its id is known (librdkafka's statistics).");
    KAFKASCOPE_BROKER_ERRORS_TOTAL = counter("kafkascope_broker_errors_total", &["broker", "api"],
        EXPORTER_BY_CLUSTER,
        "Calls that failed or were not answered in time; broker is \"bootstrap\" for calls that any broker may answer.");
    KAFKASCOPE_BROKER_CONNECTION_UP = gauge("kafkascope_broker_connection_up", &["broker"], EXPORTER_BY_CLUSTER,
        "Whether the connection to the broker is up (1) or not (0) (librdkafka's statistics).");
    KAFKASCOPE_BROKER_CONNECTS_TOTAL = counter("kafkascope_broker_connects_total", &["broker"], EXPORTER_BY_CLUSTER,
        "Attempts to connect to the broker, successful or not (librdkafka's statistics).");
    KAFKASCOPE_BROKER_DISCONNECTS_TOTAL = counter("kafkascope_broker_disconnects_total", &["broker"],
        EXPORTER_BY_CLUSTER, "Connections to the broker that were lost (librdkafka's statistics).");
    KAFKASCOPE_BROKER_TIMEOUTS_TOTAL = counter("kafkascope_broker_timeouts_total", &["broker"], EXPORTER_BY_CLUSTER,
        "Requests that the broker did not answer in time (librdkafka's statistics).");
    KAFKASCOPE_BROKER_IN_FLIGHT = gauge("kafkascope_broker_in_flight", &["broker"], EXPORTER_BY_CLUSTER,
        "Requests sent to the broker and not answered yet (librdkafka's statistics).");
    KAFKASCOPE_BROKER_ROUND_TRIP_SECONDS = gauge("kafkascope_broker_round_trip_seconds", &["broker"],
        EXPORTER_BY_CLUSTER,
        "Mean round-trip time to the broker over the last statistics interval; absent when nothing was sent \
         (librdkafka's statistics).");
    KAFKASCOPE_BROKER_BREAKER_STATE = gauge("kafkascope_broker_breaker_state", &["broker", "state"],
        EXPORTER_BY_CLUSTER,
        "Always 1, for the one state of the broker's circuit breaker: closed lets calls through, open leaves a silent \
         broker alone, half_open probes it.");
    KAFKASCOPE_BROKER_BREAKER_TRIPS_TOTAL = counter("kafkascope_broker_breaker_trips_total", &["broker"],
        EXPORTER_BY_CLUSTER,
        "How often the broker's circuit breaker opened because a call met silence; probes that failed are not counted.");
    KAFKASCOPE_CONNECTION_REPLACEMENTS_TOTAL = counter("kafkascope_connection_replacements_total", &[],
        EXPORTER_BY_CLUSTER,
        "How often a sick set of connections, one to each broker, was replaced by a new one that did better.");

    // The exporter itself.
    KAFKASCOPE_BUILD_INFO = gauge("kafkascope_build_info", &["version", "revision"], EXPORTER,
        "Always 1; tells the version of kafkascope that is running.");
    KAFKA_EXPORTER_BUILD_INFO = gauge("kafka_exporter_build_info", &["version"], EXPORTER,
        "Always 1; tells kafkascope's version under the name that kafka_exporter's users look for.");
    KAFKASCOPE_SCRAPES_TOTAL = counter("kafkascope_scrapes_total", &["format"], EXPORTER,
        "Scrapes that were served to the end.");
    KAFKASCOPE_SCRAPE_DURATION_SECONDS = histogram("kafkascope_scrape_duration_seconds", &[], EXPORTER,
        "How long scrapes took, from the request's head to the last byte handed to the connection.");
    KAFKASCOPE_HTTP_CONNECTIONS = gauge("kafkascope_http_connections", &[], EXPORTER,
        "HTTP connections that are open.");
    KAFKASCOPE_HTTP_REQUESTS_TOTAL = counter("kafkascope_http_requests_total", &["path", "code"], EXPORTER,
        "HTTP requests that were answered; path is \"other\" for paths that do not exist.");
    KAFKASCOPE_CONFIG_LAST_RELOAD_SUCCESSFUL = gauge("kafkascope_config_last_reload_successful", &[], EXPORTER,
        "Whether the configuration was read without an error when it was last read (1) or not (0): then the one before \
         stands.");
    KAFKASCOPE_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS = gauge(
        "kafkascope_config_last_reload_success_timestamp_seconds", &[], EXPORTER,
        "When the configuration that is in force was read: at the start, or by the last reload that succeeded.");
    KAFKASCOPE_STATE_FILE_LAST_SUCCESS_TIMESTAMP_SECONDS = gauge(
        "kafkascope_state_file_last_success_timestamp_seconds", &[], EXPORTER,
        "When the state file that is there was written; absent without state_file, and before the first time.");
    KAFKASCOPE_STATE_FILE_BYTES = gauge("kafkascope_state_file_bytes", &[], EXPORTER,
        "Size of the state file when it was last written or read.");
    KAFKASCOPE_TASKS = gauge("kafkascope_tasks", &["state"], EXPORTER,
        "Long-lived tasks that run, that wait to be started again after a panic, or that ended by themselves.");
    KAFKASCOPE_TASKS_STARTED_TOTAL = counter("kafkascope_tasks_started_total", &["task"], EXPORTER_BY_CLUSTER,
        "Starts of long-lived tasks, those after a panic included; without cluster_name for tasks of the exporter as a \
         whole.");
    KAFKASCOPE_TASKS_FINISHED_TOTAL = counter("kafkascope_tasks_finished_total", &["task"], EXPORTER_BY_CLUSTER,
        "Ends of long-lived tasks without a panic: their cluster was removed or its configuration changed.");
    KAFKASCOPE_TASKS_RESTARTED_TOTAL = counter("kafkascope_tasks_restarted_total", &["task"], EXPORTER_BY_CLUSTER,
        "Starts of long-lived tasks after a panic.");
    KAFKASCOPE_TASK_PANICS_TOTAL = counter("kafkascope_task_panics_total", &["task"], EXPORTER_BY_CLUSTER,
        "Panics of long-lived tasks: each is a defect worth reporting.");
    KAFKASCOPE_TASK_START_TIMESTAMP_SECONDS = gauge("kafkascope_task_start_timestamp_seconds", &["task"],
        EXPORTER_BY_CLUSTER, "When the long-lived task was last started.");
    KAFKASCOPE_TASK_STUCK = gauge("kafkascope_task_stuck", &["task"], EXPORTER_BY_CLUSTER,
        "Whether the long-lived task has got on with nothing for too long, 5 min unless configured (1), or not (0).");
    PROCESS_CPU_SECONDS_TOTAL = counter("process_cpu_seconds_total", &[], EXPORTER,
        "CPU time that the process has used, user and system.");
    PROCESS_RESIDENT_MEMORY_BYTES = gauge("process_resident_memory_bytes", &[], EXPORTER,
        "Resident memory of the process.");
    PROCESS_VIRTUAL_MEMORY_BYTES = gauge("process_virtual_memory_bytes", &[], EXPORTER,
        "Virtual memory of the process.");
    PROCESS_START_TIME_SECONDS = gauge("process_start_time_seconds", &[], EXPORTER,
        "When the process started.");
    PROCESS_OPEN_FDS = gauge("process_open_fds", &[], EXPORTER,
        "File descriptors that the process has open.");
    PROCESS_MAX_FDS = gauge("process_max_fds", &[], EXPORTER,
        "File descriptors that the process may have open.");
    PROCESS_THREADS = gauge("process_threads", &[], EXPORTER,
        "Threads of the process.");
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_rules() {
        let mut seen = HashSet::new();
        for family in ALL {
            assert!(seen.insert(family.name), "{} is there twice", family.name);
            assert!(family.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", family.name);
            assert_eq!(family.name.ends_with("_total"), family.kind == Kind::Counter, "{}", family.name);
            let of_kafka = family.name.starts_with("kafka_") && family.name != "kafka_exporter_build_info";
            assert_eq!(of_kafka, family.origin.collector.is_some(), "{}", family.name);
            assert!(family.help.ends_with('.') && !family.help.contains('\n'), "{}", family.name);
            let reserved = family.labels.iter().any(|label| ["quantile", "le"].contains(label));
            assert!(!reserved, "{} has a label that Prometheus keeps for summaries and histograms", family.name);
        }
    }

    #[test]
    fn what_kafka_tells_names_its_source() {
        for family in ALL.iter().filter(|family| family.origin.collector.is_some()) {
            let named = ["polled", "streamed", "last polling pass"].iter().any(|word| family.help.contains(word));
            assert!(named || family.help.contains("last pass"), "{} does not say where it comes from", family.name);
        }
    }

    #[test]
    fn kafka_exporters_families_are_all_there() {
        let theirs: [(&str, &[&str]); 16] = [
            ("kafka_brokers", &[]),
            ("kafka_broker_info", &["id", "address"]),
            ("kafka_topic_partitions", &["topic"]),
            ("kafka_topic_partition_current_offset", &["topic", "partition"]),
            ("kafka_topic_partition_oldest_offset", &["topic", "partition"]),
            ("kafka_topic_partition_leader", &["topic", "partition"]),
            ("kafka_topic_partition_replicas", &["topic", "partition"]),
            ("kafka_topic_partition_in_sync_replica", &["topic", "partition"]),
            ("kafka_topic_partition_leader_is_preferred", &["topic", "partition"]),
            ("kafka_topic_partition_under_replicated_partition", &["topic", "partition"]),
            ("kafka_consumergroup_current_offset", &["consumergroup", "topic", "partition"]),
            ("kafka_consumergroup_current_offset_sum", &["consumergroup", "topic"]),
            ("kafka_consumergroup_lag", &["consumergroup", "topic", "partition"]),
            ("kafka_consumergroup_lag_sum", &["consumergroup", "topic"]),
            ("kafka_consumergroup_members", &["consumergroup"]),
            ("kafka_exporter_build_info", &[]),
        ];
        for (name, labels) in theirs {
            let found = ALL.iter().find(|family| family.name == name);
            assert!(found.is_some(), "{name} is missing");
            let Some(family) = found else { continue };
            assert_eq!(&family.labels[..labels.len()], labels, "{name}");
            assert_eq!(family.kind, Kind::Gauge, "{name}");
        }
    }
}
