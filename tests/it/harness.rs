//! The harness tried on itself: what the other tests believe of it is so.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::kafka::{self, Acl, Cluster, Driver, Pki, Protocol, Version, at};
use crate::prometheus::{Prometheus, openmetrics_families, promtool_complaints};
use crate::wait::eventually;

/// For groups to settle, leaders to be elected and brokers to come back.
const SOON: Duration = Duration::from_secs(60);

/// Topic, produced, truncated, committed, consumed: the truth says what was done.
fn truth_agrees(cluster: &Cluster) {
    let driver = cluster.driver();
    driver.create_topic("agree-topic", 3).unwrap();
    assert_eq!(driver.produce("agree-topic", 0, 100).unwrap(), 99);
    assert_eq!(driver.produce("agree-topic", 1, 7).unwrap(), 6);
    driver.delete_records("agree-topic", 0, 40).unwrap();
    driver.commit("agree-simple", &[at("agree-topic", 0, 55), at("agree-topic", 2, 0)]).unwrap();
    driver.start_consumer("agree-member", "agree-classic", &["agree-topic"], Protocol::Classic).unwrap();

    let truth = eventually("the consumer has read all", SOON, || {
        let truth = driver.truth("agree").map_err(|error| error.to_string())?;
        let done = truth.committed("agree-classic", "agree-topic", 0) == Some(100)
            && truth.committed("agree-classic", "agree-topic", 1) == Some(7);
        if done { Ok(truth) } else { Err(format!("{truth:#?}")) }
    });
    let first = truth.partition("agree-topic", 0).unwrap();
    assert_eq!((first.earliest, first.latest, first.stable), (Some(40), Some(100), Some(100)));
    assert_eq!((first.leader, &first.replicas, &first.isr), (Some(1), &vec![1], &vec![1]));
    assert_eq!(truth.partition("agree-topic", 2).unwrap().latest, Some(0));
    let simple = &truth.groups["agree-simple"];
    assert_eq!((simple.state.as_str(), simple.kind.as_str(), simple.simple), ("Empty", "Classic", true));
    assert_eq!(simple.committed("agree-topic", 0), Some(55));
    assert_eq!(simple.committed("agree-topic", 1), None);
    let classic = &truth.groups["agree-classic"];
    assert_eq!((classic.state.as_str(), classic.kind.as_str()), ("Stable", "Classic"));
    assert_eq!((classic.assignor.as_str(), classic.assigned()), ("range", 3));
    assert_eq!(classic.members[0].client_id, "agree-member");

    assert_eq!(driver.consumer("agree-member").unwrap().failure, None);
    assert_eq!(driver.stop_consumer("agree-member").unwrap().consumed, 67);
    assert_eq!(driver.truth("agree").unwrap().groups["agree-classic"].state, "Empty");
    driver.delete_group("agree-simple").unwrap();
    driver.delete_topic("agree-topic").unwrap();
    eventually("topic and group are gone", SOON, || {
        let truth = driver.truth("agree").map_err(|error| error.to_string())?;
        let gone = truth.topics.is_empty() && !truth.groups.contains_key("agree-simple");
        if gone { Ok(()) } else { Err(format!("{truth:#?}")) }
    });
}

#[test]
fn truth_agrees_on_the_newest_kafka() {
    truth_agrees(kafka::shared());
}

#[test]
fn truth_agrees_on_kafka_3_9() {
    truth_agrees(&Cluster::builder(Version::V3_9_1).start());
}

#[test]
fn a_kip_848_group_is_of_type_consumer() {
    let driver = kafka::shared().driver();
    driver.create_topic("kip848-topic", 4).unwrap();
    let apart = Driver::open_apart(&kafka::shared().bootstrap(), &[]);
    for (driver, member) in [(driver, "kip848-a"), (&apart, "kip848-b")] {
        driver.start_consumer(member, "kip848-group", &["kip848-topic"], Protocol::Consumer).unwrap();
    }
    let settled = |members: usize| {
        eventually("the group has settled", SOON, || {
            let truth = driver.truth("kip848").map_err(|error| error.to_string())?;
            let group = truth.groups.get("kip848-group").ok_or("no group yet")?.clone();
            let stable = group.state == "Stable" && group.members.len() == members && group.assigned() == 4;
            if stable { Ok(group) } else { Err(format!("{group:#?}")) }
        })
    };
    assert_eq!(settled(2).kind, "Consumer");
    // Nobody says goodbye: the group finds out by its session time-out.
    apart.kill();
    assert_eq!(driver.truth("kip848").unwrap().groups["kip848-group"].members.len(), 2);
    assert_eq!(settled(1).members[0].client_id, "kip848-a");
    driver.stop_consumer("kip848-a").unwrap();
}

