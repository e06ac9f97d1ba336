//! Input that cannot be used: every message as a person sees it, and the exit code.
//!
//! `tests/config/NAME.bad.yml` is a file with errors, `NAME.bad.stderr` beside it what every command says of it.
//! `UPDATE_GOLDEN=1 cargo test --test it bad_input` writes the latter anew; the change is then read in the diff.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use crate::exporter::{Exporter, Outcome};
use crate::tools::{free_ports, scratch};

/// How long a command may take that asks nobody.
const COMMAND: Duration = Duration::from_secs(20);

/// Fewer than this means that fixtures were lost.
const FIXTURES: usize = 11;

/// Fixtures by their path from the project's root, where tests run: that is how messages name them.
fn fixtures() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("tests/config").expect("tests/config");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    found.retain(|path| path.to_string_lossy().ends_with(".bad.yml"));
    found.sort();
    found
}

#[track_caller]
fn run<const N: usize>(arguments: [&str; N]) -> Outcome {
    Exporter::builder().args(arguments).run(COMMAND)
}

/// Exit code, nothing on stdout, and exactly this on stderr.
#[track_caller]
fn refused<const N: usize>(arguments: [&str; N], code: i32, stderr: &str) {
    let outcome = run(arguments);
    assert_eq!((outcome.status.code(), outcome.stdout.as_str()), (Some(code), ""), "{arguments:?}: {outcome:?}");
    assert_eq!(outcome.stderr, stderr, "{arguments:?}");
}

#[test]
fn bad_input_every_error_of_a_file_is_told_with_line_and_field() {
    let fixtures = fixtures();
    assert!(fixtures.len() >= FIXTURES, "{fixtures:?}");
    for path in fixtures {
        let file = path.to_string_lossy();
        let golden = path.with_extension("stderr");
        let said = run(["check", &file]);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &said.stderr).expect("a golden file that can be written");
            continue;
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
        assert!(expected.contains(&*file), "{} names its file", golden.display());
        refused(["check", &file], 2, &expected);
        refused(["check", &file, "--connect"], 2, &expected);
        refused(["serve", "--config", &file], 2, &expected);
        refused(["snapshot", "--config", &file], 2, &expected);
    }
}

#[test]
fn bad_input_files_that_cannot_be_read() {
    let missing =
        "error: tests/config/no-such.yml: the config file does not exist; check the path and who may read it\n";
    refused(["--config", "tests/config/no-such.yml"], 2, missing);
    refused(["check", "tests/config/no-such.yml"], 2, missing);
    let directory =
        "error: tests/config: the config file is a directory, not a file; check the path and who may read it\n";
    refused(["check", "tests/config"], 2, directory);
    refused(
        ["--bootstrap-servers", "b1:9092", "--tls-ca-file", "no-such-ca.pem"],
        2,
        "error: --tls-ca-file: no-such-ca.pem does not exist; check the path and who may read it\n",
    );
    refused(
        ["--bootstrap-servers", "b1:9092", "--tls-ca-file", "Cargo.toml"],
        2,
        "error: --tls-ca-file: Cargo.toml holds nothing in PEM format; it must have a part that starts with -----BEGIN\n",
    );
}

