//! The client of one cluster: calls go to librdkafka without blocking, answers come back from its poll thread.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::error::Failure;
use super::native::{Event, Handle, Manner};
use super::observer::Observer;
use super::settings::creation_error;
use super::threads::{MetadataAnswer, Shared};
use super::{Cause, ClientSettings, GroupReply, KafkaApi, KafkaError, Operation, Target};
use crate::model::{
    BrokerId, ClusterDescription, ClusterMetadata, CommittedOffsets, ConnectionStats, GroupListing, KafkaCode,
    ListedPartition, OffsetSpec, TimedPartition, TopicDescription, TopicPartitions, TopicRows, TopicTimes,
};

/// How long `close` waits for librdkafka's threads.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// What is added to twice the request time-out before a call is given up: a call can be two requests, one after another.
const GRACE: Duration = Duration::from_secs(3);
/// How long a broker has to show that it is awake.
const PING_LIMIT: Duration = Duration::from_secs(1);
/// How many brokers are asked to show it.
const MAX_PINGS: usize = 16;
/// No broker has this id.
const NO_BROKER: i32 = -1;

/// A long-lived client of one cluster, with one connection to each broker.
///
/// Dropping it never blocks: its threads take it down by themselves. After `close` every call answers [`Cause::Closed`].
pub struct KafkaClient {
    shared: Arc<Shared>,
    observer: Arc<Observer>,
    request_timeout: Duration,
    /// The broker that answered Metadata last: cluster and topics are best described by one that is awake.
    awake: AtomicI32,
    /// Some of the brokers that the last metadata named.
    brokers: Mutex<Vec<BrokerId>>,
}

impl Drop for KafkaClient {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl KafkaClient {
    /// Sets up a client. Nothing is asked yet: the cluster may be away.
    ///
    /// # Errors
    /// When a property is wrong or the system gives no threads.
    pub fn connect(settings: &ClientSettings) -> Result<Self, KafkaError> {
        let config = settings.client_config()?;
        let consumer: BaseConsumer<Observer> = config
            .create_with_context(Observer::new(settings.cluster.clone()))
            .map_err(|error| creation_error(&error))?;
        // Ends the group's part of librdkafka before it has asked for a coordinator: see `own_properties`.
        consumer.close_queue().map_err(|error| creation_error(&error))?;
        let observer = consumer.context().clone();
        let shared = Handle::new(consumer).and_then(|handle| Shared::start(handle, &settings.cluster));
        Ok(Self {
            shared: shared.map_err(|failure| failure.of(Operation::Connect, Target::Cluster))?,
            observer,
            request_timeout: settings.timeout(),
            awake: AtomicI32::new(NO_BROKER),
            brokers: Mutex::default(),
        })
    }

    /// The newest connection statistics; empty until the first came, 10 s after the start.
    #[must_use]
    pub fn broker_stats(&self) -> Arc<ConnectionStats> {
        self.observer.stats()
    }

    /// How long ago the poll thread last turned: it turns several times a second, whatever the brokers do.
    #[must_use]
    pub fn poll_age(&self) -> Duration {
        self.shared.poll_age()
    }

    /// How often the poll thread panicked and went on; the panic itself is on standard error.
    #[must_use]
    pub fn poll_panics(&self) -> u64 {
        self.shared.panics()
    }

    /// Ends the client: calls in flight answer [`Cause::Closed`] at once. Waits for librdkafka for 2 s at most;
    /// what takes longer goes on in threads that nobody needs to wait for.
    pub async fn close(&self) {
        self.shared.stop();
        if timeout(CLOSE_LIMIT, self.shared.stopped()).await.is_err() {
            tracing::debug!("librdkafka still waits for connections to end; left alone");
        }
    }

    /// Whether librdkafka's threads and connections have ended.
    pub(super) fn is_gone(&self) -> bool {
        self.shared.is_stopped()
    }

    /// The broker to ask about the cluster and its topics; `None` lets librdkafka ask the controller.
    pub(super) fn awake(&self) -> Option<BrokerId> {
        Some(self.awake.load(Ordering::Relaxed)).filter(|id| *id != NO_BROKER).map(BrokerId)
    }

