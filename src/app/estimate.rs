//! `kafkascope metrics --estimate`: one pass over every cluster, and what of it a scrape would hold.

use super::once::{self, Found};
use crate::config::Config;
use crate::kafka::KafkaError;
use crate::metrics::Estimate;
use crate::metrics::exposition::{ClusterView, Exposition, Format, View};
use crate::metrics::pieces::{Assembly, CompressError, Compressor, Encoding};

/// How much is rendered at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a scrape of one cluster would come to.
#[derive(Debug)]
pub struct Estimated {
    /// What the pass found.
    pub found: Found,
    /// The series; `None` when the cluster was not reached.
    pub estimate: Option<Estimate>,
    /// The size of a scrape.
    pub size: ScrapeSize,
}

/// How large a scrape is, in text format, without the exporter's own families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScrapeSize {
    /// As it is, in bytes.
    pub identity: u64,
    /// Compressed with gzip, in bytes.
    pub gzip: u64,
}

/// Makes one pass over every cluster; `progress` is told what is going on.
///
/// # Errors
/// When a client cannot be set up. That a cluster cannot be reached is not an error here.
pub async fn estimate(config: &Config, progress: impl Fn(&str)) -> Result<Vec<Estimated>, KafkaError> {
    let found = once::snapshot(config, &progress).await?;
    progress("counting series");
    Ok(found.into_iter().map(of).collect())
}

fn of(found: Found) -> Estimated {
    let estimate = Estimate::of(&found.source).filter(|_| found.snapshot.world.up);
    // Only zstd can fail.
    let size = ScrapeSize::of(ClusterView::of(&found.source)).unwrap_or_default();
    Estimated { found, estimate, size }
}

impl ScrapeSize {
    /// Renders and compresses a view as a scrape is, and keeps nothing of it.
    fn of(cluster: ClusterView) -> Result<Self, CompressError> {
        let mut exposition = Exposition::new(View { clusters: vec![cluster], ..View::default() }, Format::Text);
        let (mut compressor, mut body) = (Compressor::new(Encoding::Gzip)?, Assembly::new(Encoding::Gzip));
        let mut chunk = Vec::new();
        loop {
            chunk.clear();
            let is_more = exposition.next_chunk(&mut chunk, CHUNK_BYTES);
            // They are of one encoding.
            let _ = body.push(&compressor.piece(&chunk)?);
            if !is_more {
                return Ok(Self { identity: body.plain_len(), gzip: body.body_len() });
            }
        }
    }
}
