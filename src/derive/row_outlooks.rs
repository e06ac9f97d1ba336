//! What is known of each row of a group's commits. Of most rows, those on which the group has read all, there is nothing to
//! say but how many commits tell so: they take two bytes.

use std::ops::Range;

use super::{RowOutlook, Verdict};
use crate::model::{GroupStatus, heap};

/// A row of which there is no more to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plain {
    stored: u8,
    has_time_lag: bool,
}

impl Plain {
    fn of(row: &RowOutlook) -> Self {
        Self { stored: row.stored, has_time_lag: row.has_time_lag() }
    }

    fn row(self) -> RowOutlook {
        let row = RowOutlook::new(None, Verdict::of(GroupStatus::Ok), self.stored);
        if self.has_time_lag { row } else { row.without_time_lag() }
    }
}

/// One [`RowOutlook`] for each row of a group's commits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowOutlooks {
    plain: Vec<Plain>,
    /// The rows of which there is more to say, in order, each with its number.
    telling: Vec<(usize, RowOutlook)>,
}

impl RowOutlooks {
    /// None yet, with room for so many.
    #[must_use]
    pub fn with_capacity(rows: usize) -> Self {
        Self { plain: Vec::with_capacity(rows), telling: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, row: RowOutlook) {
        let plain = Plain::of(&row);
        if plain.row() != row {
            self.telling.push((self.plain.len(), row));
        }
        self.plain.push(plain);
    }

    /// Adds some rows of others; those that are not there are left out.
    pub(crate) fn extend_from(&mut self, others: &Self, rows: Range<usize>) {
        let start = self.plain.len();
        self.plain.extend_from_slice(others.plain.get(rows.clone()).unwrap_or_default());
        let place = |row: usize| others.telling.partition_point(|(at, _)| *at < row);
        let telling = others.telling.get(place(rows.start)..place(rows.end)).unwrap_or_default();
        self.telling.extend(telling.iter().map(|(at, row)| (at - rows.start + start, *row)));
    }

    /// Gives back the room that is not needed.
    pub(crate) fn trim(&mut self) {
        self.plain.shrink_to_fit();
        self.telling.shrink_to_fit();
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plain.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    /// One row.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<RowOutlook> {
        let plain = self.plain.get(row)?;
        // A group is mostly behind with all its rows or with none. No row is further on than its number says.
        if let Some((at, told)) = self.telling.get(row)
            && *at == row
        {
            return Some(*told);
        }
        let before = self.telling.get(..row).unwrap_or(&self.telling);
        match before.binary_search_by_key(&row, |(at, _)| *at) {
            Ok(place) => before.get(place).map(|(_, row)| *row),
            Err(_) => Some(plain.row()),
        }
    }

    /// Those that say more than that the group has read all, with their numbers: all whose append time is known, or whose
    /// verdict time changes, are among them.
    pub fn telling(&self) -> impl Iterator<Item = &(usize, RowOutlook)> {
        self.telling.iter()
    }

    /// What they own on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        heap::vec(&self.plain) + heap::vec(&self.telling)
    }
}

impl FromIterator<RowOutlook> for RowOutlooks {
    fn from_iter<I: IntoIterator<Item = RowOutlook>>(rows: I) -> Self {
        let mut all = Self::default();
        rows.into_iter().for_each(|row| all.push(row));
        all
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::model::{TimeLagMethod, WallTime};

    fn rows() -> Vec<RowOutlook> {
        let plain = RowOutlook::new(None, Verdict::of(GroupStatus::Ok), 3);
        let dated = RowOutlook::new(Some((WallTime(7), TimeLagMethod::History)), Verdict::of(GroupStatus::Ok), 10);
        let stalls = RowOutlook::new(None, Verdict::of(GroupStatus::Stall), 10);
        let turns = Verdict { turns_after: Some(WallTime(9)), ..Verdict::of(GroupStatus::Ok) };
        let turns = RowOutlook::new(None, turns, 0);
        let off = plain.without_time_lag();
        vec![plain, dated, off, stalls, stalls.without_time_lag(), plain, turns, dated]
    }

    #[test]
    fn every_row_is_told_as_it_was_put_in() {
        let all: RowOutlooks = rows().into_iter().collect();
        let told: Vec<RowOutlook> = (0..all.len()).map(|row| all.get(row).unwrap()).collect();
        assert_eq!(told, rows());
        assert_eq!(all.get(rows().len()), None);
        let telling: Vec<usize> = all.telling().map(|(row, _)| *row).collect();
        assert_eq!(telling, [1, 3, 4, 6, 7], "the others say nothing");
    }

    #[test]
    fn rows_of_others_are_the_same_in_another_place() {
        let others: RowOutlooks = rows().into_iter().collect();
        for from in 0..others.len() {
            for to in from..=others.len() {
                let mut all: RowOutlooks = rows().into_iter().take(3).collect();
                all.extend_from(&others, from..to);
                all.trim();
                let expected = rows().into_iter().take(3).chain(rows()[from..to].to_vec());
                assert_eq!(all, expected.collect(), "{from}..{to}");
            }
        }
    }
}
