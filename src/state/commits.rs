//! A group's committed offsets as columns: a row is a partition number and an offset, twelve bytes.
//!
//! The topics of a group are asked for at different times, so each run of rows carries the reading that it is of.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{ReadAt, Round, Sample, TopicIx};
use crate::model::heap;
use crate::model::{CommittedOffsets, MaxAge, MaybeOffset, Moment, Offset, PartitionId, WallTime};

/// The rows of one topic within a group's columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// The topic.
    pub topic: TopicIx,
    /// Its rows, ordered by partition.
    pub rows: Range<usize>,
    /// When a commit on this topic was last seen to move, if ever.
    pub moved_at: Option<WallTime>,
    /// When the answer came.
    pub at: Moment,
    /// In which pass.
    pub round: Round,
    /// How old it may get.
    pub max_age: MaxAge,
    /// The partitions that it is about, when the topic is sampled; then there may be no rows, because all that the group
    /// has committed is on others. `None`: all.
    pub sample: Option<Sample>,
}

/// The committed offsets of one group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CommitTable {
    /// The topics, each with its run of rows, ordered by place.
    pub segments: Vec<Segment>,
    /// The partition of each row.
    pub partitions: Vec<PartitionId>,
    /// The committed offset of each row.
    pub offsets: Vec<MaybeOffset>,
    /// Rows whose partition the last answer could not tell, with the time of the value that stands: nearly always empty.
    pub stale: Vec<(usize, Moment)>,
}

/// What a coordinator was asked for.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// All that the group has committed: a topic that the answer does not name has no commit.
    Everything,
    /// These partitions of these topics. What the answer leaves out of them is not known.
    Named(&'a [(TopicIx, Vec<PartitionId>)]),
}

/// What an answer told of one topic of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitChange {
    /// The topic.
    pub topic: TopicIx,
    /// Whether a commit moved, came or went, or is seen for the first time.
    pub changed: bool,
    /// Whether the answer left a partition open.
    pub failed: bool,
}

/// How an answer is to be taken.
#[derive(Clone, Copy)]
pub(super) struct CommitTerms<'a> {
    /// What was asked for.
    pub(super) asked: Asked<'a>,
    /// How old a topic's commits may get.
    pub(super) max_age: &'a dyn Fn(TopicIx) -> MaxAge,
    /// The partitions of a topic that count; `None`: all.
    pub(super) sample: &'a dyn Fn(TopicIx) -> Option<Sample>,
    /// When and in which pass the answer came.
    pub(super) read: ReadAt,
}

/// One row of an answer on its way into the columns.
#[derive(Debug, Clone, Copy)]
struct Row {
    topic: TopicIx,
    partition: PartitionId,
    told: Told,
}

/// What an answer says of a partition.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// What is committed there; `None`: nothing.
    Offset(Option<Offset>),
    /// The coordinator could not tell.
    Failed,
    /// It was asked for and is not in the answer.
    LeftOut,
    /// It was not asked for.
    NotAsked,
}

impl CommitTable {
    /// Whether a topic's commits are the same as those of a segment of another table, read by the same answers.
    #[must_use]
    pub(crate) fn is_same_segment(&self, segment: &Segment, other: &Self, others: &Segment) -> bool {
        let (here, there) = (segment.rows.clone(), others.rows.clone());
        (segment.topic, segment.at, segment.round) == (others.topic, others.at, others.round)
            && (segment.max_age, segment.sample) == (others.max_age, others.sample)
            && self.partitions.get(here.clone()) == other.partitions.get(there.clone())
            && self.offsets.get(here.clone()) == other.offsets.get(there.clone())
            && self.stale_in(segment).is_empty()
            && other.stale_in(others).is_empty()
    }

