//! What is remembered of a group on one partition, and what it says now.

use std::time::Duration;

use super::dating::{Dating, Want};
use super::judge::{Case, Holder, judge};
use super::ring::{Commit, Ring};
use super::settings::{StatusSettings, TimeLag};
use super::topic::PartitionTrack;
use crate::derive::{RowOutlook, Verdict};
use crate::model::{GroupStatus, MaybeOffset, Messages, Offset, WallTime};

/// What is known now of the row, from the facts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) offset: Offset,
    /// When it was read; `None`: not since the row was looked at last.
    pub(super) read_at: Option<WallTime>,
    /// Whether that reading counts towards a verdict, or comes too soon after another.
    pub(super) counts: bool,
    pub(super) lag: Option<Messages>,
    pub(super) start: Option<Offset>,
    pub(super) end: Option<Offset>,
    pub(super) partition: &'a PartitionTrack,
    pub(super) holder: Holder,
    /// Two readings of an end so close together leave nothing to ask for.
    pub(super) close_readings: Duration,
    pub(super) now: WallTime,
}

impl Facts<'_> {
    /// The oldest record that the group can still read and has not.
    pub(super) fn unread(&self) -> Offset {
        self.start.map_or(self.offset, |start| start.max(self.offset))
    }
}

/// What is remembered of one row.
#[derive(Debug, Clone)]
pub(super) struct RowTrack {
    /// `None` as long as the group has not been behind, when commits are polled.
    ring: Option<Box<Ring>>,
    /// Commits that a verdict is made of, those that are not kept included.
    stored: u8,
    offset: MaybeOffset,
    since: WallTime,
    /// `None` as long as the group has nothing unread.
    dating: Option<Box<Dating>>,
}

impl Default for RowTrack {
    fn default() -> Self {
        Self { ring: None, stored: 0, offset: MaybeOffset::UNKNOWN, since: WallTime(0), dating: None }
    }
}

impl RowTrack {
    /// The commit that was seen last.
    pub(super) fn offset(&self) -> Option<Offset> {
        self.offset.get()
    }

