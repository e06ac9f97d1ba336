//! A pass over a cluster that misbehaves: what is lost, what stays, and what is not asked.

mod adaptive;
mod configs;
mod isolation;
mod sampling;
mod steady;
mod stream;
mod times;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::derive::Snapshot;
use crate::kafka::fake::FakeKafka;
use crate::kafka::{Cause, Operation};
use crate::model::{
    BreakerState, BrokerId, GroupState, Instants, KafkaCode, Messages, Moment, NamePredicate, TopicId, WallTime,
};
use crate::schedule::{BoundsRules, Budget, Rules};
use crate::state::CollectorName;

const INTERVAL: Duration = Duration::from_secs(15);
const MAX_AGE: Duration = Duration::from_secs(120);

/// A fake cluster with a poller of it.
struct Bench {
    kafka: Arc<FakeKafka>,
    clock: TestClock,
    poller: Poller<FakeKafka, TestClock>,
    last: Option<Snapshot>,
}

impl Bench {
    fn new(brokers: i32) -> Self {
        Self::with(brokers, |_| ())
    }

    fn with(brokers: i32, change: impl FnOnce(&mut PollSettings)) -> Self {
        let kafka = Arc::new(FakeKafka::new(brokers));
        let clock = TestClock::default();
        let mut settings = PollSettings::of_everything(
            20,
            1,
            Rules {
                fixed: Some(INTERVAL),
                bounds: BoundsRules { max_age: Some(MAX_AGE), ..BoundsRules::default() },
                budget: Budget { requests_per_second_per_broker: 50.0, cpu: 0.01 },
            },
        );
        change(&mut settings);
        let poller = Poller::new(kafka.clone(), clock.clone(), settings, None);
        Self { kafka, clock, poller, last: None }
    }

    /// One interval later: a pass, and what is derived from it.
    async fn pass(&mut self) -> PassReport {
        self.pass_after(15_000).await
    }

    /// The same, so many milliseconds later.
    async fn pass_after(&mut self, wait_ms: u64) -> PassReport {
        self.clock.0.fetch_add(wait_ms, Ordering::Relaxed);
        let report = self.poller.tick().await;
        self.last = Some(Snapshot::derive(self.poller.world(), self.last.as_ref(), self.clock.now()));
        // Probes are nobody's to wait for: let them run. The first one waits for its backoff.
        tokio::time::sleep(Duration::from_secs(2)).await;
        report
    }

    fn snapshot(&self) -> &Snapshot {
        self.last.as_ref().unwrap()
    }

    fn lags(&self, group: &str) -> Vec<Option<u64>> {
        let group = self.snapshot().group(group).unwrap();
        let rows = group.table.commits.as_ref().map_or(0, |commits| commits.partitions.len());
        (0..rows).map(|row| group.lag(row).map(|lag| lag.0)).collect()
    }

    fn fail(&self, operation: Operation, broker: Option<i32>, cause: Cause) {
        self.kafka.world().failures.push((operation, broker.map(BrokerId), cause));
    }

    fn breaker(&self, broker: i32) -> BreakerState {
        self.poller.world().brokers.iter().find(|known| known.id == BrokerId(broker)).unwrap().breaker
    }

