//! Fixtures for the tests of this room: clusters in every state, and a server on a free port.

#![allow(clippy::unwrap_used, reason = "a broken fixture ends the test, as it should")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Heartbeats, HttpSettings, HttpState, bind, serve};
use crate::derive::Snapshot;
use crate::metrics::{ClusterSource, OwnMetrics};
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
        let at = Instants { moment: Moment(1000), wall: WallTime(POLLED_AT_SECONDS as i64 * 1000) };
        world.apply_metadata(&metadata(topics, partitions), |_| true, at.moment);
        let snapshot = Snapshot::derive(&world, None, Duration::from_secs(120), at);
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

/// A state with settings of its own.
pub(super) fn state_with(clusters: Vec<ClusterSource>, settings: HttpSettings) -> HttpState {
    let clusters = clusters.into_iter().map(Arc::new).collect();
    HttpState::new(
        clusters,
        Arc::new(OwnMetrics::new("test", None).unwrap()),
        Arc::new(Heartbeats::default()),
        settings,
    )
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
