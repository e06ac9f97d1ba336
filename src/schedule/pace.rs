//! How often one thing is asked for: at the scrapes' pace while it moves, less and less while it does not.

use std::time::Duration;

use super::Bounds;
use super::bounds::max_age;
use crate::model::Moment;

/// What a quiet reading multiplies the interval by.
const QUIET_FACTOR: f64 = 1.2;
/// An interval that is at least this part of the period waits for the next main tick.
const CAN_WAIT: f64 = 0.8;
/// What was asked for in vain is asked for again after a tick, then after twice the time, up to its interval.
const MAX_DOUBLINGS: u8 = 6;
/// A value is asked for again so many ticks before it gets too old: one until the next, one for the pass.
const TICKS_BEFORE_TOO_OLD: u32 = 2;

/// One turn of the scheduler.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tick {
    /// When it was to be.
    pub at: Moment,
    /// Its number within the period; 0 is the main one, at which all that moves is asked for.
    pub index: u32,
    /// Into how many ticks the period is cut.
    pub divisions: u32,
    /// The time between two ticks, as stretched as everything else.
    pub length: Duration,
    /// How much longer all intervals are than wanted, to stay within the budget; at least 1.
    pub stretch: f64,
    /// How old values may get, where that is configured.
    pub max_age: Option<Duration>,
}

impl Tick {
    /// How old a value may get that is asked for again after this stretched interval at the latest.
    #[must_use]
    pub fn max_age(&self, interval: Duration) -> Duration {
        max_age(self.max_age, interval)
    }

    /// Whether all that moves is asked for.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.index == 0
    }

    /// The time between two main ticks, unstretched.
    #[must_use]
    pub fn period(&self) -> Duration {
        (self.length * self.divisions).div_f64(self.stretch)
    }
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The answer differs from the one of before, or is not one of something quiet.
    Moved,
    /// The answer is the one of before.
    Still,
    /// There was none, or one that says to ask again.
    Failed,
    /// It was refused: asking again soon would change nothing.
    Refused,
    /// It was not asked, because its broker is left alone.
    NotAsked,
}

/// The pace of one thing.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// At which tick it was last asked for.
    asked: Option<Moment>,
    /// The interval while it is quiet, unstretched, in milliseconds.
    interval_ms: u32,
    /// The longest interval that was to come, stretched, when it was last asked for: what it told then may get so old as
    /// goes with it. In milliseconds.
    promised_ms: u32,
    moving: bool,
    /// Whether it is to be asked for at the next tick, whatever its interval.
    soon: bool,
    failures: u8,
    /// Whether the last answer was none.
    failing: bool,
    refused: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            asked: None,
            interval_ms: 0,
            promised_ms: 0,
            moving: true,
            soon: false,
            failures: 0,
            failing: false,
            refused: false,
        }
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

impl Pace {
    /// Whether it moved when it was last asked for, or was never asked for.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.moving
    }

    /// Whether it was never asked for.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.asked.is_none()
    }

    /// Whether it is to be asked for at this tick.
    #[must_use]
    pub fn is_due(&self, tick: &Tick, bounds: Bounds) -> bool {
        let Some(asked) = self.asked.filter(|_| !self.soon) else { return true };
        let elapsed = tick.at.since(asked);
        if self.failures > 0 {
            let wait = tick.length * (1 << (self.failures - 1).min(MAX_DOUBLINGS));
            return is_over(elapsed, wait.min(self.interval(tick, bounds)), tick);
        }
        // All intervals may have become longer meanwhile, and a configured age may be short.
        let oldest = tick.max_age(Duration::from_millis(u64::from(self.promised_ms)));
        if elapsed + tick.length * TICKS_BEFORE_TOO_OLD > oldest {
            return true;
        }
        let interval = self.interval(tick, bounds);
        if tick.is_main() {
            let least = if self.moving { bounds.min.mul_f64(tick.stretch) } else { interval };
            return is_over(elapsed, least.min(interval), tick);
        }
        // Between main ticks only what cannot wait for the next one: asked for together, it takes fewer calls.
        interval < (tick.length * tick.divisions).mul_f64(CAN_WAIT) && is_over(elapsed, interval, tick)
    }

    /// Whether its shortest interval is over.
    #[must_use]
    pub fn may_be_asked(&self, tick: &Tick, bounds: Bounds) -> bool {
        self.asked.is_none_or(|asked| is_over(tick.at.since(asked), bounds.min.mul_f64(tick.stretch), tick))
    }

    /// Whether it would be due soon, so that asking along with something else saves a call.
    #[must_use]
    pub fn is_nearly_due(&self, tick: &Tick, bounds: Bounds) -> bool {
        let elapsed = self.asked.map_or(Duration::MAX, |asked| tick.at.since(asked));
        self.is_due(tick, bounds) || (self.failures == 0 && elapsed >= self.interval(tick, bounds).mul_f64(0.8))
    }

    /// The interval as it is just now, stretched.
    #[must_use]
    pub fn interval(&self, tick: &Tick, bounds: Bounds) -> Duration {
        let wanted = if self.moving { tick.period() } else { Duration::from_millis(u64::from(self.interval_ms)) };
        wanted.clamp(bounds.min, bounds.max.max(bounds.min)).mul_f64(tick.stretch)
    }

    /// Takes in what became of the question of this tick.
    pub fn answered(&mut self, answer: Answer, tick: &Tick, bounds: Bounds) {
        self.failing = matches!(answer, Answer::Failed | Answer::Refused | Answer::NotAsked);
        self.refused = answer == Answer::Refused;
        if answer == Answer::NotAsked {
            self.soon = true;
            return;
        }
        self.asked = Some(tick.at);
        self.promised_ms = milliseconds(self.longest_next(tick, bounds));
        self.soon = false;
        self.failures = if answer == Answer::Failed { self.failures.saturating_add(1) } else { 0 };
        match answer {
            Answer::Moved => self.moving = true,
            Answer::Still | Answer::Refused => self.cool(tick, bounds),
            Answer::Failed | Answer::NotAsked => {}
        }
    }

    /// Takes note that the last answer left a part open.
    pub fn note_failing(&mut self) {
        self.failing = true;
    }

    /// What failed may be told now: it is asked for at the next tick.
    pub fn retry(&mut self) {
        // What was refused would be refused again.
        self.soon |= self.failing && !self.refused;
    }

    /// Whether what it shows is not what it would show if all were well.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.failing
    }

    /// The same with a longer interval.
    fn cool(&mut self, tick: &Tick, bounds: Bounds) {
        self.interval_ms = milliseconds(self.cooled(tick, bounds));
        self.moving = false;
    }

    fn cooled(&self, tick: &Tick, bounds: Bounds) -> Duration {
        let base = if self.moving { tick.period() } else { Duration::from_millis(u64::from(self.interval_ms)) };
        base.max(bounds.min).mul_f64(QUIET_FACTOR).min(bounds.max)
    }

    /// The longest that the next interval may be, stretched: that of a quiet answer.
    #[must_use]
    pub fn longest_next(&self, tick: &Tick, bounds: Bounds) -> Duration {
        self.cooled(tick, bounds).max(tick.period()).mul_f64(tick.stretch)
    }

    /// Something says that it moves: it is asked for at the next tick.
    pub fn wake(&mut self) {
        self.soon = true;
    }
}

