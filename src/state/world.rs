//! One cluster as it is known now; every answer is applied here.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::{
    Asked, AssignedTopic, Collectors, CommitChange, CommitTable, CommitTerms, Groups, HistoryId, Membership, ReadAt,
    Reading, Round, Sample, Scope, StreamFacts, TopicIx, TopicNames, TopicTable,
};
use crate::model::{
    BreakerState, Broker, BrokerId, ClusterDescription, ClusterMetadata, CommittedOffsets, GroupDescription,
    GroupState, ListedPartition, MaxAge, Moment, OffsetSpec, TopicDescription, TopicRows, TopicSettings, WallTime,
};

/// A broker that is in the cluster, or that a replica list expects there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerFacts {
    /// Its node id.
    pub id: BrokerId,
    /// Where it listens; `None` while the metadata does not name it.
    pub endpoint: Option<Broker>,
    /// Its rack, if it has one.
    pub rack: Option<Arc<str>>,
    /// Whether it answered in the last pass.
    pub answers: bool,
    /// Whether calls to it are let through.
    pub breaker: BreakerState,
    /// How often its breaker has opened since polling began.
    pub breaker_trips: u64,
}

/// What an answer about offsets told of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicChange {
    /// The topic.
    pub topic: TopicIx,
    /// Whether an offset differs from the one that was known, or is the first.
    pub changed: bool,
    /// How far its offsets rose, all partitions together.
    pub advanced: u64,
    /// Whether an end fell: truncated, or another topic by now. Either way a new history began.
    pub fell: bool,
}

/// One cluster as it is known now. Cloning copies pointers only: that is how it is published.
#[derive(Debug, Clone)]
pub struct World {
    /// The cluster's id, once told.
    pub cluster_id: Option<Arc<str>>,
    /// Whether the last pass reached the cluster.
    pub up: bool,
    /// When the metadata was last read, if ever.
    pub metadata_at: Option<Moment>,
    /// How old metadata may get.
    pub metadata_max_age: MaxAge,
    /// What of the cluster is shown. Groups that are not are not known either; topics are, for the metadata tells of all.
    pub scope: Scope,
    /// The most partitions of a topic whose offsets are asked for; `None`: all.
    pub sample_partitions: Option<NonZeroUsize>,
    /// Known and expected brokers, ordered by id.
    pub brokers: Arc<Vec<BrokerFacts>>,
    /// Topic names and their places.
    pub names: Arc<TopicNames>,
    /// The existing topics by place. `None`: free, or named by a commit only.
    pub topics: Vec<Option<Arc<TopicTable>>>,
    /// The existing topics' places, ordered by name.
    pub topic_order: Arc<Vec<TopicIx>>,
    /// The groups.
    pub groups: Groups,
    /// The last pass.
    pub round: Round,
    /// How the collectors fared.
    pub collectors: Collectors,
    /// How commits are read from `__consumer_offsets`; `None`: they are not.
    pub stream: Option<Arc<StreamFacts>>,
    /// The last history that was given out.
    last_history: HistoryId,
}

impl World {
    /// A world of which nothing is known.
    #[must_use]
    pub fn new(collectors: Collectors) -> Self {
        Self {
            cluster_id: None,
            up: false,
            metadata_at: None,
            metadata_max_age: MaxAge::ZERO,
            scope: Scope::default(),
            sample_partitions: None,
            brokers: Arc::default(),
            names: Arc::default(),
            topics: Vec::new(),
            topic_order: Arc::default(),
            groups: Groups::default(),
            round: Round::default(),
            collectors,
            stream: None,
            last_history: HistoryId::default(),
        }
    }

    fn fresh_history(&mut self) -> HistoryId {
        self.last_history = HistoryId(self.last_history.0.wrapping_add(1));
        self.last_history
    }

    /// An existing topic.
    #[must_use]
    pub fn topic(&self, ix: TopicIx) -> Option<&Arc<TopicTable>> {
        self.topics.get(ix.index())?.as_ref()
    }

    /// The existing topics, ordered by name.
    pub fn topics_by_name(&self) -> impl Iterator<Item = (TopicIx, &Arc<TopicTable>)> {
        self.topic_order.iter().filter_map(|ix| Some((*ix, self.topic(*ix)?)))
    }

    /// The brokers that the metadata names: those that are live and can be asked.
    pub fn members(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.iter().filter_map(|broker| broker.endpoint.as_ref())
    }

    /// The brokers whose signs of life are looked for: all, or the one whose part is shown.
    pub fn watched_brokers(&self) -> impl Iterator<Item = &BrokerFacts> {
        self.brokers.iter().filter(|broker| self.scope.watches(broker.id))
    }

