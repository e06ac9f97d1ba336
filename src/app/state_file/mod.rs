//! Keeps what is remembered of the clusters in a file, so that time lag goes on from there after a restart.

mod disk;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use self::disk::{Found, SetAside, StateFileError};
use crate::collect::{Clock, SystemClock};
use crate::metrics::{OwnMetrics, Task};
use crate::model::{Moment, WallTime};
use crate::track::TopicHistory;
use crate::track::persist::{self, ClusterHistory, SavedState};

/// How often the file is written.
const WRITE_EVERY: Duration = Duration::from_secs(60);
/// A failure that goes on is said again after this.
const REPEAT_AFTER: Duration = Duration::from_secs(1_800);
/// How long the start waits for the file. What comes later is taken over then.
const READ_WITHIN: Duration = Duration::from_secs(3);
/// How often the task shows that it turns.
const TURN: Duration = Duration::from_secs(1);
/// What was seen so much later than now was seen by a clock that went wrong; smaller steps are usual.
const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// Who remembers one cluster.
pub(super) trait Remembers: Send + Sync {
    /// What is remembered, with what was handed back and has not been taken over yet.
    fn export(&self) -> Vec<TopicHistory>;

    /// Hands back what was remembered before a restart.
    fn import(&self, topics: Vec<TopicHistory>);
}

/// The clusters' memories by their configured names.
pub(super) type Memories = Vec<(Option<Arc<str>>, Arc<dyn Remembers>)>;

/// The state file. Its methods block, and may be called from several threads: one writes at a time.
pub(super) struct StateFile {
    path: PathBuf,
    own: Arc<OwnMetrics>,
    clock: SystemClock,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Whether it is known that what is at the path may be overwritten.
    is_claimed: bool,
    complaint: Option<Complaint>,
}

/// A failure that goes on.
struct Complaint {
    text: String,
    said_at: Moment,
}

impl StateFile {
    pub(super) fn new(path: PathBuf, own: Arc<OwnMetrics>, clock: SystemClock) -> Self {
        Self { path, own, clock, progress: Mutex::default() }
    }