    /// Makes one call and waits for its answer.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: Question,
        submit: impl FnOnce(&Handle, &Manner) -> Result<(), Failure> + Send,
        read: fn(&Event) -> Result<T, Failure>,
    ) -> Result<T, KafkaError> {
        let Question { operation, target, broker, authorized_operations } = question;
        let fail = |cause| KafkaError { operation, target: target.clone(), cause };
        let (sender, receiver) = oneshot::channel();
        // Nobody waits any more when sending fails.
        let place = self.shared.pending.enter(Box::new(move |event| drop(sender.send(read(event))))).map_err(fail)?;
        let manner = Manner { key: place.key, timeout: self.request_timeout, broker, authorized_operations };
        self.shared
            .submit(|handle| submit(handle, &manner))
            .map_err(fail)?
            .map_err(|f| f.of(operation, target.clone()))?;
        match timeout(self.outer_limit(), receiver).await {
            Ok(Ok(answer)) => answer.map_err(|failure| self.explain(failure, operation, target)),
            Ok(Err(_)) => Err(fail(Cause::Closed)),
            Err(_) => Err(fail(Cause::NoAnswer)),
        }
    }

    /// Asks the broker that was awake last, and another the next time if it is silent.
    pub(super) async fn ask_awake<T: Send + 'static>(
        &self,
        operation: Operation,
        authorized_operations: bool,
        submit: impl FnOnce(&Handle, &Manner) -> Result<(), Failure> + Send,
        read: fn(&Event) -> Result<T, Failure>,
    ) -> Result<T, KafkaError> {
        let broker = self.awake();
        let target = broker.map_or(Target::Cluster, Target::Broker);
        let answer = self.ask(Question { operation, target, broker, authorized_operations }, submit, read).await;
        if answer.as_ref().is_err_and(KafkaError::is_silence) {
            self.awake.store(NO_BROKER, Ordering::Relaxed);
        }
        answer
    }

    fn outer_limit(&self) -> Duration {
        2 * self.request_timeout + GRACE
    }

    /// A leader did not answer a ListOffsets.
    fn silence(&self, leader: BrokerId) -> KafkaError {
        let failure =
            Failure { code: KafkaCode::LOCAL_TIMED_OUT, text: "the leader did not answer in time".to_owned() };
        self.explain(failure, Operation::ListOffsets, Target::Broker(leader))
    }

    /// Adds to a silence why the connection failed, when that is known.
    pub(super) fn explain(&self, failure: Failure, operation: Operation, target: Target) -> KafkaError {
        let reason = failure.code.is_silence().then(|| self.observer.connection_error(target.broker())).flatten();
        let reason = reason.map(|reason| format!("; last connection error: {reason}")).unwrap_or_default();
        // librdkafka marks errors of its own as local, which means nothing to who reads this.
        let failure = Failure { code: failure.code, text: failure.text.replace("Local: ", "") + &reason };
        failure.of(operation, target)
    }

    /// One Metadata request, and a second one if no answer came in a third of the time: librdkafka asks the broker that
    /// it used last, and that one may have frozen.
    async fn hedged_metadata(&self) -> Result<Result<MetadataAnswer, Failure>, Cause> {
        let limit = self.request_timeout;
        let mut first = self.shared.ask_metadata(limit)?;
        if let Ok(answer) = timeout(limit / 3, &mut first).await {
            return answer.map_err(|_| Cause::Closed);
        }
        tokio::select! {
            answer = &mut first => return answer.map_err(|_| Cause::Closed),
            () = self.use_awake_brokers() => {}
        }
        let mut second = self.shared.ask_metadata(limit / 2)?;
        let (early, late) = tokio::select! {
            answer = &mut first => (answer, second),
            answer = &mut second => (answer, first),
        };
        match early.map_err(|_| Cause::Closed)? {
            Ok(answer) => Ok(Ok(answer)),
            Err(_) => late.await.map_err(|_| Cause::Closed),
        }
    }

    /// Makes brokers that answer the ones that were used last. librdkafka tells times of use apart by whole seconds.
    async fn use_awake_brokers(&self) {
        let known = self.brokers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let begun = Instant::now();
        let pings = known.into_iter().map(|broker| async move { self.ping(broker).await.then_some(broker) });
        let awake: Vec<_> = join_all(pings).await.into_iter().flatten().collect();
        sleep_until(begun + PING_LIMIT + Duration::from_millis(100)).await;
        join_all(awake.into_iter().map(|broker| self.ping(broker))).await;
    }

    /// Whether a broker answers the smallest question that there is.
    async fn ping(&self, broker: BrokerId) -> bool {
        self.time_to_answer(Some(broker), PING_LIMIT).await.is_some()
    }

    /// How long a broker, or any (`None`), takes to answer the smallest question that there is; `None`: longer than
    /// `limit`. A refusal is an answer.
    pub(super) async fn time_to_answer(&self, broker: Option<BrokerId>, limit: Duration) -> Option<Duration> {
        let begun = Instant::now();
        let target = broker.map_or(Target::Cluster, Target::Broker);
        let question = Question { operation: Operation::DescribeCluster, target, broker, authorized_operations: false };
        let answer = timeout(limit, self.ask(question, Handle::describe_cluster, Event::cluster)).await.ok()?;
        let is_answer = answer.map_or_else(|error| error.was_asked() && !error.is_silence(), |_| true);
        is_answer.then(|| begun.elapsed())
    }
}

