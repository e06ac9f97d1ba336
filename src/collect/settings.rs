//! What a poller is told: which names are exported, how much may be asked at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::GroupState;
use crate::state::CollectorName;

/// Says whether a name is exported.
#[derive(Clone)]
pub struct NamePredicate {
    matches: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    is_everything: bool,
}

impl NamePredicate {
    /// Exports every name.
    #[must_use]
    pub fn everything() -> Self {
        Self { matches: Arc::new(|_| true), is_everything: true }
    }

    /// Exports the names for which `matches` holds.
    #[must_use]
    pub fn new(matches: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { matches: Arc::new(matches), is_everything: false }
    }

    /// Whether a name is exported.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.is_everything || (self.matches)(name)
    }

    /// Whether every name is, so that there is nothing to filter.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.is_everything
    }
}

impl fmt::Debug for NamePredicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamePredicate").field("is_everything", &self.is_everything).finish_non_exhaustive()
    }
}

/// Which topics are exported.
#[derive(Debug, Clone)]
pub struct TopicScope {
    /// By name.
    pub names: NamePredicate,
}

/// Which groups are exported.
#[derive(Debug, Clone)]
pub struct GroupScope {
    /// By name.
    pub names: NamePredicate,
    /// By state; empty: all states.
    pub states: Vec<GroupState>,
}

/// What a poller of one cluster is told.
#[derive(Debug, Clone)]
pub struct PollSettings {
    /// Which topics.
    pub topics: TopicScope,
    /// Which groups.
    pub groups: GroupScope,
    /// Which collectors are switched on; brokers and topics always are.
    pub collectors: Vec<CollectorName>,
    /// Calls to brokers in flight at once. Besides them, one about the cluster as a whole and one probe of each silent broker.
    pub max_in_flight: usize,
    /// The time between two passes: the slow cycles are spread over passes of this length.
    pub interval: Duration,
}