/// Whether an interval is over: half a tick is near enough, for there is no tick in between.
fn is_over(elapsed: Duration, interval: Duration, tick: &Tick) -> bool {
    elapsed + tick.length / 2 >= interval
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { min: Duration::from_secs(5), max: Duration::from_secs(60) };

    fn tick(second: u64) -> Tick {
        let index = u32::try_from(second / 5 % 3).unwrap_or(0);
        Tick {
            at: Moment(second * 1000),
            index,
            divisions: 3,
            length: Duration::from_secs(5),
            stretch: 1.0,
            max_age: None,
        }
    }

    /// The seconds at which something is asked for that moves at each reading for which `moves` holds.
    fn asked(seconds: u64, bounds: Bounds, moves: impl Fn(u64) -> bool) -> Vec<u64> {
        let mut pace = Pace::default();
        let mut asked = Vec::new();
        for second in (0..seconds).step_by(5) {
            let tick = tick(second);
            if pace.is_due(&tick, bounds) {
                pace.answered(if moves(second) { Answer::Moved } else { Answer::Still }, &tick, bounds);
                asked.push(second);
            }
        }
        asked
    }

    #[test]
    fn what_moves_is_asked_for_at_every_main_tick_and_at_no_other() {
        assert_eq!(asked(60, BOUNDS, |_| true), [0, 15, 30, 45]);
        let slow = Bounds { min: Duration::from_secs(30), max: Duration::from_secs(60) };
        assert_eq!(asked(100, slow, |_| true), [0, 30, 60, 90], "never more often than its bound");
        let fast = Bounds { min: Duration::from_secs(5), max: Duration::from_secs(10) };
        assert_eq!(asked(35, fast, |_| true), [0, 10, 15, 25, 30], "never less often than its bound");
    }

    #[test]
    fn what_stands_still_is_asked_for_less_and_less() {
        let times = asked(600, BOUNDS, |_| false);
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.is_sorted(), "{gaps:?}");
        assert_eq!(gaps.first(), Some(&30), "18 s, at the first main tick after it");
        assert_eq!(gaps.last(), Some(&60));
        let times = asked(200, BOUNDS, |second| second > 100);
        let moved = times.iter().find(|second| **second > 100).copied().unwrap_or_default();
        assert!(times.contains(&(moved.next_multiple_of(15))), "back at once: {times:?}");
    }

    #[test]
    fn what_fails_is_asked_for_again_soon_but_not_for_ever_at_every_tick() {
        let mut pace = Pace::default();
        let mut asked = Vec::new();
        for second in (0..400).step_by(5) {
            let tick = tick(second);
            if pace.is_due(&tick, BOUNDS) {
                pace.answered(Answer::Failed, &tick, BOUNDS);
                asked.push(second);
            }
        }
        assert_eq!(asked[..4], [0, 5, 15, 30], "then at the pace of what moves");
        pace.answered(Answer::Moved, &tick(395), BOUNDS);
        assert!(!pace.is_due(&Tick { at: Moment(401_000), ..tick(400) }, BOUNDS));
        pace.wake();
        assert!(pace.is_due(&tick(400), BOUNDS));
    }

    #[test]
    fn everything_stretches_evenly() {
        let mut pace = Pace::default();
        let stretched = |second: u64| Tick { length: Duration::from_secs(10), stretch: 2.0, ..tick(second) };
        pace.answered(Answer::Moved, &stretched(0), BOUNDS);
        assert_eq!(pace.interval(&stretched(0), BOUNDS), Duration::from_secs(30));
        for _ in 0..20 {
            pace.answered(Answer::Still, &stretched(0), BOUNDS);
        }
        assert_eq!(pace.interval(&stretched(0), BOUNDS), Duration::from_secs(120));
    }
}
