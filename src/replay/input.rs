//! Reads a recording line by line: bounded, in the order of time, with errors that name the line.

use std::io::{BufRead, Read};

use super::answers;
use super::error::{LineFault, MAX_LINE_BYTES, ReplayError};
use super::line::{Line, TopicLine};
use super::wire::{Object, Told};

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
                let line = parse(self.buffer.trim_ascii_end()).map_err(|fault| self.refuse(fault))?;
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
    let Object(line): Object<Line> = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        fault(&path, &error.into_inner())
    })?;
    json.end().map_err(|error| fault("", &error))?;
    check_settings(&line)?;
    Ok(line)
}

fn check_settings(line: &Line) -> Result<(), LineFault> {
    for (name, topic) in &line.topics.0 {
        if let Some(Object(TopicLine { config: Told::Value(Object(config)), .. })) = topic {
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn fault_of(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_value_that_is_wrong_is_named_with_its_place_and_what_to_write() {
        for (text, expected) in [
            (r#"{"t": 1, "topics": {"t1": {"partitions": {"0": {"end": -5}}}}}"#, "topics.t1.partitions.0.end: "),
            (r#"{"t": 1, "topics": {"t1": {"partitions": {"0": {"end": -5}}}}}"#, "a whole number, not negative"),
            (r#"{"t": 1, "topics": {"t1": {"partitions": {"0": {"end": null}}}}}"#, "topics.t1.partitions.0.end: "),
            (r#"{"t": 1, "topics": {"t1": {"partitions": {"0": {"end": "5"}}}}}"#, "expected an offset"),
            (r#"{"t": 1, "topics": {"t1": {"partitions": {"0": {"end": 1e30}}}}}"#, "expected an offset"),
            (r#"{"t": 1, "topics": {"t1": {"partitions": {"0": [0, 5]}}}}"#, "expected an object"),
            (r#"{"t": 1, "topics": {"t1": {"partitions": {"-1": {}}}}}"#, "a partition number from 0 to 99999"),
            (r#"{"t": 1, "topics": {"t1": {"partitions": {"+1": {}}}}}"#, "a partition number from 0 to 99999"),
            (r#"{"t": 1, "topics": {"t1": {"partitions": {"": {}}}}}"#, "a partition number from 0 to 99999"),
            (r#"{"t": 1, "topics": {"t1": {"partitions": {"100000": {}}}}}"#, "a partition number from 0 to 99999"),
            (r#"{"t": 1, "topics": {"t1": {"partitions": {"0": {"leader": 1}}}}}"#, "`start` or `end`"),
            (r#"{"t": 1, "topics": {"t1": {"partitions": {"0": {}, "0": {}}}}}"#, "`0` stands there twice"),
            (r#"{"t": 1, "topics": {"t1": {}, "t1": null}}"#, "`t1` stands there twice"),
            (r#"{"t": 1, "t": 2}"#, "duplicate field `t`"),
            (r#"{"t": 1, "topics": null}"#, "topics: "),
            (r#"{"t": 1, "topics": {"t1": {"config": {"retention.ms": "7d"}}}}"#, "topics.t1.config.retention.ms: "),
            (r#"{"t": 1, "topics": {"t1": {"config": {"retention.ms": -2}}}}"#, "a whole number from -1 on"),
            (r#"{"t": 1, "topics": {"t1": {"config": {"retention.msec": 2}}}}"#, "unknown field `retention.msec`"),
            (
                r#"{"t": 1, "topics": {"t1": {"config": {"cleanup.policy": "shred"}}}}"#,
                "topics.t1.config: cleanup.policy",
            ),
            (r#"{"t": 1, "groups": {"g": {"state": "stable"}}}"#, "one of Unknown, PreparingRebalance"),
            (r#"{"t": 1, "groups": {"g": {"members": -1}}}"#, "groups.g.members: "),
            (r#"{"t": 1, "groups": {"g": {"members": "1"}}}"#, "groups.g.members: "),
            (r#"{"t": 1, "groups": {"g": {"assignment": ["t1"]}}}"#, "groups.g.assignment: "),
            (r#"{"t": 1, "groups": {"g": {"assignment": {"t1": 0}}}}"#, "groups.g.assignment.t1: "),
            (r#"{"t": 1, "groups": {"g": {"assignment": {"t1": [0, -1]}}}}"#, "groups.g.assignment.t1[1]: "),
            (r#"{"t": 1, "groups": {"g": {"commits": {"t1": {"0": 5}}}}}"#, "groups.g.commits.t1.0: "),
            (r#"{"t": 1, "groups": {"g": {"commits": {"t1": {"0": {}}}}}}"#, "missing field `offset`"),
            (r#"{"t": 1, "groups": {"g": {"commits": {"t1": {"0": {"offset": 1, "time": -1}}}}}}"#, "0.time: "),
            (r#"{"t": 1, "groups": {"g": {"commits": {"t1": {"0": {"offset": -1}}}}}}"#, "0.offset: "),
            (r#"{"t": 1, "groups": {"g": {"commits": {"t1": {"a": {"offset": 1}}}}}}"#, "a partition number"),
            (r#"{"t": 1, "print": 1}"#, "print: "),
            (r#"{"t": 1, "cluster": 7}"#, "cluster: "),
            (r#"{"t": 253402300800000}"#, "milliseconds since the Unix epoch"),
            (r#"{"t": null}"#, "t: "),
            (r#"{"t": true}"#, "t: "),
            (r#"{"topics": {}}"#, "missing field `t`"),
            (r#"{"t": 1, "Topics": {}}"#, "expected one of `t`, `cluster`, `topics`, `groups`, `print`"),
            ("[1]", "expected an object"),
            ("7", "expected an object"),
            ("null", "expected an object"),
            (r#"{"t": 1} {"t": 2}"#, "not a JSON object on one line: trailing characters"),
            (r#"{"t": 1,}"#, "not a JSON object on one line: trailing comma"),
            (r#"{"t": 01}"#, "not a JSON object on one line: invalid number"),
            (r#"{"t": 1"#, "not a JSON object on one line: EOF"),
            ("t=1", "not a JSON object on one line: expected"),
        ] {
            let fault = fault_of(text);
            assert!(fault.contains(expected), "{text}: {fault}");
            assert!(!fault.contains("at line"), "{text}: {fault}");
        }
        assert!(parse(b"{\"t\": 1, \"cluster\": \"\xff\"}").is_err());
    }

    #[test]
    fn everything_but_the_time_is_optional() {
        for text in [
            r#"{"t": 0}"#,
            r#"{"t": 1, "topics": {}, "groups": {}, "print": false}"#,
            r#"{"t": 1, "topics": {"t1": {}, "t2": null, "t3": {"partitions": {"0": {}, "1": null}, "config": null}}}"#,
            r#"{"t": 1, "groups": {"a": {}, "b": null, "c": {"state": null, "members": null, "assignment": null}}}"#,
            r#"{"t": 1, "groups": {"a": {"protocol_type": "", "commits": {"t1": null, "t2": {"0": null}}}}}"#,
        ] {
            parse(text.as_bytes()).unwrap();
        }
    }

    #[test]
    fn lines_are_numbered_with_the_empty_ones() {
        let mut lines = Lines::new("\n{\"t\": 5}\r\n  \n{\"t\": 5}\n{\"t\": 4}".as_bytes());
        assert_eq!(lines.next_line().unwrap().map(|line| line.t), Some(5));
        assert_eq!(lines.next_line().unwrap().map(|line| line.t), Some(5), "lines may be of one time");
        let error = lines.next_line().unwrap_err();
        assert!(matches!(error, ReplayError::Line { number: 5, fault: LineFault::Backwards { t: 4, before: 5 } }));
        assert_eq!(Lines::new(&b""[..]).next_line().unwrap(), None);
    }

    #[test]
    fn a_line_without_end_is_refused_before_it_fills_the_memory() {
        let endless = std::io::BufReader::new(std::io::repeat(b' '));
        let error = Lines::new(endless).next_line().unwrap_err();
        assert!(matches!(error, ReplayError::Line { number: 1, fault: LineFault::TooLong }));
    }
}
