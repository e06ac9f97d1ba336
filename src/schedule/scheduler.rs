//! The adaptive scheduler of one cluster: what is due at a tick, and what the answers change about it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::bounds::INTERVALS_OF_MAX_AGE;
use super::items::{GroupItem, TopicItem};
use super::pace::Tick;
use super::ticks::Ticks;
use super::{ASSUMED_SCRAPE_PERIOD, Bounds, BoundsRules, Budget, Cost, Rhythm, Stretch};
use crate::model::{MaxAge, Moment, heap};
use crate::state::TopicIx;

/// How many passes are remembered, to know how long they take.
const PASSES: usize = 128;
/// What the period is multiplied by at every main tick that nobody has scraped before.
const DRIFT: f64 = 1.2;
/// After the start somebody has so long to begin scraping.
const FIRST_SCRAPE: Duration = Duration::from_secs(120);

/// How a cluster is polled.
#[derive(Debug, Clone)]
pub struct Rules {
    /// A plain timer of this interval that asks for everything; `None`: adaptive.
    pub fixed: Option<Duration>,
    /// How often something may be asked for.
    pub bounds: BoundsRules,
    /// What polling may cost.
    pub budget: Budget,
}

/// What the scheduler has come to, for people.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schedule {
    /// The time between two main ticks, stretched.
    pub period: Duration,
    /// The learned period of the scrapes.
    pub scrape_period: Option<Duration>,
    /// How much longer all intervals are than wanted.
    pub stretch: f64,
    /// Of each kind of thing, how often it is asked for.
    pub intervals: Vec<Intervals>,
}

/// How often one kind of thing is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intervals {
    /// What: topics, groups or the topics of groups.
    pub kind: &'static str,
    /// How many moved when they were last asked for.
    pub moving: usize,
    /// How many did not.
    pub quiet: usize,
    /// The interval that half of them do not exceed, and 95 %, and 99 %; zero without any.
    pub percentiles: [Duration; 3],
}

/// The parts of which [`Intervals::percentiles`] tells.
pub const PERCENTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// The scheduler of one cluster.
#[derive(Debug)]
pub struct Scheduler {
    rules: Rules,
    cluster: Bounds,
    ticks: Ticks,
    tick: Tick,
    stretch: Stretch,
    /// How much longer the period is because nobody scrapes.
    drift: f64,
    started: Moment,
    scrape_period: Option<Duration>,
    passes: Vec<Duration>,
    next_pass: usize,
    cost: Cost,
    cost_since: Option<Moment>,
    /// By place.
    topics: Vec<Option<TopicItem>>,
    groups: HashMap<Arc<str>, GroupItem>,
}

impl Scheduler {
    /// A scheduler whose first tick is now.
    #[must_use]
    pub fn new(rules: Rules, now: Moment) -> Self {
        let cluster = rules.bounds.of_cluster(0);
        let ticks = Ticks::new(now, rules.fixed.unwrap_or(ASSUMED_SCRAPE_PERIOD), 1);
        let tick = ticks.tick(now, 0);
        let mut scheduler = Self {
            rules,
            cluster,
            ticks,
            tick,
            stretch: Stretch::default(),
            drift: 1.0,
            started: now,
            scrape_period: None,
            passes: Vec::new(),
            next_pass: 0,
            cost: Cost::default(),
            cost_since: None,
            topics: Vec::new(),
            groups: HashMap::new(),
        };
        scheduler.set_period();
        scheduler
    }

