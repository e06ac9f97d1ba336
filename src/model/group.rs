//! Consumer groups as their coordinators tell them.

use std::sync::Arc;

use super::{BrokerId, PartitionId};

/// Which protocol a group's members speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupKind {
    /// The protocol of JoinGroup and SyncGroup.
    Classic,
    /// The protocol of KIP-848.
    Consumer,
    /// A broker before KIP-848 says nothing of it, or a newer one says something new.
    Unknown,
}

impl GroupKind {
    /// The label value; a group of a broker that knows one protocol only is a classic one.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Classic | Self::Unknown => "classic",
        }
    }
}

/// A group's state, in the words of Kafka's `GroupState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupState {
    /// Not known to this build, or not told.
    Unknown,
    /// Members are joining (classic).
    PreparingRebalance,
    /// Members wait for their assignment (classic).
    CompletingRebalance,
    /// Every member has its partitions.
    Stable,
    /// The coordinator does not know the group, or is forgetting it.
    Dead,
    /// No members; commits may remain.
    Empty,
    /// The coordinator computes an assignment (KIP-848).
    Assigning,
    /// Members move towards their assignment (KIP-848).
    Reconciling,
}

impl GroupState {
    /// Every state that a group can be shown in.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::PreparingRebalance,
        Self::CompletingRebalance,
        Self::Stable,
        Self::Dead,
        Self::Empty,
        Self::Assigning,
        Self::Reconciling,
    ];

    /// Whether members are still getting their partitions.
    #[must_use]
    pub fn is_rebalancing(self) -> bool {
        matches!(self, Self::PreparingRebalance | Self::CompletingRebalance | Self::Assigning | Self::Reconciling)
    }

    /// Kafka's own spelling, as in `kafka-consumer-groups.sh --state`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
            Self::Empty => "Empty",
            Self::Assigning => "Assigning",
            Self::Reconciling => "Reconciling",
        }
    }
}

/// A group as a broker's ListGroups names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub group: Arc<str>,
    /// Its state when it was listed.
    pub state: GroupState,
    /// Its protocol.
    pub kind: GroupKind,
}

/// What the members of a group hold of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicAssignment {
    /// The topic.
    pub topic: Arc<str>,
    /// How many members hold at least one partition of it.
    pub members: u32,
    /// The partitions held, in order, each once.
    pub partitions: Vec<PartitionId>,
}

/// A group as its coordinator describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its id.
    pub group: Arc<str>,
    /// Its state.
    pub state: GroupState,
    /// Its protocol.
    pub kind: GroupKind,
    /// The assignor in use (`range`, `uniform`, …); empty when there is none.
    pub protocol: Arc<str>,
    /// Whether its consumers assign partitions for themselves: the protocol type is empty, there are never members.
    pub is_simple: bool,
    /// The broker that coordinates it.
    pub coordinator: BrokerId,
    /// How many members it has.
    pub members: u32,
    /// What they hold, one entry a topic, ordered by name.
    pub assignment: Vec<TopicAssignment>,
}
