//! The daemon: start-up, polling and shutdown, in the order in which they happen.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, Notify, oneshot};
use tokio::time::{sleep, timeout};

use super::clusters::{Clusters, Shared};
use super::reload::{Reloader, Reread, Wishes};
use super::state_file::{self, StateFile};
use super::stop::{Signals, Stop, Stopper, stop_pair};
use super::supervise::supervise;
use crate::collect::{Clock, SystemClock};
use crate::config::{Config, Listen, Web};
use crate::http::{self, BindError, HttpSettings, HttpState, ScrapeFeed};
use crate::kafka::{Cause, KafkaError, share_one_arena};
use crate::metrics::{OwnMetrics, Task, Tasks};

/// Threads that poll. The work there is waiting; librdkafka has threads of its own.
const POLLING_THREADS: usize = 2;
/// How long shutdown waits for a reload to break off, and at the end for the web side. The clusters take 3.2 s at most.
const SHUTDOWN_STEP: Duration = Duration::from_millis(1_200);
/// How long the last writing of the state file may take. It goes on beside the end of the clusters.
const SAVE_WITHIN: Duration = Duration::from_secs(3);
/// How often a task with nothing to do shows that it turns.
const TURN: Duration = Duration::from_secs(1);

/// Why the daemon did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listening address cannot be used.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The listening host has no address.
    #[error("cannot listen on {listen}: the host cannot be resolved: {cause}")]
    Resolve {
        /// What was configured.
        listen: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A cluster's client cannot be set up.
    #[error("cluster {cluster}: {error}")]
    Client {
        /// The cluster.
        cluster: String,
        /// What is wrong.
        error: KafkaError,
    },
    /// The system refused threads or signal handlers.
    #[error("the system refused what the exporter needs: {0}")]
    System(#[from] io::Error),
    /// The exporter's own metrics cannot be set up.
    #[error("the exporter's own metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The web side ended by itself.
    #[error("the HTTP server ended: {0}")]
    Web(String),
}

impl ServeError {
    /// Whether the configuration is to blame, rather than the moment.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Client { error: KafkaError { cause: Cause::Property(_), .. }, .. })
    }
}

/// Runs the daemon until SIGTERM or SIGINT; `listening` is told the addresses once requests are answered there. `reread`
/// reads the configuration again for a reload; `None`: there is nothing that could have changed.
///
/// # Errors
/// When it cannot start. That a cluster cannot be reached is no error: it is a metric.
pub fn serve(
    config: &Config,
    reread: Option<Arc<Reread>>,
    listening: impl FnOnce(&[SocketAddr]),
) -> Result<(), ServeError> {
    // Before there is any thread beside this one.
    if !share_one_arena() {
        tracing::debug!("this C library does not let threads share one arena of memory: it may take more than it must");
    }
    let runtime = polling_runtime()?;
    let outcome = runtime.block_on(run(config, reread, listening));
    // What still hangs in librdkafka must not hold up the end of the process.
    runtime.shutdown_background();
    outcome
}

/// The runtime that polls.
///
/// # Errors
/// When the system gives no threads.
pub fn polling_runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(POLLING_THREADS).thread_name("poll").enable_all().build()
}

async fn run(
    config: &Config,
    reread: Option<Arc<Reread>>,
    listening: impl FnOnce(&[SocketAddr]),
) -> Result<(), ServeError> {
    // First of all: a signal that comes during start-up must end in an orderly way, too.
    let mut signals = Signals::install()?;
    let listeners = listen(&config.web)?;
    let addresses: Vec<SocketAddr> = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    let shared = shared()?;
    let mut clusters = Clusters::connect(config, shared.clone())?;
    let (stopper, stop) = stop_pair();
    let (reloads, requests) = http::reload_requests();
    let Shared { own, tasks, feed, .. } = shared.clone();
    let state = HttpState::new(clusters.sources(), own, tasks.clone(), feed, reloads, http_settings(&config.web));
    let state = Arc::new(state);
    let web = start_web(listeners, state.clone(), tasks.register("http", None), stop.clone())?;
    for address in &addresses {
        tracing::info!(%address, "listening on http://{address}{}", config.web.telemetry_path);
    }
    listening(&addresses);
    let kept = config.state_file.clone();
    let kept = kept.map(|path| Arc::new(StateFile::new(path, shared.own.clone(), shared.clock)));
    if let Some(file) = &kept {
        state_file::restore(file, clusters.memories()).await;
    }
    clusters.start();
    start_watchdog(&tasks, clusters.config(), &stop);
    start_renderer(&state, shared.news.clone(), tasks.register("renderer", None), &stop);
    let clusters = Arc::new(Mutex::new(clusters));
    if let Some(file) = &kept {
        start_keeper(file.clone(), clusters.clone(), tasks.register("state file", None), &stop);
    }
    let wishes = Arc::new(Mutex::new(Wishes { hangup: signals.take_hangup(), requests }));
    let task = tasks.register("reload", None);
    start_reloader(Reloader { clusters: clusters.clone(), reread, http: state, wishes, shared, task }, &stop);
    wait_and_stop(signals, stopper, &clusters, web, kept).await
}

/// What the clusters, the web side and the reloads share.
fn shared() -> Result<Shared, ServeError> {
    let clock = SystemClock::start();
    let own = Arc::new(OwnMetrics::new(env!("CARGO_PKG_VERSION"), option_env!("KAFKASCOPE_REVISION"))?);
    own.config_loaded(clock.now().wall);
    let tasks = Arc::new(Tasks::new(own.clone(), clock));
    let feed = Arc::new(ScrapeFeed::new(clock));
    Ok(Shared { own, tasks, feed, news: Arc::default(), clock, cpu: Arc::default() })
}

