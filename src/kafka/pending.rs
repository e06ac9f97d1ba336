//! The calls that wait for their answer: a number goes to librdkafka and comes back with the event.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Cause;
use super::native::Event;

/// How many calls may wait at once. The collectors bound themselves far below; this guards against a mistake.
const MAX_IN_FLIGHT: usize = 4096;

/// What is done with an answer.
type Receive = Box<dyn FnOnce(&Event) + Send>;

/// The calls in flight of one client.
#[derive(Default)]
pub(super) struct Pending(Mutex<Calls>);

#[derive(Default)]
struct Calls {
    last_key: usize,
    closed: bool,
    waiting: HashMap<usize, Receive>,
}

/// A place among the calls in flight. It is given back when this is dropped: an answer that comes later finds nobody.
pub(super) struct Place<'a> {
    /// The call's number.
    pub(super) key: usize,
    pending: &'a Pending,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.pending.calls().waiting.remove(&self.key);
    }
}

impl Pending {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place for a call.
    pub(super) fn enter(&self, receive: Receive) -> Result<Place<'_>, Cause> {
        let mut calls = self.calls();
        if calls.closed {
            return Err(Cause::Closed);
        }
        if calls.waiting.len() >= MAX_IN_FLIGHT {
            return Err(Cause::TooManyInFlight(MAX_IN_FLIGHT));
        }
        calls.last_key = calls.last_key.wrapping_add(1);
        let key = calls.last_key;
        calls.waiting.insert(key, receive);
        Ok(Place { key, pending: self })
    }

    /// Hands an answer to the call that waits for it, if it still does.
    pub(super) fn answer(&self, event: &Event) {
        let receive = self.calls().waiting.remove(&event.key());
        if let Some(receive) = receive {
            receive(event);
        }
    }

    /// Lets go of all calls and takes no more.
    pub(super) fn close(&self) {
        let mut calls = self.calls();
        calls.closed = true;
        let waiting = std::mem::take(&mut calls.waiting);
        drop(calls);
        drop(waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let pending = Pending::default();
        let mut places: Vec<_> = (0..MAX_IN_FLIGHT).filter_map(|_| pending.enter(Box::new(|_| ())).ok()).collect();
        assert_eq!(places.len(), MAX_IN_FLIGHT);
        assert_eq!(pending.enter(Box::new(|_| ())).err(), Some(Cause::TooManyInFlight(MAX_IN_FLIGHT)));
        places.pop();
        assert!(pending.enter(Box::new(|_| ())).is_ok());
    }

    #[test]
    fn closing_lets_go_of_all_calls() {
        let pending = Pending::default();
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let _place = pending.enter(Box::new(move |_| drop(sender)));
        pending.close();
        assert_eq!(receiver.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
        assert_eq!(pending.enter(Box::new(|_| ())).err(), Some(Cause::Closed));
    }
}
