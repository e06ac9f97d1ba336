//! A cluster with groups in known conditions, for tests of what is shown of them.

#![allow(clippy::unwrap_used, reason = "a broken fixture ends the test, as it should")]

use std::sync::Arc;

use crate::derive::{
    BehindCounts, GroupOutlook, GroupTopicOutlook, Outlook, RowOutlook, RowOutlooks, Snapshot, Verdict,
};
use crate::model::{
    Broker, BrokerId, ClusterMetadata, CommittedOffsets, CommittedPartition, GroupDescription, GroupKind, GroupListing,
    GroupState, GroupStatus, Instants, KafkaCode, ListedPartition, MaxAge, Moment, Offset, OffsetSpec, PartitionId,
    PartitionMetadata, TimeLagMethod, TopicAssignment, TopicMetadata, TopicRows, WallTime,
};
use crate::state::{Asked, Collectors, GroupLists, ReadAt, Round, World};

/// The time of every test: 22:13:20 UTC on 14 November 2023.
pub(crate) const NOW: WallTime = WallTime(1_700_000_000_000);
const NOW_MOMENT: Moment = Moment(1_000_000_000);
const MAX_AGE: MaxAge = MaxAge::from_secs(1_000_000);

/// What is told of a partition of a topic that the group has committed on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) start: i64,
    pub(crate) committed: i64,
    /// `None`: not known.
    pub(crate) end: Option<i64>,
    /// How long ago the oldest unread record was appended, in seconds; `None`: not known.
    pub(crate) behind: Option<u64>,
    pub(crate) status: GroupStatus,
    pub(crate) is_abandoned: bool,
}

/// A row with so much lag, so many seconds behind, and this verdict.
pub(crate) fn row(lag: i64, behind: u64, status: GroupStatus) -> Row {
    let behind = (lag > 0).then_some(behind);
    Row { start: 0, committed: 1000, end: Some(1000 + lag), behind, status, is_abandoned: false }
}

/// A group on a topic.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topic {
    pub(crate) name: &'static str,
    pub(crate) rows: Vec<Row>,
    pub(crate) velocity: Option<f64>,
    /// In how many seconds the oldest unread record may be deleted.
    pub(crate) headroom: Option<u64>,
    /// Partitions that members hold; `None`: the topic is not assigned.
    pub(crate) held: Option<usize>,
    /// Partitions beyond those that are committed on.
    pub(crate) more_partitions: usize,
}

impl Topic {
    pub(crate) fn new(name: &'static str, rows: Vec<Row>) -> Self {
        Self { name, rows, ..Self::default() }
    }
}

/// A group as its coordinator told it at a time, in seconds before now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) ago: u64,
    pub(crate) members: u32,
    pub(crate) state: GroupState,
}

/// One group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) is_simple: bool,
    pub(crate) told: Vec<Told>,
    pub(crate) topics: Vec<Topic>,
    /// Whether the past has been evaluated.
    pub(crate) has_outlook: bool,
}

impl Group {
    /// Two members, stable.
    pub(crate) fn stable(name: &'static str, topics: Vec<Topic>) -> Self {
        Self::told(name, vec![Told { ago: 0, members: 2, state: GroupState::Stable }], topics)
    }

    /// Told in this way.
    pub(crate) fn told(name: &'static str, told: Vec<Told>, topics: Vec<Topic>) -> Self {
        Self { name, is_simple: false, told, topics, has_outlook: true }
    }
}

fn metadata(groups: &[Group]) -> ClusterMetadata {
    let partitions = |topic: &Topic| {
        (0..topic.rows.len() + topic.more_partitions).map(|place| PartitionMetadata {
            id: PartitionId::from_index(place).unwrap(),
            leader: Some(BrokerId(1)),
            replicas: vec![BrokerId(1)],
            in_sync: 1,
        })
    };
    let topics = groups.iter().flat_map(|group| &group.topics).map(|topic| TopicMetadata {
        name: topic.name.into(),
        error: KafkaCode::NONE,
        partitions: partitions(topic).collect(),
    });
    ClusterMetadata {
        brokers: vec![Broker { id: BrokerId(1), host: "b1".into(), port: 9092 }],
        topics: topics.collect(),
    }
}

fn ago(seconds: u64) -> Moment {
    Moment(NOW_MOMENT.0 - seconds * 1000)
}

fn describe(world: &mut World, group: &Group) {
    for told in &group.told {
        let assignment = group.topics.iter().filter_map(|topic| {
            let partitions = (0..topic.held?).map(|place| PartitionId::from_index(place).unwrap()).collect();
            Some(TopicAssignment { topic: topic.name.into(), members: told.members, partitions })
        });
        let description = GroupDescription {
            group: group.name.into(),
            state: told.state,
            kind: GroupKind::Classic,
            protocol: "range".into(),
            is_simple: group.is_simple,
            coordinator: BrokerId(1),
            members: told.members,
            assignment: assignment.collect(),
        };
        world.apply_group_description(&description, MAX_AGE, ago(told.ago));
    }
}

