//! What a pass costs in processor time, when the passes of several clusters may overlap.
//!
//! The system counts the time of the whole process. Of what is used while several passes are under way each is charged an
//! equal part; what is used while none is (scrapes, between passes) is charged to none.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The passes under way in one process.
#[derive(Debug, Default)]
pub struct CpuMeter(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    /// The process's time at the last change.
    last: Duration,
    /// Each pass under way, with what it was charged so far. At most one for each cluster.
    passes: Vec<(u64, Duration)>,
    next: u64,
}

impl Running {
    /// Shares out what was used since the last change.
    fn settle(&mut self, used: Duration) {
        let since = used.saturating_sub(self.last);
        self.last = used;
        let count = u32::try_from(self.passes.len()).unwrap_or(u32::MAX).max(1);
        self.passes.iter_mut().for_each(|(_, charged)| *charged += since / count);
    }
}

/// A pass under way. Dropped, it is charged nothing more.
#[derive(Debug)]
pub(super) struct Metered<'a> {
    meter: &'a CpuMeter,
    number: u64,
}

impl CpuMeter {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pass begins; `used` is the process's time.
    pub(super) fn begin(&self, used: Duration) -> Metered<'_> {
        let mut running = self.running();
        running.settle(used);
        running.next = running.next.wrapping_add(1);
        let number = running.next;
        running.passes.push((number, Duration::ZERO));
        Metered { meter: self, number }
    }
}

impl Metered<'_> {
    /// It ends; what it was charged.
    pub(super) fn end(self, used: Duration) -> Duration {
        let mut running = self.meter.running();
        running.settle(used);
        let charged = running.passes.iter().find(|(number, _)| *number == self.number);
        charged.map_or(Duration::ZERO, |(_, charged)| *charged)
    }
}

impl Drop for Metered<'_> {
    fn drop(&mut self) {
        self.meter.running().passes.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn passes_that_overlap_share_what_is_used() {
        let meter = CpuMeter::default();
        let alone = meter.begin(ms(100));
        let second = meter.begin(ms(110));
        assert_eq!(alone.end(ms(130)), ms(20), "10 alone, and half of 20");
        assert_eq!(second.end(ms(135)), ms(15));
        let later = meter.begin(ms(900));
        assert_eq!(later.end(ms(901)), ms(1), "what is used in between is nobody's");
        drop(meter.begin(ms(901)));
        assert!(meter.running().passes.is_empty(), "a pass that broke off goes as well");
    }
}