    /// The table after an answer; `places` are those of its topics, `None` for one that is filtered out. Also tells what
    /// changed, topic by topic.
    pub(super) fn from_answer(
        answer: &CommittedOffsets,
        places: &[Option<TopicIx>],
        terms: CommitTerms<'_>,
        previous: Option<&Self>,
    ) -> (Self, Vec<CommitChange>) {
        let mut rows = rows_of(answer, places);
        if let Asked::Named(named) = terms.asked {
            add_untold(&mut rows, named, previous);
        }
        let outside = leave_out_unsampled(&mut rows, terms.sample);
        // A row that is there twice counts once.
        rows.sort_by_key(|row| (row.topic, row.partition));
        rows.dedup_by_key(|row| (row.topic, row.partition));
        let mut told: BTreeMap<TopicIx, &[Row]> =
            rows.chunk_by(|a, b| a.topic == b.topic).map(|run| (run[0].topic, run)).collect();
        let mut topics: BTreeSet<TopicIx> = told.keys().chain(&outside).copied().collect();
        topics.extend(previous.iter().flat_map(|table| &table.segments).map(|segment| segment.topic));
        let mut after = After { table: Self::default(), previous, changes: Vec::new() };
        after.make_room(topics.len(), rows.len() + untold_rows(&told, terms.asked, previous));
        for topic in topics {
            let is_outside = outside.contains(&topic);
            match (told.remove(&topic), terms.asked) {
                (Some(run), _) => after.tell(topic, run, is_outside, &terms),
                (None, Asked::Everything) => after.tell(topic, &[], is_outside, &terms),
                (None, Asked::Named(_)) => after.keep(topic, None),
            }
        }
        after.table.trim();
        (after.table, after.changes)
    }

    /// The table without the commits that are not asked for any more, as of these topics there is a sample from now on;
    /// `None`: it is about these partitions already.
    pub(super) fn sampled(&self, topics: &BTreeMap<TopicIx, Sample>) -> Option<Self> {
        let is_new = |segment: &Segment| topics.get(&segment.topic).is_some_and(|new| segment.sample != Some(*new));
        if !self.segments.iter().any(is_new) {
            return None;
        }
        let mut after = After { table: Self::default(), previous: Some(self), changes: Vec::new() };
        after.make_room(self.segments.len(), self.partitions.len());
        for segment in &self.segments {
            after.keep(segment.topic, topics.get(&segment.topic).copied());
        }
        after.table.trim();
        Some(after.table)
    }

    /// Gives back the room that was made and not needed.
    fn trim(&mut self) {
        self.segments.shrink_to_fit();
        self.partitions.shrink_to_fit();
        self.offsets.shrink_to_fit();
        self.stale.shrink_to_fit();
    }

    /// What it takes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        let rows = heap::vec(&self.partitions) + heap::vec(&self.offsets) + heap::vec(&self.stale);
        heap::arc::<Self>() + heap::vec(&self.segments) + rows
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

    /// When the value in a row of a segment was read.
    #[must_use]
    pub fn read_at(&self, segment: &Segment, row: usize) -> Moment {
        match self.stale.binary_search_by_key(&row, |(stale, _)| *stale) {
            Ok(place) => self.stale[place].1,
            Err(_) => segment.at,
        }
    }

    /// The rows of a segment that stand from an older answer, with the time of that.
    #[must_use]
    pub fn stale_in(&self, segment: &Segment) -> &[(usize, Moment)] {
        let place = |row: usize| self.stale.partition_point(|(stale, _)| *stale < row);
        &self.stale[place(segment.rows.start)..place(segment.rows.end)]
    }

    /// Whether the last answer told this row, rather than leaving an older value to stand.
    #[must_use]
    pub fn is_current(&self, row: usize) -> bool {
        self.stale.is_empty() || self.stale.binary_search_by_key(&row, |(stale, _)| *stale).is_err()
    }
}

/// How many rows stand on topics that an answer is not about.
fn untold_rows(told: &BTreeMap<TopicIx, &[Row]>, asked: Asked<'_>, previous: Option<&CommitTable>) -> usize {
    let segments = previous.filter(|_| matches!(asked, Asked::Named(_))).map_or(&[][..], |table| &table.segments);
    segments.iter().filter(|segment| !told.contains_key(&segment.topic)).map(|segment| segment.rows.len()).sum()
}

fn rows_of(answer: &CommittedOffsets, places: &[Option<TopicIx>]) -> Vec<Row> {
    let mut rows = Vec::with_capacity(answer.topics.iter().map(|topic| topic.rows.len()).sum());
    for (topic, place) in answer.topics.iter().zip(places) {
        let Some(ix) = *place else { continue };
        rows.extend(topic.rows.iter().map(|row| {
            let told = row.offset.map_or(Told::Failed, Told::Offset);
            Row { topic: ix, partition: row.partition, told }
        }));
    }
    rows
}

/// Leaves out what is told of partitions outside a topic's sample. Returns the topics of which something is committed
/// there.
fn leave_out_unsampled(rows: &mut Vec<Row>, sample: impl Fn(TopicIx) -> Option<Sample>) -> BTreeSet<TopicIx> {
    let mut outside = BTreeSet::new();
    rows.retain(|row| {
        let counts = sample(row.topic).is_none_or(|sample| sample.contains(row.partition));
        if !counts && !matches!(row.told, Told::Offset(None)) {
            outside.insert(row.topic);
        }
        counts
    });
    outside
}

