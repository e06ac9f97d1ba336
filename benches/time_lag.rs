//! What time lag and status cost beside the rest of a pass, and how much memory they take, on the Large cluster of the
//! peers' figures: 1000 topics × 10 partitions, 200 groups with 1000 committed partitions each.
//!
//! `cargo bench --bench time_lag`. What Kafka and librdkafka take is not in it: figures are of applying answers, deriving
//! and remembering. Only ratios within one run mean something.

#![allow(clippy::print_stdout, reason = "a bench tells its figures")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafkascope::derive::Snapshot;
use kafkascope::model::{
    Broker, BrokerId, ClusterMetadata, CommittedOffsets, CommittedPartition, GroupKind, GroupListing, GroupState,
    Instants, KafkaCode, ListedPartition, MaxAge, Moment, Offset, OffsetSpec, PartitionId, PartitionMetadata,
    TopicMetadata, TopicRows, WallTime,
};
use kafkascope::state::{Asked, Collectors, GroupLists, ReadAt, World};
use kafkascope::track::{Named, TrackSettings, Tracker};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const TOPICS: usize = 1000;
const PARTITIONS: i32 = 10;
const GROUPS: usize = 200;
/// Topics that a group has committed on: 1000 partitions.
const TOPICS_OF_A_GROUP: usize = 100;
const GROUP_PARTITIONS: usize = GROUPS * TOPICS_OF_A_GROUP * 10;
/// Passes: enough to fill every history.
const PASSES: u64 = 60;
const INTERVAL_MS: u64 = 15_000;
const MAX_AGE: MaxAge = MaxAge::from_secs(300);

/// How the cluster behaves.
#[derive(Clone, Copy)]
struct Scene {
    name: &'static str,
    /// Of ten topics so many move.
    moving: usize,
    /// Of ten groups so many are behind.
    behind: usize,
}

const SCENES: [Scene; 4] = [
    Scene { name: "nothing moves, all caught up", moving: 0, behind: 0 },
    Scene { name: "nothing moves, 20 % behind", moving: 0, behind: 2 },
    Scene { name: "10 % of the topics move, 20 % behind", moving: 1, behind: 2 },
    Scene { name: "everything moves, 20 % behind", moving: 10, behind: 2 },
];

struct Cluster {
    scene: Scene,
    topics: Vec<Arc<str>>,
    groups: Vec<Arc<str>>,
    world: World,
}

impl Cluster {
    fn new(scene: Scene) -> Self {
        let topics: Vec<Arc<str>> = (0..TOPICS).map(|topic| format!("topic-{topic:04}").into()).collect();
        let groups: Vec<Arc<str>> = (0..GROUPS).map(|group| format!("group-{group:03}").into()).collect();
        let mut cluster = Self { scene, topics, groups, world: World::new(Collectors::new(|_| true)) };
        cluster.world.metadata_max_age = MAX_AGE;
        cluster.world.apply_metadata(&cluster.metadata(), |_| true, Moment(0));
        let listed = cluster.groups.iter().map(|group| GroupListing {
            group: group.clone(),
            state: GroupState::Empty,
            kind: GroupKind::Classic,
        });
        let lists = GroupLists { lists: vec![(BrokerId(1), listed.collect())], complete: true };
        cluster.world.groups.apply_lists(&lists, |_| true);
        cluster
    }

    fn metadata(&self) -> ClusterMetadata {
        let partition = |id| PartitionMetadata {
            id: PartitionId(id),
            leader: Some(BrokerId(1)),
            replicas: vec![BrokerId(1)],
            in_sync: 1,
        };
        ClusterMetadata {
            brokers: vec![Broker { id: BrokerId(1), host: "broker".into(), port: 9092 }],
            topics: self
                .topics
                .iter()
                .map(|name| TopicMetadata {
                    name: name.clone(),
                    error: KafkaCode::NONE,
                    partitions: (0..PARTITIONS).map(partition).collect(),
                })
                .collect(),
        }
    }

    fn end(&self, topic: usize, pass: u64) -> i64 {
        let moved = if topic % 10 < self.scene.moving { pass } else { 0 };
        1_000_000 + i64::try_from(moved).unwrap_or(0) * (100 + i64::try_from(topic % 7).unwrap_or(0))
    }

