//! The facts of one topic: partitions as columns, and its log as a function of time.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::protocol::StrBytes;

use super::flow::{Flow, Retention, millis, share};

/// The index of a broker in the cluster; not its id.
pub(super) type BrokerIndex = u16;

/// How many changes of flow or offsets a topic remembers for lookups by time.
///
/// Older ones are merged into the past: records from before them cannot be told apart by time.
const MAX_STRETCHES: usize = 32;

/// What a record takes, where a number of records is to be a number of bytes.
const RECORD_BYTES: i64 = 1_000;

/// One setting of a topic.
#[derive(Debug)]
pub(super) struct Config {
    /// As Kafka names it.
    pub(super) name: &'static str,
    pub(super) value: String,
    /// Whether it differs from Kafka's default.
    pub(super) is_own: bool,
}

/// A time during which the end offsets follow one flow.
#[derive(Debug)]
struct Stretch {
    start_ms: i64,
    flow: Flow,
    /// End offset of each partition at `start_ms`.
    base: Box<[i64]>,
}

/// A topic: what brokers would know of it.
#[derive(Debug)]
pub struct Topic {
    pub(super) name: StrBytes,
    pub(super) id: u128,
    pub(super) internal: bool,
    pub(super) replication: u16,
    /// Index of the broker that leads partition 0 when all are up; the rest follow in turn.
    pub(super) first_broker: BrokerIndex,
    /// Leader of each partition; none when no replica is up.
    pub(super) leaders: Vec<Option<BrokerIndex>>,
    pub(super) leader_epochs: Vec<i32>,
    /// Partitions that a test keeps without a leader.
    pub(super) leaderless: BTreeSet<usize>,
    /// `min.insync.replicas`.
    min_insync: u16,
    /// Whether `cleanup.policy` is compact.
    is_compacted: bool,
    /// First offset of the open transaction, where there is one.
    pub(super) open_transactions: BTreeMap<usize, i64>,
    retention: Retention,
    /// Log start offsets never lie before these.
    floors: Vec<i64>,
    stretches: Vec<Stretch>,
}

/// What a new topic is made of.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) name: StrBytes,
    pub(super) id: u128,
    pub(super) internal: bool,
    pub(super) partitions: usize,
    pub(super) replication: u16,
    pub(super) first_broker: BrokerIndex,
    pub(super) flow: Flow,
    pub(super) retention: Retention,
    pub(super) min_insync: u16,
    pub(super) is_compacted: bool,
    pub(super) start_ms: i64,
    pub(super) first_offset: i64,
}

impl Topic {
    pub(super) fn new(shape: Shape) -> Self {
        let partitions = shape.partitions;
        Self {
            name: shape.name,
            id: shape.id,
            internal: shape.internal,
            replication: shape.replication,
            first_broker: shape.first_broker,
            leaders: vec![None; partitions],
            leader_epochs: vec![0; partitions],
            leaderless: BTreeSet::new(),
            open_transactions: BTreeMap::new(),
            retention: shape.retention,
            min_insync: shape.min_insync,
            is_compacted: shape.is_compacted,
            floors: vec![shape.first_offset; partitions],
            stretches: vec![Stretch {
                start_ms: shape.start_ms,
                flow: shape.flow,
                base: vec![shape.first_offset; partitions].into_boxed_slice(),
            }],
        }
    }

    /// How many partitions the topic has.
    pub fn partitions(&self) -> usize {
        self.leaders.len()
    }

    /// The topic id (KIP-516); a recreated topic has a new one.
    pub fn id(&self) -> u128 {
        self.id
    }

