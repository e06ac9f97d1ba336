//! The search for the append time of a record, by asking a broker which records times map to.
//!
//! ListOffsets by timestamp tells the first record whose timestamp is not before a time. If that record lies at or before
//! the one that is searched for, the greatest timestamp up to the latter is at least the found one's; if it lies behind,
//! or there is none, that timestamp is smaller than the time that was asked for. So the greatest timestamp at or before
//! the record, which is its append time as far as timestamps tell, is closed in from both sides, with no record read.
//!
//! With `CreateTime` timestamps are the producers': out of order, or ahead of time. What the history of the log's end
//! knows binds the answer, and one that lies in the future is none.

use super::timeline::on_line;
use crate::model::{Offset, PartitionId, WallTime};
use crate::state::TopicIx;

/// A search is over when the time is known so well, in milliseconds.
pub const TOLERANCE_MS: i64 = 1_000;

/// Searches that are worked on at once; further questions wait until some of these are answered.
pub const MAX_TIME_QUESTIONS: usize = 2_000;

/// An offset and a time that go together.
pub type Mark = (Offset, WallTime);

/// When was this record appended?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeQuestion {
    /// The topic.
    pub topic: TopicIx,
    /// The partition.
    pub partition: PartitionId,
    /// The record: the committed offset, or the log start if that is further on. It is in the log.
    pub offset: Offset,
    /// An end of the log that was not past the record, and a time at which it was seen: the record came after that.
    pub not_before: Option<Mark>,
    /// An end of the log that was past the record, and a time at which it was seen: the record had come by then.
    pub not_after: Option<Mark>,
}

/// A record was appended then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeAnswer {
    /// The topic.
    pub topic: TopicIx,
    /// The partition.
    pub partition: PartitionId,
    /// The record.
    pub offset: Offset,
    /// The greatest timestamp at or before the record, to within [`TOLERANCE_MS`] and never too late; within the bounds of the
    /// question. When the record is not in the log any more, the timestamp of the first one that is.
    pub appended_at: WallTime,
}

/// What a search comes to next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ask for the first record that is not older than this.
    Ask(WallTime),
    /// The record was appended then.
    Known(WallTime),
    /// Timestamps do not tell: there are none, or they lie in the future.
    Unknown,
}

/// What the searched time lies before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Upper {
    /// It is smaller than this.
    before: WallTime,
    /// An offset past the record, with about the time at which it came; `None`: no such is known.
    mark: Option<Mark>,
}

/// The search for one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    offset: Offset,
    /// The log's end as it was seen last: records come there just now.
    end: Option<Offset>,
    /// The time is not smaller than this one's, whose offset is at or before the record.
    lower: Option<Mark>,
    /// What `lower` was before.
    below: Option<Mark>,
    upper: Option<Upper>,
    /// Whether `lower` is the answer: nothing between it and `upper` can be found.
    is_found: bool,
    /// The first record in the log: the one that is searched for is gone.
    first_left: Option<WallTime>,
    /// Whether no record has a timestamp.
    has_nothing: bool,
    /// Whether the last question did not halve the time in question: then the next one does.
    bisects: bool,
    /// Whether the last two times past the record led to the same one: nothing came between, perhaps not for long before.
    is_gap: bool,
}

impl Search {
    /// Begins a search with what is known already. `end` is the log's end, past the record.
    #[must_use]
    pub fn new(offset: Offset, not_before: Option<Mark>, not_after: Option<Mark>, end: Option<Offset>) -> Self {
        let upper = not_after.map(|(past, time)| Upper { before: plus(time, 1), mark: Some((past, time)) });
        Self {
            offset,
            end: end.filter(|end| *end > offset),
            lower: not_before.filter(|(at, _)| *at <= offset),
            below: None,
            upper,
            is_found: false,
            first_left: None,
            has_nothing: false,
            bisects: false,
            is_gap: false,
        }
    }

