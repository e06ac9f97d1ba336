//! Makes the lines of a recording from a live cluster's states: what was read since the last one, and no more.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::line::{
    CommitLine, ConfigLine, GroupLine, Line, PartitionKey, PartitionLine, State, TopicCommits, TopicLine,
};
use super::wire::{Entries, Object, Told};
use crate::model::{Offset, PartitionId, Retention, TopicSettings, WallTime};
use crate::state::{CommitTable, GroupTable, Segment, TopicTable, World};

/// A commit with a time of its own.
#[derive(Debug, Clone)]
pub struct TimedCommit {
    /// The group.
    pub group: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: PartitionId,
    /// What was committed.
    pub offset: Offset,
    /// When.
    pub at: WallTime,
}

/// Records one cluster. It keeps the last state, of which all that has not changed is shared with the present one.
#[derive(Debug)]
pub struct Recorder {
    cluster: Option<String>,
    last: World,
}

type Commits = Entries<String, Option<TopicCommits>>;

impl Recorder {
    /// A recorder of the cluster of that name, of which nothing was recorded yet; `None`: it has no name. `nothing` is
    /// the state of which nothing is known.
    #[must_use]
    pub fn new(cluster: Option<&str>, nothing: World) -> Self {
        Self { cluster: cluster.map(str::to_owned), last: nothing }
    }

    /// The lines that tell what was read since the last time, each ended by a newline; `commits` are those that were
    /// seen with their times, in the order in which they were made.
    ///
    /// # Errors
    /// When serialisation fails, which plain data does not.
    pub fn lines(&mut self, world: &World, commits: &[TimedCommit], t: i64) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = Vec::new();
        let news = News { last: &self.last, world };
        let line = Line { t, cluster: self.cluster.clone(), ..Line::default() };
        let mut told = timed(commits);
        let mut newest = told.pop().unwrap_or_default();
        let before = told.into_iter().map(|commits| Line { groups: with_commits(commits), ..line.clone() });
        let reborn = news.reborn_topics();
        let reborn = Entries(reborn.map(|name| (name.to_string(), None)).collect());
        let reborn = Line { topics: reborn, ..line.clone() };
        let mut now = Line { topics: news.topics(), groups: news.groups(), ..line.clone() };
        for (name, group) in &mut now.groups.0 {
            if let (Some(Object(group)), Some(commits)) = (group, newest.remove(name.as_str())) {
                add_times(&mut group.commits, commits);
            }
        }
        // Of a group that was not read, and is there, its commits tell all the same.
        newest.retain(|name, _| world.groups.get(name).is_some() && !now.groups.0.contains_key(name));
        now.groups.0.extend(with_commits(newest).0);
        for line in std::iter::once(reborn).chain(before).chain([now]).filter(Line::is_observation) {
            serde_json::to_writer(&mut text, &line)?;
            text.push(b'\n');
        }
        self.last = world.clone();
        Ok(text)
    }
}

/// Commits by group, topic and partition.
type ByGroup = BTreeMap<String, BTreeMap<String, BTreeMap<PartitionKey, CommitLine>>>;

/// Commits in as few steps as hold one a partition: a line can tell no more.
fn timed(commits: &[TimedCommit]) -> Vec<ByGroup> {
    let mut steps: Vec<ByGroup> = Vec::new();
    let mut told: BTreeMap<(&str, &str, PartitionId), usize> = BTreeMap::new();
    for commit in commits {
        let count = told.entry((&commit.group, &commit.topic, commit.partition)).or_default();
        if steps.len() <= *count {
            steps.push(ByGroup::new());
        }
        let topics = steps[*count].entry(commit.group.to_string()).or_default();
        let line = CommitLine { offset: commit.offset.get(), time: Some(commit.at.0.max(0)) };
        topics.entry(commit.topic.to_string()).or_default().insert(PartitionKey(commit.partition.0), line);
        *count += 1;
    }
    steps
}

