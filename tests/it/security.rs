//! Logins, certificates and ACLs: what may be seen is right, nothing else is shown, and what is wrong is said.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::exporter::{Exporter, Outcome};
use crate::exposition::Exposition;
use crate::kafka::{Acl, Cluster, KEY_PASSWORD, PLAIN_USERS, Pki, PrincipalOf, Protocol, Version, at};
use crate::tools::{free_ports, scratch};
use crate::wait::eventually;

/// For permissions to come into force and clusters to be reached.
const SOON: Duration = Duration::from_secs(60);

/// How long a command may take that asks every faulty cluster in turn.
const COMMAND: Duration = Duration::from_secs(120);

/// May describe what is not called `hidden…`, and nothing else: also not the group that the client names as its own.
const ALICE: (&str, &str) = PLAIN_USERS[0];

/// Nothing is allowed.
const BOB: (&str, &str) = PLAIN_USERS[1];

/// As alice, by SCRAM with both hashes.
const SCRAM: (&str, &str) = ("scram", "scram-secret");

/// A Kafka with every kind of listener, an authorizer, and something to hide.
struct Secured {
    cluster: Cluster,
    pki: Arc<Pki>,
    dir: tempfile::TempDir,
}

fn secured() -> &'static Secured {
    static SECURED: OnceLock<Secured> = OnceLock::new();
    SECURED.get_or_init(|| {
        let pki = Arc::new(Pki::new());
        let cluster = Cluster::builder(Version::V4_3_1).secured(&pki).authorized().start();
        let secured = Secured { cluster, pki, dir: scratch("secured") };
        for (name, password) in [ALICE, BOB, SCRAM, ("key", KEY_PASSWORD), ("wrong", "not-this-one")] {
            std::fs::write(secured.password_file(name), format!("{password}\n")).unwrap();
        }
        secured.fill();
        secured
    })
}

impl Secured {
    fn fill(&self) {
        let driver = self.cluster.driver();
        for topic in ["open", "hidden"] {
            driver.create_topic(topic, 2).unwrap();
            driver.produce(topic, 0, 10).unwrap();
        }
        for group in ["seen", "hidden-group"] {
            driver.commit(group, &[at("open", 0, 3), at("hidden", 0, 4)]).unwrap();
        }
        let topics = ["open", "hidden"];
        driver.start_consumer("classic", "seen-classic", &topics, Protocol::Classic).unwrap();
        driver.start_consumer("consumer", "seen-848", &topics, Protocol::Consumer).unwrap();
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            driver.set_scram(mechanism, SCRAM.0, SCRAM.1).unwrap();
        }
        let allow = |principal, resource, name, pattern| Acl {
            principal,
            resource,
            name,
            pattern,
            operation: "Describe",
            permission: "Allow",
        };
        let mut acls = Vec::new();
        for principal in ["User:alice", "User:scram"] {
            acls.push(allow(principal, "topic", "open", "literal"));
            acls.push(allow(principal, "group", "seen", "prefixed"));
        }
        acls.push(allow(PrincipalOf::MTLS, "topic", "*", "literal"));
        let settings = allow(PrincipalOf::MTLS, "topic", "*", "literal");
        acls.push(Acl { operation: "describe_configs", ..settings });
        acls.push(allow(PrincipalOf::MTLS, "group", "*", "literal"));
        acls.push(allow(PrincipalOf::MTLS, "cluster", "kafka-cluster", "literal"));
        driver.create_acls(&acls).unwrap();
        eventually("both consumers have committed", SOON, || {
            let truth = driver.truth("").map_err(|error| error.to_string())?;
            let done = |group: &str| truth.committed(group, "hidden", 0) == Some(10);
            if done("seen-classic") && done("seen-848") { Ok(()) } else { Err(format!("{:?}", truth.groups)) }
        });
        eventually("the permissions are in force", SOON, || {
            let found = self.logged_in("PLAIN", ALICE.0, ["check", "--connect"]).run(COMMAND);
            let seen = found.stdout.contains("topics: 1 visible") && found.stdout.contains("groups: 3 visible");
            if seen { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }

    fn password_file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The exporter with a login; the files of passwords carry the users' names.
    fn logged_in<const N: usize>(&self, mechanism: &str, user: &str, command: [&str; N]) -> crate::exporter::Builder {
        let (ca, password) = (self.pki.ca(), self.password_file(user));
        Exporter::builder().args(command).args(["--bootstrap-servers", &self.cluster.bootstrap_of("SASL_SSL")]).args([
            "--tls-ca-file",
            &ca.to_string_lossy(),
            "--sasl-mechanism",
            mechanism,
            "--sasl-username",
            user,
            "--sasl-password-file",
            &password.to_string_lossy(),
        ])
    }

    /// The exporter with a client certificate whose key is encrypted.
    fn with_certificate<const N: usize>(&self, password: &str, command: [&str; N]) -> crate::exporter::Builder {
        let files = [
            ("--tls-ca-file", self.pki.ca()),
            ("--tls-cert-file", self.pki.certificate("client")),
            ("--tls-key-file", self.pki.key("client-encrypted")),
            ("--tls-key-password-file", self.password_file(password)),
        ];
        let mut builder =
            Exporter::builder().args(command).args(["--bootstrap-servers", &self.cluster.bootstrap_of("MTLS")]);
        for (flag, file) in files {
            builder = builder.args([flag, &file.to_string_lossy()]);
        }
        builder
    }
}

/// A snapshot in Prometheus's format, read strictly.
#[track_caller]
fn exposition(outcome: &Outcome) -> Exposition {
    Exposition::parse(&outcome.stdout).unwrap_or_else(|fault| panic!("{fault}\n{outcome:?}"))
}

fn labels<'a>(exposition: &'a Exposition, family: &str, label: &str) -> BTreeSet<&'a str> {
    exposition.all(family, &[]).into_iter().map(|sample| sample.label(label)).collect()
}