    /// The record that is searched for.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.offset
    }

    /// Takes over what another search in the same log has found out.
    pub fn inherit(&mut self, other: &Self) {
        if let Some(lower) = other.lower.filter(|(at, _)| *at <= self.offset) {
            self.raise(lower);
        }
        if let Some(upper) = other.upper.filter(|upper| upper.mark.is_some_and(|(at, _)| at > self.offset)) {
            self.sink(upper);
        }
    }

    /// What to do next. Times after `now` are not looked for.
    #[must_use]
    pub fn next(&self, now: WallTime) -> Step {
        let known = |time: WallTime| if time > now { Step::Unknown } else { Step::Known(time) };
        if let Some(first) = self.first_left {
            return known(first);
        }
        if self.has_nothing {
            return Step::Unknown;
        }
        let Some((_, low)) = self.lower else { return Step::Ask(WallTime(0)) };
        let before = self.before(now);
        if low >= before || self.is_found {
            // A timestamp past what the history knows, or past now.
            let bound = self.upper.map_or(low, |upper| plus(upper.before, -1));
            return known(low.min(bound));
        }
        if before.0.saturating_sub(low.0) - 1 > TOLERANCE_MS {
            return Step::Ask(self.guess(low, before, now));
        }
        // What is not older than now was not asked for yet.
        if self.upper.is_some() { known(low) } else { Step::Ask(before) }
    }

    /// Takes in that `found` is the first record that is not older than `asked`; `None`: there is no such record.
    /// What was asked for another record of the same log is welcome.
    pub fn learn(&mut self, asked: WallTime, found: Option<Mark>, now: WallTime) {
        let (width, upper) = (self.width(now), self.upper);
        match found {
            Some((at, stamp)) if at <= self.offset => {
                // A broker that tells an earlier time than it was asked for must not keep the search going.
                self.raise((at, stamp.max(asked)));
                self.is_found |= at == self.offset;
            }
            // Whatever was known before: the first record there is lies past this one, which was deleted.
            Some((_, stamp)) if asked.0 <= 0 => self.first_left = Some(stamp),
            None if asked.0 <= 0 => self.has_nothing = true,
            Some(past) => self.sink(Upper { before: asked, mark: Some(past) }),
            None => self.sink(Upper { before: asked, mark: self.end.map(|end| (end, asked)) }),
        }
        let left = self.width(now);
        if left != width {
            let past = |upper: Option<Upper>| upper.and_then(|upper| upper.mark).map(|(at, _)| at);
            if self.upper != upper {
                self.is_gap = past(self.upper).is_some_and(|at| past(upper) == Some(at));
            }
            self.bisects = left > width / 2;
        }
    }

    fn raise(&mut self, lower: Mark) {
        if self.lower.is_none_or(|(_, low)| lower.1 > low) {
            self.below = self.lower.replace(lower);
        }
    }

    fn sink(&mut self, upper: Upper) {
        if self.upper.is_none_or(|known| upper.before < known.before) {
            self.upper = Some(upper);
        }
    }

    fn before(&self, now: WallTime) -> WallTime {
        self.upper.map_or(plus(now, 1), |upper| upper.before)
    }

    /// How much time is in question.
    fn width(&self, now: WallTime) -> i64 {
        self.lower.map_or(i64::MAX, |(_, low)| self.before(now).0.saturating_sub(low.0))
    }

    /// A time between the bounds, neither included, that is likely to bring them together.
    fn guess(&self, low: WallTime, before: WallTime, now: WallTime) -> WallTime {
        let width = before.0 - low.0;
        let guess = match self.interpolated(now) {
            _ if !self.bisects && self.is_gap => {
                let nearby = plus(low, width.isqrt().saturating_mul(TOLERANCE_MS.isqrt()));
                self.extrapolated().filter(|guess| *guess < before).unwrap_or(nearby)
            }
            Some(guess) if !self.bisects => guess,
            _ => plus(low, width / 2),
        };
        // A guess that is about right finds the lower bound first, and then the upper one within the tolerance.
        let guess = if guess.0.saturating_sub(low.0) <= TOLERANCE_MS {
            plus(low, TOLERANCE_MS)
        } else {
            plus(guess, -TOLERANCE_MS / 2)
        };
        guess.clamp(plus(low, 1), plus(before, -1))
    }

    /// The record's time if the log grew evenly between the bounds.
    fn interpolated(&self, now: WallTime) -> Option<WallTime> {
        let from = self.lower?;
        let at_end = || self.end.map(|end| (end, now));
        let to = self.upper.map_or_else(at_end, |upper| upper.mark)?;
        Some(on_line(from, to, self.offset))
    }

    /// The record's time if the log goes on as it grew up to the lower bound.
    fn extrapolated(&self) -> Option<WallTime> {
        let (from, to) = (self.below?, self.lower?);
        (from.0 < to.0).then(|| on_line(from, to, self.offset))
    }
}

fn plus(time: WallTime, milliseconds: i64) -> WallTime {
    WallTime(time.0.saturating_add(milliseconds))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
mod tests;
