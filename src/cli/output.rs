//! The only place that prints: results on standard output, everything else on standard error.
#![allow(clippy::print_stderr, clippy::print_stdout, reason = "this is where the program's output goes through")]

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;

use crate::config::{ConfigError, Warning};

/// Prints a result. A reader that has gone away, such as `head`, is no failure.
///
/// # Errors
/// When standard output cannot be written, for example on a full disk.
pub fn result(text: &[u8]) -> io::Result<()> {
    results(text).map(|_| ())
}

/// Prints one result of several, and says whether a reader is there for the next.
///
/// # Errors
/// When standard output cannot be written, for example on a full disk.
pub fn results(text: &[u8]) -> io::Result<ControlFlow<()>> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
        other => other.map(ControlFlow::Continue),
    }
}

/// Standard output for results that are written as they come. That a reader has gone away is told to the writer.
#[derive(Debug)]
pub struct Results;

impl Write for Results {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        io::stdout().lock().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush()
    }
}

/// Prints what is wrong with the configuration, one line each.
pub fn config_errors(errors: &[ConfigError]) {
    for error in errors {
        to_stderr(&format!("error: {error}"));
    }
    if errors.len() > 1 {
        let more = if errors.len() >= crate::config::MAX_ERRORS { " or more" } else { "" };
        to_stderr(&format!("{}{more} errors; nothing was started", errors.len()));
    }
}

/// Prints what is odd about the configuration, for commands without a log.
pub fn config_warnings(warnings: &[Warning]) {
    for warning in warnings {
        to_stderr(&format!("warning: {warning}"));
    }
}

/// Prints why the program ends.
pub fn failure(text: &str) {
    to_stderr(&format!("error: {text}"));
}

/// Prints something for the person at the terminal that is no result.
pub fn note(text: &str) {
    to_stderr(text);
}

/// A failure to write to standard error has nobody left to be told.
fn to_stderr(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// One line on the terminal that says what is going on, for work that may take longer than a second.
/// It shows nothing when standard error is no terminal, and takes the line away when dropped.
#[derive(Debug)]
pub struct Progress {
    is_shown: bool,
}

impl Progress {
    /// Starts with a first text.
    pub fn new(text: &str) -> Self {
        let progress = Self { is_shown: io::stderr().is_terminal() };
        progress.say(text);
        progress
    }

    /// Replaces the text.
    pub fn say(&self, text: &str) {
        if self.is_shown {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\x1b[K{text} …").and_then(|()| err.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
        }
    }
}
