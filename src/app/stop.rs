//! The one signal that everything ends on.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
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

/// SIGTERM and SIGINT, which end the daemon, and SIGHUP, which makes it read its configuration again. From their
/// installation on they do not end the process at once.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: Some(signal(SignalKind::hangup())?),
        })
    }

    /// SIGHUP, for whoever reads the configuration again; `None` the second time.
    pub(super) fn take_hangup(&mut self) -> Option<Signal> {
        self.hangup.take()
    }

    /// Waits for the first that ends the daemon, and returns its name.
    pub(super) async fn first(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
