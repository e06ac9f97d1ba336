//! What a group's commits mean beside the ends of the logs: lag per partition, per topic and for the group.
//!
//! A lag pairs a commit with an end offset of the same pass, read after it. When one half of the pair fails to come,
//! the last whole pair stands until it is older than the maximum age; halves of different passes are never mixed.
//!
//! What a group that reads committed records only can read ends at the last stable offset (KIP-98). Where that is not
//! known its lag is not known either: the high watermark would count records that nobody may read yet.

use std::sync::Arc;

use super::expiry::group_valid_until;
use super::topic::add;
use super::{Freshness, lag, lost};
use crate::model::heap;
use crate::model::{MaybeMessages, Messages, Moment, Offset};
use crate::state::{CommitTable, GroupTable, HistoryId, Segment, TopicIx, TopicTable, World};

/// The lag of one row of a group's commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowLag {
    messages: MaybeMessages,
    /// The last moment at which it may be shown.
    until: Moment,
}

impl RowLag {
    const NONE: Self = Self { messages: MaybeMessages::UNKNOWN, until: Moment(0) };
}

/// What a group's commits on one topic add up to. One for each segment of the commits.
///
/// While the topic is sampled only the sums over the sample are there: a part of a sum is a false number, and the worst
/// partition may be one that is not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicLag {
    /// The life of the topic that this is about; `None`: the topic does not exist.
    history: Option<HistoryId>,
    /// Sum of the committed offsets; `None` while one is unknown.
    pub committed_sum: Option<u64>,
    /// Sum of the lags; `None` while one is unknown, or when no committed partition exists.
    pub lag_sum: Option<Messages>,
    /// The largest known lag: a true lower bound when some are unknown.
    pub max_lag: Option<Messages>,
    /// Committed partitions that exist and whose lag is not known now.
    pub unknown: u32,
    /// Messages that were deleted before the group read them.
    pub lost_sum: Option<Messages>,
    /// Sum of the committed offsets in the topic's sample; `None` while one is unknown, or when none is there.
    pub committed_sampled_sum: Option<u64>,
    /// Sum of the lags in the topic's sample; `None` while one is unknown, or when no committed partition is there.
    pub lag_sampled_sum: Option<Messages>,
    /// The last moment at which `lost_sum` may be shown.
    lost_until: Moment,
}

impl TopicLag {
    /// Whether the topic exists: the group may have commits on one that does not any more.
    #[must_use]
    pub fn is_of_a_topic(&self) -> bool {
        self.history.is_some()
    }

    /// The same of a topic of which only a sample is asked for, that has so many commits.
    fn of_sample(self, commits: usize) -> Self {
        Self {
            committed_sampled_sum: self.committed_sum.filter(|_| commits > 0),
            lag_sampled_sum: self.lag_sum,
            committed_sum: None,
            lag_sum: None,
            max_lag: None,
            lost_sum: None,
            ..self
        }
    }
}

/// One group with its lags.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupMeaning {
    /// The facts that this was derived from.
    pub table: Arc<GroupTable>,
    /// One for each row of the commits.
    rows: Vec<RowLag>,
    /// One for each segment of the commits.
    pub topics: Vec<TopicLag>,
    /// The largest known lag of the group; `None` when one of its topics is sampled.
    pub max_lag: Option<Messages>,
    /// Until when all of this may be shown; `None`: for ever.
    pub(super) valid_until: Option<Moment>,
}

impl GroupMeaning {
    /// Derives a group's lags; `previous` is what was derived before, of whose pairs the last whole ones may stand. `is_same`
    /// says of a topic whether it is the very same table as then, while nothing that was shown has become too old.
    #[must_use]
    pub fn of(
        table: &Arc<GroupTable>,
        world: &World,
        previous: Option<&Self>,
        freshness: &Freshness,
        is_same: &dyn Fn(TopicIx) -> bool,
    ) -> Self {
        let mut meaning =
            Self { table: table.clone(), rows: Vec::new(), topics: Vec::new(), max_lag: None, valid_until: None };
        if let Some(commits) = table.commits.as_deref() {
            meaning.add_commits(commits, world, previous, freshness, is_same);
        }
        meaning.valid_until = group_valid_until(&meaning, freshness);
        meaning
    }

    /// A group of which nothing is derived yet, without its commits.
    pub(crate) fn of_nothing(table: &GroupTable) -> Self {
        let table = Arc::new(GroupTable { commits: None, membership: None, ..table.clone() });
        Self { table, rows: Vec::new(), topics: Vec::new(), max_lag: None, valid_until: None }
    }

