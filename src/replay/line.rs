//! The format of a recording: one JSON object a line, read and written by the same types.
//!
//! What a line leaves out is unchanged, `null` deletes, and what it does not know is refused: a key that is misspelt
//! would otherwise be an observation that nobody sees.

use serde::{Deserialize, Serialize};

use super::wire::{Entries, Object, Told, is_false, offset, present_offset, present_time, time};
use crate::model::GroupState;

/// What was observed of one cluster at one time, or the wish to have all clusters printed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    /// When, in milliseconds since the Unix epoch.
    #[serde(deserialize_with = "time")]
    pub(super) t: i64,
    /// Of which cluster; `None`: of the one that has no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cluster: Option<String>,
    /// Its topics by name; `None` deletes one.
    #[serde(default, skip_serializing_if = "Entries::is_empty")]
    pub(super) topics: Entries<String, Option<Object<TopicLine>>>,
    /// Its groups by name; `None` deletes one.
    #[serde(default, skip_serializing_if = "Entries::is_empty")]
    pub(super) groups: Entries<String, Option<Object<GroupLine>>>,
    /// Whether to print how everything stands at this time, after what the line tells.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) print: bool,
}

/// What was observed of one topic.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TopicLine {
    /// Its partitions; `None` deletes one.
    #[serde(default, skip_serializing_if = "Entries::is_empty")]
    pub(super) partitions: Entries<PartitionKey, Option<Object<PartitionLine>>>,
    /// Its settings as Kafka names them, in force until the next ones.
    #[serde(default, skip_serializing_if = "Told::is_left_out")]
    pub(super) config: Told<Object<ConfigLine>>,
}

/// What was observed of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartitionLine {
    /// The log start offset.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present_offset")]
    pub(super) start: Option<i64>,
    /// The high watermark.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present_offset")]
    pub(super) end: Option<i64>,
}

/// The settings of a topic that forecasts are made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigLine {
    /// After how many milliseconds records may be deleted; −1: never.
    #[serde(rename = "retention.ms", default, skip_serializing_if = "Option::is_none")]
    pub(super) retention_ms: Option<i64>,
    /// From how many bytes a partition on records are deleted; −1: never.
    #[serde(rename = "retention.bytes", default, skip_serializing_if = "Option::is_none")]
    pub(super) retention_bytes: Option<i64>,
    /// With how many replicas in sync writing is still allowed.
    #[serde(rename = "min.insync.replicas", default, skip_serializing_if = "Option::is_none")]
    pub(super) min_insync_replicas: Option<u16>,
    /// `delete`, `compact` or `compact,delete`.
    #[serde(rename = "cleanup.policy", default, skip_serializing_if = "Option::is_none")]
    pub(super) cleanup_policy: Option<String>,
}

/// What was observed of one group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupLine {
    /// Its state, as Kafka spells it.
    #[serde(default, skip_serializing_if = "Told::is_left_out")]
    pub(super) state: Told<State>,
    /// How many members it has.
    #[serde(default, skip_serializing_if = "Told::is_left_out")]
    pub(super) members: Told<u32>,
    /// The partitions that its members hold, all of them.
    #[serde(default, skip_serializing_if = "Told::is_left_out")]
    pub(super) assignment: Told<Entries<String, Vec<PartitionKey>>>,
    /// The kind of its members; empty: its consumers assign partitions for themselves.
    #[serde(default, skip_serializing_if = "Told::is_left_out")]
    pub(super) protocol_type: Told<String>,
    /// What it has committed, by topic and partition; `None` deletes.
    #[serde(default, skip_serializing_if = "Entries::is_empty")]
    pub(super) commits: Entries<String, Option<TopicCommits>>,
}

/// What a group has committed on a topic; `None` deletes.
pub(super) type TopicCommits = Entries<PartitionKey, Option<Object<CommitLine>>>;

/// One commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommitLine {
    /// The committed offset: that of the next record to read.
    #[serde(deserialize_with = "offset")]
    pub(super) offset: i64,
    /// When it was committed, in milliseconds since the Unix epoch; `None`: it was polled at the time of the line.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present_time")]
    pub(super) time: Option<i64>,
}

/// A partition number: as the key of an object, a string of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PartitionKey(pub(super) i32);

/// A group's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State(pub(super) GroupState);

impl Line {
    /// Whether it tells something.
    #[must_use]
    pub(super) fn is_observation(&self) -> bool {
        !self.topics.is_empty() || !self.groups.is_empty()
    }
}