#[test]
fn security_a_login_sees_what_its_acls_allow_and_nothing_else() {
    let secured = secured();
    for (mechanism, user) in [("PLAIN", ALICE.0), ("SCRAM-SHA-256", SCRAM.0), ("SCRAM-SHA-512", SCRAM.0)] {
        let outcome = secured.logged_in(mechanism, user, ["snapshot", "--output", "prometheus"]).run(COMMAND);
        assert_eq!(outcome.status.code(), Some(0), "{mechanism}: {outcome:?}");
        assert!(!outcome.stdout.contains("hidden"), "{mechanism}: {}", outcome.stdout);
        let seen = exposition(&outcome);
        assert_eq!(seen.value("kafka_up", &[]), 1.0);
        assert_eq!(labels(&seen, "kafka_topic_partitions", "topic"), BTreeSet::from(["open"]));
        let groups = BTreeSet::from(["seen", "seen-848", "seen-classic"]);
        assert_eq!(labels(&seen, "kafka_consumergroup_lag_sum", "consumergroup"), groups);
        let of_seen = [("consumergroup", "seen"), ("topic", "open")];
        assert_eq!(seen.value("kafka_consumergroup_current_offset_sum", &of_seen), 3.0);
        assert_eq!(seen.value("kafka_consumergroup_lag_sum", &of_seen), 7.0);
        assert_eq!(seen.value("kafka_consumergroup_max_lag", &of_seen[..1]), 7.0);
        assert_eq!(seen.value("kafka_consumergroup_members", &[("consumergroup", "seen-classic")]), 1.0);
        // Kafka describes no KIP-848 group to who may not see all of its topics; its lag is there all the same.
        assert_eq!(seen.get("kafka_consumergroup_members", &[("consumergroup", "seen-848")]), None);
        assert_eq!(seen.value("kafkascope_collector_success", &[("collector", "groups")]), 0.0);
        // Nor may it see settings: that costs what hangs on them, and one line.
        for family in ["retention_seconds", "min_insync_replicas", "partition_under_min_isr"] {
            assert_eq!(seen.all(&format!("kafka_topic_{family}"), &[]), [] as [&_; 0], "{family}");
        }
        assert_eq!(seen.value("kafkascope_collector_success", &[("collector", "configs")]), 0.0);
        assert_eq!(outcome.stderr.matches("allow it DescribeConfigs on topics").count(), 1, "{outcome:?}");
        assert!(outcome.stderr.contains("\"seen-848\"") && outcome.stderr.contains("not authorized"), "{outcome:?}");
    }
    let outcome = secured.with_certificate("key", ["snapshot", "--output", "prometheus"]).run(COMMAND);
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(0), ""), "{outcome:?}");
    let seen = exposition(&outcome);
    for (group, topic, lag) in [("hidden-group", "hidden", 6.0), ("seen", "open", 7.0), ("seen-848", "hidden", 0.0)] {
        let labels = [("consumergroup", group), ("topic", topic)];
        assert_eq!(seen.value("kafka_consumergroup_lag_sum", &labels), lag, "{labels:?}");
    }
    assert_eq!(seen.value("kafka_consumergroup_members", &[("consumergroup", "seen-848")]), 1.0);
    assert_eq!(seen.value("kafka_topic_retention_seconds", &[("topic", "hidden")]), 604_800.0);
    assert_eq!(seen.value("kafka_topic_min_insync_replicas", &[("topic", "hidden")]), 1.0);
    for success in seen.all("kafkascope_collector_success", &[]) {
        assert_eq!(success.value, 1.0, "{success:?}");
    }
}

