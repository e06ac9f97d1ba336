//! The memory of one cluster: it follows the snapshots of the cluster, and makes an outlook for each.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::group::{Context, GroupTrack};
use super::held::Held;
use super::persist::TopicHistory;
use super::search::{MAX_TIME_QUESTIONS, TimeAnswer, TimeQuestion};
use super::settings::TrackSettings;
use super::timeline::{Point, Timeline};
use super::topic::{TopicTrack, Walls};
use crate::derive::{BehindCounts, GroupOutlook, Outlook, Snapshot, Stamp};
use crate::model::{Offset, PartitionId, StateBytes, StatePart, WallTime, heap};
use crate::state::{TopicIx, TopicTable};

/// Commits with times of their own between two snapshots; of more, the younger ones count as not seen.
const MAX_NOTES: usize = 200_000;

/// Two readings of an end are close together up to so many periods of polling.
const CLOSE_PERIODS: f64 = 1.5;

/// Which of the values in a snapshot count as observed now.
#[derive(Debug, Clone, Copy)]
pub enum Named<'a> {
    /// All that was read since the last snapshot.
    Fresh,
    /// Of those only these.
    Only {
        /// Ends.
        ends: &'a BTreeSet<(TopicIx, PartitionId)>,
        /// Commits by group.
        commits: &'a BTreeMap<Arc<str>, BTreeSet<(TopicIx, PartitionId)>>,
    },
}

impl Named<'_> {
    pub(super) fn names_end(&self, topic: TopicIx, partition: PartitionId) -> bool {
        match self {
            Self::Fresh => true,
            Self::Only { ends, .. } => ends.contains(&(topic, partition)),
        }
    }

    /// Whether what is not named is known not to have changed, rather than not read.
    pub(super) fn is_exhaustive(&self) -> bool {
        matches!(self, Self::Only { .. })
    }

    pub(super) fn names_commit(&self, group: &str, topic: TopicIx, partition: PartitionId) -> bool {
        match self {
            Self::Fresh => true,
            Self::Only { commits, .. } => commits.get(group).is_some_and(|rows| rows.contains(&(topic, partition))),
        }
    }
}

/// A commit with a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitNote {
    /// The topic.
    pub topic: TopicIx,
    /// The partition.
    pub partition: PartitionId,
    /// What was committed.
    pub offset: Offset,
    /// When.
    pub at: WallTime,
}

impl CommitNote {
    /// What it was made on.
    pub(super) fn place(&self) -> (TopicIx, PartitionId) {
        (self.topic, self.partition)
    }
}

/// The answers since the last snapshot.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    told: HashMap<(TopicIx, PartitionId), Vec<(Offset, WallTime)>>,
}

impl Times {
    pub(super) fn of(&self, topic: TopicIx, partition: PartitionId) -> impl Iterator<Item = (Offset, WallTime)> {
        self.told.get(&(topic, partition)).into_iter().flatten().copied()
    }
}

/// The memory of one cluster. Bounded by its partitions and group-partitions.
#[derive(Debug, Default)]
pub struct Tracker {
    settings: TrackSettings,
    /// The version of the settings.
    terms: Option<Stamp>,
    topics: Vec<Option<TopicTrack>>,
    groups: HashMap<Arc<str>, GroupTrack>,
    notes: HashMap<Arc<str>, Vec<CommitNote>>,
    noted: usize,
    times: Times,
    /// Whose questions come first.
    turn: usize,
    /// How often what moves is read.
    period: Duration,
    /// Histories of topics that have not been seen yet.
    held: Held,
}

