//! When the ticks are: a period cut into equal parts, in step with the scrapes of one client.
//!
//! The main tick is placed so that its pass ends a little before that client scrapes, and then left alone: a phase that
//! wandered would turn steady flows into stairs.

use std::time::Duration;

use super::pace::Tick;
use crate::model::Moment;

/// The least time from the end of a pass to the scrape.
const MIN_LEAD: Duration = Duration::from_secs(1);
/// A period that differs from the one in use by less than this part is the same period.
const SAME_PERIOD: f64 = 0.05;
/// So many scrapes in a row must come at another distance from the main tick until it follows them, all the way at once.
const SCRAPES_TO_FOLLOW: u32 = 4;
/// The most ticks in a period: more are work that nobody needs.
const MAX_DIVISIONS: u32 = 60;
/// The shortest time between two ticks.
const MIN_LENGTH: Duration = Duration::from_millis(100);

/// The times of the ticks.
#[derive(Debug, Clone)]
pub(super) struct Ticks {
    /// A time at which there is a main tick.
    main: Moment,
    /// The stretched period.
    period: Duration,
    divisions: u32,
    stretch: f64,
    /// The last tick that was taken.
    done: Option<Moment>,
    phase: Option<Phase>,
    /// Whether the next tick is a main one wherever it lies.
    owes_main: bool,
}

/// What is known of the distance between the main ticks and one client's scrapes.
#[derive(Debug, Clone, Copy)]
struct Phase {
    period: Duration,
    last_scrape: Moment,
    /// How many scrapes in a row came too early or too late.
    off: u32,
    /// By how much, in seconds: the first of them, and all together.
    first: f64,
    sum: f64,
}

impl Phase {
    fn new(period: Duration, last_scrape: Moment) -> Self {
        Self { period, last_scrape, off: 0, first: 0.0, sum: 0.0 }
    }

    /// Takes in how much later than wanted a scrape came; by how much to move, when it is certain.
    fn take(&mut self, error: f64, tolerance: f64, period: f64) -> Option<f64> {
        if error.abs() <= tolerance {
            self.off = 0;
            return None;
        }
        if self.off == 0 {
            (self.first, self.sum) = (error, 0.0);
        }
        // Half a period early is half a period late.
        let distance = error - self.first;
        self.sum += error - period * (distance / period).round();
        self.off += 1;
        (self.off >= SCRAPES_TO_FOLLOW).then(|| self.sum / f64::from(std::mem::take(&mut self.off)))
    }
}

impl Ticks {
    /// Ticks of which the first is a main one, at `start`.
    #[must_use]
    pub(super) fn new(start: Moment, period: Duration, divisions: u32) -> Self {
        let mut ticks =
            Self { main: start, period, divisions: 1, stretch: 1.0, done: None, phase: None, owes_main: false };
        ticks.set_period(period, divisions, 1.0);
        ticks
    }

    /// Changes the period: `wanted`, times `stretch`, cut into `divisions`. The last main tick stays where it was.
    pub(super) fn set_period(&mut self, wanted: Duration, divisions: u32, stretch: f64) {
        self.stretch = stretch.max(1.0);
        let period = wanted.max(MIN_LENGTH).mul_f64(self.stretch);
        let most = u32::try_from(period.as_millis() / MIN_LENGTH.as_millis()).unwrap_or(u32::MAX);
        let divisions = divisions.clamp(1, MAX_DIVISIONS.min(most.max(1)));
        if period == self.period && divisions == self.divisions {
            return;
        }
        if let Some(done) = self.done {
            self.main = self.at(self.number_until(done) / self.divisions_i() * self.divisions_i());
        }
        (self.period, self.divisions) = (period, divisions);
    }

    /// Puts the main ticks in step with a client that scrapes every `period` and last did at `scrape`. A pass takes up to
    /// `pass`.
    pub(super) fn follow(&mut self, period: Duration, scrape: Moment, pass: Duration) {
        if !is_multiple(period, self.period) {
            // No phase is right for all of its scrapes.
            return;
        }
        let is_same = |phase: &Phase| phase.period.abs_diff(period) <= period.mul_f64(SAME_PERIOD);
        let known = self.phase.filter(is_same);
        if known.is_some_and(|phase| phase.last_scrape == scrape) {
            return;
        }
        let lead = MIN_LEAD.max(2 * pass).min(self.period / 2);
        let wanted = (lead + pass).min(self.period.mul_f64(0.75));
        let error = self.error(scrape, wanted);
        match known {
            Some(mut phase) => {
                phase.last_scrape = scrape;
                if let Some(by) = phase.take(error, lead.as_secs_f64(), self.period.as_secs_f64()) {
                    self.shift(by);
                }
                self.phase = Some(phase);
            }
            None => {
                self.shift(error);
                self.phase = Some(Phase::new(period, scrape));
            }
        }
    }

