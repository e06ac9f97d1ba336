//! Compressed bodies from ready blocks: what did not change since it was last asked for is neither written nor compressed
//! again.
//!
//! A body is cut into blocks: one family of one cluster over a bucket, a run of topics or groups of about 70 KB of
//! text. Families with the same number of samples an item, which change with the same stamps, are a lane and share its
//! buckets (`lanes.rs`). The borders of the buckets are chosen by names, so that a topic or group that comes or goes moves
//! the next few borders only.
//!
//! A [`Maker`] makes a [`Rendering`] from the views of the clusters and the rendering before it, in three steps, each of
//! which ends the work for what has not changed (`maker.rs`): the stamps of a bucket's items (`derive::Stamp`) tell that
//! all its blocks stand; a digest of a block's labels and values tells that its text stands; else it is written into memory
//! that is used again and compressed.
//!
//! A rendering never changes. A [`CompressedBody`] hands out its pieces as they are, without a copy, and what is of the
//! clusters as wholes and of the exporter itself between them, compressed for this body alone, told of the very same
//! snapshots.

mod body;
mod lanes;
mod maker;
mod rendered;
#[cfg(test)]
mod tests;

pub use body::CompressedBody;
pub use maker::{Maker, Work};
pub use rendered::Rendering;

use super::catalogue::Family;
use super::exposition::{Format, Selection};
use super::families::SOURCES;
use super::pieces::Encoding;

/// What a client takes: a rendering for each is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind {
    /// The format of the text.
    pub format: Format,
    /// How it is compressed.
    pub encoding: Encoding,
}

impl Kind {
    /// All there are.
    pub const ALL: [Self; 4] = [
        Self { format: Format::Text, encoding: Encoding::Gzip },
        Self { format: Format::OpenMetrics, encoding: Encoding::Gzip },
        Self { format: Format::Text, encoding: Encoding::Zstd },
        Self { format: Format::OpenMetrics, encoding: Encoding::Zstd },
    ];

    /// Its place in [`Kind::ALL`].
    #[must_use]
    pub fn place(self) -> usize {
        Self::ALL.iter().position(|kind| *kind == self).unwrap_or(0)
    }
}

/// Whether blocks are needed for what is asked for.
#[must_use]
pub fn needs_blocks(selection: &Selection) -> bool {
    let is_asked_for = |(family, _): &&(&'static Family, _)| selection.includes(family);
    SOURCES.iter().filter(is_asked_for).any(|(_, source)| source.is_by_item())
}
