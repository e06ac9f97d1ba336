//! What polling may cost: when it costs more, all intervals stretch alike.

use std::time::Duration;

/// How much of the way to the stretch that a measurement asks for is taken at once.
const WEIGHT: f64 = 0.3;
/// Below this part of the budget the stretch goes back.
const COMFORT: f64 = 0.9;
/// The most that the stretch grows at once: what came all together may not come again.
const MAX_STEP: f64 = 1.5;
/// The most that intervals stretch: beyond, values would be too old to be of use.
const MAX_STRETCH: f64 = 60.0;

/// What polling one cluster may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Requests a second to any one broker.
    pub requests_per_second_per_broker: f64,
    /// Processor time, as a part of one core.
    pub cpu: f64,
}

/// What a stretch of time has cost.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cost {
    /// Requests to the broker that was asked most.
    pub requests: f64,
    /// Processor seconds of the passes.
    pub cpu_seconds: f64,
}

/// How much longer all intervals are than wanted.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    ratio: f64,
    /// Smoothed: requests and processor seconds a second.
    rate: Option<(f64, f64)>,
}

impl Default for Stretch {
    fn default() -> Self {
        Self { ratio: 1.0, rate: None }
    }
}

impl Stretch {
    /// The factor, at least 1.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.ratio
    }

    /// Takes in what the time since the last call has cost. `most` bounds the factor where values would get too old.
    pub fn observe(&mut self, cost: Cost, elapsed: Duration, budget: Budget, most: f64) {
        let seconds = elapsed.as_secs_f64().max(0.001);
        let now = (cost.requests / seconds, cost.cpu_seconds / seconds);
        let (requests, cpu) = match self.rate {
            Some((requests, cpu)) => (requests + WEIGHT * (now.0 - requests), cpu + WEIGHT * (now.1 - cpu)),
            None => now,
        };
        let load = (requests / budget.requests_per_second_per_broker).max(cpu / budget.cpu);
        let before = self.ratio;
        if load > 1.0 || (load < COMFORT && self.ratio > 1.0) {
            // The load falls as the stretch grows: at equilibrium it is within the budget.
            let wanted = self.ratio * load / COMFORT.midpoint(1.0);
            let next = (self.ratio + WEIGHT * (wanted - self.ratio)).min(self.ratio * MAX_STEP);
            self.ratio = next.clamp(1.0, most.clamp(1.0, MAX_STRETCH));
        }
        // What was measured at the old stretch is less at the new one.
        let change = before / self.ratio;
        self.rate = Some((requests * change, cpu * change));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { requests_per_second_per_broker: 50.0, cpu: 0.01 };

    /// The stretch and the load in the end, on a cluster that would cost so much a second unstretched.
    fn settle(requests: f64, cpu: f64, most: f64) -> (f64, f64) {
        let mut stretch = Stretch::default();
        for _ in 0..200 {
            let elapsed = Duration::from_secs(15).mul_f64(stretch.ratio());
            let cost = Cost { requests: requests * 15.0, cpu_seconds: cpu * 15.0 };
            stretch.observe(cost, elapsed, BUDGET, most);
        }
        let load = (requests / BUDGET.requests_per_second_per_broker).max(cpu / BUDGET.cpu) / stretch.ratio();
        (stretch.ratio(), load)
    }

    #[test]
    fn a_cluster_within_the_budget_is_not_stretched() {
        assert_eq!(settle(49.0, 0.009, f64::MAX).0, 1.0);
    }

    #[test]
    fn a_cluster_too_large_for_it_is_stretched_until_it_is_within() {
        for (requests, cpu) in [(500.0, 0.001), (5.0, 0.08), (60.0, 0.0), (1000.0, 0.2)] {
            let (ratio, load) = settle(requests, cpu, f64::MAX);
            assert!(ratio > 1.0 && load <= 1.0 && load > 0.8, "{requests} {cpu}: {ratio} {load}");
        }
    }

    #[test]
    fn it_goes_back_when_the_load_is_gone_and_never_beyond_its_bound() {
        let mut stretch = Stretch::default();
        for _ in 0..50 {
            stretch.observe(Cost { requests: 15_000.0, cpu_seconds: 0.0 }, Duration::from_secs(15), BUDGET, 4.0);
        }
        assert_eq!(stretch.ratio(), 4.0);
        for _ in 0..50 {
            stretch.observe(Cost::default(), Duration::from_secs(15), BUDGET, 4.0);
        }
        assert_eq!(stretch.ratio(), 1.0);
    }
}
