//! What has an interval of its own: every topic, every group, and every topic of every group.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use super::flow::Flow;
use super::pace::{Answer, Pace, Tick};
use super::{Bounds, BoundsRules};
use crate::model::{BrokerId, GroupState, Moment, OffsetSpec};
use crate::state::{HistoryId, TopicIx, TopicTable};

/// Longest intervals differ by up to this part, so that what became quiet together is not asked for together for ever.
const SPREAD: f64 = 0.15;
/// A full reading of a group's commits finds new ones. It is made once in the longest interval for so many rows of commits;
/// for more, less often: librdkafka's cost grows with their square.
const ROWS_PER_FULL: usize = 500;
/// When this part of the interval is over, it is made along with another reading of the group.
const ALONG_FROM: f64 = 0.7;
/// It waits so long, as a part of the interval, for such a reading.
const ALONE_FROM: f64 = 1.5;
/// But at least once in this time.
const LONGEST_FULL: Duration = Duration::from_secs(600);

/// One topic.
#[derive(Debug, Clone)]
pub struct TopicItem {
    name: Arc<str>,
    life: HistoryId,
    shape: u64,
    exception: Option<usize>,
    /// A number from 0 to 1 that differs from topic to topic.
    share: f64,
    /// Its ends.
    pub ends: Pace,
    /// Its log starts.
    pub starts: Pace,
    flow: Flow,
    flow_at: Option<Moment>,
    stride: u32,
}

/// What of a topic's table makes old readings incomplete when it changes: its partitions and who leads them.
fn shape(table: &TopicTable) -> u64 {
    let mut hasher = DefaultHasher::new();
    table.placements.iter().for_each(|placement| placement.leader.hash(&mut hasher));
    table.placements.len().hash(&mut hasher);
    hasher.finish()
}

/// A number from 0 to 1 that is always the same for a name.
fn share(name: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    f64::from(u16::try_from(hasher.finish() >> 48).unwrap_or(0)) / f64::from(u16::MAX)
}

fn spread(bounds: Bounds, share: f64) -> Bounds {
    Bounds { min: bounds.min, max: bounds.max.mul_f64(1.0 - SPREAD * share).max(bounds.min) }
}

impl TopicItem {
    /// A topic that was never asked for.
    #[must_use]
    pub fn new(table: &TopicTable, rules: &BoundsRules) -> Self {
        Self {
            name: table.name.clone(),
            life: table.history,
            shape: shape(table),
            exception: rules.of_topic(&table.name),
            share: share(&table.name),
            ends: Pace::default(),
            starts: Pace::default(),
            flow: Flow::default(),
            flow_at: None,
            stride: 1,
        }
    }

    /// The pace of one kind of its offsets. Last stable offsets go along with the ends.
    #[must_use]
    pub fn pace(&self, spec: OffsetSpec) -> &Pace {
        match spec {
            OffsetSpec::Latest | OffsetSpec::LastStable => &self.ends,
            OffsetSpec::Earliest => &self.starts,
        }
    }

    /// The same, to take in an answer.
    pub fn pace_mut(&mut self, spec: OffsetSpec) -> &mut Pace {
        match spec {
            OffsetSpec::Latest | OffsetSpec::LastStable => &mut self.ends,
            OffsetSpec::Earliest => &mut self.starts,
        }
    }

    /// The topic's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is the item of the topic in the table.
    #[must_use]
    pub fn is_of(&self, table: &TopicTable) -> bool {
        self.life == table.history
    }

    /// Follows the topic's table: where it has other partitions or leaders than before, it is asked for at once.
    pub fn follow(&mut self, table: &TopicTable) {
        let shape = shape(table);
        if self.shape != shape {
            self.shape = shape;
            self.wake();
        }
    }

    /// All of it is asked for at once.
    pub fn wake(&mut self) {
        self.ends.wake();
        self.starts.wake();
    }

    /// Its bounds.
    #[must_use]
    pub fn bounds(&self, rules: &BoundsRules, cluster: Bounds) -> Bounds {
        spread(rules.apply(self.exception, cluster), self.share)
    }

    /// Whether its ends are to be asked for at this tick.
    #[must_use]
    pub fn is_due(&self, tick: &Tick, bounds: Bounds) -> bool {
        self.ends.is_due(tick, bounds) || self.burst(tick).is_some_and(|stride| tick.index.is_multiple_of(stride))
    }

    /// After how many ticks the ends of a bursty topic are asked for again, when that is more often than once a period.
    fn burst(&self, tick: &Tick) -> Option<u32> {
        Some(self.stride).filter(|stride| self.ends.is_moving() && *stride < tick.divisions)
    }

    /// Takes in how far the ends rose.
    pub fn flowed(&mut self, messages: u64, tick: &Tick, bounds: Bounds) {
        if let Some(before) = self.flow_at {
            self.flow.observe(messages, tick.at.since(before));
        }
        self.flow_at = Some(tick.at);
        let shortest = bounds.min.div_duration_f64(tick.period());
        self.stride = self.flow.stride(tick.divisions, shortest);
    }

    /// The interval of its ends as it is just now.
    #[must_use]
    pub fn interval(&self, tick: &Tick, bounds: Bounds) -> Duration {
        self.burst(tick).map_or_else(|| self.ends.interval(tick, bounds), |stride| tick.length * stride)
    }
}

/// One group.
#[derive(Debug, Clone)]
pub struct GroupItem {
    exception: Option<usize>,
    share: f64,
    coordinator: BrokerId,
    listed: Option<GroupState>,
    /// Its description.
    pub membership: Pace,
    /// When all its commits were last asked for.
    full_at: Option<Moment>,
    full_soon: bool,
    full_failing: bool,
    /// Whether it is asked again at the next main tick.
    full_again: bool,
    /// Its topics, ordered by place.
    pub topics: Vec<GroupTopicItem>,
}

