//! All groups of a cluster, ordered by name: who appears, who is gone, and when that is certain.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{CommitTable, GroupTable, Membership, Sample, TopicIx};
use crate::model::heap;
use crate::model::{BrokerId, GroupListing, Moment, WallTime};

/// How many complete rounds of lists must come without a group before it counts as gone:
/// lists are short while a coordinator loads.
const MISSED_LISTS_UNTIL_GONE: u8 = 2;

/// What the brokers listed in one pass.
#[derive(Debug, Clone, Default)]
pub struct GroupLists {
    /// Each broker that answered, with the groups that it coordinates.
    pub lists: Vec<(BrokerId, Vec<GroupListing>)>,
    /// Whether every broker of the cluster answered.
    pub complete: bool,
}

impl GroupLists {
    /// What they take on the heap, with the names as they were listed.
    pub(crate) fn heap_bytes(&self) -> usize {
        let of_broker = |(_, groups): &(BrokerId, Vec<GroupListing>)| {
            heap::vec(groups) + groups.iter().map(|listing| heap::text(&listing.group)).sum::<usize>()
        };
        heap::vec(&self.lists) + self.lists.iter().map(of_broker).sum::<usize>()
    }
}

/// How long a group whose coordinator loads, moves or is away may be missing from complete lists all the same.
/// Bounded, for a group may be deleted meanwhile, and then nobody says so.
const EXCUSED_FOR: Duration = Duration::from_secs(600);

#[derive(Debug, Clone)]
struct Entry {
    table: Arc<GroupTable>,
    missed_lists: u8,
    excused_since: Option<Moment>,
}

/// The groups of one cluster.
#[derive(Debug, Clone, Default)]
pub struct Groups {
    /// Ordered by name.
    entries: Vec<Entry>,
}

impl Groups {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What the list takes on the heap, without the groups' tables.
    pub(crate) fn list_bytes(&self) -> usize {
        heap::vec(&self.entries)
    }

