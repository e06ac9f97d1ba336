//! One pass over a cluster, in the order that keeps its numbers coherent.
//!
//! Metadata, then every broker's list of groups, then log starts, then group descriptions, then commits, then ends:
//! a log start is read before the commit that it is compared with, and an end after it, the last stable end included. So no lag is ever negative by
//! a race, and nothing counts as lost that the group read meanwhile.
//!
//! What of it is asked for is the plan's business. When ends turn out to have moved that were thought to stand still, a
//! second sweep reads the commits on them and the ends again: a sweep has a round of its own, and a lag pairs only what
//! one round read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::ask::Asker;
use super::brokers::{self, Brokers};
use super::clock::Clock;
use super::configs::Configs;
use super::interest::Interest;
use super::observe;
use super::plan::{CommitQuestion, Enabled, Planner, Sweep};
use super::report::PassReport;
use super::settings::PollSettings;
use super::stream::StreamTable;
use super::times::Times;
use super::topics::Topics;
use super::{commits, groups, offsets, stable, streamed};
use crate::kafka::KafkaApi;
use crate::model::{BrokerId, Moment, OffsetSpec, StateBytes, StatePart};
use crate::schedule::{Answer, Cost, Rhythm, Schedule, Scheduler};
use crate::state::{CollectorName, Collectors, GroupLists, ReadAt, TopicIx, World};

/// Polls one cluster.
#[derive(Debug)]
pub struct Poller<K, C> {
    pub(super) asker: Asker<K>,
    pub(super) clock: C,
    pub(super) settings: PollSettings,
    pub(super) world: World,
    pub(super) scheduler: Scheduler,
    brokers: Brokers,
    topics: Topics,
    configs: Configs,
    /// What the brokers listed last.
    lists: GroupLists,
    /// Who answered when the brokers were last asked for their lists.
    answered: BTreeSet<BrokerId>,
    /// What is known from `__consumer_offsets`, when it is read.
    pub(super) stream: Option<StreamTable>,
    /// Whether something failed in a way that a look at the brokers may mend.
    pub(super) look_again: observe::LookAgain,
    /// The append times that are looked for.
    pub(super) times: Times,
    /// Whose offsets are asked for.
    pub(super) interest: Interest,
}

impl<K: KafkaApi, C: Clock + Clone> Poller<K, C> {
    /// A poller that goes on from a world that is known, or knows nothing yet.
    #[must_use]
    pub fn new(api: Arc<K>, clock: C, settings: PollSettings, known: Option<World>) -> Self {
        let unknown = || World::new(Collectors::new(|name| settings.collectors.contains(&name)));
        let mut world = known.unwrap_or_else(unknown);
        let is_of_rule = world.scope.is_cluster() == settings.scope_rule.is_cluster();
        if !is_of_rule {
            world.set_scope(settings.scope_rule.at_first());
        }
        world.sample_partitions = settings.topics.sample_partitions;
        world.stream = settings.commit_feed.as_ref().map(|_| Arc::default());
        Self {
            asker: Asker::new(api, settings.limit.clone(), Arc::new(clock.clone()), settings.breaker_seed),
            stream: settings.commit_feed.clone().map(StreamTable::new),
            scheduler: Scheduler::new(settings.rules.clone(), clock.now().moment),
            clock,
            settings,
            brokers: Brokers::default(),
            topics: Topics::default(),
            configs: Configs::default(),
            lists: GroupLists::default(),
            answered: BTreeSet::new(),
            look_again: observe::LookAgain::default(),
            times: Times::default(),
            interest: Interest::of(&world),
            world,
        }
    }

    /// What is known, as of the last pass.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What the poller takes on the heap by itself, apart from the tables that a snapshot of its world shares.
    #[must_use]
    pub fn state_bytes(&self) -> StateBytes {
        let mut bytes = self.world.list_bytes();
        bytes.add(StatePart::Groups, self.lists.heap_bytes());
        let collectors = self.topics.heap_bytes() + self.configs.heap_bytes() + self.interest.heap_bytes();
        bytes.add(StatePart::Schedule, self.scheduler.heap_bytes() + collectors);
        bytes.add(StatePart::Stream, self.stream.as_ref().map_or(0, StreamTable::heap_bytes));
        bytes
    }

