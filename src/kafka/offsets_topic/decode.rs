//! Records of `__consumer_offsets`, as far as they are about commits (OffsetCommitKey.json and OffsetCommitValue.json of
//! Kafka's group coordinator). Pure: bytes in, values or a typed error out.

use std::sync::Arc;

use crate::model::{Offset, PartitionId, WallTime};

/// The newest kind of key that is an offset commit; those above are about groups and their members.
const NEWEST_COMMIT_KEY: i16 = 1;
/// The newest version of a commit's value.
const NEWEST_VALUE: i16 = 4;
/// The first version of a commit's value in the flexible encoding (compact strings, tagged fields; KIP-482).
const FIRST_FLEXIBLE_VALUE: i16 = 4;
/// The bytes that a variable-length 32-bit number takes at most.
const MAX_VARINT: u32 = 5;

/// Which commit a record is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommitKey {
    /// The group that commits.
    pub group: Arc<str>,
    /// The topic that it commits on.
    pub topic: Arc<str>,
    /// The partition of that topic.
    pub partition: PartitionId,
}

/// What a record of `__consumer_offsets` says of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OffsetsRecord {
    /// The group committed.
    Commit {
        /// What it committed on.
        key: CommitKey,
        /// The offset.
        offset: Offset,
        /// When, by the clock of the coordinator.
        at: WallTime,
    },
    /// The commit is gone: expired, or deleted with its group or topic.
    Tombstone {
        /// What was committed on.
        key: CommitKey,
    },
}

impl OffsetsRecord {
    /// Reads one record; `None`: it is about something else than a commit.
    ///
    /// # Errors
    /// When it claims to be about a commit and is not as Kafka's schemas say.
    pub fn read(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Self>, DecodeError> {
        decode(key, value)
    }

    /// What it is about.
    #[must_use]
    pub fn key(&self) -> &CommitKey {
        match self {
            Self::Commit { key, .. } | Self::Tombstone { key } => key,
        }
    }
}

/// Why a record cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The record has no key.
    #[error("no key")]
    NoKey,
    /// It ends before it says all that it should.
    #[error("cut off")]
    CutOff,
    /// It goes on after it has said all that it should.
    #[error("{0} bytes too many")]
    TooLong(usize),
    /// A name is absent, or not UTF-8.
    #[error("a name that is none")]
    Name,
    /// A partition or an offset is negative.
    #[error("a negative number")]
    Negative,
    /// A variable-length number does not end.
    #[error("a number without end")]
    Varint,
    /// The value is of a version that came after this program.
    #[error("a value of unknown version {0}")]
    Version(i16),
}

/// As [`OffsetsRecord::read`].
pub(super) fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<OffsetsRecord>, DecodeError> {
    let mut bytes = Bytes(key.ok_or(DecodeError::NoKey)?);
    if !(0..=NEWEST_COMMIT_KEY).contains(&bytes.i16()?) {
        return Ok(None);
    }
    let (group, topic) = (bytes.name()?, bytes.name()?);
    let partition = bytes.i32()?;
    if partition < 0 {
        return Err(DecodeError::Negative);
    }
    bytes.end()?;
    let key = CommitKey { group, topic, partition: PartitionId(partition) };
    let Some(value) = value else { return Ok(Some(OffsetsRecord::Tombstone { key })) };
    let (offset, at) = decode_value(value)?;
    Ok(Some(OffsetsRecord::Commit { key, offset, at }))
}

