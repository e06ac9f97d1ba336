//! A cluster that exists only in memory, for tests of what stands on [`KafkaApi`].
//!
//! It answers from facts that a test lays down and changes at will, fails the calls that the test wants to fail, and
//! keeps a log of what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Cause, GroupReply, KafkaApi, KafkaError, Operation, Target};
use crate::model::{
    Broker, BrokerId, Cleanup, ClusterDescription, ClusterMetadata, CommittedOffsets, CommittedPartition,
    DescribedSettings, GroupDescription, GroupKind, GroupListing, GroupState, KafkaCode, ListedPartition, NoSettings,
    Offset, OffsetSpec, PartitionId, PartitionMetadata, Retention, TimedPartition, TopicDescription, TopicId,
    TopicMetadata, TopicPartitions, TopicRows, TopicSettings, TopicTimes, WallTime,
};

/// The facts of the cluster.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// The live brokers.
    pub(crate) brokers: Vec<BrokerId>,
    /// The brokers that have a rack.
    pub(crate) racks: Vec<(BrokerId, Arc<str>)>,
    /// The topics by name.
    pub(crate) topics: BTreeMap<Arc<str>, FakeTopic>,
    /// The groups by name.
    pub(crate) groups: BTreeMap<Arc<str>, FakeGroup>,
    /// The timestamps of the records that a partition holds from its log start on. One that is not here has none, as with
    /// records of old message formats.
    pub(crate) timestamps: BTreeMap<(Arc<str>, PartitionId), Vec<i64>>,
    /// A partition whose records by time the caller may not see.
    pub(crate) times_refused: Option<PartitionId>,
    /// Calls that fail: of this kind to this broker, or to any (`None`).
    pub(crate) failures: Vec<(Operation, Option<BrokerId>, Cause)>,
    /// Why last stable offsets are not told.
    pub(crate) no_stable: Option<KafkaCode>,
}

/// A topic.
#[derive(Debug, Default)]
pub(crate) struct FakeTopic {
    /// Its id; 0 is none.
    pub(crate) id: u128,
    /// What the metadata says is wrong with it.
    pub(crate) error: Option<KafkaCode>,
    /// Its partitions in order.
    pub(crate) partitions: Vec<FakePartition>,
    /// Its settings, or why they are not told; `None`: Kafka's defaults.
    pub(crate) settings: Option<Result<TopicSettings, NoSettings>>,
}

/// A partition.
#[derive(Debug, Clone)]
pub(crate) struct FakePartition {
    /// Who leads it.
    pub(crate) leader: Option<BrokerId>,
    /// The replica list.
    pub(crate) replicas: Vec<BrokerId>,
    /// Log start and high watermark, or why they are not told.
    pub(crate) offsets: Result<(i64, i64), KafkaCode>,
    /// Where the first open transaction begins.
    pub(crate) open_transaction: Option<i64>,
}

/// A group.
#[derive(Debug)]
pub(crate) struct FakeGroup {
    /// Its description; the coordinator lists it.
    pub(crate) description: GroupDescription,
    /// Whether its coordinator lists it just now.
    pub(crate) is_listed: bool,
    /// What is committed, or why a partition's commit is not told.
    pub(crate) commits: BTreeMap<(Arc<str>, PartitionId), Result<i64, KafkaCode>>,
}

/// A question that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// What was asked.
    pub(crate) operation: Operation,
    /// Of whom.
    pub(crate) target: Target,
    /// How many topics, groups or partitions the question named.
    pub(crate) named: usize,
    /// Which offset, where the question was for offsets of partitions.
    pub(crate) spec: Option<OffsetSpec>,
}

/// The cluster.
#[derive(Debug, Default)]
pub(crate) struct FakeKafka {
    world: Mutex<World>,
    calls: Mutex<Vec<Call>>,
}

impl World {
    /// Adds a topic whose partitions have a log start and an end; partition `n` is led by broker `n` in turn.
    pub(crate) fn topic(&mut self, name: &str, offsets: &[(i64, i64)]) -> &mut FakeTopic {
        let leader = |place: usize| self.brokers.get(place % self.brokers.len().max(1)).copied();
        let partitions = offsets.iter().enumerate().map(|(place, (start, end))| FakePartition {
            leader: leader(place),
            replicas: leader(place).into_iter().collect(),
            offsets: Ok((*start, *end)),
            open_transaction: None,
        });
        let topic = FakeTopic {
            id: self.topics.len() as u128 + 1,
            error: None,
            partitions: partitions.collect(),
            settings: None,
        };
        self.topics.entry(Arc::from(name)).insert_entry(topic).into_mut()
    }

