//! Keeps a line that librdkafka repeats from filling the log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a line that was just written is left out when it comes again.
const QUIET: Duration = Duration::from_secs(60);
/// How many different lines are remembered; beyond that all are forgotten, and some are written again.
const MAX_LINES: usize = 128;

/// The lines that were written lately.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    lines: HashMap<String, Line>,
}

#[derive(Debug)]
struct Line {
    written: Instant,
    left_out: u64,
}

/// Whether to write a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Write it; so many like it were left out since the last one.
    Say {
        /// How many.
        left_out: u64,
    },
    /// Leave it out.
    LeaveOut,
}

impl Repeats {
    /// Decides over a line. Lines that differ only in digits (times, counts, ports of connections) are the same.
    pub(super) fn judge(&mut self, line: &str, now: Instant) -> Verdict {
        let shape: String = line.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let shape = squeeze_zeros(&shape);
        if let Some(known) = self.lines.get_mut(&shape) {
            if now.saturating_duration_since(known.written) < QUIET {
                known.left_out += 1;
                return Verdict::LeaveOut;
            }
            known.written = now;
            return Verdict::Say { left_out: std::mem::take(&mut known.left_out) };
        }
        if self.lines.len() >= MAX_LINES {
            self.lines.clear();
        }
        self.lines.insert(shape, Line { written: now, left_out: 0 });
        Verdict::Say { left_out: 0 }
    }
}

/// Numbers of any length look the same.
fn squeeze_zeros(line: &str) -> String {
    let mut squeezed = String::with_capacity(line.len());
    for c in line.chars() {
        if c != '0' || !squeezed.ends_with('0') {
            squeezed.push(c);
        }
    }
    squeezed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_once_a_minute_and_tells_how_many_were_left_out() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        assert_eq!(repeats.judge("refused after 9ms", start), Verdict::Say { left_out: 0 });
        assert_eq!(repeats.judge("refused after 12ms", start + Duration::from_secs(1)), Verdict::LeaveOut);
        assert_eq!(repeats.judge("timed out after 12ms", start), Verdict::Say { left_out: 0 });
        assert_eq!(repeats.judge("refused after 0ms", start + QUIET), Verdict::Say { left_out: 1 });
        assert_eq!(repeats.judge("refused after 0ms", start + QUIET), Verdict::LeaveOut);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut repeats, now) = (Repeats::default(), Instant::now());
        for letter in 0..10 * u32::try_from(MAX_LINES).unwrap_or_default() {
            repeats.judge(&"x".repeat(letter as usize + 1), now);
        }
        assert!(repeats.lines.len() <= MAX_LINES);
    }
}
