//! Every API in every version says what the world says.

use std::collections::BTreeMap;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    ApiVersionsRequest, ConsumerGroupDescribeRequest, ConsumerProtocolAssignment, DescribeConfigsRequest,
    DescribeGroupsRequest, FindCoordinatorRequest, ListGroupsRequest, ListOffsetsRequest, MetadataRequest,
    OffsetFetchRequest,
};
use kafka_protocol::protocol::{Decodable, StrBytes};

use super::client::{Client, encoded};
use super::*;
use crate::sim::GroupState;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn code(error: ResponseError) -> i16 {
    error.code()
}

#[tokio::test]
async fn api_versions_in_every_version_and_beyond() {
    let cluster = cluster().await;
    let mut client = Client::connect(&address(&cluster, 1)).await;
    for version in 0..=4 {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request = request.with_client_software_name(text("a")).with_client_software_version(text("1"));
        }
        let response = client.call(version, &request).await.unwrap();
        assert_eq!((response.error_code, response.api_keys.len()), (0, 9), "version {version}");
    }
    // A version from the future: answered in version 0, and the connection lives on.
    let mut bytes = encoded(4, 9, &ApiVersionsRequest::default());
    bytes[7] = 99;
    let answer = Client::connect(&address(&cluster, 1)).await.raw(&bytes).await;
    assert_eq!(&answer[4..10], [0, 0, 0, 9, 0, 35]);
    cluster.stop().await;
}

#[tokio::test]
async fn metadata_of_all_of_none_and_of_named_topics() {
    let cluster = cluster().await;
    let mut client = Client::connect(&address(&cluster, 2)).await;
    for version in 0..=13 {
        let all = if version == 0 { Some(Vec::new()) } else { None };
        let response = client.call(version, &MetadataRequest::default().with_topics(all)).await.unwrap();
        assert_eq!((response.brokers.len(), response.topics.len()), (3, 2), "version {version}");
        let moving = response.topics.iter().find(|t| t.name.as_ref().unwrap().as_str() == "moving").unwrap();
        for partition in &moving.partitions {
            let at = usize::try_from(partition.partition_index).unwrap();
            assert_eq!(partition.leader_id.0, cluster.world().leader("moving", at).unwrap());
            assert_eq!((partition.replica_nodes.len(), partition.isr_nodes.len()), (3, 3));
        }
        let named = MetadataRequestTopic::default().with_name(Some(text("gone").into()));
        let request = MetadataRequest::default().with_topics(Some(vec![named]));
        let response = client.call(version, &request).await.unwrap();
        assert_eq!(response.topics[0].error_code, code(ResponseError::UnknownTopicOrPartition));
    }
    let none = client.call(13, &MetadataRequest::default().with_topics(Some(Vec::new()))).await.unwrap();
    assert!(none.topics.is_empty());
    let racks: Vec<String> = none.brokers.iter().map(|b| b.rack.as_ref().unwrap().to_string()).collect();
    assert_eq!(racks, ["a", "b", "c"]);
    cluster.stop().await;
}

#[tokio::test]
async fn a_recreated_topic_has_a_new_id_and_the_old_one_is_unknown() {
    let cluster = cluster().await;
    let mut client = Client::connect(&address(&cluster, 1)).await;
    let id = uuid::Uuid::from_u128(cluster.world().topic("still").unwrap().id());
    let by_id = MetadataRequestTopic::default().with_topic_id(id).with_name(None);
    let request = MetadataRequest::default().with_topics(Some(vec![by_id]));
    let before = client.call(12, &request).await.unwrap();
    assert_eq!(before.topics[0].name.as_ref().unwrap().as_str(), "still");
    cluster.edit(|world| {
        world.delete_topic("still").unwrap();
        world.create_topic(&TopicSpec::empty("still", 1)).unwrap();
    });
    let after = client.call(12, &request).await.unwrap();
    assert_eq!(after.topics[0].error_code, code(ResponseError::UnknownTopicId));
    assert_ne!(cluster.world().topic("still").unwrap().id(), id.as_u128());
    cluster.stop().await;
}