    /// The first record of a partition that is not older than a time.
    fn first_since(
        &self,
        leader: BrokerId,
        topic: &Arc<str>,
        partition: PartitionId,
        time: WallTime,
    ) -> Result<Option<(Offset, WallTime)>, KafkaCode> {
        let known = self.topics.get(topic).and_then(|topic| topic.partitions.get(partition.index()?));
        let known = known.ok_or(KafkaCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if known.leader != Some(leader) {
            return Err(KafkaCode::NOT_LEADER_OR_FOLLOWER);
        }
        if self.times_refused == Some(partition) {
            return Err(KafkaCode::TOPIC_AUTHORIZATION_FAILED);
        }
        let (start, end) = known.offsets?;
        let stamps = self.timestamps.get(&(topic.clone(), partition)).map_or(&[][..], Vec::as_slice);
        let found = (start..end).zip(stamps).find(|(_, stamp)| **stamp >= time.0);
        Ok(found.and_then(|(offset, stamp)| Some((Offset::new(offset)?, WallTime(*stamp)))))
    }

    /// Adds an empty classic group with commits.
    pub(crate) fn group(&mut self, name: &str, coordinator: i32, commits: &[(&str, i32, i64)]) -> &mut FakeGroup {
        let description = GroupDescription {
            group: Arc::from(name),
            state: GroupState::Empty,
            kind: GroupKind::Classic,
            protocol: Arc::from(""),
            is_simple: false,
            coordinator: BrokerId(coordinator),
            members: 0,
            assignment: Vec::new(),
        };
        let commits = commits
            .iter()
            .map(|(topic, partition, offset)| ((Arc::from(*topic), PartitionId(*partition)), Ok(*offset)));
        let group = FakeGroup { description, is_listed: true, commits: commits.collect() };
        self.groups.entry(Arc::from(name)).insert_entry(group).into_mut()
    }
}

impl FakeKafka {
    /// A cluster with brokers 1 to `brokers` and nothing in it.
    pub(crate) fn new(brokers: i32) -> Self {
        let kafka = Self::default();
        kafka.world().brokers = (1..=brokers).map(BrokerId).collect();
        kafka
    }

    /// The facts, to read or to change.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The questions since this was last asked.
    pub(crate) fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes the question; the facts, unless it is to fail.
    fn ask(&self, operation: Operation, target: Target, named: usize) -> Result<MutexGuard<'_, World>, KafkaError> {
        self.ask_for(None, operation, target, named)
    }

    fn ask_for(
        &self,
        spec: Option<OffsetSpec>,
        operation: Operation,
        target: Target,
        named: usize,
    ) -> Result<MutexGuard<'_, World>, KafkaError> {
        let call = Call { operation, target: target.clone(), named, spec };
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        let world = self.world();
        let fails = |(what, whom, _): &&(Operation, Option<BrokerId>, Cause)| {
            *what == operation && (whom.is_none() || *whom == target.broker())
        };
        match world.failures.iter().find(fails) {
            Some((_, _, cause)) => Err(KafkaError { operation, target, cause: cause.clone() }),
            None => Ok(world),
        }
    }
}

/// What Kafka sets a topic to when nobody says otherwise.
pub(crate) fn default_settings() -> TopicSettings {
    TopicSettings {
        retention: Retention::For(Duration::from_secs(7 * 24 * 3600)),
        retention_bytes: None,
        min_insync_replicas: 1,
        cleanup: Cleanup { delete: true, compact: false },
        is_tiered: false,
    }
}

fn count(partitions: &[TopicPartitions]) -> usize {
    partitions.iter().map(|topic| topic.partitions.len()).sum()
}

fn code_error(operation: Operation, target: Target, code: KafkaCode) -> KafkaError {
    KafkaError { operation, target, cause: Cause::Code { code, text: "as the test wants".to_owned() } }
}

impl KafkaApi for FakeKafka {
    async fn metadata(&self) -> Result<ClusterMetadata, KafkaError> {
        let world = self.ask(Operation::Metadata, Target::Cluster, 0)?;
        let brokers = world.brokers.iter().map(|id| Broker { id: *id, host: Arc::from(format!("b{id}")), port: 9092 });
        let topics = world.topics.iter().map(|(name, topic)| TopicMetadata {
            name: name.clone(),
            error: topic.error.unwrap_or(KafkaCode::NONE),
            partitions: (0..)
                .map(PartitionId)
                .zip(&topic.partitions)
                .map(|(id, partition)| PartitionMetadata {
                    id,
                    leader: partition.leader,
                    replicas: partition.replicas.clone(),
                    in_sync: u16::try_from(partition.replicas.len()).unwrap_or(u16::MAX),
                })
                .collect(),
        });
        Ok(ClusterMetadata { brokers: brokers.collect(), topics: topics.collect() })
    }