    /// Takes in the answers of a pass that asks for everything.
    fn apply(&mut self, pass: u64) {
        let instants = now(pass);
        let read = ReadAt { round: self.world.round.next(), instants };
        self.world.round = read.round;
        let rows = |value: &dyn Fn(usize) -> i64| -> Vec<TopicRows<ListedPartition>> {
            let of = |(place, name): (usize, &Arc<str>)| TopicRows {
                topic: name.clone(),
                rows: (0..PARTITIONS)
                    .map(|id| ListedPartition { partition: PartitionId(id), offset: Ok(offset(value(place))) })
                    .collect(),
            };
            self.topics.iter().enumerate().map(of).collect()
        };
        let (starts, ends) = (rows(&|_| 0), rows(&|topic| self.end(topic, pass)));
        self.world.apply_offsets(OffsetSpec::Earliest, &starts, |_| MAX_AGE, read);
        for group in 0..GROUPS {
            let lag = if group % 10 < self.scene.behind { 10_000 } else { 0 };
            let first = group * 5;
            let topics = (first..first + TOPICS_OF_A_GROUP).map(|topic| topic % TOPICS).collect::<Vec<_>>();
            let of = |topic: &usize| TopicRows {
                topic: self.topics[*topic].clone(),
                rows: (0..PARTITIONS)
                    .map(|id| CommittedPartition {
                        partition: PartitionId(id),
                        offset: Ok(Some(offset(self.end(*topic, pass) - lag))),
                    })
                    .collect(),
            };
            let answer = CommittedOffsets { topics: topics.iter().map(of).collect() };
            let name = self.groups[group].clone();
            self.world.apply_commits(&name, &answer, Asked::Everything, |_| true, &|_| MAX_AGE, read);
        }
        self.world.apply_offsets(OffsetSpec::Latest, &ends, |_| MAX_AGE, read);
    }
}

fn offset(value: i64) -> Offset {
    Offset::new(value).unwrap_or_else(|| unreachable!("offsets of the bench are positive"))
}

fn now(pass: u64) -> Instants {
    let moment = Moment((pass + 1) * INTERVAL_MS);
    Instants { moment, wall: WallTime(1_700_000_000_000 + i64::try_from(moment.0).unwrap_or(0)) }
}

/// The middle of the second half of the passes, in which every history is full.
fn median(mut times: Vec<Duration>) -> Duration {
    times.drain(..times.len() / 2);
    times.sort();
    times[times.len() / 2]
}

fn run(scene: Scene) {
    let mut cluster = Cluster::new(scene);
    let mut tracker = Tracker::new(TrackSettings::default());
    let mut took: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut last: Option<Snapshot> = None;
    let before = HEAP.current_usage();
    for pass in 0..PASSES {
        let begun = Instant::now();
        cluster.apply(pass);
        let applied = Instant::now();
        let mut snapshot = Snapshot::derive(&cluster.world, last.as_ref(), now(pass));
        let derived = Instant::now();
        snapshot.set_outlook(tracker.observe(&snapshot, &Named::Fresh));
        let remembered = Instant::now();
        took.entry("apply").or_default().push(applied - begun);
        took.entry("derive").or_default().push(derived - applied);
        took.entry("remember").or_default().push(remembered - derived);
        last = Some(snapshot);
    }
    let all = HEAP.current_usage();
    let behind = tracker.questions().len();
    drop(tracker);
    let tracked = all - HEAP.current_usage();
    if let Some(snapshot) = &mut last {
        snapshot.set_outlook(Arc::default());
    }
    let outlook = all - tracked - HEAP.current_usage();
    black_box(&last);
    let [apply, derive, remember] =
        ["apply", "derive", "remember"].map(|part| took.remove(part).map(median).unwrap_or_default());
    let rest = (apply + derive).as_secs_f64();
    println!("{}", scene.name);
    println!(
        "  a pass, everything asked: apply {apply:.1?}, derive {derive:.1?}, remember {remember:.1?} (+{:.0} %)",
        100.0 * remember.as_secs_f64() / rest
    );
    let share = |bytes: usize, of: usize| bytes / of;
    println!(
        "  heap: facts and meaning {} kB, memory {} kB, outlook {} kB; memory and outlook are {} bytes a partition and \
         group-partition ({} and {GROUP_PARTITIONS}); questions for the broker: {behind}",
        (all - before - tracked - outlook) / 1024,
        tracked / 1024,
        outlook / 1024,
        share(tracked + outlook, TOPICS * 10 + GROUP_PARTITIONS),
        TOPICS * 10,
    );
}

fn main() {
    SCENES.into_iter().for_each(run);
}