#[tokio::test]
async fn topics_tell_their_settings() {
    let cluster = cluster().await;
    cluster.edit(|world| world.set_min_insync("moving", 2).unwrap());
    let mut client = Client::connect(&address(&cluster, 1)).await;
    let resource = |kind, name, keys| {
        DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configuration_keys(keys)
    };
    for version in 1..=4 {
        let asked = vec![
            resource(2, "moving", Some(vec![text("min.insync.replicas"), text("no.such.setting")])),
            resource(2, "still", None),
            resource(2, "gone", None),
            resource(4, "1", None),
        ];
        let answer = client.call(version, &DescribeConfigsRequest::default().with_resources(asked)).await.unwrap();
        let codes: Vec<i16> = answer.results.iter().map(|result| result.error_code).collect();
        let (gone, invalid) = (ResponseError::UnknownTopicOrPartition, ResponseError::InvalidRequest);
        assert_eq!(codes, [0, 0, code(gone), code(invalid)], "version {version}");
        let told = |place: usize| {
            let configs = answer.results[place].configs.iter();
            configs
                .map(|config| (config.name.to_string(), config.value.clone().unwrap().to_string()))
                .collect::<Vec<_>>()
        };
        assert_eq!(told(0), [("min.insync.replicas".to_owned(), "2".to_owned())]);
        assert_eq!(told(1)[0], ("retention.ms".to_owned(), "-1".to_owned()));
        assert_eq!(told(1).len(), 5);
    }
    cluster.stop().await;
}

async fn offset(client: &mut Client, version: i16, topic: &str, partition: usize, spec: i64, level: i8) -> (i16, i64) {
    let partition = ListOffsetsPartition::default()
        .with_partition_index(i32::try_from(partition).unwrap())
        .with_timestamp(spec)
        .with_current_leader_epoch(-1);
    let topic = ListOffsetsTopic::default().with_name(text(topic).into()).with_partitions(vec![partition]);
    let mut request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    if version >= 2 {
        request.isolation_level = level;
    }
    let response = client.call(version, &request).await.unwrap();
    let answer = &response.topics[0].partitions[0];
    (answer.error_code, answer.offset)
}

#[tokio::test]
async fn offsets_come_from_the_leader_only() {
    let cluster = cluster().await;
    let leader = cluster.world().leader("moving", 3).unwrap();
    let mut at_leader = Client::connect(&address(&cluster, leader)).await;
    let mut elsewhere = Client::connect(&address(&cluster, other(&cluster, leader))).await;
    let end = cluster.world().end_offset("moving", 3).unwrap();
    assert!(end > 30_000 * 7 / 10, "an hour at 10 a second: {end}");
    cluster.edit(|world| {
        world.set_log_start_offset("moving", 3, 40).unwrap();
        world.set_open_transaction("moving", 3, Some(100)).unwrap();
    });
    for version in 1..=10 {
        assert_eq!(offset(&mut at_leader, version, "moving", 3, -1, 0).await, (0, end), "version {version}");
        assert_eq!(offset(&mut at_leader, version, "moving", 3, -2, 0).await, (0, 40));
        let stable = if version >= 2 { 100 } else { end };
        assert_eq!(offset(&mut at_leader, version, "moving", 3, -1, 1).await, (0, stable));
        let not_leader = code(ResponseError::NotLeaderOrFollower);
        assert_eq!(offset(&mut elsewhere, version, "moving", 3, -1, 0).await, (not_leader, -1));
        let unknown = code(ResponseError::UnknownTopicOrPartition);
        assert_eq!(offset(&mut at_leader, version, "moving", 77, -1, 0).await, (unknown, -1));
        assert_eq!(offset(&mut at_leader, version, "gone", 0, -1, 0).await, (unknown, -1));
    }
    let at_ms = cluster.world().appended_at_ms("moving", 3, 5_000).unwrap();
    let (error, found) = offset(&mut at_leader, 7, "moving", 3, at_ms, 0).await;
    assert!(error == 0 && found <= 5_000 && cluster.world().appended_at_ms("moving", 3, found) == Some(at_ms));
    assert_eq!(offset(&mut at_leader, 7, "moving", 3, -3, 0).await, (0, end - 1));
    assert_eq!(offset(&mut at_leader, 7, "moving", 3, i64::MAX, 0).await, (0, -1));
    cluster.stop().await;
}

