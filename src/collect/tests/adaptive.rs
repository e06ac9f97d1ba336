//! The adaptive engine over a cluster that exists in memory, on a clock that the test turns: what is asked when.

use std::collections::BTreeMap;

use super::*;
use crate::model::PartitionId;
use crate::schedule::{BoundsOverride, Rhythm};

/// What was asked in some time, tick by tick.
pub(super) struct Adaptive {
    pub(super) bench: Bench,
    pub(super) rhythm: Rhythm,
}

impl Adaptive {
    pub(super) fn new(change: impl FnOnce(&mut PollSettings)) -> Self {
        let bench = Bench::with(1, |settings| {
            settings.rules.fixed = None;
            settings.rules.bounds.max_age = None;
            change(settings);
        });
        // Somebody scrapes, but not regularly: the period is the one that is assumed.
        let rhythm = Rhythm { period: None, reference: None, last: Some(Moment(0)) };
        Self { bench, rhythm }
    }

    pub(super) fn second(&self) -> u64 {
        self.bench.clock.now().moment.0 / 1000
    }

    /// The next tick: its report, and what was asked in it.
    pub(super) async fn tick(&mut self) -> (PassReport, Vec<crate::kafka::fake::Call>) {
        if self.rhythm.last.is_some() {
            self.rhythm.last = Some(self.bench.clock.now().moment);
        }
        let next = self.bench.poller.next_tick(&self.rhythm);
        let now = self.bench.clock.now().moment;
        self.bench.clock.0.store(next.0.max(now.0), Ordering::Relaxed);
        self.bench.kafka.take_calls();
        let report = self.bench.poller.tick().await;
        self.bench.last =
            Some(Snapshot::derive(self.bench.poller.world(), self.bench.last.as_ref(), self.bench.clock.now()));
        tokio::time::sleep(Duration::from_millis(1)).await;
        (report, self.bench.kafka.take_calls())
    }

    /// Runs for some seconds, moving the cluster before every tick, and tells at which seconds what was asked how often.
    pub(super) async fn run(
        &mut self,
        seconds: u64,
        mut step: impl FnMut(&FakeKafka, u64),
    ) -> BTreeMap<(u64, &'static str), usize> {
        let mut asked = BTreeMap::new();
        let end = self.second() + seconds;
        while self.second() < end {
            step(&self.bench.kafka, self.second());
            let (_, calls) = self.tick().await;
            for call in calls {
                *asked.entry((self.second(), call.operation.api())).or_default() += call.named.max(1);
            }
        }
        asked
    }

    pub(super) fn set_end(&self, topic: &str, end: i64) {
        self.bench.kafka.world().topics.get_mut(topic).unwrap().partitions[0].offsets = Ok((0, end));
    }

    pub(super) fn commit(&self, group: &str, topic: &str, offset: i64) {
        let mut world = self.bench.kafka.world();
        world.groups.get_mut(group).unwrap().commits.insert((topic.into(), PartitionId(0)), Ok(offset));
    }
}

