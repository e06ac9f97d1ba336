//! Faults of single questions: what goes wrong with calls of one kind while a storm lasts.

use super::dice::Dice;
use super::history::Ms;
use crate::kafka::Operation;
use crate::model::{BrokerId, KafkaCode};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No answer comes.
    Silence,
    /// The answer, or a part of it, is this error.
    Code(KafkaCode),
    /// A part of the answer does not come.
    Missing,
}

/// Calls of one kind go wrong for a while.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storm {
    pub(super) operation: Operation,
    /// At one broker, or at all.
    pub(super) broker: Option<BrokerId>,
    pub(super) trouble: Trouble,
    /// How many in a thousand calls, or rows, meet it.
    pub(super) per_thousand: u64,
    pub(super) until: Ms,
}

/// Every kind of question, with the error codes that Kafka answers it with now and then.
const TROUBLES: [(Operation, &[KafkaCode]); 8] = [
    (Operation::Metadata, &[KafkaCode(-1), KafkaCode::LEADER_NOT_AVAILABLE]),
    (Operation::DescribeCluster, &[KafkaCode(-1)]),
    (Operation::DescribeTopics, &[KafkaCode(-1), KafkaCode::UNKNOWN_TOPIC_OR_PARTITION]),
    (Operation::DescribeConfigs, &[KafkaCode::UNKNOWN_TOPIC_OR_PARTITION]),
    (Operation::ListGroups, &[KafkaCode::COORDINATOR_LOAD_IN_PROGRESS, KafkaCode::COORDINATOR_NOT_AVAILABLE]),
    (
        Operation::DescribeGroups,
        &[KafkaCode::NOT_COORDINATOR, KafkaCode::COORDINATOR_LOAD_IN_PROGRESS, KafkaCode::COORDINATOR_NOT_AVAILABLE],
    ),
    (
        Operation::OffsetFetch,
        &[KafkaCode::NOT_COORDINATOR, KafkaCode::COORDINATOR_LOAD_IN_PROGRESS, UNSTABLE_OFFSET_COMMIT],
    ),
    (
        Operation::ListOffsets,
        &[KafkaCode::NOT_LEADER_OR_FOLLOWER, KafkaCode::LEADER_NOT_AVAILABLE, KafkaCode::LOCAL_NO_OFFSET],
    ),
];

/// A transaction on the partition is not decided yet.
const UNSTABLE_OFFSET_COMMIT: KafkaCode = KafkaCode(88);

impl Storm {
    /// A storm that begins now.
    pub(super) fn begin(dice: &mut Dice, now: Ms, brokers: &[BrokerId]) -> Option<Self> {
        let (operation, codes) = dice.pick(&TROUBLES)?;
        let trouble = match dice.range(0, 3) {
            0 => Trouble::Silence,
            1 => Trouble::Missing,
            _ => Trouble::Code(dice.pick(codes)?),
        };
        let is_of_cluster = is_of_cluster(operation);
        let broker = if is_of_cluster || dice.chance(250) { None } else { dice.pick(brokers) };
        let per_thousand = dice.pick(&[100, 400, 1000])?;
        let most = if dice.chance(100) { 600_000 } else { 90_000 };
        Some(Self { operation, broker, trouble, per_thousand, until: now + dice.range(5_000, most) })
    }

    /// Whether it befalls such a call.
    pub(super) fn is_about(&self, operation: Operation, broker: Option<BrokerId>) -> bool {
        self.operation == operation && (self.broker.is_none() || self.broker == broker)
    }
}

/// Whether a question is put to no broker in particular.
pub(super) fn is_of_cluster(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Metadata | Operation::DescribeCluster | Operation::DescribeTopics | Operation::DescribeConfigs
    )
}
