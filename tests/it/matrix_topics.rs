//! Topics in every condition: without a leader, gone, made anew, truncated, compacted, within a transaction.

use std::time::Duration;

use serde_json::json;

use crate::compare::{Series, agrees, equal};
use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::truth::Truth;
use crate::kafka::{Cluster, Driver, Protocol, Version, at, shared};
use crate::truth::ADAPTIVE;
use crate::wait::eventually;

/// For brokers to go and come, and for Kafka's housekeeping.
const SOON: Duration = Duration::from_secs(60);

fn passes(exposition: &Exposition) -> f64 {
    exposition.value("kafkascope_pass_duration_seconds_count", &[])
}

/// Waits until so many more passes have been published.
fn some_more_passes(exporter: &Exporter, count: f64) -> Exposition {
    let before = passes(&exporter.scrape());
    exporter.scrape_until("more passes", SOON, |exposition| {
        if passes(exposition) >= before + count { Ok(exposition.clone()) } else { Err("too few passes".to_owned()) }
    })
}

/// While the exporter sees nothing, a topic is made anew: with fewer partitions, and with as many that are filled
/// past the old end.
#[test]
fn topics_made_anew_between_two_passes() {
    const PREFIX: &str = "anew-";
    let driver = shared().driver();
    for topic in ["anew-fewer", "anew-fuller"] {
        driver.create_topic(topic, 3).unwrap();
        driver.produce(topic, 0, 50).unwrap();
        driver.produce(topic, 2, 9).unwrap();
        driver.commit("anew-group", &[at(topic, 0, 30), at(topic, 2, 9)]).unwrap();
    }
    let exporter = Exporter::start(&shared().bootstrap(), &["--interval", "3s", "--request-timeout", "5s"]);
    exporter.ready();
    let (before, _) = agrees(&exporter, driver, PREFIX);
    // Right after a pass, so that it is not frozen within one.
    some_more_passes(&exporter, 1.0);
    exporter.freeze();
    for (topic, partitions, messages) in [("anew-fewer", 1, 10), ("anew-fuller", 3, 80)] {
        driver.delete_topic(topic).unwrap();
        eventually("the topic can be made anew", SOON, || {
            driver.create_topic(topic, partitions).map_err(|error| error.to_string())
        });
        driver.produce(topic, 0, messages).unwrap();
        driver.commit("anew-group", &[at(topic, 0, 5)]).unwrap();
    }
    exporter.thaw();
    let lag = |topic| [("consumergroup", "anew-group"), ("topic", topic), ("partition", "0")];
    exporter.scrape_until("the new topics are seen", SOON, |exposition| {
        for (topic, old, new) in [("anew-fewer", 20.0, 5.0), ("anew-fuller", 20.0, 75.0)] {
            let now = exposition.get("kafka_consumergroup_lag", &lag(topic));
            // Nothing mixed of both lives.
            assert!([None, Some(old), Some(new)].contains(&now), "{topic}: {now:?}");
        }
        let done = exposition.get("kafka_consumergroup_lag", &lag("anew-fuller")) == Some(75.0);
        if done { Ok(()) } else { Err("the lag is still the old one".to_owned()) }
    });
    let (after, _) = agrees(&exporter, driver, PREFIX);
    assert_ne!(before.topics["anew-fuller"].id, after.topics["anew-fuller"].id);
    assert_eq!(after.topics["anew-fewer"].partitions.len(), 1);
}

