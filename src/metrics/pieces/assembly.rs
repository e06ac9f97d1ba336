//! Puts pieces together to one body: what comes before them, what comes after, and how long all of it is.

use bytes::Bytes;
use thiserror::Error;

use super::crc::PlainSum;
use super::{Encoding, Piece};

/// RFC 1952, 2.3: deflate, no flags, no time, no hint at the effort, an unknown system.
const GZIP_HEAD: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255];
/// A final block with fixed codes that ends at once, in the ten lowest bits.
const FINAL_BLOCK: [u8; 2] = [0x03, 0x00];
const GZIP_TRAILER_LEN: u64 = 10;
/// RFC 8878: a frame of no bytes, for a body of no pieces: the magic number, a content size of 0, a last raw block of 0.
const EMPTY_FRAME: [u8; 9] = [0x28, 0xB5, 0x2F, 0xFD, 0x20, 0x00, 0x01, 0x00, 0x00];

/// A piece of another encoding than the body's.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
#[error("a {} piece cannot be part of a {} body", .piece.name(), .body.name())]
pub struct WrongEncoding {
    /// The piece's.
    pub piece: Encoding,
    /// The body's.
    pub body: Encoding,
}

/// The account of a body: send [`head`](Self::head), then the bytes of every piece in the order in which they were
/// pushed, then what [`finish`](Self::finish) returns. No bytes of pieces are copied or kept.
#[derive(Debug)]
pub struct Assembly {
    encoding: Encoding,
    plain: PlainSum,
    pieces_len: u64,
}

impl Assembly {
    /// A body without pieces, which is a valid one of no text.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, plain: PlainSum::EMPTY, pieces_len: 0 }
    }

    /// What is sent before the first piece. May be empty.
    pub fn head(&self) -> Bytes {
        match self.encoding {
            Encoding::Gzip => Bytes::from_static(&GZIP_HEAD),
            Encoding::Zstd => Bytes::new(),
        }
    }

    /// The next piece of the body.
    ///
    /// # Errors
    /// The piece is of another encoding; the body is as it was.
    pub fn push(&mut self, piece: &Piece) -> Result<(), WrongEncoding> {
        if piece.encoding != self.encoding {
            return Err(WrongEncoding { piece: piece.encoding, body: self.encoding });
        }
        self.plain = self.plain.then(&piece.plain);
        self.pieces_len += piece.bytes.len() as u64;
        Ok(())
    }

    /// The bytes of the text so far.
    pub fn plain_len(&self) -> u64 {
        self.plain.len
    }

    /// The bytes of the body, head and trailer included, if no other piece comes: its `Content-Length`.
    pub fn body_len(&self) -> u64 {
        match self.encoding {
            Encoding::Gzip => GZIP_HEAD.len() as u64 + self.pieces_len + GZIP_TRAILER_LEN,
            Encoding::Zstd if self.pieces_len == 0 => EMPTY_FRAME.len() as u64,
            Encoding::Zstd => self.pieces_len,
        }
    }

    /// What is sent after the last piece. May be empty.
    pub fn finish(self) -> Bytes {
        match self.encoding {
            Encoding::Gzip => {
                // ISIZE is the length modulo 2³²: its lowest four bytes.
                let [b0, b1, b2, b3, ..] = self.plain.len.to_le_bytes();
                let trailer = [&FINAL_BLOCK[..], &self.plain.crc.to_le_bytes(), &[b0, b1, b2, b3]];
                Bytes::from(trailer.concat())
            }
            Encoding::Zstd if self.pieces_len == 0 => Bytes::from_static(&EMPTY_FRAME),
            Encoding::Zstd => Bytes::new(),
        }
    }
}
