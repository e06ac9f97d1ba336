//! `kafkascope replay` as people run it: recordings in, verdicts out.
//!
//! Each `replay/NAME.jsonl` is replayed (with the flags in `NAME.args`, where there is such a file), and each line of
//! `NAME.expected` is compared with the line that was printed for the same time. What an expectation names must be there
//! as it says, `null` means that it must not be there, `why` is for people; of the rest it says nothing.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::exporter::{Exporter, Outcome};
use crate::exposition::Exposition;
use crate::kafka::{at, shared};
use crate::process::{Process, mortal};
use crate::simulated::{MOVING, PARKED, PARTITIONS, STILL, STOPPED, Simulated};
use crate::tools::scratch;
use crate::wait::eventually;

/// How long a recording of a few thousand lines may take.
const REPLAYED: Duration = Duration::from_secs(60);
/// Values are printed to the thousandth.
const PRECISION: f64 = 0.0011;

#[test]
fn replay_agrees_with_every_case() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/replay");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut recordings: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect();
    recordings.sort();
    let faults: Vec<String> = recordings.iter().flat_map(|recording| disagreements(recording)).collect();
    assert!(recordings.len() >= 15, "only {} recordings", recordings.len());
    assert!(faults.is_empty(), "{} disagreements:\n{}", faults.len(), faults.join("\n"));
}

fn disagreements(recording: &Path) -> Vec<String> {
    let flags = std::fs::read_to_string(recording.with_extension("args")).unwrap_or_default();
    let outcome = replayed(recording, &flags.split_whitespace().collect::<Vec<_>>());
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(0), ""), "{}", recording.display());
    let printed: BTreeMap<i64, Value> = outcome.stdout.lines().map(json).map(|line| (time(&line), line)).collect();
    let expected = std::fs::read_to_string(recording.with_extension("expected")).unwrap();
    let mut faults = Vec::new();
    for expected in expected.lines().map(json) {
        let t = time(&expected);
        let place = format!("{} at {t}", recording.file_stem().unwrap().to_string_lossy());
        let why = expected["why"].as_str().unwrap().to_owned();
        let mut found = Vec::new();
        compare(&expected, printed.get(&t), "", &mut found);
        faults.extend(found.into_iter().map(|fault| format!("{place}{fault} ({why})")));
    }
    faults
}