/// Adds what was asked for and not answered, and what was known of a topic and not asked for: both stand as they were.
fn add_untold(rows: &mut Vec<Row>, named: &[(TopicIx, Vec<PartitionId>)], previous: Option<&CommitTable>) {
    let mut seen: BTreeSet<(TopicIx, PartitionId)> = rows.iter().map(|row| (row.topic, row.partition)).collect();
    let mut add = |topic, partition, told| {
        if seen.insert((topic, partition)) {
            rows.push(Row { topic, partition, told });
        }
    };
    for (topic, partitions) in named {
        partitions.iter().for_each(|partition| add(*topic, *partition, Told::LeftOut));
        if let Some((table, segment)) = previous.and_then(|table| Some((table, table.segment(*topic)?))) {
            let known = &table.partitions[segment.rows.clone()];
            known.iter().for_each(|partition| add(*topic, *partition, Told::NotAsked));
        }
    }
}

/// The table that an answer is made into, with what was known before.
struct After<'a> {
    table: CommitTable,
    previous: Option<&'a CommitTable>,
    changes: Vec<CommitChange>,
}

impl After<'_> {
    /// Makes room for all there may be at once: a column that grows as it likes takes up to twice of what it needs.
    fn make_room(&mut self, segments: usize, rows: usize) {
        self.table.segments.reserve_exact(segments);
        self.table.partitions.reserve_exact(rows);
        self.table.offsets.reserve_exact(rows);
    }

    fn before(&self, topic: TopicIx) -> Option<(&CommitTable, &Segment)> {
        self.previous.and_then(|table| Some((table, table.segment(topic)?)))
    }

    /// Copies the rows of a topic that the answer is not about: of a new sample those that are in it.
    fn keep(&mut self, topic: TopicIx, sample: Option<Sample>) {
        let Some((before, segment)) = self.previous.and_then(|table| Some((table, table.segment(topic)?))) else {
            return;
        };
        let partitions = &before.partitions[segment.rows.clone()];
        let kept = sample.map_or(partitions.len(), |sample| partitions.partition_point(|id| sample.contains(*id)));
        let from = segment.rows.start..segment.rows.start + kept;
        let start = self.table.partitions.len();
        self.table.partitions.extend_from_slice(&before.partitions[from.clone()]);
        self.table.offsets.extend_from_slice(&before.offsets[from.clone()]);
        let stale = before.stale_in(segment).iter().filter(|(row, _)| *row < from.end);
        self.table.stale.extend(stale.map(|(row, at)| (row - from.start + start, *at)));
        let rows = start..self.table.partitions.len();
        self.table.segments.push(Segment { rows, sample: sample.or(segment.sample), ..segment.clone() });
    }

    /// Appends the rows that an answer tells of a topic, comparing them with what was known before. `is_outside`: it told
    /// commits outside the topic's sample as well.
    fn tell(&mut self, topic: TopicIx, run: &[Row], is_outside: bool, terms: &CommitTerms<'_>) {
        let known = self.before(topic).is_some();
        let mut moved_at = self.before(topic).and_then(|(_, segment)| segment.moved_at);
        let start = self.table.partitions.len();
        let (mut moved, mut failed) = (false, false);
        let rows_before = self.before(topic).map_or(0, |(_, segment)| segment.rows.len());
        for row in run {
            let before = self.before(topic).and_then(|(table, segment)| {
                let known = table.row(segment, row.partition)?;
                Some((table.offsets[known], table.read_at(segment, known)))
            });
            failed |= matches!(row.told, Told::Failed | Told::LeftOut);
            let offset = match row.told {
                Told::Offset(None) => continue,
                Told::Offset(Some(offset)) => {
                    // A first commit on a topic that was known before is a move as well; a first sight is none.
                    moved |= match before {
                        Some((was, _)) => was.get().is_some_and(|was| was != offset),
                        None => known,
                    };
                    MaybeOffset::from(offset)
                }
                // Whether anything is committed there is not known either.
                Told::LeftOut if before.is_none() => continue,
                Told::Failed | Told::LeftOut | Told::NotAsked => {
                    let (value, at) = before.unwrap_or((MaybeOffset::UNKNOWN, Moment(0)));
                    self.table.stale.push((self.table.partitions.len(), at));
                    value
                }
            };
            self.table.partitions.push(row.partition);
            self.table.offsets.push(offset);
        }
        if moved {
            moved_at = Some(terms.read.instants.wall);
        }
        let rows = start..self.table.partitions.len();
        let changed = moved || rows.len() != rows_before;
        // An answer about named partitions tells of topics as well on which the group never committed.
        if known || failed || !rows.is_empty() {
            self.changes.push(CommitChange { topic, changed, failed });
        }
        let sample = (terms.sample)(topic);
        // Whether the group still has commits outside the sample, only a full answer tells.
        let may_be_outside = is_outside || (known && matches!(terms.asked, Asked::Named(_)));
        if !rows.is_empty() || (sample.is_some() && may_be_outside) {
            let (ReadAt { round, instants }, max_age) = (terms.read, (terms.max_age)(topic));
            let at = instants.moment;
            self.table.segments.push(Segment { topic, rows, moved_at, at, round, max_age, sample });
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::Arc;

    use super::*;
    use crate::model::{CommittedPartition, Instants, KafkaCode, TopicRows};
    use crate::state::TopicNames;

    /// How many partitions are asked for of topics whose names start with "wide": they have 9.
    const LIMIT: Option<NonZeroUsize> = NonZeroUsize::new(2);

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

    fn after(
        names: &mut TopicNames,
        rows: &[TestRow<'_>],
        asked: Asked<'_>,
        previous: Option<&CommitTable>,
        second: u64,
    ) -> (CommitTable, Vec<CommitChange>) {
        let at = Moment(second * 1000);
        let wall = WallTime(i64::try_from(second).unwrap_or(0) * 1000);
        let round = Round(u32::try_from(second).unwrap_or(0));
        let read = ReadAt { round, instants: Instants { moment: at, wall } };
        let answer = answer(rows);
        let places: Vec<_> = answer.topics.iter().map(|topic| names.intern(&topic.topic)).collect();
        let sample = |topic| names.name(topic).filter(|name| name.starts_with("wide")).and(Sample::of(LIMIT, 9));
        let terms = CommitTerms { asked, max_age: &|_| MaxAge::ZERO, sample: &sample, read };
        CommitTable::from_answer(&answer, &places, terms, previous)
    }

    fn table(names: &mut TopicNames, rows: &[TestRow<'_>], previous: Option<&CommitTable>, second: u64) -> CommitTable {
        after(names, rows, Asked::Everything, previous, second).0
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
        assert_eq!(third.read_at(&third.segments[0], 0), Moment(1000));
        assert!(!third.is_current(0));
        assert_eq!(third.read_at(&third.segments[0], 1), Moment(3000));
        assert_eq!(third.offsets[2].get(), None);
        let told = [("a", 0, Ok(Some(5))), ("a", 1, Ok(Some(7))), ("a", 2, Ok(Some(1)))];
        let fourth = table(&mut names, &told, Some(&third), 4);
        assert_eq!(fourth.segments[0].moved_at, None, "that a value becomes readable is no move");
    }

    #[test]
    fn an_answer_about_one_topic_leaves_the_others_as_they_were() {
        let mut names = TopicNames::default();
        let first = table(&mut names, &[("a", 0, Ok(Some(5))), ("b", 0, Err(29)), ("b", 1, Ok(Some(7)))], None, 1);
        let [a, b, c] = ["a", "b", "c"].map(|name| names.intern(&name.into()).unwrap());
        let named = [(a, vec![PartitionId(0), PartitionId(1)]), (c, vec![PartitionId(0)])];
        let rows = [("a", 0, Ok(Some(6))), ("a", 1, Ok(None)), ("c", 0, Ok(None))];
        let (second, changes) = after(&mut names, &rows, Asked::Named(&named), Some(&first), 2);
        let changes: Vec<_> = changes.iter().map(|change| (change.topic, change.changed, change.failed)).collect();
        assert_eq!(changes, [(a, true, false)], "there is nothing to tell of c, neither now nor before");
        assert_eq!(second.segment(a).unwrap().at, Moment(2000));
        assert_eq!(second.segment(b).unwrap().at, Moment(1000));
        assert_eq!(second.segment(c), None, "nothing is committed there");
        assert_eq!(second.offsets[1..], first.offsets[1..]);
        assert_eq!(second.stale, [(1, Moment(0))], "what was open stays open");
        let (third, changes) = after(&mut names, &[("b", 0, Ok(Some(1)))], Asked::Everything, Some(&second), 3);
        assert_eq!(third.segments.len(), 1, "of everything, what is not there is gone");
        assert!(changes.iter().all(|change| change.changed));
    }

    #[test]
    fn what_a_half_answer_leaves_out_stands_as_it_was() {
        let mut names = TopicNames::default();
        let first = table(&mut names, &[("a", 0, Ok(Some(5))), ("a", 1, Ok(Some(7))), ("a", 9, Ok(Some(1)))], None, 1);
        let a = names.intern(&"a".into()).unwrap();
        let named = [(a, vec![PartitionId(0), PartitionId(1)])];
        let (second, changes) = after(&mut names, &[("a", 1, Ok(Some(8)))], Asked::Named(&named), Some(&first), 2);
        assert_eq!(second.offsets.iter().map(|offset| offset.get()).collect::<Vec<_>>(), [5, 8, 1].map(Offset::new));
        assert_eq!([0, 1, 2].map(|row| second.is_current(row)), [false, true, false]);
        assert_eq!(second.read_at(&second.segments[0], 0), Moment(1000));
        assert!(changes[0].failed);
    }

    #[test]
    fn of_a_sampled_topic_only_the_sample_counts_and_that_there_is_more_is_remembered() {
        let mut names = TopicNames::default();
        let rows =
            [("wide", 0, Ok(Some(5))), ("wide", 2, Err(29)), ("wide-out", 7, Ok(Some(3))), ("a", 7, Ok(Some(1)))];
        let (first, changes) = after(&mut names, &rows, Asked::Everything, None, 1);
        let [wide, out, a] = ["wide", "wide-out", "a"].map(|name| names.intern(&name.into()).unwrap());
        assert_eq!(first.partitions, [PartitionId(0), PartitionId(7)]);
        assert!(!changes.iter().any(|change| change.failed), "what fails outside is not missed");
        let rows_of = |table: &CommitTable, topic| table.segment(topic).map(|segment| segment.rows.len());
        assert_eq!([wide, out, a].map(|topic| rows_of(&first, topic)), [Some(1), Some(0), Some(1)]);
        assert_eq!(first.segment(out).unwrap().sample, Sample::of(LIMIT, 9));
        assert_eq!(first.segment(a).unwrap().sample, None);

        let named = [(out, vec![PartitionId(0), PartitionId(1)])];
        let none = [("wide-out", 0, Ok(None)), ("wide-out", 1, Ok(None))];
        let (second, _) = after(&mut names, &none, Asked::Named(&named), Some(&first), 2);
        assert_eq!(rows_of(&second, out), Some(0), "it was not asked for what lies outside");
        let some = [("wide-out", 1, Ok(Some(4)))];
        let (third, changes) = after(&mut names, &some, Asked::Named(&named), Some(&second), 3);
        assert!(changes.iter().any(|change| change.topic == out && change.changed));
        assert_eq!(
            third.segment(out).unwrap().moved_at,
            Some(WallTime(3000)),
            "the first commit that is seen is a move"
        );
        let (fourth, _) = after(&mut names, &none, Asked::Everything, Some(&third), 4);
        assert!(fourth.segments.is_empty(), "of everything, what is not there is gone");
    }

    #[test]
    fn a_topic_that_is_sampled_from_now_on_keeps_the_rows_of_its_sample() {
        let mut names = TopicNames::default();
        let rows = [
            ("a", 0, Ok(Some(1))),
            ("a", 2, Err(29)),
            ("b", 0, Ok(Some(5))),
            ("b", 1, Err(29)),
            ("b", 4, Err(29)),
            ("c", 3, Err(29)),
        ];
        let all = table(&mut names, &rows, None, 1);
        let [a, b, c] = ["a", "b", "c"].map(|name| names.intern(&name.into()).unwrap());
        let sample = Sample::of(LIMIT, 5).unwrap();
        let sampled = all.sampled(&[(b, sample), (c, sample)].into()).unwrap();
        assert_eq!(sampled.partitions, [0, 2, 0, 1].map(PartitionId));
        assert_eq!(sampled.stale.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 3]);
        let samples = [a, b, c].map(|topic| sampled.segment(topic).unwrap().sample);
        assert_eq!(samples, [None, Some(sample), Some(sample)]);
        assert_eq!(sampled.segment(c).unwrap().rows.len(), 0);
        assert_eq!(sampled.sampled(&[(b, sample)].into()), None);
    }
}