#[cfg(test)]
impl KafkaClient {
    /// Has the poll thread hang in an answer until the other end of `until` is dropped.
    pub(super) fn block_poll_thread(&self, until: std::sync::mpsc::Receiver<()>) {
        let place = self
            .shared
            .pending
            .enter(Box::new(move |_| {
                let _released = until.recv();
            }))
            .ok();
        let key = place.as_ref().map_or(0, |place| place.key);
        let manner = Manner { key, timeout: self.request_timeout, broker: None, authorized_operations: false };
        let sent = self.shared.submit(|handle| handle.describe_cluster(&manner));
        assert!(matches!(sent, Ok(Ok(()))));
        // The answer takes the place away.
        std::mem::forget(place);
    }
}

/// What is asked of whom.
pub(super) struct Question {
    /// The API.
    pub(super) operation: Operation,
    /// For the error text.
    pub(super) target: Target,
    /// The broker to send it to; `None` lets librdkafka choose.
    pub(super) broker: Option<BrokerId>,
    /// Whether to ask for authorized operations.
    pub(super) authorized_operations: bool,
}

impl Question {
    /// A question to one broker.
    pub(super) fn to(broker: BrokerId, operation: Operation) -> Self {
        Self { operation, target: Target::Broker(broker), broker: Some(broker), authorized_operations: false }
    }
}

impl KafkaApi for KafkaClient {
    async fn metadata(&self) -> Result<ClusterMetadata, KafkaError> {
        let fail = |cause| KafkaError { operation: Operation::Metadata, target: Target::Cluster, cause };
        let answer = tokio::select! {
            answer = timeout(self.outer_limit(), self.hedged_metadata()) => answer,
            () = self.shared.stopping() => return Err(fail(Cause::Closed)),
        };
        match answer.map_err(|_| fail(Cause::NoAnswer))?.map_err(fail)? {
            Ok((metadata, answered)) => {
                self.awake.store(answered.0, Ordering::Relaxed);
                let brokers = metadata.brokers.iter().take(MAX_PINGS).map(|broker| broker.id).collect();
                *self.brokers.lock().unwrap_or_else(PoisonError::into_inner) = brokers;
                Ok(metadata)
            }
            Err(failure) => Err(self.explain(failure, Operation::Metadata, Target::Cluster)),
        }
    }

    async fn describe_cluster(&self) -> Result<ClusterDescription, KafkaError> {
        self.ask_awake(Operation::DescribeCluster, false, Handle::describe_cluster, Event::cluster).await
    }

