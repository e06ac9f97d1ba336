//! Which version of each topic and group a snapshot shows: what bears the same stamp reads the same.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{GroupMeaning, GroupOutlook, Outlook, Snapshot};
use crate::model::{WallTime, heap};
use crate::state::{GroupTable, TopicIx};

/// A version of something that is shown. In the life of the process no two versions share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp(NonZeroU64);

static LAST: AtomicU64 = AtomicU64::new(0);

impl Stamp {
    /// One that was not given before.
    pub(crate) fn fresh() -> Self {
        // Counting to the end would take centuries.
        Self(NonZeroU64::MIN.saturating_add(LAST.fetch_add(1, Ordering::Relaxed)))
    }
}

/// What of a group's standing the clock moves by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Clockwork {
    /// Something grows or shrinks with every second.
    ticks: bool,
    /// The first moment from which a verdict may be another.
    turns_at: Option<WallTime>,
}

impl Clockwork {
    fn of(outlook: &GroupOutlook, since: WallTime) -> Self {
        let ticks = outlook.rows.telling().any(|(_, row)| row.oldest_unread().is_some())
            || outlook.topics.iter().any(|topic| topic.deleted_from.is_some());
        let turns = outlook.rows.telling().flat_map(|(_, row)| {
            let verdict = row.verdict();
            verdict.turns_after.into_iter().chain(verdict.abandoned_from)
        });
        Self { ticks, turns_at: turns.filter(|turn| *turn >= since).min() }
    }
}

/// The versions that a snapshot shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Stamps {
    /// By topic place.
    topics: Vec<Stamp>,
    /// One for each group.
    groups: Vec<Stamp>,
    /// One for each group.
    standings: Vec<Stamp>,
    /// One for each group.
    clockworks: Vec<Clockwork>,
}

impl Stamps {
    /// What they take on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let stamps = [&self.topics, &self.groups, &self.standings].map(heap::vec);
        stamps.iter().sum::<usize>() + heap::vec(&self.clockworks)
    }

    /// The stamps of a snapshot that has been derived, with the outlook that it took over from `former`. `same_topic` says
    /// of a topic place whether it is the very same table as in the snapshot before, with nothing become too old.
    pub(super) fn of(snapshot: &Snapshot, former: Option<&Snapshot>, same_topic: impl Fn(usize) -> bool) -> Self {
        // Which part of a topic is shown goes by the scope, and by its own leaders.
        let same_scope = former.is_none_or(|former| former.world.scope == snapshot.world.scope);
        let same_topic = |place: usize| same_scope && same_topic(place);
        let kept = |stamp: Option<&Stamp>| stamp.copied().unwrap_or_else(Stamp::fresh);
        let topics = 0..snapshot.world.topics.len();
        let topics = topics
            .map(|place| kept(former.filter(|_| same_topic(place)).and_then(|former| former.stamps.topics.get(place))));
        let mut stamps = Self { topics: topics.collect(), ..Self::default() };
        for (place, meaning) in snapshot.groups.iter().enumerate() {
            let before = former.and_then(|former| Some((former, same_place(former, meaning, place)?)));
            let same_membership = |former: &Snapshot| {
                let mut assigned = meaning.table.membership.iter().flat_map(|membership| &membership.assignment);
                assigned.all(|assigned| same_topic(assigned.topic.index()))
                    && commits_read(snapshot, &meaning.table) == commits_read(former, &meaning.table)
            };
            let same_group = before.filter(|(former, _)| same_membership(former));
            stamps.groups.push(kept(same_group.and_then(|(former, at)| former.stamps.groups.get(at))));
            // What the past says is told by place.
            let same_standing = before.filter(|(_, at)| *at == place);
            stamps.standings.push(kept(same_standing.and_then(|(former, at)| former.stamps.standings.get(at))));
            // Where the wall clock was set back, what had turned may turn again.
            let same_clock = same_standing.filter(|(former, _)| former.derived_at.wall <= snapshot.derived_at.wall);
            let clockwork = same_clock.and_then(|(former, at)| former.stamps.clockworks.get(at).copied());
            stamps.clockworks.push(clockwork.unwrap_or_else(|| snapshot.clockwork(place)));
        }
        stamps
    }

    /// Takes note of another outlook than before.
    pub(super) fn follow(&mut self, snapshot: &Snapshot, before: &Outlook) {
        for (place, stamp) in self.topics.iter_mut().enumerate() {
            let rate = |outlook: &Outlook| outlook.produce_rates.get(place).copied().flatten().map(f64::to_bits);
            if rate(&snapshot.outlook) != rate(before) {
                *stamp = Stamp::fresh();
            }
        }
        for (place, meaning) in snapshot.groups.iter().enumerate() {
            let is_same = match (said_of(before, meaning, place), said_of(&snapshot.outlook, meaning, place)) {
                (Some(before), Some(now)) => Arc::ptr_eq(before, now),
                (before, now) => before.is_none() && now.is_none(),
            };
            if !is_same && let Some(stamp) = self.standings.get_mut(place) {
                *stamp = Stamp::fresh();
                if let Some(clockwork) = self.clockworks.get_mut(place) {
                    *clockwork = snapshot.clockwork(place);
                }
            }
        }
    }
}

/// Where the very same meaning stood in another snapshot.
fn same_place(former: &Snapshot, meaning: &Arc<GroupMeaning>, place: usize) -> Option<usize> {
    let is_at = |place: &usize| former.groups.get(*place).is_some_and(|before| Arc::ptr_eq(before, meaning));
    Some(place).filter(is_at).or_else(|| former.place(&meaning.table.name).filter(is_at))
}

/// How many of a group's commits were read as they were made, where they are read.
fn commits_read(snapshot: &Snapshot, group: &GroupTable) -> Option<u64> {
    Some(snapshot.world.stream.as_ref()?.groups.get(&group.name)?.commits)
}

/// What an outlook says of the group at a place: nothing if it is about other facts.
pub(super) fn said_of<'a>(outlook: &'a Outlook, meaning: &GroupMeaning, place: usize) -> Option<&'a Arc<GroupOutlook>> {
    outlook.groups.get(place).filter(|outlook| Arc::ptr_eq(&outlook.table, &meaning.table))
}

impl Snapshot {
    fn clockwork(&self, place: usize) -> Clockwork {
        let said = self.groups.get(place).and_then(|meaning| said_of(&self.outlook, meaning, place));
        said.map(|outlook| Clockwork::of(outlook, self.derived_at.wall)).unwrap_or_default()
    }

    /// The version of a topic: of all that families of topics show of it.
    #[must_use]
    pub fn topic_stamp(&self, topic: TopicIx) -> Option<Stamp> {
        self.stamps.topics.get(topic.index()).copied()
    }

    /// The version of the group at a place: of its facts and what is derived from them alone.
    #[must_use]
    pub fn group_stamp(&self, place: usize) -> Option<Stamp> {
        self.stamps.groups.get(place).copied()
    }

    /// The version of how the group at a place stands, apart from what the clock moves.
    #[must_use]
    pub fn standing_stamp(&self, place: usize) -> Option<Stamp> {
        self.stamps.standings.get(place).copied()
    }

    /// Whether the group at a place may stand differently at another time, by the passage of time alone.
    #[must_use]
    pub fn standing_moves(&self, place: usize, from: WallTime, to: WallTime) -> bool {
        let Some(clockwork) = self.stamps.clockworks.get(place).filter(|_| from != to) else { return false };
        // What would have turned between the two when the clock is set back is not known any more.
        clockwork.ticks || to < from || clockwork.turns_at.is_some_and(|turn| to >= turn)
    }
}