    fn add_commits(
        &mut self,
        commits: &CommitTable,
        world: &World,
        previous: Option<&Self>,
        freshness: &Freshness,
        is_same: &dyn Fn(TopicIx) -> bool,
    ) {
        self.rows.reserve_exact(commits.partitions.len());
        self.topics.reserve_exact(commits.segments.len());
        for segment in &commits.segments {
            let topic = world.topic(segment.topic).map(AsRef::as_ref);
            let is_read_committed = self.table.is_read_committed;
            // What was derived under another isolation is another number.
            let previous = previous.filter(|previous| previous.table.is_read_committed == is_read_committed);
            let before = previous.and_then(|previous| Before::find(previous, segment, topic));
            let unchanged = before.as_ref().filter(|before| is_same(segment.topic) && before.is_same(commits, segment));
            let derived = match unchanged {
                Some(before) => before.copy(&mut self.rows),
                None => {
                    let context = Context { commits, segment, topic, is_read_committed, before, freshness };
                    context.derive(&mut self.rows)
                }
            };
            self.max_lag = self.max_lag.max(derived.max_lag);
            self.topics.push(derived);
        }
        if commits.segments.iter().any(|segment| segment.sample.is_some()) {
            self.max_lag = None;
        }
    }

    /// What it takes on the heap, but for the facts.
    pub(crate) fn heap_bytes(&self) -> usize {
        heap::arc::<Self>() + heap::vec(&self.rows) + heap::vec(&self.topics)
    }

    /// The lag in a row of the commits, when it is known now.
    #[must_use]
    pub fn lag(&self, row: usize) -> Option<Messages> {
        self.rows.get(row)?.messages.get()
    }

    /// Whether the same is derived of a segment that has the same place and the same rows in both.
    #[must_use]
    pub(crate) fn is_same_segment(&self, other: &Self, place: usize) -> bool {
        let rows =
            |of: &Self| of.table.commits.as_deref().and_then(|commits| Some(commits.segments.get(place)?.rows.clone()));
        self.topics.get(place) == other.topics.get(place)
            && rows(self).and_then(|rows| self.rows.get(rows)) == rows(other).and_then(|rows| other.rows.get(rows))
    }

    /// Until when the derived values may be shown.
    pub(super) fn shown_until(&self) -> impl Iterator<Item = Moment> + '_ {
        let rows = self.rows.iter().filter(|row| row.messages.get().is_some()).map(|row| row.until);
        rows.chain(self.topics.iter().filter(|sum| sum.lost_sum.is_some()).map(|sum| sum.lost_until))
    }

    /// The commits with their derived sums, topic by topic.
    pub fn segments(&self) -> impl Iterator<Item = (&CommitTable, &Segment, &TopicLag)> {
        let commits = self.table.commits.as_deref();
        commits.into_iter().flat_map(move |commits| {
            commits.segments.iter().zip(&self.topics).map(move |(segment, lag)| (commits, segment, lag))
        })
    }
}

/// What was derived before of the same group and the same life of the topic.
struct Before<'a> {
    commits: &'a CommitTable,
    segment: &'a Segment,
    rows: &'a [RowLag],
    topic: &'a TopicLag,
}

impl<'a> Before<'a> {
    fn find(previous: &'a GroupMeaning, segment: &Segment, topic: Option<&TopicTable>) -> Option<Self> {
        let commits = previous.table.commits.as_deref()?;
        let place = commits.segments.binary_search_by_key(&segment.topic, |known| known.topic).ok()?;
        let derived = previous.topics.get(place)?;
        let same_life = derived.history.is_some() && derived.history == topic.map(|topic| topic.history);
        same_life.then_some(Self { commits, segment: &commits.segments[place], rows: &previous.rows, topic: derived })
    }

    /// Whether these are the same commits, read at the same time.
    fn is_same(&self, commits: &CommitTable, segment: &Segment) -> bool {
        commits.is_same_segment(segment, self.commits, self.segment)
    }

    /// Takes over what was derived.
    fn copy(&self, rows: &mut Vec<RowLag>) -> TopicLag {
        rows.extend_from_slice(self.rows.get(self.segment.rows.clone()).unwrap_or_default());
        *self.topic
    }

    fn row(&self, partition: crate::model::PartitionId) -> Option<RowLag> {
        self.rows.get(self.commits.row(self.segment, partition)?).copied()
    }
}

/// Everything that one segment's derivation looks at.
struct Context<'a> {
    commits: &'a CommitTable,
    segment: &'a Segment,
    topic: Option<&'a TopicTable>,
    /// Whether what can be read ends at the last stable offset.
    is_read_committed: bool,
    before: Option<Before<'a>>,
    freshness: &'a Freshness,
}

