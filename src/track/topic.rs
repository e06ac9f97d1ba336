//! What is remembered of one life of a topic: when its partitions had which end, and how its log starts move.

use std::sync::Arc;

use super::Named;
use super::rate::Rate;
use super::ring::Ends;
use super::timeline::Timeline;
use crate::derive::Stamp;
use crate::model::{Instants, Moment, Offset, PartitionId, WallTime, heap};
use crate::state::{TopicIx, TopicTable};

/// When a reading's moment was on the wall clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walls(pub(super) Instants);

impl Walls {
    pub(super) fn of(self, moment: Moment) -> WallTime {
        let ago = i64::try_from(self.0.moment.since(moment).as_millis()).unwrap_or(i64::MAX);
        WallTime(self.0.wall.0.saturating_sub(ago))
    }

    pub(super) fn now(self) -> WallTime {
        self.0.wall
    }
}

/// How a log start moves: in leaps, whenever a segment is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct StartMoves {
    start: Option<Offset>,
    moved_at: Option<WallTime>,
    /// Of the last leap but one to the last.
    pace: Option<f64>,
    gap_seconds: f64,
}

impl StartMoves {
    fn observe(&mut self, start: Offset, at: WallTime) {
        let before = self.start.replace(start).filter(|before| start > *before);
        let Some(before) = before else { return };
        if let Some(moved_at) = self.moved_at {
            self.gap_seconds = at.since(moved_at).as_secs_f64().max(1.0);
            #[expect(clippy::cast_precision_loss, reason = "a forecast is no more exact than a double")]
            let leap = start.distance_from(before).0 as f64;
            self.pace = Some(leap / self.gap_seconds);
        }
        self.moved_at = Some(at);
    }

    /// Messages a second; less and less when the next leap does not come.
    fn per_second(&self, now: WallTime) -> Option<f64> {
        let waited = now.since(self.moved_at?).as_secs_f64();
        Some(self.pace? * (self.gap_seconds / waited.max(self.gap_seconds)))
    }
}

/// What is remembered of one partition.
#[derive(Debug, Clone, Default)]
pub(super) struct PartitionTrack {
    pub(super) timeline: Timeline,
    pub(super) ends: Ends,
    starts: StartMoves,
    /// When the end was read that was taken in last.
    read_at: Option<Moment>,
}

impl PartitionTrack {
    /// When the log start reaches an offset, at the pace at which it moves.
    pub(super) fn start_reaches(&self, offset: Offset, now: WallTime) -> Option<WallTime> {
        let per_second = self.starts.per_second(now).filter(|pace| *pace > 0.0)?;
        #[expect(clippy::cast_precision_loss, reason = "a forecast is no more exact than a double")]
        let away = offset.distance_from(self.starts.start?).0 as f64;
        let left = std::time::Duration::try_from_secs_f64(away / per_second).ok()?;
        Some(now.plus(left))
    }
}

/// What is remembered of one topic.
#[derive(Debug, Clone)]
pub(super) struct TopicTrack {
    pub(super) table: Arc<TopicTable>,
    partitions: Vec<PartitionTrack>,
    /// When the youngest end was read.
    pub(super) ends_at: Option<WallTime>,
    produced: Rate,
    /// The version of all of this.
    stamp: Stamp,
    /// What of it is on the heap.
    bytes: TopicBytes,
}

/// What a topic takes on the heap.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TopicBytes {
    /// The facts.
    pub(super) facts: usize,
    /// What is remembered of it.
    pub(super) history: usize,
}

impl TopicTrack {
    pub(super) fn new(table: &Arc<TopicTable>) -> Self {
        Self {
            table: table.clone(),
            partitions: Vec::new(),
            ends_at: None,
            produced: Rate::default(),
            stamp: Stamp::fresh(),
            bytes: TopicBytes::default(),
        }
    }

