//! One handle of the pool: its client, its calls in flight, and how they fared.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::health::{Suspect, WATCHED};
use crate::kafka::{KafkaApi, KafkaClient, KafkaError};
use crate::model::{BrokerId, ConnectionStats};

/// What the pool needs of a client beside its answers.
pub trait PooledClient: KafkaApi {
    /// The newest connection statistics; empty until the first came.
    fn broker_stats(&self) -> Arc<ConnectionStats>;
    /// How long ago the poll thread last turned.
    fn poll_age(&self) -> Duration;
    /// How often the poll thread panicked and went on.
    fn poll_panics(&self) -> u64;
    /// How long a broker, or any (`None`), took to answer the smallest question; `None` when it did not within `limit`.
    fn ping(&self, broker: Option<BrokerId>, limit: Duration) -> impl Future<Output = Option<Duration>> + Send;
    /// Ends it: calls in flight answer at once. Waits for a bounded time.
    fn close(&self) -> impl Future<Output = ()> + Send;
    /// Whether its threads and connections have ended.
    fn is_gone(&self) -> bool;
}

impl PooledClient for KafkaClient {
    fn broker_stats(&self) -> Arc<ConnectionStats> {
        Self::broker_stats(self)
    }

    fn poll_age(&self) -> Duration {
        Self::poll_age(self)
    }

    fn poll_panics(&self) -> u64 {
        Self::poll_panics(self)
    }

    async fn ping(&self, broker: Option<BrokerId>, limit: Duration) -> Option<Duration> {
        self.time_to_answer(broker, limit).await
    }

    async fn close(&self) {
        Self::close(self).await;
    }

    fn is_gone(&self) -> bool {
        Self::is_gone(self)
    }
}

/// A handle.
pub(super) struct Member<C> {
    pub(super) client: C,
    /// Of the last metadata that it told, see `print`.
    print: AtomicU64,
    calls: Mutex<Calls>,
}

struct Calls {
    /// By broker; `None` is any.
    in_flight: HashMap<Option<BrokerId>, usize>,
    total: usize,
    /// Calls in a row that met silence, by broker.
    silent: HashMap<Option<BrokerId>, u32>,
    last_used: Instant,
}

impl<C> Member<C> {
    /// A handle that was not used yet.
    pub(super) fn new(client: C) -> Self {
        let calls = Calls { in_flight: HashMap::new(), total: 0, silent: HashMap::new(), last_used: Instant::now() };
        Self { client, print: AtomicU64::new(0), calls: Mutex::new(calls) }
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last metadata that it told looked like.
    pub(super) fn print(&self) -> u64 {
        self.print.load(Ordering::Relaxed)
    }

    /// Takes note of metadata that it told.
    pub(super) fn set_print(&self, print: u64) {
        self.print.store(print, Ordering::Relaxed);
    }

    /// Calls in flight to one broker.
    pub(super) fn in_flight_to(&self, broker: Option<BrokerId>) -> usize {
        self.calls().in_flight.get(&broker).copied().unwrap_or_default()
    }

    /// Calls in flight to all brokers.
    pub(super) fn in_flight(&self) -> usize {
        self.calls().total
    }

    /// For how long nothing has been asked through it; `None` while a call is in flight.
    pub(super) fn idle(&self) -> Option<Duration> {
        let calls = self.calls();
        (calls.total == 0).then(|| calls.last_used.elapsed())
    }

    /// What makes a handle the worse choice for a call, the gravest first.
    pub(super) fn rank(&self, broker: Option<BrokerId>, print: u64) -> (bool, bool, usize, usize) {
        let calls = self.calls();
        let to_it = calls.in_flight.get(&broker).copied().unwrap_or_default();
        let is_behind = broker.is_some() && self.print() != print;
        (calls.silent.contains_key(&broker), is_behind, to_it, calls.total)
    }

    /// Begins a call.
    pub(super) fn begin(self: &Arc<Self>, broker: Option<BrokerId>) -> Turn<C> {
        let mut calls = self.calls();
        *calls.in_flight.entry(broker).or_default() += 1;
        calls.total += 1;
        calls.last_used = Instant::now();
        Turn { member: self.clone(), broker }
    }

    /// Those of whom two calls in a row or more heard nothing.
    pub(super) fn silent(&self, calls_in_a_row: u32) -> Vec<Suspect> {
        let calls = self.calls();
        let silent = calls.silent.iter().filter(|(_, count)| **count >= calls_in_a_row);
        silent.map(|(broker, _)| broker.map_or(Suspect::Cluster, Suspect::Broker)).collect()
    }

    /// Takes back what is held against a broker: it answered after all.
    pub(super) fn pardon(&self, broker: Option<BrokerId>) {
        self.calls().silent.remove(&broker);
    }

    /// Forgets brokers that left the cluster.
    pub(super) fn retain(&self, is_member: impl Fn(BrokerId) -> bool) {
        self.calls().silent.retain(|broker, _| broker.is_none_or(&is_member));
    }
}

/// A call in flight; it ends when this is dropped.
pub(super) struct Turn<C> {
    pub(super) member: Arc<Member<C>>,
    broker: Option<BrokerId>,
}

impl<C> Turn<C> {
    /// The client to ask.
    pub(super) fn client(&self) -> &C {
        &self.member.client
    }

    /// Takes note of how the call ended.
    pub(super) fn heard<T>(&self, answer: &Result<T, KafkaError>) {
        match answer {
            Err(error) if error.is_silence() => self.heard_nothing(),
            // Not put to Kafka, so it says nothing of the connection.
            Err(error) if !error.was_asked() => {}
            _ => self.member.pardon(self.broker),
        }
    }

    /// Takes note that no answer came.
    pub(super) fn heard_nothing(&self) {
        let silent = &mut self.member.calls().silent;
        if let Some(count) = silent.get_mut(&self.broker) {
            *count = count.saturating_add(1);
        } else if silent.len() < WATCHED {
            silent.insert(self.broker, 1);
        }
    }
}

impl<C> Drop for Turn<C> {
    fn drop(&mut self) {
        let mut calls = self.member.calls();
        calls.total = calls.total.saturating_sub(1);
        calls.last_used = Instant::now();
        if let Some(count) = calls.in_flight.get_mut(&self.broker) {
            *count -= 1;
            if *count == 0 {
                calls.in_flight.remove(&self.broker);
            }
        }
    }
}
