//! How consumers move: the rule of each group, applied at each of its commits.

use std::time::Duration;

use super::flow::{Rate, millis};
use super::group::{Group, NO_COMMIT};
use super::topic::Topic;

/// How a group reads. Applied to partitions that have a commit; others stay without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// Commits nothing more.
    Stopped,
    /// Has read what was appended up to `behind` ago: healthy.
    Follows {
        /// The time from append to commit.
        behind: Duration,
    },
    /// Reads `per_mille` of every thousand records that come: falls behind when below 1000.
    Paced {
        /// Thousandths of the incoming rate.
        per_mille: u16,
    },
    /// Reads at one speed until it has caught up: bursts build lag that then drains.
    Speed(Rate),
    /// Wakes every so often and reads everything: lag is a sawtooth.
    Batches {
        /// From one run to the next.
        every: Duration,
    },
}

/// Where a commit stands and what it may become.
struct Step {
    old: i64,
    partition: usize,
    last_ms: i64,
    now_ms: i64,
}

impl Consumer {
    /// The offset committed next. Never beyond the end, and never back unless the log was truncated.
    fn next(self, topic: &Topic, step: &Step) -> i64 {
        let Step { old, partition, last_ms, now_ms } = *step;
        let end = topic.end_at(partition, now_ms);
        let reached = match self {
            Self::Stopped => return old,
            Self::Follows { behind } => topic.end_at(partition, now_ms - millis(behind)),
            Self::Paced { per_mille } => {
                // Products of the ends, not of the difference: no record is lost to rounding.
                let pace = i64::from(per_mille);
                let before = topic.end_at(partition, last_ms).saturating_mul(pace) / 1_000;
                old + (end.saturating_mul(pace) / 1_000 - before).max(0)
            }
            Self::Speed(rate) => old.saturating_add(
                rate.records_in(now_ms, super::flow::WHOLE_SHARE) - rate.records_in(last_ms, super::flow::WHOLE_SHARE),
            ),
            Self::Batches { every } => {
                let every_ms = millis(every).max(1);
                topic.end_at(partition, now_ms.div_euclid(every_ms) * every_ms)
            }
        };
        reached.max(old).min(end)
    }
}

impl Group {
    /// Whether a commit is due at `now_ms`.
    pub(super) fn commit_due(&self, now_ms: i64) -> bool {
        // Groups with an empty protocol type commit without ever having a member.
        let reads = self.protocol_type.is_empty() || (self.state.has_assignment() && !self.members.is_empty());
        reads && self.consumer != Consumer::Stopped && now_ms - self.last_commit_ms >= self.commit_every_ms
    }

    /// Moves every commit to where the consumer is at `now_ms`. `topics` finds a topic by name.
    pub(super) fn commit<'t>(&mut self, now_ms: i64, topics: impl Fn(&str) -> Option<&'t Topic>) {
        for commits in self.commits.iter_mut().filter(|commits| !commits.is_left) {
            let Some(topic) = topics(&commits.topic) else {
                continue;
            };
            let existing = commits.offsets.iter_mut().take(topic.partitions()).enumerate();
            for (partition, cell) in existing.filter(|(_, cell)| **cell != NO_COMMIT) {
                let step = Step { old: *cell, partition, last_ms: self.last_commit_ms, now_ms };
                *cell = self.consumer.next(topic, &step);
            }
        }
        self.last_commit_ms = now_ms;
    }
}
