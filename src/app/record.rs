//! `kafkascope record`: polls the clusters as the daemon does, and writes what is read as lines that can be replayed.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;

use super::cluster;
use super::poll::PassLog;
use super::stop::Signals;
use crate::collect::{CallLimits, Clock, CommitEvent, CpuMeter, PollSettings, Poller, SystemClock};
use crate::config::{Cluster, Config};
use crate::kafka::{CommitFeed, KafkaError, KafkaPool};
use crate::metrics::ClusterSource;
use crate::replay::{Recorder, TimedCommit};
use crate::schedule::Rhythm;
use crate::state::{Collectors, World};

/// How long the end waits for the clients: what hangs in librdkafka must not hold it up.
const CLOSE: Duration = Duration::from_secs(3);
/// How often commits are taken out of the queue in which they are read.
const TURN: Duration = Duration::from_secs(1);

/// Why recording ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// A cluster's client cannot be set up.
    #[error("cluster {cluster}: {error}")]
    Client {
        /// The cluster.
        cluster: String,
        /// What is wrong.
        error: KafkaError,
    },
    /// The recording cannot be written.
    #[error("the recording cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The recording is as large as it may be.
    #[error(
        "the recording has {0} bytes, as many as it may have: record for a shorter time, fewer topics, or more bytes"
    )]
    Full(u64),
    /// The system refused signal handlers.
    #[error("the system refused what recording needs: {0}")]
    System(#[source] io::Error),
}

/// Where the lines go, one after the other in the order of time.
struct Sink<W> {
    out: W,
    /// The time of the last line.
    t: i64,
    left: u64,
    limit: u64,
}

impl<W: Write> Sink<W> {
    /// Writes what lines say at a time, which is not before that of the last ones.
    fn write(&mut self, now: i64, lines: impl FnOnce(i64) -> io::Result<Vec<u8>>) -> Result<(), RecordError> {
        self.t = self.t.max(now).max(0);
        let text = lines(self.t).map_err(RecordError::Write)?;
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(length).ok_or(RecordError::Full(self.limit))?;
        self.out.write_all(&text).and_then(|()| self.out.flush()).map_err(RecordError::Write)
    }
}

/// How long and how much is recorded at most.
#[derive(Debug, Clone, Copy)]
pub struct RecordLimits {
    /// How long; `None`: until a signal comes.
    pub duration: Option<Duration>,
    /// How many bytes.
    pub bytes: u64,
}

/// Records until it has taken long enough, or until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start, or the recording cannot be written on. That a cluster cannot be reached is none: the log says so.
pub async fn record(config: &Config, out: impl Write + Send, limits: RecordLimits) -> Result<(), RecordError> {
    let mut signals = Signals::install().map_err(RecordError::System)?;
    let (calls, cpu) = (CallLimits::new(config.polling.max_in_flight), Arc::<CpuMeter>::default());
    let mut recorded = Vec::new();
    for cluster in &config.clusters {
        recorded.push(Recorded::connect(cluster, config, &calls, &cpu)?);
    }
    let sink = Mutex::new(Sink { out, t: 0, left: limits.bytes, limit: limits.bytes });
    let clients: Vec<Arc<KafkaPool>> = recorded.iter().map(|cluster| cluster.client.clone()).collect();
    let recording = try_join_all(recorded.into_iter().map(|cluster| cluster.record(&sink)));
    let tending = futures_util::future::join_all(clients.iter().map(|client| client.tend()));
    let enough = async {
        match limits.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        ended = recording => ended.map(|_: Vec<()>| ()),
        _ = tending => Ok(()),
        () = enough => Ok(()),
        signal = signals.first() => {
            tracing::info!(signal, "recording ends");
            Ok(())
        }
    };
    let closing = futures_util::future::join_all(clients.iter().map(|client| client.close()));
    if tokio::time::timeout(CLOSE, closing).await.is_err() {
        tracing::warn!("a client did not close within {} s; the recording is whole", CLOSE.as_secs());
    }
    outcome
}

/// One cluster that is recorded.
struct Recorded {
    client: Arc<KafkaPool>,
    source: ClusterSource,
    settings: PollSettings,
}

impl Recorded {
    fn connect(
        cluster: &Cluster,
        config: &Config,
        calls: &Arc<CallLimits>,
        cpu: &Arc<CpuMeter>,
    ) -> Result<Self, RecordError> {
        let failed = |error| RecordError::Client { cluster: cluster.display_name().to_owned(), error };
        let client = Arc::new(cluster::connect(cluster, &config.polling).map_err(failed)?);
        let stream = cluster::stream(cluster, &config.polling).map_err(failed)?;
        let mut settings = cluster::poll_settings(cluster, config, calls, cpu);
        settings.commit_feed = stream.map(|stream| stream as Arc<dyn CommitFeed>);
        Ok(Self { client, source: cluster::source(cluster), settings })
    }

    /// Polls for ever, and writes what each pass has read.
    async fn record<W: Write>(self, sink: &Mutex<Sink<W>>) -> Result<(), RecordError> {
        let clock = SystemClock::start();
        let mut recorder = Recorder::new(self.source.name.as_deref(), World::new(Collectors::new(|_| true)));
        let mut poller = Poller::new(self.client.clone(), clock, self.settings, None);
        let mut log = PassLog::default();
        loop {
            // Nobody scrapes a recording: it is polled as if somebody did all the time.
            let rhythm = Rhythm { last: Some(clock.now().moment), ..Rhythm::default() };
            let wait = poller.next_tick(&rhythm).since(clock.now().moment);
            if wait > TURN && poller.stream_health().is_some() {
                tokio::time::sleep(TURN).await;
                poller.drain_stream();
                continue;
            }
            tokio::time::sleep(wait).await;
            let report = poller.tick().await;
            if !report.has_asked() {
                continue;
            }
            log.write(&self.source, poller.world(), &report, clock.now().moment);
            let commits: Vec<TimedCommit> = poller.take_commit_events().into_iter().map(timed).collect();
            let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
            sink.write(clock.now().wall.0, |t| Ok(recorder.lines(poller.world(), &commits, t)?))?;
        }
    }
}

fn timed(event: CommitEvent) -> TimedCommit {
    let CommitEvent { group, topic, partition, offset, at } = event;
    TimedCommit { group, topic, partition, offset, at }
}