    /// The settings that follow from how the topic behaves.
    pub(super) fn configs(&self) -> [Config; 5] {
        let config = |name, value: String, default: &str| Config { name, is_own: value != default, value };
        let (age, bytes) = match self.retention {
            Retention::Forever => (-1, -1),
            Retention::Age { age, .. } => (millis(age), -1),
            Retention::Records(records) => (-1, i64::from(records) * RECORD_BYTES),
        };
        let policy = if self.is_compacted { "compact" } else { "delete" };
        [
            config("retention.ms", age.to_string(), "604800000"),
            config("retention.bytes", bytes.to_string(), "-1"),
            config("min.insync.replicas", self.min_insync.to_string(), "1"),
            config("cleanup.policy", policy.to_owned(), "delete"),
            config("remote.storage.enable", "false".to_owned(), "false"),
        ]
    }

    pub(super) fn set_min_insync(&mut self, replicas: u16) {
        self.min_insync = replicas;
    }

    /// The replicas of a partition, the preferred leader first, as broker indices.
    pub(super) fn replicas(&self, partition: usize, brokers: usize) -> impl Iterator<Item = BrokerIndex> + use<> {
        let first = usize::from(self.first_broker) + partition;
        let replication = usize::from(self.replication).min(brokers);
        (0..replication).map(move |i| BrokerIndex::try_from((first + i) % brokers.max(1)).unwrap_or(0))
    }

    /// The high watermark at `at_ms`.
    pub(super) fn end_at(&self, partition: usize, at_ms: i64) -> i64 {
        let Some(stretch) = self.stretch_at(at_ms) else {
            return 0;
        };
        self.end_in(stretch, partition, at_ms)
    }

    fn end_in(&self, stretch: &Stretch, partition: usize, at_ms: i64) -> i64 {
        let base = stretch.base.get(partition).copied().unwrap_or(0);
        base + stretch.flow.produced(at_ms - stretch.start_ms, share(self.id, partition))
    }

    /// The stretch that holds at a time; the first one also for the time before it.
    fn stretch_at(&self, at_ms: i64) -> Option<&Stretch> {
        self.stretches.iter().rev().find(|s| s.start_ms <= at_ms).or(self.stretches.first())
    }

    /// The log start offset at `now_ms`.
    pub(super) fn log_start_at(&self, partition: usize, now_ms: i64) -> i64 {
        let floor = self.floors.get(partition).copied().unwrap_or(0);
        let kept_from = match self.retention {
            Retention::Forever => return floor,
            Retention::Age { age, segment } => {
                let segment_ms = millis(segment).max(1);
                let cut_ms = (now_ms - millis(age)).div_euclid(segment_ms) * segment_ms;
                // What was before the remembered past is in the floor.
                if self.stretches.first().is_none_or(|first| cut_ms < first.start_ms) {
                    return floor;
                }
                self.end_at(partition, cut_ms)
            }
            Retention::Records(records) => {
                let records = i64::from(records);
                let step = (records / 10).max(1);
                (self.end_at(partition, now_ms) - records).div_euclid(step) * step
            }
        };
        kept_from.max(floor).min(self.end_at(partition, now_ms)).max(0)
    }

    /// The last stable offset: the high watermark, or where the open transaction began.
    pub(super) fn stable_end_at(&self, partition: usize, now_ms: i64) -> i64 {
        let end = self.end_at(partition, now_ms);
        self.open_transactions.get(&partition).map_or(end, |open| end.min(*open))
    }

    /// When the record at `offset` was appended; nothing for one that is not in the log at `now_ms`.
    pub(super) fn appended_at(&self, partition: usize, offset: i64, now_ms: i64) -> Option<i64> {
        if offset < self.log_start_at(partition, now_ms) || offset >= self.end_at(partition, now_ms) {
            return None;
        }
        let mut until_ms = now_ms;
        for stretch in self.stretches.iter().rev() {
            if stretch.base.get(partition).is_some_and(|base| *base <= offset) {
                if self.end_in(stretch, partition, until_ms) <= offset {
                    return Some(until_ms); // came with the jump that began the next stretch
                }
                return Some(self.search(stretch, partition, offset, until_ms));
            }
            until_ms = stretch.start_ms;
        }
        self.stretches.first().map(|first| first.start_ms)
    }

