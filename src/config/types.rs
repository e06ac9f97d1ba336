//! The checked configuration: plain data that needs no further doubt.

use std::fmt;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::digest::ContentDigest;
use super::filter::NameFilter;
use super::polling::{Budget, ClusterPolling, Polling};
use super::secret::{Properties, Secret};
use super::tracking::{CommitSource, GroupOverride, Isolation, Status, TimeLag, TopicOverride};
use super::values::show_duration;

/// Everything that the exporter is told from outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// The HTTP server.
    pub web: Web,
    /// How Kafka is asked.
    pub polling: Polling,
    /// The load that the exporter may cause.
    pub budget: Budget,
    /// What is remembered of the clusters over time is kept in this file, so that it survives a restart; `None` (the
    /// default) keeps it in memory alone. Its directory exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_file: Option<PathBuf>,
    /// The rules by which a group's status is told.
    pub status: Status,
    /// The clusters to export, at least one.
    pub clusters: Vec<Cluster>,
    /// The exporter's own log.
    pub log: LogSettings,
}

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Web {
    /// Where to listen; default `:9308`.
    pub listen: Listen,
    /// Path of the metrics, starting with `/`; default `/metrics`.
    pub telemetry_path: String,
    /// The most connections at a time; default 128.
    pub max_connections: usize,
    /// How long a client may take to send a request's head; default 10 s.
    #[serde(serialize_with = "as_text")]
    pub header_timeout: Duration,
    /// How long a client may take for a whole request and its answer; default 30 s.
    #[serde(serialize_with = "as_text")]
    pub request_timeout: Duration,
    /// Whether `POST /-/reload` is answered; default false.
    pub admin: bool,
}

/// Where the HTTP server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// A host name or an IP address, IPv6 without brackets; `None` is every interface, IPv4 and IPv6.
    pub host: Option<String>,
    /// The port; 0 lets the system choose.
    pub port: u16,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_deref() {
            None => write!(f, ":{}", self.port),
            Some(host) if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One Kafka cluster. Two are equal when their settings are, and what stands in the files that they name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cluster {
    /// The value of the label `cluster_name`; `None` only when it is the one cluster, which then has no such label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Brokers to start from, each `HOST:PORT`; at least one.
    pub bootstrap_servers: Vec<String>,
    /// Which part of the cluster is exported; default all.
    #[serde(flatten)]
    pub scope: Scope,
    /// Constant labels for every `kafka_` series of this cluster, sorted by name.
    #[serde(serialize_with = "as_map")]
    pub labels: Vec<(String, String)>,
    /// TLS; `None` is plaintext.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// SASL; `None` is no authentication, or that of the TLS certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl: Option<Sasl>,
    /// Properties of librdkafka, as given.
    pub kafka: Properties,
    /// Long-lived connections to each broker; default 1.
    pub connections_per_broker: usize,
    /// What differs from [`Config::polling`] for this cluster.
    #[serde(skip_serializing_if = "ClusterPolling::is_inherited")]
    pub polling: ClusterPolling,
    /// Which topics are exported.
    pub topics: TopicSettings,
    /// Which groups are exported.
    pub groups: GroupSettings,
    /// Where committed offsets come from; default they are polled. Never `Stream` without the collector of commits.
    pub commits: CommitSource,
    /// Which collectors run besides brokers and topics, which always do.
    pub collectors: Collectors,
    /// The most `kafka_` series of the cluster: what is more by partition is withheld; `None` (the default) has no limit.
    #[serde(serialize_with = "as_number")]
    pub max_series: Option<NonZeroU64>,
    /// Stands for the content of the certificate, key and token files that the settings name.
    #[serde(skip)]
    pub files_digest: ContentDigest,
}

impl Cluster {
    /// What to call the cluster in logs: its name, or its first bootstrap server.
    pub fn display_name(&self) -> &str {
        let first = self.bootstrap_servers.first().map(String::as_str);
        self.name.as_deref().or(first).unwrap_or("kafka")
    }
}

/// TLS towards the brokers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// Certificate authorities, PEM; `None` looks for the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// This client's certificate, PEM; comes with `key_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// This client's private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Password of the private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_password: Option<Secret>,
    /// Accept any certificate of a broker; default false.
    pub insecure_skip_verify: bool,
}

