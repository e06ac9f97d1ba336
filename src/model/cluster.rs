//! Brokers, topics and partitions as the cluster's metadata tells them.

use std::sync::Arc;

use super::{BrokerId, KafkaCode, TopicId};

/// A broker that the metadata names: it is registered and not fenced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: BrokerId,
    /// The advertised host, without brackets for IPv6.
    pub host: Arc<str>,
    /// The advertised port.
    pub port: u16,
}

impl Broker {
    /// `host:port`, with brackets around an IPv6 address.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A partition as the metadata tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its number.
    pub id: super::PartitionId,
    /// The leader; `None` when there is none.
    pub leader: Option<BrokerId>,
    /// The replica list; the first one is the preferred leader.
    pub replicas: Vec<BrokerId>,
    /// How many replicas are in sync.
    pub in_sync: u16,
}

/// A topic as the metadata tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: Arc<str>,
    /// What the broker says is wrong with the topic as a whole, if anything.
    pub error: KafkaCode,
    /// Its partitions, in any order.
    pub partitions: Vec<PartitionMetadata>,
}

/// The answer to an all-topics Metadata request. Topics that may not be seen are left out by the broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterMetadata {
    /// The live brokers.
    pub brokers: Vec<Broker>,
    /// Every visible topic, internal ones included.
    pub topics: Vec<TopicMetadata>,
}

/// The answer to DescribeCluster: what the plain metadata lacks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterDescription {
    /// The cluster's id.
    pub cluster_id: Option<Arc<str>>,
    /// The rack of each broker that has one.
    pub racks: Vec<(BrokerId, Arc<str>)>,
}

/// The answer to DescribeTopics for one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, or why it was not told. `Ok(None)`: the broker has none to tell (before KIP-516).
    pub id: Result<Option<TopicId>, KafkaCode>,
}
