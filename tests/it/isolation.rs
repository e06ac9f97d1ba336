//! Lag up to the last stable offset for groups that read committed records only, beside an open transaction.

use std::time::Duration;

use serde_json::json;

use crate::exporter::Exporter;
use crate::kafka::{Cluster, Version, at, shared};
use crate::tools::scratch;
use crate::truth::QUICK;
use crate::wait::eventually;

/// A few passes, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
const TOPIC: &str = "isolation-topic";
/// Groups whose names begin so read committed records only.
const COMMITTED: &str = "isolation-committed";

/// Waits until every group has its lag and the topic its end.
#[track_caller]
fn lags_are(exporter: &Exporter, what: &str, end: i64, expected: &[(&str, i64)]) {
    exporter.scrape_until(what, SOON, |exposition| {
        let of_topic = [("topic", TOPIC), ("partition", "0")];
        let shown = exposition.get("kafka_topic_partition_current_offset", &of_topic);
        let lag = |group| {
            let labels = [("consumergroup", group), ("topic", TOPIC), ("partition", "0")];
            exposition.get("kafka_consumergroup_lag", &labels)
        };
        let lags: Vec<_> = expected.iter().map(|(group, _)| (*group, lag(*group))).collect();
        let is_so = expected.iter().zip(&lags).all(|((_, wanted), (_, lag))| *lag == Some(*wanted as f64));
        if is_so && shown == Some(end as f64) { Ok(()) } else { Err(format!("end {shown:?}, {lags:?}")) }
    });
}

fn an_open_transaction(cluster: &Cluster) {
    let driver = cluster.driver();
    driver.create_topic(TOPIC, 1).unwrap();
    driver.produce(TOPIC, 0, 5).unwrap();
    let (part, done, all) = ("isolation-committed-part", "isolation-committed-done", "isolation-all");
    assert!(part.starts_with(COMMITTED) && done.starts_with(COMMITTED));
    for (group, offset) in [(part, 2), (done, 5), (all, 2)] {
        driver.commit(group, &[at(TOPIC, 0, offset)]).unwrap();
    }
    driver.begin_transaction("isolation-transaction").unwrap();
    let sent = json!({"name": "isolation-transaction", "topic": TOPIC, "partition": 0, "count": 3});
    driver.produce_with(sent).unwrap();

    let dir = scratch("isolation");
    let file = dir.path().join("config.yml");
    let yaml = format!(
        "clusters:\n- bootstrap_servers: ['{}']\n  topics: {{include: ['^isolation-']}}\n  groups:\n    \
         include: ['^isolation-']\n    overrides: [{{groups: ['^{COMMITTED}'], isolation: read_committed}}]\n",
        cluster.bootstrap()
    );
    std::fs::write(&file, yaml).unwrap();
    let exporter = Exporter::builder().args(["--config", file.to_str().unwrap()]).args(QUICK).start();
    exporter.ready();
    lags_are(&exporter, "open records count for who may read them", 8, &[(part, 3), (done, 0), (all, 6)]);

    driver.commit_transaction("isolation-transaction").unwrap();
    // The transaction's marker takes an offset of its own.
    eventually("the marker is written", SOON, || {
        let truth = driver.truth("isolation-").map_err(|error| error.to_string())?;
        let row = truth.partition(TOPIC, 0).ok_or("no topic")?;
        if (row.latest, row.stable) == (Some(9), Some(9)) { Ok(()) } else { Err(format!("{row:?}")) }
    });
    lags_are(&exporter, "committed records count for all", 9, &[(part, 7), (done, 4), (all, 7)]);
    driver.commit(part, &[at(TOPIC, 0, 9)]).unwrap();
    driver.commit(done, &[at(TOPIC, 0, 8)]).unwrap();
    driver.commit(all, &[at(TOPIC, 0, 8)]).unwrap();
    lags_are(&exporter, "who stops before the marker is one behind", 9, &[(part, 0), (done, 1), (all, 1)]);
}

#[test]
fn open_records_count_only_for_groups_that_read_them() {
    an_open_transaction(shared());
}

#[test]
fn open_records_count_only_for_groups_that_read_them_on_kafka_3_9() {
    an_open_transaction(&Cluster::builder(Version::V3_9_1).start());
}
