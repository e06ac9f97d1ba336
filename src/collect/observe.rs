//! What the answers of a pass tell the scheduler: what moves, what stands still, what failed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::clock::Clock;
use super::commits;
use super::interest::Interest;
use super::offsets::Outcome;
use super::pass::Poller;
use super::plan::{CommitScope, Sweep, full_interval, is_behind, topics_of};
use super::report::{CacheUse, PassReport};
use crate::kafka::KafkaApi;
use crate::model::OffsetSpec;
use crate::schedule::{Answer, TopicItem};
use crate::state::{CollectorName, CommitChange, GroupTable, TopicIx, World};

/// The most ticks between two looks at the brokers while something fails, as a power of two.
const MAX_DOUBLINGS: u32 = 4;

/// What one round learned of log starts or of ends.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    /// The topics whose offsets are not the ones of before.
    pub(super) moved: BTreeSet<TopicIx>,
    /// Those of them that were thought to stand still.
    woken: BTreeSet<TopicIx>,
    /// The topics that were asked for.
    asked: BTreeSet<TopicIx>,
    /// The topics of which an end fell.
    pub(super) fell: Vec<Arc<str>>,
    /// The topics of which a last stable offset was asked for and not told, with the reason.
    pub(super) not_stable: BTreeMap<TopicIx, Answer>,
}

/// Whether to look at the brokers before the next main tick: leaders and coordinators may have moved. Less and less
/// often while that does not help.
#[derive(Debug, Default)]
pub(super) struct LookAgain {
    /// Ticks until the next look, while something fails.
    wait: Option<u32>,
    doublings: u32,
}

impl LookAgain {
    /// Counts a tick; whether it is time.
    pub(super) fn is_due(&mut self) -> bool {
        self.wait = self.wait.map(|wait| wait.saturating_sub(1));
        self.wait == Some(0)
    }

    /// The brokers were looked at.
    pub(super) fn looked(&mut self) {
        self.wait = None;
    }

    /// Takes note of how a pass ended.
    fn note(&mut self, fails: bool) {
        if !fails {
            *self = Self::default();
        } else if self.wait.is_none() {
            self.wait = Some(1 << self.doublings);
            self.doublings = (self.doublings + 1).min(MAX_DOUBLINGS);
        }
    }
}

/// The topics of a group that a round read whole, ends included, or should have: those that were due, and what a full
/// reading told besides of topics whose ends were asked for.
fn read_topics(outcome: &commits::Outcome, ends: &Offsets) -> BTreeSet<TopicIx> {
    let besides = outcome.result.as_deref().unwrap_or_default().iter().map(|change| change.topic);
    let besides = besides.filter(|topic| outcome.is_full && ends.asked.contains(topic));
    outcome.due.iter().copied().chain(besides).collect()
}

/// How many of a topic's partitions are asked for.
fn asked(world: &World, interest: &Interest, topic: TopicIx) -> usize {
    world.topic(topic).map_or(0, |table| interest.places(topic, table).count())
}

/// How many commits a group has, or has on some topics.
pub(super) fn rows_of(group: &GroupTable, topics: Option<&[TopicIx]>) -> usize {
    let Some(commits) = group.commits.as_deref() else { return 0 };
    let rows = |topic: &TopicIx| commits.segment(*topic).map_or(0, |segment| segment.rows.len());
    topics.map_or(commits.partitions.len(), |topics| topics.iter().map(rows).sum())
}

impl<K: KafkaApi, C: Clock + Clone> Poller<K, C> {
    /// Finds out anew whose offsets are wanted, where that is not all, and has what was not wanted before asked for at this
    /// tick. What is not wanted any more is forgotten. Returns the topics of which more is wanted than before.
    pub(super) fn follow_interest(&mut self) -> Vec<TopicIx> {
        if self.world.scope.is_cluster() {
            return Vec::new();
        }
        let interest = Interest::of(&self.world);
        let grown = interest.grown_since(&self.interest, &self.world);
        self.interest = interest;
        let (world, interest) = (&mut self.world, &self.interest);
        for ix in world.topic_order.clone().iter() {
            world.forget_offsets(*ix, |place| interest.has_partition(*ix, place));
        }
        self.follow_topics();
        for topic in &grown {
            if let Some((item, _)) = self.scheduler.topic_mut(*topic) {
                item.wake();
            }
        }
        grown
    }

    /// Makes the scheduler know the topics that are wanted.
    fn follow_topics(&mut self) {
        let (world, interest) = (&self.world, &self.interest);
        self.scheduler.retain_topics(|place| world.topics.get(place).is_some_and(Option::is_some));
        for (ix, table) in world.topics_by_name() {
            if !interest.has_topic(ix) {
                self.scheduler.remove_topic(ix);
                continue;
            }
            if let Some((item, _)) = self.scheduler.topic_mut(ix)
                && item.is_of(table)
            {
                item.follow(table);
                continue;
            }
            let item = TopicItem::new(table, self.scheduler.bounds().0);
            self.scheduler.set_topic(ix, item);
        }
    }

