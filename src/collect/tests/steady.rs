//! What the adaptive engine must not do: let values expire while all is well, or ask for ever for what is not told.

use super::adaptive::Adaptive;
use super::*;
use crate::schedule::BoundsOverride;

/// How long a pass may take: what it reads is served so much later.
const PASS: u64 = 500;

/// How many values are not known just before what the next tick reads is served, in ticks over some seconds.
async fn gaps(engine: &mut Adaptive, seconds: u64, mut step: impl FnMut(&FakeKafka)) -> Vec<(u64, u32)> {
    let mut gaps = Vec::new();
    let end = engine.second() + seconds;
    while engine.second() < end {
        step(&engine.bench.kafka);
        engine.tick().await;
        let world = engine.bench.poller.world();
        let before_next = engine.bench.poller.scheduler.next_for_tests().0 + PASS;
        let now = Instants { moment: Moment(before_next), ..engine.bench.clock.now() };
        let shown = Snapshot::derive(world, engine.bench.last.as_ref(), now);
        let topics: u32 = world.topic_order.iter().map(|ix| shown.topic(*ix).unknown).sum();
        let lags: u32 = shown.groups.iter().flat_map(|group| group.segments()).map(|(_, _, lag)| lag.unknown).sum();
        let members = shown.groups.iter().filter(|group| shown.freshness.membership(&group.table).is_none()).count();
        let unknown = topics + lags + u32::try_from(members).unwrap() + u32::from(!shown.has_metadata());
        if unknown > 0 {
            gaps.push((engine.second(), unknown));
        }
    }
    gaps
}

/// The longest interval of anything, in seconds.
fn longest(engine: &Adaptive) -> u64 {
    let rules = &engine.bench.poller.settings.rules.bounds;
    let exceptions = rules.overrides.iter().filter_map(|rule| rule.max);
    exceptions.fold(rules.of_cluster(0).max, Duration::max).as_secs()
}

