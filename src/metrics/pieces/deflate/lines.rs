//! Finds what a line has in common with the one before.
//!
//! Lines of an exposition differ in a few digits. So nothing is searched for: the last match goes on at the distance it
//! has. Where it ends, a label's value or a sample differs; this is taken as it is up to the quote or line end that closes
//! it, and the match goes on at the same mark of the line before. The distance so follows a value that gets longer.
//! Only names, which come back after many lines, are looked up.

use super::symbols::{MAX_DISTANCE, MAX_LEN, MIN_LEN};

/// Bytes as they are, then a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) literals: u32,
    /// 0 for none.
    pub(super) len: u16,
    /// How far the match lies back, less one.
    pub(super) distance_less_one: u16,
}

/// Where a block of deflate ends: so many sequences tell well what is frequent.
const BLOCK_SEQUENCES: usize = 1 << 14;
/// Where it ends at the latest, in bytes of text: the counts of its symbols must fit.
const BLOCK_BYTES: usize = 1 << 20;
/// How far the mark may lie at which a match goes on.
const REALIGN_BYTES: usize = 320;
/// Parts of names that are shorter are not looked up: a match so far back takes more than twenty bits, a letter five.
const NAME_BYTES: usize = 5;
const NAME_TABLE_BITS: u32 = 12;

/// Walks through a text.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    text: &'a [u8],
    pos: usize,
    /// Bytes up to here are in sequences.
    taken: usize,
    /// How far the line before lies back; 0 when that is not known.
    distance: usize,
}

/// Where names were last seen.
#[derive(Debug)]
pub(super) struct Names {
    seen: Box<[u32; 1 << NAME_TABLE_BITS]>,
}

impl Names {
    pub(super) fn new() -> Self {
        Self { seen: Box::new([0; 1 << NAME_TABLE_BITS]) }
    }

    pub(super) fn clear(&mut self) {
        self.seen.fill(0);
    }