    /// The topics of which something is shown, ordered by name, with how many of its partitions are.
    pub fn shown_topics(&self) -> impl Iterator<Item = (TopicIx, &Arc<TopicTable>, usize)> {
        self.topics_by_name().filter(|(_, table)| self.scope.has_part_of(table)).map(|(ix, table)| {
            let shown = table.placements.iter().filter(|placement| self.scope.has_partition(placement.leader));
            (ix, table, shown.count())
        })
    }

    /// Shows another part of the cluster from here on; the groups that are not in it are forgotten.
    pub fn set_scope(&mut self, scope: Scope) {
        self.groups.retain(|group| scope.has_groups_of(group.coordinator));
        self.scope = scope;
    }

    /// Takes in the metadata; `shown` says which topics are exported.
    ///
    /// A topic whose metadata failed keeps what is known of it, and its age. The table of one of which nothing new is told
    /// stays the very same.
    pub fn apply_metadata(&mut self, metadata: &ClusterMetadata, shown: impl Fn(&str) -> bool, at: Moment) {
        self.up = true;
        let told_before = self.metadata_at.replace(at);
        self.apply_brokers(metadata);
        let mut named = vec![false; self.names.places()];
        let mut sampled: BTreeMap<TopicIx, Sample> = BTreeMap::new();
        for topic in metadata.topics.iter().filter(|topic| shown(&topic.name)) {
            let Some(ix) = self.intern(&topic.name) else { continue };
            if named.len() <= ix.index() {
                named.resize(ix.index() + 1, false);
            }
            named[ix.index()] = true;
            if topic.partitions.is_empty() {
                self.topics[ix.index()].iter_mut().for_each(|known| keep_age(known, told_before));
                continue;
            }
            if self.topics[ix.index()].as_ref().is_some_and(|known| known.says(topic, self.sample_partitions)) {
                continue;
            }
            let fresh = self.fresh_history();
            if let Some(known) = &mut self.topics[ix.index()]
                && topic.partitions.len() < known.partitions()
                && doubt(known, told_before)
            {
                continue;
            }
            let previous = self.topics[ix.index()].as_deref();
            let mut table = TopicTable::from_metadata(topic, previous, self.sample_partitions, fresh, at);
            // The name is held once, whatever answer it came with first.
            table.name = self.names.name(ix).unwrap_or(&topic.name).clone();
            let known = previous.and_then(|previous| previous.sample);
            sampled.extend(table.sample.filter(|sample| known != Some(*sample)).map(|sample| (ix, sample)));
            self.topics[ix.index()] = Some(Arc::new(table));
        }
        for (place, slot) in self.topics.iter_mut().enumerate() {
            let is_named = named.get(place).copied().unwrap_or(false);
            if !is_named && !slot.as_mut().is_some_and(|known| doubt(known, told_before)) {
                *slot = None;
            }
        }
        self.order_topics();
        self.groups.sample(&sampled);
    }

    fn apply_brokers(&mut self, metadata: &ClusterMetadata) {
        let mut ids: BTreeSet<BrokerId> = metadata.brokers.iter().map(|broker| broker.id).collect();
        let placements = metadata.topics.iter().flat_map(|topic| &topic.partitions);
        ids.extend(placements.flat_map(|partition| partition.replicas.iter().copied()));
        let brokers = ids
            .into_iter()
            .map(|id| {
                let known = self.brokers.iter().find(|known| known.id == id);
                BrokerFacts {
                    id,
                    endpoint: metadata.brokers.iter().find(|broker| broker.id == id).cloned(),
                    rack: known.and_then(|known| known.rack.clone()),
                    answers: known.is_some_and(|known| known.answers),
                    breaker: known.map_or(BreakerState::Closed, |known| known.breaker),
                    breaker_trips: known.map_or(0, |known| known.breaker_trips),
                }
            })
            .collect();
        self.brokers = Arc::new(brokers);
    }

    fn order_topics(&mut self) {
        let existing = || (0..self.topics.len()).filter_map(|place| self.topics[place].as_ref());
        let ordered = self.topic_order.len() == existing().count()
            && self.topic_order.iter().all(|ix| self.topics[ix.index()].is_some());
        if ordered {
            return;
        }
        let mut order: Vec<TopicIx> = existing().filter_map(|table| self.names.get(&table.name)).collect();
        order.sort_by(|a, b| self.names.name(*a).cmp(&self.names.name(*b)));
        self.topic_order = Arc::new(order);
    }

    fn intern(&mut self, name: &Arc<str>) -> Option<TopicIx> {
        let ix = match self.names.get(name) {
            Some(ix) => ix,
            None => Arc::make_mut(&mut self.names).intern(name)?,
        };
        if self.topics.len() <= ix.index() {
            self.topics.resize(ix.index() + 1, None);
        }
        Some(ix)
    }

