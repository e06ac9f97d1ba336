//! The whole exposition of a fixed set of facts, byte by byte, in both formats.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it golden` writes the files anew; the change is then read in the diff.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kafkascope::derive::Snapshot;
use kafkascope::metrics::exposition::{ClusterView, Exposition, Format, Selection, View};
use kafkascope::metrics::{Cache, ClusterSource, OwnMetrics, TaskState};
use kafkascope::model::{
    BreakerState, Broker, BrokerConnection, BrokerId, Cleanup, ClusterDescription, ClusterMetadata, CommittedOffsets,
    CommittedPartition, ConnectionStats, GroupDescription, GroupKind, GroupListing, GroupState, Instants, KafkaCode,
    ListedPartition, MaxAge, Moment, Offset, OffsetSpec, PartitionId, PartitionMetadata, Retention, TopicAssignment,
    TopicMetadata, TopicRows, TopicSettings, WallTime,
};
use kafkascope::state::{Asked, CollectorName, Collectors, GroupLists, ReadAt, Round, World};

const MAX_AGE: MaxAge = MaxAge::from_secs(120);

/// Everything that has to be escaped, in a name that Kafka would accept for a group.
const NASTY: &str = "quote \" backslash \\ newline \n Grüße 消費者";

fn read_at(second: u32) -> ReadAt {
    let wall = WallTime(1_700_000_000_000 + i64::from(second) * 1000 + 250);
    ReadAt { round: Round(second), instants: Instants { moment: Moment(u64::from(second) * 1000), wall } }
}

fn partition(id: i32, leader: Option<i32>, replicas: &[i32], in_sync: u16) -> PartitionMetadata {
    let replicas = replicas.iter().copied().map(BrokerId).collect();
    PartitionMetadata { id: PartitionId(id), leader: leader.map(BrokerId), replicas, in_sync }
}

fn topic(name: &str, partitions: Vec<PartitionMetadata>) -> TopicMetadata {
    TopicMetadata { name: name.into(), error: KafkaCode::NONE, partitions }
}

/// Three brokers, one of which is named by replica lists only; a partition without a leader; one that is
/// under-replicated and not at its preferred leader.
fn metadata() -> ClusterMetadata {
    let broker = |id, host: &str| Broker { id: BrokerId(id), host: host.into(), port: 9092 };
    ClusterMetadata {
        brokers: vec![broker(1, "broker-1.example"), broker(2, "2001:db8::2")],
        topics: vec![
            topic(
                "orders",
                vec![
                    partition(0, Some(1), &[1, 2, 3], 3),
                    partition(1, Some(2), &[1, 2], 1),
                    partition(2, None, &[3], 0),
                ],
            ),
            topic("audit.log", vec![partition(0, Some(1), &[1], 1)]),
            topic("unread", vec![partition(0, Some(2), &[2], 1)]),
            topic("wide", (0..5).map(|id| partition(id, Some(2), &[2], 1)).collect()),
        ],
    }
}

/// Offsets of a topic from partition 0 on; `None`: the broker failed to tell.
fn offsets(topic: &str, offsets: &[Option<i64>]) -> TopicRows<ListedPartition> {
    let row = |(id, told): (i32, &Option<i64>)| ListedPartition {
        partition: PartitionId(id),
        offset: told.and_then(Offset::new).ok_or(KafkaCode::NOT_LEADER_OR_FOLLOWER),
    };
    TopicRows { topic: topic.into(), rows: (0..).zip(offsets).map(row).collect() }
}

/// Commits on a topic from partition 0 on; `Ok(None)`: none there.
fn commits(topic: &str, commits: &[Result<Option<i64>, KafkaCode>]) -> TopicRows<CommittedPartition> {
    let row = |(id, told): (i32, &Result<Option<i64>, KafkaCode>)| CommittedPartition {
        partition: PartitionId(id),
        offset: told.map(|raw| raw.and_then(Offset::new)),
    };
    TopicRows { topic: topic.into(), rows: (0..).zip(commits).map(row).collect() }
}

fn description(group: &str, state: GroupState, kind: GroupKind, protocol: &str) -> GroupDescription {
    GroupDescription {
        group: group.into(),
        state,
        kind,
        protocol: protocol.into(),
        is_simple: false,
        coordinator: BrokerId(1),
        members: 0,
        assignment: Vec::new(),
    }
}

