//! When a snapshot stops being true: the moment at which the oldest value that it shows becomes too old.

use super::{Freshness, GroupMeaning};
use crate::model::Moment;
use crate::state::{TopicTable, World};

/// The last moment at which everything that is shown may still be shown; `None`: nothing that is shown ages.
pub(super) fn valid_until(world: &World, groups: &[impl AsRef<GroupMeaning>], freshness: &Freshness) -> Option<Moment> {
    let topics = world.topics.iter().flatten().flat_map(|table| topic(table, freshness));
    let groups = groups.iter().flat_map(|meaning| group(meaning.as_ref()));
    let all = world.metadata_at.into_iter().chain(topics).chain(groups);
    // What is too old already is not shown, and ages no further.
    all.filter(|at| freshness.is_fresh(*at)).min().map(|oldest| oldest.plus(freshness.max_age))
}

fn topic<'a>(table: &'a TopicTable, freshness: &'a Freshness) -> impl Iterator<Item = Moment> + 'a {
    let offsets = (0..table.partitions())
        .filter(|place| !freshness.stands_still(table, *place))
        .flat_map(|place| [table.starts[place], table.ends[place]])
        .filter(|reading| reading.known().is_some())
        .map(|reading| reading.at);
    std::iter::once(table.metadata_at).chain(offsets)
}

fn group(meaning: &GroupMeaning) -> impl Iterator<Item = Moment> + '_ {
    let commits = meaning.table.commits.iter();
    let commits =
        commits.flat_map(|commits| std::iter::once(commits.at).chain(commits.stale.iter().map(|(_, at)| *at)));
    let membership = meaning.table.membership.iter().map(|membership| membership.at);
    commits.chain(membership).chain(meaning.derived_at())
}
