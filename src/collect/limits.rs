//! How many calls may be in flight: over all clusters together, and each cluster's fair share of them.
//!
//! A share is fixed rather than lent: a sick cluster's calls last until their time-outs, and what it had borrowed would
//! be missed by the others for as long. Shares follow when clusters come and go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The bound on calls in flight of one exporter.
#[derive(Debug)]
pub struct CallLimits {
    max_in_flight: usize,
    /// The hard bound. While there are no more clusters than places nobody waits here, but for moments after a change.
    all: Semaphore,
    clusters: Mutex<Vec<Arc<Share>>>,
}

/// What one cluster may have in flight.
#[derive(Debug)]
struct Share {
    slots: Semaphore,
    size: Mutex<Size>,
}

#[derive(Debug, Default)]
struct Size {
    /// How many slots the share has.
    slots: usize,
    /// Slots that were taken away while calls were in them: they go when those calls end.
    owed: usize,
}

/// One cluster's part of the calls in flight. Dropped, it leaves its part to the others.
#[derive(Debug)]
pub struct ClusterLimit {
    limits: Arc<CallLimits>,
    share: Arc<Share>,
}

/// A call's place among those in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    share: &'a Share,
    slot: Option<SemaphorePermit<'a>>,
    _place: Option<SemaphorePermit<'a>>,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut size = self.share.size();
        let Some(slot) = self.slot.take() else { return };
        if size.owed > 0 {
            size.owed -= 1;
            slot.forget();
        }
        // Otherwise the slot goes back here, while the share cannot be resized.
    }
}

impl CallLimits {
    /// At most `max_in_flight` calls at once, and at least one.
    #[must_use]
    pub fn new(max_in_flight: usize) -> Arc<Self> {
        let max_in_flight = max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self { max_in_flight, all: Semaphore::new(max_in_flight), clusters: Mutex::default() })
    }

    /// A place for one more cluster: the shares of the others shrink.
    #[must_use]
    pub fn join(self: &Arc<Self>) -> Arc<ClusterLimit> {
        let share = Arc::new(Share { slots: Semaphore::new(0), size: Mutex::default() });
        let mut clusters = self.clusters();
        clusters.push(share.clone());
        self.divide(&clusters);
        drop(clusters);
        Arc::new(ClusterLimit { limits: self.clone(), share })
    }

    fn clusters(&self) -> MutexGuard<'_, Vec<Arc<Share>>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn divide(&self, clusters: &[Arc<Share>]) {
        let slots = (self.max_in_flight / clusters.len().max(1)).max(1);
        clusters.iter().for_each(|share| share.resize(slots));
    }
}

impl Share {
    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn resize(&self, slots: usize) {
        let mut size = self.size();
        if slots > size.slots {
            let more = slots - size.slots;
            let paid = size.owed.min(more);
            size.owed -= paid;
            self.slots.add_permits(more - paid);
        } else {
            let fewer = size.slots - slots;
            size.owed += fewer - self.slots.forget_permits(fewer);
        }
        size.slots = slots;
    }
}

impl ClusterLimit {
    /// How many calls this cluster may have in flight just now.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.share.size().slots
    }

    /// Waits for a place; those who wait get one in the order in which they came.
    pub(super) async fn enter(&self) -> Permit<'_> {
        // Neither semaphore is ever closed, so there is a permit in either.
        let slot = self.share.slots.acquire().await.ok();
        // Made now: if waiting for the other place is given up, the slot must go back in the orderly way.
        let mut permit = Permit { share: &self.share, slot, _place: None };
        permit._place = self.limits.all.acquire().await.ok();
        permit
    }
}

impl Drop for ClusterLimit {
    fn drop(&mut self) {
        let mut clusters = self.limits.clusters();
        clusters.retain(|share| !Arc::ptr_eq(share, &self.share));
        self.limits.divide(&clusters);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    /// As many places as there are without waiting, up to `most`.
    fn fill(limit: &ClusterLimit, most: usize) -> Vec<Permit<'_>> {
        (0..most).map_while(|_| now(limit.enter())).collect()
    }

    /// The outcome of what does not have to wait.
    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn one_cluster_has_all_and_several_have_equal_shares() {
        let limits = CallLimits::new(20);
        let first = limits.join();
        assert_eq!(fill(&first, 99).len(), 20);
        let second = limits.join();
        assert_eq!((first.slots(), second.slots()), (10, 10));
        let sick = fill(&first, 99);
        assert_eq!((sick.len(), fill(&second, 99).len()), (10, 10), "a full share leaves the other one whole");
        drop(sick);
        drop(second);
        assert_eq!((first.slots(), fill(&first, 99).len()), (20, 20), "who leaves gives back");
    }

    #[test]
    fn the_total_holds_while_shares_change_under_calls_in_flight() {
        let limits = CallLimits::new(6);
        let first = limits.join();
        let mut held = fill(&first, 99);
        assert_eq!(held.len(), 6);
        let second = limits.join();
        assert_eq!(fill(&second, 99).len(), 0, "all places are taken still");
        held.truncate(4);
        assert_eq!((fill(&first, 99).len(), fill(&second, 99).len()), (0, 2), "what is given back is the other's");
        held.clear();
        let (one, two) = (fill(&first, 99), fill(&second, 99));
        assert_eq!((one.len(), two.len()), (3, 3));
        drop(two);
        drop(second);
        assert_eq!(one.len() + fill(&first, 99).len(), 6);
    }

    #[test]
    fn more_clusters_than_places_have_one_each_within_the_total() {
        let limits = CallLimits::new(3);
        let clusters: Vec<_> = (0..5).map(|_| limits.join()).collect();
        assert!(clusters.iter().all(|cluster| cluster.slots() == 1));
        let held: Vec<_> = clusters.iter().flat_map(|cluster| fill(cluster, 99)).collect();
        assert_eq!(held.len(), 3);
        drop(held);
        let held: Vec<_> = clusters.iter().rev().flat_map(|cluster| fill(cluster, 99)).collect();
        assert_eq!(held.len(), 3, "nothing was lost");
    }

    #[tokio::test]
    async fn whoever_waits_gets_a_place_and_who_gives_up_leaves_none_taken() {
        let limits = CallLimits::new(1);
        let (first, second) = (limits.join(), limits.join());
        let held = now(first.enter());
        assert!(held.is_some() && now(second.enter()).is_none(), "gave up waiting for the total");
        let waits = tokio::spawn(async move {
            drop(second.enter().await);
        });
        tokio::task::yield_now().await;
        drop(held);
        assert!(waits.await.is_ok());
        assert_eq!(fill(&first, 9).len(), 1);
    }

    #[test]
    fn coming_and_going_at_random_loses_no_place() {
        let limits = CallLimits::new(20);
        let stays = limits.join();
        for round in 0..200_usize {
            let others: Vec<_> = (0..round % 25).map(|_| limits.join()).collect();
            let held = fill(&stays, round % 7);
            let more: Vec<_> = (0..round % 3).map(|_| limits.join()).collect();
            drop((held, others, more));
            assert_eq!(fill(&stays, 99).len(), 20, "after round {round}");
        }
    }
}