    /// How much later than `wanted` after a main tick the scrape came, in seconds, between plus and minus half a period.
    fn error(&self, scrape: Moment, wanted: Duration) -> f64 {
        let period = self.period.as_secs_f64();
        let distance = scrape.since(self.main).as_secs_f64() - self.main.since(scrape).as_secs_f64();
        let error = (distance - wanted.as_secs_f64()).rem_euclid(period);
        if error > period / 2.0 { error - period } else { error }
    }

    /// Moves all ticks by some seconds, less than a period. The next tick is a main one, so that what moves does not get
    /// older than a period on the way.
    fn shift(&mut self, seconds: f64) {
        // To the nearest millisecond.
        let by = Duration::from_secs_f64(seconds.rem_euclid(self.period.as_secs_f64())) + Duration::from_micros(500);
        self.main = self.main.plus(by);
        self.owes_main = self.done.is_some();
    }

    /// Begins anew: the next tick is a main one, now.
    pub(super) fn restart(&mut self, now: Moment) {
        self.main = now;
        self.done = None;
        self.phase = None;
    }

    /// When the next tick is.
    #[must_use]
    pub(super) fn next(&self) -> Moment {
        match self.done {
            None => self.main,
            Some(done) => self.at(self.number_until(done) + 1),
        }
    }

    /// Takes the tick that is due. Ticks that were missed are left out, so that passes never pile up; if a main one was
    /// among them, this is one.
    pub(super) fn take(&mut self, now: Moment) -> Tick {
        let first = self.done.map_or(0, |done| self.number_until(done) + 1);
        let number = self.number_until(now).max(first);
        let is_main = self.owes_main || (first..=number).any(|number| number % self.divisions_i() == 0);
        self.owes_main = false;
        let index = if is_main { 0 } else { u32::try_from(number.rem_euclid(self.divisions_i())).unwrap_or(0) };
        let at = self.at(number);
        self.done = Some(at.max(self.done.unwrap_or_default()));
        self.tick(at, index)
    }

    /// A tick as long as ticks are now.
    pub(super) fn tick(&self, at: Moment, index: u32) -> Tick {
        let (divisions, length, stretch) = (self.divisions, self.length(), self.stretch);
        Tick { at, index, divisions, length, stretch, max_age: None }
    }

    /// The time between two ticks.
    #[must_use]
    pub(super) fn length(&self) -> Duration {
        self.period / self.divisions
    }

    /// The time between two main ticks.
    #[must_use]
    pub(super) fn period(&self) -> Duration {
        self.period
    }

    fn divisions_i(&self) -> i64 {
        i64::from(self.divisions)
    }

    /// The time of a tick, counted from a main one.
    fn at(&self, number: i64) -> Moment {
        let period = i64::try_from(self.period.as_millis()).unwrap_or(i64::MAX).max(1);
        let offset = number.saturating_mul(period).div_euclid(self.divisions_i());
        Moment(self.main.0.saturating_add_signed(offset))
    }

    /// The number of the last tick at or before a moment.
    fn number_until(&self, moment: Moment) -> i64 {
        let period = i64::try_from(self.period.as_millis()).unwrap_or(i64::MAX).max(1);
        let distance = i64::try_from(moment.0).unwrap_or(i64::MAX) - i64::try_from(self.main.0).unwrap_or(i64::MAX);
        let number = (distance.saturating_mul(self.divisions_i())).div_euclid(period);
        // Ticks lie on whole milliseconds: the next one may, rounded down, be here already.
        if self.at(number + 1) <= moment { number + 1 } else { number }
    }
}

