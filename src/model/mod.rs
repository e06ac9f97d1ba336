//! The facts about a Kafka cluster as plain data: no IO, no clocks, no metrics.

mod cluster;
mod code;
mod commit_stream;
mod group;
pub(crate) mod heap;
mod ids;
mod offsets;
mod predicate;
mod state_bytes;
mod stats;
mod status;
mod time;
mod topic_settings;

pub use cluster::{Broker, ClusterDescription, ClusterMetadata, PartitionMetadata, TopicDescription, TopicMetadata};
pub use code::KafkaCode;
pub use commit_stream::StreamState;
pub use group::{GroupDescription, GroupKind, GroupListing, GroupState, TopicAssignment};
pub use ids::{BrokerId, MaybeMessages, MaybeOffset, Messages, Offset, PartitionId, TopicId};
pub use offsets::{
    CommittedOffsets, CommittedPartition, ListedPartition, OffsetSpec, TimedPartition, TopicPartitions, TopicRows,
    TopicTimes,
};
pub use predicate::NamePredicate;
pub use state_bytes::{StateBytes, StatePart};
pub use stats::{BreakerState, BrokerConnection, ConnectionStats};
pub use status::{GroupStatus, TimeLagMethod};
pub use time::{Instants, MaxAge, Moment, WallTime};
pub use topic_settings::{Cleanup, DescribedSettings, NoSettings, Retention, TopicSettingError, TopicSettings};
