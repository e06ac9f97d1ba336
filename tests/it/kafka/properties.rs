//! The `server.properties` of a test's Kafka.

use std::path::Path;

use super::pki::Pki;

/// Users who may log in by SASL PLAIN where security is on: name and password.
pub(crate) const PLAIN_USERS: [(&str, &str); 2] = [("alice", "alice-secret"), ("bob", "bob-secret")];

/// Who is who to Kafka's authorizer.
pub(crate) struct PrincipalOf;

impl PrincipalOf {
    /// Everybody on a listener where nobody logs in (PLAINTEXT, SSL); allowed everything where the authorizer is on.
    pub(crate) const PLAINTEXT: &'static str = "User:ANONYMOUS";
    /// The client certificate of [`Pki`].
    pub(crate) const MTLS: &'static str = "User:scope";
}

/// A client listener beside the plaintext one.
pub(super) const SECURED: [&str; 4] = ["SASL_SSL", "SASL_PLAINTEXT", "SSL", "MTLS"];

/// The part that a node plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Broker and controller in one, for a cluster of one.
    Combined,
    /// A broker only.
    Broker,
    /// The controller only.
    Controller,
}

/// What a node's file is made from.
pub(super) struct Node<'a> {
    pub(super) id: i32,
    pub(super) role: Role,
    /// How many brokers the cluster has.
    pub(super) brokers: usize,
    pub(super) controller: (i32, u16),
    /// Listener names with their ports, "PLAINTEXT" first; empty for a controller.
    pub(super) listeners: &'a [(&'static str, u16)],
    pub(super) log_dir: &'a Path,
    pub(super) pki: Option<&'a Pki>,
    pub(super) authorizer: bool,
    pub(super) overrides: &'a [(String, String)],
}

impl Node<'_> {
    /// The file's text; of a key set twice the last counts.
    pub(super) fn text(&self) -> String {
        let mut lines = self.identity();
        lines.extend(self.small_and_quick());
        if let Some(pki) = self.pki.filter(|_| self.role != Role::Controller) {
            lines.extend(security(pki));
        }
        if self.authorizer {
            lines.push(("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".into()));
            lines.push(("super.users", PrincipalOf::PLAINTEXT.into()));
        }
        let mut text = String::new();
        for (key, value) in &lines {
            text += &format!("{key}={value}\n");
        }
        for (key, value) in self.overrides {
            text += &format!("{key}={value}\n");
        }
        text
    }

    fn identity(&self) -> Vec<(&'static str, String)> {
        let (controller, port) = self.controller;
        let mut open: Vec<String> =
            self.listeners.iter().map(|(name, port)| format!("{name}://127.0.0.1:{port}")).collect();
        let mut lines = vec![("node.id", self.id.to_string())];
        if self.role != Role::Controller {
            lines.push(("advertised.listeners", open.join(",")));
            lines.push(("inter.broker.listener.name", "PLAINTEXT".into()));
        }
        if self.role != Role::Broker {
            open.push(format!("CONTROLLER://127.0.0.1:{port}"));
        }
        let roles = match self.role {
            Role::Combined => "broker,controller",
            Role::Broker => "broker",
            Role::Controller => "controller",
        };
        let protocols =
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL,MTLS:SSL";
        lines.extend([
            ("process.roles", roles.into()),
            ("controller.quorum.voters", format!("{controller}@127.0.0.1:{port}")),
            ("controller.listener.names", "CONTROLLER".into()),
            ("listeners", open.join(",")),
            ("listener.security.protocol.map", protocols.into()),
            ("log.dirs", self.log_dir.display().to_string()),
        ]);
        lines
    }

    /// Made for a small machine and a short life: little to allocate, nothing to wait for.
    fn small_and_quick(&self) -> Vec<(&'static str, String)> {
        let copies = self.brokers.min(3).to_string();
        let mut lines: Vec<(&'static str, String)> = [
            "offsets.topic.replication.factor",
            "transaction.state.log.replication.factor",
            "share.coordinator.state.topic.replication.factor",
        ]
        .into_iter()
        .map(|key| (key, copies.clone()))
        .collect();
        lines.extend(
            [
                ("auto.create.topics.enable", "false"),
                ("transaction.state.log.min.isr", "1"),
                ("share.coordinator.state.topic.min.isr", "1"),
                ("offsets.topic.num.partitions", "6"),
                ("transaction.state.log.num.partitions", "2"),
                ("log.index.size.max.bytes", "1048576"),
                ("log.initial.task.delay.ms", "1000"),
                ("log.retention.check.interval.ms", "1000"),
                ("log.segment.delete.delay.ms", "1000"),
                ("log.cleaner.backoff.ms", "500"),
                ("log.cleaner.dedupe.buffer.size", "4194304"),
                ("offsets.retention.check.interval.ms", "1000"),
                ("broker.heartbeat.interval.ms", "1000"),
                ("broker.session.timeout.ms", "6000"),
                ("group.initial.rebalance.delay.ms", "0"),
                ("group.min.session.timeout.ms", "1000"),
                ("group.consumer.min.heartbeat.interval.ms", "250"),
                ("group.consumer.heartbeat.interval.ms", "500"),
                ("group.consumer.min.session.timeout.ms", "2000"),
                ("group.consumer.session.timeout.ms", "6000"),
                ("num.network.threads", "2"),
                ("num.io.threads", "4"),
            ]
            .map(|(key, value)| (key, value.to_owned())),
        );
        lines
    }
}

/// Settings of the listeners in [`SECURED`]: SASL over TLS and bare, TLS, and TLS that asks for a certificate.
fn security(pki: &Pki) -> Vec<(&'static str, String)> {
    let users: String = PLAIN_USERS.iter().map(|(name, word)| format!(" user_{name}=\"{word}\"")).collect();
    let plain = format!("org.apache.kafka.common.security.plain.PlainLoginModule required{users};");
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let mut lines = vec![
        ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512".to_owned()),
        ("ssl.keystore.type", "PEM".into()),
        ("ssl.keystore.location", pki.broker_store().display().to_string()),
        ("ssl.truststore.type", "PEM".into()),
        ("ssl.truststore.location", pki.ca().display().to_string()),
        ("ssl.principal.mapping.rules", "RULE:^CN=([^,]+).*$/$1/,DEFAULT".into()),
        ("listener.name.mtls.ssl.client.auth", "required".into()),
    ];
    for (key, value) in [
        ("listener.name.sasl_ssl.plain.sasl.jaas.config", plain.as_str()),
        ("listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config", scram),
        ("listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config", scram),
        ("listener.name.sasl_plaintext.plain.sasl.jaas.config", plain.as_str()),
        ("listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config", scram),
        ("listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config", scram),
    ] {
        lines.push((key, value.to_owned()));
    }
    lines
}