    /// What it owns on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let ring = self.ring.as_ref().map_or(0, |ring| size_of::<Ring>() + ring.heap_bytes());
        ring + self.dating.as_ref().map_or(0, |_| size_of::<Dating>())
    }

    /// Lets go of what is known about when records were appended.
    pub(super) fn forget_times(&mut self) {
        self.dating = None;
    }

    /// Takes in a commit with a time of its own. Its lag is told by the end that is known now, unless that is older.
    pub(super) fn committed(&mut self, (offset, at): (Offset, WallTime), facts: &Facts<'_>, settings: &StatusSettings) {
        let lag = if offset == facts.offset {
            facts.lag
        } else {
            let from = facts.start.map_or(offset, |start| start.max(offset));
            facts.end.filter(|end| *end >= offset).map(|end| end.distance_from(from))
        };
        self.moved_to(offset, at);
        if !self.ring.as_ref().is_some_and(|ring| ring.is_timed) {
            self.ring = Some(Box::new(Ring::of_timed()));
        }
        self.store_timed(Commit::new(offset, at, lag), settings);
    }

    /// Stores a commit among those with times of their own.
    fn store_timed(&mut self, commit: Commit, settings: &StatusSettings) {
        if let Some(ring) = &mut self.ring {
            ring.push(commit, usize::from(settings.intervals), settings.commit_distance);
            self.stored = u8::try_from(ring.len()).unwrap_or(u8::MAX);
        }
    }

    fn moved_to(&mut self, offset: Offset, at: WallTime) {
        if self.offset.get() != Some(offset) {
            (self.offset, self.since) = (offset.into(), at);
        }
    }

    /// Takes in a commit that was polled.
    pub(super) fn polled(&mut self, facts: &Facts<'_>, before: Option<WallTime>, settings: &StatusSettings) {
        let Some(at) = facts.read_at else {
            if self.offset.get().is_none() {
                // It was read before anything else was known of the partition: since when it stands is not known.
                self.moved_to(facts.offset, facts.now);
            }
            return;
        };
        let former = self.offset.get();
        self.moved_to(facts.offset, at);
        if let Some(ring) = self.ring.as_ref().filter(|ring| ring.is_timed) {
            // The commit itself, with its time, comes by another way; one that does not come that way is still one, as it
            // is while that way is blocked.
            if ring.last().is_some_and(|last| last.offset != facts.offset) {
                self.store_timed(Commit::new(facts.offset, at, facts.lag), settings);
            }
            return;
        }
        let capacity = usize::from(settings.intervals);
        let is_behind = facts.lag.is_some_and(|lag| lag.0 > settings.allowed_lag);
        if self.ring.is_none() {
            if is_behind {
                let mut ring = Ring::default();
                if let (Some(offset), Some(at)) = (former.filter(|_| self.stored > 0), before) {
                    ring.push(Commit::new(offset, at, Some(Messages(0))), capacity, Duration::ZERO);
                }
                self.ring = Some(Box::new(ring));
            } else if facts.lag.is_some() && (facts.counts || self.stored == 0) {
                self.count(settings);
            }
        }
        if let Some(ring) = &mut self.ring {
            let commit = Commit::new(facts.offset, at, facts.lag);
            let is_stored = ring.push(commit, capacity, settings.poll_distance);
            let is_caught_up = !is_behind && facts.lag.is_some() && ring.is_caught_up(settings.allowed_lag);
            if is_stored {
                self.count(settings);
            }
            if is_caught_up {
                self.ring = None;
            }
        }
    }

    /// Pairs the last commit with an end of the same time that came after it.
    pub(super) fn correct(&mut self, facts: &Facts<'_>) {
        if let Some(ring) = &mut self.ring {
            ring.correct_last(facts.offset, facts.partition.ends.last_at(), facts.lag);
        }
    }

    fn count(&mut self, settings: &StatusSettings) {
        self.stored = self.stored.saturating_add(1).min(settings.intervals);
    }

    /// What the row says now.
    pub(super) fn outlook(&self, facts: &Facts<'_>, settings: &StatusSettings) -> RowOutlook {
        let Some(lag) = facts.lag else { return self.unknown() };
        let ring = self.ring.as_deref();
        let timed = ring.filter(|ring| ring.is_timed).and_then(Ring::last).map(|last| last.at);
        let case = Case {
            ring,
            ends: &facts.partition.ends,
            offset: facts.offset,
            since: self.since,
            seen_at: timed.or(facts.read_at).unwrap_or(self.since),
            lag,
            holder: facts.holder,
        };
        let dated = self.dating.as_ref().filter(|_| lag.0 > 0 && !case.is_settled_residue(settings));
        RowOutlook::new(dated.and_then(|dating| dating.shown()), judge(&case, settings), self.stored)
    }

    /// Takes in what the broker told about when a record was appended.
    pub(super) fn told(&mut self, record: Offset, at: WallTime, facts: &Facts<'_>, method: TimeLag) {
        if let Some(dating) = &mut self.dating {
            dating.told(record, at, facts, method);
        }
    }

    /// Looks for the append time of the oldest unread record. Returns what to ask the broker, if it is to be asked.
    pub(super) fn date(&mut self, facts: &Facts<'_>, method: TimeLag) -> Option<Want> {
        if method == TimeLag::Off || facts.lag == Some(Messages(0)) {
            self.dating = None;
            return None;
        }
        facts.lag?;
        self.dating.get_or_insert_default().date(facts, method)
    }

    /// What is said of a row of which nothing is known.
    pub(super) fn unknown(&self) -> RowOutlook {
        RowOutlook::new(None, Verdict::of(GroupStatus::Ok), self.stored)
    }
}
