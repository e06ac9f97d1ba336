//! What a pass has to say beside the facts: its failures, its length, and what it did not have to ask.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::kafka::KafkaError;
use crate::model::{BrokerId, OffsetSpec};
use crate::state::CollectorName;

/// Failures that one report holds. A pass over a broken cluster may have more; they are counted only.
const MAX_ERRORS: usize = 256;

/// How a cache of slow facts served in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheUse {
    /// Values served without asking Kafka.
    pub hits: u64,
    /// Values asked for.
    pub misses: u64,
    /// Values that were thought to stand still and turned out to have moved.
    pub invalidations: u64,
    /// How long it took to ask for the misses.
    pub took: Duration,
}

impl CacheUse {
    /// What asking for one value took, if any was asked for and the time was taken.
    #[must_use]
    pub fn mean_cost(&self) -> Option<Duration> {
        let values = u32::try_from(self.misses).ok().filter(|values| *values > 0)?;
        (!self.took.is_zero()).then(|| self.took / values)
    }
}

/// The account of one pass.
#[derive(Debug, Default)]
pub struct PassReport {
    /// How long the pass took.
    pub duration: Duration,
    /// Processor time of the process meanwhile.
    pub cpu: Duration,
    /// What failed, in the order in which it did.
    pub errors: Vec<KafkaError>,
    /// Failures beyond those in `errors`.
    pub more_errors: u64,
    /// How many calls that were made failed, by the broker that was asked and the API: all of them.
    pub failed_calls: BTreeMap<(Option<BrokerId>, &'static str), u64>,
    /// Topic ids.
    pub topic_ids: CacheUse,
    /// Settings of topics.
    pub topic_settings: CacheUse,
    /// Cluster id and racks.
    pub cluster_description: CacheUse,
    /// Ends of partitions.
    pub ends: CacheUse,
    /// Log starts of partitions.
    pub starts: CacheUse,
    /// Committed offsets.
    pub commits: CacheUse,
    /// Descriptions of groups.
    pub memberships: CacheUse,
    /// Whether this was a pass over the brokers and their lists, too.
    pub is_main: bool,
    /// Requests by broker, as far as they go to one in particular.
    requests: BTreeMap<BrokerId, usize>,
    stages: Vec<Stage>,
}

/// One collector's account: it may work in several stages of a pass.
#[derive(Debug)]
struct Stage {
    name: CollectorName,
    success: bool,
    duration: Duration,
}

impl PassReport {
    /// Whether anything was asked for.
    #[must_use]
    pub fn has_asked(&self) -> bool {
        !self.stages.is_empty()
    }

    /// Takes note of a failure of a collector.
    pub(super) fn fail(&mut self, collector: CollectorName, error: KafkaError) {
        self.incomplete(collector);
        self.note(error);
    }

    /// Takes note of a failure that is none of a collector as a whole.
    pub(super) fn note(&mut self, error: KafkaError) {
        if error.was_asked() {
            *self.failed_calls.entry((error.target.broker(), error.operation.api())).or_default() += 1;
        }
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        } else {
            self.more_errors += 1;
        }
    }

    /// The account of one kind of offset; last stable offsets are ends of another kind.
    pub(super) fn offsets(&mut self, spec: OffsetSpec) -> &mut CacheUse {
        match spec {
            OffsetSpec::Latest | OffsetSpec::LastStable => &mut self.ends,
            OffsetSpec::Earliest => &mut self.starts,
        }
    }

    /// Takes note of requests to a broker.
    pub(super) fn count_requests(&mut self, broker: BrokerId, requests: usize) {
        *self.requests.entry(broker).or_default() += requests;
    }

    /// The requests to the broker that was asked most.
    pub(super) fn most_requests(&self) -> usize {
        self.requests.values().copied().max().unwrap_or(0)
    }

    /// Takes note that a collector could not ask for all that it should.
    pub(super) fn incomplete(&mut self, collector: CollectorName) {
        self.stage(collector).success = false;
    }

    /// Takes note that a collector is in order, though it had nothing to ask perhaps.
    pub(super) fn looked_after(&mut self, collector: CollectorName) {
        self.stage(collector);
    }

    /// Adds the time since `started` to a collector's account.
    pub(super) fn ran(&mut self, collector: CollectorName, started: Instant) {
        self.stage(collector).duration += started.elapsed();
    }

    /// Whether a collector ran, whether all it asked for was answered, and how long it took.
    #[must_use]
    pub fn outcome(&self, collector: CollectorName) -> Option<(bool, Duration)> {
        self.stages.iter().find(|stage| stage.name == collector).map(|stage| (stage.success, stage.duration))
    }

    fn stage(&mut self, name: CollectorName) -> &mut Stage {
        let place = self.stages.iter().position(|stage| stage.name == name).unwrap_or_else(|| {
            self.stages.push(Stage { name, success: true, duration: Duration::ZERO });
            self.stages.len() - 1
        });
        &mut self.stages[place]
    }
}