    pub(super) fn partition(&self, place: usize) -> Option<&PartitionTrack> {
        self.partitions.get(place)
    }

    /// The version of what is remembered. Two that are the same tell the same.
    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The end of a partition's log, as it was read last.
    pub(super) fn end(&self, partition: PartitionId) -> Option<Offset> {
        self.table.ends.get(self.table.place(partition)?)?.known()
    }

    /// How fast records are appended, in messages a second.
    pub(super) fn produce_rate(&self) -> Option<f64> {
        self.produced.per_second().map(|rate| rate.max(0.0))
    }

    /// Lets a history that was kept elsewhere come before what is remembered.
    pub(super) fn resume(&mut self, place: usize, earlier: &Timeline) {
        self.grow(place + 1);
        let track = &mut self.partitions[place].timeline;
        let before = track.heap_bytes();
        track.resume(earlier);
        self.bytes.history = self.bytes.history + track.heap_bytes() - before;
        self.stamp = Stamp::fresh();
    }

    fn grow(&mut self, partitions: usize) {
        if self.partitions.len() < partitions {
            self.partitions.resize_with(partitions, PartitionTrack::default);
        }
    }

    /// Takes in what is read of the topic now. Another life than before starts with nothing.
    pub(super) fn follow(
        &mut self,
        ix: TopicIx,
        table: &Arc<TopicTable>,
        named: &Named<'_>,
        walls: Walls,
        ends: usize,
    ) {
        if self.table.history != table.history {
            *self = Self::new(table);
        }
        (self.table, self.stamp) = (table.clone(), Stamp::fresh());
        self.grow(table.asked());
        let mut latest = None;
        for (place, track) in self.partitions.iter_mut().enumerate().take(table.asked()) {
            if let Some(start) = table.starts[place].known() {
                track.starts.observe(start, walls.of(table.starts[place].at));
            }
            let reading = &table.ends[place];
            if reading.known().is_none() && track.read_at.is_some() {
                // It is not looked after any more: what is read of it some day is not what comes next.
                (track.read_at, track.ends) = (None, Ends::default());
                self.produced = Rate::default();
            }
            let is_new = track.read_at.is_none_or(|at| reading.at > at);
            let Some(end) = reading.known().filter(|_| is_new) else { continue };
            track.read_at = Some(reading.at);
            if !PartitionId::from_index(place).is_some_and(|partition| named.names_end(ix, partition)) {
                continue;
            }
            let at = walls.of(reading.at);
            latest = latest.max(Some(at));
            track.timeline.observe(end, at);
            track.ends.push(end, at, ends);
        }
        self.ends_at = latest.or(self.ends_at);
        if let Some((at, sum)) = latest.zip(self.end_sum()) {
            self.produced.observe(sum, at);
        }
        self.bytes = self.measure();
    }

    fn measure(&self) -> TopicBytes {
        let of_partition = |track: &PartitionTrack| track.timeline.heap_bytes() + track.ends.heap_bytes();
        let partitions = self.partitions.iter().map(of_partition).sum::<usize>();
        TopicBytes { facts: self.table.heap_bytes(), history: heap::vec(&self.partitions) + partitions }
    }

    /// What it takes on the heap, as of when it was followed last.
    pub(super) fn bytes(&self) -> TopicBytes {
        self.bytes
    }

    fn end_sum(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a rate is no more exact than a double")]
        let end = |reading: &crate::state::Reading| reading.known().map(|end| end.get() as f64);
        self.table.sample.is_none().then(|| self.table.ends.iter().map(end).sum())?
    }

    /// The history of each partition that has one.
    pub(super) fn timelines(&self) -> impl Iterator<Item = (PartitionId, &Timeline)> {
        self.partitions.iter().enumerate().filter_map(|(place, track)| {
            let partition = PartitionId::from_index(place)?;
            (!track.timeline.points().is_empty()).then_some((partition, &track.timeline))
        })
    }
}
