//! Collectors: what to ask Kafka next and what came back. One file per collector; `pass` puts them in order.

mod ask;
mod brokers;
mod clock;
mod commits;
mod configs;
mod cpu;
mod groups;
mod interest;
mod limits;
mod observe;
mod offsets;
mod pass;
mod plan;
mod report;
mod scope;
mod settings;
mod stable;
mod stream;
mod streamed;
mod times;
mod topics;

#[cfg(test)]
pub(crate) use clock::testing::TestClock;
pub use clock::{Clock, SystemClock};
pub use cpu::CpuMeter;
pub use limits::{CallLimits, ClusterLimit};
pub use pass::Poller;
pub use report::{CacheUse, PassReport};
pub use scope::{Locate, Located, ScopeRule};
pub use settings::{GroupScope, PollSettings, TopicScope};
pub use stream::CommitEvent;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
