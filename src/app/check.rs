//! `kafkascope check --connect`: what can be reached, what is visible, and what the exporter may do there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::cluster;
use crate::config::{Cluster, Config};
use crate::kafka::{AclOperation, Authorized, KafkaApi, KafkaClient, KafkaError};
use crate::model::{BrokerId, ClusterMetadata, GroupListing, KafkaCode};

/// Topics and groups whose authorized operations are looked at: a sample tells what a role may do.
const MAX_LOOKED_AT: usize = 100;

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
        let finding = match look(cluster, config).await {
            Ok(finding) => finding,
            Err(error) => {
                connections.is_well = false;
                let _ = writeln!(connections.text, "cluster {}: not reached: {error}", cluster.display_name());
                continue;
            }
        };
        connections.is_well &= finding.is_well();
        finding.write(&mut connections.text, cluster);
    }
    connections
}

/// What was seen of one cluster.
struct Finding {
    id: Option<Arc<str>>,
    metadata: ClusterMetadata,
    lists: BTreeMap<BrokerId, Result<Vec<GroupListing>, KafkaError>>,
    cluster: Result<Option<Vec<AclOperation>>, KafkaError>,
    topics: Result<Vec<Authorized>, KafkaError>,
    groups: Vec<Result<Vec<Authorized>, KafkaError>>,
}

async fn look(cluster: &Cluster, config: &Config) -> Result<Finding, KafkaError> {
    let client = cluster::connect(cluster, &config.polling)?;
    let metadata = client.metadata().await;
    let finding = match metadata {
        Ok(metadata) => Ok(explore(&client, metadata).await),
        Err(error) => Err(error),
    };
    client.close().await;
    finding
}

async fn explore(client: &KafkaClient, metadata: ClusterMetadata) -> Finding {
    let mut lists = BTreeMap::new();
    for broker in &metadata.brokers {
        lists.insert(broker.id, client.list_groups(broker.id).await);
    }
    let names: Vec<Arc<str>> = metadata.topics.iter().take(MAX_LOOKED_AT).map(|topic| topic.name.clone()).collect();
    let mut groups = Vec::new();
    for (broker, list) in &lists {
        let names: Vec<Arc<str>> =
            list.iter().flatten().take(MAX_LOOKED_AT).map(|listing| listing.group.clone()).collect();
        groups.push(client.group_operations(*broker, &names).await);
    }
    Finding {
        id: client.describe_cluster().await.ok().and_then(|description| description.cluster_id),
        cluster: client.cluster_operations().await,
        topics: client.topic_operations(&names).await,
        metadata,
        lists,
        groups,
    }
}

impl Finding {
    /// Being refused on the cluster is no fault: the exporter needs Describe on topics and groups only.
    fn is_well(&self) -> bool {
        let describable = |authorized: &Authorized| authorized.operations.is_ok();
        self.lists.values().all(Result::is_ok)
            && self.topics.as_ref().is_ok_and(|topics| topics.iter().all(describable))
            && self.groups.iter().all(|groups| groups.as_ref().is_ok_and(|groups| groups.iter().all(describable)))
    }

    fn write(&self, text: &mut String, cluster: &Cluster) {
        let id = self.id.as_deref().unwrap_or("unknown");
        let _ = writeln!(text, "cluster {} (id {id}): reached", cluster.display_name());
        self.write_brokers(text);
        self.write_topics(text, cluster);
        self.write_groups(text, cluster);
        let _ = match &self.cluster {
            Ok(operations) => writeln!(text, "  allowed on the cluster: {}", show(operations.as_deref())),
            Err(error) => writeln!(text, "  allowed on the cluster: not told: {error}"),
        };
    }

    fn write_brokers(&self, text: &mut String) {
        let answering = self.lists.values().filter(|list| list.is_ok()).count();
        let _ = writeln!(text, "  brokers: {} in the metadata, {answering} answer", self.metadata.brokers.len());
        for error in self.lists.values().filter_map(|list| list.as_ref().err()) {
            let _ = writeln!(text, "  ! {error}");
        }
    }

    fn write_topics(&self, text: &mut String, cluster: &Cluster) {
        let visible = self.metadata.topics.len();
        let exported: Vec<_> =
            self.metadata.topics.iter().filter(|topic| cluster.topics.filter.matches(&topic.name)).collect();
        let partitions: usize = exported.iter().map(|topic| topic.partitions.len()).sum();
        let _ = writeln!(
            text,
            "  topics: {visible} visible, {} of them exported ({partitions} partitions); ACLs hide the others, if there are any",
            exported.len()
        );
        match &self.topics {
            Ok(topics) => write_allowed(text, "topics", topics),
            Err(error) => drop(writeln!(text, "  ! {error}")),
        }
    }

    fn write_groups(&self, text: &mut String, cluster: &Cluster) {
        let visible: BTreeSet<&Arc<str>> =
            self.lists.values().flatten().flatten().map(|listing| &listing.group).collect();
        let exported = visible.iter().filter(|group| cluster.groups.filter.matches(group)).count();
        let _ = writeln!(
            text,
            "  groups: {} visible, {exported} of them exported; share and streams groups are not visible to librdkafka",
            visible.len()
        );
        let mut all = Vec::new();
        for groups in &self.groups {
            match groups {
                Ok(groups) => all.extend(groups.iter().cloned()),
                Err(error) => drop(writeln!(text, "  ! {error}")),
            }
        }
        write_allowed(text, "groups", &all);
    }
}

/// Which operations are allowed, each set with how many have it.
fn write_allowed(text: &mut String, what: &str, looked_at: &[Authorized]) {
    let mut sets: BTreeMap<String, usize> = BTreeMap::new();
    let mut refused: Vec<(&Arc<str>, KafkaCode)> = Vec::new();
    for authorized in looked_at {
        match &authorized.operations {
            Ok(operations) => *sets.entry(show(operations.as_deref())).or_default() += 1,
            Err(code) => refused.push((&authorized.name, *code)),
        }
    }
    for (operations, count) in sets {
        let _ = writeln!(text, "    allowed on {count} of the {} {what} looked at: {operations}", looked_at.len());
    }
    for (name, code) in refused {
        let _ = writeln!(text, "  ! {name:?} cannot be described: {code}");
    }
}

fn show(operations: Option<&[AclOperation]>) -> String {
    match operations {
        None => "not told by the broker".to_owned(),
        Some([]) => "nothing".to_owned(),
        Some(operations) => {
            let mut operations = operations.to_vec();
            operations.sort_unstable();
            let names: Vec<String> = operations.iter().map(ToString::to_string).collect();
            names.join(", ")
        }
    }
}