#[test]
fn group_names_and_transactions_pass_through_unharmed() {
    let driver = kafka::shared().driver();
    let group = "odd \"quoted\" back\\slash\nline ünïcødé";
    driver.create_topic("odd-topic", 1).unwrap();
    driver.commit(group, &[at("odd-topic", 0, 0)]).unwrap();
    driver.produce("odd-topic", 0, 5).unwrap();
    driver.begin_transaction("odd-transaction").unwrap();
    let sent = serde_json::json!({"name": "odd-transaction", "topic": "odd-topic", "partition": 0, "count": 3});
    driver.produce_with(sent).unwrap();
    let open = driver.truth("odd").unwrap();
    assert!(open.groups.contains_key(group), "{:?}", open.groups.keys());
    let partition = open.partition("odd-topic", 0).unwrap();
    assert_eq!((partition.latest, partition.stable), (Some(8), Some(5)));
    driver.commit_transaction("odd-transaction").unwrap();
    eventually("the transaction's marker is written", SOON, || {
        let truth = driver.truth("odd").map_err(|error| error.to_string())?;
        let partition = truth.partition("odd-topic", 0).ok_or("no topic")?;
        // The marker takes an offset of its own.
        let ended = (partition.latest, partition.stable) == (Some(9), Some(9));
        if ended { Ok(()) } else { Err(format!("{partition:?}")) }
    });
}

#[test]
fn of_three_brokers_one_is_killed_and_one_is_frozen() {
    let cluster =
        Cluster::builder(Version::V4_3_1).brokers(3).heap_mb(384).broker_property(2, "broker.rack", "rack-b").start();
    let driver = cluster.driver();
    driver.create_topic_on("broken", &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]]).unwrap();
    driver.create_topic_on("broken-alone", &[&[3]]).unwrap();
    let rack = driver.brokers().unwrap().brokers.into_iter().find(|broker| broker.id == 2).unwrap().rack;
    assert_eq!(rack.as_deref(), Some("rack-b"));
    cluster.kill(3);
    cluster.stop(2);
    eventually("broker 1 leads all that it can", SOON, || {
        let truth = driver.truth("broken").map_err(|error| error.to_string())?;
        let leaders: Vec<_> = truth.topics.values().flat_map(|topic| &topic.partitions).map(|row| row.leader).collect();
        if leaders == [Some(1), Some(1), Some(1), None] { Ok(()) } else { Err(format!("{leaders:?}")) }
    });
    driver.produce("broken", 1, 4).unwrap();
    cluster.cont(2);
    cluster.restart(3);
    eventually("all is as before", SOON, || {
        driver.elect_leaders("broken", &[0, 1, 2], false).map_err(|error| error.to_string())?;
        let truth = driver.truth("broken").map_err(|error| error.to_string())?;
        let rows = &truth.topics["broken"].partitions;
        let whole = rows.iter().all(|row| row.isr.len() == row.replicas.len() && row.leader == Some(row.replicas[0]));
        if whole && truth.brokers.len() == 3 { Ok(()) } else { Err(format!("{rows:#?}")) }
    });
    assert_eq!(driver.truth("broken").unwrap().partition("broken", 1).unwrap().latest, Some(4));
}

