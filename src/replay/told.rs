//! A cluster as a recording has told it so far: what a line leaves out stands here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::line::{
    CommitLine, ConfigLine, GroupLine, Line, PartitionKey, PartitionLine, State, TopicCommits, TopicLine,
};
use super::wire::{Entries, Object, Told};
use crate::model::GroupState;

/// A topic.
#[derive(Debug, Default)]
pub(super) struct TopicTold {
    /// What is known of its partitions.
    pub(super) partitions: BTreeMap<i32, PartitionLine>,
    /// Its settings.
    pub(super) config: Option<Object<ConfigLine>>,
}

impl TopicTold {
    /// How many partitions it has: Kafka numbers them without gaps.
    pub(super) fn count(&self) -> usize {
        self.partitions.keys().next_back().and_then(|last| usize::try_from(*last).ok()).map_or(0, |last| last + 1)
    }
}

/// A group.
#[derive(Debug, Default)]
pub(super) struct GroupTold {
    pub(super) state: Option<State>,
    pub(super) members: Option<u32>,
    pub(super) assignment: Option<Entries<String, Vec<PartitionKey>>>,
    pub(super) protocol_type: Option<String>,
    /// Committed offsets by topic and partition.
    pub(super) commits: BTreeMap<Arc<str>, BTreeMap<i32, i64>>,
}

impl GroupTold {
    /// Takes in what is told of the members. Tells whether anything is. State and number go together: what was told
    /// before and contradicts what is told now does not stand.
    fn tell_members(
        &mut self,
        state: Told<State>,
        members: Told<u32>,
        assignment: Told<Entries<String, Vec<PartitionKey>>>,
    ) -> bool {
        let (has_state, has_members) = (state.put_into(&mut self.state), members.put_into(&mut self.members));
        let has_assignment = assignment.put_into(&mut self.assignment);
        let is_empty = self.state == Some(State(GroupState::Empty));
        match (has_state, has_members) {
            (true, false) if is_empty => self.members = Some(0),
            (true, false) => self.members = self.members.filter(|members| *members > 0),
            (false, true) if is_empty || self.members == Some(0) => self.state = None,
            _ => {}
        }
        if self.members == Some(0) {
            // What its members held, nobody holds.
            self.assignment = None;
        }
        has_state || has_members || has_assignment
    }
}

/// A commit that a line names.
#[derive(Debug)]
pub(super) struct NamedCommit {
    pub(super) group: Arc<str>,
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) commit: CommitLine,
}

/// Offsets by topic and partition.
pub(super) type NamedOffsets = BTreeMap<Arc<str>, BTreeMap<i32, i64>>;

/// What a line touches.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// When it was observed.
    pub(super) t: i64,
    /// Whether there are other topics or partitions than before.
    pub(super) shape: bool,
    /// Whether something was deleted.
    pub(super) deleted: bool,
    /// Deleted partitions of topics.
    pub(super) partitions_gone: Vec<(Arc<str>, i32)>,
    /// Topics that the line tells something of.
    pub(super) topics: BTreeSet<Arc<str>>,
    /// Log starts that are others than before.
    pub(super) starts: NamedOffsets,
    /// Ends that it names, moved or not.
    pub(super) ends: NamedOffsets,
    /// Groups that are new.
    pub(super) groups_new: Vec<Arc<str>>,
    /// Groups that are gone.
    pub(super) groups_gone: Vec<Arc<str>>,
    /// Groups of whose members it tells something, or whose members may hold more than before.
    pub(super) described: BTreeSet<Arc<str>>,
    /// Commits that it names.
    pub(super) commits: Vec<NamedCommit>,
    /// By group the topics on which its commits are others than before, or are to be compared with other log starts.
    pub(super) reread: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

/// Everything that was told of one cluster.
#[derive(Debug, Default)]
pub(super) struct ClusterTold {
    pub(super) topics: BTreeMap<Arc<str>, TopicTold>,
    pub(super) groups: BTreeMap<Arc<str>, GroupTold>,
    /// By topic the groups that have commits on it.
    readers: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// How many topics, partitions, groups and commits there are.
    pub(super) facts: usize,
}

impl ClusterTold {
    /// Takes in a line, and tells what it touches.
    pub(super) fn take_in(&mut self, line: Line) -> Touched {
        let mut touched = Touched { t: line.t, ..Touched::default() };
        for (name, topic) in line.topics.0 {
            let name = Arc::from(name);
            match topic {
                Some(Object(topic)) => self.tell_topic(name, topic, &mut touched),
                None => self.delete_topic(&name, &mut touched),
            }
        }
        for (name, group) in line.groups.0 {
            let name = Arc::from(name);
            match group {
                Some(Object(group)) => self.tell_group(&name, group, &mut touched),
                None => self.delete_group(&name, &mut touched),
            }
        }
        let is_gone = |topic: &&Arc<str>| !self.topics.contains_key(*topic);
        for topic in touched.starts.keys().chain(touched.topics.iter().filter(is_gone)) {
            for group in self.readers.get(topic).into_iter().flatten() {
                touched.reread.entry(group.clone()).or_default().insert(topic.clone());
            }
        }
        if touched.shape {
            // Only of a topic that is there can be said who holds it.
            touched.described.extend(touched.reread.keys().filter(|name| self.groups.contains_key(*name)).cloned());
        }
        touched
    }

