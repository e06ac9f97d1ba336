//! Files that can be used.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use super::*;

const LEAST: &str = "clusters: [{bootstrap_servers: [b1:9092]}]";
const PEM: &str = "# a comment\n-----BEGIN CERTIFICATE-----\n";

#[test]
fn a_bootstrap_list_is_enough() {
    let config = good(LEAST);
    assert_eq!(config.web.listen.to_string(), ":9308");
    assert_eq!(config.web.telemetry_path, "/metrics");
    let polling = &config.polling;
    assert_eq!((polling.mode, polling.interval), (PollingMode::Adaptive, Duration::from_secs(15)));
    assert_eq!((polling.min_interval, polling.max_interval, polling.max_age), (None, None, None));
    assert_eq!((polling.max_in_flight, polling.stuck_after), (20, Duration::from_secs(300)));
    assert_eq!(config.budget, Budget { requests_per_second_per_broker: 50.0, cpu: 0.01 });
    assert!(!config.web.admin);
    assert_eq!(config.log, LogSettings::default());
    let [cluster] = config.clusters.as_slice() else { panic!("one cluster") };
    assert_eq!((cluster.name.as_deref(), cluster.display_name()), (None, "b1:9092"));
    assert!(cluster.topics.filter.is_match_all() && cluster.groups.filter.is_match_all());
    assert_eq!(cluster.collectors, Collectors { offsets: true, groups: true, commits: true, configs: true });
    assert_eq!((cluster.connections_per_broker, cluster.topics.sample_partitions), (1, None));
    assert!(cluster.polling.is_inherited());
    assert_eq!((config.state_file.as_deref(), config.status), (None, Status::default()));
    assert_eq!((cluster.topics.time_lag, cluster.groups.isolation), (TimeLag::Auto, Isolation::ReadUncommitted));
    assert_eq!(cluster.commits, CommitSource::Poll);
}

/// The documented file.
const DOCUMENTED: &str = "
web:
  listen: ':9308'               # both address families
  config_file:                  # e.g. web.yml: TLS and basic auth, in exporter-toolkit's format
  admin: false                  # allows POST /-/reload and switching of environments
polling: {mode: adaptive, min_interval: auto, max_interval: auto, max_age: auto, max_in_flight: 20, stuck_after: 5m}
budget: {requests_per_second_per_broker: 50, cpu: 1%}
state_file:                     # e.g. /var/lib/kafkascope/state
status: {intervals: 10, allowed_lag: 0, marker_slack: 1, min_distance: 60s, abandoned_after: 24h}
clusters:
  - name:                       # e.g. prod
    bootstrap_servers: [b1:9092, b2:9092]
    scope: cluster
    local_broker: auto
    labels: {}
    tls:
    sasl:
    kafka: {}
    connections_per_broker: 1
    polling: {overrides: []}
    topics: {include: ['.*'], exclude: [], granularity: partition, sample_partitions: 0, time_lag: auto, overrides: []}
    groups: {include: ['.*'], exclude: [], states: [], granularity: partition, isolation: read_uncommitted, overrides: []}
    commits: poll
    collectors: {offsets: true, groups: true, commits: true, configs: true}
";

#[test]
fn the_documented_file_is_the_defaults() {
    let mut least = good(LEAST);
    least.clusters[0].bootstrap_servers.push("b2:9092".to_owned());
    assert_eq!(good(DOCUMENTED), least);
}

#[test]
fn the_documented_examples_work() {
    let yaml = "
web: {listen: '[::1]:9400', telemetry_path: /kafka/metrics}
polling: {interval: 1m30s, request_timeout: 2500ms, max_in_flight: 5}
clusters:
  - name: prod
    bootstrap_servers: [b1:9092, b2:9092]
    labels: {env: prod, dc: 1}
    tls: {ca_file: ca.pem, cert_file: c.pem, key_file: k.pem, key_password_file: kp, insecure_skip_verify: false}
    sasl: {mechanism: SCRAM-SHA-512, username: scope, password_file: /run/secrets/kafka}
    kafka: {socket.keepalive.enable: true}
    topics: {include: ['^orders', pay], exclude: ['dlq$'], granularity: topic}
    groups: {states: [stable, Empty]}
  - {name: test, bootstrap_servers: 'b3:9092, b4:9092', tls: true, collectors: {groups: false}}
log: {format: json, level: 'warn,librdkafka=debug'}
";
    let fake = Fake::default().file("ca.pem", PEM).file("c.pem", PEM).file("k.pem", PEM).file("kp", "key\r\n");
    let (config, warnings) = good_in(fake.file("/run/secrets/kafka", "pa ss\n"), yaml);
    assert_eq!(config.web.listen, Listen { host: Some("::1".to_owned()), port: 9400 });
    assert_eq!(config.polling.mode, PollingMode::Fixed, "an interval means so");
    assert_eq!(crate::schedule::max_age(config.polling.max_age, config.polling.interval), Duration::from_secs(270));
    assert_eq!(config.polling.request_timeout, Duration::from_millis(2500));
    let [prod, test] = config.clusters.as_slice() else { panic!("two clusters") };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(prod.labels, [pair("dc", "1"), pair("env", "prod")]);
    assert_eq!(prod.tls.as_ref().unwrap().key_password, Some(Secret::new("key")));
    assert_eq!(prod.sasl.as_ref().unwrap().password, Secret::new("pa ss"));
    assert!(prod.topics.filter.matches("prepay") && !prod.topics.filter.matches("orders-dlq"));
    assert_eq!(prod.topics.granularity, Granularity::Topic);
    assert_eq!(prod.groups.states, ["Stable", "Empty"]);
    assert_eq!(test.bootstrap_servers, ["b3:9092", "b4:9092"]);
    assert_eq!(test.collectors, Collectors { offsets: true, groups: false, commits: false, configs: true });
    assert_eq!(
        warnings,
        ["k.yml:13:89: clusters[1].collectors.groups: without groups there are no commits and no lag either"]
    );
}

