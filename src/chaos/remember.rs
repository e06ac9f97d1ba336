//! The memory of the exporter under test: kept as `serve` keeps it, and now and then lost, with a state file or without.

use std::sync::Arc;
use std::time::Duration;

use super::check::Verdict;
use super::dice::Dice;
use super::history::Ms;
use crate::collect::{Clock, Poller};
use crate::derive::{Snapshot, Standing};
use crate::kafka::KafkaApi;
use crate::model::{Messages, WallTime};
use crate::track::persist::{ClusterHistory, SavedState, decode, encode};
use crate::track::{
    MAX_TIME_QUESTIONS, Named, StatusSettings, TimeLag, TimeLagRule, TimeQuestion, TrackSettings, Tracker,
};

/// What is held of topics that are not seen again is let go within this, or was never theirs.
const HELD_AT_MOST: Ms = 25 * 60_000;

/// Where the append times of a topic's records may come from in a seed's run.
pub(super) fn time_lag(seed: u64, topic: &str) -> TimeLag {
    let name = topic.bytes().fold(0, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let methods = [TimeLag::Auto, TimeLag::Auto, TimeLag::History, TimeLag::Broker, TimeLag::Off];
    Dice::fork(seed, &[6, name]).pick(&methods).unwrap_or_default()
}

/// Some seeds judge by few commits that may be close together, and give partitions up soon.
fn settings(seed: u64) -> TrackSettings {
    let usual = StatusSettings::default();
    let status = StatusSettings {
        intervals: 3,
        poll_distance: Duration::from_secs(10),
        abandoned_after: Duration::from_secs(1_800),
        ..usual
    };
    let status = if seed.is_multiple_of(2) { status } else { usual };
    TrackSettings { status, time_lag: TimeLagRule::new(move |topic| time_lag(seed, topic)) }
}

/// The memory, and when it is lost next.
pub(super) struct Remembering {
    tracker: Tracker,
    settings: TrackSettings,
    dice: Dice,
    lost_next: Ms,
    imported_at: Ms,
}

impl Remembering {
    pub(super) fn new(seed: u64, now: Ms) -> Self {
        let (settings, mut dice) = (settings(seed), Dice::fork(seed, &[5]));
        let lost_next = now + dice.range(900_000, 4_000_000);
        Self { tracker: Tracker::new(settings.clone()), settings, dice, lost_next, imported_at: now }
    }

    /// Follows what a pass has found, as `serve` does.
    pub(super) fn follow<K: KafkaApi, C: Clock + Clone>(
        &mut self,
        poller: &mut Poller<K, C>,
        snapshot: &mut Snapshot,
    ) -> Verdict {
        self.tracker.answer(&poller.take_time_answers());
        snapshot.set_outlook(self.tracker.observe(snapshot, &Named::Fresh));
        let questions = self.tracker.questions();
        poller.set_time_questions(&questions);
        self.tracker.set_period(poller.schedule().period);
        asks_for_what_is_behind(snapshot, &questions)?;
        self.is_bounded(snapshot)
    }

    /// Loses the memory when it is time to. Returns whether it did.
    pub(super) fn lose(&mut self, now: Ms, wall: WallTime) -> Result<bool, String> {
        if now < self.lost_next {
            return Ok(false);
        }
        self.lost_next = now + self.dice.range(900_000, 4_000_000);
        let before = std::mem::replace(&mut self.tracker, Tracker::new(self.settings.clone()));
        if self.dice.chance(600) {
            let clusters = vec![ClusterHistory { name: None, topics: before.export() }];
            let state = decode(&encode(&SavedState { saved_at: wall, clusters })).map_err(|error| error.to_string())?;
            state.clusters.into_iter().for_each(|cluster| self.tracker.import(cluster.topics));
            self.imported_at = now;
        }
        Ok(true)
    }

    /// What is remembered belongs to what there is.
    fn is_bounded(&self, snapshot: &Snapshot) -> Verdict {
        let (topics, groups, _) = self.tracker.sizes();
        let there = (snapshot.world.topics.iter().flatten().count(), snapshot.groups.len());
        if topics > there.0 || groups > there.1 {
            return Err(format!("{topics} topics and {groups} groups are remembered, and there are {there:?}"));
        }
        Ok(())
    }

    /// Nothing is held for ever for topics that do not come back.
    pub(super) fn holds_nothing(&self, now: Ms) -> Verdict {
        let (_, _, held) = self.tracker.sizes();
        let is_long_ago = self.imported_at + HELD_AT_MOST < now;
        if is_long_ago && held > 0 { Err(format!("{held} histories are held, and nobody takes them")) } else { Ok(()) }
    }

    /// How much is remembered, in words.
    pub(super) fn size(&self) -> usize {
        format!("{:?}", self.tracker).len()
    }
}

/// The broker is asked about records that some group has not read, and about so many at most.
fn asks_for_what_is_behind(snapshot: &Snapshot, questions: &[TimeQuestion]) -> Verdict {
    if questions.len() > MAX_TIME_QUESTIONS {
        return Err(format!("{} questions", questions.len()));
    }
    for question in questions {
        let is_behind = snapshot.groups.iter().any(|group| {
            let place = group.table.commits.as_deref().and_then(|commits| {
                let segment = commits.segments.iter().find(|segment| segment.topic == question.topic)?;
                commits.row(segment, question.partition)
            });
            place.and_then(|row| group.lag(row)).is_some_and(|lag| lag > Messages(0))
        });
        if !is_behind {
            return Err(format!("nobody is behind, and the broker is asked: {question:?}"));
        }
        let name: Option<&Arc<str>> = snapshot.world.topic(question.topic).map(|table| &table.name);
        if let Some(end) = snapshot.world.topic(question.topic).and_then(|table| {
            table.ends.get(table.place(question.partition)?)?.known().filter(|end| *end < question.offset)
        }) {
            return Err(format!("{name:?} ends at {end:?}, and the broker is asked beyond: {question:?}"));
        }
    }
    Ok(())
}

/// How the time lag of each row is known, as the JSON API shows it.
pub(super) fn methods(snapshot: &Snapshot, now: WallTime) -> super::behind::Methods {
    let mut methods = super::behind::Methods::new();
    for standing in snapshot.standings(now) {
        add_methods(snapshot, standing, &mut methods);
    }
    methods
}

fn add_methods(snapshot: &Snapshot, standing: Standing<'_>, methods: &mut super::behind::Methods) {
    for topic in standing.topics() {
        let Some(name) = snapshot.world.names.name(topic.segment.topic) else { continue };
        for row in topic.segment.rows.clone() {
            if let Some(method) = standing.method(row) {
                let group: Arc<str> = standing.group.table.name.clone();
                methods.insert((group, (Arc::from(&**name), topic.commits.partitions[row].0)), method);
            }
        }
    }
}
