//! The commits collector: what each group has committed, asked of its coordinator: everything, or topic by topic.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;

use super::ask::Asker;
use super::clock::Clock;
use super::offsets::failure_answer;
use super::plan::{CommitQuestion, CommitScope};
use super::report::PassReport;
use super::settings::TopicScope;
use crate::kafka::{Cause, IS_OFFSET_FETCH_LINEAR, KafkaApi, KafkaError, Operation, Target};
use crate::model::{BrokerId, CommittedOffsets, MaxAge, PartitionId, TopicPartitions};
use crate::schedule::Answer;
use crate::state::{Asked, CollectorName, CommitChange, ReadAt, TopicIx, TopicTable, World};

/// With a topic filter that leaves at most this many partitions, a group is asked for these by name, so that the
/// filter spares Kafka the work; with more, naming them costs more than the group's whole answer.
const MAX_NAMED_PARTITIONS: usize = 500;
/// Partitions that one call names; a topic is never spread over two calls. Measured, a call costs as much as 100 rows.
/// Where librdkafka's cost for an answer grows with the square of its rows, 200 cost least.
pub(super) const PARTITIONS_PER_CALL: usize = if IS_OFFSET_FETCH_LINEAR { 1000 } else { 200 };

/// What became of a question for a group's commits.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The group.
    pub(super) group: Arc<str>,
    /// Whether all its commits were asked for.
    pub(super) is_full: bool,
    /// The topics that were due.
    pub(super) due: Vec<TopicIx>,
    /// What changed, topic by topic, or why nothing is known.
    pub(super) result: Result<Vec<CommitChange>, Answer>,
}

/// One call.
struct Call {
    group: Arc<str>,
    is_full: bool,
    due: Vec<TopicIx>,
    named: Option<Vec<(TopicIx, Vec<PartitionId>)>>,
    partitions: Option<Vec<TopicPartitions>>,
}

/// Whether it costs less to ask for all commits of a group, which has so many rows, than to name so many partitions:
/// measured, a row that is named costs twice one that is not. What is not due must be taken in with the rest.
pub(super) fn is_everything_cheaper(rows: usize, named: Option<usize>) -> bool {
    IS_OFFSET_FETCH_LINEAR && named.is_some_and(|named| named.saturating_mul(3) > rows.saturating_mul(2))
}

/// Asks for commits and takes the answers in. `max_age` says how old a group's commits on a topic may get.
pub(super) async fn ask<K: KafkaApi>(
    asker: &Asker<K>,
    world: &mut World,
    questions: Vec<CommitQuestion>,
    scope: &TopicScope,
    max_age: impl Fn(&str, TopicIx) -> MaxAge,
    clock: &impl Clock,
    report: &mut PassReport,
) -> Vec<Outcome> {
    let round = world.round;
    let is_member = |question: &CommitQuestion| super::brokers::members(world).any(|id| id == question.coordinator);
    let (questions, away): (Vec<_>, Vec<_>) = questions.into_iter().partition(is_member);
    let calls = calls(world, questions, scope);
    calls.iter().for_each(|(coordinator, calls)| report.count_requests(*coordinator, calls.len()));
    let mut answers = pin!(asker.answers(calls, |coordinator, call: Call| async move {
        let asked = asker.api.committed_offsets(coordinator, &call.group, call.partitions.as_deref());
        let target = Target::Group(call.group.clone(), coordinator);
        let result: Result<CommittedOffsets, KafkaError> = asker.broker(Operation::OffsetFetch, target, asked).await;
        (call, ReadAt { round, instants: clock.now() }, result)
    }));
    // Nobody can be asked about the groups whose coordinator is not in the cluster.
    let not_asked = |CommitQuestion { group, topics, .. }: CommitQuestion| {
        let is_full = matches!(topics, CommitScope::Everything(_));
        Outcome { group, is_full, due: topics.due().to_vec(), result: Err(Answer::NotAsked) }
    };
    let mut outcomes: Vec<Outcome> = away.into_iter().map(not_asked).collect();
    while let Some((call, read, result)) = answers.next().await {
        let Call { group, is_full, due, named, .. } = call;
        let result = match result {
            Ok(commits) => {
                if let Some(error) = failure(world, &group, &commits) {
                    report.fail(CollectorName::Commits, error);
                }
                let asked = named.as_deref().map_or(Asked::Everything, Asked::Named);
                let shown = |topic: &str| scope.names.matches(topic);
                Ok(world.apply_commits(&group, &commits, asked, shown, &|topic| max_age(&group, topic), read))
            }
            Err(error) => {
                let answer = failure_answer(&error);
                report.fail(CollectorName::Commits, error);
                Err(answer)
            }
        };
        outcomes.push(Outcome { group, is_full, due, result });
    }
    outcomes
}

