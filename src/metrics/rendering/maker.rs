//! Makes a rendering: what stands of the one before is taken over, the rest is written and compressed.

use std::ops::Range;
use std::sync::Arc;

use super::lanes::{LANE_PLACES, LANES, Lane, Of, Version};
use super::rendered::{Bucket, Content, Rendered, RenderedCluster, heap_bytes};
use super::{Kind, Rendering};
use crate::derive::Snapshot;
use crate::metrics::exposition::{Block, ClusterView, Format};
use crate::metrics::families::SOURCES;
use crate::metrics::pieces::{CompressError, Compressor, Encoding, Piece};
use crate::model::WallTime;

/// Room for text that is kept from one rendering to the next: more than a block, unless one item alone has more.
const KEPT_TEXT_BYTES: usize = 256 * 1024;

/// What making a rendering took, in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Of buckets whose stamps were others, so that it was looked what they show.
    pub looked_at: usize,
    /// Written and compressed.
    pub compressed: usize,
}

/// Makes renderings, one at a time, in memory that is used again.
#[derive(Debug, Default)]
pub struct Maker {
    text: Vec<u8>,
    prefix: Vec<u8>,
    gzip: Tools,
    zstd: Tools,
    work: Work,
}

/// What an encoding takes.
#[derive(Debug, Default)]
struct Tools {
    compressor: Option<Compressor>,
    /// By format: the heads of all families, which never change.
    heads: [Option<Arc<[Option<Piece>]>>; 2],
}

/// A cluster that is being rendered.
struct Scene<'a> {
    kind: Kind,
    view: &'a ClusterView,
    snapshot: &'a Snapshot,
    last: Option<&'a RenderedCluster>,
}

impl Maker {
    /// Renders the clusters as they are seen; `last` is the rendering before this one, of the same kind.
    ///
    /// # Errors
    /// When a compressor fails, which is no fault of the input.
    pub fn make(
        &mut self,
        kind: Kind,
        views: &[ClusterView],
        last: Option<&Rendering>,
    ) -> Result<Rendering, CompressError> {
        self.work = Work::default();
        let heads = self.heads(kind)?;
        let last = last.filter(|last| last.kind == kind);
        let clusters = views.iter().map(|view| {
            let before = last.and_then(|last| last.clusters.iter().find(|was| Arc::ptr_eq(&was.source, &view.source)));
            self.cluster(kind, view, before)
        });
        let clusters = clusters.collect::<Result<_, _>>()?;
        self.text.clear();
        self.text.shrink_to(KEPT_TEXT_BYTES);
        Ok(Rendering { kind, clusters, heads })
    }

    /// What the last rendering took.
    #[must_use]
    pub fn work(&self) -> Work {
        self.work
    }

    fn tools(&mut self, encoding: Encoding) -> &mut Tools {
        match encoding {
            Encoding::Gzip => &mut self.gzip,
            Encoding::Zstd => &mut self.zstd,
        }
    }

    fn cluster(
        &mut self,
        kind: Kind,
        view: &ClusterView,
        last: Option<&RenderedCluster>,
    ) -> Result<RenderedCluster, CompressError> {
        let lanes = match view.snapshot.as_deref() {
            Some(snapshot) => self.lanes(&Scene { kind, view, snapshot, last })?,
            None => Vec::new(),
        };
        Ok(RenderedCluster {
            source: view.source.clone(),
            snapshot: view.snapshot.clone(),
            terms: view.terms,
            now: view.now,
            heap_bytes: heap_bytes(&lanes),
            lanes,
        })
    }

    fn lanes(&mut self, scene: &Scene<'_>) -> Result<Vec<Arc<[Bucket]>>, CompressError> {
        let same_snapshot =
            scene.last.filter(|last| last.snapshot.as_deref().is_some_and(|was| std::ptr::eq(was, scene.snapshot)));
        let lane = |(place, lane): (usize, &Lane)| match same_snapshot.and_then(|last| last.lanes.get(place)) {
            Some(buckets) if lane.of != Of::Standing => Ok(buckets.clone()),
            _ => self.lane(scene, place, lane),
        };
        LANES.iter().enumerate().map(lane).collect()
    }

