//! One log line per failure, not one per pass: the same failure is said again only now and then, with how often it was
//! met meanwhile, and its end is said once.

use std::collections::HashMap;
use std::time::Duration;

use crate::kafka::{Cause, KafkaError};
use crate::model::{BrokerId, KafkaCode, Moment};

/// A failure that goes on is said again after this time.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(300);
/// Kinds of failures that are remembered. Beyond it new kinds are not told apart from each other.
const MAX_KINDS: usize = 1024;

/// What makes two failures the same to a reader.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    api: &'static str,
    broker: Option<BrokerId>,
    cause: CauseKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum CauseKind {
    Code(KafkaCode),
    NoAnswer,
    /// Any other, and every kind beyond the bound.
    Other,
}

impl Kind {
    /// `None` for what follows from another failure that has a line of its own.
    fn of(error: &KafkaError) -> Option<Self> {
        let cause = match &error.cause {
            Cause::Code { code, .. } => CauseKind::Code(*code),
            Cause::NoAnswer => CauseKind::NoAnswer,
            Cause::Property(_) | Cause::TooManyInFlight(_) => CauseKind::Other,
            Cause::NotAsked | Cause::Closed => return None,
        };
        Some(Self { api: error.operation.api(), broker: error.target.broker(), cause })
    }

    fn recovery(&self, after: Duration) -> String {
        let seconds = after.as_secs();
        match self.broker {
            Some(broker) => format!("{} to broker {broker} works again after {seconds} s", self.api),
            None => format!("{} works again after {seconds} s", self.api),
        }
    }
}

#[derive(Debug)]
struct Seen {
    said_at: Moment,
    /// Met since it was last said.
    unsaid: u64,
    /// When it was said and its end was not.
    since: Option<Moment>,
}

/// What is to be logged of one pass.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    /// Failures.
    pub(super) failures: Vec<String>,
    /// Ends of failures that were said.
    pub(super) recoveries: Vec<String>,
}

/// The failures of one cluster that were met lately.
#[derive(Debug, Default)]
pub(super) struct Failures {
    seen: HashMap<Kind, Seen>,
}

impl Failures {
    /// Takes in the failures of one pass. Returns the lines to log.
    pub(super) fn lines(&mut self, errors: &[KafkaError], now: Moment) -> Lines {
        let mut met: Vec<(Kind, &KafkaError, u64)> = Vec::new();
        let mut left_alone: Vec<Option<BrokerId>> = Vec::new();
        for error in errors {
            let Some(kind) = Kind::of(error) else {
                left_alone.push(error.target.broker());
                continue;
            };
            match met.iter_mut().find(|(known, _, _)| *known == kind) {
                Some((_, _, count)) => *count += 1,
                None => met.push((kind, error, 1)),
            }
        }
        let failures = met.iter().filter_map(|(kind, error, count)| self.line(kind, error, *count, now)).collect();
        // What was not asked is not over.
        let goes_on = |kind: &Kind| met.iter().any(|(known, ..)| known == kind) || left_alone.contains(&kind.broker);
        let mut recoveries = Vec::new();
        for (kind, seen) in self.seen.iter_mut().filter(|(kind, _)| !goes_on(kind)) {
            recoveries.extend(seen.since.take().map(|since| kind.recovery(now.since(since))));
        }
        self.seen.retain(|kind, seen| goes_on(kind) || now.since(seen.said_at) < SAY_AGAIN_AFTER);
        recoveries.sort_unstable();
        Lines { failures, recoveries }
    }

    fn line(&mut self, kind: &Kind, error: &KafkaError, count: u64, now: Moment) -> Option<String> {
        let is_known = self.seen.contains_key(kind);
        let kind = if is_known || self.seen.len() < MAX_KINDS {
            kind.clone()
        } else {
            Kind { cause: CauseKind::Other, broker: None, api: kind.api }
        };
        let more = |count: u64| if count > 1 { format!(" (and {} more like it)", count - 1) } else { String::new() };
        match self.seen.get_mut(&kind) {
            Some(seen) if now.since(seen.said_at) < SAY_AGAIN_AFTER => {
                seen.unsaid += count;
                None
            }
            Some(seen) => {
                let line = format!("{error}; still failing{}", more(seen.unsaid + count));
                *seen = Seen { said_at: now, unsaid: 0, since: seen.since.or(Some(now)) };
                Some(line)
            }
            None => {
                self.seen.insert(kind, Seen { said_at: now, unsaid: 0, since: Some(now) });
                Some(format!("{error}{}", more(count)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::{Operation, Target};

    fn error(broker: i32, cause: Cause) -> KafkaError {
        KafkaError { operation: Operation::ListOffsets, target: Target::Broker(BrokerId(broker)), cause }
    }

    #[test]
    fn a_failure_is_said_once_and_again_after_a_while() {
        let mut failures = Failures::default();
        let errors = [error(1, Cause::NoAnswer), error(1, Cause::NoAnswer), error(2, Cause::NoAnswer)];
        let first = failures.lines(&errors, Moment(0));
        assert_eq!(
            first.failures,
            [
                "ListOffsets to broker 1 failed: no answer at all (and 1 more like it)",
                "ListOffsets to broker 2 failed: no answer at all"
            ]
        );
        assert_eq!(failures.lines(&errors, Moment(15_000)), Lines::default());
        let again = failures.lines(&errors[..2], Moment(300_000));
        assert_eq!(
            again.failures,
            ["ListOffsets to broker 1 failed: no answer at all; still failing (and 3 more like it)"]
        );
        assert_eq!(again.recoveries, ["ListOffsets to broker 2 works again after 300 s"]);
    }

    #[test]
    fn the_end_of_a_failure_is_said_once() {
        let mut failures = Failures::default();
        failures.lines(&[error(1, Cause::NoAnswer)], Moment(0));
        let not_asked = [error(1, Cause::NotAsked)];
        assert_eq!(failures.lines(&not_asked, Moment(15_000)), Lines::default(), "what is left alone is not over");
        let over = failures.lines(&[], Moment(30_000));
        assert_eq!(over.recoveries, ["ListOffsets to broker 1 works again after 30 s"]);
        assert_eq!(failures.lines(&[], Moment(45_000)), Lines::default());
        assert_eq!(
            failures.lines(&[error(1, Cause::NoAnswer)], Moment(60_000)),
            Lines::default(),
            "it was said lately"
        );
        assert_eq!(failures.lines(&[], Moment(75_000)), Lines::default(), "and so was its end");
    }

    #[test]
    fn what_follows_from_another_failure_is_not_said() {
        assert_eq!(Failures::default().lines(&[error(1, Cause::NotAsked)], Moment(0)), Lines::default());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut failures = Failures::default();
        let errors: Vec<KafkaError> = (0..2 * 1024).map(|broker| error(broker, Cause::NoAnswer)).collect();
        failures.lines(&errors, Moment(0));
        assert!(failures.seen.len() <= MAX_KINDS + 1);
    }
}