/// Whether a period is a whole multiple of another, nearly.
fn is_multiple(long: Duration, short: Duration) -> bool {
    let ratio = long.div_duration_f64(short);
    ratio > 0.5 && (ratio - ratio.round()).abs() < SAME_PERIOD
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ticks(period: u64, divisions: u32) -> Ticks {
        Ticks::new(Moment(1_000), s(period), divisions)
    }

    /// The next ticks, each taken a little late: their times and numbers.
    fn take(ticks: &mut Ticks, count: usize) -> Vec<(u64, u32)> {
        (0..count)
            .map(|_| {
                let tick = ticks.take(Moment(ticks.next().0 + 3));
                (tick.at.0, tick.index)
            })
            .collect()
    }

    #[test]
    fn a_period_is_cut_into_equal_parts() {
        assert_eq!(take(&mut ticks(15, 3), 4), [(1_000, 0), (6_000, 1), (11_000, 2), (16_000, 0)]);
        assert_eq!(take(&mut ticks(10, 3), 4), [(1_000, 0), (4_333, 1), (7_666, 2), (11_000, 0)]);
    }

    #[test]
    fn missed_ticks_are_left_out_and_a_main_one_among_them_is_made_up_for() {
        let mut ticks = ticks(15, 3);
        take(&mut ticks, 1);
        let late = ticks.take(Moment(17_500));
        assert_eq!((late.at, late.index), (Moment(16_000), 0));
        assert_eq!(ticks.next(), Moment(21_000));
        let late = ticks.take(Moment(62_000));
        assert_eq!((late.at, late.index), (Moment(61_000), 0));
        let late = ticks.take(Moment(72_000));
        assert_eq!((late.at, late.index), (Moment(71_000), 2), "71 s is the second after 61 s");
        let late = ticks.take(Moment(82_000));
        assert!(late.is_main(), "the one at 76 s was missed");
    }

    #[test]
    fn a_pass_ends_a_second_before_the_scrape_and_stays_there() {
        let mut ticks = ticks(15, 3);
        take(&mut ticks, 2);
        let mut scrape = 20_200;
        for jitter in [0, 700, -700, 300, -300, 900, -900, 0_i64] {
            ticks.follow(
                s(15),
                Moment(scrape + 10_000_u64.saturating_add_signed(jitter) - 10_000),
                Duration::from_millis(100),
            );
            scrape += 15_000;
        }
        assert_eq!(take(&mut ticks, 1)[0].1, 0, "one more main tick, so that nothing is old meanwhile");
        let mains: Vec<u64> =
            take(&mut ticks, 40).into_iter().filter(|(_, index)| *index == 0).map(|(at, _)| at).collect();
        // 20.2 s − 1 s − 0.1 s, modulo 15 s.
        assert!(mains.iter().all(|main| main % 15_000 == 4_100), "{mains:?}");
    }

    #[test]
    fn a_client_that_moved_for_good_is_followed() {
        let mut ticks = ticks(15, 3);
        take(&mut ticks, 1);
        ticks.follow(s(15), Moment(10_000), Duration::ZERO);
        for scrape in 1..40_u64 {
            ticks.follow(s(15), Moment(10_000 + scrape * 15_000 + 5_000), Duration::ZERO);
        }
        take(&mut ticks, 1);
        let main = take(&mut ticks, 9).into_iter().find(|(_, index)| *index == 0).map(|(at, _)| at % 15_000);
        assert!(main.is_some_and(|main| main.abs_diff(14_000) < 1_200), "{main:?}: a scrape comes at 0 s, modulo 15 s");
    }

    #[test]
    fn a_new_period_goes_on_from_the_last_main_tick() {
        let mut ticks = ticks(15, 3);
        take(&mut ticks, 4);
        ticks.set_period(s(30), 6, 1.0);
        assert_eq!(take(&mut ticks, 6)[..2], [(21_000, 1), (26_000, 2)]);
        ticks.set_period(s(30), 6, 2.0);
        let tick = ticks.take(ticks.next());
        assert_eq!((tick.length, tick.stretch), (s(10), 2.0));
        assert_eq!(tick.period(), s(30), "what is wanted stays the same");
    }

    #[test]
    fn beginning_anew_is_a_main_tick_now() {
        let mut ticks = ticks(60, 1);
        take(&mut ticks, 2);
        ticks.restart(Moment(70_000));
        assert_eq!(ticks.next(), Moment(70_000));
        assert!(ticks.take(Moment(70_000)).is_main());
    }
}
