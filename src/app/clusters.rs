//! The clusters that run, and the way from one configuration of theirs to the next.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::join_all;
use tokio::join;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::cluster;
use super::memory::Memory;
use super::poll::ClusterTask;
use super::serve::ServeError;
use super::state_file::{Memories, Remembers};
use super::stop::{Stop, Stopper, stop_pair};
use super::supervise::supervise;
use crate::collect::{CallLimits, CpuMeter, SystemClock};
use crate::config::{Cluster, Config, GroupSettings, Polling, TopicSettings};
use crate::http::{HttpState, ScrapeFeed};
use crate::kafka::{CommitFeed, KafkaPool, OffsetsStream};
use crate::metrics::{ClusterSource, OwnMetrics, Task, Tasks};

/// How long tasks may take to end. They end where they wait next, which is soon.
const TASKS_END_WITHIN: Duration = Duration::from_millis(1_200);

/// What the clusters have in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) own: Arc<OwnMetrics>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) feed: Arc<ScrapeFeed>,
    /// Rings when a cluster has published something.
    pub(super) news: Arc<Notify>,
    pub(super) clock: SystemClock,
    pub(super) cpu: Arc<CpuMeter>,
}

/// One cluster with everything that it takes.
struct Running {
    settings: Cluster,
    task: ClusterTask,
    stopper: Stopper,
    stop: Stop,
    supervised: Vec<JoinHandle<()>>,
    /// What reads its commits, where they are not only polled.
    stream: Option<Arc<OffsetsStream>>,
}

/// All of them.
pub(super) struct Clusters {
    shared: Shared,
    config: Arc<ArcSwap<Config>>,
    limits: Arc<CallLimits>,
    /// In the order of the configuration.
    running: Vec<Running>,
    /// Those that are being ended.
    leaving: Vec<Running>,
}

/// What a new configuration has changed, by what the clusters are called.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) added: Vec<String>,
    pub(super) restarted: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) unchanged: usize,
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.unchanged == 1 { "" } else { "s" };
        write!(f, "{} cluster{plural} unchanged", self.unchanged)?;
        for (what, names) in [("restarted", &self.restarted), ("added", &self.added), ("removed", &self.removed)] {
            if !names.is_empty() {
                write!(f, ", {} {what} ({})", names.len(), names.join(", "))?;
            }
        }
        Ok(())
    }
}

impl Clusters {
    /// Sets up every cluster. Nothing is asked yet.
    pub(super) fn connect(config: &Config, shared: Shared) -> Result<Self, ServeError> {
        let connected = config.clusters.iter().map(|settings| connected(settings, config));
        let connected = connected.collect::<Result<Vec<_>, _>>()?;
        let mut clusters = Self {
            shared,
            config: Arc::new(ArcSwap::from_pointee(config.clone())),
            limits: CallLimits::new(config.polling.max_in_flight),
            running: Vec::new(),
            leaving: Vec::new(),
        };
        for (settings, client) in config.clusters.iter().zip(connected) {
            let memory = Memory::new(settings, config);
            clusters.running.push(clusters.set_up(settings, client, config, None, memory));
        }
        Ok(clusters)
    }

    /// What the web side shows.
    pub(super) fn sources(&self) -> Vec<Arc<ClusterSource>> {
        self.running.iter().map(|running| running.task.source.clone()).collect()
    }

    /// What is remembered of each cluster, by its configured name.
    pub(super) fn memories(&self) -> Memories {
        let memory = |running: &Running| {
            let memory: Arc<dyn Remembers> = running.task.memory.clone();
            (running.task.source.name.clone(), memory)
        };
        self.running.iter().map(memory).collect()
    }

    /// The configuration that is in force, now and later.
    pub(super) fn config(&self) -> Arc<ArcSwap<Config>> {
        self.config.clone()
    }

    /// Starts what does not run yet.
    pub(super) fn start(&mut self) {
        self.running.iter_mut().filter(|running| running.supervised.is_empty()).for_each(Running::start);
    }

