//! The exporter's numbers are Kafka's own: every series of every topic and group, nothing missing and nothing extra.

use std::time::Duration;

use serde_json::Value;

use crate::compare::{Series, agrees, agrees_on, equal};
use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::truth::Truth;
use crate::kafka::{Cluster, Driver, Protocol, Version, at, shared};
use crate::tools::scratch;
use crate::wait::eventually;

/// For groups to settle.
const SOON: Duration = Duration::from_secs(60);

/// One pass over a few topics, on a busy machine.
const ONE_PASS: Duration = Duration::from_secs(60);

/// The flags of an exporter that polls as often as it may.
pub(crate) const QUICK: [&str; 4] = ["--interval", "1s", "--request-timeout", "5s"];

/// The flags of an exporter that polls adaptively, and all in a few seconds, however slow it is.
pub(crate) const ADAPTIVE: [&str; 8] =
    ["--min-interval", "1s", "--max-interval", "3s", "--request-timeout", "5s", "--budget-cpu", "100%"];

/// Topics and groups of every common kind under a prefix; when it returns, nothing moves any more.
fn populate(driver: &Driver, prefix: &str, protocols: &[Protocol]) {
    let name = |suffix: &str| format!("{prefix}{suffix}");
    let (wide, narrow) = (name("wide"), name("narrow"));
    driver.create_topic(&wide, 3).unwrap();
    driver.create_topic(&narrow, 1).unwrap();
    driver.create_topic(&name("without-messages"), 2).unwrap();
    driver.produce(&wide, 0, 100).unwrap();
    driver.delete_records(&wide, 0, 40).unwrap();
    driver.produce(&wide, 1, 7).unwrap();
    driver.produce(&narrow, 0, 5).unwrap();
    driver.commit(&name("partly"), &[at(&wide, 0, 55), at(&wide, 2, 0)]).unwrap();
    driver.commit(&name("lossy"), &[at(&wide, 0, 10), at(&wide, 1, 3), at(&narrow, 0, 5)]).unwrap();
    driver.commit(&name("idle-topic"), &[at(&name("without-messages"), 1, 0)]).unwrap();

    let (gone, one) = (name("left"), name("one-member"));
    driver.start_consumer(&gone, &gone, &[&wide], Protocol::Classic).unwrap();
    driver.start_consumer(&one, &one, &[&wide, &narrow], Protocol::Classic).unwrap();
    let mut groups = vec![(gone.clone(), 1, 3), (one, 1, 4)];
    for protocol in protocols {
        let group = name(&format!("two-{protocol:?}").to_lowercase());
        for member in ["-a", "-b"] {
            driver.start_consumer(&format!("{group}{member}"), &group, &[&wide], *protocol).unwrap();
        }
        groups.push((group, 2, 3));
    }
    eventually("the consumers have read all", SOON, || {
        let truth = driver.truth(prefix).map_err(|error| error.to_string())?;
        let is_settled = |(name, members, partitions): &(String, usize, usize)| {
            truth.groups.get(name).is_some_and(|group| {
                let mut held = group.members.iter().flat_map(|member| &member.assignment);
                let is_read = |(topic, partition): (&str, i32)| {
                    let end = truth.partition(topic, partition).and_then(|row| row.latest);
                    end == Some(0) || end == group.committed(topic, partition)
                };
                group.state == "Stable"
                    && (group.members.len(), group.assigned()) == (*members, *partitions)
                    && held.all(|row| is_read((&row.topic, row.partition)))
            })
        };
        if groups.iter().all(is_settled) { Ok(()) } else { Err(format!("{truth:#?}")) }
    });
    driver.stop_consumer(&gone).unwrap();
    // Something is left to read for those who read it all.
    driver.commit(&gone, &[at(&wide, 0, 90)]).unwrap();
}

/// Stops what [`populate`] left running.
fn stop(driver: &Driver, prefix: &str, protocols: &[Protocol]) {
    driver.stop_consumer(&format!("{prefix}one-member")).unwrap();
    for protocol in protocols {
        let group = format!("{prefix}two-{protocol:?}").to_lowercase();
        for member in ["-a", "-b"] {
            driver.stop_consumer(&format!("{group}{member}")).unwrap();
        }
    }
}

/// What was set up is really there, so that two empty sides cannot agree.
fn is_all_there(truth: &Truth, exposition: &Exposition, prefix: &str, groups: usize) {
    assert_eq!((truth.topics.len(), truth.groups.len()), (3, groups), "{truth:#?}");
    let lossy = [("consumergroup", format!("{prefix}lossy")), ("topic", format!("{prefix}wide"))];
    let lossy: Vec<(&str, &str)> = lossy.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for (name, value) in [
        ("kafka_consumergroup_current_offset_sum", 13.0),
        ("kafka_consumergroup_lag_sum", 64.0),
        ("kafka_consumergroup_topic_max_lag", 60.0),
        ("kafka_consumergroup_lost_messages_sum", 30.0),
    ] {
        assert_eq!(exposition.value(name, &lossy), value, "{name}");
    }
}

#[test]
fn every_number_equals_kafkas_own() {
    const PREFIX: &str = "truth-";
    let protocols = [Protocol::Classic, Protocol::Consumer];
    let driver = shared().driver();
    populate(driver, PREFIX, &protocols);
    let exporter = Exporter::start(&shared().bootstrap(), &QUICK);
    exporter.ready();
    let (truth, exposition) = agrees(&exporter, driver, PREFIX);
    is_all_there(&truth, &exposition, PREFIX, 7);
    snapshot_says_the_same(&shared().bootstrap(), &truth, PREFIX);
    drop(exporter);
    stop(driver, PREFIX, &protocols);
}