#[tokio::test]
async fn each_broker_lists_the_groups_that_it_coordinates() {
    let cluster = cluster().await;
    for version in 0..=5 {
        let mut found = BTreeMap::new();
        let brokers = cluster.world().broker_ids();
        for broker in brokers {
            let mut client = Client::connect(&address(&cluster, broker)).await;
            let response = client.call(version, &ListGroupsRequest::default()).await.unwrap();
            assert_eq!(response.error_code, 0);
            for group in response.groups {
                assert_eq!(coordinator(&cluster, &group.group_id), broker);
                found.insert(group.group_id.to_string(), (group.protocol_type, group.group_state, group.group_type));
            }
        }
        assert_eq!(found.keys().collect::<Vec<_>>(), ["classic", "modern", "nothing", "simple", "stopped"]);
        assert_eq!(found["simple"].0.as_str(), "");
        assert_eq!(found["classic"].0.as_str(), "consumer");
        let state = if version >= 4 { "Stable" } else { "" };
        assert_eq!(found["modern"].1.as_str(), state);
        let group_type = if version >= 5 { "consumer" } else { "" };
        assert_eq!(found["modern"].2.as_str(), group_type);
    }
    let mut client = Client::connect(&address(&cluster, coordinator(&cluster, "modern"))).await;
    let filtered = ListGroupsRequest::default().with_types_filter(vec![text("Consumer")]);
    let names: Vec<_> = client.call(5, &filtered).await.unwrap().groups;
    assert_eq!(names.iter().map(|g| g.group_id.to_string()).collect::<Vec<_>>(), ["modern"]);
    let filtered = ListGroupsRequest::default().with_states_filter(vec![text("Dead")]);
    assert!(client.call(4, &filtered).await.unwrap().groups.is_empty());
    cluster.stop().await;
}

#[tokio::test]
async fn classic_groups_are_described_with_members_and_assignments() {
    let cluster = cluster().await;
    let mut client = Client::connect(&address(&cluster, coordinator(&cluster, "classic"))).await;
    for version in 0..=6 {
        let request = DescribeGroupsRequest::default().with_groups(vec![text("classic").into()]);
        let group = client.call(version, &request).await.unwrap().groups.remove(0);
        assert_eq!((group.error_code, group.group_state.as_str(), group.members.len()), (0, "Stable", 2));
        assert_eq!((group.protocol_type.as_str(), group.protocol_data.as_str()), ("consumer", "range"));
        let mut held = Vec::new();
        for member in &group.members {
            let mut bytes = member.member_assignment.slice(2..);
            for topic in ConsumerProtocolAssignment::decode(&mut bytes, 1).unwrap().assigned_partitions {
                held.extend(topic.partitions.into_iter().map(|p| (topic.topic.to_string(), p)));
            }
        }
        held.sort();
        let expected = (0..6).map(|p| ("moving".to_owned(), p)).chain((0..2).map(|p| ("still".to_owned(), p)));
        assert_eq!(held, expected.collect::<Vec<_>>());
    }
    cluster.edit(|world| world.set_state("classic", GroupState::PreparingRebalance).unwrap());
    let request = DescribeGroupsRequest::default().with_groups(vec![text("classic").into()]);
    let group = client.call(4, &request).await.unwrap().groups.remove(0);
    assert_eq!((group.group_state.as_str(), group.members.len()), ("PreparingRebalance", 2));
    assert!(group.members.iter().all(|member| member.member_assignment.is_empty()));
    cluster.stop().await;
}

#[tokio::test]
async fn groups_that_are_not_there_are_dead_or_not_found() {
    let cluster = cluster().await;
    let request = DescribeGroupsRequest::default().with_groups(vec![text("ghost").into()]);
    let mut client = Client::connect(&address(&cluster, coordinator(&cluster, "ghost"))).await;
    for version in 0..=6 {
        let group = client.call(version, &request).await.unwrap().groups.remove(0);
        let error = if version >= 6 { code(ResponseError::GroupIdNotFound) } else { 0 };
        assert_eq!((group.error_code, group.group_state.as_str()), (error, "Dead"));
    }
    let classic = ConsumerGroupDescribeRequest::default().with_group_ids(vec![text("classic").into()]);
    let mut client = Client::connect(&address(&cluster, coordinator(&cluster, "classic"))).await;
    let group = client.call(0, &classic).await.unwrap().groups.remove(0);
    assert_eq!(group.error_code, code(ResponseError::GroupIdNotFound));
    cluster.stop().await;
}

#[tokio::test]
async fn modern_groups_are_described_with_topic_ids() {
    let cluster = cluster().await;
    let id = cluster.world().topic("moving").unwrap().id();
    let mut client = Client::connect(&address(&cluster, coordinator(&cluster, "modern"))).await;
    cluster.edit(|world| world.set_unassigned("modern", "moving", 5, true).unwrap());
    for version in 0..=1 {
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![text("modern").into()]);
        let group = client.call(version, &request).await.unwrap().groups.remove(0);
        assert_eq!((group.error_code, group.group_state.as_str(), group.members.len()), (0, "Stable", 2));
        let held = group.members.iter().flat_map(|member| &member.assignment.topic_partitions);
        let mut partitions: Vec<i32> = Vec::new();
        for topic in held {
            assert_eq!((topic.topic_id.as_u128(), topic.topic_name.as_str()), (id, "moving"));
            partitions.extend(&topic.partitions);
        }
        assert_eq!(partitions, [0, 1, 2, 3, 4]);
    }
    cluster.stop().await;
}

