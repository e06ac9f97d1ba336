//! What of the facts is remembered over time, and what that says: when records were appended, how groups are doing,
//! how fast things move. Belongs to the poller of one cluster; what it comes to is published as an `Outlook`.

mod dating;
mod group;
mod held;
mod judge;
pub mod persist;
mod rate;
mod ring;
mod row;
mod search;
mod settings;
mod timeline;
mod topic;
mod tracker;

pub use persist::TopicHistory;
pub use search::{MAX_TIME_QUESTIONS, Mark, Search, Step, TOLERANCE_MS, TimeAnswer, TimeQuestion};
pub use settings::{StatusSettings, TimeLag, TimeLagRule, TrackSettings};
pub use timeline::{Bracket, MAX_POINTS, Point, Timeline};
use tracker::Times;
pub use tracker::{CommitNote, Named, Tracker};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
