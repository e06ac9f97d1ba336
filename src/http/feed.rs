//! What the pollers learn from the web side: who scrapes and when, and that somebody does again after a pause.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::header::{HeaderMap, USER_AGENT};
use tokio::sync::watch;

use super::routes::Peer;
use crate::collect::{Clock, SystemClock};
use crate::schedule::{Rhythm, ScrapeClient, Scrapes};

/// The record of scrapes, shared by the web side, which writes it, and the pollers, which read it.
#[derive(Debug)]
pub struct ScrapeFeed {
    scrapes: Mutex<Scrapes>,
    clock: SystemClock,
    /// Counts the ends of pauses.
    pauses_ended: watch::Sender<u64>,
}

/// Tells a poller that scrapes have come again after a pause.
#[derive(Debug, Clone)]
pub struct ScrapeWakes(watch::Receiver<u64>);

impl ScrapeFeed {
    /// An empty record on the clock that the pollers go by.
    #[must_use]
    pub fn new(clock: SystemClock) -> Self {
        Self { scrapes: Mutex::default(), clock, pauses_ended: watch::Sender::new(0) }
    }

    /// What is known of the scrapes now.
    #[must_use]
    pub fn rhythm(&self) -> Rhythm {
        self.scrapes().rhythm(self.clock.now().moment)
    }

    /// A handle to wait for ends of pauses; those before do not count.
    #[must_use]
    pub fn wakes(&self) -> ScrapeWakes {
        ScrapeWakes(self.pauses_ended.subscribe())
    }

    /// Takes note of a scrape that is being answered.
    pub(super) fn record(&self, peer: Peer, headers: &HeaderMap) {
        let mut hasher = DefaultHasher::new();
        headers.get(USER_AGENT).hash(&mut hasher);
        let client = ScrapeClient {
            connection: peer.connection,
            address: peer.address.to_canonical(),
            user_agent_hash: hasher.finish(),
        };
        let at = self.clock.now().moment;
        let mut scrapes = self.scrapes();
        let ends_pause = scrapes.rhythm(at).is_paused(at);
        scrapes.record(client, at);
        drop(scrapes);
        if ends_pause {
            self.pauses_ended.send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    fn scrapes(&self) -> MutexGuard<'_, Scrapes> {
        self.scrapes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScrapeWakes {
    /// Returns at the first scrape after a pause ([`Rhythm::is_paused`]), also when it came since the last call. Safe to
    /// drop and to call again.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The web side is gone, and with it all scrapes.
            std::future::pending::<()>().await;
        }
    }
}
