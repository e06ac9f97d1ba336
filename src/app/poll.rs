//! Polls one cluster for as long as the process lives, and publishes a snapshot after every pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use super::failures::Failures;
use super::memory::Memory;
use super::stream_log::{Line, StreamLog};
use crate::collect::{CacheUse, Clock, PassReport, PollSettings, Poller, SystemClock};
use crate::derive::Snapshot;
use crate::http::ScrapeFeed;
use crate::kafka::{FeedHealth, KafkaPool, Operation};
use crate::metrics::limit;
use crate::metrics::{Cache, ClusterSource, OwnMetrics, Task, catalogue};
use crate::model::{BrokerId, Moment, StateBytes};
use crate::state::{CollectorName, Scope, World};
use crate::track::{CommitNote, Named};

/// A poll thread that has not turned for so long does not touch its beat any more.
const STUCK_AFTER: Duration = Duration::from_secs(5);
/// How often a pass that takes long shows that its task is alive, and how often the publisher looks for what is too old.
const TURN: Duration = Duration::from_secs(1);

/// Everything that polling one cluster takes.
#[derive(Clone)]
pub(super) struct ClusterTask {
    pub(super) client: Arc<KafkaPool>,
    pub(super) settings: PollSettings,
    pub(super) source: Arc<ClusterSource>,
    pub(super) own: Arc<OwnMetrics>,
    pub(super) clock: SystemClock,
    /// Who scrapes, and when.
    pub(super) feed: Arc<ScrapeFeed>,
    /// Who is to hear that something was published.
    pub(super) news: Arc<Notify>,
    /// The poller.
    pub(super) poller_beat: Task,
    /// What lets values expire.
    pub(super) publisher_beat: Task,
    /// What looks after the connections.
    pub(super) connections_beat: Task,
    /// The client's poll threads, of which the publisher tells.
    pub(super) native_beat: Task,
    /// What is remembered of the cluster. It outlives the poller.
    pub(super) memory: Arc<Memory>,
    /// Whether what is published comes from a poller that was replaced when the configuration changed.
    pub(super) inherits: Arc<AtomicBool>,
}

impl ClusterTask {
    /// Polls for ever.
    pub(super) async fn poll(self) {
        let mut poller = Poller::new(self.client.clone(), self.clock, self.settings.clone(), self.go_on_from());
        let mut wakes = self.feed.wakes();
        let mut log = PassLog::default();
        loop {
            let next = poller.next_tick(&self.feed.rhythm());
            let sleep = tokio::time::sleep(next.since(self.now()));
            let reads = poller.stream_health().is_some();
            let waiting = async {
                tokio::select! {
                    () = sleep => false,
                    () = wakes.next() => true,
                    () = tokio::time::sleep(TURN), if reads => true,
                }
            };
            let woken = self.while_alive(waiting, Task::progress);
            if woken.await {
                // Somebody scrapes again: the next tick may be earlier than it was. Or commits may have been read.
                poller.drain_stream();
                continue;
            }
            let report = self.while_alive(poller.tick(), Task::touch).await;
            self.count(&report);
            if report.has_asked() {
                log.write(&self.source, poller.world(), &report, self.now());
                log.say_stream(&self.source, poller.stream_health(), self.now());
                self.note_commits(&mut poller);
                self.memory.tracker().answer(&poller.take_time_answers());
                self.publish(poller.world(), poller.state_bytes(), &report);
                log.say_withheld(&self.source);
                poller.set_time_questions(&self.memory.tracker().questions());
            }
            if report.is_main {
                let schedule = poller.schedule();
                self.own.set_interval(self.source.name.as_deref(), schedule.period);
                self.memory.tracker().set_period(schedule.period);
                log.say_stretch(&self.source, schedule.stretch);
                self.source.schedule.store(Arc::new(schedule));
            }
            self.poller_beat.progress();
        }
    }

    /// Lets values go that have become too old, for ever. A task of its own: it goes on while the poller hangs or panics.
    pub(super) async fn expire(self) {
        let mut panics = self.client.poll_panics();
        loop {
            tokio::time::sleep(TURN).await;
            self.publisher_beat.progress();
            self.source.tick(self.clock.now().wall);
            let new_panics = self.client.poll_panics().saturating_sub(panics);
            (0..new_panics).for_each(|_| self.native_beat.panicked_inside());
            panics += new_panics;
            if self.client.poll_age() < STUCK_AFTER {
                self.native_beat.progress();
            }
            self.source.connections.store(self.client.broker_stats());
            if let Some(last) = self.source.snapshot.load_full().filter(|last| last.is_outdated(self.now())) {
                let snapshot = Snapshot::derive(&last.world, Some(&last), self.clock.now());
                // Whatever the poller has published meanwhile is newer.
                self.source.publish_after(&last, snapshot);
            }
        }
    }

