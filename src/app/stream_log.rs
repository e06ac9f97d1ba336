//! What the log says of reading `__consumer_offsets`: once when it begins, falls back to polling, and goes on.

use std::time::Duration;

use crate::kafka::{FeedHealth, OFFSETS_TOPIC};
use crate::model::{Moment, StreamState};

/// Reading that has not reached the end for so long is behind: shorter ones are starts, moves of leaders and the like.
const BEHIND_AFTER: Duration = Duration::from_secs(30);

/// The partitions that a line names at most.
const MAX_NAMED: usize = 5;

/// What was said last.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum Said {
    #[default]
    Nothing,
    Streams,
    FellBack,
}

/// What the log says of one cluster's stream.
#[derive(Debug, Default)]
pub(super) struct StreamLog {
    said: Said,
    /// Since when not all of it is read up to now.
    partial_since: Option<Moment>,
}

/// A line, and whether it is a warning.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) is_warning: bool,
}

impl StreamLog {
    /// What is to be said, if anything.
    pub(super) fn line(&mut self, health: &FeedHealth, now: Moment) -> Option<Line> {
        let count = |state| health.partitions.iter().filter(|partition| partition.state == state).count();
        let all = health.partitions.len();
        if health.failure.is_none() && all > 0 && count(StreamState::Streaming) == all {
            self.partial_since = None;
            let again = if self.said == Said::FellBack { " again" } else { "" };
            let text = format!("commits are read from all {all} partitions of {OFFSETS_TOPIC}{again}");
            return self.say(Said::Streams, text, false);
        }
        let since = *self.partial_since.get_or_insert(now);
        let is_wrong = count(StreamState::Pinned) + count(StreamState::Failed) > 0 || health.failure.is_some();
        if is_wrong || now.since(since) >= BEHIND_AFTER {
            return self.say(Said::FellBack, fell_back(health), true);
        }
        None
    }

    fn say(&mut self, what: Said, text: String, is_warning: bool) -> Option<Line> {
        let is_new = self.said != what;
        self.said = what;
        is_new.then_some(Line { text, is_warning })
    }
}

fn fell_back(health: &FeedHealth) -> String {
    if let Some(failure) = &health.failure {
        return format!("commits are polled instead of read from {OFFSETS_TOPIC}: {failure}");
    }
    let mut reasons = Vec::new();
    for (state, what) in [
        (
            StreamState::Pinned,
            "held up by a transaction that neither commits nor aborts (find it with kafka-transactions.sh find-hanging)",
        ),
        (StreamState::Failed, "no leader answers"),
        (StreamState::CatchingUp, "reading is behind"),
    ] {
        let places = || health.partitions.iter().enumerate().filter(|(_, partition)| partition.state == state);
        let count = places().count();
        if count > 0 {
            let named: Vec<String> = places().take(MAX_NAMED).map(|(place, _)| place.to_string()).collect();
            let more = if count > MAX_NAMED { ", …" } else { "" };
            reasons.push(format!("{what}: {count} of {} ({}{more})", health.partitions.len(), named.join(", ")));
        }
    }
    format!(
        "commits of the groups on some partitions of {OFFSETS_TOPIC} are polled instead of read: {}",
        reasons.join("; ")
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::kafka::PartitionHealth;

    fn health(states: &[StreamState]) -> FeedHealth {
        let partition = |state: &StreamState| PartitionHealth {
            state: *state,
            position: None,
            high_watermark: None,
            complete_age: None,
            stuck_for: None,
        };
        FeedHealth { life: 1, partitions: states.iter().map(partition).collect(), ..FeedHealth::default() }
    }

    #[test]
    fn one_line_when_it_falls_back_and_one_when_it_goes_on() {
        use StreamState::{CatchingUp, Pinned, Streaming};
        let mut log = StreamLog::default();
        let mut line = |second: u64, states: &[StreamState]| log.line(&health(states), Moment(second * 1000));
        assert_eq!(line(0, &[]), None, "it has just begun");
        assert_eq!(line(1, &[CatchingUp, CatchingUp]), None);
        let first = line(2, &[Streaming, Streaming]).unwrap();
        assert_eq!(first.text, "commits are read from all 2 partitions of __consumer_offsets");
        assert!(!first.is_warning);
        assert_eq!(line(3, &[Streaming, Streaming]), None);
        assert_eq!(line(4, &[Streaming, CatchingUp]), None, "that may pass");
        let pinned = line(9, &[Streaming, Pinned]).unwrap();
        assert!(pinned.is_warning && pinned.text.contains("find-hanging): 1 of 2 (1)"), "{pinned:?}");
        assert_eq!(line(10, &[Streaming, Pinned]), None);
        let again = line(60, &[Streaming, Streaming]).unwrap();
        assert_eq!(again.text, "commits are read from all 2 partitions of __consumer_offsets again");
        assert_eq!(line(61, &[Streaming, CatchingUp]), None);
        assert!(line(91, &[Streaming, CatchingUp]).unwrap().text.ends_with("reading is behind: 1 of 2 (1)"));
    }

    #[test]
    fn what_refuses_all_of_it_is_said_in_its_own_words() {
        let failed = FeedHealth { failure: Some("not allowed".to_owned()), ..FeedHealth::default() };
        let line = StreamLog::default().line(&failed, Moment(0)).unwrap();
        assert_eq!(line.text, "commits are polled instead of read from __consumer_offsets: not allowed");
    }
}
