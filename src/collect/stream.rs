//! The table of commits that is kept from the stream: what every group has committed since its coordinator told last.
//!
//! A group's commits are answered from it, without asking its coordinator, when two things are so: its partition of
//! `__consumer_offsets` is read up to a moment ago; and all that the group has committed was asked for after reading began
//! there (the base).
//!
//! What came in for a topic counts once reading has passed the time at which the coordinator last told of it: before, it
//! may be older than that answer. Until then the answer itself stands. It is newer than anything that reading could tell,
//! and asking once more would only put off the time that reading has to pass: one that asks as often as reading gets on
//! would never cease to ask.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::plan::{CommitQuestion, CommitScope};
use crate::kafka::{CommitFeed, FeedHealth, OffsetsRecord};
use crate::model::heap;
use crate::model::{
    CommittedOffsets, CommittedPartition, Moment, NamePredicate, Offset, PartitionId, StreamState, TopicRows, WallTime,
};
use crate::state::{GroupTable, StreamFacts, StreamedGroup, TopicIx, World};

/// How often all commits of a group are asked for all the same: a guard against drift.
const FULL_EVERY: Duration = Duration::from_secs(600);
/// While there is no base, it is asked for again after so long, whatever became of the question before.
const BASE_AGAIN: Duration = Duration::from_secs(60);
/// What a coordinator told stands for so long while reading has not come to that time: as long as what was read stands for
/// the present.
const TOLD_STANDS: Duration = Duration::from_secs(5);
/// Commits that are kept for who looks at each of them; of more the newest stay.
const MAX_EVENTS: usize = 65_536;

/// One commit as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitEvent {
    /// The group.
    pub group: Arc<str>,
    /// The topic, an exported one.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: PartitionId,
    /// What was committed.
    pub offset: Offset,
    /// When, by the clock of the coordinator.
    pub at: WallTime,
}

/// Which partition of `__consumer_offsets` holds a group's commits, of so many: Kafka's `GroupCoordinator.partitionFor`.
/// `None`: there are no partitions.
#[must_use]
pub(super) fn partition_for(group: &str, partitions: usize) -> Option<usize> {
    // Java's String.hashCode, over UTF-16 code units; Utils.abs makes the smallest number 0.
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    usize::try_from(hash.checked_abs().unwrap_or(0)).ok()?.checked_rem(partitions)
}

/// The commits that came in for one topic of a group since they were last taken over.
#[derive(Debug, Default)]
struct PendingTopic {
    /// The newest of each partition; `None`: the commit is gone.
    rows: BTreeMap<PartitionId, Option<Offset>>,
    /// When the newest was made.
    at: Option<WallTime>,
}

/// When everything that a group has committed was asked for and answered.
#[derive(Debug, Clone, Copy)]
struct Base {
    asked: Moment,
    answered: Moment,
}

#[derive(Debug, Default)]
struct GroupStream {
    place: Option<usize>,
    base: Option<Base>,
    /// When the base was last asked for ahead of its time, since reading began.
    base_wanted: Option<Moment>,
    commits: u64,
    pending: BTreeMap<Arc<str>, PendingTopic>,
    /// When the coordinator told of single topics after the base, as long as reading has not passed these times.
    told: BTreeMap<Arc<str>, Moment>,
}

impl GroupStream {
    /// When the coordinator last told of a topic, if there is a base.
    fn told_at(&self, topic: &str) -> Option<Moment> {
        Some(self.base?.answered).max(self.told.get(topic).copied())
    }

    /// Forgets the base: what the state holds of the group is not known to be all any more.
    fn forget_base(&mut self) {
        (self.base, self.base_wanted) = (None, None);
        self.told.clear();
    }
}

/// One partition of `__consumer_offsets`, on the poller's clock.
#[derive(Debug, Clone, Copy)]
struct Place {
    state: StreamState,
    /// Since when its reading is known to have begun.
    begun: Option<Moment>,
    complete: Option<Moment>,
}

/// What is to be asked for sooner than planned because of what came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The group's commits on a topic moved.
    Topic(Arc<str>, TopicIx),
    /// All commits of the group.
    Everything(Arc<str>),
}

