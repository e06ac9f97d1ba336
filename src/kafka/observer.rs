//! What librdkafka says unasked: log lines, errors and statistics.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::connections::ConnectionErrors;
use super::repeats::{Repeats, Verdict};
use super::stats::Tally;
use crate::model::{BrokerId, ConnectionStats};

/// The facility under which librdkafka logs that a connection failed.
const CONNECTION_FAILED: &str = "FAIL";
/// The facility under which librdkafka logs that requests were not answered in time.
const REQUESTS_TIMED_OUT: &str = "REQTMOUT";

/// The receiver of one client's log lines, errors and statistics. They come on the client's poll thread.
pub(super) struct Observer {
    cluster: Arc<str>,
    repeats: Mutex<Repeats>,
    connection_errors: Mutex<ConnectionErrors>,
    tally: Mutex<Tally>,
    stats: ArcSwap<ConnectionStats>,
    served: AtomicU64,
}

impl Observer {
    /// An observer for the client of one cluster; the name is for log lines and may be empty.
    pub(super) fn new(cluster: Arc<str>) -> Self {
        Self {
            cluster,
            repeats: Mutex::default(),
            connection_errors: Mutex::default(),
            tally: Mutex::default(),
            stats: ArcSwap::default(),
            served: AtomicU64::new(0),
        }
    }

    /// The newest statistics.
    pub(super) fn stats(&self) -> Arc<ConnectionStats> {
        self.stats.load_full()
    }

    /// How many things were heard so far: tells whether polling once more is worth it.
    pub(super) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// The newest connection error of a broker, or of any.
    pub(super) fn connection_error(&self, broker: Option<BrokerId>) -> Option<String> {
        let errors = self.connection_errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.newest(broker, Instant::now()).map(str::to_owned)
    }

    fn count(&self) {
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    fn remember(&self, line: &str) -> bool {
        let mut errors = self.connection_errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.remember(line, Instant::now())
    }

    fn say(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let verdict = {
            let mut repeats = self.repeats.lock().unwrap_or_else(PoisonError::into_inner);
            repeats.judge(message, Instant::now())
        };
        let Verdict::Say { left_out } = verdict else { return };
        let cluster = (!self.cluster.is_empty()).then_some(&*self.cluster);
        let repeated = (left_out > 0).then_some(left_out);
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "librdkafka", cluster, facility, repeated, "{message}");
            }
            RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "librdkafka", cluster, facility, repeated, "{message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", cluster, facility, repeated, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", cluster, facility, "{message}"),
        }
    }
}

impl ClientContext for Observer {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.count();
        // Lines of a thread begin with its name, which tells a reader nothing that the rest does not.
        let message = match message.split_once("]: ") {
            Some((thread, rest)) if thread.starts_with("[thrd:") => rest,
            _ => message,
        };
        if facility == CONNECTION_FAILED {
            self.remember(message);
            // The calls that fail for it say so, and a connection that nobody needs may close.
            return self.say(RDKafkaLogLevel::Debug, facility, message);
        }
        if facility == REQUESTS_TIMED_OUT {
            // So do the calls that those requests were made for.
            return self.say(RDKafkaLogLevel::Debug, facility, message);
        }
        self.say(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.count();
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match tally.take(statistics) {
            Ok(stats) => {
                let mut errors = self.connection_errors.lock().unwrap_or_else(PoisonError::into_inner);
                stats.brokers.iter().filter(|known| known.is_up).for_each(|known| errors.forget(known.broker));
                self.stats.store(Arc::new(stats));
            }
            Err(error) => self.say(
                RDKafkaLogLevel::Warning,
                "STATS",
                &format!("librdkafka's statistics cannot be read, connection metrics stand still: {error}"),
            ),
        }
    }

    /// Connection errors come as log lines too; what else there is says less than the failed calls do.
    fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
        self.count();
        if !self.remember(reason) {
            self.say(RDKafkaLogLevel::Debug, "ERROR", &format!("{error}: {reason}"));
        }
    }
}

impl ConsumerContext for Observer {}
