//! Reads a recording line by line: bounded, in the order of time, with errors that name the line.

use std::io::{BufRead, Read};

use super::answers;
use super::error::{LineFault, MAX_LINE_BYTES, ReplayError};
use super::line::{Line, TopicLine};
use super::wire::Told;

/// The lines of a recording.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: R,
    number: u64,
    time: Option<i64>,
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The lines of an input, from its beginning.
    pub(super) fn new(input: R) -> Self {
        Self { input, number: 0, time: None, buffer: Vec::new() }
    }

    /// The next line; `None` at the end. Empty ones are passed over.
    ///
    /// # Errors
    /// When it cannot be read, is not of the format, or is earlier than the one before it.
    pub(super) fn next_line(&mut self) -> Result<Option<Line>, ReplayError> {
        loop {
            self.number += 1;
            self.buffer.clear();
            let bound = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
            let read = self.input.by_ref().take(bound).read_until(b'\n', &mut self.buffer);
            let length = read.map_err(|cause| ReplayError::Read { number: self.number, cause })?;
            if length == 0 {
                return Ok(None);
            }
            if length > MAX_LINE_BYTES {
                return Err(self.refuse(LineFault::TooLong));
            }
            if !self.buffer.trim_ascii().is_empty() {
                let line = parse(&self.buffer).map_err(|fault| self.refuse(fault))?;
                return self.in_order(line).map(Some);
            }
        }
    }

    fn in_order(&mut self, line: Line) -> Result<Line, ReplayError> {
        match self.time.replace(line.t) {
            Some(before) if line.t < before => Err(self.refuse(LineFault::Backwards { t: line.t, before })),
            _ => Ok(line),
        }
    }

    /// The error that something is wrong with the line that was read last.
    pub(super) fn refuse(&self, fault: LineFault) -> ReplayError {
        ReplayError::Line { number: self.number, fault }
    }
}

/// Reads one line.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn parse(text: &[u8]) -> Result<Line, LineFault> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let line: Line = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        fault(&path, &error.into_inner())
    })?;
    json.end().map_err(|error| fault("", &error))?;
    check_settings(&line)?;
    Ok(line)
}

fn check_settings(line: &Line) -> Result<(), LineFault> {
    for (name, topic) in &line.topics.0 {
        if let Some(TopicLine { config: Told::Value(config), .. }) = topic {
            answers::settings(config)
                .map_err(|error| LineFault::Value { path: format!("topics.{name}.config"), what: error.to_string() })?;
        }
    }
    Ok(())
}

fn fault(path: &str, error: &serde_json::Error) -> LineFault {
    let text = error.to_string();
    // The JSON is one line: its own line number would only be taken for that of the file.
    let what = match text.rsplit_once(" at line 1 column ") {
        Some((what, column)) => format!("{what} (column {column})"),
        None => text,
    };
    if !error.is_data() {
        return LineFault::NotJson(what);
    }
    let path = if path == "." { String::new() } else { path.to_owned() };
    LineFault::Value { path, what }
}