    /// Puts another configuration in force. Clusters whose part of it is the same go on as if nothing had happened; on an
    /// error all of them do.
    pub(super) async fn apply(&mut self, config: Config, http: &HttpState) -> Result<Changes, ServeError> {
        let before = self.config.load_full();
        let is_same = |settings: &Cluster| is_polled_alike(settings, &before, &config);
        let is_kept = |running: &Running| is_same(&running.settings) && config.clusters.contains(&running.settings);
        let goes_on = |settings: &Cluster| self.running.iter().any(|old| old.settings == *settings && is_kept(old));
        let fresh: Vec<&Cluster> = config.clusters.iter().filter(|settings| !goes_on(settings)).collect();
        let mut clients = Vec::new();
        for settings in &fresh {
            match connected(settings, &config) {
                Ok(client) => clients.push(client),
                Err(error) => {
                    join_all(clients.iter().map(Connected::close)).await;
                    return Err(error);
                }
            }
        }
        // From here on nothing fails.
        let (kept, leaving) = std::mem::take(&mut self.running).into_iter().partition(is_kept);
        self.running = kept;
        self.leaving.extend::<Vec<Running>>(leaving);
        let changes = self.changes(&fresh, &config);
        if before.polling.max_in_flight != config.polling.max_in_flight {
            // All clusters start anew then, and none counts against the former bound.
            self.limits = CallLimits::new(config.polling.max_in_flight);
        }
        end_tasks(&mut self.leaving).await;
        self.leaving.iter().flat_map(Running::tasks).for_each(|task| self.shared.tasks.remove(task));
        for (settings, client) in fresh.into_iter().zip(clients) {
            let is_former = |running: &&Running| {
                running.settings.name == settings.name
                    && shows_the_same(&running.settings, settings)
                    && before.polling_of(&running.settings).max_age == config.polling_of(settings).max_age
            };
            let former = self.leaving.iter().find(is_former);
            let memory = self.remembered(settings, &config, former);
            self.running.push(self.set_up(settings, client, &config, former, memory));
        }
        let place =
            |running: &Running| config.clusters.iter().position(|cluster| cluster.name == running.settings.name);
        self.running.sort_by_key(place);
        http.show_clusters(self.sources());
        self.start();
        self.forget_removed();
        self.config.store(Arc::new(config));
        close(&self.leaving).await;
        self.leaving.clear();
        Ok(changes)
    }

    /// Ends everything, within seconds whatever the brokers do.
    pub(super) async fn stop(&mut self) {
        let mut all: Vec<Running> = self.running.drain(..).chain(self.leaving.drain(..)).collect();
        end_tasks(&mut all).await;
        close(&all).await;
    }

    fn changes(&self, fresh: &[&Cluster], config: &Config) -> Changes {
        let is_leaving = |settings: &Cluster| self.leaving.iter().any(|running| running.settings.name == settings.name);
        let names = |clusters: &mut dyn Iterator<Item = &Cluster>| {
            clusters.map(|settings| settings.display_name().to_owned()).collect::<Vec<_>>()
        };
        let is_there = |settings: &Cluster| config.clusters.iter().any(|cluster| cluster.name == settings.name);
        let leaving = self.leaving.iter().map(|running| &running.settings);
        Changes {
            added: names(&mut fresh.iter().copied().filter(|settings| !is_leaving(settings))),
            restarted: names(&mut fresh.iter().copied().filter(|settings| is_leaving(settings))),
            removed: names(&mut leaving.filter(|settings| !is_there(settings))),
            unchanged: self.running.len(),
        }
    }

    /// Lets the series go of clusters that are there no more.
    fn forget_removed(&self) {
        let is_there = |name: &Option<String>| self.running.iter().any(|running| running.settings.name == *name);
        for gone in self.leaving.iter().filter(|leaving| !is_there(&leaving.settings.name)) {
            gone.tasks().iter().for_each(|task| self.shared.tasks.forget(task));
            self.shared.own.remove_cluster(gone.settings.name.as_deref());
        }
    }

    /// What is remembered of a cluster that is set up anew: all, where its last snapshot stands as well; else the histories
    /// of its topics' ends, which are true whatever is exported, as long as it is the same cluster.
    fn remembered(&self, settings: &Cluster, config: &Config, former: Option<&Running>) -> Arc<Memory> {
        if let Some(former) = former {
            former.task.memory.tracker().set_settings(cluster::track_settings(settings, config));
            return former.task.memory.clone();
        }
        let memory = Memory::new(settings, config);
        let is_same = |running: &&Running| {
            running.settings.name == settings.name && running.settings.bootstrap_servers == settings.bootstrap_servers
        };
        self.leaving.iter().find(is_same).into_iter().for_each(|old| memory.import(old.task.memory.export()));
        memory
    }

    /// Puts a cluster together. What its `former` self has published stands until the first pass.
    fn set_up(
        &self,
        settings: &Cluster,
        connected: Connected,
        config: &Config,
        former: Option<&Running>,
        memory: Arc<Memory>,
    ) -> Running {
        let Shared { own, tasks, feed, news, clock, cpu } = self.shared.clone();
        let source = Arc::new(cluster::source(settings));
        if let Some(former) = former {
            source.take_over(&former.task.source);
            source.last_error.store(former.task.source.last_error.load_full());
        }
        own.add_cluster(source.name.as_deref(), config.polling_of(settings).interval);
        let (stopper, stop) = stop_pair();
        let Connected { client, stream } = connected;
        let mut poll_settings = cluster::poll_settings(settings, config, &self.limits, &cpu);
        poll_settings.commit_feed = stream.clone().map(|stream| stream as Arc<dyn CommitFeed>);
        if let Some(former) = former {
            // Beside which broker this is has been found out: nothing that is shown goes until it is found out again.
            poll_settings.scope_rule = former.task.settings.scope_rule.clone();
        }
        let task = ClusterTask {
            client: Arc::new(client),
            settings: poll_settings,
            poller_beat: tasks.register("poller", Some(&source)),
            publisher_beat: tasks.register("publisher", Some(&source)),
            connections_beat: tasks.register("connections", Some(&source)),
            native_beat: tasks.register("librdkafka", Some(&source)),
            inherits: Arc::new(AtomicBool::new(former.is_some())),
            memory,
            source,
            own,
            clock,
            feed,
            news,
        };
        Running { settings: settings.clone(), task, stopper, stop, supervised: Vec::new(), stream }
    }
}

