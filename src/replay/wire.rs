//! How the values of a line are read from JSON: with bounds, and with errors that say what to write instead.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::line::{PartitionKey, State};
use crate::model::GroupState;

/// The last time that is taken: the end of the year 9999. Beyond it stands nothing but a wrong unit.
pub(super) const MAX_TIME: i64 = 253_402_300_799_999;
/// The largest partition number that is taken: Kafka numbers partitions without gaps, so a larger one would only mean
/// that there are as many of which nothing is known.
pub(super) const MAX_PARTITION: i32 = 99_999;

const AN_OBJECT: &str = "an object: {…}";
const A_TIME: &str = "a whole number of milliseconds since the Unix epoch, not negative";
const AN_OFFSET: &str = "an offset: a whole number, not negative";
const A_PARTITION: &str = "a partition number from 0 to 99999";

/// A JSON object as a map. A key that is there twice is refused: which of the two counts, nobody could tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entries<K, V>(pub(super) BTreeMap<K, V>);

impl<K, V> Entries<K, V> {
    /// Whether there is none.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K, V> Default for Entries<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Serialize, V: Serialize> Serialize for Entries<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

impl<'de, K: Deserialize<'de> + Ord + fmt::Display, V: Deserialize<'de>> Deserialize<'de> for Entries<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K: Deserialize<'de> + Ord + fmt::Display, V: Deserialize<'de>> Visitor<'de> for EntriesVisitor<K, V> {
    type Value = Entries<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(AN_OBJECT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(key) = map.next_key::<K>()? {
            match entries.entry(key) {
                Entry::Vacant(place) => place.insert(map.next_value()?),
                Entry::Occupied(known) => {
                    return Err(A::Error::custom(format_args!("`{}` stands there twice", known.key())));
                }
            };
        }
        Ok(Entries(entries))
    }
}

/// Something that is written as an object, and as nothing else: serde would take a list of its values for it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Object<T>(pub(super) T);

impl<T: Serialize> Serialize for Object<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(AN_OBJECT)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// What a line says of something that has one value at a time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Told<T> {
    /// Nothing: it is unchanged.
    #[default]
    LeftOut,
    /// `null`: it is not known any more.
    Deleted,
    /// This.
    Value(T),
}

impl<T> Told<T> {
    /// Whether the line says nothing of it.
    #[must_use]
    pub(super) fn is_left_out(&self) -> bool {
        matches!(self, Self::LeftOut)
    }

    /// Puts into a place what is told of it. Tells whether anything is.
    pub(super) fn put_into(self, place: &mut Option<T>) -> bool {
        match self {
            Self::LeftOut => return false,
            Self::Deleted => *place = None,
            Self::Value(value) => *place = Some(value),
        }
        true
    }
}

impl<T: Serialize> Serialize for Told<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::LeftOut | Self::Deleted => serializer.serialize_none(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Told<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Deleted, Self::Value))
    }
}

/// Reads a whole number within bounds.
struct Whole {
    expects: &'static str,
    max: i64,
}

impl Visitor<'_> for Whole {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expects)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i64, E> {
        let whole = i64::try_from(number).ok().filter(|number| *number <= self.max);
        whole.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i64, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }
}

/// A time.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_i64(Whole { expects: A_TIME, max: MAX_TIME })
}

/// A time that is there: `null` is none.
pub(super) fn present_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    time(deserializer).map(Some)
}

/// An offset.
pub(super) fn offset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    deserializer.deserialize_i64(Whole { expects: AN_OFFSET, max: i64::MAX })
}

/// An offset that is there: `null` is none.
pub(super) fn present_offset<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    offset(deserializer).map(Some)
}

/// Whether there is nothing to write.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(super) fn is_false(value: &bool) -> bool {
    !value
}

impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for PartitionKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(self.0)
    }
}

impl<'de> Deserialize<'de> for PartitionKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartitionVisitor)
    }
}

/// Keys come as strings, the numbers of an assignment as numbers.
struct PartitionVisitor;

impl PartitionVisitor {
    fn number<E: Error>(self, number: i64, unexpected: Unexpected<'_>) -> Result<PartitionKey, E> {
        let number = i32::try_from(number).ok().filter(|number| (0..=MAX_PARTITION).contains(number));
        number.map(PartitionKey).ok_or_else(|| E::invalid_value(unexpected, &self))
    }
}

impl Visitor<'_> for PartitionVisitor {
    type Value = PartitionKey;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(A_PARTITION)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PartitionKey, E> {
        // Digits only: a sign or a space would make two spellings of one partition.
        let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok()).unwrap_or(-1);
        self.number(number, Unexpected::Str(text))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<PartitionKey, E> {
        self.number(i64::try_from(number).unwrap_or(-1), Unexpected::Unsigned(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<PartitionKey, E> {
        self.number(number, Unexpected::Signed(number))
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(StateVisitor)
    }
}

struct StateVisitor;

impl Visitor<'_> for StateVisitor {
    type Value = State;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a group's state, one of ")?;
        let names = GroupState::ALL.map(GroupState::as_str);
        f.write_str(&names.join(", "))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<State, E> {
        let known = GroupState::ALL.into_iter().find(|state| state.as_str() == text);
        known.map(State).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}
