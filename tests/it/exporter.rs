//! The exporter itself, as users start it: the real program, its arguments, its logs, its HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::exposition::Exposition;
use crate::http::{self, Response};
use crate::process::{Process, mortal};
use crate::tools::scratch;
use crate::wait::eventually;

/// How long it may take until it listens: Kafka has no part in it.
const LISTENS: Duration = Duration::from_secs(15);

/// How long it may take until it is ready: its first pass, or its first failure.
const READY: Duration = Duration::from_secs(60);

/// What it promises to end within, whatever Kafka and scrapers do.
const ENDS: Duration = Duration::from_secs(5);

/// How a program's run is put together.
pub(crate) struct Builder {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Builder {
    /// Adds arguments.
    pub(crate) fn args<S: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it as a daemon on a free port of loopback, logging JSON, and waits until it listens.
    #[track_caller]
    pub(crate) fn start(self) -> Exporter {
        self.args(["--listen", "127.0.0.1:0", "--log-format", "json"]).start_as_it_is()
    }

    /// As [`Builder::start`], on an address of one's own: one that another exporter has had, or that is known before.
    #[track_caller]
    pub(crate) fn start_on(self, address: SocketAddr) -> Exporter {
        self.args(["--listen", &address.to_string(), "--log-format", "json"]).start_as_it_is()
    }

    /// Starts it as a daemon with nothing but what was given; that must make it listen, and log JSON (which it does
    /// without being told, for its output is no terminal).
    #[track_caller]
    pub(crate) fn start_as_it_is(self) -> Exporter {
        let mut daemon = self;
        let dir = scratch("exporter");
        let process = Process::start("kafkascope", daemon.command(), &dir.path().join("output.log"));
        let address = eventually("kafkascope listens", LISTENS, || {
            if let Some(status) = process.ended() {
                panic!("kafkascope ended ({status}) before it listened\n{}", process.tail());
            }
            listening(&process.output()).ok_or_else(|| process.tail())
        });
        Exporter { address, process, _dir: dir }
    }

    /// Runs it to its end, for commands that print something and for bad usage.
    #[track_caller]
    pub(crate) fn run(mut self, bound: Duration) -> Outcome {
        let dir = scratch("run");
        let (out, err) = (dir.path().join("stdout"), dir.path().join("stderr"));
        let mut shell = mortal("sh");
        // The shell only splits the two streams; `exec` leaves it out of the way of signals.
        shell.args(["-c", "out=$1; shift; exec \"$@\" >\"$out\"", "sh"]).arg(&out);
        let own = self.command();
        shell.arg(own.get_program()).args(own.get_args());
        for (name, value) in own.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let process = Process::start("kafkascope", shell, &err);
        let status = process.wait(bound).unwrap_or_else(|fault| panic!("{fault}\n{}", process.tail()));
        Outcome { status, stdout: read(&out), stderr: read(&err) }
    }

    fn command(&mut self) -> Command {
        let mut command = mortal(env!("CARGO_BIN_EXE_kafkascope"));
        // Nothing of the caller's own settings may reach a test.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KAFKASCOPE_") {
                command.env_remove(name);
            }
        }
        command.env_remove("SASL_USER_PASSWORD");
        command.args(&self.arguments).envs(self.environment.drain(..));
        command
    }
}

fn read(path: &PathBuf) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

/// What a run that ended has said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running exporter; dropping it kills it.
pub(crate) struct Exporter {
    address: SocketAddr,
    process: Process,
    _dir: tempfile::TempDir,
}

impl Exporter {
    /// An exporter to be given arguments.
    pub(crate) fn builder() -> Builder {
        Builder { arguments: Vec::new(), environment: Vec::new() }
    }

