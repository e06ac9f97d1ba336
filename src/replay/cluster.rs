//! One cluster of a recording: what lines tell goes through the same state, derivation and tracking as in the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::answers;
use super::line::{CommitLine, Line};
use super::told::{ClusterTold, NamedCommit, NamedOffsets, Touched};
use crate::derive::Snapshot;
use crate::model::{
    BrokerId, ClusterMetadata, CommittedOffsets, GroupKind, GroupListing, GroupState, Instants, MaxAge, Moment, Offset,
    OffsetSpec, PartitionId, TopicSettings, WallTime,
};
use crate::state::{Asked, Collectors, GroupLists, ReadAt, Reading, Round, TopicIx, World};
use crate::track::{CommitNote, Named, TrackSettings, Tracker};

/// What a recording does not tell: who coordinates a group. Kafka's own number for "nobody".
pub(super) const NO_BROKER: BrokerId = BrokerId(-1);

/// All that stands at a time is of that time, so one round holds it all: a commit pairs with the end that is known now.
const ROUND: Round = Round(1);

/// One cluster of a recording as it stands at the time of its last line.
#[derive(Debug)]
pub(super) struct ReplayedCluster {
    told: ClusterTold,
    /// Commits on partitions of which nothing was told yet, by group, topic and partition.
    early: BTreeMap<(Arc<str>, Arc<str>, i32), CommitLine>,
    world: World,
    tracker: Tracker,
    snapshot: Arc<Snapshot>,
    /// When the last line was taken in.
    now: Moment,
}

impl ReplayedCluster {
    /// A cluster of which nothing was told before this time.
    pub(super) fn new(settings: TrackSettings, t: i64) -> Self {
        let mut world = World::new(Collectors::new(|_| true));
        // What a line leaves out is unchanged, so nothing that was told grows too old.
        world.metadata_max_age = MaxAge::FOREVER;
        world.round = ROUND;
        let now = moment(t);
        world.apply_metadata(&ClusterMetadata::default(), |_| true, now);
        let snapshot = Arc::new(Snapshot::derive(&world, None, Instants { moment: now, wall: WallTime(t) }));
        Self {
            told: ClusterTold::default(),
            early: BTreeMap::new(),
            world,
            tracker: Tracker::new(settings),
            snapshot,
            now,
        }
    }

    /// How everything stands since the last line.
    pub(super) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// How many topics, partitions, groups and commits there are.
    pub(super) fn facts(&self) -> usize {
        self.told.facts
    }

    /// How everything stands at a later time.
    pub(super) fn at(&self, t: i64) -> Arc<Snapshot> {
        let now = Instants { moment: moment(t).max(self.now), wall: WallTime(t) };
        Arc::new(Snapshot::derive(&self.world, Some(&self.snapshot), now))
    }

    /// Takes in one observation, and tells what it touches.
    pub(super) fn take_in(&mut self, line: Line) -> Touched {
        self.told.take_in(line)
    }

    /// Puts what an observation touches into the world, and derives what that means.
    pub(super) fn apply(&mut self, touched: &Touched) {
        // Values of different lines must be told apart by their moments, though lines may be of the same time.
        self.now = moment(touched.t).max(self.now.plus(Duration::from_millis(1)));
        let read = ReadAt { round: ROUND, instants: Instants { moment: self.now, wall: WallTime(touched.t) } };
        self.apply_topics(touched, read);
        self.apply_groups(touched, read);
        // The order of a pass: starts before the commits that they are compared with, ends after them.
        self.apply_offsets(OffsetSpec::Earliest, &touched.starts, read);
        self.apply_commits(touched, read);
        let fell = self.apply_offsets(OffsetSpec::Latest, &touched.ends, read);
        self.live_on(&fell, read);
        if touched.deleted {
            self.world.sweep_names();
        }
        self.track(touched, read.instants);
    }

    fn apply_topics(&mut self, touched: &Touched, read: ReadAt) {
        for (topic, partition) in &touched.partitions_gone {
            self.forget(topic, *partition);
        }
        if touched.shape {
            let metadata = answers::metadata(&self.told);
            // What the metadata does not show any more is gone when it is missing for the second time.
            let times = if touched.deleted { 2 } else { 1 };
            (0..times).for_each(|_| self.world.apply_metadata(&metadata, |_| true, read.instants.moment));
        }
        for name in &touched.topics {
            if let Some(told) = self.told.topics.get(name) {
                let settings = told.config.as_ref().and_then(|config| answers::settings(&config.0).ok()).map(Arc::new);
                self.set_settings(name, settings);
            }
        }
    }

    /// Forgets a partition's offsets, and the partition itself where it was the last one. Kafka takes no partition away
    /// from a topic, so the world has no such event; what is known of the others stays.
    fn forget(&mut self, topic: &str, partition: i32) {
        let count = self.told.topics.get(topic).map_or(0, super::told::TopicTold::count);
        let Some(ix) = self.world.names.get(topic) else { return };
        let Some(table) = self.world.topics.get_mut(ix.index()).and_then(Option::as_mut) else { return };
        let table = Arc::make_mut(table);
        if let Some(place) = table.place(PartitionId(partition)) {
            (table.starts[place], table.ends[place]) = (Reading::NONE, Reading::NONE);
        }
        if count > 0 {
            table.placements.truncate(count);
            table.starts.truncate(count);
            table.ends.truncate(count);
            table.stable_ends.truncate(count);
        }
    }

