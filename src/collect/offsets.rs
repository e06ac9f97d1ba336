//! The offsets collector: log start and end of every partition, asked of the partition's leader.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;

use super::ask::Asker;
use super::report::PassReport;
use crate::kafka::{Cause, KafkaApi, KafkaError, Operation, Target};
use crate::model::{BrokerId, KafkaCode, ListedPartition, OffsetSpec, PartitionId, TopicPartitions, TopicRows};
use crate::state::{CollectorName, ReadAt, World};

/// Partitions a ListOffsets call. librdkafka merges answers in quadratic time and a call has a fixed cost:
/// measured, 100 to 250 cost least, for the broker as well.
const PARTITIONS_PER_CALL: usize = 200;

type Rows = Vec<TopicRows<ListedPartition>>;

/// Asks for one kind of offset of every partition that has a leader, and takes the answers in.
///
/// Returns the topics of which an end fell.
pub(super) async fn ask<K: KafkaApi>(
    asker: &Asker<K>,
    world: &mut World,
    spec: OffsetSpec,
    read: ReadAt,
    report: &mut PassReport,
) -> Vec<Arc<str>> {
    let mut answers = pin!(asker.answers(plan(world), |leader, partitions: Vec<TopicPartitions>| async move {
        let call = asker.api.list_offsets(leader, spec, &partitions);
        let result: Result<Rows, KafkaError> = asker.broker(Operation::ListOffsets, Target::Broker(leader), call).await;
        (leader, result)
    }));
    let mut fell = Vec::new();
    while let Some((leader, result)) = answers.next().await {
        match result {
            Ok(rows) => {
                if let Some(error) = failure(leader, &rows) {
                    if error.is_silence() {
                        asker.breakers().silent(leader);
                    }
                    report.fail(CollectorName::Offsets, error);
                }
                fell.extend(world.apply_offsets(spec, &rows, read));
            }
            Err(error) => report.fail(CollectorName::Offsets, error),
        }
    }
    fell.sort_unstable();
    fell.dedup();
    fell
}

/// The partitions by leader, in lists of a bounded length.
fn plan(world: &World) -> BTreeMap<BrokerId, Vec<Vec<TopicPartitions>>> {
    let mut plan: BTreeMap<BrokerId, Queue> = BTreeMap::new();
    for (_, table) in world.topics_by_name() {
        for (place, placement) in table.placements.iter().enumerate() {
            if let (Some(leader), Some(partition)) = (placement.leader, PartitionId::from_index(place)) {
                plan.entry(leader).or_default().push(&table.name, partition);
            }
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
fn failure(leader: BrokerId, rows: &[TopicRows<ListedPartition>]) -> Option<KafkaError> {
    let all = || rows.iter().flat_map(|topic| topic.rows.iter().map(move |row| (&topic.topic, row)));
    let failed = || all().filter_map(|(topic, row)| Some((topic, row.partition, row.offset.err()?)));
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
