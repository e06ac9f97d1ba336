//! What the web side sees of one cluster: its last published snapshot and how it is to be labelled.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::derive::Snapshot;
use crate::model::{ConnectionStats, NamePredicate, StateBytes, StatePart, WallTime};
use crate::schedule::Schedule;
use crate::state::CollectorName;

/// Which topics, or which groups, have series by partition beside their sums.
#[derive(Debug, Clone, Default)]
pub enum ByPartition {
    /// All of them.
    #[default]
    All,
    /// Those with such a name.
    Named(NamePredicate),
    /// None of them: no family with a label `partition`.
    None,
}

/// How much of a snapshot is shown. As long as a source lives it is the same.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// The topics that `kafka_topic_partition_…` are of.
    pub topics: ByPartition,
    /// The groups that families of groups by partition are of.
    pub groups: ByPartition,
    /// Whether partitions of groups are left out on which the lag is known to be 0.
    pub drops_zero_lag: bool,
    /// The most `kafka_` series of the cluster in one exposition; `None`: as many as there are.
    pub max_series: Option<NonZeroU64>,
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
    /// How much of a snapshot is shown.
    pub shown: Shown,
    /// The collectors that are switched on. Families of the others are absent.
    pub collectors: Vec<CollectorName>,
    /// The last published snapshot; `None` before the first pass ended. What is put in here by hand is shown as it is;
    /// [`Self::publish`] decides before how much of it is.
    pub snapshot: ArcSwapOption<Snapshot>,
    /// What the connections have done.
    pub connections: ArcSwap<ConnectionStats>,
    /// How often what is asked for.
    pub schedule: ArcSwap<Schedule>,
    /// What the state takes on the heap, as of the last pass; [`StatePart::Rendered`] is told apart.
    pub state_bytes: ArcSwap<StateBytes>,
    /// What the parts of scrapes take that are kept ready.
    rendered_bytes: AtomicUsize,
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
            shown: Shown::default(),
            collectors: CollectorName::ALL.to_vec(),
            snapshot: ArcSwapOption::empty(),
            connections: ArcSwap::default(),
            schedule: ArcSwap::default(),
            state_bytes: ArcSwap::default(),
            rendered_bytes: AtomicUsize::new(0),
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

    /// Takes note of how many bytes of scrapes are kept ready for this cluster.
    pub fn set_rendered_bytes(&self, bytes: usize) {
        self.rendered_bytes.store(bytes, Ordering::Relaxed);
    }

    /// What a part of the state takes on the heap, in bytes.
    #[must_use]
    pub fn bytes_of(&self, part: StatePart) -> usize {
        match part {
            StatePart::Rendered => self.rendered_bytes.load(Ordering::Relaxed),
            part => self.state_bytes.load().get(part),
        }
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
