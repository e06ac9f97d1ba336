//! A cluster in memory for the benches: what it is like follows from its size, its scene and the number of the pass alone,
//! so every run measures the same work.

#![allow(dead_code, reason = "each bench uses a part of it")]

mod dice;
pub(crate) mod pipeline;
mod records;
pub(crate) mod table;

use std::sync::Arc;

use dice::draw;
use kafkascope::model::{
    Broker, BrokerId, ClusterMetadata, CommittedOffsets, CommittedPartition, GroupKind, GroupListing, GroupState,
    Instants, KafkaCode, ListedPartition, MaxAge, Moment, Offset, OffsetSpec, PartitionId, PartitionMetadata,
    TopicMetadata, TopicRows, WallTime,
};
use kafkascope::state::{Asked, Collectors, GroupLists, ReadAt, TopicIx, World};

/// Partitions of every topic.
pub(crate) const PARTITIONS: i32 = 10;
/// The time from one pass to the next.
pub(crate) const INTERVAL_MS: u64 = 15_000;
const MAX_AGE: MaxAge = MaxAge::from_secs(300);

/// How large the cluster is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Topics of 10 partitions each.
    pub(crate) topics: usize,
    /// Groups.
    pub(crate) groups: usize,
    /// Topics that each group has committed on, in all partitions.
    pub(crate) topics_of_a_group: usize,
}

impl Size {
    /// The Large cluster of the peers' figures: 10,000 partitions, 200,000 group-partitions.
    pub(crate) const LARGE: Self = Self { topics: 1000, groups: 200, topics_of_a_group: 100 };

    /// So many group-partitions, 200 in a group, and a tenth as many partitions: 10,000 are the lab of BENCHMARKS.md, 1,000,000
    /// what the largest simulated cluster there has.
    pub(crate) fn of_rows(rows: usize) -> Self {
        Self { topics: rows / 100, groups: rows / 200, topics_of_a_group: 20 }
    }

    /// Group-partitions.
    pub(crate) fn rows(self) -> usize {
        self.groups * self.topics_of_a_group * 10
    }

    /// The topics that a group has committed on.
    fn topics_of(self, group: usize) -> impl Iterator<Item = usize> {
        let first = group * self.topics / self.groups;
        (first..first + self.topics_of_a_group).map(move |topic| topic % self.topics)
    }
}

/// How the cluster behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    /// What to call it.
    pub(crate) name: &'static str,
    /// Of ten topics so many move.
    pub(crate) moving: usize,
    /// Of ten groups so many are behind.
    pub(crate) behind: usize,
    /// By at most so many records.
    pub(crate) backlog: u32,
    /// In the first so many passes after the first everything moves and is asked for: what groups are behind of then was
    /// appended while it was watched.
    pub(crate) settling: u64,
}

/// What a pass asks for, beside the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// All offsets and commits.
    Everything,
    /// Ends of the topics that move, and the commits on them.
    WhatMoves,
}

/// What the brokers answer in one pass.
pub(crate) struct Answers {
    pass: u64,
    starts: Vec<TopicRows<ListedPartition>>,
    ends: Vec<TopicRows<ListedPartition>>,
    commits: Vec<GroupAnswer>,
}

struct GroupAnswer {
    group: Arc<str>,
    /// `None`: everything.
    asked: Option<Vec<(TopicIx, Vec<PartitionId>)>>,
    answer: CommittedOffsets,
}

/// A cluster, and what is known of it.
pub(crate) struct Cluster {
    size: Size,
    scene: Scene,
    topics: Vec<Arc<str>>,
    groups: Vec<Arc<str>>,
    metadata: ClusterMetadata,
    /// What is known of it.
    pub(crate) world: World,
}

impl Cluster {
    /// A cluster of which only the list of groups is known.
    pub(crate) fn new(size: Size, scene: Scene) -> Self {
        let topics: Vec<Arc<str>> = (0..size.topics).map(|topic| topic_name(topic).into()).collect();
        let groups: Vec<Arc<str>> = (0..size.groups).map(|group| group_name(group).into()).collect();
        let mut world = World::new(Collectors::new(|_| true));
        world.metadata_max_age = MAX_AGE;
        let listed = groups.iter().map(|group| GroupListing {
            group: group.clone(),
            state: GroupState::Empty,
            kind: GroupKind::Classic,
        });
        let lists = GroupLists { lists: vec![(BrokerId(1), listed.collect())], complete: true };
        world.groups.apply_lists(&lists, |_| true);
        let metadata = metadata(&topics);
        Self { size, scene, topics, groups, metadata, world }
    }

    fn moves(&self, topic: usize) -> bool {
        topic % 10 < self.scene.moving
    }

    fn end(&self, topic: usize, partition: i32, pass: u64) -> i64 {
        let base = 1_000_000 + draw(&[1, place(topic, partition)], 10_000_000);
        let passes = if self.moves(topic) { pass } else { pass.min(self.scene.settling) };
        base + i64::try_from(passes).unwrap_or(0) * (100 + draw(&[2, place(topic, partition)], 100))
    }

