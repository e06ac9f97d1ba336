//! The facts of one group: type, state, members, and committed offsets as columns.

use std::ops::Range;

use kafka_protocol::protocol::StrBytes;

use super::model::Consumer;
use super::topic::BrokerIndex;

/// The cell of a partition without a committed offset, as OffsetFetch says it.
pub(super) const NO_COMMIT: i64 = -1;

/// Which group protocol the members speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupType {
    /// JoinGroup and SyncGroup.
    Classic,
    /// KIP-848's ConsumerGroupHeartbeat.
    Consumer,
}

impl GroupType {
    /// As ListGroups v5 spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

/// The states of both protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// No members.
    Empty,
    /// Members with assignments.
    Stable,
    /// Classic: members are joining.
    PreparingRebalance,
    /// Classic: waiting for the leader's assignment.
    CompletingRebalance,
    /// KIP-848: a new assignment is being computed.
    Assigning,
    /// KIP-848: members are moving to the new assignment.
    Reconciling,
    /// On its way out; described, but gone from lists.
    Dead,
}

impl GroupState {
    /// As ListGroups and the describe calls spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Stable => "Stable",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
            Self::Dead => "Dead",
        }
    }

    /// Whether members hold partitions in this state.
    pub(super) fn has_assignment(self) -> bool {
        matches!(self, Self::Stable | Self::Assigning | Self::Reconciling)
    }
}

/// One member of a group.
#[derive(Clone, Debug)]
pub struct Member {
    pub(super) id: StrBytes,
    pub(super) client_id: StrBytes,
    pub(super) host: StrBytes,
}

/// Committed offsets of a group on one topic, by partition.
#[derive(Debug)]
pub(super) struct TopicCommits {
    pub(super) topic: StrBytes,
    pub(super) offsets: Vec<i64>,
    /// The group does not read the topic any more: nothing moves them.
    pub(super) is_left: bool,
}

/// A group: what its coordinator would know of it.
#[derive(Debug)]
pub struct Group {
    pub(super) name: StrBytes,
    pub(super) group_type: GroupType,
    /// `consumer`, or empty for groups that only commit.
    pub(super) protocol_type: StrBytes,
    pub(super) state: GroupState,
    pub(super) assignor: StrBytes,
    pub(super) generation: i32,
    pub(super) coordinator: BrokerIndex,
    /// Brokers that list it although they do not coordinate it, as a former coordinator does for a while.
    pub(super) also_listed_by: Vec<BrokerIndex>,
    pub(super) members: Vec<Member>,
    pub(super) subscribed: Vec<StrBytes>,
    /// Partitions that no member holds although the group is stable, as (topic, partition).
    pub(super) unassigned: Vec<(StrBytes, i32)>,
    pub(super) commits: Vec<TopicCommits>,
    pub(super) consumer: Consumer,
    pub(super) commit_every_ms: i64,
    pub(super) last_commit_ms: i64,
}

impl Group {
    /// The group's type.
    pub fn group_type(&self) -> GroupType {
        self.group_type
    }

    /// The group's state.
    pub fn state(&self) -> GroupState {
        self.state
    }

    /// How many members it has.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// The committed offset of a partition, if there is one.
    pub fn committed(&self, topic: &str, partition: usize) -> Option<i64> {
        let commits = self.commits.iter().find(|c| c.topic.as_str() == topic)?;
        commits.offsets.get(partition).copied().filter(|offset| *offset != NO_COMMIT)
    }

    /// Every committed offset, as (topic, partition, offset).
    pub fn commits(&self) -> impl Iterator<Item = (&str, usize, i64)> {
        self.commits.iter().flat_map(|commits| {
            let cells = commits.offsets.iter().enumerate().filter(|(_, offset)| **offset != NO_COMMIT);
            cells.map(|(partition, offset)| (commits.topic.as_str(), partition, *offset))
        })
    }

    pub(super) fn set_commit(&mut self, topic: &StrBytes, partition: usize, offset: Option<i64>) {
        let at = self.commits.iter().position(|c| c.topic == *topic).unwrap_or_else(|| {
            self.commits.push(TopicCommits { topic: topic.clone(), offsets: Vec::new(), is_left: false });
            self.commits.len() - 1
        });
        if let Some(commits) = self.commits.get_mut(at) {
            if commits.offsets.len() <= partition {
                commits.offsets.resize(partition + 1, NO_COMMIT);
            }
            if let Some(cell) = commits.offsets.get_mut(partition) {
                *cell = offset.unwrap_or(NO_COMMIT);
            }
        }
    }

    /// The partitions of a topic that a member holds: contiguous ranges in member order, as the
    /// range assignor would give them.
    pub(super) fn held(&self, member: usize, topic: &StrBytes, partitions: usize) -> impl Iterator<Item = i32> {
        let range = if self.state.has_assignment() { range_of(member, self.members.len(), partitions) } else { 0..0 };
        let unassigned = &self.unassigned;
        let topic = topic.clone();
        range
            .filter_map(|p| i32::try_from(p).ok())
            .filter(move |p| !unassigned.iter().any(|(t, q)| *t == topic && q == p))
    }
}

/// The share of `member` out of `members`: sizes differ by one at most.
fn range_of(member: usize, members: usize, partitions: usize) -> Range<usize> {
    let members = members.max(1);
    let (each, over) = (partitions / members, partitions % members);
    let start = member * each + member.min(over);
    start..start + each + usize::from(member < over)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_cover_every_partition_once() {
        for (members, partitions) in [(1, 0), (3, 12), (5, 12), (7, 3)] {
            let all: Vec<usize> = (0..members).flat_map(|m| range_of(m, members, partitions)).collect();
            assert_eq!(all, (0..partitions).collect::<Vec<_>>());
        }
    }
}
