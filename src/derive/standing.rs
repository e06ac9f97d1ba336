//! How a group stands at a given time: its time lag, its verdict and its forecasts, from what is known of it.

use std::time::Duration;

use super::stamps::said_of;
use super::{GroupMeaning, GroupOutlook, GroupTopicOutlook, RowOutlook, Snapshot, TopicLag};
use crate::model::{GroupStatus, Messages, TimeLagMethod, WallTime};
use crate::state::{CommitTable, Segment};

/// Slower than this, in messages a second, is standing still: a catch-up time made of it would be noise.
const STANDSTILL: f64 = 1e-3;

/// One group at a given time.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// What is derived from the facts.
    pub group: &'a GroupMeaning,
    outlook: Option<&'a GroupOutlook>,
    intervals: u8,
    now: WallTime,
}

/// The same on one topic.
#[derive(Debug, Clone, Copy)]
pub struct TopicStanding<'a> {
    /// All of the group's commits.
    pub commits: &'a CommitTable,
    /// Those on this topic.
    pub segment: &'a Segment,
    /// Their sums.
    pub lag: &'a TopicLag,
    outlook: Option<&'a GroupTopicOutlook>,
    of: Standing<'a>,
}

impl<'a> Standing<'a> {
    /// The group at a place of the snapshot, at a time.
    #[must_use]
    pub fn of(snapshot: &'a Snapshot, place: usize, now: WallTime) -> Option<Self> {
        let group = snapshot.groups.get(place)?;
        let outlook = said_of(&snapshot.outlook, group, place).map(AsRef::as_ref);
        Some(Self { group, outlook, intervals: snapshot.outlook.intervals, now })
    }

    fn row(&self, row: usize) -> Option<RowOutlook> {
        self.outlook?.rows.get(row)
    }

    /// When the oldest record that the group has not consumed on a partition was appended; `None`: there is none, or it
    /// is not known.
    #[must_use]
    pub fn oldest_unread(&self, row: usize) -> Option<WallTime> {
        self.group.lag(row).filter(|lag| lag.0 > 0)?;
        self.row(row)?.oldest_unread()
    }

    /// How that is known.
    #[must_use]
    pub fn method(&self, row: usize) -> Option<TimeLagMethod> {
        self.oldest_unread(row)?;
        self.row(row)?.method()
    }

    /// How long ago that was; zero when the group has consumed all. `None` too where no time lag is wanted.
    #[must_use]
    pub fn time_lag(&self, row: usize) -> Option<Duration> {
        match self.group.lag(row)? {
            Messages(0) => self.row(row).is_none_or(|row| row.has_time_lag()).then_some(Duration::ZERO),
            _ => Some(self.now.since(self.oldest_unread(row)?)),
        }
    }

    /// The verdict on a partition; `None` while its lag is not known.
    #[must_use]
    pub fn partition_status(&self, row: usize) -> Option<GroupStatus> {
        self.group.lag(row)?;
        Some(self.row(row)?.verdict().at(self.now))
    }

    /// Whether a partition counts as abandoned: nobody has committed on it for long.
    #[must_use]
    pub fn is_abandoned(&self, row: usize) -> bool {
        self.row(row).is_some_and(|row| row.verdict().is_abandoned(self.now))
    }

    /// The commits that a partition's verdict is made of ÷ those that a whole one is made of.
    #[must_use]
    pub fn complete(&self, row: usize) -> Option<f64> {
        let stored = self.row(row)?.stored;
        (self.intervals > 0).then(|| f64::from(stored.min(self.intervals)) / f64::from(self.intervals))
    }

    /// The verdict on the group, from the partitions whose verdict is known; `None`: of none it is.
    #[must_use]
    pub fn status(&self) -> Option<GroupStatus> {
        let rows = self.group.table.commits.as_deref().map_or(0, |commits| commits.partitions.len());
        (0..rows).filter_map(|row| self.partition_status(row)).map(GroupStatus::of_group).max()
    }

