//! Whatever Kafka says, the exposition can be read, and holds no number that is not one.

#![allow(clippy::unwrap_used, reason = "a broken fixture ends the test, as it should")]

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::testing::{Sample, parse, render};
use super::{ClusterView, Exposition, Format, View};
use crate::derive::Snapshot;
use crate::metrics::catalogue::ALL;
use crate::metrics::{ByPartition, ClusterSource, OwnMetrics};
use crate::model::{
    Broker, BrokerId, ClusterMetadata, CommittedOffsets, CommittedPartition, GroupDescription, GroupKind, GroupListing,
    GroupState, Instants, KafkaCode, ListedPartition, MaxAge, Moment, Offset, OffsetSpec, PartitionId,
    PartitionMetadata, TopicAssignment, TopicMetadata, TopicRows, WallTime,
};
use crate::state::{Asked, CollectorName, Collectors, GroupLists, ReadAt, Round, World};
use crate::track::{Named, TrackSettings, Tracker};

const MAX_AGE: MaxAge = MaxAge::from_secs(120);

/// A partition: leader (or none), replicas, in sync, log start, log end.
type ToldPartition = (Option<i32>, u16, u16, i64, i64);

/// A commit: topic, partition, offset.
type ToldCommit = (usize, i32, i64);

/// What one pass is told: some of it missing, some of it wrong.
#[derive(Debug, Clone)]
pub(in crate::metrics) struct Pass {
    /// For each topic its partitions.
    topics: Vec<Vec<ToldPartition>>,
    /// For each group whether it is listed, whether it is described, and what it has committed.
    groups: Vec<(bool, bool, Vec<ToldCommit>)>,
    /// Seconds since the last pass.
    after: u64,
}

pub(in crate::metrics) fn pass() -> impl Strategy<Value = Pass> {
    let offset = prop_oneof![Just(-1_i64), Just(-1001), 0..1000_i64, any::<i64>()];
    let partition = (proptest::option::of(0..3_i32), 0..4_u16, 0..4_u16, offset.clone(), offset.clone());
    let commit = (0..4_usize, -1..4_i32, offset);
    let topics = vec(vec(partition, 0..4), 0..4);
    let groups = vec((any::<bool>(), any::<bool>(), vec(commit, 0..8)), 0..3);
    (topics, groups, 1..200_u64).prop_map(|(topics, groups, after)| Pass { topics, groups, after })
}

fn topic_name(topic: usize) -> Arc<str> {
    format!("topic-{topic}").into()
}

fn offset(raw: i64) -> Result<Option<Offset>, KafkaCode> {
    if raw == -1001 { Err(KafkaCode::LEADER_NOT_AVAILABLE) } else { Ok(Offset::new(raw)) }
}

fn metadata(pass: &Pass) -> ClusterMetadata {
    let partition = |(id, told): (usize, &ToldPartition)| PartitionMetadata {
        id: PartitionId::from_index(id).unwrap(),
        leader: told.0.map(BrokerId),
        replicas: (0..told.1).map(|id| BrokerId(id.into())).collect(),
        in_sync: told.2,
    };
    ClusterMetadata {
        brokers: (0..2).map(|id| Broker { id: BrokerId(id), host: "::1".into(), port: 9092 }).collect(),
        topics: (0..pass.topics.len())
            .map(|topic| TopicMetadata {
                name: topic_name(topic),
                error: KafkaCode::NONE,
                partitions: pass.topics[topic].iter().enumerate().map(partition).collect(),
            })
            .collect(),
    }
}