fn offsets(world: &mut World, group: &Group, spec: OffsetSpec, read: ReadAt) {
    for topic in &group.topics {
        let rows = topic.rows.iter().enumerate().map(|(place, row)| {
            let known = if spec == OffsetSpec::Latest { row.end } else { Some(row.start) };
            let offset = known.and_then(Offset::new).ok_or(KafkaCode::LOCAL_NO_OFFSET);
            ListedPartition { partition: PartitionId::from_index(place).unwrap(), offset }
        });
        let rows = TopicRows { topic: topic.name.into(), rows: rows.collect() };
        world.apply_offsets(spec, &[rows], |_| MAX_AGE, read);
    }
}

fn commits(world: &mut World, group: &Group, read: ReadAt) {
    let topics = group.topics.iter().map(|topic| TopicRows {
        topic: topic.name.into(),
        rows: topic
            .rows
            .iter()
            .enumerate()
            .map(|(place, row)| CommittedPartition {
                partition: PartitionId::from_index(place).unwrap(),
                offset: Ok(Offset::new(row.committed)),
            })
            .collect(),
    });
    let answer = CommittedOffsets { topics: topics.collect() };
    world.apply_commits(group.name, &answer, Asked::Everything, |_| true, &|_| MAX_AGE, read);
}

fn row_outlook(row: &Row) -> RowOutlook {
    let oldest =
        row.behind.map(|behind| (WallTime(NOW.0 - i64::try_from(behind * 1000).unwrap()), TimeLagMethod::History));
    let abandoned_from = row.is_abandoned.then_some(WallTime(0));
    RowOutlook::new(oldest, Verdict { abandoned_from, ..Verdict::of(row.status) }, 10)
}

/// The outlook of a group, in the order of its commits.
fn outlook(snapshot: &Snapshot, group: &Group) -> Arc<GroupOutlook> {
    let table = snapshot.group(group.name).unwrap().table.clone();
    if !group.has_outlook {
        let other = Arc::new((*table).clone());
        return Arc::new(GroupOutlook {
            table: other,
            rows: RowOutlooks::default(),
            topics: Vec::new(),
            behind: BehindCounts::default(),
        });
    }
    let segments = table.commits.iter().flat_map(|commits| &commits.segments);
    let topics: Vec<&Topic> = segments
        .map(|segment| {
            let name = snapshot.world.names.name(segment.topic).unwrap();
            group.topics.iter().find(|topic| topic.name == name.as_ref()).unwrap()
        })
        .collect();
    let of_topic = |topic: &&Topic| GroupTopicOutlook {
        velocity: topic.velocity,
        // Who catches up consumes.
        consume_rate: topic.velocity.map(|velocity| (-velocity).max(0.0)),
        deleted_from: topic.headroom.map(|left| WallTime(NOW.0 + i64::try_from(left * 1000).unwrap())),
    };
    Arc::new(GroupOutlook {
        behind: BehindCounts::default(),
        rows: topics.iter().flat_map(|topic| topic.rows.iter().map(row_outlook)).collect(),
        topics: topics.iter().map(of_topic).collect(),
        table,
    })
}

/// A snapshot of these groups, in the order of their names, at [`NOW`]. Topics of different groups have different names.
pub(crate) fn snapshot(groups: &[Group]) -> Snapshot {
    let now = Instants { moment: NOW_MOMENT, wall: NOW };
    let read = ReadAt { round: Round(1), instants: now };
    let mut world = World::new(Collectors::new(|_| true));
    (world.metadata_max_age, world.up) = (MAX_AGE, true);
    world.cluster_id = Some("test-cluster".into());
    world.apply_metadata(&metadata(groups), |_| true, NOW_MOMENT);
    let listing =
        |group: &Group| GroupListing { group: group.name.into(), state: GroupState::Stable, kind: GroupKind::Classic };
    let lists = GroupLists { lists: vec![(BrokerId(1), groups.iter().map(listing).collect())], complete: true };
    world.groups.apply_lists(&lists, |_| true);
    for group in groups {
        offsets(&mut world, group, OffsetSpec::Earliest, read);
        describe(&mut world, group);
        if !group.topics.is_empty() {
            commits(&mut world, group, read);
        }
        offsets(&mut world, group, OffsetSpec::Latest, read);
    }
    let mut snapshot = Snapshot::derive(&world, None, now);
    let mut groups: Vec<&Group> = groups.iter().collect();
    groups.sort_by_key(|group| group.name);
    let groups = groups.into_iter().map(|group| outlook(&snapshot, group)).collect();
    snapshot.set_outlook(Arc::new(Outlook { groups, intervals: 10, ..Outlook::default() }));
    snapshot
}
