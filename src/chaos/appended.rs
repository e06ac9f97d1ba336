//! When the records of a log were appended, as its history tells: the timestamps that a broker would have put on them.

use super::cluster::Log;
use super::history::History;
use super::run::EPOCH_MS;
use crate::model::{Offset, WallTime};

/// Records that were appended at one instant: from an offset up to another.
struct Batch {
    from: i64,
    to: i64,
    at: WallTime,
}

/// The batches that are still in the log, in order. What was truncated away is not among them.
fn batches(log: &History<Log>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for (at, Log { start, end }) in log.points() {
        let at = WallTime(EPOCH_MS.saturating_add_unsigned(at));
        let held = batches.last().map_or(start.min(end), |last| last.to);
        if end < held {
            batches.retain(|batch| batch.from < end);
            if let Some(last) = batches.last_mut() {
                last.to = last.to.min(end);
            }
        } else if end > held {
            batches.push(Batch { from: held, to: end, at });
        }
    }
    let start = log.now().start;
    batches.retain(|batch| batch.to > start);
    if let Some(first) = batches.first_mut() {
        first.from = first.from.max(start);
    }
    batches
}

/// The first record that is not older than a time, and its time.
pub(super) fn first_since(log: &History<Log>, time: WallTime) -> Option<(Offset, WallTime)> {
    let batches = batches(log);
    let batch = batches.iter().find(|batch| batch.at >= time)?;
    Some((Offset::new(batch.from)?, batch.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_the_time_at_which_the_end_passed_them() {
        let mut log = History::new(100, Log { start: 0, end: 10 });
        log.set(200, Log { start: 0, end: 30 });
        log.set(300, Log { start: 15, end: 30 });
        log.set(400, Log { start: 15, end: 20 });
        log.set(500, Log { start: 15, end: 25 });
        let first =
            |time| first_since(&log, WallTime(EPOCH_MS + time)).map(|(offset, at)| (offset.get(), at.0 - EPOCH_MS));
        assert_eq!(first(-EPOCH_MS), Some((15, 200)), "what lies before the log start is gone");
        assert_eq!(first(200), Some((15, 200)));
        assert_eq!(first(201), Some((20, 500)), "what was truncated came anew");
        assert_eq!(first(501), None);
    }
}
