//! The clock as a parameter, so that the pipeline runs on a virtual one in tests.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::{Instants, Moment, WallTime};

/// Tells the time on both clocks.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Instants;
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose moments count from now.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instants {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Instants {
            moment: Moment(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)),
            wall: WallTime(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}
