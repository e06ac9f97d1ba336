//! Keeps a background task alive: a panic is contained, counted, logged once, and the task started again.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::stop::Stop;
use crate::metrics::{OwnMetrics, TaskState};

/// The wait before a first restart; it doubles with each one in a row.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait before a restart.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// A task that ran this long before it panicked starts with the first wait again.
const STEADY_AFTER: Duration = Duration::from_secs(300);

/// Runs a task until it ends by itself or the process is to stop; starts it anew when it panics.
pub(super) async fn supervise<F>(name: &'static str, own: &OwnMetrics, mut stop: Stop, mut start: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut backoff = FIRST_BACKOFF;
    loop {
        let started = Instant::now();
        let Some(reason) = run_once(own, &mut stop, start()).await else { return };
        own.task_panicked(name);
        if started.elapsed() >= STEADY_AFTER {
            backoff = FIRST_BACKOFF;
        }
        let seconds = backoff.as_secs();
        tracing::error!(task = name, "task panicked ({reason}); starting it again in {seconds} s: please report this");
        let _counted = own.task(TaskState::Restarting);
        tokio::select! {
            () = sleep(backoff) => backoff = (backoff * 2).min(MAX_BACKOFF),
            () = stop.stopped() => return,
        }
    }
}

/// Runs a task once. Returns the text of its panic; `None` when it ended by itself or was stopped.
async fn run_once<F>(own: &OwnMetrics, stop: &mut Stop, task: F) -> Option<String>
where
    F: Future<Output = ()> + Send + 'static,
{
    let _counted = own.task(TaskState::Running);
    let mut task = tokio::spawn(task);
    let ended = tokio::select! {
        ended = &mut task => ended,
        () = stop.stopped() => {
            task.abort();
            return None;
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
    use crate::metrics::catalogue;
    use crate::metrics::exposition::{Exposition, Format, View};

    fn own() -> OwnMetrics {
        OwnMetrics::new("0", None).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_counted_and_the_task_started_again() {
        let (_stopper, stop) = stop_pair();
        let (runs, own) = (Arc::new(AtomicU32::new(0)), own());
        let start = || {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            async move { assert!(run >= 2, "the first two runs panic") }
        };
        supervise("test", &own, stop, start).await;
        assert_eq!(runs.load(Ordering::Relaxed), 3);
        let text = Exposition::new(View { own: own.gather(), ..View::default() }, Format::Text).into_bytes();
        let counted = format!("{}{{task=\"test\"}} 2\n", catalogue::KAFKASCOPE_TASK_PANICS_TOTAL.name);
        assert!(String::from_utf8(text).unwrap().contains(&counted));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_a_task_that_hangs() {
        let (stopper, stop) = stop_pair();
        let own = own();
        let supervised = supervise("test", &own, stop, std::future::pending::<()>);
        stopper.stop();
        supervised.await;
    }
}
