//! How often something may be asked for: the shortest and the longest interval, by name and by the cluster's size.

use std::time::Duration;

use crate::model::NamePredicate;

/// What an automatic shortest interval is on a cluster of ordinary size; never longer than the longest.
pub const AUTO_MIN_INTERVAL: Duration = Duration::from_secs(5);
/// What an automatic longest interval is on a cluster of ordinary size; never shorter than the shortest.
pub const AUTO_MAX_INTERVAL: Duration = Duration::from_secs(60);
/// A value may automatically be so many intervals old.
pub(super) const INTERVALS_OF_MAX_AGE: u32 = 3;
/// But always so old.
pub const MIN_AUTO_MAX_AGE: Duration = Duration::from_secs(120);
/// Up to so many values (partitions and committed group-partitions) a cluster is of ordinary size. Beyond, automatic
/// bounds grow in proportion.
const ORDINARY_VALUES: usize = 250_000;
/// How much automatic bounds grow at most.
const MAX_GROWTH: f64 = 5.0;

/// The shortest and the longest interval between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// What moves is not asked for more often.
    pub min: Duration,
    /// What stands still is not asked for less often.
    pub max: Duration,
}

/// How old a value may get that is asked for again after this interval at the latest: as configured, or automatic.
#[must_use]
pub fn max_age(configured: Option<Duration>, interval: Duration) -> Duration {
    configured.unwrap_or_else(|| interval.saturating_mul(INTERVALS_OF_MAX_AGE).max(MIN_AUTO_MAX_AGE))
}

/// Bounds for the topics or the groups of some names.
#[derive(Debug, Clone)]
pub struct BoundsOverride {
    /// For these topics; with `groups`, for what those have committed on them.
    pub topics: Option<NamePredicate>,
    /// For these groups; without `topics`, whatever the topic.
    pub groups: Option<NamePredicate>,
    /// The shortest interval; `None`: that of the cluster.
    pub min: Option<Duration>,
    /// The longest interval; `None`: that of the cluster.
    pub max: Option<Duration>,
}

/// What is configured of one cluster's bounds.
#[derive(Debug, Clone, Default)]
pub struct BoundsRules {
    /// The shortest interval; `None`: automatic.
    pub min: Option<Duration>,
    /// The longest interval; `None`: automatic.
    pub max: Option<Duration>,
    /// Exceptions; the first that matches holds.
    pub overrides: Vec<BoundsOverride>,
    /// No value older than this is shown; `None`: three times its interval, at least 2 min. Automatic bounds do not grow
    /// beyond it.
    pub max_age: Option<Duration>,
}

impl BoundsRules {
    /// The bounds of what has no exception, for a cluster with so many values.
    #[must_use]
    pub fn of_cluster(&self, values: usize) -> Bounds {
        #[expect(clippy::cast_precision_loss, reason = "a ratio of counts")]
        let growth = (values as f64 / ORDINARY_VALUES as f64).clamp(1.0, MAX_GROWTH);
        let min = self.min.unwrap_or_else(|| AUTO_MIN_INTERVAL.mul_f64(growth).min(self.max.unwrap_or(Duration::MAX)));
        let most = self.max_age.unwrap_or(Duration::MAX).max(AUTO_MAX_INTERVAL);
        let max = self.max.unwrap_or_else(|| AUTO_MAX_INTERVAL.mul_f64(growth).min(most));
        Bounds { min, max: max.max(min) }
    }

    /// The exception for a topic, as a place in the list.
    #[must_use]
    pub fn of_topic(&self, name: &str) -> Option<usize> {
        self.overrides
            .iter()
            .position(|rule| rule.groups.is_none() && rule.topics.as_ref().is_some_and(|topics| topics.matches(name)))
    }

    /// The exception for a group, as a place in the list.
    #[must_use]
    pub fn of_group(&self, name: &str) -> Option<usize> {
        self.overrides
            .iter()
            .position(|rule| rule.topics.is_none() && rule.groups.as_ref().is_some_and(|groups| groups.matches(name)))
    }

    /// The exception for a topic of a group, as a place in the list.
    #[must_use]
    pub fn of_group_topic(&self, group: &str, topic: &str) -> Option<usize> {
        let matches =
            |names: &Option<NamePredicate>, name: &str| names.as_ref().is_none_or(|names| names.matches(name));
        self.overrides.iter().position(|rule| matches(&rule.topics, topic) && matches(&rule.groups, group))
    }

    /// The bounds under an exception, or without one.
    #[must_use]
    pub fn apply(&self, exception: Option<usize>, cluster: Bounds) -> Bounds {
        let Some(rule) = exception.and_then(|place| self.overrides.get(place)) else { return cluster };
        let min = rule.min.unwrap_or_else(|| cluster.min.min(rule.max.unwrap_or(Duration::MAX)));
        let max = rule.max.unwrap_or_else(|| cluster.max.max(min));
        Bounds { min, max: max.max(min) }
    }

    /// The shortest interval that anything has.
    #[must_use]
    pub fn shortest(&self, cluster: Bounds) -> Duration {
        let exceptions = (0..self.overrides.len()).map(|place| self.apply(Some(place), cluster).min);
        exceptions.fold(cluster.min, Duration::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn automatic_bounds_grow_with_the_cluster_and_configured_ones_do_not() {
        let automatic = BoundsRules::default();
        assert_eq!(automatic.of_cluster(200_000), Bounds { min: s(5), max: s(60) });
        assert_eq!(automatic.of_cluster(500_000), Bounds { min: s(10), max: s(120) });
        assert_eq!(automatic.of_cluster(usize::MAX), Bounds { min: s(25), max: s(300) });
        let fixed = BoundsRules { min: Some(s(2)), max: Some(s(30)), ..BoundsRules::default() };
        assert_eq!(fixed.of_cluster(usize::MAX), Bounds { min: s(2), max: s(30) });
        let low = BoundsRules { max: Some(s(3)), ..BoundsRules::default() };
        assert_eq!(low.of_cluster(0), Bounds { min: s(3), max: s(3) }, "never a shortest above the longest");
    }

    #[test]
    fn the_first_exception_that_matches_holds() {
        let starts = |prefix: &'static str| Some(NamePredicate::new(move |name| name.starts_with(prefix)));
        let rules = BoundsRules {
            overrides: vec![
                BoundsOverride { topics: starts("a"), groups: None, min: None, max: Some(s(10)) },
                BoundsOverride { topics: starts("x"), groups: starts("g"), min: Some(s(1)), max: None },
            ],
            ..BoundsRules::default()
        };
        let cluster = rules.of_cluster(0);
        assert_eq!(rules.of_topic("abc"), Some(0));
        assert_eq!(rules.of_topic("x"), None, "only for what the groups have there");
        assert_eq!((rules.of_group_topic("g", "x"), rules.of_group_topic("g", "abc")), (Some(1), Some(0)));
        assert_eq!((rules.of_group("g"), rules.of_group_topic("h", "x")), (None, None));
        assert_eq!(rules.apply(Some(0), cluster), Bounds { min: s(5), max: s(10) });
        assert_eq!(rules.apply(Some(1), cluster), Bounds { min: s(1), max: s(60) });
        assert_eq!(rules.apply(None, cluster), cluster);
        assert_eq!(rules.shortest(cluster), s(1));
    }
}
