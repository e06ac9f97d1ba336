//! Which last stable offsets a round needs: those of partitions that a group of committed records alone has not finished.
//!
//! A commit at the high watermark leaves nothing to read, wherever the last stable offset lies. So where such groups keep
//! up, and where there are none, nothing is asked for.

use std::collections::BTreeSet;

use super::commits::Outcome;
use crate::state::{Round, TopicIx, World};

/// The partitions, by topic and place, on which a group that reads committed records only has a commit below the end, both
/// read in this round.
pub(super) fn unfinished(world: &World, asked: &[Outcome], round: Round) -> BTreeSet<(TopicIx, usize)> {
    let mut unfinished = BTreeSet::new();
    for outcome in asked.iter().filter(|outcome| outcome.result.is_ok()) {
        let Some(group) = world.groups.get(&outcome.group).filter(|group| group.is_read_committed) else { continue };
        let Some(commits) = group.commits.as_deref() else { continue };
        for segment in commits.segments.iter().filter(|segment| segment.round == round) {
            let Some(table) = world.topic(segment.topic) else { continue };
            for row in segment.rows.clone().filter(|row| commits.is_current(*row)) {
                let Some(place) = table.place(commits.partitions[row]) else { continue };
                let end = table.ends[place].known().filter(|_| table.ends[place].round == round);
                if commits.offsets[row].get().zip(end).is_some_and(|(committed, end)| committed < end) {
                    unfinished.insert((segment.topic, place));
                }
            }
        }
    }
    unfinished
}
