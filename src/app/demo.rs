//! The demo's cluster, on a runtime of its own: the exporter reaches it over TCP only, as it would a real one.

use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::sim::SimError;
use crate::sim::demo::Demo;

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The simulated cluster did not start.
    #[error("the simulated cluster does not start: {0}")]
    Cluster(#[from] SimError),
    /// The system refused threads.
    #[error("the system refused threads: {0}")]
    System(#[from] io::Error),
}

/// The running simulated cluster.
#[derive(Debug)]
pub struct DemoCluster {
    runtime: Runtime,
    demo: Demo,
}

/// Starts the simulated cluster.
///
/// # Errors
/// When it cannot listen on loopback, or the system gives no threads.
pub fn start_demo_cluster() -> Result<DemoCluster, DemoError> {
    let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("demo").enable_all().build()?;
    let demo = runtime.block_on(Demo::start())?;
    Ok(DemoCluster { runtime, demo })
}

impl DemoCluster {
    /// Where its brokers listen.
    #[must_use]
    pub fn bootstrap_servers(&self) -> Vec<String> {
        self.demo.bootstrap_servers()
    }

    /// Ends it.
    pub fn stop(self) {
        self.runtime.block_on(self.demo.stop());
        self.runtime.shutdown_background();
    }
}
