//! Records of `__consumer_offsets` as brokers write them: a commit for each group-partition of a cluster.

use kafkascope::kafka::OffsetsRecord;

use super::{PARTITIONS, Size};

/// Bytes of records, keys all of one length.
pub(crate) struct Records {
    keys: Vec<u8>,
    key_bytes: usize,
    value: Vec<u8>,
}

impl Records {
    /// A record for each group-partition.
    pub(crate) fn new(size: Size) -> Self {
        let mut keys = Vec::new();
        for group in 0..size.groups {
            for topic in size.topics_of(group) {
                (0..PARTITIONS).for_each(|partition| write_key(group, topic, partition, &mut keys));
            }
        }
        let key_bytes = keys.len() / size.rows();
        // Version 3 (OffsetCommitValue.json): offset, leader epoch, no metadata, time.
        let value = [&3_i16.to_be_bytes()[..], &1_000_000_i64.to_be_bytes(), &5_i32.to_be_bytes(), &[0; 2], &[0; 8]];
        Self { keys, key_bytes, value: value.concat() }
    }

    /// Reads all of them, and tells how many are commits.
    pub(crate) fn read(&self) -> usize {
        let keys = self.keys.chunks_exact(self.key_bytes);
        let is_commit = |key: &&[u8]| {
            matches!(OffsetsRecord::read(Some(key), Some(&self.value)), Ok(Some(OffsetsRecord::Commit { .. })))
        };
        keys.filter(is_commit).count()
    }
}

/// Version 1 (OffsetCommitKey.json): group, topic, partition.
fn write_key(group: usize, topic: usize, partition: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&1_i16.to_be_bytes());
    for name in [super::group_name(group), super::topic_name(topic)] {
        out.extend_from_slice(&u16::try_from(name.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(&partition.to_be_bytes());
}
