//! A snapshot as JSON. What is unknown is left out, as in the metrics.

use serde::Serialize;

use super::{GroupReport, scope_in_words};
use crate::derive::Snapshot;
use crate::model::PartitionId;
use crate::state::{Sample, TopicIx, TopicTable};

/// One cluster.
#[derive(Debug, Serialize)]
pub struct ClusterReport {
    /// Its name in the configuration, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster_id: Option<String>,
    up: bool,
    /// Which part of the cluster this is; left out when it is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    brokers: Vec<BrokerReport>,
    topics: Vec<TopicReport>,
    groups: Vec<GroupReport>,
    /// What failed in the pass, in words.
    errors: Vec<String>,
}

#[derive(Debug, Serialize)]
struct BrokerReport {
    id: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rack: Option<String>,
    up: bool,
}

#[derive(Debug, Serialize)]
struct TopicReport {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_offset_sum: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_offset_sum: Option<u64>,
    /// Of a sampled topic: how many partitions are asked for, and what those add up to.
    #[serde(skip_serializing_if = "Option::is_none")]
    sampled_partitions: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_offset_sampled_sum: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_offset_sampled_sum: Option<u64>,
    /// Left out, as the sums are, where another exporter tells of the topic as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown_partitions: Option<u32>,
    partitions: Vec<PartitionReport>,
}

#[derive(Debug, Serialize)]
struct PartitionReport {
    partition: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<i32>,
    replicas: u16,
    in_sync_replicas: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_offset: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_offset: Option<i64>,
}

impl ClusterReport {
    /// The report of one cluster; `errors` is what failed in the pass.
    #[must_use]
    pub fn new(name: Option<&str>, snapshot: &Snapshot, errors: Vec<String>) -> Self {
        let (world, now) = (&snapshot.world, snapshot.derived_at.wall);
        let brokers = world.watched_brokers().map(|broker| BrokerReport {
            id: broker.id.0,
            address: broker.endpoint.as_ref().map(|endpoint| endpoint.address()),
            rack: broker.rack.as_deref().map(str::to_owned),
            up: broker.answers,
        });
        Self {
            name: name.map(str::to_owned),
            cluster_id: world.cluster_id.as_deref().map(str::to_owned),
            up: world.up,
            scope: (!world.scope.is_cluster()).then(|| scope_in_words(&world.scope)),
            brokers: brokers.collect(),
            topics: world.shown_topics().map(|(ix, table, _)| topic(snapshot, ix, table)).collect(),
            groups: snapshot.standings(now).map(|standing| GroupReport::new(snapshot, standing, now)).collect(),
            errors,
        }
    }
}

fn topic(snapshot: &Snapshot, ix: TopicIx, table: &TopicTable) -> TopicReport {
    let scope = &snapshot.world.scope;
    let at_home = scope.has_topic(table);
    let sums = Some(snapshot.topic(ix)).filter(|_| at_home);
    let shown = table.placements.iter().enumerate().filter(|(_, placement)| scope.has_partition(placement.leader));
    let partitions = shown.filter_map(|(place, placement)| {
        Some(PartitionReport {
            partition: PartitionId::from_index(place)?.0,
            leader: placement.leader.map(|leader| leader.0),
            replicas: placement.replicas,
            in_sync_replicas: placement.in_sync,
            start_offset: snapshot.freshness.start(table, place).map(|offset| offset.get()),
            end_offset: snapshot.freshness.end(table, place).map(|offset| offset.get()),
        })
    });
    TopicReport {
        name: table.name.to_string(),
        topic_id: table.id.map(|id| id.to_string()),
        start_offset_sum: sums.and_then(|sums| sums.start_sum),
        end_offset_sum: sums.and_then(|sums| sums.end_sum),
        sampled_partitions: table
            .sample
            .filter(|_| at_home && snapshot.freshness.is_placed(table))
            .map(Sample::partitions),
        start_offset_sampled_sum: sums.and_then(|sums| sums.start_sampled_sum),
        end_offset_sampled_sum: sums.and_then(|sums| sums.end_sampled_sum),
        unknown_partitions: sums.map(|sums| sums.unknown),
        partitions: partitions.collect(),
    }
}

/// Several clusters as one JSON document.
///
/// # Errors
/// When serialisation fails, which plain data does not.
pub fn clusters_json(clusters: &[ClusterReport]) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Document<'a> {
        clusters: &'a [ClusterReport],
    }
    serde_json::to_string_pretty(&Document { clusters })
}