    /// Looks after the connections, for ever.
    pub(super) async fn tend(self) {
        let shows_life = async {
            loop {
                tokio::time::sleep(TURN).await;
                self.connections_beat.progress();
            }
        };
        tokio::join!(self.client.tend(), shows_life);
    }

    fn now(&self) -> Moment {
        self.clock.now().moment
    }

    /// The world to go on from: what was published by the poller before this one; if that panicked, with the panic in it.
    fn go_on_from(&self) -> Option<World> {
        let last = self.source.snapshot.load_full()?;
        let mut world = last.world.clone();
        if !self.inherits.swap(false, Ordering::Relaxed) {
            world.up = false;
            world.collectors.fail_all();
            self.source.last_error.store(Some(Arc::new("the poller panicked and was started again".to_owned())));
        }
        let snapshot = Snapshot::derive(&world, Some(&last), self.clock.now());
        self.source.publish(snapshot);
        Some(world)
    }

    /// Waits for something, and meanwhile shows that this task turns, or that there is nothing to get on with.
    async fn while_alive<T>(&self, work: impl Future<Output = T>, show: fn(&Task)) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(TURN) => show(&self.poller_beat),
            }
        }
    }

    /// Hands on the commits whose times are known.
    fn note_commits(&self, poller: &mut Poller<KafkaPool, SystemClock>) {
        let events = poller.take_commit_events();
        let mut tracker = self.memory.tracker();
        for event in events {
            let Some(topic) = poller.world().names.get(&event.topic) else { continue };
            let note = CommitNote { topic, partition: event.partition, offset: event.offset, at: event.at };
            tracker.note_commit(&event.group, note);
        }
    }

    /// `polled` is what the poller itself takes.
    fn publish(&self, world: &World, polled: StateBytes, report: &PassReport) {
        let previous = self.source.snapshot.load_full();
        let mut snapshot = Snapshot::derive(world, previous.as_deref(), self.clock.now());
        let remembered = {
            let mut tracker = self.memory.tracker();
            snapshot.set_outlook(tracker.observe(&snapshot, &Named::Fresh));
            tracker.state_bytes()
        };
        let error = report.errors.first().filter(|_| !world.up).map(|error| Arc::new(error.to_string()));
        self.source.last_error.store(error);
        self.source.connections.store(self.client.broker_stats());
        let snapshot = self.source.publish(snapshot);
        let bytes = polled.plus(snapshot.state_bytes()).plus(remembered);
        self.source.state_bytes.store(Arc::new(bytes));
        self.news.notify_one();
    }

    fn count(&self, report: &PassReport) {
        let cluster = self.source.name.as_deref();
        if report.has_asked() {
            self.own.observe_pass(cluster, report.duration);
        }
        for ((broker, api), times) in &report.failed_calls {
            self.own.count_errors(cluster, *broker, api, *times);
        }
        let caches: [(Cache, CacheUse); Cache::ALL.len()] = [
            (Cache::TopicIds, report.topic_ids),
            (Cache::TopicSettings, report.topic_settings),
            (Cache::ClusterDescription, report.cluster_description),
            (Cache::EndOffsets, report.ends),
            (Cache::StartOffsets, report.starts),
            (Cache::Commits, report.commits),
            (Cache::Memberships, report.memberships),
        ];
        for (cache, used) in caches {
            self.own.cache_hits(cluster, cache, used.hits);
            self.own.cache_misses(cluster, cache, used.misses);
            self.own.cache_invalidations(cluster, cache, used.invalidations);
            if let Some(mean) = used.mean_cost() {
                self.own.cache_miss_cost(cluster, cache, mean);
            }
        }
    }
}

/// Whether a broker answered in this pass, or, without one, whether the cluster as a whole told its metadata. Settings are
/// asked for too seldom for that to say anything of them: they have to be known.
fn is_well(world: &World, report: &PassReport, api: &str, broker: Option<BrokerId>) -> bool {
    match broker {
        None if api == Operation::DescribeConfigs.api() => {
            report.outcome(CollectorName::Configs).is_some_and(|(success, _)| success)
        }
        Some(broker) => world.brokers.iter().any(|known| known.id == broker && known.answers),
        None => !report.errors.iter().any(|error| error.operation == Operation::Metadata),
    }
}