fn apply_groups(world: &mut World, pass: &Pass, read: ReadAt) {
    let name = |group: usize| Arc::<str>::from(format!("group-{group}"));
    let listing = |group| GroupListing { group: name(group), state: GroupState::Stable, kind: GroupKind::Classic };
    let listed = (0..pass.groups.len()).filter(|group| pass.groups[*group].0).map(listing).collect();
    let lists = GroupLists { lists: vec![(BrokerId(0), listed)], complete: true };
    world.groups.apply_lists(&lists, |_| true);
    for (group, (_, described, rows)) in pass.groups.iter().enumerate() {
        if *described {
            let assigned =
                |topic| TopicAssignment { topic: topic_name(topic), members: 1, partitions: vec![PartitionId(0)] };
            let description = GroupDescription {
                group: name(group),
                state: GroupState::Stable,
                kind: GroupKind::Classic,
                protocol: "range".into(),
                is_simple: false,
                coordinator: BrokerId(0),
                members: 1,
                assignment: (0..2).map(assigned).collect(),
            };
            world.apply_group_description(&description, MAX_AGE, read.instants.moment);
        }
        let row = |row: &ToldCommit| TopicRows {
            topic: topic_name(row.0),
            rows: vec![CommittedPartition { partition: PartitionId(row.1.max(0)), offset: offset(row.2) }],
        };
        let answer = CommittedOffsets { topics: rows.iter().map(row).collect() };
        world.apply_commits(&name(group), &answer, Asked::Everything, |_| true, &|_| MAX_AGE, read);
    }
}

fn apply(world: &mut World, pass: &Pass, read: ReadAt) {
    world.apply_metadata(&metadata(pass), |_| true, read.instants.moment);
    apply_groups(world, pass, read);
    for (topic, partitions) in pass.topics.iter().enumerate() {
        for (id, (_, _, _, start, end)) in partitions.iter().enumerate() {
            for (spec, raw) in [(OffsetSpec::Latest, *end), (OffsetSpec::Earliest, *start)] {
                let told = offset(raw).and_then(|offset| offset.ok_or(KafkaCode::LOCAL_NO_OFFSET));
                let row = ListedPartition { partition: PartitionId::from_index(id).unwrap(), offset: told };
                world.apply_offsets(
                    spec,
                    &[TopicRows { topic: topic_name(topic), rows: vec![row] }],
                    |_| MAX_AGE,
                    read,
                );
            }
        }
    }
    for collector in CollectorName::ALL {
        world.collectors.record(
            collector,
            pass.after.is_multiple_of(2),
            Duration::from_millis(pass.after),
            read.instants.wall,
        );
    }
}

/// The cluster after some passes.
fn cluster_after(passes: &[Pass]) -> Arc<ClusterSource> {
    let cluster = Arc::new(ClusterSource::new(None, Vec::new()));
    follow(passes, |snapshot| {
        cluster.publish(snapshot);
    });
    cluster
}

/// Makes a snapshot after each of some passes, as the poller does, and one more at the end, after which nothing has moved.
pub(in crate::metrics) fn follow(passes: &[Pass], mut publish: impl FnMut(Snapshot)) {
    let mut tracker = Tracker::new(TrackSettings::default());
    let mut previous: Option<Snapshot> = None;
    let mut told = |world: &World, instants| {
        let mut snapshot = Snapshot::derive(world, previous.as_ref(), instants);
        let outlook = tracker.observe(&snapshot, &Named::Fresh);
        snapshot.set_outlook(outlook);
        previous = Some(snapshot.clone());
        publish(snapshot);
    };
    let mut world = World::new(Collectors::new(|_| true));
    world.metadata_max_age = MAX_AGE;
    let mut second = 1;
    for (round, pass) in (1..).zip(passes) {
        second += pass.after;
        let wall = WallTime(i64::try_from(1_700_000_000 + second).unwrap() * 1000);
        let instants = Instants { moment: Moment(second * 1000), wall };
        apply(&mut world, pass, ReadAt { round: Round(round), instants });
        told(&world, instants);
        if usize::try_from(round).is_ok_and(|round| round == passes.len()) {
            told(&world, instants);
        }
    }
}

