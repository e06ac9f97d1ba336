//! DescribeGroups: members and assignments of classic groups.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
};
use kafka_protocol::protocol::{Encodable, StrBytes};

use super::super::group::{Group, GroupState, GroupType};
use super::super::wire::{Field, Shape};
use super::Call;

/// Groups; authorized operations.
pub(super) const FIELDS: &[Field] = &[Field::always(Shape::Values(&Shape::Text)), Field::since(3, Shape::Fixed(1))];

/// Version of the subscription and assignment inside a member's bytes.
const CONSUMER_PROTOCOL: i16 = 1;
/// From this version on a group that is not there is an error (KIP-1043).
const NOT_FOUND_SINCE: i16 = 6;

pub(super) fn answer(call: &Call<'_>, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    DescribeGroupsResponse::default().with_groups(request.groups.into_iter().map(|group| one(call, group)).collect())
}

fn one(call: &Call<'_>, name: GroupId) -> DescribedGroup {
    let code = call.coordinator_error(&name);
    let described = DescribedGroup::default().with_group_id(name.clone());
    if code != 0 {
        return described.with_error_code(code);
    }
    match call.world.group(&name) {
        Some(group) if group.group_type == GroupType::Classic => facts(call, group, described),
        _ => missing(call, described),
    }
}

/// Unknown groups, and those of another protocol, are Dead; later versions say not found.
fn missing(call: &Call<'_>, described: DescribedGroup) -> DescribedGroup {
    let described = described.with_group_state(StrBytes::from_static_str(GroupState::Dead.name()));
    if call.version < NOT_FOUND_SINCE {
        return described;
    }
    let message = StrBytes::from_static_str("no classic group of this name");
    described.with_error_code(ResponseError::GroupIdNotFound.code()).with_error_message(Some(message))
}

fn facts(call: &Call<'_>, group: &Group, described: DescribedGroup) -> DescribedGroup {
    let stable = group.state == GroupState::Stable;
    let members = (0..group.members.len()).filter_map(|number| member(call, group, number, stable)).collect();
    described
        .with_group_state(StrBytes::from_static_str(group.state.name()))
        .with_protocol_type(group.protocol_type.clone())
        .with_protocol_data(if stable { group.assignor.clone() } else { StrBytes::new() })
        .with_members(members)
}

fn member(call: &Call<'_>, group: &Group, number: usize, stable: bool) -> Option<DescribedGroupMember> {
    let member = group.members.get(number)?;
    let described = DescribedGroupMember::default()
        .with_member_id(member.id.clone())
        .with_client_id(member.client_id.clone())
        .with_client_host(member.host.clone());
    if !stable {
        return Some(described); // the coordinator tells metadata and assignment of stable groups only
    }
    let subscription = ConsumerProtocolSubscription::default().with_topics(group.subscribed.clone());
    let assignment = ConsumerProtocolAssignment::default().with_assigned_partitions(assigned(call, group, number));
    Some(described.with_member_metadata(embedded(&subscription)).with_member_assignment(embedded(&assignment)))
}

fn assigned(call: &Call<'_>, group: &Group, number: usize) -> Vec<TopicPartition> {
    let topics = group.subscribed.iter().filter_map(|name| call.world.topic(name));
    let held = topics.map(|topic| {
        let partitions = group.held(number, &topic.name, topic.partitions()).collect();
        TopicPartition::default().with_topic(topic.name.clone().into()).with_partitions(partitions)
    });
    held.filter(|topic| !topic.partitions.is_empty()).collect()
}

/// The consumer protocol's bytes inside the group protocol: a version, then the message.
fn embedded(message: &impl Encodable) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(CONSUMER_PROTOCOL);
    match message.encode(&mut bytes, CONSUMER_PROTOCOL) {
        Ok(()) => bytes.freeze(),
        Err(error) => {
            tracing::error!(%error, "simulated cluster: a member's assignment cannot be encoded; sent without it");
            Bytes::new()
        }
    }
}
