//! Files that cannot be used: the exact text of each error, with its line and field.

use super::*;

#[track_caller]
fn check(yaml: &str, expected: &[&str]) {
    assert_eq!(errors(yaml), expected, "\n{yaml}");
}

/// One cluster, with the line that is wrong as its third.
#[track_caller]
fn check_cluster(line: &str, expected: &str) {
    check(&format!("clusters:\n- bootstrap_servers: [b1:9092]\n  {line}\n"), &[expected]);
}

/// A file with one sound cluster and this line as its first.
#[track_caller]
fn check_line(line: &str, expected: &str) {
    check(&format!("{line}\nclusters: [{{bootstrap_servers: [b1:9092]}}]\n"), &[expected]);
}

#[test]
fn all_errors_of_a_file_are_reported_at_once() {
    let yaml = "
web: {listen: 9308, colour: blue}
polling:
  interval: 15
  max_in_flight: many
clusters:
  - bootstrap_servers: [b1]
    topics: {include: ['a(', b]}
    labels: {topic: x}
  - name: two
    bootstrapServers: [b2:9092]
log: {level: ${NO_SUCH}}
"
    .replace("${NO_SUCH}", "'${NO_SUCH}'");
    check(
        &yaml,
        &[
            "k.yml:2:15: web.listen: '9308' is a port without its colon; write ':9308' for every interface, or HOST:9308 for one",
            "k.yml:2:21: web.colour: unknown key; known here: listen, telemetry_path, max_connections, header_timeout, request_timeout, config_file, admin",
            "k.yml:4:13: polling.interval: '15' has no unit; write 15s if seconds are meant",
            "k.yml:5:18: polling.max_in_flight: 'many' is not a whole number; write a number from 1 to 1000",
            "k.yml:7:5: clusters[0].name: one of several clusters has no name; give it one: the label cluster_name tells clusters apart",
            "k.yml:7:25: clusters[0].bootstrap_servers[0]: 'b1' has no port; write HOST:PORT, such as b1:9092",
            "k.yml:8:24: clusters[0].topics.include[0]: 'a(' is not a regex: unclosed group; mend it; the syntax is that of Rust's regex crate, close to Go's RE2",
            "k.yml:9:14: clusters[0].labels.topic: label 'topic' is one that the exporter sets; rename it; the exporter's own labels cannot be replaced",
            "k.yml:10:5: clusters[1].bootstrap_servers: no broker is given; write at least one, such as [b1:9092]",
            "k.yml:11:5: clusters[1].bootstrapServers: unknown key; did you mean bootstrap_servers?",
            "k.yml:12:14: log.level: the environment variable NO_SUCH is not set; set NO_SUCH, or write $${NO_SUCH} if the text itself is meant",
        ],
    );
}

#[test]
fn no_cluster_names_the_flag_that_is_enough() {
    let expected =
        "no Kafka cluster is given; give --bootstrap-servers HOST:PORT, which is enough, or clusters in a config file";
    check("", &[&format!("clusters: {expected}")]);
    check("clusters: []", &[&format!("k.yml:1:11: clusters: {expected}")]);
    check("clusters:\n", &[&format!("k.yml:1:9: clusters: {expected}")]);
}

#[test]
fn unknown_keys_say_what_was_meant() {
    check_line("pollling: {}", "k.yml:1:1: pollling: unknown key; did you mean polling?");
    check_line("topics: {}", "k.yml:1:1: topics: unknown key; it belongs under clusters[]");
    check_cluster("password: x", "k.yml:3:3: clusters[0].password: unknown key; it belongs under clusters[].sasl");
    check_cluster(
        "collectors: {topics: false}",
        "k.yml:3:16: clusters[0].collectors.topics: unknown key; remove it: the topics collector always runs",
    );
}