    /// Whether every tick asks for everything.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.rules.fixed.is_some()
    }

    /// Whether some names have bounds of their own.
    #[must_use]
    pub fn has_exceptions(&self) -> bool {
        !self.rules.bounds.overrides.is_empty()
    }

    /// The tick that is being worked at.
    #[must_use]
    pub fn tick(&self) -> &Tick {
        &self.tick
    }

    /// Takes in what is known of the scrapes, and says when the next tick is.
    pub fn next_tick(&mut self, rhythm: &Rhythm, now: Moment) -> Moment {
        if self.is_fixed() {
            return self.ticks.next();
        }
        self.scrape_period = rhythm.period;
        let is_alone = rhythm.is_paused(now) && now.since(self.started) > FIRST_SCRAPE;
        if !is_alone && self.drift > 1.0 {
            // Somebody is back: everything that moves is asked for now.
            self.drift = 1.0;
            self.set_period();
            self.ticks.restart(now);
            self.cost_since = None;
        }
        if self.tick.is_main() && is_alone {
            self.drift = (self.drift * DRIFT).min(self.cluster.max.div_duration_f64(self.wanted_period()).max(1.0));
        }
        self.set_period();
        if let (Some(period), Some(reference), false) = (rhythm.period, rhythm.reference, is_alone) {
            self.ticks.follow(period, reference, self.pass_p99());
        }
        self.ticks.next()
    }

    /// When the next tick is, if nothing changes.
    #[cfg(test)]
    pub(crate) fn next_for_tests(&self) -> Moment {
        self.ticks.next()
    }

    /// The time between two main ticks before it is stretched: the scrapes' period, within the bounds.
    fn wanted_period(&self) -> Duration {
        let learned = self.scrape_period.unwrap_or(ASSUMED_SCRAPE_PERIOD);
        learned.clamp(self.cluster.min, self.cluster.max)
    }

    /// What is read at main ticks only, such as the metadata, must not get too old between two.
    fn longest_period(&self) -> Duration {
        let age = self.rules.bounds.max_age.unwrap_or(Duration::MAX);
        (age / 2).max(self.cluster.min)
    }

    fn set_period(&mut self) {
        let (period, shortest) = match self.rules.fixed {
            Some(interval) => (interval, interval),
            None => (
                self.wanted_period().mul_f64(self.drift).min(self.longest_period()),
                self.rules.bounds.shortest(self.cluster),
            ),
        };
        let divisions = period.as_millis() / shortest.as_millis().max(1);
        self.ticks.set_period(period, u32::try_from(divisions).unwrap_or(u32::MAX), self.stretch.ratio());
    }

    /// Begins the work of the tick that is due.
    pub fn take_tick(&mut self, now: Moment) -> Tick {
        self.tick = self.ticks.take(now);
        if self.tick.is_main() && !self.is_fixed() {
            self.settle_cost();
            // What is asked for now lasts until the next main tick: that may be further away than the last one was.
            self.tick = self.ticks.tick(self.tick.at, self.tick.index);
        }
        self.tick.max_age = self.rules.bounds.max_age;
        self.tick
    }

    /// Takes in what the pass of a tick took and cost.
    pub fn passed(&mut self, took: Duration, cost: Cost) {
        if self.tick.is_main() {
            match self.passes.get_mut(self.next_pass) {
                Some(slot) => *slot = took,
                None => self.passes.push(took),
            }
            self.next_pass = (self.next_pass + 1) % PASSES;
        }
        self.cost.requests += cost.requests;
        self.cost.cpu_seconds += cost.cpu_seconds;
    }

    /// Compares what the last period cost with the budget.
    fn settle_cost(&mut self) {
        let cost = std::mem::take(&mut self.cost);
        if self.passes.is_empty() {
            // What comes before the second main tick is the first reading of everything: it says nothing of those to come.
            return;
        }
        if let Some(since) = self.cost_since {
            let elapsed = self.tick.at.since(since);
            let longest = self
                .rules
                .bounds
                .max_age
                .map_or(f64::MAX, |age| age.div_duration_f64(self.cluster.max * INTERVALS_OF_MAX_AGE).max(1.0));
            self.stretch.observe(cost, elapsed, self.rules.budget, longest);
            self.set_period();
        }
        self.cost_since = Some(self.tick.at);
    }

    /// How long a pass takes at most, but for one in a hundred.
    fn pass_p99(&self) -> Duration {
        let mut passes = self.passes.clone();
        percentile(&mut passes, 0.99)
    }

    /// Takes in how many values the cluster has: automatic bounds depend on it.
    pub fn resize(&mut self, values: usize) {
        self.cluster = self.rules.bounds.of_cluster(values);
    }

    /// The rules for bounds and what they are for most of this cluster.
    #[must_use]
    pub fn bounds(&self) -> (&BoundsRules, Bounds) {
        (&self.rules.bounds, self.cluster)
    }

    /// How old something may get that is asked for at this interval, stretched.
    #[must_use]
    pub fn max_age(&self, interval: Duration) -> MaxAge {
        let period = self.tick.length * self.tick.divisions;
        // On a plain timer the time between two ticks is the interval of everything.
        let between = if self.is_fixed() { period } else { interval.max(period) };
        MaxAge::new(self.tick.max_age(between))
    }

    /// How old what every main tick tells may get.
    #[must_use]
    pub fn main_max_age(&self) -> MaxAge {
        self.max_age(self.ticks.period())
    }

    /// A topic's item.
    #[must_use]
    pub fn topic(&self, topic: TopicIx) -> Option<&TopicItem> {
        self.topics.get(topic.index())?.as_ref()
    }

    /// A topic's item, to take in what it did, with its bounds.
    pub fn topic_mut(&mut self, topic: TopicIx) -> Option<(&mut TopicItem, Bounds)> {
        let item = self.topics.get_mut(topic.index())?.as_mut()?;
        let bounds = item.bounds(&self.rules.bounds, self.cluster);
        Some((item, bounds))
    }

    /// Sets what stands at a topic's place.
    pub fn set_topic(&mut self, topic: TopicIx, item: TopicItem) {
        if self.topics.len() <= topic.index() {
            self.topics.resize(topic.index() + 1, None);
        }
        self.topics[topic.index()] = Some(item);
    }

    /// Forgets a topic.
    pub fn remove_topic(&mut self, topic: TopicIx) {
        if let Some(slot) = self.topics.get_mut(topic.index()) {
            *slot = None;
        }
    }

    /// Forgets the topics at the places for which `exists` is false.
    pub fn retain_topics(&mut self, exists: impl Fn(usize) -> bool) {
        for (place, slot) in self.topics.iter_mut().enumerate() {
            if !exists(place) {
                *slot = None;
            }
        }
        while self.topics.last().is_some_and(Option::is_none) {
            self.topics.pop();
        }
    }

    /// A group's item.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&GroupItem> {
        self.groups.get(name)
    }

    /// A group's item, to take in what it did.
    pub fn group_mut(&mut self, name: &str) -> Option<&mut GroupItem> {
        self.groups.get_mut(name)
    }

    /// A group's item, a new one if it has none.
    pub fn group_entry(&mut self, name: &Arc<str>, coordinator: crate::model::BrokerId) -> &mut GroupItem {
        let rules = &self.rules.bounds;
        self.groups.entry(name.clone()).or_insert_with(|| GroupItem::new(name, coordinator, rules))
    }

    /// What failed may be told now: a broker answers again.
    pub fn retry_failing(&mut self) {
        for item in self.topics.iter_mut().flatten() {
            item.ends.retry();
            item.starts.retry();
        }
        self.groups.values_mut().for_each(GroupItem::retry);
    }

    /// What it takes on the heap. The names are those of the topics and groups.
    #[must_use]
    pub(crate) fn heap_bytes(&self) -> usize {
        let topics_of_groups: usize = self.groups.values().map(|group| heap::vec(&group.topics)).sum();
        heap::vec(&self.passes) + heap::vec(&self.topics) + heap::map(&self.groups) + topics_of_groups
    }

    /// All topics.
    pub(super) fn topics(&self) -> impl Iterator<Item = &TopicItem> {
        self.topics.iter().flatten()
    }

    /// All groups.
    pub(super) fn groups(&self) -> impl Iterator<Item = &GroupItem> {
        self.groups.values()
    }

    /// Forgets the groups for which `exists` is false.
    pub fn retain_groups(&mut self, exists: impl Fn(&str) -> bool) {
        self.groups.retain(|name, _| exists(name));
    }

    /// What it has come to.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        let mut intervals = Vec::new();
        if !self.is_fixed() {
            let (rules, cluster, tick) = (&self.rules.bounds, self.cluster, &self.tick);
            let topics = self.topics.iter().flatten();
            intervals.push(intervals_of(
                "topic",
                topics.map(|item| (item.ends.is_moving(), item.interval(tick, item.bounds(rules, cluster)))),
            ));
            let members = self.groups.values();
            intervals.push(intervals_of(
                "group_description",
                members.map(|item| {
                    let interval = item.membership.interval(tick, item.bounds(rules, cluster));
                    (item.membership.is_moving(), interval)
                }),
            ));
            let topics_of_groups = self.groups.values().flat_map(|group| {
                group.topics.iter().filter_map(move |item| {
                    let bounds = item.bounds(self.topic(item.topic)?, rules, cluster);
                    Some((item.pace.is_moving(), item.pace.interval(tick, bounds)))
                })
            });
            intervals.push(intervals_of("group_topic", topics_of_groups));
        }
        Schedule {
            period: self.ticks.period(),
            scrape_period: self.scrape_period,
            stretch: self.stretch.ratio(),
            intervals,
        }
    }
}

fn intervals_of(kind: &'static str, items: impl Iterator<Item = (bool, Duration)>) -> Intervals {
    let (mut moving, mut all) = (0, Vec::new());
    for (is_moving, interval) in items {
        moving += usize::from(is_moving);
        all.push(interval);
    }
    let percentiles = PERCENTILES.map(|part| percentile(&mut all, part));
    Intervals { kind, moving, quiet: all.len() - moving, percentiles }
}

/// The duration that a part of all does not exceed; zero without any.
fn percentile(durations: &mut [Duration], part: f64) -> Duration {
    let Some(last) = durations.len().checked_sub(1) else { return Duration::ZERO };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place among the durations"
    )]
    let place = (last as f64 * part).ceil() as usize;
    *durations.select_nth_unstable(place.min(last)).1
}
