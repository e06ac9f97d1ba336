//! Child processes that never outlive the tests, whatever becomes of these.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::within;

/// How much of a log is shown when its process fails.
const TAIL_LINES: usize = 40;

/// How long a killed process may take until it can be reaped.
const REAP: Duration = Duration::from_secs(10);

type Order = (Command, Sender<io::Result<Child>>);

/// Every child is started by one thread that lives as long as the test process: the kernel sends a
/// child's parent-death signal when the *thread* that started it ends, and test threads are short-lived.
static SPAWNER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
    let (orders, inbox) = channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in inbox {
            let _nobody_waits = answer.send(command.spawn());
        }
    });
    Mutex::new(orders)
});

/// A command that the kernel kills (also when it is frozen) as soon as the test process is gone.
pub(crate) fn mortal(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Starts what [`mortal`] has made.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    let (answer, result) = channel();
    SPAWNER.lock().expect("the spawner's queue").send((command, answer)).map_err(io::Error::other)?;
    result.recv().map_err(io::Error::other)?
}

/// A running program with its output in a file; dropping it kills it.
pub(crate) struct Process {
    name: String,
    child: Mutex<Child>,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, stdout and stderr appended to `log`.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).expect("a log file");
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("a second handle")).stderr(out);
        let child = spawn(command).unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name: name.to_owned(), child: Mutex::new(child), log: log.to_owned() }
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.lock().expect("the child").id()
    }

    /// Sends a signal; nothing happens when the process has ended already.
    pub(crate) fn signal(&self, signal: Signal) {
        let mut child = self.child.lock().expect("the child");
        // An ended child keeps its id until it is reaped here, so the signal hits no other process.
        if let Ok(None) = child.try_wait() {
            let pid = Pid::from_child(&child);
            kill_process(pid, signal).unwrap_or_else(|error| panic!("cannot signal {}: {error}", self.name));
        }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().expect("the child").try_wait().expect("the state of a child")
    }

    /// Waits for its end; the error says that it still runs.
    pub(crate) fn wait(&self, bound: Duration) -> Result<ExitStatus, String> {
        within(bound, || self.ended().ok_or_else(|| format!("{} still runs", self.name)))
    }

    /// Ends it at once, also when it is frozen, and reaps it.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
        self.wait(REAP).expect("a killed process ends");
    }

    /// Everything it has written.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The end of what it has written, for messages.
    pub(crate) fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<_> = output.lines().collect();
        let from = lines.len().saturating_sub(TAIL_LINES);
        format!("--- the end of {}'s output\n{}\n---", self.name, lines[from..].join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // During a panic a second one would abort the test process and hide the first.
        if let Ok(child) = self.child.get_mut() {
            let _ended_already = child.kill();
            let _reaped = child.wait();
        }
    }
}