fn with_commits(commits: ByGroup) -> Entries<String, Option<Object<GroupLine>>> {
    let groups = commits.into_iter().map(|(name, topics)| {
        let mut commits = Commits::default();
        add_times(&mut commits, topics);
        (name, Some(Object(GroupLine { commits, ..GroupLine::default() })))
    });
    Entries(groups.collect())
}

/// Puts the times of commits beside those that were read. What was read differs where it is newer: then it stands.
fn add_times(read: &mut Commits, timed: BTreeMap<String, BTreeMap<PartitionKey, CommitLine>>) {
    for (topic, timed) in timed {
        let Some(rows) = read.0.entry(topic).or_insert_with(|| Some(Entries::default())) else { continue };
        for (partition, commit) in timed {
            let known = rows.0.entry(partition).or_insert(Some(Object(commit)));
            if let Some(Object(known)) = known
                && known.offset == commit.offset
            {
                *known = commit;
            }
        }
    }
}

/// What is new in a state.
struct News<'a> {
    last: &'a World,
    world: &'a World,
}

impl<'a> News<'a> {
    fn before(&self, name: &str) -> Option<&'a Arc<TopicTable>> {
        self.last.topic(self.last.names.get(name)?)
    }

    fn now(&self, name: &str) -> Option<&'a Arc<TopicTable>> {
        self.world.topic(self.world.names.get(name)?)
    }

    /// Topics that are others than before under the same name, though no end tells so.
    fn reborn_topics(&self) -> impl Iterator<Item = &'a Arc<str>> {
        self.world.topics_by_name().filter_map(|(_, table)| {
            let before = self.before(&table.name).filter(|before| before.history != table.history)?;
            let pairs = before.ends.iter().zip(&table.ends);
            let mut pairs = pairs.filter_map(|(before, now)| before.known().zip(now.known()));
            let has_shrunk = table.partitions() < before.partitions();
            (has_shrunk || !pairs.any(|(before, now)| now < before)).then_some(&table.name)
        })
    }

    fn topics(&self) -> Entries<String, Option<Object<TopicLine>>> {
        let gone = self.last.topics_by_name().filter(|(_, table)| self.now(&table.name).is_none());
        let mut topics: BTreeMap<_, _> = gone.map(|(_, table)| (table.name.to_string(), None)).collect();
        for (_, table) in self.world.topics_by_name() {
            let before = self.before(&table.name);
            if before.is_some_and(|before| Arc::ptr_eq(before, table)) {
                continue;
            }
            let line = topic(before.filter(|before| before.history == table.history).map(AsRef::as_ref), table);
            if line != TopicLine::default() {
                topics.insert(table.name.to_string(), Some(Object(line)));
            }
        }
        Entries(topics)
    }

    fn groups(&self) -> Entries<String, Option<Object<GroupLine>>> {
        let gone = self.last.groups.iter().filter(|table| self.world.groups.get(&table.name).is_none());
        let mut groups: BTreeMap<_, _> = gone.map(|table| (table.name.to_string(), None)).collect();
        for table in self.world.groups.iter() {
            let before = self.last.groups.get(&table.name);
            if before.is_some_and(|before| Arc::ptr_eq(before, table)) {
                continue;
            }
            let line = self.group(before.map(AsRef::as_ref), table);
            if before.is_none() || line != GroupLine::default() {
                groups.insert(table.name.to_string(), Some(Object(line)));
            }
        }
        Entries(groups)
    }

    fn group(&self, before: Option<&GroupTable>, now: &GroupTable) -> GroupLine {
        let mut line = GroupLine { commits: self.commits(before, now), ..GroupLine::default() };
        let Some(member) = &now.membership else { return line };
        let known = before.and_then(|before| before.membership.as_ref());
        if known.is_none_or(|known| (known.state, known.members) != (member.state, member.members)) {
            line.state = Told::Value(State(member.state));
            line.members = Told::Value(member.members);
        }
        // What a group without members held is forgotten by those who replay it.
        if known.is_none_or(|known| known.assignment != member.assignment || known.members == 0) && member.members > 0 {
            let held = member.assignment.iter().filter_map(|assigned| {
                let partitions = assigned.partitions.iter().map(|partition| PartitionKey(partition.0)).collect();
                Some((self.world.names.name(assigned.topic)?.to_string(), partitions))
            });
            line.assignment = Told::Value(Entries(held.collect()));
        }
        if known.map_or(member.is_simple, |known| known.is_simple != member.is_simple) {
            line.protocol_type = if member.is_simple { Told::Value(String::new()) } else { Told::Deleted };
        }
        line
    }

    fn commits(&self, before: Option<&GroupTable>, now: &GroupTable) -> Commits {
        let nothing = CommitTable::default();
        let before = before.and_then(|before| before.commits.as_deref()).unwrap_or(&nothing);
        let now = now.commits.as_deref().unwrap_or(&nothing);
        let mut topics = BTreeMap::new();
        for segment in &now.segments {
            let Some(name) = self.world.names.name(segment.topic) else { continue };
            let known = self.last.names.get(name).and_then(|ix| before.segment(ix));
            if known.is_some_and(|known| known.at == segment.at && known.rows.len() == segment.rows.len()) {
                continue;
            }
            let rows = rows(known.map(|known| (before, known)), now, segment);
            topics.insert(name.to_string(), Some(rows));
        }
        for segment in &before.segments {
            let Some(name) = self.last.names.name(segment.topic) else { continue };
            if self.world.names.get(name).is_none_or(|ix| now.segment(ix).is_none()) {
                topics.insert(name.to_string(), None);
            }
        }
        Entries(topics)
    }
}

