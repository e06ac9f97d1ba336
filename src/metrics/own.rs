//! The exporter's observations of itself, held in a registry of its own.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::{Gauge, GaugeVec, Histogram, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};

use super::catalogue::{self as names, ANY_BROKER, OTHER_BROKER};
use super::exposition::{Format, RegistryFamilies};
use super::registered::{
    Registered, counter_vec, gauge, gauge_vec, histogram, histogram_vec, int_gauge, int_gauge_vec,
};
use crate::model::{BrokerId, WallTime};

/// How many brokers are counted apart in one family, over all clusters; further ones count as [`OTHER_BROKER`].
/// No cluster has as many, but ids come from outside.
const MAX_BROKERS: usize = 10_000;

/// Bounds of the buckets for passes: from a tiny cluster's to one that takes longer than any interval.
const PASS_BUCKETS_SECONDS: [f64; 12] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Bounds of the buckets for scrapes: from memory, so mostly the time that the reader takes.
const SCRAPE_BUCKETS_SECONDS: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];

/// What is remembered from pass to pass, so that Kafka is not asked for it each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// Ids of topics.
    TopicIds,
    /// The cluster's id and the brokers' racks.
    ClusterDescription,
    /// High watermarks of partitions.
    EndOffsets,
    /// Log start offsets of partitions.
    StartOffsets,
    /// Committed offsets of groups.
    Commits,
    /// Descriptions of groups.
    Memberships,
}

impl Cache {
    /// Every cache.
    pub const ALL: [Self; 6] = [
        Self::TopicIds,
        Self::ClusterDescription,
        Self::EndOffsets,
        Self::StartOffsets,
        Self::Commits,
        Self::Memberships,
    ];

    /// The value of the label `cache`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TopicIds => "topic_ids",
            Self::ClusterDescription => "cluster_description",
            Self::EndOffsets => "end_offsets",
            Self::StartOffsets => "start_offsets",
            Self::Commits => "commits",
            Self::Memberships => "memberships",
        }
    }
}

/// What a long-lived task is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskState {
    /// It runs.
    Running,
    /// It panicked and waits to be started again.
    Restarting,
    /// It ended.
    Finished,
}

impl TaskState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Running, Self::Restarting, Self::Finished];

    /// The value of the label `state`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Finished => "finished",
        }
    }
}

/// Counts a task in a state for as long as it is held.
#[derive(Debug)]
pub struct TaskGuard(IntGauge);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Measures a scrape from its request to its last byte.
#[derive(Debug)]
pub struct ScrapeTimer {
    started: Instant,
    format: Format,
    seconds: Histogram,
    served: IntCounterVec,
}

impl ScrapeTimer {
    /// The scrape was served to the end. One that breaks off is not counted.
    pub fn finish(self) {
        self.seconds.observe(self.started.elapsed().as_secs_f64());
        self.served.with_label_values(&[self.format.as_str()]).inc();
    }
}

/// The exporter's own metrics. A nameless cluster is `None`; its series have no label `cluster_name`.
#[derive(Debug)]
pub struct OwnMetrics {
    registry: Registered,
    pass_seconds: HistogramVec,
    interval_seconds: GaugeVec,
    cache_hits: IntCounterVec,
    cache_misses: IntCounterVec,
    cache_invalidations: IntCounterVec,
    cache_miss_seconds: GaugeVec,
    errors: IntCounterVec,
    brokers_seen: Mutex<HashSet<(String, BrokerId)>>,
    scrapes: IntCounterVec,
    scrape_seconds: Histogram,
    config_is_loaded: IntGauge,
    config_loaded_at: Gauge,
    state_file_saved_at: GaugeVec,
    state_file_bytes: IntGaugeVec,
    http_connections: IntGauge,
    http_requests: IntCounterVec,
    tasks: IntGaugeVec,
    tasks_started: IntCounterVec,
    tasks_finished: IntCounterVec,
    tasks_restarted: IntCounterVec,
    task_panics: IntCounterVec,
    task_start: GaugeVec,
    task_stuck: IntGaugeVec,
}

