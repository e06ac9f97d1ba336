//! The truth about a cluster over time: brokers, topics with their lives, groups with their commits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::history::{History, Ms};
use crate::model::{BrokerId, GroupState};

/// The offsets of a partition's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// A partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) born: Ms,
    pub(super) replicas: Vec<BrokerId>,
    pub(super) leader: History<Option<BrokerId>>,
    pub(super) log: History<Log>,
}

/// How records come to a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    Idle,
    Steady,
    Bursts,
}

/// A topic from its creation to its deletion.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) id: u128,
    pub(super) born: Ms,
    pub(super) died: Option<Ms>,
    pub(super) flow: Flow,
    pub(super) partitions: Vec<Partition>,
}

/// What a group's coordinator says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct About {
    pub(super) state: GroupState,
    pub(super) members: u32,
}

/// How a group reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    Stopped,
    Follows,
    Lags,
}

/// A group from its first commit to its deletion.
#[derive(Debug)]
pub(super) struct GroupLife {
    pub(super) born: Ms,
    pub(super) died: Option<Ms>,
    pub(super) habit: Habit,
    pub(super) coordinator: History<BrokerId>,
    /// Another broker that lists it, having not yet heard that it coordinates it no more.
    pub(super) also_listed: History<Option<BrokerId>>,
    pub(super) about: History<About>,
    pub(super) commits: BTreeMap<(Arc<str>, i32), History<Option<i64>>>,
}

/// How a broker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition {
    Well,
    /// An answer takes up to so long.
    Slow(Ms),
    /// Connections are refused.
    Dead,
    /// Connections come about, nothing is answered.
    Hung,
    /// Every third call or so fails.
    Flapping,
}

/// A broker.
#[derive(Debug)]
pub(super) struct BrokerTruth {
    pub(super) condition: History<Condition>,
    /// When the condition passes.
    pub(super) until: Ms,
    /// Whether the metadata names it.
    pub(super) listed: History<bool>,
    /// How far its metadata lies behind.
    pub(super) lag: Ms,
    /// When something was last wrong with it.
    pub(super) last_sick: Ms,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub(super) brokers: BTreeMap<BrokerId, BrokerTruth>,
    pub(super) topics: BTreeMap<Arc<str>, Vec<Life>>,
    pub(super) groups: BTreeMap<Arc<str>, Vec<GroupLife>>,
    /// When something was last wrong with what any broker tells of the cluster as a whole.
    pub(super) last_sick: Ms,
    ids: u128,
}

impl Life {
    pub(super) fn is_alive_at(&self, time: Ms) -> bool {
        self.born <= time && self.died.is_none_or(|died| died > time)
    }

    /// The partitions that there were then.
    pub(super) fn partitions_at(&self, time: Ms) -> usize {
        self.partitions.iter().filter(|partition| partition.born <= time).count()
    }
}

impl GroupLife {
    pub(super) fn is_alive(&self) -> bool {
        self.died.is_none()
    }
}

impl BrokerTruth {
    /// Whether requests reach it and its answers come.
    pub(super) fn works(&self) -> bool {
        !matches!(self.condition.now(), Condition::Dead | Condition::Hung)
    }
}

impl Cluster {
    pub(super) fn new(now: Ms, brokers: i32) -> Self {
        let broker = |id| {
            let truth = BrokerTruth {
                condition: History::new(now, Condition::Well),
                until: 0,
                listed: History::new(now, true),
                lag: 0,
                last_sick: now,
            };
            (BrokerId(id), truth)
        };
        Self { brokers: (1..=brokers).map(broker).collect(), last_sick: now, ..Self::default() }
    }

    pub(super) fn next_id(&mut self) -> u128 {
        self.ids += 1;
        self.ids
    }

    /// The topic as it is at a time.
    pub(super) fn life_at(&self, topic: &str, time: Ms) -> Option<&Life> {
        self.topics.get(topic)?.iter().rev().find(|life| life.is_alive_at(time))
    }

    /// The topic as it is now.
    pub(super) fn life(&self, topic: &str) -> Option<&Life> {
        self.topics.get(topic)?.last().filter(|life| life.died.is_none())
    }

    pub(super) fn life_mut(&mut self, topic: &str) -> Option<&mut Life> {
        self.topics.get_mut(topic)?.last_mut().filter(|life| life.died.is_none())
    }

    pub(super) fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.life(topic)?.partitions.get(usize::try_from(partition).ok()?)
    }

    /// The group as it is now.
    pub(super) fn group(&self, group: &str) -> Option<&GroupLife> {
        self.groups.get(group)?.last().filter(|life| life.is_alive())
    }

    /// Whether a broker coordinates a group, or would: of one that is gone, who did at the end.
    pub(super) fn coordinates(&self, broker: BrokerId, group: &str) -> bool {
        let last = self.groups.get(group).and_then(|lives| lives.last());
        last.is_none_or(|life| life.coordinator.now() == broker)
    }

    pub(super) fn group_mut(&mut self, group: &str) -> Option<&mut GroupLife> {
        self.groups.get_mut(group)?.last_mut().filter(|life| life.is_alive())
    }

    pub(super) fn living_topics(&self) -> Vec<Arc<str>> {
        self.topics.keys().filter(|name| self.life(name).is_some()).cloned().collect()
    }

    pub(super) fn living_groups(&self) -> Vec<Arc<str>> {
        self.groups.keys().filter(|name| self.group(name).is_some()).cloned().collect()
    }

    /// The brokers that can lead and coordinate.
    pub(super) fn members(&self) -> Vec<BrokerId> {
        self.brokers.iter().filter(|(_, broker)| broker.listed.now()).map(|(id, _)| *id).collect()
    }

    /// Since when a broker has been in order; `None` while it is not.
    pub(super) fn well_since(&self, broker: BrokerId) -> Ms {
        self.brokers.get(&broker).map_or(Ms::MAX, |broker| broker.last_sick)
    }

    /// Since when every broker, and what they tell of the cluster, has been in order.
    pub(super) fn all_well_since(&self) -> Ms {
        self.brokers.values().map(|broker| broker.last_sick).chain([self.last_sick]).max().unwrap_or(0)
    }
}
