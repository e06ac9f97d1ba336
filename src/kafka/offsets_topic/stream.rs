//! The consumer of `__consumer_offsets`: one thread that reads from the end on, and hands on what it reads.
//!
//! It has a `group.id`, because librdkafka assigns nothing without one, and joins no group: partitions are assigned by
//! hand, and nothing is committed. How far it has come is told by librdkafka's statistics, which hold the position and
//! the high watermark of each partition as of the same answer.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError as NativeError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, ClientContext, Offset as Start, TopicPartitionList};
use tokio::sync::watch;
use tokio::time::timeout;

use super::health::{Observation, PartitionTrack};
use super::statistics::{Document, FETCH_WAIT};
use super::{CommitFeed, FeedHealth, OFFSETS_TOPIC, OffsetsRecord, PartitionHealth, decode};
use crate::kafka::settings::creation_error;
use crate::kafka::{Cause, ClientSettings, KafkaError, Operation, Target};
use crate::model::StreamState;

/// Records that wait to be taken; when there are so many, reading stops until there is room.
const MAX_WAITING: usize = 65_536;
/// What librdkafka reads ahead, in kilobytes.
const READ_AHEAD_KB: u32 = 8 * 1024;
/// What one answer of a broker may hold, in bytes. librdkafka raises it where a single record is larger.
const MAX_ANSWER: u32 = 4 * 1024 * 1024;
/// How often librdkafka tells positions and high watermarks.
const STATISTICS_EVERY: Duration = Duration::from_secs(1);
/// How long the thread waits for a record before it looks whether it is to end.
const POLL: Duration = Duration::from_millis(100);
/// How long Kafka may take to say which partitions there are.
const METADATA: Duration = Duration::from_secs(5);
/// The pause before another attempt: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long `close` waits for the thread.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// librdkafka wants a socket's time-out to be so much longer than what a broker may hold an answer back.
const SOCKET_TIMEOUT_ABOVE_WAIT: Duration = Duration::from_millis(1500);

/// Reads the commits of one cluster as they are written. Dropping it ends it without waiting.
pub struct OffsetsStream {
    shared: Arc<Shared>,
}

impl fmt::Debug for OffsetsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OffsetsStream").finish_non_exhaustive()
    }
}

/// What the thread and its owner share.
struct Shared {
    cluster: Arc<str>,
    waiting: Mutex<VecDeque<OffsetsRecord>>,
    room: Condvar,
    tracks: Mutex<Tracks>,
    overtaking: Mutex<Option<Overtaking>>,
    undecodable: AtomicU64,
    is_stopping: AtomicBool,
    stopped: watch::Sender<bool>,
}

/// How far the partitions are read.
#[derive(Default)]
struct Tracks {
    life: u64,
    partitions: Vec<PartitionTrack>,
    failure: Option<String>,
}

/// What statistics told, while records wait that were read before them: librdkafka hands statistics on ahead of records.
struct Overtaking {
    at: Instant,
    seen: Vec<(usize, Observation)>,
    /// How many things are still to be served before all that was read by then is handed on.
    before: usize,
    /// Whether it came in the poll that has just ended: then that poll may have ended for it, with records waiting.
    is_new: bool,
}

/// Plain data: a panic while it was locked leaves it usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OffsetsStream {
    /// Begins to read. Kafka may be away.
    ///
    /// # Errors
    /// When a property is wrong or the system gives no thread.
    pub fn start(settings: &ClientSettings) -> Result<Self, KafkaError> {
        let shared = Arc::new(Shared::new(settings.cluster.clone()));
        let consumer: BaseConsumer<Context> =
            properties(settings)?.create_with_context(Context(shared.clone())).map_err(|e| creation_error(&e))?;
        // A thread's name cannot hold a NUL.
        let thread = Builder::new().name(format!("offsets {}", settings.cluster.replace('\0', "")));
        let own = shared.clone();
        thread.spawn(move || own.run(consumer)).map_err(|error| KafkaError {
            operation: Operation::Connect,
            target: Target::Cluster,
            cause: Cause::Property(format!("the system gives no thread to read {OFFSETS_TOPIC}: {error}")),
        })?;
        Ok(Self { shared })
    }

    /// Ends it, and waits for 2 s at most; what takes longer goes on in a thread that nobody needs to wait for.
    pub async fn close(&self) {
        self.shared.stop();
        let mut stopped = self.shared.stopped.subscribe();
        if timeout(CLOSE_LIMIT, stopped.wait_for(|stopped| *stopped)).await.is_err() {
            tracing::debug!("the consumer of {OFFSETS_TOPIC} still waits for connections to end; left alone");
        }
    }
}

