//! A deflate encoder (RFC 1951) for exposition text, whose lines are like the lines before them.
//!
//! [`lines`] finds what repeats, [`block`] counts symbols and writes them with codes made for them ([`huffman`], [`header`],
//! [`bits`], [`symbols`]).
//!
//! Why not a general encoder: flate2 with zlib-rs, on the two bodies of `benches/pieces.rs` (85 and 105 MB) in pieces of
//! 256 KB, as multiples of this one's time and bytes:
//!
//! | level | time | bytes |
//! |---|---|---|
//! | 1 | 1.2 to 1.8 | 1.7 to 2.0 |
//! | 2 | 1.7 to 2.3 | 1.3 to 1.4 |
//! | 3 | 2.9 to 3.4 | 1.2 to 1.3 |
//! | 6 | 5.8 to 8.9 | 1.0 to 1.2 |
//!
//! On text of other kinds it is worse than any of them, but no larger than the text.

mod bits;
mod block;
mod header;
mod huffman;
mod lines;
mod symbols;

use bits::BitWriter;
use block::BlockWriter;
use lines::{Lines, Names, Sequence};

/// Compresses texts one after another in memory that is used again.
#[derive(Debug)]
pub(super) struct Deflate {
    sequences: Vec<Sequence>,
    names: Names,
    block: BlockWriter,
}

impl Deflate {
    pub(super) fn new() -> Self {
        Self { sequences: Vec::new(), names: Names::new(), block: BlockWriter::new() }
    }

    /// Appends deflate that is not final, refers to nothing before itself and ends on a whole byte.
    pub(super) fn piece(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.names.clear();
        let mut lines = Lines::new(text);
        let mut out = BitWriter::new(out);
        while let Some(part) = lines.block(&mut self.names, &mut self.sequences) {
            self.block.write(part, &self.sequences, &mut out);
        }
        block::stored(&[], &mut out);
        out.finish();
    }
}
