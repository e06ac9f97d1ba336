//! The commits collector: what each group has committed, one call a group at its coordinator.

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;

use super::ask::Asker;
use super::clock::Clock;
use super::groups::by_coordinator;
use super::report::PassReport;
use super::settings::TopicScope;
use crate::kafka::{KafkaApi, KafkaError, Operation, Target};
use crate::model::{CommittedOffsets, PartitionId, TopicPartitions};
use crate::state::{CollectorName, ReadAt, World};

/// With a topic filter that leaves at most this many partitions, a group is asked for these by name, so that the
/// filter spares Kafka the work; with more, naming them costs more than the group's whole answer.
const MAX_NAMED_PARTITIONS: usize = 500;

/// Asks for the commits of every group and takes the answers in.
pub(super) async fn ask<K: KafkaApi>(
    asker: &Asker<K>,
    world: &mut World,
    scope: &TopicScope,
    clock: &impl Clock,
    report: &mut PassReport,
) {
    let round = world.round;
    let named = named_partitions(world, scope);
    let named = named.as_deref();
    let mut answers = pin!(asker.answers(by_coordinator(world), |coordinator, group: Arc<str>| async move {
        let call = asker.api.committed_offsets(coordinator, &group, named);
        let target = Target::Group(group.clone(), coordinator);
        let result: Result<CommittedOffsets, KafkaError> = asker.broker(Operation::OffsetFetch, target, call).await;
        (group, ReadAt { round, instants: clock.now() }, result)
    }));
    while let Some((group, read, result)) = answers.next().await {
        match result {
            Ok(commits) => {
                if let Some(error) = failure(world, &group, &commits) {
                    report.fail(CollectorName::Commits, error);
                }
                world.apply_commits(&group, &commits, |topic| scope.names.matches(topic), read);
            }
            Err(error) => report.fail(CollectorName::Commits, error),
        }
    }
}

/// The partitions to name, when a topic filter makes them few.
fn named_partitions(world: &World, scope: &TopicScope) -> Option<Vec<TopicPartitions>> {
    if scope.names.is_everything() {
        return None;
    }
    let total: usize = world.topics_by_name().map(|(_, table)| table.partitions()).sum();
    if total == 0 || total > MAX_NAMED_PARTITIONS {
        return None;
    }
    let named = world.topics_by_name().map(|(_, table)| TopicPartitions {
        topic: table.name.clone(),
        partitions: (0..table.partitions()).filter_map(PartitionId::from_index).collect(),
    });
    Some(named.collect())
}

/// The rows that the coordinator could not tell, as one error.
fn failure(world: &World, group: &Arc<str>, commits: &CommittedOffsets) -> Option<KafkaError> {
    let rows = || commits.topics.iter().flat_map(|topic| topic.rows.iter().map(move |row| (&topic.topic, row)));
    let failed = || rows().filter_map(|(topic, row)| Some((topic, row.partition, row.offset.err()?)));
    let (topic, partition, code) = failed().next()?;
    let text = format!("no committed offset for {} partitions, {topic}-{partition} among them", failed().count());
    let coordinator = world.groups.get(group)?.coordinator;
    Some(KafkaError {
        operation: Operation::OffsetFetch,
        target: Target::Group(group.clone(), coordinator),
        cause: crate::kafka::Cause::Code { code, text },
    })
}