#[test]
fn security_check_says_what_is_visible_and_allowed() {
    let secured = secured();
    let restricted = secured.logged_in("PLAIN", ALICE.0, ["check", "--connect"]).run(COMMAND);
    assert_eq!(restricted.status.code(), Some(1), "{restricted:?}");
    for line in [
        "  brokers: 1 in the metadata, 1 answer\n",
        "  topics: 1 visible, 1 exported (2 partitions); without Describe on it a topic is not visible\n",
        "    allowed on 1 of 1 looked at: Describe\n",
        "    1 of them without DescribeConfigs: their retention and min.insync.replicas are not exported\n",
        "  groups: 3 visible, 3 exported;",
        "    allowed on 2 of 3 looked at: Describe\n",
        "  allowed on the cluster: nothing (nothing is needed)\n",
        "  ! group \"seen-848\" cannot be described, so its state and members are not exported: it reads a topic \
         that this login may not see. Allow Describe on all topics that it reads (TOPIC_AUTHORIZATION_FAILED (29))\n",
    ] {
        assert!(restricted.stdout.contains(line), "{line:?} is not in\n{}", restricted.stdout);
    }
    assert!(!restricted.stdout.contains("hidden"), "{}", restricted.stdout);

    // What is filtered out is not needed.
    let arguments = ["check", "--connect", "--group-exclude", "848"];
    let filtered = secured.logged_in("PLAIN", ALICE.0, arguments).run(COMMAND);
    assert_eq!(filtered.status.code(), Some(0), "{filtered:?}");
    assert!(filtered.stdout.contains("groups: 3 visible, 2 exported;"), "{}", filtered.stdout);
    assert!(filtered.stdout.ends_with("  all that the exporter needs is there\n"), "{}", filtered.stdout);

    let all = secured.with_certificate("key", ["check", "--connect"]).run(COMMAND);
    assert_eq!(all.status.code(), Some(0), "{all:?}");
    assert!(all.stdout.contains("allowed on the cluster: Describe"), "{}", all.stdout);
    assert!(all.stdout.contains("allowed on 4 of 4 looked at: Describe"), "{}", all.stdout);

    let none = secured.logged_in("PLAIN", BOB.0, ["check", "--connect"]).run(COMMAND);
    assert_eq!(none.status.code(), Some(1), "{none:?}");
    for what in ["topic", "group"] {
        let problem = format!("  ! no {what} is visible to this login: allow it to Describe {what}s\n");
        assert!(none.stdout.contains(&problem), "{}", none.stdout);
    }
}

