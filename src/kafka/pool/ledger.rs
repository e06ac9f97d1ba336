//! The statistics of all handles as if they were one: counters go on when a handle goes, gauges are of the live ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{BrokerConnection, BrokerId, ConnectionStats};

/// How many brokers' counters are kept, those that left the cluster included.
const MAX_BROKERS: usize = 4096;

/// What handles that are gone have counted.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    brokers: BTreeMap<BrokerId, Counters>,
    panics: u64,
}

#[derive(Debug, Default, Clone)]
struct Counters {
    connects: u64,
    disconnects: u64,
    timeouts: u64,
    requests: BTreeMap<Arc<str>, u64>,
}

impl Counters {
    fn add(&mut self, connection: &BrokerConnection) {
        self.connects = self.connects.saturating_add(connection.connects);
        self.disconnects = self.disconnects.saturating_add(connection.disconnects);
        self.timeouts = self.timeouts.saturating_add(connection.timeouts);
        for (api, count) in &connection.requests {
            let sum = self.requests.entry(api.clone()).or_default();
            *sum = sum.saturating_add(*count);
        }
    }
}

/// A broker's connections, added up.
#[derive(Debug, Default)]
struct Sum {
    counters: Counters,
    is_up: bool,
    in_flight: u64,
    round_trips: Duration,
    measured: u32,
}

impl Ledger {
    /// Whether no handle is gone yet.
    pub(super) fn is_empty(&self) -> bool {
        self.brokers.is_empty() && self.panics == 0
    }

    /// Panics of poll threads that are gone.
    pub(super) fn panics(&self) -> u64 {
        self.panics
    }

    /// Takes over what a handle has counted, now that it goes.
    pub(super) fn carry(&mut self, stats: &ConnectionStats, panics: u64) {
        self.panics = self.panics.saturating_add(panics);
        for connection in &stats.brokers {
            if self.brokers.len() >= MAX_BROKERS && !self.brokers.contains_key(&connection.broker) {
                continue;
            }
            self.brokers.entry(connection.broker).or_default().add(connection);
        }
    }

    /// All together. `leaving` is still counted and shown only where the others know nothing yet. A broker that no handle
    /// knows any more is left out.
    pub(super) fn merge(&self, live: &[Arc<ConnectionStats>], leaving: &[Arc<ConnectionStats>]) -> ConnectionStats {
        let mut sums: BTreeMap<BrokerId, Sum> = BTreeMap::new();
        for connection in live.iter().flat_map(|stats| &stats.brokers) {
            let sum = sums.entry(connection.broker).or_default();
            sum.counters.add(connection);
            sum.show(connection);
        }
        let known: BTreeSet<BrokerId> = sums.keys().copied().collect();
        for connection in leaving.iter().flat_map(|stats| &stats.brokers) {
            let sum = sums.entry(connection.broker).or_default();
            sum.counters.add(connection);
            if !known.contains(&connection.broker) {
                sum.show(connection);
            }
        }
        let brokers = sums.into_iter().map(|(broker, mut sum)| {
            if let Some(gone) = self.brokers.get(&broker) {
                gone.requests.iter().for_each(|(api, count)| {
                    let all = sum.counters.requests.entry(api.clone()).or_default();
                    *all = all.saturating_add(*count);
                });
                sum.counters.connects = sum.counters.connects.saturating_add(gone.connects);
                sum.counters.disconnects = sum.counters.disconnects.saturating_add(gone.disconnects);
                sum.counters.timeouts = sum.counters.timeouts.saturating_add(gone.timeouts);
            }
            sum.connection(broker)
        });
        ConnectionStats { brokers: brokers.collect(), replacements: 0 }
    }
}

impl Sum {
    fn show(&mut self, connection: &BrokerConnection) {
        self.is_up |= connection.is_up;
        self.in_flight = self.in_flight.saturating_add(connection.in_flight);
        if let Some(round_trip) = connection.round_trip {
            self.round_trips = self.round_trips.saturating_add(round_trip);
            self.measured += 1;
        }
    }

    fn connection(self, broker: BrokerId) -> BrokerConnection {
        BrokerConnection {
            broker,
            is_up: self.is_up,
            connects: self.counters.connects,
            disconnects: self.counters.disconnects,
            timeouts: self.counters.timeouts,
            in_flight: self.in_flight,
            round_trip: self.round_trips.checked_div(self.measured),
            requests: self.counters.requests.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(is_up: bool, connects: u64, requests: u64, round_trip: Option<u64>) -> ConnectionStats {
        let connection = BrokerConnection {
            broker: BrokerId(1),
            is_up,
            connects,
            disconnects: 1,
            timeouts: 2,
            in_flight: 3,
            round_trip: round_trip.map(Duration::from_millis),
            requests: vec![("ListOffsets".into(), requests)],
        };
        ConnectionStats { brokers: vec![connection], replacements: 0 }
    }

    #[test]
    fn counters_add_up_and_go_on_and_gauges_are_of_the_live_ones() {
        let mut ledger = Ledger::default();
        let (old, new) = (Arc::new(stats(true, 5, 100, Some(40))), Arc::new(stats(false, 1, 7, Some(10))));
        let before = ledger.merge(std::slice::from_ref(&new), std::slice::from_ref(&old)).brokers.remove(0);
        ledger.carry(&old, 2);
        let after = ledger.merge(&[new], &[]).brokers.remove(0);
        for merged in [before, after] {
            assert_eq!((merged.connects, merged.disconnects, merged.timeouts), (6, 2, 4));
            assert_eq!(merged.requests, [(Arc::from("ListOffsets"), 107)]);
            assert_eq!((merged.is_up, merged.in_flight), (false, 3), "the one that leaves is not shown");
            assert_eq!(merged.round_trip, Some(Duration::from_millis(10)));
        }
        assert_eq!(ledger.panics(), 2);
    }

    #[test]
    fn several_live_handles_are_shown_together_and_one_that_leaves_until_another_is_known() {
        let ledger = Ledger::default();
        let live = [Arc::new(stats(true, 1, 1, Some(10))), Arc::new(stats(false, 1, 1, None))];
        let merged = ledger.merge(&live, &[]).brokers.remove(0);
        assert_eq!((merged.is_up, merged.in_flight, merged.round_trip), (true, 6, Some(Duration::from_millis(10))));
        let merged = ledger.merge(&[Arc::default()], &[Arc::new(stats(true, 1, 1, None))]).brokers.remove(0);
        assert!(merged.is_up);
        assert!(ledger.merge(&[], &[]).brokers.is_empty());
    }
}
