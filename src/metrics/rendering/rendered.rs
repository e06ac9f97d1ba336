//! A rendering: the blocks of all clusters as they were at one time, immutable.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use super::Kind;
use super::lanes::{LANE_PLACES, LANES, LanePlace, Version};
use crate::derive::{Snapshot, Terms};
use crate::metrics::ClusterSource;
use crate::metrics::exposition::{ClusterView, Digest};
use crate::metrics::pieces::Piece;
use crate::model::WallTime;

/// What is counted where something is shared.
const SHARED_BYTES: usize = 2 * size_of::<usize>();
/// The same of the bytes of a piece, once it was sent.
const SENT_BYTES: usize = 3 * size_of::<usize>();

/// One family over one bucket.
#[derive(Debug, Clone)]
pub(super) struct Rendered {
    /// Of what it shows.
    pub(super) digest: Digest,
    pub(super) piece: Piece,
}

/// What a lane's families show of one bucket.
#[derive(Debug)]
pub(super) struct Content {
    /// One for each item; `None`: an item told none.
    pub(super) versions: Option<Box<[Version]>>,
    /// One for each family of the lane; `None`: it shows nothing of these items.
    pub(super) blocks: Box<[Option<Rendered>]>,
}

/// A run of topics or groups.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    /// The name of the first one.
    pub(super) first: Arc<str>,
    pub(super) content: Arc<Content>,
}

/// One cluster as it was rendered.
#[derive(Debug, Clone)]
pub(super) struct RenderedCluster {
    pub(super) source: Arc<ClusterSource>,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// On what terms it is shown.
    pub(super) terms: Terms,
    /// The time as of which it is told.
    pub(super) now: WallTime,
    /// In the order of [`LANES`].
    pub(super) lanes: Vec<Arc<[Bucket]>>,
    /// What these take of memory, in bytes.
    pub(super) heap_bytes: usize,
}

/// The blocks of all clusters in one format and encoding.
#[derive(Debug, Clone)]
pub struct Rendering {
    pub(super) kind: Kind,
    /// In the order of the configuration.
    pub(super) clusters: Vec<RenderedCluster>,
    /// Each family's HELP and TYPE lines, in the order of the catalogue; `None`: it is not kept in blocks.
    pub(super) heads: Arc<[Option<Piece>]>,
}

impl RenderedCluster {
    /// A lane's buckets; none before the first snapshot.
    pub(super) fn lane(&self, lane: usize) -> &[Bucket] {
        self.lanes.get(lane).map_or(&[], |buckets| buckets)
    }
}

/// What lanes take of memory, in bytes: a walk over all blocks.
pub(super) fn heap_bytes(lanes: &[Arc<[Bucket]>]) -> usize {
    let lane = |buckets: &Arc<[Bucket]>| {
        let contents = buckets.iter().map(|bucket| bucket.content.heap_bytes());
        SHARED_BYTES + size_of_val(&**buckets) + contents.sum::<usize>()
    };
    size_of_val(lanes) + lanes.iter().map(lane).sum::<usize>()
}

impl Content {
    fn heap_bytes(&self) -> usize {
        let pieces = self.blocks.iter().flatten().map(|block| block.piece.bytes().len() + SENT_BYTES);
        let versions = self.versions.as_deref().map_or(0, size_of_val);
        SHARED_BYTES + size_of::<Self>() + versions + size_of_val(&*self.blocks) + pieces.sum::<usize>()
    }
}

impl Rendering {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether it is of exactly these clusters.
    #[must_use]
    pub fn is_of(&self, clusters: &[Arc<ClusterSource>]) -> bool {
        let mut pairs = self.clusters.iter().zip(clusters);
        self.clusters.len() == clusters.len() && pairs.all(|(cluster, source)| Arc::ptr_eq(&cluster.source, source))
    }

    /// Whether it shows what its clusters have published last.
    #[must_use]
    pub fn shows_the_latest(&self) -> bool {
        self.clusters.iter().all(|cluster| {
            let latest = cluster.source.snapshot.load();
            match (&cluster.snapshot, latest.as_ref()) {
                (Some(shown), Some(latest)) => Arc::ptr_eq(shown, latest),
                (shown, latest) => shown.is_none() && latest.is_none(),
            }
        })
    }

    /// Whether another rendering of the same clusters shows the same snapshots.
    #[must_use]
    pub fn shows_the_same_as(&self, other: &Self) -> bool {
        let snapshot = |cluster: &RenderedCluster| cluster.snapshot.as_ref().map(Arc::as_ptr);
        self.clusters.iter().map(snapshot).eq(other.clusters.iter().map(snapshot))
    }

    /// Whether it is told as of the last publishing tick.
    #[must_use]
    pub fn is_told_now(&self) -> bool {
        let is_told_now =
            |cluster: &RenderedCluster| cluster.source.told_at(cluster.snapshot.as_deref()) == cluster.now;
        self.clusters.iter().all(is_told_now)
    }

    /// The clusters as they are shown here, with what is always told as it is just now.
    pub fn views(&self) -> impl Iterator<Item = ClusterView> + '_ {
        self.clusters.iter().map(|cluster| ClusterView::at(&cluster.source, cluster.snapshot.clone(), cluster.now))
    }

    /// What it takes of memory, in bytes: what it shares with others included, snapshots not.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.clusters.iter().map(|cluster| cluster.heap_bytes).sum()
    }

    /// What of that is a cluster's.
    #[must_use]
    pub fn heap_bytes_of(&self, source: &Arc<ClusterSource>) -> usize {
        let its = self.clusters.iter().filter(|cluster| Arc::ptr_eq(&cluster.source, source));
        its.map(|cluster| cluster.heap_bytes).sum()
    }
}

/// A stretch of the exposition.
#[derive(Debug, Clone)]
pub(super) enum Stretch {
    /// Families that are written for each body, by their places in the catalogue.
    Written(Range<usize>),
    /// A family whose blocks are ready.
    Ready(usize, LanePlace),
}

/// The exposition, in order.
pub(super) static STRETCHES: LazyLock<Vec<Stretch>> = LazyLock::new(|| {
    let mut stretches: Vec<Stretch> = Vec::new();
    for (source, place) in LANE_PLACES.iter().enumerate() {
        match (place, stretches.last_mut()) {
            (Some(at), _) => stretches.push(Stretch::Ready(source, *at)),
            (None, Some(Stretch::Written(sources))) => sources.end = source + 1,
            (None, _) => stretches.push(Stretch::Written(source..source + 1)),
        }
    }
    // What ends a body comes with the last families that are written, and the catalogue ends with such.
    debug_assert!(LANES.len() > 1 && matches!(stretches.last(), Some(Stretch::Written(_))));
    stretches
});
