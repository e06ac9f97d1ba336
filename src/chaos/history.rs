//! A value over time, none of it forgotten: the truth that what is shown is held against.

/// Milliseconds on the virtual clock.
pub(super) type Ms = u64;

/// What a value was, and since when.
#[derive(Debug, Clone)]
pub(super) struct History<T> {
    points: Vec<(Ms, T)>,
}

impl<T: PartialEq + Copy> History<T> {
    pub(super) fn new(now: Ms, value: T) -> Self {
        Self { points: vec![(now, value)] }
    }

    /// The value is this from now on.
    pub(super) fn set(&mut self, now: Ms, value: T) {
        if self.now() != value {
            self.points.push((now, value));
        }
    }

    pub(super) fn now(&self) -> T {
        self.points.last().map(|(_, value)| *value).unwrap()
    }

    /// Every value that it had, with when it came, oldest first.
    pub(super) fn points(&self) -> impl Iterator<Item = (Ms, T)> + '_ {
        self.points.iter().copied()
    }

    /// Since when it is what it is now.
    pub(super) fn since(&self) -> Ms {
        self.points.last().map_or(0, |(at, _)| *at)
    }

    /// What it was then; `None` before its beginning.
    pub(super) fn at(&self, time: Ms) -> Option<T> {
        let after = self.points.partition_point(|(at, _)| *at <= time);
        self.points[..after].last().map(|(_, value)| *value)
    }

    /// Every value that it had at some instant from `first` to `last`, newest first.
    pub(super) fn during(&self, first: Ms, last: Ms) -> impl Iterator<Item = T> + '_ {
        self.spans(first, last).map(|(_, _, value)| value)
    }

    /// The same with the instants at which each value came and went, newest first.
    pub(super) fn spans(&self, first: Ms, last: Ms) -> impl Iterator<Item = (Ms, Ms, T)> + '_ {
        let from = self.points.partition_point(|(at, _)| *at <= first).saturating_sub(1);
        let to = self.points.partition_point(|(at, _)| *at <= last).max(from);
        let ended = move |place: usize| self.points.get(place + 1).map_or(Ms::MAX, |(at, _)| *at);
        (from..to).rev().map(move |place| (self.points[place].0, ended(place), self.points[place].1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_was_true_when() {
        let mut history = History::new(10, 'a');
        history.set(20, 'b');
        history.set(25, 'b');
        history.set(30, 'c');
        assert_eq!(
            [9, 10, 19, 20, 31].map(|time| history.at(time)),
            [None, Some('a'), Some('a'), Some('b'), Some('c')]
        );
        assert_eq!(history.during(19, 29).collect::<String>(), "ba");
        assert_eq!(history.during(20, 30).collect::<String>(), "cb");
        assert_eq!(history.during(0, 5).count(), 0);
        assert_eq!(history.spans(0, 15).collect::<Vec<_>>(), [(10, 20, 'a')]);
        assert_eq!(history.since(), 30);
    }
}
