//! The one signal that everything ends on.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells that the process is to end. Clones tell the same.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    stopped: watch::Receiver<bool>,
}

/// Makes a [`Stop`] tell. Dropping it does so as well.
#[derive(Debug)]
pub(super) struct Stopper {
    stop: watch::Sender<bool>,
}

/// A stop that has not happened yet, and what makes it happen.
#[must_use]
pub(super) fn stop_pair() -> (Stopper, Stop) {
    let (stop, stopped) = watch::channel(false);
    (Stopper { stop }, Stop { stopped })
}

impl Stopper {
    /// Makes it happen.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Stop {
    /// Returns when it has happened.
    pub(super) async fn stopped(&mut self) {
        // An error means that the stopper is gone: that is a stop, too.
        let _ = self.stopped.wait_for(|stopped| *stopped).await;
    }
}

/// Waits for SIGTERM or SIGINT and returns its name.
///
/// # Errors
/// When the handlers cannot be installed.
pub(super) async fn wait_for_signal() -> io::Result<&'static str> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
