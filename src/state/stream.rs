//! What is shown of reading `__consumer_offsets`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::StreamState;
use crate::model::heap;

/// How commits come in while they are read from `__consumer_offsets`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamFacts {
    /// How many of its partitions are in each state, in the order of [`StreamState::ALL`].
    pub partitions: [usize; StreamState::ALL.len()],
    /// The groups, as far as the partitions of their commits can be read.
    pub groups: HashMap<Arc<str>, StreamedGroup>,
}

/// How the commits of one group come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamedGroup {
    /// The commits on exported topics that were read.
    pub commits: u64,
    /// Whether all of them are read as they are made; otherwise they are polled, and may be read later.
    pub is_current: bool,
}

impl StreamFacts {
    /// What they take on the heap. The names are those of the groups.
    pub(crate) fn heap_bytes(&self) -> usize {
        heap::arc::<Self>() + heap::map(&self.groups)
    }
}