fn listen(web: &Web) -> Result<Vec<TcpListener>, ServeError> {
    addresses(&web.listen)?.into_iter().map(|address| http::bind(address).map_err(ServeError::from)).collect()
}

/// Where to listen: every interface, an address, or all addresses of a name.
fn addresses(listen: &Listen) -> Result<Vec<SocketAddr>, ServeError> {
    let Some(host) = &listen.host else {
        return Ok(vec![(std::net::Ipv6Addr::UNSPECIFIED, listen.port).into()]);
    };
    let unresolved = |cause| ServeError::Resolve { listen: listen.to_string(), cause };
    let mut found: Vec<SocketAddr> = (host.as_str(), listen.port).to_socket_addrs().map_err(unresolved)?.collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() {
        return Err(unresolved(io::Error::from(io::ErrorKind::NotFound)));
    }
    Ok(found)
}

fn http_settings(web: &Web) -> HttpSettings {
    HttpSettings {
        telemetry_path: web.telemetry_path.clone(),
        max_connections: web.max_connections,
        header_timeout: web.header_timeout,
        request_timeout: web.request_timeout,
        admin: web.admin,
    }
}

/// Starts the web side on a thread and a runtime of its own. The receiver tells when and why it ended.
fn start_web(
    listeners: Vec<TcpListener>,
    state: Arc<HttpState>,
    task: Task,
    mut stop: Stop,
) -> Result<oneshot::Receiver<io::Result<()>>, ServeError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (ended, end) = oneshot::channel();
    thread::Builder::new().name("http".to_owned()).spawn(move || {
        let outcome = runtime.block_on(async {
            tokio::select! {
                outcome = http::serve(listeners, state, async move { stop.stopped().await }) => outcome,
                () = turn(&task) => Ok(()),
            }
        });
        runtime.shutdown_background();
        let _ = ended.send(outcome);
    })?;
    Ok(end)
}

/// Shows for ever that a runtime turns.
async fn turn(task: &Task) {
    loop {
        task.progress();
        sleep(TURN).await;
    }
}

/// Starts what looks for tasks that hang.
fn start_watchdog(tasks: &Arc<Tasks>, config: Arc<ArcSwap<Config>>, stop: &Stop) {
    let (tasks, stop) = (tasks.clone(), stop.clone());
    let task = tasks.register("watchdog", None);
    let watch = move |task: Task, tasks: Arc<Tasks>, config: Arc<ArcSwap<Config>>| async move {
        loop {
            task.progress();
            tasks.mark_stuck(config.load().polling.stuck_after);
            sleep(TURN).await;
        }
    };
    tokio::spawn(async move { supervise(&task, stop, || watch(task.clone(), tasks.clone(), config.clone())).await });
}

/// Starts what makes compressed bodies ready again once something was published.
fn start_renderer(http: &Arc<HttpState>, news: Arc<Notify>, task: Task, stop: &Stop) {
    let (http, stop) = (http.clone(), stop.clone());
    let render = move |task: Task| {
        let (http, news) = (http.clone(), news.clone());
        async move {
            loop {
                let _ = timeout(TURN, news.notified()).await;
                http.keep_renderings().await;
                task.progress();
            }
        }
    };
    tokio::spawn(async move { supervise(&task, stop, || render(task.clone())).await });
}

fn start_reloader(reloader: Reloader, stop: &Stop) {
    let stop = stop.clone();
    tokio::spawn(async move { supervise(&reloader.task, stop, || reloader.clone().run()).await });
}

/// Starts what writes the state file now and then.
fn start_keeper(file: Arc<StateFile>, clusters: Arc<Mutex<Clusters>>, task: Task, stop: &Stop) {
    let stop = stop.clone();
    let keep = move |task: Task| {
        let (file, clusters) = (file.clone(), clusters.clone());
        async move {
            let memories = || async { clusters.lock().await.memories() };
            state_file::keep(file, task, memories).await;
        }
    };
    tokio::spawn(async move { supervise(&task, stop, || keep(task.clone())).await });
}

/// Waits for a signal, then ends everything within seconds, whatever the brokers do.
async fn wait_and_stop(
    mut signals: Signals,
    stopper: Stopper,
    clusters: &Mutex<Clusters>,
    mut web: oneshot::Receiver<io::Result<()>>,
    kept: Option<Arc<StateFile>>,
) -> Result<(), ServeError> {
    let failure = tokio::select! {
        signal = signals.first() => {
            tracing::info!("{signal} received, stopping");
            None
        }
        ended = &mut web => Some(match ended {
            Ok(Err(error)) => ServeError::Web(error.to_string()),
            Ok(Ok(())) => ServeError::Web("nothing asked it to".to_owned()),
            Err(_) => ServeError::Web("it panicked".to_owned()),
        }),
    };
    // A reload that is under way is broken off, and leaves the clusters to be stopped here.
    stopper.stop();
    if let Ok(mut clusters) = timeout(SHUTDOWN_STEP, clusters.lock()).await {
        let memories = clusters.memories();
        let save = async {
            if let Some(file) = &kept
                && timeout(SAVE_WITHIN, state_file::save(file, memories)).await.is_err()
            {
                tracing::warn!("the state file could not be written in time: the one before stands");
            }
        };
        tokio::join!(clusters.stop(), save);
    }
    if failure.is_none() {
        let _ = timeout(SHUTDOWN_STEP, web).await;
    }
    tracing::info!("stopped");
    failure.map_or(Ok(()), Err)
}
