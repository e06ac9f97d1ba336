//! What the facts mean: pure functions of state and time, without IO and without a clock.

mod expiry;
mod group;
mod lag;
mod snapshot;
mod topic;

pub use group::{GroupMeaning, RowLag, TopicLag};
pub use lag::{lag, lost};
pub use snapshot::{Freshness, Snapshot};
pub use topic::TopicMeaning;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
mod tests;