/// Ways to get a connection wrong: the cluster's name, its settings, and what every command must say of it.
fn faults(secured: &Secured) -> Vec<(&'static str, String, &'static [&'static str])> {
    let kafka = &secured.cluster;
    let (ca, user) = (secured.pki.ca(), ALICE.0);
    let tls = format!("tls: {{ca_file: '{}'}}", ca.display());
    let sasl = |mechanism: &str, file: &str| {
        let file = secured.password_file(file);
        format!("sasl: {{mechanism: {mechanism}, username: {user}, password_file: '{}'}}", file.display())
    };
    let cluster = |servers: &str, more: &[&str]| {
        let more: String = more.iter().map(|line| format!("    {line}\n")).collect();
        format!("    bootstrap_servers: ['{servers}']\n{more}")
    };
    let login = kafka.bootstrap_of("SASL_SSL");
    let closed = format!("127.0.0.1:{}", free_ports(1)[0]);
    vec![
        (
            "wrong-password",
            cluster(&login, &[&tls, &sasl("PLAIN", "wrong")]),
            &["SASL authentication error", "Invalid username or password"],
        ),
        (
            "unknown-user",
            cluster(&login, &[&tls, &sasl("SCRAM-SHA-512", "wrong")]),
            &["SASL authentication error", "invalid credentials"],
        ),
        (
            "unknown-ca",
            cluster(&login, &["tls: true", &sasl("PLAIN", user)]),
            &["certificate verify failed", "tls.ca_file must hold the authority"],
        ),
        ("no-certificate", cluster(&kafka.bootstrap_of("MTLS"), &[&tls]), &["want a client certificate"]),
        ("tls-to-plaintext", cluster(&kafka.bootstrap(), &[&tls]), &["a PLAINTEXT broker listener?"]),
        ("plaintext-to-tls", cluster(&kafka.bootstrap_of("SSL"), &[]), &["does this listener want TLS?"]),
        ("no-sasl", cluster(&kafka.bootstrap_of("SASL_PLAINTEXT"), &[]), &["does this listener want SASL?"]),
        ("wrong-port", cluster(&closed, &[]), &["Connection refused"]),
        ("unresolvable", cluster("no-such-host.invalid:9092", &[]), &["Failed to resolve 'no-such-host.invalid:9092'"]),
    ]
}

#[test]
fn security_what_is_wrong_with_a_connection_is_said_everywhere() {
    let secured = secured();
    let faults = faults(secured);
    let mut text = "polling: {interval: 1s, request_timeout: 2s}\nclusters:\n".to_owned();
    for (name, settings, _) in &faults {
        let _ = write!(text, "  - name: {name}\n{settings}");
    }
    let _ = write!(text, "  - name: well\n    bootstrap_servers: ['{}']\n", secured.cluster.bootstrap());
    let file = secured.dir.path().join("faults.yml");
    std::fs::write(&file, text).unwrap();
    let file = file.to_string_lossy();

    let daemon = Exporter::builder().args(["--config", &file]).start();
    let (check, snapshot) = std::thread::scope(|scope| {
        let check = scope.spawn(|| Exporter::builder().args(["check", &file, "--connect"]).run(COMMAND));
        let snapshot = Exporter::builder().args(["snapshot", "--config", &file]).run(COMMAND);
        (check.join().unwrap(), snapshot)
    });
    daemon.scrape_until("what is well is up, and the rest was tried", SOON, |scrape| {
        let tried = scrape.all("kafka_up", &[]).len() == faults.len() + 1;
        let well = scrape.get("kafka_up", &[("cluster_name", "well")]) == Some(1.0);
        if tried && well { Ok(()) } else { Err(format!("{:?}", scrape.all("kafka_up", &[]))) }
    });
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    assert_eq!(snapshot.status.code(), Some(1), "{snapshot:?}");
    assert!(check.stdout.contains("cluster well (id"), "{}", check.stdout);
    for (name, _, said) in &faults {
        let part = |text: &str, begin: String| {
            let start = text.find(&begin).unwrap_or_else(|| panic!("{begin:?} is not in\n{text}"));
            let rest = &text[start + begin.len()..];
            rest[..rest.find("\ncluster ").unwrap_or(rest.len())].to_owned()
        };
        let from_check = part(&check.stdout, format!("cluster {name}: NOT REACHED\n"));
        let from_snapshot = part(&snapshot.stdout, format!("cluster {name} NOT REACHED"));
        for words in *said {
            let page = eventually("the page says it", SOON, || {
                let page = daemon.get("/").text();
                let escaped = words.replace('\'', "&#39;");
                if page.contains(&escaped) { Ok(page) } else { Err(page) }
            });
            assert!(from_check.contains(words), "{name}: {words:?} is not in check's\n{from_check}");
            assert!(from_snapshot.contains(words), "{name}: {words:?} is not in snapshot's\n{from_snapshot}");
            assert!(page.contains(&format!("{name} ")), "{name} is not on the page\n{page}");
            let logged = daemon.log().into_iter().filter(|line| line["cluster"] == *name);
            let lines: Vec<String> = logged.filter_map(|line| Some(line["message"].as_str()?.to_owned())).collect();
            assert!(lines.iter().any(|line| line.contains(words)), "{name}: {words:?} is not in the log\n{lines:#?}");
        }
        let down = daemon.scrape().value("kafka_up", &[("cluster_name", name)]);
        assert_eq!(down, 0.0, "{name}");
    }
    assert_eq!(daemon.get("/-/ready").status, 200);
    assert_eq!(daemon.get("/-/healthy").status, 200);
    assert_eq!(daemon.terminate().code(), Some(0));
}

#[test]
fn security_a_key_that_cannot_be_opened_is_an_error_of_the_settings() {
    let secured = secured();
    let hint = "(is the private key encrypted, and its password right?)";
    let check = secured.with_certificate("wrong", ["check", "--connect"]).run(COMMAND);
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    assert!(check.stdout.contains(hint), "{check:?}");
    for command in ["snapshot", "serve"] {
        let outcome = secured.with_certificate("wrong", [command]).run(COMMAND);
        assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains(hint), "{outcome:?}");
    }
}

