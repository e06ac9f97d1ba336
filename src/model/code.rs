//! Kafka's error codes as numbers: a newer broker may send one that no table here knows.

use std::fmt;

/// The codes whose exception in Kafka's client is a `RetriableException` (`org.apache.kafka.common.protocol.Errors` of
/// Kafka 4.3; 3.9 has the same but for the last). All others would only fail again.
const RETRIABLE: [i32; 32] = [
    2, 3, 5, 6, 7, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 84, 88, 89, 100, 103, 106,
    122, 123, 133,
];

/// An error code of the Kafka protocol, or, when negative, one of librdkafka's own.
///
/// Kept as a number because a code that is unknown to this build must not break it.
/// Source of the names: Kafka's protocol guide, "Error codes"; librdkafka's `rd_kafka_resp_err_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KafkaCode(pub i32);

impl KafkaCode {
    /// No error.
    pub const NONE: Self = Self(0);
    /// The broker does not know the topic or partition.
    pub const UNKNOWN_TOPIC_OR_PARTITION: Self = Self(3);
    /// The partition has no leader just now.
    pub const LEADER_NOT_AVAILABLE: Self = Self(5);
    /// The broker that was asked does not lead the partition (any more).
    pub const NOT_LEADER_OR_FOLLOWER: Self = Self(6);
    /// The coordinator is reading its groups from disk.
    pub const COORDINATOR_LOAD_IN_PROGRESS: Self = Self(14);
    /// No coordinator is available just now.
    pub const COORDINATOR_NOT_AVAILABLE: Self = Self(15);
    /// The broker that was asked does not coordinate the group (any more).
    pub const NOT_COORDINATOR: Self = Self(16);
    /// Not allowed to see the topic.
    pub const TOPIC_AUTHORIZATION_FAILED: Self = Self(29);
    /// Not allowed to see the group.
    pub const GROUP_AUTHORIZATION_FAILED: Self = Self(30);
    /// Not allowed to ask the cluster this.
    pub const CLUSTER_AUTHORIZATION_FAILED: Self = Self(31);
    /// The coordinator does not know the group.
    pub const GROUP_ID_NOT_FOUND: Self = Self(69);

    /// librdkafka: an answer could not be read.
    pub const LOCAL_BAD_MSG: Self = Self(-199);
    /// librdkafka: memory or another resource of the machine is used up.
    pub const LOCAL_CRIT_SYS_RESOURCE: Self = Self(-194);
    /// librdkafka: the connection broke.
    pub const LOCAL_TRANSPORT: Self = Self(-195);
    /// librdkafka: a host name could not be resolved.
    pub const LOCAL_RESOLVE: Self = Self(-193);
    /// librdkafka: the question makes no sense to it.
    pub const LOCAL_INVALID_ARG: Self = Self(-186);
    /// librdkafka: no broker could be reached.
    pub const LOCAL_ALL_BROKERS_DOWN: Self = Self(-187);
    /// librdkafka: no answer in time.
    pub const LOCAL_TIMED_OUT: Self = Self(-185);
    /// librdkafka: TLS failed.
    pub const LOCAL_SSL: Self = Self(-181);
    /// librdkafka: SASL authentication failed.
    pub const LOCAL_AUTHENTICATION: Self = Self(-169);
    /// librdkafka: no offset (a partition without a commit, or a partial failure of ListOffsets).
    pub const LOCAL_NO_OFFSET: Self = Self(-168);
    /// librdkafka: timed out before it could be sent.
    pub const LOCAL_TIMED_OUT_QUEUE: Self = Self(-166);
    /// librdkafka: no such thing.
    pub const LOCAL_NOENT: Self = Self(-156);

    /// The name in Kafka's protocol guide of a code that people are likely to meet.
    fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::UNKNOWN_TOPIC_OR_PARTITION => "UNKNOWN_TOPIC_OR_PARTITION",
            Self::LEADER_NOT_AVAILABLE => "LEADER_NOT_AVAILABLE",
            Self::NOT_LEADER_OR_FOLLOWER => "NOT_LEADER_OR_FOLLOWER",
            Self::COORDINATOR_LOAD_IN_PROGRESS => "COORDINATOR_LOAD_IN_PROGRESS",
            Self::COORDINATOR_NOT_AVAILABLE => "COORDINATOR_NOT_AVAILABLE",
            Self::NOT_COORDINATOR => "NOT_COORDINATOR",
            Self::TOPIC_AUTHORIZATION_FAILED => "TOPIC_AUTHORIZATION_FAILED",
            Self::GROUP_AUTHORIZATION_FAILED => "GROUP_AUTHORIZATION_FAILED",
            Self::CLUSTER_AUTHORIZATION_FAILED => "CLUSTER_AUTHORIZATION_FAILED",
            Self::GROUP_ID_NOT_FOUND => "GROUP_ID_NOT_FOUND",
            _ => return None,
        })
    }

    /// Whether the code says that all is well.
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == Self::NONE
    }

    /// Whether no answer came: the broker is silent or away, rather than having said no.
    #[must_use]
    pub fn is_silence(self) -> bool {
        [
            Self::LOCAL_TRANSPORT,
            Self::LOCAL_RESOLVE,
            Self::LOCAL_ALL_BROKERS_DOWN,
            Self::LOCAL_TIMED_OUT,
            Self::LOCAL_TIMED_OUT_QUEUE,
            Self::LOCAL_SSL,
            Self::LOCAL_AUTHENTICATION,
        ]
        .contains(&self)
    }

    /// Whether asking again soon may go better: Kafka calls the code retriable, or no answer came. Failures of TLS and
    /// authentication are not: Kafka's clients do not retry them either.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        let refused = [Self::LOCAL_SSL, Self::LOCAL_AUTHENTICATION].contains(&self);
        // ListOffsets tells of a leader that did not answer by partitions without an offset.
        let unanswered = (self.is_silence() && !refused) || self == Self::LOCAL_NO_OFFSET;
        unanswered || RETRIABLE.contains(&self.0)
    }

    /// Whether the group's coordinator is elsewhere, loading or not elected: the group itself may be well.
    #[must_use]
    pub fn is_coordinator_moving(self) -> bool {
        [Self::COORDINATOR_LOAD_IN_PROGRESS, Self::COORDINATOR_NOT_AVAILABLE, Self::NOT_COORDINATOR].contains(&self)
    }
}

impl fmt::Display for KafkaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "Kafka error {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_retriable_and_what_needs_a_person_is_not() {
        for code in [
            KafkaCode::NOT_LEADER_OR_FOLLOWER,
            KafkaCode::NOT_COORDINATOR,
            KafkaCode::COORDINATOR_LOAD_IN_PROGRESS,
            KafkaCode::UNKNOWN_TOPIC_OR_PARTITION,
            KafkaCode::LOCAL_TIMED_OUT,
            KafkaCode::LOCAL_TRANSPORT,
        ] {
            assert!(code.is_retriable(), "{code}");
        }
        for code in [
            KafkaCode::NONE,
            KafkaCode::TOPIC_AUTHORIZATION_FAILED,
            KafkaCode::GROUP_AUTHORIZATION_FAILED,
            KafkaCode::GROUP_ID_NOT_FOUND,
            KafkaCode::LOCAL_AUTHENTICATION,
            KafkaCode::LOCAL_SSL,
            KafkaCode::LOCAL_INVALID_ARG,
            KafkaCode(-1),
        ] {
            assert!(!code.is_retriable(), "{code}");
        }
    }
}
