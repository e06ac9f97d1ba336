//! The exporter's own life: it starts before Kafka, outlives it, answers while nobody answers it, and ends in seconds.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use kafkascope::sim::flow::{Flow, Rate};
use kafkascope::sim::spec::TopicSpec;
use kafkascope::sim::{Outage, Spec};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::promises::coherent;
use crate::simulated::Simulated;
use crate::tools::scratch;
use crate::wait::eventually;

/// For what takes some passes.
const SOON: Duration = Duration::from_secs(45);

/// Short intervals and time-outs, so that passes fail and recover quickly.
const QUICK: [&str; 6] = ["--interval", "1s", "--request-timeout", "1s", "--kafka", "reconnect.backoff.max.ms=200"];

fn value(exporter: &Exporter, name: &str) -> f64 {
    exporter.scrape().value(name, &[])
}

/// Waits for a value of a series without labels.
#[track_caller]
fn until(exporter: &Exporter, name: &str, wanted: f64) {
    exporter.scrape_until(&format!("{name} is {wanted}"), SOON, |scrape| {
        coherent(scrape)?;
        let shown = scrape.get(name, &[]);
        if shown == Some(wanted) { Ok(()) } else { Err(format!("{shown:?}")) }
    });
}

#[track_caller]
fn passes(exporter: &Exporter, count: u32) {
    const PASSES: &str = "kafkascope_pass_duration_seconds_count";
    let goal = value(exporter, PASSES) + f64::from(count);
    exporter.scrape_until("passes go on", SOON, |scrape| {
        let done = scrape.value(PASSES, &[]);
        if done >= goal { Ok(()) } else { Err(format!("{done} of {goal}")) }
    });
}

/// Everything that does not need Kafka is there, and nothing pretends that Kafka were.
#[track_caller]
fn answers_without_kafka(exporter: &Exporter) {
    exporter.ready();
    for page in ["/-/healthy", "/-/ready", "/healthz", "/"] {
        assert_eq!(exporter.get(page).status, 200, "{page}");
    }
    let scrape = exporter.scrape();
    coherent(&scrape).unwrap();
    assert_eq!(scrape.get("kafka_up", &[]), Some(0.0));
    for collector in ["brokers", "topics"] {
        assert_eq!(scrape.get("kafkascope_collector_success", &[("collector", collector)]), Some(0.0));
    }
    let told: Vec<_> = scrape
        .samples
        .iter()
        .map(|sample| sample.name.as_str())
        .filter(|name| name.starts_with("kafka_") && !["kafka_up", "kafka_exporter_build_info"].contains(name))
        .collect();
    assert_eq!(told, [""; 0], "nobody has told these");
}

#[test]
fn it_starts_before_kafka_and_outlives_it() {
    let simulated = Simulated::cast();
    let all = |apply: &dyn Fn(i32)| [1, 2, 3].into_iter().for_each(apply);
    all(&|broker| simulated.end(broker, Outage::UNNOTICED));
    let exporter = Exporter::start(&simulated.bootstrap(), &QUICK);
    answers_without_kafka(&exporter);
    for _ in 0..2 {
        all(&|broker| simulated.back(broker));
        until(&exporter, "kafka_up", 1.0);
        until(&exporter, "kafka_brokers", 3.0);
        exporter.scrape_until("the groups are there", SOON, |scrape| {
            let lag = scrape.get("kafka_consumergroup_lag_sum", &[("consumergroup", "parked-3")]);
            // Commits stand 50, 59, … 95 records before the ends.
            if lag == Some(435.0) { Ok(()) } else { Err(format!("{lag:?}")) }
        });
        all(&|broker| simulated.end(broker, Outage::UNNOTICED));
        until(&exporter, "kafka_up", 0.0);
    }
    assert!(exporter.terminate().success());
}

/// Sockets at which nobody ever answers.
struct Silence {
    _runtime: Runtime,
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Silence {
    /// The system completes connections, as for a frozen process.
    fn that_connects() -> Self {
        Self::with_backlog(100)
    }

    /// The queue of connections is full, so further ones hang as towards a host that drops what comes.
    fn that_does_not_connect() -> Self {
        let mut silence = Self::with_backlog(1);
        while let Ok(stream) = TcpStream::connect_timeout(&silence.address, Duration::from_millis(300)) {
            silence._waiting.push(stream);
        }
        silence
    }

    fn with_backlog(backlog: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            socket.listen(backlog).unwrap()
        });
        let address = listener.local_addr().unwrap();
        Self { _runtime: runtime, address, _listener: listener, _waiting: Vec::new() }
    }
}

#[test]
fn it_answers_and_ends_while_every_broker_hangs() {
    let frozen = Simulated::cast();
    [1, 2, 3].into_iter().for_each(|broker| frozen.freeze(broker).unwrap());
    let (connects, does_not) = (Silence::that_connects(), Silence::that_does_not_connect());
    for servers in [frozen.bootstrap(), connects.address.to_string(), does_not.address.to_string()] {
        // With the time-outs that people have, so that requests are on their way for long.
        let exporters: Vec<_> =
            (0..2).map(|_| Exporter::start(&servers, &["--interval", "1s", "--request-timeout", "5s"])).collect();
        for exporter in &exporters {
            assert_eq!(exporter.get("/-/healthy").status, 200);
            assert_eq!(exporter.get("/metrics").status, 200);
        }
        exporters.iter().for_each(answers_without_kafka);
        assert!(ends(&exporters[0], Exporter::terminate), "{servers}: SIGTERM");
        assert!(ends(&exporters[1], Exporter::interrupt), "{servers}: SIGINT");
    }
}

