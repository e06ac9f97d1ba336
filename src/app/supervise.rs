//! Keeps a background task alive: a panic is contained, counted, logged once, and the task started again.

use std::future::Future;
use std::time::Duration;

use super::stop::Stop;

/// The wait before a first restart; it doubles with each one in a row.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait before a restart.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// A task that ran this long before it panicked starts with the first wait again.
const STEADY_AFTER: Duration = Duration::from_secs(300);

/// Runs a task until it ends by itself or the process is to stop; starts it anew when it panics.
pub(super) async fn supervise<F>(name: &str, mut stop: Stop, mut panicked: impl FnMut(), mut start: impl FnMut() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut backoff = FIRST_BACKOFF;
    loop {
        let started = tokio::time::Instant::now();
        let mut task = tokio::spawn(start());
        let ended = tokio::select! {
            ended = &mut task => ended,
            () = stop.stopped() => {
                task.abort();
                return;
            }
        };
        match ended {
            Err(error) if error.is_panic() => {
                panicked();
                if started.elapsed() >= STEADY_AFTER {
                    backoff = FIRST_BACKOFF;
                }
                let payload = error.into_panic();
                let reason = reason(payload.as_ref());
                tracing::error!(
                    task = name,
                    "task panicked ({reason}); starting it again in {} s: please report this",
                    backoff.as_secs()
                );
            }
            _ => return,
        }
        tokio::select! {
            () = tokio::time::sleep(backoff) => backoff = (backoff * 2).min(MAX_BACKOFF),
            () = stop.stopped() => return,
        }
    }
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
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::super::stop::stop_pair;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_counted_and_the_task_started_again() {
        let (_stopper, stop) = stop_pair();
        let (runs, panics) = (Arc::new(AtomicU32::new(0)), AtomicU32::new(0));
        let start = || {
            let run = runs.fetch_add(1, Ordering::Relaxed);
            async move { assert!(run >= 2, "the first two runs panic") }
        };
        let counted = || {
            panics.fetch_add(1, Ordering::Relaxed);
        };
        supervise("test", stop, counted, start).await;
        assert_eq!((runs.load(Ordering::Relaxed), panics.load(Ordering::Relaxed)), (3, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_a_task_that_hangs() {
        let (stopper, stop) = stop_pair();
        let supervised = supervise("test", stop, || (), std::future::pending::<()>);
        stopper.stop();
        supervised.await;
    }
}
