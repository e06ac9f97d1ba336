//! Keeps a background task alive: a panic is contained, counted, logged once, and the task started again.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::stop::Stop;
use crate::metrics::Task;

/// The wait before a first restart; it doubles with each one in a row.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait before a restart.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// A task that ran this long before it panicked starts with the first wait again.
const STEADY_AFTER: Duration = Duration::from_secs(300);

/// Runs a task until it ends by itself or is to stop; starts it anew when it panics. Where it is stopped, nothing of it
/// runs any more when this returns.
pub(super) async fn supervise<F>(task: &Task, mut stop: Stop, mut start: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut backoff = FIRST_BACKOFF;
    loop {
        let started = Instant::now();
        let Some(reason) = run_once(&mut stop, start()).await else { return task.finished() };
        task.panicked();
        if started.elapsed() >= STEADY_AFTER {
            backoff = FIRST_BACKOFF;
        }
        let (name, seconds) = (task.name(), backoff.as_secs());
        tracing::error!(task = name, "task panicked ({reason}); starting it again in {seconds} s: please report this");
        tokio::select! {
            () = sleep(backoff) => backoff = (backoff * 2).min(MAX_BACKOFF),
            () = stop.stopped() => return task.finished(),
        }
        task.restarted();
    }
}

/// Runs a task once. Returns the text of its panic; `None` when it ended by itself or was stopped.
async fn run_once<F>(stop: &mut Stop, task: F) -> Option<String>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut task = tokio::spawn(task);
    let ended = tokio::select! {
        ended = &mut task => ended,
        () = stop.stopped() => {
            task.abort();
            task.await
        }
    };
    let panic = ended.err()?.try_into_panic().ok()?;
    Some(reason(panic.as_ref()).to_owned())
}

/// The text of a panic.
fn reason(payload: &(dyn std::any::Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason given")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::stop::stop_pair;
    use super::*;
    use crate::collect::SystemClock;
    use crate::metrics::{OwnMetrics, TaskState, Tasks};

    fn tasks() -> Tasks {
        Tasks::new(Arc::new(OwnMetrics::new("0", None).unwrap()), SystemClock::start())
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_counted_and_the_task_started_again() {
        let (_stopper, stop) = stop_pair();
        let (runs, tasks) = (Arc::new(AtomicU32::new(0)), tasks());
        let start = || {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            async move { assert!(run >= 2, "the first two runs panic") }
        };
        supervise(&tasks.register("test", None), stop, start).await;
        assert_eq!(runs.load(Ordering::Relaxed), 3);
        let task = &tasks.list()[0];
        assert_eq!((task.state, task.panics, task.restarts), (TaskState::Finished, 2, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_a_task_that_hangs_and_all_that_it_holds() {
        let (stopper, stop) = stop_pair();
        let (tasks, held) = (tasks(), Arc::new(()));
        let task = tasks.register("test", None);
        let start = || {
            let held = held.clone();
            async move {
                let _held = held;
                std::future::pending::<()>().await;
            }
        };
        let supervised = supervise(&task, stop, start);
        tokio::pin!(supervised);
        assert!(tokio::time::timeout(Duration::from_secs(1), &mut supervised).await.is_err());
        assert_eq!(Arc::strong_count(&held), 2);
        stopper.stop();
        supervised.await;
        assert_eq!(Arc::strong_count(&held), 1);
        assert_eq!(tasks.list()[0].state, TaskState::Finished);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_does_not_wait_for_a_restart() {
        let (stopper, stop) = stop_pair();
        let tasks = tasks();
        let task = tasks.register("test", None);
        let supervised = supervise(&task, stop, || async { assert_eq!(1, 2, "always") });
        tokio::pin!(supervised);
        assert!(tokio::time::timeout(Duration::from_secs(2), &mut supervised).await.is_err());
        stopper.stop();
        supervised.await;
        assert_eq!(tasks.list()[0].state, TaskState::Finished);
    }
}