impl Tracker {
    /// A memory without anything in it.
    #[must_use]
    pub fn new(settings: TrackSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// How often what moves is read from now on. Ends that were read much less often leave something to ask the broker.
    pub fn set_period(&mut self, period: Duration) {
        self.period = period;
    }

    /// Other settings from now on.
    pub fn set_settings(&mut self, settings: TrackSettings) {
        self.settings = settings;
        self.terms = Some(Stamp::fresh());
    }

    /// Takes note of a commit with a time of its own, in the order in which they were made. It counts with the next
    /// snapshot.
    pub fn note_commit(&mut self, group: &Arc<str>, note: CommitNote) {
        if self.noted < MAX_NOTES {
            self.noted += 1;
            self.notes.entry(group.clone()).or_default().push(note);
        }
    }

    /// Takes in what the broker told. It counts with the next snapshot.
    pub fn answer(&mut self, answers: &[TimeAnswer]) {
        for answer in answers {
            let told = self.times.told.entry((answer.topic, answer.partition)).or_default();
            told.push((answer.offset, answer.appended_at));
        }
    }

    /// What is to be asked of the broker. Nothing about groups that have caught up, nor where the history tells. Each time
    /// another group comes first, so that questions that find no answer do not keep others waiting for ever.
    pub fn questions(&mut self) -> Vec<TimeQuestion> {
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn.checked_rem(self.groups.len()).unwrap_or(0);
        let groups = self.groups.values().skip(first).chain(self.groups.values().take(first));
        let mut questions = BTreeMap::new();
        let all = groups.flat_map(GroupTrack::questions).take(MAX_TIME_QUESTIONS);
        questions.extend(all.map(|ask| ((ask.topic, ask.partition, ask.offset), ask)));
        questions.into_values().collect()
    }

    /// Follows the cluster: takes in what a snapshot shows, and tells what that means in the light of what was before.
    pub fn observe(&mut self, snapshot: &Snapshot, named: &Named<'_>) -> Arc<Outlook> {
        let walls = Walls(snapshot.derived_at);
        self.follow_topics(snapshot, named, walls);
        let (times, notes) = (std::mem::take(&mut self.times), std::mem::take(&mut self.notes));
        self.noted = 0;
        let context = Context {
            snapshot,
            topics: &self.topics,
            settings: &self.settings,
            named,
            walls,
            times: &times,
            terms: self.terms,
            close_readings: self.period.mul_f64(CLOSE_PERIODS),
        };
        let mut known = std::mem::take(&mut self.groups);
        let mut outlooks: Vec<Arc<GroupOutlook>> = Vec::with_capacity(snapshot.groups.len());
        for meaning in &snapshot.groups {
            let name = &meaning.table.name;
            let mut group = known.remove(name).unwrap_or_else(|| GroupTrack::new(meaning));
            let notes = notes.get(name).map_or(&[][..], Vec::as_slice);
            if !notes.is_empty() || !group.is_current(meaning, context) {
                group.follow(meaning, notes, context);
            }
            outlooks.push(group.outlook());
            self.groups.insert(name.clone(), group);
        }
        let produce_rates = self.topics.iter().map(|topic| topic.as_ref().and_then(TopicTrack::produce_rate));
        let behind = outlooks.iter().fold(BehindCounts::default(), |all, group| all.plus(group.behind));
        Arc::new(Outlook {
            groups: outlooks,
            behind,
            produce_rates: produce_rates.collect(),
            intervals: self.settings.status.intervals,
        })
    }

    /// What it takes on the heap, with the tables of topics and groups, and what is derived from them, of the snapshot that
    /// it observed last. Commits and answers that wait for the next snapshot are not in it.
    #[must_use]
    pub fn state_bytes(&self) -> StateBytes {
        let mut bytes = StateBytes::default();
        bytes.add(StatePart::History, heap::vec(&self.topics) + self.held.heap_bytes());
        bytes.add(StatePart::Verdicts, heap::map(&self.groups));
        for topic in self.topics.iter().flatten().map(TopicTrack::bytes) {
            bytes.add(StatePart::Topics, topic.facts);
            bytes.add(StatePart::History, topic.history);
        }
        for group in self.groups.values().map(GroupTrack::bytes) {
            bytes.add(StatePart::Groups, group.facts);
            bytes.add(StatePart::Lags, group.lags);
            bytes.add(StatePart::Verdicts, group.verdicts);
            bytes.add(StatePart::Outlook, group.outlook);
        }
        bytes
    }

    fn follow_topics(&mut self, snapshot: &Snapshot, named: &Named<'_>, walls: Walls) {
        let world = &snapshot.world;
        let ends = usize::from(self.settings.status.intervals);
        self.topics.resize_with(world.topics.len(), || None);
        for (place, table) in world.topics.iter().enumerate() {
            let slot = &mut self.topics[place];
            let Some(table) = table else {
                *slot = None;
                continue;
            };
            if slot.as_ref().is_some_and(|track| Arc::ptr_eq(&track.table, table)) {
                continue;
            }
            let Some(ix) = world.names.get(&table.name) else { continue };
            match slot.as_mut().filter(|track| track.table.name == table.name) {
                Some(track) => track.follow(ix, table, named, walls, ends),
                None => slot.insert(TopicTrack::new(table)).follow(ix, table, named, walls, ends),
            }
            if let Some(kept) = self.held.claim(table, snapshot.derived_at.moment)
                && let Some(track) = slot.as_mut()
            {
                resume(track, &kept, table);
            }
        }
        if snapshot.has_metadata() {
            let is_there = |name: &str| world.names.get(name).is_some_and(|ix| world.topic(ix).is_some());
            self.held.miss(is_there, snapshot.derived_at.moment);
        }
    }

    /// The history of every topic, to be kept elsewhere.
    #[must_use]
    pub fn export(&self) -> Vec<TopicHistory> {
        // What is held reaches further back than what has been seen of the topic since.
        let mut histories: Vec<TopicHistory> = self.held.iter().cloned().collect();
        let seen = self.topics.iter().flatten().filter(|track| !self.held.holds(&track.table.name));
        histories.extend(seen.map(|track| TopicHistory {
            topic: track.table.name.clone(),
            id: track.table.id,
            partitions: track.timelines().map(|(id, timeline)| (id, timeline.points().to_vec())).collect(),
        }));
        histories
    }

    /// Takes in what was kept elsewhere. It counts for a topic that is seen from now on and is the same, as far as ids
    /// and ends tell.
    pub fn import(&mut self, histories: Vec<TopicHistory>) {
        self.held.add(histories);
    }
}

#[cfg(test)]
impl Tracker {
    /// How many topics and groups are remembered, and how many histories are held for topics that are to come.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        (self.topics.iter().flatten().count(), self.groups.len(), self.held.iter().count())
    }
}

/// Gives a topic the history that was kept of its partitions, as far as the present ends go on from it.
fn resume(track: &mut TopicTrack, kept: &TopicHistory, table: &TopicTable) {
    for (partition, points) in &kept.partitions {
        let Some(place) = table.place(*partition) else { continue };
        let goes_on = |last: &Point| table.ends[place].known().is_none_or(|end| end >= last.offset);
        let timeline = Timeline::restore(points.clone());
        if let Some(timeline) = timeline.filter(|timeline| timeline.last().is_some_and(goes_on)) {
            track.resume(place, &timeline);
        }
    }
}
