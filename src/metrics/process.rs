//! The process as the operating system sees it, under the names that Prometheus's own client libraries use.

use std::sync::{Mutex, PoisonError};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use super::catalogue::{self as names, Family};

/// Reads the process's numbers when a scrape asks for them: this process only, and no more than is shown.
pub struct ProcessMetrics {
    pid: Pid,
    system: Mutex<Option<System>>,
}

impl std::fmt::Debug for ProcessMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessMetrics").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Default for ProcessMetrics {
    fn default() -> Self {
        Self { pid: Pid::from_u32(std::process::id()), system: Mutex::new(System::new().ok()) }
    }
}

impl ProcessMetrics {
    /// The numbers as they stand now. One that the operating system does not tell is left out.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "bytes and counts of a process are far below 2^53")]
    pub fn read(&self) -> Vec<(&'static Family, f64)> {
        let mut values: Vec<(&'static Family, f64)> = Vec::with_capacity(7);
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(system) = system.as_mut() {
            let what = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[self.pid]), false, what);
            if let Some(process) = system.process(self.pid) {
                values.push((&names::PROCESS_CPU_SECONDS_TOTAL, process.accumulated_cpu_time() as f64 / 1000.0));
                values.push((&names::PROCESS_RESIDENT_MEMORY_BYTES, process.memory() as f64));
                values.push((&names::PROCESS_VIRTUAL_MEMORY_BYTES, process.virtual_memory() as f64));
                values.push((&names::PROCESS_START_TIME_SECONDS, process.start_time() as f64));
                values.extend(process.open_files().map(|count| (&names::PROCESS_OPEN_FDS, count as f64)));
                values.extend(process.open_files_limit().map(|count| (&names::PROCESS_MAX_FDS, count as f64)));
            }
        }
        values.extend(threads().map(|count| (&names::PROCESS_THREADS, f64::from(count))));
        values
    }
}

/// The number of threads, which sysinfo tells only by reading each of them: Linux has it in one line.
fn threads() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_sees_itself() {
        let process = ProcessMetrics::default();
        let value =
            |family: &Family| process.read().iter().find(|(of, _)| of.name == family.name).map(|(_, value)| *value);
        assert!(value(&names::PROCESS_RESIDENT_MEMORY_BYTES).is_some_and(|bytes| bytes > 1e6));
        assert!(value(&names::PROCESS_OPEN_FDS).is_some_and(|fds| fds >= 3.0));
        assert!(value(&names::PROCESS_MAX_FDS).is_some_and(|fds| fds >= 3.0));
        assert!(value(&names::PROCESS_THREADS).is_some_and(|threads| threads >= 1.0));
        assert!(value(&names::PROCESS_START_TIME_SECONDS).is_some_and(|seconds| seconds > 1.5e9));
        let cpu = value(&names::PROCESS_CPU_SECONDS_TOTAL);
        assert!(cpu.is_some_and(|seconds| seconds >= 0.0));
    }

    #[test]
    fn cpu_time_moves_on_from_scrape_to_scrape() {
        let process = ProcessMetrics::default();
        let cpu =
            || process.read().iter().find(|(of, _)| of.name == names::PROCESS_CPU_SECONDS_TOTAL.name).map(|v| v.1);
        let before = cpu();
        let mut sum = 0_u64;
        // Work until the kernel's clock ticks: bounded, for a tick is 10 ms.
        for round in 0..10_000_u64 {
            sum = (0..100_000).fold(sum ^ round, |sum, step| sum.wrapping_mul(31).wrapping_add(step));
            if round % 50 == 0 && cpu() > before {
                return;
            }
        }
        assert!(cpu() > before, "CPU time stands still after much work ({sum})");
    }
}
