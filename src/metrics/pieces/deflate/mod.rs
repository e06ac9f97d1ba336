//! A deflate encoder for exposition text.

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
