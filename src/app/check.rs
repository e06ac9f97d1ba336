//! `kafkascope check --connect`: asks what can be reached, what is visible, and what the exporter may do there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::cluster;
use super::findings::Findings;
use crate::config::{Cluster, Config};
use crate::kafka::{KafkaApi, KafkaError, KafkaPool};
use crate::model::{BrokerId, ClusterMetadata, GroupListing};

/// Topics, and groups of one broker, whose authorized operations are looked at: a sample tells what a role may do.
const MAX_LOOKED_AT: usize = 100;

/// A topic that every cluster has or may have: a login that is refused on it may not describe just any topic.
const SOME_TOPIC: &str = "__consumer_offsets";

/// A group that need not exist: a login that is refused on it may not describe just any group.
const SOME_GROUP: &str = "kafkascope";

/// What a check of the connections found.
#[derive(Debug, Clone)]
pub struct Connections {
    /// The findings, cluster by cluster, for people.
    pub text: String,
    /// Whether every cluster was reached and nothing that the exporter needs was refused.
    pub is_well: bool,
}

/// Connects to every cluster, one after another; `progress` is told what is going on.
pub async fn connect(config: &Config, progress: impl Fn(&str)) -> Connections {
    let mut connections = Connections { text: String::new(), is_well: true };
    for cluster in &config.clusters {
        progress(&format!("asking {}", cluster.display_name()));
        match look(cluster, config).await {
            Ok(findings) => {
                connections.is_well &= findings.problems().is_empty();
                findings.write(&mut connections.text);
            }
            Err(error) => {
                connections.is_well = false;
                let _ = writeln!(connections.text, "cluster {}: NOT REACHED", cluster.display_name());
                let _ = writeln!(connections.text, "  ! {error}");
            }
        }
    }
    connections
}

async fn look<'a>(cluster: &'a Cluster, config: &Config) -> Result<Findings<'a>, KafkaError> {
    let client = cluster::connect(cluster, &config.polling)?;
    let metadata = client.metadata().await;
    let findings = match metadata {
        Ok(metadata) => Ok(explore(&client, cluster, metadata).await),
        Err(error) => Err(error),
    };
    client.close().await;
    findings
}

async fn explore<'a>(client: &KafkaPool, cluster: &'a Cluster, metadata: ClusterMetadata) -> Findings<'a> {
    let mut lists: BTreeMap<BrokerId, Result<Vec<GroupListing>, KafkaError>> = BTreeMap::new();
    for broker in &metadata.brokers {
        lists.insert(broker.id, client.list_groups(broker.id).await);
    }
    let names: Vec<Arc<str>> = metadata.topics.iter().map(|topic| topic.name.clone()).collect();
    let names: Vec<Arc<str>> =
        names.into_iter().filter(|name| cluster.topics.filter.matches(name)).take(MAX_LOOKED_AT).collect();
    let mut groups = Vec::new();
    for (broker, list) in &lists {
        let exported = list.iter().flatten().filter(|listing| cluster.groups.filter.matches(&listing.group));
        let names: Vec<Arc<str>> = exported.take(MAX_LOOKED_AT).map(|listing| listing.group.clone()).collect();
        groups.push(client.group_operations(*broker, &names).await);
    }
    let some_group = match metadata.brokers.first() {
        // Kafka checks what is allowed before it looks whose group it is, so any broker will do.
        Some(broker) => client.group_operations(broker.id, &[SOME_GROUP.into()]).await.ok(),
        None => None,
    };
    let rule = cluster::settled_scope_rule(cluster, &metadata.brokers).await;
    Findings {
        cluster,
        scope: rule.among(&metadata.brokers),
        id: client.describe_cluster().await.ok().and_then(|description| description.cluster_id),
        cluster_operations: client.cluster_operations().await,
        topics: client.topic_operations(&names).await,
        some_topic: client.topic_operations(&[SOME_TOPIC.into()]).await.ok(),
        some_group,
        metadata,
        lists,
        groups,
    }
}