#[test]
fn topics_that_lose_records_grow_or_hold_a_transaction() {
    const PREFIX: &str = "shape-";
    let driver = shared().driver();
    driver.create_topic("shape-cut", 2).unwrap();
    driver.create_topic("shape-empty", 3).unwrap();
    driver.produce("shape-cut", 0, 100).unwrap();
    driver.commit("shape-slow", &[at("shape-cut", 0, 10), at("shape-empty", 1, 0)]).unwrap();
    let exporter = Exporter::start(&shared().bootstrap(), &ADAPTIVE);
    exporter.ready();
    let slow = [("consumergroup", "shape-slow"), ("topic", "shape-cut")];
    let lost_and_lag = |exposition: &Exposition| {
        ["kafka_consumergroup_lost_messages_sum", "kafka_consumergroup_lag_sum"]
            .map(|name| exposition.get(name, &slow).unwrap())
    };
    assert_eq!(lost_and_lag(&agrees(&exporter, driver, PREFIX).1), [0.0, 90.0]);
    driver.delete_records("shape-cut", 0, 40).unwrap();
    assert_eq!(lost_and_lag(&agrees(&exporter, driver, PREFIX).1), [30.0, 60.0]);
    driver.delete_records("shape-cut", 0, 100).unwrap();
    assert_eq!(lost_and_lag(&agrees(&exporter, driver, PREFIX).1), [90.0, 0.0]);
    driver.commit("shape-slow", &[at("shape-cut", 0, 100)]).unwrap();
    assert_eq!(lost_and_lag(&agrees(&exporter, driver, PREFIX).1), [0.0, 0.0]);

    driver.create_partitions("shape-cut", 5).unwrap();
    driver.produce("shape-cut", 4, 3).unwrap();
    let (_, grown) = agrees(&exporter, driver, PREFIX);
    assert_eq!(grown.value("kafka_topic_partitions", &[("topic", "shape-cut")]), 5.0);

    open_transaction(driver, &exporter);
    settings(driver, &exporter);
    compacted(driver, &exporter);
}

/// Lag goes to the high watermark, which readers of committed records cannot reach while a transaction is open.
fn open_transaction(driver: &Driver, exporter: &Exporter) {
    driver.create_topic("shape-transaction", 1).unwrap();
    driver.produce("shape-transaction", 0, 5).unwrap();
    driver.begin_transaction("shape-open").unwrap();
    let sent = json!({"name": "shape-open", "topic": "shape-transaction", "partition": 0, "count": 3});
    driver.produce_with(sent).unwrap();
    driver.commit("shape-reader", &[at("shape-transaction", 0, 5)]).unwrap();
    let reader = [("consumergroup", "shape-reader"), ("topic", "shape-transaction"), ("partition", "0")];
    let (truth, exposition) = agrees(exporter, driver, "shape-");
    let partition = truth.partition("shape-transaction", 0).unwrap();
    assert_eq!((partition.latest, partition.stable), (Some(8), Some(5)));
    assert_eq!(exposition.value("kafka_consumergroup_lag", &reader), 3.0);
    driver.commit_transaction("shape-open").unwrap();
    exporter.scrape_until("the transaction's marker counts", SOON, |exposition| {
        let lag = exposition.value("kafka_consumergroup_lag", &reader);
        if lag == 4.0 { Ok(()) } else { Err(format!("the lag is {lag}")) }
    });
    agrees(exporter, driver, "shape-");
}

/// What topics are set to: a topic of one replica that wants two in sync, nothing deleted for its age, and both policies.
fn settings(driver: &Driver, exporter: &Exporter) {
    let kept = [("retention.ms", "-1"), ("min.insync.replicas", "2")];
    driver.create_topic_with("shape-kept", 2, 1, &kept).unwrap();
    let both = [("cleanup.policy", "compact,delete"), ("retention.ms", "90500")];
    driver.create_topic_with("shape-both", 1, 1, &both).unwrap();
    let (_, exposition) = agrees(exporter, driver, "shape-");
    let value = |name: &str, topic| exposition.get(name, &[("topic", topic)]);
    assert_eq!(value("kafka_topic_retention_seconds", "shape-kept"), None);
    assert_eq!(value("kafka_topic_min_insync_replicas", "shape-kept"), Some(2.0));
    let first = [("topic", "shape-kept"), ("partition", "0")];
    assert_eq!(exposition.get("kafka_topic_partition_under_min_isr", &first), Some(1.0));
    assert_eq!(value("kafka_topic_retention_seconds", "shape-both"), Some(90.5));
}

