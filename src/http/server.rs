//! Accepts connections within bounds, serves them, and drains them when the exporter ends.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::HttpState;
use super::connection::{Limits, Phase, TimedStream};
use super::routes::{Answer, Head, Peer, answer};

/// Connections beyond the bound that are let in to ask for health.
const RESERVED_CONNECTIONS: usize = 8;
/// This part of the places is never kept by idle clients.
const UNKEPT_SHARE: usize = 8;
/// How long a reserved connection may take for its head: it must not be held against the next one.
const RESERVED_HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a client may be quiet between two requests: longer than the usual scrape intervals.
const IDLE_TIMEOUT: Duration = Duration::from_secs(150);
/// How long responses may take to end once the exporter stops.
const DRAIN: Duration = Duration::from_secs(1);
/// Largest head of a request, and about as much of a response is buffered.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// How long to wait after a failed accept: it fails for want of file descriptors, and at once again.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Serves until `shutdown` is done, then lets responses end for a second at most.
///
/// # Errors
/// When a listener cannot be given to the runtime, or accepting ends by itself. Nothing that a client does ends it.
pub async fn serve(
    listeners: Vec<StdListener>,
    state: Arc<HttpState>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let listeners: Vec<TcpListener> = listeners.into_iter().map(TcpListener::from_std).collect::<Result<_, _>>()?;
    let (stop, stopping) = watch::channel(false);
    let max_connections = state.settings.max_connections;
    let server = Arc::new(Server {
        state,
        all: Arc::new(Semaphore::new(max_connections + RESERVED_CONNECTIONS)),
        ordinary: Arc::new(Semaphore::new(max_connections)),
        connections: AtomicU64::new(0),
        stopping,
    });
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(server.clone().accept(listener));
    }
    tokio::select! {
        () = shutdown => {}
        Some(_) = accepting.join_next() => return Err(io::Error::other("connections are not accepted any more")),
    }
    let _ = stop.send(true);
    while accepting.join_next().await.is_some() {}
    Ok(())
}

struct Server {
    state: Arc<HttpState>,
    /// One for each connection, reserved ones included.
    all: Arc<Semaphore>,
    /// One for each connection that may ask for everything.
    ordinary: Arc<Semaphore>,
    /// Connections accepted so far: each has its number.
    connections: AtomicU64,
    stopping: watch::Receiver<bool>,
}

impl Server {
    /// Accepts until told to stop, then drains its connections.
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        let mut stopping = self.stopping.clone();
        loop {
            tokio::select! {
                accepted = self.next_connection(&listener) => {
                    if let Some((stream, client, permit)) = accepted {
                        connections.spawn(self.clone().serve_connection(stream, client, permit));
                    }
                }
                Some(_) = connections.join_next() => {}
                () = told_to_stop(&mut stopping) => break,
            }
        }
        drop(listener);
        let drained = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
        if drained.is_err() {
            tracing::debug!(connections = connections.len(), "ending HTTP connections that did not drain");
        }
    }

    /// The next connection once there is room for it; until then clients wait in the kernel's backlog.
    async fn next_connection(&self, listener: &TcpListener) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let permit = self.all.clone().acquire_owned().await.ok()?;
        match listener.accept().await {
            Ok((stream, client)) => Some((stream, client, permit)),
            Err(error) if is_of_the_client(&error) => None,
            Err(error) => {
                tracing::warn!(
                    %error,
                    "cannot accept an HTTP connection; trying again in {} s. Is the limit of open files too low?",
                    ACCEPT_PAUSE.as_secs()
                );
                sleep(ACCEPT_PAUSE).await;
                None
            }
        }
    }

    async fn serve_connection(self: Arc<Self>, stream: TcpStream, client: SocketAddr, _permit: OwnedSemaphorePermit) {
        let ordinary = self.ordinary.clone().try_acquire_owned().ok();
        let is_reserved = ordinary.is_none();
        let _counted = self.state.own.http_connection();
        let settings = &self.state.settings;
        let head =
            if is_reserved { settings.header_timeout.min(RESERVED_HEAD_TIMEOUT) } else { settings.header_timeout };
        let connection = self.connections.fetch_add(1, Ordering::Relaxed);
        let peer = Peer { connection, address: client.ip() };
        let phase = Phase::new();
        let limits = Limits { head, write: settings.request_timeout };
        // Heads and chunks go out at once; a failure to say so costs a little latency only.
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(TimedStream::new(stream, phase.clone(), limits));
        let service = service_fn(|request| {
            let answer = self.answer(request, peer, &phase, is_reserved);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            .keep_alive(!is_reserved)
            .max_buf_size(MAX_BUFFER_BYTES)
            .serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        let mut stopping = self.stopping.clone();
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = told_to_stop(&mut stopping) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // A client that breaks off is its own affair.
            tracing::debug!(%client, error = &error as &dyn std::error::Error, "HTTP connection ended early");
        }
        drop(ordinary);
    }

    async fn answer(&self, request: Request<Incoming>, peer: Peer, phase: &Phase, is_reserved: bool) -> Answer {
        let responding = phase.respond();
        let (parts, _) = request.into_parts();
        let head = Head { method: parts.method, uri: parts.uri, headers: parts.headers, peer };
        let mut answer = answer(&self.state, &head, is_reserved).await;
        if self.ordinary.available_permits() < (self.state.settings.max_connections / UNKEPT_SHARE).max(1) {
            // The last places are not for keeping: idle clients must not lock scrapers out.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer.body_mut().hold(responding);
        answer
    }
}

/// Waits for the end; a sender that is gone means the same.
async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Whether accepting failed because of the one connection that was next.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
