//! A short print of a cluster's metadata: two handles with the same one send calls to the same places.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::model::ClusterMetadata;

/// The print of who the brokers are and who leads what. The order of the answer does not matter. Never 0.
pub(super) fn print(metadata: &ClusterMetadata) -> u64 {
    let brokers = metadata.brokers.iter().map(|broker| hash(&(broker.id, &broker.host, broker.port)));
    let leaders = metadata.topics.iter().map(|topic| {
        let leaders = topic.partitions.iter().map(|partition| hash(&(partition.id, partition.leader)));
        hash(&(&topic.name, leaders.fold(0, u64::wrapping_add)))
    });
    brokers.chain(leaders).fold(0, u64::wrapping_add).max(1)
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Broker, BrokerId, KafkaCode, PartitionId, PartitionMetadata, TopicMetadata};

    fn metadata(leaders: &[i32]) -> ClusterMetadata {
        let partition = |(place, leader): (usize, &i32)| PartitionMetadata {
            id: PartitionId::from_index(place).unwrap_or(PartitionId(0)),
            leader: Some(BrokerId(*leader)),
            replicas: Vec::new(),
            in_sync: 1,
        };
        let partitions = leaders.iter().enumerate().map(partition).collect();
        let broker = |id| Broker { id: BrokerId(id), host: "b".into(), port: 9092 };
        let topic = TopicMetadata { name: "t".into(), error: KafkaCode::NONE, partitions };
        ClusterMetadata { brokers: vec![broker(1), broker(2)], topics: vec![topic] }
    }

    #[test]
    fn leaders_and_brokers_change_it_and_their_order_does_not() {
        let before = metadata(&[1, 2]);
        let mut turned = before.clone();
        turned.brokers.reverse();
        turned.topics[0].partitions.reverse();
        turned.topics[0].partitions[0].in_sync = 3;
        assert_eq!(print(&before), print(&turned));
        assert_ne!(print(&before), print(&metadata(&[2, 1])), "leaders were swapped");
        turned.brokers.pop();
        assert_ne!(print(&before), print(&turned));
        assert_ne!(print(&ClusterMetadata::default()), 0);
    }
}
