//! Compressed bodies made of ready pieces: a piece is compressed once, and sent by every scrape until its text changes.
//!
//! A [`Compressor`] makes a [`Piece`] of a block of text; an [`Assembly`] puts pieces together to one body:
//!
//! ```text
//! use kafkascope::metrics::pieces::{Assembly, Compressor, Encoding};
//!
//! let mut compressor = Compressor::new(Encoding::Gzip)?;
//! let pieces = [compressor.piece(b"up 1\n")?, compressor.piece(b"down 0\n")?];
//! let mut assembly = Assembly::new(Encoding::Gzip);
//! let mut body = assembly.head().to_vec();
//! for piece in &pieces {
//!     assembly.push(piece)?;
//!     body.extend_from_slice(piece.bytes());
//! }
//! let length = assembly.body_len();
//! body.extend_from_slice(&assembly.finish());
//! assert_eq!(body.len() as u64, length);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **gzip**: the body is one member (RFC 1952), for curl reads nothing after the first. A piece is deflate (RFC 1951) that
//! is not final, refers to nothing before itself and ends with an empty stored block, so on a whole byte. The checksum is
//! combined from those of the pieces.
//! **zstd**: a piece is a frame (RFC 8878), a body is frames one after another.

mod assembly;
mod compressor;
mod crc;
mod deflate;

use bytes::Bytes;

pub use assembly::{Assembly, WrongEncoding};
pub use compressor::{CompressError, Compressor};
use crc::PlainSum;

/// How a body is compressed, as `Content-Encoding` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// RFC 1952.
    Gzip,
    /// RFC 8878, within the window that RFC 9659 allows.
    Zstd,
}

impl Encoding {
    /// The name of the encoding in HTTP headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// A compressed part of a body: never changed, cheap to clone, shared by all scrapes that send it.
#[derive(Debug, Clone)]
pub struct Piece {
    bytes: Bytes,
    encoding: Encoding,
    /// Of the text; for zstd only its length is known.
    plain: PlainSum,
}

impl Piece {
    /// What is sent.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How it is compressed.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The bytes of the text that was compressed.
    pub fn plain_len(&self) -> u64 {
        self.plain.len
    }
}

#[cfg(test)]
mod tests;
