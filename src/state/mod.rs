//! The current world: facts over time in flat tables that are shared, never copied, once published.
//!
//! A table (one topic, one group) is immutable behind an `Arc`. Applying an answer makes new tables for what it
//! names and leaves the others alone, so a published world costs one vector of pointers.

mod bytes;
mod collectors;
mod commits;
mod group;
mod groups;
mod names;
mod sample;
mod scope;
mod stream;
mod topic;
mod world;

pub use collectors::{CollectorName, CollectorStatus, Collectors};
use commits::CommitTerms;
pub use commits::{Asked, CommitChange, CommitTable, Segment};
pub use group::{AssignedTopic, GroupTable, Membership};
pub use groups::{GroupLists, Groups};
pub use names::{TopicIx, TopicNames};
pub use sample::Sample;
pub use scope::{Beside, Scope};
pub use stream::{StreamFacts, StreamedGroup};
pub use topic::{HistoryId, Placement, Reading, TopicTable};
pub use world::{BrokerFacts, TopicChange, World};

/// The number of a pass. Two values of the same round were read by the same pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Round(pub u32);

impl Round {
    /// The next pass's number.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// When and in which pass an answer was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadAt {
    /// The pass.
    pub round: Round,
    /// The time, on both clocks.
    pub instants: crate::model::Instants,
}