/// What `deploy/strimzi/kafka-user.yaml` allows: (kind of resource, name, pattern, operation).
fn strimzi_acls() -> Vec<[String; 4]> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/strimzi/kafka-user.yaml");
    let user: serde_yaml::Value = serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |value: &serde_yaml::Value| value.as_str().unwrap().to_owned();
    let rules = user["spec"]["authorization"]["acls"].as_sequence().unwrap();
    rules
        .iter()
        .flat_map(|rule| {
            let of = &rule["resource"];
            rule["operations"].as_sequence().unwrap().iter().map(move |operation| {
                let kafkas =
                    if text(operation) == "DescribeConfigs" { "describe_configs".into() } else { text(operation) };
                [text(&of["type"]), text(&of["name"]), text(&of["patternType"]), kafkas]
            })
        })
        .collect()
}

/// Whether everything is exported that is there: the topics with their settings, and the groups of both kinds with members and lag.
fn whole(outcome: &Outcome) -> Result<(), String> {
    let seen = exposition(outcome);
    let topics = BTreeSet::from(["hidden", "open"]);
    let groups = BTreeSet::from(["hidden-group", "seen", "seen-848", "seen-classic"]);
    let is_whole = topics.is_subset(&labels(&seen, "kafka_topic_partition_current_offset", "topic"))
        && topics.is_subset(&labels(&seen, "kafka_topic_retention_seconds", "topic"))
        && groups.is_subset(&labels(&seen, "kafka_consumergroup_lag_sum", "consumergroup"))
        && groups.is_subset(&labels(&seen, "kafka_consumergroup_members", "consumergroup"))
        && seen.all("kafkascope_collector_success", &[]).iter().all(|success| success.value == 1.0);
    if is_whole { Ok(()) } else { Err(format!("{outcome:?}")) }
}