    /// The daemon with a bootstrap list and more arguments.
    #[track_caller]
    pub(crate) fn start(bootstrap: &str, arguments: &[&str]) -> Self {
        Self::builder().args(["--bootstrap-servers", bootstrap]).args(arguments).start()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks for a page without headers of one's own; panics when nobody answers.
    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Response {
        self.get_with(target, &[])
    }

    /// Asks for a page.
    #[track_caller]
    pub(crate) fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Response {
        http::get(self.address, target, headers).unwrap_or_else(|fault| panic!("{fault}\n{}", self.process.tail()))
    }

    /// Waits until `/-/ready` says 200.
    #[track_caller]
    pub(crate) fn ready(&self) {
        eventually("kafkascope is ready", READY, || {
            let response = self.get("/-/ready");
            (response.status == 200).then_some(()).ok_or_else(|| response.text())
        });
    }

    /// A scrape, read strictly; panics with what is wrong in it.
    #[track_caller]
    pub(crate) fn scrape(&self) -> Exposition {
        let response = self.get("/metrics");
        assert_eq!(response.status, 200, "/metrics: {}", response.text());
        Exposition::parse(&response.text()).unwrap_or_else(|fault| panic!("/metrics: {fault}"))
    }

    /// Scrapes until `probe` is content.
    #[track_caller]
    pub(crate) fn scrape_until<T>(
        &self,
        what: &str,
        bound: Duration,
        mut probe: impl FnMut(&Exposition) -> Result<T, String>,
    ) -> T {
        eventually(what, bound, || probe(&self.scrape()))
    }

    /// Asks it to stop by SIGTERM and waits for its end.
    #[track_caller]
    pub(crate) fn terminate(&self) -> ExitStatus {
        self.end(Signal::TERM)
    }

    /// Asks it to stop by SIGINT, as Ctrl-C does, and waits for its end.
    #[track_caller]
    pub(crate) fn interrupt(&self) -> ExitStatus {
        self.end(Signal::INT)
    }

    #[track_caller]
    fn end(&self, signal: Signal) -> ExitStatus {
        self.process.signal(signal);
        self.process.wait(ENDS).unwrap_or_else(|fault| panic!("{fault}\n{}", self.process.tail()))
    }

    /// Asks it to read its configuration again.
    pub(crate) fn hangup(&self) {
        self.process.signal(Signal::HUP);
    }

    /// Freezes it until [`Exporter::thaw`].
    pub(crate) fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    /// Everything it has logged, as text.
    pub(crate) fn output(&self) -> String {
        self.process.output()
    }

    /// Its log lines, field by field.
    pub(crate) fn log(&self) -> Vec<Value> {
        log_lines(&self.output())
    }

    /// Its resident memory, in bytes.
    #[track_caller]
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("its /proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        kilobytes * 1024
    }
}

fn log_lines(output: &str) -> Vec<Value> {
    output.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The address in the line that says so: the field `address` of the message "listening on …".
fn listening(output: &str) -> Option<SocketAddr> {
    log_lines(output).iter().find_map(|line| {
        // tracing's JSON keeps fields below "fields" unless it is told to flatten them.
        let fields = line.get("fields").unwrap_or(line);
        let message = fields.get("message")?.as_str()?;
        if !message.contains("listening on") {
            return None;
        }
        let address = fields.get("address")?.as_str()?;
        address.trim_start_matches("http://").trim_end_matches('/').parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::listening;

    #[test]
    fn finds_the_address_in_the_log() {
        let address = Some("127.0.0.1:4711".parse().unwrap());
        let nested =
            r#"{"level":"INFO","fields":{"message":"listening on http://127.0.0.1:4711","address":"127.0.0.1:4711"}}"#;
        let flat = r#"{"message":"listening on http://127.0.0.1:4711","address":"http://127.0.0.1:4711"}"#;
        assert_eq!(listening(nested), address);
        assert_eq!(listening(&format!("not json\n{flat}\n")), address);
        assert_eq!(listening(r#"{"fields":{"message":"starting"}}"#), None);
    }
}
