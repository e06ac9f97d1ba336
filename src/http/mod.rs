//! The web side: serves the last snapshot to Prometheus and to people. It never asks Kafka anything.
//!
//! [`serve`] is one future, meant for a small runtime of its own, so that health answers while all else is stuck.

mod bind;
mod body;
mod connection;
mod feed;
mod health;
mod negotiate;
mod page;
mod query;
mod response;
mod routes;
mod scrape;
mod server;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

pub use bind::{BindError, bind};
pub use feed::{ScrapeFeed, ScrapeWakes};
pub use health::{Beat, Heartbeats};
pub use server::serve;

use crate::metrics::{ClusterSource, OwnMetrics, ProcessMetrics};

/// How many bodies are compressed at once. Each takes about 300 KB; further ones go out uncompressed.
const MAX_GZIP_BODIES: usize = 16;

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
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            telemetry_path: "/metrics".to_owned(),
            max_connections: 128,
            header_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// Everything that requests are answered from.
#[derive(Debug)]
pub struct HttpState {
    /// The clusters, in the order of the configuration.
    pub clusters: Vec<Arc<ClusterSource>>,
    /// The exporter's own metrics.
    pub own: Arc<OwnMetrics>,
    /// The signs of life of the exporter's loops.
    pub heartbeats: Arc<Heartbeats>,
    /// Who scrapes, for the pollers.
    pub feed: Arc<ScrapeFeed>,
    /// Bounds and paths.
    pub settings: HttpSettings,
    process: ProcessMetrics,
    started: Instant,
    gzip_bodies: Arc<Semaphore>,
}

impl HttpState {
    /// Puts the state together. The uptime that the page shows counts from here.
    #[must_use]
    pub fn new(
        clusters: Vec<Arc<ClusterSource>>,
        own: Arc<OwnMetrics>,
        heartbeats: Arc<Heartbeats>,
        feed: Arc<ScrapeFeed>,
        settings: HttpSettings,
    ) -> Self {
        Self {
            clusters,
            own,
            heartbeats,
            feed,
            settings,
            process: ProcessMetrics::default(),
            started: Instant::now(),
            gzip_bodies: Arc::new(Semaphore::new(MAX_GZIP_BODIES)),
        }
    }
}