/// Commits by topic and partition, with the error code of group or answer.
type Fetched = (i16, Vec<(String, i32, i64)>);

async fn fetch(client: &mut Client, version: i16, group: &str, asked: Option<(&str, Vec<i32>)>) -> Fetched {
    if version < 8 {
        let topics = asked.map(|(name, partitions)| {
            vec![OffsetFetchRequestTopic::default().with_name(text(name).into()).with_partition_indexes(partitions)]
        });
        let request = OffsetFetchRequest::default().with_group_id(text(group).into()).with_topics(topics);
        let response = client.call(version, &request).await.unwrap();
        let rows = response.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|p| (topic.name.to_string(), p.partition_index, p.committed_offset))
        });
        return (response.error_code, rows.collect());
    }
    let topics = asked.map(|(name, partitions)| {
        vec![OffsetFetchRequestTopics::default().with_name(text(name).into()).with_partition_indexes(partitions)]
    });
    let one = OffsetFetchRequestGroup::default().with_group_id(text(group).into()).with_topics(topics);
    let request = OffsetFetchRequest::default().with_groups(vec![one]);
    let response = client.call(version, &request).await.unwrap();
    let group = &response.groups[0];
    let rows = group.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|p| (topic.name.to_string(), p.partition_index, p.committed_offset))
    });
    (group.error_code, rows.collect())
}

#[tokio::test]
async fn commits_come_all_or_by_name() {
    let cluster = cluster().await;
    cluster.edit(|world| {
        world.set_commit("stopped", "moving", 1, None).unwrap();
        world.set_commit("stopped", "never made", 0, Some(3)).unwrap();
    });
    let mut client = Client::connect(&address(&cluster, coordinator(&cluster, "stopped"))).await;
    let committed = cluster.world().committed("stopped", "moving", 2).unwrap();
    assert_eq!(cluster.world().lag("stopped", "moving", 2), Some(7));
    for version in 1..=9 {
        let named = fetch(&mut client, version, "stopped", Some(("moving", vec![2, 1, 99]))).await;
        let row = |partition, offset| ("moving".to_owned(), partition, offset);
        assert_eq!(named, (0, vec![row(2, committed), row(1, -1), row(99, -1)]), "version {version}");
        if version >= 2 {
            let (error, all) = fetch(&mut client, version, "stopped", None).await;
            assert_eq!((error, all.len()), (0, 6));
            assert!(all.contains(&("never made".to_owned(), 0, 3)) && all.contains(&row(2, committed)));
            assert_eq!(fetch(&mut client, version, "nobody at all", None).await.1, []);
        }
    }
    cluster.stop().await;
}

#[tokio::test]
async fn coordinators_are_found_and_only_they_answer() {
    let cluster = cluster().await;
    let home = coordinator(&cluster, "stopped");
    let away = other(&cluster, home);
    let mut client = Client::connect(&address(&cluster, away)).await;
    for version in 0..=6 {
        let mut request = FindCoordinatorRequest::default();
        if version >= 4 {
            request.coordinator_keys = vec![text("stopped")];
            let found = client.call(version, &request).await.unwrap().coordinators.remove(0);
            assert_eq!((found.error_code, found.node_id.0), (0, home));
        } else {
            request.key = text("stopped");
            let found = client.call(version, &request).await.unwrap();
            assert_eq!((found.error_code, found.node_id.0), (0, home), "version {version}");
        }
    }
    let wrong = code(ResponseError::NotCoordinator);
    for version in 2..=9 {
        assert_eq!(fetch(&mut client, version, "stopped", None).await, (wrong, Vec::new()));
    }
    cluster.edit(|world| world.move_coordinator("stopped", away).unwrap());
    assert_eq!(fetch(&mut client, 9, "stopped", None).await.0, 0);
    let mut old = Client::connect(&address(&cluster, home)).await;
    let request = DescribeGroupsRequest::default().with_groups(vec![text("stopped").into()]);
    assert_eq!(old.call(4, &request).await.unwrap().groups[0].error_code, wrong);
    cluster.stop().await;
}
