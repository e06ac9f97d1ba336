//! A simulated cluster of any size as a process of its own: what it costs is not the exporter's.

use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::stop::Signals;
use crate::sim::{Cluster, SimError, Spec};

/// How often the cluster's clock moves.
const TICK: Duration = Duration::from_millis(200);
/// So many brokers are told as bootstrap servers at most: a client asks one, and keeps a thread for each.
const MAX_BOOTSTRAP: usize = 3;

/// Why there is no simulated cluster.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The simulated cluster did not start.
    #[error("the simulated cluster does not start: {0}")]
    Cluster(#[from] SimError),
    /// The system refused threads or signals.
    #[error("the system refused threads or signals: {0}")]
    System(#[from] io::Error),
}

/// A simulated cluster that runs.
#[derive(Debug)]
pub struct Simulation {
    runtime: Runtime,
    cluster: Cluster,
    signals: Signals,
}

impl Simulation {
    /// Starts brokers and clock. From now on SIGTERM and SIGINT do not end the process by themselves.
    ///
    /// # Errors
    /// When the description contradicts itself, brokers cannot listen on loopback, or the system gives no threads.
    pub fn start(spec: Spec, latency: Duration) -> Result<Self, SimulationError> {
        let runtime = Builder::new_multi_thread().thread_name("simulation").enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::install()?
        };
        let cluster = runtime.block_on(Cluster::start(spec))?;
        let brokers = cluster.world().broker_ids();
        for broker in brokers {
            cluster.set_latency(broker, latency)?;
        }
        let inside = runtime.enter();
        cluster.run_clock(TICK);
        drop(inside);
        Ok(Self { runtime, cluster, signals })
    }

    /// `host:port` of a few of its brokers.
    #[must_use]
    pub fn bootstrap_servers(&self) -> Vec<String> {
        let mut servers = self.cluster.bootstrap_servers();
        servers.truncate(MAX_BOOTSTRAP);
        servers
    }

    /// Serves until SIGTERM or SIGINT.
    pub fn run(mut self) {
        self.runtime.block_on(self.signals.first());
        self.runtime.block_on(self.cluster.stop());
        self.runtime.shutdown_background();
    }
}