#[test]
fn wrong_types_say_what_belongs_there() {
    check_line(
        "web: 9308",
        "k.yml:1:6: web: must be a section with keys; its keys are: listen, telemetry_path, max_connections, header_timeout, request_timeout, config_file, admin",
    );
    check_line(
        "polling: {interval: [15s]}",
        "k.yml:1:21: polling.interval: wrong type: a list, expected duration; write a duration such as 15s",
    );
    check_line(
        "web: {listen: {port: 1}}",
        "k.yml:1:15: web.listen: wrong type: a section, expected text; write one text",
    );
    check_cluster(
        "labels: env=prod",
        "k.yml:3:11: clusters[0].labels: wrong type: a text, expected map; write it as {name: value}",
    );
    check_cluster(
        "labels: {env: }",
        "k.yml:3:15: clusters[0].labels.env: must be one text; give it a value, or remove it",
    );
    check_cluster(
        "labels: {env: [a]}",
        "k.yml:3:17: clusters[0].labels.env: must be one text; give it a value, or remove it",
    );
    check_cluster(
        "topics: {include: [[a]]}",
        "k.yml:3:22: clusters[0].topics.include[0]: must be one text; remove empty and nested items",
    );
    check_cluster(
        "topics: {include: {a: b}}",
        "k.yml:3:21: clusters[0].topics.include: wrong type: a section, expected list of regexes; write it as ['^a', 'b$']",
    );
    check_cluster("tls: maybe", "k.yml:3:8: clusters[0].tls: 'maybe' is not true or false; write true or false");
    check(
        "clusters: {bootstrap_servers: [b1:9092]}",
        &[
            "k.yml:1:11: clusters: must be a list; start each cluster with '- ', such as '- bootstrap_servers: [b1:9092]'",
        ],
    );
    check(
        "clusters:\n-\n- {bootstrap_servers: [b:1], name: a}",
        &[
            "k.yml:2:2: clusters[0]: an empty cluster; give it bootstrap_servers, or remove it",
            "k.yml:2:2: clusters[0].name: one of several clusters has no name; give it one: the label cluster_name tells clusters apart",
        ],
    );
}

#[test]
fn names_of_clusters_differ() {
    check(
        "clusters:\n- {name: a, bootstrap_servers: [b:1]}\n- {name: a, bootstrap_servers: [c:1]}\n",
        &["k.yml:3:10: clusters[1].name: the name 'a' is that of clusters[0] too; give each cluster a name of its own"],
    );
    check_cluster("name: ''", "k.yml:3:9: clusters[0].name: the name is empty; give it a name, or leave the key out");
}

#[test]
fn keys_are_given_once() {
    check_cluster(
        "bootstrap_servers: [b2:9092]",
        "k.yml:3:3: clusters[0].bootstrap_servers: given twice in the same section, first on line 2; keep one of the two",
    );
}

#[test]
fn addresses_are_checked() {
    let broker = |text: &str, expected: &str| {
        check(
            &format!("clusters: [{{bootstrap_servers: ['{text}']}}]"),
            &[&format!("k.yml:1:33: clusters[0].bootstrap_servers[0]: {expected}")],
        );
    };
    broker("b1:http", "'http' in 'b1:http' is not a port; write HOST:PORT with a port up to 65535, such as b1:9092");
    broker("b1:65536", "'65536' in 'b1:65536' is not a port; write HOST:PORT with a port up to 65535, such as b1:9092");
    broker("b1:0", "'b1:0' has port 0; write the port that the broker listens on");
    broker(":9092", "':9092' has no host; write HOST:9092");
    broker("b 1:9092", "'b 1' in 'b 1:9092' is not a host; a host name has letters, digits, '.', '-' and '_'");
    broker("::1:9092", "'::1' in '::1:9092' is not a host; write IPv6 addresses in brackets, such as [::1]:9092");
    broker("[zz]:9092", "'[zz]' in '[zz]:9092' is not a host; write IPv6 addresses as [::1]:9092");
    broker(
        "SSL://b1:9092",
        "'SSL://b1:9092' starts with SSL://; write b1:9092; tls and sasl say which protocol is spoken",
    );
    check_line(
        "web: {telemetry_path: metrics}",
        "k.yml:1:23: web.telemetry_path: 'metrics' is not a path; start it with '/', then letters, digits and any of /-_.~, such as /metrics",
    );
    check_line(
        "web: {telemetry_path: /healthz}",
        "k.yml:1:23: web.telemetry_path: '/healthz' serves another page; choose another path, such as /metrics",
    );
}