    fn tell_topic(&mut self, name: Arc<str>, told: TopicLine, touched: &mut Touched) {
        let is_new = !self.topics.contains_key(&name);
        let topic = self.topics.entry(name.clone()).or_default();
        let before = topic.count();
        for (PartitionKey(id), partition) in told.partitions.0 {
            let Some(Object(partition)) = partition else {
                if topic.partitions.remove(&id).is_some() {
                    touched.partitions_gone.push((name.clone(), id));
                }
                continue;
            };
            let is_new = !topic.partitions.contains_key(&id);
            let known = topic.partitions.entry(id).or_default();
            // A log whose start was never told begins at 0.
            let start = partition.start.or(known.start).unwrap_or(0);
            if is_new || known.start != Some(start) {
                touched.starts.entry(name.clone()).or_default().insert(id, start);
            }
            if let Some(end) = partition.end {
                touched.ends.entry(name.clone()).or_default().insert(id, end);
            }
            *known = PartitionLine { start: Some(start), end: partition.end.or(known.end) };
        }
        told.config.put_into(&mut topic.config);
        let after = topic.count();
        self.facts = (self.facts + after + usize::from(is_new)).saturating_sub(before);
        touched.shape |= before != after;
        touched.deleted |= after == 0 && before > 0;
        touched.topics.insert(name);
    }

    fn delete_topic(&mut self, name: &Arc<str>, touched: &mut Touched) {
        if let Some(topic) = self.topics.remove(name) {
            self.facts = self.facts.saturating_sub(topic.count() + 1);
            (touched.shape, touched.deleted) = (true, true);
            // Their lags end with it.
            touched.topics.insert(name.clone());
        }
    }

    fn tell_group(&mut self, name: &Arc<str>, told: GroupLine, touched: &mut Touched) {
        if told.state == Told::Value(State(GroupState::Dead)) {
            // Kafka's word for a group that is gone.
            self.delete_group(name, touched);
            return;
        }
        if !self.groups.contains_key(name) {
            self.groups.insert(name.clone(), GroupTold::default());
            touched.groups_new.push(name.clone());
            self.facts += 1;
        }
        for (topic, commits) in told.commits.0 {
            let topic = Arc::from(topic);
            touched.reread.entry(name.clone()).or_default().insert(Arc::clone(&topic));
            self.tell_commits(name, topic, commits, touched);
        }
        let Some(group) = self.groups.get_mut(name) else { return };
        let is_told = [!told.protocol_type.is_left_out(), touched.reread.contains_key(name)].contains(&true);
        told.protocol_type.put_into(&mut group.protocol_type);
        if group.tell_members(told.state, told.members, told.assignment) || is_told {
            touched.described.insert(name.clone());
        }
    }

    fn tell_commits(&mut self, group: &Arc<str>, topic: Arc<str>, told: Option<TopicCommits>, touched: &mut Touched) {
        let Some(known) = self.groups.get_mut(group).map(|group| &mut group.commits) else { return };
        let commits = known.entry(topic.clone()).or_default();
        let before = commits.len();
        match told {
            None => commits.clear(),
            Some(told) => {
                for (PartitionKey(partition), commit) in told.0 {
                    let Some(Object(commit)) = commit else {
                        commits.remove(&partition);
                        continue;
                    };
                    commits.insert(partition, commit.offset);
                    let (group, topic) = (group.clone(), topic.clone());
                    touched.commits.push(NamedCommit { group, topic, partition, commit });
                }
            }
        }
        let after = commits.len();
        self.facts = (self.facts + after).saturating_sub(before);
        if after > 0 {
            self.readers.entry(topic).or_default().insert(group.clone());
            return;
        }
        known.remove(&topic);
        touched.deleted |= before > 0;
        self.end_reading(&topic, group);
    }

    fn delete_group(&mut self, name: &Arc<str>, touched: &mut Touched) {
        let Some(group) = self.groups.remove(name) else { return };
        self.facts = self.facts.saturating_sub(1);
        for (topic, commits) in group.commits {
            self.facts = self.facts.saturating_sub(commits.len());
            self.end_reading(&topic, name);
        }
        touched.deleted = true;
        touched.groups_gone.push(name.clone());
    }

    fn end_reading(&mut self, topic: &Arc<str>, group: &Arc<str>) {
        if let Some(readers) = self.readers.get_mut(topic) {
            readers.remove(group);
            if readers.is_empty() {
                self.readers.remove(topic);
            }
        }
    }
}
