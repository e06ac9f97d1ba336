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
        let bytes = text.as_bytes();
        let (chunks, _) = bytes.as_chunks::<16>();
        for chunk in chunks {
            let (low, high) = halves(u128::from_le_bytes(*chunk));
            self.mix(low, high);
        }
        let (first, last) = ends(bytes);
        // Both keys keep texts of zeros of different lengths apart.
        self.mix(first ^ KEYS[2], last ^ (bytes.len() as u64).wrapping_mul(KEYS[3]));
    }

    fn mix(&mut self, a: u64, b: u64) {
        self.first = self.first.rotate_left(23) ^ fold(self.first ^ a ^ KEYS[0], b ^ KEYS[1]);
        self.second = self.second.rotate_left(29) ^ fold(self.second ^ b ^ KEYS[2], a ^ KEYS[3]);
    }
}

/// The first and last bytes of a text, up to eight of each: all of it that is not in a chunk of 16, and more.
fn ends(bytes: &[u8]) -> (u64, u64) {
    match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(_), Some(last)) if bytes.len() >= 16 => {
            let before = bytes[..bytes.len() - 8].last_chunk::<8>().copied().unwrap_or_default();
            (u64::from_le_bytes(before), u64::from_le_bytes(*last))
        }
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into()),
            _ => (bytes.iter().fold(0, |all, byte| (all << 8) | u64::from(*byte)), 0),
        },
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
        let long = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let cut = (0..long.len()).map(|end| long[..end].to_owned());
        let zeros = (1..40).map(|zeros| "\0".repeat(zeros));
        let other = (0..long.len()).map(|at| format!("{}!{}", &long[..at], &long[at + 1..]));
        for text in cut.chain(zeros).chain(other) {
            let mut digest = Digest::default();
            digest.text(&text);
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
