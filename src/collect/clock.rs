//! The clock as a parameter, so that the pipeline runs on a virtual one in tests.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::model::{Instants, Moment, WallTime};

/// Tells the time on both clocks.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Instants;

    /// Processor time that the process has used; zero where nobody counts it.
    fn cpu(&self) -> Duration {
        Duration::ZERO
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Instants {
        (**self).now()
    }

    fn cpu(&self) -> Duration {
        (**self).cpu()
    }
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

    fn cpu(&self) -> Duration {
        let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let seconds = u64::try_from(used.tv_sec).unwrap_or(0);
        Duration::new(seconds, u32::try_from(used.tv_nsec).unwrap_or(0))
    }
}

/// A clock that tests turn.
#[cfg(test)]
pub(crate) mod testing {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Arc, Clock, Instants, Moment, WallTime};

    /// Tells its milliseconds on both clocks.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct TestClock(pub(crate) Arc<AtomicU64>);

    impl Clock for TestClock {
        fn now(&self) -> Instants {
            let now = self.0.load(Ordering::Relaxed);
            Instants { moment: Moment(now), wall: WallTime(i64::try_from(now).unwrap_or(i64::MAX)) }
        }
    }
}