/// Offsets are arithmetic: records that compaction took away still count.
fn compacted(driver: &Driver, exporter: &Exporter) {
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "100"),
    ];
    driver.create_topic_with("shape-compacted", 1, 1, &configs).unwrap();
    driver.commit("shape-hole", &[at("shape-compacted", 0, 50)]).unwrap();
    let mut tries = 0;
    eventually("some records are compacted away", SOON, || {
        tries += 1;
        let end = driver.produce_keyed("shape-compacted", 0, 100, 3).map_err(|error| error.to_string())? + 1;
        let name = format!("shape-reads-{tries}");
        driver.start_consumer(&name, &name, &["shape-compacted"], Protocol::Classic).map_err(|e| e.to_string())?;
        eventually("all is read", SOON, || {
            let truth = driver.truth(&name).map_err(|error| error.to_string())?;
            let committed = truth.committed(&name, "shape-compacted", 0);
            if committed == Some(end) { Ok(()) } else { Err(format!("{committed:?} of {end}")) }
        });
        let consumed = driver.stop_consumer(&name).map_err(|error| error.to_string())?.consumed;
        if consumed < end { Ok(()) } else { Err(format!("{consumed} records of {end}")) }
    });
    let (truth, exposition) = agrees(exporter, driver, "shape-");
    let hole = [("consumergroup", "shape-hole"), ("topic", "shape-compacted"), ("partition", "0")];
    let end = truth.partition("shape-compacted", 0).unwrap().latest.unwrap();
    assert_eq!(exposition.value("kafka_consumergroup_lag", &hole).to_string(), (end - 50).to_string());
}

/// Two brokers; one holds partitions and groups that nobody else has, and goes away for a while.
#[test]
fn topics_without_a_leader_and_commits_on_what_is_gone() {
    const PREFIX: &str = "pair-";
    let cluster = Cluster::builder(Version::V4_3_1)
        .brokers(2)
        .heap_mb(384)
        .property("offsets.topic.replication.factor", "1")
        .start();
    let driver = cluster.driver();
    driver.create_topic_on("pair-alone", &[&[2], &[1]]).unwrap();
    driver.create_topic_on("pair-doomed", &[&[1], &[1]]).unwrap();
    driver.create_topic_on("pair-shrinks", &[&[1], &[1], &[1]]).unwrap();
    for (topic, partition, messages) in
        [("pair-alone", 0, 30), ("pair-alone", 1, 10), ("pair-doomed", 1, 20), ("pair-shrinks", 2, 8)]
    {
        driver.produce(topic, partition, messages).unwrap();
    }
    for number in 0..8 {
        let commits = [
            at("pair-alone", 0, 12),
            at("pair-alone", 1, 3),
            at("pair-doomed", 1, 15),
            at("pair-shrinks", 0, 0),
            at("pair-shrinks", 2, 6),
        ];
        driver.commit(&format!("pair-group-{number}"), &commits).unwrap();
    }
    let exporter = Exporter::start(&cluster.bootstrap(), &ADAPTIVE);
    exporter.ready();
    let (truth, _) = agrees(&exporter, driver, PREFIX);
    let [stays, goes] = [1, 2].map(|broker| {
        let found = truth.groups.iter().find(|(_, group)| group.coordinator == Some(broker));
        found.unwrap_or_else(|| panic!("no group at broker {broker}: {truth:#?}")).0.clone()
    });

    cluster.kill(2);
    exporter.scrape_until("broker 2 is missed", SOON, |exposition| {
        let offline = exposition.value("kafka_topic_partition_offline", &[("topic", "pair-alone"), ("partition", "0")]);
        let up = exposition.value("kafka_broker_up", &[("id", "2")]);
        if (offline, up) == (1.0, 0.0) { Ok(()) } else { Err(format!("offline {offline}, up {up}")) }
    });
    without_a_leader(&some_more_passes(&exporter, 3.0), &truth, [&stays, &goes]);
    starts_without_a_leader(&cluster, PREFIX);

    driver.delete_topic("pair-doomed").unwrap();
    driver.delete_topic("pair-shrinks").unwrap();
    eventually("the topic can be made anew", SOON, || {
        driver.create_topic_on("pair-shrinks", &[&[1]]).map_err(|error| error.to_string())
    });
    driver.produce("pair-shrinks", 0, 4).unwrap();
    cluster.restart(2);
    let (truth, exposition) = eventually("the groups of broker 2 are there again", SOON, || {
        let (truth, exposition) = agrees(&exporter, driver, PREFIX);
        if truth.groups.contains_key(&goes) { Ok((truth, exposition)) } else { Err("not yet".to_owned()) }
    });
    // Who was away when the topics went has not forgotten what was committed on them.
    let committed = |topic, partition| truth.committed(&goes, topic, partition);
    assert_eq!((committed("pair-doomed", 1), committed("pair-shrinks", 2)), (Some(15), Some(6)));
    let lag = |topic, partition| {
        let labels = [("consumergroup", goes.as_str()), ("topic", topic), ("partition", partition)];
        let all = ["kafka_consumergroup_current_offset", "kafka_consumergroup_lag"];
        all.map(|name| exposition.get(name, &labels))
    };
    assert_eq!(lag("pair-doomed", "1"), [Some(15.0), None]);
    assert_eq!(lag("pair-shrinks", "2"), [Some(6.0), None]);
    assert_eq!(lag("pair-shrinks", "0"), [Some(0.0), Some(4.0)]);
    assert_eq!(lag("pair-alone", "0"), [Some(12.0), Some(18.0)]);
    coordinators_move(driver, &exporter, &goes);
}

