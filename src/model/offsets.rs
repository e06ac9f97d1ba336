//! Offsets as questions and answers: rows grouped by topic, so that no row carries a string.

use std::sync::Arc;

use super::{KafkaCode, Offset, PartitionId, WallTime};

/// Which offset ListOffsets is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OffsetSpec {
    /// The log start offset.
    Earliest,
    /// The high watermark.
    Latest,
    /// The last stable offset (KIP-98): the high watermark, or where the first open transaction begins.
    LastStable,
}

/// Some partitions of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPartitions {
    /// The topic.
    pub topic: Arc<str>,
    /// Its partitions, each once.
    pub partitions: Vec<PartitionId>,
}

/// Some partitions of one topic, each with the time whose offset is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicTimes {
    /// The topic.
    pub topic: Arc<str>,
    /// Its partitions, each once, with times that are not negative: Kafka gives those a meaning of their own.
    pub partitions: Vec<(PartitionId, WallTime)>,
}

/// Rows of one topic. An answer may hold several such runs for the same topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRows<R> {
    /// The topic.
    pub topic: Arc<str>,
    /// The rows, in the order in which they came.
    pub rows: Vec<R>,
}

/// One row of a ListOffsets answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedPartition {
    /// The partition.
    pub partition: PartitionId,
    /// Its offset, or why there is none.
    pub offset: Result<Offset, KafkaCode>,
}

/// One row of a ListOffsets answer by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedPartition {
    /// The partition.
    pub partition: PartitionId,
    /// The first record whose timestamp is not before the time that was asked for, and that timestamp; `None` when there
    /// is no such record; or why it is not told.
    pub found: Result<Option<(Offset, WallTime)>, KafkaCode>,
}

/// One row of an OffsetFetch answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommittedPartition {
    /// The partition.
    pub partition: PartitionId,
    /// The committed offset, `None` when nothing is committed, or why it is not told.
    pub offset: Result<Option<Offset>, KafkaCode>,
}

/// The answer to OffsetFetch for one group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommittedOffsets {
    /// The committed partitions by topic.
    pub topics: Vec<TopicRows<CommittedPartition>>,
}