    /// Whether only a sample of one of its topics is asked for: of what is left out nobody knows how it stands.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.topics().any(|topic| topic.segment.sample.is_some())
    }

    /// The topics that the group has committed on.
    pub fn topics(self) -> impl Iterator<Item = TopicStanding<'a>> {
        (0..self.group.topics.len()).filter_map(move |place| self.topic(place))
    }

    /// The topic at a place among those that the group has committed on.
    #[must_use]
    pub fn topic(self, place: usize) -> Option<TopicStanding<'a>> {
        let commits = self.group.table.commits.as_deref()?;
        let (segment, lag) = (commits.segments.get(place)?, self.group.topics.get(place)?);
        let outlook = self.outlook.and_then(|outlook| outlook.topics.get(place));
        Some(TopicStanding { commits, segment, lag, outlook, of: self })
    }

    /// The longest known time lag of the group: a true lower bound when some are unknown; `None` while one of its topics
    /// is sampled.
    #[must_use]
    pub fn max_time_lag(&self) -> Option<Duration> {
        if self.is_sampled() {
            return None;
        }
        self.topics().filter_map(|topic| topic.max_time_lag()).max()
    }

    /// Sum over those of the group's topics that exist, when every one is known.
    fn sum<T: std::iter::Sum>(&self, part: impl Fn(&TopicStanding<'a>) -> Option<T>) -> Option<T> {
        let mut topics = self.topics().filter(|topic| topic.lag.is_of_a_topic()).peekable();
        topics.peek()?;
        topics.map(|topic| part(&topic)).sum()
    }

    /// The group's lag: the sum over its topics.
    #[must_use]
    pub fn lag_sum(&self) -> Option<Messages> {
        self.sum(|topic| topic.lag.lag_sum.map(|lag| lag.0)).map(Messages)
    }

    /// Messages that were deleted before the group read them.
    #[must_use]
    pub fn lost_sum(&self) -> Option<Messages> {
        self.sum(|topic| topic.lag.lost_sum.map(|lost| lost.0)).map(Messages)
    }

    /// How fast the group's lag grows, in messages a second.
    #[must_use]
    pub fn velocity(&self) -> Option<f64> {
        self.sum(TopicStanding::velocity)
    }

    /// How fast the group's commits advance, in messages a second.
    #[must_use]
    pub fn consume_rate(&self) -> Option<f64> {
        self.sum(TopicStanding::consume_rate)
    }

    /// How long the group needs to catch up at its present pace; `None`: never, or not known.
    #[must_use]
    pub fn catch_up(&self) -> Option<Duration> {
        match self.lag_sum()? {
            Messages(0) => Some(Duration::ZERO),
            lag => catch_up(lag, self.velocity()?, self.consume_rate()?, self.lost_sum()?),
        }
    }

    /// How long it takes until the first unread record may be deleted.
    #[must_use]
    pub fn retention_headroom(&self) -> Option<Duration> {
        self.topics().filter_map(|topic| topic.retention_headroom()).min()
    }
}

impl TopicStanding<'_> {
    /// When the oldest record of the topic that the group has not consumed was appended, on the partitions where that is
    /// known; `None` of a sampled topic.
    #[must_use]
    pub fn oldest_unread(&self) -> Option<WallTime> {
        self.whole()?.filter_map(|row| self.of.oldest_unread(row)).min()
    }

    /// The longest known time lag on a partition: a true lower bound when some are unknown; `None` of a sampled topic.
    #[must_use]
    pub fn max_time_lag(&self) -> Option<Duration> {
        // The longest lag is that of the oldest record; where all is read it is zero.
        let (mut oldest, mut any_read_all) = (None::<WallTime>, false);
        for row in self.whole()? {
            match self.of.group.lag(row) {
                None => {}
                Some(Messages(0)) => any_read_all |= self.of.row(row).is_none_or(|row| row.has_time_lag()),
                Some(_) => {
                    let unread = self.of.row(row).and_then(|row| row.oldest_unread());
                    oldest = oldest.into_iter().chain(unread).min();
                }
            }
        }
        let read_all = any_read_all.then_some(Duration::ZERO);
        oldest.map(|oldest| self.of.now.since(oldest)).or(read_all)
    }

    /// The rows, unless the topic is sampled: then the worst may be one that is not asked for.
    fn whole(&self) -> Option<std::ops::Range<usize>> {
        self.segment.sample.is_none().then(|| self.segment.rows.clone())
    }

    /// How fast the lag grows, in messages a second.
    #[must_use]
    pub fn velocity(&self) -> Option<f64> {
        self.lag.lag_sum.and(self.outlook?.velocity)
    }

    /// How fast the commits advance, in messages a second.
    #[must_use]
    pub fn consume_rate(&self) -> Option<f64> {
        self.lag.committed_sum.and(self.outlook?.consume_rate)
    }

    /// How long the group needs to catch up on this topic at its present pace; `None`: never, or not known.
    #[must_use]
    pub fn catch_up(&self) -> Option<Duration> {
        match self.lag.lag_sum? {
            Messages(0) => Some(Duration::ZERO),
            lag => catch_up(lag, self.velocity()?, self.consume_rate()?, self.lag.lost_sum?),
        }
    }

    /// How long it takes until the oldest unread record may be deleted.
    #[must_use]
    pub fn retention_headroom(&self) -> Option<Duration> {
        self.lag.lag_sum.filter(|lag| lag.0 > 0)?;
        Some(self.outlook?.deleted_from?.since(self.of.now))
    }
}

/// A lag that falls because what is unread is deleted is not caught up with.
fn catch_up(lag: Messages, velocity: f64, consume_rate: f64, lost: Messages) -> Option<Duration> {
    if lost.0 > 0 || consume_rate < STANDSTILL || velocity > -STANDSTILL {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a forecast is no more exact than a double")]
    let seconds = lag.0 as f64 / -velocity;
    Duration::try_from_secs_f64(seconds).ok()
}
