//! Why a recording cannot be replayed.

use std::io;

/// The longest line that is read, in bytes: a first line names everything that a large cluster has.
pub const MAX_LINE_BYTES: usize = 128 << 20;
/// The most clusters that one recording tells of.
pub const MAX_CLUSTERS: usize = 1_000;
/// The most topics, partitions, groups and commits that one recording tells of at a time.
pub const MAX_FACTS: usize = 20_000_000;

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A line is not as it should be. What stood before it was replayed, and printed where that was wished.
    #[error("line {number}: {fault}")]
    Line {
        /// The line's number, from 1 on.
        number: u64,
        /// What is wrong with it.
        fault: LineFault,
    },
    /// The recording cannot be read on.
    #[error("line {number} cannot be read: {cause}")]
    Read {
        /// The number of the line that was being read, from 1 on.
        number: u64,
        /// What the system said.
        cause: io::Error,
    },
    /// What is to be printed cannot be written.
    #[error("the output cannot be written: {0}")]
    Write(io::Error),
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// It is longer than any that is read.
    #[error("longer than {MAX_LINE_BYTES} bytes: write what it tells as several lines of the same time")]
    TooLong,
    /// It is not JSON.
    #[error("not a JSON object on one line: {0}")]
    NotJson(String),
    /// A value is not what stands there in this format.
    #[error("{}{what}", at(.path))]
    Value {
        /// Where in the line, from its key down.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// Time runs on only.
    #[error("t is {t}, and an earlier line was at {before}: lines stand in the order of their times, in milliseconds")]
    Backwards {
        /// The line's time.
        t: i64,
        /// That of the line before.
        before: i64,
    },
    /// There are too many clusters.
    #[error("more than {MAX_CLUSTERS} clusters: replay them one by one")]
    TooManyClusters,
    /// There is too much.
    #[error("more than {MAX_FACTS} topics, partitions, groups and commits at a time: replay a part of it")]
    TooMuch,
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}
