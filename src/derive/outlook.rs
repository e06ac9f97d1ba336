//! What a cluster's past says about its present, published beside the facts: append times, verdicts, rates.
//!
//! Nothing in here grows with the clock: points in time are kept, and what they mean is computed when it is shown
//! (`Standing`).

use std::sync::Arc;

use super::RowOutlooks;
use crate::model::{GroupStatus, TimeLagMethod, WallTime, heap};
use crate::state::{GroupTable, TopicIx};

/// A point in time that may be unknown, in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct MaybeTime(i64);

impl MaybeTime {
    const NONE: Self = Self(i64::MIN);

    fn get(self) -> Option<WallTime> {
        (self != Self::NONE).then_some(WallTime(self.0))
    }
}

impl From<Option<WallTime>> for MaybeTime {
    fn from(time: Option<WallTime>) -> Self {
        time.map_or(Self::NONE, |time| Self(time.0))
    }
}

/// A verdict, and how it changes by itself as time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The verdict as long as nothing of this comes to pass.
    pub status: GroupStatus,
    /// After this moment without a commit it is another.
    pub turns_after: Option<WallTime>,
    /// Namely this.
    pub turns_into: GroupStatus,
    /// From this moment on the partition counts as abandoned: its verdict is `Ok`.
    pub abandoned_from: Option<WallTime>,
}

impl Verdict {
    /// A verdict that time does not change.
    #[must_use]
    pub const fn of(status: GroupStatus) -> Self {
        Self { status, turns_after: None, turns_into: status, abandoned_from: None }
    }

    /// The verdict at a time.
    #[must_use]
    pub fn at(&self, now: WallTime) -> GroupStatus {
        if self.is_abandoned(now) {
            return GroupStatus::Ok;
        }
        match self.turns_after {
            Some(moment) if now > moment => self.turns_into,
            _ => self.status,
        }
    }

    /// Whether the partition is abandoned by then.
    #[must_use]
    pub fn is_abandoned(&self, now: WallTime) -> bool {
        self.abandoned_from.is_some_and(|from| now >= from)
    }
}

/// What is known of one row of a group's commits: 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowOutlook {
    oldest_unread: MaybeTime,
    turns_after: MaybeTime,
    abandoned_from: MaybeTime,
    status: GroupStatus,
    turns_into: GroupStatus,
    method: Option<TimeLagMethod>,
    /// Whether there is a time lag at all.
    has_time_lag: bool,
    /// Commits that the verdict is made of.
    pub stored: u8,
}

impl RowOutlook {
    /// Puts a row together; `oldest_unread` is when the oldest unread record was appended, and how that is known.
    #[must_use]
    pub fn new(oldest_unread: Option<(WallTime, TimeLagMethod)>, verdict: Verdict, stored: u8) -> Self {
        Self {
            oldest_unread: oldest_unread.map(|(time, _)| time).into(),
            turns_after: verdict.turns_after.into(),
            abandoned_from: verdict.abandoned_from.into(),
            status: verdict.status,
            turns_into: verdict.turns_into,
            method: oldest_unread.map(|(_, method)| method),
            has_time_lag: true,
            stored,
        }
    }

    /// The same where no time lag is wanted.
    #[must_use]
    pub fn without_time_lag(self) -> Self {
        Self { oldest_unread: MaybeTime::NONE, method: None, has_time_lag: false, ..self }
    }

    /// Whether there is a time lag, known or not.
    #[must_use]
    pub fn has_time_lag(&self) -> bool {
        self.has_time_lag
    }

    /// When the oldest unread record was appended; `None`: not known, or there is none.
    #[must_use]
    pub fn oldest_unread(&self) -> Option<WallTime> {
        self.oldest_unread.get()
    }

    /// How that is known.
    #[must_use]
    pub fn method(&self) -> Option<TimeLagMethod> {
        self.method
    }

    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict {
            status: self.status,
            turns_after: self.turns_after.get(),
            turns_into: self.turns_into,
            abandoned_from: self.abandoned_from.get(),
        }
    }
}

/// What is known of a group on one topic.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GroupTopicOutlook {
    /// How fast the lag grows, in messages a second, smoothed; negative while the group catches up.
    pub velocity: Option<f64>,
    /// How fast the group's commits advance, in messages a second, smoothed.
    pub consume_rate: Option<f64>,
    /// When the oldest unread record may be deleted at the earliest, by the topic's retention or by how its log start
    /// moves; `None`: nothing is unread, nothing is deleted there, or it is not known.
    pub deleted_from: Option<WallTime>,
}

/// Partitions on which groups are behind, by how the append time of their oldest unread record is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BehindCounts {
    /// By the method that tells it, in the order of [`TimeLagMethod::ALL`].
    pub dated: [u32; TimeLagMethod::ALL.len()],
    /// It is not known.
    pub unknown: u32,
}

impl BehindCounts {
    /// Counts one more.
    pub fn count(&mut self, method: Option<TimeLagMethod>) {
        match method {
            Some(method) => self.dated[method as usize] += 1,
            None => self.unknown += 1,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let dated = std::array::from_fn(|place| self.dated[place] + other.dated[place]);
        Self { dated, unknown: self.unknown + other.unknown }
    }
}

/// What is known of one group. The columns are those of its commits.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupOutlook {
    /// The very facts that this is about: on others it says nothing.
    pub table: Arc<GroupTable>,
    /// One for each row of the commits.
    pub rows: RowOutlooks,
    /// One for each segment of the commits.
    pub topics: Vec<GroupTopicOutlook>,
    /// The partitions on which the group is behind.
    pub behind: BehindCounts,
}

impl GroupOutlook {
    /// What it takes on the heap, but for the facts.
    pub(crate) fn heap_bytes(&self) -> usize {
        heap::arc::<Self>() + self.rows.heap_bytes() + heap::vec(&self.topics)
    }
}

/// What is known of one cluster.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outlook {
    /// One for each group of the snapshot.
    pub groups: Vec<Arc<GroupOutlook>>,
    /// How fast records are appended to a topic, in messages a second, smoothed; by place.
    pub produce_rates: Vec<Option<f64>>,
    /// Commits that a whole verdict is made of.
    pub intervals: u8,
    /// The partitions on which groups are behind.
    pub behind: BehindCounts,
}

impl Outlook {
    /// What it takes on the heap, without what is known of each group.
    pub(super) fn list_bytes(&self) -> usize {
        heap::arc::<Self>() + heap::vec(&self.groups) + heap::vec(&self.produce_rates)
    }

    /// How fast records are appended to a topic, in messages a second, smoothed.
    #[must_use]
    pub fn produce_rate(&self, topic: TopicIx) -> Option<f64> {
        self.produce_rates.get(topic.index()).copied().flatten()
    }
}
