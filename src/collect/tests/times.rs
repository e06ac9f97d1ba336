//! Append times by the broker: found in few questions, shared by who asks, and not asked for in vain.

use super::*;
use crate::kafka::fake::Call;
use crate::model::{Offset, PartitionId};
use crate::track::{MAX_TIME_QUESTIONS, TimeAnswer, TimeQuestion};

/// The clock at the beginning: long after every record.
const START: i64 = 1_000_000_000;
const HOUR: i64 = 3_600_000;

/// A poller of a cluster whose records have timestamps.
struct Site(Bench);

impl Site {
    async fn new(brokers: i32, partitions: usize) -> Self {
        let mut bench = Bench::new(brokers);
        bench.clock.0.store(START.unsigned_abs(), Ordering::Relaxed);
        bench.kafka.world().topic("t", &vec![(0, 10_000); partitions]);
        for partition in 0..i32::try_from(partitions).unwrap() {
            // One a second, the last one an hour ago; the log of every further partition began a second earlier.
            let first = START - HOUR - (10_000 + i64::from(partition)) * 1_000;
            let stamps = (0..10_000).map(|record| first + record * 1_000).collect();
            bench.kafka.world().timestamps.insert(("t".into(), PartitionId(partition)), stamps);
        }
        bench.pass().await;
        bench.kafka.take_calls();
        Self(bench)
    }

    fn question(&self, partition: i32, offset: i64) -> TimeQuestion {
        let topic = self.0.poller.world().names.get("t").unwrap();
        let offset = Offset::new(offset).unwrap();
        TimeQuestion { topic, partition: PartitionId(partition), offset, not_before: None, not_after: None }
    }

    fn want(&mut self, records: impl IntoIterator<Item = (i32, i64)>) {
        let questions: Vec<_> = records.into_iter().map(|(partition, at)| self.question(partition, at)).collect();
        self.0.poller.set_time_questions(&questions);
    }

    /// The questions by time of the next pass: those that come after the ends.
    async fn asked(&mut self) -> Vec<Call> {
        self.0.kafka.take_calls();
        self.0.pass().await;
        let calls = self.0.kafka.take_calls();
        let wanted = |call: &&Call| call.operation == Operation::ListOffsets;
        let listed: Vec<Call> = calls.iter().filter(wanted).cloned().collect();
        let usual = {
            let world = self.0.kafka.world();
            let led = |broker: &BrokerId| {
                world.topics["t"].partitions.iter().filter(|partition| partition.leader == Some(*broker)).count()
            };
            world.brokers.iter().map(|broker| 2 * led(broker).div_ceil(200)).sum::<usize>()
        };
        // Log starts and ends, by leader: what is there without any question.
        listed[usual.min(listed.len())..].to_vec()
    }

    fn answers(&mut self) -> Vec<(i32, i64, i64)> {
        let row = |answer: TimeAnswer| (answer.partition.0, answer.offset.get(), answer.appended_at.0);
        self.0.poller.take_time_answers().into_iter().map(row).collect()
    }
}

/// When a record came.
fn stamp(partition: i32, record: i64) -> i64 {
    START - HOUR - (10_000 + i64::from(partition)) * 1_000 + record * 1_000
}

