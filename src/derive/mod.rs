//! What the facts mean: pure functions of state and time, without IO and without a clock.

mod detail;
mod diagnosis;
mod expiry;
mod group;
mod lag;
mod outlook;
mod row_outlooks;
mod snapshot;
mod stamps;
mod standing;
mod topic;

pub use detail::{Detail, Extent, GROUP_PARTITION_FAMILIES, GroupSeries, Terms};
pub use diagnosis::{Behind, Diagnosis, Finding, Place};
pub use group::{GroupMeaning, RowLag, TopicLag};
pub use lag::{lag, lost};
pub use outlook::{BehindCounts, GroupOutlook, GroupTopicOutlook, Outlook, RowOutlook, Verdict};
pub use row_outlooks::RowOutlooks;
pub use snapshot::{Freshness, Snapshot};
pub use stamps::Stamp;
pub use standing::{Standing, TopicStanding};
pub use topic::TopicMeaning;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
mod tests;
