//! The cluster as the exporter's own client sees it: every call of its seam says what the world says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::kafka::{ClientSettings, KafkaApi, KafkaClient};
use crate::model::{
    BrokerId, CommittedOffsets, GroupKind, KafkaCode, OffsetSpec, PartitionId, TopicPartitions, TopicTimes, WallTime,
};
use crate::sim::{Api, Fault, Outage};

fn connect(cluster: &Cluster, request_timeout: Duration) -> KafkaClient {
    let servers = cluster.bootstrap_servers().join(",");
    let properties = vec![("bootstrap.servers".to_owned(), servers)];
    KafkaClient::connect(&ClientSettings { cluster: "sim".into(), properties, request_timeout }).unwrap()
}

fn brokers(cluster: &Cluster) -> Vec<BrokerId> {
    cluster.world().broker_ids().into_iter().map(BrokerId).collect()
}

fn name(text: &str) -> Arc<str> {
    text.into()
}

/// Some partitions of the moving topic.
fn moving(partitions: impl IntoIterator<Item = usize>) -> TopicPartitions {
    let partitions = partitions.into_iter().filter_map(PartitionId::from_index).collect();
    TopicPartitions { topic: name("moving"), partitions }
}

/// Committed offsets by topic and partition.
fn rows(offsets: &CommittedOffsets) -> BTreeMap<(String, usize), Option<i64>> {
    let topics = offsets.topics.iter().flat_map(|topic| topic.rows.iter().map(|row| (topic.topic.to_string(), row)));
    topics.map(|(topic, row)| ((topic, row.partition.index().unwrap()), row.offset.unwrap().map(|o| o.get()))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn brokers_and_topics() {
    let cluster = cluster().await;
    let client = connect(&cluster, PATIENCE);
    let metadata = client.metadata().await.unwrap();
    let ids: BTreeSet<BrokerId> = metadata.brokers.iter().map(|broker| broker.id).collect();
    assert_eq!(ids, brokers(&cluster).into_iter().collect());
    let addresses: BTreeSet<String> = metadata.brokers.iter().map(crate::model::Broker::address).collect();
    assert_eq!(addresses, cluster.bootstrap_servers().into_iter().collect());
    let topic = metadata.topics.iter().find(|topic| &*topic.name == "moving").unwrap();
    for partition in &topic.partitions {
        let at = partition.id.index().unwrap();
        assert_eq!(partition.leader.map(|leader| leader.0), cluster.world().leader("moving", at));
        assert_eq!((partition.replicas.len(), partition.in_sync), (3, 3));
    }
    let described = client.describe_cluster().await.unwrap();
    assert_eq!(described.cluster_id.as_deref(), Some("kafkascope-simulated"));
    let racks: BTreeSet<&str> = described.racks.iter().map(|(_, rack)| &**rack).collect();
    assert_eq!(racks, ["a", "b", "c"].into());
    let topics = client.describe_topics(&[name("moving"), name("gone")]).await.unwrap();
    let id = |topic: &str| topics.iter().find(|t| &*t.name == topic).unwrap().id;
    let truth = cluster.world().topic("moving").unwrap().id();
    assert_eq!(id("moving").unwrap().map(|id| id.0), Some(truth));
    assert!(id("gone").is_err());
    client.close().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_listed_at_their_coordinators_and_described() {
    let cluster = cluster().await;
    let client = connect(&cluster, PATIENCE);
    client.metadata().await.unwrap();
    let mut described = BTreeMap::new();
    for broker in brokers(&cluster) {
        let listed: Vec<Arc<str>> = client.list_groups(broker).await.unwrap().into_iter().map(|g| g.group).collect();
        for reply in client.describe_groups(broker, &listed).await.unwrap() {
            assert_eq!(coordinator(&cluster, &reply.group), broker.0);
            described.insert(reply.group.to_string(), reply.description.unwrap());
        }
    }
    assert_eq!(described.len(), 5);
    for (group, description) in &described {
        let world = cluster.world();
        let truth = world.group(group).unwrap();
        assert_eq!(description.state.as_str(), truth.state().name(), "{group}");
        assert_eq!(usize::try_from(description.members).unwrap(), truth.members(), "{group}");
        assert_eq!(description.is_simple, group == "simple");
    }
    assert_eq!(described["modern"].kind, GroupKind::Consumer);
    assert_eq!(described["classic"].kind, GroupKind::Classic);
    assert_eq!(&*described["classic"].protocol, "range");
    let assigned = |group: &str| {
        let topics = described[group].assignment.iter();
        topics.map(|topic| (topic.topic.to_string(), topic.members, topic.partitions.len())).collect::<BTreeSet<_>>()
    };
    assert_eq!(assigned("classic"), [("moving".to_owned(), 2, 6), ("still".to_owned(), 2, 2)].into());
    assert_eq!(assigned("modern"), [("moving".to_owned(), 2, 6)].into());
    client.close().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_and_offsets_are_the_worlds() {
    let cluster = cluster().await;
    cluster.edit(|world| {
        world.set_commit("stopped", "moving", 1, None).unwrap();
        world.set_log_start_offset("moving", 2, 77).unwrap();
        world.set_open_transaction("moving", 3, Some(100)).unwrap();
        assert!(world.end_offset("moving", 3).unwrap() > 100);
    });
    let client = connect(&cluster, PATIENCE);
    client.metadata().await.unwrap();
    let home = BrokerId(coordinator(&cluster, "stopped"));
    let all = rows(&client.committed_offsets(home, &name("stopped"), None).await.unwrap());
    let truth: BTreeMap<_, _> = {
        let world = cluster.world();
        world.group("stopped").unwrap().commits().map(|(t, p, o)| ((t.to_owned(), p), Some(o))).collect()
    };
    assert!(truth.len() == 5 && all == truth, "{all:?}");
    let named = client.committed_offsets(home, &name("stopped"), Some(&[moving([0, 1])])).await.unwrap();
    let first = cluster.world().committed("stopped", "moving", 0);
    assert_eq!(rows(&named), [(("moving".to_owned(), 0), first), (("moving".to_owned(), 1), None)].into());

    for broker in brokers(&cluster) {
        let led: Vec<usize> = (0..6).filter(|p| cluster.world().leader("moving", *p) == Some(broker.0)).collect();
        for spec in [OffsetSpec::Earliest, OffsetSpec::Latest, OffsetSpec::LastStable] {
            let topics = client.list_offsets(broker, spec, &[moving(led.iter().copied())]).await.unwrap();
            assert_eq!(topics.iter().map(|topic| topic.rows.len()).sum::<usize>(), led.len());
            for row in topics.iter().flat_map(|topic| &topic.rows) {
                let (world, at) = (cluster.world(), row.partition.index().unwrap());
                let truth = match spec {
                    OffsetSpec::Earliest => world.log_start_offset("moving", at),
                    OffsetSpec::Latest => world.end_offset("moving", at),
                    OffsetSpec::LastStable => world.stable_offset("moving", at),
                };
                assert_eq!(row.offset.ok().map(|offset| offset.get()), truth);
            }
        }
        let at_ms = cluster.world().appended_at_ms("moving", 3, 5_000).unwrap();
        for (time, is_there) in [(at_ms, true), (i64::MAX, false)] {
            let asked = led.iter().map(|p| (PartitionId::from_index(*p).unwrap(), WallTime(time))).collect();
            let times = [TopicTimes { topic: name("moving"), partitions: asked }];
            let rows = client.offsets_at(broker, &times).await.unwrap();
            assert_eq!(rows.iter().map(|topic| topic.rows.len()).sum::<usize>(), led.len());
            for row in rows.iter().flat_map(|topic| &topic.rows) {
                let found = row.found.unwrap();
                assert_eq!(found.is_some(), is_there, "{row:?}");
                let Some((offset, stamp)) = found else { continue };
                let truth = cluster.world().appended_at_ms("moving", row.partition.index().unwrap(), offset.get());
                assert!(stamp.0 >= at_ms && truth == Some(stamp.0), "{row:?}");
            }
        }
    }
    client.close().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_arrive_as_what_they_are_and_a_broker_comes_back() {
    let cluster = cluster().await;
    let client = connect(&cluster, Duration::from_secs(2));
    client.metadata().await.unwrap();
    let home = coordinator(&cluster, "stopped");
    let away = BrokerId(other(&cluster, home));
    let moved = client.describe_groups(away, &[name("stopped")]).await.unwrap().remove(0).description.unwrap_err();
    assert_eq!(moved.code(), Some(KafkaCode::NOT_COORDINATOR), "{moved}");
    let moved = client.committed_offsets(away, &name("stopped"), None).await.unwrap_err();
    assert_eq!(moved.code(), Some(KafkaCode::NOT_COORDINATOR), "{moved}");
    cluster.inject(home, Api::ListGroups, Fault::Error(15), 1).unwrap();
    assert!(client.list_groups(BrokerId(home)).await.is_err());
    client.list_groups(BrokerId(home)).await.unwrap();

    cluster.freeze(home).unwrap();
    assert!(client.list_groups(BrokerId(home)).await.unwrap_err().is_silence());
    client.list_groups(away).await.unwrap();
    cluster.thaw(home).unwrap();
    cluster.kill(home, Outage::NOTICED).await.unwrap();
    let heir = BrokerId(coordinator(&cluster, "stopped"));
    let offsets = client.committed_offsets(heir, &name("stopped"), None).await.unwrap();
    assert_eq!(rows(&offsets).len(), 6);
    cluster.restart(home).await.unwrap();
    // The client forgets brokers that leave the metadata, and learns of them by asking.
    let mut answer = client.list_groups(away).await;
    for _ in 0..30 {
        client.metadata().await.unwrap();
        answer = client.list_groups(BrokerId(home)).await;
        if answer.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(answer.is_ok(), "{answer:?}");
    client.close().await;
    cluster.stop().await;
}
