//! Whether something went that was there a moment ago: one short answer takes nothing away.

use std::collections::BTreeSet;

use super::check::{Check, Verdict};

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

    /// A topic stays that one of the last two metadata answers showed, a group that was listed in this pass or the last.
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
            let was_listed = self.received.listed.get(gone.as_str()).is_some_and(|pass| pass + 1 >= self.pass);
            let has_commits = group.commits.values().any(|commit| {
                commit.during(self.now - self.promised.fresh_within, self.now).all(|value| value.is_some())
            });
            if was_listed && has_commits {
                return Err(format!("{gone} is not shown any more, although it was listed in one of the last passes"));
            }
        }
        *seen = Seen { topics, groups };
        Ok(())
    }
}
