//! The configuration is read again while the exporter runs: what has changed is, what has not does not notice, and what is
//! wrong changes nothing.

use std::path::PathBuf;
use std::time::Duration;

use kafkascope::sim::{Api, Spec};

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::http;
use crate::promises::coherent;
use crate::simulated::{MOVING, PARKED, STILL, Simulated};
use crate::tools::scratch;
use crate::wait::eventually;

/// For what takes some passes.
const SOON: Duration = Duration::from_secs(45);

/// What every file begins with: short intervals, so that passes are many.
const QUICK: &str = "web: {admin: true}\npolling: {interval: 1s, request_timeout: 1s}\n";

/// An exporter with a config file that changes.
struct Reloaded {
    exporter: Exporter,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Reloaded {
    fn start(clusters: &[String]) -> Self {
        let dir = scratch("reload");
        let file = dir.path().join("kafkascope.yml");
        std::fs::write(&file, text(clusters)).unwrap();
        let exporter = Exporter::builder().args(["--config", file.to_str().unwrap()]).start();
        Self { exporter, file, _dir: dir }
    }

    /// Writes a file and sends SIGHUP; returns the line of the log that says what came of it.
    #[track_caller]
    fn hangup(&self, text: &str) -> String {
        std::fs::write(&self.file, text).unwrap();
        let before = self.outcomes().len();
        self.exporter.hangup();
        eventually("the reload is over", SOON, || {
            let outcomes = self.outcomes();
            if outcomes.len() > before { Ok(outcomes.last().unwrap().clone()) } else { Err(self.exporter.output()) }
        })
    }

    fn outcomes(&self) -> Vec<String> {
        let is_outcome = |line: &String| {
            line.starts_with("configuration reloaded: ") || line.starts_with("the configuration was not reloaded")
        };
        self.said().into_iter().filter(is_outcome).collect()
    }

    /// Every message of the log.
    fn said(&self) -> Vec<String> {
        let message = |line: &serde_json::Value| line.get("message")?.as_str().map(str::to_owned);
        self.exporter.log().iter().filter_map(message).collect()
    }

    #[track_caller]
    fn post(&self) -> http::Response {
        http::request("POST", self.exporter.address(), "/-/reload", &[], b"").unwrap()
    }

    #[track_caller]
    fn until(&self, what: &str, probe: impl Fn(&Exposition) -> bool) -> Exposition {
        self.exporter.scrape_until(what, SOON, |scrape| {
            if probe(scrape) { Ok(scrape.clone()) } else { Err("not so".to_owned()) }
        })
    }

    /// Waits until the lag that stands still is read for a cluster, with more labels.
    #[track_caller]
    fn until_lag(&self, labels: &[(&str, &str)]) -> Exposition {
        self.until("the lag is read", |scrape| lag(scrape, labels) == Some(435.0))
    }
}

/// The lag of a group that stopped; commits stand 50, 59, … 95 records before the ends.
fn lag(scrape: &Exposition, labels: &[(&str, &str)]) -> Option<f64> {
    let labels = [&[("consumergroup", PARKED[0]), ("topic", STILL)], labels].concat();
    scrape.get("kafka_consumergroup_lag_sum", &labels)
}

fn cluster(name: &str, simulated: &Simulated, more: &str) -> String {
    format!("  - name: {name}\n    bootstrap_servers: [{}]\n{more}", simulated.bootstrap())
}

fn text(clusters: &[String]) -> String {
    format!("{QUICK}clusters:\n{}", clusters.concat())
}

fn of(name: &str) -> [(&str, &str); 1] {
    [("cluster_name", name)]
}

fn sum(scrape: &Exposition, name: &str, labels: &[(&str, &str)]) -> f64 {
    scrape.all(name, labels).iter().map(|sample| sample.value).sum()
}

/// What falls or changes when a cluster's poller or client is replaced.
fn life(scrape: &Exposition, cluster: &str) -> [f64; 3] {
    let of = of(cluster);
    let task = [of[0], ("task", "poller")];
    [
        scrape.value("kafkascope_task_start_timestamp_seconds", &task),
        scrape.value("kafkascope_tasks_started_total", &task),
        sum(scrape, "kafkascope_broker_connects_total", &of),
    ]
}

fn passes(scrape: &Exposition, cluster: &str) -> f64 {
    scrape.value("kafkascope_pass_duration_seconds_count", &of(cluster))
}

#[test]
fn beside_a_broker_that_was_found_nothing_goes_while_the_cluster_is_connected_anew() {
    let simulated = Simulated::cast();
    // All brokers are on this machine: the bootstrap server says which is meant.
    let bootstrap = simulated.bootstrap();
    let lowest = bootstrap.split(',').next().unwrap();
    let beside =
        |more: &str| format!("  - name: a\n    bootstrap_servers: ['{lowest}']\n    scope: local_broker\n{more}");
    let daemon = Reloaded::start(&[beside("")]);
    let brokers = |scrape: &Exposition| scrape.get("kafka_brokers", &of("a"));
    let before = daemon.until("the broker is found", |scrape| brokers(scrape) == Some(3.0));
    let said = daemon.hangup(&text(&[beside("    labels: {site: north}\n")]));
    assert_eq!(said, "configuration reloaded: 0 clusters unchanged, 1 restarted (a)");
    eventually("it has made some passes", SOON, || {
        let scrape = daemon.exporter.scrape();
        assert_eq!(brokers(&scrape), Some(3.0), "it goes on beside the broker");
        let passes = passes(&scrape, "a") - passes(&before, "a");
        if passes > 4.0 { Ok(()) } else { Err(format!("{passes} passes")) }
    });
}

#[test]
fn a_changed_cluster_starts_anew_and_the_others_do_not_notice() {
    let (a, b) = (Simulated::cast(), Simulated::cast());
    let daemon = Reloaded::start(&[cluster("a", &a, ""), cluster("b", &b, "")]);
    daemon.until_lag(&of("a"));
    daemon.until_lag(&of("b"));
    let before = daemon.until("statistics are there", |scrape| life(scrape, "a")[2] >= 3.0);
    // Nobody answers on b: what is shown of it after the reload is what was read before.
    [1, 2, 3].into_iter().for_each(|broker| b.freeze(broker).unwrap());
    let said = daemon.hangup(&text(&[cluster("a", &a, ""), cluster("b", &b, "    labels: {site: north}\n")]));
    assert_eq!(said, "configuration reloaded: 1 cluster unchanged, 1 restarted (b)");
    let after = daemon.exporter.scrape();
    assert_eq!(lag(&after, &[("cluster_name", "b"), ("site", "north")]), Some(435.0), "the last snapshot stands");
    assert_eq!(life(&after, "a"), life(&before, "a"));
    let task = [("cluster_name", "b"), ("task", "poller")];
    assert_eq!(after.value("kafkascope_tasks_started_total", &task), 2.0);
    assert_eq!(after.value("kafkascope_tasks_finished_total", &task), 1.0);
    assert_eq!(after.value("kafkascope_task_panics_total", &task), 0.0);
    [1, 2, 3].into_iter().for_each(|broker| b.thaw(broker).unwrap());
    daemon.until("b is read anew", |scrape| {
        scrape.get("kafka_up", &of("b")) == Some(1.0) && passes(scrape, "b") > passes(&after, "b") + 2.0
    });
    let later = daemon.until("a goes on", |scrape| passes(scrape, "a") > passes(&after, "a") + 2.0);
    assert_eq!(life(&later, "a"), life(&before, "a"));
    // The same file again changes nothing at all.
    let said = daemon.hangup(&text(&[cluster("a", &a, ""), cluster("b", &b, "    labels: {site: north}\n")]));
    assert_eq!(said, "configuration reloaded: 2 clusters unchanged");
    assert!(daemon.exporter.terminate().success());
}

#[test]
fn a_cluster_that_is_somewhere_else_starts_empty() {
    let (a, b) = (Simulated::cast(), Simulated::start(Spec::new(1, 0)));
    let daemon = Reloaded::start(&[cluster("a", &a, "")]);
    daemon.until_lag(&of("a"));
    b.freeze(1).unwrap();
    daemon.hangup(&text(&[cluster("a", &b, "")]));
    let scrape = daemon.exporter.scrape();
    assert_eq!(scrape.get("kafka_up", &of("a")), Some(0.0));
    assert_eq!(lag(&scrape, &of("a")), None, "that is another cluster's");
    assert_eq!(daemon.exporter.get("/-/ready").status, 200, "ready for good");
    let filtered = format!("    topics: {{exclude: [{STILL}]}}\n");
    daemon.hangup(&text(&[cluster("a", &a, "")]));
    daemon.until_lag(&of("a"));
    [1, 2, 3].into_iter().for_each(|broker| a.freeze(broker).unwrap());
    daemon.hangup(&text(&[cluster("a", &a, &filtered)]));
    assert_eq!(lag(&daemon.exporter.scrape(), &of("a")), None, "the topic is not exported any more");
    assert!(daemon.exporter.terminate().success());
}

#[test]
fn clusters_come_and_go_and_leave_nothing_behind() {
    let (a, b) = (Simulated::cast(), Simulated::cast());
    let (alone, both) = (text(&[cluster("a", &a, "")]), text(&[cluster("a", &a, ""), cluster("b", &b, "")]));
    let daemon = Reloaded::start(&[cluster("a", &a, "")]);
    let level = |scrape: &Exposition| ["process_open_fds", "process_threads"].map(|name| scrape.value(name, &[]));
    daemon.until_lag(&of("a"));
    let start = daemon.until("all brokers are connected", |scrape| life(scrape, "a")[2] >= 3.0);
    for _ in 0..5 {
        assert_eq!(daemon.hangup(&both), "configuration reloaded: 1 cluster unchanged, 1 added (b)");
        let scrape = daemon.until_lag(&of("b"));
        assert!(level(&scrape)[0] > level(&start)[0]);
        assert_eq!(scrape.value("kafkascope_tasks_started_total", &[("cluster_name", "b"), ("task", "poller")]), 1.0);
        assert_eq!(daemon.hangup(&alone), "configuration reloaded: 1 cluster unchanged, 1 removed (b)");
        let left = daemon.exporter.scrape();
        let of_b: Vec<_> = left.samples.iter().filter(|sample| sample.label("cluster_name") == "b").collect();
        assert!(of_b.is_empty(), "{of_b:?}");
        assert_eq!(daemon.exporter.get("/metrics?cluster=b").status, 400);
        assert!(!daemon.exporter.get("/").text().contains("<h2>b"));
        assert!(!daemon.exporter.get("/api/v1/tasks").text().contains("\"b\""));
    }
    let asked: u64 = b.requests(1, Api::Metadata).unwrap();
    daemon.until("connections and threads are given back", |scrape| {
        level(scrape).iter().zip(level(&start)).all(|(now, start)| *now <= start)
    });
    assert_eq!(b.requests(1, Api::Metadata).unwrap(), asked, "nobody asks it any more");
    assert_eq!(life(&daemon.exporter.scrape(), "a"), life(&start, "a"));
    // Many at once are one after another, and the end does not wait for them.
    for text in [&both, &alone, &both] {
        std::fs::write(&daemon.file, text).unwrap();
        daemon.exporter.hangup();
    }
    assert!(daemon.exporter.terminate().success());
}

#[test]
fn a_nameless_cluster_gives_way_to_named_ones() {
    let (a, b) = (Simulated::cast(), Simulated::cast());
    let nameless = cluster("", &a, "").replacen("name: \n    ", "", 1);
    let daemon = Reloaded::start(&[nameless]);
    daemon.until_lag(&[]);
    daemon.hangup(&text(&[cluster("a", &a, ""), cluster("b", &b, "")]));
    daemon.until_lag(&of("a"));
    let scrape = daemon.until_lag(&of("b"));
    for name in ["kafka_up", "kafkascope_pass_duration_seconds_count", "kafkascope_interval_seconds"] {
        assert_eq!(scrape.all(name, &[]).len(), 2, "{name}");
    }
    let polled = scrape.all("kafkascope_tasks_started_total", &[("task", "poller")]);
    assert!(polled.iter().all(|sample| !sample.label("cluster_name").is_empty()), "{polled:?}");
    let own = scrape.all("kafkascope_tasks_started_total", &[("task", "reload")]);
    assert_eq!(own.len(), 1, "the exporter's own tasks stay");
    assert!(daemon.exporter.terminate().success());
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let a = Simulated::cast();
    let good = text(&[cluster("a", &a, "")]);
    let daemon = Reloaded::start(&[cluster("a", &a, "")]);
    daemon.until_lag(&of("a"));
    let before = daemon.until("statistics are there", |scrape| life(scrape, "a")[2] >= 3.0);
    assert_eq!(before.value("kafkascope_config_last_reload_successful", &[]), 1.0);
    let loaded_at = before.value("kafkascope_config_last_reload_success_timestamp_seconds", &[]);
    let bad = good.replace("interval: 1s", "interval: soon") + "    color: red\n";
    let said = daemon.hangup(&bad);
    assert_eq!(
        said,
        "the configuration was not reloaded, and the one before stays in force: mend what is listed above and reload again"
    );
    let lines = daemon.said();
    for (line, field) in [(2, "polling.interval"), (6, "clusters[0].color")] {
        let place = format!("kafkascope.yml:{line}:");
        let is_said = |text: &&String| text.starts_with("configuration not reloaded: ") && text.contains(&place);
        assert!(lines.iter().filter(is_said).any(|text| text.contains(field)), "{place} {field}: {lines:#?}");
    }
    let answer = daemon.post();
    assert_eq!(answer.status, 500);
    assert!(
        answer.text().contains("polling.interval") && answer.text().contains("clusters[0].color"),
        "{}",
        answer.text()
    );
    std::fs::remove_file(&daemon.file).unwrap();
    assert!(daemon.post().text().contains("does not exist"));
    // A file that reads well and that librdkafka refuses.
    std::fs::write(&daemon.file, text(&[cluster("a", &a, "    tls: {ca_file: /nowhere/ca.pem}\n")])).unwrap();
    assert_eq!(daemon.post().status, 500);
    let scrape = daemon.until("a goes on", |scrape| passes(scrape, "a") > passes(&before, "a") + 2.0);
    assert_eq!(life(&scrape, "a"), life(&before, "a"));
    assert_eq!(scrape.value("kafkascope_config_last_reload_successful", &[]), 0.0);
    assert_eq!(scrape.value("kafkascope_config_last_reload_success_timestamp_seconds", &[]), loaded_at);
    std::fs::write(&daemon.file, &good).unwrap();
    let answer = daemon.post();
    assert_eq!((answer.status, answer.text().as_str()), (200, "configuration reloaded: 1 cluster unchanged\n"));
    let scrape = daemon.exporter.scrape();
    assert_eq!(scrape.value("kafkascope_config_last_reload_successful", &[]), 1.0);
    assert!(scrape.value("kafkascope_config_last_reload_success_timestamp_seconds", &[]) > loaded_at);
    assert!(daemon.exporter.terminate().success());
}

#[test]
fn what_needs_a_restart_or_concerns_all_is_said_and_done() {
    let (a, b) = (Simulated::cast(), Simulated::cast());
    let both = text(&[cluster("a", &a, ""), cluster("b", &b, "")]);
    let daemon = Reloaded::start(&[cluster("a", &a, ""), cluster("b", &b, "")]);
    daemon.until_lag(&of("a"));
    daemon.until_lag(&of("b"));
    std::fs::write(&daemon.file, both.replace("admin: true", "admin: false, telemetry_path: /elsewhere")).unwrap();
    for _ in 0..2 {
        let answer = daemon.post().text();
        for setting in ["web.telemetry_path", "web.admin"] {
            assert!(answer.contains(&format!("warning: {setting} has changed: it needs a restart")), "{answer}");
        }
        assert_eq!(daemon.exporter.get("/metrics").status, 200);
    }
    let said = daemon.hangup(&both.replace("request_timeout: 1s", "request_timeout: 2s"));
    assert_eq!(said, "configuration reloaded: 0 clusters unchanged, 2 restarted (a, b)");
    assert!(daemon.exporter.terminate().success());
}

#[test]
fn flags_and_environment_stay_over_the_file() {
    let a = Simulated::cast();
    let dir = scratch("precedence");
    let file = dir.path().join("kafkascope.yml");
    std::fs::write(&file, text(&[cluster("a", &a, "")])).unwrap();
    let exporter = Exporter::builder().args(["--config", file.to_str().unwrap(), "--interval", "2s"]).start();
    let daemon = Reloaded { exporter, file, _dir: dir };
    daemon.until_lag(&of("a"));
    let said = daemon.hangup(&text(&[cluster("a", &a, "")]).replace("interval: 1s", "interval: 3s"));
    assert_eq!(said, "configuration reloaded: 1 cluster unchanged");
    // Without a file there may be files that flags name, such as one with a password.
    let without = Exporter::start(&a.bootstrap(), &["--interval", "1s"]);
    without.hangup();
    eventually("a reload without a file", SOON, || {
        let output = without.output();
        if output.contains("configuration reloaded: 1 cluster unchanged") { Ok(()) } else { Err(output) }
    });
    let demo = Exporter::builder().args(["demo"]).start();
    demo.hangup();
    eventually("the demo says that there is nothing to read", SOON, || {
        let output = demo.output();
        if output.contains("nothing was read again") { Ok(()) } else { Err(output) }
    });
    assert!(daemon.exporter.terminate().success() && without.terminate().success() && demo.terminate().success());
}

#[test]
fn an_adaptive_poller_goes_on_from_what_was_known() {
    let a = Simulated::cast();
    let adaptive = |more: &str| text(&[cluster("a", &a, more)]).replace("interval: 1s", "min_interval: 1s");
    let dir = scratch("adaptive");
    let file = dir.path().join("kafkascope.yml");
    std::fs::write(&file, adaptive("")).unwrap();
    let exporter = Exporter::builder().args(["--config", file.to_str().unwrap()]).start();
    let daemon = Reloaded { exporter, file, _dir: dir };
    daemon.until_lag(&of("a"));
    for site in ["north", "south"] {
        let labels = format!("    labels: {{site: {site}}}\n");
        assert_eq!(daemon.hangup(&adaptive(&labels)), "configuration reloaded: 0 clusters unchanged, 1 restarted (a)");
        let before = daemon.exporter.scrape();
        daemon.until("the new poller polls, and nothing is missing meanwhile", |scrape| {
            coherent(scrape).unwrap();
            assert_eq!(lag(scrape, &[("cluster_name", "a"), ("site", site)]), Some(435.0));
            let moved = |scrape: &Exposition| scrape.value("kafka_topic_current_offset_sum", &[("topic", MOVING)]);
            passes(scrape, "a") > passes(&before, "a") && moved(scrape) > moved(&before)
        });
    }
    assert!(daemon.exporter.terminate().success());
}
