//! Fixtures for the tests of this room: clusters in every state, and a server on a free port.

#![allow(clippy::unwrap_used, reason = "a broken fixture ends the test, as it should")]

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{HttpSettings, HttpState, ReloadRequest, ScrapeFeed, bind, reload_requests, serve};
use crate::collect::SystemClock;
use crate::derive::Snapshot;
use crate::metrics::{ClusterSource, OwnMetrics, Tasks};
use crate::model::{
    Broker, BrokerId, ClusterMetadata, Instants, Moment, PartitionId, PartitionMetadata, TopicMetadata,
};
use crate::model::{KafkaCode, WallTime};
use crate::state::{Collectors, World};

/// When [`Cluster::polled`] was polled, in seconds since the Unix epoch.
pub(super) const POLLED_AT_SECONDS: u64 = 1_700_000_000;

/// A cluster for a test.
pub(super) struct Cluster;

impl Cluster {
    /// Nothing has happened yet.
    pub(super) fn pending(name: Option<&str>) -> ClusterSource {
        ClusterSource::new(name, vec!["broker-1:9092".to_owned()])
    }

    /// The first pass failed.
    pub(super) fn failed(name: Option<&str>, error: &str) -> ClusterSource {
        let cluster = Self::pending(name);
        cluster.last_error.store(Some(Arc::new(error.to_owned())));
        cluster
    }

    /// A pass found topics without offsets.
    pub(super) fn polled(name: Option<&str>, topics: usize, partitions: i32) -> ClusterSource {
        let cluster = Self::pending(name);
        let mut world = World::new(Collectors::new(|_| true));
        world.metadata_max_age = crate::model::MaxAge::from_secs(120);
        let at = Instants { moment: Moment(1000), wall: WallTime(i64::try_from(POLLED_AT_SECONDS).unwrap() * 1000) };
        world.apply_metadata(&metadata(topics, partitions), |_| true, at.moment);
        let snapshot = Snapshot::derive(&world, None, at);
        cluster.snapshot.store(Some(Arc::new(snapshot)));
        cluster
    }
}

fn metadata(topics: usize, partitions: i32) -> ClusterMetadata {
    let partitions: Vec<PartitionMetadata> = (0..partitions)
        .map(|id| PartitionMetadata {
            id: PartitionId(id),
            leader: Some(BrokerId(1)),
            replicas: vec![BrokerId(1)],
            in_sync: 1,
        })
        .collect();
    ClusterMetadata {
        brokers: vec![Broker { id: BrokerId(1), host: "broker-1".into(), port: 9092 }],
        topics: (0..topics)
            .map(|number| TopicMetadata {
                name: format!("topic-{number:05}").into(),
                error: KafkaCode::NONE,
                partitions: partitions.clone(),
            })
            .collect(),
    }
}

/// A state with the default settings.
pub(super) fn state(clusters: Vec<ClusterSource>) -> HttpState {
    state_with(clusters, HttpSettings::default())
}

/// A state with settings of its own; nobody carries out its reloads.
pub(super) fn state_with(clusters: Vec<ClusterSource>, settings: HttpSettings) -> HttpState {
    state_and_reloads(clusters, settings).0
}

/// A state with settings of its own, and the reloads that it asks for.
pub(super) fn state_and_reloads(
    clusters: Vec<ClusterSource>,
    settings: HttpSettings,
) -> (HttpState, mpsc::Receiver<ReloadRequest>) {
    let (reloads, requests) = reload_requests();
    let clusters = clusters.into_iter().map(Arc::new).collect();
    let (own, clock) = (Arc::new(OwnMetrics::new("test", None).unwrap()), SystemClock::start());
    let state = HttpState::new(
        clusters,
        own.clone(),
        Arc::new(Tasks::new(own, clock)),
        Arc::new(ScrapeFeed::new(clock)),
        reloads,
        settings,
    );
    (state, requests)
}

/// A server on loopback.
pub(super) struct Server {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// What it serves.
    pub(super) state: Arc<HttpState>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Starts it.
    pub(super) fn start(state: HttpState) -> Self {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let state = Arc::new(state);
        let task = tokio::spawn(serve(vec![listener], state.clone(), async {
            let _ = stopped.await;
        }));
        Self { address, state, stop, task }
    }

    /// Asks it to stop and waits until it has.
    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

/// A response as the client got it.
#[derive(Debug)]
pub(super) struct Received {
    /// The status code.
    pub(super) status: u16,
    /// Names in lower case, and values, in the order of arrival.
    pub(super) headers: Vec<(String, String)>,
    /// The body, its chunks put together.
    pub(super) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(super) is_complete: bool,
}

impl Received {
    /// A header's value.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Reads one response without relying on the connection's end.
    pub(super) async fn read(stream: &mut TcpStream, has_body: bool) -> Self {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "closed within the head: {bytes:?}");
        };
        let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| line.split_once(": ").unwrap());
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let mut received = Self { status, headers, body: Vec::new(), is_complete: !has_body };
        let mut rest = bytes.split_off(head_end + 4);
        while !received.is_complete {
            received.is_complete = received.take_body(&mut rest);
            if !received.is_complete && !matches!(stream.read_buf(&mut rest).await, Ok(1..)) {
                break;
            }
        }
        received
    }

    /// Moves what has come of the body; returns whether that was all.
    fn take_body(&mut self, rest: &mut Vec<u8>) -> bool {
        if let Some(length) = self.header("content-length") {
            let length: usize = length.parse().unwrap();
            self.body.append(rest);
            return self.body.len() >= length;
        }
        loop {
            let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else { return false };
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
            if rest.len() < line + 2 + size + 2 {
                return false;
            }
            self.body.extend_from_slice(&rest[line + 2..line + 2 + size]);
            rest.drain(..line + 2 + size + 2);
            if size == 0 {
                return true;
            }
        }
    }
}

/// Sends one request on a connection of its own. `headers` are lines, each with its line end.
pub(super) async fn request(address: SocketAddr, method: &str, target: &str, headers: &str) -> Received {
    let mut stream = TcpStream::connect(address).await.unwrap();
    send(&mut stream, method, target, &format!("Connection: close\r\n{headers}")).await;
    Received::read(&mut stream, method != "HEAD").await
}

/// Sends a request and does not wait for the response.
pub(super) async fn send(stream: &mut TcpStream, method: &str, target: &str, headers: &str) {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
}
