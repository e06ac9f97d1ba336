//! How the past is judged, and where append times may come from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where the append times of a topic's records may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeLag {
    /// From the history of ends where it reaches, else from the broker.
    #[default]
    Auto,
    /// From the history of ends only.
    History,
    /// From the broker only.
    Broker,
    /// There is no time lag.
    Off,
}

/// Which of them, topic by topic.
#[derive(Clone)]
pub struct TimeLagRule(Arc<dyn Fn(&str) -> TimeLag + Send + Sync>);

impl TimeLagRule {
    /// The choice that a function of the topic's name makes.
    #[must_use]
    pub fn new(choose: impl Fn(&str) -> TimeLag + Send + Sync + 'static) -> Self {
        Self(Arc::new(choose))
    }

    /// The choice for a topic.
    #[must_use]
    pub fn of(&self, topic: &str) -> TimeLag {
        (self.0)(topic)
    }
}

impl Default for TimeLagRule {
    fn default() -> Self {
        Self::new(|_| TimeLag::Auto)
    }
}

impl fmt::Debug for TimeLagRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeLagRule").finish_non_exhaustive()
    }
}

/// How verdicts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusSettings {
    /// The last so many commits, and so many of the last observed ends, make a verdict.
    pub intervals: u8,
    /// A lag up to this is none.
    pub allowed_lag: u64,
    /// A lag up to this that stays is a transaction's marker, not a record.
    pub marker_slack: u64,
    /// Polled commits count towards a verdict when they are so far apart.
    pub poll_distance: Duration,
    /// Commits with times of their own count when they are so far apart.
    pub commit_distance: Duration,
    /// A partition on which nobody has committed for so long, and that nobody holds, is abandoned.
    pub abandoned_after: Duration,
}

impl Default for StatusSettings {
    fn default() -> Self {
        Self {
            intervals: 10,
            allowed_lag: 0,
            marker_slack: 1,
            poll_distance: Duration::from_secs(60),
            commit_distance: Duration::from_secs(1),
            abandoned_after: Duration::from_secs(24 * 3600),
        }
    }
}

/// All that a tracker is told.
#[derive(Debug, Clone, Default)]
pub struct TrackSettings {
    /// How verdicts are made.
    pub status: StatusSettings,
    /// Where append times may come from.
    pub time_lag: TimeLagRule,
}