    /// The first millisecond in a stretch at which the end lies beyond `offset`.
    fn search(&self, stretch: &Stretch, partition: usize, offset: i64, until_ms: i64) -> i64 {
        let (mut before, mut after) = (stretch.start_ms, until_ms);
        while before < after {
            let middle = before + (after - before) / 2;
            if self.end_in(stretch, partition, middle) > offset {
                after = middle;
            } else {
                before = middle + 1;
            }
        }
        before
    }

    /// The first record appended at or after `at_ms`: its offset and its time.
    pub(super) fn first_since(&self, partition: usize, at_ms: i64, now_ms: i64) -> Option<(i64, i64)> {
        let mut offset = self.end_at(partition, at_ms.saturating_sub(1));
        // A truncation after that time took records away again.
        for stretch in self.stretches.iter().filter(|s| s.start_ms >= at_ms) {
            offset = offset.min(stretch.base.get(partition).copied().unwrap_or(0));
        }
        offset = offset.max(self.log_start_at(partition, now_ms));
        self.appended_at(partition, offset, now_ms).map(|appended_ms| (offset, appended_ms))
    }

    /// Ends the stretch of now and begins one with `flow` and, for one partition, another end.
    fn begin_stretch(&mut self, now_ms: i64, flow: Flow, moved: Option<(usize, i64)>) {
        let mut base: Box<[i64]> = (0..self.partitions()).map(|p| self.end_at(p, now_ms)).collect();
        for partition in 0..self.partitions() {
            let start = self.log_start_at(partition, now_ms);
            if let Some(floor) = self.floors.get_mut(partition) {
                *floor = start;
            }
        }
        if let Some((partition, end)) = moved
            && let (Some(base), Some(floor)) = (base.get_mut(partition), self.floors.get_mut(partition))
        {
            *base = end;
            *floor = end.min(*floor);
        }
        if self.stretches.last().is_some_and(|last| last.start_ms == now_ms) {
            self.stretches.pop();
        }
        if self.stretches.len() == MAX_STRETCHES {
            self.stretches.remove(0);
        }
        self.stretches.push(Stretch { start_ms: now_ms, flow, base });
    }

    fn flow(&self) -> Flow {
        self.stretches.last().map_or(Flow::IDLE, |last| last.flow)
    }

    pub(super) fn set_flow(&mut self, now_ms: i64, flow: Flow) {
        self.begin_stretch(now_ms, flow, None);
    }

    pub(super) fn set_end(&mut self, now_ms: i64, partition: usize, end: i64) {
        self.begin_stretch(now_ms, self.flow(), Some((partition, end)));
    }

    pub(super) fn set_log_start(&mut self, now_ms: i64, partition: usize, offset: i64) {
        let end = self.end_at(partition, now_ms);
        if let Some(floor) = self.floors.get_mut(partition) {
            *floor = offset.min(end);
        }
    }

    pub(super) fn set_retention(&mut self, now_ms: i64, retention: Retention) {
        self.begin_stretch(now_ms, self.flow(), None); // keeps today's log start as the floor
        self.retention = retention;
    }

