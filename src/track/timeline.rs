//! When a partition's log had which end: a bounded history from which the append time of a record is told.
//!
//! A point is a run: an end offset, when it was first seen and when it was last seen. A record c was appended after the
//! last time at which the end was ≤ c, and by the first time at which it was > c.

use super::search::Mark;
use crate::model::{Offset, WallTime, heap};

/// Points a partition at most: 24 bytes each, so that a partition's history stays below a kilobyte.
pub const MAX_POINTS: usize = 40;
/// A gap counts as an error of this part of it.
const PART_OF_GAP: u32 = 20;
/// Added to the age of a point, in milliseconds, when errors are weighed: what is as young as this counts alike.
const YOUNG_MS: f64 = 60_000.0;

/// An end offset, and from when until when it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The end.
    pub offset: Offset,
    /// When it was first seen.
    pub since: WallTime,
    /// When it was last seen.
    pub until: WallTime,
}

/// What a history says about when a record was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bracket {
    /// The last end at or before the record, and when it was last seen; `None`: the history does not reach so far back.
    pub after: Option<Mark>,
    /// The first end past the record, and when it was first seen; `None`: it is not in the log as far as is known.
    pub by: Option<Mark>,
}

impl Bracket {
    /// The time of a record between both ends, as if the log had grown evenly between them.
    #[must_use]
    pub fn interpolate(&self, record: Offset) -> Option<WallTime> {
        Some(on_line(self.after?, self.by?, record))
    }

    /// How far apart both times are: the error is less than that.
    #[must_use]
    pub fn width(&self) -> Option<std::time::Duration> {
        Some(self.by?.1.since(self.after?.1))
    }
}

/// The time of an offset, at or past the first mark's, on the line through two marks: to the nearest millisecond.
pub(super) fn on_line((from, low): Mark, (to, high): Mark, offset: Offset) -> WallTime {
    let (part, whole) = (i128::from(offset.get() - from.get()), i128::from(to.get() - from.get()).max(1));
    let span = i128::from(high.0.saturating_sub(low.0)).max(0);
    let passed = (2 * span * part + whole) / (2 * whole);
    WallTime(low.0.saturating_add(i64::try_from(passed).unwrap_or(i64::MAX)))
}

/// The history of one partition's end, in one life of its topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timeline {
    /// Ordered by offset and by time; offsets differ.
    points: Vec<Point>,
}

impl Timeline {
    /// A history that was kept elsewhere; `None` when its points are not in order.
    #[must_use]
    pub fn restore(points: Vec<Point>) -> Option<Self> {
        let in_order = |pair: &[Point]| pair[0].offset < pair[1].offset && pair[0].until <= pair[1].since;
        let is_valid = points.iter().all(|point| point.since <= point.until) && points.windows(2).all(in_order);
        (is_valid && points.len() <= MAX_POINTS).then_some(Self { points })
    }

    /// Lets an earlier history come before this one, as far as this goes on from it.
    pub fn resume(&mut self, earlier: &Self) {
        let (Some(last), Some(first)) = (earlier.points.last(), self.points.first()) else {
            if self.points.is_empty() {
                self.points.clone_from(&earlier.points);
            }
            return;
        };
        if last.offset > first.offset || last.until > first.since {
            return;
        }
        let mut points = earlier.points.clone();
        let mut own = self.points.as_slice();
        if last.offset == first.offset {
            // One run: the end did not move while nobody looked.
            points.last_mut().into_iter().for_each(|last| last.until = first.until);
            own = &own[1..];
        }
        points.extend_from_slice(own);
        let now = points.last().map_or(last.until, |last| last.until);
        self.points = points;
        while self.points.len() > MAX_POINTS {
            self.thin(now);
        }
        self.points.shrink_to(MAX_POINTS);
    }

