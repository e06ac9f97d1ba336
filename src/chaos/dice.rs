//! Chance that can be played again: everything random in a run comes from one seed.

/// A splitmix64 generator.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// A generator of its own for one purpose: what it gives depends on nothing that others took.
    pub(super) fn fork(seed: u64, purpose: &[u64]) -> Self {
        let mut dice = Self(seed);
        for part in purpose {
            dice.0 = dice.next() ^ part.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        }
        dice
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `least` to `most`, both included.
    pub(super) fn range(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }

    /// As [`Dice::range`], for offsets.
    pub(super) fn offset(&mut self, least: i64, most: i64) -> i64 {
        let span = (most - least).max(0).unsigned_abs();
        least + i64::try_from(self.range(0, span)).unwrap_or(0)
    }

    /// Whether something of so many chances in a thousand happens.
    pub(super) fn chance(&mut self, per_thousand: u64) -> bool {
        self.next() % 1000 < per_thousand
    }

    /// One of them; `None` when there are none.
    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let place = self.next() % (from.len().max(1) as u64);
        from.get(usize::try_from(place).unwrap_or(0)).cloned()
    }
}
