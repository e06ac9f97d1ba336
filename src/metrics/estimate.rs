//! How many series a cluster would have, and what the settings that spare some would spare.

use std::sync::Arc;

use super::catalogue::{self as names, Family};
use super::exposition::{ClusterView, count};
use super::families::{SOURCES, Source};
use super::limit::{Census, REFUSAL_ORDER};
use super::publish::census;
use super::view::ClusterSource;
use crate::derive::{Extent, Snapshot, Terms};

/// Families whose series come only when something has been seen to move, or has been looked for: each with one that has
/// at least as many series from the first pass on.
static LATER: [(&Family, &Family); 10] = [
    (&names::KAFKA_TOPIC_PRODUCE_RATE, &names::KAFKA_TOPIC_CURRENT_OFFSET_SUM),
    (&names::KAFKA_CONSUMERGROUP_LAST_COMMIT_TIMESTAMP_SECONDS, &names::KAFKA_CONSUMERGROUP_UNKNOWN_PARTITIONS),
    (&names::KAFKA_CONSUMERGROUP_LAG_SECONDS, &names::KAFKA_CONSUMERGROUP_LAG),
    (&names::KAFKA_CONSUMERGROUP_TOPIC_MAX_LAG_SECONDS, &names::KAFKA_CONSUMERGROUP_TOPIC_MAX_LAG),
    (&names::KAFKA_CONSUMERGROUP_MAX_LAG_SECONDS, &names::KAFKA_CONSUMERGROUP_MAX_LAG),
    (&names::KAFKA_CONSUMERGROUP_OLDEST_UNREAD_TIMESTAMP_SECONDS, &names::KAFKA_CONSUMERGROUP_TOPIC_MAX_LAG),
    (&names::KAFKA_CONSUMERGROUP_LAG_VELOCITY, &names::KAFKA_CONSUMERGROUP_LAG_SUM),
    (&names::KAFKA_CONSUMERGROUP_CONSUME_RATE, &names::KAFKA_CONSUMERGROUP_CURRENT_OFFSET_SUM),
    (&names::KAFKA_CONSUMERGROUP_CATCH_UP_SECONDS, &names::KAFKA_CONSUMERGROUP_LAG_SUM),
    (&names::KAFKA_CONSUMERGROUP_RETENTION_HEADROOM_SECONDS, &names::KAFKA_CONSUMERGROUP_LAG_SUM),
];

/// The series of one cluster, as its snapshot stands.
#[derive(Debug, Clone)]
pub struct Estimate {
    /// Every `kafka_` family with its series under the present settings, before anything is withheld, in the order of the
    /// exposition. Families of collectors that are off have none.
    pub families: Vec<(&'static Family, u64)>,
    /// The limit; `None`: there is none.
    pub max_series: Option<u64>,
    /// How many families are withheld for it, of those that can be.
    pub withheld: u8,
    /// All of them, before and after.
    pub census: Census,
    /// Series that later passes may add at most: of rates, forecasts and times.
    pub later: u64,
    /// Series that granularity `topic` would spare, of all topics and of all groups; `None`: none has any.
    pub spared_by_topic_granularity: Option<u64>,
    /// The same of groups.
    pub spared_by_group_granularity: Option<u64>,
    /// Series that leaving out partitions without lag would spare just now; `None`: they are left out.
    pub spared_by_zero_lag: Option<u64>,
}

impl Estimate {
    /// Counts what a source shows; `None` before it has a snapshot.
    #[must_use]
    pub fn of(source: &Arc<ClusterSource>) -> Option<Self> {
        let snapshot = source.snapshot.load_full()?;
        let terms = Terms { withheld: 0, ..snapshot.detail.terms };
        let total = |terms| census(on(source, &snapshot, terms), None).0.left(0);
        let now = total(terms);
        let spared = |terms| now.saturating_sub(total(terms));
        let view = on(source, &snapshot, terms);
        let families: Vec<_> =
            kafka_families().map(|(family, from)| (*family, count(&view, family, from, None))).collect();
        let is_fine = |extent| extent != Extent::None;
        Some(Self {
            later: later(&families),
            families,
            max_series: source.shown.max_series.map(std::num::NonZeroU64::get),
            withheld: snapshot.detail.terms.withheld,
            census: census(view, None).0,
            spared_by_topic_granularity: is_fine(terms.topics).then(|| spared(Terms { topics: Extent::None, ..terms })),
            spared_by_group_granularity: is_fine(terms.groups).then(|| spared(Terms { groups: Extent::None, ..terms })),
            spared_by_zero_lag: (is_fine(terms.groups) && !terms.drops_zero_lag)
                .then(|| spared(Terms { drops_zero_lag: true, ..terms })),
        })
    }

