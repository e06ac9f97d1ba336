//! The checksum of a whole text from the checksums of its parts.
//!
//! A CRC is a polynomial over GF(2) modulo a fixed one. That of two texts one after the other is the first's, multiplied
//! by x to the power of the second's bits, plus the second's. The power takes some twenty multiplications and depends on
//! the length alone, so each part keeps its own, and putting a part behind others costs a single one.

/// RFC 1952's polynomial, without x³². All polynomials here have their highest power in the lowest bit.
const POLYNOMIAL: u32 = 0xEDB8_8320;
/// x⁰.
const ONE: u32 = 1 << 31;
/// x⁸: what a byte of text shifts by.
const A_BYTE: u32 = 1 << 23;

/// The checksum and length of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlainSum {
    pub(super) crc: u32,
    pub(super) len: u64,
    /// x to the power of the text's bits.
    shift: u32,
}

impl PlainSum {
    /// That of no text.
    pub(super) const EMPTY: Self = Self { crc: 0, len: 0, shift: ONE };

    pub(super) fn of(text: &[u8]) -> Self {
        let len = text.len() as u64;
        Self { crc: crc32fast::hash(text), len, shift: power(A_BYTE, len) }
    }

    /// Only the length, where nobody asks for a checksum.
    pub(super) const fn of_length(len: u64) -> Self {
        Self { crc: 0, len, shift: ONE }
    }

    /// That of this text with another behind it.
    pub(super) fn then(self, next: &Self) -> Self {
        Self {
            crc: product(self.crc, next.shift) ^ next.crc,
            len: self.len.wrapping_add(next.len),
            shift: product(self.shift, next.shift),
        }
    }
}

fn power(base: u32, mut exponent: u64) -> u32 {
    let (mut result, mut square) = (ONE, base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = product(result, square);
        }
        square = product(square, square);
        exponent >>= 1;
    }
    result
}

/// `a` times `b` modulo the polynomial.
fn product(a: u32, b: u32) -> u32 {
    let (mut sum, mut shifted) = (0, b);
    for power in 0..u32::BITS {
        // Masks instead of branches: the bits are as good as random.
        sum ^= shifted & 0u32.wrapping_sub((a >> (31 - power)) & 1);
        shifted = (shifted >> 1) ^ (POLYNOMIAL & 0u32.wrapping_sub(shifted & 1));
    }
    sum
}
