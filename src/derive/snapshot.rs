//! A published snapshot: the world and its meaning at one point in time, immutable and whole.

use std::sync::Arc;

use super::expiry::valid_until;
use super::stamps::Stamps;
use super::{Detail, GroupMeaning, Outlook, Standing, TopicMeaning};
use crate::model::{Instants, MaxAge, Moment, Offset, StateBytes, StatePart, WallTime, heap};
use crate::state::{CommitTable, GroupTable, Membership, Reading, Segment, TopicIx, TopicTable, World};

/// Decides whether a value is young enough to be shown.
#[derive(Debug, Clone, Copy)]
pub struct Freshness {
    /// The time of the snapshot.
    pub now: Moment,
    /// When the metadata was last read, if ever.
    pub metadata_at: Option<Moment>,
    /// How old metadata may get.
    pub metadata_max_age: MaxAge,
}

impl Freshness {
    /// Whether a value that was read then may be shown now.
    #[must_use]
    pub fn is_fresh(&self, at: Moment, max_age: MaxAge) -> bool {
        self.now.since(at) <= max_age.get()
    }

    /// Whether what the metadata says of a topic may be shown.
    #[must_use]
    pub fn is_placed(&self, table: &TopicTable) -> bool {
        self.placed_at(table).is_some_and(|at| self.is_fresh(at, self.metadata_max_age))
    }

    /// When the metadata told of a topic last.
    pub(super) fn placed_at(&self, table: &TopicTable) -> Option<Moment> {
        table.last_told.or(self.metadata_at)
    }

    /// Whether a partition has no leader, as fresh metadata says: its log cannot move.
    #[must_use]
    pub fn stands_still(&self, table: &TopicTable, place: usize) -> bool {
        table.placements[place].leader.is_none() && self.is_placed(table)
    }

    fn offset(&self, table: &TopicTable, place: usize, reading: &Reading) -> Option<Offset> {
        let is_fresh = self.is_fresh(reading.at, reading.max_age);
        let stands = || self.stands_still(table, place) && was_fresh_when_it_stopped(table, place, reading);
        reading.known().filter(|_| is_fresh || stands())
    }

    /// A partition's high watermark, when it may be shown.
    #[must_use]
    pub fn end(&self, table: &TopicTable, place: usize) -> Option<Offset> {
        self.offset(table, place, &table.ends[place])
    }

    /// A partition's last stable offset, when it was asked for and may be shown.
    #[must_use]
    pub fn stable_end(&self, table: &TopicTable, place: usize) -> Option<Offset> {
        self.offset(table, place, table.stable_ends.get(place)?)
    }

    /// A partition's log start offset, when it may be shown.
    #[must_use]
    pub fn start(&self, table: &TopicTable, place: usize) -> Option<Offset> {
        self.offset(table, place, &table.starts[place])
    }

    /// A committed offset, when it may be shown.
    #[must_use]
    pub fn commit(&self, commits: &CommitTable, segment: &Segment, row: usize) -> Option<Offset> {
        commits.offsets[row].get().filter(|_| self.is_fresh(commits.read_at(segment, row), segment.max_age))
    }

    /// A group's description, when it may be shown.
    #[must_use]
    pub fn membership<'a>(&self, group: &'a GroupTable) -> Option<&'a Membership> {
        group.membership.as_ref().filter(|membership| self.is_fresh(membership.at, membership.max_age))
    }
}

/// A value that was too old when the partition lost its leader does not come back: the log moved after it was read.
fn was_fresh_when_it_stopped(table: &TopicTable, place: usize, reading: &Reading) -> bool {
    table.placements[place].leaderless_since.is_some_and(|since| since.since(reading.at) <= reading.max_age.get())
}

/// One cluster's facts and what they mean.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The facts.
    pub world: World,
    /// Sums by topic place.
    topics: Vec<TopicMeaning>,
    /// The groups, ordered by name.
    pub groups: Vec<Arc<GroupMeaning>>,
    /// When this was derived.
    pub derived_at: Instants,
    /// What may be shown.
    pub freshness: Freshness,
    /// What the past says about it.
    pub(super) outlook: Arc<Outlook>,
    /// Which version of everything this shows.
    pub(super) stamps: Stamps,
    /// What of it is shown by partition: everything, until whoever publishes it says otherwise.
    pub detail: Arc<Detail>,
    /// Until when all of this may be shown; `None`: for ever.
    valid_until: Option<Moment>,
}

impl Snapshot {
    /// Derives a snapshot of the world as it is; `previous` is the one before it.
    #[must_use]
    pub fn derive(world: &World, previous: Option<&Self>, now: Instants) -> Self {
        let freshness =
            Freshness { now: now.moment, metadata_at: world.metadata_at, metadata_max_age: world.metadata_max_age };
        let unchanged = Unchanged::new(world, previous, &freshness);
        let topics = world.topics.iter().enumerate().map(|(place, table)| {
            let derived = || table.as_ref().map(|table| TopicMeaning::of(table, &freshness)).unwrap_or_default();
            unchanged.topic(place).unwrap_or_else(derived)
        });
        let topics = topics.collect();
        let is_same = |place: usize| unchanged.topic(place).is_some();
        let groups = world.groups.iter().map(|table| {
            let before = previous.and_then(|previous| previous.group(&table.name));
            match before.filter(|before| unchanged.is_group(table, before)) {
                Some(before) => before.clone(),
                None => Arc::new(GroupMeaning::of(table, world, before.map(AsRef::as_ref), &freshness, &|topic| {
                    is_same(topic.index())
                })),
            }
        });
        let groups: Vec<Arc<GroupMeaning>> = groups.collect();
        let valid_until = valid_until(world, &groups, &freshness);
        let outlook = previous.map(|previous| previous.outlook.clone()).unwrap_or_default();
        let (world, stamps, detail) = (world.clone(), Stamps::default(), Arc::default());
        let mut snapshot =
            Self { world, topics, groups, derived_at: now, freshness, outlook, stamps, detail, valid_until };
        snapshot.stamps = Stamps::of(&snapshot, previous, is_same);
        snapshot
    }

