//! The client's life against librdkafka's mock cluster and against addresses where no Kafka is.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Cause, ClientSettings, KafkaApi, KafkaClient, KafkaError, share_one_arena};
use crate::model::{BrokerId, KafkaCode, OffsetSpec, PartitionId, TopicPartitions, TopicTimes, WallTime};
use crate::sim::flow::Flow;
use crate::sim::spec::{GroupSpec, Position, TopicSpec};
use crate::sim::{Cluster, Spec};

/// Longer than any answer of these tests takes.
const SOON: Duration = Duration::from_secs(20);

fn client(properties: &[(&str, &str)], request_timeout: Duration) -> Arc<KafkaClient> {
    let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let settings = ClientSettings { cluster: "test".into(), properties, request_timeout };
    Arc::new(KafkaClient::connect(&settings).unwrap())
}

fn mock() -> Arc<KafkaClient> {
    client(&[("test.mock.num.brokers", "3"), ("statistics.interval.ms", "50")], Duration::from_secs(5))
}

/// An address where connections are accepted and nothing is ever answered.
fn black_hole() -> (TcpListener, Arc<KafkaClient>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = client(&[("bootstrap.servers", &address)], Duration::from_secs(1));
    (listener, client)
}

fn text(error: &KafkaError) -> String {
    error.to_string()
}

#[tokio::test]
async fn a_mock_cluster_answers_with_brokers_commits_and_offsets() {
    let client = mock();
    let metadata = client.metadata().await.unwrap();
    let mut ids: Vec<_> = metadata.brokers.iter().map(|broker| broker.id.0).collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3]);
    let group = Arc::from("nobody \"knows\"\n\u{fc}");
    let commits = client.committed_offsets(BrokerId(2), &group, None).await;
    // The mock coordinates each group on one broker only; both answers are the broker's own.
    assert!(commits.as_ref().is_ok_and(|c| c.topics.is_empty()) || commits.is_err_and(|e| !e.is_silence()));
    let missing = [TopicPartitions { topic: "missing".into(), partitions: vec![PartitionId(0), PartitionId(1)] }];
    let rows = client.list_offsets(BrokerId(1), OffsetSpec::Latest, &missing).await.unwrap();
    assert!(rows.iter().flat_map(|topic| &topic.rows).all(|row| row.offset.is_err()));
    let at = |time| [TopicTimes { topic: "missing".into(), partitions: vec![(PartitionId(0), WallTime(time))] }];
    let rows = client.offsets_at(BrokerId(1), &at(1)).await.unwrap();
    assert!(rows.iter().flat_map(|topic| &topic.rows).all(|row| row.found.is_err()));
    // To Kafka that would be the log start.
    let error = client.offsets_at(BrokerId(1), &at(-2)).await.unwrap_err();
    assert_eq!(error.code(), Some(KafkaCode::LOCAL_INVALID_ARG), "{error}");
    client.close().await;
}

/// Enough rows that librdkafka looks each of them up in a long list.
#[tokio::test]
async fn the_many_commits_of_a_group_come_whole_and_once() {
    let topics: Vec<String> = (0..30).map(|number| format!("topic-{number:02}")).collect();
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut spec = Spec::new(1, 1);
    spec.topics = names.iter().map(|name| TopicSpec::new(name, 20, Flow::IDLE)).collect();
    spec.groups = vec![GroupSpec::stopped("group", &names, Position::Behind(7))];
    let cluster = Cluster::start(spec).await.unwrap();
    let client = client(&[("bootstrap.servers", &cluster.bootstrap_servers().join(","))], SOON);
    let broker = client.metadata().await.unwrap().brokers[0].id;
    let known: Vec<(String, i32, i64)> = {
        let world = cluster.world();
        let commits = world.group("group").unwrap().commits();
        commits
            .map(|(topic, partition, offset)| (topic.to_owned(), i32::try_from(partition).unwrap(), offset))
            .collect()
    };
    assert_eq!(known.len(), 600);
    let all = |topic: &String| TopicPartitions {
        topic: topic.as_str().into(),
        partitions: (0..20).map(PartitionId).collect(),
    };
    let named: Vec<TopicPartitions> = topics.iter().map(all).collect();
    for partitions in [None, Some(&*named)] {
        let answer = client.committed_offsets(broker, &"group".into(), partitions).await.unwrap();
        let rows = answer.topics.iter().flat_map(|topic| topic.rows.iter().map(move |row| (&topic.topic, row)));
        let mut told: Vec<(String, i32, i64)> =
            rows.map(|(topic, row)| (topic.to_string(), row.partition.0, row.offset.unwrap().unwrap().get())).collect();
        told.sort();
        assert_eq!(told, known);
    }
    client.close().await;
}

