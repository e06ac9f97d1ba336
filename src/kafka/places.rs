//! Where a key stands first among rows of which more and more come: answered without a walk over the rows.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Room for more rows than this is given back when a list is done with: 4096 places take about 140 KB.
const MAX_KEPT: usize = 4096;

/// The first places of the keys of one list, as far as it was noted.
///
/// Only rows that are added at the end may come to the list; otherwise `clear` must be called.
#[derive(Debug, Default)]
pub(super) struct FirstPlaces {
    by_hash: HashMap<u64, usize, BuildHasherDefault<AsItIs>>,
    noted: usize,
}

impl FirstPlaces {
    /// Forgets the list.
    pub(super) fn clear(&mut self) {
        self.by_hash.clear();
        self.by_hash.shrink_to(MAX_KEPT);
        self.noted = 0;
    }

    /// The first of `count` rows that is the one looked for, which hashes to `hash`.
    ///
    /// `is_it` says so of a row, and `hash_of` gives a row's hash.
    pub(super) fn first(
        &mut self,
        count: usize,
        hash: u64,
        hash_of: impl Fn(usize) -> u64,
        is_it: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        for place in self.noted..count {
            self.by_hash.entry(hash_of(place)).or_insert(place);
        }
        self.noted = self.noted.max(count);
        let place = *self.by_hash.get(&hash)?;
        // Another row may have the same hash; the one that is looked for comes after it, if at all.
        (place..count).find(|place| is_it(*place))
    }
}

/// Hashes a topic and a partition.
pub(super) fn hash(topic: &[u8], partition: i32) -> u64 {
    /// An odd number without a pattern: the golden ratio's fraction.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(SPREAD).rotate_left(29);
    let (words, rest) = topic.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let hash = words.iter().fold(0, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    // The table looks at the highest bits and at the lowest.
    mix(mix(hash, u64::from_le_bytes(last)), u64::from(partition.cast_unsigned())).wrapping_mul(SPREAD)
}

/// The key is a hash already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However many rows share a hash, and however often a row is there.
        #[test]
        fn the_first_place_is_that_of_a_walk(
            steps in prop::collection::vec((0_u8..40, any::<bool>()), 0..200),
            hashes in 1_u64..50,
        ) {
            let (mut rows, mut places) = (Vec::new(), FirstPlaces::default());
            for (key, adds) in steps {
                let hash = |key: u8| u64::from(key) % hashes;
                let found = places.first(rows.len(), hash(key), |place| hash(rows[place]), |place| rows[place] == key);
                prop_assert_eq!(found, rows.iter().position(|row| *row == key));
                if adds {
                    rows.push(key);
                }
            }
            places.clear();
            prop_assert_eq!(places.first(rows.len(), 50, |_| 0, |_| true), None, "nothing hashes to that");
        }
    }

    #[test]
    fn what_is_forgotten_is_noted_anew() {
        let mut places = FirstPlaces::default();
        let first = |places: &mut FirstPlaces, rows: &[u64], key| {
            places.first(rows.len(), key, |place| rows[place], |place| rows[place] == key)
        };
        assert_eq!(first(&mut places, &[7, 8, 9], 9), Some(2));
        places.clear();
        assert_eq!(first(&mut places, &[9, 8], 9), Some(0));
        assert_eq!(first(&mut places, &[9, 8], 7), None);
    }

    #[test]
    fn topics_and_partitions_hash_apart() {
        let topics = (0..1_000).map(|number| format!("topic-{number:05}"));
        let hashes: std::collections::BTreeSet<u64> =
            topics.flat_map(|topic| (0..10).map(move |partition| hash(topic.as_bytes(), partition))).collect();
        assert_eq!(hashes.len(), 10_000);
        assert_ne!(hash(b"a", 0), hash(b"", 0));
        // Enough of the bits that a table of 16,384 slots looks at differ.
        let slots: std::collections::BTreeSet<u64> = hashes.iter().map(|hash| hash % 16_384).collect();
        assert!(slots.len() > 6_500, "{}", slots.len());
    }
}