/// An answer to a question, and when the newest commit on each of its topics was made, where that is known.
pub(super) struct StreamAnswer {
    pub(super) commits: CommittedOffsets,
    pub(super) times: Vec<(Arc<str>, WallTime)>,
    /// The topics for which what came in is in it.
    pub(super) taken: Vec<Arc<str>>,
}

/// The table.
#[derive(Debug)]
pub(super) struct StreamTable {
    feed: Arc<dyn CommitFeed>,
    health: FeedHealth,
    places: Vec<Place>,
    groups: HashMap<Arc<str>, GroupStream>,
    events: VecDeque<CommitEvent>,
}

impl StreamTable {
    /// An empty table.
    pub(super) fn new(feed: Arc<dyn CommitFeed>) -> Self {
        Self {
            feed,
            health: FeedHealth::default(),
            places: Vec::new(),
            groups: HashMap::new(),
            events: VecDeque::new(),
        }
    }

    /// How the stream fared when it was last looked at.
    pub(super) fn health(&self) -> &FeedHealth {
        &self.health
    }

    /// The commits that came in since the last time, those of a group in the order in which they were made.
    pub(super) fn take_events(&mut self) -> Vec<CommitEvent> {
        std::mem::take(&mut self.events).into()
    }

    /// Knows the groups that there are, and forgets the others.
    pub(super) fn follow(&mut self, world: &World) {
        self.groups.retain(|name, group| {
            let known = world.groups.get(name);
            // One that was gone meanwhile has no commits: what was known of them went with it.
            if group.base.is_some() && known.is_some_and(|known| known.commits.is_none()) {
                group.forget_base();
            }
            known.is_some()
        });
        for group in world.groups.iter() {
            if !self.groups.contains_key(&group.name) {
                let place = partition_for(&group.name, self.places.len());
                self.groups.insert(group.name.clone(), GroupStream { place, ..GroupStream::default() });
            }
        }
    }

    /// Takes in what has come.
    pub(super) fn drain(&mut self, shown: &NamePredicate, now: Moment) {
        // First how it fares: what is complete by that is in the records then.
        let health = self.feed.health();
        let records = self.feed.take();
        let is_anew = health.life != self.health.life || health.partitions.len() != self.places.len();
        if is_anew {
            self.begin_anew(health.partitions.len());
        }
        for (place, health) in self.places.iter_mut().zip(&health.partitions) {
            place.state = health.state;
            place.complete = health.complete_age.map(|age| before(now, age));
            place.begun = place.begun.or(health.complete_age.map(|_| now));
        }
        self.health = health;
        records.into_iter().for_each(|record| self.take_in(record, shown));
    }

    fn begin_anew(&mut self, places: usize) {
        self.places = vec![Place { state: StreamState::CatchingUp, begun: None, complete: None }; places];
        for (name, group) in &mut self.groups {
            let place = partition_for(name, places);
            *group = GroupStream { place, commits: group.commits, ..GroupStream::default() };
        }
    }

    fn take_in(&mut self, record: OffsetsRecord, shown: &NamePredicate) {
        let Some(group) = self.groups.get_mut(&record.key().group) else { return };
        if !shown.matches(&record.key().topic) {
            return;
        }
        match record {
            OffsetsRecord::Tombstone { key } => {
                group.pending.entry(key.topic).or_default().rows.insert(key.partition, None);
            }
            OffsetsRecord::Commit { key, offset, at } => {
                group.commits += 1;
                let pending = group.pending.entry(key.topic.clone()).or_default();
                pending.rows.insert(key.partition, Some(offset));
                pending.at = pending.at.max(Some(at));
                if self.events.len() == MAX_EVENTS {
                    self.events.pop_front();
                }
                let (group, topic, partition) = (key.group, key.topic, key.partition);
                self.events.push_back(CommitEvent { group, topic, partition, offset, at });
            }
        }
    }

    fn place(&self, group: &GroupStream) -> Option<&Place> {
        self.places.get(group.place?)
    }

    /// Up to when reading is complete, of a group whose commits can be answered for.
    fn complete(&self, group: &GroupStream) -> Option<Moment> {
        let (place, base) = self.place(group).zip(group.base)?;
        let is_base = place.begun.is_some_and(|begun| begun <= base.asked);
        place.complete.filter(|_| is_base && place.state == StreamState::Streaming)
    }