/// All three forms of `kafkascope snapshot`.
fn snapshot_says_the_same(bootstrap: &str, truth: &Truth, prefix: &str) {
    let right = Series::of_truth(truth);
    let snapshot = |form: &str| {
        let arguments = ["snapshot", "--output", form, "--bootstrap-servers", bootstrap];
        let outcome = Exporter::builder().args(arguments).run(ONE_PASS);
        assert!(outcome.status.success(), "{form}: {outcome:?}");
        outcome.stdout
    };
    let exposition = Exposition::parse(&snapshot("prometheus")).unwrap();
    equal(&Series::scraped(&exposition, prefix, &[]), &right).unwrap();

    let document: Value = serde_json::from_str(&snapshot("json")).unwrap();
    let cluster = &document["clusters"][0];
    assert_eq!(cluster["cluster_id"], truth.cluster_id);
    let said = Series::of_json(cluster, prefix);
    let names = said.names();
    assert_eq!(names.len(), 19, "{names:?}");
    equal(&said, &right.only(|name| names.contains(name))).unwrap();
    for topic in cluster["topics"].as_array().unwrap() {
        if let Some(known) = truth.topics.get(topic["name"].as_str().unwrap()) {
            assert_eq!(topic["topic_id"], known.id.as_str());
        }
    }
    table_says_the_same(&snapshot("table"), truth, prefix);
}

/// The columns of the table that Kafka's tools do not tell: the verdict and the time lag.
const UNTOLD_COLUMNS: [usize; 2] = [3, 7];

/// A line for each group and topic: state, members, and the sums.
fn table_says_the_same(table: &str, truth: &Truth, prefix: &str) {
    let cells = |line: &'_ str| -> Vec<String> {
        let cells = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).enumerate();
        cells.filter(|(place, _)| !UNTOLD_COLUMNS.contains(place)).map(|(_, cell)| cell.to_owned()).collect()
    };
    let mut said: Vec<Vec<String>> = table.lines().map(cells).collect();
    said.retain(|row| row.len() == 9 && row[0].starts_with(prefix));
    let mut right: Vec<Vec<String>> = Vec::new();
    for (name, group) in &truth.groups {
        let topics: std::collections::BTreeSet<&str> = group.offsets.iter().map(|row| row.topic.as_str()).collect();
        for topic in topics {
            let rows: Vec<_> = group.offsets.iter().filter(|row| row.topic == topic).collect();
            let of = |row: &crate::kafka::truth::CommitTruth| {
                let partition = truth.partition(topic, row.partition).unwrap();
                (partition.earliest.unwrap(), partition.latest.unwrap())
            };
            let lags: Vec<i64> = rows.iter().map(|row| (of(row).1 - row.offset.max(of(row).0)).max(0)).collect();
            let lost: i64 = rows.iter().map(|row| (of(row).0 - row.offset).max(0)).sum();
            let committed: i64 = rows.iter().map(|row| row.offset).sum();
            let (sum, worst) = (lags.iter().sum::<i64>(), lags.iter().max().unwrap());
            let members = group.members.len().to_string();
            let mut row = vec![name.clone(), group.state.clone(), topic.to_owned(), members];
            row.extend([committed, sum, *worst, lost, 0].map(|value| value.to_string()));
            right.push(row);
        }
    }
    said.sort();
    right.sort();
    assert_eq!(said, right, "{table}");
}

/// Two clusters in one exporter, of two versions, each with its name and labels on all that is Kafka's.
#[test]
fn two_clusters_and_kafka_3_9() {
    const PREFIX: &str = "both-";
    let old = Cluster::builder(Version::V3_9_1).start();
    // KIP-848 is not switched on by default in 3.9.
    let both = [(&old, "old", "blue", &[Protocol::Classic][..]), (shared(), "new", "green", &[])];
    for (cluster, _, _, protocols) in both {
        populate(cluster.driver(), PREFIX, protocols);
    }
    let dir = scratch("two-clusters");
    let file = dir.path().join("config.yml");
    let mut text = "polling: {interval: 1s, request_timeout: 5s}\nclusters:\n".to_owned();
    for (cluster, name, colour, _) in both {
        let servers = cluster.bootstrap();
        text += &format!("  - {{name: {name}, bootstrap_servers: ['{servers}'], labels: {{colour: {colour}}}}}\n");
    }
    std::fs::write(&file, text).unwrap();
    let exporter = Exporter::builder().args(["--config", &file.display().to_string()]).start();
    exporter.ready();
    for (cluster, name, colour, protocols) in both {
        let labels = [("cluster_name", name), ("colour", colour)];
        let (truth, exposition) = agrees_on(&exporter, cluster.driver(), PREFIX, &labels);
        is_all_there(&truth, &exposition_of(&exposition, name), PREFIX, 5 + protocols.len());
    }
    let exposition = exporter.scrape();
    for sample in exposition.samples.iter().filter(|sample| sample.name.starts_with("kafka_")) {
        let own = (sample.label("cluster_name"), sample.label("colour"));
        let is_kafkas = sample.name != "kafka_exporter_build_info";
        assert!(!is_kafkas || [("old", "blue"), ("new", "green")].contains(&own), "{sample:?}");
    }
    drop(exporter);
    for (cluster, _, _, protocols) in both {
        stop(cluster.driver(), PREFIX, protocols);
    }
}

/// One cluster's part of a scrape.
fn exposition_of(exposition: &Exposition, cluster: &str) -> Exposition {
    let mut part = exposition.clone();
    part.samples.retain(|sample| sample.label("cluster_name") == cluster);
    part
}
