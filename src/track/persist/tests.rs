//! Whatever is written comes back, and whatever was not written is noticed.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// Any offset and times, also ones that a history would not hold.
fn points() -> impl Strategy<Value = Vec<Point>> {
    let point = (0..=i64::MAX, any::<i64>(), any::<i64>()).prop_map(|(offset, since, until)| Point {
        offset: Offset::new(offset).unwrap(),
        since: WallTime(since),
        until: WallTime(until),
    });
    vec(point, 0..6)
}

fn topics() -> impl Strategy<Value = Vec<TopicHistory>> {
    let partitions = vec((any::<i32>().prop_map(PartitionId), points()), 0..4);
    let topic = (".{0,20}", option::of(any::<u128>().prop_map(TopicId)), partitions);
    vec(topic.prop_map(|(topic, id, partitions)| TopicHistory { topic: topic.into(), id, partitions }), 0..4)
}

fn states() -> impl Strategy<Value = SavedState> {
    let cluster = (option::of(".{1,10}"), topics())
        .prop_map(|(name, topics)| ClusterHistory { name: name.map(Arc::from), topics });
    (any::<i64>(), vec(cluster, 0..4))
        .prop_map(|(saved_at, clusters)| SavedState { saved_at: WallTime(saved_at), clusters })
}

/// One topic with partitions as a cluster has them: a point a minute, offsets that grow.
fn usual(partitions: i32, points: i64) -> SavedState {
    let timeline = |partition: i32| {
        let of = |at: i64| Point {
            offset: Offset::new(1_000_000 + i64::from(partition) + at * 5_000).unwrap(),
            since: WallTime(1_700_000_000_000 + at * 60_000),
            until: WallTime(1_700_000_000_000 + at * 60_000 + 45_123),
        };
        (PartitionId(partition), (0..points).map(of).collect())
    };
    let topic = TopicHistory {
        topic: "orders".into(),
        id: Some(TopicId(7)),
        partitions: (0..partitions).map(timeline).collect(),
    };
    let clusters = vec![ClusterHistory { name: None, topics: vec![topic] }];
    SavedState { saved_at: WallTime(1_700_003_600_000), clusters }
}

/// Bytes with a checksum that fits them.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

proptest! {
    #[test]
    fn what_is_written_comes_back(state in states()) {
        prop_assert_eq!(decode(&encode(&state)), Ok(state));
    }

    #[test]
    fn another_byte_anywhere_is_noticed(state in states(), change in 1_u8..) {
        let bytes = encode(&state);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            let expected = if at < MAGIC.len() { DecodeError::Foreign } else { DecodeError::Damaged };
            prop_assert_eq!(decode(&changed), Err(expected), "byte {}", at);
        }
    }

    #[test]
    fn an_end_too_early_or_too_late_is_noticed(state in states(), more in any::<u8>()) {
        let mut bytes = encode(&state);
        for length in 0..bytes.len() {
            let expected = if length < MAGIC.len() { DecodeError::Foreign } else { DecodeError::Damaged };
            prop_assert_eq!(decode(&bytes[..length]), Err(expected), "{} bytes", length);
        }
        bytes.push(more);
        prop_assert_eq!(decode(&bytes), Err(DecodeError::Damaged));
    }

    /// A checksum that fits proves nothing: no content makes it panic, or take more memory than the file is large.
    #[test]
    fn no_content_does_harm(body in vec(any::<u8>(), 0..200)) {
        let start = [&MAGIC[..], &VERSION.to_le_bytes(), &body].concat();
        let _ = decode(&sealed(start));
    }
}

#[test]
fn other_versions_are_named() {
    let later = [&MAGIC[..], &2_u32.to_le_bytes(), b"whatever"].concat();
    let error = decode(&sealed(later)).unwrap_err();
    assert_eq!(error, DecodeError::OtherVersion { version: 2 });
    assert_eq!(error.to_string(), "it has format version 2, and this exporter reads version 1");
}

#[test]
fn lengths_that_the_bytes_cannot_hold_are_noticed() {
    // A saved time, and then more clusters than there are bytes.
    let body = [0_u8, 0xff, 0xff, 0xff, 0xff, 0x0f];
    let start = [&MAGIC[..], &VERSION.to_le_bytes(), &body].concat();
    assert_eq!(decode(&sealed(start)), Err(DecodeError::Damaged));
}

#[test]
fn a_point_takes_few_bytes() {
    let (partitions, points) = (100, 60);
    let bytes = encode(&usual(partitions, points)).len();
    let each = bytes / usize::try_from(i64::from(partitions) * points).unwrap();
    assert!(each <= 9, "{each} bytes a point");
}
