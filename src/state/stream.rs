//! What is shown of reading `__consumer_offsets`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::StreamState;

/// How commits come in while they are read from `__consumer_offsets`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamFacts {
    /// How many of its partitions are in each state, in the order of [`StreamState::ALL`].
    pub partitions: [usize; StreamState::ALL.len()],
    /// Commits on exported topics that were read, by group; of groups whose partition cannot be read there is no number.
    pub commits: HashMap<Arc<str>, u64>,
}
