//! Identifiers and offsets as types of their own, so that mixing them does not compile.

use std::fmt::{self, Write as _};

/// A broker's node id, as in the cluster's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerId(pub i32);

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A partition's number within its topic. Kafka numbers them 0, 1, 2, … without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionId(pub i32);

impl PartitionId {
    /// The partition's place in a column that holds a topic's partitions in order; `None` for a negative number.
    #[must_use]
    pub fn index(self) -> Option<usize> {
        usize::try_from(self.0).ok()
    }

    /// The partition at a place of such a column; `None` beyond Kafka's 32-bit numbers.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        i32::try_from(index).ok().map(Self)
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A topic's unique id (KIP-516): a topic that is deleted and created again has a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicId(pub u128);

impl fmt::Display for TopicId {
    /// As Kafka's own tools write it (`org.apache.kafka.common.Uuid`): base64 with the URL alphabet, without padding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        // Six bits a letter from the top; the last letter holds the two that are left, and zeros.
        let sextets = (0..21).map(|letter| self.0 >> (122 - 6 * letter)).chain([self.0 << 4]);
        sextets
            .map(|bits| char::from(ALPHABET[usize::from(bits as u8 & 0x3f)]))
            .try_for_each(|letter| f.write_char(letter))
    }
}

/// A position in a partition's log: never negative. Kafka's negative markers (−1, −1001, …) are not offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(i64);

impl Offset {
    /// The offset, or `None` for one of Kafka's negative markers.
    #[must_use]
    pub fn new(raw: i64) -> Option<Self> {
        (raw >= 0).then_some(Self(raw))
    }

    /// The plain number.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }

    /// How many offsets lie from `earlier` up to this one; zero when this one is not ahead.
    #[must_use]
    pub fn distance_from(self, earlier: Self) -> Messages {
        Messages(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An offset that may be unknown, in the eight bytes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaybeOffset(i64);

impl MaybeOffset {
    /// Not known.
    pub const UNKNOWN: Self = Self(-1);

    /// The offset, when it is known.
    #[must_use]
    pub fn get(self) -> Option<Offset> {
        Offset::new(self.0)
    }
}

impl From<Offset> for MaybeOffset {
    fn from(offset: Offset) -> Self {
        Self(offset.0)
    }
}

impl From<Option<Offset>> for MaybeOffset {
    fn from(offset: Option<Offset>) -> Self {
        offset.map_or(Self::UNKNOWN, Self::from)
    }
}

/// A count of messages by arithmetic on offsets: transaction markers and compacted records count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Messages(pub u64);

impl Messages {
    /// The sum, held at the largest number rather than wrapped.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// A number of messages that may be unknown, in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaybeMessages(u64);

impl MaybeMessages {
    /// Not known.
    pub const UNKNOWN: Self = Self(u64::MAX);

    /// The number, when it is known.
    #[must_use]
    pub fn get(self) -> Option<Messages> {
        (self != Self::UNKNOWN).then_some(Messages(self.0))
    }
}

impl From<Messages> for MaybeMessages {
    fn from(messages: Messages) -> Self {
        // Offsets have 63 bits: no number of messages comes near this one.
        Self(messages.0.min(u64::MAX - 1))
    }
}

impl From<Option<Messages>> for MaybeMessages {
    fn from(messages: Option<Messages>) -> Self {
        messages.map_or(Self::UNKNOWN, Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_markers_are_not_offsets() {
        assert_eq!(Offset::new(-1), None);
        assert_eq!(Offset::new(-1001), None);
        assert_eq!(MaybeOffset::from(Offset::new(-1)).get(), None);
        assert_eq!(MaybeOffset::from(Offset::new(0)).get(), Offset::new(0));
    }

    #[test]
    fn unknown_is_no_number_of_messages() {
        assert_eq!(MaybeMessages::UNKNOWN.get(), None);
        assert_eq!(MaybeMessages::from(None).get(), None);
        let most = Messages(i64::MAX.unsigned_abs());
        for known in [Messages(0), Messages(7), most] {
            assert_eq!(MaybeMessages::from(known).get(), Some(known));
        }
    }

    #[test]
    fn distance_never_goes_below_zero() {
        let (a, b) = (Offset(5), Offset(9));
        assert_eq!(b.distance_from(a), Messages(4));
        assert_eq!(a.distance_from(b), Messages(0));
    }

    #[test]
    fn topic_ids_print_as_in_kafkas_tools() {
        assert_eq!(TopicId(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef).to_string(), "ASNFZ4mrze8BI0VniavN7w");
    }
}
