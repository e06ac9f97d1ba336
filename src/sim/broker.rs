//! One simulated broker on the network: a listener, its connections, and requests in order.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::api::{Call, answer};
use super::fault::{Fault, Switches};
use super::topic::BrokerIndex;
use super::wire::{Header, LENGTH_BYTES, MAX_REQUEST_BYTES, WireError};
use super::world::World;

/// Connections of one broker; further ones wait in the listener's queue.
const MAX_CONNECTIONS: usize = 1_000;
/// Connections that the system completes while nobody accepts them, as with a frozen broker.
const BACKLOG: u32 = 1_024;
/// Answers of one connection on their way; further requests are not read until one has left.
const MAX_IN_FLIGHT: usize = 4_096;
/// A connection without a request for so long is closed: Kafka's `connections.max.idle.ms`.
const MAX_IDLE: Duration = Duration::from_secs(600);
/// A pause after a failed accept, so that a lack of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection of a broker needs.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) index: BrokerIndex,
    pub(super) id: i32,
    pub(super) world: Arc<RwLock<World>>,
    pub(super) switches: Arc<Switches>,
}

/// A broker that runs. Dropped, it stops.
#[derive(Debug)]
pub(super) struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Serves until stopped.
    pub(super) fn spawn(listener: TcpListener, context: Context) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(serve(listener, context, stopped)) }
    }

    /// Closes the listener and every connection, and returns when they are closed.
    pub(super) async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "simulated broker did not end well");
        }
    }
}

/// Listens on a port of loopback; 0 takes a free one.
pub(super) fn listen(port: u16) -> io::Result<TcpListener> {
    hold(port)?.listen(BACKLOG)
}

/// Holds a port without listening: connections are refused, and nobody else gets the port.
pub(super) fn hold(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    Ok(socket)
}

async fn serve(listener: TcpListener, context: Context, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = accept(&listener, &context), if connections.len() < MAX_CONNECTIONS => {
                if let Some(stream) = accepted {
                    connections.spawn(talk(stream, context.clone()));
                }
            }
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn accept(listener: &TcpListener, context: &Context) -> Option<TcpStream> {
    context.switches.thawed().await;
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            tracing::warn!(broker = context.id, %error, "simulated broker cannot accept a connection");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Why a connection ends before the client closes it.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("no request for {} s", MAX_IDLE.as_secs())]
    Idle,
    #[error("a request of {0} bytes is too large or no request")]
    Size(i32),
    #[error("an injected fault closes it")]
    Fault,
}

/// An answer, and when it may leave.
struct Reply {
    due: Instant,
    bytes: Bytes,
    /// The connection ends after it.
    last: bool,
}

async fn talk(stream: TcpStream, context: Context) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(broker = context.id, %error, "simulated broker: no TCP_NODELAY");
    }
    let (read, write) = stream.into_split();
    let (replies, queue) = mpsc::channel(MAX_IN_FLIGHT);
    let ended = tokio::try_join!(receive(read, &context, replies), send(write, &context, queue));
    if let Err(reason) = ended {
        tracing::debug!(broker = context.id, %reason, "simulated broker closes a connection");
    }
}

async fn receive(mut read: OwnedReadHalf, context: &Context, replies: mpsc::Sender<Reply>) -> Result<(), Ended> {
    loop {
        let Some(request) = timeout(MAX_IDLE, read_frame(&mut read)).await.map_err(|_| Ended::Idle)?? else {
            return Ok(());
        };
        let arrived = Instant::now();
        context.switches.thawed().await;
        context.switches.work().await;
        if let Some(mut reply) = handle(context, &request)? {
            reply.due = arrived + context.switches.latency();
            if replies.send(reply).await.is_err() {
                return Ok(()); // the sending half has ended, and says why
            }
        }
    }
}

/// The bytes of one request; none when the client has closed the connection between two.
async fn read_frame(read: &mut OwnedReadHalf) -> Result<Option<Bytes>, Ended> {
    let mut prefix = [0; LENGTH_BYTES];
    match read.read_exact(&mut prefix).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    };
    let claimed = i32::from_be_bytes(prefix);
    let length = usize::try_from(claimed).ok().filter(|length| *length <= MAX_REQUEST_BYTES);
    let mut body = vec![0; length.ok_or(Ended::Size(claimed))?];
    read.read_exact(&mut body).await?;
    Ok(Some(Bytes::from(body)))
}

/// The answer to a request, or none where a fault keeps it back.
fn handle(context: &Context, request: &Bytes) -> Result<Option<Reply>, Ended> {
    let header = Header::parse(request)?;
    let fault = context.switches.meet(header.api);
    let injected = match fault {
        Some(Fault::Silence) => return Ok(None),
        Some(Fault::Hangup) => return Err(Ended::Fault),
        Some(Fault::Error(code)) => Some(code),
        Some(Fault::HalfAnswer) | None => None,
    };
    let world = context.world.read().unwrap_or_else(PoisonError::into_inner);
    let call = Call { world: &world, broker: context.index, version: header.version, injected };
    let mut bytes = answer(&call, &header, request)?;
    let last = fault == Some(Fault::HalfAnswer);
    if last {
        bytes.truncate(bytes.len() / 2);
    }
    Ok(Some(Reply { due: Instant::now(), bytes, last }))
}

async fn send(mut write: OwnedWriteHalf, context: &Context, mut queue: mpsc::Receiver<Reply>) -> Result<(), Ended> {
    while let Some(reply) = queue.recv().await {
        sleep_until(reply.due).await;
        context.switches.thawed().await;
        write.write_all(&reply.bytes).await?;
        if reply.last {
            return Err(Ended::Fault);
        }
    }
    Ok(())
}
