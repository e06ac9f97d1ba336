//! Which brokers are let alone because they were silent, so that one sick broker costs a pass one time-out at most.

use std::collections::BTreeMap;

use crate::model::{BreakerState, BrokerId};

/// The breakers of one cluster. A broker that is not in the table answers: its breaker is closed.
#[derive(Debug, Clone, Default)]
pub struct Breakers {
    tripped: BTreeMap<BrokerId, BreakerState>,
}

impl Breakers {
    /// The state of one broker's breaker.
    #[must_use]
    pub fn state(&self, broker: BrokerId) -> BreakerState {
        self.tripped.get(&broker).copied().unwrap_or_default()
    }

    /// Whether ordinary calls to the broker are let through.
    #[must_use]
    pub fn lets_through(&self, broker: BrokerId) -> bool {
        self.state(broker) == BreakerState::Closed
    }

    /// The broker was silent: it is left alone from now on.
    pub fn silent(&mut self, broker: BrokerId) {
        self.tripped.insert(broker, BreakerState::Open);
    }

    /// The brokers that a probe should be sent to now; they count as probed from here on.
    pub fn start_probes(&mut self) -> Vec<BrokerId> {
        let open = self.tripped.iter_mut().filter(|(_, state)| **state == BreakerState::Open);
        open.map(|(broker, state)| {
            *state = BreakerState::HalfOpen;
            *broker
        })
        .collect()
    }

    /// A probe was answered: ordinary calls go out again.
    pub fn recovered(&mut self, broker: BrokerId) {
        self.tripped.remove(&broker);
    }

    /// Forgets brokers that left the cluster.
    pub fn retain(&mut self, is_member: impl Fn(BrokerId) -> bool) {
        self.tripped.retain(|broker, _| is_member(*broker));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_broker_is_left_alone_until_its_probe_is_answered() {
        let mut breakers = Breakers::default();
        let (well, sick) = (BrokerId(1), BrokerId(2));
        breakers.silent(sick);
        assert!(breakers.lets_through(well));
        assert!(!breakers.lets_through(sick));
        assert_eq!(breakers.start_probes(), [sick]);
        assert_eq!(breakers.start_probes(), [], "one probe at a time");
        assert_eq!(breakers.state(sick), BreakerState::HalfOpen);
        breakers.silent(sick);
        assert_eq!(breakers.start_probes(), [sick]);
        breakers.recovered(sick);
        assert!(breakers.lets_through(sick));
    }
}