    fn answers(&self) -> Vec<bool> {
        self.poller.world().brokers.iter().map(|broker| broker.answers).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_finds_everything() {
    let mut bench = Bench::new(3);
    bench.kafka.world().racks = vec![(BrokerId(1), "a".into())];
    bench.kafka.world().topic("t", &[(0, 10), (5, 20), (0, 0)]);
    bench.kafka.world().group("g", 2, &[("t", 0, 4), ("t", 1, 2)]);
    let report = bench.pass().await;
    assert_eq!(report.errors, []);
    let world = bench.poller.world();
    assert!(world.up);
    assert_eq!(world.cluster_id.as_deref(), Some("fake"));
    assert_eq!(world.brokers[0].rack.as_deref(), Some("a"));
    assert_eq!(bench.answers(), [true; 3]);
    assert_eq!(bench.lags("g"), [Some(6), Some(15)]);
    let (_, _, sums) = bench.snapshot().group("g").unwrap().segments().next().unwrap();
    assert_eq!(sums.lost_sum, Some(Messages(3)));
    for name in CollectorName::ALL {
        assert!(world.collectors.get(name).unwrap().success, "{}", name.as_str());
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_broker_costs_its_own_numbers_only_and_is_left_alone() {
    let mut bench = Bench::new(2);
    bench.kafka.world().topic("t", &[(0, 10), (0, 10)]);
    bench.kafka.world().group("one", 1, &[("t", 0, 4), ("t", 1, 4)]);
    bench.kafka.world().group("two", 2, &[("t", 0, 4), ("t", 1, 4)]);
    bench.pass().await;
    for operation in [Operation::ListGroups, Operation::ListOffsets, Operation::OffsetFetch, Operation::DescribeGroups]
    {
        bench.fail(operation, Some(2), Cause::NoAnswer);
    }
    bench.kafka.world().topics.get_mut("t").unwrap().partitions[0].offsets = Ok((0, 11));
    bench.kafka.take_calls();
    bench.pass().await;
    let to_sick = bench.kafka.take_calls().iter().filter(|call| call.target.broker() == Some(BrokerId(2))).count();
    assert_eq!(to_sick, 2, "the list and the probe; nothing else is asked of it");
    assert_eq!(bench.answers(), [true, false]);
    assert_eq!(bench.lags("one"), [Some(7), Some(6)], "the second partition's last pair stands");
    assert_eq!(bench.lags("two"), [Some(6), Some(6)], "so does every pair of the group there");
    assert_ne!(bench.breaker(2), BreakerState::Closed);
    for _ in 0..9 {
        bench.pass().await;
    }
    assert_eq!(bench.lags("one"), [Some(7), None], "older than max_age");
    assert_eq!(bench.lags("two"), [None, None]);
    let (_, _, sums) = bench.snapshot().group("one").unwrap().segments().next().unwrap();
    assert_eq!((sums.lag_sum, sums.max_lag, sums.unknown), (None, Some(Messages(7)), 1));

    bench.kafka.world().failures.clear();
    let mut passes = 0;
    while bench.breaker(2) != BreakerState::Closed {
        bench.pass().await;
        passes += 1;
        assert!(passes <= 7, "the longest backoff, a pass for the probe and one to hear of it");
    }
    assert_eq!(bench.lags("two"), [Some(7), Some(6)], "after it is back all is as before");
}

#[tokio::test(start_paused = true)]
async fn without_metadata_the_rest_stays_fresh() {
    let mut bench = Bench::new(1);
    bench.kafka.world().topic("t", &[(0, 10)]);
    bench.kafka.world().group("g", 1, &[("t", 0, 4)]);
    bench.pass().await;
    bench.fail(Operation::Metadata, None, Cause::NoAnswer);
    bench.kafka.world().topics.get_mut("t").unwrap().partitions[0].offsets = Ok((0, 12));
    bench.pass().await;
    assert_eq!(bench.lags("g"), [Some(8)]);
    assert!(bench.poller.world().up, "a broker answered");
    bench.fail(Operation::ListGroups, None, Cause::NoAnswer);
    bench.pass().await;
    assert!(!bench.poller.world().up);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_answers_without_offsets_is_silent() {
    let mut bench = Bench::new(2);
    bench.kafka.world().topic("t", &[(0, 10), (0, 10)]);
    bench.kafka.world().topics.get_mut("t").unwrap().partitions[1].offsets = Err(KafkaCode::LOCAL_NO_OFFSET);
    bench.pass().await;
    assert_ne!(bench.breaker(2), BreakerState::Closed);
    assert_eq!(bench.breaker(1), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn an_expected_broker_that_the_metadata_does_not_name_is_down() {
    let mut bench = Bench::new(2);
    bench.kafka.world().topic("t", &[(0, 10)]);
    bench.kafka.world().topics.get_mut("t").unwrap().partitions[0].replicas = vec![BrokerId(1), BrokerId(7)];
    bench.pass().await;
    let brokers: Vec<_> = bench.poller.world().brokers.iter().map(|broker| (broker.id.0, broker.answers)).collect();
    assert_eq!(brokers, [(1, true), (2, true), (7, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_group_leaves_when_its_coordinator_does_not_know_it_or_calls_it_dead() {
    let mut bench = Bench::new(1);
    bench.kafka.world().group("deleted", 1, &[]);
    bench.kafka.world().group("dead", 1, &[]);
    bench.kafka.world().group("stays", 1, &[]);
    bench.pass().await;
    assert_eq!(bench.poller.world().groups.len(), 3);
    bench.kafka.world().groups.remove("deleted");
    bench.kafka.world().groups.get_mut("dead").unwrap().description.state = GroupState::Dead;
    bench.kafka.world().groups.get_mut("stays").unwrap().is_listed = false;
    bench.pass().await;
    let names: Vec<_> = bench.poller.world().groups.iter().map(|group| group.name.to_string()).collect();
    assert_eq!(names, ["stays"], "one short list says nothing");
    bench.pass().await;
    assert!(bench.poller.world().groups.is_empty(), "two lists of every broker do");
}

#[tokio::test(start_paused = true)]
async fn a_group_on_a_moving_coordinator_stays_and_follows() {
    let mut bench = Bench::new(2);
    bench.kafka.world().topic("t", &[(0, 10)]);
    bench.kafka.world().group("g", 1, &[("t", 0, 4)]);
    bench.pass().await;
    let loading = Cause::Code { code: KafkaCode::COORDINATOR_LOAD_IN_PROGRESS, text: String::new() };
    for operation in [Operation::ListGroups, Operation::DescribeGroups, Operation::OffsetFetch] {
        bench.fail(operation, Some(2), loading.clone());
    }
    bench.kafka.world().groups.get_mut("g").unwrap().description.coordinator = BrokerId(2);
    for _ in 0..5 {
        bench.pass().await;
        assert_eq!(bench.lags("g"), [Some(6)]);
        assert_eq!(bench.breaker(2), BreakerState::Closed, "a refusal is an answer");
    }
    bench.kafka.world().failures.clear();
    bench.kafka.world().groups.get_mut("g").unwrap().commits.insert(("t".into(), crate::model::PartitionId(0)), Ok(9));
    bench.pass().await;
    assert_eq!(bench.lags("g"), [Some(1)]);
}

#[tokio::test(start_paused = true)]
async fn ids_are_asked_for_new_topics_when_an_end_falls_and_once_in_a_while() {
    let mut bench = Bench::new(1);
    bench.kafka.world().topic("a", &[(0, 10)]);
    bench.kafka.world().topic("b", &[(0, 10)]);
    bench.pass().await;
    let id = |bench: &Bench, name: &str| {
        let world = bench.poller.world();
        world.topic(world.names.get(name).unwrap()).unwrap().id
    };
    assert_eq!((id(&bench, "a"), id(&bench, "b")), (Some(TopicId(1)), Some(TopicId(2))));
    bench.kafka.world().topics.get_mut("b").unwrap().id = 9;
    bench.kafka.world().topics.get_mut("b").unwrap().partitions[0].offsets = Ok((0, 3));
    bench.pass().await;
    assert_eq!(id(&bench, "b"), Some(TopicId(9)), "its end fell");
    bench.kafka.world().topics.get_mut("a").unwrap().id = 8;
    bench.kafka.take_calls();
    let mut asked = 0;
    for _ in 0..20 {
        bench.pass().await;
        asked += bench.kafka.take_calls().iter().filter(|call| call.operation == Operation::DescribeTopics).count();
    }
    assert_eq!(id(&bench, "a"), Some(TopicId(8)), "filled past its old end: the slow cycle finds it");
    assert!(asked <= 20, "one topic a pass: {asked}");
}

#[tokio::test(start_paused = true)]
async fn a_recreated_topic_does_not_keep_the_lag_of_its_former_life() {
    let mut bench = Bench::new(1);
    bench.kafka.world().topic("t", &[(0, 100), (0, 100)]);
    bench.kafka.world().group("g", 1, &[("t", 0, 40), ("t", 1, 40)]);
    bench.pass().await;
    assert_eq!(bench.lags("g"), [Some(60), Some(60)]);
    bench.kafka.world().topic("t", &[(0, 5)]);
    bench.fail(Operation::OffsetFetch, None, Cause::NoAnswer);
    bench.pass().await;
    assert_eq!(bench.lags("g"), [None, None], "the old pair is of another life");
}

#[tokio::test(start_paused = true)]
async fn filters_apply_before_kafka_is_asked() {
    let mut bench = Bench::with(1, |settings| {
        settings.topics.names = NamePredicate::new(|name| name.starts_with("in"));
        settings.groups.names = NamePredicate::new(|name| name.starts_with("in"));
    });
    bench.kafka.world().topic("in-a", &[(0, 10), (0, 10)]);
    bench.kafka.world().topic("out", &[(0, 10), (0, 10), (0, 10)]);
    bench.kafka.world().group("in-g", 1, &[("in-a", 0, 4), ("out", 0, 4)]);
    bench.kafka.world().group("out-g", 1, &[("in-a", 0, 4)]);
    bench.pass().await;
    for call in bench.kafka.take_calls() {
        match call.operation {
            Operation::ListOffsets | Operation::OffsetFetch => assert_eq!(call.named, 2, "{call:?}"),
            Operation::DescribeGroups | Operation::DescribeTopics => assert_eq!(call.named, 1, "{call:?}"),
            _ => {}
        }
    }
    assert_eq!(bench.lags("in-g"), [Some(6)]);
    assert!(bench.snapshot().group("out-g").is_none());
    assert_eq!(bench.poller.world().names.places(), 1);
}

#[tokio::test(start_paused = true)]
async fn groups_in_other_states_are_not_asked_for() {
    let mut bench = Bench::with(1, |settings| settings.groups.states = vec![GroupState::Stable]);
    bench.kafka.world().group("empty", 1, &[]);
    bench.kafka.world().group("stable", 1, &[]).description.state = GroupState::Stable;
    bench.pass().await;
    let names: Vec<_> = bench.poller.world().groups.iter().map(|group| group.name.to_string()).collect();
    assert_eq!(names, ["stable"]);
}

#[tokio::test(start_paused = true)]
async fn calls_are_batched() {
    let mut bench = Bench::new(1);
    let offsets = [(0, 1); 10];
    for topic in 0..45 {
        bench.kafka.world().topic(&format!("t{topic}"), &offsets);
    }
    for group in 0..120 {
        bench.kafka.world().group(&format!("g{group}"), 1, &[]);
    }
    bench.pass().await;
    let calls = bench.kafka.take_calls();
    let count = |operation| calls.iter().filter(|call| call.operation == operation).count();
    assert_eq!(count(Operation::ListOffsets), 2 * 3, "450 partitions in calls of 200, starts and ends");
    assert_eq!(count(Operation::DescribeGroups), 3);
    assert_eq!(count(Operation::OffsetFetch), 120);
    assert_eq!(count(Operation::Metadata), 1);
    assert_eq!(count(Operation::ListGroups), 1);
}
