//! Prometheus's own judgement: promtool, the OpenMetrics parser of its Python client, and a server that scrapes.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::http;
use crate::process::{Process, mortal, spawn};
use crate::tools::{free_ports, installed, scratch};
use crate::wait::eventually;

/// How long a Prometheus or an Alertmanager may take until it answers.
const START: Duration = Duration::from_secs(60);

/// What `promtool check metrics` complains of, a line each; panics where it cannot even read the body.
#[track_caller]
pub(crate) fn promtool_complaints(body: &str) -> Vec<String> {
    let mut promtool = mortal(installed("KAFKASCOPE_TEST_PROMTOOL"));
    promtool.args(["check", "metrics"]);
    let output = fed(promtool, body);
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    // 1: unreadable, 3: readable with complaints.
    assert!(matches!(output.status.code(), Some(0 | 3)), "promtool: {}: {text}", output.status);
    text.lines().map(str::to_owned).collect()
}

/// Reads a body with `prometheus_client`'s OpenMetrics parser and counts its families; the error is the parser's.
#[track_caller]
pub(crate) fn openmetrics_families(body: &str) -> Result<usize, String> {
    let mut python = mortal(installed("KAFKASCOPE_TEST_PYTHON"));
    python.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openmetrics.py"));
    let output = fed(python, body);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let count = String::from_utf8_lossy(&output.stdout).trim().parse();
    Ok(count.expect("a number from openmetrics.py"))
}

/// Runs a program to its end with a text on its stdin.
fn fed(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command).expect("a checker that can be started");
    let mut stdin = child.stdin.take().expect("a pipe");
    let text = input.to_owned();
    // Beside the reading of its output, so that neither waits for the other. One that stops reading early
    // says why in its output.
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("its output");
    let _broken_pipe = writer.join();
    output
}

/// A Prometheus server; dropping it ends it.
pub(crate) struct Prometheus {
    address: SocketAddr,
    process: Process,
    _dir: tempfile::TempDir,
}

/// How a server is put together.
pub(crate) struct Builder {
    interval: String,
    jobs: Vec<(String, Vec<SocketAddr>)>,
    rules: Vec<(String, String)>,
    alertmanager: Option<SocketAddr>,
}

impl Builder {
    /// Adds targets that are one job.
    pub(crate) fn job(mut self, name: &str, targets: &[SocketAddr]) -> Self {
        self.jobs.push((name.to_owned(), targets.to_vec()));
        self
    }

    /// Adds rule files: names and contents.
    pub(crate) fn rules(mut self, files: &[(String, String)]) -> Self {
        self.rules.extend_from_slice(files);
        self
    }

    /// Sends alerts there.
    pub(crate) fn alertmanager(mut self, address: SocketAddr) -> Self {
        self.alertmanager = Some(address);
        self
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(self) -> Prometheus {
        let dir = scratch("prometheus");
        let config = dir.path().join("prometheus.yml");
        std::fs::write(&config, self.configuration()).expect("prometheus.yml");
        for (name, text) in &self.rules {
            std::fs::write(dir.path().join(name), text).expect("a rule file");
        }
        let address = SocketAddr::from(([127, 0, 0, 1], free_ports(1)[0]));
        let mut command = mortal(installed("KAFKASCOPE_TEST_PROMETHEUS"));
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let process = Process::start("prometheus", command, &dir.path().join("prometheus.log"));
        let server = Prometheus { address, process, _dir: dir };
        until_ready("Prometheus", &server.process, address);
        server
    }

    /// JSON, which is YAML too.
    fn configuration(&self) -> String {
        let interval = &self.interval;
        let jobs: Vec<Value> = self
            .jobs
            .iter()
            .map(|(name, targets)| json!({"job_name": name, "static_configs": [{"targets": targets}]}))
            .collect();
        let files: Vec<&String> = self.rules.iter().map(|(name, _)| name).collect();
        let alertmanagers: Vec<Value> =
            self.alertmanager.iter().map(|address| json!({"static_configs": [{"targets": [address]}]})).collect();
        let document = json!({
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": files,
            "scrape_configs": jobs,
            "alerting": {"alertmanagers": alertmanagers},
        });
        document.to_string()
    }
}

/// Waits until a server of Prometheus's kind is ready; panics with its last words when it ends instead.
#[track_caller]
pub(crate) fn until_ready(name: &str, process: &Process, address: SocketAddr) {
    eventually(&format!("{name} is ready"), START, || {
        if let Some(status) = process.ended() {
            panic!("{name} ended: {status}\n{}", process.tail());
        }
        let response = http::get(address, "/-/ready", &[])?;
        (response.status == 200).then_some(()).ok_or_else(|| response.text())
    });
}

/// A series and its value in a query's answer.
pub(crate) type Series = (BTreeMap<String, String>, f64);

impl Prometheus {
    /// A server that is to scrape every `interval` (such as "1s"), as often as it evaluates rules.
    pub(crate) fn builder(interval: &str) -> Builder {
        Builder { interval: interval.to_owned(), jobs: Vec::new(), rules: Vec::new(), alertmanager: None }
    }

