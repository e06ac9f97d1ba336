//! Sequences into a block of deflate (RFC 1951, 3.2.3), of whichever kind is smallest.

use super::bits::BitWriter;
use super::header::Header;
use super::huffman::Code;
use super::lines::Sequence;
use super::symbols::{
    DISTANCES, END, LENGTH_SYMBOLS, LITERALS, MAX_LEN, MIN_LEN, distance_extra_bits, distance_symbol, length_extra,
    length_extra_bits,
};

/// The longest code of a literal, length or distance.
const CODE_LIMIT: usize = 15;
/// The most bytes of a stored block.
const STORED_BYTES: usize = 65_535;

/// How long the code of a distance is where codes are fixed (RFC 1951, 3.2.6).
const FIXED_DISTANCE_LEN: u8 = 5;

/// How long the code of a literal, the end or a length is where codes are fixed.
const fn fixed_len(symbol: usize) -> u8 {
    match symbol {
        144..256 => 9,
        256..280 => 7,
        _ => 8,
    }
}

/// How often each symbol occurs in a block.
#[derive(Debug)]
struct Counts {
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
}

impl Counts {
    fn of(text: &[u8], sequences: &[Sequence]) -> Self {
        let mut counts = Self { literals: [0; LITERALS], distances: [0; DISTANCES] };
        counts.literals[END] = 1;
        let mut rest = text;
        for sequence in sequences {
            let (literals, behind) = split(rest, sequence.literals as usize);
            for &byte in literals {
                counts.literals[usize::from(byte)] += 1;
            }
            rest = behind.get(usize::from(sequence.len)..).unwrap_or_default();
            if sequence.len > 0 {
                counts.literals[usize::from(LENGTH_SYMBOLS[usize::from(sequence.len)])] += 1;
                counts.distances[distance_symbol(u32::from(sequence.distance_less_one)).0] += 1;
            }
        }
        counts
    }

    /// The bits beside codes.
    fn extra(&self) -> u64 {
        let lengths =
            (END + 1..LITERALS).map(|symbol| u64::from(self.literals[symbol]) * u64::from(length_extra_bits(symbol)));
        let distances =
            (0..DISTANCES).map(|symbol| u64::from(self.distances[symbol]) * u64::from(distance_extra_bits(symbol)));
        lengths.sum::<u64>() + distances.sum::<u64>()
    }

    /// The bits of codes that need no header.
    fn fixed(&self) -> u64 {
        let literals = self.literals.iter().enumerate();
        let literals = literals.map(|(symbol, &count)| u64::from(count) * u64::from(fixed_len(symbol))).sum::<u64>();
        literals + self.distances.iter().map(|&count| u64::from(count)).sum::<u64>() * u64::from(FIXED_DISTANCE_LEN)
    }
}

/// The codes of a block, in memory that is used again.
#[derive(Debug)]
pub(super) struct BlockWriter {
    literals: Code<LITERALS>,
    distances: Code<DISTANCES>,
    header: Header,
    /// For each length its code and extra bits, above five bits that say how many these are.
    lengths: [u32; MAX_LEN + 1],
}

impl BlockWriter {
    pub(super) fn new() -> Self {
        Self { literals: Code::new(), distances: Code::new(), header: Header::new(), lengths: [0; MAX_LEN + 1] }
    }

    /// Writes a block that is not the last.
    pub(super) fn write(&mut self, text: &[u8], sequences: &[Sequence], out: &mut BitWriter<'_>) {
        let counts = Counts::of(text, sequences);
        self.literals.build(&counts.literals, CODE_LIMIT);
        self.distances.build(&counts.distances, CODE_LIMIT);
        self.header.build(&self.literals.lens, &self.distances.lens);
        let extra = counts.extra();
        let coded = self.literals.cost(&counts.literals) + self.distances.cost(&counts.distances);
        let own = self.header.bits() + coded + extra;
        let fixed = counts.fixed() + extra;
        if stored_bits(text) <= own.min(fixed) {
            return store(text, out);
        }
        out.reserve(own.min(fixed) + 64);
        if fixed <= own {
            self.fix();
            out.write(0b010, 3);
        } else {
            out.write(0b100, 3);
            self.header.write(out);
        }
        self.sequences(text, sequences, out);
    }

    /// The codes that need no header.
    fn fix(&mut self) {
        for (symbol, len) in self.literals.lens.iter_mut().enumerate() {
            *len = fixed_len(symbol);
        }
        self.distances.lens = [FIXED_DISTANCE_LEN; DISTANCES];
        self.literals.assign();
        self.distances.assign();
    }

    fn sequences(&mut self, text: &[u8], sequences: &[Sequence], out: &mut BitWriter<'_>) {
        for (len, symbol) in LENGTH_SYMBOLS.iter().enumerate().skip(MIN_LEN) {
            let symbol = usize::from(*symbol);
            let (extra, extra_bits) = length_extra(len);
            let code_bits = u32::from(self.literals.lens[symbol]);
            let bits = u32::from(self.literals.bits[symbol]) | (extra as u32) << code_bits;
            self.lengths[len] = bits << 5 | (code_bits + extra_bits);
        }
        let mut literal_codes = [0u32; 256];
        for (byte, code) in literal_codes.iter_mut().enumerate() {
            *code = u32::from(self.literals.bits[byte]) << 5 | u32::from(self.literals.lens[byte]);
        }
        let mut rest = text;
        for sequence in sequences {
            let (literals, behind) = split(rest, sequence.literals as usize);
            // Three codes of fifteen bits and seven bits that are left over fit between two flushes.
            for part in literals.chunks(3) {
                for &byte in part {
                    let code = literal_codes[usize::from(byte)];
                    out.put(u64::from(code >> 5), code & 31);
                }
                out.flush();
            }
            rest = behind.get(usize::from(sequence.len)..).unwrap_or_default();
            if sequence.len > 0 {
                self.matched(sequence, out);
            }
        }
        out.write(u64::from(self.literals.bits[END]), u32::from(self.literals.lens[END]));
    }

    /// At most 20 bits for a length and 28 for a distance.
    #[inline(always)]
    fn matched(&self, sequence: &Sequence, out: &mut BitWriter<'_>) {
        let length = self.lengths[usize::from(sequence.len)];
        out.put(u64::from(length >> 5), length & 31);
        let (symbol, extra, extra_bits) = distance_symbol(u32::from(sequence.distance_less_one));
        let code_bits = u32::from(self.distances.lens[symbol]);
        out.put(u64::from(self.distances.bits[symbol]) | extra << code_bits, code_bits + extra_bits);
        out.flush();
    }
}

fn split(text: &[u8], at: usize) -> (&[u8], &[u8]) {
    text.split_at_checked(at).unwrap_or((text, &[]))
}

/// At most: 3 bits, up to 7 to a whole byte, 32 of lengths for each stored block.
fn stored_bits(text: &[u8]) -> u64 {
    (text.len() as u64) * 8 + text.len().div_ceil(STORED_BYTES) as u64 * 42
}

/// As stored blocks.
fn store(text: &[u8], out: &mut BitWriter<'_>) {
    for part in text.chunks(STORED_BYTES) {
        stored(part, out);
    }
}

/// A stored block of so many bytes at most; one of none brings what follows to a whole byte.
pub(super) fn stored(text: &[u8], out: &mut BitWriter<'_>) {
    out.reserve(64);
    out.write(0b000, 3);
    out.align();
    let len = text.len() as u64 & 0xFFFF;
    out.write(len | (len ^ 0xFFFF) << 16, 32);
    out.bytes(text);
}