    /// What it takes on the heap, but for the tables of topics and groups with what is derived from each: figures of these
    /// are kept where they are followed. `Tracker::state_bytes` has them, for the snapshot that it observed last.
    #[must_use]
    pub fn state_bytes(&self) -> StateBytes {
        let mut bytes = self.world.shared_bytes().plus(self.world.list_bytes());
        let lists = heap::vec(&self.topics) + heap::vec(&self.groups);
        let lags = lists + self.stamps.heap_bytes() + self.detail.heap_bytes();
        bytes.add(StatePart::Lags, heap::arc::<Self>() + lags);
        bytes.add(StatePart::Outlook, self.outlook.list_bytes());
        bytes
    }

    /// What the past says about it.
    #[must_use]
    pub fn outlook(&self) -> &Arc<Outlook> {
        &self.outlook
    }

    /// Puts what the past says beside the facts.
    pub fn set_outlook(&mut self, outlook: Arc<Outlook>) {
        let before = std::mem::replace(&mut self.outlook, outlook);
        let mut stamps = std::mem::take(&mut self.stamps);
        stamps.follow(self, &before);
        self.stamps = stamps;
    }

    /// How the groups stand at a time, ordered by name.
    pub fn standings(&self, now: WallTime) -> impl Iterator<Item = Standing<'_>> {
        (0..self.groups.len()).filter_map(move |place| Standing::of(self, place, now))
    }

    /// How one group stands at a time.
    #[must_use]
    pub fn standing(&self, name: &str, now: WallTime) -> Option<Standing<'_>> {
        Standing::of(self, self.place(name)?, now)
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.groups.binary_search_by(|group| group.table.name.as_ref().cmp(name)).ok()
    }

    /// Whether something that this shows has become too old: it is to be derived anew.
    #[must_use]
    pub fn is_outdated(&self, now: Moment) -> bool {
        self.valid_until.is_some_and(|until| now > until)
    }

    /// A group by name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Arc<GroupMeaning>> {
        self.groups.get(self.place(name)?)
    }

    /// The sums of an existing topic.
    #[must_use]
    pub fn topic(&self, ix: TopicIx) -> TopicMeaning {
        self.topics.get(ix.index()).copied().unwrap_or_default()
    }

    /// Whether the metadata is young enough to say who and what is in the cluster.
    #[must_use]
    pub fn has_metadata(&self) -> bool {
        self.world.metadata_at.is_some_and(|at| self.freshness.is_fresh(at, self.freshness.metadata_max_age))
    }
}

/// What of a former snapshot is still what would be derived now: facts that are the very same tables, while nothing that
/// the snapshot shows has become too old.
struct Unchanged<'a> {
    former: Option<&'a Snapshot>,
    /// By topic place, as [`is_same_topic`] says: found out once, for every group asks about its topics.
    topics: Vec<bool>,
}

impl<'a> Unchanged<'a> {
    fn new(world: &'a World, former: Option<&'a Snapshot>, freshness: &'a Freshness) -> Self {
        let is_valid = |former: &&Snapshot| {
            !former.is_outdated(freshness.now) && former.freshness.metadata_max_age == world.metadata_max_age
        };
        let former = former.filter(is_valid);
        let places = former.map_or(0, |former| world.topics.len().max(former.world.topics.len()));
        let topics = former
            .into_iter()
            .flat_map(|former| (0..places).map(move |place| is_same_topic(world, freshness, former, place)));
        Self { former, topics: topics.collect() }
    }

    /// Whether the topic at a place is unchanged. Neither snapshot has one at a place beyond all.
    fn is_topic(&self, place: usize) -> bool {
        self.topics.get(place).copied().unwrap_or(true)
    }

    /// The sums of the topic at a place.
    fn topic(&self, place: usize) -> Option<TopicMeaning> {
        let former = self.former.filter(|_| self.is_topic(place))?;
        former.topics.get(place).copied()
    }

    /// Whether a group and all topics that it has committed on are the same tables.
    fn is_group(&self, table: &Arc<GroupTable>, before: &GroupMeaning) -> bool {
        let mut segments = table.commits.iter().flat_map(|commits| &commits.segments);
        self.former.is_some()
            && Arc::ptr_eq(table, &before.table)
            && segments.all(|segment| self.is_topic(segment.topic.index()))
    }
}

/// Whether the topic at a place is the same table as before, or none as before. Metadata that was too old may be told again
/// without a change.
fn is_same_topic(world: &World, freshness: &Freshness, former: &Snapshot, place: usize) -> bool {
    match (world.topics.get(place).and_then(Option::as_ref), former.world.topics.get(place)) {
        (Some(table), Some(Some(before))) => {
            Arc::ptr_eq(table, before) && freshness.is_placed(table) == former.freshness.is_placed(table)
        }
        (None, None | Some(None)) => true,
        _ => false,
    }
}