/// A cluster with one topic and one group of these names, and a constant label of that value.
fn cluster_named(topic: &str, group: &str, label: &str) -> Arc<ClusterSource> {
    let mut world = World::new(Collectors::new(|_| true));
    world.metadata_max_age = MAX_AGE;
    let read = ReadAt { round: Round(1), instants: Instants { moment: Moment(1000), wall: WallTime(1000) } };
    let partition =
        PartitionMetadata { id: PartitionId(0), leader: Some(BrokerId(1)), replicas: vec![BrokerId(1)], in_sync: 1 };
    let topics = vec![TopicMetadata { name: topic.into(), error: KafkaCode::NONE, partitions: vec![partition] }];
    world.apply_metadata(&ClusterMetadata { brokers: Vec::new(), topics }, |_| true, read.instants.moment);
    let listing = GroupListing { group: group.into(), state: GroupState::Empty, kind: GroupKind::Classic };
    world.groups.apply_lists(&GroupLists { lists: vec![(BrokerId(1), vec![listing])], complete: true }, |_| true);
    let row = CommittedPartition { partition: PartitionId(0), offset: Ok(Offset::new(7)) };
    let answer = CommittedOffsets { topics: vec![TopicRows { topic: topic.into(), rows: vec![row] }] };
    world.apply_commits(group, &answer, Asked::Everything, |_| true, &|_| MAX_AGE, read);
    let mut cluster = ClusterSource::new(Some(label), Vec::new());
    cluster.labels = vec![("site".to_owned(), label.to_owned())];
    cluster.snapshot.store(Some(Arc::new(Snapshot::derive(&world, None, read.instants))));
    Arc::new(cluster)
}

fn of_kafka(samples: Vec<Sample>) -> Vec<Sample> {
    samples.into_iter().filter(|sample| sample.name.starts_with("kafka_")).collect()
}

proptest! {
    #[test]
    fn any_label_value_comes_back(topic in "\\PC+|.+|[\"\\\\\n]+", group in any::<String>(), label in "(?s).*") {
        let cluster = cluster_named(&topic, &group, &label);
        for format in Format::ALL {
            let samples = parse(&render(std::slice::from_ref(&cluster), format), format);
            let commit = samples.iter().find(|sample| sample.name == "kafka_consumergroup_current_offset");
            let commit = commit.unwrap();
            // An empty value and no label are the same to Prometheus.
            prop_assert_eq!(commit.label("topic").unwrap_or(""), topic.as_str());
            prop_assert_eq!(commit.label("consumergroup").unwrap_or(""), group.as_str());
            prop_assert_eq!(commit.label("site"), Some(label.as_str()));
            prop_assert_eq!(commit.label("cluster_name"), Some(label.as_str()));
            prop_assert_eq!(commit.label("partition"), Some("0"));
            prop_assert_eq!(commit.value, 7.0);
        }
    }

    #[test]
    fn no_sample_is_negative_or_no_number(passes in vec(pass(), 1..5)) {
        let cluster = cluster_after(&passes);
        let text = parse(&render(std::slice::from_ref(&cluster), Format::Text), Format::Text);
        for sample in &text {
            // A lag that falls grows by less than nothing.
            let may_be_negative = sample.name == "kafka_consumergroup_lag_velocity";
            prop_assert!((sample.value >= 0.0 || may_be_negative) && sample.value.is_finite(), "{sample:?}");
        }
        let open = parse(&render(&[cluster], Format::OpenMetrics), Format::OpenMetrics);
        prop_assert_eq!(of_kafka(text), of_kafka(open));
    }

    #[test]
    fn a_body_is_the_same_however_it_is_cut(passes in vec(pass(), 1..3), enough in 1..5000_usize) {
        let cluster = cluster_after(&passes);
        let view = View { clusters: vec![ClusterView::of(&cluster)], ..View::default() };
        let mut exposition = Exposition::new(view, Format::Text);
        let mut whole = Vec::new();
        let mut piece = Vec::new();
        let mut is_more = true;
        while is_more {
            piece.clear();
            is_more = exposition.next_chunk(&mut piece, enough);
            whole.extend_from_slice(&piece);
        }
        prop_assert_eq!(String::from_utf8(whole).unwrap(), render(&[cluster], Format::Text));
    }
}

impl Pass {
    /// Two topics, and a group that has committed on one.
    pub(in crate::metrics) fn of_two_topics() -> Self {
        Self { topics: vec![vec![(Some(1), 2, 2, 5, 9); 2]; 2], groups: vec![(true, true, vec![(0, 0, 6)])], after: 1 }
    }
}

