//! How far one partition of `__consumer_offsets` is read, and up to when its records are complete. Pure: time is given.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::PartitionHealth;
use crate::model::{Offset, StreamState};

/// As long as the records are complete up to so long ago, they stand for the present: a transaction that is open for a
/// shorter time holds nothing up.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// A position that stands still before the end for so long is pinned: producers' transactions over commits last
/// milliseconds, and those that have lost their producer up to `transaction.timeout.ms`, a minute or more.
const PINNED_AFTER: Duration = Duration::from_secs(10);
/// A leader that answered no fetch for so long does not tell what is committed there.
const SILENT_AFTER: Duration = Duration::from_secs(10);
/// Ends that are remembered with their times, so that it can be told when the position passes them.
const MAX_ENDS: usize = 16;

/// One reading of librdkafka's statistics about a partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Observation {
    /// When what is said here was true at the broker, at the latest; `None`: the broker did not answer since the last
    /// time.
    pub(super) heard: Option<Instant>,
    /// The next offset to be read.
    pub(super) position: Option<Offset>,
    /// The high watermark.
    pub(super) high_watermark: Option<Offset>,
}

/// What was seen of one partition.
#[derive(Debug, Clone)]
pub(super) struct PartitionTrack {
    position: Option<Offset>,
    high_watermark: Option<Offset>,
    /// Ends that the position has not passed yet, the oldest first.
    ends: VecDeque<(Instant, Offset)>,
    complete: Option<Instant>,
    heard: Instant,
    /// When the position last moved, or was at the end.
    moved: Instant,
}

impl PartitionTrack {
    /// A partition whose reading begins.
    pub(super) fn new(now: Instant) -> Self {
        Self { position: None, high_watermark: None, ends: VecDeque::new(), complete: None, heard: now, moved: now }
    }

    /// Takes in what was seen.
    pub(super) fn observe(&mut self, seen: Observation, now: Instant) {
        let (Some(heard), Some(position), Some(end)) = (seen.heard, seen.position, seen.high_watermark) else { return };
        if self.position != Some(position) || position >= end {
            self.moved = now;
        }
        self.heard = self.heard.max(heard);
        (self.position, self.high_watermark) = (Some(position), Some(end));
        if self.ends.len() == MAX_ENDS {
            // The oldest is passed first; of the newer ones only the newest is worth keeping.
            self.ends.pop_back();
        }
        self.ends.push_back((heard, end));
        while let Some((at, _)) = self.ends.front().copied().filter(|(_, end)| *end <= position) {
            self.complete = self.complete.max(Some(at));
            self.ends.pop_front();
        }
    }

    /// How it stands by what was seen.
    pub(super) fn health(&self, now: Instant) -> PartitionHealth {
        let complete_age = self.complete.map(|at| now.saturating_duration_since(at));
        let is_before_end = self.position < self.high_watermark;
        let stuck_for = is_before_end.then(|| now.saturating_duration_since(self.moved));
        let state = if complete_age.is_some_and(|age| age <= FRESH_FOR) {
            StreamState::Streaming
        } else if now.saturating_duration_since(self.heard) >= SILENT_AFTER {
            StreamState::Failed
        } else if stuck_for.is_some_and(|time| time >= PINNED_AFTER) {
            StreamState::Pinned
        } else {
            StreamState::CatchingUp
        };
        let (position, high_watermark) = (self.position, self.high_watermark);
        PartitionHealth { state, position, high_watermark, complete_age, stuck_for }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A partition and a clock.
    struct Bench {
        track: PartitionTrack,
        begun: Instant,
        second: u32,
    }

    impl Bench {
        fn new() -> Self {
            let begun = Instant::now();
            Self { track: PartitionTrack::new(begun), begun, second: 0 }
        }

        fn now(&self) -> Instant {
            self.begun + SECOND * self.second
        }

        /// A second later position and end were so, as the broker told at that time.
        fn see(&mut self, position: i64, end: i64) -> PartitionHealth {
            self.second += 1;
            let now = self.now();
            let seen =
                Observation { heard: Some(now), position: Offset::new(position), high_watermark: Offset::new(end) };
            self.track.observe(seen, now);
            self.track.health(now)
        }

        fn pass(&mut self, seconds: u32) -> PartitionHealth {
            self.second += seconds;
            self.track.health(self.now())
        }
    }

    #[test]
    fn at_the_end_it_is_complete() {
        let mut bench = Bench::new();
        assert_eq!(bench.pass(0).state, StreamState::CatchingUp);
        let health = bench.see(10, 10);
        assert_eq!((health.state, health.complete_age), (StreamState::Streaming, Some(Duration::ZERO)));
        assert_eq!(health.stuck_for, None);
    }

    #[test]
    fn ever_new_transactions_hold_nothing_up() {
        let mut bench = Bench::new();
        bench.see(10, 10);
        for second in 1..60 {
            let health = bench.see(10 * second, 10 * second + 5);
            assert_eq!(health.state, StreamState::Streaming, "second {second}");
            assert!(health.complete_age <= Some(2 * SECOND), "{health:?}");
        }
    }

    #[test]
    fn a_transaction_that_hangs_pins_and_its_end_frees() {
        let mut bench = Bench::new();
        bench.see(10, 10);
        let states: Vec<_> = (1..=30).map(|second| bench.see(10, 10 + second).state).collect();
        assert_eq!(states[..5], [StreamState::Streaming; 5], "short ones do no harm");
        assert_eq!(states[5..9], [StreamState::CatchingUp; 4]);
        assert_eq!(states[9..], [StreamState::Pinned; 21]);
        assert_eq!(bench.track.ends.len(), MAX_ENDS, "bounded, however long it lasts");
        let health = bench.see(41, 41);
        assert_eq!((health.state, health.complete_age), (StreamState::Streaming, Some(Duration::ZERO)));
    }

    #[test]
    fn reading_from_behind_is_catching_up() {
        let mut bench = Bench::new();
        for second in 0..30 {
            assert_eq!(bench.see(second * 10, 1000).state, StreamState::CatchingUp);
        }
        assert_eq!(bench.see(1000, 1000).state, StreamState::Streaming);
    }

    #[test]
    fn a_silent_leader_tells_nothing() {
        let mut bench = Bench::new();
        bench.see(10, 10);
        assert_eq!(bench.pass(5).state, StreamState::Streaming);
        assert_eq!(bench.pass(1).state, StreamState::CatchingUp);
        assert_eq!(bench.pass(4).state, StreamState::Failed);
        assert_eq!(bench.see(10, 10).state, StreamState::Streaming);
    }
}
