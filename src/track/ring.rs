//! The last commits on a partition, and the last ends that were seen of it: what a verdict looks at.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::{MaybeMessages, MaybeOffset, Messages, Offset, WallTime, heap};

/// A commit as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) offset: Offset,
    /// When it was made, or seen.
    pub(super) at: WallTime,
    lag: MaybeMessages,
}

impl Commit {
    pub(super) fn new(offset: Offset, at: WallTime, lag: Option<Messages>) -> Self {
        Self { offset, at, lag: lag.into() }
    }

    /// How far behind it was; `None`: not known.
    pub(super) fn lag(&self) -> Option<Messages> {
        self.lag.get()
    }

    fn set_lag(&mut self, lag: Option<Messages>) {
        self.lag = lag.into();
    }
}

/// The last commits on one partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ring {
    commits: VecDeque<Commit>,
    /// Whether they carry times of their own, rather than those at which they were polled.
    pub(super) is_timed: bool,
}

impl Ring {
    /// A ring of commits that carry times of their own.
    pub(super) fn of_timed() -> Self {
        Self { is_timed: true, ..Self::default() }
    }

    /// Takes in a commit. One that is hardly younger than the last does not count, unless it goes backwards. Tells
    /// whether it counts.
    pub(super) fn push(&mut self, commit: Commit, capacity: usize, distance: Duration) -> bool {
        if !self.is_timed {
            // The clock that polled commits are timed by was set back: what was before now was not after it.
            self.commits.iter_mut().for_each(|known| known.at = known.at.min(commit.at));
        }
        if let Some(last) = self.commits.back_mut() {
            if commit.at < last.at || (commit.at == last.at && commit.offset == last.offset) {
                return false;
            }
            if commit.at.since(last.at) < distance && commit.offset >= last.offset {
                if self.is_timed {
                    // The commit is there, at the time of the first of its kind.
                    *last = Commit { at: last.at, ..commit };
                } else if commit.lag() < last.lag() && commit.lag().is_some() {
                    // That it was closer to the end meanwhile counts.
                    last.lag = commit.lag;
                }
                return false;
            }
        }
        while self.commits.len() >= capacity.max(1) {
            self.commits.pop_front();
        }
        self.commits.reserve_exact(capacity.saturating_sub(self.commits.len()));
        self.commits.push_back(commit);
        true
    }

    /// What it owns on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        heap::queue(&self.commits)
    }

    /// Corrects how far behind the last commit was, when an end of its very time is told after it.
    pub(super) fn correct_last(&mut self, offset: Offset, at: Option<WallTime>, lag: Option<Messages>) {
        if let Some(last) = self.commits.back_mut().filter(|last| last.offset == offset && Some(last.at) == at) {
            last.set_lag(lag);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.commits.len()
    }

    pub(super) fn first(&self) -> Option<&Commit> {
        self.commits.front()
    }

    pub(super) fn last(&self) -> Option<&Commit> {
        self.commits.back()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Commit> {
        self.commits.iter()
    }

    /// Whether every commit was close to the end.
    pub(super) fn is_caught_up(&self, allowed: u64) -> bool {
        self.commits.iter().all(|commit| commit.lag().is_some_and(|lag| lag.0 <= allowed))
    }
}

/// The last ends that were seen of one partition, moved or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ends {
    seen: VecDeque<(MaybeOffset, WallTime)>,
}

impl Ends {
    pub(super) fn push(&mut self, end: Offset, at: WallTime, capacity: usize) {
        while self.seen.len() >= capacity.max(1) {
            self.seen.pop_front();
        }
        self.seen.reserve_exact(capacity.saturating_sub(self.seen.len()));
        self.seen.push_back((end.into(), at));
    }

    /// What they own on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        heap::queue(&self.seen)
    }

    /// When an end was seen last.
    pub(super) fn last_at(&self) -> Option<WallTime> {
        self.seen.back().map(|(_, at)| *at)
    }

    /// Whether all of them lie past an offset: the group has not been at the end lately.
    pub(super) fn all_past(&self, offset: Offset) -> bool {
        self.seen.iter().all(|(end, _)| end.get().is_some_and(|end| end > offset))
    }

    /// Until when the end was seen to stand still past an offset, but by no more than a few messages; `None`: it was not.
    pub(super) fn rested_until(&self, offset: Offset, slack: u64) -> Option<WallTime> {
        let is_close = |end: Offset| end > offset && end.distance_from(offset).0 <= slack;
        let pairs = self.seen.iter().zip(self.seen.range(1.min(self.seen.len())..));
        let rests = pairs.filter(|((before, _), (end, _))| before == end && end.get().is_some_and(is_close));
        rests.map(|(_, (_, at))| *at).next_back()
    }

    /// Since when the end has stood still, if it has for all that is remembered.
    pub(super) fn still_since(&self) -> Option<WallTime> {
        let (first, since) = self.seen.front()?;
        self.seen.iter().all(|(end, _)| end == first).then_some(*since)
    }

    /// Whether as many are remembered as may be.
    pub(super) fn is_full(&self, capacity: usize) -> bool {
        self.seen.len() >= capacity
    }
}
