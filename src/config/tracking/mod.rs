//! What is made of the facts, and for whom: time lag, isolation, granularity, where commits come from, the rules of the
//! status.

mod check;

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::filter::NameFilter;
use super::types::{Granularity, GroupSettings, TopicSettings};
use super::values::show_duration;

pub(crate) use check::{commit_source, group_overrides, isolation, status, time_lag, topic_overrides};

/// The most overrides of a cluster's topics, and of its groups; each is compared with every name once.
pub const MAX_OVERRIDES: usize = 100;
/// Fewest and most commits, and end offsets, that a verdict looks at. One says nothing about a way; each costs memory
/// for every partition of every group.
pub const STATUS_INTERVALS_RANGE: RangeInclusive<usize> = 2..=100;
/// What a lag may be that nobody minds, in messages.
pub const ALLOWED_LAG_RANGE: RangeInclusive<u64> = 0..=1_000_000_000_000;
/// What may be left as transaction markers, in messages: each transaction ends in one, and only the last are left over.
pub const MARKER_SLACK_RANGE: RangeInclusive<u64> = 0..=1000;
/// Shortest and longest time between two polled commits that count.
pub const MIN_DISTANCE_RANGE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);
/// Shortest and longest time without a commit after which nobody is expected back.
pub const ABANDONED_AFTER_RANGE: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(365 * 86_400);

/// How the time lag on a topic is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeLag {
    /// From the history where it reaches back far enough, and from the broker where it does not.
    #[default]
    Auto,
    /// Only from the remembered times at which the end offsets were seen.
    History,
    /// Only from the brokers, which tell the offset of a time (ListOffsets by timestamp).
    Broker,
    /// Not at all.
    Off,
}

impl TimeLag {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::Auto, Self::History, Self::Broker, Self::Off];

    /// As it is written in a config file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::History => "history",
            Self::Broker => "broker",
            Self::Off => "off",
        }
    }
}

/// What a group's lag is measured against, after the consumers' own setting `isolation.level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// The high watermark: records of open transactions count.
    #[default]
    ReadUncommitted,
    /// The last stable offset: nothing from the first open transaction on counts.
    ReadCommitted,
}

impl Isolation {
    /// Both levels.
    pub const ALL: [Self; 2] = [Self::ReadUncommitted, Self::ReadCommitted];

    /// As it is written in a config file, and in Kafka's own.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read_uncommitted",
            Self::ReadCommitted => "read_committed",
        }
    }
}

/// Where the committed offsets of a cluster's groups come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CommitSource {
    /// The coordinators are asked (OffsetFetch).
    #[default]
    Poll,
    /// They are read from `__consumer_offsets` as they are made, over a base that is asked for.
    Stream,
}

impl CommitSource {
    /// Both sources.
    pub const ALL: [Self; 2] = [Self::Poll, Self::Stream];

    /// As it is written in a config file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Stream => "stream",
        }
    }
}

/// The rules by which a group's status is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The last so many commits, and so many of the last observed end offsets, that a verdict looks at; default 10.
    pub intervals: usize,
    /// A lag of so many messages at most is none; default 0.
    pub allowed_lag: u64,
    /// Transaction markers that a group may be left with when it has read everything, in messages; default 1.
    pub marker_slack: u64,
    /// Polled commits count when they are at least so far apart; default 60 s.
    #[serde(serialize_with = "as_text")]
    pub min_distance: Duration,
    /// A partition on which nobody has committed for so long, and that nobody holds, is abandoned; default 24 h.
    #[serde(serialize_with = "as_text")]
    pub abandoned_after: Duration,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            intervals: 10,
            allowed_lag: 0,
            marker_slack: 1,
            min_distance: Duration::from_secs(60),
            abandoned_after: Duration::from_secs(86_400),
        }
    }
}

/// What differs for some topics of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopicOverride {
    /// The topics that it is for.
    #[serde(serialize_with = "as_patterns")]
    pub topics: NameFilter,
    /// How their time lag is told; `None`: as elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_lag: Option<TimeLag>,
    /// Whether they have series by partition; `None`: as elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granularity: Option<Granularity>,
}

/// What differs for some groups of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupOverride {
    /// The groups that it is for.
    #[serde(serialize_with = "as_patterns")]
    pub groups: NameFilter,
    /// What their lag is measured against; `None`: as elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Whether they have series by partition; `None`: as elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granularity: Option<Granularity>,
}

impl TopicSettings {
    /// How the time lag on a topic of this name is told: as the first override says that matches and says anything of it,
    /// or as all topics.
    #[must_use]
    pub fn time_lag_of(&self, topic: &str) -> TimeLag {
        let chosen = self.overrides.iter().filter_map(|rule| Some((&rule.topics, rule.time_lag?)));
        first(chosen, topic).unwrap_or(self.time_lag)
    }

    /// Whether a topic of this name has series by partition, found in the same way.
    #[must_use]
    pub fn granularity_of(&self, topic: &str) -> Granularity {
        let chosen = self.overrides.iter().filter_map(|rule| Some((&rule.topics, rule.granularity?)));
        first(chosen, topic).unwrap_or(self.granularity)
    }

    /// Every granularity that a topic may have.
    #[must_use]
    pub fn granularities(&self) -> Vec<Granularity> {
        self.overrides.iter().filter_map(|rule| rule.granularity).chain([self.granularity]).collect()
    }
}

impl GroupSettings {
    /// What the lag of a group of this name is measured against: as the first override says that matches and says anything
    /// of it, or as all groups.
    #[must_use]
    pub fn isolation_of(&self, group: &str) -> Isolation {
        first(self.isolations(), group).unwrap_or(self.isolation)
    }

    /// The isolations that overrides choose, and for whom.
    pub fn isolations(&self) -> impl Iterator<Item = (&NameFilter, Isolation)> {
        self.overrides.iter().filter_map(|rule| Some((&rule.groups, rule.isolation?)))
    }

    /// Whether a group of this name has series by partition, found in the same way.
    #[must_use]
    pub fn granularity_of(&self, group: &str) -> Granularity {
        let chosen = self.overrides.iter().filter_map(|rule| Some((&rule.groups, rule.granularity?)));
        first(chosen, group).unwrap_or(self.granularity)
    }

    /// Every granularity that a group may have.
    #[must_use]
    pub fn granularities(&self) -> Vec<Granularity> {
        self.overrides.iter().filter_map(|rule| rule.granularity).chain([self.granularity]).collect()
    }
}

/// The first of some choices that is for this name.
fn first<'a, T>(mut choices: impl Iterator<Item = (&'a NameFilter, T)>, name: &str) -> Option<T> {
    choices.find(|(names, _)| names.matches(name)).map(|(_, chosen)| chosen)
}

fn as_text<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_duration(*duration))
}

fn as_patterns<S: Serializer>(names: &NameFilter, serializer: S) -> Result<S::Ok, S::Error> {
    names.include_patterns().serialize(serializer)
}
