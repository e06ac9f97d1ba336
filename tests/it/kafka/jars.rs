//! The versions of Kafka that are tested, and how its Java programs are started.

use std::path::Path;
use std::process::Command;

use crate::process::mortal;
use crate::tools::installed;

/// A version of Apache Kafka that `tests/run` installs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// The newest one.
    V4_3_1,
    /// The last one of the 3.x line.
    V3_9_1,
}

impl Version {
    /// As its jars are called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V4_3_1 => "4.3.1",
            Self::V3_9_1 => "3.9.1",
        }
    }

    /// The class path of this version's jars.
    #[track_caller]
    pub(crate) fn class_path(self) -> String {
        let dir = installed("KAFKASCOPE_TEST_KAFKA_DIR").join(format!("kafka-{}", self.name()));
        assert!(dir.is_dir(), "{} does not exist: run the tests with tests/run", dir.display());
        format!("{}/*", dir.display())
    }
}

/// A JVM that starts fast and stays small, for code that runs for seconds.
pub(crate) fn java(heap_mb: u32, class_path: &str, log_level: &str) -> Command {
    let mut command = mortal("java");
    command
        .arg(format!("-Xmx{heap_mb}m"))
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
        .arg(format!("-Dorg.slf4j.simpleLogger.defaultLogLevel={log_level}"))
        .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
        .arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")
        .args(["-cp", class_path]);
    command
}

/// Runs a command to its end; panics with what it wrote when it fails.
#[track_caller]
pub(crate) fn succeed(mut command: Command, what: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: cannot start: {error}"));
    assert!(
        output.status.success(),
        "{what}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Compiles the driver's sources into `classes`.
pub(crate) fn compile_driver(classes: &Path, class_path: &str) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/driver");
    let mut javac = Command::new("javac");
    javac.args(["-Xlint:all", "-Werror", "-encoding", "UTF-8", "-cp", class_path, "-d"]).arg(classes);
    for entry in std::fs::read_dir(&sources).expect("tests/driver") {
        let path = entry.expect("an entry of tests/driver").path();
        if path.extension().is_some_and(|extension| extension == "java") {
            javac.arg(path);
        }
    }
    succeed(javac, "compiling tests/driver");
}
