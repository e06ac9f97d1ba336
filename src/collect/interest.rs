//! Whose offsets are asked for: those of every partition, or, where only a part of the cluster is shown, of what that part
//! is made of.
//!
//! A partition is wanted when it is in the part itself, when its topic is at home there, for sums need every partition,
//! and when a group of the part reads its topic, for a lag needs the end. So with an exporter beside every broker each
//! partition is asked for about twice, once beside its leader and once where its topic is at home, and once more beside
//! each coordinator of a group that reads the topic.

use std::sync::Arc;

use super::plan::topics_of;
use crate::state::{TopicIx, TopicTable, World};

/// The partitions whose offsets are asked for; `None`: all.
#[derive(Debug, Default)]
pub(super) struct Interest(Option<Vec<Wanted>>);

/// The partitions of one topic that are wanted, by place; empty: none, and the topic is not looked after.
type Wanted = Box<[bool]>;

impl Interest {
    /// What the world's scope makes of it, as things stand.
    pub(super) fn of(world: &World) -> Self {
        if world.scope.is_cluster() {
            return Self(None);
        }
        let mut is_read = vec![false; world.topics.len()];
        for topic in world.groups.iter().flat_map(|group| topics_of(world, group)) {
            is_read[topic.index()] = true;
        }
        let wanted = |(table, is_read): (&Option<Arc<TopicTable>>, bool)| {
            table.as_ref().map(|table| partitions(world, table, is_read)).unwrap_or_default()
        };
        Self(Some(world.topics.iter().zip(is_read).map(wanted).collect()))
    }

    /// Whether something of a topic is wanted.
    pub(super) fn has_topic(&self, topic: TopicIx) -> bool {
        self.0.as_ref().is_none_or(|topics| topics.get(topic.index()).is_some_and(|wanted| !wanted.is_empty()))
    }

    /// Whether the partition at a place of a topic is wanted.
    pub(super) fn has_partition(&self, topic: TopicIx, place: usize) -> bool {
        let is_wanted = |topics: &Vec<Wanted>| topics.get(topic.index())?.get(place).copied();
        self.0.as_ref().is_none_or(|topics| is_wanted(topics).unwrap_or(false))
    }

    /// Whether all partitions are.
    pub(super) fn is_everything(&self) -> bool {
        self.0.is_none()
    }

    /// How many partitions of a topic are wanted and in its sample.
    pub(super) fn count(&self, topic: TopicIx, table: &TopicTable) -> usize {
        match &self.0 {
            None => table.asked(),
            Some(_) => (0..table.asked()).filter(|place| self.has_partition(topic, *place)).count(),
        }
    }

    /// The existing topics of which partitions are wanted that were not before.
    pub(super) fn grown_since(&self, before: &Self, world: &World) -> Vec<TopicIx> {
        let is_new = |ix: &TopicIx| {
            let wanted = self.0.as_ref().and_then(|topics| topics.get(ix.index()));
            let places = wanted.into_iter().flatten().enumerate().filter(|(_, is_wanted)| **is_wanted);
            places.into_iter().any(|(place, _)| !before.has_partition(*ix, place))
        };
        world.topic_order.iter().copied().filter(is_new).collect()
    }

    /// The partitions of a topic that are asked for and can be: wanted, in its sample, and with a leader.
    pub(super) fn places(&self, topic: TopicIx, table: &TopicTable) -> impl Iterator<Item = usize> {
        let placements = table.placements.iter().take(table.asked()).enumerate();
        placements
            .filter(move |(place, row)| row.leader.is_some() && self.has_partition(topic, *place))
            .map(|row| row.0)
    }

    /// What it takes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let topics = self.0.as_ref();
        topics
            .map_or(0, |topics| crate::model::heap::vec(topics) + topics.iter().map(|topic| topic.len()).sum::<usize>())
    }
}

fn partitions(world: &World, table: &TopicTable, is_read: bool) -> Wanted {
    let (scope, all) = (&world.scope, is_read || world.scope.has_topic(table));
    let wanted: Wanted = table.placements.iter().map(|row| all || scope.has_partition(row.leader)).collect();
    if wanted.contains(&true) { wanted } else { Wanted::default() }
}
