//! A body on its way out: ready pieces one after another, and between them what is told of this very moment.

use std::sync::Arc;

use bytes::Bytes;

use super::lanes::LanePlace;
use super::rendered::{STRETCHES, Stretch};
use super::{Kind, Rendering};
use crate::metrics::exposition::{Exposition, View};
use crate::metrics::families::SOURCES;
use crate::metrics::pieces::{Assembly, CompressError, Compressor, Piece, WrongEncoding};

/// A compressed exposition, piece by piece.
#[derive(Debug)]
pub struct CompressedBody {
    /// `None`: nothing was asked for that is kept in blocks.
    rendering: Option<Arc<Rendering>>,
    /// Which of the rendering's clusters are shown, by place.
    clusters: Vec<usize>,
    /// Which of the catalogue's families are shown.
    is_shown: Vec<bool>,
    /// The stretches that were written for this body, the next one last.
    written: Vec<Piece>,
    /// `None` once all is out.
    assembly: Option<Assembly>,
    at: Cursor,
}

/// What comes next.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    stretch: usize,
    cluster: usize,
    bucket: usize,
    /// Whether the body's head is out.
    is_begun: bool,
    /// Whether the family's head is out.
    has_head: bool,
}

impl CompressedBody {
    /// The body of a view. `shown` are the places of the view's clusters in the rendering, whose snapshots they are of.
    ///
    /// # Errors
    /// When the compressor fails, which is no fault of the input.
    pub fn new(
        kind: Kind,
        view: View,
        rendering: Option<Arc<Rendering>>,
        shown: Vec<usize>,
        compressor: &mut Compressor,
    ) -> Result<Self, CompressError> {
        let is_shown = SOURCES.iter().map(|(family, _)| view.selection.includes(family)).collect();
        let mut exposition = Exposition::new(view, kind.format);
        let (mut written, mut text) = (Vec::new(), Vec::new());
        for stretch in STRETCHES.iter() {
            if let Stretch::Written(sources) = stretch {
                text.clear();
                exposition.write_families(sources.clone(), &mut text);
                written.push(compressor.piece(&text)?);
            }
        }
        written.reverse();
        let assembly = Some(Assembly::new(kind.encoding));
        Ok(Self { rendering, clusters: shown, is_shown, written, assembly, at: Cursor::default() })
    }

    /// The next bytes; `None` after the last.
    ///
    /// # Errors
    /// When a piece is of another encoding than the body: a rendering of another kind.
    pub fn next_bytes(&mut self) -> Result<Option<Bytes>, WrongEncoding> {
        let Some(assembly) = &mut self.assembly else { return Ok(None) };
        if !self.at.is_begun {
            self.at.is_begun = true;
            let head = assembly.head();
            if !head.is_empty() {
                return Ok(Some(head));
            }
        }
        while let Some(stretch) = STRETCHES.get(self.at.stretch) {
            let rendering = self.rendering.as_deref().filter(|_| !self.clusters.is_empty());
            let piece = match (stretch, rendering) {
                (Stretch::Written(_), _) => {
                    self.at.stretch += 1;
                    self.written.pop()
                }
                (Stretch::Ready(source, at), Some(rendering)) if self.is_shown.get(*source) == Some(&true) => {
                    next_block(rendering, &self.clusters, *source, *at, &mut self.at)
                }
                (Stretch::Ready(..), _) => {
                    self.at.stretch += 1;
                    None
                }
            };
            if let Some(piece) = piece.filter(|piece| !piece.bytes().is_empty()) {
                assembly.push(&piece)?;
                return Ok(Some(piece.bytes().clone()));
            }
        }
        let end = self.assembly.take().map(Assembly::finish).unwrap_or_default();
        Ok((!end.is_empty()).then_some(end))
    }
}

/// The next piece of a family, its head before the first; `None`: the cursor is at the next family.
fn next_block(
    rendering: &Rendering,
    clusters: &[usize],
    source: usize,
    at: LanePlace,
    cursor: &mut Cursor,
) -> Option<Piece> {
    while let Some(cluster) = clusters.get(cursor.cluster) {
        let Some(bucket) =
            rendering.clusters.get(*cluster).and_then(|cluster| cluster.lane(at.lane).get(cursor.bucket))
        else {
            (cursor.cluster, cursor.bucket) = (cursor.cluster + 1, 0);
            continue;
        };
        let block = bucket.content.blocks.get(at.place).and_then(Option::as_ref);
        if block.is_some() && !cursor.has_head {
            cursor.has_head = true;
            return rendering.heads.get(source).cloned().flatten();
        }
        cursor.bucket += 1;
        if let Some(block) = block {
            return Some(block.piece.clone());
        }
    }
    *cursor = Cursor { stretch: cursor.stretch + 1, is_begun: true, ..Cursor::default() };
    None
}
