//! Three real brokers, one killed and one frozen: what is shown stays true, and afterwards all is as before.

use std::time::Duration;

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::{Cluster, Driver, Protocol, Version, at, truth::Truth};
use crate::promises::{Watcher, coherent};
use crate::wait::eventually;

/// For leaders to be elected, brokers to come back and groups to settle.
const SOON: Duration = Duration::from_secs(90);
/// The topic whose partitions any broker can lead.
const SPREAD: &str = "faults-spread";
/// The topic whose partitions have one replica each, at broker 1, 2 and 3.
const ALONE: &str = "faults-alone";
/// Groups that only commit; together they have a coordinator at each broker.
const GROUPS: [&str; 8] =
    ["faults-a", "faults-b", "faults-c", "faults-d", "faults-e", "faults-f", "faults-g", "faults-h"];
/// The group with a member.
const MEMBER: &str = "faults-member";
const OFFSETS_TOPIC: &str = "__consumer_offsets";
const OFFSETS_PARTITIONS: [i32; 6] = [0, 1, 2, 3, 4, 5];

#[expect(clippy::cast_precision_loss, reason = "offsets in tests are small")]
fn number(offset: i64) -> f64 {
    offset as f64
}

fn start_cluster() -> Cluster {
    let cluster = Cluster::builder(Version::V4_3_1).brokers(3).heap_mb(384).start();
    let driver = cluster.driver();
    driver.create_topic_on(SPREAD, &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]]).unwrap();
    driver.create_topic_on(ALONE, &[&[1], &[2], &[3]]).unwrap();
    for partition in 0..3 {
        driver.produce(SPREAD, partition, 100).unwrap();
        driver.produce(ALONE, partition, 50).unwrap();
    }
    for (place, group) in GROUPS.iter().enumerate() {
        let offset = i64::try_from(place).unwrap();
        let spread = (0..3).map(|partition| at(SPREAD, partition, 10 + offset));
        let alone = (0..3).map(|partition| at(ALONE, partition, 20 + offset));
        driver.commit(group, &spread.chain(alone).collect::<Vec<_>>()).unwrap();
    }
    driver.start_consumer("faults-consumer", MEMBER, &[SPREAD], Protocol::Classic).unwrap();
    cluster
}

fn start_exporter(cluster: &Cluster) -> Exporter {
    let arguments = ["--interval", "1s", "--request-timeout", "1s", "--max-age", "10s"];
    let exporter = Exporter::start(&cluster.bootstrap(), &arguments);
    exporter.ready();
    exporter
}

/// Compares everything that is shown of a quiet cluster with what Kafka's own client says.
fn equal(scrape: &Exposition, truth: &Truth) -> Result<(), String> {
    let same = |name: &str, labels: &[(&str, &str)], wanted: Option<f64>| {
        let shown = scrape.get(name, labels);
        if shown == wanted { Ok(()) } else { Err(format!("{name}{labels:?} is {shown:?}, not {wanted:?}")) }
    };
    same("kafka_up", &[], Some(1.0))?;
    for broker in ["1", "2", "3"] {
        same("kafka_broker_up", &[("id", broker)], Some(1.0))?;
    }
    for collector in ["brokers", "topics", "offsets", "groups", "commits"] {
        same("kafkascope_collector_success", &[("collector", collector)], Some(1.0))?;
    }
    for (topic, rows) in &truth.topics {
        for row in &rows.partitions {
            let label = row.partition.to_string();
            let labels = [("topic", topic.as_str()), ("partition", label.as_str())];
            same("kafka_topic_partition_current_offset", &labels, row.latest.map(number))?;
            same("kafka_topic_partition_oldest_offset", &labels, row.earliest.map(number))?;
            same("kafka_topic_partition_leader", &labels, row.leader.map(f64::from))?;
            let in_sync = number(i64::try_from(row.isr.len()).expect("few"));
            same("kafka_topic_partition_in_sync_replica", &labels, Some(in_sync))?;
        }
        same("kafka_topic_unknown_partitions", &[("topic", topic)], Some(0.0))?;
    }
    for (group, facts) in &truth.groups {
        let coordinator = facts.coordinator.map(|id| id.to_string()).unwrap_or_default();
        same("kafka_consumergroup_info", &[("consumergroup", group), ("coordinator", &coordinator)], Some(1.0))?;
        same("kafka_consumergroup_state", &[("consumergroup", group), ("state", &facts.state)], Some(1.0))?;
        let members = number(i64::try_from(facts.members.len()).expect("few"));
        same("kafka_consumergroup_members", &[("consumergroup", group)], Some(members))?;
        for row in &facts.offsets {
            let label = row.partition.to_string();
            let labels = [("consumergroup", group.as_str()), ("topic", &row.topic), ("partition", &label)];
            same("kafka_consumergroup_current_offset", &labels, Some(number(row.offset)))?;
            let end = truth.partition(&row.topic, row.partition).and_then(|partition| partition.latest);
            same("kafka_consumergroup_lag", &labels, end.map(|end| number(end - row.offset)))?;
        }
        if facts.offsets.is_empty() {
            return Err(format!("{group} has committed nothing"));
        }
    }
    Ok(())
}