    fn lane(&mut self, scene: &Scene<'_>, place: usize, lane: &Lane) -> Result<Arc<[Bucket]>, CompressError> {
        let former = scene.last.map_or(&[][..], |last| last.lane(place));
        let mut candidates = former.iter().peekable();
        let mut buckets = Vec::new();
        for places in lane.buckets(scene.snapshot) {
            let Some(first) = lane.name(scene.snapshot, places.start) else { continue };
            // Both are in the order of their names.
            while candidates.next_if(|former| former.first < *first).is_some() {}
            let before = candidates.next_if(|former| former.first == *first).map(|former| &former.content);
            let versions: Option<Box<[Version]>> =
                places.clone().map(|place| lane.version(scene.snapshot, place)).collect();
            let content = match before.filter(|before| scene.stands(lane, &places, before, versions.as_deref())) {
                Some(before) => before.clone(),
                None => Arc::new(self.content(scene, lane, &places, versions, before)?),
            };
            buckets.push(Bucket { first: first.clone(), content });
        }
        Ok(buckets.into())
    }

    fn content(
        &mut self,
        scene: &Scene<'_>,
        lane: &Lane,
        places: &Range<usize>,
        versions: Option<Box<[Version]>>,
        before: Option<&Arc<Content>>,
    ) -> Result<Content, CompressError> {
        let block = |(family, source): (usize, &usize)| {
            let block = Block { source: *source, places: places.clone() };
            let before = before.and_then(|before| before.blocks.get(family)?.as_ref());
            self.block(scene, &block, before)
        };
        let blocks = lane.sources.iter().enumerate().map(block).collect::<Result<_, _>>()?;
        Ok(Content { versions, blocks })
    }

    fn block(
        &mut self,
        scene: &Scene<'_>,
        block: &Block,
        before: Option<&Rendered>,
    ) -> Result<Option<Rendered>, CompressError> {
        self.work.looked_at += 1;
        let digest = scene.view.digest_block(block);
        if digest.samples == 0 {
            return Ok(None);
        }
        if let Some(before) = before.filter(|before| before.digest == digest) {
            return Ok(Some(before.clone()));
        }
        self.work.compressed += 1;
        self.text.clear();
        scene.view.write_block(block, scene.kind.format, &mut self.prefix, &mut self.text);
        let text = std::mem::take(&mut self.text);
        let piece = self.compress(scene.kind.encoding, &text);
        self.text = text;
        Ok(Some(Rendered { digest, piece: piece? }))
    }

    fn compress(&mut self, encoding: Encoding, text: &[u8]) -> Result<Piece, CompressError> {
        let tools = self.tools(encoding);
        let compressor = match &mut tools.compressor {
            Some(compressor) => compressor,
            none => none.insert(Compressor::new(encoding)?),
        };
        compressor.piece(text)
    }

    /// The heads of the families that are kept in blocks.
    fn heads(&mut self, kind: Kind) -> Result<Arc<[Option<Piece>]>, CompressError> {
        let format = usize::from(kind.format == Format::OpenMetrics);
        if let Some(heads) = &self.tools(kind.encoding).heads[format] {
            return Ok(heads.clone());
        }
        let mut head = |(family, place): (&(_, _), &Option<_>)| {
            let (family, _): &(&'static crate::metrics::catalogue::Family, _) = family;
            if place.is_none() {
                return Ok(None);
            }
            let mut text = Vec::new();
            kind.format.write_head(family, &mut text);
            self.compress(kind.encoding, &text).map(Some)
        };
        let heads: Arc<[Option<Piece>]> =
            SOURCES.iter().zip(LANE_PLACES.iter()).map(&mut head).collect::<Result<_, _>>()?;
        self.tools(kind.encoding).heads[format] = Some(heads.clone());
        Ok(heads)
    }
}

impl Scene<'_> {
    /// Whether a bucket shows what it showed before: nothing in it has changed, nor does the clock move it.
    fn stands(&self, lane: &Lane, places: &Range<usize>, before: &Content, versions: Option<&[Version]>) -> bool {
        let Some(last) = self.last.filter(|last| last.terms == self.view.terms) else { return false };
        let is_same = versions.is_some() && before.versions.as_deref() == versions;
        is_same && (lane.of != Of::Standing || !self.moves(places, last.now))
    }

    /// Whether the clock has moved how one of the groups stands.
    fn moves(&self, places: &Range<usize>, since: WallTime) -> bool {
        places.clone().any(|place| self.snapshot.standing_moves(place, since, self.view.now))
    }
}