fn describe_groups(world: &mut World, at: Moment) {
    let holds = |topic: &str, members, partitions: &[i32]| TopicAssignment {
        topic: topic.into(),
        members,
        partitions: partitions.iter().copied().map(PartitionId).collect(),
    };
    let billing = GroupDescription {
        members: 2,
        assignment: vec![holds("orders", 2, &[0, 1])],
        ..description("billing", GroupState::Stable, GroupKind::Classic, "range")
    };
    let next = GroupDescription {
        members: 1,
        assignment: vec![holds("audit.log", 1, &[0])],
        coordinator: BrokerId(2),
        ..description("next-generation", GroupState::Reconciling, GroupKind::Consumer, "uniform")
    };
    let simple =
        GroupDescription { is_simple: true, ..description("simple", GroupState::Empty, GroupKind::Classic, "") };
    let empty = description("finished", GroupState::Empty, GroupKind::Classic, "");
    let nasty = description(NASTY, GroupState::Empty, GroupKind::Unknown, "");
    for group in [billing, next, simple, empty, nasty] {
        world.apply_group_description(&group, MAX_AGE, at);
    }
}

/// The commits of one pass; `step` lets one group move.
fn fetch_commits(world: &mut World, read: ReadAt, step: i64) {
    let silent = KafkaCode::LOCAL_TIMED_OUT;
    let answers = [
        // Moves; has committed nothing on partition 1; stands on the partition without a leader.
        ("billing", vec![commits("orders", &[Ok(Some(80 + step)), Ok(None), Ok(Some(7))])]),
        // The commit lies below the log start: lost messages.
        ("finished", vec![commits("orders", &[Ok(Some(3))]), commits("deleted", &[Ok(Some(42))])]),
        // One partition is not told.
        ("simple", vec![commits("orders", &[Ok(Some(90)), Err(silent)])]),
        // An offset of this topic is not known.
        ("next-generation", vec![commits("audit.log", &[Ok(Some(11))])]),
        (NASTY, vec![commits("orders", &[Ok(Some(100))])]),
        // Three partitions of the topic are sampled; one of these has no commit, and one that is not has one.
        ("sampler", vec![commits("wide", &[Ok(Some(5)), Ok(None), Ok(Some(7)), Ok(Some(1))])]),
    ];
    for (group, topics) in answers {
        world.apply_commits(group, &CommittedOffsets { topics }, Asked::Everything, |_| true, &|_| MAX_AGE, read);
    }
}

fn list_groups(world: &mut World) {
    let listing =
        |group: &&str| GroupListing { group: Arc::from(*group), state: GroupState::Stable, kind: GroupKind::Classic };
    // The last two have no coordinator that would describe them.
    let names = ["billing", "next-generation", "simple", "finished", NASTY, "sampler", "undescribed"];
    let lists = vec![(BrokerId(1), names.iter().map(listing).collect())];
    world.groups.apply_lists(&GroupLists { lists, complete: true }, |_| true);
}

/// One pass, in a pass's order: commits before ends.
fn pass(world: &mut World, second: u32, step: i64) {
    let read = read_at(second);
    world.apply_metadata(&metadata(), |_| true, read.instants.moment);
    let racks = vec![(BrokerId(1), "rack-a".into())];
    world.apply_cluster_description(&ClusterDescription { cluster_id: Some("Nk018hRAQFytWskYqtQduw".into()), racks });
    list_groups(world);
    describe_groups(world, read.instants.moment);
    fetch_commits(world, read, step);
    let wide = |offset| offsets("wide", &[Some(offset); 3]);
    let ends = [offsets("orders", &[Some(100), Some(50), Some(9)]), offsets("audit.log", &[None]), wide(20)];
    let starts = [offsets("orders", &[Some(10), Some(0), Some(0)]), offsets("audit.log", &[Some(0)]), wide(2)];
    world.apply_offsets(OffsetSpec::Latest, &ends, |_| MAX_AGE, read);
    world.apply_offsets(OffsetSpec::Earliest, &starts, |_| MAX_AGE, read);
    let orders = TopicSettings {
        retention: Retention::For(Duration::from_millis(90_500)),
        retention_bytes: None,
        min_insync_replicas: 2,
        cleanup: Cleanup { delete: true, compact: false },
        is_tiered: false,
    };
    // Only compacted: age deletes nothing there. Of the other topics the settings are not known.
    let compacted = Cleanup { delete: false, compact: true };
    let wide = TopicSettings { cleanup: compacted, min_insync_replicas: 1, ..orders.clone() };
    for (topic, settings) in [("orders", orders), ("wide", wide)] {
        let ix = world.names.get(topic).unwrap();
        world.set_topic_settings(ix, Some(Arc::new(settings)));
    }
    world.set_broker_health(
        |id| if id.0 == 3 { (false, BreakerState::Open, 2) } else { (true, BreakerState::Closed, 0) },
    );
    for collector in CollectorName::ALL {
        let success = collector != CollectorName::Offsets;
        world.collectors.record(collector, success, Duration::from_millis(12), read.instants.wall);
    }
}

