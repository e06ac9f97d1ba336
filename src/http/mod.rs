//! The web side: serves the last snapshot to Prometheus and to people. It never asks Kafka anything.
//!
//! [`serve`] is one future, meant for a small runtime of its own, so that health answers while all else is stuck.

#[cfg(test)]
mod api_tests;
mod bind;
mod body;
mod burrow;
mod connection;
mod feed;
mod groups;
mod health;
mod negotiate;
mod page;
mod pieces;
mod query;
mod reload;
mod renderings;
mod response;
mod routes;
mod scrape;
mod server;
mod tasks;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod unwell;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
pub use bind::{BindError, bind};
pub use feed::{ScrapeFeed, ScrapeWakes};
pub use reload::{ReloadOutcome, ReloadRequest, ReloadRequests, reload_requests};
pub use server::serve;

use crate::metrics::{ClusterSource, OwnMetrics, ProcessMetrics, Tasks};
use renderings::Renderings;

/// The bounds and paths of the web side.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Where the metrics are, usually `/metrics`.
    pub telemetry_path: String,
    /// Connections that are served at once. A few more are let in to ask for health only; the rest waits in the backlog.
    pub max_connections: usize,
    /// How long a client may take to send a request's head.
    pub header_timeout: Duration,
    /// How long a response may take, and how long a client may take to read what is buffered for it.
    pub request_timeout: Duration,
    /// Whether `POST /-/reload` is allowed.
    pub admin: bool,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            telemetry_path: "/metrics".to_owned(),
            max_connections: 128,
            header_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            admin: false,
        }
    }
}

/// Everything that requests are answered from.
#[derive(Debug)]
pub struct HttpState {
    /// The clusters, in the order of the configuration; a reload swaps the whole list.
    clusters: ArcSwap<Vec<Arc<ClusterSource>>>,
    /// Whether every cluster was polled when a reload changed them: then the exporter stays ready. A cluster that a reload
    /// adds must not take the others' numbers out of service.
    was_ready: AtomicBool,
    /// The exporter's own metrics.
    pub own: Arc<OwnMetrics>,
    /// The long-lived tasks, with their signs of life.
    pub tasks: Arc<Tasks>,
    /// Who scrapes, for the pollers.
    pub feed: Arc<ScrapeFeed>,
    /// Where reloads are asked for.
    pub reloads: ReloadRequests,
    /// Bounds and paths.
    pub settings: HttpSettings,
    process: ProcessMetrics,
    started: Instant,
    renderings: Renderings,
}

impl HttpState {
    /// Puts the state together. The uptime that the page shows counts from here.
    #[must_use]
    pub fn new(
        clusters: Vec<Arc<ClusterSource>>,
        own: Arc<OwnMetrics>,
        tasks: Arc<Tasks>,
        feed: Arc<ScrapeFeed>,
        reloads: ReloadRequests,
        settings: HttpSettings,
    ) -> Self {
        Self {
            clusters: ArcSwap::from_pointee(clusters),
            was_ready: AtomicBool::new(false),
            own,
            tasks,
            feed,
            reloads,
            settings,
            process: ProcessMetrics::default(),
            started: Instant::now(),
            renderings: Renderings::default(),
        }
    }

    /// The clusters, in the order of the configuration, as they are now.
    #[must_use]
    pub fn clusters(&self) -> Arc<Vec<Arc<ClusterSource>>> {
        self.clusters.load_full()
    }

    /// Shows other clusters from the next request on. If those before made the exporter ready, it stays so.
    pub fn show_clusters(&self, clusters: Vec<Arc<ClusterSource>>) {
        if self.clusters.load().iter().all(|cluster| cluster.was_polled()) {
            self.was_ready.store(true, Ordering::Relaxed);
        }
        self.clusters.store(Arc::new(clusters));
    }

    /// Makes the compressed bodies that were asked for lately ready again after something was published, and lets go those
    /// that nobody asks for any more.
    pub async fn keep_renderings(self: &Arc<Self>) {
        renderings::keep_ready(self).await;
    }

    /// The memory that the compressed bodies take, in bytes.
    #[must_use]
    pub fn rendering_bytes(&self) -> usize {
        self.renderings.bytes()
    }
}