    /// Reads the file, and hands back what it holds. Whatever is wrong with it is in the log.
    pub(super) fn restore(&self, memories: &Memories) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.claim(&mut progress, memories) {
            self.complain(&mut progress, &error);
        }
    }

    /// Writes the file. A failure is in the log, and the file before stands.
    pub(super) fn save(&self, memories: &Memories) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        match self.claim(&mut progress, memories).and_then(|()| self.write(memories)) {
            Ok(()) if progress.complaint.take().is_some() => {
                tracing::info!("the state file {} is written again", self.path.display());
            }
            Ok(()) => {}
            Err(error) => self.complain(&mut progress, &error),
        }
    }

    /// Before it is first written the file must have been read: it may hold what is worth keeping, or be somebody else's.
    fn claim(&self, progress: &mut Progress, memories: &Memories) -> Result<(), StateFileError> {
        if progress.is_claimed {
            return Ok(());
        }
        let path = self.path.display();
        match disk::read(&self.path)? {
            Found::Nothing => {
                tracing::info!("there is no state file {path} yet: the history of the clusters starts now")
            }
            Found::SetAside(SetAside { why, kept_as }) => tracing::warn!(
                "the state file {path} cannot be used, for {why}; it is kept as {}, and the history of the clusters starts anew",
                kept_as.display()
            ),
            Found::State(state, bytes) => {
                self.own.state_file_is_there(state.saved_at, bytes);
                self.hand_back(state, memories);
            }
        }
        progress.is_claimed = true;
        Ok(())
    }

    fn hand_back(&self, state: SavedState, memories: &Memories) {
        let path = self.path.display();
        let now = self.clock.now().wall;
        let (mut partitions, mut ahead, mut strangers) = (0, 0, Vec::new());
        for mut cluster in state.clusters {
            let Some((_, memory)) = memories.iter().find(|(name, _)| *name == cluster.name) else {
                strangers.push(cluster.name.as_deref().unwrap_or("the nameless one").to_owned());
                continue;
            };
            ahead += drop_what_is_ahead(&mut cluster.topics, now);
            partitions += cluster.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>();
            memory.import(cluster.topics);
        }
        let age = Duration::from_millis(u64::try_from(now.0.saturating_sub(state.saved_at.0)).unwrap_or_default());
        tracing::info!(partitions, age_seconds = age.as_secs(), "the history of the clusters goes on from {path}");
        if ahead > 0 {
            tracing::warn!(
                partitions = ahead,
                "histories in {path} were left out, for they end later than now: has the clock been set back?"
            );
        }
        if !strangers.is_empty() {
            tracing::warn!(
                "{path} holds histories of clusters that are not configured, which are given up: {}",
                strangers.join(", ")
            );
        }
    }

    fn write(&self, memories: &Memories) -> Result<(), StateFileError> {
        let clusters =
            memories.iter().map(|(name, memory)| ClusterHistory { name: name.clone(), topics: memory.export() });
        let state = SavedState { saved_at: self.clock.now().wall, clusters: clusters.collect() };
        let bytes = persist::encode(&state);
        disk::write(&self.path, &bytes)?;
        self.own.state_file_is_there(state.saved_at, bytes.len());
        Ok(())
    }

    /// Says what failed, the same only now and then.
    fn complain(&self, progress: &mut Progress, error: &StateFileError) {
        let (text, now) = (error.to_string(), self.clock.now().moment);
        let was_said =
            progress.complaint.as_ref().is_some_and(|last| last.text == text && now.since(last.said_at) < REPEAT_AFTER);
        if !was_said {
            tracing::warn!("{text}");
            progress.complaint = Some(Complaint { text, said_at: now });
        }
    }
}

/// Leaves out partitions that were last seen later than now, and tells how many.
fn drop_what_is_ahead(topics: &mut [TopicHistory], now: WallTime) -> usize {
    let slack = i64::try_from(CLOCK_SLACK.as_millis()).unwrap_or(i64::MAX);
    let mut dropped = 0;
    for topic in topics {
        let before = topic.partitions.len();
        let is_past = |last: WallTime| last.0.saturating_sub(slack) <= now.0;
        topic.partitions.retain(|(_, points)| points.last().is_none_or(|point| is_past(point.until)));
        dropped += before - topic.partitions.len();
    }
    dropped
}

/// Reads the file before the clusters are polled. A disk that hangs does not hold up the start for long.
pub(super) async fn restore(file: &Arc<StateFile>, memories: Memories) {
    let reader = file.clone();
    let reading = tokio::task::spawn_blocking(move || reader.restore(&memories));
    if timeout(READ_WITHIN, reading).await.is_err() {
        let path = file.path.display();
        tracing::warn!("reading the state file {path} takes long: polling starts without it");
    }
}

/// Writes the file now and then, for ever.
pub(super) async fn keep<F: Future<Output = Memories>>(file: Arc<StateFile>, task: Task, memories: impl Fn() -> F) {
    loop {
        while_alive(sleep(WRITE_EVERY), || task.progress()).await;
        let memories = while_alive(memories(), || task.touch()).await;
        // A disk that hangs is no life and no progress, and is reported as such.
        while_alive(save(&file, memories), || task.touch()).await;
        task.progress();
    }
}

/// Writes the file once.
pub(super) async fn save(file: &Arc<StateFile>, memories: Memories) {
    let writer = file.clone();
    if let Err(error) = tokio::task::spawn_blocking(move || writer.save(&memories)).await {
        tracing::error!("writing the state file broke off: {error}; please report this");
    }
}

/// Waits for something, and meanwhile shows that this task turns.
async fn while_alive<T>(work: impl Future<Output = T>, show: impl Fn()) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = sleep(TURN) => show(),
        }
    }
}
