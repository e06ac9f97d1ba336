//! The time lag where no history reaches: by the broker, at once after a start, and asked for only where a group is behind.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kafkascope::sim::spec::{GroupSpec, Position, TopicSpec};
use kafkascope::sim::{Api, Spec};
use serde_json::json;

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::{Driver, at, shared};
use crate::simulated::Simulated;
use crate::truth::QUICK;

/// A few passes, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
const TOPIC: &str = "append-times";
/// Records, and how far their times are apart.
const RECORDS: i64 = 10;
const APART: Duration = Duration::from_secs(600);
/// What a search may stop at, in seconds.
const TOLERANCE: f64 = 1.01;

/// Writes the records as if they had come one by one; returns their times in seconds.
fn write(driver: &Driver) -> Vec<f64> {
    driver.create_topic(TOPIC, 1).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let times: Vec<Duration> =
        (0..RECORDS).map(|record| now - APART * u32::try_from(RECORDS - record).unwrap()).collect();
    for time in &times {
        let row = json!({"topic": TOPIC, "partition": 0, "count": 1, "timestamp": time.as_millis()});
        driver.produce_with(row).unwrap();
    }
    times.iter().map(Duration::as_secs_f64).collect()
}

/// The append time of the oldest unread record, when it is that of `expected`.
fn oldest_unread(scrape: &Exposition, group: &str, expected: f64) -> Result<f64, String> {
    let labels = [("consumergroup", group)];
    let found = scrape.get("kafka_consumergroup_oldest_unread_timestamp_seconds", &labels);
    match found {
        Some(time) if time <= expected + 0.01 && time >= expected - TOLERANCE => Ok(time),
        _ => Err(format!("{group}: {found:?}, expected {expected}")),
    }
}

fn by_broker(scrape: &Exposition) -> f64 {
    scrape.value("kafkascope_time_lag_partitions", &[("method", "broker")])
}

fn start(method: &str) -> Exporter {
    let only = ["--topic-include", "^append-times$", "--group-include", "^append-times-", "--time-lag", method];
    let exporter = Exporter::start(&shared().bootstrap(), &[&QUICK[..], &only].concat());
    exporter.ready();
    exporter
}

#[test]
fn append_times_are_told_by_the_broker_after_every_start() {
    let driver = shared().driver();
    let times = write(driver);
    let (moves, done) = ("append-times-moves", "append-times-done");
    driver.commit(done, &[at(TOPIC, 0, RECORDS)]).unwrap();
    for (method, committed) in [("auto", 3), ("auto", 3), ("broker", 5)] {
        driver.commit(moves, &[at(TOPIC, 0, committed)]).unwrap();
        let exporter = start(method);
        let place = usize::try_from(committed).unwrap();
        exporter.scrape_until("the broker tells the time", SOON, |scrape| oldest_unread(scrape, moves, times[place]));
        let scrape = exporter.scrape();
        assert_eq!(by_broker(&scrape), 1.0, "{method}");
        let lag = scrape.value("kafka_consumergroup_lag_seconds", &[("consumergroup", moves)]);
        let made = scrape.value("kafkascope_snapshot_timestamp_seconds", &[]);
        assert!(lag >= made - times[place] - 1.0, "{lag} s at {made}");
        let caught_up = scrape.get("kafka_consumergroup_lag_seconds", &[("consumergroup", done)]);
        assert_eq!(caught_up, Some(0.0), "{method}");
        // Asked again as the commit moves.
        driver.commit(moves, &[at(TOPIC, 0, committed + 1)]).unwrap();
        exporter.scrape_until("the next record's time", SOON, |scrape| oldest_unread(scrape, moves, times[place + 1]));
        driver.commit(moves, &[at(TOPIC, 0, RECORDS)]).unwrap();
        exporter.scrape_until("it has caught up", SOON, |scrape| {
            let lag = scrape.get("kafka_consumergroup_lag_seconds", &[("consumergroup", moves)]);
            if lag == Some(0.0) { Ok(()) } else { Err(format!("{lag:?}")) }
        });
        assert_eq!(by_broker(&exporter.scrape()), 0.0);
        assert!(exporter.terminate().success());
    }
}

/// Passes that are looked at.
const PASSES: usize = 5;
/// Of the simulated topic.
const PARTITIONS: usize = 4;

/// How many ListOffsets each of some passes takes. There is one broker, and one group, which has read all there is; when it
/// `falls_behind`, records come in the midst of it.
fn questions(method: &str, falls_behind: bool) -> Vec<u64> {
    let group = GroupSpec::stopped("group", &["still"], Position::Nowhere);
    let simulated = Simulated::start(Spec::new(1, 3).topic(TopicSpec::empty("still", PARTITIONS)).group(group));
    let ends_at = |end: i64| {
        simulated.edit(|world| {
            (0..PARTITIONS).for_each(|partition| world.set_end_offset("still", partition, end).unwrap());
        });
    };
    ends_at(100);
    simulated.edit(|world| {
        (0..PARTITIONS).for_each(|partition| world.set_commit("group", "still", partition, Some(100)).unwrap());
    });
    let exporter = Exporter::start(&simulated.bootstrap(), &[&QUICK[..], &["--time-lag", method]].concat());
    exporter.ready();
    let mut least = BTreeMap::<u64, u64>::new();
    let begun = Instant::now();
    while least.len() < PASSES + 3 {
        assert!(begun.elapsed() < SOON, "too few passes: {least:?}");
        if falls_behind && least.len() == 4 {
            ends_at(200);
        }
        let passes = exporter.scrape().value("kafkascope_pass_duration_seconds_count", &[]);
        let asked = simulated.requests(1, Api::ListOffsets).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
        let of_pass = least.entry(passes as u64).or_insert(asked);
        *of_pass = asked.min(*of_pass);
        sleep(Duration::from_millis(20));
    }
    // The first is the one that found all out; the last may not be over.
    let counts: Vec<u64> = least.into_values().take(PASSES + 2).collect();
    counts.windows(2).skip(1).map(|pair| pair[1] - pair[0]).collect()
}

#[test]
fn append_times_of_groups_that_are_caught_up_are_not_asked_for() {
    let without = questions("history", false);
    assert!(without.iter().all(|asked| *asked > 0 && *asked == without[0]), "{without:?}");
    assert_eq!(questions("broker", false), without);
    assert_eq!(questions("history", true), without);
    let behind = questions("broker", true);
    assert!(behind.iter().sum::<u64>() > without.iter().sum(), "{behind:?} behind, {without:?} caught up");
}