    async fn describe_cluster(&self) -> Result<ClusterDescription, KafkaError> {
        let world = self.ask(Operation::DescribeCluster, Target::Cluster, 0)?;
        Ok(ClusterDescription { cluster_id: Some(Arc::from("fake")), racks: world.racks.clone() })
    }

    async fn describe_topics(&self, topics: &[Arc<str>]) -> Result<Vec<TopicDescription>, KafkaError> {
        let world = self.ask(Operation::DescribeTopics, Target::Cluster, topics.len())?;
        let rows = topics.iter().map(|name| {
            let id = world.topics.get(name).ok_or(KafkaCode::UNKNOWN_TOPIC_OR_PARTITION);
            TopicDescription { name: name.clone(), id: id.map(|topic| (topic.id != 0).then_some(TopicId(topic.id))) }
        });
        Ok(rows.collect())
    }

    async fn describe_configs(&self, topics: &[Arc<str>]) -> Result<Vec<DescribedSettings>, KafkaError> {
        let world = self.ask(Operation::DescribeConfigs, Target::Cluster, topics.len())?;
        let rows = topics.iter().map(|name| DescribedSettings {
            topic: name.clone(),
            settings: match world.topics.get(name) {
                None => Err(NoSettings::Code(KafkaCode::UNKNOWN_TOPIC_OR_PARTITION)),
                Some(topic) => topic.settings.clone().unwrap_or_else(|| Ok(default_settings())),
            },
        });
        Ok(rows.collect())
    }

    async fn list_groups(&self, broker: BrokerId) -> Result<Vec<GroupListing>, KafkaError> {
        let world = self.ask(Operation::ListGroups, Target::Broker(broker), 0)?;
        let here = world.groups.values().filter(|g| g.is_listed && g.description.coordinator == broker);
        let rows = here.map(|FakeGroup { description: d, .. }| GroupListing {
            group: d.group.clone(),
            state: d.state,
            kind: d.kind,
        });
        Ok(rows.collect())
    }

