//! Deflate's symbols for lengths and distances (RFC 1951, 3.2.5).

/// The shortest match that deflate knows.
pub(super) const MIN_LEN: usize = 3;
/// The longest.
pub(super) const MAX_LEN: usize = 258;
/// The farthest that a match may lie back.
pub(super) const MAX_DISTANCE: usize = 32_768;

/// Bytes, the end of a block, lengths, and two that never occur, but have their place among fixed codes.
pub(super) const LITERALS: usize = 288;
/// Distances.
pub(super) const DISTANCES: usize = 30;
/// What ends a block.
pub(super) const END: usize = 256;

/// The symbol of each length.
pub(super) const LENGTH_SYMBOLS: [u16; MAX_LEN + 1] = length_symbols();

/// The first length of each symbol from 257 on, and the extra bits that say which of its lengths is meant.
const fn length_base(index: usize) -> (usize, u32) {
    match index {
        0..8 => (MIN_LEN + index, 0),
        28 => (MAX_LEN, 0),
        _ => {
            let extra = index / 4 - 1;
            (MIN_LEN + ((4 + index % 4) << extra), extra as u32)
        }
    }
}

const fn length_symbols() -> [u16; MAX_LEN + 1] {
    let mut symbols = [0; MAX_LEN + 1];
    let mut index = 0;
    while index < 29 {
        let (base, extra) = length_base(index);
        let mut len = base;
        while len < base + (1 << extra) && len <= MAX_LEN {
            symbols[len] = 257 + index as u16;
            len += 1;
        }
        index += 1;
    }
    symbols
}

/// The extra bits of a length: their value and number.
pub(super) const fn length_extra(len: usize) -> (u64, u32) {
    let (base, extra) = length_base(LENGTH_SYMBOLS[len] as usize - 257);
    ((len - base) as u64, extra)
}

/// The extra bits that a symbol for lengths has.
pub(super) const fn length_extra_bits(symbol: usize) -> u32 {
    length_base(symbol - 257).1
}

/// The symbol of a distance less one, and its extra bits: their value and number.
#[inline(always)]
pub(super) const fn distance_symbol(less_one: u32) -> (usize, u64, u32) {
    if less_one < 4 {
        return (less_one as usize, 0, 0);
    }
    let extra = 30 - less_one.leading_zeros();
    let symbol = 2 * (extra + 1) + ((less_one >> extra) & 1);
    (symbol as usize, (less_one & ((1 << extra) - 1)) as u64, extra)
}

/// The extra bits that a symbol for distances has.
pub(super) const fn distance_extra_bits(symbol: usize) -> u32 {
    if symbol < 4 { 0 } else { symbol as u32 / 2 - 1 }
}
