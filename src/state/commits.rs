//! A group's committed offsets as columns: a row is a partition number and an offset, twelve bytes.

use std::ops::Range;

use super::{ReadAt, Round, TopicIx};
use crate::model::{CommittedOffsets, KafkaCode, MaybeOffset, Moment, Offset, PartitionId, WallTime};

/// The rows of one topic within a group's columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// The topic.
    pub topic: TopicIx,
    /// Its rows, ordered by partition.
    pub rows: Range<usize>,
    /// When a commit on this topic was last seen to move, if ever.
    pub moved_at: Option<WallTime>,
}

/// The committed offsets of one group, as of one OffsetFetch.
#[derive(Debug, Clone, PartialEq)]
pub struct CommitTable {
    /// The topics, each with its run of rows.
    pub segments: Vec<Segment>,
    /// The partition of each row.
    pub partitions: Vec<PartitionId>,
    /// The committed offset of each row.
    pub offsets: Vec<MaybeOffset>,
    /// Rows whose partition the last answer could not tell, with the time of the value that stands: nearly always empty.
    pub stale: Vec<(usize, Moment)>,
    /// When the answer came.
    pub at: Moment,
    /// In which pass.
    pub round: Round,
}

/// One row on its way into the columns.
#[derive(Debug, Clone, Copy)]
struct Row {
    topic: TopicIx,
    partition: PartitionId,
    offset: Result<Offset, KafkaCode>,
}

impl CommitTable {
    /// The table for an answer; `place` gives a topic's place, or `None` for one that is filtered out.
    pub(super) fn from_answer(
        answer: &CommittedOffsets,
        mut place: impl FnMut(&std::sync::Arc<str>) -> Option<TopicIx>,
        previous: Option<&Self>,
        read: ReadAt,
    ) -> Self {
        let mut rows: Vec<Row> = Vec::with_capacity(answer.topics.iter().map(|topic| topic.rows.len()).sum());
        for topic in &answer.topics {
            let Some(ix) = place(&topic.topic) else { continue };
            rows.extend(topic.rows.iter().filter_map(|row| {
                // No commit is not a commit at −1: such a row does not exist.
                let offset = row.offset.transpose()?;
                Some(Row { topic: ix, partition: row.partition, offset })
            }));
        }
        rows.sort_by_key(|row| (row.topic, row.partition));
        rows.dedup_by_key(|row| (row.topic, row.partition));
        Self::from_rows(&rows, previous, read)
    }

    fn from_rows(rows: &[Row], previous: Option<&Self>, read: ReadAt) -> Self {
        let mut table = Self {
            segments: Vec::new(),
            partitions: Vec::with_capacity(rows.len()),
            offsets: Vec::with_capacity(rows.len()),
            stale: Vec::new(),
            at: read.instants.moment,
            round: read.round,
        };
        for run in rows.chunk_by(|a, b| a.topic == b.topic) {
            table.push_segment(run, previous, read.instants.wall);
        }
        table
    }

    /// Appends the rows of one topic, comparing them with what was known before.
    fn push_segment(&mut self, run: &[Row], previous: Option<&Self>, wall: WallTime) {
        let Some(first) = run.first() else { return };
        let before = previous.and_then(|table| Some((table, table.segment(first.topic)?)));
        let mut moved_at = before.as_ref().and_then(|(_, segment)| segment.moved_at);
        let start = self.partitions.len();
        for row in run {
            let known = before.as_ref().and_then(|(table, segment)| table.row(segment, row.partition));
            let offset = match row.offset {
                Ok(offset) => {
                    // A first commit on a topic that was known before is a move as well; a first sight is none.
                    let moved = match (&before, known) {
                        (Some((table, _)), Some(known)) => table.offsets[known].get().is_some_and(|was| was != offset),
                        (before, _) => before.is_some(),
                    };
                    if moved {
                        moved_at = Some(wall);
                    }
                    MaybeOffset::from(offset)
                }
                Err(_) => {
                    let (value, read_at) = match (&before, known) {
                        (Some((table, _)), Some(known)) => (table.offsets[known], table.read_at(known)),
                        _ => (MaybeOffset::UNKNOWN, Moment(0)),
                    };
                    self.stale.push((self.partitions.len(), read_at));
                    value
                }
            };
            self.partitions.push(row.partition);
            self.offsets.push(offset);
        }
        self.segments.push(Segment { topic: first.topic, rows: start..self.partitions.len(), moved_at });
    }

    /// The rows of one topic.
    #[must_use]
    pub fn segment(&self, topic: TopicIx) -> Option<&Segment> {
        let at = self.segments.binary_search_by_key(&topic, |segment| segment.topic).ok()?;
        self.segments.get(at)
    }

