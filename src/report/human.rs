//! Numbers, durations and times as people read them.

use std::fmt;
use std::time::Duration;

use crate::model::{Messages, WallTime};

/// Below this a count is written digit for digit.
const EXACT_BELOW: u64 = 10_000;

/// A count, from ten thousand on in two significant digits: `9999`, `12 k`, `3.1 M`.
#[derive(Debug, Clone, Copy)]
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < EXACT_BELOW {
            return write!(f, "{}", self.0);
        }
        let mut size = 1_u64;
        for unit in ["k", "M", "G", "T", "P", "E"] {
            size *= 1000;
            let tenths = rounded(self.0, size / 10);
            let whole = rounded(self.0, size);
            if tenths < 100 {
                return write!(f, "{}.{} {unit}", tenths / 10, tenths % 10);
            }
            if whole < 1000 {
                return write!(f, "{whole} {unit}");
            }
        }
        write!(f, "{}", self.0)
    }
}

/// How many times a size goes into a count, to the nearest whole number.
fn rounded(count: u64, size: u64) -> u64 {
    count / size + u64::from(count % size >= size / 2)
}

/// A number of messages, with the word.
#[derive(Debug, Clone, Copy)]
pub struct MessageCount(pub Messages);

impl fmt::Display for MessageCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} message{}", Count(self.0.0), if self.0.0 == 1 { "" } else { "s" })
    }
}

/// A duration in one unit, whole: `41 min`, `6 h`. What is below a second is `< 1 s`.
#[derive(Debug, Clone, Copy)]
pub struct Roughly(pub Duration);

impl fmt::Display for Roughly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 if self.0.is_zero() => f.write_str("0 s"),
            0 => f.write_str("< 1 s"),
            1..120 => write!(f, "{seconds} s"),
            120..7200 => write!(f, "{} min", seconds / 60),
            7200..172_800 => write!(f, "{} h", seconds / 3600),
            _ => write!(f, "{} d", seconds / 86_400),
        }
    }
}

/// A time of day in UTC, with the date unless it is today's: `14:02 UTC`, `2026-03-01 14:02 UTC`.
#[derive(Debug, Clone, Copy)]
pub struct TimeOfDay {
    /// The time.
    pub at: WallTime,
    /// The time of reading.
    pub now: WallTime,
}

const MS_PER_MINUTE: i64 = 60_000;
const MS_PER_DAY: i64 = 86_400_000;

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = self.at.0.div_euclid(MS_PER_DAY);
        if day != self.now.0.div_euclid(MS_PER_DAY) {
            let (year, month, day) = date(day);
            write!(f, "{year:04}-{month:02}-{day:02} ")?;
        }
        let minutes = self.at.0.rem_euclid(MS_PER_DAY) / MS_PER_MINUTE;
        write!(f, "{:02}:{:02} UTC", minutes / 60, minutes % 60)
    }
}

/// Days in 400 years of the Gregorian calendar.
const DAYS_PER_ERA: i64 = 146_097;
/// From 1 March of the year 0 to 1 January 1970.
const DAYS_BEFORE_EPOCH: i64 = 719_468;

/// Year, month and day, counted from the days since the Unix epoch. Years are taken to begin in March, so that the leap
/// day is a year's last.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(DAYS_BEFORE_EPOCH);
    let (era, of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    // A leap day every 4 years (1461 days), none every 100 (36 525 − 1), but one every 400.
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    // From March on, five months have 153 days.
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_keep_two_digits() {
        let text = |count| Count(count).to_string();
        assert_eq!([text(0), text(9_999), text(10_000), text(12_345)], ["0", "9999", "10 k", "12 k"]);
        assert_eq!([text(999_999), text(1_000_000), text(3_149_999)], ["1.0 M", "1.0 M", "3.1 M"]);
        assert_eq!([text(14_996), text(999_499), text(9_949_999)], ["15 k", "999 k", "9.9 M"]);
        assert_eq!([text(9_950_000), text(99_999_999)], ["10 M", "100 M"]);
        assert_eq!([text(7_200_000_000), text(u64::MAX)], ["7.2 G", "18 E"]);
        assert_eq!(MessageCount(Messages(1)).to_string(), "1 message");
        assert_eq!(MessageCount(Messages(2)).to_string(), "2 messages");
    }

    #[test]
    fn durations_have_one_unit() {
        let text = |seconds| Roughly(Duration::from_secs(seconds)).to_string();
        assert_eq!([text(0), text(1), text(119), text(120)], ["0 s", "1 s", "119 s", "2 min"]);
        assert_eq!([text(2_460), text(7_199), text(7_200)], ["41 min", "119 min", "2 h"]);
        assert_eq!([text(172_799), text(172_800)], ["47 h", "2 d"]);
        assert_eq!(Roughly(Duration::from_millis(999)).to_string(), "< 1 s");
    }

    #[test]
    fn times_of_other_days_have_a_date() {
        let text = |at: i64, now: i64| TimeOfDay { at: WallTime(at * 1000), now: WallTime(now * 1000) }.to_string();
        assert_eq!(text(1_700_000_000, 1_700_003_600), "22:13 UTC");
        assert_eq!(text(1_700_000_000, 1_700_010_000), "2023-11-14 22:13 UTC");
        assert_eq!(text(0, 86_400), "1970-01-01 00:00 UTC");
        assert_eq!(text(951_782_400, 0), "2000-02-29 00:00 UTC");
        assert_eq!(text(4_107_542_399, 0), "2100-02-28 23:59 UTC");
        assert_eq!(text(4_107_542_400, 0), "2100-03-01 00:00 UTC");
        assert_eq!(text(-1, 0), "1969-12-31 23:59 UTC");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = date(-1000);
        for day in -999..200_000 {
            let (year, month, of_month) = date(day);
            let is_next = match of_month {
                1 if month == 1 => before == (year - 1, 12, 31),
                1 => (before.0, before.1) == (year, month - 1) && before.2 >= 28,
                _ => before == (year, month, of_month - 1),
            };
            assert!(is_next, "{before:?}, then {:?}", (year, month, of_month));
            before = (year, month, of_month);
        }
    }
}
