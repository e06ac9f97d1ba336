//! What a topic's partitions add up to.

use super::Freshness;
use crate::state::TopicTable;

/// Sums over one topic's partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicMeaning {
    /// Sum of the high watermarks; `None` while one of them is unknown, and of a sampled topic.
    pub end_sum: Option<u64>,
    /// Sum of the log start offsets; `None` while one of them is unknown, and of a sampled topic.
    pub start_sum: Option<u64>,
    /// Sum of the high watermarks of a sampled topic's sample; `None` while one of them is unknown.
    pub end_sampled_sum: Option<u64>,
    /// Sum of the log start offsets of a sampled topic's sample; `None` while one of them is unknown.
    pub start_sampled_sum: Option<u64>,
    /// Partitions that are asked for and whose start or end is not known now.
    pub unknown: u32,
}

impl TopicMeaning {
    /// Adds up one topic.
    #[must_use]
    pub fn of(table: &TopicTable, freshness: &Freshness) -> Self {
        let (mut ends, mut starts, mut unknown) = (Some(0), Some(0), 0);
        for place in 0..table.asked() {
            let end = freshness.end(table, place);
            let start = freshness.start(table, place);
            ends = add(ends, end.map(|offset| offset.get().unsigned_abs()));
            starts = add(starts, start.map(|offset| offset.get().unsigned_abs()));
            unknown += u32::from(end.is_none() || start.is_none());
        }
        if table.sample.is_some() {
            return Self { end_sampled_sum: ends, start_sampled_sum: starts, unknown, ..Self::default() };
        }
        // Without fresh metadata there may be more partitions than are known here.
        let complete = freshness.is_placed(table);
        let whole = |sum: Option<u64>| sum.filter(|_| complete);
        Self { end_sum: whole(ends), start_sum: whole(starts), unknown, ..Self::default() }
    }
}

/// A sum has no value as soon as a part has none: a partial sum is a false number.
pub(super) fn add(sum: Option<u64>, part: Option<u64>) -> Option<u64> {
    Some(sum?.saturating_add(part?))
}