/// What the log says of one cluster's passes.
#[derive(Default)]
pub(super) struct PassLog {
    failures: Failures,
    was_up: Option<bool>,
    warned_of_unseen_groups: bool,
    is_stretched: bool,
    is_withholding: bool,
    stream: StreamLog,
    scope: Option<Scope>,
}

/// Intervals that are stretched by less than this are as wanted.
const WORTH_SAYING: f64 = 1.1;

impl PassLog {
    /// Says once that commits are polled although they should be read as they are made, and once that they are read.
    fn say_stream(&mut self, source: &ClusterSource, health: Option<&FeedHealth>, now: Moment) {
        let cluster = source.display_name();
        match health.and_then(|health| self.stream.line(health, now)) {
            Some(Line { text, is_warning: true }) => tracing::warn!(cluster, "{text}"),
            Some(Line { text, .. }) => tracing::info!(cluster, "{text}"),
            None => {}
        }
    }

    /// Says once that the intervals are stretched, and once that they are not any more.
    fn say_stretch(&mut self, source: &ClusterSource, ratio: f64) {
        let cluster = source.display_name();
        let is_stretched = if self.is_stretched { ratio > 1.0 } else { ratio > WORTH_SAYING };
        if is_stretched == self.is_stretched {
            return;
        }
        self.is_stretched = is_stretched;
        if is_stretched {
            tracing::warn!(
                cluster,
                "polling as often as wanted would cost more than its budget: all intervals are stretched, see {}; \
                 raise budget.cpu or budget.requests_per_second_per_broker, or export less",
                catalogue::KAFKASCOPE_INTERVAL_STRETCH_RATIO.name
            );
        } else {
            tracing::info!(cluster, "polling is within its budget again: intervals are as wanted");
        }
    }

    /// Says once that families are left out because there would be too many series, and once that all are there again.
    fn say_withheld(&mut self, source: &ClusterSource) {
        let Some(snapshot) = source.snapshot.load_full() else { return };
        let cluster = source.display_name();
        let left_out = limit::left_out_in_words(&snapshot.detail);
        if self.is_withholding == left_out.is_some() {
            return;
        }
        self.is_withholding = left_out.is_some();
        if let Some((names, series)) = left_out {
            tracing::warn!(
                cluster,
                series,
                "the cluster has more series than max_series: {names} left out, see {}; raise max_series, or export less \
                 (filters, granularity, drop_zero_lag_partitions)",
                catalogue::KAFKASCOPE_WITHHELD_SERIES.name
            );
        } else {
            tracing::info!(cluster, "the cluster's series fit into max_series again: none are left out");
        }
    }

    /// Writes what a pass has to say.
    pub(super) fn write(&mut self, source: &ClusterSource, world: &World, report: &PassReport, now: Moment) {
        let cluster = source.display_name();
        // Of a report that was cut nobody knows what went well.
        let is_whole = report.more_errors == 0;
        let lines =
            self.failures.lines(&report.errors, |api, broker| is_whole && is_well(world, report, api, broker), now);
        lines.failures.iter().for_each(|line| tracing::warn!(cluster, "{line}"));
        lines.recoveries.iter().for_each(|line| tracing::info!(cluster, "{line}"));
        if self.was_up != Some(world.up) {
            self.say_reached(source, world);
            self.was_up = Some(world.up);
        }
        self.say_scope(source, world);
        tracing::debug!(cluster, errors = report.errors.len(), seconds = report.duration.as_secs_f64(), "pass ended");
    }

