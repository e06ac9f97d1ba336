//! What a pass asks for: everything, or what the scheduler says is due, and what hangs together with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::commits::{PARTITIONS_PER_CALL, is_everything_cheaper};
use super::interest::Interest;
use crate::model::{BrokerId, OffsetSpec};
use crate::schedule::{GroupItem, Scheduler};
use crate::state::{CommitTable, GroupTable, Segment, TopicIx, TopicTable, World};

/// What to ask of one group's commits.
#[derive(Debug, Clone)]
pub(super) struct CommitQuestion {
    /// The group.
    pub(super) group: Arc<str>,
    /// Its coordinator.
    pub(super) coordinator: BrokerId,
    /// Everything, or these topics.
    pub(super) topics: CommitScope,
}

/// Which commits of a group.
#[derive(Debug, Clone)]
pub(super) enum CommitScope {
    /// All that it has committed; these topics of it are due, so that their ends are asked for as well.
    Everything(Vec<TopicIx>),
    /// These topics.
    Topics(Vec<TopicIx>),
}

impl CommitScope {
    /// The topics that are due.
    pub(super) fn due(&self) -> &[TopicIx] {
        match self {
            Self::Everything(topics) | Self::Topics(topics) => topics,
        }
    }
}

/// What is asked for in one go: log starts, then descriptions, then commits, then ends.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// Topics whose log starts are asked for.
    pub(super) starts: BTreeSet<TopicIx>,
    /// Groups whose descriptions are asked for.
    pub(super) describe: Vec<Arc<str>>,
    /// Commits.
    pub(super) commits: Vec<CommitQuestion>,
    /// Topics whose ends are asked for.
    pub(super) ends: BTreeSet<TopicIx>,
}

impl Sweep {
    /// Whether there is nothing to ask.
    pub(super) fn is_empty(&self) -> bool {
        self.starts.is_empty() && self.describe.is_empty() && self.commits.is_empty() && self.ends.is_empty()
    }
}

/// Which collectors are on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Enabled {
    pub(super) offsets: bool,
    pub(super) groups: bool,
    pub(super) commits: bool,
}

/// Makes plans.
pub(super) struct Planner<'a> {
    pub(super) world: &'a World,
    pub(super) scheduler: &'a Scheduler,
    /// Whose offsets are asked for.
    pub(super) interest: &'a Interest,
    pub(super) enabled: Enabled,
    /// The brokers that are in the cluster and not left alone.
    pub(super) reachable: BTreeSet<BrokerId>,
}

impl Planner<'_> {
    /// Everything there is.
    pub(super) fn everything(&self) -> Sweep {
        let mut sweep = Sweep::default();
        let all: BTreeSet<TopicIx> = self.topics_wanted().collect();
        if self.enabled.offsets {
            sweep.starts.clone_from(&all);
            sweep.ends.clone_from(&all);
        }
        for group in self.world.groups.iter() {
            if self.enabled.groups {
                sweep.describe.push(group.name.clone());
            }
            if self.enabled.commits {
                sweep.commits.push(self.question(group, CommitScope::Everything(topics_of(self.world, group))));
            }
        }
        sweep
    }

    /// What is due at the scheduler's tick.
    pub(super) fn due(&self) -> Sweep {
        let mut sweep = Sweep::default();
        if self.enabled.offsets {
            let is_due = |spec| move |ix: &TopicIx| self.scheduler.is_topic_due(*ix, spec);
            sweep.ends = self.topics_wanted().filter(is_due(OffsetSpec::Latest)).collect();
            sweep.starts = self.topics_wanted().filter(is_due(OffsetSpec::Earliest)).collect();
        }
        // What one group asks for sooner than others makes the ends newer that the others' lags stand beside.
        let mut ends = sweep.ends.clone();
        if self.enabled.commits && self.scheduler.has_exceptions() {
            let items = self.world.groups.iter().filter_map(|group| Some((group, self.scheduler.group(&group.name)?)));
            for (group, item) in items {
                let due = self.due_commits(group, item, &ends);
                ends.extend(due.iter().flat_map(CommitScope::due));
            }
        }
        for group in self.world.groups.iter() {
            let Some(item) = self.scheduler.group(&group.name) else { continue };
            if self.enabled.groups && self.scheduler.is_group_due(item) {
                sweep.describe.push(group.name.clone());
            }
            if self.enabled.commits
                && let Some(topics) = self.due_commits(group, item, &ends)
            {
                sweep.commits.push(self.question(group, topics));
            }
        }
        self.complete(&mut sweep);
        sweep
    }

    /// The commits of all groups on some topics, and their ends after them.
    pub(super) fn topics(&self, topics: BTreeSet<TopicIx>) -> Sweep {
        let mut sweep = Sweep::default();
        for group in self.world.groups.iter().filter(|_| self.enabled.commits) {
            let due: Vec<TopicIx> = topics_of(self.world, group).into_iter().filter(|ix| topics.contains(ix)).collect();
            if !due.is_empty() {
                sweep.commits.push(self.question(group, CommitScope::Topics(due)));
            }
        }
        self.complete(&mut sweep);
        sweep
    }

    fn topics_wanted(&self) -> impl Iterator<Item = TopicIx> {
        self.world.topic_order.iter().copied().filter(|ix| self.interest.has_topic(*ix))
    }

    /// Whether a log start was never read that a lag is to be measured with: of what was not wanted until now.
    fn lacks_starts(&self, topic: TopicIx) -> bool {
        let lacks =
            |table: &TopicTable| self.interest.places(topic, table).any(|place| table.starts[place].known().is_none());
        !self.interest.is_everything() && self.world.topic(topic).is_some_and(|table| lacks(table))
    }

    fn question(&self, group: &GroupTable, topics: CommitScope) -> CommitQuestion {
        CommitQuestion { group: group.name.clone(), coordinator: group.coordinator, topics }
    }

    fn due_commits(&self, group: &GroupTable, item: &GroupItem, ends: &BTreeSet<TopicIx>) -> Option<CommitScope> {
        let topics = topics_of(self.world, group);
        let all = topics.len();
        let is_due = |ix: &TopicIx| self.scheduler.is_group_topic_due(item, *ix, ends.contains(ix));
        let due: Vec<TopicIx> = topics.into_iter().filter(is_due).collect();
        let interval = full_interval(self.world, self.scheduler, group, item);
        let rows = group.commits.as_ref().map_or(0, |commits| commits.partitions.len());
        // Where all is due anyway, asking for everything finds new commits for nothing.
        let is_all_due = due.len() == all && all > 0 && rows <= PARTITIONS_PER_CALL;
        let is_cheaper = !due.is_empty() && is_everything_cheaper(rows, self.named(&due));
        let tick = self.scheduler.tick();
        let is_along = !due.is_empty() && item.is_full_due_along(tick, interval);
        if is_all_due || is_cheaper || is_along || item.is_full_due(tick, interval) {
            return Some(CommitScope::Everything(due));
        }
        (!due.is_empty()).then_some(CommitScope::Topics(due))
    }

    /// How many partitions a question names that is about some topics; `None`: it spares those that are not sampled.
    fn named(&self, due: &[TopicIx]) -> Option<usize> {
        let tables = due.iter().filter_map(|ix| self.world.topic(*ix));
        tables.map(|table| (table.asked() == table.partitions()).then(|| table.partitions())).sum()
    }

    /// Adds what the commits need beside them: the ends, after them, and before them the log starts of topics that are not
    /// read to their end, for a start that moved past a commit is part of its lag.
    fn complete(&self, sweep: &mut Sweep) {
        if !self.enabled.offsets {
            return;
        }
        // Nobody answers for the commits of the others: what goes with them need not be asked for either.
        let is_asked = |question: &&CommitQuestion| self.reachable.contains(&question.coordinator);
        for question in sweep.commits.iter().filter(is_asked) {
            let group = self.world.groups.get(&question.group);
            for topic in question.topics.due() {
                sweep.ends.insert(*topic);
                let is_behind = || group.is_some_and(|group| is_behind(self.world, group, *topic));
                if self.lacks_starts(*topic) || is_behind() {
                    sweep.starts.insert(*topic);
                }
            }
        }
    }
}

