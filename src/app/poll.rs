//! Polls one cluster for as long as the process lives, and publishes a snapshot after every pass.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::failures::Failures;
use crate::collect::{CacheUse, Clock, PassReport, PollSettings, Poller, SystemClock};
use crate::derive::Snapshot;
use crate::http::Beat;
use crate::kafka::KafkaClient;
use crate::metrics::{Cache, ClusterSource, OwnMetrics};
use crate::model::Moment;
use crate::schedule::FixedInterval;
use crate::state::World;

/// While nothing new comes, the last world is published anew this often, so that what has become too old goes.
const REPUBLISH_EVERY: Duration = Duration::from_secs(5);

/// Everything that polling one cluster takes.
#[derive(Clone)]
pub(super) struct ClusterTask {
    pub(super) client: Arc<KafkaClient>,
    pub(super) settings: PollSettings,
    pub(super) max_age: Duration,
    /// The bound on calls of all clusters together.
    pub(super) in_flight: Arc<Semaphore>,
    pub(super) source: Arc<ClusterSource>,
    pub(super) own: Arc<OwnMetrics>,
    pub(super) clock: SystemClock,
    /// Shows that this task turns.
    pub(super) poller_beat: Beat,
    /// Shows that the client's poll thread turns.
    pub(super) native_beat: Beat,
}

impl ClusterTask {
    /// Polls for ever.
    pub(super) async fn run(self) {
        let mut poller = Poller::new(self.client.clone(), self.clock, self.settings.clone(), self.in_flight.clone());
        let timer = FixedInterval::new(self.now(), self.settings.interval);
        let mut log = PassLog::default();
        loop {
            let report = self.while_alive(poller.pass()).await;
            log.write(&self.source, poller.world(), &report, self.now());
            self.count(&report);
            self.publish(poller.world(), &report);
            let now = self.now();
            self.while_alive(tokio::time::sleep(timer.next_after(now).since(now))).await;
        }
    }

    fn now(&self) -> Moment {
        self.clock.now().moment
    }

    /// Waits for something, and meanwhile shows that this task turns and lets old values go.
    async fn while_alive<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            self.poller_beat.touch();
            if self.client.poll_age() < REPUBLISH_EVERY {
                self.native_beat.touch();
            }
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(REPUBLISH_EVERY) => self.republish(),
            }
        }
    }

    fn publish(&self, world: &World, report: &PassReport) {
        let previous = self.source.snapshot.load_full();
        let snapshot = Snapshot::derive(world, previous.as_deref(), self.max_age, self.clock.now());
        let error = report.errors.first().filter(|_| !world.up).map(|error| Arc::new(error.to_string()));
        self.source.last_error.store(error);
        self.source.connections.store(self.client.broker_stats());
        self.source.snapshot.store(Some(Arc::new(snapshot)));
    }

    fn republish(&self) {
        self.source.connections.store(self.client.broker_stats());
        if let Some(last) = self.source.snapshot.load_full() {
            let snapshot = Snapshot::derive(&last.world, Some(&last), self.max_age, self.clock.now());
            self.source.snapshot.store(Some(Arc::new(snapshot)));
        }
    }

    fn count(&self, report: &PassReport) {
        let cluster = self.source.name.as_deref();
        self.own.observe_pass(cluster, report.duration);
        for error in report.errors.iter().filter(|error| error.was_asked()) {
            self.own.count_error(cluster, error.target.broker(), error.operation.api());
        }
        let caches: [(Cache, CacheUse); 2] =
            [(Cache::TopicIds, report.topic_ids), (Cache::ClusterDescription, report.cluster_description)];
        for (cache, used) in caches {
            self.own.cache_hits(cluster, cache, used.hits);
            self.own.cache_misses(cluster, cache, used.misses);
        }
    }
}

/// What the log says of one cluster's passes.
#[derive(Default)]
struct PassLog {
    failures: Failures,
    was_up: Option<bool>,
    warned_of_unseen_groups: bool,
}

impl PassLog {
    fn write(&mut self, source: &ClusterSource, world: &World, report: &PassReport, now: Moment) {
        let cluster = source.display_name();
        for line in self.failures.lines(&report.errors, now) {
            tracing::warn!(cluster, "{line}");
        }
        if self.was_up != Some(world.up) {
            self.say_reached(source, world);
            self.was_up = Some(world.up);
        }
        tracing::debug!(cluster, errors = report.errors.len(), seconds = report.duration.as_secs_f64(), "pass ended");
    }

    fn say_reached(&mut self, source: &ClusterSource, world: &World) {
        let cluster = source.display_name();
        if !world.up {
            let servers = source.bootstrap_servers.join(", ");
            tracing::warn!(
                cluster,
                "cluster is not reached at {servers}: kafka_up is 0, values stand until they are too old"
            );
            return;
        }
        let (brokers, topics) = (world.brokers.len(), world.topic_order.len());
        tracing::info!(cluster, brokers, topics, groups = world.groups.len(), "cluster reached");
        if !self.warned_of_unseen_groups {
            self.warned_of_unseen_groups = true;
            tracing::info!(
                cluster,
                "share groups and streams groups, if there are any, are not exported: librdkafka does not list them"
            );
        }
    }
}
