//! One group: what its coordinator says of it, and what it has committed.

use std::sync::Arc;

use super::{CommitTable, TopicIx};
use crate::model::heap;
use crate::model::{BrokerId, GroupKind, GroupState, MaxAge, Moment, PartitionId};

/// What the members of a group hold of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedTopic {
    /// The topic.
    pub topic: TopicIx,
    /// Members that hold at least one partition of it.
    pub members: u32,
    /// Partitions that some member holds, in order.
    pub partitions: Vec<PartitionId>,
}

impl AssignedTopic {
    /// How many partitions some member holds.
    #[must_use]
    pub fn held(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }
}

/// A group's description, as of one DescribeGroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The broker that coordinates the group.
    pub coordinator: BrokerId,
    /// Classic or KIP-848.
    pub kind: GroupKind,
    /// Its state.
    pub state: GroupState,
    /// The assignor in use; empty when there is none.
    pub protocol: Arc<str>,
    /// Whether its consumers assign partitions for themselves.
    pub is_simple: bool,
    /// How many members it has.
    pub members: u32,
    /// What they hold, ordered by topic.
    pub assignment: Vec<AssignedTopic>,
    /// Since when it has no members; `None`: it has some, or had none when it was first seen.
    pub empty_since: Option<Moment>,
    /// Since when every description has found it in a rebalance; `None`: the last one did not.
    pub rebalancing_since: Option<Moment>,
    /// When the description came.
    pub at: Moment,
    /// How old it may get.
    pub max_age: MaxAge,
}

impl Membership {
    /// Takes over from the description before what tells since when things are as they are.
    pub(super) fn follow(&mut self, before: Option<&Self>) {
        self.empty_since = match before {
            Some(before) if self.members == 0 && before.members == 0 => before.empty_since,
            Some(_) if self.members == 0 => Some(self.at),
            _ => None,
        };
        let known = before.and_then(|before| before.rebalancing_since);
        self.rebalancing_since = self.state.is_rebalancing().then(|| known.unwrap_or(self.at));
    }
}

impl Membership {
    /// What it owns on the heap.
    fn heap_bytes(&self) -> usize {
        let partitions: usize = self.assignment.iter().map(|topic| heap::vec(&topic.partitions)).sum();
        heap::text(&self.protocol) + heap::vec(&self.assignment) + partitions
    }
}

/// One group. A part that was never told is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupTable {
    /// Its id.
    pub name: Arc<str>,
    /// The broker that last listed it, or said that it coordinates it.
    pub coordinator: BrokerId,
    /// Whether its lag is to be counted up to the last stable offset: it reads committed records only (KIP-98). Nothing in
    /// Kafka tells this of a group, so it is what the configuration says.
    pub is_read_committed: bool,
    /// Its description.
    pub membership: Option<Membership>,
    /// Its commits.
    pub commits: Option<Arc<CommitTable>>,
}

impl GroupTable {
    /// What it takes on the heap, but for its name.
    pub(crate) fn heap_bytes(&self) -> usize {
        let membership = self.membership.as_ref().map_or(0, Membership::heap_bytes);
        heap::arc::<Self>() + membership + self.commits.as_deref().map_or(0, CommitTable::heap_bytes)
    }
}
