//! The way every call takes: past the broker's breaker, within the bounds on calls in flight.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::Clock;
use super::limits::ClusterLimit;
use crate::kafka::{Cause, KafkaError, Operation, Target};
use crate::model::BrokerId;
use crate::schedule::Breakers;
use futures_util::stream;
use futures_util::{Stream, StreamExt};

/// Calls in flight to one broker at most. More gain nothing: librdkafka handles a client's answers on one thread, and a
/// broker handles one request per connection at a time.
const MAX_IN_FLIGHT_PER_BROKER: usize = 8;
/// With fewer, every call to a broker would wait for the one before.
const MIN_IN_FLIGHT_PER_BROKER: usize = 2;
/// One broker takes at most this part of the cluster's calls in flight, so that silent ones leave room for the others.
const BROKER_SHARE: usize = 4;

/// Lets calls through to Kafka, or not.
pub(super) struct Asker<K> {
    pub(super) api: Arc<K>,
    limit: Arc<ClusterLimit>,
    clock: Arc<dyn Clock>,
    breakers: Mutex<Breakers>,
}

impl<K> fmt::Debug for Asker<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").field("limit", &self.limit).field("breakers", &self.breakers).finish_non_exhaustive()
    }
}

impl<K> Asker<K> {
    /// `limit` bounds the calls to all brokers of the cluster together; `seed` is of the breakers' jitter.
    pub(super) fn new(api: Arc<K>, limit: Arc<ClusterLimit>, clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self { api, limit, clock, breakers: Mutex::new(Breakers::new(seed)) }
    }

    /// How many calls one broker may have in flight.
    fn per_broker(&self) -> usize {
        (self.limit.slots() / BROKER_SHARE).clamp(MIN_IN_FLIGHT_PER_BROKER, MAX_IN_FLIGHT_PER_BROKER)
    }

    /// A call to the broker met silence: it is left alone from now on.
    pub(super) fn silent(&self, broker: BrokerId) {
        self.breakers().silent(broker, self.clock.now().moment);
    }

    /// The breakers. They are plain data: a panic while they were locked leaves them usable.
    pub(super) fn breakers(&self) -> MutexGuard<'_, Breakers> {
        self.breakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call to no broker in particular.
    ///
    /// # Errors
    /// The call's own.
    pub(super) async fn cluster<T>(&self, call: impl Future<Output = Result<T, KafkaError>>) -> Result<T, KafkaError> {
        let _permit = self.limit.enter().await;
        call.await
    }

    /// Makes a call to one broker, unless that was silent lately. Silence trips the breaker.
    ///
    /// # Errors
    /// The call's own, or `NotAsked`.
    pub(super) async fn broker<T>(
        &self,
        operation: Operation,
        target: Target,
        call: impl Future<Output = Result<T, KafkaError>>,
    ) -> Result<T, KafkaError> {
        let not_asked = |target| Err(KafkaError { operation, target, cause: Cause::NotAsked });
        let Some(broker) = target.broker() else { return self.cluster(call).await };
        if !self.breakers().lets_through(broker) {
            return not_asked(target);
        }
        let _permit = self.limit.enter().await;
        // It may have been found silent while this call waited for its turn.
        if !self.breakers().lets_through(broker) {
            return not_asked(target);
        }
        let result = call.await;
        if result.as_ref().is_err_and(KafkaError::is_silence) {
            self.silent(broker);
        }
        result
    }

    /// Runs calls broker by broker, the brokers side by side: a slow one does not stand in the way of another's calls.
    /// Answers come as they arrive, so that who takes them in at once need not hold them all.
    pub(super) fn answers<C, F, R>(
        &self,
        calls: BTreeMap<BrokerId, Vec<C>>,
        run: impl Fn(BrokerId, C) -> F + Clone,
    ) -> impl Stream<Item = R>
    where
        F: Future<Output = R>,
    {
        let per_broker = self.per_broker();
        let queues = calls.into_iter().map(move |(broker, calls)| {
            let run = run.clone();
            stream::iter(calls).map(move |call| run(broker, call)).buffer_unordered(per_broker)
        });
        // Every stream of the selection is bounded by itself, and all together by the limit.
        stream::select_all(queues.map(Box::pin))
    }

    /// All of the answers at once.
    pub(super) async fn each_broker<C, F, R>(
        &self,
        calls: BTreeMap<BrokerId, Vec<C>>,
        run: impl Fn(BrokerId, C) -> F + Clone,
    ) -> Vec<R>
    where
        F: Future<Output = R>,
    {
        self.answers(calls, run).collect().await
    }
}
