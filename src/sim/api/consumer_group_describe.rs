//! ConsumerGroupDescribe: members and assignments of KIP-848 groups.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::consumer_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GroupId};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::super::group::{Group, GroupType};
use super::super::wire::{Field, Shape};
use super::Call;

/// Groups; authorized operations.
pub(super) const FIELDS: &[Field] = &[Field::always(Shape::Values(&Shape::Text)), Field::always(Shape::Fixed(1))];

/// A member that speaks the new protocol, since version 1.
const CONSUMER_MEMBER: i8 = 1;

pub(super) fn answer(call: &Call<'_>, request: ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse {
    let groups = request.group_ids.into_iter().map(|group| one(call, group)).collect();
    ConsumerGroupDescribeResponse::default().with_groups(groups)
}

fn one(call: &Call<'_>, name: GroupId) -> DescribedGroup {
    let code = call.coordinator_error(&name);
    let described = DescribedGroup::default().with_group_id(name.clone());
    if code != 0 {
        return described.with_error_code(code);
    }
    match call.world.group(&name) {
        Some(group) if group.group_type == GroupType::Consumer => facts(call, group, described),
        _ => {
            let message = StrBytes::from_static_str("no consumer group of this name");
            described.with_error_code(ResponseError::GroupIdNotFound.code()).with_error_message(Some(message))
        }
    }
}

fn facts(call: &Call<'_>, group: &Group, described: DescribedGroup) -> DescribedGroup {
    let members = (0..group.members.len()).filter_map(|number| member(call, group, number)).collect();
    described
        .with_group_state(StrBytes::from_static_str(group.state.name()))
        .with_group_epoch(group.generation)
        .with_assignment_epoch(group.generation)
        .with_assignor_name(group.assignor.clone())
        .with_members(members)
}

fn member(call: &Call<'_>, group: &Group, number: usize) -> Option<Member> {
    let member = group.members.get(number)?;
    let assignment = assigned(call, group, number);
    let described = Member::default()
        .with_member_id(member.id.clone())
        .with_member_epoch(group.generation)
        .with_client_id(member.client_id.clone())
        .with_client_host(member.host.clone())
        .with_subscribed_topic_names(group.subscribed.iter().cloned().map(Into::into).collect())
        .with_target_assignment(assignment.clone())
        .with_assignment(assignment);
    Some(if call.version >= 1 { described.with_member_type(CONSUMER_MEMBER) } else { described })
}

fn assigned(call: &Call<'_>, group: &Group, number: usize) -> Assignment {
    let topics = group.subscribed.iter().filter_map(|name| call.world.topic(name));
    let held = topics.map(|topic| {
        TopicPartitions::default()
            .with_topic_id(Uuid::from_u128(topic.id))
            .with_topic_name(topic.name.clone().into())
            .with_partitions(group.held(number, &topic.name, topic.partitions()).collect())
    });
    Assignment::default().with_topic_partitions(held.filter(|topic| !topic.partitions.is_empty()).collect())
}
