//! Which brokers are let alone because they were silent, so that one sick broker costs a pass one time-out at most.
//!
//! A breaker is closed while its broker answers. Silence opens it. When its backoff is over it is half-open: one probe
//! is out. An answer to the probe closes it; silence opens it again with twice the backoff.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{BreakerState, BrokerId, Moment};

/// From the first silence to the first probe.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest time between two probes, before jitter.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// A backoff is made longer or shorter by up to this share, so that exporters do not probe in step.
const JITTER_PERCENT: u64 = 20;
/// A probe that is due so soon is handed out at once, to be sent when it is due: the next chance may be a whole interval
/// away. It covers the first backoff with its jitter.
const SOON: Duration = Duration::from_millis(1_200);
/// Probes of one cluster that are out at once. The others wait for their turn, those longest due first.
const MAX_PROBES: usize = 16;

/// A probe to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// To whom.
    pub broker: BrokerId,
    /// In how long: 1.2 s at most.
    pub after: Duration,
}

/// The breakers of one cluster. A broker that is not in the table answers: its breaker is closed.
#[derive(Debug, Clone, Default)]
pub struct Breakers {
    seed: u64,
    tripped: BTreeMap<BrokerId, Tripped>,
    /// How often each broker's breaker opened from closed.
    trips: BTreeMap<BrokerId, u64>,
}

/// A breaker that is not closed.
#[derive(Debug, Clone, Copy)]
struct Tripped {
    state: BreakerState,
    /// Probes that were not answered.
    failed_probes: u32,
    /// When the next probe is due.
    probe_at: Moment,
}

impl Breakers {
    /// Breakers that are all closed. The seed decides the jitter: two exporters must have different ones.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// The state of one broker's breaker.
    #[must_use]
    pub fn state(&self, broker: BrokerId) -> BreakerState {
        self.tripped.get(&broker).map_or(BreakerState::Closed, |tripped| tripped.state)
    }

    /// Whether ordinary calls to the broker are let through.
    #[must_use]
    pub fn lets_through(&self, broker: BrokerId) -> bool {
        !self.tripped.contains_key(&broker)
    }

    /// How often the broker's breaker has opened, not counting the times when a probe was not answered.
    #[must_use]
    pub fn trips(&self, broker: BrokerId) -> u64 {
        self.trips.get(&broker).copied().unwrap_or_default()
    }

    /// When the next probe of a broker is due; `None` while its breaker is closed or a probe is out.
    #[must_use]
    pub fn probe_at(&self, broker: BrokerId) -> Option<Moment> {
        let tripped = self.tripped.get(&broker)?;
        (tripped.state == BreakerState::Open).then_some(tripped.probe_at)
    }

    /// An ordinary call met silence: the broker is left alone from now on. Calls that were let through before may end
    /// in silence later; they change nothing any more.
    pub fn silent(&mut self, broker: BrokerId, now: Moment) {
        if self.tripped.contains_key(&broker) {
            return;
        }
        let probe_at = now.plus(backoff(self.seed, broker, 0));
        self.tripped.insert(broker, Tripped { state: BreakerState::Open, failed_probes: 0, probe_at });
        let trips = self.trips.entry(broker).or_default();
        *trips = trips.saturating_add(1);
    }

    /// The probes that are due now or in a moment; they count as out from here on.
    pub fn start_probes(&mut self, now: Moment) -> Vec<Probe> {
        let out = self.tripped.values().filter(|tripped| tripped.state == BreakerState::HalfOpen).count();
        let is_due = |tripped: &Tripped| tripped.state == BreakerState::Open && tripped.probe_at <= now.plus(SOON);
        let due = self.tripped.iter().filter(|(_, tripped)| is_due(tripped));
        let mut due: Vec<(Moment, BrokerId)> = due.map(|(broker, tripped)| (tripped.probe_at, *broker)).collect();
        due.sort_unstable();
        due.truncate(MAX_PROBES.saturating_sub(out));
        for (_, broker) in &due {
            if let Some(tripped) = self.tripped.get_mut(broker) {
                tripped.state = BreakerState::HalfOpen;
            }
        }
        due.into_iter().map(|(at, broker)| Probe { broker, after: at.since(now) }).collect()
    }

    /// A probe was answered: ordinary calls go out again, and the next silence starts with the shortest backoff.
    pub fn recovered(&mut self, broker: BrokerId) {
        self.tripped.remove(&broker);
    }

    /// A probe was not answered: the broker is left alone for twice as long as before.
    pub fn probe_failed(&mut self, broker: BrokerId, now: Moment) {
        if let Some(tripped) = self.tripped.get_mut(&broker) {
            tripped.failed_probes = tripped.failed_probes.saturating_add(1);
            tripped.state = BreakerState::Open;
            tripped.probe_at = now.plus(backoff(self.seed, broker, tripped.failed_probes));
        }
    }

    /// Forgets brokers that left the cluster.
    pub fn retain(&mut self, is_member: impl Fn(BrokerId) -> bool) {
        self.tripped.retain(|broker, _| is_member(*broker));
        self.trips.retain(|broker, _| is_member(*broker));
    }
}

