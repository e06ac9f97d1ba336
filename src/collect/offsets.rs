//! The offsets collector: log start and end of every partition, asked of the partition's leader.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;

use super::ask::Asker;
use super::interest::Interest;
use super::report::PassReport;
use crate::kafka::{Cause, KafkaApi, KafkaError, Operation, Target};
use crate::model::{BrokerId, KafkaCode, ListedPartition, MaxAge, OffsetSpec, PartitionId, TopicPartitions, TopicRows};
use crate::schedule::Answer;
use crate::state::{CollectorName, ReadAt, TopicIx, TopicTable, World};

/// Partitions a ListOffsets call. librdkafka merges answers in quadratic time and a call has a fixed cost:
/// measured, 100 to 200 cost least, for the broker as well.
const PARTITIONS_PER_CALL: usize = 150;

type Rows = Vec<TopicRows<ListedPartition>>;

/// What became of the question for one topic's offsets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    /// Whether an offset differs from the one that was known.
    pub(super) changed: bool,
    /// How far they rose, all partitions together.
    pub(super) advanced: u64,
    /// Whether an end fell.
    pub(super) fell: bool,
    /// Whether some of it was told.
    told: bool,
    /// What went wrong with a part of it.
    failure: Option<Answer>,
}

impl Outcome {
    /// For the scheduler.
    pub(super) fn answer(&self) -> Answer {
        match self.failure {
            _ if self.changed => Answer::Moved,
            // The other part was asked: it must not be at every tick.
            Some(Answer::NotAsked) if self.told => Answer::Failed,
            Some(failure) => failure,
            None => Answer::Still,
        }
    }

    /// What went wrong with a part of it, if anything did.
    pub(super) fn failure(&self) -> Option<Answer> {
        self.failure
    }

    /// Whether a part of it was not told.
    pub(super) fn is_incomplete(&self) -> bool {
        self.failure.is_some()
    }

    /// The worse of two failures is the one to ask again for.
    fn fail(&mut self, failure: Answer) {
        let is_worse = self.failure.is_none_or(|known| failure == Answer::Failed && known != Answer::Failed);
        if is_worse {
            self.failure = Some(failure);
        }
    }
}

/// How a failure is taken by the scheduler.
pub(super) fn failure_answer(error: &KafkaError) -> Answer {
    match error.cause {
        Cause::NotAsked => Answer::NotAsked,
        _ if error.is_retriable() => Answer::Failed,
        _ => Answer::Refused,
    }
}

/// The partitions whose offsets are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// All of these topics that are wanted; of sampled ones those of the sample.
    Topics(&'a BTreeSet<TopicIx>, &'a Interest),
    /// These, by topic and place.
    Places(&'a BTreeSet<(TopicIx, usize)>),
}

impl Which<'_> {
    /// The topics, each once or oftener.
    fn topics(&self) -> Box<dyn Iterator<Item = TopicIx> + '_> {
        match self {
            Self::Topics(topics, _) => Box::new(topics.iter().copied()),
            Self::Places(places) => Box::new(places.iter().map(|(ix, _)| *ix)),
        }
    }
}

/// Asks for one kind of offset of some partitions, as far as they have leaders, and takes the answers in. `max_age` says
/// how old a topic's may get. Returns what became of each topic that was asked for.
pub(super) async fn ask<K: KafkaApi>(
    asker: &Asker<K>,
    world: &mut World,
    spec: OffsetSpec,
    which: Which<'_>,
    max_age: impl Fn(TopicIx) -> MaxAge,
    read: ReadAt,
    report: &mut PassReport,
) -> HashMap<TopicIx, Outcome> {
    let plan = plan(world, which);
    plan.iter().for_each(|(leader, calls)| report.count_requests(*leader, calls.len()));
    // A topic of which no partition has a leader cannot move.
    let mut outcomes: HashMap<TopicIx, Outcome> = which.topics().map(|ix| (ix, Outcome::default())).collect();
    let mut answers = pin!(asker.answers(plan, |leader, partitions: Vec<TopicPartitions>| async move {
        let call = asker.api.list_offsets(leader, spec, &partitions);
        let result: Result<Rows, KafkaError> = asker.broker(Operation::ListOffsets, Target::Broker(leader), call).await;
        (leader, partitions, result)
    }));
    while let Some((leader, partitions, result)) = answers.next().await {
        match result {
            Ok(rows) => {
                if let Some(error) = failure(leader, &rows, |row| (row.partition, row.offset.err())) {
                    if error.is_silence() {
                        asker.silent(leader);
                    }
                    report.fail(CollectorName::Offsets, error);
                }
                note_rows(world, &partitions, &rows, &mut outcomes);
                for change in world.apply_offsets(spec, &rows, &max_age, read) {
                    let outcome = outcomes.entry(change.topic).or_default();
                    outcome.changed |= change.changed;
                    outcome.advanced += change.advanced;
                    outcome.fell |= change.fell;
                }
            }
            Err(error) => {
                let failure = failure_answer(&error);
                places(world, &partitions).for_each(|ix| outcomes.entry(ix).or_default().fail(failure));
                report.fail(CollectorName::Offsets, error);
            }
        }
    }
    outcomes
}