#[test]
fn variables_fill_values_and_cannot_break_the_file() {
    let fake =
        Fake::default().var("BROKERS", "b1:9092,b2:9092").var("SECRET", "a: [\"b\n}, $HOME").var("SECONDS", "30");
    let yaml = "
polling: {interval: '${SECONDS}s'}
clusters:
  - bootstrap_servers: ${BROKERS}
    sasl: {mechanism: SCRAM-SHA-256, username: 'a$$b', password: '${SECRET}'}
    topics: {exclude: ['^x$']}
";
    let (config, _) = good_in(fake, yaml);
    assert_eq!(config.polling.interval, Duration::from_secs(30));
    assert_eq!(config.clusters[0].bootstrap_servers, ["b1:9092", "b2:9092"]);
    let sasl = config.clusters[0].sasl.as_ref().unwrap();
    assert_eq!((sasl.username.as_str(), sasl.password.reveal()), ("a$b", "a: [\"b\n}, $HOME"));
    assert!(!config.clusters[0].topics.filter.matches("x"));
}

#[test]
fn aliases_repeat_a_section() {
    let yaml = "
clusters:
  - {name: a, bootstrap_servers: [b1:9093], labels: &labels {env: prod}}
  - {name: b, bootstrap_servers: [b2:9093], labels: *labels}
";
    let config = good(yaml);
    assert_eq!(config.clusters[0].labels, config.clusters[1].labels);
}

#[test]
fn paths_start_at_the_config_file() {
    let yaml = "clusters: [{bootstrap_servers: [b:1], tls: {ca_file: pki/ca.pem}}]";
    let fake = Fake::default().file("/etc/scope/k.yml", yaml).file("/etc/scope/pki/ca.pem", PEM);
    let (config, _) = resolve(Some(Path::new("/etc/scope/k.yml")), &[], &fake).unwrap();
    let ca_file = config.clusters[0].tls.as_ref().unwrap().ca_file.as_deref();
    assert_eq!(ca_file, Some(Path::new("/etc/scope/pki/ca.pem")));
}

#[test]
fn odd_but_usable_settings_are_warned_of() {
    let yaml = "
clusters:
  - bootstrap_servers: [b1:9092]
    sasl: {mechanism: PLAIN, username: u, password: p}
    collectors: {offsets: false}
  - {name: x, bootstrap_servers: [b1:9092], tls: {insecure_skip_verify: true}}
"
    .replace("- bootstrap", "- name: y\n    bootstrap");
    let warnings = good_in(Fake::default(), &yaml).1;
    assert_eq!(
        warnings,
        [
            "k.yml:5:23: clusters[0].sasl.mechanism: PLAIN without TLS sends the password readably over the network",
            "k.yml:6:27: clusters[0].collectors.offsets: without offsets there is no lag: only committed offsets are exported",
            "k.yml:7:73: clusters[1].tls.insecure_skip_verify: the brokers' certificates are not checked: anyone in between can read and change what is sent",
        ]
    );
}