/// Asks for the end; says whether the exit code is 0 and the log says goodbye.
#[track_caller]
fn ends(exporter: &Exporter, ask: impl Fn(&Exporter) -> std::process::ExitStatus) -> bool {
    let status = ask(exporter);
    let last = exporter.log().pop().map(|line| message(&line)).unwrap_or_default();
    status.code() == Some(0) && last == "stopped"
}

fn message(line: &Value) -> String {
    line.pointer("/fields/message").or_else(|| line.get("message")).and_then(Value::as_str).unwrap_or("").to_owned()
}

#[test]
fn it_ends_whatever_it_is_doing() {
    let simulated = Simulated::cast();
    let two = |arguments: &[&str]| [0; 2].map(|_| Exporter::start(&simulated.bootstrap(), arguments));
    let end = |what: &str, [terminated, interrupted]: [Exporter; 2]| {
        assert!(ends(&terminated, Exporter::terminate), "{what}: SIGTERM");
        assert!(ends(&interrupted, Exporter::interrupt), "{what}: SIGINT");
    };
    // Idle: the next pass is far away.
    let idle = two(&["--interval", "1h"]);
    idle.iter().for_each(|exporter| until(exporter, "kafka_up", 1.0));
    end("idle", idle);
    // At once, before anything was asked or answered.
    end("just started", two(&QUICK));
    // In the middle of a pass: answers are always on their way.
    let busy = two(&QUICK[..2]);
    busy.iter().for_each(|exporter| until(exporter, "kafka_up", 1.0));
    [1, 2, 3].into_iter().for_each(|broker| simulated.set_latency(broker, Duration::from_secs(8)).unwrap());
    let asked = |simulated: &Simulated| simulated.requests(1, kafkascope::sim::Api::Metadata).unwrap();
    let before: u64 = asked(&simulated);
    eventually("a pass is under way", SOON, || (asked(&simulated) > before).then_some(()).ok_or("not yet".to_owned()));
    end("in a pass", busy);
    [1, 2, 3].into_iter().for_each(|broker| simulated.set_latency(broker, Duration::ZERO).unwrap());
    // Brokers that froze after all was well.
    let stuck = two(&["--interval", "1s", "--request-timeout", "10s"]);
    stuck.iter().for_each(|exporter| until(exporter, "kafka_up", 1.0));
    [1, 2, 3].into_iter().for_each(|broker| simulated.freeze(broker).unwrap());
    stuck.iter().for_each(|exporter| until(exporter, "kafkascope_http_connections", 1.0));
    end("all brokers frozen", stuck);
}

#[test]
fn it_ends_with_slow_scrapers_connected() {
    // Large enough that a page does not fit into the buffers between two sockets.
    let flow = Flow::steady(Rate::per_second(1));
    let simulated = Simulated::start(Spec::new(3, 0).topic(TopicSpec::new("large", 12_000, flow)));
    for ask in [Exporter::terminate, Exporter::interrupt] {
        let exporter = Exporter::start(&simulated.bootstrap(), &["--interval", "2s"]);
        let partitions = exporter.scrape_until("the large topic", SOON, |scrape| {
            scrape.get("kafka_topic_partitions", &[]).ok_or_else(|| "not there".to_owned())
        });
        assert_eq!(partitions, 12_000.0);
        let connect = |request: &str| {
            let mut stream = TcpStream::connect(exporter.address()).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        };
        let mut scrapers: Vec<TcpStream> = Vec::new();
        for _ in 0..5 {
            scrapers.push(connect("")); // says nothing
            scrapers.push(connect("GET /metrics HTTP/1.1\r\nHo")); // half a head
            scrapers.push(connect("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")); // does not read
        }
        // Its first byte shows that the page is on its way.
        scrapers.last().unwrap().peek(&mut [0]).unwrap();
        assert!(ends(&exporter, ask));
    }
}

/// An exporter with few connections and little patience.
fn strict_exporter(simulated: &Simulated) -> (Exporter, tempfile::TempDir) {
    let dir = scratch("strict");
    let file = dir.path().join("kafkascope.yml");
    let servers = simulated.bootstrap();
    let text = format!(
        "web:\n  max_connections: 4\n  header_timeout: 2s\n  request_timeout: 2s\npolling:\n  interval: 1s\n\
         clusters:\n  - bootstrap_servers: [{servers}]\n"
    );
    std::fs::write(&file, text).unwrap();
    let exporter = Exporter::builder().args(["--config", file.to_str().unwrap()]).start();
    (exporter, dir)
}

