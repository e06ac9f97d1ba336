//! Text into pieces.

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use thiserror::Error;

use super::crc::PlainSum;
use super::{Encoding, Piece};

/// zstd's effort.
const ZSTD_LEVEL: i32 = 1;

/// A piece that cannot be compressed. Input never is the reason: only a fault in the compressor.
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
    /// deflate refused a piece.
    #[error("deflate could not compress a piece of {plain_len} bytes")]
    Deflate {
        /// The bytes of the piece's text.
        plain_len: usize,
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
    Gzip(Compress),
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
            Encoding::Gzip => Engine::Gzip(Compress::new(Compression::new(3), false)),
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
                deflate_piece(deflate, plain, &mut self.scratch)?;
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

fn deflate_piece(deflate: &mut Compress, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CompressError> {
    deflate.reset();
    let failed = || CompressError::Deflate { plain_len: plain.len() };
    loop {
        let read = usize::try_from(deflate.total_in()).map_err(|_| failed())?;
        out.reserve(plain.len() / 8 + 1024);
        deflate.compress_vec(&plain[read..], out, FlushCompress::Full).map_err(|_| failed())?;
        // All is out when there is room left.
        if out.len() < out.capacity() {
            return Ok(());
        }
    }
}
