//! What the exporter remembers goes on after a restart, and a bad state file costs no more than the history.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::{self, at};
use crate::simulated::{PARTITIONS, Simulated};
use crate::tools::scratch;

/// For what takes some passes.
const SOON: Duration = Duration::from_secs(45);

const SAVED_AT: &str = "kafkascope_state_file_last_success_timestamp_seconds";
const BYTES: &str = "kafkascope_state_file_bytes";

fn start(bootstrap: &str, file: &Path, more: &[&str]) -> Exporter {
    let file = file.to_str().unwrap();
    Exporter::start(bootstrap, &[&["--interval", "1s", "--state-file", file], more].concat())
}

/// Waits until every end of the simulated topics was read.
fn has_read(exporter: &Exporter) {
    exporter.scrape_until("all ends are read", SOON, |scrape| {
        let known = scrape.all("kafka_topic_partition_current_offset", &[]).len();
        if known == 2 * PARTITIONS { Ok(()) } else { Err(format!("{known} ends")) }
    });
}

/// The line of the log that begins so.
fn said(exporter: &Exporter, begin: &str) -> serde_json::Value {
    let message = |line: &serde_json::Value| line.get("message").and_then(|text| text.as_str()).map(str::to_owned);
    let log = exporter.log();
    let found = log.iter().find(|line| message(line).is_some_and(|text| text.starts_with(begin)));
    found.unwrap_or_else(|| panic!("nothing begins with {begin:?}:\n{}", exporter.output())).clone()
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

#[test]
fn the_state_file_is_written_at_a_stop_and_read_at_a_start() {
    let (cluster, dir) = (Simulated::cast(), scratch("state"));
    let (bootstrap, file) = (cluster.bootstrap(), dir.path().join("state"));
    let first = start(&bootstrap, &file, &[]);
    said(&first, "there is no state file");
    has_read(&first);
    let scrape = first.scrape();
    assert_eq!((scrape.get(SAVED_AT, &[]), scrape.get(BYTES, &[])), (None, None), "there is none yet");
    assert!(first.terminate().success());
    assert_eq!(files(dir.path()), ["state"]);
    let written = std::fs::read(&file).unwrap();

    let second = start(&bootstrap, &file, &[]);
    let line = said(&second, "the history of the clusters goes on");
    assert_eq!(line["partitions"], 2 * PARTITIONS, "{line}");
    second.ready();
    let scrape = second.scrape();
    #[expect(clippy::cast_precision_loss, reason = "a small file")]
    let bytes = written.len() as f64;
    assert_eq!(scrape.value(BYTES, &[]), bytes);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let saved_at = scrape.value(SAVED_AT, &[]);
    assert!(saved_at > now - 600.0 && saved_at <= now, "{saved_at} at {now}");
    assert!(second.interrupt().success());

    let mut damaged = std::fs::read(&file).unwrap();
    damaged[20] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    let third = start(&bootstrap, &file, &[]);
    said(&third, &format!("the state file {} cannot be used, for it is damaged", file.display()));
    has_read(&third);
    assert!(third.terminate().success());
    assert_eq!(files(dir.path()), ["state", "state.damaged"]);
    assert_eq!(std::fs::read(dir.path().join("state.damaged")).unwrap(), damaged);
    said(&start(&bootstrap, &file, &[]), "the history of the clusters goes on");
}

#[test]
fn the_state_file_that_is_somebody_elses_is_left_alone() {
    let (cluster, dir) = (Simulated::cast(), scratch("state"));
    let file = dir.path().join("notes.txt");
    std::fs::write(&file, "do not forget").unwrap();
    let exporter = start(&cluster.bootstrap(), &file, &[]);
    has_read(&exporter);
    said(&exporter, &format!("{} is no state file of kafkascope", file.display()));
    assert!(exporter.terminate().success());
    assert_eq!(std::fs::read(&file).unwrap(), b"do not forget");
    assert_eq!(files(dir.path()), ["notes.txt"]);
}

/// When the oldest unread record was appended, as far as is known.
fn oldest_unread(scrape: &Exposition) -> Option<f64> {
    scrape.get("kafka_consumergroup_oldest_unread_timestamp_seconds", &[("consumergroup", "state-group")])
}

fn has_lag(scrape: &Exposition, lag: f64) -> Result<(), String> {
    let found = scrape.get("kafka_consumergroup_lag", &[("consumergroup", "state-group")]);
    if found == Some(lag) { Ok(()) } else { Err(format!("lag {found:?}")) }
}

#[test]
fn the_state_file_makes_time_lag_go_on_after_a_restart() {
    let driver = kafka::shared().driver();
    let dir = scratch("state");
    let file: PathBuf = dir.path().join("state");
    let history = ["--time-lag", "history", "--topic-include", "^state-topic$"];
    let bootstrap = kafka::shared().bootstrap();
    let run = |file: &Path| start(&bootstrap, file, &history);
    driver.create_topic("state-topic", 1).unwrap();
    driver.produce("state-topic", 0, 10).unwrap();
    driver.commit("state-group", &[at("state-topic", 0, 10)]).unwrap();

    let first = run(&file);
    first.scrape_until("the group has caught up", SOON, |scrape| has_lag(scrape, 0.0));
    driver.produce("state-topic", 0, 5).unwrap();
    let before = first.scrape_until("the history tells the time lag", SOON, |scrape| {
        has_lag(scrape, 5.0)?;
        oldest_unread(scrape).ok_or_else(|| "no time".to_owned())
    });
    assert!(first.terminate().success());

    // Without the file nothing is known of the time before.
    let stranger = run(&dir.path().join("other"));
    stranger.scrape_until("the lag is known", SOON, |scrape| has_lag(scrape, 5.0));
    assert_eq!(oldest_unread(&stranger.scrape()), None);
    assert!(stranger.terminate().success());

    let second = run(&file);
    let after = second.scrape_until("the time lag goes on", SOON, |scrape| {
        has_lag(scrape, 5.0)?;
        oldest_unread(scrape).ok_or_else(|| "no time".to_owned())
    });
    assert!((after - before).abs() < 0.01, "{before} before, {after} after");
    assert!(second.terminate().success());

    // Under the name there is another topic now, with more records than the former had.
    driver.delete_topic("state-topic").unwrap();
    driver.create_topic("state-topic", 1).unwrap();
    driver.produce("state-topic", 0, 20).unwrap();
    driver.commit("state-group", &[at("state-topic", 0, 12)]).unwrap();
    let third = run(&file);
    third.scrape_until("the lag on the new topic is known", SOON, |scrape| has_lag(scrape, 8.0));
    assert_eq!(oldest_unread(&third.scrape()), None, "its history is not that of the former");
}
