//! One pass over a cluster, in the order that keeps its numbers coherent.
//!
//! Metadata, then every broker's list of groups, then log starts, then group descriptions, then commits, then ends:
//! a log start is read before the commit that it is compared with, and an end after it. So no lag is ever negative by
//! a race, and nothing counts as lost that the group read meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::ask::Asker;
use super::brokers::{self, Brokers};
use super::clock::Clock;
use super::report::PassReport;
use super::settings::PollSettings;
use super::topics::Topics;
use super::{commits, groups, offsets};
use crate::kafka::KafkaApi;
use crate::model::{BrokerId, OffsetSpec};
use crate::state::{CollectorName, Collectors, GroupLists, ReadAt, World};

/// Polls one cluster.
#[derive(Debug)]
pub struct Poller<K, C> {
    asker: Asker<K>,
    clock: C,
    settings: PollSettings,
    world: World,
    brokers: Brokers,
    topics: Topics,
}

impl<K: KafkaApi, C: Clock> Poller<K, C> {
    /// A poller that goes on from a world that is known, or knows nothing yet.
    #[must_use]
    pub fn new(api: Arc<K>, clock: C, settings: PollSettings, known: Option<World>) -> Self {
        let unknown = || World::new(Collectors::new(|name| settings.collectors.contains(&name)));
        let world = known.unwrap_or_else(unknown);
        Self {
            asker: Asker::new(api, settings.max_in_flight),
            clock,
            settings,
            world,
            brokers: Brokers::default(),
            topics: Topics::default(),
        }
    }

    /// What is known, as of the last pass.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Asks for everything once and takes it in. Never fails as a whole: what failed is in the report.
    pub async fn pass(&mut self) -> PassReport {
        let started = Instant::now();
        let mut report = PassReport::default();
        self.world.round = self.world.round.next();
        self.brokers.harvest_probes(&self.asker).await;
        self.cluster(&mut report).await;
        let (lists, answered) = self.lists(&mut report).await;
        self.log_starts_and_groups(&lists, &mut report).await;
        self.commits(&mut report).await;
        self.ends(&mut report).await;
        self.conclude(&answered, started, &mut report);
        report
    }

    fn has(&self, collector: CollectorName) -> bool {
        self.world.collectors.is_enabled(collector)
    }

    fn read_at(&self) -> ReadAt {
        ReadAt { round: self.world.round, instants: self.clock.now() }
    }

    async fn cluster(&mut self, report: &mut PassReport) {
        let started = Instant::now();
        let now = self.clock.now().moment;
        let shown = &self.settings.topics.names;
        let reached = brokers::metadata(&self.asker, &mut self.world, shown, now, report).await;
        report.ran(CollectorName::Topics, started);
        if reached {
            self.brokers.describe(&self.asker, &mut self.world, now, report).await;
        } else {
            self.world.up = false;
        }
        report.ran(CollectorName::Brokers, started);
        if reached {
            let started = Instant::now();
            self.topics.ask_due(&self.asker, &mut self.world, self.settings.interval, report).await;
            report.ran(CollectorName::Topics, started);
        }
    }

    async fn lists(&mut self, report: &mut PassReport) -> (GroupLists, BTreeSet<BrokerId>) {
        let started = Instant::now();
        let (lists, answered) = brokers::list_groups(&self.asker, &self.world, report).await;
        if self.has(CollectorName::Groups) {
            groups::apply_lists(&mut self.world, &lists, &self.settings.groups);
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
        (lists, answered)
    }

    async fn log_starts_and_groups(&mut self, lists: &GroupLists, report: &mut PassReport) {
        if self.has(CollectorName::Offsets) {
            let started = Instant::now();
            let read = self.read_at();
            offsets::ask(&self.asker, &mut self.world, OffsetSpec::Earliest, read, report).await;
            report.ran(CollectorName::Offsets, started);
        }
        if self.has(CollectorName::Groups) {
            let started = Instant::now();
            let now = self.clock.now().moment;
            groups::describe(&self.asker, &mut self.world, lists, now, report).await;
            report.ran(CollectorName::Groups, started);
        }
    }

    async fn commits(&mut self, report: &mut PassReport) {
        if self.has(CollectorName::Commits) {
            let started = Instant::now();
            let scope = &self.settings.topics;
            commits::ask(&self.asker, &mut self.world, scope, &self.clock, report).await;
            report.ran(CollectorName::Commits, started);
        }
    }

    async fn ends(&mut self, report: &mut PassReport) {
        if self.has(CollectorName::Offsets) {
            let started = Instant::now();
            let read = self.read_at();
            let fell = offsets::ask(&self.asker, &mut self.world, OffsetSpec::Latest, read, report).await;
            report.ran(CollectorName::Offsets, started);
            let started = Instant::now();
            self.topics.ask(&self.asker, &mut self.world, fell, report).await;
            report.ran(CollectorName::Topics, started);
        }
    }

    fn conclude(&mut self, answered: &BTreeSet<BrokerId>, started: Instant, report: &mut PassReport) {
        {
            let breakers = self.asker.breakers();
            self.world.set_broker_health(|broker| {
                let state = breakers.state(broker);
                // A broker that fell silent later in the pass does not answer any more.
                (answered.contains(&broker) && breakers.lets_through(broker), state)
            });
        }
        let now = self.clock.now().wall;
        for name in CollectorName::ALL {
            if let Some((success, duration)) = report.outcome(name) {
                self.world.collectors.record(name, success, duration, now);
            }
        }
        self.brokers.start_probes(&self.asker, &self.world);
        self.world.sweep_names();
        report.duration = started.elapsed();
    }
}