fn populate(engine: &Adaptive, topics: usize) {
    let mut world = engine.bench.kafka.world();
    for topic in 0..topics {
        world.topic(&format!("t{topic}"), &[(0, 10)]);
        world.group(&format!("g{topic}"), 1, &[(&format!("t{topic}"), 0, 4)]);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_expires_when_all_intervals_stretch_at_once() {
    let mut engine = Adaptive::new(|settings| settings.rules.budget.requests_per_second_per_broker = 4.0);
    populate(&engine, 400);
    let mut end = 10;
    // All is quiet, then half of it moves.
    assert_eq!(gaps(&mut engine, 900, |_| ()).await, []);
    let gaps = gaps(&mut engine, 6_000, |kafka| {
        end += 100;
        let mut world = kafka.world();
        world.topics.values_mut().step_by(2).for_each(|topic| topic.partitions[0].offsets = Ok((0, end)));
    });
    assert_eq!(gaps.await, []);
    assert!(engine.bench.poller.schedule().stretch > 2.0, "{:?}", engine.bench.poller.schedule());
}

#[tokio::test(start_paused = true)]
async fn nothing_expires_when_the_first_passes_show_a_cluster_far_too_large() {
    let mut engine = Adaptive::new(|settings| settings.rules.budget.requests_per_second_per_broker = 1.0);
    populate(&engine, 400);
    let mut end = 10;
    let gaps = gaps(&mut engine, 6_000, |kafka| {
        end += 100;
        let mut world = kafka.world();
        world.topics.values_mut().step_by(2).for_each(|topic| topic.partitions[0].offsets = Ok((0, end)));
    });
    assert_eq!(gaps.await, []);
}

#[tokio::test(start_paused = true)]
async fn nothing_expires_whatever_the_bounds() {
    let s = Duration::from_secs;
    let rule = |min, max| BoundsOverride {
        topics: Some(NamePredicate::new(|name| name.ends_with('1'))),
        groups: None,
        min,
        max,
    };
    let cases = [
        ("max_age as long as max_interval", None, Some(s(60)), Vec::new(), Some(s(60))),
        ("max_age as long as a short max_interval", Some(s(1)), Some(s(10)), Vec::new(), Some(s(10))),
        ("max_age as long as auto", None, None, Vec::new(), Some(s(60))),
        ("max_age 90", None, None, Vec::new(), Some(s(90))),
        ("seldom", Some(s(600)), Some(s(1800)), Vec::new(), None),
        ("exception: seldom", None, None, vec![rule(Some(s(300)), Some(s(3600)))], None),
        ("exception: often", None, None, vec![rule(Some(s(1)), Some(s(2)))], None),
    ];
    for (what, min, max, overrides, max_age) in cases {
        let mut engine = Adaptive::new(|settings| {
            settings.rules.bounds.min = min;
            settings.rules.bounds.max = max;
            settings.rules.bounds.overrides = overrides;
            settings.rules.bounds.max_age = max_age;
        });
        populate(&engine, 6);
        let seconds = 4 * longest(&engine) + 600;
        let mut end = 10;
        let mut move_one = |kafka: &FakeKafka| {
            end += 3;
            kafka.world().topics.get_mut("t3").unwrap().partitions[0].offsets = Ok((0, end));
        };
        assert_eq!(gaps(&mut engine, 2 * seconds, &mut move_one).await, [], "{what}");
        engine.rhythm.last = None;
        assert_eq!(gaps(&mut engine, seconds, &mut move_one).await, [], "{what}: nobody scrapes");
        engine.rhythm.last = Some(engine.bench.clock.now().moment);
        engine.rhythm.period = Some(s(60));
        assert_eq!(gaps(&mut engine, seconds, &mut move_one).await, [], "{what}: once a minute");
    }
}

fn calls(asked: &std::collections::BTreeMap<(u64, &'static str), usize>, api: &str) -> usize {
    asked.keys().filter(|(_, name)| *name == api).count()
}

#[tokio::test(start_paused = true)]
async fn a_silent_leader_does_not_make_the_others_be_asked_at_every_tick() {
    let mut engine = Adaptive::new(|_| ());
    engine.bench.kafka.world().brokers = vec![BrokerId(1), BrokerId(2)];
    engine.bench.kafka.world().topic("t", &[(0, 10), (0, 10)]);
    engine.run(900, |_, _| ()).await;
    for operation in [Operation::ListGroups, Operation::ListOffsets] {
        engine.bench.fail(operation, Some(2), Cause::NoAnswer);
    }
    engine.run(300, |_, _| ()).await;
    let asked = engine.run(600, |_, _| ()).await;
    assert!(calls(&asked, "ListOffsets") <= 42, "{asked:?}");
    engine.bench.kafka.world().failures.clear();
    for _ in 0..25 {
        engine.tick().await;
        // The probe waits for its turn.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(engine.bench.snapshot().topic(engine.bench.poller.world().topic_order[0]).unknown, 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_coordinator_does_not_make_the_leaders_be_asked_at_every_tick() {
    for is_member in [true, false] {
        let mut engine = Adaptive::new(|_| ());
        engine.bench.kafka.world().brokers = vec![BrokerId(1), BrokerId(2)];
        engine.bench.kafka.world().topic("t", &[(0, 10)]);
        engine.bench.kafka.world().topics.get_mut("t").unwrap().partitions[0].replicas = vec![BrokerId(1), BrokerId(2)];
        engine.bench.kafka.world().group("g", 2, &[("t", 0, 4)]);
        engine.run(900, |_, _| ()).await;
        for operation in [Operation::ListGroups, Operation::DescribeGroups, Operation::OffsetFetch] {
            engine.bench.fail(operation, Some(2), Cause::NoAnswer);
        }
        if !is_member {
            engine.bench.kafka.world().brokers = vec![BrokerId(1)];
        }
        engine.run(60, |_, _| ()).await;
        let asked = engine.run(300, |_, _| ()).await;
        assert!(calls(&asked, "ListOffsets") <= 22, "{asked:?}");
        assert!(!engine.bench.poller.world().collectors.get(CollectorName::Commits).unwrap().success);
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_may_not_be_read_is_not_asked_for_at_every_tick() {
    let mut engine = Adaptive::new(|_| ());
    engine.bench.kafka.world().topic("t", &[(0, 10)]);
    engine.bench.kafka.world().group("g", 1, &[("t", 0, 4)]);
    let cause = Cause::Code { code: KafkaCode(30), text: "not authorized".into() };
    engine.bench.fail(Operation::OffsetFetch, None, cause);
    engine.run(300, |_, _| ()).await;
    let asked = engine.run(600, |_, _| ()).await;
    assert!(calls(&asked, "OffsetFetch") <= 15);
    assert!(!engine.bench.poller.world().collectors.get(CollectorName::Commits).unwrap().success, "and it is said");
}

#[tokio::test(start_paused = true)]
async fn what_failed_and_is_not_the_groups_any_more_is_not_held_against_it() {
    let mut engine = Adaptive::new(|_| ());
    engine.bench.kafka.world().topic("t", &[(0, 10)]);
    engine.bench.kafka.world().topic("u", &[(0, 10)]);
    let assigned = |topic: &str| crate::model::TopicAssignment {
        topic: topic.into(),
        members: 1,
        partitions: vec![crate::model::PartitionId(0)],
    };
    engine.bench.kafka.world().group("g", 1, &[("t", 0, 4)]).description.assignment = vec![assigned("u")];
    engine.run(200, |_, _| ()).await;
    engine.bench.fail(Operation::OffsetFetch, None, Cause::Code { code: KafkaCode(14), text: "loads".into() });
    engine.run(90, |_, _| ()).await;
    {
        let mut world = engine.bench.kafka.world();
        world.groups.get_mut("g").unwrap().description.assignment.clear();
        world.groups.get_mut("g").unwrap().description.state = GroupState::Stable;
    }
    engine.run(20, |_, _| ()).await;
    engine.bench.kafka.world().failures.clear();
    engine.run(200, |_, _| ()).await;
    assert!(engine.bench.poller.world().collectors.get(CollectorName::Commits).unwrap().success);
}

#[tokio::test(start_paused = true)]
async fn without_offsets_commits_are_asked_for_once() {
    let is_on = |name: &CollectorName| *name != CollectorName::Offsets;
    let mut engine = Adaptive::new(|settings| settings.collectors.retain(is_on));
    engine.bench.kafka.world().topic("t", &[(0, 1_000)]);
    engine.bench.kafka.world().group("g", 1, &[("t", 0, 4)]);
    let mut asked = 0;
    for offset in 5..105 {
        engine.commit("g", "t", offset);
        let (_, calls) = engine.tick().await;
        let times = calls.iter().filter(|call| call.operation == Operation::OffsetFetch).count();
        assert!(times <= 1, "{times} times at one tick");
        asked += times;
    }
    assert!((30..=40).contains(&asked), "once a period: {asked}");
}