#[test]
fn bad_input_on_the_command_line_and_in_the_environment() {
    let none =
        "no Kafka cluster is given; give --bootstrap-servers HOST:PORT, which is enough, or clusters in a config file";
    refused([], 2, &format!("error: clusters: {none}\n"));
    refused(
        ["--bootstrap-servers", "b1", "--interval", "15", "--topic-include", "a(", "--kafka", "socket.timeout.ms=soon"],
        2,
        "error: --interval: '15' has no unit; write 15s if seconds are meant\n\
         error: --bootstrap-servers: 'b1' has no port; write HOST:PORT, such as b1:9092\n\
         error: --kafka: librdkafka does not take this property: Invalid value for configuration property \
         \"socket.timeout.ms\"; see the list of properties in librdkafka's CONFIGURATION.md\n\
         error: --topic-include: 'a(' is not a regex: unclosed group; mend it; the syntax is that of Rust's regex crate, close to Go's RE2\n\
         4 errors; nothing was started\n",
    );
    let variable = Exporter::builder()
        .args(["--bootstrap-servers", "b1:9092"])
        .env("KAFKASCOPE_MAX_IN_FLIGHT", "many")
        .env("KAFKASCOPE_LOG_LEVEL", "loud")
        .run(COMMAND);
    assert_eq!(variable.status.code(), Some(2), "{variable:?}");
    for line in [
        "error: KAFKASCOPE_MAX_IN_FLIGHT: 'many' is not a whole number; write a number from 1 to 1000\n",
        "error: KAFKASCOPE_LOG_LEVEL: ",
        "2 errors; nothing was started\n",
    ] {
        assert!(variable.stderr.contains(line), "{line:?} is not in\n{}", variable.stderr);
    }
    for arguments in [&["nonsense"][..], &["--no-such-flag"], &["--interval"], &["snapshot", "--output", "xml"]] {
        let outcome = Exporter::builder().args(arguments).run(COMMAND);
        assert_eq!((outcome.status.code(), outcome.stdout.as_str()), (Some(2), ""), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(arguments[arguments.len() - 1]), "{outcome:?}");
    }
}

#[test]
fn bad_input_a_port_in_use_is_said_and_ends_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let outcome = run(["--bootstrap-servers", "127.0.0.1:1", "--listen", &address, "--log-level", "error"]);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    let [line] = outcome.stderr.lines().collect::<Vec<_>>()[..] else { panic!("one line: {outcome:?}") };
    assert!(line.starts_with("error: ") && line.contains(&address), "{line}");
    assert!(line.contains("already in use"), "{line}");

    let demo = run(["demo", "--listen", &address, "--log-level", "error"]);
    assert_eq!(demo.status.code(), Some(1), "{demo:?}");
    assert!(demo.stderr.contains(&address), "{demo:?}");
}

#[test]
fn bad_input_a_kafka_that_is_not_there_is_a_failure_of_one_look() {
    let closed = format!("127.0.0.1:{}", free_ports(1)[0]);
    for (server, reason) in
        [(closed.as_str(), "Connection refused"), ("no-such-host.invalid:9092", "Failed to resolve")]
    {
        let asked = ["--bootstrap-servers", server, "--request-timeout", "2s"];
        let snapshot = Exporter::builder().args(["snapshot"]).args(asked).run(COMMAND);
        assert_eq!(snapshot.status.code(), Some(1), "{snapshot:?}");
        assert!(snapshot.stdout.contains("NOT REACHED") && snapshot.stdout.contains(reason), "{snapshot:?}");
        let check = Exporter::builder().args(["check", "--connect"]).args(asked).run(COMMAND);
        assert_eq!(check.status.code(), Some(1), "{check:?}");
        let said = format!("cluster {server}: NOT REACHED\n  ! Metadata to cluster failed: ");
        assert!(check.stdout.contains(&said) && check.stdout.contains(reason), "{check:?}");
    }
}

/// Properties that librdkafka takes one by one and not together show only when a client is set up.
#[test]
fn bad_input_properties_that_do_not_fit_together_end_it_as_bad_usage() {
    let dir = scratch("bad-input");
    let file = dir.path().join("k.yml");
    let text = "clusters: [{bootstrap_servers: ['b1:9092'], kafka: {fetch.max.bytes: 1000000000, message.max.bytes: 1000000000, receive.message.max.bytes: 1000}}]\n";
    std::fs::write(&file, text).unwrap();
    for arguments in [["serve", "--config"], ["snapshot", "--config"]] {
        let outcome =
            Exporter::builder().args(arguments).args([&file.to_string_lossy(), "--log-level", "error"]).run(COMMAND);
        assert_eq!(outcome.status.code(), Some(2), "{outcome:?}");
        assert!(outcome.stderr.contains("receive.message.max.bytes"), "{outcome:?}");
    }
}