#[tokio::test]
async fn statistics_come_for_real_brokers() {
    let client = mock();
    client.metadata().await.unwrap();
    let mut connected = false;
    let start = Instant::now();
    while !connected && start.elapsed() < SOON {
        drop(client.list_groups(BrokerId(1)).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
        connected = client.broker_stats().brokers.iter().any(|b| b.is_up && b.connects > 0);
    }
    let stats = client.broker_stats();
    assert!(connected, "{stats:?}");
    assert!(stats.brokers.iter().all(|broker| broker.broker.0 > 0));
    assert!(
        stats.brokers.iter().any(|broker| broker.requests.iter().any(|(api, _)| &**api == "ApiVersion")),
        "{stats:?}"
    );
    assert!(client.poll_age() < SOON);
}

#[tokio::test]
async fn empty_questions_are_answered_without_asking() {
    let (_listener, client) = black_hole();
    assert!(client.describe_groups(BrokerId(1), &[]).await.unwrap().is_empty());
    assert!(client.describe_topics(&[]).await.unwrap().is_empty());
    assert!(client.list_offsets(BrokerId(1), OffsetSpec::Latest, &[]).await.unwrap().is_empty());
    assert!(client.offsets_at(BrokerId(1), &[]).await.unwrap().is_empty());
    assert!(client.committed_offsets(BrokerId(1), &"g".into(), Some(&[])).await.unwrap().topics.is_empty());
}

#[tokio::test]
async fn a_name_with_a_nul_is_refused_by_name() {
    let error = mock().committed_offsets(BrokerId(1), &"a\0b".into(), None).await.unwrap_err();
    assert!(text(&error).contains("NUL") && text(&error).contains(r#""a\0b""#), "{error}");
    assert_eq!(error.code(), Some(KafkaCode::LOCAL_INVALID_ARG));
}

#[tokio::test]
async fn a_refused_connection_is_the_reason_that_is_told() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    let client = client(&[("bootstrap.servers", &address)], Duration::from_secs(1));
    let error = client.metadata().await.unwrap_err();
    assert!(error.is_silence());
    assert!(text(&error).contains("Connection refused") && text(&error).contains(&address), "{error}");
}

#[tokio::test]
async fn a_host_that_does_not_resolve_is_named() {
    let client = client(&[("bootstrap.servers", "no-such-host.invalid:9092")], Duration::from_secs(1));
    let error = client.metadata().await.unwrap_err();
    assert!(text(&error).contains("Failed to resolve 'no-such-host.invalid:9092'"), "{error}");
}

#[tokio::test]
async fn tls_against_something_else_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            drop(std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
    });
    let client = client(&[("bootstrap.servers", &address), ("security.protocol", "SSL")], Duration::from_secs(1));
    let error = client.metadata().await.unwrap_err();
    assert!(text(&error).contains("speaks no TLS"), "{error}");
}

#[tokio::test]
async fn a_black_hole_is_silence_within_the_limit() {
    let (_listener, client) = black_hole();
    let groups = [Arc::from("g")];
    let (metadata, listing, description, cluster) = tokio::join!(
        client.metadata(),
        client.list_groups(BrokerId(7)),
        client.describe_groups(BrokerId(7), &groups),
        client.describe_cluster(),
    );
    assert!(metadata.unwrap_err().is_silence());
    assert!(listing.unwrap_err().is_silence());
    assert!(cluster.unwrap_err().is_silence());
    // Describing answers group by group, also when none was answered.
    let replies = description.unwrap();
    assert!(replies[0].description.as_ref().unwrap_err().is_silence());
}

#[tokio::test]
async fn closing_lets_go_of_calls_in_flight_and_refuses_new_ones() {
    let (_listener, client) = black_hole();
    let calls = tokio::spawn({
        let client = client.clone();
        async move { tokio::join!(client.metadata(), client.list_groups(BrokerId(1)), client.describe_cluster()) }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    client.close().await;
    let (metadata, listing, cluster) = calls.await.unwrap();
    assert_eq!(metadata.unwrap_err().cause, Cause::Closed);
    assert_eq!(listing.unwrap_err().cause, Cause::Closed);
    assert_eq!(cluster.unwrap_err().cause, Cause::Closed);
    assert_eq!(client.list_groups(BrokerId(1)).await.unwrap_err().cause, Cause::Closed);
    assert_eq!(client.metadata().await.unwrap_err().cause, Cause::Closed);
}

#[tokio::test]
async fn dropping_with_calls_in_flight_does_not_wait_for_them() {
    let (_listener, client) = black_hole();
    let mut calls = Box::pin(async { tokio::join!(client.metadata(), client.list_groups(BrokerId(1))) });
    // Long enough to be sent, too short to be answered.
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut calls).await.is_err());
    drop(calls);
    let begun = tokio::time::Instant::now();
    drop(client);
    assert!(begun.elapsed() < Duration::from_millis(500), "dropping must only send a message");
}

#[tokio::test]
async fn many_calls_are_in_flight_at_once() {
    let client = mock();
    client.metadata().await.unwrap();
    let calls = (0..300).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.committed_offsets(BrokerId(1 + n % 3), &format!("g{n}").into(), None).await })
    });
    for call in calls.collect::<Vec<_>>() {
        // Answered one way or another, by the broker: none is lost.
        assert!(call.await.unwrap().map_or_else(|error| !error.is_silence(), |_| true));
    }
}

#[test]
fn glibc_lets_all_threads_share_one_arena() {
    assert_eq!(share_one_arena(), cfg!(all(target_os = "linux", target_env = "gnu")));
}
