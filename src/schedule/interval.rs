//! The plain timer: a pass every so often, at a phase that does not drift.

use std::time::Duration;

use crate::model::Moment;

/// A fixed interval between the starts of passes.
#[derive(Debug, Clone, Copy)]
pub struct FixedInterval {
    first: Moment,
    period: Duration,
}

impl FixedInterval {
    /// A timer whose first pass is at `first`. A period below a millisecond counts as one.
    #[must_use]
    pub fn new(first: Moment, period: Duration) -> Self {
        Self { first, period: period.max(Duration::from_millis(1)) }
    }

    /// The start of the next pass after `now`. A pass that took longer than the period skips the starts that it missed,
    /// so that passes never pile up.
    #[must_use]
    pub fn next_after(&self, now: Moment) -> Moment {
        let period = self.period.as_millis().max(1);
        let periods = now.since(self.first).as_millis() / period + 1;
        let later = u64::try_from(periods * period).unwrap_or(u64::MAX);
        self.first.plus(Duration::from_millis(later))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_starts_are_skipped_and_the_phase_holds() {
        let timer = FixedInterval::new(Moment(1_000), Duration::from_secs(15));
        assert_eq!(timer.next_after(Moment(1_000)), Moment(16_000));
        assert_eq!(timer.next_after(Moment(1_200)), Moment(16_000));
        assert_eq!(timer.next_after(Moment(16_000)), Moment(31_000));
        assert_eq!(timer.next_after(Moment(50_000)), Moment(61_000));
    }
}
