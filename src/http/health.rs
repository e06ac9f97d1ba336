//! Health and readiness: whether the exporter itself turns, and whether it knows something yet.
//!
//! Kafka's troubles are metrics, not unhealthiness: restarting the exporter would not mend them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;

use super::response::text;
use super::{HttpState, routes::Answer};
use crate::metrics::ClusterSource;

/// A loop that has not turned for so long is stuck.
const MAX_SILENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Pulse {
    name: &'static str,
    /// Milliseconds after the start of the heartbeats.
    last_ms: AtomicU64,
}

/// The signs of life of the exporter's loops.
#[derive(Debug)]
pub struct Heartbeats {
    started: Instant,
    /// Few: one for each kind of loop and cluster.
    pulses: Mutex<Vec<Arc<Pulse>>>,
}

/// A loop's handle: it touches it every time that it turns.
#[derive(Debug, Clone)]
pub struct Beat {
    owner: Arc<Heartbeats>,
    pulse: Arc<Pulse>,
}

impl Default for Heartbeats {
    fn default() -> Self {
        Self { started: Instant::now(), pulses: Mutex::default() }
    }
}

impl Heartbeats {
    /// A handle for a loop, which counts as having turned now. Dropping the handle does not end the watch: a loop that
    /// died drops it, too.
    #[must_use]
    pub fn register(self: &Arc<Self>, name: &'static str) -> Beat {
        let pulse = Arc::new(Pulse { name, last_ms: AtomicU64::new(self.now_ms()) });
        self.pulses().push(pulse.clone());
        Beat { owner: self.clone(), pulse }
    }

    fn pulses(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Pulse>>> {
        self.pulses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The loops that are stuck, with how long they have not turned.
    #[must_use]
    pub fn stuck(&self) -> Vec<(&'static str, Duration)> {
        self.stuck_at(self.now_ms())
    }

    fn stuck_at(&self, now_ms: u64) -> Vec<(&'static str, Duration)> {
        let silence =
            |pulse: &Pulse| Duration::from_millis(now_ms.saturating_sub(pulse.last_ms.load(Ordering::Relaxed)));
        let pulses = self.pulses();
        pulses.iter().map(|pulse| (pulse.name, silence(pulse))).filter(|(_, silent)| *silent > MAX_SILENCE).collect()
    }
}

impl Beat {
    /// The loop has turned.
    pub fn touch(&self) {
        self.pulse.last_ms.store(self.owner.now_ms(), Ordering::Relaxed);
    }
}

/// `/-/healthy`: 503 only when a loop of the exporter is stuck.
pub(super) fn healthy(state: &Arc<HttpState>, _: &super::routes::Head) -> Answer {
    let stuck = state.heartbeats.stuck();
    if stuck.is_empty() {
        return text(StatusCode::OK, "ok\n");
    }
    let lines = stuck.iter().map(|(name, silent)| format!("{name} has not turned for {} s\n", silent.as_secs()));
    text(StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>())
}

/// `/-/ready`: 200 once every cluster has had its first pass or its first failure.
pub(super) fn ready(state: &Arc<HttpState>, _: &super::routes::Head) -> Answer {
    let pending: Vec<&ClusterSource> =
        state.clusters.iter().map(AsRef::as_ref).filter(|cluster| !cluster.was_polled()).collect();
    if pending.is_empty() {
        return text(StatusCode::OK, "ready\n");
    }
    let lines = pending.iter().map(|cluster| match &cluster.name {
        Some(name) => format!("cluster {name}: first pass is not over\n"),
        None => format!("cluster at {}: first pass is not over\n", cluster.bootstrap_servers.join(",")),
    });
    text(StatusCode::SERVICE_UNAVAILABLE, lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_stuck_after_a_minute_and_well_when_it_turns() {
        let beats = Arc::new(Heartbeats::default());
        let beat = beats.register("scheduler");
        let limit = u64::try_from(MAX_SILENCE.as_millis()).unwrap_or(0);
        let last = beat.pulse.last_ms.load(Ordering::Relaxed);
        assert!(beats.stuck_at(last + limit).is_empty());
        let stuck = beats.stuck_at(last + limit + 1000);
        assert_eq!(stuck, [("scheduler", MAX_SILENCE + Duration::from_secs(1))]);
        beat.pulse.last_ms.store(last + limit, Ordering::Relaxed);
        assert!(beats.stuck_at(last + limit + 1000).is_empty());
    }

    #[test]
    fn a_loop_that_died_is_still_watched() {
        let beats = Arc::new(Heartbeats::default());
        drop(beats.register("dead"));
        let names: Vec<&str> = beats.stuck_at(u64::MAX).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["dead"]);
    }
}