#[track_caller]
fn becomes_equal(exporter: &Exporter, driver: &Driver, after: &str) -> Truth {
    eventually(&format!("equal to the truth after {after}"), SOON, || {
        let truth = driver.truth("faults").map_err(|error| error.to_string())?;
        let scrape = exporter.scrape();
        coherent(&scrape)?;
        equal(&scrape, &truth).map(|()| truth)
    })
}

/// What cannot have changed is exact whenever it is shown, ends never fall, and no group is ever missing.
fn watch(exporter: &Exporter) -> Watcher {
    let mut newest = [0.0; 3];
    Watcher::start(exporter.address(), move |scrape| {
        for (partition, newest) in newest.iter_mut().enumerate() {
            let label = partition.to_string();
            let of = |topic| [("topic", topic), ("partition", label.as_str())];
            let end = scrape.get("kafka_topic_partition_current_offset", &of(SPREAD));
            if end.is_some_and(|end| end < *newest) {
                return Err(format!("{SPREAD}-{partition} ends at {end:?} after {newest}"));
            }
            *newest = end.unwrap_or(*newest);
            let end = scrape.get("kafka_topic_partition_current_offset", &of(ALONE));
            if end.is_some_and(|end| end != 50.0) {
                return Err(format!("{ALONE}-{partition} ends at {end:?}, not 50"));
            }
        }
        for (place, group) in (0_u8..).zip(GROUPS) {
            for (topic, committed) in [(SPREAD, 10.0), (ALONE, 20.0)] {
                let labels = [("consumergroup", group), ("topic", topic)];
                let wanted = committed + f64::from(place);
                let shown = scrape.all("kafka_consumergroup_current_offset", &labels);
                if let Some(wrong) = shown.iter().find(|sample| sample.value != wanted) {
                    return Err(format!("{wrong:?}, not {wanted}"));
                }
                if scrape.get("kafka_consumergroup_unknown_partitions", &labels).is_none() {
                    return Err(format!("group {group} has vanished from {topic}"));
                }
            }
            let labels = [("consumergroup", group), ("topic", ALONE)];
            let shown = scrape.all("kafka_consumergroup_lag", &labels);
            if let Some(wrong) = shown.iter().find(|sample| sample.value != 30.0 - f64::from(place)) {
                return Err(format!("{wrong:?} of {group}"));
            }
        }
        Ok(())
    })
}

#[track_caller]
fn broker_up(exporter: &Exporter, expected: [f64; 3]) {
    exporter.scrape_until(&format!("kafka_broker_up is {expected:?}"), SOON, |scrape| {
        let shown = ["1", "2", "3"].map(|id| scrape.get("kafka_broker_up", &[("id", id)]));
        if shown == expected.map(Some) { Ok(()) } else { Err(format!("{shown:?}")) }
    });
}

/// What is produced to a partition shows, and snapshots go on.
#[track_caller]
fn is_fresh(exporter: &Exporter, driver: &Driver, partition: i32) {
    let label = partition.to_string();
    let values = |scrape: &Exposition| {
        let end = scrape.get("kafka_topic_partition_current_offset", &[("topic", SPREAD), ("partition", &label)]);
        (end, scrape.value("kafkascope_snapshot_timestamp_seconds", &[]))
    };
    for _ in 0..3 {
        let (_, before) = values(&exporter.scrape());
        let last = driver.produce(SPREAD, partition, 5).unwrap();
        exporter.scrape_until("what was produced shows", SOON, |scrape| {
            let (end, made) = values(scrape);
            let is_new = end == Some(number(last + 1)) && made > before;
            is_new.then_some(()).ok_or_else(|| format!("{end:?} of {}, {made} after {before}", last + 1))
        });
    }
}

