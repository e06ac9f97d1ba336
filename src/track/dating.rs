//! When the oldest unread record of a row was appended: from the history of the log's end, or told by the broker.

use std::time::Duration;

use super::row::Facts;
use super::settings::TimeLag;
use super::timeline::Bracket;
use crate::model::{Offset, TimeLagMethod, WallTime};

/// How long after an answer the broker is not asked again about a partition of a group, whose commits move on meanwhile.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(15);
/// How long a question stands before it is given up for that about a younger record.
const ASK_FOR: Duration = Duration::from_secs(60);
/// After so many questions without an answer what the broker told before is out of date.
const UNANSWERED_AT_MOST: u8 = 4;
/// A time that is known up to this part of its age is known well enough.
const PART_OF_AGE: u32 = 10;

/// What to ask the broker about a row: when its oldest unread record was appended, with what is known of that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want {
    pub(super) record: Offset,
    pub(super) not_before: Option<(Offset, WallTime)>,
    pub(super) not_after: Option<(Offset, WallTime)>,
}

/// The append time of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Appended {
    record: Offset,
    at: WallTime,
    method: TimeLagMethod,
    /// Whether nobody told it: it lies on the line from what was told last to what the history knows.
    is_guess: bool,
}

/// What the broker was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asked {
    record: Offset,
    at: WallTime,
}

/// What is known of when the oldest unread record was appended, and what was asked about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Dating {
    appended: Option<Appended>,
    asked: Option<Asked>,
    /// Questions since the last answer.
    unanswered: u8,
}

impl Dating {
    /// The append time, and how it is known.
    pub(super) fn shown(&self) -> Option<(WallTime, TimeLagMethod)> {
        self.appended.map(|known| (known.at, known.method))
    }

    /// Takes in what the broker told about when a record was appended.
    pub(super) fn told(&mut self, record: Offset, at: WallTime, facts: &Facts<'_>, method: TimeLag) {
        let bracket = match method {
            // Of records with times of their own, the time of reading says nothing.
            TimeLag::Broker => Bracket { after: None, by: None },
            _ => facts.partition.timeline.bracket(record),
        };
        let at = bracket.after.map_or(at, |(_, after)| at.max(after));
        let at = bracket.by.map_or(at, |(_, by)| at.min(by));
        let is_asked = self.asked.is_some_and(|asked| asked.record == record) || facts.unread() == record;
        if is_asked {
            self.unanswered = 0;
        }
        if at > facts.now || facts.unread() < record {
            return;
        }
        match self.appended.filter(|known| known.record > record) {
            // Told for another group, that is further behind.
            Some(known) if !known.is_guess => {}
            Some(known) => {
                let by = facts.partition.timeline.bracket(known.record).by;
                let line = Bracket { after: Some((record, at)), by };
                let at = line.interpolate(known.record).unwrap_or(at).max(known.at);
                self.appended = Some(Appended { at, ..known });
            }
            // Told for another group: how long before this record that came, nobody knows.
            None if !is_asked && self.appended.is_none() => {}
            None => self.learn(Appended { record, at, method: TimeLagMethod::Broker, is_guess: false }),
        }
    }

    /// A later record was not appended earlier: methods may differ, time does not go back. What the broker tells of the
    /// very record that was guessed about corrects it.
    fn learn(&mut self, told: Appended) {
        let corrects = |known: &Appended| known.is_guess && told.method == TimeLagMethod::Broker;
        let is_bound =
            |known: &Appended| known.record < told.record || (known.record == told.record && !corrects(known));
        let floor = self.appended.filter(is_bound).map(|known| known.at);
        self.appended = Some(Appended { at: floor.map_or(told.at, |floor| told.at.max(floor)), ..told });
    }

    /// Looks for the append time of the oldest unread record. Returns what to ask the broker, if it is to be asked.
    pub(super) fn date(&mut self, facts: &Facts<'_>, method: TimeLag) -> Option<Want> {
        let record = facts.unread();
        if self.appended.is_some_and(|known| known.record == record && !known.is_guess) {
            return None;
        }
        self.appended = self.appended.filter(|known| known.record <= record);
        if facts.end.is_some_and(|end| end <= record) {
            // The commit is younger than the end. The lag is that of the commit before, and so is what is known.
            return None;
        }
        let bracket = facts.partition.timeline.bracket(record);
        if method != TimeLag::Broker
            && let Some(at) = bracket.interpolate(record)
            && (method == TimeLag::History || self.is_good_enough(&bracket, at, facts))
        {
            self.learn(Appended { record, at, method: TimeLagMethod::History, is_guess: false });
            return None;
        }
        if method == TimeLag::History {
            self.appended = None;
            return None;
        }
        let want = self.ask(record, facts, method);
        if method != TimeLag::Broker {
            self.guess(record, &bracket);
        }
        want
    }

