//! ListOffsets: ends, starts, and offsets by time, from the partition's leader only.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::super::topic::Topic;
use super::super::wire::{Field, Shape};
use super::Call;

/// Replica id; isolation level; topics with partitions (index, leader epoch, time); time-out.
pub(super) const FIELDS: &[Field] = &[
    Field::always(Shape::Fixed(4)),
    Field::since(2, Shape::Fixed(1)),
    Field::always(Shape::Rows(&[
        Field::always(Shape::Text),
        Field::always(Shape::Rows(&[
            Field::always(Shape::Fixed(4)),
            Field::since(4, Shape::Fixed(4)),
            Field::always(Shape::Fixed(8)),
        ])),
    ])),
    Field::since(10, Shape::Fixed(4)),
];

/// Special timestamps of the request.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
/// Isolation level read_committed.
const READ_COMMITTED: i8 = 1;
/// Offset and timestamp of an answer that found nothing.
const NOTHING: (i64, i64) = (-1, -1);

pub(super) fn answer(call: &Call<'_>, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let committed = request.isolation_level == READ_COMMITTED;
    let topics = request.topics.into_iter().map(|asked| {
        let topic = call.world.topic(&asked.name);
        let partitions = asked.partitions.iter().map(|partition| one(call, topic, partition, committed)).collect();
        ListOffsetsTopicResponse::default().with_name(asked.name).with_partitions(partitions)
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn one(
    call: &Call<'_>,
    topic: Option<&Topic>,
    asked: &ListOffsetsPartition,
    committed: bool,
) -> ListOffsetsPartitionResponse {
    let response = ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
    match found(call, topic, asked, committed) {
        Ok((offset, timestamp, epoch)) => {
            let response = response.with_offset(offset).with_timestamp(timestamp);
            if call.version >= 4 { response.with_leader_epoch(epoch) } else { response }
        }
        Err(code) => response.with_error_code(code).with_offset(-1).with_timestamp(-1),
    }
}

/// Offset, timestamp and leader epoch, or the error code.
fn found(
    call: &Call<'_>,
    topic: Option<&Topic>,
    asked: &ListOffsetsPartition,
    committed: bool,
) -> Result<(i64, i64, i32), i16> {
    if let Some(code) = call.injected {
        return Err(code);
    }
    let missing = ResponseError::UnknownTopicOrPartition.code();
    let topic = topic.ok_or(missing)?;
    let partition = usize::try_from(asked.partition_index).map_err(|_| missing)?;
    let leader = topic.leaders.get(partition).ok_or(missing)?;
    if *leader != Some(call.broker) {
        return Err(ResponseError::NotLeaderOrFollower.code());
    }
    let epoch = topic.leader_epochs.get(partition).copied().unwrap_or(-1);
    if call.version >= 4 && asked.current_leader_epoch >= 0 && asked.current_leader_epoch != epoch {
        let behind = asked.current_leader_epoch < epoch;
        let code = if behind { ResponseError::FencedLeaderEpoch } else { ResponseError::UnknownLeaderEpoch };
        return Err(code.code());
    }
    let (offset, timestamp) = offset_for(call, topic, partition, asked.timestamp, committed);
    Ok((offset, timestamp, if offset < 0 { -1 } else { epoch }))
}

/// The offset and timestamp that a timestamp of the request stands for.
fn offset_for(call: &Call<'_>, topic: &Topic, partition: usize, timestamp: i64, committed: bool) -> (i64, i64) {
    let now_ms = call.world.now_ms();
    let end = if committed { topic.stable_end_at(partition, now_ms) } else { topic.end_at(partition, now_ms) };
    match timestamp {
        LATEST => (end, -1),
        EARLIEST | EARLIEST_LOCAL => (topic.log_start_at(partition, now_ms), -1),
        MAX_TIMESTAMP => {
            let last = end - 1;
            topic.appended_at(partition, last, now_ms).map_or(NOTHING, |time| (last, time))
        }
        LATEST_TIERED => NOTHING,
        at_ms => topic.first_since(partition, at_ms, now_ms).filter(|(offset, _)| *offset < end).unwrap_or(NOTHING),
    }
}