    /// The row of one partition within a segment of this table.
    #[must_use]
    pub fn row(&self, segment: &Segment, partition: PartitionId) -> Option<usize> {
        let within = self.partitions.get(segment.rows.clone())?.binary_search(&partition).ok()?;
        Some(segment.rows.start + within)
    }

    /// When the value in a row was read.
    #[must_use]
    pub fn read_at(&self, row: usize) -> Moment {
        match self.stale.binary_search_by_key(&row, |(stale, _)| *stale) {
            Ok(place) => self.stale[place].1,
            Err(_) => self.at,
        }
    }

    /// Whether the last answer told this row, rather than leaving an older value to stand.
    #[must_use]
    pub fn is_current(&self, row: usize) -> bool {
        self.stale.is_empty() || self.stale.binary_search_by_key(&row, |(stale, _)| *stale).is_err()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{CommittedPartition, Instants, TopicRows};
    use crate::state::TopicNames;

    /// Topic, partition, and the offset, none, or an error code.
    type TestRow<'a> = (&'a str, i32, Result<Option<i64>, i32>);

    fn answer(rows: &[TestRow<'_>]) -> CommittedOffsets {
        let topics = rows
            .iter()
            .map(|(topic, partition, offset)| TopicRows {
                topic: Arc::from(*topic),
                rows: vec![CommittedPartition {
                    partition: PartitionId(*partition),
                    offset: offset.map(|raw| raw.and_then(Offset::new)).map_err(KafkaCode),
                }],
            })
            .collect();
        CommittedOffsets { topics }
    }

    fn table(names: &mut TopicNames, rows: &[TestRow<'_>], previous: Option<&CommitTable>, second: u64) -> CommitTable {
        let at = Moment(second * 1000);
        let wall = WallTime(i64::try_from(second).unwrap_or(0) * 1000);
        let round = Round(u32::try_from(second).unwrap_or(0));
        let read = ReadAt { round, instants: Instants { moment: at, wall } };
        CommitTable::from_answer(&answer(rows), |topic| names.intern(topic), previous, read)
    }

    #[test]
    fn rows_are_ordered_each_once_and_absent_without_a_commit() {
        let mut names = TopicNames::default();
        let table = table(
            &mut names,
            &[("b", 1, Ok(Some(5))), ("a", 2, Ok(None)), ("b", 0, Ok(Some(4))), ("b", 1, Ok(Some(5)))],
            None,
            1,
        );
        assert_eq!(table.segments.len(), 1);
        assert_eq!(table.partitions, [PartitionId(0), PartitionId(1)]);
        assert_eq!(table.segments[0].moved_at, None, "a first sight is not a move");
    }

    #[test]
    fn a_move_is_seen_per_topic() {
        let mut names = TopicNames::default();
        let first = table(&mut names, &[("a", 0, Ok(Some(5))), ("b", 0, Ok(Some(5)))], None, 1);
        let second = table(&mut names, &[("a", 0, Ok(Some(6))), ("b", 0, Ok(Some(5)))], Some(&first), 2);
        assert_eq!(second.segments[0].moved_at, Some(WallTime(2000)));
        assert_eq!(second.segments[1].moved_at, None);
        let third =
            table(&mut names, &[("a", 0, Ok(Some(6))), ("b", 0, Ok(Some(5))), ("b", 1, Ok(Some(0)))], Some(&second), 3);
        assert_eq!(third.segments[0].moved_at, Some(WallTime(2000)), "it keeps its last move");
        assert_eq!(third.segments[1].moved_at, Some(WallTime(3000)), "a new partition's first commit is a move");
    }

    #[test]
    fn a_row_that_fails_keeps_its_value_and_its_age() {
        let mut names = TopicNames::default();
        let first = table(&mut names, &[("a", 0, Ok(Some(5))), ("a", 1, Ok(Some(7)))], None, 1);
        let second = table(&mut names, &[("a", 0, Err(29)), ("a", 1, Ok(Some(7))), ("a", 2, Err(29))], Some(&first), 2);
        let third = table(&mut names, &[("a", 0, Err(29)), ("a", 1, Ok(Some(7))), ("a", 2, Err(29))], Some(&second), 3);
        assert_eq!(third.offsets[0].get(), Offset::new(5));
        assert_eq!(third.read_at(0), Moment(1000));
        assert!(!third.is_current(0));
        assert_eq!(third.read_at(1), Moment(3000));
        assert_eq!(third.offsets[2].get(), None);
        let told = [("a", 0, Ok(Some(5))), ("a", 1, Ok(Some(7))), ("a", 2, Ok(Some(1)))];
        let fourth = table(&mut names, &told, Some(&third), 4);
        assert_eq!(fourth.segments[0].moved_at, None, "that a value becomes readable is no move");
    }
}
