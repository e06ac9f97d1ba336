//! The narrow seam towards Kafka: the dozen questions that an exporter asks.
//!
//! Collectors know this trait only, so that tests can stand in for a cluster and calls that
//! librdkafka lacks can come from elsewhere.

use std::future::Future;
use std::sync::Arc;

use super::KafkaError;
use crate::model::{
    BrokerId, ClusterDescription, ClusterMetadata, CommittedOffsets, GroupDescription, GroupListing, ListedPartition,
    OffsetSpec, TimedPartition, TopicDescription, TopicPartitions, TopicRows, TopicTimes,
};

/// One group's part of a DescribeGroups answer.
#[derive(Debug)]
pub struct GroupReply {
    /// The group that was asked for.
    pub group: Arc<str>,
    /// Its description, or why there is none.
    pub description: Result<GroupDescription, KafkaError>,
}

/// What the exporter asks of one cluster. Every call ends with an answer or an error: within the client's request
/// time-out, or twice that for a call that takes two requests.
pub trait KafkaApi: Send + Sync + 'static {
    /// Brokers, topics and partitions, by one all-topics Metadata request.
    ///
    /// # Errors
    /// When no broker answers in time.
    fn metadata(&self) -> impl Future<Output = Result<ClusterMetadata, KafkaError>> + Send;

    /// Cluster id and racks.
    ///
    /// # Errors
    /// When no broker answers in time.
    fn describe_cluster(&self) -> impl Future<Output = Result<ClusterDescription, KafkaError>> + Send;

    /// The ids of some topics (KIP-516). Ask for a few hundred at most: librdkafka's matching is quadratic.
    ///
    /// # Errors
    /// When no broker answers in time; a single topic's failure is in its row.
    fn describe_topics(
        &self,
        topics: &[Arc<str>],
    ) -> impl Future<Output = Result<Vec<TopicDescription>, KafkaError>> + Send;

    /// The groups that one broker coordinates. Share and streams groups are not among them.
    ///
    /// # Errors
    /// When this broker does not answer in time or refuses.
    fn list_groups(&self, broker: BrokerId) -> impl Future<Output = Result<Vec<GroupListing>, KafkaError>> + Send;

    /// Groups as their coordinator describes them. An empty list is answered without asking.
    ///
    /// # Errors
    /// When the call as a whole fails; a single group's failure is in its reply.
    fn describe_groups(
        &self,
        coordinator: BrokerId,
        groups: &[Arc<str>],
    ) -> impl Future<Output = Result<Vec<GroupReply>, KafkaError>> + Send;

    /// The committed offsets of one group: of the named partitions, or of all (`None`).
    ///
    /// # Errors
    /// When the coordinator does not answer in time or refuses; a single partition's failure is in its row.
    fn committed_offsets(
        &self,
        coordinator: BrokerId,
        group: &Arc<str>,
        partitions: Option<&[TopicPartitions]>,
    ) -> impl Future<Output = Result<CommittedOffsets, KafkaError>> + Send;

    /// The start, end or last stable offsets of partitions that share a leader. Ask for 100 to 250 at once.
    ///
    /// # Errors
    /// When the leader does not answer in time; a single partition's failure is in its row.
    fn list_offsets(
        &self,
        leader: BrokerId,
        spec: OffsetSpec,
        partitions: &[TopicPartitions],
    ) -> impl Future<Output = Result<Vec<TopicRows<ListedPartition>>, KafkaError>> + Send;

    /// Which records times map to (ListOffsets by timestamp), in partitions that share a leader: the first record in the
    /// log whose timestamp is not before the time. Timestamps need not be in order: with `CreateTime` they are the
    /// producers'. A partition at most once per call; ask for 100 to 250 at once.
    ///
    /// # Errors
    /// When the leader does not answer in time; a single partition's failure is in its row.
    fn offsets_at(
        &self,
        leader: BrokerId,
        times: &[TopicTimes],
    ) -> impl Future<Output = Result<Vec<TopicRows<TimedPartition>>, KafkaError>> + Send;
}
