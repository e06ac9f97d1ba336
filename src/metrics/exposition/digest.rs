//! Tells samples apart without writing them: 128 bits over their labels and values.
//!
//! Two lanes, each of which folds a product of 64 × 64 bits into its state. It is not made to withstand somebody who looks
//! for two texts with one digest: it tells what a cluster shows now from what it showed before.

/// Digits of π: numbers without a pattern.
const KEYS: [u64; 4] = [0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344, 0xA409_3822_299F_31D0, 0x082E_FA98_EC4E_6C89];

/// The digest of a run of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    first: u64,
    second: u64,
    /// How many samples there are.
    pub samples: u64,
}

impl Digest {
    /// A number that a text alone decides, as good as random.
    #[must_use]
    pub fn of_text(text: &str) -> u64 {
        Self::of_texts(&[text]).first
    }

    /// The digest of labels alone.
    pub(super) fn of_texts(texts: &[&str]) -> Self {
        let mut digest = Self::default();
        texts.iter().for_each(|text| digest.text(text));
        digest
    }

    /// Takes labels in that have a digest already.
    pub(super) fn append(&mut self, labels: Self) {
        self.mix(labels.first, labels.second);
    }

    /// Takes a sample in: the number that its last label is, and its value.
    pub(super) fn sample(&mut self, label: u64, value: u64) {
        self.samples += 1;
        self.mix(label, value);
    }

    /// Takes a label's value in.
    pub(super) fn text(&mut self, text: &str) {
        let (chunks, rest) = text.as_bytes().as_chunks::<16>();
        for chunk in chunks {
            self.chunk(*chunk);
        }
        let mut last = [0; 16];
        for (into, byte) in last.iter_mut().zip(rest) {
            *into = *byte;
        }
        self.chunk(last);
        self.mix(text.len() as u64, KEYS[3]);
    }

    fn chunk(&mut self, chunk: [u8; 16]) {
        let both = u128::from_le_bytes(chunk);
        let (low, high) = halves(both);
        self.mix(low, high);
    }

    fn mix(&mut self, a: u64, b: u64) {
        self.first = self.first.rotate_left(23) ^ fold(self.first ^ a ^ KEYS[0], b ^ KEYS[1]);
        self.second = self.second.rotate_left(29) ^ fold(self.second ^ b ^ KEYS[2], a ^ KEYS[3]);
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let (low, high) = halves(u128::from(a) * u128::from(b));
    low ^ high
}

#[expect(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
fn halves(both: u128) -> (u64, u64) {
    (both as u64, (both >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_differs_in_little_has_another_digest() {
        let mut seen = HashSet::new();
        let mut is_new = |digest: Digest| seen.insert((digest.first, digest.second));
        for (label, value) in (0..200).flat_map(|label| (0..200).map(move |value| (label, value))) {
            let mut digest = Digest::default();
            digest.text("topic");
            digest.sample(label, value);
            assert!(is_new(digest), "{label} {value}");
            digest.sample(value, label);
            assert!(is_new(digest), "{label} {value} and back");
        }
        for text in ["", "a", "aa", "\0", "0123456789abcdef", "0123456789abcdef\0", "0123456789abcdeg"] {
            let mut digest = Digest::default();
            digest.text(text);
            assert!(is_new(digest), "{text:?}");
            digest.text("");
            assert!(is_new(digest), "{text:?} and nothing");
        }
    }

    #[test]
    fn zeros_count() {
        let of = |times: usize| {
            let mut digest = Digest::default();
            (0..times).for_each(|_| digest.mix(0, 0));
            (digest.first, digest.second)
        };
        let all: HashSet<(u64, u64)> = (0..1000).map(of).collect();
        assert_eq!(all.len(), 1000);
    }
}
