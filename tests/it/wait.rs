//! Waiting with a bound, for what happens in other processes.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often a probe is repeated.
const PAUSE: Duration = Duration::from_millis(100);

/// Repeats `probe` until it succeeds, and panics with its last complaint after `bound`.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, bound: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    match within(bound, &mut probe) {
        Ok(value) => value,
        Err(last) => panic!("{what}: not within {bound:?}, at the end: {last}"),
    }
}

/// As [`eventually`], for callers that clean up or try another way; the error is the last complaint.
pub(crate) fn within<T>(bound: Duration, mut probe: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + bound;
    loop {
        match probe() {
            Ok(value) => return Ok(value),
            Err(complaint) if Instant::now() >= deadline => return Err(complaint),
            Err(_) => sleep(PAUSE),
        }
    }
}
