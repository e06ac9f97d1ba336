//! Bits into bytes, the lowest first (RFC 1951, 3.1.1).

/// Writes into room that is made beforehand.
#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    /// Bytes of `out` that are written; behind them is room.
    len: usize,
    pending: u64,
    /// Less than 8 after a flush.
    pending_bits: u32,
}

impl<'a> BitWriter<'a> {
    /// Writes behind what is there.
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        let len = out.len();
        Self { out, len, pending: 0, pending_bits: 0 }
    }

    /// Makes room for so many bits more.
    pub(super) fn reserve(&mut self, bits: u64) {
        let bytes = usize::try_from(bits / 8).unwrap_or(usize::MAX);
        // A flush writes a whole word wherever it stands.
        self.out.resize(self.len.saturating_add(bytes).saturating_add(16), 0);
    }

    /// Appends bits, at most 56 between two flushes; those above `count` must be 0.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        self.pending |= bits << self.pending_bits;
        self.pending_bits += count;
    }

    /// Moves whole bytes out.
    #[inline(always)]
    pub(super) fn flush(&mut self) {
        debug_assert!(self.len + 8 <= self.out.len(), "the room that was reserved is too little");
        if let Some(room) = self.out.get_mut(self.len..self.len + 8) {
            room.copy_from_slice(&self.pending.to_le_bytes());
        }
        let bytes = self.pending_bits >> 3;
        self.len += bytes as usize;
        self.pending >>= bytes << 3;
        self.pending_bits &= 7;
    }

    /// Appends bits and moves whole bytes out.
    pub(super) fn write(&mut self, bits: u64, count: u32) {
        self.put(bits, count);
        self.flush();
    }

    /// Fills the last byte with zeros.
    pub(super) fn align(&mut self) {
        self.pending_bits = self.pending_bits.next_multiple_of(8);
        self.flush();
    }

    /// Appends bytes; the position must be aligned, and there must be room.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.truncate(self.len);
        self.out.extend_from_slice(bytes);
        self.len = self.out.len();
        self.out.resize(self.len + 16, 0);
    }

    /// Ends writing on a whole byte.
    pub(super) fn finish(mut self) {
        self.align();
        self.out.truncate(self.len);
    }
}
