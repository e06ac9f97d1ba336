//! How each collector fared in the last pass.

use std::time::Duration;

use crate::model::WallTime;

/// The collectors. The name is the value of the label `collector` and the key in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CollectorName {
    /// Who is in the cluster and who answers.
    Brokers,
    /// Topics and where their partitions lie.
    Topics,
    /// Log start and end of every partition.
    Offsets,
    /// Groups, their states and members.
    Groups,
    /// Committed offsets.
    Commits,
    /// Settings of topics.
    Configs,
}

impl CollectorName {
    /// Every collector, in the order in which a pass runs them first.
    pub const ALL: [Self; 6] = [Self::Brokers, Self::Topics, Self::Offsets, Self::Groups, Self::Commits, Self::Configs];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Brokers => "brokers",
            Self::Topics => "topics",
            Self::Offsets => "offsets",
            Self::Groups => "groups",
            Self::Commits => "commits",
            Self::Configs => "configs",
        }
    }
}

/// How a collector fared in the last pass.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CollectorStatus {
    /// Whether everything it asked for was answered.
    pub success: bool,
    /// How long it worked, over all its phases.
    pub duration: Duration,
    /// When it last succeeded, if ever.
    pub last_success: Option<WallTime>,
}

/// The status of every collector that is switched on.
#[derive(Debug, Clone, PartialEq)]
pub struct Collectors {
    status: [Option<CollectorStatus>; CollectorName::ALL.len()],
}

impl Collectors {
    /// All of those for which `enabled` holds, none of which has run yet.
    #[must_use]
    pub fn new(enabled: impl Fn(CollectorName) -> bool) -> Self {
        Self { status: CollectorName::ALL.map(|name| enabled(name).then(CollectorStatus::default)) }
    }

    /// The status of one; `None` when it is switched off.
    #[must_use]
    pub fn get(&self, name: CollectorName) -> Option<&CollectorStatus> {
        self.status[name as usize].as_ref()
    }

    /// Whether one is switched on.
    #[must_use]
    pub fn is_enabled(&self, name: CollectorName) -> bool {
        self.get(name).is_some()
    }

    /// Takes note that nothing runs just now: no collector succeeds.
    pub fn fail_all(&mut self) {
        self.status.iter_mut().flatten().for_each(|status| status.success = false);
    }

    /// Takes note of a run.
    pub fn record(&mut self, name: CollectorName, success: bool, duration: Duration, now: WallTime) {
        if let Some(status) = &mut self.status[name as usize] {
            status.success = success;
            status.duration = duration;
            if success {
                status.last_success = Some(now);
            }
        }
    }
}
