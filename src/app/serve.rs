//! The daemon: start-up, polling and shutdown, in the order in which they happen.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::cluster;
use super::poll::ClusterTask;
use super::stop::{Signals, Stop, Stopper, stop_pair};
use super::supervise::supervise;
use crate::collect::{CallLimits, SystemClock};
use crate::config::{Config, Listen, Web};
use crate::http::{self, BindError, Heartbeats, HttpSettings, HttpState, ScrapeFeed};
use crate::kafka::{Cause, KafkaClient, KafkaError};
use crate::metrics::{ClusterSource, OwnMetrics};

/// Threads that poll. The work there is waiting; librdkafka has threads of its own.
const POLLING_THREADS: usize = 2;
/// How long shutdown waits for the pollers, and then for the web side. Clients take 2 s at most themselves.
const SHUTDOWN_STEP: Duration = Duration::from_millis(1_200);

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

/// Runs the daemon until SIGTERM or SIGINT; `listening` is told the addresses once requests are answered there.
///
/// # Errors
/// When it cannot start. That a cluster cannot be reached is no error: it is a metric.
pub fn serve(config: &Config, listening: impl FnOnce(&[SocketAddr])) -> Result<(), ServeError> {
    let runtime = polling_runtime()?;
    let outcome = runtime.block_on(run(config, listening));
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

async fn run(config: &Config, listening: impl FnOnce(&[SocketAddr])) -> Result<(), ServeError> {
    // First of all: a signal that comes during start-up must end in an orderly way, too.
    let signals = Signals::install()?;
    let listeners = listen(&config.web)?;
    let addresses: Vec<SocketAddr> = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    let own = Arc::new(OwnMetrics::new(env!("CARGO_PKG_VERSION"), option_env!("KAFKASCOPE_REVISION"))?);
    let heartbeats = Arc::new(Heartbeats::default());
    let clock = SystemClock::start();
    let feed = Arc::new(ScrapeFeed::new(clock));
    let clusters = connect(config, &own, &heartbeats, &feed, clock)?;
    let (stopper, stop) = stop_pair();
    let sources = clusters.iter().map(|task| task.source.clone()).collect();
    let state = HttpState::new(sources, own.clone(), heartbeats, feed, http_settings(&config.web));
    let web = start_web(listeners, Arc::new(state), stop.clone())?;
    for address in &addresses {
        tracing::info!(%address, "listening on http://{address}{}", config.web.telemetry_path);
    }
    listening(&addresses);
    let clients: Vec<Arc<KafkaClient>> = clusters.iter().map(|task| task.client.clone()).collect();
    let tasks: Vec<JoinHandle<()>> = clusters.iter().flat_map(|task| start_cluster(task, &stop)).collect();
    wait_and_stop(signals, stopper, tasks, clients, web).await
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
    }
}

fn connect(
    config: &Config,
    own: &Arc<OwnMetrics>,
    heartbeats: &Arc<Heartbeats>,
    feed: &Arc<ScrapeFeed>,
    clock: SystemClock,
) -> Result<Vec<ClusterTask>, ServeError> {
    let limits = CallLimits::new(config.polling.max_in_flight);
    let task = |settings: &crate::config::Cluster| {
        let failed = |error| ServeError::Client { cluster: settings.display_name().to_owned(), error };
        let source: Arc<ClusterSource> = Arc::new(cluster::source(settings));
        own.add_cluster(source.name.as_deref(), config.polling_of(settings).interval);
        Ok(ClusterTask {
            client: Arc::new(cluster::connect(settings, &config.polling).map_err(failed)?),
            settings: cluster::poll_settings(settings, config, &limits),
            source,
            own: own.clone(),
            clock,
            feed: feed.clone(),
            poller_beat: heartbeats.register("poller"),
            native_beat: heartbeats.register("librdkafka's poll thread"),
        })
    };
    config.clusters.iter().map(task).collect()
}

/// Starts the web side on a thread and a runtime of its own. The receiver tells when and why it ended.
fn start_web(
    listeners: Vec<TcpListener>,
    state: Arc<HttpState>,
    mut stop: Stop,
) -> Result<oneshot::Receiver<io::Result<()>>, ServeError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (ended, end) = oneshot::channel();
    thread::Builder::new().name("http".to_owned()).spawn(move || {
        let outcome = runtime.block_on(http::serve(listeners, state, async move { stop.stopped().await }));
        runtime.shutdown_background();
        let _ = ended.send(outcome);
    })?;
    Ok(end)
}

/// Starts what one cluster takes, each part supervised by itself.
fn start_cluster(task: &ClusterTask, stop: &Stop) -> [JoinHandle<()>; 2] {
    let (poller, publisher) = (task.clone(), task.clone());
    let (stop, also_stop) = (stop.clone(), stop.clone());
    [
        tokio::spawn(async move { supervise("poller", &poller.own, stop, || poller.clone().poll()).await }),
        tokio::spawn(
            async move { supervise("publisher", &publisher.own, also_stop, || publisher.clone().expire()).await },
        ),
    ]
}

/// Waits for a signal, then ends everything within seconds, whatever the brokers do.
async fn wait_and_stop(
    mut signals: Signals,
    stopper: Stopper,
    tasks: Vec<JoinHandle<()>>,
    clients: Vec<Arc<KafkaClient>>,
    mut web: oneshot::Receiver<io::Result<()>>,
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
    stopper.stop();
    let _ = timeout(SHUTDOWN_STEP, join_all(tasks)).await;
    join_all(clients.iter().map(|client| client.close())).await;
    if failure.is_none() {
        let _ = timeout(SHUTDOWN_STEP, web).await;
    }
    tracing::info!("stopped");
    failure.map_or(Ok(()), Err)
}
