//! How much is worked on anew: counted, so that it holds on any machine.

use std::sync::Arc;

use super::*;
use crate::derive::{Snapshot, Stamp};
use crate::model::{
    BrokerId, ClusterMetadata, CommittedOffsets, CommittedPartition, GroupKind, GroupListing, GroupState, Instants,
    KafkaCode, ListedPartition, MaxAge, Moment, Offset, OffsetSpec, PartitionId, PartitionMetadata, TopicMetadata,
    TopicRows, WallTime,
};
use crate::state::{Asked, CollectorName, Collectors, GroupLists, ReadAt, World};

const TOPICS: usize = 6;
const PARTITIONS: i32 = 2;
const PASS_MS: u64 = 15_000;
const MAX_AGE: MaxAge = MaxAge::from_secs(600);

fn topic(place: usize) -> Arc<str> {
    format!("topic-{place}").into()
}

fn group(place: usize) -> Arc<str> {
    format!("group-{place}").into()
}

/// A group of a number reads the topic of the same number and the next.
fn reads(group: usize, topic: usize) -> bool {
    topic == group || topic == (group + 1) % TOPICS
}

fn metadata() -> ClusterMetadata {
    let partition = |id| PartitionMetadata { id: PartitionId(id), leader: None, replicas: Vec::new(), in_sync: 0 };
    let topic = |place| TopicMetadata {
        name: topic(place),
        error: KafkaCode::NONE,
        partitions: (0..PARTITIONS).map(partition).collect(),
    };
    ClusterMetadata { brokers: Vec::new(), topics: (0..TOPICS).map(topic).collect() }
}

/// As many groups as topics, the former published snapshot, and what is remembered.
struct Cluster {
    world: World,
    tracker: Tracker,
    last: Option<Snapshot>,
    pass: u64,
}

/// Places of what bears another stamp than in the snapshot before.
#[derive(Debug, PartialEq, Eq)]
struct Anew {
    topics: Vec<usize>,
    groups: Vec<usize>,
    standings: Vec<usize>,
    /// Groups whose lags are others in memory.
    derived: Vec<usize>,
    /// Groups of which something else is said, in memory.
    followed: Vec<usize>,
}

impl Cluster {
    fn new() -> Self {
        let mut world = World::new(Collectors::new(|_: CollectorName| true));
        world.metadata_max_age = MAX_AGE;
        let listing = |place| GroupListing { group: group(place), state: GroupState::Empty, kind: GroupKind::Classic };
        let lists = GroupLists { lists: vec![(BrokerId(1), (0..TOPICS).map(listing).collect())], complete: true };
        world.groups.apply_lists(&lists, |_| true);
        Self { world, tracker: Tracker::new(TrackSettings::default()), last: None, pass: 0 }
    }

    /// A pass that asks for the ends of some topics and the commits on them, with what it changed.
    fn pass(&mut self, asked: &[usize], end: i64) -> Anew {
        self.pass += 1;
        let moment = Moment(self.pass * PASS_MS);
        let instants = Instants { moment, wall: WallTime(1_700_000_000_000 + i64::try_from(moment.0).unwrap()) };
        let read = ReadAt { round: self.world.round.next(), instants };
        self.world.round = read.round;
        self.world.apply_metadata(&metadata(), |_| true, moment);
        for place in 0..TOPICS {
            let topics: Vec<usize> = asked.iter().copied().filter(|topic| reads(place, *topic)).collect();
            if !topics.is_empty() {
                self.commits(place, &topics, end - 5, read);
            }
        }
        let row = |id| ListedPartition { partition: PartitionId(id), offset: Ok(Offset::new(end).unwrap()) };
        let ends =
            asked.iter().map(|place| TopicRows { topic: topic(*place), rows: (0..PARTITIONS).map(row).collect() });
        self.world.apply_offsets(OffsetSpec::Latest, &ends.collect::<Vec<_>>(), |_| MAX_AGE, read);
        self.look(instants)
    }

    fn commits(&mut self, place: usize, topics: &[usize], offset: i64, read: ReadAt) {
        let row = |id| CommittedPartition { partition: PartitionId(id), offset: Ok(Offset::new(offset)) };
        let rows = |place: &usize| TopicRows { topic: topic(*place), rows: (0..PARTITIONS).map(row).collect() };
        let answer = CommittedOffsets { topics: topics.iter().map(rows).collect() };
        let names: Vec<_> = topics
            .iter()
            .map(|place| (self.world.names.get(&topic(*place)).unwrap(), (0..PARTITIONS).map(PartitionId).collect()))
            .collect();
        self.world.apply_commits(&group(place), &answer, Asked::Named(&names), |_| true, &|_| MAX_AGE, read);
    }

    fn look(&mut self, instants: Instants) -> Anew {
        let mut snapshot = Snapshot::derive(&self.world, self.last.as_ref(), instants);
        snapshot.set_outlook(self.tracker.observe(&snapshot, &Named::Fresh));
        let last = self.last.as_ref();
        let of = |what: &dyn Fn(&Snapshot, usize) -> Option<Stamp>| -> Vec<usize> {
            (0..TOPICS).filter(|place| last.is_none_or(|last| what(last, *place) != what(&snapshot, *place))).collect()
        };
        let by_name = |snapshot: &Snapshot, place| snapshot.topic_stamp(snapshot.world.names.get(&topic(place))?);
        let same_lags = |last: &Snapshot, place: usize| Arc::ptr_eq(&last.groups[place], &snapshot.groups[place]);
        let same_outlook = |last: &Snapshot, place: usize| {
            Arc::ptr_eq(&last.outlook().groups[place], &snapshot.outlook().groups[place])
        };
        let anew = Anew {
            topics: of(&by_name),
            groups: of(&Snapshot::group_stamp),
            standings: of(&Snapshot::standing_stamp),
            derived: (0..TOPICS).filter(|place| !last.is_some_and(|last| same_lags(last, *place))).collect(),
            followed: (0..TOPICS).filter(|place| !last.is_some_and(|last| same_outlook(last, *place))).collect(),
        };
        self.last = Some(snapshot);
        anew
    }
}

impl Anew {
    fn of(topics: &[usize], groups: &[usize]) -> Self {
        let groups = groups.to_vec();
        Self {
            topics: topics.to_vec(),
            groups: groups.clone(),
            standings: groups.clone(),
            derived: groups.clone(),
            followed: groups,
        }
    }
}

#[test]
fn what_is_not_asked_for_is_not_worked_on() {
    let mut cluster = Cluster::new();
    let all: Vec<usize> = (0..TOPICS).collect();
    assert_eq!(cluster.pass(&all, 100), Anew::of(&all, &all), "the first pass");
    for _ in 0..3 {
        assert_eq!(cluster.pass(&[], 0), Anew::of(&[], &[]), "metadata alone");
    }
}

#[test]
fn a_topic_that_moves_costs_itself_and_the_groups_on_it() {
    let mut cluster = Cluster::new();
    let all: Vec<usize> = (0..TOPICS).collect();
    cluster.pass(&all, 100);
    cluster.pass(&[3], 200);
    // Another pass of the same kind: the first one began the topic's rate.
    assert_eq!(cluster.pass(&[3], 300), Anew::of(&[3], &[2, 3]));
    assert_eq!(cluster.pass(&[0], 300), Anew::of(&[0], &[0, 5]));
}
