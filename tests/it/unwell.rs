//! A group that stops: what the JSON, Burrow's API, the page and the table say of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::exporter::Exporter;
use crate::kafka::{Protocol, shared};
use crate::truth::QUICK;
use crate::wait::eventually;

/// A few passes, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
const TOPIC: &str = "unwell-topic";
const GROUP: &str = "unwell-stopped";
/// Messages that nobody reads.
const UNREAD: u32 = 7;

fn json_at(exporter: &Exporter, target: &str) -> (u16, Value) {
    let response = exporter.get(target);
    (response.status, serde_json::from_str(&response.text()).unwrap())
}

fn group(exporter: &Exporter) -> Value {
    json_at(exporter, &format!("/api/v1/groups?group={GROUP}")).1["clusters"][0]["groups"][0].clone()
}

/// Waits until the group is as it is to be, and returns it.
#[track_caller]
fn group_until(exporter: &Exporter, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, SOON, || {
        let group = group(exporter);
        if is_so(&group) { Ok(group) } else { Err(group.to_string()) }
    })
}

#[test]
fn a_stopped_group_is_told_of_everywhere() {
    let driver = shared().driver();
    driver.create_topic(TOPIC, 2).unwrap();
    for partition in 0..2 {
        driver.produce(TOPIC, partition, 10).unwrap();
    }
    driver.start_consumer("unwell-member", GROUP, &[TOPIC], Protocol::Classic).unwrap();
    let exporter = Exporter::start(&shared().bootstrap(), &QUICK);
    exporter.ready();
    let well = group_until(&exporter, "the group has read all", |group| {
        (&group["members"], &group["topics"][0]["committed_sum"]) == (&json!(1), &json!(20)) && group["lag_sum"] == 0
    });
    assert_eq!((&well["status"], well.get("diagnosis")), (&json!("OK"), None), "{well}");
    assert_eq!(well["max_lag_seconds"], json!(0.0), "{well}");

    driver.stop_consumer("unwell-member").unwrap();
    group_until(&exporter, "its member has left", |group| group["members"] == 0);
    let before = Instant::now();
    driver.produce(TOPIC, 0, UNREAD).unwrap();
    let ill = group_until(&exporter, "it has stopped, and since when", |group| {
        group["status"] == "ERR" && group["max_lag_seconds"].as_f64().is_some_and(|lag| lag > 0.0)
    });
    // Appended after the produce call began, but perhaps before a poll that did not see it yet.
    let behind = ill["max_lag_seconds"].as_f64().unwrap();
    assert!(behind <= before.elapsed().as_secs_f64() + 5.0, "{behind} s, but only {:?} passed", before.elapsed());
    let diagnosis = ill["diagnosis"].as_str().unwrap();
    assert!(diagnosis.starts_with("`unwell-stopped` has no members since "), "{diagnosis}");
    assert!(diagnosis.contains(" UTC and is 7 messages, ") && diagnosis.contains(" behind on `unwell-topic`"));
    let partitions = &ill["topics"][0]["partitions"];
    assert_eq!((&partitions[0]["status"], &partitions[0]["lag"]), (&json!("STOP"), &json!(UNREAD)), "{ill}");
    assert_eq!((&partitions[1]["status"], &partitions[1]["lag_seconds"]), (&json!("OK"), &json!(0.0)), "{ill}");

    burrow_says_so(&exporter);
    let page = exporter.get("/").text();
    assert!(
        page.contains("<td class=\"word\">ERR</td><td><code>unwell-stopped</code> has no members since "),
        "{page}"
    );
    snapshot_says_so(&shared().bootstrap());
}

fn burrow_says_so(exporter: &Exporter) {
    let consumers = json_at(exporter, "/v3/kafka/default/consumer").1;
    assert!(consumers["consumers"].as_array().unwrap().contains(&json!(GROUP)), "{consumers}");
    let readers = json_at(exporter, &format!("/v3/kafka/default/topic/{TOPIC}/consumers")).1;
    assert_eq!(readers["consumers"], json!([GROUP]));
    let offsets = json_at(exporter, &format!("/v3/kafka/default/topic/{TOPIC}")).1;
    assert_eq!(offsets["offsets"], json!([10 + UNREAD, 10]));

    let (code, answer) = json_at(exporter, &format!("/v3/kafka/default/consumer/{GROUP}/status"));
    let status = &answer["status"];
    assert_eq!((code, &status["status"], &status["totallag"]), (200, &json!("ERR"), &json!(UNREAD)), "{answer}");
    assert_eq!((&status["partition_count"], &status["maxlag"]["partition"]), (&json!(2), &json!(0)), "{answer}");
    let bad = status["partitions"].as_array().unwrap();
    assert_eq!((bad.len(), &bad[0]["status"], &bad[0]["current_lag"]), (1, &json!("STOP"), &json!(UNREAD)));
    let all = json_at(exporter, &format!("/v3/kafka/default/consumer/{GROUP}/lag")).1;
    assert_eq!(all["status"]["partitions"].as_array().unwrap().len(), 2);
    assert_eq!(json_at(exporter, "/v3/kafka/default/consumer/nobody/lag").0, 404);
}

/// One pass sees no history: neither since when there are no members.
fn snapshot_says_so(bootstrap: &str) {
    let outcome = Exporter::builder().args(["snapshot", "--bootstrap-servers", bootstrap]).run(SOON);
    assert!(outcome.status.success(), "{outcome:?}");
    let line = outcome.stdout.lines().find(|line| line.starts_with("`unwell-stopped` ")).unwrap_or_default();
    assert!(line.starts_with("`unwell-stopped` has no members and is 7 messages"), "{}", outcome.stdout);
}
