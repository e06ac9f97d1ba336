//! OffsetFetch: the committed offsets of groups, all or of named partitions.
//!
//! Up to version 7 a request is about one group; from version 8 on it carries a list (KIP-709), with
//! structures of their own. Both are mapped to the same few facts.

use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopic};
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use kafka_protocol::protocol::StrBytes;

use super::super::group::NO_COMMIT;
use super::super::wire::{Field, Shape};
use super::{Call, int32};

/// One group with topics, or many (with a member of KIP-848 since version 9); stable offsets only.
pub(super) const FIELDS: &[Field] = &[
    Field::between(0, 7, Shape::Text),
    Field::between(0, 7, Shape::Rows(TOPIC)),
    Field::since(
        8,
        Shape::Rows(&[
            Field::always(Shape::Text),
            Field::since(9, Shape::Text),
            Field::since(9, Shape::Fixed(4)),
            Field::always(Shape::Rows(TOPIC)),
        ]),
    ),
    Field::since(7, Shape::Fixed(1)),
];
const TOPIC: &[Field] = &[Field::always(Shape::Text), Field::always(Shape::Values(&Shape::Fixed(4)))];

/// A topic's name with its (partition, offset) pairs, and the asked partitions of a topic.
type Offsets = Vec<(StrBytes, Vec<(i32, i64)>)>;
type Asked = Vec<(StrBytes, Vec<i32>)>;

/// From this version on the answer has an error code of its own.
const TOP_ERROR_SINCE: i16 = 2;

pub(super) fn answer(call: &Call<'_>, request: OffsetFetchRequest) -> OffsetFetchResponse {
    if call.version >= 8 {
        let groups = request.groups.into_iter().map(|group| one_of_many(call, group)).collect();
        return OffsetFetchResponse::default().with_groups(groups);
    }
    let code = call.coordinator_error(&request.group_id);
    let asked = request.topics.map(asked_partitions);
    if code != 0 && call.version >= TOP_ERROR_SINCE {
        return OffsetFetchResponse::default().with_error_code(code);
    }
    let topics = if code == 0 { fetched(call, &request.group_id, asked) } else { nothing(asked) };
    let topics = topics.into_iter().map(|(name, cells)| {
        let cell = |(partition, offset)| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(partition)
                .with_committed_offset(offset)
                .with_metadata(Some(StrBytes::new()))
                .with_error_code(code)
        };
        let cells = cells.into_iter().map(cell).collect();
        OffsetFetchResponseTopic::default().with_name(name.into()).with_partitions(cells)
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

fn asked_partitions(topics: Vec<OffsetFetchRequestTopic>) -> Asked {
    topics.into_iter().map(|topic| (topic.name.0, topic.partition_indexes)).collect()
}

fn one_of_many(call: &Call<'_>, request: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let response = OffsetFetchResponseGroup::default().with_group_id(request.group_id.clone());
    let code = call.coordinator_error(&request.group_id);
    if code != 0 {
        return response.with_error_code(code);
    }
    let asked = request
        .topics
        .map(|topics| topics.into_iter().map(|topic| (topic.name.0, topic.partition_indexes)).collect::<Asked>());
    let topics = fetched(call, &request.group_id, asked).into_iter().map(|(name, cells)| {
        let cell = |(partition, offset)| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(partition)
                .with_committed_offset(offset)
                .with_metadata(Some(StrBytes::new()))
        };
        let cells = cells.into_iter().map(cell).collect();
        OffsetFetchResponseTopics::default().with_name(name.into()).with_partitions(cells)
    });
    response.with_topics(topics.collect())
}

/// All commits of a group, or the asked ones with −1 where there is none. An unknown group has no
/// commits; that is not an error.
fn fetched(call: &Call<'_>, group: &str, asked: Option<Asked>) -> Offsets {
    let group = call.world.group(group);
    let commits = group.map(|group| group.commits.as_slice()).unwrap_or_default();
    let Some(asked) = asked else {
        let all = commits.iter().map(|commits| {
            let cells = commits.offsets.iter().enumerate().filter(|(_, offset)| **offset != NO_COMMIT);
            (commits.topic.clone(), cells.map(|(partition, offset)| (int32(partition), *offset)).collect::<Vec<_>>())
        });
        return all.filter(|(_, cells)| !cells.is_empty()).collect();
    };
    let one = |(name, partitions): (StrBytes, Vec<i32>)| {
        let offsets = commits.iter().find(|commits| commits.topic == name).map(|commits| commits.offsets.as_slice());
        let offset = |partition: i32| {
            let index = usize::try_from(partition).ok()?;
            offsets?.get(index).copied()
        };
        let cells = partitions.into_iter().map(|p| (p, offset(p).unwrap_or(NO_COMMIT))).collect();
        (name, cells)
    };
    asked.into_iter().map(one).collect()
}

/// Versions 0 and 1 have errors at partitions only.
fn nothing(asked: Option<Asked>) -> Offsets {
    let none =
        |(name, partitions): (StrBytes, Vec<i32>)| (name, partitions.into_iter().map(|p| (p, NO_COMMIT)).collect());
    asked.into_iter().flatten().map(none).collect()
}