    /// Takes note of which brokers answered in this pass, whether calls to them are let through, and how often that has
    /// ended.
    pub fn set_broker_health(&mut self, health: impl Fn(BrokerId) -> (bool, BreakerState, u64)) {
        for broker in Arc::make_mut(&mut self.brokers) {
            (broker.answers, broker.breaker, broker.breaker_trips) = health(broker.id);
        }
    }

    /// Takes in the cluster's id and its racks.
    pub fn apply_cluster_description(&mut self, description: &ClusterDescription) {
        if description.cluster_id.is_some() {
            self.cluster_id.clone_from(&description.cluster_id);
        }
        for broker in Arc::make_mut(&mut self.brokers) {
            // A broker that is away keeps the rack that it had.
            if broker.endpoint.is_some() {
                broker.rack = description.racks.iter().find(|(id, _)| *id == broker.id).map(|(_, rack)| rack.clone());
            }
        }
    }

    /// Takes in topic ids. A topic that came back under another id starts a new history.
    pub fn apply_topic_ids(&mut self, descriptions: &[TopicDescription], round: Round) {
        for description in descriptions {
            let Ok(Some(id)) = description.id else { continue };
            let fresh = self.fresh_history();
            let Some(ix) = self.names.get(&description.name) else { continue };
            let Some(table) = self.topics.get_mut(ix.index()).and_then(Option::as_mut) else { continue };
            if table.id != Some(id) {
                Arc::make_mut(table).set_id(id, fresh, self.metadata_at, round);
            }
        }
    }

    /// Takes in the settings of a topic, or that they are not known any more. A table that says so already is left alone.
    pub fn set_topic_settings(&mut self, topic: TopicIx, settings: Option<Arc<TopicSettings>>) {
        if let Some(table) = self.topics.get_mut(topic.index()).and_then(Option::as_mut)
            && table.settings != settings
        {
            Arc::make_mut(table).settings = settings;
        }
    }

    /// Takes in start, end or last stable offsets; `max_age` says how old a topic's may get. Tells what changed. When an end fell a
    /// new history begins: what was paired with the old end says nothing any more.
    pub fn apply_offsets(
        &mut self,
        spec: OffsetSpec,
        rows: &[TopicRows<ListedPartition>],
        max_age: impl Fn(TopicIx) -> MaxAge,
        read: ReadAt,
    ) -> Vec<TopicChange> {
        let mut changes = Vec::with_capacity(rows.len());
        for topic in rows {
            let fresh = self.fresh_history();
            let Some(ix) = self.names.get(&topic.topic) else { continue };
            let Some(table) = self.topics.get_mut(ix.index()).and_then(Option::as_mut) else { continue };
            let table = Arc::make_mut(table);
            let change = apply_rows(table, ix, spec, &topic.rows, max_age(ix), read);
            if change.fell {
                (table.history, table.history_since) = (fresh, read.instants.moment);
                table.forget_life();
            }
            changes.push(change);
        }
        changes
    }

    /// Lets go the offsets of a topic's partitions that are not asked for any more: beside what is read when they are again,
    /// they would be of another time. A partition without a leader stands still: what was read of it is true until
    /// somebody leads it.
    pub fn forget_offsets(&mut self, topic: TopicIx, is_asked: impl Fn(usize) -> bool) {
        let Some(table) = self.topics.get_mut(topic.index()).and_then(Option::as_mut) else { return };
        let is_left = |place: &usize| {
            let columns = [&table.starts, &table.ends, &table.stable_ends];
            let is_known = |column: &&Vec<Reading>| column.get(*place).is_some_and(|read| read.known().is_some());
            columns.iter().any(is_known) && table.placements[*place].leader.is_some() && !is_asked(*place)
        };
        let left: Vec<usize> = (0..table.partitions()).filter(is_left).collect();
        if left.is_empty() {
            return;
        }
        let table = Arc::make_mut(table);
        for column in [&mut table.starts, &mut table.ends, &mut table.stable_ends] {
            for place in &left {
                column.get_mut(*place).into_iter().for_each(|reading| *reading = Reading::NONE);
            }
        }
    }

    /// Takes in a group's description, and tells whether it differs from the last one. `Dead` means that the group is
    /// gone.
    pub fn apply_group_description(&mut self, description: &GroupDescription, max_age: MaxAge, at: Moment) -> bool {
        if description.state == GroupState::Dead {
            self.groups.remove(&description.group);
            return true;
        }
        let mut assignment: Vec<AssignedTopic> = description
            .assignment
            .iter()
            .filter_map(|assigned| {
                Some(AssignedTopic {
                    // Only topics that are exported: others have no place.
                    topic: self.names.get(&assigned.topic).filter(|ix| self.topic(*ix).is_some())?,
                    members: assigned.members,
                    partitions: assigned.partitions.clone(),
                })
            })
            .collect();
        assignment.sort_by_key(|assigned| assigned.topic);
        let membership = Membership {
            coordinator: description.coordinator,
            kind: description.kind,
            state: description.state,
            protocol: description.protocol.clone(),
            is_simple: description.is_simple,
            members: description.members,
            assignment,
            empty_since: None,
            rebalancing_since: None,
            at,
            max_age,
        };
        self.groups.set_membership(&description.group, membership)
    }