fn compare(expected: &Value, found: Option<&Value>, path: &str, faults: &mut Vec<String>) {
    match (expected, found) {
        (Value::Null, None) => {}
        (Value::Null, Some(found)) => faults.push(format!("{path} should not be there: {found}")),
        (_, None) => faults.push(format!("{path} is not there")),
        (Value::Object(expected), Some(found)) => {
            for (key, value) in expected.iter().filter(|(key, _)| *key != "why") {
                compare(value, found.get(key), &format!("{path}.{key}"), faults);
            }
        }
        (expected, Some(found)) => {
            let is_same = match (expected.as_f64(), found.as_f64()) {
                (Some(expected), Some(found)) => (expected - found).abs() <= PRECISION,
                _ => expected == found,
            };
            if !is_same {
                faults.push(format!("{path} is {found}, not {expected}"));
            }
        }
    }
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn time(line: &Value) -> i64 {
    line["t"].as_i64().unwrap()
}

fn replayed(recording: &Path, flags: &[&str]) -> Outcome {
    Exporter::builder().args(["replay", &recording.to_string_lossy()]).args(flags).run(REPLAYED)
}

fn replayed_text(text: &str, flags: &[&str]) -> Outcome {
    let directory = scratch("replay");
    let file = directory.path().join("recording.jsonl");
    std::fs::write(&file, text).unwrap();
    replayed(&file, flags)
}

const TWO_GROUPS: &str = concat!(
    r#"{"t": 500000, "cluster": "c", "topics": {"t1": {"partitions": {"0": {"start": 0, "end": 5200}}}}, "#,
    r#""groups": {"g1": {"state": "Stable", "members": 1, "commits": {"t1": {"0": {"offset": 5000, "time": 500000}}}}}}"#,
    "\n\n",
    r#"{"t": 600000, "print": true}"#,
);

#[test]
fn replay_prints_one_line_a_print_and_reads_standard_input() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kafkascope"))
        .args(["replay", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The last line has no newline.
    child.stdin.take().unwrap().write_all(TWO_GROUPS.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let expected = concat!(
        r#"{"t":600000,"clusters":{"c":{"groups":{"g1":{"status":"OK","lag":200,"lost":0,"topics":{"t1":{"0":"#,
        r#"{"committed":5000,"lag":200,"status":"OK","complete":0.1}}}}}}}}"#,
        "\n"
    );
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[test]
fn replay_prints_expositions_that_parse() {
    let twice = format!("{TWO_GROUPS}\n{{\"t\": 700000, \"print\": true}}\n");
    let outcome = replayed_text(&twice, &["--output", "prometheus"]);
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(0), ""));
    let expositions: Vec<&str> = outcome.stdout.split("\n\n").filter(|text| !text.trim().is_empty()).collect();
    assert_eq!(expositions.len(), 2, "{}", outcome.stdout);
    for text in expositions {
        let seen = Exposition::parse(&format!("{text}\n")).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
        let labels = [("cluster_name", "c"), ("consumergroup", "g1"), ("topic", "t1"), ("partition", "0")];
        assert_eq!(seen.get("kafka_consumergroup_lag", &labels), Some(200.0));
        assert!(seen.all("kafka_brokers", &[]).is_empty(), "nothing is said of what is not recorded");
    }
}

#[test]
fn replay_names_the_line_that_is_wrong_and_prints_nothing_after_it() {
    let good = r#"{"t": 10, "topics": {"t1": {"partitions": {"0": {"end": 5}}}}}"#;
    let print = r#"{"t": 20, "print": true}"#;
    for (bad, part) in [
        ("{\"t\": 20", "not a JSON object"),
        ("[1]", "line 3"),
        ("{}", "t"),
        (r#"{"t": -1}"#, "t: "),
        (r#"{"t": 1.5}"#, "whole number of milliseconds"),
        (r#"{"t": "10"}"#, "whole number of milliseconds"),
        (r#"{"t": 9}"#, "t is 9, and an earlier line was at 20"),
        (r#"{"t": 20, "topic": {}}"#, "topic"),
        (r#"{"t": 20, "topics": []}"#, "topics: "),
        (r#"{"t": 20, "topics": {"t1": {"partitions": {"0": {"end": -5}}}}}"#, "topics.t1.partitions.0.end: "),
        (r#"{"t": 20, "topics": {"t1": {"partitions": {"x": {"end": 5}}}}}"#, "a partition number from 0 to 99999"),
        (r#"{"t": 20, "groups": {"g1": {"commits": {"t1": {"0": {"time": 5}}}}}}"#, "groups.g1.commits.t1.0: missing"),
    ] {
        let outcome = replayed_text(&format!("{good}\n{print}\n{bad}\n{print}\n"), &[]);
        assert_eq!(outcome.status.code(), Some(2), "{bad}");
        assert_eq!(outcome.stdout.lines().count(), 1, "{bad}: {}", outcome.stdout);
        assert!(outcome.stderr.contains("line 3: ") && outcome.stderr.contains(part), "{bad}: {}", outcome.stderr);
    }
    let missing = Exporter::builder().args(["replay", "/does/not/exist.jsonl"]).run(REPLAYED);
    assert_eq!(missing.status.code(), Some(2));
    assert!(missing.stderr.contains("/does/not/exist.jsonl"), "{}", missing.stderr);
}

/// A group's lag on a partition, by the last line that was printed.
fn printed_lag(outcome: &Outcome, cluster: &str, group: &str, topic: &str, partition: usize) -> Option<u64> {
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(0), ""));
    let last = json(outcome.stdout.lines().last().expect("a line"));
    last["clusters"][cluster]["groups"][group]["topics"][topic][partition.to_string()]["lag"].as_u64()
}

/// The recording with the wish to print at its end.
fn printed_at_the_end(recording: &Path) -> String {
    let text = std::fs::read_to_string(recording).unwrap();
    let t = time(&json(text.lines().last().expect("a recorded line")));
    format!("{text}{{\"t\": {t}, \"print\": true}}\n")
}

#[test]
fn replay_of_a_recorded_cluster_shows_what_was_there() {
    let simulated = Simulated::cast();
    let directory = scratch("record");
    let file = directory.path().join("recording.jsonl");
    let outcome = Exporter::builder()
        .args(["record", "--bootstrap-servers", &simulated.bootstrap(), "--duration", "4s", "--interval", "1s"])
        .args(["--polling-mode", "fixed", "--output", &file.to_string_lossy()])
        .run(REPLAYED);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
    let replayed = replayed_text(&printed_at_the_end(&file), &[]);
    for group in PARKED {
        for partition in 0..PARTITIONS {
            let lag = u64::try_from(50 + 9 * partition).unwrap();
            assert_eq!(printed_lag(&replayed, "default", group, STILL, partition), Some(lag), "{group} {partition}");
        }
    }
    let behind: u64 = (0..PARTITIONS).filter_map(|id| printed_lag(&replayed, "default", STOPPED, MOVING, id)).sum();
    assert!(behind >= 100, "{behind}");
    let text = std::fs::read_to_string(&file).unwrap();
    let named = text.lines().filter(|line| line.contains(&format!("\"{MOVING}\":{{\"partitions\""))).count();
    assert!(named >= 2, "what moves is recorded pass by pass: {text}");
}

#[test]
fn record_ends_in_order_on_a_signal_and_when_its_file_is_full() {
    let simulated = Simulated::cast();
    let directory = scratch("record");
    let file = directory.path().join("recording.jsonl");
    let mut command = mortal(env!("CARGO_BIN_EXE_kafkascope"));
    command.args(["record", "--bootstrap-servers", &simulated.bootstrap(), "--output"]).arg(&file);
    let process = Process::start("record", command, &directory.path().join("log"));
    eventually("something is recorded", REPLAYED, || match std::fs::read_to_string(&file) {
        Ok(text) if text.ends_with('\n') => Ok(()),
        _ => Err(process.output()),
    });
    process.signal(Signal::INT);
    assert_eq!(process.wait(REPLAYED).unwrap().code(), Some(0), "{}", process.output());
    assert_eq!(replayed_text(&printed_at_the_end(&file), &[]).status.code(), Some(0));

    let outcome = Exporter::builder()
        .args(["record", "--bootstrap-servers", &simulated.bootstrap(), "--output", "/dev/full"])
        .run(REPLAYED);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(outcome.stderr.contains("the recording cannot be written"), "{}", outcome.stderr);
}

#[test]
fn replay_of_a_recorded_kafka_shows_its_lag() {
    let kafka = shared();
    let driver = kafka.driver();
    driver.create_topic("recorded-orders", 2).unwrap();
    driver.produce("recorded-orders", 0, 20).unwrap();
    driver.produce("recorded-orders", 1, 10).unwrap();
    driver.commit("recorded-billing", &[at("recorded-orders", 0, 12), at("recorded-orders", 1, 10)]).unwrap();
    let directory = scratch("record");
    let file = directory.path().join("recording.jsonl");
    let outcome = Exporter::builder()
        .args(["record", "--bootstrap-servers", &kafka.bootstrap(), "--duration", "10s", "--output"])
        .args([&file.to_string_lossy()])
        .args(["--topic-include", "^recorded-", "--group-include", "^recorded-"])
        .run(REPLAYED);
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    let replayed = replayed_text(&printed_at_the_end(&file), &[]);
    let lag = |partition| printed_lag(&replayed, "default", "recorded-billing", "recorded-orders", partition);
    assert_eq!((lag(0), lag(1)), (Some(8), Some(0)), "{}", replayed.stdout);
}