impl OwnMetrics {
    /// An empty set. `revision` is the commit that was built, where the build knows it.
    ///
    /// # Errors
    /// When the catalogue holds a name that the `prometheus` crate refuses: a defect, not a condition.
    pub fn new(version: &str, revision: Option<&str>) -> Result<Self, prometheus::Error> {
        let registry = Registered::default();
        let own = Self {
            pass_seconds: histogram_vec(&registry, &names::KAFKASCOPE_PASS_DURATION_SECONDS, &PASS_BUCKETS_SECONDS)?,
            interval_seconds: gauge_vec(&registry, &names::KAFKASCOPE_INTERVAL_SECONDS)?,
            cache_hits: counter_vec(&registry, &names::KAFKASCOPE_CACHE_HITS_TOTAL)?,
            cache_misses: counter_vec(&registry, &names::KAFKASCOPE_CACHE_MISSES_TOTAL)?,
            cache_invalidations: counter_vec(&registry, &names::KAFKASCOPE_CACHE_INVALIDATIONS_TOTAL)?,
            cache_miss_seconds: gauge_vec(&registry, &names::KAFKASCOPE_CACHE_MISS_SECONDS)?,
            errors: counter_vec(&registry, &names::KAFKASCOPE_BROKER_ERRORS_TOTAL)?,
            brokers_seen: Mutex::default(),
            scrapes: counter_vec(&registry, &names::KAFKASCOPE_SCRAPES_TOTAL)?,
            scrape_seconds: histogram(&registry, &names::KAFKASCOPE_SCRAPE_DURATION_SECONDS, &SCRAPE_BUCKETS_SECONDS)?,
            config_is_loaded: int_gauge(&registry, &names::KAFKASCOPE_CONFIG_LAST_RELOAD_SUCCESSFUL)?,
            config_loaded_at: gauge(&registry, &names::KAFKASCOPE_CONFIG_LAST_RELOAD_SUCCESS_TIMESTAMP_SECONDS)?,
            state_file_saved_at: gauge_vec(&registry, &names::KAFKASCOPE_STATE_FILE_LAST_SUCCESS_TIMESTAMP_SECONDS)?,
            state_file_bytes: int_gauge_vec(&registry, &names::KAFKASCOPE_STATE_FILE_BYTES)?,
            http_connections: int_gauge(&registry, &names::KAFKASCOPE_HTTP_CONNECTIONS)?,
            http_requests: counter_vec(&registry, &names::KAFKASCOPE_HTTP_REQUESTS_TOTAL)?,
            tasks: int_gauge_vec(&registry, &names::KAFKASCOPE_TASKS)?,
            tasks_started: counter_vec(&registry, &names::KAFKASCOPE_TASKS_STARTED_TOTAL)?,
            tasks_finished: counter_vec(&registry, &names::KAFKASCOPE_TASKS_FINISHED_TOTAL)?,
            tasks_restarted: counter_vec(&registry, &names::KAFKASCOPE_TASKS_RESTARTED_TOTAL)?,
            task_panics: counter_vec(&registry, &names::KAFKASCOPE_TASK_PANICS_TOTAL)?,
            task_start: gauge_vec(&registry, &names::KAFKASCOPE_TASK_START_TIMESTAMP_SECONDS)?,
            task_stuck: int_gauge_vec(&registry, &names::KAFKASCOPE_TASK_STUCK)?,
            registry,
        };
        let build_info = int_gauge_vec(&own.registry, &names::KAFKASCOPE_BUILD_INFO)?;
        build_info.with_label_values(&[version, revision.unwrap_or("")]).set(1);
        let exporter_info = int_gauge_vec(&own.registry, &names::KAFKA_EXPORTER_BUILD_INFO)?;
        exporter_info.with_label_values(&[version]).set(1);
        for format in Format::ALL {
            own.scrapes.with_label_values(&[format.as_str()]);
        }
        for state in TaskState::ALL {
            own.tasks.with_label_values(&[state.as_str()]);
        }
        Ok(own)
    }