#[test]
fn properties_follow_the_settings_and_the_user_wins() {
    let properties = |yaml: &str| {
        let fake = Fake::default().file("ca.pem", PEM).file("c.pem", PEM).file("k.pem", PEM);
        let cluster = format!("clusters: [{{bootstrap_servers: ['b1:9092', 'b2:9092'], {yaml}}}]");
        let properties = good_in(fake, &cluster).0.clusters[0].librdkafka_properties();
        properties.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    let start = ["bootstrap.servers=b1:9092,b2:9092"];
    let with = |rest: &[&'static str]| [&start[..], rest].concat();
    assert_eq!(properties(""), with(&["security.protocol=plaintext"]));
    assert_eq!(properties("tls: true"), with(&["security.protocol=ssl"]));
    assert_eq!(
        properties("sasl: {mechanism: plain, username: u, password: p}, kafka: {sasl.mechanisms: GSSAPI}"),
        with(&["security.protocol=sasl_plaintext", "sasl.username=u", "sasl.password=p", "sasl.mechanisms=GSSAPI"])
    );
    assert_eq!(
        properties(
            "sasl: {mechanism: SCRAM-SHA-256, username: u, password: p}, \
             tls: {ca_file: ca.pem, cert_file: c.pem, key_file: k.pem, key_password: q, insecure_skip_verify: true}"
        ),
        with(&[
            "security.protocol=sasl_ssl",
            "ssl.ca.location=ca.pem",
            "ssl.certificate.location=c.pem",
            "ssl.key.location=k.pem",
            "ssl.key.password=q",
            "enable.ssl.certificate.verification=false",
            "ssl.endpoint.identification.algorithm=none",
            "sasl.mechanism=SCRAM-SHA-256",
            "sasl.username=u",
            "sasl.password=p",
        ])
    );
    assert_eq!(
        properties("kafka: {client.id: mine, security.protocol: SASL_SSL}"),
        ["bootstrap.servers=b1:9092,b2:9092", "client.id=mine", "security.protocol=SASL_SSL"]
    );
}

#[test]
fn the_effective_file_hides_secrets_and_can_be_read_again() {
    let yaml = "
clusters:
  - name: prod
    bootstrap_servers: [b1:9092]
    labels: {env: prod}
    tls: true
    sasl: {mechanism: SCRAM-SHA-512, username: u, password: hunter2}
    kafka: {ssl.key.password: hunter2, debug: broker}
    groups: {include: [a, '^b'], states: [Stable], granularity: topic}
polling: {interval: 90s}
";
    let config = good(yaml);
    let effective = effective_yaml(&config).unwrap();
    assert!(!effective.contains("hunter2") && !format!("{config:?}").contains("hunter2"), "{effective}");
    assert!(effective.contains("password: <hidden>") && effective.contains("interval: 1m30s"), "{effective}");
    let again = good(&effective.replace("<hidden>", "hunter2"));
    assert_eq!(again, config);
}

/// What is shown of each mode, with every setting of it, means the same again.
#[test]
fn the_effective_file_of_either_mode_can_be_read_again() {
    for polling in [
        "{mode: fixed}",
        "{interval: 20s, max_age: 1m, stuck_after: 90s}",
        "{min_interval: 2500ms, max_interval: 45s, max_age: 5m}",
    ] {
        let yaml = format!(
            "
polling: {polling}
budget: {{requests_per_second_per_broker: 0.7, cpu: 0.7%}}
web: {{admin: true}}
clusters:
  - {{name: a, bootstrap_servers: ['b:1'], polling: {{interval: 20s}}, connections_per_broker: 2}}
  - name: b
    bootstrap_servers: ['b:1']
    topics: {{sample_partitions: 3}}
    polling:
      mode: adaptive
      max_interval: 50s
      overrides: [{{topics: [x], groups: ['^y', z], min_interval: 2s}}, {{groups: [a], max_interval: 30s}}]
"
        );
        let config = good(&yaml);
        let effective = effective_yaml(&config).unwrap();
        assert_eq!(good(&effective), config, "{effective}");
        assert!(!effective.contains("min_interval: auto"), "{effective}");
        assert!(effective.contains("cpu: 0.7%"), "{effective}");
    }
}

#[test]
fn the_reference_lists_every_key() {
    let reference = reference_markdown();
    assert_eq!(reference.lines().count(), schema::KEYS.len() + 2);
    assert!(reference.contains("| `polling.interval` (duration) | `15s` | `--interval` `KAFKASCOPE_INTERVAL` |"));
    assert!(reference.contains("| `clusters[].sasl.password` (secret) |  | `KAFKASCOPE_SASL_PASSWORD` |"));
}

#[test]
fn constant_labels_cannot_collide_with_those_of_the_catalogue() {
    for family in crate::metrics::catalogue::ALL.iter().filter(|family| family.has_constant_labels()) {
        for label in family.labels {
            assert!(OWN_LABELS.contains(label), "{} has the label {label}", family.name);
        }
    }
}

#[test]
fn an_exporter_beside_a_broker_knows_which_or_finds_out() {
    let of = |keys: &str| good(&format!("clusters: [{{bootstrap_servers: [b1:9092]{keys}}}]")).clusters[0].scope;
    assert_eq!(of(""), Scope::Cluster);
    assert_eq!(of(", scope: cluster, local_broker: auto"), Scope::Cluster);
    assert_eq!(of(", scope: local_broker"), Scope::LocalBroker(LocalBroker::Auto));
    assert_eq!(of(", scope: local_broker, local_broker: 0"), Scope::LocalBroker(LocalBroker::Id(0)));
    let (config, warnings) = good_in(
        Fake::default(),
        "clusters: [{bootstrap_servers: [b1:9092], scope: local_broker, local_broker: 3, commits: stream}]",
    );
    assert_eq!(config.clusters[0].scope, Scope::LocalBroker(LocalBroker::Id(3)));
    assert!(matches!(warnings.as_slice(), [one] if one.contains("reads all of __consumer_offsets")), "{warnings:?}");
}
