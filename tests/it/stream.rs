//! Commits read from `__consumer_offsets`: every kind of group, deletions, transactions, permissions.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafkascope::kafka::{ClientSettings, CommitFeed, OffsetsRecord, OffsetsStream};
use kafkascope::model::StreamState;

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::{Acl, Cluster, Driver, PLAIN_USERS, Pki, Protocol, Version, at};
use crate::tools::scratch;
use crate::wait::{eventually, within};

/// For groups to settle, transactions to pin and permissions to come into force.
const SOON: Duration = Duration::from_secs(60);

/// Partitions of `__consumer_offsets` in the tests' Kafkas.
const PARTITIONS: usize = 6;

fn stream_of(bootstrap: &str) -> OffsetsStream {
    let properties = vec![("bootstrap.servers".to_owned(), bootstrap.to_owned())];
    let settings = ClientSettings { cluster: "it".into(), properties, request_timeout: Duration::from_secs(10) };
    OffsetsStream::start(&settings).unwrap()
}

fn streams(stream: &OffsetsStream) {
    eventually("all partitions are streaming", SOON, || {
        let health = stream.health();
        let streaming = health.partitions.iter().filter(|partition| partition.state == StreamState::Streaming).count();
        if streaming == PARTITIONS { Ok(()) } else { Err(format!("{health:?}")) }
    });
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// The records of a group until `enough`.
fn records(stream: &OffsetsStream, group: &str, enough: impl Fn(&[OffsetsRecord]) -> bool) -> Vec<OffsetsRecord> {
    let mut all = Vec::new();
    eventually("the records of the group", SOON, || {
        all.extend(stream.take().into_iter().filter(|record| &*record.key().group == group));
        if enough(&all) { Ok(()) } else { Err(format!("{all:?}")) }
    });
    all
}

fn offset_of(record: &OffsetsRecord) -> Option<i64> {
    match record {
        OffsetsRecord::Commit { offset, .. } => Some(offset.get()),
        OffsetsRecord::Tombstone { .. } => None,
    }
}

/// What this Kafka writes is read: commits of all kinds of groups with their times, and their deletion.
fn reads_what_kafka_writes(cluster: &Cluster, protocols: &[Protocol]) {
    let driver = cluster.driver();
    driver.create_topic("written", 1).unwrap();
    driver.produce("written", 0, 10).unwrap();
    // There is no __consumer_offsets before the first commit.
    driver.commit("first", &[at("written", 0, 1)]).unwrap();
    let stream = stream_of(&cluster.bootstrap());
    streams(&stream);

    let begun = now_ms();
    driver.commit("by-hand", &[at("written", 0, 3)]).unwrap();
    driver.commit("by-hand", &[at("written", 0, 2)]).unwrap();
    let read = records(&stream, "by-hand", |read| read.len() >= 2);
    assert_eq!(read.iter().map(offset_of).collect::<Vec<_>>(), [Some(3), Some(2)]);
    for record in &read {
        let OffsetsRecord::Commit { key, at, .. } = record else { panic!("{record:?}") };
        assert_eq!((&*key.topic, key.partition.0), ("written", 0));
        assert!((begun..=now_ms()).contains(&at.0), "{} is not between {begun} and now", at.0);
    }
    driver.delete_group_offsets("by-hand", "written", &[0]).unwrap();
    let gone = records(&stream, "by-hand", |read| !read.is_empty());
    assert!(matches!(gone[..], [OffsetsRecord::Tombstone { .. }]), "{gone:?}");

    for protocol in protocols {
        let group = format!("member-{protocol:?}");
        driver.start_consumer(&group, &group, &["written"], *protocol).unwrap();
        let read = records(&stream, &group, |read| read.iter().any(|record| offset_of(record) == Some(10)));
        assert!(read.iter().all(|record| &*record.key().topic == "written"), "{read:?}");
        driver.stop_consumer(&group).unwrap();
    }

    driver.begin_transaction("aborts").unwrap();
    driver.send_offsets("aborts", "transactional", &[at("written", 0, 7)]).unwrap();
    driver.abort_transaction("aborts").unwrap();
    driver.begin_transaction("aborts").unwrap();
    driver.send_offsets("aborts", "transactional", &[at("written", 0, 8)]).unwrap();
    driver.commit_transaction("aborts").unwrap();
    let read = records(&stream, "transactional", |read| !read.is_empty());
    assert_eq!(read.iter().map(offset_of).collect::<Vec<_>>(), [Some(8)], "what was aborted is not seen");
    streams(&stream);
    assert_eq!(stream.health().undecodable, 0);
    tokio::runtime::Runtime::new().unwrap().block_on(stream.close());
}

#[test]
fn stream_reads_what_the_newest_kafka_writes() {
    let cluster = Cluster::builder(Version::V4_3_1).start();
    reads_what_kafka_writes(&cluster, &[Protocol::Classic, Protocol::Consumer]);
}

#[test]
fn stream_reads_what_kafka_3_9_writes() {
    let cluster = Cluster::builder(Version::V3_9_1).start();
    reads_what_kafka_writes(&cluster, &[Protocol::Classic]);
}

#[test]
fn stream_waits_for_kafka_and_lives_through_its_restart() {
    let cluster = Cluster::builder(Version::V4_3_1).brokers(2).heap_mb(384).start();
    cluster.kill(1);
    cluster.kill(2);
    let stream = stream_of(&cluster.bootstrap());
    eventually("it says that Kafka is away", SOON, || {
        let health = stream.health();
        if health.failure.is_some() { Ok(()) } else { Err(format!("{health:?}")) }
    });
    cluster.restart(1);
    cluster.restart(2);
    let driver = cluster.driver();
    eventually("a topic", SOON, || driver.create_topic("waits", 1).map_err(|error| error.to_string()));
    eventually("a commit", SOON, || driver.commit("waits", &[at("waits", 0, 0)]).map_err(|error| error.to_string()));
    streams(&stream);
    let life = stream.health().life;
    // What broker 2 led goes over to broker 1, and back.
    let commits_are_read = |name: &str| {
        for group in 0..PARTITIONS {
            let group = format!("{name}-{group}");
            let offsets = [at("waits", 0, 0)];
            eventually("a commit", SOON, || driver.commit(&group, &offsets).map_err(|error| error.to_string()));
            records(&stream, &group, |read| !read.is_empty());
        }
    };
    cluster.kill(2);
    commits_are_read("without");
    streams(&stream);
    cluster.restart(2);
    commits_are_read("with");
    streams(&stream);
    // Connections stay open and nobody answers on them: that must not pass for quiet.
    (1..=2).for_each(|broker| cluster.stop(broker));
    eventually("nothing is streaming", SOON, || {
        let health = stream.health();
        let streaming = health.partitions.iter().any(|partition| partition.state == StreamState::Streaming);
        if streaming { Err(format!("{health:?}")) } else { Ok(()) }
    });
    (1..=2).for_each(|broker| cluster.cont(broker));
    commits_are_read("awake");
    streams(&stream);
    assert_eq!(stream.health().life, life, "nothing was missed");
}

/// An exporter that streams, with a pass every second.
fn exporter(bootstrap: &str, more: &str) -> (Exporter, tempfile::TempDir) {
    let dir = scratch("stream");
    let file: PathBuf = dir.path().join("k.yml");
    let yaml = format!(
        "polling: {{mode: fixed, interval: 1s}}\nclusters:\n- bootstrap_servers: ['{bootstrap}']\n  commits: stream\n{more}"
    );
    std::fs::write(&file, yaml).unwrap();
    (Exporter::builder().args(["--config", file.to_str().unwrap()]).start(), dir)
}

fn partitions_in(scrape: &Exposition, state: &str) -> f64 {
    scrape.value("kafkascope_commit_stream_partitions", &[("state", state)])
}

fn all_streaming(exporter: &Exporter) {
    exporter.scrape_until("all partitions are streaming", SOON, |scrape| {
        let all = scrape.all("kafkascope_commit_stream_partitions", &[]);
        let streaming = all.iter().find(|sample| sample.label("state") == "streaming").map(|sample| sample.value);
        // So few that they are exact.
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let wanted = PARTITIONS as f64;
        if streaming == Some(wanted) && all.len() == 4 {
            Ok(())
        } else {
            Err(format!("{all:?}\n{}", exporter.output()))
        }
    });
}

/// Offset and time of the group's commits on the topic, as exported, once the offset is so.
fn shows(exporter: &Exporter, group: &str, topic: &str, offset: f64) -> Option<f64> {
    let labels = [("consumergroup", group), ("topic", topic)];
    let first = [&labels[..], &[("partition", "0")]].concat();
    exporter.scrape_until("the commit is shown", SOON, |scrape| {
        let shown = scrape.get("kafka_consumergroup_current_offset", &first);
        let time = scrape.get("kafka_consumergroup_last_commit_timestamp_seconds", &labels);
        if shown == Some(offset) { Ok(time) } else { Err(format!("{group}: {shown:?}, not {offset}")) }
    })
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a date are exact")]
fn seconds(record: &OffsetsRecord) -> f64 {
    let OffsetsRecord::Commit { at, .. } = record else { panic!("{record:?}") };
    at.0 as f64 / 1000.0
}

fn offset_fetches(exporter: &Exporter) -> f64 {
    let scrape = exporter.scrape();
    let all = scrape.all("kafkascope_broker_requests_total", &[("api", "OffsetFetch")]);
    all.iter().map(|sample| sample.value).sum()
}

fn has_logged(exporter: &Exporter, text: &str) {
    eventually("the log says so", SOON, || {
        let output = exporter.output();
        if output.contains(text) { Ok(()) } else { Err(format!("{text:?} is not in\n{output}")) }
    });
}

#[test]
fn stream_shows_commits_with_their_exact_times_without_asking() {
    let cluster = Cluster::builder(Version::V4_3_1).start();
    let driver = cluster.driver();
    driver.create_topic("exact", 2).unwrap();
    driver.produce("exact", 0, 100).unwrap();
    // The second one stays: Kafka forgets a group that has none.
    driver.commit("exact", &[at("exact", 0, 1), at("exact", 1, 0)]).unwrap();
    let witness = stream_of(&cluster.bootstrap());
    streams(&witness);
    let (exporter, _dir) = exporter(&cluster.bootstrap(), "");
    all_streaming(&exporter);
    has_logged(&exporter, "commits are read from all 6 partitions of __consumer_offsets");
    shows(&exporter, "exact", "exact", 1.0);
    let mut rounds = 0;
    // A machine that is held up for seconds holds reading up, and then it is right to ask: another round tells.
    eventually("commits are shown and nobody is asked for any", SOON * 4, || {
        let asked = asks_no_more(&exporter)?;
        rounds += 1;
        commits_of_a_round(&exporter, driver, &witness, rounds)?;
        match asks_no_more(&exporter)? {
            after if after == asked => Ok(()),
            after => Err(format!("round {rounds}: {asked} times, then {after}")),
        }
    });
    assert_eq!(exporter.terminate().code(), Some(0));
}

/// How often coordinators were asked for commits, once they are not asked any more.
fn asks_no_more(exporter: &Exporter) -> Result<f64, String> {
    within(SOON, || {
        let before = offset_fetches(exporter);
        // Statistics come every 10 s: what was asked before is counted by then.
        sleep(Duration::from_secs(12));
        let after = offset_fetches(exporter);
        if before > 0.0 && before == after { Ok(after) } else { Err(format!("coordinators are asked: {after} times")) }
    })
}

/// Four commits are shown, each with the time that stands in its record, then their number, the lag, and that they are
/// deleted.
fn commits_of_a_round(exporter: &Exporter, driver: &Driver, witness: &OffsetsStream, round: i32) -> Result<(), String> {
    let lag = [("consumergroup", "exact"), ("topic", "exact"), ("partition", "0")];
    let mut wrong = Vec::new();
    for offset in 2..6 {
        driver.commit("exact", &[at("exact", 0, offset)]).unwrap();
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let time = shows(exporter, "exact", "exact", offset as f64);
        let told = records(witness, "exact", |read| read.iter().any(|record| offset_of(record) == Some(offset)));
        let made = told.last().map(seconds);
        if time != made {
            wrong.push(format!("round {round}: {offset} is shown as of {time:?}, and was made at {made:?}"));
        }
    }
    let made = 4.0 * f64::from(round);
    exporter.scrape_until("the commits are counted", SOON, |scrape| {
        let counted = scrape.value("kafka_consumergroup_commits_total", &lag[..1]);
        if counted == made { Ok(()) } else { Err(format!("{counted}, not {made}")) }
    });
    assert_eq!(exporter.scrape().value("kafka_consumergroup_lag", &lag), 95.0);
    driver.delete_group_offsets("exact", "exact", &[0]).unwrap();
    exporter.scrape_until("the deleted commit goes", SOON, |scrape| {
        let shown = scrape.get("kafka_consumergroup_current_offset", &lag);
        if shown.is_none() { Ok(()) } else { Err(format!("{shown:?}")) }
    });
    records(witness, "exact", |read| read.iter().any(|record| offset_of(record).is_none()));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// Commits of groups on every partition are shown.
fn all_groups_show(exporter: &Exporter, driver: &Driver, topic: &str, offset: i64) {
    // Numbers in a row lie on partitions in a row.
    let groups: Vec<String> = (0..PARTITIONS).map(|number| format!("other-{number}")).collect();
    for group in &groups {
        driver.commit(group, &[at(topic, 0, offset)]).unwrap();
    }
    for group in &groups {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        shows(exporter, group, topic, offset as f64);
    }
}

#[test]
fn stream_held_up_by_a_hanging_transaction_is_polled_instead() {
    let cluster = Cluster::builder(Version::V4_3_1).start();
    let driver = cluster.driver();
    driver.create_topic("pinned", 1).unwrap();
    driver.produce("pinned", 0, 100).unwrap();
    driver.commit("hangs", &[at("pinned", 0, 1)]).unwrap();
    let (exporter, _dir) = exporter(&cluster.bootstrap(), "");
    all_streaming(&exporter);
    all_groups_show(&exporter, driver, "pinned", 1);
    driver.begin_transaction("hanging").unwrap();
    driver.send_offsets("hanging", "hangs", &[at("pinned", 0, 50)]).unwrap();
    all_groups_show(&exporter, driver, "pinned", 2);
    exporter.scrape_until("the partition is pinned", SOON, |scrape| {
        let (pinned, streaming) = (partitions_in(scrape, "pinned"), partitions_in(scrape, "streaming"));
        if (pinned, streaming) == (1.0, 5.0) { Ok(()) } else { Err(format!("{pinned} pinned, {streaming} streaming")) }
    });
    has_logged(&exporter, "held up by a transaction that neither commits nor aborts");
    all_groups_show(&exporter, driver, "pinned", 3);
    driver.abort_transaction("hanging").unwrap();
    all_streaming(&exporter);
    has_logged(&exporter, "commits are read from all 6 partitions of __consumer_offsets again");
    all_groups_show(&exporter, driver, "pinned", 4);
    shows(&exporter, "hangs", "pinned", 1.0);
    // A leader that is silent for a while on a busy machine has a line of its own.
    let fell_back = exporter.output().matches("held up by a transaction").count();
    assert_eq!(fell_back, 1, "{}", exporter.output());
}

#[test]
fn stream_without_permission_is_polled_and_says_so() {
    let pki = Arc::new(Pki::new());
    let cluster = Cluster::builder(Version::V4_3_1).secured(&pki).authorized().start();
    let root = cluster.driver();
    let (user, password) = PLAIN_USERS[0];
    let principal = format!("User:{user}");
    let allow = |resource, name, operation| Acl {
        principal: &principal,
        resource,
        name,
        pattern: "literal",
        operation,
        permission: "Allow",
    };
    root.create_topic("guarded", 1).unwrap();
    root.create_acls(&[allow("topic", "guarded", "Describe"), allow("group", "*", "Describe")]).unwrap();
    root.commit("guarded", &[at("guarded", 0, 0)]).unwrap();
    let sasl = format!("  sasl: {{mechanism: PLAIN, username: {user}, password: {password}}}\n");
    let (exporter, _dir) = exporter(&cluster.bootstrap_of("SASL_PLAINTEXT"), &sasl);
    has_logged(&exporter, "lacks DESCRIBE and READ on the topic __consumer_offsets");
    shows(&exporter, "guarded", "guarded", 0.0);
    assert_eq!(partitions_in(&exporter.scrape(), "streaming"), 0.0);

    root.create_acls(&[allow("topic", "__consumer_offsets", "Describe")]).unwrap();
    exporter.scrape_until("all partitions failed", SOON, |scrape| {
        let failed = partitions_in(scrape, "failed");
        if failed == 6.0 { Ok(()) } else { Err(format!("{failed}\n{}", exporter.output())) }
    });
    root.commit("guarded", &[at("guarded", 0, 0)]).unwrap();
    shows(&exporter, "guarded", "guarded", 0.0);
    root.create_acls(&[allow("topic", "__consumer_offsets", "Read")]).unwrap();
    all_streaming(&exporter);
    assert_eq!(exporter.terminate().code(), Some(0));
}
