//! The search against logs whose every record is known.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Long after every record that does not lie ahead of time.
const NOW: WallTime = WallTime(1_700_000_000_000);
const DAY: i64 = 86_400_000;

fn offset(raw: i64) -> Offset {
    Offset::new(raw).unwrap_or_else(|| unreachable!("tests have no negative offsets"))
}

/// A log: offsets in order, with timestamps.
#[derive(Debug)]
struct Log(Vec<(i64, i64)>);

impl Log {
    /// One record after another at some distances in time, the last one at `NOW`.
    fn spaced(distances: impl IntoIterator<Item = i64>) -> Self {
        let mut stamps: Vec<i64> =
            distances.into_iter().scan(0, |sum, next| Some(std::mem::replace(sum, *sum + next))).collect();
        let shift = NOW.0 - stamps.last().copied().unwrap_or(0);
        stamps.iter_mut().for_each(|stamp| *stamp += shift);
        Self((0..).zip(stamps).collect())
    }

    /// What a broker answers.
    fn first_since(&self, time: WallTime) -> Option<Mark> {
        let found = self.0.iter().find(|(_, stamp)| *stamp >= time.0);
        found.map(|(at, stamp)| (offset(*at), WallTime(*stamp)))
    }

    /// The greatest timestamp at or before an offset, by looking at every record.
    fn truth(&self, record: i64) -> i64 {
        self.0.iter().filter(|(at, _)| *at <= record).map(|(_, stamp)| *stamp).max().unwrap_or(0)
    }

    fn end(&self) -> Offset {
        offset(self.0.last().map_or(0, |(at, _)| at + 1))
    }

    fn search(&self, record: i64) -> Search {
        Search::new(offset(record), None, None, Some(self.end()))
    }

    /// Goes on until it is over; what it comes to and how often it asked.
    fn settle(&self, search: &mut Search) -> (Step, usize) {
        self.settle_at(search, NOW)
    }

    fn settle_at(&self, search: &mut Search, now: WallTime) -> (Step, usize) {
        for asked in 0..MOST_ROUNDS {
            match search.next(now) {
                Step::Ask(time) => search.learn(time, self.first_since(time), now),
                end => return (end, asked),
            }
        }
        panic!("{search:?} does not end");
    }
}

/// Every second question halves 2^41 ms, half a century; the log start and now are asked for besides.
const MOST_ROUNDS: usize = 2 * 41 + 2;

fn check(log: &Log, record: i64, step: Step) {
    let truth = log.truth(record);
    match step {
        Step::Known(time) => {
            assert!(time.0 <= truth && truth - time.0 <= TOLERANCE_MS, "record {record}: {time:?}, truth {truth}");
        }
        Step::Unknown => assert!(truth > NOW.0, "record {record} at {truth} is not found"),
        Step::Ask(_) => unreachable!(),
    }
}

/// The most questions that any of the records takes, each in a search of its own.
fn most_rounds(log: &Log, records: impl Iterator<Item = i64>) -> usize {
    let rounds = records.map(|record| {
        let (step, rounds) = log.settle(&mut log.search(record));
        check(log, record, step);
        rounds
    });
    rounds.max().unwrap_or(0)
}

#[test]
fn few_questions_are_enough() {
    let steady = Log::spaced(std::iter::repeat_n(17, 50_000));
    let sparse = Log::spaced(std::iter::repeat_n(37 * 60_000, 200));
    // A minute of many every day.
    let bursts = Log::spaced((1..20_000).map(|record| if record % 1_000 == 0 { DAY } else { 60 }));
    let once = Log::spaced((1..5_000).map(|record| if record == 2_500 { 30 * DAY } else { 1 }));
    let mut stopped = Log::spaced(std::iter::repeat_n(1_000, 10_000));
    stopped.0.iter_mut().for_each(|(_, stamp)| *stamp -= 3_600_000);
    for (log, most) in [(&steady, 5), (&stopped, 8), (&sparse, 3), (&bursts, 18), (&once, 12)] {
        let rounds = most_rounds(log, (0..log.end().get()).step_by(97).chain([1, log.end().get() - 1]));
        assert!(rounds <= most, "{rounds} questions of {most}, {} records", log.0.len());
    }
}

#[test]
fn one_record_is_found_at_once() {
    let log = Log(vec![(7, NOW.0 - DAY)]);
    assert_eq!(log.settle(&mut log.search(7)), (Step::Known(WallTime(NOW.0 - DAY)), 1));
}

#[test]
fn a_log_without_timestamps_does_not_tell() {
    let log = Log(Vec::new());
    assert_eq!(log.settle(&mut log.search(0)), (Step::Unknown, 1));
}

#[test]
fn of_a_record_that_is_gone_the_first_one_left_tells() {
    let log = Log(vec![(50, NOW.0 - 5_000), (51, NOW.0 - 9_000)]);
    assert_eq!(log.settle(&mut log.search(20)), (Step::Known(WallTime(NOW.0 - 5_000)), 1));
    let known = (offset(40), WallTime(NOW.0 - DAY));
    let mut search = Search::new(offset(20), None, Some(known), None);
    assert_eq!(log.settle(&mut search).0, Step::Known(WallTime(NOW.0 - 5_000)), "it came after the end was seen there");
}