/// How long a broker is left alone after so many probes that were not answered.
fn backoff(seed: u64, broker: BrokerId, failed_probes: u32) -> Duration {
    let doubled = FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(failed_probes)).min(MAX_BACKOFF);
    let key = u64::from(broker.0.cast_unsigned()) << 32 | u64::from(failed_probes);
    let spread = 2 * JITTER_PERCENT * 10 + 1;
    let permille = 1_000 - JITTER_PERCENT * 10 + mixed(mixed(seed) ^ key) % spread;
    let milliseconds = u64::try_from(doubled.as_millis()).unwrap_or(u64::MAX).saturating_mul(permille) / 1_000;
    Duration::from_millis(milliseconds)
}

/// Spreads a number over all 64 bits: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SICK: BrokerId = BrokerId(2);
    /// Longer than any backoff.
    const LONG: Duration = Duration::from_secs(72);

    fn due(breakers: &mut Breakers, now: Moment) -> Vec<BrokerId> {
        breakers.start_probes(now).into_iter().map(|probe| probe.broker).collect()
    }

    #[test]
    fn a_silent_broker_is_left_alone_until_its_probe_is_answered() {
        let mut breakers = Breakers::default();
        breakers.silent(SICK, Moment(0));
        assert!(breakers.lets_through(BrokerId(1)));
        assert!(!breakers.lets_through(SICK));
        let probes = breakers.start_probes(Moment(100));
        assert!(probes.len() == 1 && probes[0].broker == SICK, "the first probe comes soon: {probes:?}");
        assert!((Duration::from_millis(700)..=Duration::from_millis(1_100)).contains(&probes[0].after), "{probes:?}");
        assert_eq!(due(&mut breakers, Moment(99_000)), [], "one probe at a time");
        assert_eq!(breakers.state(SICK), BreakerState::HalfOpen);
        breakers.probe_failed(SICK, Moment(2_000));
        assert_eq!(breakers.state(SICK), BreakerState::Open);
        assert_eq!(due(&mut breakers, Moment(2_399)), [], "twice the backoff");
        assert_eq!(due(&mut breakers, Moment(4_400)), [SICK]);
        breakers.recovered(SICK);
        assert!(breakers.lets_through(SICK));
    }

    #[test]
    fn silence_of_calls_made_before_does_not_put_the_probe_off_and_is_one_trip() {
        let mut breakers = Breakers::default();
        breakers.silent(SICK, Moment(0));
        let due = breakers.probe_at(SICK);
        breakers.silent(SICK, Moment(700));
        assert_eq!(breakers.probe_at(SICK), due);
        breakers.start_probes(Moment(1_200));
        breakers.silent(SICK, Moment(1_300));
        assert_eq!(breakers.state(SICK), BreakerState::HalfOpen, "the probe that is out decides");
        assert_eq!(breakers.trips(SICK), 1);
    }

    #[test]
    fn recovery_resets_the_backoff_and_counts_on() {
        let mut breakers = Breakers::default();
        let mut now = Moment(0);
        for trip in 1..=3 {
            breakers.silent(SICK, now);
            for _ in 0..8 {
                now = now.plus(LONG);
                assert_eq!(due(&mut breakers, now), [SICK]);
                breakers.probe_failed(SICK, now);
            }
            now = now.plus(LONG);
            assert_eq!(due(&mut breakers, now), [SICK]);
            breakers.recovered(SICK);
            assert_eq!(breakers.trips(SICK), trip);
        }
        breakers.silent(SICK, now);
        assert!(breakers.probe_at(SICK).is_some_and(|at| at.since(now) <= Duration::from_millis(1_200)));
        breakers.retain(|_| false);
        assert_eq!((breakers.trips(SICK), breakers.state(SICK)), (0, BreakerState::Closed), "it left the cluster");
    }

    #[test]
    fn backoffs_double_between_their_bounds_with_jitter_that_differs_by_exporter() {
        let mut differ = 0;
        for seed in 0..200 {
            for failed in 0..12_u32 {
                let nominal = (1_000 << failed).min(60_000);
                let millis = backoff(seed, SICK, failed).as_millis();
                assert!((nominal * 8 / 10..=nominal * 12 / 10).contains(&millis), "{failed}: {millis}");
                assert_eq!(backoff(seed, SICK, failed).as_millis(), millis, "the same every time");
                differ += usize::from(backoff(seed + 1, SICK, failed) != backoff(seed, SICK, failed));
            }
        }
        assert!(differ > 2_300, "of 2,400 neighbours {differ} differ");
        assert!(backoff(1, SICK, u32::MAX) <= LONG);
    }

    #[test]
    fn few_probes_are_out_at_once_and_everybody_has_a_turn() {
        let mut breakers = Breakers::new(7);
        (0..40).for_each(|id| breakers.silent(BrokerId(id), Moment(0)));
        let now = Moment(2_000);
        let first = due(&mut breakers, now);
        assert_eq!(first.len(), MAX_PROBES);
        assert_eq!(due(&mut breakers, now), []);
        first.iter().for_each(|broker| breakers.probe_failed(*broker, now));
        let second = due(&mut breakers, now);
        assert!(second.len() == MAX_PROBES && second.iter().all(|broker| !first.contains(broker)));
    }
}
