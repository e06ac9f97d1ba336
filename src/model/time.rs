//! Points in time as values that are passed in: nothing here reads a clock.

use std::time::Duration;

/// A point on the process's monotonic clock, in milliseconds since it started. Ages are measured with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(pub u64);

impl Moment {
    /// The time from `earlier` to this moment; zero when it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// This moment, `later` on.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(later.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// A point on the wall clock, in milliseconds since the Unix epoch. Timestamps that people see are made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WallTime(pub i64);

impl WallTime {
    /// Seconds since the Unix epoch, Prometheus's unit for timestamps.
    #[must_use]
    pub fn as_seconds(self) -> f64 {
        // Milliseconds of any real date are far below 2^53.
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 ms")]
        let milliseconds = self.0 as f64;
        milliseconds / 1000.0
    }

    /// The time from `earlier` to this; zero when it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// This time, `later` on.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)))
    }
}

/// How old a reading may be and still be shown: what moves expires sooner than what stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaxAge(u32);

impl MaxAge {
    /// Of what was never read.
    pub const ZERO: Self = Self(0);
    /// Of what never grows too old.
    pub const FOREVER: Self = Self(u32::MAX);

    /// In seconds, for constants.
    #[must_use]
    pub const fn from_secs(seconds: u32) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// In whole milliseconds, 49 days at most.
    #[must_use]
    pub fn new(age: Duration) -> Self {
        Self(u32::try_from(age.as_millis()).unwrap_or(u32::MAX - 1).min(u32::MAX - 1))
    }

    /// As a duration.
    #[must_use]
    pub fn get(self) -> Duration {
        if self == Self::FOREVER { Duration::MAX } else { Duration::from_millis(u64::from(self.0)) }
    }
}

/// The same point on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instants {
    /// On the monotonic clock.
    pub moment: Moment,
    /// On the wall clock.
    pub wall: WallTime,
}

impl Instants {
    /// What the wall clock showed at a former moment, as it runs now.
    #[must_use]
    pub fn wall_at(self, moment: Moment) -> WallTime {
        let ago = i64::try_from(self.moment.since(moment).as_millis()).unwrap_or(i64::MAX);
        WallTime(self.wall.0.saturating_sub(ago))
    }
}
