//! Which part of a cluster one exporter shows: the whole of it, or what belongs to the broker that it stands beside.
//!
//! One pure rule, so that exporters which ask the same cluster, one beside each live broker, show everything exactly once
//! without a word to each other. It goes by the metadata alone: the live brokers and who leads what.

use std::sync::Arc;

use super::TopicTable;
use crate::model::{BrokerId, heap};

/// What of a cluster is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// All of it.
    #[default]
    Cluster,
    /// The part of one broker.
    Beside(Beside),
    /// Nothing of the cluster: it is not known which broker's part is meant, for this reason; without one it is being found
    /// out.
    Unplaced(Option<Arc<str>>),
}

/// The part of one broker: the partitions that it leads, the groups that it coordinates, the topics that are at home there,
/// and, of the lowest live broker, what belongs to no broker or to the cluster as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    broker: BrokerId,
    /// The brokers that the metadata names, in order.
    live: Arc<[BrokerId]>,
}

impl Beside {
    /// The part of `broker` while these brokers are live.
    #[must_use]
    pub fn new(broker: BrokerId, live: impl IntoIterator<Item = BrokerId>) -> Self {
        let mut live: Vec<BrokerId> = live.into_iter().collect();
        live.sort_unstable();
        live.dedup();
        Self { broker, live: live.into() }
    }

    /// The broker.
    #[must_use]
    pub fn broker(&self) -> BrokerId {
        self.broker
    }

    /// How many brokers are live.
    #[must_use]
    pub fn live(&self) -> usize {
        self.live.len()
    }

    /// Whether the broker itself is live. While it is not nothing is its part: others have taken it over.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live.binary_search(&self.broker).is_ok()
    }

    /// Whether the broker is the lowest live one.
    #[must_use]
    pub fn is_lowest(&self) -> bool {
        self.live.first() == Some(&self.broker)
    }

    /// The live broker whose part a partition with this leader is: a leader that is not live is none.
    fn owner(&self, leader: Option<BrokerId>) -> Option<BrokerId> {
        self.live_leader(leader).or(self.live.first().copied())
    }

    fn live_leader(&self, leader: Option<BrokerId>) -> Option<BrokerId> {
        leader.filter(|leader| self.live.binary_search(leader).is_ok())
    }

    /// The live broker at which a topic is at home: the leader of its first partition that has one.
    fn home(&self, leaders: impl IntoIterator<Item = Option<BrokerId>>) -> Option<BrokerId> {
        let first = leaders.into_iter().find_map(|leader| self.live_leader(leader));
        first.or(self.live.first().copied())
    }
}

