//! Response bodies: ready bytes, or an exposition or JSON that is rendered while it goes out.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use super::connection::Responding;
use super::pieces::PiecesBody;
use crate::metrics::ScrapeTimer;
use crate::metrics::exposition::Exposition;
use crate::metrics::pieces::WrongEncoding;
use crate::metrics::rendering::CompressedBody;

/// How much is rendered at a time. Between two such pieces other connections get their turn.
const CHUNK_BYTES: usize = 64 * 1024;

/// Ready pieces below this go out together, copied: each by itself would cost more than the copy.
const SMALL_BYTES: usize = 4 * 1024;
/// So much of them.
const TOGETHER_BYTES: usize = 32 * 1024;

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The client reads too slowly, or not at all.
    #[error("the response took longer than the request time-out")]
    TooSlow,
    /// A rendering of another kind than the body's.
    #[error("the body was put together wrongly: {0}")]
    Pieces(#[from] WrongEncoding),
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
    /// Ready pieces, one after another.
    Compressed(Box<CompressedScrape>),
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

    /// A compressed exposition.
    pub(super) fn compressed(body: CompressedScrape) -> Self {
        Self { content: Content::Compressed(Box::new(body)), responding: None }
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
            Content::Compressed(scrape) => scrape.next_piece().transpose(),
            Content::Pieces(pieces) => pieces.next_chunk().transpose(),
        };
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Scrape(_) | Content::Compressed(_) | Content::Pieces(_) => SizeHint::default(),
        }
    }
}

/// An exposition on its way out. Nothing runs ahead of the client: the next piece is rendered when there is room for it.
pub(super) struct ScrapeBody {
    exposition: Exposition,
    timer: Option<ScrapeTimer>,
    deadline: Instant,
    is_done: bool,
}

impl ScrapeBody {
    /// A body that breaks off at the deadline.
    pub(super) fn new(exposition: Exposition, timer: ScrapeTimer, deadline: Instant) -> Self {
        Self { exposition, timer: Some(timer), deadline, is_done: false }
    }

    fn next_piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        if self.is_done {
            finish(&mut self.timer);
            return Ok(None);
        }
        if Instant::now() > self.deadline {
            return Err(BodyError::TooSlow);
        }
        let mut piece = Vec::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 8);
        self.is_done = !self.exposition.next_chunk(&mut piece, CHUNK_BYTES);
        Ok(Some(Bytes::from(piece)))
    }
}

/// Asked again after the last piece: the client has taken all of it.
fn finish(timer: &mut Option<ScrapeTimer>) {
    if let Some(timer) = timer.take() {
        timer.finish();
    }
}

/// A compressed exposition on its way out, which holds on to one rendering at most.
pub(super) struct CompressedScrape {
    body: CompressedBody,
    /// A large piece that goes out after the small ones before it.
    large: Option<Bytes>,
    timer: Option<ScrapeTimer>,
    deadline: Instant,
}

impl CompressedScrape {
    /// A body that breaks off at the deadline.
    pub(super) fn new(body: CompressedBody, timer: ScrapeTimer, deadline: Instant) -> Self {
        Self { body, large: None, timer: Some(timer), deadline }
    }

    fn next_piece(&mut self) -> Result<Option<Bytes>, BodyError> {
        if Instant::now() > self.deadline {
            return Err(BodyError::TooSlow);
        }
        if let Some(large) = self.large.take() {
            return Ok(Some(large));
        }
        let mut small = BytesMut::new();
        while small.len() < TOGETHER_BYTES {
            match self.body.next_bytes()? {
                Some(piece) if piece.len() < SMALL_BYTES => small.extend_from_slice(&piece),
                Some(piece) if small.is_empty() => return Ok(Some(piece)),
                Some(piece) => {
                    self.large = Some(piece);
                    break;
                }
                None => break,
            }
        }
        if small.is_empty() {
            finish(&mut self.timer);
            return Ok(None);
        }
        Ok(Some(small.freeze()))
    }
}
