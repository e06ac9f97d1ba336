//! Metadata: the brokers, and topics with their partitions' leaders and replicas.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse};
use uuid::Uuid;

use super::super::topic::{BrokerIndex, Topic};
use super::super::wire::{Field, Shape};
use super::{Call, int32};

/// Topics with id and name; auto creation; authorized operations of the cluster and of topics.
pub(super) const FIELDS: &[Field] = &[
    Field::always(Shape::Rows(&[Field::since(10, Shape::Fixed(16)), Field::always(Shape::Text)])),
    Field::since(4, Shape::Fixed(1)),
    Field::between(8, 10, Shape::Fixed(1)),
    Field::since(8, Shape::Fixed(1)),
];

const NOBODY: BrokerId = BrokerId(-1);

/// No topics named: all of them (in version 0, an empty list says so).
pub(super) fn answer(call: &Call<'_>, request: &MetadataRequest) -> MetadataResponse {
    let all = match &request.topics {
        None => true,
        Some(topics) => topics.is_empty() && call.version == 0,
    };
    let topics = if all {
        call.world.topics().map(|(_, topic)| described(call, topic)).collect()
    } else {
        request.topics.iter().flatten().map(|named| one(call, named)).collect()
    };
    let listed = call.world.brokers.iter().filter(|broker| broker.listed);
    let brokers = listed.map(|broker| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(broker.id))
            .with_host(broker.host.clone())
            .with_port(i32::from(broker.port))
            .with_rack(broker.rack.clone())
    });
    let brokers: Vec<MetadataResponseBroker> = brokers.collect();
    MetadataResponse::default()
        // With KRaft, any broker that is up stands for the controller.
        .with_controller_id(brokers.first().map_or(NOBODY, |broker| broker.node_id))
        .with_brokers(brokers)
        .with_cluster_id(Some(call.world.cluster_id.clone()))
        .with_topics(topics)
}

fn one(call: &Call<'_>, named: &MetadataRequestTopic) -> MetadataResponseTopic {
    let (found, missing) = match &named.name {
        Some(name) => (call.world.topic(name), ResponseError::UnknownTopicOrPartition),
        None => (call.world.topic_by_id(named.topic_id.as_u128()), ResponseError::UnknownTopicId),
    };
    match found {
        Some(topic) => described(call, topic),
        None => MetadataResponseTopic::default()
            .with_error_code(missing.code())
            .with_name(named.name.clone())
            .with_topic_id(named.topic_id),
    }
}

fn described(call: &Call<'_>, topic: &Topic) -> MetadataResponseTopic {
    let described = MetadataResponseTopic::default()
        .with_name(Some(topic.name.clone().into()))
        .with_topic_id(Uuid::from_u128(topic.id))
        .with_is_internal(topic.internal);
    match call.injected {
        Some(code) => described.with_error_code(code),
        None => described.with_partitions((0..topic.partitions()).map(|p| partition(call, topic, p)).collect()),
    }
}

fn partition(call: &Call<'_>, topic: &Topic, partition: usize) -> MetadataResponsePartition {
    let brokers = &call.world.brokers;
    let id = |index: BrokerIndex| brokers.get(usize::from(index)).map_or(NOBODY, |broker| BrokerId(broker.id));
    let is = |index: BrokerIndex, listed: bool| brokers.get(usize::from(index)).is_some_and(|b| b.listed == listed);
    let replicas: Vec<BrokerIndex> = topic.replicas(partition, brokers.len()).collect();
    let leader = topic.leaders.get(partition).copied().flatten().filter(|leader| is(*leader, true));
    let only = |listed: bool| replicas.iter().filter(|r| is(**r, listed)).map(|r| id(*r)).collect();
    let error_code = match leader {
        Some(_) => 0,
        None => ResponseError::LeaderNotAvailable.code(),
    };
    MetadataResponsePartition::default()
        .with_error_code(error_code)
        .with_partition_index(int32(partition))
        .with_leader_id(leader.map_or(NOBODY, id))
        .with_leader_epoch(topic.leader_epochs.get(partition).copied().unwrap_or(-1))
        .with_isr_nodes(only(true))
        .with_offline_replicas(only(false))
        .with_replica_nodes(replicas.iter().map(|replica| id(*replica)).collect())
}
