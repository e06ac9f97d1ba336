//! What `check --connect` found of one cluster, in words for a person who has to act on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use crate::config::Cluster;
use crate::kafka::{AclOperation, Authorized, KafkaError};
use crate::model::{BrokerId, ClusterMetadata, GroupListing, KafkaCode};
use crate::report::scope_in_words;
use crate::state::Scope;

/// What was seen of one cluster.
pub(super) struct Findings<'a> {
    /// Its settings.
    pub(super) cluster: &'a Cluster,
    /// Which part of it an exporter here shows.
    pub(super) scope: Scope,
    /// Its id, if it was told.
    pub(super) id: Option<Arc<str>>,
    /// Brokers and topics that this login may see.
    pub(super) metadata: ClusterMetadata,
    /// Each broker's list of groups, as far as this login may see them.
    pub(super) lists: BTreeMap<BrokerId, Result<Vec<GroupListing>, KafkaError>>,
    /// What is allowed on the cluster.
    pub(super) cluster_operations: Result<Option<Vec<AclOperation>>, KafkaError>,
    /// What is allowed on some of the exported topics.
    pub(super) topics: Result<Vec<Authorized>, KafkaError>,
    /// What is allowed on a topic that was asked for by name, visible or not.
    pub(super) some_topic: Option<Vec<Authorized>>,
    /// What is allowed on some of the exported groups, broker by broker.
    pub(super) groups: Vec<Result<Vec<Authorized>, KafkaError>>,
    /// What is allowed on a group that was asked for by name, visible or not.
    pub(super) some_group: Option<Vec<Authorized>>,
}

impl Findings<'_> {
    /// What the exporter needs and does not get. To be refused on the cluster is none: it needs Describe on topics and
    /// groups only.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> =
            self.lists.values().filter_map(|list| list.as_ref().err()).map(ToString::to_string).collect();
        if let Scope::Unplaced(_) = self.scope {
            problems.push(scope_in_words(&self.scope));
        }
        match &self.topics {
            Ok(topics) => problems.extend(topics.iter().filter_map(|topic| refusal("topic", topic))),
            Err(error) => problems.push(error.to_string()),
        }
        for groups in &self.groups {
            match groups {
                Ok(groups) => problems.extend(groups.iter().filter_map(|group| refusal("group", group))),
                Err(error) => problems.push(error.to_string()),
            }
        }
        let is_refused = |authorized: &Authorized| authorized.operations.is_err_and_refused();
        if self.metadata.topics.is_empty() && self.some_topic.iter().flatten().any(is_refused) {
            problems.push("no topic is visible to this login: allow it to Describe topics".to_owned());
        }
        if self.lists.values().all(Result::is_ok)
            && self.visible_groups().is_empty()
            && self.some_group.iter().flatten().any(is_refused)
        {
            problems.push("no group is visible to this login: allow it to Describe groups".to_owned());
        }
        problems
    }

    /// Writes all of it; lines that start with an exclamation mark are the problems.
    pub(super) fn write(&self, text: &mut String) {
        let id = self.id.as_deref().unwrap_or("unknown");
        let _ = writeln!(text, "cluster {} (id {id}): reached", self.cluster.display_name());
        let answering = self.lists.values().filter(|list| list.is_ok()).count();
        let _ = writeln!(text, "  brokers: {} in the metadata, {answering} answer", self.metadata.brokers.len());
        if let Scope::Beside(_) = self.scope {
            let _ = writeln!(text, "  scope: {}; what follows is of the whole cluster", scope_in_words(&self.scope));
        }
        self.write_topics(text);
        self.write_groups(text);
        let _ = match &self.cluster_operations {
            Ok(operations) => {
                writeln!(text, "  allowed on the cluster: {} (nothing is needed)", show(operations.as_deref()))
            }
            Err(error) => writeln!(text, "  allowed on the cluster: not told: {error}"),
        };
        let problems = self.problems();
        for problem in &problems {
            let _ = writeln!(text, "  ! {problem}");
        }
        if problems.is_empty() {
            let _ = writeln!(text, "  all that the exporter needs is there");
        }
    }

    fn visible_groups(&self) -> BTreeSet<&Arc<str>> {
        self.lists.values().flatten().flatten().map(|listing| &listing.group).collect()
    }

    fn write_topics(&self, text: &mut String) {
        let matches = |name: &str| self.cluster.topics.filter.matches(name);
        let exported: Vec<_> = self.metadata.topics.iter().filter(|topic| matches(&topic.name)).collect();
        let partitions: usize = exported.iter().map(|topic| topic.partitions.len()).sum();
        let _ = writeln!(
            text,
            "  topics: {} visible, {} exported ({partitions} partitions); without Describe on it a topic is not visible",
            self.metadata.topics.len(),
            exported.len()
        );
        if exported.is_empty() && !self.metadata.topics.is_empty() {
            let _ = writeln!(text, "    the filters let no topic through: look at topics.include and topics.exclude");
        }
        write_allowed(text, self.topics.iter().flatten());
        let without = self.topics.iter().flatten().filter(|topic| lacks_configs(topic)).count();
        if self.cluster.collectors.configs && without > 0 {
            let _ = writeln!(
                text,
                "    {without} of them without DescribeConfigs: their retention and min.insync.replicas are not exported"
            );
        }
    }

    fn write_groups(&self, text: &mut String) {
        let visible = self.visible_groups();
        let exported = visible.iter().filter(|group| self.cluster.groups.filter.matches(group)).count();
        let _ = writeln!(
            text,
            "  groups: {} visible, {exported} exported; without Describe on it a group is not visible, \
             and share and streams groups never are",
            visible.len()
        );
        if exported == 0 && !visible.is_empty() {
            let _ = writeln!(text, "    the filters let no group through: look at groups.include and groups.exclude");
        }
        write_allowed(text, self.groups.iter().flatten().flatten());
    }
}

