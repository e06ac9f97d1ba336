//! A cluster's settings as properties of librdkafka.

use super::types::Cluster;

/// Names of librdkafka that mean the same property: the first is the one that we write.
const ALIASES: &[(&str, &str)] =
    &[("sasl.mechanism", "sasl.mechanisms"), ("bootstrap.servers", "metadata.broker.list")];

/// The properties whose value is the path of a file that librdkafka reads when a client starts or connects.
/// <https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md>
pub(crate) const FILE_PROPERTIES: &[&str] = &[
    "https.ca.location",
    "sasl.kerberos.keytab",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.crl.location",
    "ssl.key.location",
    "ssl.keystore.location",
];

impl Cluster {
    /// The properties of a client for this cluster; the user's own come last and replace ours.
    /// <https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md>
    pub fn librdkafka_properties(&self) -> Vec<(String, String)> {
        let mut ours: Vec<(&str, String)> = vec![
            ("bootstrap.servers", self.bootstrap_servers.join(",")),
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
        let Some(tls) = &self.tls else { return };
        let files = [
            ("ssl.ca.location", &tls.ca_file),
            ("ssl.certificate.location", &tls.cert_file),
            ("ssl.key.location", &tls.key_file),
        ];
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
