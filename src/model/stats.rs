//! What a client's connections to the brokers have done, as librdkafka's statistics tell it.

use std::sync::Arc;
use std::time::Duration;

use super::BrokerId;

/// Whether calls to a broker are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BreakerState {
    /// The broker answers: calls go out.
    #[default]
    Closed,
    /// The broker was silent: it is left alone.
    Open,
    /// One probe is out to learn whether it is back.
    HalfOpen,
}

impl BreakerState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The label value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// The connection to one broker, counted since the client started.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConnection {
    /// The broker.
    pub broker: BrokerId,
    /// Whether the connection is up.
    pub is_up: bool,
    /// Connection attempts, successful or not.
    pub connects: u64,
    /// Connections lost.
    pub disconnects: u64,
    /// Requests that were not answered in time.
    pub timeouts: u64,
    /// Requests sent and not answered yet.
    pub in_flight: u64,
    /// Mean round-trip time over the last statistics interval; `None` when nothing was sent in it.
    pub round_trip: Option<Duration>,
    /// Requests sent, by the name of the API; those never sent are left out.
    pub requests: Vec<(Arc<str>, u64)>,
}

/// All of a client's connections, ordered by broker.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnectionStats {
    /// One for each broker.
    pub brokers: Vec<BrokerConnection>,
    /// How often a sick handle, a set of one connection to each broker, was replaced by another.
    pub replacements: u64,
}