    /// The points, oldest first.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// What it owns on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        heap::vec(&self.points)
    }

    /// The end as it was seen last.
    #[must_use]
    pub fn last(&self) -> Option<&Point> {
        self.points.last()
    }

    /// Takes in an end that was read. One that fell starts anew. A clock that was set back does not turn time around.
    pub fn observe(&mut self, end: Offset, at: WallTime) {
        let at = self.points.last().map_or(at, |last| at.max(last.until));
        match self.points.last_mut() {
            Some(last) if last.offset == end => last.until = at,
            Some(last) if last.offset > end => {
                self.points.clear();
                self.points.push(Point { offset: end, since: at, until: at });
            }
            _ => {
                if self.points.len() >= MAX_POINTS {
                    self.thin(at);
                }
                self.make_room();
                self.points.push(Point { offset: end, since: at, until: at });
            }
        }
    }

    /// Makes room for a point. A vector that grows as it likes would take room for half as many again as there may be.
    fn make_room(&mut self) {
        if self.points.len() == self.points.capacity() {
            let more = self.points.len().clamp(1, MAX_POINTS.saturating_sub(self.points.len()).max(1));
            self.points.reserve_exact(more);
        }
    }

    /// What is known about when a record was appended.
    #[must_use]
    pub fn bracket(&self, record: Offset) -> Bracket {
        let next = self.points.partition_point(|point| point.offset <= record);
        let after = next.checked_sub(1).and_then(|place| self.points.get(place));
        let by = self.points.get(next);
        Bracket {
            after: after.map(|point| (point.offset, point.until)),
            by: by.map(|point| (point.offset, point.since)),
        }
    }

    /// Lets go of the point that is missed least: the one whose absence moves append times least, in proportion to their
    /// age. The ends of a long run are never that.
    fn thin(&mut self, now: WallTime) {
        let inner = 1..self.points.len().saturating_sub(1);
        let cheapest = inner.map(|place| (place, self.error_without(place, now))).min_by(|a, b| a.1.total_cmp(&b.1));
        let place = cheapest.map_or(0, |(place, _)| place);
        if place < self.points.len() {
            self.points.remove(place);
        }
    }

    /// How wrong the times around an inner point would be without it, as a part of their age.
    fn error_without(&self, place: usize, now: WallTime) -> f64 {
        let [before, point, next] = [self.points[place - 1], self.points[place], self.points[place + 1]];
        let bracket = Bracket { after: Some((before.offset, before.until)), by: Some((next.offset, next.since)) };
        let told = bracket.interpolate(point.offset).unwrap_or(point.since);
        let error = told.since(point.since).max(point.since.since(told)).max(point.until.since(told));
        // In an even flow no point is missed: of those, gaps are to grow with age, not the oldest alone.
        let error = error + next.since.since(before.until) / PART_OF_GAP;
        (error.as_secs_f64() * 1000.0) / (YOUNG_MS + now.since(point.until).as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn timeline(seen: &[(i64, i64)]) -> Timeline {
        let mut timeline = Timeline::default();
        seen.iter().for_each(|(offset, second)| timeline.observe(Offset::new(*offset).unwrap(), at(*second)));
        timeline
    }

    fn at(second: i64) -> WallTime {
        WallTime(second * 1000)
    }

    fn appended(timeline: &Timeline, record: i64) -> Option<WallTime> {
        let record = Offset::new(record).unwrap();
        timeline.bracket(record).interpolate(record)
    }

    #[test]
    fn between_two_ends_the_log_grows_evenly() {
        let seen = timeline(&[(20, 2000), (30, 3000), (40, 4000)]);
        assert_eq!(appended(&seen, 25), Some(at(2500)));
        assert_eq!(appended(&seen, 20), Some(at(2000)));
        assert_eq!(appended(&seen, 39), Some(at(3900)));
        assert_eq!(appended(&seen, 19), None, "the history does not reach");
        assert_eq!(appended(&seen, 40), None, "it is not there yet");
    }

    #[test]
    fn after_a_flat_run_the_next_record_is_young() {
        let mut seen = timeline(&[(100, 0), (100, 1800), (100, 3600), (200, 3615)]);
        assert_eq!(appended(&seen, 100), Some(at(3600)));
        for second in 1..2000 {
            seen.observe(Offset::new(200 + second * 7).unwrap(), at(3615 + second * 5));
        }
        assert_eq!(seen.points().len(), MAX_POINTS);
        assert!(seen.points.capacity() <= MAX_POINTS, "{}", seen.points.capacity());
        let told = appended(&seen, 100).unwrap();
        assert!(told >= at(3600) && told <= at(3800), "{told:?}");
    }

    #[test]
    fn in_an_even_flow_gaps_grow_with_age() {
        let seen = timeline(&(0..5000_i64).map(|step| (step * 100, step * 15)).collect::<Vec<_>>());
        let now = at(4999 * 15);
        for pair in seen.points().windows(2) {
            let (gap, age) = (pair[1].since.since(pair[0].until), now.since(pair[0].until));
            assert!(gap <= age / 2 || gap.as_secs() <= 60, "a gap of {gap:?} at an age of {age:?}");
        }
    }

    #[test]
    fn thinning_keeps_bursts() {
        let mut seen = Timeline::default();
        let mut end = 0;
        for tick in 0..1000_i64 {
            // An hour of nothing, then a minute of ten thousand records a tick.
            if tick % 100 > 88 {
                end += 10_000;
            }
            seen.observe(Offset::new(end).unwrap(), at(tick * 5));
        }
        assert!(seen.points().len() <= MAX_POINTS);
        for tick in 1..1000_i64 {
            if tick % 100 == 89 {
                let record = tick / 100 * 11 * 10_000;
                let told = appended(&seen, record).unwrap();
                let error = told.since(at(tick * 5)).max(at(tick * 5 - 5).since(told));
                assert!(error.as_secs() <= 30, "burst at tick {tick}: {told:?}");
            }
        }
    }

    #[test]
    fn a_fallen_end_starts_anew_and_a_clock_set_back_stands() {
        let mut seen = timeline(&[(20, 2000), (30, 3000)]);
        seen.observe(Offset::new(35).unwrap(), at(2900));
        assert_eq!(appended(&seen, 32), Some(at(3000)));
        seen.observe(Offset::new(10).unwrap(), at(3100));
        assert_eq!(seen.points().len(), 1);
    }

    #[test]
    fn an_earlier_history_comes_before() {
        let earlier = timeline(&[(20, 2000), (30, 3000)]);
        let mut later = timeline(&[(30, 4000), (40, 5000)]);
        later.resume(&earlier);
        assert_eq!(appended(&later, 25), Some(at(2500)));
        assert_eq!(appended(&later, 30), Some(at(4000)), "the end stood still in between");
        let mut other = timeline(&[(10, 4000), (40, 5000)]);
        other.resume(&earlier);
        assert_eq!(
            appended(&other, 20),
            Some(at(4333).plus(std::time::Duration::from_millis(333))),
            "it fell in between"
        );
        let mut long = Timeline::default();
        (0..40).for_each(|step| long.observe(Offset::new(100 + step * step).unwrap(), at(6000 + step * 7)));
        long.resume(&earlier);
        assert_eq!(long.points().len(), MAX_POINTS);
        assert!(long.points.capacity() <= MAX_POINTS, "{}", long.points.capacity());
    }

    #[test]
    fn points_out_of_order_are_not_restored() {
        let points = timeline(&[(20, 2000), (30, 3000)]).points().to_vec();
        assert!(Timeline::restore(points.clone()).is_some());
        assert_eq!(Timeline::restore(points.into_iter().rev().collect()), None);
    }
}