/// SASL towards the brokers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sasl {
    /// How the password is proven.
    pub mechanism: SaslMechanism,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

/// The SASL mechanisms of this version, under the names that Kafka gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum SaslMechanism {
    /// The password itself is sent (RFC 4616).
    #[serde(rename = "PLAIN")]
    Plain,
    /// A challenge with SHA-256 (RFC 7677).
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// A challenge with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl SaslMechanism {
    /// The name as Kafka writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Which topics are exported, and how finely.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopicSettings {
    /// Names to export; default all.
    #[serde(flatten)]
    pub filter: NameFilter,
    /// Series per partition or per topic, where no override says otherwise; default per partition. See
    /// [`Self::granularity_of`].
    pub granularity: Granularity,
    /// The most partitions of a topic that are asked for; `None` (the default) asks for all.
    #[serde(serialize_with = "as_number")]
    pub sample_partitions: Option<NonZeroUsize>,
    /// How the time lag is told where no override says otherwise; default auto. See [`Self::time_lag_of`].
    pub time_lag: TimeLag,
    /// What differs for some topics, at most [`MAX_OVERRIDES`](super::MAX_OVERRIDES); the first that matches holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<TopicOverride>,
}

/// Which consumer groups are exported, and how finely.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupSettings {
    /// Names to export; default all.
    #[serde(flatten)]
    pub filter: NameFilter,
    /// Only groups in these states, spelled as Kafka does; empty (the default) is every state.
    pub states: Vec<String>,
    /// Series per partition or per topic, where no override says otherwise; default per partition. See
    /// [`Self::granularity_of`].
    pub granularity: Granularity,
    /// Whether partitions are left out on which the group's lag is known to be 0; default false.
    pub drop_zero_lag_partitions: bool,
    /// What lag is measured against where no override says otherwise; default the high watermark. See
    /// [`Self::isolation_of`].
    pub isolation: Isolation,
    /// What differs for some groups, at most [`MAX_OVERRIDES`](super::MAX_OVERRIDES); the first that matches holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<GroupOverride>,
}

/// How finely topics or groups are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// Series for each partition, and the sums.
    Partition,
    /// The sums per topic alone.
    Topic,
}

/// Which collectors run besides brokers and topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Collectors {
    /// First and last offsets of partitions; default true.
    pub offsets: bool,
    /// Groups, their states and members; default true.
    pub groups: bool,
    /// Committed offsets; default true. Never true without `groups`.
    pub commits: bool,
    /// Settings of topics; default true.
    pub configs: bool,
}

/// Which part of a cluster is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "scope", content = "local_broker", rename_all = "snake_case")]
pub enum Scope {
    /// All of it.
    Cluster,
    /// What one broker leads and coordinates.
    LocalBroker(LocalBroker),
}

/// The broker that an exporter is beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalBroker {
    /// The one whose advertised address is here.
    Auto,
    /// The one with this id.
    #[serde(untagged)]
    Id(i32),
}

/// The exporter's own log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogSettings {
    /// How a line looks; default `auto`.
    pub format: LogFormat,
    /// `LEVEL`, or `LEVEL,TARGET=LEVEL,…`; default `info`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned() }
    }
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

/// No limit is 0.
fn as_number<N, S: Serializer>(limit: &Option<N>, serializer: S) -> Result<S::Ok, S::Error>
where
    N: Serialize,
{
    match limit {
        Some(limit) => limit.serialize(serializer),
        None => 0.serialize(serializer),
    }
}

fn as_text<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show_duration(*duration))
}

fn as_map<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
}
