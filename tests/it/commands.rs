//! The commands as people type them: what they print, what they take, how they end.

use std::time::Duration;

use crate::exporter::{Exporter, Outcome};
use crate::exposition::Exposition;
use crate::kafka::{at, shared};
use crate::tools::{free_ports, scratch};
use crate::wait::eventually;

/// How long a command may take that asks nobody, or one Kafka that answers.
const COMMAND: Duration = Duration::from_secs(30);

/// For the first passes over a Kafka that is there.
const SOON: Duration = Duration::from_secs(60);

#[track_caller]
fn well<const N: usize>(arguments: [&str; N]) -> String {
    succeeded(Exporter::builder().args(arguments).run(COMMAND))
}

#[track_caller]
fn succeeded(outcome: Outcome) -> String {
    assert_eq!((outcome.status.code(), outcome.stderr.as_str()), (Some(0), ""), "{outcome:?}");
    outcome.stdout
}

#[test]
fn commands_print_what_they_are_asked_for() {
    assert_eq!(well(["--version"]), format!("kafkascope {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(well(["metrics"]), kafkascope::metrics::reference::markdown());
    assert_eq!(well(["metrics", "--output", "markdown"]), well(["metrics"]));
    let json: serde_json::Value = serde_json::from_str(&well(["metrics", "--output", "json"])).unwrap();
    let rows = json.as_array().or_else(|| json["metrics"].as_array()).expect("a list of metrics");
    assert!(rows.iter().any(|row| row["name"] == "kafka_consumergroup_lag"), "{json}");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = well(["completions", shell]);
        assert!(script.contains("bootstrap-servers") && script.contains("snapshot"), "{shell}: {script}");
    }
    let page = well(["man"]);
    assert!(page.contains(".TH") && page.contains("bootstrap\\-servers"), "{page}");
}

#[test]
fn commands_have_help_that_fits_a_page() {
    let all = well(["--help"]);
    for part in ["Commands:", "Security:", "kafka_exporter's flags", "Examples:", "Exit codes:", "--kafka.server"] {
        assert!(all.contains(part), "{part} is not in\n{all}");
    }
    for command in
        ["serve", "demo", "check", "snapshot", "record", "replay", "simulate", "metrics", "rules", "completions", "man"]
    {
        let help = well([command, "--help"]);
        assert!(help.contains(&format!("Usage: kafkascope {command}")), "{help}");
        assert!(all.contains(&format!("  {command} ")), "{command} is not in\n{all}");
        // Nobody's terminal breaks a line of help.
        let long = help.lines().find(|line| line.chars().count() > 120);
        assert_eq!(long, None, "{command}");
    }
}

#[test]
fn commands_check_says_ok_and_shows_what_would_be_used() {
    let dir = scratch("commands");
    let file = dir.path().join("k.yml");
    let text = "polling: {interval: 7s}\nclusters:\n- name: prod\n  bootstrap_servers: [b1:9092, b2:9092]\n  \
                sasl: {mechanism: SCRAM-SHA-256, username: me, password: very-secret}\n  topics: {exclude: ['^__']}\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_string_lossy();
    assert_eq!(well(["check", &file]), format!("{file}: ok, 1 cluster: prod (b1:9092, b2:9092)\n"));
    assert_eq!(well(["check", "--bootstrap-servers", "b1:9092"]), "flags and environment: ok, 1 cluster: b1:9092\n");
    let effective = well(["check", &file, "--effective", "--max-in-flight", "5"]);
    assert!(!effective.contains("very-secret"), "{effective}");
    for line in ["interval: 7s", "max_in_flight: 5", "- ^__", "request_timeout: 10s", "username: me"] {
        assert!(effective.contains(line), "{line} is not in\n{effective}");
    }
    // What is shown is a file that means the same.
    let again = dir.path().join("again.yml");
    std::fs::write(&again, &effective).unwrap();
    assert_eq!(well(["check", &again.to_string_lossy(), "--effective"]), effective);
}

#[test]
fn commands_a_flag_wins_over_its_variable_and_that_over_the_file() {
    let dir = scratch("commands");
    let file = dir.path().join("k.yml");
    let text = "polling: {interval: 7s, max_age: 5m, max_in_flight: 3}\nclusters: [{bootstrap_servers: [b1:9092]}]\n";
    std::fs::write(&file, text).unwrap();
    let effective = succeeded(
        Exporter::builder()
            .args(["check", "--effective", "--interval", "9s"])
            .env("KAFKASCOPE_CONFIG", &file.to_string_lossy())
            .env("KAFKASCOPE_INTERVAL", "8s")
            .env("KAFKASCOPE_MAX_AGE", "6m")
            .env("KAFKASCOPE_TOPIC_EXCLUDE", "^from-env$")
            .env("KAFKASCOPE_GROUP_INCLUDE", "")
            .run(COMMAND),
    );
    for line in ["interval: 9s", "max_age: 6m", "max_in_flight: 3", "- ^from-env$", "- b1:9092"] {
        assert!(effective.contains(line), "{line} is not in\n{effective}");
    }
}

#[test]
fn commands_take_kafka_exporters_command_line() {
    let kafka = shared();
    let driver = kafka.driver();
    for topic in ["commands-orders", "commands-secret"] {
        driver.create_topic(topic, 1).unwrap();
        driver.produce(topic, 0, 5).unwrap();
    }
    let committed = [at("commands-orders", 0, 2), at("commands-secret", 0, 1)];
    for group in ["commands-billing", "commands-noise"] {
        driver.commit(group, &committed).unwrap();
    }
    let daemon = Exporter::builder()
        .args([&format!("--kafka.server={}", kafka.bootstrap())])
        .args(["--kafka.version=2.0.0", "--kafka.labels=env=test,cluster_name=old", "--no-sasl.enabled"])
        .args(["--sasl.username=nobody", "--sasl.password=none", "--tls.ca-file=", "--no-tls.enabled"])
        .args([
            "--topic.filter=^commands-",
            "--topic.exclude=secret$",
            "--group.filter=^commands-",
            "--group.exclude=noise",
        ])
        .args(["--web.listen-address=127.0.0.1:0", "--web.telemetry-path=/probe", "--refresh.metadata=30s"])
        .args(["--topic.workers=50", "--offset.show-all", "--concurrent.enable", "--verbosity=0", "--log.format=json"])
        .env("KAFKASCOPE_INTERVAL", "1s")
        .start_as_it_is();
    let scrape = || {
        let text = daemon.get("/probe").text();
        Exposition::parse(&text).unwrap_or_else(|fault| panic!("/probe: {fault}\n{text}"))
    };
    let own =
        [("consumergroup", "commands-billing"), ("topic", "commands-orders"), ("env", "test"), ("cluster_name", "old")];
    let seen = eventually("the lag is there", SOON, || {
        let seen = scrape();
        if seen.get("kafka_consumergroup_lag_sum", &own) == Some(3.0) { Ok(seen) } else { Err("no lag yet".to_owned()) }
    });
    let of = |family: &str, label: &str| -> Vec<String> {
        seen.all(family, &[]).into_iter().map(|sample| sample.label(label).to_owned()).collect()
    };
    assert_eq!(of("kafka_topic_partitions", "topic"), ["commands-orders"]);
    assert_eq!(of("kafka_consumergroup_lag_sum", "consumergroup"), ["commands-billing"]);
    assert_eq!(daemon.get("/metrics").status, 404);
    let warned: Vec<String> = daemon
        .log()
        .into_iter()
        .filter(|line| line["level"] == "WARN")
        .filter_map(|line| Some(line["message"].as_str()?.to_owned()))
        .collect();
    for flag in ["--kafka.version", "--sasl.username", "--refresh.metadata", "--topic.workers", "--concurrent.enable"] {
        assert!(warned.iter().any(|line| line.starts_with(flag)), "no word of {flag}: {warned:#?}");
    }
    for flag in ["--offset.show-all", "--verbosity", "--tls.ca-file"] {
        assert!(!warned.iter().any(|line| line.starts_with(flag)), "{flag} is as asked: {warned:#?}");
    }
    assert_eq!(daemon.interrupt().code(), Some(0));
}

#[test]
fn commands_log_for_people_when_asked() {
    let closed = format!("127.0.0.1:{}", free_ports(1)[0]);
    // Ends by itself: its port is taken.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    for (format, is_json) in [("human", false), ("json", true), ("auto", true)] {
        let outcome = Exporter::builder()
            .args(["--bootstrap-servers", &closed, "--listen", &listen, "--log-format", format])
            .run(COMMAND);
        let line = outcome.stderr.lines().find(|line| line.contains("kafkascope starts")).expect("a first line");
        assert_eq!(serde_json::from_str::<serde_json::Value>(line).is_ok(), is_json, "{format}: {line}");
    }
    let quiet = Exporter::builder()
        .args(["--bootstrap-servers", &closed, "--listen", &listen])
        .env("KAFKASCOPE_LOG_LEVEL", "error")
        .run(COMMAND);
    assert!(!quiet.stderr.contains("kafkascope starts"), "{}", quiet.stderr);
}

#[test]
fn commands_demo_shows_its_cast_and_ends_on_ctrl_c() {
    let demo = Exporter::builder().args(["demo", "--interval", "1s"]).start();
    // The guide follows the line that says where it listens.
    eventually("the guide names the URL", SOON, || {
        let (text, url) = (demo.output(), format!("metrics  http://{}/metrics", demo.address()));
        if text.contains(&url) { Ok(()) } else { Err(text) }
    });
    demo.scrape_until("the cast is there", SOON, |scrape| {
        for group in kafkascope::sim::demo::GUIDE {
            if scrape.all(group.metric, &[("consumergroup", group.group)]).is_empty() {
                return Err(format!("no {} of {}", group.metric, group.group));
            }
        }
        Ok(())
    });
    for group in kafkascope::sim::demo::GUIDE {
        assert!(demo.output().contains(group.group), "{} is not in the guide", group.group);
    }
    assert_eq!(demo.interrupt().code(), Some(0), "{}", demo.output());
}