    /// Says whose part of the cluster is exported, when that changes.
    fn say_scope(&mut self, source: &ClusterSource, world: &World) {
        if self.scope.as_ref() == Some(&world.scope) {
            return;
        }
        let cluster = source.display_name();
        let place =
            |scope: &Scope| scope.beside().map(|beside| (beside.broker(), beside.is_live(), beside.is_lowest()));
        match (&world.scope, place(&world.scope)) {
            (Scope::Unplaced(Some(reason)), _) => {
                tracing::error!(cluster, "nothing of the cluster is exported: {reason}");
            }
            (_, Some((broker, ..))) if place(&world.scope) == self.scope.as_ref().and_then(place) => {
                tracing::debug!(cluster, %broker, "other brokers came or went");
            }
            (_, Some((broker, true, true))) => {
                tracing::info!(cluster, %broker, "exporting the part of this broker and, as the lowest live one, what is of the cluster");
            }
            (_, Some((broker, true, false))) => {
                tracing::info!(cluster, %broker, "exporting the part of this broker");
            }
            // Before the first metadata that says nothing.
            (_, Some((broker, false, _))) if world.metadata_at.is_some() => {
                tracing::warn!(cluster, %broker, "the metadata does not name this broker: its part is exported beside others");
            }
            _ => {}
        }
        self.scope = Some(world.scope.clone());
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::kafka::ClientSettings;
    use crate::metrics::Tasks;
    use crate::model::{Broker, BrokerId, ClusterMetadata, MaxAge};
    use crate::schedule::{BoundsRules, Budget, Rules};
    use crate::state::Collectors;
    use crate::track::TrackSettings;

    /// A task whose cluster does not exist; nothing here asks it.
    fn task(max_age: Duration) -> ClusterTask {
        let settings = ClientSettings {
            cluster: "".into(),
            properties: vec![("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())],
            request_timeout: Duration::from_secs(1),
        };
        let (own, clock) = (Arc::new(OwnMetrics::new("0", None).unwrap()), SystemClock::start());
        let tasks = Tasks::new(own.clone(), clock);
        ClusterTask {
            client: Arc::new(KafkaPool::connect(&settings, 1).unwrap()),
            settings: PollSettings::of_everything(
                1,
                1,
                Rules {
                    fixed: None,
                    bounds: BoundsRules { max_age: Some(max_age), ..BoundsRules::default() },
                    budget: Budget { requests_per_second_per_broker: 50.0, cpu: 0.01 },
                },
            ),
            source: Arc::new(ClusterSource::new(None, vec!["127.0.0.1:1".to_owned()])),
            own,
            clock,
            feed: Arc::new(ScrapeFeed::new(clock)),
            news: Arc::default(),
            poller_beat: tasks.register("poller", None),
            publisher_beat: tasks.register("publisher", None),
            connections_beat: tasks.register("connections", None),
            native_beat: tasks.register("librdkafka", None),
            memory: Memory::with(TrackSettings::default()),
            inherits: Arc::default(),
        }
    }

    /// Publishes a world that was read just now.
    fn publish_world(task: &ClusterTask) {
        let mut world = World::new(Collectors::new(|_| true));
        world.metadata_max_age = MaxAge::new(task.settings.rules.bounds.max_age.unwrap());
        let broker = Broker { id: BrokerId(1), host: "b".into(), port: 9092 };
        world.apply_metadata(&ClusterMetadata { brokers: vec![broker], topics: Vec::new() }, |_| true, task.now());
        let now = task.clock.now();
        CollectorName::ALL.iter().for_each(|name| world.collectors.record(*name, true, Duration::ZERO, now.wall));
        task.publish(&world, StateBytes::default(), &PassReport::default());
    }

    #[tokio::test]
    async fn after_a_panic_polling_goes_on_from_what_was_known_and_says_so() {
        let task = task(Duration::from_secs(60));
        assert!(task.go_on_from().is_none(), "a first start knows nothing");
        publish_world(&task);
        let world = task.go_on_from().unwrap();
        assert_eq!(world.brokers.len(), 1, "what was known stays");
        let shown = task.source.snapshot.load_full().unwrap();
        assert!(!shown.world.up, "nobody polls just now");
        assert!(CollectorName::ALL.iter().all(|name| !shown.world.collectors.get(*name).unwrap().success));
        assert!(task.source.last_error.load_full().is_some());
    }

    #[tokio::test]
    async fn a_poller_that_replaces_another_goes_on_without_a_failure() {
        let task = task(Duration::from_secs(60));
        publish_world(&task);
        task.inherits.store(true, Ordering::Relaxed);
        assert_eq!(task.go_on_from().unwrap().brokers.len(), 1);
        let shown = task.source.snapshot.load_full().unwrap();
        assert_eq!(shown.world.up, task.source.last_error.load_full().is_none());
        assert!(shown.world.collectors.get(CollectorName::Brokers).unwrap().success, "nothing has failed");
        task.go_on_from().unwrap();
        let shown = task.source.snapshot.load_full().unwrap();
        assert!(!shown.world.collectors.get(CollectorName::Brokers).unwrap().success, "the second time it panicked");
    }

    #[tokio::test]
    async fn values_expire_while_nobody_polls() {
        let task = task(Duration::from_millis(50));
        publish_world(&task);
        assert!(task.source.snapshot.load_full().unwrap().has_metadata());
        let expire = tokio::spawn(task.clone().expire());
        let gone = async {
            while task.source.snapshot.load_full().unwrap().has_metadata() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
        expire.abort();
    }
}
