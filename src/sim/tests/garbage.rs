//! Bytes that are no request end their connection and nothing else.

use bytes::Bytes;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::{
    ApiVersionsRequest, ListGroupsRequest, ListOffsetsRequest, MetadataRequest, OffsetFetchRequest,
};
use kafka_protocol::protocol::{Request, StrBytes};
use proptest::prelude::*;
use tokio::time::timeout;

use super::client::{Client, encoded};
use super::*;
use crate::sim::api::{Call, answer};
use crate::sim::wire::{Header, WireError};

fn frame<Q: Request>(version: i16, request: &Q) -> Vec<u8> {
    encoded(version, 1, request)[4..].to_vec()
}

/// Requests with every kind of field.
fn frames() -> Vec<Vec<u8>> {
    let name = || StrBytes::from_static_str("moving");
    let partitions = vec![ListOffsetsPartition::default().with_timestamp(-1); 3];
    let topic = ListOffsetsTopic::default().with_name(name().into()).with_partitions(partitions);
    let offsets = ListOffsetsRequest::default().with_topics(vec![topic; 2]);
    let topics = vec![OffsetFetchRequestTopics::default().with_name(name().into()).with_partition_indexes(vec![0, 1])];
    let group = OffsetFetchRequestGroup::default().with_group_id(name().into()).with_topics(Some(topics));
    let commits = OffsetFetchRequest::default().with_groups(vec![group]);
    vec![
        frame(3, &ApiVersionsRequest::default()),
        frame(1, &MetadataRequest::default().with_topics(None)),
        frame(12, &MetadataRequest::default().with_topics(None)),
        frame(1, &offsets),
        frame(7, &offsets),
        frame(9, &commits),
        frame(5, &ListGroupsRequest::default().with_states_filter(vec![name()])),
    ]
}

#[test]
fn claims_of_more_than_is_there_are_refused_before_memory_is_reserved() {
    // Metadata version 1 for 2,147,483,647 topics.
    let mut claim = frame(1, &MetadataRequest::default().with_topics(Some(Vec::new())));
    let end = claim.len() - 4;
    claim[end..].copy_from_slice(&i32::MAX.to_be_bytes());
    assert_eq!(Header::parse(&claim).unwrap_err(), WireError::Short);
    assert_eq!(Header::parse(&[]).unwrap_err(), WireError::Short);
    assert_eq!(Header::parse(&[0, 0, 0, 3, 0, 0, 0, 1]).unwrap_err(), WireError::UnknownApi(0));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damaged_request_panics(at in 0_usize..7, changes in prop::collection::vec((any::<usize>(), any::<u8>()), 0..6), cut in any::<usize>()) {
        let world = spec().build("127.0.0.1", &[1, 2, 3]).unwrap();
        let mut frame = frames().remove(at);
        for (place, byte) in changes {
            let place = place % frame.len();
            frame[place] = byte;
        }
        frame.truncate(if cut % 3 == 0 { cut % (frame.len() + 1) } else { frame.len() });
        if let Ok(header) = Header::parse(&frame) {
            let call = Call { world: &world, broker: 0, version: header.version, injected: None };
            // An answer or an error: both are fine.
            let _ = answer(&call, &header, &Bytes::from(frame));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Header::parse(&bytes);
    }
}

#[tokio::test]
async fn garbage_closes_its_connection_and_others_live_on() {
    let cluster = cluster().await;
    let mut witness = Client::connect(&address(&cluster, 1)).await;
    let garbage: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        &[0, 0, 0, 0],
        &[0, 0, 0, 8, 0, 3, 0, 99, 0, 0, 0, 1],
        &[0xFF; 64],
        &[0, 0, 0, 200, 1, 2, 3],
        &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00],
    ];
    for bytes in garbage {
        let client = Client::connect(&address(&cluster, 1)).await;
        let answer = timeout(PATIENCE, client.raw(bytes)).await.unwrap();
        assert!(answer.is_empty(), "{bytes:?} was answered with {answer:?}");
    }
    let alive = witness.call(4, &ApiVersionsRequest::default()).await.unwrap();
    assert_eq!(alive.error_code, 0);
    cluster.stop().await;
}
