//! What goes wrong goes wrong as it would on a real cluster, and is over when it is.

use std::io;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{ListGroupsRequest, MetadataRequest, MetadataResponse};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::Client;
use super::*;
use crate::sim::{Api, Fault, Loading, Outage};

fn all() -> MetadataRequest {
    MetadataRequest::default().with_topics(None)
}

/// Leaders of all partitions, −1 for none.
fn leaders(metadata: &MetadataResponse) -> Vec<i32> {
    metadata.topics.iter().flat_map(|topic| topic.partitions.iter().map(|p| p.leader_id.0)).collect()
}

#[tokio::test]
async fn a_killed_broker_refuses_and_the_others_take_over() {
    let cluster = cluster().await;
    let mut doomed = Client::connect(&address(&cluster, 3)).await;
    let mut client = Client::connect(&address(&cluster, 1)).await;
    assert!(leaders(&client.call(12, &all()).await.unwrap()).contains(&3));

    cluster.kill(3, Outage::UNNOTICED).await.unwrap();
    assert!(doomed.call(12, &all()).await.is_err());
    let refused = TcpStream::connect(address(&cluster, 3)).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    let unnoticed = client.call(12, &all()).await.unwrap();
    assert!(unnoticed.brokers.len() == 3 && leaders(&unnoticed).contains(&3));

    cluster.kill(3, Outage::NOTICED).await.unwrap();
    let noticed = client.call(12, &all()).await.unwrap();
    assert!(noticed.brokers.len() == 2 && leaders(&noticed).iter().all(|leader| [1, 2].contains(leader)));
    assert_eq!(noticed.topics[0].partitions[0].offline_replicas[0].0, 3);
    cluster.edit(|world| assert!(world.groups().all(|(name, _)| world.coordinator(name) != Some(3))));

    cluster.restart(3).await.unwrap();
    let mut again = Client::connect(&address(&cluster, 3)).await;
    assert_eq!(again.call(12, &all()).await.unwrap().brokers.len(), 3);
    cluster.edit(super::super::world::World::elect_preferred_leaders);
    assert!(leaders(&again.call(12, &all()).await.unwrap()).contains(&3));
    cluster.stop().await;
}

#[tokio::test]
async fn a_dead_leader_that_keeps_its_partitions_leaves_them_without_one() {
    let cluster = cluster().await;
    let mut client = Client::connect(&address(&cluster, 1)).await;
    cluster.kill(2, Outage { moves: false, leaves: true }).await.unwrap();
    let metadata = client.call(12, &all()).await.unwrap();
    let orphan = metadata.topics[0].partitions.iter().find(|p| p.leader_id.0 == -1).unwrap();
    assert_eq!(orphan.error_code, ResponseError::LeaderNotAvailable.code());
    cluster.stop().await;
}

#[tokio::test]
async fn a_partition_can_be_without_a_leader() {
    let cluster = cluster().await;
    let mut client = Client::connect(&address(&cluster, 1)).await;
    cluster.edit(|world| world.set_leaderless("moving", 2, true).unwrap());
    assert!(leaders(&client.call(12, &all()).await.unwrap()).contains(&-1));
    assert_eq!(cluster.world().leader("moving", 2), None);
    cluster.edit(|world| world.set_leaderless("moving", 2, false).unwrap());
    assert!(!leaders(&client.call(12, &all()).await.unwrap()).contains(&-1));
    cluster.stop().await;
}

#[tokio::test]
async fn a_frozen_broker_takes_connections_and_answers_when_thawed() {
    let cluster = cluster().await;
    let mut before = Client::connect(&address(&cluster, 1)).await;
    before.call(12, &all()).await.unwrap();
    cluster.freeze(1).unwrap();
    let mut during = Client::connect(&address(&cluster, 1)).await;
    before.send(12, &all()).await.unwrap();
    during.send(12, &all()).await.unwrap();
    let silence = timeout(Duration::from_millis(200), before.receive::<MetadataRequest>(12)).await;
    assert!(silence.is_err());
    cluster.thaw(1).unwrap();
    assert_eq!(timeout(PATIENCE, during.receive::<MetadataRequest>(12)).await.unwrap().unwrap().brokers.len(), 3);
    cluster.stop().await;
}

