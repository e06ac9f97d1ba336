//! `__consumer_offsets` read as a stream of commits: what the records say, and up to when they say all.

mod decode;
mod health;
mod statistics;
mod stream;

use std::fmt;
use std::time::Duration;

use decode::decode;
pub use decode::{CommitKey, DecodeError, OffsetsRecord};
pub use stream::OffsetsStream;

use crate::model::{Offset, StreamState};

/// The topic in which group coordinators keep commits.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// How one partition of `__consumer_offsets` is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionHealth {
    /// What it comes to.
    pub state: StreamState,
    /// The next offset to be read; `None` before the start is known.
    pub position: Option<Offset>,
    /// The end of the partition, what open transactions hide included.
    pub high_watermark: Option<Offset>,
    /// All that was committed there longer ago than this, and since the start, is among the records that were handed on.
    /// `None` before the start is known.
    pub complete_age: Option<Duration>,
    /// How long it has stood still before its end.
    pub stuck_for: Option<Duration>,
}

/// How the stream fares.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FeedHealth {
    /// Differs when the stream has begun anew at the end: then commits in between were missed.
    pub life: u64,
    /// The partitions by number; empty until they are known.
    pub partitions: Vec<PartitionHealth>,
    /// Why nothing can be read, in a sentence; `None` while the topic is read.
    pub failure: Option<String>,
    /// Records that could not be read so far.
    pub undecodable: u64,
}

/// Where commits come from as they happen: the seam between the stream and who keeps the table of commits.
pub trait CommitFeed: fmt::Debug + Send + Sync {
    /// How the stream fares. What it calls complete is in what `take` gives after it.
    fn health(&self) -> FeedHealth;

    /// The records since the last time; those of one group in the order in which they were written.
    fn take(&self) -> Vec<OffsetsRecord>;
}
