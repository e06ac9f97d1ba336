//! One log line per failure, not one per pass: the same failure is said again only now and then, with how often it was
//! met meanwhile, and its end is said once.

use std::collections::HashMap;
use std::time::Duration;

use crate::kafka::{Cause, KafkaError};
use crate::model::{BrokerId, KafkaCode, Moment};

/// A failure that goes on is said again after this time.
const SAY_AGAIN_AFTER: Duration = Duration::from_secs(300);
/// One that comes back after its end was said is said anew after this time: not at once, or one that flaps would flood.
const SAY_ANEW_AFTER: Duration = Duration::from_secs(60);
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
    /// Takes in the failures of one pass. Returns the lines to log. `is_well` says whether an API is well at a broker, or at the
    /// cluster as a whole, as far as this pass tells: that a call did not fail says nothing when it was not made.
    pub(super) fn lines(
        &mut self,
        errors: &[KafkaError],
        is_well: impl Fn(&str, Option<BrokerId>) -> bool,
        now: Moment,
    ) -> Lines {
        let mut met: Vec<(Kind, &KafkaError, u64)> = Vec::new();
        for error in errors {
            let Some(kind) = Kind::of(error) else { continue };
            match met.iter_mut().find(|(known, _, _)| *known == kind) {
                Some((_, _, count)) => *count += 1,
                None => met.push((kind, error, 1)),
            }
        }
        let failures = met.iter().filter_map(|(kind, error, count)| self.line(kind, error, *count, now)).collect();
        let is_met = |kind: &Kind| met.iter().any(|(known, ..)| known == kind);
        let mut recoveries = Vec::new();
        for (kind, seen) in self.seen.iter_mut().filter(|(kind, _)| !is_met(kind) && is_well(kind.api, kind.broker)) {
            recoveries.extend(seen.since.take().map(|since| kind.recovery(now.since(since))));
        }
        self.seen.retain(|kind, seen| is_met(kind) || now.since(seen.said_at) < SAY_AGAIN_AFTER);
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
            Some(seen) if seen.since.is_none() && now.since(seen.said_at) >= SAY_ANEW_AFTER => {
                let line = format!("{error}{}", more(seen.unsaid + count));
                *seen = Seen { said_at: now, unsaid: 0, since: Some(now) };
                Some(line)
            }
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
        let first = failures.lines(&errors, |_, _| true, Moment(0));
        assert_eq!(
            first.failures,
            [
                "ListOffsets to broker 1 failed: no answer at all (and 1 more like it)",
                "ListOffsets to broker 2 failed: no answer at all"
            ]
        );
        assert_eq!(failures.lines(&errors, |_, _| true, Moment(15_000)), Lines::default());
        let again = failures.lines(&errors[..2], |_, _| true, Moment(300_000));
        assert_eq!(
            again.failures,
            ["ListOffsets to broker 1 failed: no answer at all; still failing (and 3 more like it)"]
        );
        assert_eq!(again.recoveries, ["ListOffsets to broker 2 works again after 300 s"]);
    }

    #[test]
    fn the_end_of_a_failure_is_said_once_and_only_when_it_is_known() {
        let mut failures = Failures::default();
        let failing = [error(1, Cause::NoAnswer)];
        failures.lines(&failing, |_, _| false, Moment(0));
        assert_eq!(
            failures.lines(&[], |_, _| false, Moment(15_000)),
            Lines::default(),
            "what was not asked is not over"
        );
        let over = failures.lines(&[], |_, _| true, Moment(30_000));
        assert_eq!(over.recoveries, ["ListOffsets to broker 1 works again after 30 s"]);
        assert_eq!(failures.lines(&[], |_, _| true, Moment(35_000)), Lines::default());
        assert_eq!(failures.lines(&failing, |_, _| false, Moment(45_000)), Lines::default(), "it was said lately");
        let anew = failures.lines(&failing, |_, _| false, Moment(60_000));
        assert_eq!(anew.failures, ["ListOffsets to broker 1 failed: no answer at all (and 1 more like it)"]);
    }

    #[test]
    fn what_follows_from_another_failure_is_not_said() {
        assert_eq!(Failures::default().lines(&[error(1, Cause::NotAsked)], |_, _| false, Moment(0)), Lines::default());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut failures = Failures::default();
        let errors: Vec<KafkaError> = (0..2 * 1024).map(|broker| error(broker, Cause::NoAnswer)).collect();
        failures.lines(&errors, |_, _| true, Moment(0));
        assert!(failures.seen.len() <= MAX_KINDS + 1);
    }
}
