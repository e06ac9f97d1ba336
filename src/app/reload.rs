//! Reads the configuration again, on SIGHUP and on `POST /-/reload`, and puts it in force: one reload after another.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::{Mutex, mpsc};
use tokio::time::sleep;

use super::clusters::{Clusters, Shared};
use crate::collect::Clock;
use crate::config::{Config, ConfigError, Resolved};
use crate::http::{HttpState, ReloadOutcome, ReloadRequest};
use crate::metrics::Task;

/// How often the task shows that it turns.
const TURN: Duration = Duration::from_secs(1);

/// Reads flags, environment and file again, as at the start.
pub type Reread = dyn Fn() -> Result<Resolved, Vec<ConfigError>> + Send + Sync;

/// What asks for reloads.
pub(super) struct Wishes {
    pub(super) hangup: Option<Signal>,
    pub(super) requests: mpsc::Receiver<ReloadRequest>,
}

impl Wishes {
    /// SIGHUP has come.
    async fn hangup(hangup: &mut Option<Signal>) {
        let received = match hangup {
            Some(signal) => signal.recv().await,
            None => None,
        };
        if received.is_none() {
            // There is none to come.
            std::future::pending().await
        }
    }
}

/// All that a reload takes.
#[derive(Clone)]
pub(super) struct Reloader {
    pub(super) clusters: Arc<Mutex<Clusters>>,
    /// `None`: there is nothing that could have changed.
    pub(super) reread: Option<Arc<Reread>>,
    pub(super) http: Arc<HttpState>,
    pub(super) wishes: Arc<Mutex<Wishes>>,
    pub(super) shared: Shared,
    pub(super) task: Task,
}

impl Reloader {
    /// Reloads whenever somebody wants it, for ever.
    pub(super) async fn run(self) {
        let mut wishes = self.wishes.lock().await;
        loop {
            let Wishes { hangup, requests } = &mut *wishes;
            tokio::select! {
                () = Wishes::hangup(hangup) => {
                    // The outcome is in the log.
                    let _ = self.while_alive(self.reload("SIGHUP")).await;
                }
                Some(done) = requests.recv() => {
                    let outcome = self.while_alive(self.reload("POST /-/reload")).await;
                    // Whoever asked may have gone.
                    let _ = done.send(outcome);
                }
                () = sleep(TURN) => {}
            }
            self.task.progress();
        }
    }

    async fn reload(&self, by: &'static str) -> ReloadOutcome {
        let Some(reread) = self.reread.clone() else {
            let words = "nothing was read again: the demo's configuration is not in a file".to_owned();
            tracing::info!("{by}: {words}");
            return Ok(words);
        };
        tracing::info!("{by}: reading the configuration again");
        // Files may lie on a disk that hangs.
        let resolved = match tokio::task::spawn_blocking(move || reread()).await {
            Ok(resolved) => resolved.map_err(|errors| errors.iter().map(ToString::to_string).collect()),
            Err(error) => Err(vec![format!("reading the configuration broke off: {error}")]),
        };
        match resolved {
            Ok((config, warnings)) => {
                let mut notes: Vec<String> = warnings.iter().map(ToString::to_string).collect();
                self.apply(config, &mut notes).await.map_err(|error| self.refused(&[error]))
            }
            Err(errors) => Err(self.refused(&errors)),
        }
    }

    /// Puts a configuration in force; `notes` are what is odd about it.
    async fn apply(&self, config: Config, notes: &mut Vec<String>) -> Result<String, String> {
        let mut clusters = self.clusters.lock().await;
        let before = clusters.config().load_full();
        let changed = unreloadable(&before, &config);
        notes
            .extend(changed.iter().map(|setting| format!("{setting} has changed: it needs a restart of the exporter")));
        // What runs on is what was there at the start: it is compared with again next time.
        let config = Config {
            web: before.web.clone(),
            log: before.log.clone(),
            state_file: before.state_file.clone(),
            ..config
        };
        let changes = clusters.apply(config, &self.http).await.map_err(|error| error.to_string())?;
        self.shared.own.config_loaded(self.shared.clock.now().wall);
        notes.iter().for_each(|note| tracing::warn!("{note}"));
        tracing::info!("configuration reloaded: {changes}");
        let notes: String = notes.iter().map(|note| format!("\nwarning: {note}")).collect();
        Ok(format!("configuration reloaded: {changes}{notes}"))
    }

    /// Says why nothing has changed, once in the log and once to whoever asked.
    fn refused(&self, errors: &[String]) -> String {
        self.shared.own.config_refused();
        errors.iter().for_each(|error| tracing::error!("configuration not reloaded: {error}"));
        let words = "the configuration was not reloaded, and the one before stays in force";
        tracing::error!(errors = errors.len(), "{words}: mend what is listed above and reload again");
        format!("{words}:\n{}", errors.join("\n"))
    }

    /// Waits for a reload, and meanwhile shows that this task turns.
    async fn while_alive<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = sleep(TURN) => self.task.touch(),
            }
        }
    }
}

/// The settings that differ and that a running exporter does not change.
fn unreloadable(before: &Config, after: &Config) -> Vec<&'static str> {
    let (web, new) = (&before.web, &after.web);
    let settings = [
        ("web.listen", web.listen != new.listen),
        ("web.telemetry_path", web.telemetry_path != new.telemetry_path),
        ("web.max_connections", web.max_connections != new.max_connections),
        ("web.header_timeout", web.header_timeout != new.header_timeout),
        ("web.request_timeout", web.request_timeout != new.request_timeout),
        ("web.admin", web.admin != new.admin),
        ("log.format", before.log.format != after.log.format),
        ("log.level", before.log.level != after.log.level),
        ("state_file", before.state_file != after.state_file),
    ];
    settings.into_iter().filter(|(_, differs)| *differs).map(|(setting, _)| setting).collect()
}