impl Drop for OffsetsStream {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl CommitFeed for OffsetsStream {
    fn health(&self) -> FeedHealth {
        let now = Instant::now();
        let tracks = lock(&self.shared.tracks);
        let health = |track: &PartitionTrack| match tracks.failure {
            None => track.health(now),
            Some(_) => PartitionHealth { state: StreamState::Failed, complete_age: None, ..track.health(now) },
        };
        FeedHealth {
            life: tracks.life,
            partitions: tracks.partitions.iter().map(health).collect(),
            failure: tracks.failure.clone(),
            undecodable: self.shared.undecodable.load(Ordering::Relaxed),
        }
    }

    fn take(&self) -> Vec<OffsetsRecord> {
        let taken = std::mem::take(&mut *lock(&self.shared.waiting));
        self.shared.room.notify_all();
        taken.into()
    }
}

/// What differs from the cluster's other clients.
fn properties(settings: &ClientSettings) -> Result<ClientConfig, KafkaError> {
    let mut config = settings.client_config()?;
    let timeout = config.get("socket.timeout.ms").and_then(|text| text.parse().ok()).map(Duration::from_millis);
    let timeout = timeout.unwrap_or_default().max(FETCH_WAIT + SOCKET_TIMEOUT_ABOVE_WAIT);
    for (name, value) in [
        ("isolation.level", "read_committed".to_owned()),
        ("enable.auto.commit", "false".to_owned()),
        ("enable.auto.offset.store", "false".to_owned()),
        // A position that is gone means that commits were missed: that must be noticed, not skipped.
        ("auto.offset.reset", "error".to_owned()),
        ("fetch.wait.max.ms", FETCH_WAIT.as_millis().to_string()),
        ("fetch.max.bytes", MAX_ANSWER.to_string()),
        ("queued.max.messages.kbytes", READ_AHEAD_KB.to_string()),
        ("queued.min.messages", "10000".to_owned()),
        ("statistics.interval.ms", STATISTICS_EVERY.as_millis().to_string()),
        ("socket.timeout.ms", timeout.as_millis().to_string()),
        // Leaders are looked up again by themselves: nobody else asks for them on these connections.
        ("topic.metadata.refresh.interval.ms", "60000".to_owned()),
    ] {
        config.set(name, value);
    }
    Ok(config)
}

/// What a topic-wide refusal comes to, in words; `None`: librdkafka goes on by itself.
fn end_of_session(code: RDKafkaErrorCode) -> Option<String> {
    match code {
        RDKafkaErrorCode::TopicAuthorizationFailed => {
            Some(format!("the exporter's user is not allowed to read it: grant READ on the topic {OFFSETS_TOPIC}"))
        }
        RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownPartition
        | RDKafkaErrorCode::UnknownTopicOrPartition => Some("it does not exist any more".to_owned()),
        RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
            Some("it was truncated or created anew: reading begins again at its end".to_owned())
        }
        _ => None,
    }
}

impl Shared {
    fn new(cluster: Arc<str>) -> Self {
        Self {
            cluster,
            waiting: Mutex::default(),
            room: Condvar::new(),
            tracks: Mutex::default(),
            overtaking: Mutex::default(),
            undecodable: AtomicU64::new(0),
            is_stopping: AtomicBool::new(false),
            stopped: watch::Sender::new(false),
        }
    }

    fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
        self.room.notify_all();
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// The thread.
    fn run(&self, consumer: BaseConsumer<Context>) {
        let mut pause = RETRY.0;
        while !self.is_stopping() {
            let mut has_read = false;
            let session = AssertUnwindSafe(|| self.session(&consumer, &mut has_read));
            let failure = match panic::catch_unwind(session) {
                Ok(Ok(())) => break,
                Ok(Err(failure)) => failure,
                Err(_) => "the thread that reads it panicked and begins anew".to_owned(),
            };
            self.fail(failure);
            drop(consumer.unassign());
            pause = if has_read { RETRY.0 } else { (pause * 2).min(RETRY.1) };
            self.rest(&consumer, pause);
        }
        // Closes the consumer: takes seconds at most, for there is no group to leave.
        drop(consumer);
        self.stopped.send_replace(true);
    }

    /// Reads until it is to end, or until something fails that reading on does not mend.
    fn session(&self, consumer: &BaseConsumer<Context>, has_read: &mut bool) -> Result<(), String> {
        let partitions = partitions(consumer)?;
        let mut assignment = TopicPartitionList::with_capacity(partitions);
        for partition in (0..partitions).filter_map(|number| i32::try_from(number).ok()) {
            let added = assignment.add_partition_offset(OFFSETS_TOPIC, partition, Start::End);
            added.map_err(|error| format!("librdkafka takes no partition {partition} of it: {error}"))?;
        }
        // Before the assignment, so that nothing of it is seen as part of the life before.
        self.begin(partitions);
        consumer.assign(&assignment).map_err(|error| format!("librdkafka does not assign it: {error}"))?;
        while !self.is_stopping() {
            let polled = consumer.poll(POLL);
            let is_empty = polled.is_none();
            match polled {
                Some(Ok(message)) => self.take_in(message.key(), message.payload()),
                Some(Err(NativeError::MessageConsumption(code) | NativeError::MessageConsumptionFatal(code))) => {
                    end_of_session(code).map_or(Ok(()), Err)?;
                    tracing::debug!(cluster = &*self.cluster, "reading {OFFSETS_TOPIC}: {code}");
                }
                Some(Err(error)) => tracing::debug!(cluster = &*self.cluster, "reading {OFFSETS_TOPIC}: {error}"),
                None => {}
            }
            self.served(is_empty);
            *has_read = *has_read || self.clear_failure();
        }
        Ok(())
    }

    /// Waits before another attempt, while logs and errors are served.
    fn rest(&self, consumer: &BaseConsumer<Context>, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.is_stopping() {
            drop(consumer.poll(POLL));
        }
    }

    fn begin(&self, partitions: usize) {
        let now = Instant::now();
        // What is left of the life before is not of this one.
        lock(&self.waiting).clear();
        *lock(&self.overtaking) = None;
        let mut tracks = lock(&self.tracks);
        tracks.life += 1;
        tracks.partitions = vec![PartitionTrack::new(now); partitions];
    }

    fn fail(&self, failure: String) {
        tracing::debug!(cluster = &*self.cluster, "{OFFSETS_TOPIC} is not read: {failure}");
        lock(&self.tracks).failure = Some(failure);
    }

    /// A failure is over as soon as something was read. Whether it is.
    fn clear_failure(&self) -> bool {
        let mut tracks = lock(&self.tracks);
        let now = Instant::now();
        let is_read = tracks.partitions.iter().any(|track| track.health(now).complete_age.is_some());
        if is_read {
            tracks.failure = None;
        }
        is_read
    }