    /// Until the broker tells: as if the log had grown evenly from the record whose time is known to where the history
    /// begins. An earlier record's time alone would lag behind a group that reads fast.
    fn guess(&mut self, record: Offset, bracket: &Bracket) {
        // What the history told of an earlier record stands: a later guess might have to be taken back when the broker tells.
        let is_told = |known: &Appended| known.record < record && known.method == TimeLagMethod::Broker;
        let Some(known) = self.appended.filter(is_told) else { return };
        let told = (known.record, known.at);
        let after = bracket.after.filter(|(offset, _)| *offset >= known.record).unwrap_or(told);
        let line = Bracket { after: Some(after), by: bracket.by };
        if let Some(at) = line.interpolate(record) {
            self.appended = Some(Appended { record, at: at.max(known.at), is_guess: true, ..known });
        }
    }

    /// Whether the history tells a time well enough not to ask: the log was read often enough then, or asking has not
    /// helped.
    fn is_good_enough(&self, bracket: &Bracket, at: WallTime, facts: &Facts<'_>) -> bool {
        let tolerance = facts.close_readings.max(facts.now.since(at) / PART_OF_AGE);
        bracket.width().is_some_and(|width| width <= tolerance) || self.unanswered > 1
    }

    /// What to ask the broker: the same as before as long as it has not told that, for a while; then about the record that
    /// is the oldest by now.
    fn ask(&mut self, record: Offset, facts: &Facts<'_>, method: TimeLag) -> Option<Want> {
        if self.unanswered > UNANSWERED_AT_MOST {
            self.appended = None;
        }
        let pending = match self.asked {
            Some(asked) if self.unanswered == 0 && facts.now.since(asked.at) < ASK_AGAIN_AFTER => return None,
            Some(asked) if self.unanswered > 0 && facts.now.since(asked.at) < ASK_FOR => Some(asked.record),
            _ => None,
        };
        let is_there = |record: &Offset| facts.start.is_none_or(|start| *record >= start);
        let record = pending.filter(is_there).unwrap_or_else(|| {
            self.asked = Some(Asked { record, at: facts.now });
            self.unanswered = self.unanswered.saturating_add(1);
            record
        });
        let known = self.appended.filter(|known| !known.is_guess && known.record <= record);
        let known = known.map(|known| (known.record, known.at));
        if method == TimeLag::Broker {
            return Some(Want { record, not_before: known, not_after: None });
        }
        let bracket = facts.partition.timeline.bracket(record);
        Some(Want { record, not_before: known.max(bracket.after), not_after: bracket.by })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::model::Messages;
    use crate::track::judge::Holder;
    use crate::track::topic::PartitionTrack;

    fn offset(offset: i64) -> Offset {
        Offset::new(offset).unwrap()
    }

    fn at(second: i64) -> WallTime {
        WallTime(second * 1000)
    }

    /// A log with ten records a second up to 100 000, whose end was seen from second 10 000 on.
    fn partition() -> PartitionTrack {
        let mut partition = PartitionTrack::default();
        (10_000..10_030).for_each(|second| partition.timeline.observe(offset(second * 10), at(second)));
        partition
    }

    fn facts(partition: &PartitionTrack, committed: i64, second: i64) -> Facts<'_> {
        Facts {
            offset: offset(committed),
            read_at: None,
            counts: true,
            lag: Some(Messages(5000)),
            start: None,
            end: Some(offset(101_000)),
            partition,
            holder: Holder::Member,
            now: at(second),
            close_readings: Duration::from_secs(10),
        }
    }

    fn shown(row: &Dating) -> Option<i64> {
        row.appended.map(|known| known.at.0 / 1000)
    }

