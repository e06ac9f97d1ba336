//! The threads of a client: one polls librdkafka, two wait for metadata, which librdkafka answers only to a blocked thread.

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, Builder, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use tokio::sync::{oneshot, watch};

use super::Cause;
use super::error::Failure;
use super::native::Handle;
use super::pending::Pending;
use crate::model::{BrokerId, ClusterMetadata, KafkaCode};

/// How long the poll thread waits for an answer before it looks at the client's own queue.
const ANSWER_WAIT: Duration = Duration::from_millis(250);
/// How much the poll thread takes from one queue before it looks at the other.
const MAX_TURN: usize = 256;
/// How long the poll thread rests after a panic, so that one at every turn does not burn a core.
const PANIC_PAUSE: Duration = Duration::from_secs(1);
/// Two, so that a second broker can be asked while a first one is silent.
const METADATA_THREADS: usize = 2;
/// How many metadata calls may wait for a thread.
const METADATA_QUEUE: usize = 4;

/// The answer to a metadata call, with the broker that gave it.
pub(super) type MetadataAnswer = (ClusterMetadata, BrokerId);

/// A metadata call on its way to a thread.
struct MetadataJob {
    limit: Duration,
    answer: oneshot::Sender<Result<MetadataAnswer, Failure>>,
}

/// What a client and its threads share.
pub(super) struct Shared {
    /// The calls that wait for the poll thread.
    pub(super) pending: Pending,
    /// Taken away at the end, so that the poll thread is the last to hold it: destroying it can take seconds.
    handle: RwLock<Option<Arc<Handle>>>,
    jobs: Mutex<Option<SyncSender<MetadataJob>>>,
    stopping: watch::Sender<bool>,
    stopped: watch::Sender<bool>,
    started: Instant,
    /// When the poll thread last began a turn, in milliseconds after the start.
    turned: AtomicU64,
    /// How often the poll thread panicked and went on.
    panics: AtomicU64,
}

impl Shared {
    /// Starts the threads of a client; `name` tells them apart in a process list.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub(super) fn start(handle: Handle, name: &str) -> Result<Arc<Self>, Failure> {
        let handle = Arc::new(handle);
        let (jobs, queue) = sync_channel(METADATA_QUEUE);
        let shared = Arc::new(Self {
            pending: Pending::default(),
            handle: RwLock::new(Some(handle.clone())),
            jobs: Mutex::new(Some(jobs)),
            stopping: watch::Sender::new(false),
            stopped: watch::Sender::new(false),
            started: Instant::now(),
            turned: AtomicU64::new(0),
            panics: AtomicU64::new(0),
        });
        let queue = Arc::new(Mutex::new(queue));
        let spawned = shared.spawn(&handle, &queue, name);
        if spawned.is_err() {
            shared.stop();
        }
        spawned.map(|()| shared).map_err(|error| Failure {
            code: KafkaCode::LOCAL_CRIT_SYS_RESOURCE,
            text: format!("the system gives no thread for the client: {error}"),
        })
    }

    fn spawn(
        self: &Arc<Self>,
        handle: &Arc<Handle>,
        queue: &Arc<Mutex<Receiver<MetadataJob>>>,
        name: &str,
    ) -> std::io::Result<()> {
        // A thread's name cannot hold one.
        let name = name.replace('\0', "");
        let mut workers = Vec::with_capacity(METADATA_THREADS);
        for _ in 0..METADATA_THREADS {
            let (handle, queue) = (handle.clone(), queue.clone());
            let worker = Builder::new().name(format!("metadata {name}"));
            workers.push(worker.spawn(move || answer_metadata(&handle, &queue))?);
        }
        let (shared, handle) = (self.clone(), handle.clone());
        Builder::new().name(format!("kafka {name}")).spawn(move || shared.poll(handle, workers))?;
        Ok(())
    }

    /// Runs one call on the handle. It must not block.
    pub(super) fn submit(
        &self,
        call: impl FnOnce(&Handle) -> Result<(), Failure>,
    ) -> Result<Result<(), Failure>, Cause> {
        let handle = self.handle.read().unwrap_or_else(PoisonError::into_inner);
        handle.as_deref().map(call).ok_or(Cause::Closed)
    }

    /// Asks for metadata on a thread.
    pub(super) fn ask_metadata(
        &self,
        limit: Duration,
    ) -> Result<oneshot::Receiver<Result<MetadataAnswer, Failure>>, Cause> {
        let (answer, receiver) = oneshot::channel();
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = jobs.as_ref().ok_or(Cause::Closed)?;
        jobs.try_send(MetadataJob { limit, answer }).map_err(|error| match error {
            TrySendError::Full(_) => Cause::TooManyInFlight(METADATA_QUEUE),
            TrySendError::Disconnected(_) => Cause::Closed,
        })?;
        Ok(receiver)
    }

    /// How long ago the poll thread last began a turn.
    pub(super) fn poll_age(&self) -> Duration {
        let turned = Duration::from_millis(self.turned.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(turned)
    }

    /// How often the poll thread panicked and went on.
    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Tells the threads to end; does not wait for them.
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Ends once the client is to stop.
    pub(super) async fn stopping(&self) {
        let mut stopping = self.stopping.subscribe();
        // An error would mean that the sender is gone, which `self` holds.
        drop(stopping.wait_for(|stopping| *stopping).await);
    }

    /// Whether the native handle is gone.
    pub(super) fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Ends once the native handle is gone.
    pub(super) async fn stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        drop(stopped.wait_for(|stopped| *stopped).await);
    }

    /// The poll thread: serves answers, logs, errors and statistics until it is told to stop, then takes the handle down.
    fn poll(&self, handle: Arc<Handle>, workers: Vec<JoinHandle<()>>) {
        while !*self.stopping.borrow() {
            let age = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.turned.store(age, Ordering::Relaxed);
            // A panic in what an answer or a statistic is made into must not take the client down with it.
            let turn = AssertUnwindSafe(|| {
                self.serve_answers(&handle);
                serve_client(&handle);
            });
            if panic::catch_unwind(turn).is_err() {
                self.panics.fetch_add(1, Ordering::Relaxed);
                thread::sleep(PANIC_PAUSE);
            }
        }
        self.pending.close();
        self.handle.write().unwrap_or_else(PoisonError::into_inner).take();
        for worker in workers {
            drop(worker.join());
        }
        // The last one: librdkafka's threads are joined here.
        drop(handle);
        self.stopped.send_replace(true);
    }

    fn serve_answers(&self, handle: &Handle) {
        let mut wait = ANSWER_WAIT;
        for _ in 0..MAX_TURN {
            let Some(event) = handle.next_answer(wait) else { return };
            self.pending.answer(&event);
            wait = Duration::ZERO;
        }
    }
}

/// Serves the client's own queue as long as something comes: each poll takes one thing and says only sometimes what.
fn serve_client(handle: &Handle) {
    for _ in 0..MAX_TURN {
        let before = handle.consumer().context().served();
        drop(handle.consumer().poll(Duration::ZERO));
        if handle.consumer().context().served() == before {
            return;
        }
    }
}

/// A metadata thread: answers one call after another until no more can come.
fn answer_metadata(handle: &Handle, queue: &Mutex<Receiver<MetadataJob>>) {
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        if !job.answer.is_closed() {
            // A panic costs this answer only: who waits for it learns that none comes.
            if let Ok(metadata) = panic::catch_unwind(AssertUnwindSafe(|| handle.metadata(job.limit))) {
                // Nobody waits any more when this fails.
                drop(job.answer.send(metadata));
            }
        }
    }
}