    /// Starts one that scrapes `target` as job "kafkascope" every `interval` (such as "1s").
    #[track_caller]
    pub(crate) fn start(target: SocketAddr, interval: &str) -> Self {
        Self::builder(interval).job("kafkascope", &[target]).start()
    }

    /// What it says of itself.
    #[track_caller]
    pub(crate) fn own_metrics(&self) -> String {
        http::get(self.address, "/metrics", &[]).unwrap_or_else(|fault| panic!("{fault}")).text()
    }

    /// What is wrong with its rules, by name: the error of their last evaluation. Rules that were not evaluated yet are
    /// left out.
    #[track_caller]
    pub(crate) fn rule_faults(&self) -> Vec<(String, String)> {
        let faults = self.rules().into_iter().filter(|rule| rule["health"] == "err");
        faults.map(|rule| (rule["name"].to_string(), rule["lastError"].to_string())).collect()
    }

    /// Its rules, as its API shows them: <https://prometheus.io/docs/prometheus/latest/querying/api/#rules>.
    #[track_caller]
    pub(crate) fn rules(&self) -> Vec<Value> {
        let response = http::get(self.address, "/api/v1/rules", &[]).unwrap_or_else(|fault| panic!("{fault}"));
        let answer: Value = serde_json::from_str(&response.text()).expect("JSON from Prometheus");
        let groups = answer["data"]["groups"].as_array().expect("groups").iter();
        groups.flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
    }

    /// An instant query's answer; panics with what Prometheus says of a bad one.
    #[track_caller]
    pub(crate) fn query(&self, expression: &str) -> Vec<Series> {
        self.answer(expression, &format!("query?query={}", percent_encoded(expression)), last_value)
    }

    /// An instant query's answer at a time, in seconds of Unix.
    #[track_caller]
    pub(crate) fn query_at(&self, expression: &str, time: u64) -> Vec<Series> {
        self.answer(expression, &format!("query?query={}&time={time}", percent_encoded(expression)), last_value)
    }

    /// A range query's answer: of each series that is there at the end, the value there.
    #[track_caller]
    pub(crate) fn query_range(&self, expression: &str, times: (u64, u64), step: u64) -> Vec<Series> {
        let ((start, end), query) = (times, percent_encoded(expression));
        let path = format!("query_range?query={query}&start={start}&end={end}&step={step}");
        self.answer(expression, &path, |row| {
            let last = row["values"].as_array()?.last()?;
            (last[0].as_f64() == Some(seconds(end))).then(|| number(&last[1])).flatten()
        })
    }

    #[track_caller]
    fn answer(&self, expression: &str, path: &str, value: impl Fn(&Value) -> Option<f64>) -> Vec<Series> {
        let response =
            http::get(self.address, &format!("/api/v1/{path}"), &[]).unwrap_or_else(|fault| panic!("{fault}"));
        let answer: Value = serde_json::from_str(&response.text()).expect("JSON from Prometheus");
        assert_eq!(answer["status"], "success", "{expression}: {answer}");
        let rows = answer["data"]["result"].as_array().expect("a vector").clone();
        rows.into_iter()
            .filter_map(|row| {
                let labels = serde_json::from_value(row["metric"].clone()).expect("labels");
                value(&row).map(|value| (labels, value))
            })
            .collect()
    }
}

fn last_value(row: &Value) -> Option<f64> {
    Some(number(&row["value"][1]).expect("a value"))
}

fn number(value: &Value) -> Option<f64> {
    value.as_str()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "seconds of Unix are small")]
fn seconds(time: u64) -> f64 {
    time as f64
}

fn percent_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