    fn lag(&self, group: usize, topic: usize, partition: i32) -> i64 {
        let is_behind = group % 10 < self.scene.behind;
        if is_behind { 1 + draw(&[3, group as u64, place(topic, partition)], self.scene.backlog) } else { 0 }
    }

    /// What the brokers answer in a pass. Passes are numbered from 0; the first, and those in which the cluster settles, ask
    /// for everything.
    pub(crate) fn answers(&self, pass: u64, ask: Ask) -> Answers {
        let ask = if pass <= self.scene.settling { Ask::Everything } else { ask };
        let is_asked = |topic: &usize| ask == Ask::Everything || self.moves(*topic);
        let listed = |value: &dyn Fn(usize, i32) -> i64| -> Vec<TopicRows<ListedPartition>> {
            let row = |topic, id| ListedPartition { partition: PartitionId(id), offset: Ok(offset(value(topic, id))) };
            let of = |topic: usize| TopicRows {
                topic: self.topics[topic].clone(),
                rows: (0..PARTITIONS).map(|id| row(topic, id)).collect(),
            };
            (0..self.topics.len()).filter(is_asked).map(of).collect()
        };
        let starts = if ask == Ask::Everything { listed(&|_, _| 0) } else { Vec::new() };
        let ends = listed(&|topic, partition| self.end(topic, partition, pass));
        let commits = (0..self.groups.len()).map(|group| {
            let topics: Vec<usize> = self.size.topics_of(group).filter(is_asked).collect();
            GroupAnswer {
                group: self.groups[group].clone(),
                asked: (ask == Ask::WhatMoves).then(|| self.named(&topics)),
                answer: self.committed(group, &topics, pass),
            }
        });
        let commits = commits.filter(|group| !group.answer.topics.is_empty()).collect();
        Answers { pass, starts, ends, commits }
    }

    fn committed(&self, group: usize, topics: &[usize], pass: u64) -> CommittedOffsets {
        let row = |topic, id| CommittedPartition {
            partition: PartitionId(id),
            offset: Ok(Some(offset(self.end(topic, id, pass) - self.lag(group, topic, id)))),
        };
        let of = |topic: &usize| TopicRows {
            topic: self.topics[*topic].clone(),
            rows: (0..PARTITIONS).map(|id| row(*topic, id)).collect(),
        };
        CommittedOffsets { topics: topics.iter().map(of).collect() }
    }

    fn named(&self, topics: &[usize]) -> Vec<(TopicIx, Vec<PartitionId>)> {
        let ix = |topic: &usize| self.world.names.get(&self.topics[*topic]);
        topics.iter().filter_map(ix).map(|ix| (ix, (0..PARTITIONS).map(PartitionId).collect())).collect()
    }

    /// Takes in the answers of a pass, and the metadata, which every pass asks for.
    pub(crate) fn apply(&mut self, answers: &Answers) {
        let instants = now(answers.pass);
        let world = &mut self.world;
        let read = ReadAt { round: world.round.next(), instants };
        world.round = read.round;
        world.apply_metadata(&self.metadata, |_| true, instants.moment);
        world.apply_offsets(OffsetSpec::Earliest, &answers.starts, |_| MAX_AGE, read);
        for GroupAnswer { group, asked, answer } in &answers.commits {
            let asked = asked.as_deref().map_or(Asked::Everything, Asked::Named);
            world.apply_commits(group, answer, asked, |_| true, &|_| MAX_AGE, read);
        }
        world.apply_offsets(OffsetSpec::Latest, &answers.ends, |_| MAX_AGE, read);
    }
}

fn metadata(topics: &[Arc<str>]) -> ClusterMetadata {
    let partition = |id| PartitionMetadata {
        id: PartitionId(id),
        leader: Some(BrokerId(1)),
        replicas: vec![BrokerId(1)],
        in_sync: 1,
    };
    let topic = |name: &Arc<str>| TopicMetadata {
        name: name.clone(),
        error: KafkaCode::NONE,
        partitions: (0..PARTITIONS).map(partition).collect(),
    };
    ClusterMetadata {
        brokers: vec![Broker { id: BrokerId(1), host: "broker".into(), port: 9092 }],
        topics: topics.iter().map(topic).collect(),
    }
}

fn topic_name(topic: usize) -> String {
    format!("topic-{topic:05}")
}

fn group_name(group: usize) -> String {
    format!("group-{group:04}")
}

fn place(topic: usize, partition: i32) -> u64 {
    topic as u64 * 10 + u64::from(partition.unsigned_abs())
}

fn offset(value: i64) -> Offset {
    Offset::new(value).unwrap_or_else(|| unreachable!("offsets of the bench are positive"))
}

/// When a pass is.
pub(crate) fn now(pass: u64) -> Instants {
    let moment = Moment((pass + 1) * INTERVAL_MS);
    Instants { moment, wall: WallTime(1_700_000_000_000 + i64::try_from(moment.0).unwrap_or(0)) }
}
