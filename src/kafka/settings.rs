//! The properties of a client: ours, unless the user set them, and the user's.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError as NativeError;

use super::{Cause, KafkaError, Operation, Target};

/// The shortest and the longest request time-out that librdkafka can keep.
const REQUEST_TIMEOUT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(300));
/// The shortest time that librdkafka lets a connection take to be set up.
const MIN_CONNECTION_SETUP: Duration = Duration::from_secs(1);
/// librdkafka multiplies `metadata.max.age.ms` by 1000 in 32 bits.
const MAX_METADATA_AGE_MS: i64 = 2_147_483;
/// Properties that cannot be set, with the reason.
const REFUSED: [(&str, &str); 4] = [
    ("group.id", "the exporter reads groups and never joins one"),
    ("group.instance.id", "the exporter reads groups and never joins one"),
    ("log.queue", "log lines are read from their queue by the exporter"),
    ("enabled_events", "the exporter chooses the events that it reads"),
];

/// What is needed to connect to a cluster.
#[derive(Clone)]
pub struct ClientSettings {
    /// The cluster's name for log lines and thread names; may be empty.
    pub cluster: Arc<str>,
    /// librdkafka properties, `bootstrap.servers` among them. Of one given twice the last counts.
    pub properties: Vec<(String, String)>,
    /// How long one request may take. It is held between 100 ms and 5 min.
    pub request_timeout: Duration,
}

/// A property that librdkafka does not take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("librdkafka property {property:?}: {reason}")]
struct PropertyError {
    property: String,
    reason: String,
}

/// What librdkafka, or this client, has against a property; `None` when it can be set. Connects to nothing.
#[must_use]
pub fn property_fault(name: &str, value: &str) -> Option<String> {
    check_property(name, value).err().map(|error| error.reason)
}

fn check_property(name: &str, value: &str) -> Result<(), PropertyError> {
    let wrong = |reason: String| PropertyError { property: name.to_owned(), reason };
    if let Some((_, reason)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
        return Err(wrong(format!("cannot be set: {reason}")));
    }
    if name == "statistics.interval.ms" && value.trim() == "0" {
        return Err(wrong("cannot be 0: the connection metrics are made of these statistics".to_owned()));
    }
    if name.contains('\0') || value.contains('\0') {
        return Err(wrong("holds a NUL character".to_owned()));
    }
    if name == "metadata.max.age.ms" && value.trim().parse::<i64>().is_ok_and(|age| age > MAX_METADATA_AGE_MS) {
        return Err(wrong(format!("librdkafka overflows above {MAX_METADATA_AGE_MS}")));
    }
    match ClientConfig::new().set(name, value).create_native_config() {
        Ok(_) => Ok(()),
        Err(NativeError::ClientConfig(_, reason, _, _)) => Err(wrong(reason)),
        Err(error) => Err(wrong(error.to_string())),
    }
}

impl ClientSettings {
    /// The request time-out within its bounds.
    pub(super) fn timeout(&self) -> Duration {
        self.request_timeout.clamp(REQUEST_TIMEOUT.0, REQUEST_TIMEOUT.1)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.properties.iter().rev().find(|(property, _)| property == name).map(|(_, value)| value.as_str())
    }

    /// All properties, checked.
    ///
    /// # Errors
    /// When one is refused by us or by librdkafka; the text names it.
    pub(super) fn client_config(&self) -> Result<ClientConfig, KafkaError> {
        let wrong = |(name, value): &(String, String)| Some(check_property(name, value).err()?.to_string());
        let wrong: Vec<String> = self.properties.iter().filter_map(wrong).collect();
        if !wrong.is_empty() {
            return Err(property_error(wrong.join("; ")));
        }
        if self.value("bootstrap.servers").is_none_or(|servers| servers.trim().is_empty())
            && self.value("test.mock.num.brokers").is_none()
        {
            return Err(property_error("no bootstrap servers are given".to_owned()));
        }
        let mut config = ClientConfig::new();
        for (name, value) in self.own_properties() {
            config.set(name, value);
        }
        config.extend(self.properties.iter().cloned());
        // Connection errors are logged at this level, and they are needed whatever the exporter's own level is.
        config.set_log_level(if config.get("debug").is_some() {
            RDKafkaLogLevel::Debug
        } else {
            RDKafkaLogLevel::Info
        });
        Ok(config)
    }

