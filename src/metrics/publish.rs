//! Publishes snapshots: decides on what terms each is shown, before anybody sees it.

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

use std::sync::Arc;

use super::catalogue::Family;
use super::exposition::{ClusterView, count};
use super::families::{SOURCES, Source};
use super::limit::{Census, REFUSAL_ORDER};
use super::view::{ByPartition, ClusterSource};
use crate::derive::{Detail, Extent, GROUP_PARTITION_FAMILIES, GroupSeries, Snapshot, Terms};

impl ByPartition {
    fn extent(&self) -> Extent {
        match self {
            Self::All => Extent::All,
            Self::Named(_) => Extent::Marked,
            Self::None => Extent::None,
        }
    }
}

impl ClusterSource {
    /// Publishes a snapshot, and returns what was published.
    pub fn publish(self: &Arc<Self>, snapshot: Snapshot) -> Arc<Snapshot> {
        let settled = self.settled(snapshot, self.snapshot.load().as_deref());
        self.snapshot.store(Some(settled.clone()));
        settled
    }

    /// Publishes a snapshot that is made of the `last` one, unless another has been published meanwhile.
    pub fn publish_after(self: &Arc<Self>, last: &Arc<Snapshot>, snapshot: Snapshot) {
        let settled = self.settled(snapshot, Some(last));
        self.snapshot.compare_and_swap(&Some(last.clone()), Some(settled));
    }

    /// Publishes what another source of the same cluster shows, on this one's terms.
    pub fn take_over(self: &Arc<Self>, former: &Self) {
        if let Some(snapshot) = former.snapshot.load_full() {
            self.snapshot.store(Some(self.settled(Snapshot::clone(&snapshot), None)));
        }
    }

    /// A snapshot with the terms on which it is shown. `previous` is the one that this source showed before.
    fn settled(self: &Arc<Self>, mut snapshot: Snapshot, previous: Option<&Snapshot>) -> Arc<Snapshot> {
        let terms = Terms {
            topics: self.shown.topics.extent(),
            groups: self.shown.groups.extent(),
            drops_zero_lag: self.shown.drops_zero_lag,
            withheld: 0,
        };
        let mut detail = Detail { terms, ..Detail::default() };
        if let ByPartition::Named(names) = &self.shown.topics {
            detail.topics = topics(&snapshot, previous, |name| names.matches(name));
        }
        if let ByPartition::Named(names) = &self.shown.groups {
            detail.groups = groups(&snapshot, previous, |name| names.matches(name));
        }
        snapshot.detail = Arc::new(detail);
        let mut snapshot = Arc::new(snapshot);
        if let Some(max_series) = self.shown.max_series {
            let (census, group_series) = census(ClusterView::with(self, Some(snapshot.clone())), previous);
            let before = previous.map_or(0, |previous| previous.detail.terms.withheld);
            let withheld = census.withheld(before, max_series.get());
            // Nobody else has it yet, so nothing is copied.
            let detail = Arc::make_mut(&mut Arc::make_mut(&mut snapshot).detail);
            detail.terms.withheld = withheld;
            detail.withheld_series = census.refusable[..usize::from(withheld)].to_vec();
            detail.group_series = group_series;
        }
        snapshot
    }
}

/// The topics that match, by place. A name is looked at when it is new.
fn topics(snapshot: &Snapshot, previous: Option<&Snapshot>, matches: impl Fn(&str) -> bool) -> Vec<bool> {
    let mut marks = vec![false; snapshot.world.topics.len()];
    for (ix, table) in snapshot.world.topics_by_name() {
        let known = previous.and_then(|previous| {
            // A place is used again when its topic is gone.
            let is_same = previous.world.topic(ix).is_some_and(|before| before.name == table.name);
            is_same.then(|| previous.detail.topics.get(ix.index()).copied()).flatten()
        });
        marks[ix.index()] = known.unwrap_or_else(|| matches(&table.name));
    }
    marks
}

/// The groups that match, by place. A name is looked at when it is new.
fn groups(snapshot: &Snapshot, previous: Option<&Snapshot>, matches: impl Fn(&str) -> bool) -> Vec<bool> {
    let marks = snapshot.groups.iter().zip(former_places(snapshot, previous)).map(|(group, former)| {
        let known = former.and_then(|place| previous?.detail.groups.get(place).copied());
        known.unwrap_or_else(|| matches(&group.table.name))
    });
    marks.collect()
}

/// For each group the place that it had in the previous snapshot, if it was there. Both are ordered by name.
fn former_places(snapshot: &Snapshot, previous: Option<&Snapshot>) -> impl Iterator<Item = Option<usize>> {
    let former = previous.map_or(&[][..], |previous| &previous.groups);
    let mut at = 0;
    snapshot.groups.iter().map(move |group| {
        let name = &group.table.name;
        while former.get(at).is_some_and(|former| former.table.name < *name) {
            at += 1;
        }
        former.get(at).filter(|former| former.table.name == *name).map(|_| at)
    })
}

/// How many series a view has when nothing is withheld, and those of each group by partition. What is counted is what is
/// written; for groups of which nothing has changed it is not counted again.
pub(super) fn census(mut view: ClusterView, previous: Option<&Snapshot>) -> (Census, Vec<GroupSeries>) {
    view.terms.withheld = 0;
    let view = &view;
    let (mut census, mut group_series) = (Census::default(), Vec::new());
    if let Some(snapshot) = view.snapshot.as_deref() {
        group_series = count_groups(view, snapshot, previous);
    }
    for (family, source) in SOURCES.iter().filter(|(family, _)| family.origin.collector.is_some()) {
        match REFUSAL_ORDER.iter().position(|refusable| std::ptr::eq(*refusable, *family)) {
            Some(place) if place < GROUP_PARTITION_FAMILIES => {
                census.refusable[place] = group_series.iter().map(|of_group| u64::from(of_group[place])).sum();
            }
            Some(place) => census.refusable[place] = count(view, family, source, None),
            None => census.kept += count(view, family, source, None),
        }
    }
    (census, group_series)
}

fn count_groups(view: &ClusterView, snapshot: &Snapshot, previous: Option<&Snapshot>) -> Vec<GroupSeries> {
    let is_of_rows = |(family, _): &&(&'static Family, Source)| family.is_of_groups() && family.is_per_partition();
    let mut sources: Vec<&(&'static Family, Source)> = SOURCES.iter().filter(is_of_rows).collect();
    sources.sort_by_key(|(family, _)| REFUSAL_ORDER.iter().position(|refusable| std::ptr::eq(*refusable, *family)));
    let mut counted = Vec::with_capacity(snapshot.groups.len());
    for (place, former) in former_places(snapshot, previous).enumerate() {
        let known = former.and_then(|former| known_series(snapshot, place, previous?, former));
        counted.push(known.unwrap_or_else(|| {
            let mut series = GroupSeries::default();
            for (into, (family, source)) in series.iter_mut().zip(&sources) {
                *into = count(view, family, source, Some(place..place + 1)).try_into().unwrap_or(u32::MAX);
            }
            series
        }));
    }
    counted
}

/// The series of a group that is derived, judged and shown as it was in the previous snapshot.
fn known_series(snapshot: &Snapshot, place: usize, previous: &Snapshot, former: usize) -> Option<GroupSeries> {
    let is_same = snapshot.group_stamp(place)? == previous.group_stamp(former)?
        && snapshot.standing_stamp(place)? == previous.standing_stamp(former)?;
    is_same.then(|| previous.detail.group_series.get(former).copied()).flatten()
}