impl GroupItem {
    /// A group that was never asked for.
    #[must_use]
    pub fn new(name: &str, coordinator: BrokerId, rules: &BoundsRules) -> Self {
        Self {
            exception: rules.of_group(name),
            share: share(name),
            coordinator,
            listed: None,
            membership: Pace::default(),
            full_at: None,
            full_soon: false,
            full_failing: false,
            full_again: false,
            topics: Vec::new(),
        }
    }

    /// Takes in what a broker lists of it. Another state or another coordinator: all of it is asked for at once.
    pub fn listed(&mut self, coordinator: BrokerId, state: GroupState) {
        let known = self.listed.replace(state);
        if known.is_some_and(|known| known != state) || self.coordinator != coordinator {
            self.wake();
        }
        self.coordinator = coordinator;
    }

    /// All of it is asked for at once.
    pub fn wake(&mut self) {
        self.membership.wake();
        self.topics.iter_mut().for_each(|item| item.pace.wake());
        self.full_soon = true;
    }

    /// All its commits are asked for at the next tick.
    pub fn read_all_soon(&mut self) {
        self.full_soon = true;
    }

    /// Its commits on a topic moved: unless that is known, they are asked for at the next tick.
    pub fn topic_moved(&mut self, topic: TopicIx) {
        let place = self.topics.binary_search_by_key(&topic, |known| known.topic);
        let item = place.ok().and_then(|place| self.topics.get_mut(place));
        if let Some(item) = item.filter(|item| !item.pace.is_moving()) {
            item.pace.wake();
        }
    }

    /// What of it failed is asked for at once.
    pub fn retry(&mut self) {
        self.membership.retry();
        self.topics.iter_mut().for_each(|item| item.pace.retry());
        self.full_soon |= self.full_again;
    }

    /// The bounds of its description.
    #[must_use]
    pub fn bounds(&self, rules: &BoundsRules, cluster: Bounds) -> Bounds {
        spread(rules.apply(self.exception, cluster), self.share)
    }

    /// How often all its commits are asked for when it has so many. `has_orphans`: some are on partitions that do not
    /// exist, of which only a full reading tells.
    #[must_use]
    pub fn full_interval(&self, rows: usize, has_orphans: bool, bounds: Bounds, stretch: f64) -> Duration {
        let times = if has_orphans { 1 } else { rows.div_ceil(ROWS_PER_FULL).max(1) };
        let interval = bounds.max * u32::try_from(times).unwrap_or(u32::MAX);
        interval.min(LONGEST_FULL.max(bounds.max)).mul_f64(stretch)
    }

    /// Whether all its commits are to be asked for at this tick, whatever else is.
    #[must_use]
    pub fn is_full_due(&self, tick: &Tick, interval: Duration) -> bool {
        if self.full_soon {
            return true;
        }
        if self.full_again {
            return tick.is_main();
        }
        self.full_at.is_none_or(|at| tick.at.since(at) >= interval.mul_f64(ALONE_FROM))
    }

    /// Whether all its commits are to be asked for if some are anyway.
    #[must_use]
    pub fn is_full_due_along(&self, tick: &Tick, interval: Duration) -> bool {
        !self.full_again && self.full_at.is_none_or(|at| tick.at.since(at) >= interval.mul_f64(ALONG_FROM))
    }

    /// Takes in what became of the question for all its commits.
    pub fn full_answered(&mut self, answer: Answer, tick: &Tick, interval: Duration) {
        self.full_failing = !matches!(answer, Answer::Moved | Answer::Still);
        self.full_again = self.full_failing && answer != Answer::Refused;
        self.full_soon = false;
        if !self.full_again {
            // The first time after the start all groups are asked at once; from the second on they are spread.
            let early = if self.full_at.is_none() { interval.mul_f64(0.5 * self.share) } else { Duration::ZERO };
            self.full_at = Some(Moment(tick.at.0.saturating_sub(u64::try_from(early.as_millis()).unwrap_or(0))));
        }
    }

    /// Whether the last question for all its commits was not answered.
    #[must_use]
    pub fn is_full_failing(&self) -> bool {
        self.full_failing
    }

    /// Forgets all topics but these, ordered by place.
    pub fn retain_topics(&mut self, of_group: &[TopicIx]) {
        self.topics.retain(|item| of_group.binary_search(&item.topic).is_ok());
    }

    /// One of its topics, a new one with this exception to the bounds if it is not known yet.
    pub fn topic(&mut self, topic: TopicIx, exception: Option<usize>) -> &mut GroupTopicItem {
        let place = match self.topics.binary_search_by_key(&topic, |known| known.topic) {
            Ok(place) => place,
            Err(place) => {
                self.topics.insert(place, GroupTopicItem { topic, pace: Pace::default(), exception });
                place
            }
        };
        &mut self.topics[place]
    }

    /// One of its topics, if it is known.
    #[must_use]
    pub fn known_topic(&self, topic: TopicIx) -> Option<&GroupTopicItem> {
        let place = self.topics.binary_search_by_key(&topic, |known| known.topic).ok()?;
        Some(&self.topics[place])
    }
}

/// One topic of a group.
#[derive(Debug, Clone)]
pub struct GroupTopicItem {
    /// The topic.
    pub topic: TopicIx,
    /// The pace of the group's commits on it.
    pub pace: Pace,
    exception: Option<usize>,
}

impl GroupTopicItem {
    /// Its bounds.
    #[must_use]
    pub fn bounds(&self, topic: &TopicItem, rules: &BoundsRules, cluster: Bounds) -> Bounds {
        spread(rules.apply(self.exception, cluster), topic.share)
    }
}
