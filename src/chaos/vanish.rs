//! Whether something went that was there a moment ago: one short answer takes nothing away.

use std::collections::BTreeSet;

use super::check::{Check, Verdict};
use super::cluster::Condition;

/// What the last check saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    topics: BTreeSet<String>,
    groups: BTreeSet<String>,
}

impl Check<'_> {
    fn names(&self, family: &str) -> BTreeSet<String> {
        self.shown.all(family).keys().map(|key| key[0].to_owned()).collect()
    }

    /// A topic stays that one of the last two metadata answers showed, a group that one of its
    /// coordinator's last two lists had.
    pub(super) fn nothing_vanished(&self, seen: &mut Seen) -> Verdict {
        let topics = self.names("kafka_topic_unknown_partitions");
        // Groups with commits: others show nothing while they cannot be described.
        let groups = self.names("kafka_consumergroup_unknown_partitions");
        let settled = |since: u64| since < self.now - self.promised.fresh_within;
        for gone in seen.topics.difference(&topics) {
            let is_named = self.received.topics.iter().any(|named| named.contains(gone.as_str()));
            if is_named && self.cluster.life(gone).is_some_and(|life| settled(life.born)) {
                return Err(format!("{gone} is not shown any more, although one of the last metadata answers had it"));
            }
        }
        for gone in seen.groups.difference(&groups) {
            let Some(group) = self.cluster.group(gone).filter(|group| settled(group.born)) else { continue };
            let coordinator = group.coordinator.now();
            let lists = self.received.listed.get(&coordinator).into_iter().flatten();
            let was_listed = lists.into_iter().any(|list| list.contains(gone.as_str()));
            // The list that a silent broker gives as a sign of life is no list of groups.
            let condition = self.cluster.brokers.get(&coordinator).map(|broker| &broker.condition);
            let is_steady = settled(group.coordinator.since())
                && condition.is_some_and(|is| is.now() == Condition::Well && settled(is.since()));
            let has_commits = group.commits.values().any(|commit| {
                commit.during(self.now - self.promised.fresh_within, self.now).all(|value| value.is_some())
            });
            if was_listed && is_steady && has_commits {
                return Err(format!(
                    "{gone} is not shown any more, although one of its coordinator's last lists had it"
                ));
            }
        }
        *seen = Seen { topics, groups };
        Ok(())
    }
}