    /// Makes the scheduler know the topics that there are. Groups it knows from the lists.
    pub(super) fn follow(&mut self) {
        self.follow_topics();
        let (world, interest) = (&self.world, &self.interest);
        let partitions: usize = world.topics_by_name().map(|(ix, table)| interest.count(ix, table)).sum();
        let committed = world.groups.iter().filter_map(|group| group.commits.as_ref());
        let rows: usize = committed.map(|commits| commits.partitions.len()).sum();
        self.scheduler.resize(partitions + rows);
        for group in world.groups.iter() {
            if let Some(item) = self.scheduler.group_mut(&group.name) {
                item.retain_topics(&topics_of(world, group));
            }
        }
    }

    /// Counts everything as served from memory; what is asked for all the same is taken off by `count_misses`.
    pub(super) fn count_hits(&self, report: &mut PassReport) {
        let world = &self.world;
        let serve = |used: &mut CacheUse, values: usize| used.hits += u64::try_from(values).unwrap_or(u64::MAX);
        if self.has(CollectorName::Offsets) {
            let all: usize = world.topic_order.iter().map(|ix| asked(world, &self.interest, *ix)).sum();
            serve(&mut report.ends, all);
            serve(&mut report.starts, all);
        }
        if self.has(CollectorName::Groups) {
            serve(&mut report.memberships, world.groups.len());
        }
        if self.has(CollectorName::Commits) {
            serve(&mut report.commits, world.groups.iter().map(|group| rows_of(group, None)).sum());
        }
    }

    /// Counts what a plan asks for.
    pub(super) fn count_misses(&self, sweep: &Sweep, report: &mut PassReport) {
        let world = &self.world;
        let ask = |used: &mut CacheUse, values: usize| {
            let values = u64::try_from(values).unwrap_or(u64::MAX);
            used.hits = used.hits.saturating_sub(values);
            used.misses += values;
        };
        let asked = |ix: &TopicIx| asked(world, &self.interest, *ix);
        ask(&mut report.ends, sweep.ends.iter().map(asked).sum());
        ask(&mut report.starts, sweep.starts.iter().map(asked).sum());
        ask(&mut report.memberships, sweep.describe.len());
        let rows = sweep.commits.iter().filter_map(|question| {
            let group = world.groups.get(&question.group)?;
            Some(match &question.topics {
                CommitScope::Everything(_) => rows_of(group, None),
                CommitScope::Topics(topics) => rows_of(group, Some(topics)),
            })
        });
        ask(&mut report.commits, rows.sum());
    }

    /// Takes in what became of offsets.
    pub(super) fn observe_offsets(
        &mut self,
        spec: OffsetSpec,
        outcomes: &HashMap<TopicIx, Outcome>,
        report: &mut PassReport,
    ) -> Offsets {
        let mut learned = Offsets { asked: outcomes.keys().copied().collect(), ..Offsets::default() };
        for (ix, outcome) in outcomes {
            let pace = self.scheduler.topic(*ix).map(|item| *item.pace(spec));
            let stood_still = pace.is_some_and(|pace| !pace.is_moving());
            if outcome.changed {
                learned.moved.insert(*ix);
                if stood_still || pace.is_some_and(|pace| pace.is_new()) {
                    learned.woken.insert(*ix);
                }
                if stood_still {
                    let values = self.world.topic(*ix).map_or(0, |table| table.asked());
                    report.offsets(spec).invalidations += u64::try_from(values).unwrap_or(u64::MAX);
                }
            }
            if outcome.fell {
                learned.fell.extend(self.world.topic(*ix).map(|table| table.name.clone()));
            }
            self.scheduler.topic_answered(*ix, spec, outcome.answer(), outcome.advanced);
            if outcome.is_incomplete() {
                self.scheduler.topic_incomplete(*ix, spec);
            }
        }
        learned
    }

    /// Takes in what became of descriptions.
    pub(super) fn observe_groups(&mut self, outcomes: &[(Arc<str>, Answer)], report: &mut PassReport) {
        for (group, answer) in outcomes {
            let stood_still = self.scheduler.group(group).is_some_and(|item| !item.membership.is_moving());
            report.memberships.invalidations += u64::from(stood_still && *answer == Answer::Moved);
            self.scheduler.group_answered(group, *answer);
        }
    }

    /// Takes in what became of commits; `ends` were read after them.
    pub(super) fn observe_commits(&mut self, asked: &[commits::Outcome], ends: &Offsets, report: &mut PassReport) {
        for outcome in asked {
            let answer = outcome.result.as_ref().map_or_else(|failure| *failure, |_| Answer::Still);
            if outcome.is_full {
                self.observe_full(&outcome.group, answer);
            }
            for topic in read_topics(outcome, ends) {
                let answer = match &outcome.result {
                    Err(failure) => *failure,
                    Ok(changes) => self.judge_commits(outcome, changes, topic, ends, report),
                };
                self.scheduler.group_topic_answered(&outcome.group, topic, answer);
            }
        }
    }

