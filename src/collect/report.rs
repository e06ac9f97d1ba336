//! What a pass has to say beside the facts: its failures, its length, and what it did not have to ask.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::kafka::KafkaError;
use crate::model::BrokerId;
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
}

/// The account of one pass.
#[derive(Debug, Default)]
pub struct PassReport {
    /// How long the pass took.
    pub duration: Duration,
    /// What failed, in the order in which it did.
    pub errors: Vec<KafkaError>,
    /// Failures beyond those in `errors`.
    pub more_errors: u64,
    /// How many calls that were made failed, by the broker that was asked and the API: all of them.
    pub failed_calls: BTreeMap<(Option<BrokerId>, &'static str), u64>,
    /// Topic ids.
    pub topic_ids: CacheUse,
    /// Cluster id and racks.
    pub cluster_description: CacheUse,
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
    /// Takes note of a failure of a collector.
    pub(super) fn fail(&mut self, collector: CollectorName, error: KafkaError) {
        self.incomplete(collector);
        if error.was_asked() {
            *self.failed_calls.entry((error.target.broker(), error.operation.api())).or_default() += 1;
        }
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error);
        } else {
            self.more_errors += 1;
        }
    }

    /// Takes note that a collector could not ask for all that it should.
    pub(super) fn incomplete(&mut self, collector: CollectorName) {
        self.stage(collector).success = false;
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
