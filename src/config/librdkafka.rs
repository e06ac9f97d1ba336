//! A cluster's settings as properties of librdkafka.

use super::types::Cluster;

/// The `client.id` in every request, which brokers show in their logs, quotas and metrics.
pub const CLIENT_ID: &str = "kafkascope";

/// Names of librdkafka that mean the same property: the first is the one that we write.
const ALIASES: &[(&str, &str)] =
    &[("sasl.mechanism", "sasl.mechanisms"), ("bootstrap.servers", "metadata.broker.list")];

impl Cluster {
    /// The properties of a client for this cluster; the user's own come last and replace ours.
    /// <https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md>
    pub fn librdkafka_properties(&self) -> Vec<(String, String)> {
        let mut ours: Vec<(&str, String)> = vec![
            ("bootstrap.servers", self.bootstrap_servers.join(",")),
            ("client.id", CLIENT_ID.to_owned()),
            ("security.protocol", self.security_protocol().to_owned()),
        ];
        self.add_tls(&mut ours);
        if let Some(sasl) = &self.sasl {
            ours.push(("sasl.mechanism", sasl.mechanism.name().to_owned()));
            ours.push(("sasl.username", sasl.username.clone()));
            ours.push(("sasl.password", sasl.password.reveal().to_owned()));
        }
        ours.retain(|(name, _)| !self.user_sets(name));
        let ours = ours.into_iter().map(|(name, value)| (name.to_owned(), value));
        ours.chain(self.kafka.0.iter().cloned()).collect()
    }

    fn security_protocol(&self) -> &'static str {
        match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        }
    }

    fn add_tls(&self, ours: &mut Vec<(&str, String)>) {
        let asked_by_property =
            self.kafka.get("security.protocol").is_some_and(|protocol| protocol.to_ascii_lowercase().ends_with("ssl"));
        let has_ca = self.kafka.has_any(&["ssl.ca.location", "ssl.ca.pem"]);
        let ca_file = self.tls.as_ref().and_then(|tls| tls.ca_file.as_ref());
        match ca_file {
            Some(file) => ours.push(("ssl.ca.location", file.display().to_string())),
            // The OpenSSL that is built in knows no distribution's directories; probing finds them.
            None if !has_ca && (self.tls.is_some() || asked_by_property) => {
                ours.push(("ssl.ca.location", "probe".to_owned()));
            }
            None => {}
        }
        let Some(tls) = &self.tls else { return };
        let files = [("ssl.certificate.location", &tls.cert_file), ("ssl.key.location", &tls.key_file)];
        for (name, file) in files {
            ours.extend(file.as_ref().map(|file| (name, file.display().to_string())));
        }
        ours.extend(tls.key_password.as_ref().map(|password| ("ssl.key.password", password.reveal().to_owned())));
        if tls.insecure_skip_verify {
            ours.push(("enable.ssl.certificate.verification", "false".to_owned()));
            ours.push(("ssl.endpoint.identification.algorithm", "none".to_owned()));
        }
    }

    fn user_sets(&self, name: &str) -> bool {
        let alias = ALIASES.iter().find(|(ours, _)| *ours == name).map(|(_, alias)| *alias);
        self.kafka.has_any(&[name]) || alias.is_some_and(|alias| self.kafka.has_any(&[alias]))
    }
}