    /// What the scheduler has come to.
    #[must_use]
    pub fn schedule(&self) -> Schedule {
        self.scheduler.schedule()
    }

    /// When the next tick is; `rhythm` is what is known of the scrapes.
    pub fn next_tick(&mut self, rhythm: &Rhythm) -> Moment {
        self.scheduler.next_tick(rhythm, self.clock.now().moment)
    }

    /// Works at the tick that is due: asks for what is due, and takes it in. `None`: nothing was. Never fails as a whole:
    /// what failed is in the report.
    pub async fn tick(&mut self) -> PassReport {
        let tick = self.scheduler.take_tick(self.clock.now().moment);
        let (started, begun) = (Instant::now(), self.clock.now().moment);
        let meter = self.settings.cpu.clone();
        let metered = meter.begin(self.clock.cpu());
        let mut report = PassReport::default();
        report.is_main = tick.is_main();
        if self.brokers.harvest_probes(&self.asker, self.clock.now().moment).await {
            self.scheduler.retry_failing();
        }
        let looks = report.is_main || self.look_again.is_due();
        if looks {
            self.look(&mut report).await;
        }
        self.follow_stream();
        if !looks {
            self.follow_interest();
        }
        let planner = self.planner();
        let sweep = if self.scheduler.is_fixed() { planner.everything() } else { planner.due() };
        self.count_hits(&mut report);
        self.count_misses(&sweep, &mut report);
        let sweeps = looks || !sweep.is_empty();
        if sweeps {
            let mut moved = self.sweep(sweep, &mut report).await;
            // What groups turned out to read has ends that were not asked for.
            moved.extend(self.follow_interest());
            if !moved.is_empty() {
                let again = self.planner().topics(moved);
                self.count_misses(&again, &mut report);
                self.sweep(again, &mut report).await;
            }
            if looks {
                self.configs(&mut report).await;
            }
        }
        // Last, for nothing waits for it.
        if self.search_times(&mut report).await || sweeps {
            self.conclude(looks, &mut report);
        }
        self.brokers.start_probes(&self.asker, &self.world, self.clock.now().moment);
        report.duration = started.elapsed();
        report.cpu = metered.end(self.clock.cpu());
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let cost = Cost { requests: report.most_requests() as f64, cpu_seconds: report.cpu.as_secs_f64() };
        self.scheduler.passed(self.clock.now().moment.since(begun), cost);
        report
    }

