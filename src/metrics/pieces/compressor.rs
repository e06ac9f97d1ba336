//! Text into pieces.

use bytes::Bytes;
use thiserror::Error;

use super::crc::PlainSum;
use super::deflate::Deflate;
use super::{Encoding, Piece};

/// zstd's effort: of levels 1 to 3, which come to about the same size on exposition text, the quickest.
const ZSTD_LEVEL: i32 = 1;

/// A piece that cannot be compressed. Only zstd can fail, and no text is a reason.
#[derive(Debug, Error)]
pub enum CompressError {
    /// zstd could not be set up.
    #[error("cannot set up zstd at level {ZSTD_LEVEL}")]
    ZstdSetUp(#[source] std::io::Error),
    /// zstd refused a piece.
    #[error("zstd could not compress a piece of {plain_len} bytes")]
    Zstd {
        /// The bytes of the piece's text.
        plain_len: usize,
        /// What zstd said.
        #[source]
        source: std::io::Error,
    },
}

/// Compresses pieces one after another in memory that is used again and again. For one thread at a time.
#[derive(Debug)]
pub struct Compressor {
    engine: Engine,
    /// The last piece's bytes, before they are copied to memory of their exact size.
    scratch: Vec<u8>,
}

enum Engine {
    Gzip(Box<Deflate>),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
        })
    }
}

impl Compressor {
    /// Ready for pieces of this encoding.
    ///
    /// # Errors
    /// The compressor could not be set up.
    pub fn new(encoding: Encoding) -> Result<Self, CompressError> {
        let engine = match encoding {
            Encoding::Gzip => Engine::Gzip(Box::new(Deflate::new())),
            Encoding::Zstd => Engine::Zstd(zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(CompressError::ZstdSetUp)?),
        };
        Ok(Self { engine, scratch: Vec::new() })
    }

    /// Compresses a piece. Pieces do not depend on each other: equal text makes equal bytes.
    ///
    /// # Errors
    /// A fault in the compressor; the next piece may come out well.
    pub fn piece(&mut self, plain: &[u8]) -> Result<Piece, CompressError> {
        self.scratch.clear();
        let (encoding, sum) = match &mut self.engine {
            Engine::Gzip(deflate) => {
                deflate.piece(plain, &mut self.scratch);
                (Encoding::Gzip, PlainSum::of(plain))
            }
            Engine::Zstd(zstd) => {
                self.scratch.resize(zstd::zstd_safe::compress_bound(plain.len()), 0);
                let written = zstd
                    .compress_to_buffer(plain, self.scratch.as_mut_slice())
                    .map_err(|source| CompressError::Zstd { plain_len: plain.len(), source })?;
                self.scratch.truncate(written);
                (Encoding::Zstd, PlainSum::of_length(plain.len() as u64))
            }
        };
        Ok(Piece { bytes: Bytes::copy_from_slice(&self.scratch), encoding, plain: sum })
    }
}
