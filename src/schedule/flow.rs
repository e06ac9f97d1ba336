//! How evenly a topic flows: a bursty one is asked for more often than it is scraped, so that its bursts are seen.

use std::time::Duration;

/// How much a new reading weighs.
const WEIGHT: f64 = 0.25;
/// Below so many readings nothing is said.
const MIN_READINGS: u8 = 4;
/// A spread (standard deviation as a part of the mean) up to this is a steady flow.
const STEADY: f64 = 0.4;
/// A spread from this on is as bursty as can be.
const BURSTY: f64 = 1.2;

/// The recent flow of one topic: mean and variance of its rate, in messages a second.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flow {
    mean: f64,
    variance: f64,
    readings: u8,
}

impl Flow {
    /// Takes in how far the topic's ends rose in some time.
    pub(super) fn observe(&mut self, messages: u64, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact")]
        let rate = messages as f64 / seconds;
        if self.readings == 0 {
            self.mean = rate;
        }
        let distance = rate - self.mean;
        self.mean += WEIGHT * distance;
        // Messages that come independently spread by themselves, the more the fewer there are: that is no burst.
        let by_chance = self.mean / seconds;
        let excess = (distance * distance - by_chance).max(0.0);
        self.variance += WEIGHT * (excess - self.variance);
        self.readings = self.readings.saturating_add(1);
    }

    /// From 0, steady, to 1, as bursty as can be.
    #[must_use]
    pub(super) fn burstiness(&self) -> f64 {
        if self.readings < MIN_READINGS || self.mean <= 0.0 {
            return 0.0;
        }
        let spread = self.variance.sqrt() / self.mean;
        ((spread - STEADY) / (BURSTY - STEADY)).clamp(0.0, 1.0)
    }

    /// After how many of a period's `divisions` the topic is asked for again: a divisor of them, so that one reading is
    /// always at the main tick. `shortest` is the least, as a part of the period.
    #[must_use]
    pub(super) fn stride(&self, divisions: u32, shortest: f64) -> u32 {
        let wanted = shortest.clamp(0.01, 1.0).powf(self.burstiness()) * f64::from(divisions);
        let divisors = (1..=divisions).filter(|stride| divisions.is_multiple_of(*stride));
        let fits = |stride: &u32| f64::from(*stride) <= wanted * 1.1;
        divisors.filter(fits).max().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(counts: &[u64]) -> Flow {
        let mut flow = Flow::default();
        counts.iter().for_each(|count| flow.observe(*count, Duration::from_secs(15)));
        flow
    }

    #[test]
    fn a_steady_flow_is_asked_for_once_a_period() {
        for counts in [[300; 12], [0; 12]] {
            assert_eq!(flow(&counts).stride(3, 1.0 / 3.0), 3);
        }
        let by_chance = [3, 1, 2, 4, 2, 1, 3, 2, 2, 5, 1, 2];
        assert_eq!(flow(&by_chance).stride(3, 1.0 / 3.0), 3, "few messages spread by chance");
    }

    #[test]
    fn a_bursty_flow_is_asked_for_more_often() {
        let bursts = [0, 0, 9_000, 0, 0, 0, 9_000, 0, 0, 9_000, 0, 0];
        assert_eq!(flow(&bursts).stride(3, 1.0 / 3.0), 1);
        assert_eq!(flow(&bursts).stride(12, 1.0 / 12.0), 1);
        let uneven = [300, 100, 500, 250, 700, 100, 300, 600, 100, 500, 200, 650];
        let stride = flow(&uneven).stride(12, 1.0 / 12.0);
        assert!(stride > 1 && stride < 12, "{stride}");
        assert_eq!(flow(&bursts[..3]).stride(3, 1.0 / 3.0), 3, "too few readings say nothing");
    }
}