impl Context<'_> {
    fn derive(&self, rows: &mut Vec<RowLag>) -> TopicLag {
        let mut sum = TopicLag {
            history: self.topic.map(|topic| topic.history),
            committed_sum: Some(0),
            lag_sum: None,
            max_lag: None,
            unknown: 0,
            lost_sum: None,
            lost_until: self.until(),
            committed_sampled_sum: None,
            lag_sampled_sum: None,
        };
        let mut existing = 0_u32;
        let mut lags = Some(0);
        for row in self.segment.rows.clone() {
            let committed =
                self.freshness.commit(self.commits, self.segment, row).map(|offset| offset.get().unsigned_abs());
            sum.committed_sum = add(sum.committed_sum, committed);
            let Some((topic, place)) = self.place(row) else {
                rows.push(RowLag::NONE);
                continue;
            };
            let derived = self.row_lag(topic, place, row);
            existing += 1;
            let messages = derived.messages.get();
            sum.unknown += u32::from(messages.is_none());
            lags = add(lags, messages.map(|messages| messages.0));
            sum.max_lag = sum.max_lag.max(messages);
            rows.push(derived);
        }
        sum.lag_sum = lags.filter(|_| existing > 0).map(Messages);
        if self.segment.sample.is_some() {
            return sum.of_sample(self.segment.rows.len());
        }
        if existing > 0 {
            self.add_lost(&mut sum);
        }
        sum
    }

    /// The row's partition, if it exists: a commit on one that does not has no lag.
    fn place(&self, row: usize) -> Option<(&TopicTable, usize)> {
        let topic = self.topic?;
        Some((topic, topic.place(self.commits.partitions[row])?))
    }

    fn row_lag(&self, topic: &TopicTable, place: usize, row: usize) -> RowLag {
        let paired = self
            .pair(topic, place, row)
            .map(|(committed, start, end)| RowLag { messages: lag(end, committed, start).into(), until: self.until() });
        let standing = || self.before.as_ref()?.row(self.commits.partitions[row]);
        paired.or_else(standing).filter(|derived| self.freshness.now <= derived.until).unwrap_or(RowLag::NONE)
    }

    /// The last moment at which what is derived from these commits may be shown.
    fn until(&self) -> Moment {
        self.segment.at.plus(self.segment.max_age.get())
    }

    /// Commit, start and end that belong together: an end of the same pass, and a start that was read before the commit.
    /// A partition without a leader cannot move, so its last offsets belong to every commit in the same life of the topic.
    fn pair(&self, topic: &TopicTable, place: usize, row: usize) -> Option<(Offset, Offset, Offset)> {
        let committed = self.commits.offsets[row].get().filter(|_| self.commits.is_current(row))?;
        let end = self.freshness.end(topic, place)?;
        let start = self.freshness.start(topic, place)?;
        let (of_end, of_start) = (&topic.ends[place], &topic.starts[place]);
        // An end of before the topic's present life belongs to nothing any more, though another's fall began that life.
        let is_of_this_life = of_end.at >= topic.history_since;
        let same_pass = is_of_this_life && of_end.round == self.segment.round && of_start.at <= self.segment.at;
        let same_life = self.segment.at >= topic.history_since;
        let stands = || same_life && self.freshness.stands_still(topic, place);
        let readable = self.readable_end(topic, place, committed, end)?;
        (same_pass || stands()).then_some((committed, start, readable))
    }

    /// Where what the group can read ends. A last stable offset goes only with the end beside which it was read: it stands
    /// still no longer than that. Who has read up to the high watermark has read all, wherever transactions begin.
    fn readable_end(&self, topic: &TopicTable, place: usize, committed: Offset, end: Offset) -> Option<Offset> {
        if !self.is_read_committed || committed >= end {
            return Some(end);
        }
        let stable = self.freshness.stable_end(topic, place)?;
        (topic.stable_ends[place].round == topic.ends[place].round).then(|| stable.min(end))
    }

    /// Adds up what was lost. The log start must not be newer than the commit, or what the group read meanwhile would
    /// count as lost; when it is, the last sum stands.
    fn add_lost(&self, sum: &mut TopicLag) {
        let of_row = |row: usize| {
            let Some((topic, place)) = self.place(row) else { return Some(0) };
            let committed = self.commits.offsets[row].get().filter(|_| self.commits.is_current(row))?;
            let start = self.freshness.start(topic, place)?;
            (topic.starts[place].at <= self.segment.at).then(|| lost(start, committed).0)
        };
        let fresh = self.segment.rows.clone().map(of_row).try_fold(0, |total, part| add(Some(total), part));
        sum.lost_sum = fresh.map(Messages);
        if sum.lost_sum.is_none()
            && let Some(before) = &self.before
        {
            (sum.lost_sum, sum.lost_until) = (before.topic.lost_sum, before.topic.lost_until);
        }
        if self.freshness.now > sum.lost_until {
            sum.lost_sum = None;
        }
    }
}