#[tokio::test]
async fn injected_faults_come_in_turn_and_then_are_over() {
    let cluster = cluster().await;
    let code = ResponseError::CoordinatorNotAvailable.code();
    cluster.inject(1, Api::ListGroups, Fault::Error(code), 2).unwrap();
    cluster.inject(1, Api::ListGroups, Fault::HalfAnswer, 1).unwrap();
    cluster.inject(1, Api::ListGroups, Fault::Hangup, 1).unwrap();
    let groups = ListGroupsRequest::default();
    let mut client = Client::connect(&address(&cluster, 1)).await;
    for _ in 0..2 {
        assert_eq!(client.call(5, &groups).await.unwrap().error_code, code);
    }
    assert!(client.call(5, &groups).await.is_err());
    let mut client = Client::connect(&address(&cluster, 1)).await;
    assert!(client.call(5, &groups).await.is_err());
    let mut client = Client::connect(&address(&cluster, 1)).await;
    assert_eq!(client.call(5, &groups).await.unwrap().error_code, 0);
    assert_eq!(cluster.requests(1, Api::ListGroups).unwrap(), 5);
    cluster.stop().await;
}

#[tokio::test]
async fn a_loading_coordinator_refuses_or_lists_short() {
    let cluster = cluster().await;
    let home = coordinator(&cluster, "classic");
    let mut client = Client::connect(&address(&cluster, home)).await;
    let groups = ListGroupsRequest::default();
    let whole = client.call(5, &groups).await.unwrap().groups.len();
    cluster.edit(|world| {
        for broker in world.broker_ids() {
            world.set_loading(broker, Loading::Refuses).unwrap();
        }
    });
    let loading = ResponseError::CoordinatorLoadInProgress.code();
    assert_eq!(client.call(5, &groups).await.unwrap().error_code, loading);
    cluster.edit(|world| world.set_loading(home, Loading::ListsShort).unwrap());
    let short = client.call(5, &groups).await.unwrap();
    assert_eq!((short.error_code, short.groups.len()), (0, whole.div_ceil(2)));
    cluster.stop().await;
}

#[tokio::test]
async fn latency_delays_answers_but_pipelines_them() {
    let cluster = cluster().await;
    cluster.set_latency(1, Duration::from_millis(300)).unwrap();
    let mut client = Client::connect(&address(&cluster, 1)).await;
    for _ in 0..500 {
        client.send(12, &all()).await.unwrap();
    }
    // One after the other they would take two and a half minutes.
    for _ in 0..500 {
        timeout(PATIENCE, client.receive::<MetadataRequest>(12)).await.unwrap().unwrap();
    }
    cluster.stop().await;
}

#[tokio::test]
async fn stop_ends_open_connections_whatever_state_they_are_in() {
    let cluster = cluster().await;
    let mut waiting = Client::connect(&address(&cluster, 1)).await;
    let mut delayed = Client::connect(&address(&cluster, 2)).await;
    let mut frozen = Client::connect(&address(&cluster, 3)).await;
    waiting.call(12, &all()).await.unwrap();
    cluster.set_latency(2, Duration::from_secs(3_600)).unwrap();
    delayed.send(12, &all()).await.unwrap();
    cluster.freeze(3).unwrap();
    frozen.send(12, &all()).await.unwrap();
    timeout(PATIENCE, cluster.stop()).await.unwrap();
    for client in [&mut waiting, &mut delayed, &mut frozen] {
        assert!(timeout(PATIENCE, client.receive::<MetadataRequest>(12)).await.unwrap().is_err());
    }
}