    #[test]
    fn between_two_answers_the_time_goes_along_with_the_commit() {
        let (partition, mut row) = (partition(), Dating::default());
        assert!(row.date(&facts(&partition, 50_000, 10_100), TimeLag::Auto).is_some());
        assert_eq!(shown(&row), None, "nothing is known of it yet");
        row.told(offset(50_000), at(5000), &facts(&partition, 50_000, 10_101), TimeLag::Auto);
        let asked = row.date(&facts(&partition, 70_000, 10_105), TimeLag::Auto);
        assert!(asked.is_none() && shown(&row) == Some(7000), "too early to ask: {:?}", row.appended);
        let asked = row.date(&facts(&partition, 80_000, 10_125), TimeLag::Auto).unwrap();
        assert_eq!((asked.record, shown(&row)), (offset(80_000), Some(8000)));
        assert_eq!(asked.not_before, None, "a guess is no bound");
        // The log grew faster at first than was thought: time stands until that is past, and does not go back.
        row.told(offset(80_000), at(6000), &facts(&partition, 90_000, 10_126), TimeLag::Auto);
        assert_eq!(shown(&row), Some(6000), "the record itself is told");
        row.date(&facts(&partition, 90_000, 10_126), TimeLag::Auto);
        assert_eq!(shown(&row), Some(8000));
        row.told(offset(85_000), at(6100), &facts(&partition, 90_000, 10_127), TimeLag::Auto);
        assert_eq!(shown(&row), Some(8000), "what is shown does not go back");
        row.date(&facts(&partition, 100_055, 10_128), TimeLag::Auto);
        assert_eq!(row.appended.map(|known| known.method), Some(TimeLagMethod::History));
        assert_eq!(shown(&row), Some(10_005));
    }

    #[test]
    fn what_is_told_for_another_group_leaves_the_question_open() {
        let (partition, mut row) = (partition(), Dating::default());
        let asked = row.date(&facts(&partition, 50_000, 10_100), TimeLag::Auto).unwrap();
        row.told(offset(99_000), at(9_900), &facts(&partition, 50_500, 10_101), TimeLag::Auto);
        let still = row.date(&facts(&partition, 51_000, 10_105), TimeLag::Auto).map(|want| want.record);
        assert_eq!(still, Some(asked.record));
    }

    #[test]
    fn what_is_told_for_another_group_further_behind_changes_nothing() {
        let (partition, mut row) = (partition(), Dating::default());
        let _question = row.date(&facts(&partition, 50_000, 10_100), TimeLag::Auto);
        row.told(offset(50_000), at(5000), &facts(&partition, 50_000, 10_101), TimeLag::Auto);
        row.told(offset(20_000), at(2000), &facts(&partition, 50_000, 10_102), TimeLag::Auto);
        assert_eq!(shown(&row), Some(5000));
    }

    #[test]
    fn a_history_that_comes_to_tell_a_guessed_record_does_not_turn_its_time_back() {
        let mut partition = PartitionTrack::default();
        [(10_000, 1000), (20_000, 1100)]
            .iter()
            .for_each(|(end, second)| partition.timeline.observe(offset(*end), at(*second)));
        let mut row = Dating::default();
        let asked = row.date(&facts(&partition, 12_000, 1100), TimeLag::Auto);
        row.told(offset(12_000), at(1090), &facts(&partition, 12_000, 1101), TimeLag::Auto);
        row.date(&facts(&partition, 15_000, 1102), TimeLag::Auto);
        let guess = shown(&row).unwrap();
        assert!(asked.is_some() && guess > 1090, "{guess}: the history alone would say 1050");
        // So much later it is good enough.
        assert!(row.date(&facts(&partition, 15_000, 3000), TimeLag::Auto).is_none());
        let told = row.appended.map(|known| (known.at.0 / 1000, known.method));
        assert_eq!(told, Some((guess, TimeLagMethod::History)));
    }

    #[test]
    fn while_the_end_is_older_than_the_commit_what_is_known_stands_and_nothing_is_asked() {
        let (partition, mut row) = (partition(), Dating::default());
        for method in [TimeLag::History, TimeLag::Auto, TimeLag::Broker] {
            let _question = row.date(&facts(&partition, 100_055, 10_028), method);
            row.told(offset(100_055), at(10_005), &facts(&partition, 100_055, 10_029), method);
            assert!(row.date(&facts(&partition, 101_000, 10_060), method).is_none(), "{method:?}");
            assert_eq!(shown(&row), Some(10_005), "{method:?}");
        }
    }

    #[test]
    fn a_group_of_which_nothing_is_known_waits_for_its_own_answer() {
        let (partition, mut row) = (partition(), Dating::default());
        let asked = row.date(&facts(&partition, 90_000, 10_100), TimeLag::Broker).unwrap();
        row.told(offset(20_000), at(2000), &facts(&partition, 90_000, 10_101), TimeLag::Broker);
        assert_eq!(shown(&row), None, "the group that is told of lies hours behind");
        let still = row.date(&facts(&partition, 90_000, 10_102), TimeLag::Broker).unwrap();
        assert_eq!((asked.record, still.record), (offset(90_000), offset(90_000)), "its own question stands");
        row.told(offset(90_000), at(9000), &facts(&partition, 90_000, 10_103), TimeLag::Broker);
        assert_eq!(shown(&row), Some(9000));
    }
}