/// The calls by coordinator, as far as that is in the cluster.
fn calls(world: &World, questions: Vec<CommitQuestion>, scope: &TopicScope) -> BTreeMap<BrokerId, Vec<Call>> {
    let few = few_partitions(world, scope);
    let mut calls: BTreeMap<BrokerId, Vec<Call>> =
        super::brokers::members(world).map(|broker| (broker, Vec::new())).collect();
    for CommitQuestion { group, coordinator, topics } in questions {
        let Some(queue) = calls.get_mut(&coordinator) else { continue };
        match topics {
            CommitScope::Everything(due) => {
                // What the filter leaves, named, is still everything that is shown.
                queue.push(Call { group, is_full: true, due, named: None, partitions: few.clone() });
            }
            CommitScope::Topics(due) => queue.extend(chunks(world, due).map(|due| {
                let named = named(world, due.clone(), TopicTable::asked);
                let partitions = Some(partitions(world, &named));
                Call { group: group.clone(), is_full: false, due, named: Some(named), partitions }
            })),
        }
    }
    calls
}

/// Cuts topics into lists of a bounded number of partitions.
fn chunks(world: &World, topics: Vec<TopicIx>) -> impl Iterator<Item = Vec<TopicIx>> {
    let (mut chunks, mut in_last): (Vec<Vec<TopicIx>>, usize) = (Vec::new(), 0);
    for topic in topics {
        let count = world.topic(topic).map_or(0, |table| table.asked());
        match chunks.last_mut().filter(|_| in_last + count <= PARTITIONS_PER_CALL) {
            Some(last) => {
                last.push(topic);
                in_last += count;
            }
            None => {
                chunks.push(vec![topic]);
                in_last = count;
            }
        }
    }
    chunks.into_iter()
}

/// Topics with their first partitions, so many of each.
pub(super) fn named(
    world: &World,
    topics: Vec<TopicIx>,
    count: impl Fn(&TopicTable) -> usize,
) -> Vec<(TopicIx, Vec<PartitionId>)> {
    let tables = topics.into_iter().filter_map(|ix| Some((ix, world.topic(ix)?)));
    tables.map(|(ix, table)| (ix, (0..count(table)).filter_map(PartitionId::from_index).collect())).collect()
}

fn partitions(world: &World, named: &[(TopicIx, Vec<PartitionId>)]) -> Vec<TopicPartitions> {
    let rows = named.iter().filter_map(|(ix, partitions)| {
        Some(TopicPartitions { topic: world.topic(*ix)?.name.clone(), partitions: partitions.clone() })
    });
    rows.collect()
}

/// All partitions, when a topic filter makes them few. Of sampled topics too: this stands for a full answer, which tells
/// whether a group has commits outside the sample.
fn few_partitions(world: &World, scope: &TopicScope) -> Option<Vec<TopicPartitions>> {
    if scope.names.is_everything() {
        return None;
    }
    let total: usize = world.topics_by_name().map(|(_, table)| table.partitions()).sum();
    (total > 0 && total <= MAX_NAMED_PARTITIONS)
        .then(|| partitions(world, &named(world, world.topic_order.to_vec(), TopicTable::partitions)))
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
        cause: Cause::Code { code, text },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_asked_for_when_most_of_it_would_be_named() {
        assert!(!is_everything_cheaper(300, Some(200)));
        assert_eq!(is_everything_cheaper(300, Some(201)), IS_OFFSET_FETCH_LINEAR);
        assert!(!is_everything_cheaper(300, None), "naming spares what is not sampled");
    }
}
