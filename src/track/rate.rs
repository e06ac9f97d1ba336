//! A smoothed rate of a number that is read now and then.

use crate::model::WallTime;

/// How long ago a change counts a third: the time constant of the smoothing, in seconds.
const MEMORY_SECONDS: f64 = 120.0;

/// How fast a number changes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Rate {
    last: Option<(f64, WallTime)>,
    per_second: Option<f64>,
}

impl Rate {
    /// Takes in a reading. One that is not younger than the last says nothing.
    pub(super) fn observe(&mut self, value: f64, at: WallTime) {
        let Some((before, then)) = self.last else {
            self.last = Some((value, at));
            return;
        };
        let seconds = at.since(then).as_secs_f64();
        if at < then {
            // The clock was set back: how long it really was is not known.
            self.last = Some((value, at));
        }
        if seconds <= 0.0 {
            return;
        }
        let now = (value - before) / seconds;
        let weight = 1.0 - (-seconds / MEMORY_SECONDS).exp();
        self.per_second = Some(self.per_second.map_or(now, |known| known + (now - known) * weight));
        self.last = Some((value, at));
    }

    /// Change a second; `None` before the second reading.
    pub(super) fn per_second(&self) -> Option<f64> {
        self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_change_is_its_rate_and_a_new_one_is_learned() {
        let mut rate = Rate::default();
        (0..5_i32).for_each(|tick| rate.observe(f64::from(tick * 50), WallTime(i64::from(tick) * 100_000)));
        assert_eq!(rate.per_second(), Some(0.5));
        (5..50_i32).for_each(|tick| rate.observe(200.0, WallTime(i64::from(tick) * 100_000)));
        assert!(rate.per_second().is_some_and(|rate| rate.abs() < 1e-6));
    }

    #[test]
    fn after_a_clock_was_set_back_it_goes_on() {
        let mut rate = Rate::default();
        [(0.0, 7_200_000), (100.0, 7_210_000), (200.0, 20_000), (300.0, 30_000)]
            .iter()
            .for_each(|(value, at)| rate.observe(*value, WallTime(*at)));
        assert_eq!(rate.per_second(), Some(10.0));
        assert_eq!(rate.last, Some((300.0, WallTime(30_000))));
    }

    #[test]
    fn one_reading_is_no_rate() {
        let mut rate = Rate::default();
        rate.observe(5.0, WallTime(0));
        rate.observe(9.0, WallTime(0));
        assert_eq!(rate.per_second(), None);
    }
}
