//! Gathers the rows of an answer, which come one by one, into `model` values.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{PartitionId, TopicAssignment, TopicRows};

/// Rows in runs of one topic: a name is stored once a run.
#[derive(Debug)]
pub(super) struct Runs<R>(Vec<TopicRows<R>>);

impl<R> Runs<R> {
    /// No rows yet.
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a row of a topic.
    pub(super) fn push(&mut self, topic: &str, row: R) {
        match self.0.last_mut() {
            Some(run) if &*run.topic == topic => run.rows.push(row),
            _ => self.0.push(TopicRows { topic: Arc::from(topic), rows: vec![row] }),
        }
    }

    /// The runs, in the order in which they came.
    pub(super) fn into_rows(self) -> Vec<TopicRows<R>> {
        self.0
    }
}

/// What the members of one group hold, member by member.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    /// How many members were begun.
    members: u32,
    topics: BTreeMap<Arc<str>, Held>,
}

/// What is held of one topic.
#[derive(Debug, Default)]
struct Held {
    members: u32,
    /// The last member that was counted: a member counts once, however many partitions it holds.
    last_member: u32,
    partitions: Vec<PartitionId>,
}

impl Holdings {
    /// Begins the next member.
    pub(super) fn member(&mut self) {
        self.members = self.members.saturating_add(1);
    }

    /// Adds a partition that the current member holds.
    pub(super) fn holds(&mut self, topic: &str, partition: PartitionId) {
        if !self.topics.contains_key(topic) {
            self.topics.insert(Arc::from(topic), Held::default());
        }
        let Some(held) = self.topics.get_mut(topic) else { return };
        if held.last_member != self.members {
            held.last_member = self.members;
            held.members = held.members.saturating_add(1);
        }
        held.partitions.push(partition);
    }

    /// How many members there are, and what they hold by topic.
    pub(super) fn finish(self) -> (u32, Vec<TopicAssignment>) {
        let assignment = self.topics.into_iter().map(|(topic, mut held)| {
            held.partitions.sort_unstable();
            held.partitions.dedup();
            TopicAssignment { topic, members: held.members, partitions: held.partitions }
        });
        (self.members, assignment.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_change_with_the_topic() {
        let mut runs = Runs::new();
        for (topic, row) in [("a", 1), ("a", 2), ("b", 3), ("a", 4)] {
            runs.push(topic, row);
        }
        let rows: Vec<_> = runs.into_rows().into_iter().map(|run| (run.topic.to_string(), run.rows)).collect();
        assert_eq!(rows, [("a".to_owned(), vec![1, 2]), ("b".to_owned(), vec![3]), ("a".to_owned(), vec![4])]);
    }

    #[test]
    fn a_member_counts_once_for_a_topic_and_a_partition_once_for_the_group() {
        let mut holdings = Holdings::default();
        holdings.member();
        holdings.holds("t", PartitionId(1));
        holdings.holds("u", PartitionId(0));
        holdings.holds("t", PartitionId(0));
        holdings.member();
        holdings.holds("t", PartitionId(1));
        holdings.member();
        let (members, assignment) = holdings.finish();
        assert_eq!(members, 3);
        assert_eq!(
            assignment,
            [
                TopicAssignment { topic: "t".into(), members: 2, partitions: vec![PartitionId(0), PartitionId(1)] },
                TopicAssignment { topic: "u".into(), members: 1, partitions: vec![PartitionId(0)] },
            ]
        );
    }
}