    /// Shows a cluster's counters from 0 on, so that their first step is seen, and how often it is polled.
    pub fn add_cluster(&self, cluster: Option<&str>, interval: Duration) {
        let cluster = cluster.unwrap_or("");
        self.pass_seconds.with_label_values(&[cluster]);
        for cache in Cache::ALL {
            self.cache_hits.with_label_values(&[cluster, cache.as_str()]);
            self.cache_misses.with_label_values(&[cluster, cache.as_str()]);
            self.cache_invalidations.with_label_values(&[cluster, cache.as_str()]);
        }
        self.set_interval((!cluster.is_empty()).then_some(cluster), interval);
    }

    /// Takes note of how often a cluster is polled.
    pub fn set_interval(&self, cluster: Option<&str>, interval: Duration) {
        self.interval_seconds.with_label_values(&[cluster.unwrap_or("")]).set(interval.as_secs_f64());
    }

    /// The configuration was read, and is in force.
    pub fn config_loaded(&self, at: WallTime) {
        self.config_is_loaded.set(1);
        self.config_loaded_at.set(at.as_seconds());
    }

    /// The configuration could not be read again, or not be put in force: the one before stands.
    pub fn config_refused(&self) {
        self.config_is_loaded.set(0);
    }

    /// A state file is there that was written at this time. Before, its series are absent.
    pub fn state_file_is_there(&self, saved_at: WallTime, bytes: usize) {
        self.state_file_saved_at.with_label_values::<&str>(&[]).set(saved_at.as_seconds());
        self.state_file_bytes.with_label_values::<&str>(&[]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Lets every series of a cluster go, but for those of its tasks ([`Self::forget_task`]). Nobody may write them any more: a series that is written comes back.
    pub fn remove_cluster(&self, cluster: Option<&str>) {
        let cluster = cluster.unwrap_or("");
        self.registry.remove_cluster(cluster);
        self.brokers_seen.lock().unwrap_or_else(PoisonError::into_inner).retain(|(name, _)| name != cluster);
    }

    /// Takes note of how long a pass took.
    pub fn observe_pass(&self, cluster: Option<&str>, took: Duration) {
        self.pass_seconds.with_label_values(&[cluster.unwrap_or("")]).observe(took.as_secs_f64());
    }

    /// Takes note of failed calls; `broker` is `None` for those that any broker may answer.
    pub fn count_errors(&self, cluster: Option<&str>, broker: Option<BrokerId>, api: &str, times: u64) {
        let cluster = cluster.unwrap_or("");
        let label = match broker.filter(|broker| broker.0 >= 0) {
            None => ANY_BROKER.to_owned(),
            Some(broker) if self.is_counted_apart(cluster, broker) => broker.to_string(),
            Some(_) => OTHER_BROKER.to_owned(),
        };
        self.errors.with_label_values(&[cluster, &label, api]).inc_by(times);
    }

    fn is_counted_apart(&self, cluster: &str, broker: BrokerId) -> bool {
        let mut seen = self.brokers_seen.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (cluster.to_owned(), broker);
        seen.contains(&key) || (seen.len() < MAX_BROKERS && seen.insert(key))
    }

    /// Takes note of values that were served without asking.
    pub fn cache_hits(&self, cluster: Option<&str>, cache: Cache, values: u64) {
        self.cache_hits.with_label_values(&[cluster.unwrap_or(""), cache.as_str()]).inc_by(values);
    }

    /// Takes note of values that were asked for.
    pub fn cache_misses(&self, cluster: Option<&str>, cache: Cache, values: u64) {
        self.cache_misses.with_label_values(&[cluster.unwrap_or(""), cache.as_str()]).inc_by(values);
    }

    /// Takes note of values that were served as quiet and turned out to have moved.
    pub fn cache_invalidations(&self, cluster: Option<&str>, cache: Cache, values: u64) {
        self.cache_invalidations.with_label_values(&[cluster.unwrap_or(""), cache.as_str()]).inc_by(values);
    }

    /// Takes note of what a miss costs.
    pub fn cache_miss_cost(&self, cluster: Option<&str>, cache: Cache, mean: Duration) {
        self.cache_miss_seconds.with_label_values(&[cluster.unwrap_or(""), cache.as_str()]).set(mean.as_secs_f64());
    }

    /// Counts a long-lived task in a state until the guard is dropped.
    #[must_use]
    pub fn task(&self, state: TaskState) -> TaskGuard {
        let gauge = self.tasks.with_label_values(&[state.as_str()]);
        gauge.inc();
        TaskGuard(gauge)
    }

    /// Takes note of the start of a long-lived task. Its counters are shown from 0 on.
    pub fn task_started(&self, cluster: Option<&str>, task: &str, at: WallTime) {
        let labels = [cluster.unwrap_or(""), task];
        self.tasks_started.with_label_values(&labels).inc();
        for counter in [&self.tasks_finished, &self.tasks_restarted, &self.task_panics] {
            counter.with_label_values(&labels);
        }
        self.task_start.with_label_values(&labels).set(at.as_seconds());
        self.task_stuck.with_label_values(&labels).set(0);
    }

    /// Takes note of another start of a long-lived task, after a panic.
    pub fn task_restarted(&self, cluster: Option<&str>, task: &str, at: WallTime) {
        self.tasks_restarted.with_label_values(&[cluster.unwrap_or(""), task]).inc();
        self.task_started(cluster, task, at);
    }

    /// Takes note of the end of a long-lived task that did not panic.
    pub fn task_finished(&self, cluster: Option<&str>, task: &str) {
        self.tasks_finished.with_label_values(&[cluster.unwrap_or(""), task]).inc();
    }

    /// Takes note of a panic in a long-lived task.
    pub fn task_panicked(&self, cluster: Option<&str>, task: &str) {
        self.task_panics.with_label_values(&[cluster.unwrap_or(""), task]).inc();
    }

    /// Takes note of whether a long-lived task hangs.
    pub fn task_stuck(&self, cluster: Option<&str>, task: &str, is_stuck: bool) {
        self.task_stuck.with_label_values(&[cluster.unwrap_or(""), task]).set(i64::from(is_stuck));
    }

    /// Lets go every series of a task whose cluster is there no more.
    pub fn forget_task(&self, cluster: Option<&str>, task: &str) {
        let labels = [cluster.unwrap_or(""), task];
        // An error says that there is none.
        for counter in [&self.tasks_started, &self.tasks_finished, &self.tasks_restarted, &self.task_panics] {
            let _ = counter.remove_label_values(&labels);
        }
        let _ = self.task_start.remove_label_values(&labels);
        let _ = self.task_stuck.remove_label_values(&labels);
    }

    /// Starts to measure a scrape.
    #[must_use]
    pub fn start_scrape(&self, format: Format) -> ScrapeTimer {
        ScrapeTimer {
            started: Instant::now(),
            format,
            seconds: self.scrape_seconds.clone(),
            served: self.scrapes.clone(),
        }
    }

    /// Takes note of an answered HTTP request. `path` is one of the route table's, so that it has few values.
    pub fn http_request(&self, path: &str, code: u16) {
        self.http_requests.with_label_values(&[path, itoa::Buffer::new().format(code)]).inc();
    }

    /// Counts an HTTP connection until the guard is dropped.
    #[must_use]
    pub fn http_connection(&self) -> TaskGuard {
        self.http_connections.inc();
        TaskGuard(self.http_connections.clone())
    }

    /// Everything, as it stands now.
    #[must_use]
    pub fn gather(&self) -> RegistryFamilies {
        RegistryFamilies::new(self.registry.gather())
    }
}
