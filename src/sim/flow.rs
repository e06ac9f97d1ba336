//! How records come to a partition and leave it: pure functions of time.

use std::time::Duration;

/// Milliseconds in an hour, the unit in which rates are held.
const HOUR_MS: i64 = 3_600_000;
/// Partition shares are in thousandths of the topic's rate for one partition.
pub(super) const WHOLE_SHARE: i64 = 1_000;

/// A duration in whole milliseconds, the resolution of record timestamps in Kafka.
pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Records in a time, for one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    per_hour: i64,
}

impl Rate {
    /// `records` every second.
    pub const fn per_second(records: u32) -> Self {
        Self { per_hour: records as i64 * 3_600 }
    }

    /// `records` every minute, for slow topics.
    pub const fn per_minute(records: u32) -> Self {
        Self { per_hour: records as i64 * 60 }
    }

    /// Records that a source of this rate makes in `active_ms`, times `share` thousandths.
    ///
    /// Integers throughout: two readings of one moment always agree, whatever was asked between.
    pub(super) fn records_in(self, active_ms: i64, share: i64) -> i64 {
        let per_hour = self.per_hour.saturating_mul(share);
        let divisor = HOUR_MS * WHOLE_SHARE;
        match active_ms.checked_mul(per_hour) {
            Some(product) => product / divisor,
            None => {
                let wide = i128::from(active_ms) * i128::from(per_hour) / i128::from(divisor);
                i64::try_from(wide).unwrap_or(i64::MAX)
            }
        }
    }
}

/// When records come: for `active` at the beginning of each `period`, at `rate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    rate: Rate,
    active_ms: i64,
    period_ms: i64,
}

impl Flow {
    /// Nothing comes.
    pub const IDLE: Self = Self { rate: Rate { per_hour: 0 }, active_ms: 1, period_ms: 1 };

    /// The same rate all the time.
    pub const fn steady(rate: Rate) -> Self {
        Self { rate, active_ms: 1, period_ms: 1 }
    }

    /// `rate` for `active`, then nothing until `every` has passed. `active` longer than `every` is
    /// steady.
    pub fn bursts(rate: Rate, active: Duration, every: Duration) -> Self {
        let period_ms = millis(every).max(1);
        Self { rate, active_ms: millis(active).min(period_ms), period_ms }
    }

    /// Whether records ever come.
    pub fn is_idle(&self) -> bool {
        self.rate.per_hour == 0 || self.active_ms == 0
    }

    /// Records that came to a partition with this `share` in the first `elapsed_ms` of the flow.
    pub(super) fn produced(&self, elapsed_ms: i64, share: i64) -> i64 {
        if elapsed_ms <= 0 || self.rate.per_hour == 0 {
            return 0;
        }
        let whole = (elapsed_ms / self.period_ms) * self.active_ms;
        let active = whole + (elapsed_ms % self.period_ms).min(self.active_ms);
        self.rate.records_in(active, share)
    }
}

/// What a topic keeps, `retention.ms` and `retention.bytes` in the large.
///
/// Kafka deletes whole segments, so the log start moves in steps; so does this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// Everything (or a compacted topic, whose log start stays).
    Forever,
    /// Records up to `age`, deleted in steps of `segment`.
    Age {
        /// The oldest that a record may be.
        age: Duration,
        /// The time that one segment covers.
        segment: Duration,
    },
    /// About `records` records a partition, deleted in steps of a tenth.
    Records(u32),
}

/// The share of partition `partition` in thousandths: partitions of one topic are never alike.
///
/// Between 700 and 1300, by the topic's id, so that it needs no memory.
pub(super) fn share(topic_id: u128, partition: usize) -> i64 {
    let low = u64::try_from(topic_id & u128::from(u64::MAX)).unwrap_or(0);
    let mixed = mix(low ^ (partition as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    700 + i64::try_from(mixed % 601).unwrap_or(0)
}

/// A step of the splitmix64 generator: the only source of chance in the simulation.
pub(super) const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A stable 64-bit hash of a name (FNV-1a, mixed).
pub(super) fn hash_name(name: &str) -> u64 {
    let folded = name
        .bytes()
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    mix(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steady_and_bursty_flows_count_what_they_say() {
        let steady = Flow::steady(Rate::per_second(10));
        assert_eq!(steady.produced(0, WHOLE_SHARE), 0);
        assert_eq!(steady.produced(1_500, WHOLE_SHARE), 15);
        assert_eq!(steady.produced(3_600_000, WHOLE_SHARE / 2), 18_000);
        let bursts = Flow::bursts(Rate::per_second(100), Duration::from_secs(2), Duration::from_secs(10));
        assert_eq!(bursts.produced(1_000, WHOLE_SHARE), 100);
        assert_eq!(bursts.produced(9_999, WHOLE_SHARE), 200);
        assert_eq!(bursts.produced(10_500, WHOLE_SHARE), 250);
        assert!(Flow::IDLE.is_idle() && !bursts.is_idle());
        assert_eq!(Flow::IDLE.produced(i64::MAX, WHOLE_SHARE), 0);
    }

    #[test]
    fn huge_products_neither_wrap_nor_panic() {
        let flow = Flow::steady(Rate::per_second(u32::MAX));
        assert!(flow.produced(i64::MAX / 2, 1_300) > 0);
    }

    #[test]
    fn shares_are_spread_around_the_whole() {
        let shares: Vec<i64> = (0..200).map(|p| share(7, p)).collect();
        assert!(shares.iter().all(|s| (700..=1300).contains(s)));
        let mean = shares.iter().sum::<i64>() / 200;
        assert!((950..1050).contains(&mean), "mean share {mean}");
    }
}