    fn observe_full(&mut self, group: &str, answer: Answer) {
        let tick = *self.scheduler.tick();
        let Some(table) = self.world.groups.get(group) else { return };
        let Some(item) = self.scheduler.group(group) else { return };
        let interval = full_interval(&self.world, &self.scheduler, table, item);
        if let Some(item) = self.scheduler.group_mut(group) {
            item.full_answered(answer, &tick, interval);
        }
    }

    /// Whether a group moves on a topic: its commits did, or the end did, or it is behind and has members.
    fn judge_commits(
        &mut self,
        outcome: &commits::Outcome,
        changes: &[CommitChange],
        topic: TopicIx,
        ends: &Offsets,
        report: &mut PassReport,
    ) -> Answer {
        // They are ordered by place.
        let change = changes.binary_search_by_key(&topic, |change| change.topic).ok().map(|place| changes[place]);
        let changed = change.is_some_and(|change| change.changed);
        let Some(group) = self.world.groups.get(&outcome.group) else { return Answer::Still };
        let members = group.membership.as_ref().map(|membership| (membership.members, membership.is_simple));
        let has_members = members.is_some_and(|(members, _)| members > 0);
        let is_held = has_members && is_behind(&self.world, group, topic);
        let is_read_committed = group.is_read_committed;
        if let Some(item) = self.scheduler.group_mut(&outcome.group) {
            let stood_still = item.known_topic(topic).is_some_and(|item| !item.pace.is_moving());
            if stood_still && changed {
                report.commits.invalidations += 1;
            }
            if changed && members.is_some_and(|(members, is_simple)| members == 0 && !is_simple) {
                // Somebody commits: the description is not what it was.
                item.membership.wake();
            }
        }
        let not_stable = ends.not_stable.get(&topic).filter(|_| is_read_committed);
        if changed || ends.moved.contains(&topic) || is_held {
            Answer::Moved
        } else if let Some(failure) = not_stable {
            // Its lag is not known: it is asked for again as if its commits had failed.
            *failure
        } else if change.is_some_and(|change| change.failed) {
            Answer::Failed
        } else {
            Answer::Still
        }
    }

    /// The topics whose lags are out of date after a round: ends that moved unexpectedly, and commits that moved on topics
    /// whose ends were not asked for.
    pub(super) fn moved_unasked(&self, asked: &[commits::Outcome], ends: &Offsets) -> BTreeSet<TopicIx> {
        let pairs = self.has(CollectorName::Commits) && self.has(CollectorName::Offsets);
        if self.scheduler.is_fixed() || !pairs {
            return BTreeSet::new();
        }
        let mut topics = BTreeSet::new();
        for outcome in asked {
            let changes = outcome.result.as_deref().unwrap_or_default();
            let is_stale = |topic: &TopicIx| !ends.asked.contains(topic) && self.world.topic(*topic).is_some();
            topics.extend(changes.iter().filter(|change| change.changed).map(|change| change.topic).filter(is_stale));
        }
        if ends.woken.is_empty() {
            return topics;
        }
        let mut read: HashMap<&str, BTreeSet<TopicIx>> = HashMap::new();
        for outcome in asked {
            read.entry(&outcome.group).or_default().extend(read_topics(outcome, ends));
        }
        for group in self.world.groups.iter() {
            let read = read.get(group.name.as_ref());
            let committed = group.commits.iter().flat_map(|commits| &commits.segments).map(|segment| segment.topic);
            let is_stale =
                |topic: &TopicIx| ends.woken.contains(topic) && !read.is_some_and(|read| read.contains(topic));
            topics.extend(committed.filter(is_stale));
        }
        topics
    }

    /// Says of every collector that ran whether all that it shows is as it should be, and of every one that was looked
    /// after. What fails and is not asked for at every tick fails all the same.
    pub(super) fn judge_collectors(&mut self, looked: bool, report: &mut PassReport) {
        let fails = [
            (CollectorName::Offsets, self.scheduler.offsets_fail()),
            (CollectorName::Groups, self.scheduler.memberships_fail()),
            (CollectorName::Commits, self.scheduler.commits_fail()),
        ];
        for (name, fails) in fails {
            if looked && self.has(name) {
                report.looked_after(name);
            }
            if fails && report.outcome(name).is_some() {
                report.incomplete(name);
            }
        }
        let is_wrong = |name: CollectorName| report.outcome(name).is_some_and(|(success, _)| !success);
        // Any broker tells settings: a look at the brokers would not mend these.
        let others = CollectorName::ALL.into_iter().filter(|name| *name != CollectorName::Configs);
        self.look_again.note(others.into_iter().any(is_wrong));
    }
}