    /// Adds partitions, empty from now on; fewer than there are changes nothing, as in Kafka.
    pub(super) fn grow(&mut self, now_ms: i64, partitions: usize) {
        if partitions <= self.partitions() {
            return;
        }
        self.begin_stretch(now_ms, self.flow(), None);
        self.leaders.resize(partitions, None);
        self.leader_epochs.resize(partitions, 0);
        self.floors.resize(partitions, 0);
        // What flowed before is not the new partitions': the past is dropped.
        self.stretches.drain(..self.stretches.len() - 1);
        for stretch in &mut self.stretches {
            let mut base = std::mem::take(&mut stretch.base).into_vec();
            base.resize(partitions, 0);
            stretch.base = base.into_boxed_slice();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a failed step fails the test")]

    use std::time::Duration;

    use super::super::flow::Rate;
    use super::*;

    fn topic(flow: Flow, retention: Retention) -> Topic {
        Topic::new(Shape {
            name: StrBytes::from_static_str("t"),
            id: 5,
            internal: false,
            partitions: 2,
            replication: 2,
            first_broker: 1,
            flow,
            retention,
            min_insync: 1,
            is_compacted: false,
            start_ms: 1_000_000,
            first_offset: 100,
        })
    }

    #[test]
    fn every_record_is_found_by_its_time_and_every_time_by_its_record() {
        let now_ms = 1_060_000;
        let mut topic = topic(
            Flow::bursts(Rate::per_second(7), Duration::from_secs(3), Duration::from_secs(9)),
            Retention::Forever,
        );
        topic.set_end(1_030_000, 0, topic.end_at(0, 1_030_000) + 40);
        let end = topic.end_at(0, now_ms);
        for offset in 100..end {
            let at_ms = topic.appended_at(0, offset, now_ms).expect("in the log");
            assert!(topic.end_at(0, at_ms) > offset && topic.end_at(0, at_ms - 1) <= offset, "offset {offset}");
            let (found, found_ms) = topic.first_since(0, at_ms, now_ms).expect("found");
            assert!(found <= offset && found_ms == at_ms, "offset {offset} at {at_ms}, found {found} at {found_ms}");
        }
        assert_eq!(topic.appended_at(0, end, now_ms), None);
        assert_eq!(topic.appended_at(0, 99, now_ms), None);
        assert_eq!(topic.first_since(0, now_ms + 1, now_ms), None);
        assert_eq!(topic.first_since(0, 0, now_ms).map(|found| found.0), Some(100));
    }

    #[test]
    fn truncation_takes_records_and_their_times_away() {
        let mut topic = topic(Flow::steady(Rate::per_second(10)), Retention::Forever);
        topic.set_end(1_010_000, 0, 150);
        assert_eq!(topic.end_at(0, 1_010_000), 150);
        assert!(topic.end_at(0, 1_020_000) > 150);
        let at_ms = topic.appended_at(0, 150, 1_020_000).expect("in the log");
        assert!(at_ms > 1_010_000);
        assert!(topic.first_since(0, 1_009_000, 1_020_000).expect("found").0 <= 150);
    }

    #[test]
    fn retention_moves_the_log_start_forward_only() {
        let age = Retention::Age { age: Duration::from_secs(20), segment: Duration::from_secs(5) };
        for retention in [age, Retention::Records(50)] {
            let mut topic = topic(Flow::steady(Rate::per_second(10)), retention);
            assert_eq!(topic.log_start_at(0, 1_000_000), 100);
            let mut last = 100;
            for step in 0..600 {
                let now_ms = 1_000_000 + step * 100;
                if step == 300 {
                    topic.set_flow(now_ms, Flow::IDLE);
                }
                let start = topic.log_start_at(0, now_ms);
                assert!(start >= last && start <= topic.end_at(0, now_ms), "step {step}: {last} then {start}");
                last = start;
            }
            assert!(last > 200, "{retention:?} kept everything: {last}");
        }
    }

    #[test]
    fn new_partitions_are_empty_and_old_ones_keep_their_offsets() {
        let mut topic = topic(Flow::steady(Rate::per_second(10)), Retention::Forever);
        let end = topic.end_at(1, 1_050_000);
        topic.grow(1_050_000, 4);
        assert_eq!(topic.partitions(), 4);
        assert_eq!((topic.end_at(1, 1_050_000), topic.log_start_at(1, 1_050_000)), (end, 100));
        assert_eq!(topic.end_at(3, 1_050_000), 0);
        assert!(topic.end_at(3, 1_060_000) > 0);
    }

    #[test]
    fn replicas_follow_in_turn() {
        let topic = topic(Flow::IDLE, Retention::Forever);
        assert_eq!(topic.replicas(1, 3).collect::<Vec<_>>(), [2, 0]);
        assert_eq!(topic.replicas(1, 1).collect::<Vec<_>>(), [0]);
    }
}