#[test]
fn numbers_and_durations_are_checked() {
    check_line(
        "polling: {interval: soon}",
        "k.yml:1:21: polling.interval: 'soon' is not a duration; write whole numbers with ms, s, m, h or d, such as 15s or 1m30s",
    );
    check_line(
        "polling: {interval: 0s}",
        "k.yml:1:21: polling.interval: 0s is out of range; write a duration from 1s to 1h",
    );
    check_line(
        "polling: {interval: -5s}",
        "k.yml:1:21: polling.interval: '-5s' is negative; write a duration from 1s to 1h",
    );
    check_line(
        "polling: {interval: 99999999999999999999d}",
        "k.yml:1:21: polling.interval: '99999999999999999999d' is not a duration; write whole numbers with ms, s, m, h or d, such as 15s or 1m30s",
    );
    check_line(
        "polling: {interval: 10m, max_age: 2m}",
        "k.yml:1:35: polling.max_age: shorter than the interval of 10m; every value would expire before the next pass; write auto, or more",
    );
    check_line(
        "polling: {max_in_flight: 0}",
        "k.yml:1:26: polling.max_in_flight: 0 is out of range; write a number from 1 to 1000",
    );
    check_line(
        "polling: {max_in_flight: -3}",
        "k.yml:1:26: polling.max_in_flight: -3 is out of range; write a number from 1 to 1000",
    );
    check_line("web: {admin: yes}", "k.yml:1:14: web.admin: 'yes' is not true or false; write true or false");
    for (value, what) in [("-1", "-1 is out of range"), ("100001", "100001 is out of range")] {
        let advice = "write a number from 0 to 100000";
        check_cluster(
            &format!("topics: {{sample_partitions: {value}}}"),
            &format!("k.yml:3:31: clusters[0].topics.sample_partitions: {what}; {advice}"),
        );
    }
    for value in ["0", "17"] {
        check_cluster(
            &format!("connections_per_broker: {value}"),
            &format!(
                "k.yml:3:27: clusters[0].connections_per_broker: {value} is out of range; write a number from 1 to 16"
            ),
        );
    }
    check_line(
        "web: {max_connections: 1.5}",
        "k.yml:1:24: web.max_connections: '1.5' is not a whole number; write a number from 1 to 10000",
    );
}

#[test]
fn values_of_later_versions_are_named_as_such() {
    check_line(
        "web: {config_file: web.yml}",
        "k.yml:1:20: web.config_file: not supported in this version; leave it out",
    );
    check_cluster(
        "sasl: {mechanism: GSSAPI, username: u, password: p}",
        "k.yml:3:21: clusters[0].sasl.mechanism: mechanism 'GSSAPI' is not supported in this version; use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, or a TLS client certificate",
    );
}

