//! What Kafka's own admin client says about a cluster.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A cluster as Kafka sees it; topics and groups are those of the prefixes asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Truth {
    pub(crate) cluster_id: String,
    pub(crate) brokers: Vec<BrokerTruth>,
    pub(crate) topics: BTreeMap<String, TopicTruth>,
    pub(crate) groups: BTreeMap<String, GroupTruth>,
}

/// A broker that is registered and not fenced.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct BrokerTruth {
    pub(crate) id: i32,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) rack: Option<String>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct TopicTruth {
    pub(crate) id: String,
    pub(crate) internal: bool,
    pub(crate) partitions: Vec<PartitionTruth>,
    /// `retention.ms`, `cleanup.policy` and `min.insync.replicas`, as they are in force.
    pub(crate) configs: BTreeMap<String, String>,
}

impl TopicTruth {
    /// A setting that is a number.
    pub(crate) fn number(&self, setting: &str) -> Option<f64> {
        self.configs.get(setting)?.parse().ok()
    }
}

/// A partition; offsets are absent when its leader is, or does not answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct PartitionTruth {
    pub(crate) partition: i32,
    pub(crate) leader: Option<i32>,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    pub(crate) earliest: Option<i64>,
    /// The high watermark.
    pub(crate) latest: Option<i64>,
    /// The last stable offset: where a reader of committed records ends.
    pub(crate) stable: Option<i64>,
}

/// A group; `state` and `type` in Kafka's own words ("Stable", "Classic").
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct GroupTruth {
    pub(crate) state: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Commits without ever having had members.
    pub(crate) simple: bool,
    pub(crate) assignor: String,
    pub(crate) coordinator: Option<i32>,
    pub(crate) members: Vec<MemberTruth>,
    pub(crate) offsets: Vec<CommitTruth>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct MemberTruth {
    pub(crate) member_id: String,
    pub(crate) client_id: String,
    pub(crate) host: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) assignment: Vec<Partition>,
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(crate) struct Partition {
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct CommitTruth {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Truth {
    /// A partition, if topic and partition exist.
    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionTruth> {
        self.topics.get(topic)?.partitions.iter().find(|row| row.partition == partition)
    }

    /// What a group has committed for a partition.
    pub(crate) fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.groups.get(group)?.committed(topic, partition)
    }
}

impl GroupTruth {
    /// What it has committed for a partition.
    pub(crate) fn committed(&self, topic: &str, partition: i32) -> Option<i64> {
        let row = self.offsets.iter().find(|row| row.topic == topic && row.partition == partition)?;
        Some(row.offset)
    }

    /// How many partitions its members have been given together.
    pub(crate) fn assigned(&self) -> usize {
        self.members.iter().map(|member| member.assignment.len()).sum()
    }
}