/// A cluster after two passes, with a constant label that needs an escape.
fn production() -> ClusterSource {
    let mut world = World::new(Collectors::new(|_| true));
    world.metadata_max_age = MAX_AGE;
    world.sample_partitions = NonZeroUsize::new(3);
    pass(&mut world, 1, 0);
    let first = Snapshot::derive(&world, None, read_at(1).instants);
    pass(&mut world, 16, 5);
    let second = Snapshot::derive(&world, Some(&first), read_at(16).instants);
    let mut cluster = ClusterSource::new(Some("prod"), vec!["broker-1.example:9092".to_owned()]);
    cluster.labels = vec![("site".to_owned(), "hall \"7\"".to_owned())];
    cluster.snapshot.store(Some(Arc::new(second)));
    let connection = BrokerConnection {
        broker: BrokerId(1),
        is_up: true,
        connects: 1,
        disconnects: 0,
        timeouts: 2,
        in_flight: 3,
        round_trip: Some(Duration::from_micros(1500)),
        requests: vec![("ListOffsets".into(), 8), ("Metadata".into(), 2)],
    };
    let idle = BrokerConnection {
        broker: BrokerId(2),
        is_up: false,
        connects: 4,
        disconnects: 4,
        timeouts: 0,
        in_flight: 0,
        round_trip: None,
        requests: Vec::new(),
    };
    cluster.connections.store(Arc::new(ConnectionStats { brokers: vec![connection, idle], replacements: 1 }));
    cluster
}

/// A cluster that was never reached.
fn lost() -> ClusterSource {
    let mut cluster = ClusterSource::new(Some("lost"), vec!["nowhere.example:9092".to_owned()]);
    cluster.collectors.retain(|collector| *collector != CollectorName::Commits);
    cluster.last_error.store(Some(Arc::new("no broker answered".to_owned())));
    cluster
}

fn own_metrics() -> (OwnMetrics, kafkascope::metrics::TaskGuard) {
    let own = OwnMetrics::new("0.0.0", Some("abcdef0")).expect("metrics of the catalogue");
    for cluster in ["prod", "lost"] {
        own.add_cluster(Some(cluster), Duration::from_secs(15));
    }
    own.observe_pass(Some("prod"), Duration::from_millis(125));
    own.count_errors(Some("prod"), Some(BrokerId(3)), "ListOffsets", 1);
    own.count_errors(Some("lost"), None, "Metadata", 1);
    own.cache_hits(Some("prod"), Cache::TopicIds, 3);
    own.http_request("/metrics", 200);
    own.config_loaded(WallTime(1_700_000_000_000));
    own.task_started(None, "reload", WallTime(1_700_000_000_000));
    own.task_started(Some("prod"), "poller", WallTime(1_700_000_000_000));
    own.task_panicked(Some("prod"), "poller");
    own.task_restarted(Some("prod"), "poller", WallTime(1_700_000_001_000));
    let running = own.task(TaskState::Running);
    (own, running)
}

fn exposition(format: Format) -> String {
    let clusters = [production(), lost()].map(Arc::new);
    let (own, _running) = own_metrics();
    let view = View {
        clusters: clusters.iter().map(ClusterView::of).collect(),
        own: own.gather(),
        // What the operating system says of the process is never twice the same.
        process: Vec::new(),
        selection: Selection::default(),
    };
    String::from_utf8(Exposition::new(view, format).into_bytes()).expect("an exposition is UTF-8")
}

#[track_caller]
fn check(name: &str, format: Format) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let actual = exposition(format);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &actual).expect("a golden file that can be written");
        return;
    }
    let expected = std::fs::read_to_string(&path).expect("a golden file");
    let differing = expected.lines().zip(actual.lines()).find(|(expected, actual)| expected != actual);
    assert!(
        expected == actual,
        "{} differs, first at (expected, actual): {differing:#?}. UPDATE_GOLDEN=1 writes it anew",
        path.display()
    );
}

#[test]
fn text() {
    check("exposition.txt", Format::Text);
}

#[test]
fn openmetrics() {
    check("exposition.openmetrics.txt", Format::OpenMetrics);
}
