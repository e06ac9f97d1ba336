//! The two formulas that everything else stands on.

use crate::model::{Messages, Offset};

/// Lag = max(0, end − max(committed, log start)): what the group can still read and has not.
#[must_use]
pub fn lag(end: Offset, committed: Offset, start: Offset) -> Messages {
    end.distance_from(committed.max(start))
}

/// What lies between the commit and the log start is gone before the group read it.
#[must_use]
pub fn lost(start: Offset, committed: Offset) -> Messages {
    start.distance_from(committed)
}