fn seconds_of(asked: &BTreeMap<(u64, &'static str), usize>, api: &str) -> Vec<u64> {
    asked.keys().filter(|(_, name)| *name == api).map(|(second, _)| *second).collect()
}

#[tokio::test(start_paused = true)]
async fn what_stands_still_is_asked_for_less_and_less_and_what_moves_once_a_period() {
    let mut engine = Adaptive::new(|_| ());
    engine.bench.kafka.world().topic("quiet", &[(0, 10)]);
    engine.bench.kafka.world().topic("busy", &[(0, 10)]);
    engine.bench.kafka.world().group("g", 1, &[("quiet", 0, 10), ("busy", 0, 4)]);
    let mut end = 10;
    let asked = engine
        .run(1200, |kafka, _| {
            end += 7;
            kafka.world().topics.get_mut("busy").unwrap().partitions[0].offsets = Ok((0, end));
        })
        .await;
    let late = |api| -> Vec<(u64, usize)> {
        let calls = asked.iter().filter(|((second, name), _)| *name == api && *second > 600);
        calls.map(|((second, _), named)| (*second, *named)).collect()
    };
    let ends: usize = late("ListOffsets").iter().map(|(_, named)| named).sum();
    // Ten minutes: the busy end 40 times with its start, for somebody is behind, and the quiet one about every minute.
    assert!((80..=110).contains(&ends), "{ends}");
    let commits = late("OffsetFetch");
    assert!(commits.len() <= 55, "{commits:?}");
    assert!(late("ConsumerGroupDescribe").len() <= 15, "described about once a minute");
    assert_eq!(engine.bench.lags("g").len(), 2);
    assert!(engine.bench.lags("g").iter().all(Option::is_some));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_begins_to_move_brings_its_groups_along_at_once() {
    let mut engine = Adaptive::new(|_| ());
    engine.bench.kafka.world().topic("t", &[(0, 10)]);
    engine.bench.kafka.world().group("g", 1, &[("t", 0, 10)]);
    engine.run(600, |_, _| ()).await;
    engine.set_end("t", 500);
    engine.commit("g", "t", 450);
    while engine.bench.lags("g") == [Some(0)] {
        let (report, _) = engine.tick().await;
        assert!(engine.second() < 670, "within the longest interval");
        assert!(report.errors.is_empty());
    }
    assert_eq!(engine.bench.lags("g"), [Some(50)], "the commit and the end of one time");
    engine.set_end("t", 600);
    engine.run(15, |_, _| ()).await;
    assert_eq!(engine.bench.lags("g"), [Some(150)], "and then once a period");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_group_on_a_moving_topic_is_asked_for_as_often_as_the_topic() {
    let mut engine = Adaptive::new(|_| ());
    engine.bench.kafka.world().topic("t", &[(0, 10)]);
    engine.bench.kafka.world().group("g", 1, &[("t", 0, 4)]);
    let mut end = 10;
    for _ in 0..100 {
        end += 1;
        engine.set_end("t", end);
        engine.tick().await;
        if engine.bench.poller.scheduler.tick().is_main() {
            assert_eq!(engine.bench.lags("g"), [Some(u64::try_from(end - 4).unwrap())]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn behind_with_members_is_asked_for_once_a_period_and_without_less_and_less() {
    for (members, expected) in [(1, 38..=44), (0, 9..=12)] {
        let mut engine = Adaptive::new(|_| ());
        engine.bench.kafka.world().topic("t", &[(0, 10)]);
        engine.bench.kafka.world().group("g", 1, &[("t", 0, 4)]).description.members = members;
        engine.run(300, |_, _| ()).await;
        let asked = engine.run(600, |_, _| ()).await;
        let times = seconds_of(&asked, "OffsetFetch").len();
        assert!(expected.contains(&times), "{members} members: {times}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_listed_state_brings_everything_of_the_group_back() {
    let mut engine = Adaptive::new(|_| ());
    engine.bench.kafka.world().topic("t", &[(0, 10)]);
    engine.bench.kafka.world().group("g", 1, &[("t", 0, 10)]);
    engine.run(600, |_, _| ()).await;
    engine.bench.kafka.world().groups.get_mut("g").unwrap().description.state = GroupState::Stable;
    engine.commit("g", "t", 2);
    engine.run(20, |_, _| ()).await;
    assert_eq!(engine.bench.lags("g"), [Some(8)]);
    let group = engine.bench.snapshot().group("g").unwrap();
    assert_eq!(group.table.membership.as_ref().unwrap().state, GroupState::Stable);
}

#[tokio::test(start_paused = true)]
async fn new_commits_are_found_by_a_full_reading() {
    let mut engine = Adaptive::new(|_| ());
    engine.bench.kafka.world().topic("a", &[(0, 10)]);
    engine.bench.kafka.world().topic("b", &[(0, 10)]);
    engine.bench.kafka.world().group("g", 1, &[("a", 0, 10)]);
    engine.run(300, |_, _| ()).await;
    engine.commit("g", "b", 3);
    engine.run(90, |_, _| ()).await;
    let mut lags = engine.bench.lags("g");
    lags.sort();
    assert_eq!(lags, [Some(0), Some(7)]);
}

#[tokio::test(start_paused = true)]
async fn without_scrapes_everything_drifts_to_the_maximum_and_comes_back_at_the_first() {
    let mut engine = Adaptive::new(|_| ());
    engine.bench.kafka.world().topic("t", &[(0, 10)]);
    engine.rhythm.last = None;
    let mut end = 10;
    let asked = engine
        .run(1800, |kafka, _| {
            end += 7;
            kafka.world().topics.get_mut("t").unwrap().partitions[0].offsets = Ok((0, end));
        })
        .await;
    let late = seconds_of(&asked, "Metadata").into_iter().filter(|second| *second > 900).count();
    assert!((14..=16).contains(&late), "once a minute: {late}");
    let now = engine.bench.clock.now().moment;
    engine.rhythm.last = Some(now);
    assert_eq!(engine.bench.poller.next_tick(&engine.rhythm), now, "at once");
    let asked = engine.run(60, |_, _| ()).await;
    assert!(seconds_of(&asked, "Metadata").len() >= 4);
}

#[tokio::test(start_paused = true)]
async fn polling_keeps_step_with_the_scrapes() {
    let mut engine = Adaptive::new(|_| ());
    engine.bench.kafka.world().topic("t", &[(0, 10)]);
    engine.run(100, |_, _| ()).await;
    engine.rhythm.period = Some(Duration::from_secs(30));
    let mut mains = Vec::new();
    while engine.second() < 600 {
        let now = engine.bench.clock.now().moment.0;
        // Scrapes come 7 s after every half minute.
        engine.rhythm.reference = Some(Moment((now.saturating_sub(7_000)) / 30_000 * 30_000 + 7_000));
        let (report, _) = engine.tick().await;
        if report.is_main {
            mains.push(engine.bench.clock.now().moment.0 % 30_000);
        }
    }
    let late = &mains[mains.len() - 10..];
    assert!(late.iter().all(|main| *main == 6_000), "a second before: {late:?}");
}

#[tokio::test(start_paused = true)]
async fn bounds_may_differ_by_name() {
    let mut engine = Adaptive::new(|settings| {
        settings.rules.bounds.overrides = vec![BoundsOverride {
            topics: Some(NamePredicate::new(|name| name == "fast")),
            groups: None,
            min: None,
            max: Some(Duration::from_secs(10)),
        }];
    });
    engine.bench.kafka.world().topic("fast", &[(0, 10)]);
    engine.bench.kafka.world().topic("slow", &[(0, 10), (0, 10), (0, 10)]);
    engine.run(600, |_, _| ()).await;
    let asked = engine.run(600, |_, _| ()).await;
    let values: usize = asked.iter().filter(|((_, api), _)| *api == "ListOffsets").map(|(_, named)| named).sum();
    // Start and end of one partition 60 times, and of three about ten times.
    assert!((150..=220).contains(&values), "{values}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_too_large_for_the_budget_is_asked_less_often_and_says_so() {
    let topics = 400;
    let mut engine = Adaptive::new(|settings| settings.rules.budget.requests_per_second_per_broker = 2.0);
    for topic in 0..topics {
        engine.bench.kafka.world().topic(&format!("t{topic}"), &[(0, 10)]);
        engine.bench.kafka.world().group(&format!("g{topic}"), 1, &[(&format!("t{topic}"), 0, 4)]);
    }
    let mut end = 10;
    let mut move_all = move |kafka: &FakeKafka, _| {
        end += 100;
        let mut world = kafka.world();
        world.topics.values_mut().for_each(|topic| topic.partitions[0].offsets = Ok((0, end)));
    };
    engine.run(6000, &mut move_all).await;
    let before = engine.second();
    let mut requests = 0;
    while engine.second() < before + 3000 {
        move_all(&engine.bench.kafka, 0);
        let (_, calls) = engine.tick().await;
        requests += calls.iter().filter(|call| call.target.broker().is_some()).count();
    }
    let rate = f64::from(u32::try_from(requests).unwrap()) / 3000.0;
    let schedule = engine.bench.poller.schedule();
    assert!(rate <= 2.2, "{rate} requests a second");
    // 400 groups every 15 s would be 27 a second.
    assert!(schedule.stretch > 8.0, "{schedule:?}");
    let topics = schedule.intervals.iter().find(|kind| kind.kind == "topic").unwrap();
    assert!(topics.percentiles[0] >= Duration::from_secs(100), "{topics:?}");
    assert!(engine.bench.lags("g7")[0].is_some(), "nothing expires for it");
}

#[tokio::test(start_paused = true)]
async fn most_of_a_mostly_quiet_cluster_is_served_unasked() {
    let mut engine = Adaptive::new(|_| ());
    for topic in 0..50 {
        engine.bench.kafka.world().topic(&format!("t{topic}"), &[(0, 10); 4]);
        engine.bench.kafka.world().group(&format!("g{topic}"), 1, &[(&format!("t{topic}"), 0, 4)]);
    }
    engine.run(600, |_, _| ()).await;
    let (mut hits, mut misses, mut end) = (0, 0, 10);
    for _ in 0..120 {
        end += 5;
        (0..5).for_each(|topic| engine.set_end(&format!("t{topic}"), end));
        let (report, _) = engine.tick().await;
        for used in [report.ends, report.starts, report.commits, report.memberships] {
            hits += used.hits;
            misses += used.misses;
        }
    }
    assert!(hits > 4 * misses, "{hits} hits, {misses} misses");
}
