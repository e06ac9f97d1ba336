//! What can go wrong with a call to Kafka: the operation, the target and the cause, in one line that a person understands.

use std::fmt;
use std::sync::Arc;

use crate::model::{BrokerId, KafkaCode};

/// A code of Kafka or librdkafka with what it says, before it is known which call it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// The code.
    pub(super) code: KafkaCode,
    /// What Kafka or librdkafka says of it.
    pub(super) text: String,
}

impl Failure {
    /// The failure of one call.
    pub(super) fn of(self, operation: Operation, target: Target) -> KafkaError {
        KafkaError { operation, target, cause: Cause::Code { code: self.code, text: self.text } }
    }
}

/// The question that was asked, in Kafka's own terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Set up the client.
    Connect,
    /// Metadata for all topics.
    Metadata,
    /// DescribeCluster.
    DescribeCluster,
    /// DescribeTopics.
    DescribeTopics,
    /// DescribeConfigs.
    DescribeConfigs,
    /// ListGroups.
    ListGroups,
    /// ConsumerGroupDescribe and DescribeGroups.
    DescribeGroups,
    /// OffsetFetch.
    OffsetFetch,
    /// ListOffsets.
    ListOffsets,
}

impl Operation {
    /// The name of the API, as in Kafka's protocol; the value of the label `api`.
    #[must_use]
    pub fn api(self) -> &'static str {
        match self {
            Self::Connect => "Connect",
            Self::Metadata => "Metadata",
            Self::DescribeCluster => "DescribeCluster",
            Self::DescribeTopics => "DescribeTopics",
            Self::DescribeConfigs => "DescribeConfigs",
            Self::ListGroups => "ListGroups",
            Self::DescribeGroups => "DescribeGroups",
            Self::OffsetFetch => "OffsetFetch",
            Self::ListOffsets => "ListOffsets",
        }
    }
}

/// Whom or what the question was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The cluster as a whole.
    Cluster,
    /// One broker.
    Broker(BrokerId),
    /// One group at its coordinator.
    Group(Arc<str>, BrokerId),
}

impl Target {
    /// The broker that was asked, when it was a certain one.
    #[must_use]
    pub fn broker(&self) -> Option<BrokerId> {
        match self {
            Self::Cluster => None,
            Self::Broker(broker) | Self::Group(_, broker) => Some(*broker),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("cluster"),
            Self::Broker(broker) => write!(f, "broker {broker}"),
            Self::Group(group, broker) => write!(f, "group {group:?} at broker {broker}"),
        }
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Kafka or librdkafka gave a code; the text says what it means and, where known, the detail.
    #[error("{text} ({})", code.0)]
    Code {
        /// The code.
        code: KafkaCode,
        /// What it means.
        text: String,
    },
    /// librdkafka does not take the client's properties.
    #[error("{0}")]
    Property(String),
    /// As many calls as this client may have in flight already wait for an answer.
    #[error("not asked: {0} calls already wait for an answer")]
    TooManyInFlight(usize),
    /// The exporter's own outer limit passed: librdkafka gave no answer at all.
    #[error("no answer at all")]
    NoAnswer,
    /// The broker did not answer lately and was not asked again in this pass.
    #[error("not asked: the broker did not answer lately")]
    NotAsked,
    /// The client is shutting down.
    #[error("the client is shutting down")]
    Closed,
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} to {target} failed: {cause}", operation.api())]
pub struct KafkaError {
    /// What was asked.
    pub operation: Operation,
    /// Of whom.
    pub target: Target,
    /// Why it failed.
    pub cause: Cause,
}

impl KafkaError {
    /// The code, when Kafka or librdkafka gave one.
    #[must_use]
    pub fn code(&self) -> Option<KafkaCode> {
        match &self.cause {
            Cause::Code { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the question was put to Kafka at all.
    #[must_use]
    pub fn was_asked(&self) -> bool {
        !matches!(self.cause, Cause::NotAsked | Cause::TooManyInFlight(_) | Cause::Closed | Cause::Property(_))
    }

    /// Whether no answer came, as opposed to a refusal.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        match &self.cause {
            Cause::Code { code, .. } => code.is_silence(),
            Cause::NoAnswer => true,
            _ => false,
        }
    }

    /// Whether asking again soon may go better: Kafka calls the code retriable, no answer came, or the question was not
    /// put for a reason that passes.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match &self.cause {
            Cause::Code { code, .. } => code.is_retriable(),
            Cause::NoAnswer | Cause::NotAsked | Cause::TooManyInFlight(_) => true,
            Cause::Property(_) | Cause::Closed => false,
        }
    }
}
