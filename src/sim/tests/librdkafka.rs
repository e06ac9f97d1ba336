//! The cluster as librdkafka sees it, through rdkafka's safe API.

use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::*;
use crate::sim::Outage;

fn consumer(cluster: &Cluster) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers().join(","))
        .set("group.id", "stopped")
        .set("enable.auto.commit", "false")
        .set("reconnect.backoff.max.ms", "200")
        .create()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_watermarks_commits_and_times() {
    let cluster = cluster().await;
    let consumer = consumer(&cluster);
    let (truth, committed, at_ms) = {
        let world = cluster.world();
        let truth: Vec<_> =
            (0..6).map(|p| (world.log_start_offset("moving", p), world.end_offset("moving", p))).collect();
        let committed = world.committed("stopped", "moving", 4).unwrap();
        (truth, committed, world.appended_at_ms("moving", 4, 9_000).unwrap())
    };
    tokio::task::spawn_blocking(move || {
        let metadata = consumer.fetch_metadata(None, PATIENCE).unwrap();
        assert_eq!((metadata.brokers().len(), metadata.topics().len()), (3, 2));
        for (partition, truth) in (0..6).zip(truth) {
            let (low, high) = consumer.fetch_watermarks("moving", partition, PATIENCE).unwrap();
            assert_eq!((Some(low), Some(high)), truth);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition("moving", 4);
        list.add_partition("still", 0);
        let offsets = consumer.committed_offsets(list, PATIENCE).unwrap();
        assert_eq!(offsets.find_partition("moving", 4).unwrap().offset().to_raw(), Some(committed));
        assert_eq!(offsets.find_partition("still", 0).unwrap().offset(), rdkafka::Offset::Invalid);
        let mut times = TopicPartitionList::new();
        times.add_partition_offset("moving", 4, rdkafka::Offset::Offset(at_ms)).unwrap();
        let found = consumer.offsets_for_times(times, PATIENCE).unwrap();
        let found = found.find_partition("moving", 4).unwrap().offset().to_raw().unwrap();
        assert!((8_980..=9_000).contains(&found), "{found}");
    })
    .await
    .unwrap();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_finds_the_new_leader_after_an_outage_and_the_broker_after_a_restart() {
    let cluster = cluster().await;
    let lost = cluster.world().leader("moving", 0).unwrap();
    let end = cluster.world().end_offset("moving", 0).unwrap();
    let consumer = std::sync::Arc::new(consumer(&cluster));
    let ask = || {
        let consumer = std::sync::Arc::clone(&consumer);
        tokio::task::spawn_blocking(move || {
            // Until librdkafka has learned of the change, errors are its right.
            (0..300).find_map(|_| consumer.fetch_watermarks("moving", 0, Duration::from_secs(1)).ok()).unwrap()
        })
    };
    assert_eq!(ask().await.unwrap().1, end);
    cluster.kill(lost, Outage::NOTICED).await.unwrap();
    assert_eq!(ask().await.unwrap().1, end);
    cluster.restart(lost).await.unwrap();
    cluster.edit(super::super::world::World::elect_preferred_leaders);
    assert_eq!(ask().await.unwrap().1, end);
    cluster.stop().await;
}
