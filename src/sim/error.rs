//! What can go wrong when a simulated cluster is described, started or edited.

use std::io;

/// A simulation that cannot be what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// No port to listen on.
    #[error("simulated broker {broker} cannot listen on {address}: {source}")]
    Listen {
        /// Broker id.
        broker: i32,
        /// Address with port; port 0 means any.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The description does not hold together.
    #[error("simulated cluster: {0}")]
    Spec(String),
    /// No topic of this name.
    #[error("simulated cluster has no topic {0:?}")]
    NoTopic(String),
    /// The topic has no such partition.
    #[error("simulated topic {topic:?} has no partition {partition}")]
    NoPartition {
        /// Topic name.
        topic: String,
        /// Partition asked for.
        partition: usize,
    },
    /// No group of this name.
    #[error("simulated cluster has no group {0:?}")]
    NoGroup(String),
    /// No broker with this id.
    #[error("simulated cluster has no broker {0}")]
    NoBroker(i32),
    /// A topic or group of that name is there already.
    #[error("simulated cluster already has {0:?}")]
    Exists(String),
}