    /// What differs from librdkafka's defaults.
    fn own_properties(&self) -> Vec<(&'static str, String)> {
        let timeout = self.timeout().as_millis().to_string();
        let mut properties = vec![
            ("client.id", "kafkascope".to_owned()),
            // Without a group, librdkafka follows a null pointer when an OffsetFetch is answered with NOT_COORDINATOR and
            // the like (its issue 5040): a moving coordinator would end the process. This one is never joined, and need
            // neither exist nor be allowed: the client closes it at once, so that its coordinator is not asked for.
            ("group.id", "kafkascope".to_owned()),
            // KIP-714 would have the client push metrics of its own to the brokers.
            ("enable.metrics.push", "false".to_owned()),
            // Says why a listener hung up (it wants TLS, it wants SASL). Such lines go into the errors of calls.
            ("log.connection.close", "true".to_owned()),
            ("reconnect.backoff.max.ms", "2000".to_owned()),
            ("socket.keepalive.enable", "true".to_owned()),
            ("statistics.interval.ms", "10000".to_owned()),
            // The exporter asks for metadata itself. What is cached is used to find leaders.
            ("topic.metadata.refresh.interval.ms", "-1".to_owned()),
            ("allow.auto.create.topics", "false".to_owned()),
            ("socket.timeout.ms", timeout.clone()),
            ("socket.connection.setup.timeout.ms", self.timeout().max(MIN_CONNECTION_SETUP).as_millis().to_string()),
            ("api.version.request.timeout.ms", timeout),
            // Waiting for records must be shorter than the socket's time-out; the exporter reads none.
            ("fetch.wait.max.ms", "0".to_owned()),
        ];
        let encrypted = self.value("security.protocol").is_some_and(|p| p.to_ascii_lowercase().ends_with("ssl"));
        let authorities = ["ssl.ca.location", "ssl.ca.pem", "ssl.ca.certificate.stores"];
        if encrypted && authorities.iter().all(|name| self.value(name).is_none()) {
            // The OpenSSL that is built in does not know where this system keeps its certificates.
            properties.push(("ssl.ca.location", "probe".to_owned()));
        }
        properties
    }
}

/// librdkafka took each property, but not all together.
pub(super) fn creation_error(error: &NativeError) -> KafkaError {
    property_error(match error {
        NativeError::ClientCreation(reason) => {
            format!("librdkafka does not take the properties: {reason}{}", creation_hint(reason))
        }
        other => format!("librdkafka cannot set up a client: {other}"),
    })
}

/// What OpenSSL's words do not say.
fn creation_hint(reason: &str) -> &'static str {
    if reason.contains("ssl.key.location") || reason.contains("ssl.key.pem") {
        " (is the private key encrypted, and its password right?)"
    } else if reason.contains("private_key") || reason.contains("key values mismatch") {
        " (does the private key belong to the certificate?)"
    } else {
        ""
    }
}

fn property_error(text: String) -> KafkaError {
    KafkaError { operation: Operation::Connect, target: Target::Cluster, cause: Cause::Property(text) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use super::*;

    fn settings(properties: &[(&str, &str)]) -> ClientSettings {
        ClientSettings {
            cluster: "".into(),
            properties: properties.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            request_timeout: Duration::from_secs(10),
        }
    }

    #[test]
    fn the_users_properties_come_before_ours() {
        let config = settings(&[("bootstrap.servers", "b:9092"), ("client.id", "mine")]).client_config().unwrap();
        assert_eq!(config.get("client.id"), Some("mine"));
        assert_eq!(config.get("enable.metrics.push"), Some("false"));
        assert_eq!(config.get("ssl.ca.location"), None);
    }

    #[test]
    fn the_systems_authorities_are_looked_for_unless_some_are_given() {
        let with = |more: &[(&str, &str)]| {
            settings(&[&[("bootstrap.servers", "b:9092"), ("security.protocol", "SASL_SSL")], more].concat())
        };
        assert_eq!(with(&[]).client_config().unwrap().get("ssl.ca.location"), Some("probe"));
        let given = with(&[("ssl.ca.location", "/ca.pem")]).client_config().unwrap();
        assert_eq!(given.get("ssl.ca.location"), Some("/ca.pem"));
    }

    #[test]
    fn every_bad_property_is_named_with_its_reason() {
        let error = settings(&[
            ("bootstrap.servers", "b:9092"),
            ("no.such.thing", "1"),
            ("group.instance.id", "g"),
            ("socket.timeout.ms", "soon"),
            ("metadata.max.age.ms", "86400000"),
        ]);
        let text = error.client_config().unwrap_err().to_string();
        assert_eq!(
            text,
            "Connect to cluster failed: \
             librdkafka property \"no.such.thing\": No such configuration property: \"no.such.thing\"; \
             librdkafka property \"group.instance.id\": cannot be set: the exporter reads groups and never joins one; \
             librdkafka property \"socket.timeout.ms\": Invalid value for configuration property \"socket.timeout.ms\"; \
             librdkafka property \"metadata.max.age.ms\": librdkafka overflows above 2147483"
        );
    }

    #[test]
    fn bootstrap_servers_are_needed() {
        let text = settings(&[("bootstrap.servers", " ")]).client_config().unwrap_err().to_string();
        assert_eq!(text, "Connect to cluster failed: no bootstrap servers are given");
    }
}
