//! What goes wrong at one broker: latency, freezing, and answers that are errors or do not come.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::api::Api;

/// How many injected faults wait at one broker; more are refused.
const MAX_INJECTED: usize = 1_024;

/// What happens to a request instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The answer carries this Kafka error code, where the API has a place for it.
    Error(i16),
    /// No answer ever comes; later requests on the connection are answered.
    Silence,
    /// The connection is closed.
    Hangup,
    /// The first half of the answer comes, then the connection is closed.
    HalfAnswer,
}

/// What a broker does as a coordinator while it loads its groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Loading {
    /// It has loaded them.
    #[default]
    Done,
    /// It refuses with COORDINATOR_LOAD_IN_PROGRESS, lists included.
    Refuses,
    /// Lists come short, without an error; calls for a group are refused.
    ListsShort,
}

#[derive(Debug)]
struct Injected {
    api: Api,
    fault: Fault,
    remaining: u32,
}

/// The switches of one broker, shared by its connections.
#[derive(Debug)]
pub(super) struct Switches {
    latency_ms: AtomicU64,
    work_ms: AtomicU64,
    at_work: AtomicU64,
    most_at_work: AtomicU64,
    frozen: watch::Sender<bool>,
    injected: Mutex<VecDeque<Injected>>,
    requests: [AtomicU64; Api::COUNT],
}

/// A request that is being worked on, until it is dropped.
struct AtWork<'a>(&'a Switches);

impl<'a> AtWork<'a> {
    fn begin(switches: &'a Switches) -> Self {
        let at_work = switches.at_work.fetch_add(1, Ordering::Relaxed) + 1;
        switches.most_at_work.fetch_max(at_work, Ordering::Relaxed);
        Self(switches)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Switches {
    pub(super) fn new() -> Self {
        Self {
            latency_ms: AtomicU64::new(0),
            work_ms: AtomicU64::new(0),
            at_work: AtomicU64::new(0),
            most_at_work: AtomicU64::new(0),
            frozen: watch::Sender::new(false),
            injected: Mutex::new(VecDeque::new()),
            requests: Default::default(),
        }
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        self.latency_ms.store(latency_ms, Ordering::Relaxed);
    }

    /// From the arrival of a request to the departure of its answer.
    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms.load(Ordering::Relaxed))
    }

    pub(super) fn set_work(&self, work: Duration) {
        self.work_ms.store(u64::try_from(work.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Works on a request for as long as one takes; the connection waits for it.
    pub(super) async fn work(&self) {
        let work = Duration::from_millis(self.work_ms.load(Ordering::Relaxed));
        if !work.is_zero() {
            let at_work = AtWork::begin(self);
            tokio::time::sleep(work).await;
            drop(at_work);
        }
    }

    /// The most requests that were worked on at the same time, since the broker takes time for its work.
    pub(super) fn most_at_work(&self) -> u64 {
        self.most_at_work.load(Ordering::Relaxed)
    }

    pub(super) fn set_frozen(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    /// Returns once the broker is not frozen.
    pub(super) async fn thawed(&self) {
        let mut frozen = self.frozen.subscribe();
        // An error means that the sender is gone, and with it the broker: nothing left to hold up.
        let _ = frozen.wait_for(|frozen| !frozen).await;
    }

    /// Lets the next `times` requests of `api` meet `fault`. False when too many wait already.
    pub(super) fn inject(&self, api: Api, fault: Fault, times: u32) -> bool {
        let mut injected = self.injected.lock().unwrap_or_else(PoisonError::into_inner);
        if injected.len() >= MAX_INJECTED || times == 0 {
            return times == 0;
        }
        injected.push_back(Injected { api, fault, remaining: times });
        true
    }

    pub(super) fn clear_injected(&self) {
        self.injected.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Counts a request and says what befalls it.
    pub(super) fn meet(&self, api: Api) -> Option<Fault> {
        if let Some(count) = self.requests.get(api.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let mut injected = self.injected.lock().unwrap_or_else(PoisonError::into_inner);
        let at = injected.iter().position(|one| one.api == api)?;
        let one = injected.get_mut(at)?;
        let fault = one.fault;
        one.remaining -= 1;
        if one.remaining == 0 {
            injected.remove(at);
        }
        Some(fault)
    }

    /// Requests of `api` that this broker has read.
    pub(super) fn requests(&self, api: Api) -> u64 {
        self.requests.get(api.index()).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}