#[test]
fn a_record_that_is_found_to_be_gone_has_no_time_before_all_time() {
    let known_before = (offset(20), WallTime(5_000));
    let mut search = Search::new(offset(30), Some(known_before), None, Some(offset(50)));
    // Asked for another record of the same log, whose first records are gone by now.
    search.learn(WallTime(0), Some((offset(40), WallTime(9_000))), NOW);
    assert_eq!(search.next(NOW), Step::Known(WallTime(9_000)));
}

#[test]
fn a_record_of_the_future_is_not_known_before_its_time_unless_the_history_tells() {
    let log = Log(vec![(0, NOW.0 - DAY), (1, NOW.0 + DAY), (2, NOW.0 - 1_000)]);
    let mut search = log.search(2);
    assert_eq!(log.settle(&mut search).0, Step::Unknown);
    let later = WallTime(NOW.0 + 2 * DAY);
    assert_eq!(log.settle_at(&mut search, later).0, Step::Known(WallTime(NOW.0 + DAY)));
    let seen = (offset(3), WallTime(NOW.0 - 500));
    let mut search = Search::new(offset(2), None, Some(seen), None);
    assert_eq!(log.settle(&mut search).0, Step::Known(seen.1), "it had come by then");
}

#[test]
fn the_last_timestamp_before_a_flat_run_is_told_exactly() {
    let log = Log(vec![(0, NOW.0 - 2 * DAY), (9, NOW.0 - DAY), (10, NOW.0 - DAY + 100), (11, NOW.0)]);
    for (record, truth) in [(8, 2 * DAY), (9, DAY), (10, DAY - 100), (11, 0)] {
        let Step::Known(time) = log.settle(&mut log.search(record)).0 else { panic!("record {record}") };
        assert!((NOW.0 - truth - time.0).abs() <= 100, "record {record}: {time:?}");
    }
}

#[test]
fn a_log_that_changes_meanwhile_still_ends_the_search() {
    let before = Log::spaced(std::iter::repeat_n(1_000, 1_000));
    let after = Log((0..500).map(|at| (at, NOW.0 - 900_000 + at)).collect());
    for rounds in 0..8 {
        let mut search = before.search(400);
        for _ in 0..rounds {
            let Step::Ask(time) = search.next(NOW) else { break };
            search.learn(time, before.first_since(time), NOW);
        }
        assert!(matches!(after.settle(&mut search).0, Step::Known(_)));
    }
}

/// Gaps of compaction, distances of every size, and timestamps that run backwards or ahead.
fn log() -> impl Strategy<Value = Log> {
    let distance = prop_oneof![0..3_i64, 0..5_000_i64, 0..DAY, 0..40 * DAY];
    let shift = prop_oneof![9 => Just(0_i64), 1 => -DAY..DAY];
    vec((1..4_i64, distance, shift), 1..120).prop_map(|records| {
        let mut log = Log::spaced(records.iter().map(|(_, distance, _)| *distance));
        let mut at = 5;
        for ((place, stamp), (gap, _, shift)) in log.0.iter_mut().zip(&records) {
            (*place, *stamp) = (at, *stamp + shift);
            at += gap;
        }
        log
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn every_record_of_any_log_is_found(log in log()) {
        for record in 5..log.end().get() {
            check(&log, record, log.settle(&mut log.search(record)).0);
        }
    }

    /// What is asked for one record is told to all, and a record that comes later begins with what was found.
    #[test]
    fn searches_in_one_log_help_each_other(log in log(), picks in vec(any::<prop::sample::Index>(), 1..6)) {
        let records = picks.iter().map(|pick| 5 + i64::try_from(pick.index(usize::try_from(log.end().get() - 5).unwrap_or(1))).unwrap_or(0));
        let mut searches: Vec<Search> = records.map(|record| log.search(record)).collect();
        for turn in 0..searches.len() * MOST_ROUNDS {
            let place = turn % searches.len();
            if let Step::Ask(time) = searches[place].next(NOW) {
                let found = log.first_since(time);
                searches.iter_mut().for_each(|search| search.learn(time, found, NOW));
            }
        }
        searches.iter().for_each(|search| check(&log, search.offset().get(), search.next(NOW)));
        for record in 5..log.end().get() {
            let mut heir = log.search(record);
            searches.iter().for_each(|search| heir.inherit(search));
            check(&log, record, log.settle(&mut heir).0);
        }
    }

    /// With what is known of the log's end the answer never leaves it, whatever timestamps say.
    #[test]
    fn the_history_binds_the_answer(
        log in log(),
        record in 5..400_i64,
        (early, late) in (0..90 * DAY, 0..90 * DAY).prop_map(|(a, b)| (a.max(b), a.min(b))),
        (has_early, has_late) in any::<(bool, bool)>(),
    ) {
        let record = record.min(log.end().get() - 1);
        let not_before = (offset(record - 1), WallTime(NOW.0 - early));
        let not_after = (offset(record + 3), WallTime(NOW.0 - late));
        let mut search = Search::new(offset(record), has_early.then_some(not_before), has_late.then_some(not_after), Some(log.end()));
        let truth = log.truth(record);
        let low = if has_early { NOW.0 - early } else { i64::MIN };
        let high = if has_late { NOW.0 - late } else { i64::MAX };
        let bound = truth.clamp(low, high);
        match log.settle(&mut search).0 {
            Step::Known(time) => prop_assert!(
                time.0 <= bound && bound - time.0 <= TOLERANCE_MS, "{time:?}, truth {truth} within {low} to {high}"
            ),
            _ => prop_assert!(!has_late && truth > NOW.0, "not found, truth {truth} within {low} to {high}"),
        }
    }
}