    /// What is to be asked for at the next tick.
    pub(super) fn wanted(&mut self, world: &World, now: Moment) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for (name, group) in &self.groups {
            let Some(complete) = self.complete(group) else { continue };
            for topic in group.pending.keys().filter(|topic| group.told_at(topic) <= Some(complete)) {
                // On topics that do not exist nothing is due.
                let ix = world.names.get(topic).filter(|ix| world.topic(*ix).is_some());
                let known = |ix| super::plan::has_topic(world.groups.get(name), ix);
                wanted.extend(ix.map(|ix| match known(ix) {
                    true => Wanted::Topic(name.clone(), ix),
                    false => Wanted::Everything(name.clone()),
                }));
            }
        }
        let places = &self.places;
        for (name, group) in &mut self.groups {
            let Some(place) = group.place.and_then(|place| places.get(place)) else { continue };
            group.told.retain(|_, at| place.complete < Some(*at));
            // A base from before reading began says nothing of the time in between.
            let is_early = place.begun.is_some_and(|begun| group.base.is_none_or(|base| base.asked < begun));
            if is_early && group.base_wanted.is_none_or(|at| now.since(at) >= BASE_AGAIN) {
                group.base_wanted = Some(now);
                wanted.push(Wanted::Everything(name.clone()));
            }
        }
        wanted
    }

    /// The answer to a question, when the table has one.
    pub(super) fn answer(
        &self,
        world: &World,
        question: &CommitQuestion,
        named: Option<&[(TopicIx, Vec<PartitionId>)]>,
        now: Moment,
    ) -> Option<StreamAnswer> {
        let stream = self.groups.get(&question.group)?;
        let complete = self.complete(stream)?;
        let group = world.groups.get(&question.group)?;
        let topics: Vec<(Arc<str>, &[PartitionId])> = match (&question.topics, named) {
            (CommitScope::Topics(_), Some(named)) => named
                .iter()
                .filter_map(|(ix, partitions)| Some((world.names.name(*ix)?.clone(), &partitions[..])))
                .collect(),
            _ => everything(world, group, stream)?.into_iter().map(|name| (name, &[][..])).collect(),
        };
        let mut answer = StreamAnswer { commits: CommittedOffsets::default(), times: Vec::new(), taken: Vec::new() };
        for (topic, partitions) in topics {
            let told = stream.told_at(&topic)?;
            if complete < told && now.since(told) > TOLD_STANDS {
                return None;
            }
            let pending = stream.pending.get(&topic).filter(|_| complete >= told);
            let rows = rows(world, group, &topic, partitions, pending)?;
            if rows.is_empty() {
                continue;
            }
            answer.times.extend(pending.and_then(|pending| pending.at).map(|at| (topic.clone(), at)));
            answer.taken.extend(pending.map(|_| topic.clone()));
            let rows = rows.into_iter().map(|(partition, offset)| CommittedPartition { partition, offset: Ok(offset) });
            answer.commits.topics.push(TopicRows { topic, rows: rows.collect() });
        }
        Some(answer)
    }

    /// Takes note that what had come in for some topics of a group is in the state by now.
    pub(super) fn taken_over(&mut self, group: &str, topics: &[Arc<str>]) {
        if let Some(group) = self.groups.get_mut(group) {
            group.pending.retain(|topic, _| !topics.contains(topic));
            if group.pending.is_empty() {
                // An empty tree would keep its root.
                group.pending = BTreeMap::new();
            }
        }
    }

    /// Takes note of an answer of the coordinator about some topics of a group: what had come in for them is part of it.
    pub(super) fn topics_answered(&mut self, group: &str, topics: Vec<Arc<str>>, answered: Moment) {
        self.taken_over(group, &topics);
        // A base that is still to come is newer than this.
        if let Some(group) = self.groups.get_mut(group).filter(|group| group.base.is_some()) {
            group.told.extend(topics.into_iter().map(|topic| (topic, answered)));
        }
    }

    /// Takes note of an answer of the coordinator about all that a group has committed: what had come in is part of it.
    pub(super) fn full_answered(&mut self, group: &str, asked: Moment, answered: Moment) {
        if let Some(group) = self.groups.get_mut(group) {
            group.pending.clear();
            group.told.clear();
            group.base = Some(Base { asked, answered });
        }
    }

    /// Whether all that a group has committed is to be asked for although the table knows it.
    pub(super) fn is_full_due(&self, group: &str, now: Moment) -> bool {
        let base = self.groups.get(group).and_then(|group| group.base);
        base.is_none_or(|base| now.since(base.answered) >= FULL_EVERY)
    }

    /// What it takes on the heap, with the names of topics as they came in; those of groups are known already.
    pub(super) fn heap_bytes(&self) -> usize {
        let of_topic = |(name, pending): (&Arc<str>, &PendingTopic)| {
            heap::text(name) + heap::tree::<PartitionId, Option<Offset>>(pending.rows.len())
        };
        let of_group = |group: &GroupStream| {
            let topics = heap::tree::<Arc<str>, PendingTopic>(group.pending.len());
            let told = heap::tree::<Arc<str>, Moment>(group.told.len());
            topics + told + group.pending.iter().map(of_topic).sum::<usize>()
        };
        let groups = heap::map(&self.groups) + self.groups.values().map(of_group).sum::<usize>();
        heap::vec(&self.places) + heap::vec(&self.health.partitions) + groups + heap::queue(&self.events)
    }

    /// What is shown of it.
    pub(super) fn facts(&self) -> StreamFacts {
        let count = |state| self.places.iter().filter(|place| place.state == state).count();
        let is_read = |group: &GroupStream| {
            self.place(group).is_some_and(|place| place.begun.is_some() && place.state != StreamState::Failed)
        };
        let read = self.groups.iter().filter(|(_, group)| is_read(group));
        StreamFacts {
            partitions: StreamState::ALL.map(count),
            groups: read
                .map(|(name, group)| {
                    let facts = StreamedGroup { commits: group.commits, is_current: self.complete(group).is_some() };
                    (name.clone(), facts)
                })
                .collect(),
        }
    }
}