#[test]
fn before_the_first_pass_a_cluster_is_down_and_its_collectors_have_not_succeeded() {
    let samples = parse(&render(&[Arc::new(ClusterSource::new(None, Vec::new()))], Format::Text), Format::Text);
    let up: Vec<f64> = samples.iter().filter(|sample| sample.name == "kafka_up").map(|sample| sample.value).collect();
    assert_eq!(up, [0.0]);
    let success = |sample: &&Sample| sample.name == "kafkascope_collector_success";
    assert_eq!(samples.iter().filter(success).filter(|sample| sample.value == 0.0).count(), CollectorName::ALL.len());
    assert!(!samples.iter().any(|sample| sample.name.contains("last_success")), "never is no time");
}

#[test]
fn coarse_granularity_leaves_out_exactly_the_families_by_partition() {
    let fine = cluster_after(&[Pass::of_two_topics()]);
    let mut coarse = ClusterSource::new(None, Vec::new());
    (coarse.shown.topics, coarse.shown.groups) = (ByPartition::None, ByPartition::None);
    let coarse = Arc::new(coarse);
    coarse.take_over(&fine);
    let parsed = |cluster: Arc<ClusterSource>| parse(&render(&[cluster], Format::Text), Format::Text);
    let expected: Vec<Sample> = parsed(fine).into_iter().filter(|sample| sample.label("partition").is_none()).collect();
    assert_eq!(parsed(coarse), expected);
}

#[test]
fn a_collector_that_is_off_takes_its_families_along() {
    let full = cluster_after(&[Pass::of_two_topics()]);
    for off in CollectorName::ALL {
        let mut cluster = ClusterSource::new(None, Vec::new());
        cluster.collectors.retain(|collector| *collector != off);
        cluster.snapshot.store(full.snapshot.load_full());
        let samples = parse(&render(&[Arc::new(cluster)], Format::Text), Format::Text);
        let needs = |name: &str| {
            let origin = ALL.iter().find(|family| family.name == name).unwrap().origin;
            origin.collector == Some(off) || origin.also_needs == Some(off)
        };
        assert!(!samples.iter().any(|sample| needs(&sample.name)), "{off:?}");
        assert!(!samples.iter().any(|sample| sample.label("collector") == Some(off.as_str())), "{off:?}");
        assert!(!samples.is_empty());
    }
}

#[test]
fn the_exporters_own_families_have_catalogue_order_and_no_empty_labels() {
    let own = OwnMetrics::new("1.2.3", None).unwrap();
    own.add_cluster(None, Duration::from_secs(15));
    own.observe_pass(None, Duration::from_millis(70));
    own.count_errors(None, None, "Metadata", 1);
    own.count_errors(None, Some(BrokerId(3)), "ListOffsets", 1);
    let cluster = Arc::new(ClusterSource::new(None, Vec::new()));
    for format in Format::ALL {
        let view = View { clusters: vec![ClusterView::of(&cluster)], own: own.gather(), ..View::default() };
        let body = String::from_utf8(Exposition::new(view, format).into_bytes()).unwrap();
        let samples = parse(&body, format);
        assert!(!body.contains("=\"\""), "{body}");
        assert!(body.contains("kafkascope_broker_errors_total{broker=\"bootstrap\",api=\"Metadata\"} 1\n"));
        assert!(body.contains("kafkascope_broker_errors_total{broker=\"3\",api=\"ListOffsets\"} 1\n"));
        assert!(body.contains("kafkascope_pass_duration_seconds_bucket{le=\"0.05\"} 0\n"));
        assert!(body.contains("kafkascope_pass_duration_seconds_bucket{le=\"+Inf\"} 1\n"));
        let one = if format == Format::Text { "le=\"1\"" } else { "le=\"1.0\"" };
        assert!(body.contains(&format!("kafkascope_pass_duration_seconds_bucket{{{one}}} 1\n")));
        assert!(samples.iter().any(|sample| sample.name == "kafka_exporter_build_info"));
    }
}