/// Every group goes to broker 1; none of them is missing in any scrape meanwhile, nor its lag.
fn coordinators_move(driver: &Driver, exporter: &Exporter, moves: &str) {
    let known = |exposition: &Exposition| {
        ["kafka_consumergroup_members", "kafka_consumergroup_lag_sum"].map(|name| exposition.all(name, &[]).len())
    };
    let before = known(&exporter.scrape());
    // As many as the harness makes.
    for partition in 0..6 {
        driver.reassign("__consumer_offsets", partition, &[1]).unwrap();
    }
    exporter.scrape_until("broker 1 coordinates all groups", SOON, |exposition| {
        assert_eq!(known(exposition), before, "a group is missing");
        let about = exposition.all("kafka_consumergroup_info", &[]);
        let moved = about.iter().all(|sample| sample.label("coordinator") == "1");
        if moved { Ok(()) } else { Err(format!("{about:?}")) }
    });
    some_more_passes(exporter, 2.0);
    let (truth, exposition) = agrees(exporter, driver, "pair-");
    assert_eq!((truth.groups[moves].coordinator, known(&exposition)), (Some(1), before));
}

/// The last offsets of a partition stand while it has no leader; a group whose coordinator is away keeps its values.
fn without_a_leader(exposition: &Exposition, before: &Truth, groups: [&String; 2]) {
    let alone = [("topic", "pair-alone"), ("partition", "0")];
    let value = |name| exposition.get(name, &alone);
    assert_eq!(value("kafka_topic_partition_current_offset"), Some(30.0));
    assert_eq!(value("kafka_topic_partition_oldest_offset"), Some(0.0));
    assert_eq!(value("kafka_topic_partition_leader"), None);
    assert_eq!(value("kafka_topic_partition_leader_is_preferred"), None);
    let of_topic = |name| exposition.get(name, &[("topic", "pair-alone")]);
    assert_eq!(of_topic("kafka_topic_current_offset_sum"), Some(40.0));
    assert_eq!(of_topic("kafka_topic_unknown_partitions"), Some(0.0));
    for group in groups {
        let labels = [("consumergroup", group.as_str()), ("topic", "pair-alone")];
        let of_group = |name| exposition.get(name, &labels);
        assert_eq!(of_group("kafka_consumergroup_lag_sum"), Some(25.0), "{group}");
        assert_eq!(of_group("kafka_consumergroup_topic_max_lag"), Some(18.0), "{group}");
        assert_eq!(of_group("kafka_consumergroup_unknown_partitions"), Some(0.0), "{group}");
    }
    let known = exposition.all("kafka_consumergroup_members", &[]);
    assert_eq!(known.len(), before.groups.len(), "a group is gone because its coordinator is: {known:?}");
}

/// An exporter that never saw the partition's leader does not know its offsets, and says so.
fn starts_without_a_leader(cluster: &Cluster, prefix: &str) {
    let exporter = Exporter::start(&cluster.bootstrap(), &ADAPTIVE);
    exporter.ready();
    let told = |name: &str| name != "kafka_broker_up";
    eventually("the exporter agrees with Kafka on what is left", SOON, || {
        let truth = cluster.driver().truth(prefix).map_err(|error| error.to_string())?;
        let exposition = exporter.scrape();
        let right = Series::of_truth(&truth);
        equal(&Series::scraped(&exposition, prefix, &[]).only(told), &right.only(told))?;
        assert_eq!(exposition.value("kafka_topic_unknown_partitions", &[("topic", "pair-alone")]), 1.0);
        assert_eq!(exposition.value("kafka_broker_up", &[("id", "2")]), 0.0);
        Ok(())
    });
}
