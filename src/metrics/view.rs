//! What the web side sees of one cluster: its last published snapshot and how it is to be labelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::derive::Snapshot;
use crate::model::{ConnectionStats, WallTime};
use crate::schedule::Schedule;
use crate::state::CollectorName;

/// How fine the series of topics or groups are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Granularity {
    /// A series for each partition, and the sums.
    #[default]
    Partition,
    /// The sums only: no family with a label `partition`.
    Topic,
}

/// One cluster as the web side sees it. The poller publishes into it, a scrape copies the handles and works unlocked.
#[derive(Debug)]
pub struct ClusterSource {
    /// The value of the label `cluster_name`; `None`: the only, nameless cluster.
    pub name: Option<Arc<str>>,
    /// Where it is, as configured: for the status page.
    pub bootstrap_servers: Vec<String>,
    /// Constant labels of every `kafka_` series.
    pub labels: Vec<(String, String)>,
    /// Of `kafka_topic_…`.
    pub topic_granularity: Granularity,
    /// Of `kafka_consumergroup_…`.
    pub group_granularity: Granularity,
    /// The collectors that are switched on. Families of the others are absent.
    pub collectors: Vec<CollectorName>,
    /// The last published snapshot; `None` before the first pass ended.
    pub snapshot: ArcSwapOption<Snapshot>,
    /// What the connections have done.
    pub connections: ArcSwap<ConnectionStats>,
    /// How often what is asked for.
    pub schedule: ArcSwap<Schedule>,
    /// The last failure of a pass in words, for the status page; `None` when the last pass reached the cluster.
    pub last_error: ArcSwapOption<String>,
    /// The last publishing tick, in milliseconds since the Unix epoch: what grows with the clock is told as of then.
    ticked_at: AtomicI64,
}

impl ClusterSource {
    /// A cluster of which nothing is known yet, with every collector switched on, without constant labels.
    #[must_use]
    pub fn new(name: Option<&str>, bootstrap_servers: Vec<String>) -> Self {
        Self {
            name: name.map(Arc::from),
            bootstrap_servers,
            labels: Vec::new(),
            topic_granularity: Granularity::default(),
            group_granularity: Granularity::default(),
            collectors: CollectorName::ALL.to_vec(),
            snapshot: ArcSwapOption::empty(),
            connections: ArcSwap::default(),
            schedule: ArcSwap::default(),
            last_error: ArcSwapOption::empty(),
            ticked_at: AtomicI64::new(0),
        }
    }

    /// Publishes the time.
    pub fn tick(&self, now: WallTime) {
        self.ticked_at.store(now.0, Ordering::Relaxed);
    }

    /// The time as of which a snapshot is told: the last publishing tick's, or its own where that is later.
    #[must_use]
    pub fn told_at(&self, snapshot: Option<&Snapshot>) -> WallTime {
        let ticked_at = WallTime(self.ticked_at.load(Ordering::Relaxed));
        snapshot.map_or(ticked_at, |snapshot| ticked_at.max(snapshot.derived_at.wall))
    }

    /// What to call it in logs: its name, or the first address that was configured.
    #[must_use]
    pub fn display_name(&self) -> &str {
        self.name.as_deref().or(self.bootstrap_servers.first().map(String::as_str)).unwrap_or_default()
    }

    /// Whether the first pass has ended, well or not.
    #[must_use]
    pub fn was_polled(&self) -> bool {
        self.snapshot.load().is_some() || self.last_error.load().is_some()
    }
}