    /// Takes in commits of a group; `shown` says which topics are exported, and `max_age` how old a topic's commits may
    /// get. Tells what changed, topic by topic.
    pub fn apply_commits(
        &mut self,
        group: &str,
        answer: &CommittedOffsets,
        asked: Asked<'_>,
        shown: impl Fn(&str) -> bool,
        max_age: &dyn Fn(TopicIx) -> MaxAge,
        read: ReadAt,
    ) -> Vec<CommitChange> {
        let previous = self.groups.get(group).and_then(|table| table.commits.clone());
        let place = |topic: &Arc<str>| if shown(topic) { self.intern(topic) } else { None };
        let places: Vec<Option<TopicIx>> = answer.topics.iter().map(|topic| &topic.topic).map(place).collect();
        let sample = |topic| self.topic(topic).and_then(|table| table.sample);
        let terms = CommitTerms { asked, max_age, sample: &sample, read };
        let (table, changes) = CommitTable::from_answer(answer, &places, terms, previous.as_deref());
        self.groups.set_commits(group, table);
        changes
    }

    /// Takes note of when the newest commits of a group were made, topic by topic, where that is told exactly.
    pub fn set_commit_times(&mut self, group: &str, times: &[(Arc<str>, WallTime)]) {
        let times: Vec<_> = times.iter().filter_map(|(topic, at)| Some((self.names.get(topic)?, *at))).collect();
        self.groups.set_commit_times(group, &times);
    }

    /// Frees the places of names that no topic and no group uses any more.
    pub fn sweep_names(&mut self) {
        let mut used: Vec<bool> = self.topics.iter().map(Option::is_some).collect();
        let mut mark = |ix: TopicIx| {
            if let Some(flag) = used.get_mut(ix.index()) {
                *flag = true;
            }
        };
        for group in self.groups.iter() {
            group.commits.iter().flat_map(|commits| &commits.segments).for_each(|segment| mark(segment.topic));
            group.membership.iter().flat_map(|member| &member.assignment).for_each(|assigned| mark(assigned.topic));
        }
        let free = |ix: TopicIx| used.get(ix.index()).copied().unwrap_or(false);
        let garbage = (0..used.len()).any(|place| !used[place] && self.names.is_taken(place));
        if garbage {
            Arc::make_mut(&mut self.names).retain(free);
            self.topics.truncate(self.names.places());
        }
    }
}

/// What the metadata does not tell of stays as old as it was; `told_before`: as old as the metadata before.
fn keep_age(table: &mut Arc<TopicTable>, told_before: Option<Moment>) {
    if table.last_told.is_none() {
        Arc::make_mut(table).last_told = told_before;
    }
}

/// Whether to keep a topic that the metadata does not show as it was: the first time only, for a broker may lag behind.
fn doubt(table: &mut Arc<TopicTable>, told_before: Option<Moment>) -> bool {
    keep_age(table, told_before);
    let is_first = !table.is_doubted;
    Arc::make_mut(table).is_doubted = true;
    is_first
}

/// Writes rows into a topic's column.
fn apply_rows(
    table: &mut TopicTable,
    topic: TopicIx,
    spec: OffsetSpec,
    rows: &[ListedPartition],
    max_age: MaxAge,
    read: ReadAt,
) -> TopicChange {
    let mut change = TopicChange { topic, changed: false, advanced: 0, fell: false };
    let asked = table.asked();
    if spec == OffsetSpec::LastStable && table.stable_ends.is_empty() {
        table.stable_ends = vec![Reading::NONE; table.partitions()];
    }
    for row in rows {
        let Some(place) = table.place(row.partition).filter(|place| *place < asked) else { continue };
        let Ok(offset) = row.offset else { continue };
        let column = match spec {
            OffsetSpec::Earliest => &mut table.starts,
            OffsetSpec::Latest => &mut table.ends,
            OffsetSpec::LastStable => &mut table.stable_ends,
        };
        let cell = &mut column[place];
        let known = cell.known();
        change.changed |= known != Some(offset);
        change.advanced += known.map_or(0, |known| offset.distance_from(known).0);
        change.fell |= spec == OffsetSpec::Latest && known.is_some_and(|known| offset < known);
        *cell = Reading { offset: offset.into(), at: read.instants.moment, round: read.round, max_age };
    }
    change
}
