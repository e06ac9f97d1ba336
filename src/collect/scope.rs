//! Which part of the cluster is shown: what is configured, brought together with who is live.

use std::fmt;
use std::sync::Arc;

use super::clock::Clock;
use super::pass::Poller;
use super::report::PassReport;
use crate::kafka::KafkaApi;
use crate::model::{Broker, BrokerId};
use crate::state::{Beside, CollectorName, Scope};

/// Which part of a cluster is to be shown.
#[derive(Debug, Clone, Default)]
pub enum ScopeRule {
    /// All of it.
    #[default]
    Cluster,
    /// The part of this broker.
    Broker(BrokerId),
    /// The part of the broker beside which the exporter runs; who that is, is found out.
    Local(Arc<dyn Locate>),
}

/// Finds out beside which broker the exporter runs.
pub trait Locate: fmt::Debug + Send + Sync {
    /// Which of the live brokers it is, as far as that is known. Does not wait: what takes time goes on beside, and the
    /// next call tells what came of it.
    fn locate(&self, live: &[Broker]) -> Located;
}

/// Where the exporter runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Located {
    /// Beside this broker, live or not just now.
    Beside(BrokerId),
    /// That is not known yet.
    Searching,
    /// That cannot be told: why not, and what to do about it.
    Nowhere(Arc<str>),
}

impl ScopeRule {
    /// Whether it is all of the cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster)
    }

    /// The scope before anything is known of the cluster.
    pub(super) fn at_first(&self) -> Scope {
        match self {
            Self::Cluster => Scope::Cluster,
            Self::Broker(broker) => Scope::Beside(Beside::new(*broker, [])),
            Self::Local(_) => Scope::Unplaced(None),
        }
    }

    /// The scope while these brokers are live.
    fn among(&self, live: &[Broker]) -> Scope {
        let beside = |broker| Scope::Beside(Beside::new(broker, live.iter().map(|live| live.id)));
        match self {
            Self::Cluster => Scope::Cluster,
            Self::Broker(broker) => beside(*broker),
            Self::Local(locator) => match locator.locate(live) {
                Located::Beside(broker) => beside(broker),
                Located::Searching => Scope::Unplaced(None),
                Located::Nowhere(reason) => Scope::Unplaced(Some(reason)),
            },
        }
    }
}

impl<K: KafkaApi, C: Clock + Clone> Poller<K, C> {
    /// Follows the metadata: who is live by now, and which part that makes this one.
    pub(super) fn follow_scope(&mut self, report: &mut PassReport) {
        if self.settings.scope_rule.is_cluster() {
            return;
        }
        let live: Vec<Broker> = self.world.members().cloned().collect();
        let scope = self.settings.scope_rule.among(&live);
        if scope != self.world.scope {
            self.world.set_scope(scope);
        }
        match &self.world.scope {
            Scope::Unplaced(_) => report.incomplete(CollectorName::Brokers),
            // Nobody can be asked for the groups: that is not the success of having nothing to ask.
            Scope::Beside(beside) if !beside.is_live() => {
                report.incomplete(CollectorName::Groups);
                report.incomplete(CollectorName::Commits);
            }
            Scope::Cluster | Scope::Beside(_) => {}
        }
    }
}