    /// Hands a record on; waits while nobody takes any.
    fn take_in(&self, key: Option<&[u8]>, value: Option<&[u8]>) {
        let record = match decode(key, value) {
            Ok(Some(record)) => record,
            Ok(None) => return,
            Err(error) => {
                if self.undecodable.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(
                        cluster = &*self.cluster,
                        "a record of {OFFSETS_TOPIC} cannot be read ({error}): this and more like it are left out; \
                         a newer Kafka may write what this version does not know: commits: poll needs none of it"
                    );
                }
                return;
            }
        };
        let mut waiting = lock(&self.waiting);
        while waiting.len() >= MAX_WAITING && !self.is_stopping() {
            waiting = self.room.wait_timeout(waiting, POLL).map_or_else(|error| error.into_inner().0, |(held, _)| held);
        }
        waiting.push_back(record);
    }

    /// Takes in a statistics document. It counts once what was read before it is handed on, see [`Self::served`].
    fn observe(&self, document: &[u8]) {
        let at = Instant::now();
        match Document::read(document) {
            Ok(document) => {
                let (seen, before) = (document.observations(at).collect(), document.waiting());
                // One that still waits stays: with ever newer ones in its place none would come to count.
                lock(&self.overtaking).get_or_insert(Overtaking { at, seen, before, is_new: true });
            }
            Err(error) => tracing::debug!(cluster = &*self.cluster, "librdkafka's statistics cannot be read: {error}"),
        }
    }

    /// Takes note that a poll has ended: one more thing that had waited was served, or nothing waits (`is_empty`).
    fn served(&self, is_empty: bool) {
        let mut overtaking = lock(&self.overtaking);
        let Some(held) = overtaking.as_mut() else { return };
        let is_new = std::mem::take(&mut held.is_new);
        match is_empty {
            true if is_new => {}
            true => held.before = 0,
            false => held.before = held.before.saturating_sub(1),
        }
        let Some(seen) = overtaking.take_if(|held| held.before == 0) else { return };
        let mut tracks = lock(&self.tracks);
        for (partition, observation) in seen.seen {
            if let Some(track) = tracks.partitions.get_mut(partition) {
                track.observe(observation, seen.at);
            }
        }
    }
}

/// How many partitions the topic has.
fn partitions(consumer: &BaseConsumer<Context>) -> Result<usize, String> {
    // Of all topics: rdkafka frees the name of a single one before it is sent.
    let metadata = consumer.fetch_metadata(None, METADATA).map_err(|error| format!("no metadata: {error}"))?;
    let topic = metadata.topics().iter().find(|topic| topic.name() == OFFSETS_TOPIC);
    let count = topic.map_or(0, |topic| topic.partitions().len());
    if count == 0 {
        return Err(format!(
            "it is not to be seen: no group has committed yet, or the exporter's user lacks DESCRIBE and READ on the \
             topic {OFFSETS_TOPIC}"
        ));
    }
    Ok(count)
}

/// What librdkafka says unasked. It is called on the stream's own thread, within `poll`.
struct Context(Arc<Shared>);

impl ClientContext for Context {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        // The cluster's other clients say the same, to those who are to hear it.
        tracing::debug!(target: "librdkafka", cluster = &*self.0.cluster, facility, "{message}");
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.observe(statistics);
    }

    fn error(&self, error: NativeError, reason: &str) {
        tracing::debug!(target: "librdkafka", cluster = &*self.0.cluster, "{error}: {reason}");
    }
}

impl ConsumerContext for Context {}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// Statistics of a single partition that is read to its end, while so many records wait.
    fn statistics(waiting: usize) -> String {
        format!(
            r#"{{"brokers":{{"b:1/1":{{"nodeid":1,"source":"learned","state":"UP","rxidle":0}}}},
            "topics":{{"__consumer_offsets":{{"partitions":{{"0":{{"broker":1,"fetch_state":"active",
            "fetchq_cnt":{waiting},"next_offset":9,"hi_offset":9}}}}}}}}}}"#
        )
    }

    #[test]
    fn what_waits_to_be_handed_on_is_not_complete() {
        let stream = OffsetsStream { shared: Arc::new(Shared::new("test".into())) };
        stream.shared.begin(1);
        let is_complete = || stream.health().partitions[0].complete_age.is_some();
        stream.shared.observe(statistics(3).as_bytes());
        for _ in 0..2 {
            stream.shared.served(false);
            assert!(!is_complete());
            // Newer ones do not put it off.
            stream.shared.observe(statistics(1000).as_bytes());
        }
        stream.shared.served(false);
        assert!(is_complete());

        stream.shared.begin(1);
        stream.shared.observe(statistics(3).as_bytes());
        stream.shared.served(true);
        assert!(!is_complete(), "the poll ended for the statistics");
        stream.shared.served(true);
        assert!(is_complete(), "nothing waits any more");
    }

    #[test]
    fn with_nothing_waiting_statistics_count_at_once() {
        let stream = OffsetsStream { shared: Arc::new(Shared::new("test".into())) };
        stream.shared.begin(1);
        stream.shared.observe(statistics(0).as_bytes());
        stream.shared.served(false);
        assert!(stream.health().partitions[0].complete_age.is_some());
    }
}
