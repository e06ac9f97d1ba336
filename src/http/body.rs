//! Response bodies: ready bytes, or an exposition or JSON that is rendered while it goes out.

use std::convert::Infallible;
use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::connection::Responding;
use super::pieces::PiecesBody;
use crate::metrics::ScrapeTimer;
use crate::metrics::exposition::Exposition;

/// How much is rendered at a time. Between two such pieces other connections get their turn.
const CHUNK_BYTES: usize = 64 * 1024;

/// A compressed piece goes out once it is so large, or after some rendered chunks, whatever comes first.
const GZIP_PIECE_BYTES: usize = 16 * 1024;
/// See [`GZIP_PIECE_BYTES`].
const GZIP_PIECE_CHUNKS: usize = 4;

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The client reads too slowly, or not at all.
    #[error("the response took longer than the request time-out")]
    TooSlow,
    /// The compressor failed.
    #[error("gzip failed: {0}")]
    Gzip(#[from] io::Error),
    /// Something cannot be written as JSON, which plain data can.
    #[error("JSON failed: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<Infallible> for BodyError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

enum Content {
    /// Ready bytes; `None` once they are gone.
    Full(Option<Bytes>),
    /// Rendered piece by piece.
    Scrape(Box<ScrapeBody>),
    /// JSON, piece by piece.
    Pieces(PiecesBody),
}

/// The body of a response.
pub(super) struct Body {
    content: Content,
    /// Held until the last byte is handed over or the client is gone.
    responding: Option<Responding>,
}

impl Body {
    /// Ready bytes.
    pub(super) fn full(bytes: impl Into<Bytes>) -> Self {
        Self { content: Content::Full(Some(bytes.into())), responding: None }
    }

    /// An exposition.
    pub(super) fn scrape(body: ScrapeBody) -> Self {
        Self { content: Content::Scrape(Box::new(body)), responding: None }
    }

    /// JSON that is made while it goes out.
    pub(super) fn pieces(body: PiecesBody) -> Self {
        Self { content: Content::Pieces(body), responding: None }
    }

    /// Keeps the connection's note that a response is on its way.
    pub(super) fn hold(&mut self, responding: Responding) {
        self.responding = Some(responding);
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let piece = match &mut self.content {
            Content::Full(bytes) => bytes.take().filter(|bytes| !bytes.is_empty()).map(Ok),
            Content::Scrape(scrape) => scrape.next_piece().transpose(),
            Content::Pieces(pieces) => pieces.next_chunk().transpose(),
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Scrape(_) | Content::Pieces(_) => SizeHint::default(),
        }
    }
}

/// Compression in progress, with its share of the memory that compression may take.
pub(super) struct Gzip {
    encoder: GzEncoder<Vec<u8>>,
    _permit: OwnedSemaphorePermit,
}

impl Gzip {
    /// Level 1: a scrape is read once, over a fast network, and shrinks tenfold at any level.
    pub(super) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { encoder: GzEncoder::new(Vec::new(), Compression::fast()), _permit: permit }
    }
}

/// An exposition on its way out. Nothing runs ahead of the client: the next piece is rendered when there is room for it.
pub(super) struct ScrapeBody {
    exposition: Exposition,
    gzip: Option<Gzip>,
    /// Rendered and not yet compressed; used again for every chunk.
    plain: Vec<u8>,
    timer: Option<ScrapeTimer>,
    deadline: Instant,
    is_done: bool,
}

impl ScrapeBody {
    /// A body that breaks off at the deadline.
    pub(super) fn new(exposition: Exposition, gzip: Option<Gzip>, timer: ScrapeTimer, deadline: Instant) -> Self {
        Self { exposition, gzip, plain: Vec::new(), timer: Some(timer), deadline, is_done: false }
    }

    fn next_piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.is_done {
            // Asked again after the last piece: the client has taken all of it.
            if let Some(timer) = self.timer.take() {
                timer.finish();
            }
            return Ok(None);
        }
        if Instant::now() > self.deadline {
            return Err(BodyError::TooSlow);
        }
        let piece = match &mut self.gzip {
            None => {
                let mut piece = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
                self.is_done = !self.exposition.next_chunk(&mut piece, CHUNK_BYTES);
                piece
            }
            Some(gzip) => {
                let (piece, is_done) = compressed_piece(&mut self.exposition, gzip, &mut self.plain)?;
                self.is_done = is_done;
                piece
            }
        };
        Ok(Some(Bytes::from(piece)))
    }
}

/// Renders and compresses until there is a piece worth sending; the flag says whether it was the last.
fn compressed_piece(
    exposition: &mut Exposition,
    gzip: &mut Gzip,
    plain: &mut Vec<u8>,
) -> Result<(Vec<u8>, bool), BodyError> {
    let mut chunks = 0;
    loop {
        plain.clear();
        let is_done = !exposition.next_chunk(plain, CHUNK_BYTES);
        gzip.encoder.write_all(plain)?;
        if is_done {
            gzip.encoder.try_finish()?;
        }
        chunks += 1;
        let ready = gzip.encoder.get_ref().len();
        if is_done || ready >= GZIP_PIECE_BYTES || (ready > 0 && chunks >= GZIP_PIECE_CHUNKS) {
            return Ok((std::mem::take(gzip.encoder.get_mut()), is_done));
        }
    }
}
