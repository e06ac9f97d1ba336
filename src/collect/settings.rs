//! What a poller is told: which names are exported, how much may be asked at once.

use std::num::NonZeroUsize;
use std::sync::Arc;

use super::cpu::CpuMeter;
use super::limits::ClusterLimit;
use super::scope::ScopeRule;
use crate::kafka::CommitFeed;
use crate::model::{GroupState, NamePredicate};
use crate::schedule::Rules;
use crate::state::CollectorName;

/// Which topics are exported.
#[derive(Debug, Clone)]
pub struct TopicScope {
    /// By name.
    pub names: NamePredicate,
    /// The most partitions of a topic whose offsets and commits are asked for; `None`: all.
    pub sample_partitions: Option<NonZeroUsize>,
}

/// Which groups are exported.
#[derive(Debug, Clone)]
pub struct GroupScope {
    /// By name.
    pub names: NamePredicate,
    /// By state; empty: all states.
    pub states: Vec<GroupState>,
    /// Those of them that read committed records only (KIP-98): their lag ends at the last stable offset.
    pub read_committed: NamePredicate,
}

/// What a poller of one cluster is told.
#[derive(Debug, Clone)]
pub struct PollSettings {
    /// Which part of the cluster.
    pub scope_rule: ScopeRule,
    /// Which topics.
    pub topics: TopicScope,
    /// Which groups.
    pub groups: GroupScope,
    /// Which collectors are switched on; brokers and topics always are.
    pub collectors: Vec<CollectorName>,
    /// The cluster's share of the calls in flight; only probes of silent brokers come on top.
    pub limit: Arc<ClusterLimit>,
    /// What the jitter of the breakers' backoffs is made of. Two exporters must have different seeds.
    pub breaker_seed: u64,
    /// What the passes of all clusters are charged on.
    pub cpu: Arc<CpuMeter>,
    /// How often.
    pub rules: Rules,
    /// The stream of commits from `__consumer_offsets`; `None`: they are polled only.
    pub commit_feed: Option<Arc<dyn CommitFeed>>,
}

#[cfg(test)]
impl PollSettings {
    /// Everything there is, with so many calls in flight.
    pub(crate) fn of_everything(max_in_flight: usize, breaker_seed: u64, rules: Rules) -> Self {
        Self {
            scope_rule: ScopeRule::Cluster,
            topics: TopicScope { names: NamePredicate::everything(), sample_partitions: None },
            groups: GroupScope {
                names: NamePredicate::everything(),
                states: Vec::new(),
                read_committed: NamePredicate::nothing(),
            },
            collectors: CollectorName::ALL.to_vec(),
            limit: super::CallLimits::new(max_in_flight).join(),
            breaker_seed,
            cpu: Arc::default(),
            rules,
            commit_feed: None,
        }
    }
}
