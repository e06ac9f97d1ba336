//! The simulated facts: brokers, topics, groups and the virtual clock, for brokers to answer from
//! and for tests to compare with. Edits are in the `edit` half of this module.

mod edit;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;

use super::error::SimError;
use super::fault::Loading;
use super::flow::{hash_name, millis};
use super::group::{Group, GroupState};
use super::topic::{BrokerIndex, Topic};

/// A broker as the cluster knows it.
#[derive(Debug)]
pub(super) struct BrokerFacts {
    pub(super) id: i32,
    pub(super) host: StrBytes,
    pub(super) port: u16,
    pub(super) rack: Option<StrBytes>,
    /// It can lead and coordinate.
    pub(super) up: bool,
    /// It is in the metadata.
    pub(super) listed: bool,
    pub(super) loading: Loading,
}

/// Everything that the cluster's brokers agree on.
#[derive(Debug)]
pub struct World {
    pub(super) cluster_id: StrBytes,
    now_ms: i64,
    pub(super) brokers: Vec<BrokerFacts>,
    topics: BTreeMap<StrBytes, Topic>,
    topic_names: HashMap<u128, StrBytes>,
    groups: BTreeMap<StrBytes, Group>,
    /// Topics ever made, for ids that never come twice.
    topics_made: u64,
}

impl World {
    pub(super) fn new(cluster_id: StrBytes, now_ms: i64, brokers: Vec<BrokerFacts>) -> Self {
        Self {
            cluster_id,
            now_ms,
            brokers,
            topics: BTreeMap::new(),
            topic_names: HashMap::new(),
            groups: BTreeMap::new(),
            topics_made: 0,
        }
    }

    /// Moves the clock, and every consumer whose commit is due.
    pub fn advance(&mut self, by: Duration) {
        self.now_ms = self.now_ms.saturating_add(millis(by));
        let (now_ms, topics) = (self.now_ms, &self.topics);
        for group in self.groups.values_mut().filter(|group| group.commit_due(now_ms)) {
            group.commit(now_ms, |name| topics.get(name.as_bytes()));
        }
    }

    /// The virtual time, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// The ids of all brokers, up or not.
    pub fn broker_ids(&self) -> Vec<i32> {
        self.brokers.iter().map(|broker| broker.id).collect()
    }

    /// The topics by name.
    pub fn topics(&self) -> impl Iterator<Item = (&str, &Topic)> {
        self.topics.iter().map(|(name, topic)| (name.as_str(), topic))
    }

    /// One topic.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name.as_bytes())
    }

    pub(super) fn topic_by_id(&self, id: u128) -> Option<&Topic> {
        self.topic_names.get(&id).and_then(|name| self.topics.get(name))
    }

    /// The groups by name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups.iter().map(|(name, group)| (name.as_str(), group))
    }

    /// One group.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name.as_bytes())
    }

    /// The high watermark of a partition.
    pub fn end_offset(&self, topic: &str, partition: usize) -> Option<i64> {
        self.partition(topic, partition).map(|topic| topic.end_at(partition, self.now_ms))
    }

    /// The last stable offset of a partition.
    pub fn stable_offset(&self, topic: &str, partition: usize) -> Option<i64> {
        self.partition(topic, partition).map(|topic| topic.stable_end_at(partition, self.now_ms))
    }

    /// The log start offset of a partition.
    pub fn log_start_offset(&self, topic: &str, partition: usize) -> Option<i64> {
        self.partition(topic, partition).map(|topic| topic.log_start_at(partition, self.now_ms))
    }

    /// When the record at `offset` was appended, in milliseconds since the Unix epoch, if the log
    /// holds it: the truth that a time lag is compared with.
    pub fn appended_at_ms(&self, topic: &str, partition: usize, offset: i64) -> Option<i64> {
        self.partition(topic, partition)?.appended_at(partition, offset, self.now_ms)
    }

    /// The id of the broker that leads a partition.
    pub fn leader(&self, topic: &str, partition: usize) -> Option<i32> {
        let index = self.partition(topic, partition)?.leaders.get(partition).copied().flatten()?;
        self.brokers.get(usize::from(index)).map(|broker| broker.id)
    }

    /// The committed offset of a group on a partition.
    pub fn committed(&self, group: &str, topic: &str, partition: usize) -> Option<i64> {
        self.group(group)?.committed(topic, partition)
    }

    /// The lag of a group on a partition: max(0, end − max(committed, log start)), none without a
    /// commit or a partition.
    pub fn lag(&self, group: &str, topic: &str, partition: usize) -> Option<i64> {
        let committed = self.committed(group, topic, partition)?;
        let end = self.end_offset(topic, partition)?;
        let start = self.log_start_offset(topic, partition)?;
        Some((end - committed.max(start)).max(0))
    }

    /// The lag of a group over all partitions with a commit.
    pub fn group_lag(&self, group: &str) -> Option<i64> {
        let group = self.group(group)?;
        Some(group.commits().filter_map(|(topic, partition, _)| self.lag(&group.name, topic, partition)).sum())
    }

    /// The id of the broker that coordinates a group; for a group that is not there, the one that
    /// would.
    pub fn coordinator(&self, group: &str) -> Option<i32> {
        let index = self.coordinator_index(group)?;
        self.brokers.get(usize::from(index)).map(|broker| broker.id)
    }

    pub(super) fn coordinator_index(&self, group: &str) -> Option<BrokerIndex> {
        match self.group(group) {
            Some(group) => Some(group.coordinator),
            None => self.default_coordinator(group),
        }
    }

    /// Where a group lands: by its name, among the brokers that are up.
    pub(super) fn default_coordinator(&self, group: &str) -> Option<BrokerIndex> {
        let up: Vec<usize> = (0..self.brokers.len()).filter(|i| self.brokers.get(*i).is_some_and(|b| b.up)).collect();
        let slot = usize::try_from(hash_name(group) % u64::try_from(up.len().max(1)).unwrap_or(1)).unwrap_or(0);
        up.get(slot).and_then(|index| BrokerIndex::try_from(*index).ok())
    }

    pub(super) fn broker_index(&self, id: i32) -> Result<BrokerIndex, SimError> {
        let at = self.brokers.iter().position(|broker| broker.id == id);
        at.and_then(|index| BrokerIndex::try_from(index).ok()).ok_or(SimError::NoBroker(id))
    }

    /// Groups that a broker lists: those that it coordinates, and those that it has not let go of yet.
    pub(super) fn groups_at(&self, broker: BrokerIndex) -> impl Iterator<Item = &Group> {
        let lists = move |group: &Group| group.coordinator == broker || group.also_listed_by.contains(&broker);
        self.groups.values().filter(move |group| lists(group) && group.state != GroupState::Dead)
    }

    fn partition(&self, topic: &str, partition: usize) -> Option<&Topic> {
        self.topic(topic).filter(|topic| partition < topic.partitions())
    }
}