#[test]
fn labels_and_choices_are_checked() {
    check_cluster(
        "labels: {a-b: x}",
        "k.yml:3:12: clusters[0].labels.a-b: 'a-b' is not a label name; use letters, digits and '_', and no digit first",
    );
    check_cluster(
        "labels: {__a: x}",
        "k.yml:3:12: clusters[0].labels.__a: label '__a' starts with __; Prometheus keeps names with two underscores for itself; rename it",
    );
    check_cluster(
        "labels: {cluster_name: x}",
        "k.yml:3:12: clusters[0].labels.cluster_name: label 'cluster_name' is made from the cluster's name; set the cluster's name (--cluster-name) instead",
    );
    check_cluster(
        "groups: {states: [Stable, Sleeping]}",
        "k.yml:3:29: clusters[0].groups.states[1]: 'Sleeping' is not a state that groups can be chosen by; write any of Stable, PreparingRebalance, CompletingRebalance, Empty, Dead",
    );
    check_cluster(
        "groups: {granularity: group}",
        "k.yml:3:25: clusters[0].groups.granularity: 'group' is not a granularity; write partition or topic",
    );
    check_cluster(
        "topics: {include: []}",
        "k.yml:3:21: clusters[0].topics.include: an empty list lets nothing through; write ['.*'] for all",
    );
    check_cluster(
        "collectors: {groups: false, commits: true}",
        "k.yml:3:40: clusters[0].collectors.commits: commits are read per group, and groups is false; set groups to true, or commits to false",
    );
    check_cluster(
        "kafka: {metadata.broker.list: b}",
        "k.yml:3:33: clusters[0].kafka.metadata.broker.list: brokers are not given as a property; write them as bootstrap_servers",
    );
    check_line(
        "log: {level: loud}",
        "k.yml:1:14: log.level: 'loud' is not a log level; write error, warn, info, debug or trace, and for a part TARGET=LEVEL after a comma",
    );
    check_line("log: {format: xml}", "k.yml:1:15: log.format: 'xml' is not a log format; write auto, human or json");
}

#[test]
fn secrets_and_files_are_checked() {
    check_cluster(
        "sasl: {mechanism: PLAIN, username: u}",
        "k.yml:3:9: clusters[0].sasl.password: SASL needs password; write password_file, or set KAFKASCOPE_SASL_PASSWORD",
    );
    check_cluster(
        "sasl: {mechanism: PLAIN, username: u, password_file: gone}",
        "k.yml:3:56: clusters[0].sasl.password_file: gone does not exist; check the path and who may read it",
    );
    check_cluster(
        "sasl: {mechanism: PLAIN, username: u, password: p, password_file: gone}",
        "k.yml:3:69: clusters[0].sasl.password_file: given together with password; keep one of the two",
    );
    check_cluster(
        "tls: {ca_file: gone.pem}",
        "k.yml:3:18: clusters[0].tls.ca_file: gone.pem does not exist; check the path and who may read it",
    );
    let pem = Fake::default().file("c.pem", "-----BEGIN X-----").file("text", "hello").file("empty", "");
    let of = |line: &str| {
        resolve_in(pem.clone(), &format!("clusters:\n- bootstrap_servers: [b:1]\n  {line}\n")).map(|_| ()).unwrap_err()
    };
    assert_eq!(
        of("tls: {cert_file: c.pem}"),
        ["k.yml:3:20: clusters[0].tls.cert_file: given without key_file; a certificate and its key belong together"]
    );
    assert_eq!(
        of("tls: {ca_file: text}"),
        [
            "k.yml:3:18: clusters[0].tls.ca_file: text holds nothing in PEM format; it must have a part that starts with -----BEGIN"
        ]
    );
    assert_eq!(
        of("sasl: {mechanism: PLAIN, username: u, password_file: empty}"),
        ["k.yml:3:56: clusters[0].sasl.password_file: the file is empty; store the password in it"]
    );
}

#[test]
fn what_is_no_yaml_is_said_with_its_place() {
    let [error] = &errors("web: {listen: ':1'\nclusters: 1\n")[..] else { panic!("one error") };
    assert!(error.starts_with("k.yml:2:") && error.contains("not valid YAML"), "{error}");
    check("a: 1\n---\nb: 2\n", &["k.yml:2:1: a second YAML document starts here; keep one document in the file"]);
    check_line("web: !tag {}", "k.yml:1:6: web: YAML tags (!name) are not supported; remove the tag");
    check(
        "x: &x {}\nclusters: [{<<: *x}]",
        &[
            "k.yml:2:13: clusters[0]: merge keys (<<) are not supported; write the settings out, or alias a whole section such as `tls: *tls`",
        ],
    );
    assert_eq!(
        resolve(Some(Path::new("gone.yml")), &[], &Fake::default()).unwrap_err()[0].to_string(),
        "gone.yml: the config file does not exist; check the path and who may read it"
    );
}
