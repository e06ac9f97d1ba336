//! Groups that have read everything of a transactional topic are well, whichever offset their client commits for that.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::{Commits, Driver, Protocol, shared};
use crate::promises::Watcher;
use crate::tools::scratch;
use crate::truth::QUICK;
use crate::wait::eventually;

/// A few passes, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
const TOPIC: &str = "transactions-topic";
const PRODUCER: &str = "transactions-producer";
/// Each with what its client commits, the client's isolation level, and the offsets that it stays behind by: a transaction
/// ends with a marker, which takes an offset and is no record.
const GROUPS: [(&str, Commits, &str, f64); 4] = [
    ("transactions-records-all", Commits::Records, "read_uncommitted", 1.0),
    ("transactions-position-all", Commits::Position, "read_uncommitted", 0.0),
    ("transactions-records-stable", Commits::Records, "read_committed", 1.0),
    ("transactions-position-stable", Commits::Position, "read_committed", 0.0),
];
/// Transactions while everybody reads on, and so many passes afterwards, more than a verdict looks back on.
const TRANSACTIONS: u32 = 25;
const PASSES_AFTER: f64 = 8.0;

fn transaction(driver: &Driver) {
    driver.begin_transaction(PRODUCER).unwrap();
    driver.produce_with(json!({"name": PRODUCER, "topic": TOPIC, "partition": 0, "count": 5})).unwrap();
    driver.commit_transaction(PRODUCER).unwrap();
}

fn of_group(scrape: &Exposition, name: &str) -> HashMap<String, f64> {
    let samples = scrape.all(name, &[]);
    samples.iter().map(|sample| (sample.label("consumergroup").to_owned(), sample.value)).collect()
}

fn lags_are_arithmetic(scrape: &Exposition) -> Result<(), String> {
    let lags = of_group(scrape, "kafka_consumergroup_lag");
    let expected = GROUPS.iter().all(|(group, .., behind)| lags.get(*group) == Some(behind));
    if expected { Ok(()) } else { Err(format!("{lags:?}")) }
}

fn all_are_well(scrape: &Exposition) -> Result<(), String> {
    let shown = of_group(scrape, "kafka_consumergroup_status");
    let well = GROUPS.iter().all(|(group, ..)| shown.get(*group) == Some(&1.0));
    if well {
        return Ok(());
    }
    let lags = of_group(scrape, "kafka_consumergroup_lag");
    let parts = of_group(scrape, "kafka_consumergroup_partition_status");
    Err(format!("status {shown:?}, of the partition {parts:?}, lags {lags:?}"))
}

fn config(bootstrap: &str) -> String {
    format!(
        "status: {{intervals: 3, min_distance: 1s}}\nclusters:\n- bootstrap_servers: ['{bootstrap}']\n  \
         topics: {{include: ['^{TOPIC}$']}}\n  groups:\n    include: ['^transactions-']\n    \
         overrides: [{{groups: ['-stable$'], isolation: read_committed}}]\n"
    )
}

#[test]
fn clients_that_have_read_every_transaction_are_well_whatever_they_commit() {
    let driver = shared().driver();
    driver.create_topic(TOPIC, 1).unwrap();
    transaction(driver);
    for (group, commits, isolation, _) in GROUPS {
        let properties = [("isolation.level", isolation)];
        driver.start_consumer_that(group, group, &[TOPIC], Protocol::Classic, 0, commits, &properties).unwrap();
    }
    let dir = scratch("transactions");
    let file = dir.path().join("config.yml");
    std::fs::write(&file, config(&shared().bootstrap())).unwrap();
    let exporter = Exporter::builder().args(["--config", file.to_str().unwrap()]).args(QUICK).start();
    exporter.ready();
    exporter.scrape_until("everybody has read all", SOON, |scrape| {
        all_are_well(scrape).and_then(|()| lags_are_arithmetic(scrape))
    });
    let mut watcher = Watcher::start(exporter.address(), all_are_well);
    for turn in 0..TRANSACTIONS {
        transaction(driver);
        // Out of step with the polls.
        sleep(Duration::from_millis(150 + u64::from(turn % 7) * 170));
        watcher.content();
    }
    exporter.scrape_until("all is read again", SOON, lags_are_arithmetic);
    let passes = |scrape: &Exposition| scrape.value("kafkascope_pass_duration_seconds_count", &[]);
    let before = passes(&exporter.scrape());
    exporter.scrape_until("nothing moves for longer than a verdict looks back", SOON, |scrape| {
        lags_are_arithmetic(scrape)?;
        if passes(scrape) >= before + PASSES_AFTER { Ok(()) } else { Err(passes(scrape).to_string()) }
    });
    watcher.finish(20);
    agrees_with_kafka(driver);
    for (group, ..) in GROUPS {
        driver.stop_consumer(group).unwrap();
    }
}

/// That the test's own numbers are right.
fn agrees_with_kafka(driver: &Driver) {
    eventually("Kafka says so, too", SOON, || {
        let truth = driver.truth("transactions-").map_err(|error| error.to_string())?;
        let end = truth.partition(TOPIC, 0).and_then(|row| row.stable).ok_or("no end")?;
        for (group, .., behind) in GROUPS {
            let committed = truth.committed(group, TOPIC, 0).ok_or("no commit")?;
            #[expect(clippy::cast_precision_loss, reason = "small offsets")]
            if (end - committed) as f64 != behind {
                return Err(format!("{group}: {committed} of {end}"));
            }
        }
        Ok(())
    });
}
