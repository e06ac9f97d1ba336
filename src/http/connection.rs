//! One connection's clock: slow writers of heads and slow readers of responses are let go.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// The client is quiet between two requests.
const IDLE: u8 = 0;
/// A head is expected or coming in.
const READING_HEAD: u8 = 1;
/// A response is being made or going out.
const RESPONDING: u8 = 2;

/// What a connection is doing, shared between its socket and its requests.
#[derive(Debug, Clone)]
pub(super) struct Phase(Arc<AtomicU8>);

impl Phase {
    /// A new connection: it was opened to send a request.
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(READING_HEAD)))
    }

    /// A whole head is here; the response is done when the guard is dropped.
    pub(super) fn respond(&self) -> Responding {
        self.0.store(RESPONDING, Ordering::Relaxed);
        Responding(self.clone())
    }

    fn is(&self, phase: u8) -> bool {
        self.0.load(Ordering::Relaxed) == phase
    }
}

/// A response is on its way for as long as this is held.
#[derive(Debug)]
pub(super) struct Responding(Phase);

impl Drop for Responding {
    fn drop(&mut self) {
        self.0.0.store(IDLE, Ordering::Relaxed);
    }
}

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// To send a head, from its first byte or from the start of the connection.
    pub(super) head: Duration,
    /// To take what is buffered for it.
    pub(super) write: Duration,
}

/// A socket that fails with `TimedOut` when its client takes too long.
#[derive(Debug)]
pub(super) struct TimedStream {
    stream: TcpStream,
    phase: Phase,
    limits: Limits,
    head_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
}

impl TimedStream {
    /// Watches a socket.
    pub(super) fn new(stream: TcpStream, phase: Phase, limits: Limits) -> Self {
        Self { stream, phase, limits, head_timer: None, write_timer: None }
    }
}

/// Starts the timer unless it runs, and asks whether it is over.
fn poll_timer(
    timer: &mut Option<Pin<Box<Sleep>>>,
    limit: Duration,
    what: &str,
    cx: &mut Context<'_>,
) -> io::Result<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(sleep(limit)));
    match timer.as_mut().poll(cx) {
        Poll::Ready(()) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("{what} within {} s", limit.as_secs_f32())))
        }
        Poll::Pending => Ok(()),
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if polled.is_ready() && buf.filled().len() > before && this.phase.is(IDLE) {
            this.phase.0.store(READING_HEAD, Ordering::Relaxed);
            this.head_timer = None;
        }
        if !this.phase.is(READING_HEAD) {
            this.head_timer = None;
        } else if polled.is_pending() {
            poll_timer(&mut this.head_timer, this.limits.head, "no complete request head", cx)?;
        }
        polled
    }
}

impl TimedStream {
    /// A client that lets a write wait has until the limit to take all that is buffered, not just a little of it.
    fn watch_write<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_pending() {
            poll_timer(&mut self.write_timer, self.limits.write, "the client did not take the response", cx)?;
        }
        polled
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch_write(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch_write(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Hyper flushes the socket once its own buffer is empty: the client keeps up.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        if polled.is_ready() {
            self.write_timer = None;
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