impl Scope {
    /// Whether all of the cluster is shown.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        *self == Self::Cluster
    }

    /// The broker whose part is shown, where that is not all.
    #[must_use]
    pub fn beside(&self) -> Option<&Beside> {
        match self {
            Self::Beside(beside) => Some(beside),
            Self::Cluster | Self::Unplaced(_) => None,
        }
    }

    /// Whether what belongs to the cluster as a whole is shown, such as its brokers.
    #[must_use]
    pub fn has_cluster(&self) -> bool {
        self.is_of(|beside| beside.live.first().copied())
    }

    /// Whether what is told of a partition with this leader is shown.
    #[must_use]
    pub fn has_partition(&self, leader: Option<BrokerId>) -> bool {
        self.is_of(|beside| beside.owner(leader))
    }

    /// Whether what is told of a topic as a whole is shown: its sums, its settings.
    #[must_use]
    pub fn has_topic(&self, topic: &TopicTable) -> bool {
        self.is_of(|beside| beside.home(topic.placements.iter().map(|placement| placement.leader)))
    }

    /// Whether something of a topic is shown: it is at home here, or one of its partitions is.
    #[must_use]
    pub fn has_part_of(&self, topic: &TopicTable) -> bool {
        self.has_topic(topic) || topic.placements.iter().any(|placement| self.has_partition(placement.leader))
    }

    /// Whether the groups that a broker coordinates are shown.
    #[must_use]
    pub fn has_groups_of(&self, coordinator: BrokerId) -> bool {
        self.is_of(|beside| beside.live_leader(Some(coordinator)))
    }

    /// Whether a broker is watched: asked for its list of groups, which is also its sign of life.
    #[must_use]
    pub fn watches(&self, broker: BrokerId) -> bool {
        self.has_cluster() || self.beside().is_some_and(|beside| beside.broker == broker)
    }

    /// Whether something is shown that is the part of the broker that the rule names.
    fn is_of(&self, owner: impl FnOnce(&Beside) -> Option<BrokerId>) -> bool {
        match self {
            Self::Cluster => true,
            Self::Beside(beside) => owner(beside) == Some(beside.broker),
            Self::Unplaced(_) => false,
        }
    }

    /// What it takes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Cluster => 0,
            Self::Beside(beside) => heap::arc::<()>() + size_of_val(&*beside.live),
            Self::Unplaced(reason) => reason.as_deref().map_or(0, heap::text),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::{btree_set, vec};
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{ClusterMetadata, KafkaCode, Moment, PartitionId, PartitionMetadata, TopicMetadata};
    use crate::state::{Collectors, World};

    fn ids(ids: &[i32]) -> Vec<BrokerId> {
        ids.iter().copied().map(BrokerId).collect()
    }

    fn beside(broker: i32, live: &[i32]) -> Scope {
        Scope::Beside(Beside::new(BrokerId(broker), ids(live)))
    }

    /// A topic whose partitions have these leaders.
    fn topic(leaders: &[Option<i32>]) -> Arc<TopicTable> {
        let partition = |(place, leader): (usize, &Option<i32>)| PartitionMetadata {
            id: PartitionId::from_index(place).unwrap(),
            leader: leader.map(BrokerId),
            replicas: ids(&[1, 2]),
            in_sync: 1,
        };
        let partitions = leaders.iter().enumerate().map(partition).collect();
        let topic = TopicMetadata { name: "t".into(), error: KafkaCode(0), partitions };
        let mut world = World::new(Collectors::new(|_| true));
        world.apply_metadata(&ClusterMetadata { brokers: Vec::new(), topics: vec![topic] }, |_| true, Moment(0));
        world.topics_by_name().next().unwrap().1.clone()
    }

    #[test]
    fn a_broker_has_what_it_leads_and_the_lowest_what_nobody_does() {
        let [one, two] = [beside(1, &[3, 1, 2]), beside(2, &[3, 1, 2])];
        assert!(one.has_cluster() && !two.has_cluster());
        assert!(two.has_partition(Some(BrokerId(2))) && !one.has_partition(Some(BrokerId(2))));
        for nobody in [None, Some(BrokerId(9))] {
            assert!(one.has_partition(nobody) && !two.has_partition(nobody), "{nobody:?}");
        }
        let home = topic(&[None, Some(9), Some(2), Some(1)]);
        assert!(two.has_topic(&home) && !one.has_topic(&home), "the first that has a live leader");
        assert!(one.has_part_of(&home) && two.has_part_of(&home));
        let homeless = topic(&[None, Some(9)]);
        assert!(one.has_topic(&homeless) && !two.has_part_of(&homeless));
        assert!(two.has_groups_of(BrokerId(2)) && !one.has_groups_of(BrokerId(2)));
        let watched = |scope: &Scope| [1, 2, 3, 9].map(|broker| scope.watches(BrokerId(broker)));
        assert_eq!((watched(&one), watched(&two)), ([true; 4], [false, true, false, false]));
    }

    #[test]
    fn beside_a_broker_that_is_away_and_beside_none_there_is_nothing() {
        let all = topic(&[Some(1), Some(2), None]);
        for scope in [beside(2, &[1, 3]), beside(2, &[]), Scope::Unplaced(Some("which?".into()))] {
            assert!(!scope.has_cluster() && !scope.has_part_of(&all) && !scope.has_partition(None), "{scope:?}");
            assert!([1, 2].iter().all(|broker| !scope.has_groups_of(BrokerId(*broker))), "{scope:?}");
        }
        assert!(Scope::Cluster.has_cluster() && Scope::Cluster.has_topic(&all) && Scope::Cluster.has_partition(None));
        assert!(Scope::Cluster.has_groups_of(BrokerId(7)) && Scope::Cluster.watches(BrokerId(7)));
    }

    proptest! {
        #[test]
        fn all_sidecars_together_show_everything_exactly_once(
            live in btree_set(0..6_i32, 1..6),
            topics in vec(vec(option::of(0..8_i32), 1..6), 0..8),
            coordinators in vec(0..8_i32, 0..8),
        ) {
            let all: Vec<i32> = live.iter().copied().collect();
            let sidecars: Vec<Scope> = all.iter().map(|broker| beside(*broker, &all)).collect();
            let showing = |shows: &dyn Fn(&Scope) -> bool| sidecars.iter().filter(|scope| shows(scope)).count();
            prop_assert_eq!(showing(&Scope::has_cluster), 1);
            for leaders in &topics {
                let table = topic(leaders);
                prop_assert_eq!(showing(&|scope| scope.has_topic(&table)), 1);
                for leader in leaders {
                    prop_assert_eq!(showing(&|scope| scope.has_partition(leader.map(BrokerId))), 1);
                }
                for scope in &sidecars {
                    let any = leaders.iter().any(|leader| scope.has_partition(leader.map(BrokerId)));
                    prop_assert_eq!(scope.has_part_of(&table), any || scope.has_topic(&table));
                }
            }
            for coordinator in coordinators {
                let expected = usize::from(live.contains(&coordinator));
                prop_assert_eq!(showing(&|scope| scope.has_groups_of(BrokerId(coordinator))), expected);
            }
            // In which order, and how often, the metadata names the brokers says nothing.
            let shuffled: Vec<i32> = all.iter().rev().chain(&all).copied().collect();
            for (broker, scope) in all.iter().zip(&sidecars) {
                prop_assert_eq!(&beside(*broker, &shuffled), scope);
            }
            let of_world: BTreeSet<BrokerId> = all.iter().copied().map(BrokerId).collect();
            prop_assert!(of_world.iter().all(|broker| sidecars.iter().any(|scope| scope.watches(*broker))));
        }
    }
}
