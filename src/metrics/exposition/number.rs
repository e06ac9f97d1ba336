//! Numbers as both formats write them, without an allocation.

use std::io::Write;

mod sealed {
    pub trait Sealed {}
}

/// A sample's value.
pub trait Value: sealed::Sealed + Copy {
    /// Appends the number.
    fn write(self, out: &mut Vec<u8>);

    /// What tells the number from every other of its type.
    fn bits(self) -> u64;
}

macro_rules! integers {
    ($($integer:ty),*) => {
        $(
            impl sealed::Sealed for $integer {}

            impl Value for $integer {
                fn write(self, out: &mut Vec<u8>) {
                    out.extend_from_slice(itoa::Buffer::new().format(self).as_bytes());
                }

                #[allow(clippy::cast_sign_loss, trivial_numeric_casts, reason = "only to be told from others")]
                fn bits(self) -> u64 {
                    self as u64
                }
            }
        )*
    };
}

integers!(u8, u16, u32, u64, usize, i32, i64);

impl sealed::Sealed for bool {}

impl Value for bool {
    fn write(self, out: &mut Vec<u8>) {
        out.push(if self { b'1' } else { b'0' });
    }

    fn bits(self) -> u64 {
        self.into()
    }
}

impl sealed::Sealed for f64 {}

impl Value for f64 {
    fn write(self, out: &mut Vec<u8>) {
        if self.is_nan() {
            out.extend_from_slice(b"NaN");
        } else if self.is_infinite() {
            out.extend_from_slice(if self > 0.0 { b"+Inf" } else { b"-Inf" });
        } else {
            // Writing into a vector cannot fail.
            let _ = write!(out, "{self}");
        }
    }

    fn bits(self) -> u64 {
        self.to_bits()
    }
}

/// Writes a bucket's upper bound for `le`: in OpenMetrics always with a fraction (`1.0`), in the text format without one
/// that says nothing (`1`), as Prometheus's own libraries do.
pub(super) fn write_bound(bound: f64, openmetrics: bool, out: &mut Vec<u8>) {
    bound.write(out);
    if openmetrics && bound.is_finite() && bound.fract() == 0.0 {
        out.extend_from_slice(b".0");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: impl Value) -> String {
        let mut out = Vec::new();
        value.write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        assert_eq!(written(u64::MAX), "18446744073709551615");
        assert_eq!(written(0_u32), "0");
        assert_eq!(written(true), "1");
        assert_eq!(written(1.5), "1.5");
        assert_eq!(written(3.0), "3");
        assert_eq!(written(1_700_000_000.123), "1700000000.123");
        assert_eq!(written(f64::INFINITY), "+Inf");
    }

    #[test]
    fn bounds_have_a_fraction_in_openmetrics_only() {
        let bound = |bound: f64, openmetrics: bool| {
            let mut out = Vec::new();
            write_bound(bound, openmetrics, &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        assert_eq!(bound(1.0, true), "1.0");
        assert_eq!(bound(1.0, false), "1");
        assert_eq!(bound(0.005, true), "0.005");
        assert_eq!(bound(f64::INFINITY, true), "+Inf");
    }
}