    /// The groups, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<GroupTable>> {
        self.entries.iter().map(|entry| &entry.table)
    }

    /// One group.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<GroupTable>> {
        self.place(name).map(|place| &self.entries[place].table)
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.table.name.as_ref().cmp(name)).ok()
    }

    /// Takes in one pass's lists. `shown` says which listed groups are exported; one that no longer is leaves at once.
    ///
    /// A group that two brokers list (its coordinator moves) appears once, at the coordinator that it had before
    /// where that is one of them.
    pub fn apply_lists(&mut self, lists: &GroupLists, shown: impl Fn(&GroupListing) -> bool) {
        let mut listed: HashMap<&Arc<str>, (BrokerId, bool)> = HashMap::new();
        for (broker, groups) in &lists.lists {
            for listing in groups {
                let seen = (*broker, shown(listing));
                let known = self.get(&listing.group).map(|table| table.coordinator);
                let held = listed.entry(&listing.group).or_insert(seen);
                if known == Some(*broker) {
                    *held = seen;
                }
            }
        }
        self.entries.retain_mut(|entry| match listed.remove(&entry.table.name) {
            Some((coordinator, shown)) => {
                (entry.missed_lists, entry.excused_since) = (0, None);
                if entry.table.coordinator != coordinator {
                    Arc::make_mut(&mut entry.table).coordinator = coordinator;
                }
                shown
            }
            None => {
                if lists.complete {
                    entry.missed_lists = entry.missed_lists.saturating_add(1);
                }
                entry.missed_lists < MISSED_LISTS_UNTIL_GONE
            }
        });
        for (name, (coordinator, shown)) in listed {
            if shown {
                let table = GroupTable {
                    name: name.clone(),
                    coordinator,
                    is_read_committed: false,
                    membership: None,
                    commits: None,
                };
                self.entries.push(Entry { table: Arc::new(table), missed_lists: 0, excused_since: None });
            }
        }
        self.entries.sort_by(|a, b| a.table.name.cmp(&b.table.name));
    }

    /// Says of every group whether it reads committed records only.
    pub fn set_read_committed(&mut self, is_read_committed: impl Fn(&str) -> bool) {
        for entry in &mut self.entries {
            let wanted = is_read_committed(&entry.table.name);
            if entry.table.is_read_committed != wanted {
                Arc::make_mut(&mut entry.table).is_read_committed = wanted;
            }
        }
    }

    /// Takes in a group's description, and tells whether it differs from the last one in more than its time.
    pub fn set_membership(&mut self, name: &str, mut membership: Membership) -> bool {
        let Some(place) = self.place(name) else { return false };
        let table = Arc::make_mut(&mut self.entries[place].table);
        membership.follow(table.membership.as_ref());
        let (at, max_age) = (membership.at, membership.max_age);
        let changed =
            table.membership.as_ref().is_none_or(|known| Membership { at, max_age, ..known.clone() } != membership);
        table.coordinator = membership.coordinator;
        table.membership = Some(membership);
        changed
    }

    /// Forgets a group's description: who is in the group is not known.
    pub fn forget_membership(&mut self, name: &str) {
        if let Some(place) = self.place(name)
            && self.entries[place].table.membership.is_some()
        {
            Arc::make_mut(&mut self.entries[place].table).membership = None;
        }
    }

    /// Takes in a group's commits.
    pub fn set_commits(&mut self, name: &str, commits: CommitTable) {
        if let Some(place) = self.place(name) {
            Arc::make_mut(&mut self.entries[place].table).commits = Some(Arc::new(commits));
        }
    }

    /// Takes note of when the newest commits of a group on some topics were made.
    pub(super) fn set_commit_times(&mut self, name: &str, times: &[(TopicIx, WallTime)]) {
        let Some(place) = self.place(name).filter(|_| !times.is_empty()) else { return };
        let Some(commits) = &mut Arc::make_mut(&mut self.entries[place].table).commits else { return };
        for segment in &mut Arc::make_mut(commits).segments {
            if let Some((_, at)) = times.iter().find(|(topic, _)| *topic == segment.topic) {
                segment.moved_at = Some(*at);
            }
        }
    }

    /// Lets go the commits on partitions that are not asked for any more: of these topics there is a sample from now on.
    pub(super) fn sample(&mut self, topics: &BTreeMap<TopicIx, Sample>) {
        if topics.is_empty() {
            return;
        }
        for entry in &mut self.entries {
            let Some(commits) = entry.table.commits.as_deref() else { continue };
            if let Some(sampled) = commits.sampled(topics) {
                Arc::make_mut(&mut entry.table).commits = Some(Arc::new(sampled));
            }
        }
    }

    /// Takes note that a group's coordinator loads, moves or is away: that lists come without the group says nothing, for a
    /// while.
    pub fn excuse(&mut self, name: &str, now: Moment) {
        if let Some(entry) = self.place(name).and_then(|place| self.entries.get_mut(place))
            && entry.missed_lists > 0
            && now.since(*entry.excused_since.get_or_insert(now)) < EXCUSED_FOR
        {
            entry.missed_lists = 0;
        }
    }

    /// Forgets the groups for which `keep` is false.
    pub(super) fn retain(&mut self, keep: impl Fn(&GroupTable) -> bool) {
        self.entries.retain(|entry| keep(&entry.table));
    }

    /// Forgets a group: its coordinator says that it is dead or not there.
    pub fn remove(&mut self, name: &str) {
        if let Some(place) = self.place(name) {
            self.entries.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GroupKind, GroupState, MaxAge};

    fn lists(complete: bool, brokers: &[(i32, &[&str])]) -> GroupLists {
        let lists = brokers
            .iter()
            .map(|(broker, names)| {
                let groups = names
                    .iter()
                    .map(|name| GroupListing {
                        group: Arc::from(*name),
                        state: GroupState::Stable,
                        kind: GroupKind::Classic,
                    })
                    .collect();
                (BrokerId(*broker), groups)
            })
            .collect();
        GroupLists { lists, complete }
    }

    fn names(groups: &Groups) -> Vec<&str> {
        groups.iter().map(|table| table.name.as_ref()).collect()
    }

    #[test]
    fn gone_only_after_two_complete_lists() {
        let mut groups = Groups::default();
        groups.apply_lists(&lists(true, &[(1, &["b", "a"])]), |_| true);
        assert_eq!(names(&groups), ["a", "b"]);
        groups.apply_lists(&lists(true, &[(1, &["a"])]), |_| true);
        assert_eq!(names(&groups), ["a", "b"], "one list may be short");
        for _ in 0..10 {
            groups.apply_lists(&lists(false, &[(1, &["a"])]), |_| true);
        }
        assert_eq!(names(&groups), ["a", "b"], "incomplete lists say nothing");
        groups.apply_lists(&lists(true, &[(1, &["a"])]), |_| true);
        assert_eq!(names(&groups), ["a"]);
    }

    #[test]
    fn a_group_seen_again_starts_counting_anew() {
        let mut groups = Groups::default();
        for seen in [true, false, true, false, true] {
            let present: &[&str] = if seen { &["a"] } else { &[] };
            groups.apply_lists(&lists(true, &[(1, present)]), |_| true);
            assert_eq!(names(&groups), ["a"]);
        }
    }

    #[test]
    fn a_group_whose_coordinator_loads_or_moves_stays_for_a_while() {
        let mut groups = Groups::default();
        groups.apply_lists(&lists(true, &[(1, &["a"])]), |_| true);
        for minute in 0..10 {
            groups.apply_lists(&lists(true, &[(1, &[])]), |_| true);
            groups.excuse("a", Moment(minute * 60_000));
        }
        assert_eq!(names(&groups), ["a"]);
        for _ in 0..2 {
            groups.apply_lists(&lists(true, &[(1, &[])]), |_| true);
            groups.excuse("a", Moment(600_000));
        }
        assert!(groups.is_empty());
    }

    #[test]
    fn listed_twice_appears_once_at_its_old_coordinator() {
        let mut groups = Groups::default();
        groups.apply_lists(&lists(true, &[(2, &["a"])]), |_| true);
        groups.apply_lists(&lists(true, &[(1, &["a"]), (2, &["a"]), (3, &["a"])]), |_| true);
        assert_eq!(names(&groups), ["a"]);
        assert_eq!(groups.get("a").map(|table| table.coordinator), Some(BrokerId(2)));
        groups.apply_lists(&lists(true, &[(3, &["a"])]), |_| true);
        assert_eq!(groups.get("a").map(|table| table.coordinator), Some(BrokerId(3)));
    }

    #[test]
    fn a_group_that_is_not_shown_any_more_leaves_at_once() {
        let mut groups = Groups::default();
        groups.apply_lists(&lists(true, &[(1, &["a"])]), |_| true);
        groups.apply_lists(&lists(true, &[(1, &["a"])]), |_| false);
        assert!(groups.is_empty());
    }

    fn described(members: u32, state: GroupState, at: u64) -> Membership {
        Membership {
            coordinator: BrokerId(1),
            kind: GroupKind::Classic,
            state,
            protocol: "range".into(),
            is_simple: false,
            members,
            assignment: Vec::new(),
            empty_since: None,
            rebalancing_since: None,
            at: Moment(at),
            max_age: MaxAge::from_secs(60),
        }
    }

    /// Since when the group is empty and rebalancing after each of these descriptions.
    fn since(told: &[(u32, GroupState)]) -> Vec<(Option<u64>, Option<u64>)> {
        let mut groups = Groups::default();
        groups.apply_lists(&lists(true, &[(1, &["a"])]), |_| true);
        let mut seen = Vec::new();
        for (at, (members, state)) in (1..).zip(told) {
            groups.set_membership("a", described(*members, *state, at));
            let known = groups.get("a").and_then(|table| table.membership.as_ref());
            let known = known.map(|known| (known.empty_since, known.rebalancing_since)).unwrap_or_default();
            seen.push((known.0.map(|at| at.0), known.1.map(|at| at.0)));
        }
        seen
    }

    #[test]
    fn it_is_remembered_since_when_a_group_is_empty_or_rebalancing() {
        use GroupState::{Assigning, CompletingRebalance, Empty, PreparingRebalance, Stable};
        let none = (None, None);
        assert_eq!(since(&[(0, Empty), (0, Empty)]), [none, none], "how long it was empty before is not known");
        let seen = since(&[(1, Stable), (0, Empty), (0, Empty), (2, Stable), (0, Empty)]);
        assert_eq!(seen, [none, (Some(2), None), (Some(2), None), none, (Some(5), None)]);
        let seen = since(&[(1, PreparingRebalance), (1, CompletingRebalance), (1, Stable), (1, Assigning)]);
        assert_eq!(seen, [(None, Some(1)), (None, Some(1)), none, (None, Some(4))]);
    }

    #[test]
    fn the_time_alone_makes_no_description_a_different_one() {
        let mut groups = Groups::default();
        groups.apply_lists(&lists(true, &[(1, &["a"])]), |_| true);
        let states = [(1, GroupState::Stable), (0, GroupState::Empty), (0, GroupState::Empty)];
        let changed: Vec<bool> = (1..)
            .zip(states)
            .map(|(at, (members, state))| groups.set_membership("a", described(members, state, at)))
            .collect();
        assert_eq!(changed, [true, true, false]);
    }
}