/// The permissions that are shipped for Strimzi are enough, and none of them is too much.
#[test]
fn security_strimzis_user_may_do_what_is_needed_and_nothing_more() {
    const USER: &str = "strimzi";
    let secured = secured();
    let driver = secured.cluster.driver();
    std::fs::write(secured.password_file(USER), "strimzi-secret\n").unwrap();
    driver.set_scram("SCRAM-SHA-512", USER, "strimzi-secret").unwrap();
    let shipped = strimzi_acls();
    assert!(!shipped.is_empty());
    let acls: Vec<Acl<'_>> = shipped
        .iter()
        .map(|[resource, name, pattern, operation]| Acl {
            principal: "User:strimzi",
            resource,
            name,
            pattern,
            operation,
            permission: "Allow",
        })
        .collect();
    let look = || secured.logged_in("SCRAM-SHA-512", USER, ["snapshot", "--output", "prometheus"]).run(COMMAND);
    driver.create_acls(&acls).unwrap();
    eventually("everything is seen", SOON, || whole(&look()));
    for acl in &acls {
        driver.delete_acls(std::slice::from_ref(acl)).unwrap();
        eventually(&format!("something is missing without {acl:?}"), SOON, || match whole(&look()) {
            Ok(()) => Err("everything is seen".to_owned()),
            Err(_) => Ok(()),
        });
        driver.create_acls(std::slice::from_ref(acl)).unwrap();
        eventually(&format!("everything is seen again with {acl:?}"), SOON, || whole(&look()));
    }
}

/// The group that the client names as its own may not be described, and is not asked about: no request, no log line.
#[test]
fn security_no_permission_is_needed_for_a_group_of_ones_own() {
    let secured = secured();
    let daemon = secured.logged_in("PLAIN", ALICE.0, ["--interval", "1s"]).start();
    let count = |scrape: &Exposition, api: &str| scrape.get("kafkascope_broker_requests_total", &[("api", api)]);
    // Statistics come every ten seconds.
    daemon.scrape_until("some passes are counted", SOON, |scrape| match count(scrape, "OffsetFetch") {
        Some(fetches) if fetches >= 8.0 => Ok(()),
        other => Err(format!("OffsetFetch requests: {other:?}")),
    });
    assert_eq!(count(&daemon.scrape(), "FindCoordinator").unwrap_or_default(), 0.0);
    let scrape = daemon.scrape();
    assert_eq!(scrape.value("kafka_up", &[]), 1.0);
    assert_eq!(scrape.value("kafka_consumergroup_lag_sum", &[("consumergroup", "seen")]), 7.0);
    for collector in ["brokers", "topics", "offsets", "commits"] {
        assert_eq!(scrape.value("kafkascope_collector_success", &[("collector", collector)]), 1.0, "{collector}");
    }
    let warnings: Vec<_> = daemon.log().into_iter().filter(|line| line["level"] != "INFO").collect();
    let about = |word: &str| {
        warnings.iter().filter(|line| line["message"].as_str().is_some_and(|text| text.contains(word))).count()
    };
    // The group reads a topic that alice may not see, and settings are not hers to see either.
    assert_eq!((about("\"seen-848\""), about("DescribeConfigs"), warnings.len()), (1, 1, 2), "{warnings:#?}");
    assert!(!daemon.output().contains("DescribeConfigs works again"), "{}", daemon.output());
    assert!(!daemon.output().contains("hidden"), "{}", daemon.output());
    assert!(!daemon.get("/").text().contains("hidden"));
    assert_eq!(daemon.terminate().code(), Some(0));
    let lines = daemon.log().into_iter().filter(|line| line["level"] != "INFO").count();
    assert_eq!(lines, 2, "nothing is wrong about the end: {}", daemon.output());
}

