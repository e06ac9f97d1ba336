//! How Kafka is polled, how hard, and what a cluster says apart: plain data that needs no further doubt.

mod check;

use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::filter::NameFilter;
use super::types::{Cluster, Config};
use super::values::{show_duration, show_percent};
use crate::schedule::AUTO_MAX_INTERVAL;

pub use check::{
    CPU_PERCENT_RANGE, INTERVAL_RANGE, MAX_AGE_RANGE, MAX_IN_FLIGHT_RANGE, MAX_POLLING_OVERRIDES,
    REQUEST_TIMEOUT_RANGE, REQUESTS_RANGE, STUCK_AFTER_RANGE,
};
pub(crate) use check::{Chosen, budget, of_cluster, polling};

/// How the time of a request is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PollingMode {
    /// Every topic and every group on a topic has an interval of its own, by how it moves.
    Adaptive,
    /// Everything is asked for in every pass, and passes start at one interval.
    Fixed,
}

impl PollingMode {
    /// As it is written in a config file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adaptive => "adaptive",
            Self::Fixed => "fixed",
        }
    }
}

/// How Kafka is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Polling {
    /// How the time of a request is chosen; default adaptive, and fixed where an interval is given without a mode.
    pub mode: PollingMode,
    /// Of mode fixed: from the start of one pass to the start of the next; default 15 s.
    pub interval: Duration,
    /// Of mode adaptive: nothing is asked for more often; `None` (the default) is auto, from
    /// [`AUTO_MIN_INTERVAL`](crate::schedule::AUTO_MIN_INTERVAL).
    pub min_interval: Option<Duration>,
    /// Of mode adaptive: nothing is asked for less often; `None` (the default) is auto, from [`AUTO_MAX_INTERVAL`].
    pub max_interval: Option<Duration>,
    /// How long one request to a broker may take; default 10 s.
    pub request_timeout: Duration,
    /// No value older than this is served; `None` (the default) is auto, see
    /// [`max_age`](crate::schedule::max_age).
    pub max_age: Option<Duration>,
    /// The most calls under way at once, shared evenly by the clusters, at least one each; default 20.
    pub max_in_flight: usize,
    /// A task that has not turned for so long is reported; default 5 min.
    pub stuck_after: Duration,
}

impl Polling {
    /// The longest time between two requests for a value, as far as the settings alone tell.
    pub(crate) fn longest_interval(&self) -> Duration {
        match self.mode {
            PollingMode::Fixed => self.interval,
            PollingMode::Adaptive => {
                self.max_interval.unwrap_or_else(|| AUTO_MAX_INTERVAL.max(self.min_interval.unwrap_or_default()))
            }
        }
    }

    /// What holds for a cluster that says this.
    fn with(&self, own: &ClusterPolling) -> Self {
        let mode = own.mode.unwrap_or(self.mode);
        let bound = |own: Option<Duration>, ours| own.or(ours).filter(|_| mode == PollingMode::Adaptive);
        Self {
            mode,
            interval: own.interval.unwrap_or(self.interval),
            min_interval: bound(own.min_interval, self.min_interval),
            max_interval: bound(own.max_interval, self.max_interval),
            ..self.clone()
        }
    }
}

impl Config {
    /// How one of its clusters is polled: what the cluster says, over what [`Config::polling`] says.
    #[must_use]
    pub fn polling_of(&self, cluster: &Cluster) -> Polling {
        self.polling.with(&cluster.polling)
    }
}

/// Only what is of its mode is shown: the rest would be an error in a file.
impl Serialize for Polling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let auto = |setting: Option<Duration>| setting.map_or_else(|| "auto".to_owned(), show_duration);
        let mut out = serializer.serialize_struct("Polling", 7)?;
        out.serialize_field("mode", &self.mode)?;
        match self.mode {
            PollingMode::Fixed => out.serialize_field("interval", &show_duration(self.interval))?,
            PollingMode::Adaptive => {
                out.serialize_field("min_interval", &auto(self.min_interval))?;
                out.serialize_field("max_interval", &auto(self.max_interval))?;
            }
        }
        out.serialize_field("request_timeout", &show_duration(self.request_timeout))?;
        out.serialize_field("max_age", &auto(self.max_age))?;
        out.serialize_field("max_in_flight", &self.max_in_flight)?;
        out.serialize_field("stuck_after", &show_duration(self.stuck_after))?;
        out.end()
    }
}

/// The load that the exporter may cause; where a cluster is too large for it, intervals stretch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Budget {
    /// Requests a second to each broker of each cluster, on average; default 50.
    pub requests_per_second_per_broker: f64,
    /// CPU time of the exporter as a ratio of one core; default 0.01, written `1%`.
    #[serde(serialize_with = "as_percent")]
    pub cpu: f64,
}

/// What differs for one cluster from the [`Polling`] of all; `None` takes over what that says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClusterPolling {
    /// The cluster's mode; fixed where the cluster has an interval without a mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<PollingMode>,
    /// As [`Polling::interval`].
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub interval: Option<Duration>,
    /// As [`Polling::min_interval`].
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub min_interval: Option<Duration>,
    /// As [`Polling::max_interval`].
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub max_interval: Option<Duration>,
    /// Other bounds for some topics and groups, at most [`MAX_POLLING_OVERRIDES`]; the first that matches holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<PollingOverride>,
}

impl ClusterPolling {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_inherited(&self) -> bool {
        *self == Self::default()
    }
}

/// Other bounds of the interval for some topics, some groups, or some groups on some topics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PollingOverride {
    /// Topics that it is for; `None` is every topic. Never `None` together with `groups`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_patterns")]
    pub topics: Option<NameFilter>,
    /// Groups that it is for; `None` is every group, and topics by themselves.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_patterns")]
    pub groups: Option<NameFilter>,
    /// As [`Polling::min_interval`]; `None` takes over the cluster's.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub min_interval: Option<Duration>,
    /// As [`Polling::max_interval`]; `None` takes over the cluster's.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub max_interval: Option<Duration>,
}

fn as_text<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(show_duration).serialize(serializer)
}

fn as_percent<S: Serializer>(ratio: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_percent(*ratio))
}

fn as_patterns<S: Serializer>(names: &Option<NameFilter>, serializer: S) -> Result<S::Ok, S::Error> {
    names.as_ref().map(NameFilter::include_patterns).serialize(serializer)
}
