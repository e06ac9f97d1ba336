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
    /// Where each topic stands in `held`.
    places: BTreeMap<Arc<str>, usize>,
    held: Vec<Held>,
    /// The topic that came last: most rows are of the same topic as the one before.
    last: Option<(Arc<str>, usize)>,
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
        let place = self.place(topic);
        let Some(held) = self.held.get_mut(place) else { return };
        if held.last_member != self.members {
            held.last_member = self.members;
            held.members = held.members.saturating_add(1);
        }
        held.partitions.push(partition);
    }

    /// Where a topic stands; it gets a place when it has none.
    fn place(&mut self, topic: &str) -> usize {
        if let Some((last, place)) = &self.last
            && **last == *topic
        {
            return *place;
        }
        let (name, place) = match self.places.get_key_value(topic) {
            Some((name, place)) => (name.clone(), *place),
            None => {
                let (name, place) = (Arc::from(topic), self.held.len());
                self.held.push(Held::default());
                self.places.insert(Arc::clone(&name), place);
                (name, place)
            }
        };
        self.last = Some((name, place));
        place
    }

    /// How many members there are, and what they hold by topic.
    pub(super) fn finish(mut self) -> (u32, Vec<TopicAssignment>) {
        let assignment = self.places.into_iter().map(|(topic, place)| {
            let mut held = self.held.get_mut(place).map(std::mem::take).unwrap_or_default();
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
