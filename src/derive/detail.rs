//! What of a snapshot is shown by partition: chosen once, when it is published, so that all that shows it agrees.
//!
//! Sums, maxima and whatever else has no partition are never left out by this. Two expositions on equal [`Terms`] differ
//! only where their snapshots do: what is chosen for a name holds as long as the rules are the same.

use crate::model::heap;
use crate::state::TopicIx;

/// Which topics, or which groups, have series by partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Extent {
    /// All of them.
    #[default]
    All,
    /// Those that are marked in the [`Detail`].
    Marked,
    /// None of them.
    None,
}

/// On what terms a snapshot is shown: all that decides which families and rows there are, beside the marks by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Terms {
    /// The topics with series by partition.
    pub topics: Extent,
    /// The groups with series by partition.
    pub groups: Extent,
    /// Whether partitions of groups whose lag is known to be 0 are left out.
    pub drops_zero_lag: bool,
    /// How many families are withheld so that there are not too many series: the first so many of those that can be.
    pub withheld: u8,
}

/// The terms, and what was found out to choose them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Detail {
    /// The terms.
    pub terms: Terms,
    /// The topics with series by partition, by place, with [`Extent::Marked`].
    pub topics: Vec<bool>,
    /// The same of the groups.
    pub groups: Vec<bool>,
    /// Series by partition of each group, by place and by family; empty where nobody limits their number.
    pub group_series: Vec<GroupSeries>,
    /// How many series each withheld family would have.
    pub withheld_series: Vec<u64>,
}

/// Families of groups by partition: status, time lag, committed offset and lag.
pub const GROUP_PARTITION_FAMILIES: usize = 4;

/// How many series one group has of each family by partition.
pub type GroupSeries = [u32; GROUP_PARTITION_FAMILIES];

impl Detail {
    /// What it takes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let lists = heap::vec(&self.topics) + heap::vec(&self.groups) + heap::vec(&self.group_series);
        heap::arc::<Self>() + lists + heap::vec(&self.withheld_series)
    }

    /// Whether a topic has series by partition.
    #[must_use]
    pub fn has_partitions_of_topic(&self, topic: TopicIx) -> bool {
        is_in(self.terms.topics, &self.topics, topic.index())
    }

    /// Whether the group at a place of the snapshot has series by partition.
    #[must_use]
    pub fn has_partitions_of_group(&self, place: usize) -> bool {
        is_in(self.terms.groups, &self.groups, place)
    }
}

fn is_in(extent: Extent, marks: &[bool], place: usize) -> bool {
    match extent {
        Extent::All => true,
        Extent::Marked => marks.get(place).copied().unwrap_or(false),
        Extent::None => false,
    }
}