/// Whether an answer says that the login is not allowed to ask.
trait Refused {
    fn is_err_and_refused(&self) -> bool;
}

impl<T> Refused for Result<T, KafkaCode> {
    fn is_err_and_refused(&self) -> bool {
        let refusals = [KafkaCode::TOPIC_AUTHORIZATION_FAILED, KafkaCode::GROUP_AUTHORIZATION_FAILED];
        self.as_ref().is_err_and(|code| refusals.contains(code))
    }
}

/// Why something that is exported cannot be described.
fn refusal(what: &str, authorized: &Authorized) -> Option<String> {
    let (name, code) = (&authorized.name, authorized.operations.as_ref().err()?);
    Some(match (what, *code) {
        ("group", KafkaCode::TOPIC_AUTHORIZATION_FAILED) => format!(
            "group {name:?} cannot be described, so its state and members are not exported: \
             it reads a topic that this login may not see. Allow Describe on all topics that it reads ({code})"
        ),
        _ => format!("{what} {name:?} cannot be described: {code}"),
    })
}

/// Whether a topic's settings are out of reach; where the broker does not tell what is allowed, nobody knows.
fn lacks_configs(topic: &Authorized) -> bool {
    let operations = topic.operations.as_ref().ok().and_then(Option::as_ref);
    operations.is_some_and(|operations| !operations.contains(&AclOperation::DESCRIBE_CONFIGS))
}

/// Which operations are allowed, each set with how many have it.
fn write_allowed<'a>(text: &mut String, looked_at: impl Iterator<Item = &'a Authorized>) {
    let mut sets: BTreeMap<String, usize> = BTreeMap::new();
    let mut total = 0;
    for authorized in looked_at {
        total += 1;
        if let Ok(operations) = &authorized.operations {
            *sets.entry(show(operations.as_deref())).or_default() += 1;
        }
    }
    for (operations, count) in sets {
        let _ = writeln!(text, "    allowed on {count} of {total} looked at: {operations}");
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