#[test]
fn security_kafka_exporters_flags_log_in_as_they_do_there() {
    let secured = secured();
    let (ca, server) = (secured.pki.ca(), secured.cluster.bootstrap_of("SASL_SSL"));
    let common =
        || Exporter::builder().args(["--kafka.server", &server, "--sasl.enabled", "--tls.enabled", "--interval", "1s"]);
    let trusting = format!("--tls.ca-file={}", ca.display());
    let logins = [
        common().args(["--sasl.username=alice", "--sasl.password=alice-secret", "--sasl.mechanism=plain", &trusting]),
        common()
            .args(["--sasl.username=scram", "--sasl.mechanism=scram-sha512", &trusting])
            .env("SASL_USER_PASSWORD", SCRAM.1),
        common()
            .args(["--sasl.username=scram", "--sasl.password=scram-secret", "--sasl.mechanism=scram-sha256"])
            .args(["--tls.insecure-skip-tls-verify"]),
    ];
    for login in logins {
        let daemon = login.start();
        daemon.scrape_until("the cluster is reached", SOON, |scrape| match scrape.get("kafka_up", &[]) {
            Some(1.0) => Ok(()),
            other => Err(format!("kafka_up is {other:?}\n{}", daemon.output())),
        });
        assert_eq!(labels(&daemon.scrape(), "kafka_topic_partitions", "topic"), BTreeSet::from(["open"]));
        assert!(!daemon.output().contains("-secret"), "{}", daemon.output());
    }
}

/// Passwords and certificates are rotated in the files that the configuration names: it says the same as before.
#[test]
fn security_what_was_rotated_is_used_after_a_reload() {
    let secured = secured();
    let dir = scratch("rotated");
    let [file, password, ca] = ["kafkascope.yml", "password", "ca.pem"].map(|name| dir.path().join(name));
    std::fs::write(&password, "the-old-one\n").unwrap();
    std::fs::copy(secured.pki.certificate("stranger"), &ca).unwrap();
    let cluster = |name: &str, servers: &str, more: &str| {
        format!("  - {{name: {name}, bootstrap_servers: ['{servers}']{more}}}\n")
    };
    let sasl = format!(
        ", tls: {{ca_file: '{}'}}, sasl: {{mechanism: PLAIN, username: {}, password_file: '{}'}}",
        secured.pki.ca().display(),
        ALICE.0,
        password.display()
    );
    let text = ["polling: {interval: 1s, request_timeout: 2s}\nclusters:\n".to_owned()]
        .into_iter()
        .chain([cluster("password", &secured.cluster.bootstrap_of("SASL_SSL"), &sasl)])
        .chain([cluster(
            "authority",
            &secured.cluster.bootstrap_of("SSL"),
            &format!(", tls: {{ca_file: '{}'}}", ca.display()),
        )])
        .chain([cluster("well", &secured.cluster.bootstrap(), "")])
        .collect::<String>();
    std::fs::write(&file, text).unwrap();
    let daemon = Exporter::builder().args(["--config", &file.to_string_lossy()]).start();
    let until = |wanted: [f64; 3]| {
        daemon.scrape_until("the clusters are up or not", SOON, |scrape| {
            let ups = ["password", "authority", "well"].map(|name| scrape.get("kafka_up", &[("cluster_name", name)]));
            let tried = scrape.all("kafkascope_snapshot_timestamp_seconds", &[]).len();
            if ups == wanted.map(Some) && tried == 3 { Ok(scrape.clone()) } else { Err(format!("{ups:?}, {tried}")) }
        })
    };
    until([0.0, 0.0, 1.0]);
    std::fs::write(&password, format!("{}\n", ALICE.1)).unwrap();
    std::fs::copy(secured.pki.ca(), &ca).unwrap();
    daemon.hangup();
    let scrape = until([1.0, 1.0, 1.0]);
    let starts = |name| scrape.value("kafkascope_tasks_started_total", &[("cluster_name", name), ("task", "poller")]);
    assert_eq!(["password", "authority", "well"].map(starts), [2.0, 2.0, 1.0]);
    assert!(daemon.terminate().success());
}
