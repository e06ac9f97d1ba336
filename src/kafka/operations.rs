//! What the exporter is authorized for, as the brokers tell it (KIP-430).

use std::fmt;
use std::sync::Arc;

use super::client::{KafkaClient, Question};
use super::error::Failure;
use super::native::{Event, Handle, Manner, OperationCodes, Row};
use super::{KafkaError, Operation};
use crate::model::{BrokerId, KafkaCode};

/// An ACL operation by its code (Kafka's `AclOperation`); a newer broker may send one that has no name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclOperation(pub i32);

impl AclOperation {
    /// May read records, or a group's offsets.
    pub const READ: Self = Self(3);
    /// May describe: all that the exporter needs, for topics and groups alike, but for the settings of topics.
    pub const DESCRIBE: Self = Self(8);
    /// May read settings: those of topics, which a few metrics hang on.
    pub const DESCRIBE_CONFIGS: Self = Self(10);

    /// Kafka's name, as in `kafka-acls.sh --operation`.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "Any",
            2 => "All",
            3 => "Read",
            4 => "Write",
            5 => "Create",
            6 => "Delete",
            7 => "Alter",
            8 => "Describe",
            9 => "ClusterAction",
            10 => "DescribeConfigs",
            11 => "AlterConfigs",
            12 => "IdempotentWrite",
            13 => "CreateTokens",
            14 => "DescribeTokens",
            15 => "TwoPhaseCommit",
            _ => return None,
        })
    }
}

impl fmt::Display for AclOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "operation {}", self.0),
        }
    }
}

/// What is allowed on one topic or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorized {
    /// The topic or group.
    pub name: Arc<str>,
    /// The operations; `Ok(None)` when the broker does not tell, an error when it cannot be described.
    pub operations: Result<Option<Vec<AclOperation>>, KafkaCode>,
}

impl KafkaClient {
    /// What may be done with the cluster; `None` when the broker does not tell.
    ///
    /// # Errors
    /// When no broker answers in time.
    pub async fn cluster_operations(&self) -> Result<Option<Vec<AclOperation>>, KafkaError> {
        let read = Event::cluster_operations;
        let codes = self.ask_awake(Operation::DescribeCluster, true, Handle::describe_cluster, read).await?;
        Ok(codes.map(named))
    }

    /// What may be done with some topics; a few hundred at most.
    ///
    /// # Errors
    /// When no broker answers in time.
    pub async fn topic_operations(&self, topics: &[Arc<str>]) -> Result<Vec<Authorized>, KafkaError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let submit = |handle: &Handle, manner: &Manner| handle.describe_topics(manner, topics);
        let rows = self.ask_awake(Operation::DescribeTopics, true, submit, Event::topic_operations).await?;
        Ok(rows.into_iter().map(authorized).collect())
    }

    /// What may be done with some groups of one coordinator.
    ///
    /// # Errors
    /// When the call as a whole fails.
    pub async fn group_operations(
        &self,
        coordinator: BrokerId,
        groups: &[Arc<str>],
    ) -> Result<Vec<Authorized>, KafkaError> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let mut question = Question::to(coordinator, Operation::DescribeGroups);
        question.authorized_operations = true;
        let submit = |handle: &Handle, manner: &Manner| handle.describe_groups(manner, groups);
        let rows = self.ask(question, submit, Event::group_operations).await?;
        Ok(rows.into_iter().map(authorized).collect())
    }
}

fn authorized((name, operations): Row<OperationCodes>) -> Authorized {
    Authorized { name, operations: operations.map(|codes| codes.map(named)).map_err(|failure: Failure| failure.code) }
}

fn named(codes: Vec<i32>) -> Vec<AclOperation> {
    codes.into_iter().map(AclOperation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_is_not_known_shows_its_code() {
        assert_eq!(AclOperation::DESCRIBE.to_string(), "Describe");
        assert_eq!(AclOperation(99).to_string(), "operation 99");
    }
}
