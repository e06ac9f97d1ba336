//! What a topic's partitions add up to.

use super::Freshness;
use crate::state::TopicTable;

/// Sums over one topic's partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicMeaning {
    /// Sum of the high watermarks; `None` while one of them is unknown.
    pub end_sum: Option<u64>,
    /// Sum of the log start offsets; `None` while one of them is unknown.
    pub start_sum: Option<u64>,
    /// Partitions whose start or end is not known now.
    pub unknown: u32,
}

impl TopicMeaning {
    /// Adds up one topic.
    #[must_use]
    pub fn of(table: &TopicTable, freshness: &Freshness) -> Self {
        // Without fresh metadata there may be more partitions than are known here.
        let complete = freshness.is_placed(table);
        let mut meaning = Self { end_sum: complete.then_some(0), start_sum: complete.then_some(0), unknown: 0 };
        for place in 0..table.partitions() {
            let end = freshness.end(table, place);
            let start = freshness.start(table, place);
            meaning.end_sum = add(meaning.end_sum, end.map(|offset| offset.get().unsigned_abs()));
            meaning.start_sum = add(meaning.start_sum, start.map(|offset| offset.get().unsigned_abs()));
            meaning.unknown += u32::from(end.is_none() || start.is_none());
        }
        meaning
    }
}

/// A sum has no value as soon as a part has none: a partial sum is a false number.
pub(super) fn add(sum: Option<u64>, part: Option<u64>) -> Option<u64> {
    Some(sum?.saturating_add(part?))
}
