//! Which partitions of a topic are asked for when not all of them are.

use std::num::NonZeroUsize;

use crate::model::PartitionId;

/// The partitions that stand for a topic that has more of them than are to be asked for: the first so many.
///
/// The first, because a partition's number is all that never changes: every exporter takes the same ones without a word
/// to the others, before and after a restart, and a topic that grows keeps them. A choice by rank or by count would swap
/// some as partitions are added, and the sums over the sample would jump. Low numbers are like any others: keys are
/// hashed over all partitions, and Kafka lays neighbours on different brokers, so the work is spread as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample(NonZeroUsize);

impl Sample {
    /// The sample of a topic of so many partitions where at most `limit` are to be asked for; `None`: all of them are.
    #[must_use]
    pub fn of(limit: Option<NonZeroUsize>, partitions: usize) -> Option<Self> {
        limit.filter(|limit| limit.get() < partitions).map(Self)
    }

    /// How many partitions it has.
    #[must_use]
    pub fn partitions(self) -> usize {
        self.0.get()
    }

    /// Whether a partition is among them.
    #[must_use]
    pub fn contains(self, partition: PartitionId) -> bool {
        partition.index().is_some_and(|index| index < self.partitions())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_with_few_partitions_is_not_sampled_and_one_that_grows_keeps_its_sample() {
        let limit = NonZeroUsize::new(4);
        assert_eq!([0, 1, 4].map(|partitions| Sample::of(limit, partitions)), [None; 3]);
        assert_eq!(Sample::of(None, 1000), None);
        let chosen = |partitions: usize| -> Vec<i32> {
            let sample = Sample::of(limit, partitions);
            (-1..100).filter(|id| sample.is_some_and(|sample| sample.contains(PartitionId(*id)))).collect()
        };
        assert_eq!(chosen(5), [0, 1, 2, 3]);
        assert_eq!(chosen(100), chosen(5));
    }
}
