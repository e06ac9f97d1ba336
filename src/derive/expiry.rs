//! When a snapshot stops being true: the moment at which the oldest value that it shows becomes too old.

use super::{Freshness, GroupMeaning};
use crate::model::Moment;
use crate::state::{TopicTable, World};

/// The last moment at which everything that is shown may still be shown; `None`: nothing that is shown ages.
pub(super) fn valid_until(world: &World, groups: &[impl AsRef<GroupMeaning>], freshness: &Freshness) -> Option<Moment> {
    let topics = world.topics.iter().flatten().flat_map(|table| topic(table, freshness));
    let groups = groups.iter().filter_map(|meaning| meaning.as_ref().valid_until);
    let metadata = world.metadata_at.map(|at| at.plus(freshness.metadata_max_age.get()));
    let all = metadata.into_iter().chain(topics).chain(groups);
    // What is too old already is not shown, and ages no further.
    all.filter(|until| *until >= freshness.now).min()
}

fn topic<'a>(table: &'a TopicTable, freshness: &'a Freshness) -> impl Iterator<Item = Moment> + 'a {
    let offsets = (0..table.partitions())
        .filter(|place| !freshness.stands_still(table, *place))
        .flat_map(|place| [table.starts[place], table.ends[place]])
        .filter(|reading| reading.known().is_some())
        .map(|reading| reading.at.plus(reading.max_age.get()));
    let placed = freshness.placed_at(table).map(|at| at.plus(freshness.metadata_max_age.get()));
    placed.into_iter().chain(offsets)
}

/// The same for one group.
pub(super) fn group_valid_until(meaning: &GroupMeaning, freshness: &Freshness) -> Option<Moment> {
    group(meaning).filter(|until| *until >= freshness.now).min()
}

fn group(meaning: &GroupMeaning) -> impl Iterator<Item = Moment> + '_ {
    let commits = meaning.table.commits.iter().flat_map(|commits| {
        commits.segments.iter().flat_map(move |segment| {
            let stale = commits.stale_in(segment).iter().map(|(_, at)| *at);
            std::iter::once(segment.at).chain(stale).map(|at| at.plus(segment.max_age.get()))
        })
    });
    let membership = meaning.table.membership.iter().map(|membership| membership.at.plus(membership.max_age.get()));
    commits.chain(membership).chain(meaning.shown_until())
}