    fn set_settings(&mut self, topic: &str, settings: Option<Arc<TopicSettings>>) {
        let Some(ix) = self.world.names.get(topic) else { return };
        let Some(table) = self.world.topics.get_mut(ix.index()).and_then(Option::as_mut) else { return };
        if table.settings != settings {
            Arc::make_mut(table).settings = settings;
        }
    }

    fn apply_groups(&mut self, touched: &Touched, read: ReadAt) {
        touched.groups_gone.iter().for_each(|name| self.world.groups.remove(name));
        if !touched.groups_new.is_empty() {
            let listing = |group: &Arc<str>| {
                let (state, kind) = (GroupState::Unknown, GroupKind::Unknown);
                GroupListing { group: group.clone(), state, kind }
            };
            let new = touched.groups_new.iter().map(listing).collect();
            self.world.groups.apply_lists(&GroupLists { lists: vec![(NO_BROKER, new)], complete: false }, |_| true);
        }
        for name in &touched.described {
            let Some(told) = self.told.groups.get(name) else { continue };
            match answers::description(name, told) {
                Some(description) => {
                    self.world.apply_group_description(&description, MaxAge::FOREVER, read.instants.moment);
                }
                None => self.world.groups.forget_membership(name),
            }
        }
    }

    /// Puts offsets into the world. Returns the topics of which one fell.
    fn apply_offsets(&mut self, spec: OffsetSpec, named: &NamedOffsets, read: ReadAt) -> Vec<TopicIx> {
        let rows: Vec<_> = named.iter().map(|(topic, named)| answers::offsets(topic, named)).collect();
        let changes = self.world.apply_offsets(spec, &rows, |_| MaxAge::FOREVER, read);
        changes.into_iter().filter(|change| change.fell).map(|change| change.topic).collect()
    }

    /// An end that falls begins another life of its topic, to which no earlier reading belongs. The ends that the line
    /// left out are unchanged all the same: they stand in it as if they had been read again.
    fn live_on(&mut self, fell: &[TopicIx], read: ReadAt) {
        for ix in fell {
            let table = self.world.topics.get_mut(ix.index()).and_then(Option::as_mut).map(Arc::make_mut);
            let ends = table.into_iter().flat_map(|table| &mut table.ends);
            ends.filter(|end| end.known().is_some()).for_each(|end| end.at = read.instants.moment);
        }
    }

    /// Puts the commits of groups on topics into the world, those that the line leaves out as well.
    fn apply_commits(&mut self, touched: &Touched, read: ReadAt) {
        for (name, topics) in &touched.reread {
            let Some(group) = self.told.groups.get(name) else { continue };
            let answer =
                CommittedOffsets { topics: topics.iter().map(|topic| answers::commits(topic, group)).collect() };
            // Every topic is answered whole, so there is nothing of it that was asked and not told.
            let asked = Asked::Named(&[]);
            self.world.apply_commits(name, &answer, asked, |_| true, &|_| MaxAge::FOREVER, read);
        }
    }

    /// The commits that count now: of those that the line names, and of those that waited for it, the ones on partitions
    /// that are there.
    fn due(&mut self, named: &[NamedCommit]) -> BTreeMap<(Arc<str>, Arc<str>, i32), CommitLine> {
        let place = |named: &NamedCommit| (named.group.clone(), named.topic.clone(), named.partition);
        self.early.extend(named.iter().map(|named| (place(named), named.commit)));
        let told = &self.told;
        // What was deleted meanwhile does not wait any more.
        self.early.retain(|(group, topic, partition), commit| {
            let commits = told.groups.get(group).and_then(|group| group.commits.get(topic));
            commits.and_then(|commits| commits.get(partition)) == Some(&commit.offset)
        });
        let is_there = |topic: &Arc<str>, partition: &i32| {
            told.topics.get(topic).is_some_and(|topic| topic.partitions.contains_key(partition))
        };
        let all = std::mem::take(&mut self.early).into_iter();
        let (due, early) = all.partition(|((_, topic, partition), _)| is_there(topic, partition));
        self.early = early;
        due
    }

    /// Derives the snapshot, and lets the past say what it means.
    fn track(&mut self, touched: &Touched, now: Instants) {
        let due = self.due(&touched.commits);
        let names = &self.world.names;
        let mut commits: BTreeMap<Arc<str>, BTreeSet<_>> = BTreeMap::new();
        for ((group, topic, partition), commit) in due {
            let Some((topic, offset)) = names.get(&topic).zip(Offset::new(commit.offset)) else { continue };
            let partition = PartitionId(partition);
            commits.entry(group.clone()).or_default().insert((topic, partition));
            if let Some(at) = commit.time.map(WallTime) {
                self.tracker.note_commit(&group, CommitNote { topic, partition, offset, at });
            }
        }
        let of_topic = |(topic, named): (&Arc<str>, &BTreeMap<i32, i64>)| {
            let topic = names.get(topic)?;
            Some(named.keys().map(|id| (topic, PartitionId(*id))).collect::<Vec<_>>())
        };
        let ends: BTreeSet<_> = touched.ends.iter().filter_map(of_topic).flatten().collect();
        let mut snapshot = Snapshot::derive(&self.world, Some(&self.snapshot), now);
        snapshot.set_outlook(self.tracker.observe(&snapshot, &Named::Only { ends: &ends, commits: &commits }));
        self.snapshot = Arc::new(snapshot);
    }
}

fn moment(t: i64) -> Moment {
    Moment(t.unsigned_abs())
}
