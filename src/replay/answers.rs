//! What was told of a cluster as the answers that brokers would give: the world takes nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cluster::NO_BROKER;
use super::line::{ConfigLine, PartitionKey};
use super::told::{ClusterTold, GroupTold, TopicTold};
use crate::model::{
    ClusterMetadata, CommittedPartition, GroupDescription, GroupKind, GroupState, KafkaCode, ListedPartition, Offset,
    PartitionId, PartitionMetadata, TopicAssignment, TopicMetadata, TopicRows, TopicSettingError, TopicSettings,
};

/// What Kafka takes for a setting that nobody has set, where it does not delete records.
const UNLIMITED: i64 = -1;

/// The metadata. Where partitions lie is not told, so nothing is shown of it; but they have leaders, or their offsets
/// could not have been read.
pub(super) fn metadata(told: &ClusterTold) -> ClusterMetadata {
    let partition = |id| PartitionMetadata { id, leader: Some(NO_BROKER), replicas: Vec::new(), in_sync: 0 };
    let topic = |(name, told): (&Arc<str>, &TopicTold)| TopicMetadata {
        name: name.clone(),
        error: KafkaCode::NONE,
        partitions: (0..told.count()).filter_map(PartitionId::from_index).map(partition).collect(),
    };
    let topics = told.topics.iter().filter(|(_, told)| told.count() > 0);
    ClusterMetadata { brokers: Vec::new(), topics: topics.map(topic).collect() }
}

/// Offsets of some partitions of a topic.
pub(super) fn offsets(topic: &Arc<str>, named: &BTreeMap<i32, i64>) -> TopicRows<ListedPartition> {
    let row = |(id, offset): (&i32, &i64)| {
        Some(ListedPartition { partition: PartitionId(*id), offset: Ok(Offset::new(*offset)?) })
    };
    TopicRows { topic: topic.clone(), rows: named.iter().filter_map(row).collect() }
}

/// The commits of a group on a topic.
pub(super) fn commits(topic: &Arc<str>, group: &GroupTold) -> TopicRows<CommittedPartition> {
    let row = |(id, offset): (&i32, &i64)| CommittedPartition {
        partition: PartitionId(*id),
        offset: Ok(Offset::new(*offset)),
    };
    let rows: Vec<_> = group.commits.get(topic).into_iter().flatten().map(row).collect();
    // Without a row nothing would be said of the topic.
    let nothing = || vec![CommittedPartition { partition: PartitionId(0), offset: Ok(None) }];
    TopicRows { topic: topic.clone(), rows: if rows.is_empty() { nothing() } else { rows } }
}

/// A group's description; `None`: nothing was told of its members.
pub(super) fn description(name: &Arc<str>, told: &GroupTold) -> Option<GroupDescription> {
    let is_simple = told.protocol_type.as_deref() == Some("");
    let state = told.state.map(|state| state.0).filter(|state| *state != GroupState::Unknown);
    let told_members = told.members.or(told.assignment.as_ref().map(|assignment| holders(&assignment.0)));
    let members = told_members.or_else(|| (is_simple || state == Some(GroupState::Empty)).then_some(0));
    if state.is_none() && members.is_none() {
        return None;
    }
    // A group in another state than Empty has a member at least.
    let members = members.unwrap_or(1);
    let inferred = if members == 0 { GroupState::Empty } else { GroupState::Stable };
    Some(GroupDescription {
        group: name.clone(),
        state: state.unwrap_or(inferred),
        kind: GroupKind::Unknown,
        protocol: "".into(),
        is_simple,
        coordinator: NO_BROKER,
        members,
        assignment: if members == 0 || is_simple { Vec::new() } else { assignment(told, members) },
    })
}

/// How many members an assignment that does not say it has at least.
fn holders<T>(assignment: &BTreeMap<T, Vec<PartitionKey>>) -> u32 {
    u32::from(assignment.values().any(|partitions| !partitions.is_empty()))
}

/// What the members hold; where that was not told, all that the group has committed on.
fn assignment(told: &GroupTold, members: u32) -> Vec<TopicAssignment> {
    let held = |topic: &str, partitions: BTreeSet<i32>| TopicAssignment {
        topic: topic.into(),
        members: members.min(u32::try_from(partitions.len()).unwrap_or(u32::MAX)),
        partitions: partitions.into_iter().map(PartitionId).collect(),
    };
    let held: Vec<_> = match &told.assignment {
        Some(assignment) => {
            let topics = assignment.0.iter();
            topics.map(|(topic, ids)| held(topic, ids.iter().map(|id| id.0).collect())).collect()
        }
        None => told.commits.iter().map(|(topic, commits)| held(topic, commits.keys().copied().collect())).collect(),
    };
    held.into_iter().filter(|topic| !topic.partitions.is_empty()).collect()
}

/// The settings of a topic; what is left out of them deletes nothing.
///
/// # Errors
/// When one of them makes no sense.
pub(super) fn settings(told: &ConfigLine) -> Result<TopicSettings, TopicSettingError> {
    let retention = told.retention_ms.unwrap_or(UNLIMITED).to_string();
    let bytes = told.retention_bytes.unwrap_or(UNLIMITED).to_string();
    let in_sync = told.min_insync_replicas.unwrap_or(1).to_string();
    let value_of = |name: &str| match name {
        TopicSettings::RETENTION_MS => Some(retention.as_str()),
        TopicSettings::RETENTION_BYTES => Some(bytes.as_str()),
        TopicSettings::MIN_INSYNC_REPLICAS => Some(in_sync.as_str()),
        TopicSettings::CLEANUP_POLICY => Some(told.cleanup_policy.as_deref().unwrap_or("delete")),
        _ => None,
    };
    TopicSettings::parse(value_of)
}