    async fn describe_topics(&self, topics: &[Arc<str>]) -> Result<Vec<TopicDescription>, KafkaError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let submit = |handle: &Handle, manner: &Manner| handle.describe_topics(manner, topics);
        self.ask_awake(Operation::DescribeTopics, false, submit, Event::topics).await
    }

    async fn list_groups(&self, broker: BrokerId) -> Result<Vec<GroupListing>, KafkaError> {
        self.ask(Question::to(broker, Operation::ListGroups), Handle::list_groups, Event::listings).await
    }

    async fn describe_groups(&self, coordinator: BrokerId, groups: &[Arc<str>]) -> Result<Vec<GroupReply>, KafkaError> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let submit = |handle: &Handle, manner: &Manner| handle.describe_groups(manner, groups);
        let rows = self.ask(Question::to(coordinator, Operation::DescribeGroups), submit, Event::groups).await?;
        let replies = rows.into_iter().map(|(group, description)| {
            let target = Target::Group(group.clone(), coordinator);
            let description = description.map_err(|failure| self.explain(failure, Operation::DescribeGroups, target));
            GroupReply { group, description }
        });
        Ok(replies.collect())
    }

    async fn committed_offsets(
        &self,
        coordinator: BrokerId,
        group: &Arc<str>,
        partitions: Option<&[TopicPartitions]>,
    ) -> Result<CommittedOffsets, KafkaError> {
        if partitions.is_some_and(|topics| topics.iter().all(|topic| topic.partitions.is_empty())) {
            return Ok(CommittedOffsets::default());
        }
        let mut question = Question::to(coordinator, Operation::OffsetFetch);
        question.target = Target::Group(group.clone(), coordinator);
        let submit = |handle: &Handle, manner: &Manner| handle.committed_offsets(manner, group, partitions);
        self.ask(question, submit, Event::commits).await
    }

    async fn list_offsets(
        &self,
        leader: BrokerId,
        spec: OffsetSpec,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<TopicRows<ListedPartition>>, KafkaError> {
        if partitions.iter().all(|topic| topic.partitions.is_empty()) {
            return Ok(Vec::new());
        }
        let mut question = Question::to(leader, Operation::ListOffsets);
        // librdkafka finds the leaders by itself; a broker set here would get the partitions of all.
        question.broker = None;
        let submit = |handle: &Handle, manner: &Manner| handle.list_offsets(manner, spec, partitions);
        match self.ask(question, submit, Event::offsets).await {
            // None of the partitions has a leader, which says nothing of the broker.
            Err(error) if error.code() == Some(KafkaCode::LOCAL_NOENT) => Ok(leaderless(partitions)),
            Ok(rows) if is_silence(&rows, |row| row.offset.err()) => Err(self.silence(leader)),
            answer => answer,
        }
    }

    async fn offsets_at(
        &self,
        leader: BrokerId,
        times: &[TopicTimes],
    ) -> Result<Vec<TopicRows<TimedPartition>>, KafkaError> {
        if times.iter().all(|topic| topic.partitions.is_empty()) {
            return Ok(Vec::new());
        }
        let mut question = Question::to(leader, Operation::ListOffsets);
        // As in `list_offsets`.
        question.broker = None;
        let submit = |handle: &Handle, manner: &Manner| handle.offsets_at(manner, times);
        match self.ask(question, submit, Event::times).await {
            Err(error) if error.code() == Some(KafkaCode::LOCAL_NOENT) => Ok(timeless(times)),
            Ok(rows) if is_silence(&rows, |row| row.found.err()) => Err(self.silence(leader)),
            answer => answer,
        }
    }
}

/// librdkafka tells of a leader that never answered by rows without an offset and without an error.
fn is_silence<R>(rows: &[TopicRows<R>], failure: impl Fn(&R) -> Option<KafkaCode>) -> bool {
    rows.iter().flat_map(|topic| &topic.rows).all(|row| failure(row) == Some(KafkaCode::LOCAL_NO_OFFSET))
}

fn leaderless(partitions: &[TopicPartitions]) -> Vec<TopicRows<ListedPartition>> {
    let row = |partition: &_| ListedPartition { partition: *partition, offset: Err(KafkaCode::LEADER_NOT_AVAILABLE) };
    let rows = |topic: &TopicPartitions| topic.partitions.iter().map(row).collect();
    partitions.iter().map(|topic| TopicRows { topic: topic.topic.clone(), rows: rows(topic) }).collect()
}

fn timeless(times: &[TopicTimes]) -> Vec<TopicRows<TimedPartition>> {
    let row =
        |(partition, _): &_| TimedPartition { partition: *partition, found: Err(KafkaCode::LEADER_NOT_AVAILABLE) };
    let rows = |topic: &TopicTimes| topic.partitions.iter().map(row).collect();
    times.iter().map(|topic| TopicRows { topic: topic.topic.clone(), rows: rows(topic) }).collect()
}
