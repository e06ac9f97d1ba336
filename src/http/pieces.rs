//! JSON that is made while it goes out: an answer about a whole cluster is never in memory as a whole.

use std::time::Instant;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde::Serialize;

use super::HttpState;
use super::body::{Body, BodyError};
use super::response::response;
use super::routes::Answer;

/// Pieces are put together until they are so large.
const CHUNK_BYTES: usize = 64 * 1024;

/// A piece of JSON.
pub(super) type Piece = Result<Vec<u8>, serde_json::Error>;

/// A body that is made piece by piece, when there is room for the next.
pub(super) struct PiecesBody {
    pieces: Box<dyn Iterator<Item = Piece> + Send>,
    deadline: Instant,
}

impl PiecesBody {
    /// The next pieces; nothing after the last.
    pub(super) fn next_chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        if Instant::now() > self.deadline {
            return Err(BodyError::TooSlow);
        }
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK_BYTES {
            let Some(piece) = self.pieces.next() else { break };
            let mut piece = piece?;
            if chunk.is_empty() { chunk = piece } else { chunk.append(&mut piece) }
        }
        Ok((!chunk.is_empty()).then(|| Bytes::from(chunk)))
    }
}

/// An answer in JSON that is made piece by piece.
pub(super) fn json_pieces(state: &HttpState, pieces: impl Iterator<Item = Piece> + Send + 'static) -> Answer {
    let deadline = Instant::now() + state.settings.request_timeout;
    let body = PiecesBody { pieces: Box::new(pieces), deadline };
    response(StatusCode::OK, HeaderValue::from_static("application/json"), Body::pieces(body))
}

/// The beginning of an object, up to the bracket that opens its last member. The object has members already.
pub(super) fn open(object: &impl Serialize, member: &str, bracket: char) -> Piece {
    let mut text = serde_json::to_vec(object)?;
    text.pop();
    text.extend_from_slice(format!(",\"{member}\":{bracket}").as_bytes());
    Ok(text)
}

/// Text that is JSON as it stands.
pub(super) fn plain(text: &str) -> Piece {
    Ok(text.as_bytes().to_vec())
}

/// Puts commas between the items of a list.
pub(super) fn separated(items: impl Iterator<Item = Piece>) -> impl Iterator<Item = Piece> {
    items.enumerate().map(|(place, item)| {
        let mut item = item?;
        if place > 0 {
            item.insert(0, b',');
        }
        Ok(item)
    })
}