    /// Where the text up to `end` was seen before, and how much of it; it is remembered for the next time.
    fn look_up(&mut self, text: &[u8], pos: usize, end: usize) -> Option<(usize, usize)> {
        let word = u64::from_le_bytes(*text.get(pos..)?.first_chunk()?) << (64 - 8 * NAME_BYTES);
        let slot = word.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - NAME_TABLE_BITS);
        let seen = std::mem::replace(&mut self.seen[slot as usize], pos as u32) as usize;
        let distance = pos.checked_sub(seen).filter(|distance| (1..=MAX_DISTANCE).contains(distance))?;
        let common = common(&text[seen..], &text[pos..end]);
        (common >= NAME_BYTES).then_some((distance, common))
    }
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, pos: 0, taken: 0, distance: 0 }
    }

    /// The sequences of the next block, and the text that they stand for; none at the end.
    pub(super) fn block(&mut self, names: &mut Names, sequences: &mut Vec<Sequence>) -> Option<&'a [u8]> {
        sequences.clear();
        let start = self.taken;
        while self.pos < self.text.len() {
            if self.distance > 0 {
                self.go_on(sequences);
            }
            let end = self.pos + to_mark(&self.text[self.pos..]);
            self.name(end, names, sequences);
            self.realign(end);
            if sequences.len() >= BLOCK_SEQUENCES || self.pos - start >= BLOCK_BYTES {
                break;
            }
        }
        self.take(self.pos, 0, 0, sequences);
        (self.taken > start).then(|| &self.text[start..self.taken])
    }

    /// As far as this line is like the one before.
    #[inline(always)]
    fn go_on(&mut self, sequences: &mut Vec<Sequence>) {
        let len = common(&self.text[self.pos - self.distance..], &self.text[self.pos..]);
        if len >= MIN_LEN {
            self.take(self.pos, len, self.distance, sequences);
        }
        self.pos += len;
    }

    /// Parts of a name that differs may have been there long ago.
    #[inline(always)]
    fn name(&mut self, end: usize, names: &mut Names, sequences: &mut Vec<Sequence>) {
        if end - self.pos >= NAME_BYTES && !self.text[self.pos].is_ascii_digit() {
            self.search(end, names, sequences);
        }
    }

    #[inline(never)]
    fn search(&mut self, end: usize, names: &mut Names, sequences: &mut Vec<Sequence>) {
        let mut at = self.pos;
        while at + NAME_BYTES <= end {
            match names.look_up(self.text, at, end) {
                Some((distance, len)) => {
                    self.take(at, len, distance, sequences);
                    at += len;
                }
                None => at += 1,
            }
        }
    }

    /// From the mark at `end` on, this line goes on as the line before does from its next mark of the kind.
    #[inline(always)]
    fn realign(&mut self, end: usize) {
        let Some(&mark) = self.text.get(end) else {
            self.pos = end;
            return;
        };
        let other = self.pos - self.distance;
        let window = &self.text[other..end.min(other + REALIGN_BYTES)];
        if self.distance > 0
            && let Some(skipped) = to_byte(window, mark)
            && end - other - skipped <= MAX_DISTANCE
        {
            self.pos = end;
            self.distance = end - other - skipped;
            return;
        }
        self.pos = end + 1;
        self.distance = if mark == b'\n' { self.line_before(end) } else { 0 };
    }

    /// How far the start of the line that ends here lies back from the next one's.
    #[cold]
    fn line_before(&self, end: usize) -> usize {
        let window = &self.text[end.saturating_sub(MAX_DISTANCE - 1)..end];
        window.iter().rev().position(|&byte| byte == b'\n').unwrap_or(window.len()) + 1
    }

    /// What is not taken yet up to `pos`, then a match of any length.
    #[inline(always)]
    fn take(&mut self, pos: usize, len: usize, distance: usize, sequences: &mut Vec<Sequence>) {
        let mut literals = (pos - self.taken) as u32;
        self.taken = pos + len;
        let distance_less_one = distance.wrapping_sub(1) as u16;
        let mut left = len;
        while left > MAX_LEN {
            // What is left must be long enough for a match.
            let part = if left - MAX_LEN < MIN_LEN { MAX_LEN - MIN_LEN } else { MAX_LEN };
            sequences.push(Sequence { literals, len: part as u16, distance_less_one });
            literals = 0;
            left -= part;
        }
        if left > 0 || literals > 0 {
            sequences.push(Sequence { literals, len: left as u16, distance_less_one });
        }
    }
}

/// How many bytes two texts have in common at their start.
#[inline(always)]
fn common(a: &[u8], b: &[u8]) -> usize {
    let ((a_words, _), (b_words, _)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut len = 0;
    for (a, b) in a_words.iter().zip(b_words) {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return len + differ.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    len + a[len..].iter().zip(&b[len..]).take_while(|(a, b)| a == b).count()
}

const ONES: u64 = u64::MAX / 255;

/// The highest bit of each byte that is `byte`; wrong only above the first.
const fn equal(word: u64, byte: u8) -> u64 {
    let zero = word ^ (ONES * byte as u64);
    zero.wrapping_sub(ONES) & !zero & (ONES << 7)
}

/// The bytes before the next quote or line end, or the end of the text.
#[inline(always)]
fn to_mark(text: &[u8]) -> usize {
    let mut len = 0;
    for word in text.as_chunks::<8>().0 {
        let word = u64::from_le_bytes(*word);
        let marks = equal(word, b'"') | equal(word, b'\n');
        if marks != 0 {
            return len + marks.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    len + text[len..].iter().take_while(|&&byte| byte != b'"' && byte != b'\n').count()
}

/// The bytes before the next of a kind.
#[inline(always)]
fn to_byte(text: &[u8], wanted: u8) -> Option<usize> {
    let mut len = 0;
    for word in text.as_chunks::<8>().0 {
        let found = equal(u64::from_le_bytes(*word), wanted);
        if found != 0 {
            return Some(len + found.trailing_zeros() as usize / 8);
        }
        len += 8;
    }
    text[len..].iter().position(|&byte| byte == wanted).map(|at| len + at)
}