#[test]
fn one_broker_is_killed_and_one_frozen() {
    let cluster = start_cluster();
    let driver = cluster.driver();
    let exporter = start_exporter(&cluster);
    let before = becomes_equal(&exporter, driver, "the start");
    let coordinators: std::collections::BTreeSet<_> = before.groups.values().map(|group| group.coordinator).collect();
    assert_eq!(coordinators.len(), 3, "every broker should coordinate a group: {coordinators:?}");
    let mut watcher = watch(&exporter);

    cluster.kill(3);
    cluster.stop(2);
    broker_up(&exporter, [1.0, 0.0, 0.0]);
    is_fresh(&exporter, driver, 0);
    watcher.content();
    // Broker 1 takes over what it has a replica of; where it has none, the log stands still and its offsets stand.
    exporter.scrape_until("broker 1 coordinates all groups", SOON, |scrape| {
        let here = scrape.all("kafka_consumergroup_info", &[("coordinator", "1")]).len();
        let missing = |name: &str| scrape.all(name, &[]).iter().map(|sample| sample.value).sum::<f64>();
        let missing = (missing("kafka_topic_unknown_partitions"), missing("kafka_consumergroup_unknown_partitions"));
        let offline = scrape.all("kafka_topic_partition_offline", &[("topic", ALONE)]);
        let offline: f64 = offline.iter().map(|sample| sample.value).sum();
        let done = (here, missing, offline) == (GROUPS.len() + 1, (0.0, 0.0), 2.0);
        done.then_some(()).ok_or_else(|| format!("{here} groups, unknown {missing:?}, {offline} offline"))
    });
    broker_up(&exporter, [1.0, 0.0, 0.0]);
    late_arrival(&cluster);
    watcher.content();

    cluster.cont(2);
    cluster.restart(3);
    move_coordinators(driver, &[0, 0, 0, 0, 0, 0]);
    becomes_equal(&exporter, driver, "both came back");
    broker_up(&exporter, [1.0, 1.0, 1.0]);
    // Every coordinator moves twice more, brokers and consumers alive: the exporter's process must live through it.
    for turn in [1, 2] {
        move_coordinators(driver, &[turn; 6]);
        becomes_equal(&exporter, driver, "coordinators moved");
        watcher.content();
    }
    watcher.finish(50);
    // Whether the consumer itself lived through all that is Kafka's affair.
    driver.stop_consumer("faults-consumer").unwrap();
    assert!(exporter.terminate().success());
}

/// An exporter that is started while brokers are down has never heard of what only they know.
fn late_arrival(cluster: &Cluster) {
    let exporter = start_exporter(cluster);
    broker_up(&exporter, [1.0, 0.0, 0.0]);
    exporter.scrape_until("what broker 1 knows", SOON, |scrape| {
        coherent(scrape)?;
        let unknown = scrape.get("kafka_topic_unknown_partitions", &[("topic", ALONE)]);
        let ends = scrape.all("kafka_topic_partition_current_offset", &[("topic", ALONE)]).len();
        let groups = GROUPS.map(|group| {
            let labels = [("consumergroup", group), ("topic", ALONE)];
            let value = |name: &str| scrape.get(&format!("kafka_consumergroup_{name}"), &labels);
            (value("unknown_partitions"), value("lag_sum"), value("topic_max_lag"))
        });
        let lags = (0_u8..).zip(groups).all(|(place, group)| group == (Some(2.0), None, Some(30.0 - f64::from(place))));
        let right = (unknown, ends, lags) == (Some(2.0), 1, true);
        right.then_some(()).ok_or_else(|| format!("{unknown:?} unknown, {ends} ends, {groups:?}"))
    });
    assert!(exporter.terminate().success());
}

/// Gives each partition of the offsets topic the leader that comes so many places after its first replica, and with it
/// the groups another coordinator; 0 makes the first ones lead.
fn move_coordinators(driver: &Driver, turns: &[usize; 6]) {
    let elect = || {
        eventually("leaders are elected", SOON, || {
            driver.elect_leaders(SPREAD, &[0, 1, 2], false).map_err(|error| error.to_string())?;
            driver.elect_leaders(OFFSETS_TOPIC, &OFFSETS_PARTITIONS, false).map_err(|error| error.to_string())
        });
    };
    let truth = driver.truth("").unwrap();
    for (row, turn) in truth.topics[OFFSETS_TOPIC].partitions.iter().zip(turns) {
        let mut replicas = row.replicas.clone();
        replicas.rotate_left(*turn);
        if *turn > 0 {
            driver.reassign(OFFSETS_TOPIC, row.partition, &replicas).unwrap();
        }
    }
    eventually("the preferred replicas lead and all are in sync", SOON, || {
        elect();
        let truth = driver.truth("").map_err(|error| error.to_string())?;
        let rows = truth.topics.values().flat_map(|topic| &topic.partitions);
        let lagging: Vec<_> = rows
            .filter(|row| row.leader != row.replicas.first().copied() || row.isr.len() != row.replicas.len())
            .collect();
        if lagging.is_empty() { Ok(()) } else { Err(format!("{lagging:?}")) }
    });
}
