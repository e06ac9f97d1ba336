//! The codes of a block before the block itself (RFC 1951, 3.2.7).

use super::bits::BitWriter;
use super::huffman::Code;
use super::symbols::{DISTANCES, LITERALS};

/// The symbols for code lengths: 0 to 15, and three for repetitions.
const LENGTHS: usize = 19;
/// The order in which the lengths of their codes are sent.
const ORDER: [usize; LENGTHS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const LENGTH_LIMIT: usize = 7;
/// "The length before, 3 to 6 times."
const REPEAT: u8 = 16;
/// "0, 3 to 10 times."
const FEW_ZEROS: u8 = 17;
/// "0, 11 to 138 times."
const MANY_ZEROS: u8 = 18;

/// What two codes' lengths come to.
#[derive(Debug)]
pub(super) struct Header {
    /// Symbols and their extra bits.
    items: Vec<(u8, u8)>,
    code: Code<LENGTHS>,
    literals: usize,
    distances: usize,
    sent: usize,
    bits: u64,
}

impl Header {
    pub(super) fn new() -> Self {
        Self {
            items: Vec::with_capacity(LITERALS + DISTANCES),
            code: Code::new(),
            literals: 0,
            distances: 0,
            sent: 0,
            bits: 0,
        }
    }

    pub(super) fn build(&mut self, literals: &[u8; LITERALS], distances: &[u8; DISTANCES]) {
        self.literals = used(literals).max(257);
        self.distances = used(distances).max(1);
        self.items.clear();
        let mut all = [0; LITERALS + DISTANCES];
        all[..self.literals].copy_from_slice(&literals[..self.literals]);
        let count = self.literals + self.distances;
        all[self.literals..count].copy_from_slice(&distances[..self.distances]);
        for run in all[..count].chunk_by(|a, b| a == b) {
            self.run(run[0], run.len());
        }
        let mut counts = [0; LENGTHS];
        for &(symbol, _) in &self.items {
            counts[usize::from(symbol)] += 1;
        }
        self.code.build(&counts, LENGTH_LIMIT);
        self.sent = ORDER.iter().rposition(|&symbol| self.code.lens[symbol] > 0).map_or(4, |last| (last + 1).max(4));
        let extra = self.items.iter().map(|&(symbol, _)| u64::from(extra_bits(symbol))).sum::<u64>();
        self.bits = 14 + 3 * self.sent as u64 + self.code.cost(&counts) + extra;
    }

    /// The same length several times.
    fn run(&mut self, len: u8, mut times: usize) {
        if len == 0 {
            while times >= 11 {
                let part = times.min(138);
                self.items.push((MANY_ZEROS, (part - 11) as u8));
                times -= part;
            }
            if times >= 3 {
                self.items.push((FEW_ZEROS, (times - 3) as u8));
                times = 0;
            }
        } else {
            self.items.push((len, 0));
            times -= 1;
            while times >= 3 {
                let part = times.min(6);
                self.items.push((REPEAT, (part - 3) as u8));
                times -= part;
            }
        }
        self.items.extend(std::iter::repeat_n((len, 0), times));
    }

    /// What it takes, without the three bits that open a block.
    pub(super) fn bits(&self) -> u64 {
        self.bits
    }

    pub(super) fn write(&self, out: &mut BitWriter<'_>) {
        out.write((self.literals - 257) as u64, 5);
        out.write((self.distances - 1) as u64, 5);
        out.write((self.sent - 4) as u64, 4);
        for &symbol in &ORDER[..self.sent] {
            out.write(u64::from(self.code.lens[symbol]), 3);
        }
        for &(symbol, extra) in &self.items {
            let at = usize::from(symbol);
            let len = u32::from(self.code.lens[at]);
            out.write(u64::from(self.code.bits[at]) | u64::from(extra) << len, len + extra_bits(symbol));
        }
    }
}

fn extra_bits(symbol: u8) -> u32 {
    match symbol {
        REPEAT => 2,
        FEW_ZEROS => 3,
        MANY_ZEROS => 7,
        _ => 0,
    }
}

fn used(lens: &[u8]) -> usize {
    lens.iter().rposition(|&len| len > 0).map_or(0, |last| last + 1)
}