impl Running {
    /// Starts what the cluster takes, each part supervised by itself.
    fn start(&mut self) {
        let [poller, publisher, connections] = [(); 3].map(|()| (self.task.clone(), self.stop.clone()));
        self.supervised = vec![
            tokio::spawn(async move {
                let (task, stop) = poller;
                supervise(&task.poller_beat, stop, || task.clone().poll()).await;
            }),
            tokio::spawn(async move {
                let (task, stop) = publisher;
                supervise(&task.publisher_beat, stop, || task.clone().expire()).await;
            }),
            tokio::spawn(async move {
                let (task, stop) = connections;
                supervise(&task.connections_beat, stop, || task.clone().tend()).await;
            }),
        ];
    }

    fn tasks(&self) -> [&Task; 4] {
        [&self.task.poller_beat, &self.task.publisher_beat, &self.task.connections_beat, &self.task.native_beat]
    }
}

/// What connects to a cluster.
struct Connected {
    client: KafkaPool,
    stream: Option<Arc<OffsetsStream>>,
}

impl Connected {
    async fn close(&self) {
        join!(self.client.close(), close_stream(self.stream.as_deref()));
    }
}

async fn close_stream(stream: Option<&OffsetsStream>) {
    if let Some(stream) = stream {
        stream.close().await;
    }
}

/// Sets up a cluster's clients.
fn connected(settings: &Cluster, config: &Config) -> Result<Connected, ServeError> {
    let failed = |error| ServeError::Client { cluster: settings.display_name().to_owned(), error };
    let client = cluster::connect(settings, &config.polling).map_err(failed)?;
    let stream = cluster::stream(settings, &config.polling).map_err(failed)?;
    Ok(Connected { client, stream })
}

/// Whether what two configurations say beside the cluster's own part comes to the same for its poller.
fn is_polled_alike(cluster: &Cluster, before: &Config, after: &Config) -> bool {
    // How soon a hang is reported concerns no poller.
    let polling = |config: &Config| Polling { stuck_after: Duration::ZERO, ..config.polling_of(cluster) };
    before.budget == after.budget && before.status == after.status && polling(before) == polling(after)
}

/// Whether what was read under one configuration of a cluster is true under the other, too: who is asked, and for what,
/// has not changed. How it is asked, and how it is shown, may have.
fn shows_the_same(before: &Cluster, after: &Cluster) -> bool {
    let but_for_the_rest = Cluster {
        labels: after.labels.clone(),
        tls: after.tls.clone(),
        sasl: after.sasl.clone(),
        kafka: after.kafka.clone(),
        connections_per_broker: after.connections_per_broker,
        polling: after.polling.clone(),
        commits: after.commits,
        max_series: after.max_series,
        files_digest: after.files_digest,
        topics: TopicSettings {
            granularity: after.topics.granularity,
            time_lag: after.topics.time_lag,
            overrides: after.topics.overrides.clone(),
            ..before.topics.clone()
        },
        groups: GroupSettings {
            granularity: after.groups.granularity,
            drop_zero_lag_partitions: after.groups.drop_zero_lag_partitions,
            overrides: after.groups.overrides.clone(),
            ..before.groups.clone()
        },
        ..before.clone()
    };
    // A lag is measured against what its group's isolation says.
    but_for_the_rest == *after && before.groups.isolations().eq(after.groups.isolations())
}

/// Ends the tasks of some clusters and waits for them, for a while.
async fn end_tasks(clusters: &mut [Running]) {
    clusters.iter().for_each(|running| running.stopper.stop());
    let tasks: Vec<JoinHandle<()>> = clusters.iter_mut().flat_map(|running| running.supervised.drain(..)).collect();
    if timeout(TASKS_END_WITHIN, join_all(tasks)).await.is_err() {
        tracing::warn!(
            "some tasks of clusters that end are busy still: they are left alone, and end where they wait next"
        );
    }
}

async fn close(clusters: &[Running]) {
    let close = |running: &Running| {
        let (client, stream) = (running.task.client.clone(), running.stream.clone());
        async move { join!(client.close(), close_stream(stream.as_deref())) }
    };
    join_all(clusters.iter().map(close)).await;
}