    /// The families that are withheld.
    #[must_use]
    pub fn withheld_families(&self) -> &'static [&'static Family] {
        REFUSAL_ORDER.get(..self.withheld.into()).unwrap_or(&REFUSAL_ORDER)
    }
}

fn kafka_families() -> impl Iterator<Item = &'static (&'static Family, Source)> {
    SOURCES.iter().filter(|(family, _)| family.origin.collector.is_some())
}

/// The source's snapshot on other terms.
fn on(source: &Arc<ClusterSource>, snapshot: &Snapshot, terms: Terms) -> ClusterView {
    let mut snapshot = snapshot.clone();
    Arc::make_mut(&mut snapshot.detail).terms = terms;
    ClusterView::with(source, Some(Arc::new(snapshot)))
}

fn later(families: &[(&'static Family, u64)]) -> u64 {
    let series = |wanted: &Family| {
        families.iter().find(|(family, _)| std::ptr::eq(*family, wanted)).map_or(0, |(_, series)| *series)
    };
    LATER.iter().map(|(family, bound)| series(bound).saturating_sub(series(family))).sum()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::exposition::tests::{follow, pass};
    use crate::metrics::{ByPartition, Shown};

    fn source(shown: Shown) -> Arc<ClusterSource> {
        let mut source = ClusterSource::new(None, Vec::new());
        source.shown = shown;
        Arc::new(source)
    }

    fn total(source: &Arc<ClusterSource>) -> u64 {
        Estimate::of(source).map_or(0, |estimate| estimate.families.iter().map(|(_, series)| series).sum())
    }

    #[test]
    fn before_the_first_pass_there_is_nothing_to_estimate() {
        assert!(Estimate::of(&source(Shown::default())).is_none());
    }

    proptest! {
        #[test]
        fn what_a_setting_would_spare_is_what_it_spares(passes in vec(pass(), 1..4)) {
            let others = [
                Shown { topics: ByPartition::None, ..Shown::default() },
                Shown { groups: ByPartition::None, ..Shown::default() },
                Shown { drops_zero_lag: true, ..Shown::default() },
            ];
            let (now, others) = (source(Shown::default()), others.map(source));
            follow(&passes, |snapshot| {
                others.iter().chain([&now]).for_each(|source| drop(source.publish(snapshot.clone())));
            });
            let estimate = Estimate::of(&now);
            prop_assert!(estimate.is_some());
            let Some(estimate) = estimate else { return Ok(()) };
            prop_assert_eq!(estimate.census.left(0), total(&now));
            let spared = [
                estimate.spared_by_topic_granularity,
                estimate.spared_by_group_granularity,
                estimate.spared_by_zero_lag,
            ];
            for (other, spared) in others.iter().zip(spared) {
                prop_assert_eq!(Some(total(&now) - total(other)), spared);
            }
            for (family, bound) in LATER {
                let series = |wanted: &Family| estimate.families.iter().find(|(family, _)| family.name == wanted.name);
                prop_assert!(series(family).map(|found| found.1) <= series(bound).map(|found| found.1), "{}", family.name);
            }
        }
    }
}