#[track_caller]
fn assert_right(answers: &[(i32, i64, i64)]) {
    for (partition, record, time) in answers {
        let truth = stamp(*partition, *record);
        assert!(*time <= truth && truth - *time <= 1_000, "{partition}: record {record} at {time}, truth {truth}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_when_nothing_is_wanted_and_nothing_twice() {
    let mut site = Site::new(1, 2).await;
    assert_eq!(site.asked().await, []);
    site.want([(0, 5_000)]);
    assert!(!site.asked().await.is_empty());
    assert_eq!(site.answers().len(), 1);
    assert_eq!(site.asked().await, []);
    assert_eq!(site.answers(), []);
}

#[tokio::test(start_paused = true)]
async fn all_partitions_of_a_leader_are_asked_for_in_one_call_a_round() {
    let mut site = Site::new(2, 6).await;
    site.want((0..6).map(|partition| (partition, 1_000 + 1_500 * i64::from(partition))));
    let calls = site.asked().await;
    assert!(calls.len() <= 2 * 8 && calls[0].named == 3, "{calls:?}");
    let answers = site.answers();
    assert_eq!(answers.len(), 6);
    assert_right(&answers);
    assert!(site.0.poller.world().collectors.get(CollectorName::Offsets).unwrap().success);
}

#[tokio::test(start_paused = true)]
async fn calls_are_bounded_and_so_are_rounds_and_questions() {
    let mut site = Site::new(1, 450).await;
    site.want((0..450).map(|partition| (partition, 7_000)));
    let calls = site.asked().await;
    assert!(calls.len() <= 3 * 8);
    assert_eq!(calls[..3].iter().map(|call| call.named).collect::<Vec<_>>(), [200, 200, 50]);
    assert_eq!(site.answers().len(), 450);
    // Every record of one partition: they take turns, and go on in the next passes.
    site.want((0..2 * MAX_TIME_QUESTIONS).map(|record| (0, i64::try_from(record).unwrap())));
    let mut answers = Vec::new();
    for pass in 0.. {
        assert!(pass < 700, "it does not end");
        let calls = site.asked().await;
        assert!(calls.len() <= 8 && calls.iter().all(|call| call.named == 1), "{calls:?}");
        if calls.is_empty() {
            break;
        }
        answers.extend(site.answers());
    }
    assert_eq!(answers.len(), MAX_TIME_QUESTIONS);
    assert_right(&answers);
}

#[tokio::test(start_paused = true)]
async fn a_search_goes_on_in_the_next_pass_and_where_the_commit_moved() {
    let mut site = Site::new(1, 1).await;
    // Bursts of a hundred within a tenth of a second.
    let burst = |record: i64| START - (100 - record / 100) * 20 * HOUR / 10 + record % 100;
    site.0.kafka.world().timestamps.insert(("t".into(), PartitionId(0)), (0..10_000).map(burst).collect());
    let mut passes = 0;
    let mut record = 4_321;
    let mut answers = Vec::new();
    while answers.is_empty() {
        record += 1;
        site.want([(0, record)]);
        assert!(site.asked().await.len() <= 8);
        passes += 1;
        assert!(passes < 10);
        answers = site.answers();
    }
    assert!(passes > 1, "nothing had to go on");
    let (_, at, time) = answers[0];
    assert!((burst(at) - time).abs() <= 1_000, "{at} at {time}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_leader_costs_one_call_and_the_others_are_found() {
    let mut site = Site::new(2, 4).await;
    site.want((0..4).map(|partition| (partition, 2_500)));
    site.0.fail(Operation::ListOffsets, Some(2), Cause::NoAnswer);
    site.asked().await;
    let answers = site.answers();
    assert_eq!(answers.iter().map(|answer| answer.0).collect::<Vec<_>>(), [0, 2]);
    site.0.kafka.world().failures.clear();
    let mut passes = 0;
    let mut found = Vec::new();
    while found.len() < 2 {
        site.0.pass().await;
        found.extend(site.answers());
        passes += 1;
        assert!(passes < 10, "{found:?}");
    }
    assert_right(&found);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_seen_rests_and_does_not_fail_the_collector() {
    let mut site = Site::new(1, 2).await;
    site.0.kafka.world().times_refused = Some(PartitionId(1));
    let mut asked = 0;
    for _ in 0..80 {
        site.want([(0, 100), (1, 100)]);
        asked += site.asked().await.iter().map(|call| call.named).sum::<usize>();
        let answers = site.answers();
        assert!(answers.iter().all(|answer| answer.0 == 0), "{answers:?}");
        assert!(site.0.poller.world().collectors.get(CollectorName::Offsets).unwrap().success);
        site.want([]);
    }
    // The first partition is asked for anew each time, in a few questions; the second once in ten minutes.
    assert!((80..=80 * 4 + 3).contains(&asked), "{asked}");
}

#[tokio::test(start_paused = true)]
async fn what_timestamps_do_not_tell_is_asked_for_less_and_less() {
    let mut site = Site::new(1, 1).await;
    site.0.kafka.world().timestamps.clear();
    let mut asked = 0;
    for _ in 0..80 {
        site.want([(0, 100)]);
        asked += site.asked().await.len();
        assert_eq!(site.answers(), []);
    }
    assert!((4..=9).contains(&asked), "{asked} times in 20 minutes");
}

#[tokio::test(start_paused = true)]
async fn another_life_of_the_topic_ends_its_searches() {
    let mut site = Site::new(1, 2).await;
    site.want([(0, 5_000)]);
    site.0.kafka.world().topic("t", &[(0, 6_000)]);
    site.0.kafka.world().topics.get_mut("t").unwrap().id = 99;
    // One answer with fewer partitions is doubted; with the second it is another topic.
    site.0.pass().await;
    site.answers();
    site.want([(0, 5_500)]);
    site.0.pass().await;
    assert_eq!(site.answers(), [], "what was wanted of the old log");
}