#[test]
fn slow_clients_hold_up_neither_others_nor_its_memory() {
    let simulated = Simulated::cast();
    let (exporter, _dir) = strict_exporter(&simulated);
    until(&exporter, "kafka_up", 1.0);
    let before = value(&exporter, "process_open_fds");
    let mut slow: Vec<TcpStream> = (0..60)
        .map(|_| {
            let mut stream = TcpStream::connect(exporter.address()).unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-").unwrap();
            stream
        })
        .collect();
    // They are cut off one after another, so that whoever waits behind them gets a turn.
    eventually("a scrape between slow clients", SOON, || {
        let response = crate::http::get(exporter.address(), "/metrics", &[])?;
        if response.status != 200 {
            return Err(format!("status {}", response.status));
        }
        let scrape = Exposition::parse(&response.text())?;
        let connections = scrape.value("kafkascope_http_connections", &[]);
        assert!(connections <= 12.0, "{connections} connections where 4 and 8 in reserve are allowed");
        let files = scrape.value("process_open_fds", &[]);
        assert!(files <= before + 13.0, "{files} files, {before} before");
        Ok(())
    });
    for stream in &mut slow {
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut rest = Vec::new();
        // Closed or reset: in either case it is over.
        let _cut_off = stream.read_to_end(&mut rest);
        let answer = String::from_utf8_lossy(&rest);
        assert!(rest.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    drop(slow);
    exporter.scrape_until("connections are given back", SOON, |scrape| {
        let files = scrape.value("process_open_fds", &[]);
        if files <= before { Ok(()) } else { Err(format!("{files} files, {before} before")) }
    });
    assert!(ends(&exporter, Exporter::terminate));
}

fn is_complaint(line: &Value) -> bool {
    matches!(line.get("level").and_then(Value::as_str), Some("WARN" | "ERROR"))
}

/// The complaints in the log, each with how often it came.
fn complaints(exporter: &Exporter) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in exporter.log().iter().filter(|line| is_complaint(line)) {
        *counts.entry(message(line)).or_default() += 1;
    }
    counts
}

#[test]
fn the_log_says_each_failure_once_and_a_healthy_run_nothing() {
    let simulated = Simulated::cast();
    let exporter = Exporter::start(&simulated.bootstrap(), &QUICK);
    until(&exporter, "kafka_up", 1.0);
    passes(&exporter, 6);
    assert_eq!(complaints(&exporter), BTreeMap::new());

    simulated.end(3, Outage::UNNOTICED);
    passes(&exporter, 10);
    let killed = complaints(&exporter);
    simulated.freeze(2).unwrap();
    passes(&exporter, 10);
    let both = complaints(&exporter);
    let about = |lines: &BTreeMap<String, usize>, broker: &str| lines.keys().any(|line| line.contains(broker));
    assert!(about(&killed, "broker 3") && !about(&killed, "broker 2"), "{killed:#?}");
    assert!(about(&both, "broker 2"), "{both:#?}");
    for (line, count) in &both {
        assert_eq!(*count, 1, "said again within a minute: {line}");
        assert!(line.len() < 400 && !line.contains('\n'), "{line}");
    }
    // A line for each API that failed at each of the two brokers at most.
    assert!(both.len() <= 10, "{} lines: {both:#?}", both.len());

    simulated.back(3);
    simulated.thaw(2).unwrap();
    exporter.scrape_until("all brokers are back", SOON, |scrape| {
        let ups: f64 = scrape.all("kafka_broker_up", &[]).iter().map(|sample| sample.value).sum();
        if ups == 3.0 { Ok(()) } else { Err(format!("{ups} up")) }
    });
    passes(&exporter, 2);
    let after = complaints(&exporter);
    passes(&exporter, 4);
    assert_eq!(complaints(&exporter), after, "nothing fails any more");
    assert!(ends(&exporter, Exporter::terminate));
    assert!(complaints(&exporter) == after, "the end is no failure");
}

#[test]
fn brokers_that_come_and_go_cost_nothing_that_stays() {
    const ROUNDS: usize = 20;
    let simulated = Simulated::cast();
    let exporter = Exporter::start(&simulated.bootstrap(), &QUICK);
    let level = |scrape: &Exposition| ["process_open_fds", "process_threads"].map(|name| scrape.value(name, &[]));
    let up = |wanted: f64| {
        exporter.scrape_until("broker 3 is seen", SOON, |scrape| {
            let shown = scrape.get("kafka_broker_up", &[("id", "3")]);
            if shown == Some(wanted) { Ok(level(scrape)) } else { Err(format!("{shown:?}")) }
        })
    };
    up(1.0);
    passes(&exporter, 3);
    let before = up(1.0);
    for round in 0..ROUNDS {
        simulated.end(3, if round % 2 == 0 { Outage::UNNOTICED } else { Outage::NOTICED });
        up(0.0);
        simulated.back(3);
        up(1.0);
    }
    exporter.scrape_until("files and threads are as before", SOON, |scrape| {
        let after = level(scrape);
        let same = after.iter().zip(&before).all(|(after, before)| after <= before);
        if same { Ok(()) } else { Err(format!("{after:?}, before {before:?}")) }
    });
    assert!(ends(&exporter, Exporter::terminate));
}