fn places<'a>(world: &'a World, partitions: &'a [TopicPartitions]) -> impl Iterator<Item = TopicIx> + 'a {
    partitions.iter().filter_map(|topic| world.names.get(&topic.topic))
}

/// Takes note of rows that failed and of those that are not there.
fn note_rows(
    world: &World,
    asked: &[TopicPartitions],
    rows: &[TopicRows<ListedPartition>],
    outcomes: &mut HashMap<TopicIx, Outcome>,
) {
    let answered: HashMap<&str, &TopicRows<ListedPartition>> =
        rows.iter().map(|topic| (topic.topic.as_ref(), topic)).collect();
    for topic in asked {
        let Some(ix) = world.names.get(&topic.topic) else { continue };
        let rows = answered.get(topic.topic.as_ref()).map_or(&[][..], |topic| &topic.rows);
        let outcome = outcomes.entry(ix).or_default();
        if rows.len() < topic.partitions.len() {
            outcome.fail(Answer::Failed);
        }
        outcome.told |= rows.iter().any(|row| row.offset.is_ok());
        for code in rows.iter().filter_map(|row| row.offset.err()) {
            outcome.fail(if code.is_retriable() { Answer::Failed } else { Answer::Refused });
        }
    }
}

/// The partitions by leader, in lists of a bounded length.
fn plan(world: &World, which: Which<'_>) -> BTreeMap<BrokerId, Vec<Vec<TopicPartitions>>> {
    let mut plan: BTreeMap<BrokerId, Queue> = BTreeMap::new();
    let mut add = |table: &TopicTable, place: usize| {
        let leader = table.placements.get(place).and_then(|placement| placement.leader);
        if let (Some(leader), Some(partition)) = (leader, PartitionId::from_index(place)) {
            plan.entry(leader).or_default().push(&table.name, partition);
        }
    };
    match which {
        Which::Topics(topics, interest) => {
            for (ix, table) in topics.iter().filter_map(|ix| Some((*ix, world.topic(*ix)?))) {
                interest.places(ix, table).for_each(|place| add(table, place));
            }
        }
        Which::Places(places) => {
            let places = places.iter().filter_map(|(ix, place)| Some((world.topic(*ix)?, *place)));
            places.for_each(|(table, place)| add(table, place));
        }
    }
    plan.into_iter().map(|(leader, queue)| (leader, queue.calls)).collect()
}

/// The calls to one leader while they are filled.
#[derive(Default)]
struct Queue {
    calls: Vec<Vec<TopicPartitions>>,
    in_last: usize,
}

impl Queue {
    fn push(&mut self, topic: &Arc<str>, partition: PartitionId) {
        if self.calls.is_empty() || self.in_last == PARTITIONS_PER_CALL {
            self.calls.push(Vec::new());
            self.in_last = 0;
        }
        self.in_last += 1;
        let Some(call) = self.calls.last_mut() else { return };
        match call.last_mut() {
            Some(last) if Arc::ptr_eq(&last.topic, topic) => last.partitions.push(partition),
            _ => call.push(TopicPartitions { topic: topic.clone(), partitions: vec![partition] }),
        }
    }
}

/// The failed rows of an answer as one error, if there are any.
///
/// librdkafka reports a leader that never answered as rows without an offset and without an error, so an answer of
/// which no row has an offset for that reason is silence.
pub(super) fn failure<R>(
    leader: BrokerId,
    rows: &[TopicRows<R>],
    row_of: impl Fn(&R) -> (PartitionId, Option<KafkaCode>),
) -> Option<KafkaError> {
    let all = || rows.iter().flat_map(|topic| topic.rows.iter().map(move |row| (&topic.topic, row)));
    let row_of = &row_of;
    let failed = || {
        all().filter_map(|(topic, row)| {
            let (partition, code) = row_of(row);
            Some((topic, partition, code?))
        })
    };
    let (topic, partition, code) = failed().next()?;
    let count = failed().count();
    let is_unanswered = |code: KafkaCode| code == KafkaCode::LOCAL_NO_OFFSET || code.is_silence();
    let cause = if count == all().count() && failed().all(|(_, _, code)| is_unanswered(code)) {
        Cause::NoAnswer
    } else {
        Cause::Code { code, text: format!("no offset for {count} partitions, {topic}-{partition} among them") }
    };
    Some(KafkaError { operation: Operation::ListOffsets, target: Target::Broker(leader), cause })
}