    fn planner(&self) -> Planner<'_> {
        let enabled = Enabled {
            offsets: self.has(CollectorName::Offsets),
            groups: self.has(CollectorName::Groups),
            commits: self.has(CollectorName::Commits),
        };
        let breakers = self.asker.breakers();
        let reachable = brokers::members(&self.world).filter(|broker| breakers.lets_through(*broker)).collect();
        Planner { world: &self.world, scheduler: &self.scheduler, interest: &self.interest, enabled, reachable }
    }

    pub(super) fn has(&self, collector: CollectorName) -> bool {
        self.world.collectors.is_enabled(collector)
    }

    fn read_at(&self) -> ReadAt {
        ReadAt { round: self.world.round, instants: self.clock.now() }
    }

    /// Looks at the brokers: metadata, and every broker's list of groups.
    async fn look(&mut self, report: &mut PassReport) {
        self.cluster(report).await;
        self.list_groups(report).await;
        self.follow();
        self.look_again.looked();
    }

    async fn cluster(&mut self, report: &mut PassReport) {
        let started = Instant::now();
        let now = self.clock.now().moment;
        let shown = &self.settings.topics.names;
        self.world.metadata_max_age = self.scheduler.main_max_age();
        let reached = brokers::metadata(&self.asker, &mut self.world, shown, now, report).await;
        self.follow_scope(report);
        self.follow_interest();
        report.ran(CollectorName::Topics, started);
        if reached {
            self.brokers.describe(&self.asker, &mut self.world, now, report).await;
        } else {
            self.world.up = false;
        }
        report.ran(CollectorName::Brokers, started);
        if reached {
            let started = Instant::now();
            let interval = self.scheduler.tick().length * self.scheduler.tick().divisions;
            self.topics.ask_due(&self.asker, &mut self.world, &self.interest, interval, report).await;
            report.ran(CollectorName::Topics, started);
        }
    }

    async fn list_groups(&mut self, report: &mut PassReport) {
        let started = Instant::now();
        let (lists, answered) = brokers::list_groups(&self.asker, &self.world, report).await;
        if self.has(CollectorName::Groups) {
            groups::apply_lists(&mut self.world, &mut self.scheduler, &lists, &self.settings.groups);
            groups::doubt_unlisted(&self.world, &mut self.scheduler, &lists);
            groups::note_without_coordinator(&mut self.world, self.clock.now().moment, report);
            report.ran(CollectorName::Groups, started);
        }
        if brokers::members(&self.world).next().is_none() {
            // Nobody can be asked: that is not the success of having nothing to ask.
            for name in [CollectorName::Offsets, CollectorName::Groups, CollectorName::Commits] {
                report.incomplete(name);
            }
        }
        // Metadata may have come from nobody while the brokers themselves answer.
        self.world.up |= !answered.is_empty();
        (self.lists, self.answered) = (lists, answered);
    }

    /// One round: asks for what is planned. Returns the topics that turned out to move and whose commits are older than
    /// that.
    async fn sweep(&mut self, mut sweep: Sweep, report: &mut PassReport) -> BTreeSet<TopicIx> {
        self.world.round = self.world.round.next();
        self.offsets(OffsetSpec::Earliest, &sweep.starts, report).await;
        self.describe(&sweep.describe, report).await;
        // Of a group that is gone, or another exporter's by now, there is nothing more to ask.
        sweep.commits.retain(|question| self.world.groups.get(&question.group).is_some());
        let asked = self.commits(sweep.commits, report).await;
        let mut ends = self.ends(&sweep.ends, report).await;
        ends.not_stable = self.stable_ends(&asked, report).await;
        self.observe_commits(&asked, &ends, report);
        self.moved_unasked(&asked, &ends)
    }

    /// Asks for one kind of offset of some topics.
    async fn offsets(
        &mut self,
        spec: OffsetSpec,
        topics: &BTreeSet<TopicIx>,
        report: &mut PassReport,
    ) -> observe::Offsets {
        if topics.is_empty() {
            return observe::Offsets::default();
        }
        let (started, read) = (Instant::now(), self.read_at());
        let scheduler = &self.scheduler;
        let max_age = |topic| scheduler.topic_max_age(topic, spec);
        let which = offsets::Which::Topics(topics, &self.interest);
        let outcomes = offsets::ask(&self.asker, &mut self.world, spec, which, max_age, read, report).await;
        report.ran(CollectorName::Offsets, started);
        report.offsets(spec).took += started.elapsed();
        self.observe_offsets(spec, &outcomes, report)
    }

    async fn describe(&mut self, groups: &[Arc<str>], report: &mut PassReport) {
        if groups.is_empty() {
            return;
        }
        let (started, now) = (Instant::now(), self.clock.now().moment);
        let scheduler = &self.scheduler;
        let max_age = |group: &str| scheduler.group_max_age(group);
        let (asker, world, lists) = (&self.asker, &mut self.world, &self.lists);
        let outcomes = groups::describe(asker, world, groups, lists, max_age, now, report).await;
        report.ran(CollectorName::Groups, started);
        report.memberships.took += started.elapsed();
        self.observe_groups(&outcomes, report);
    }

    async fn commits(&mut self, questions: Vec<CommitQuestion>, report: &mut PassReport) -> Vec<commits::Outcome> {
        if questions.is_empty() {
            return Vec::new();
        }
        let started = Instant::now();
        let (mut outcomes, questions) = self.answer_from_stream(questions, report);
        if !questions.is_empty() {
            let asked_at = self.clock.now().moment;
            let scheduler = &self.scheduler;
            let max_age = |group: &str, topic| scheduler.group_topic_max_age(group, topic);
            let (asker, world, scope) = (&self.asker, &mut self.world, &self.settings.topics);
            let asked = commits::ask(asker, world, questions, scope, max_age, &self.clock, report).await;
            self.note_asked(&asked, asked_at);
            streamed::join(&mut outcomes, asked);
        }
        report.ran(CollectorName::Commits, started);
        report.commits.took += started.elapsed();
        outcomes
    }

    /// Asks for ends, and for the ids of the topics of which one fell.
    async fn ends(&mut self, topics: &BTreeSet<TopicIx>, report: &mut PassReport) -> observe::Offsets {
        let ends = self.offsets(OffsetSpec::Latest, topics, report).await;
        if !topics.is_empty() {
            let started = Instant::now();
            self.topics.ask(&self.asker, &mut self.world, ends.fell.clone(), report).await;
            report.ran(CollectorName::Topics, started);
        }
        ends
    }

    /// Asks for the last stable offsets that the commits of this round are to be set against, after the ends. Returns the
    /// topics of which one was not told, with the reason.
    async fn stable_ends(&mut self, asked: &[commits::Outcome], report: &mut PassReport) -> BTreeMap<TopicIx, Answer> {
        let unfinished = stable::unfinished(&self.world, asked, self.world.round);
        if unfinished.is_empty() {
            return BTreeMap::new();
        }
        let (started, read, spec) = (Instant::now(), self.read_at(), OffsetSpec::LastStable);
        let scheduler = &self.scheduler;
        let max_age = |topic| scheduler.topic_max_age(topic, spec);
        let which = offsets::Which::Places(&unfinished);
        let outcomes = offsets::ask(&self.asker, &mut self.world, spec, which, max_age, read, report).await;
        report.ran(CollectorName::Offsets, started);
        let used = report.offsets(spec);
        used.took += started.elapsed();
        used.misses += u64::try_from(unfinished.len()).unwrap_or(u64::MAX);
        outcomes.iter().filter_map(|(ix, outcome)| Some((*ix, outcome.failure()?))).collect()
    }

    /// Asks for the settings of topics that are due, last of all: nothing else waits for them.
    async fn configs(&mut self, report: &mut PassReport) {
        if !self.has(CollectorName::Configs) {
            return;
        }
        let (started, now) = (Instant::now(), self.clock.now().moment);
        self.configs.ask_due(&self.asker, &mut self.world, &self.interest, now, report).await;
        report.ran(CollectorName::Configs, started);
        if !self.world.up || self.configs.is_failing() {
            report.incomplete(CollectorName::Configs);
        }
    }

    fn conclude(&mut self, looked: bool, report: &mut PassReport) {
        {
            let (breakers, answered, scope) = (self.asker.breakers(), &self.answered, self.world.scope.clone());
            self.world.set_broker_health(|broker| {
                let state = breakers.state(broker);
                // A broker that fell silent later in the pass does not answer any more.
                // Of one that is not watched nothing is known but that it was not found silent.
                let has_answered = answered.contains(&broker) || !scope.watches(broker);
                (has_answered && breakers.lets_through(broker), state, breakers.trips(broker))
            });
        }
        self.judge_collectors(looked, report);
        let now = self.clock.now().wall;
        for name in CollectorName::ALL {
            if let Some((success, duration)) = report.outcome(name) {
                self.world.collectors.record(name, success, duration, now);
            }
        }
        if let Some(stream) = &self.stream {
            self.world.stream = Some(Arc::new(stream.facts()));
        }
        self.world.sweep_names();
    }
}