    async fn describe_groups(&self, coordinator: BrokerId, groups: &[Arc<str>]) -> Result<Vec<GroupReply>, KafkaError> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let world = self.ask(Operation::DescribeGroups, Target::Broker(coordinator), groups.len())?;
        let replies = groups.iter().map(|name| {
            let fail = |code| code_error(Operation::DescribeGroups, Target::Group(name.clone(), coordinator), code);
            let description = match world.groups.get(name) {
                None => Err(fail(KafkaCode::GROUP_ID_NOT_FOUND)),
                Some(group) if group.description.coordinator != coordinator => Err(fail(KafkaCode::NOT_COORDINATOR)),
                Some(group) => Ok(group.description.clone()),
            };
            GroupReply { group: name.clone(), description }
        });
        Ok(replies.collect())
    }

    async fn committed_offsets(
        &self,
        coordinator: BrokerId,
        group: &Arc<str>,
        partitions: Option<&[TopicPartitions]>,
    ) -> Result<CommittedOffsets, KafkaError> {
        let target = Target::Group(group.clone(), coordinator);
        let world = self.ask(Operation::OffsetFetch, target.clone(), partitions.map_or(0, count))?;
        let mut topics: BTreeMap<Arc<str>, Vec<CommittedPartition>> = BTreeMap::new();
        let none = BTreeMap::new();
        let commits = match world.groups.get(group) {
            None => &none,
            Some(group) if group.description.coordinator != coordinator => {
                return Err(code_error(Operation::OffsetFetch, target, KafkaCode::NOT_COORDINATOR));
            }
            Some(group) => &group.commits,
        };
        let row = |partition, commit: Option<&Result<i64, KafkaCode>>| CommittedPartition {
            partition,
            offset: commit.copied().transpose().map(|offset| offset.and_then(Offset::new)),
        };
        match partitions {
            None => commits.iter().for_each(|((topic, partition), commit)| {
                topics.entry(topic.clone()).or_default().push(row(*partition, Some(commit)));
            }),
            Some(named) => named.iter().for_each(|TopicPartitions { topic, partitions }| {
                let rows = partitions.iter().map(|p| row(*p, commits.get(&(topic.clone(), *p))));
                topics.entry(topic.clone()).or_default().extend(rows);
            }),
        }
        let topics = topics.into_iter().map(|(topic, rows)| TopicRows { topic, rows });
        Ok(CommittedOffsets { topics: topics.collect() })
    }

    async fn list_offsets(
        &self,
        leader: BrokerId,
        spec: OffsetSpec,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<TopicRows<ListedPartition>>, KafkaError> {
        let world = self.ask_for(Some(spec), Operation::ListOffsets, Target::Broker(leader), count(partitions))?;
        let offset = |topic: &Arc<str>, partition: PartitionId| {
            let known = world.topics.get(topic).and_then(|topic| topic.partitions.get(partition.index()?));
            let known = known.ok_or(KafkaCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            if known.leader != Some(leader) {
                return Err(KafkaCode::NOT_LEADER_OR_FOLLOWER);
            }
            let (start, end) = known.offsets?;
            let offset = match (spec, world.no_stable) {
                (OffsetSpec::Earliest, _) => start,
                (OffsetSpec::Latest, _) => end,
                (OffsetSpec::LastStable, Some(code)) => return Err(code),
                (OffsetSpec::LastStable, None) => known.open_transaction.map_or(end, |open| open.min(end)),
            };
            Offset::new(offset).ok_or(KafkaCode::LOCAL_NO_OFFSET)
        };
        let rows = |topic: &TopicPartitions| {
            let row = |p: &_| ListedPartition { partition: *p, offset: offset(&topic.topic, *p) };
            TopicRows { topic: topic.topic.clone(), rows: topic.partitions.iter().map(row).collect() }
        };
        Ok(partitions.iter().map(rows).collect())
    }

    async fn offsets_at(
        &self,
        leader: BrokerId,
        times: &[TopicTimes],
    ) -> Result<Vec<TopicRows<TimedPartition>>, KafkaError> {
        let named = times.iter().map(|topic| topic.partitions.len()).sum();
        let world = self.ask(Operation::ListOffsets, Target::Broker(leader), named)?;
        let rows = |topic: &TopicTimes| {
            let row = |(partition, time): &_| TimedPartition {
                partition: *partition,
                found: world.first_since(leader, &topic.topic, *partition, *time),
            };
            TopicRows { topic: topic.topic.clone(), rows: topic.partitions.iter().map(row).collect() }
        };
        Ok(times.iter().map(rows).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use super::*;

    #[tokio::test]
    async fn answers_from_its_facts_fails_as_told_and_logs_its_calls() {
        let kafka = FakeKafka::new(2);
        kafka.world().topic("t", &[(3, 9), (0, 0)]);
        kafka.world().group("g", 2, &[("t", 0, 5)]);
        let named = [TopicPartitions { topic: "t".into(), partitions: vec![PartitionId(0), PartitionId(1)] }];
        let commits = kafka.committed_offsets(BrokerId(2), &"g".into(), Some(&named)).await.unwrap();
        let offsets: Vec<_> = commits.topics[0].rows.iter().map(|row| row.offset).collect();
        assert_eq!(offsets, [Ok(Offset::new(5)), Ok(None)]);
        let rows = kafka.list_offsets(BrokerId(1), OffsetSpec::Latest, &named).await.unwrap();
        let offsets: Vec<_> = rows[0].rows.iter().map(|row| row.offset.map(Offset::get)).collect();
        assert_eq!(offsets, [Ok(9), Err(KafkaCode::NOT_LEADER_OR_FOLLOWER)]);
        kafka.world().timestamps.insert(("t".into(), PartitionId(0)), vec![10, 30, 20]);
        let times = [(25, Some((4, 30))), (31, None)];
        for (time, record) in times {
            let named = [TopicTimes { topic: "t".into(), partitions: vec![(PartitionId(0), WallTime(time))] }];
            let rows = kafka.offsets_at(BrokerId(1), &named).await.unwrap();
            let found = rows[0].rows[0].found.unwrap().map(|(offset, time)| (offset.get(), time.0));
            assert_eq!(found, record, "{time}");
        }
        kafka.world().failures.push((Operation::ListGroups, Some(BrokerId(1)), Cause::NoAnswer));
        assert!(kafka.list_groups(BrokerId(1)).await.unwrap_err().is_silence());
        assert_eq!(kafka.list_groups(BrokerId(2)).await.unwrap().len(), 1);
        let asked: Vec<_> = kafka.take_calls().into_iter().map(|call| (call.operation, call.named)).collect();
        let listed = (Operation::ListGroups, 0);
        let by_time = (Operation::ListOffsets, 1);
        assert_eq!(asked, [(Operation::OffsetFetch, 2), (Operation::ListOffsets, 2), by_time, by_time, listed, listed]);
    }
}
