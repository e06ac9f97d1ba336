//! What is remembered of the clusters over time, as bytes that survive a restart, and back.
//!
//! The format: eight bytes of [`MAGIC`], the version as four bytes, what is kept, and at the end a CRC-32C of all that
//! stands before it; every version begins and ends so. Numbers are little-endian base 128 (LEB128), signed ones in
//! zigzag order; offsets and times are differences to the ones before, so that a point takes about six bytes.

use std::sync::Arc;

use super::Point;
use crate::model::{Offset, PartitionId, TopicId, WallTime};

/// What a state file begins with.
const MAGIC: [u8; 8] = *b"KFKSCOPE";
/// The version that is written, and the one that is read.
const VERSION: u32 = 1;
const VERSION_BYTES: usize = 4;
const CHECKSUM_BYTES: usize = 4;

/// What is remembered of all clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedState {
    /// When it was put together.
    pub saved_at: WallTime,
    /// The clusters.
    pub clusters: Vec<ClusterHistory>,
}

/// What is remembered of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterHistory {
    /// Its configured name; `None`: the only, nameless cluster.
    pub name: Option<Arc<str>>,
    /// Its topics.
    pub topics: Vec<TopicHistory>,
}

/// What is remembered of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicHistory {
    /// Its name.
    pub topic: Arc<str>,
    /// Its id, if it was known.
    pub id: Option<TopicId>,
    /// The points of its partitions' timelines.
    pub partitions: Vec<(PartitionId, Vec<Point>)>,
}

/// Why bytes are no state that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They were never a state.
    #[error("it does not begin as a state file of kafkascope does")]
    Foreign,
    /// They are not what was written: cut off, or changed.
    #[error("it is damaged: its checksum, or what it holds, does not fit")]
    Damaged,
    /// Another version of the exporter wrote them.
    #[error("it has format version {version}, and this exporter reads version {VERSION}")]
    OtherVersion {
        /// The version of the format.
        version: u32,
    },
}

/// Writes a state as bytes.
#[must_use]
pub fn encode(state: &SavedState) -> Vec<u8> {
    let mut out = Writer(MAGIC.to_vec());
    out.0.extend_from_slice(&VERSION.to_le_bytes());
    out.signed(state.saved_at.0);
    out.count(state.clusters.len());
    for cluster in &state.clusters {
        // Names are never empty: the empty one stands for none.
        out.text(cluster.name.as_deref().unwrap_or_default());
        out.count(cluster.topics.len());
        cluster.topics.iter().for_each(|topic| out.topic(topic));
    }
    let checksum = crc32c::crc32c(&out.0);
    out.0.extend_from_slice(&checksum.to_le_bytes());
    out.0
}

/// Reads a state.
///
/// # Errors
/// When the bytes are not exactly what [`encode`] wrote.
pub fn decode(bytes: &[u8]) -> Result<SavedState, DecodeError> {
    let rest = bytes.strip_prefix(&MAGIC).ok_or(DecodeError::Foreign)?;
    let (covered, checksum) = bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(DecodeError::Damaged)?;
    if crc32c::crc32c(covered) != u32::from_le_bytes(*checksum) {
        return Err(DecodeError::Damaged);
    }
    let (version, rest) = rest.split_first_chunk::<VERSION_BYTES>().ok_or(DecodeError::Damaged)?;
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(DecodeError::OtherVersion { version });
    }
    let body = rest.len().checked_sub(CHECKSUM_BYTES).and_then(|length| rest.get(..length));
    Reader(body.ok_or(DecodeError::Damaged)?).state().ok_or(DecodeError::Damaged)
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push((number & 0x7f) as u8);
    }

    fn count(&mut self, count: usize) {
        self.number(count as u64);
    }

    /// Small distances from zero in few bytes: 0, −1, 1, −2, …
    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)).cast_unsigned());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn topic(&mut self, topic: &TopicHistory) {
        self.text(&topic.topic);
        self.0.push(u8::from(topic.id.is_some()));
        if let Some(id) = topic.id {
            self.0.extend_from_slice(&id.0.to_le_bytes());
        }
        self.count(topic.partitions.len());
        for (partition, points) in &topic.partitions {
            self.signed(i64::from(partition.0));
            self.count(points.len());
            let (mut offset, mut time) = (0_i64, 0_i64);
            for point in points {
                self.signed(point.offset.get().wrapping_sub(offset));
                self.signed(point.since.0.wrapping_sub(time));
                self.signed(point.until.0.wrapping_sub(point.since.0));
                (offset, time) = (point.offset.get(), point.until.0);
            }
        }
    }
}

/// What is left to read. `None` from any of its methods: the bytes do not fit.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn state(mut self) -> Option<SavedState> {
        let saved_at = WallTime(self.signed()?);
        let clusters = self.list(2, |reader| {
            let name = reader.text()?;
            let name = (!name.is_empty()).then_some(name);
            Some(ClusterHistory { name, topics: reader.list(3, Self::topic)? })
        })?;
        self.0.is_empty().then_some(SavedState { saved_at, clusters })
    }

    fn topic(&mut self) -> Option<TopicHistory> {
        let topic = self.text()?;
        let id = match self.take(1)? {
            [0] => None,
            [1] => Some(TopicId(u128::from_le_bytes(self.take(16)?.try_into().ok()?))),
            _ => return None,
        };
        let partitions = self.list(2, |reader| {
            let partition = PartitionId(i32::try_from(reader.signed()?).ok()?);
            let (mut offset, mut time) = (0_i64, 0_i64);
            let points = reader.list(3, |reader| {
                offset = offset.wrapping_add(reader.signed()?);
                let since = time.wrapping_add(reader.signed()?);
                time = since.wrapping_add(reader.signed()?);
                Some(Point { offset: Offset::new(offset)?, since: WallTime(since), until: WallTime(time) })
            })?;
            Some((partition, points))
        })?;
        Some(TopicHistory { topic, id, partitions })
    }

    /// A list with its length before it. An item has at least so many bytes: a length that the bytes cannot hold makes no
    /// room for itself.
    fn list<T>(&mut self, least_bytes: usize, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.number()?).ok()?;
        if count > self.0.len() / least_bytes {
            return None;
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(self)?);
        }
        Some(items)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u128;
        for shift in (0..70).step_by(7) {
            let [byte] = self.take(1)? else { return None };
            number |= u128::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u64::try_from(number).ok();
            }
        }
        None
    }

    fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let length = usize::try_from(self.number()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok().map(Arc::from)
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;