fn before(now: Moment, age: Duration) -> Moment {
    Moment(now.0.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)))
}

/// The names of all topics that a group has committed on; `None` when the world does not hold all of its commits.
fn everything(world: &World, group: &GroupTable, stream: &GroupStream) -> Option<Vec<Arc<str>>> {
    let segments = || group.commits.iter().flat_map(|commits| &commits.segments);
    if segments().any(|segment| segment.sample.is_some()) {
        return None;
    }
    let mut names = segments().map(|segment| world.names.name(segment.topic).cloned()).collect::<Option<Vec<_>>>()?;
    names.extend(stream.pending.keys().cloned());
    names.sort_unstable();
    names.dedup();
    Some(names)
}

/// What a group has committed on a topic: on these partitions at least, what is known of others as well. `None` when a
/// part of it is not known.
fn rows(
    world: &World,
    group: &GroupTable,
    topic: &str,
    partitions: &[PartitionId],
    pending: Option<&PendingTopic>,
) -> Option<BTreeMap<PartitionId, Option<Offset>>> {
    let mut rows: BTreeMap<PartitionId, Option<Offset>> =
        partitions.iter().map(|partition| (*partition, None)).collect();
    let known = world.names.get(topic).and_then(|ix| {
        let commits = group.commits.as_deref()?;
        Some((commits, commits.segment(ix)?))
    });
    if let Some((commits, segment)) = known {
        if !commits.stale_in(segment).is_empty() {
            return None;
        }
        for row in segment.rows.clone() {
            rows.insert(commits.partitions[row], Some(commits.offsets[row].get()?));
        }
    }
    rows.extend(pending.iter().flat_map(|pending| &pending.rows).map(|(partition, offset)| (*partition, *offset)));
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lie_where_kafka_puts_them() {
        // Java: Math.abs("abc".hashCode()) is 96354; the second one's hash is the smallest number that there is.
        assert_eq!(partition_for("abc", 50), Some(96_354 % 50));
        assert_eq!(partition_for("polygenelubricants", 50), Some(0));
        assert_eq!(partition_for("", 50), Some(0));
        assert_eq!(partition_for("abc", 0), None);
    }
}