/// Whether a topic is among those of which a group's commits are planned.
pub(super) fn has_topic(group: Option<&Arc<GroupTable>>, topic: TopicIx) -> bool {
    group.is_some_and(|group| {
        let is_committed = group.commits.as_ref().is_some_and(|commits| commits.segment(topic).is_some());
        let assigned = group.membership.iter().flat_map(|member| &member.assignment);
        is_committed || assigned.into_iter().any(|assigned| assigned.topic == topic)
    })
}

/// The existing topics that a group has committed on or holds partitions of, ordered by place.
pub(super) fn topics_of(world: &World, group: &GroupTable) -> Vec<TopicIx> {
    let committed = group.commits.iter().flat_map(|commits| &commits.segments).map(|segment| segment.topic);
    let assigned = group.membership.iter().flat_map(|member| &member.assignment).map(|assigned| assigned.topic);
    let mut topics: Vec<TopicIx> = committed.chain(assigned).filter(|ix| world.topic(*ix).is_some()).collect();
    topics.sort_unstable();
    topics.dedup();
    topics
}

/// Whether a group's commits on a topic are behind the ends, as far as both are known.
pub(super) fn is_behind(world: &World, group: &GroupTable, topic: TopicIx) -> bool {
    let Some(table) = world.topic(topic) else { return false };
    let Some(commits) = group.commits.as_deref() else { return false };
    let Some(segment) = commits.segment(topic) else { return false };
    segment.rows.clone().any(|row| {
        let end = table.place(commits.partitions[row]).and_then(|place| table.ends[place].known());
        commits.offsets[row].get().zip(end).is_some_and(|(committed, end)| committed < end)
    })
}

/// How often all commits of a group are asked for.
pub(super) fn full_interval(world: &World, scheduler: &Scheduler, group: &GroupTable, item: &GroupItem) -> Duration {
    let commits = group.commits.as_deref();
    let rows = commits.map_or(0, |commits| commits.partitions.len());
    let is_orphan = |commits: &CommitTable, segment: &Segment| {
        let Some(topic) = world.topic(segment.topic) else { return true };
        // Rows are ordered by partition.
        segment.rows.clone().next_back().is_some_and(|last| topic.place(commits.partitions[last]).is_none())
    };
    let has_orphans = commits.is_some_and(|commits| commits.segments.iter().any(|segment| is_orphan(commits, segment)));
    let bounds = scheduler.group_bounds(item);
    item.full_interval(rows, has_orphans, bounds, scheduler.tick().stretch)
}