#[test]
fn security_lets_in_who_may_and_shows_what_is_allowed() {
    let pki = Arc::new(Pki::new());
    let cluster = Cluster::builder(Version::V4_3_1).secured(&pki).authorized().start();
    let root = cluster.driver();
    root.create_topic("open-topic", 1).unwrap();
    root.create_topic("hidden-topic", 1).unwrap();
    root.set_scram("SCRAM-SHA-512", "carol", "carol-secret").unwrap();
    let allow = |principal| Acl {
        principal,
        resource: "topic",
        name: "open-",
        pattern: "prefixed",
        operation: "Describe",
        permission: "Allow",
    };
    let acls = [allow("User:alice"), allow("User:carol"), allow(kafka::PrincipalOf::MTLS)];
    root.create_acls(&acls).unwrap();

    let ca = pki.ca().display().to_string();
    let trust = [("ssl.truststore.type", "PEM"), ("ssl.truststore.location", ca.as_str())];
    let visible = |listener: &str, properties: &[(&str, &str)]| {
        let client = Driver::open(&cluster.bootstrap_of(listener), &[&trust[..], properties].concat());
        client.truth("").map(|truth| truth.topics.into_keys().collect::<Vec<_>>())
    };
    let plain = |word: &str| {
        format!("org.apache.kafka.common.security.plain.PlainLoginModule required username=alice password=\"{word}\";")
    };
    let scram =
        "org.apache.kafka.common.security.scram.ScramLoginModule required username=carol password=\"carol-secret\";";
    let right = plain(kafka::PLAIN_USERS[0].1);
    for (listener, mechanism, login) in [
        ("SASL_SSL", "PLAIN", right.as_str()),
        ("SASL_PLAINTEXT", "PLAIN", right.as_str()),
        ("SASL_SSL", "SCRAM-SHA-512", scram),
    ] {
        let properties = [("security.protocol", listener), ("sasl.mechanism", mechanism), ("sasl.jaas.config", login)];
        assert_eq!(visible(listener, &properties).unwrap(), ["open-topic"], "{listener} {mechanism}");
    }
    let key = std::fs::read_to_string(pki.key("client")).unwrap();
    let certificate = std::fs::read_to_string(pki.certificate("client")).unwrap();
    let mtls = [
        ("security.protocol", "SSL"),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.key", key.as_str()),
        ("ssl.keystore.certificate.chain", certificate.as_str()),
    ];
    assert_eq!(visible("MTLS", &mtls).unwrap(), ["open-topic"]);
    // Nobody logs in there, so it is the one who may do everything.
    let anonymous = visible("SSL", &[("security.protocol", "SSL")]).unwrap();
    assert_eq!(anonymous, ["hidden-topic", "open-topic"]);

    let wrong = plain("wrong");
    let wrong = [("security.protocol", "SASL_SSL"), ("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", wrong.as_str())];
    let refused = visible("SASL_SSL", &wrong).unwrap_err();
    assert!(refused.message.contains("SaslAuthenticationException"), "{refused}");
}

#[test]
fn nothing_outlives_its_handle() {
    let cluster = Cluster::builder(Version::V4_3_1).start();
    let process = cluster.process_id(1);
    cluster.stop(1);
    drop(cluster);
    assert!(!Path::new(&format!("/proc/{process}")).exists(), "Kafka {process} still runs");
}

#[test]
fn promtool_and_the_openmetrics_parser_tell_right_from_wrong() {
    let right = "# HELP up_total Text.\n# TYPE up_total counter\nup_total 1\n";
    assert_eq!(promtool_complaints(right), Vec::<String>::new());
    let complaints = promtool_complaints("# HELP up_count Text.\n# TYPE up_count gauge\nup_count 1\n");
    assert!(complaints.iter().any(|line| line.contains("up_count")), "{complaints:?}");
    let families = openmetrics_families("# TYPE up counter\n# HELP up Text.\nup_total 1.0\n# EOF\n");
    assert_eq!(families, Ok(1));
    let fault = openmetrics_families("# TYPE up counter\nup_total 1.0\n").unwrap_err();
    assert!(fault.contains("EOF"), "{fault}");
}

#[test]
fn a_prometheus_scrapes_and_answers() {
    // Its own target is nobody: the series `up` is there all the same.
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], crate::tools::free_ports(1)[0]));
    let prometheus = Prometheus::start(nobody, "1s");
    let up =
        eventually("a first scrape", SOON, || prometheus.query("up").pop().ok_or_else(|| "no answer yet".to_owned()));
    assert_eq!(up.1, 0.0);
    assert_eq!(up.0["job"], "kafkascope");
}