/// What was read of a group's commits on a topic, and what is gone.
fn rows(before: Option<(&CommitTable, &Segment)>, now: &CommitTable, segment: &Segment) -> TopicCommits {
    let gone = before.into_iter().flat_map(|(table, known)| &table.partitions[known.rows.clone()]);
    let gone = gone.filter(|partition| now.row(segment, **partition).is_none());
    let mut rows: BTreeMap<_, _> = gone.map(|partition| (PartitionKey(partition.0), None)).collect();
    for row in segment.rows.clone().filter(|row| now.is_current(*row)) {
        if let Some(offset) = now.offsets[row].get() {
            let line = CommitLine { offset: offset.get(), time: None };
            rows.insert(PartitionKey(now.partitions[row].0), Some(Object(line)));
        }
    }
    Entries(rows)
}

/// What was read of a topic; `before` is what was known of the same life of it.
fn topic(before: Option<&TopicTable>, now: &TopicTable) -> TopicLine {
    let mut line = TopicLine::default();
    for (place, (start, end)) in now.starts.iter().zip(&now.ends).enumerate() {
        let Some(partition) = PartitionId::from_index(place) else { break };
        let (start_before, end_before) =
            (before.and_then(|before| before.starts.get(place)), before.and_then(|before| before.ends.get(place)));
        let start = start.known().filter(|start| start_before.and_then(|known| known.known()) != Some(*start));
        let end = end.known().filter(|_| end_before.is_none_or(|known| known.known().is_none() || known.at != end.at));
        if start.is_some() || end.is_some() {
            let told = PartitionLine { start: start.map(Offset::get), end: end.map(Offset::get) };
            line.partitions.0.insert(PartitionKey(partition.0), Some(Object(told)));
        }
    }
    if let Some(settings) = &now.settings
        && before.and_then(|before| before.settings.as_ref()) != Some(settings)
    {
        line.config = Told::Value(Object(config(settings)));
    }
    line
}

fn config(settings: &TopicSettings) -> ConfigLine {
    let limit = |value: Option<u64>| value.map_or(Some(-1), |value| i64::try_from(value).ok());
    let retention = match settings.retention {
        Retention::Forever => None,
        Retention::For(age) => Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
    };
    let policies = [(settings.cleanup.compact, "compact"), (settings.cleanup.delete, "delete")];
    let policies: Vec<&str> = policies.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name).collect();
    ConfigLine {
        retention_ms: limit(retention),
        retention_bytes: limit(settings.retention_bytes),
        min_insync_replicas: Some(settings.min_insync_replicas),
        cleanup_policy: Some(policies.join(",")),
    }
}
