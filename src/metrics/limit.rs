//! The limit on a cluster's series: which families are withheld, in which order, and when they come back.
//!
//! A family is withheld as a whole: of half a family every sum in PromQL would be wrong, and nobody would notice. Sums,
//! maxima and what is told of the cluster and its brokers are never withheld, so the limit can be passed by them alone.

use super::catalogue::{self as names, Family};
use crate::derive::{Detail, GROUP_PARTITION_FAMILIES};

/// The families that can be withheld, the first to go first: those of groups by partition, then those of topics. Within
/// both goes first what is least missed: what a sum or a maximum tells as well before what nothing else tells.
pub static REFUSAL_ORDER: [&Family; GROUP_PARTITION_FAMILIES + 9] = [
    &names::KAFKA_CONSUMERGROUP_PARTITION_STATUS,
    &names::KAFKA_CONSUMERGROUP_LAG_SECONDS,
    &names::KAFKA_CONSUMERGROUP_CURRENT_OFFSET,
    &names::KAFKA_CONSUMERGROUP_LAG,
    &names::KAFKA_TOPIC_PARTITION_LEADER_IS_PREFERRED,
    &names::KAFKA_TOPIC_PARTITION_REPLICAS,
    &names::KAFKA_TOPIC_PARTITION_LEADER,
    &names::KAFKA_TOPIC_PARTITION_IN_SYNC_REPLICA,
    &names::KAFKA_TOPIC_PARTITION_OLDEST_OFFSET,
    &names::KAFKA_TOPIC_PARTITION_CURRENT_OFFSET,
    &names::KAFKA_TOPIC_PARTITION_UNDER_REPLICATED_PARTITION,
    &names::KAFKA_TOPIC_PARTITION_UNDER_MIN_ISR,
    &names::KAFKA_TOPIC_PARTITION_OFFLINE,
];

/// What is withheld comes back once the series fit into so many hundredths of the limit: a cluster that is near its limit
/// would change between two sets of families with every topic and group that comes and goes.
const COMES_BACK_AT_PERCENT: u64 = 90;

/// Whether a family is among the first so many of those that can be withheld.
#[must_use]
pub fn is_withheld(family: &Family, withheld: u8) -> bool {
    REFUSAL_ORDER.iter().take(withheld.into()).any(|refused| std::ptr::eq(*refused, family))
}

/// The families that a snapshot is shown without, though there is something of them, with how many series.
pub fn left_out(detail: &Detail) -> impl Iterator<Item = (&'static Family, u64)> {
    let withheld = REFUSAL_ORDER.iter().copied().zip(detail.withheld_series.iter().copied());
    withheld.filter(|(_, series)| *series > 0)
}

/// The same in words: the families' names, and how many series they have together; `None`: none is left out.
#[must_use]
pub fn left_out_in_words(detail: &Detail) -> Option<(String, u64)> {
    let (names, series): (Vec<&str>, Vec<u64>) = left_out(detail).map(|(family, series)| (family.name, series)).unzip();
    (!names.is_empty()).then(|| (names.join(", "), series.iter().sum()))
}

/// How many `kafka_` series a cluster has when nothing is withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Of families that are never withheld.
    pub kept: u64,
    /// Of those that can be, in their order.
    pub refusable: [u64; REFUSAL_ORDER.len()],
}

impl Census {
    /// How many series are left when the first so many families are withheld.
    #[must_use]
    pub fn left(&self, withheld: u8) -> u64 {
        self.kept + self.refusable.iter().skip(withheld.into()).sum::<u64>()
    }

    /// The fewest families to withhold so that no more series are left than `most`; all when that is not enough.
    fn fewest(&self, most: u64) -> u8 {
        // There are fewer families than a byte holds.
        let all = REFUSAL_ORDER.len().try_into().unwrap_or(u8::MAX);
        (0..all).find(|withheld| self.left(*withheld) <= most).unwrap_or(all)
    }

    /// How many families to withhold, where so many were before.
    #[must_use]
    pub fn withheld(&self, before: u8, max_series: u64) -> u8 {
        let needed = self.fewest(max_series);
        let comfortable = self.fewest(max_series.saturating_mul(COMES_BACK_AT_PERCENT) / 100);
        // `comfortable` is at least `needed`: less room takes more families away.
        before.clamp(needed, comfortable)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn exactly_the_families_by_partition_can_be_withheld_and_those_of_groups_go_first() {
        let by_partition = names::ALL.iter().filter(|family| family.is_per_partition());
        let expected: HashSet<&str> = by_partition.map(|family| family.name).collect();
        let found: HashSet<&str> = REFUSAL_ORDER.iter().map(|family| family.name).collect();
        assert_eq!((found.len(), &found), (REFUSAL_ORDER.len(), &expected));
        let of_groups = REFUSAL_ORDER.map(Family::is_of_groups);
        assert!(of_groups[..GROUP_PARTITION_FAMILIES].iter().all(|is| *is));
        assert!(of_groups[GROUP_PARTITION_FAMILIES..].iter().all(|is| !is));
        assert!(REFUSAL_ORDER.iter().all(|family| family.origin.collector.is_some()));
    }

    fn census(kept: u64, each: u64) -> Census {
        Census { kept, refusable: [each; REFUSAL_ORDER.len()] }
    }

    #[test]
    fn no_more_is_withheld_than_needed() {
        let census = census(10, 10);
        assert_eq!(census.withheld(0, 140), 0);
        assert_eq!(census.withheld(0, 139), 1);
        assert_eq!(census.withheld(0, 130), 1);
        assert_eq!(census.withheld(0, 109), 4);
        assert_eq!(census.withheld(0, 20), 12);
        for too_few in [19, 10, 9, 1] {
            assert_eq!(census.withheld(0, too_few), 13, "sums stay, though they are more than {too_few}");
        }
        assert_eq!(census.left(13), 10);
    }

    #[test]
    fn what_is_withheld_comes_back_only_where_there_is_room() {
        let limit = 140;
        assert_eq!(census(10, 10).withheld(4, limit), 2, "126 is the room: 120 fit");
        assert_eq!(census(17, 10).withheld(1, limit), 1, "147 do not fit");
        assert_eq!(census(9, 10).withheld(1, limit), 1, "139 fit, without room");
        assert_eq!(census(0, 9).withheld(1, limit), 0, "117 fit with room");
        // Around the limit: nothing changes from pass to pass.
        let mut withheld = 0;
        let told: Vec<u8> = [10, 11, 10, 11, 10, 9, 10]
            .map(|kept| {
                withheld = census(kept, 10).withheld(withheld, limit);
                withheld
            })
            .to_vec();
        assert_eq!(told, [0, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn a_family_is_withheld_by_its_place() {
        assert!(!is_withheld(REFUSAL_ORDER[0], 0));
        for (place, family) in (0..).zip(REFUSAL_ORDER) {
            assert!(is_withheld(family, place + 1) && !is_withheld(family, place), "{}", family.name);
        }
        assert!(!is_withheld(&names::KAFKA_CONSUMERGROUP_LAG_SUM, u8::MAX));
    }
}