fn decode_value(value: &[u8]) -> Result<(Offset, WallTime), DecodeError> {
    let mut bytes = Bytes(value);
    let version = bytes.i16()?;
    if !(0..=NEWEST_VALUE).contains(&version) {
        return Err(DecodeError::Version(version));
    }
    let is_flexible = version >= FIRST_FLEXIBLE_VALUE;
    let offset = bytes.i64()?;
    if version >= 3 {
        let _leader_epoch = bytes.i32()?;
    }
    // The commit's metadata: whatever its client wrote there.
    if is_flexible {
        let length = bytes.varint()?.saturating_sub(1);
        bytes.take(length as usize)?;
    } else {
        let length = bytes.i16()?.max(0);
        bytes.take(usize::from(length.unsigned_abs()))?;
    }
    let at = WallTime(bytes.i64()?);
    if version == 1 {
        let _expires_at = bytes.i64()?;
    }
    if is_flexible {
        bytes.skip_tagged_fields()?;
    }
    bytes.end()?;
    Ok((Offset::new(offset).ok_or(DecodeError::Negative)?, at))
}

/// What is left of a record.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(DecodeError::CutOff)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DecodeError::CutOff)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn i16(&mut self) -> Result<i16, DecodeError> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array().map(i64::from_be_bytes)
    }

    fn name(&mut self) -> Result<Arc<str>, DecodeError> {
        let length = usize::try_from(self.i16()?).map_err(|_| DecodeError::Name)?;
        let name = str::from_utf8(self.take(length)?).map_err(|_| DecodeError::Name)?;
        Ok(Arc::from(name))
    }

    /// An unsigned number in groups of seven bits, the lowest first.
    fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut number = 0_u64;
        for place in 0..MAX_VARINT {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return u32::try_from(number).map_err(|_| DecodeError::Varint);
            }
        }
        Err(DecodeError::Varint)
    }

    /// Fields that came to the schema later: each says how long it is.
    fn skip_tagged_fields(&mut self) -> Result<(), DecodeError> {
        // Each takes two bytes at least, so that a record's own length bounds them.
        for _ in 0..self.varint()? {
            let _tag = self.varint()?;
            let length = self.varint()?;
            self.take(length as usize)?;
        }
        Ok(())
    }

    fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::TooLong(self.0.len())) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn short(text: &str) -> Vec<u8> {
        let length = i16::try_from(text.len()).unwrap();
        [&length.to_be_bytes()[..], text.as_bytes()].concat()
    }

    fn key_bytes(kind: i16, group: &str, topic: &str, partition: i32) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &short(group), &short(topic), &partition.to_be_bytes()].concat()
    }

    fn value_bytes(version: i16, offset: i64, metadata: &str, at: i64) -> Vec<u8> {
        let mut bytes = [&version.to_be_bytes()[..], &offset.to_be_bytes()].concat();
        if version >= 3 {
            bytes.extend(7_i32.to_be_bytes());
        }
        if version >= 4 {
            bytes.push(u8::try_from(metadata.len() + 1).unwrap());
            bytes.extend(metadata.as_bytes());
        } else {
            bytes.extend(short(metadata));
        }
        bytes.extend(at.to_be_bytes());
        if version == 1 {
            bytes.extend((at + 1).to_be_bytes());
        }
        if version >= 4 {
            // One field of a later schema, of 16 bytes.
            bytes.extend([1, 0, 16]);
            bytes.extend([9; 16]);
        }
        bytes
    }

    fn commit(group: &str, topic: &str, partition: i32, offset: i64, at: i64) -> OffsetsRecord {
        let key = CommitKey { group: group.into(), topic: topic.into(), partition: PartitionId(partition) };
        OffsetsRecord::Commit { key, offset: Offset::new(offset).unwrap(), at: WallTime(at) }
    }

    #[test]
    fn every_version_of_keys_and_values_is_read() {
        for kind in 0..=1 {
            let key = key_bytes(kind, "g", "tö", 3);
            for version in 0..=4 {
                let value = value_bytes(version, 42, "meta", 1_700_000_000_123);
                let read = decode(Some(&key), Some(&value)).unwrap().unwrap();
                assert_eq!(read, commit("g", "tö", 3, 42, 1_700_000_000_123), "key {kind}, value {version}");
            }
            let gone = decode(Some(&key), None).unwrap().unwrap();
            assert!(matches!(&gone, OffsetsRecord::Tombstone { key } if &*key.group == "g"));
        }
    }

    #[test]
    fn a_value_in_the_flexible_encoding_byte_by_byte() {
        // Version 4: offset 258, leader epoch -1, metadata "a", committed at 1, no tagged fields.
        let value = [0, 4, 0, 0, 0, 0, 0, 0, 1, 2, 255, 255, 255, 255, 2, b'a', 0, 0, 0, 0, 0, 0, 0, 1, 0];
        let key = [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 0];
        assert_eq!(decode(Some(&key), Some(&value)), Ok(Some(commit("g", "t", 0, 258, 1))));
    }

    #[test]
    fn what_is_about_something_else_is_skipped() {
        for kind in [2, 3, 8, 15, i16::MAX, -1] {
            assert_eq!(decode(Some(&kind.to_be_bytes()), Some(&[1, 2, 3])), Ok(None), "kind {kind}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let key = key_bytes(1, "g", "t", 0);
        let value = value_bytes(3, 1, "", 5);
        assert_eq!(decode(None, Some(&value)), Err(DecodeError::NoKey));
        assert_eq!(decode(Some(&[0]), None), Err(DecodeError::CutOff));
        assert_eq!(decode(Some(&key[..key.len() - 1]), None), Err(DecodeError::CutOff));
        assert_eq!(decode(Some(&[&key[..], &[0]].concat()), None), Err(DecodeError::TooLong(1)));
        assert_eq!(decode(Some(&[0, 1, 255, 255]), None), Err(DecodeError::Name));
        assert_eq!(decode(Some(&[0, 1, 0, 1, 255, 0, 0, 0, 0, 0, 0]), None), Err(DecodeError::Name));
        assert_eq!(decode(Some(&key_bytes(1, "g", "t", -1)), None), Err(DecodeError::Negative));
        assert_eq!(decode(Some(&key), Some(&value[..value.len() - 1])), Err(DecodeError::CutOff));
        assert_eq!(decode(Some(&key), Some(&[&value[..], &[0, 0]].concat())), Err(DecodeError::TooLong(2)));
        assert_eq!(decode(Some(&key), Some(&value_bytes(0, -1, "", 5))), Err(DecodeError::Negative));
        assert_eq!(decode(Some(&key), Some(&[0, 5])), Err(DecodeError::Version(5)));
        let endless = [&[0, 4][..], &[0; 12], &[255; 6]].concat();
        assert_eq!(decode(Some(&key), Some(&endless)), Err(DecodeError::Varint));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(key in any::<Option<Vec<u8>>>(), value in any::<Option<Vec<u8>>>()) {
            let _whatever = decode(key.as_deref(), value.as_deref());
        }

        #[test]
        fn garbage_in_good_wrapping_never_panics(value in any::<Vec<u8>>(), version in 0_i16..=4) {
            let value = [&version.to_be_bytes()[..], &value].concat();
            let _whatever = decode(Some(&key_bytes(1, "g", "t", 0)), Some(&value));
        }

        #[test]
        fn what_was_written_is_read(
            group in "\\PC{0,40}", topic in "[a-z.]{1,40}", partition in 0_i32.., offset in 0_i64..,
            metadata in "\\PC{0,20}", at in any::<i32>(), version in 0_i16..=4, cut in 0_usize..400,
        ) {
            let (key, value) = (key_bytes(1, &group, &topic, partition), value_bytes(version, offset, &metadata, at.into()));
            let read = decode(Some(&key), Some(&value));
            prop_assert_eq!(read, Ok(Some(commit(&group, &topic, partition, offset, at.into()))));
            // Cut anywhere it is an error, never another commit.
            if cut < value.len() {
                prop_assert!(decode(Some(&key), Some(&value[..cut])).is_err());
            }
        }
    }
}
