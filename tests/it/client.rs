//! The native client against real Kafkas, and what Kafka's own clients say of the same.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafkascope::kafka::{AclOperation, ClientSettings, KafkaApi, KafkaClient, KafkaError};
use kafkascope::model::{
    BrokerId, CommittedOffsets, GroupKind, GroupState, KafkaCode, ListedPartition, Offset, OffsetSpec, PartitionId,
    TopicPartitions, TopicRows, TopicTimes, WallTime,
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::kafka::{Acl, Cluster, PLAIN_USERS, Pki, Protocol, Version, at, shared};
use crate::wait::eventually;

/// For groups to settle, leaders to be elected and brokers to come back.
const SOON: Duration = Duration::from_secs(60);

fn connect_with(bootstrap: &str, request_timeout: Duration, more: &[(&str, &str)]) -> KafkaClient {
    let mut properties = vec![("bootstrap.servers".to_owned(), bootstrap.to_owned())];
    properties.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    KafkaClient::connect(&ClientSettings { cluster: "it".into(), properties, request_timeout }).unwrap()
}

fn connect(bootstrap: &str) -> KafkaClient {
    connect_with(bootstrap, Duration::from_secs(10), &[])
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
}

/// The group's coordinator, once some broker lists it.
async fn coordinator(client: &KafkaClient, group: &str) -> Result<BrokerId, String> {
    for broker in client.metadata().await.map_err(|error| error.to_string())?.brokers {
        let listed = client.list_groups(broker.id).await.map_err(|error| error.to_string())?;
        if listed.iter().any(|row| &*row.group == group) {
            return Ok(broker.id);
        }
    }
    Err(format!("no broker lists {group:?}"))
}

fn find_coordinator(client: &KafkaClient, group: &str) -> BrokerId {
    eventually("the group is listed", SOON, || run(coordinator(client, group)))
}

fn partitions(topic: &str, count: i32) -> Vec<TopicPartitions> {
    vec![TopicPartitions { topic: topic.into(), partitions: (0..count).map(PartitionId).collect() }]
}

fn listed(rows: &[TopicRows<ListedPartition>]) -> BTreeMap<(Arc<str>, i32), Result<i64, KafkaCode>> {
    let all = rows.iter().flat_map(|topic| topic.rows.iter().map(move |row| (&topic.topic, row)));
    all.map(|(topic, row)| ((topic.clone(), row.partition.0), row.offset.map(Offset::get))).collect()
}

fn committed(commits: &CommittedOffsets) -> BTreeMap<(Arc<str>, i32), Option<i64>> {
    let all = commits.topics.iter().flat_map(|topic| topic.rows.iter().map(move |row| (&topic.topic, row)));
    all.map(|(topic, row)| ((topic.clone(), row.partition.0), row.offset.unwrap().map(Offset::get))).collect()
}

fn sees_what_the_java_client_sees(cluster: &Cluster) {
    let driver = cluster.driver();
    driver.create_topic("client-seen", 3).unwrap();
    driver.produce("client-seen", 0, 100).unwrap();
    driver.delete_records("client-seen", 0, 40).unwrap();
    driver.produce("client-seen", 1, 7).unwrap();
    driver.commit("client-simple", &[at("client-seen", 0, 55), at("client-seen", 2, 0)]).unwrap();
    driver.start_consumer("client-member", "client-classic", &["client-seen"], Protocol::Classic).unwrap();
    let truth = eventually("the consumer has read all", SOON, || {
        let truth = driver.truth("client-").map_err(|error| error.to_string())?;
        let done = truth.committed("client-classic", "client-seen", 0) == Some(100)
            && truth.committed("client-classic", "client-seen", 1) == Some(7);
        if done { Ok(truth) } else { Err(format!("{truth:#?}")) }
    });
    let client = connect(&cluster.bootstrap());
    let broker = find_coordinator(&client, "client-simple");
    run(async {
        let metadata = client.metadata().await.unwrap();
        let topic = metadata.topics.iter().find(|topic| &*topic.name == "client-seen").unwrap();
        assert!(topic.error.is_ok() && topic.partitions.len() == 3);
        assert!(topic.partitions.iter().all(|p| p.leader == Some(broker) && p.replicas == [broker] && p.in_sync == 1));
        let described = client.describe_cluster().await.unwrap();
        assert_eq!(described.cluster_id.as_deref(), Some(driver.brokers().unwrap().cluster_id.as_str()));
        let ids = client.describe_topics(&["client-seen".into(), "client-missing".into()]).await.unwrap();
        assert!(ids[0].id.unwrap().is_some());
        assert_eq!(ids[1].id, Err(KafkaCode::UNKNOWN_TOPIC_OR_PARTITION));

        for (spec, column) in [(OffsetSpec::Earliest, 0), (OffsetSpec::Latest, 1)] {
            let rows = client.list_offsets(broker, spec, &partitions("client-seen", 3)).await.unwrap();
            for ((topic, partition), offset) in listed(&rows) {
                let row = truth.partition(&topic, partition).unwrap();
                assert_eq!(Some(offset.unwrap()), [row.earliest, row.latest][column], "{spec:?} {topic}-{partition}");
            }
        }
        let named = partitions("client-seen", 3);
        let commits = client.committed_offsets(broker, &"client-simple".into(), None).await.unwrap();
        let all: Vec<_> = committed(&commits).into_iter().map(|((_, p), offset)| (p, offset)).collect();
        assert_eq!(all, [(0, Some(55)), (2, Some(0))]);
        let commits = client.committed_offsets(broker, &"client-simple".into(), Some(&named)).await.unwrap();
        let some: Vec<_> = committed(&commits).into_iter().map(|((_, p), offset)| (p, offset)).collect();
        assert_eq!(some, [(0, Some(55)), (1, None), (2, Some(0))]);
        let unknown = client.committed_offsets(broker, &"client-nobody".into(), None).await.unwrap();
        assert!(unknown.topics.is_empty());

        let asked = ["client-classic".into(), "client-simple".into(), "client-nobody".into()];
        let replies = client.describe_groups(broker, &asked).await.unwrap();
        let classic = replies[0].description.as_ref().unwrap();
        assert_eq!((classic.state, classic.kind, classic.members), (GroupState::Stable, GroupKind::Classic, 1));
        assert_eq!((&*classic.protocol, classic.is_simple, classic.coordinator), ("range", false, broker));
        assert_eq!(classic.assignment.len(), 1);
        assert_eq!((classic.assignment[0].members, classic.assignment[0].partitions.len()), (1, 3));
        let simple = replies[1].description.as_ref().unwrap();
        assert_eq!((simple.state, simple.is_simple, simple.members), (GroupState::Empty, true, 0));
        match &replies[2].description {
            Ok(nobody) => assert_eq!(nobody.state, GroupState::Dead),
            Err(error) => assert_eq!(error.code(), Some(KafkaCode::GROUP_ID_NOT_FOUND)),
        }
        client.close().await;
    });
    driver.stop_consumer("client-member").unwrap();
}

#[test]
fn client_sees_what_the_java_client_sees() {
    sees_what_the_java_client_sees(shared());
}

#[test]
fn client_sees_what_the_java_client_sees_on_3_9() {
    sees_what_the_java_client_sees(&Cluster::builder(Version::V3_9_1).start());
}

#[test]
fn client_sees_consumer_protocol_groups() {
    let driver = shared().driver();
    driver.create_topic("client848-topic", 4).unwrap();
    for member in ["client848-a", "client848-b"] {
        driver.start_consumer(member, "client848-group", &["client848-topic"], Protocol::Consumer).unwrap();
    }
    let client = connect(&shared().bootstrap());
    let broker = find_coordinator(&client, "client848-group");
    let description = eventually("both members hold partitions", SOON, || {
        let mut replies = run(client.describe_groups(broker, &["client848-group".into()])).unwrap();
        let description = replies.remove(0).description.unwrap();
        let settled = description.state == GroupState::Stable && description.assignment.iter().any(|a| a.members == 2);
        if settled { Ok(description) } else { Err(format!("{description:?}")) }
    });
    assert_eq!((description.kind, description.members, &*description.protocol), (GroupKind::Consumer, 2, "uniform"));
    assert_eq!(description.assignment[0].partitions, (0..4).map(PartitionId).collect::<Vec<_>>());
    let listing = run(client.list_groups(broker)).unwrap();
    let row = listing.iter().find(|row| &*row.group == "client848-group").unwrap();
    assert_eq!((row.kind, row.state), (GroupKind::Consumer, GroupState::Stable));
    for member in ["client848-a", "client848-b"] {
        driver.stop_consumer(member).unwrap();
    }
}

#[test]
fn client_keeps_strange_names_as_they_are() {
    let driver = shared().driver();
    driver.create_topic("client-strange", 1).unwrap();
    let names = ["client-\"quoted\"", "client-back\\slash", "client-new\nline", "client-\u{fc}\u{6f22}\u{1f600}"];
    for (name, offset) in names.iter().zip(1..) {
        driver.commit(name, &[at("client-strange", 0, offset)]).unwrap();
    }
    let client = connect(&shared().bootstrap());
    let broker = find_coordinator(&client, names[3]);
    run(async {
        let groups: Vec<Arc<str>> = names.iter().map(|name| Arc::from(*name)).collect();
        let listing = client.list_groups(broker).await.unwrap();
        let replies = client.describe_groups(broker, &groups).await.unwrap();
        for ((name, reply), offset) in groups.iter().zip(replies).zip(1..) {
            assert!(listing.iter().any(|row| row.group == *name), "{name:?} is not listed");
            assert_eq!(reply.description.unwrap().group, *name);
            let commits = client.committed_offsets(broker, name, None).await.unwrap();
            assert_eq!(committed(&commits), BTreeMap::from([(("client-strange".into(), 0), Some(offset))]));
        }
    });
}

/// A record's offset and timestamp.
type Record = Option<(i64, i64)>;

fn maps_times_to_the_first_record_that_is_not_older(cluster: &Cluster) {
    let driver = cluster.driver();
    driver.create_topic("client-times", 3).unwrap();
    // Minutes ago: CreateTime does as the producer likes, and one is far ahead of time.
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let ago = |minutes: i64| now - minutes * 60_000;
    for stamp in [ago(50), ago(30), ago(40), ago(20), ago(-60), ago(10)] {
        driver.produce_with(json!({"topic": "client-times", "partition": 0, "count": 2, "timestamp": stamp})).unwrap();
    }
    driver.produce_with(json!({"topic": "client-times", "partition": 1, "count": 5, "timestamp": ago(9)})).unwrap();
    driver.delete_records("client-times", 1, 3).unwrap();
    let client = connect(&cluster.bootstrap());
    run(async {
        let broker = client.metadata().await.unwrap().brokers[0].id;
        let found = async |times: [i64; 3]| -> Vec<Record> {
            let partitions = (0..).map(PartitionId).zip(times.map(WallTime)).collect();
            let times = [TopicTimes { topic: "client-times".into(), partitions }];
            let mut rows: Vec<_> =
                client.offsets_at(broker, &times).await.unwrap().into_iter().flat_map(|topic| topic.rows).collect();
            rows.sort_unstable_by_key(|row| row.partition);
            rows.iter().map(|row| row.found.unwrap().map(|(offset, time)| (offset.get(), time.0))).collect()
        };
        // Partition 2 is empty.
        assert_eq!(found([0, 0, 0]).await, [Some((0, ago(50))), Some((3, ago(9))), None]);
        assert_eq!(found([ago(50) + 1, ago(9), 1]).await, [Some((2, ago(30))), Some((3, ago(9))), None]);
        assert_eq!(found([ago(40), ago(9) + 1, now]).await, [Some((2, ago(30))), None, None], "the first in the log");
        assert_eq!(found([ago(19), now, i64::MAX]).await, [Some((8, ago(-60))), None, None]);
        assert_eq!(found([ago(-60) + 1, i64::MAX, now]).await, [None, None, None]);
        let missing = [TopicTimes { topic: "client-times".into(), partitions: vec![(PartitionId(7), WallTime(0))] }];
        let rows = client.offsets_at(broker, &missing).await.unwrap();
        assert!(rows.iter().flat_map(|topic| &topic.rows).all(|row| row.found.is_err()), "{rows:?}");
        client.close().await;
    });
}

#[test]
fn client_maps_times_to_the_first_record_that_is_not_older() {
    maps_times_to_the_first_record_that_is_not_older(shared());
}

#[test]
fn client_maps_times_to_the_first_record_that_is_not_older_on_3_9() {
    maps_times_to_the_first_record_that_is_not_older(&Cluster::builder(Version::V3_9_1).start());
}

#[test]
fn client_fetches_a_thousand_offsets_at_once() {
    const COUNT: i32 = 1000;
    let driver = shared().driver();
    driver.create_topic("client-wide", 1000).unwrap();
    let commits: Vec<_> = (0..COUNT).map(|partition| at("client-wide", partition, i64::from(partition))).collect();
    driver.commit("client-wide-group", &commits).unwrap();
    let client = connect(&shared().bootstrap());
    let broker = find_coordinator(&client, "client-wide-group");
    run(async {
        let named = partitions("client-wide", COUNT);
        for which in [None, Some(&named[..])] {
            let answer = client.committed_offsets(broker, &"client-wide-group".into(), which).await.unwrap();
            let expected = (0..COUNT).map(|partition| (("client-wide".into(), partition), Some(i64::from(partition))));
            assert_eq!(committed(&answer), expected.collect());
        }
        let rows = client.list_offsets(broker, OffsetSpec::Latest, &named).await.unwrap();
        assert_eq!(listed(&rows).len(), 1000);
        assert!(listed(&rows).values().all(|offset| *offset == Ok(0)));
    });
}

#[test]
fn client_tells_partitions_that_are_missing_from_those_that_are_there() {
    let driver = shared().driver();
    driver.create_topic("client-short", 1).unwrap();
    let client = connect(&shared().bootstrap());
    run(async {
        let broker = client.metadata().await.unwrap().brokers[0].id;
        let mut asked = partitions("client-short", 2);
        asked.extend(partitions("client-none", 1));
        let rows = listed(&client.list_offsets(broker, OffsetSpec::Latest, &asked).await.unwrap());
        assert_eq!(rows[&("client-short".into(), 0)], Ok(0));
        assert!(rows[&("client-short".into(), 1)].is_err() && rows[&("client-none".into(), 0)].is_err());
        let rows =
            listed(&client.list_offsets(broker, OffsetSpec::Latest, &partitions("client-none", 2)).await.unwrap());
        assert!(rows.len() == 2 && rows.values().all(Result::is_err));
    });
}

#[test]
fn client_reports_an_unknown_broker_as_silent() {
    let client = connect_with(&shared().bootstrap(), Duration::from_secs(2), &[]);
    run(async {
        client.metadata().await.unwrap();
        let nobody = BrokerId(4711);
        assert!(client.list_groups(nobody).await.unwrap_err().is_silence());
        assert!(client.committed_offsets(nobody, &"g".into(), None).await.unwrap_err().is_silence());
        let replies = client.describe_groups(nobody, &["g".into()]).await.unwrap();
        assert!(replies[0].description.as_ref().unwrap_err().is_silence());
    });
}

/// Calls in flight while the broker that should answer goes away and comes back: each ends, and the process lives.
#[test]
fn client_survives_a_coordinator_that_goes_and_comes() {
    let cluster = Cluster::builder(Version::V4_3_1).brokers(3).start();
    let driver = cluster.driver();
    driver.create_topic_on("gone", &[&[1], &[2], &[3]]).unwrap();
    driver.commit("gone-group", &[at("gone", 0, 1), at("gone", 1, 2)]).unwrap();
    let client = Arc::new(connect_with(&cluster.bootstrap(), Duration::from_secs(2), &[]));
    let broker = find_coordinator(&client, "gone-group");
    for frozen in [true, false, true] {
        let (calls, metadata) = run(async {
            let mut calls = JoinSet::new();
            client.metadata().await.unwrap();
            if frozen {
                cluster.stop(broker.0)
            } else {
                cluster.kill(broker.0)
            }
            for _ in 0..20 {
                let client = client.clone();
                calls.spawn(async move {
                    let group = "gone-group".into();
                    let led = [TopicPartitions { topic: "gone".into(), partitions: vec![PartitionId(broker.0 - 1)] }];
                    let groups = [Arc::clone(&group)];
                    let (commits, described, offsets, list) = tokio::join!(
                        client.committed_offsets(broker, &group, None),
                        client.describe_groups(broker, &groups),
                        client.list_offsets(broker, OffsetSpec::Latest, &led),
                        client.list_groups(broker),
                    );
                    let described = described.and_then(|mut replies| replies.remove(0).description).map(drop);
                    let silent = |result: Result<(), KafkaError>| result.is_err_and(|error| error.is_silence());
                    [commits.map(drop), described, offsets.map(drop), list.map(drop)].map(silent)
                });
            }
            let metadata = client.metadata().await;
            (calls.join_all().await, metadata)
        });
        assert!(metadata.is_ok(), "frozen {frozen}: the other two brokers answer: {metadata:?}");
        assert!(calls.iter().all(|silent| *silent == [true; 4]), "frozen {frozen}: {calls:?}");
        if frozen {
            cluster.cont(broker.0)
        } else {
            cluster.restart(broker.0)
        }
        eventually("the group is there again", SOON, || {
            let now = run(coordinator(&client, "gone-group"))?;
            let commits = run(client.committed_offsets(now, &"gone-group".into(), None)).map_err(|e| e.to_string())?;
            if committed(&commits).len() == 2 { Ok(()) } else { Err(format!("{commits:?}")) }
        });
        eventually("every partition is led again", SOON, || {
            let metadata = run(client.metadata()).map_err(|error| error.to_string())?;
            let topic = metadata.topics.iter().find(|topic| &*topic.name == "gone").ok_or("no topic")?;
            topic.partitions.iter().all(|p| p.leader.is_some()).then_some(()).ok_or(format!("{topic:?}"))
        });
    }
}

#[test]
fn client_dropped_with_calls_in_flight_leaves_the_process_alone() {
    run(async {
        for _ in 0..10 {
            let client = Arc::new(connect(&shared().bootstrap()));
            client.metadata().await.unwrap();
            let mut calls = JoinSet::new();
            for _ in 0..50 {
                let client = client.clone();
                calls.spawn(async move { client.list_groups(BrokerId(1)).await.map(drop) });
            }
            tokio::task::yield_now().await;
            calls.abort_all();
            drop(client);
        }
        // A client that is set up afterwards works.
        connect(&shared().bootstrap()).metadata().await.unwrap();
    });
}

#[test]
fn client_says_what_is_wrong_with_a_secured_connection() {
    let pki = Arc::new(Pki::new());
    let cluster = Cluster::builder(Version::V4_3_1).secured(&pki).authorized().start();
    let ca = pki.ca().display().to_string();
    let (user, password) = PLAIN_USERS[0];
    let sasl = |password: &str, more: &[(&str, &str)]| {
        let all = [&[("sasl.mechanism", "PLAIN"), ("sasl.username", user), ("sasl.password", password)], more].concat();
        connect_with(&cluster.bootstrap_of("SASL_SSL"), Duration::from_secs(3), &all)
    };
    let secured = [("security.protocol", "SASL_SSL"), ("ssl.ca.location", ca.as_str())];
    let fails = |client: KafkaClient| run(client.metadata()).unwrap_err().to_string();
    let text = fails(sasl("wrong", &secured));
    assert!(text.contains("SASL authentication error"), "{text}");
    let text = fails(sasl(password, &[("security.protocol", "SASL_SSL")]));
    assert!(text.contains("certificate"), "{text}");
    let plain = cluster.bootstrap();
    let text =
        fails(connect_with(&plain, Duration::from_secs(3), &[("security.protocol", "SSL"), ("ssl.ca.location", &ca)]));
    assert!(text.contains("PLAINTEXT"), "{text}");
    let text = fails(connect_with(&cluster.bootstrap_of("SSL"), Duration::from_secs(3), &[]));
    assert!(text.contains("does this listener want TLS?"), "{text}");

    let text = fails(connect_with(&cluster.bootstrap_of("SASL_PLAINTEXT"), Duration::from_secs(3), &[]));
    assert!(text.contains("does this listener want SASL?"), "{text}");

    // What may be seen is authorized; the rest is not there or refused.
    cluster.driver().create_topic("secured-open", 1).unwrap();
    cluster.driver().create_topic("secured-hidden", 1).unwrap();
    cluster.driver().commit("secured-group", &[at("secured-open", 0, 0)]).unwrap();
    let principal = format!("User:{user}");
    let allow = |resource, name| Acl {
        principal: &principal,
        resource,
        name,
        pattern: "literal",
        operation: "Describe",
        permission: "Allow",
    };
    cluster.driver().create_acls(&[allow("topic", "secured-open"), allow("group", "secured-group")]).unwrap();
    let client = sasl(password, &secured);
    eventually("the permissions are in force", SOON, || {
        let topics = run(client.metadata()).map_err(|error| error.to_string())?.topics;
        let names: Vec<_> = topics.into_iter().map(|topic| topic.name.to_string()).collect();
        if names == ["secured-open"] { Ok(()) } else { Err(format!("{names:?}")) }
    });
    let broker = find_coordinator(&client, "secured-group");
    run(async {
        let topics = client.topic_operations(&["secured-open".into(), "secured-hidden".into()]).await.unwrap();
        assert_eq!(topics[0].operations, Ok(Some(vec![AclOperation::DESCRIBE])));
        assert_eq!(topics[1].operations, Err(KafkaCode::TOPIC_AUTHORIZATION_FAILED));
        let groups = client.group_operations(broker, &["secured-group".into(), "other".into()]).await.unwrap();
        assert_eq!(groups[0].operations, Ok(Some(vec![AclOperation::DESCRIBE])));
        assert_eq!(groups[1].operations, Err(KafkaCode::GROUP_AUTHORIZATION_FAILED));
        assert_eq!(client.cluster_operations().await.unwrap(), Some(vec![]));
        let error = client.committed_offsets(broker, &"other".into(), None).await.unwrap_err();
        assert_eq!(error.code(), Some(KafkaCode::GROUP_AUTHORIZATION_FAILED));
    });
}
