//! Tests of exporters beside each broker: together they show what one exporter of the cluster shows, each series once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::collect::{Clock, Locate, Located, PassReport, PollSettings, Poller, ScopeRule, TestClock};
use crate::derive::Snapshot;
use crate::kafka::fake::FakeKafka;
use crate::kafka::{Cause, Operation};
use crate::metrics::ClusterSource;
use crate::metrics::exposition::{ClusterView, Exposition, Format, View};
use crate::model::{Broker, BrokerId, KafkaCode, Moment, NamePredicate, PartitionId};
use crate::schedule::{BoundsRules, Budget, Rhythm, Rules};
use crate::state::{CollectorName, Scope, TopicTable};
use crate::track::{Named, TrackSettings, Tracker};

/// The time between two passes of a plain timer.
const INTERVAL_MS: u64 = 15_000;
/// The shortest interval, unless configured.
const STEP_MS: u64 = 5_000;

/// One exporter.
struct One {
    poller: Poller<FakeKafka, TestClock>,
    source: Arc<ClusterSource>,
    tracker: Tracker,
    /// What it asked in the last pass.
    calls: Vec<crate::kafka::fake::Call>,
    /// How fast records are appended to its topics, as of the last pass.
    produce_rates: BTreeMap<Arc<str>, f64>,
}

impl One {
    fn new(kafka: &Arc<FakeKafka>, clock: &TestClock, settings: PollSettings) -> Self {
        Self {
            poller: Poller::new(kafka.clone(), clock.clone(), settings, None),
            source: Arc::new(ClusterSource::new(None, Vec::new())),
            tracker: Tracker::new(TrackSettings::default()),
            calls: Vec::new(),
            produce_rates: BTreeMap::new(),
        }
    }

    async fn pass(&mut self, kafka: &FakeKafka, clock: &TestClock) -> PassReport {
        kafka.take_calls();
        // Somebody scrapes, or passes would come less and less often.
        let _ = self.next_tick(clock);
        let report = self.poller.tick().await;
        self.calls = kafka.take_calls();
        let previous = self.source.snapshot.load_full();
        let snapshot = Snapshot::derive(self.poller.world(), previous.as_deref(), clock.now());
        let outlook = self.tracker.observe(&snapshot, &Named::Fresh);
        let rate = |(ix, table): (_, &Arc<TopicTable>)| Some((table.name.clone(), outlook.produce_rate(ix)?));
        self.produce_rates = snapshot.world.topics_by_name().filter_map(rate).collect();
        self.source.publish(snapshot);
        report
    }

    fn next_tick(&mut self, clock: &TestClock) -> Moment {
        self.poller.next_tick(&Rhythm { last: Some(clock.now().moment), ..Rhythm::default() })
    }

    /// What it knows of a topic.
    fn topic(&self, name: &str) -> &TopicTable {
        let world = self.poller.world();
        world.topic(world.names.get(name).unwrap()).unwrap()
    }

    /// The `kafka_` series that it shows, but for those that say when this exporter saw something.
    fn series(&self) -> BTreeMap<String, String> {
        let view = View { clusters: vec![ClusterView::of(&self.source)], ..View::default() };
        let text = String::from_utf8(Exposition::new(view, Format::Text).into_bytes()).unwrap();
        let own = ["kafka_up", "kafka_consumergroup_last_commit_timestamp_seconds"];
        let is_shared = |line: &&str| line.starts_with("kafka_") && !own.iter().any(|own| line.starts_with(own));
        let samples = text.lines().filter(is_shared).filter_map(|line| line.rsplit_once(' '));
        samples.map(|(series, value)| (series.to_owned(), value.to_owned())).collect()
    }

    /// Whom it asked for something, with how much was named.
    fn asked(&self, operation: Operation) -> BTreeMap<Option<i32>, usize> {
        let mut asked = BTreeMap::new();
        for call in self.calls.iter().filter(|call| call.operation == operation) {
            *asked.entry(call.target.broker().map(|broker| broker.0)).or_default() += call.named;
        }
        asked
    }
}

/// What an exporter is told: of everything, but for its part.
fn settings(scope_rule: ScopeRule, fixed: bool) -> PollSettings {
    let rules = Rules {
        fixed: fixed.then_some(Duration::from_millis(INTERVAL_MS)),
        bounds: BoundsRules::default(),
        budget: Budget { requests_per_second_per_broker: 50.0, cpu: 1.0 },
    };
    PollSettings { scope_rule, ..PollSettings::of_everything(20, 1, rules) }
}

/// One exporter of the cluster, and one beside each broker.
struct Fleet {
    kafka: Arc<FakeKafka>,
    clock: TestClock,
    whole: One,
    beside: BTreeMap<i32, One>,
}

impl Fleet {
    fn new(brokers: i32, fixed: bool) -> Self {
        Self::told(brokers, |scope_rule| settings(scope_rule, fixed))
    }

    fn told(brokers: i32, settings: impl Fn(ScopeRule) -> PollSettings) -> Self {
        let kafka = Arc::new(FakeKafka::new(brokers));
        let clock = TestClock::default();
        let one = |scope_rule| One::new(&kafka, &clock, settings(scope_rule));
        let whole = one(ScopeRule::Cluster);
        let beside = (1..=brokers).map(|broker| (broker, one(ScopeRule::Broker(BrokerId(broker))))).collect();
        Self { kafka, clock, whole, beside }
    }

    /// A pass of all of them, the later ones of broker after broker.
    async fn pass(&mut self) {
        self.clock.0.fetch_add(INTERVAL_MS, Ordering::Relaxed);
        self.whole.pass(&self.kafka, &self.clock).await;
        for one in self.beside.values_mut() {
            one.pass(&self.kafka, &self.clock).await;
        }
    }

    /// A step of the shortest interval: those of which a tick is due make the pass of that tick, which is a main one once in
    /// a while, unless `skips` says of a broker that its exporter is late.
    async fn step(&mut self, mut skips: impl FnMut(i32) -> bool) {
        self.clock.0.fetch_add(STEP_MS, Ordering::Relaxed);
        let now = self.clock.now().moment;
        for (broker, one) in self.beside.iter_mut().chain([(&0, &mut self.whole)]) {
            if one.next_tick(&self.clock) <= now && !skips(*broker) {
                one.pass(&self.kafka, &self.clock).await;
            }
        }
    }

    /// Every series with the brokers beside which it is shown.
    fn owners(&self) -> BTreeMap<String, Vec<i32>> {
        let mut owners: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for (broker, one) in &self.beside {
            one.series().into_keys().for_each(|series| owners.entry(series).or_default().push(*broker));
        }
        owners
    }

    /// That all together show what the one shows, and nothing twice.
    #[track_caller]
    fn agree(&self, when: &str) {
        let twice: Vec<_> = self.owners().into_iter().filter(|(_, brokers)| brokers.len() > 1).collect();
        assert!(twice.is_empty(), "{when}: {twice:#?}");
        let union: BTreeMap<String, String> = self.beside.values().flat_map(One::series).collect();
        let whole = self.whole.series();
        let differ = |(series, value): &(&String, &String)| union.get(*series) != Some(value);
        let missing: Vec<_> =
            whole.iter().filter(differ).map(|(series, value)| (series, value, union.get(series))).collect();
        assert!(missing.is_empty(), "{when}: {missing:#?}");
        let extra: Vec<_> = union.keys().filter(|series| !whole.contains_key(*series)).collect();
        assert!(extra.is_empty(), "{when}: {extra:#?}");
        assert!(whole.len() > 100, "{when}: {}", whole.len());
    }

    /// Beside which broker a series is shown.
    #[track_caller]
    fn owner(&self, series: &str) -> i32 {
        match self.owners().get(series).map(Vec::as_slice) {
            Some([one]) => *one,
            other => panic!("{series}: {other:?}"),
        }
    }

    /// What runs on three brokers: topics led by all in turn, by one, by none, and a group at each broker.
    fn fill(&self) {
        let mut world = self.kafka.world();
        world.topic("spread", &[(0, 10), (2, 20), (0, 30), (0, 40), (0, 50)]);
        let at_home_at_two = world.topic("turned", &[(0, 7), (0, 8), (0, 9)]);
        for (place, leader) in [2, 3, 1].into_iter().enumerate() {
            at_home_at_two.partitions[place].leader = Some(BrokerId(leader));
        }
        world.topic("single", &[(0, 5), (0, 6)]).partitions.iter_mut().for_each(|row| row.leader = Some(BrokerId(3)));
        world.topic("offline", &[(0, 5), (0, 6)]).partitions.iter_mut().for_each(|row| row.leader = None);
        world.topic("half", &[(0, 5), (0, 6)]).partitions[0].leader = None;
        for broker in 1..=3 {
            let name = format!("group-{broker}");
            let commits = [("spread", 0, 4), ("spread", 3, 4), ("turned", 1, 2), ("single", 1, 1), ("half", 1, 6)];
            world.group(&name, broker, &commits);
        }
        world.group("empty", 3, &[]);
    }
}

#[tokio::test(start_paused = true)]
async fn beside_all_brokers_everything_is_shown_once() {
    for fixed in [true, false] {
        let mut fleet = Fleet::new(3, fixed);
        fleet.fill();
        fleet.pass().await;
        fleet.agree("after one pass");
        for (series, broker) in [
            ("kafka_brokers", 1),
            ("kafka_broker_up{id=\"3\"}", 1),
            ("kafka_topic_partitions{topic=\"turned\"}", 2),
            ("kafka_topic_partitions{topic=\"single\"}", 3),
            ("kafka_topic_partitions{topic=\"half\"}", 2),
            ("kafka_topic_current_offset_sum{topic=\"spread\"}", 1),
            ("kafka_topic_min_insync_replicas{topic=\"turned\"}", 2),
            ("kafka_topic_partition_current_offset{topic=\"spread\",partition=\"1\"}", 2),
            ("kafka_topic_partition_offline{topic=\"half\",partition=\"0\"}", 1),
            ("kafka_topic_partition_under_min_isr{topic=\"spread\",partition=\"2\"}", 3),
            ("kafka_consumergroup_lag{consumergroup=\"group-3\",topic=\"spread\",partition=\"0\"}", 3),
            ("kafka_consumergroup_state{consumergroup=\"empty\",state=\"Empty\"}", 3),
        ] {
            assert_eq!(fleet.owner(series), broker, "{series}");
        }
        for _ in 0..10 {
            fleet.pass().await;
            fleet.agree("while nothing moves");
        }
        for end in 60..70 {
            let spread = |world: &mut crate::kafka::fake::World| {
                world.topics.get_mut("spread").unwrap().partitions[0].offsets = Ok((0, end));
                let commits = &mut world.groups.get_mut("group-2").unwrap().commits;
                commits.insert(("spread".into(), PartitionId(0)), Ok(end - 3));
            };
            spread(&mut fleet.kafka.world());
            fleet.pass().await;
            fleet.agree("while something moves");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_is_asked_than_the_part_takes() {
    let mut fleet = Fleet::new(3, true);
    fleet.fill();
    fleet.pass().await;
    let topics = |question| {
        let asked = |broker| fleet.beside[&broker].asked(question).into_values().sum::<usize>();
        [1, 2, 3].map(asked)
    };
    assert_eq!(topics(Operation::DescribeTopics), [4, 3, 3], "before it is known what groups read");
    assert_eq!(topics(Operation::DescribeConfigs), [5, 4, 4], "the one that is offline concerns the lowest alone");
    fleet.pass().await;
    for (broker, one) in &fleet.beside {
        let its_own = BTreeSet::from([Some(*broker)]);
        let whom = |operation| one.asked(operation).into_keys().collect::<BTreeSet<_>>();
        assert_eq!(whom(Operation::OffsetFetch), its_own, "commits are the coordinator's");
        assert_eq!(whom(Operation::DescribeGroups), its_own);
        let listed: BTreeSet<Option<i32>> = if *broker == 1 { (1..=3).map(Some).collect() } else { its_own };
        assert_eq!(whom(Operation::ListGroups), listed, "the lowest one looks for the others' signs of life");
    }
    // A topic that no local group reads is asked for where it is led or at home.
    fleet.kafka.world().topic("unread", &[(0, 1); 6]);
    let offsets = |fleet: &Fleet| -> Vec<usize> {
        fleet.beside.values().map(|one| one.asked(Operation::ListOffsets).values().sum()).collect()
    };
    let before = offsets(&fleet);
    fleet.pass().await;
    let added: Vec<usize> = offsets(&fleet).iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(added, [2 * 6, 2 * 2, 2 * 2], "starts and ends: all of it at home, and what the others lead");
}

#[tokio::test(start_paused = true)]
async fn leaders_and_coordinators_move_and_the_next_pass_follows() {
    for fixed in [true, false] {
        let mut fleet = Fleet::new(3, fixed);
        fleet.fill();
        fleet.pass().await;
        fleet.pass().await;
        let lag = "kafka_consumergroup_lag{consumergroup=\"group-2\",topic=\"turned\",partition=\"1\"}";
        let home = "kafka_topic_current_offset_sum{topic=\"turned\"}";
        let end = "kafka_topic_partition_current_offset{topic=\"turned\",partition=\"0\"}";
        assert_eq!([lag, home, end].map(|series| fleet.owner(series)), [2, 2, 2]);
        fleet.kafka.world().topics.get_mut("turned").unwrap().partitions[0].leader = Some(BrokerId(3));
        fleet.kafka.world().groups.get_mut("group-2").unwrap().description.coordinator = BrokerId(3);
        fleet.pass().await;
        fleet.agree("after both have moved");
        assert_eq!([lag, home, end].map(|series| fleet.owner(series)), [3, 3, 3]);
        assert!(fleet.beside[&2].poller.world().groups.get("group-2").is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_list_of_a_coordinator_that_loads_takes_no_group_away() {
    let mut fleet = Fleet::new(3, true);
    fleet.fill();
    fleet.pass().await;
    fleet.kafka.world().groups.get_mut("group-2").unwrap().is_listed = false;
    let loading = Cause::Code { code: KafkaCode::COORDINATOR_LOAD_IN_PROGRESS, text: String::new() };
    fleet.kafka.world().failures.push((Operation::DescribeGroups, Some(BrokerId(2)), loading));
    let lag = "kafka_consumergroup_lag{consumergroup=\"group-2\",topic=\"turned\",partition=\"1\"}";
    fleet.pass().await;
    assert_eq!(fleet.owner(lag), 2);
    fleet.kafka.world().failures.clear();
    fleet.kafka.world().groups.get_mut("group-2").unwrap().is_listed = true;
    fleet.pass().await;
    fleet.agree("when it has loaded");
    assert_eq!(fleet.owner(lag), 2);
}

#[tokio::test(start_paused = true)]
async fn the_lowest_broker_dies_and_the_next_one_takes_over() {
    for fixed in [true, false] {
        let mut fleet = Fleet::new(3, fixed);
        fleet.fill();
        fleet.pass().await;
        {
            let mut world = fleet.kafka.world();
            world.brokers = vec![BrokerId(2), BrokerId(3)];
            for topic in world.topics.values_mut() {
                let led = topic.partitions.iter_mut().filter(|row| row.leader == Some(BrokerId(1)));
                // The metadata may still name a leader that is gone.
                led.enumerate().for_each(|(place, row)| row.leader = [Some(BrokerId(2)), Some(BrokerId(1))][place % 2]);
            }
            world.groups.get_mut("group-1").unwrap().description.coordinator = BrokerId(3);
        }
        fleet.pass().await;
        assert!(fleet.beside[&1].series().is_empty(), "its broker is not there");
        let owners = fleet.owners();
        let twice: Vec<_> = owners.iter().filter(|(_, brokers)| brokers.len() > 1).collect();
        assert!(twice.is_empty(), "{twice:#?}");
        for series in [
            "kafka_brokers",
            "kafka_broker_up{id=\"1\"}",
            "kafka_topic_partition_offline{topic=\"offline\",partition=\"0\"}",
        ] {
            assert_eq!(fleet.owner(series), 2, "{series}");
        }
        let lag = "kafka_consumergroup_lag{consumergroup=\"group-1\",topic=\"turned\",partition=\"1\"}";
        assert_eq!(fleet.owner(lag), 3);
        let whole: BTreeSet<String> = fleet.whole.series().into_keys().collect();
        let missing: Vec<_> = whole.iter().filter(|series| !owners.contains_key(*series)).collect();
        // An end that nobody can be asked for is known to who asked for it before only.
        assert!(missing.iter().all(|series| series.contains("offset")), "{missing:#?}");
    }
}

/// Numbers that are the same for the same seed: each call tells one below the bound that it is given.
fn dice(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |sides| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % sides
    }
}

/// Some brokers, leaders, ends, commits and coordinators are others than before. While it is not `whole` a leader may be
/// away or none.
fn shake(kafka: &FakeKafka, dice: &mut impl FnMut(u64) -> u64, whole: bool) {
    let mut world = kafka.world();
    if dice(4) == 0 || whole {
        world.brokers = (1..=4).filter(|_| whole || dice(3) > 0).map(BrokerId).collect();
        // Somebody has to answer.
        if world.brokers.is_empty() {
            world.brokers = vec![BrokerId(3)];
        }
    }
    let live = world.brokers.clone();
    let any = |dice: &mut dyn FnMut(u64) -> u64| live[usize::try_from(dice(live.len() as u64)).unwrap()];
    for row in world.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
        let is_led = row.leader.is_some_and(|leader| live.contains(&leader));
        if dice(5) == 0 || (whole && !is_led) {
            row.leader = Some(any(dice));
        } else if !whole && dice(12) == 0 {
            row.leader = None;
        }
        let is_led = row.leader.is_some_and(|leader| live.contains(&leader));
        if is_led && dice(3) == 0 {
            row.offsets = row.offsets.map(|(start, end)| (start + dice(2).cast_signed(), end + 2));
        }
    }
    for group in world.groups.values_mut() {
        if dice(6) == 0 || !live.contains(&group.description.coordinator) {
            group.description.coordinator = any(dice);
        }
        for commit in group.commits.values_mut() {
            if dice(6) == 0 {
                *commit = commit.map(|offset| offset + 1);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_happens_at_random_is_shown_once_a_pass_later() {
    for seed in 0..12_u64 {
        let mut fleet = Fleet::told(4, |scope_rule| {
            let mut settings = settings(scope_rule, seed % 2 == 0);
            settings.topics.sample_partitions = if seed % 3 == 0 { std::num::NonZeroUsize::new(3) } else { None };
            if seed % 4 > 1 {
                settings.groups.read_committed = NamePredicate::new(|group| group.ends_with('2'));
            }
            settings
        });
        fleet.fill();
        fleet.pass().await;
        let mut dice = dice(seed);
        for step in 0..40 {
            shake(&fleet.kafka, &mut dice, false);
            fleet.pass().await;
            let twice: Vec<_> = fleet.owners().into_iter().filter(|(_, brokers)| brokers.len() > 1).collect();
            assert!(twice.is_empty(), "seed {seed}, step {step}: {twice:#?}");
            if dice(6) == 0 {
                shake(&fleet.kafka, &mut dice, true);
                // What moved while it was thought to stand still is shown a pass later.
                for _ in 0..5 {
                    fleet.pass().await;
                }
                fleet.agree(&format!("seed {seed}, step {step}"));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn between_main_ticks_and_with_exporters_that_are_late_it_comes_to_the_same() {
    for seed in 0..6_u64 {
        let mut fleet = Fleet::new(4, false);
        fleet.fill();
        let mut dice = dice(seed + 100);
        for round in 0..8 {
            for _ in 0..12 {
                if dice(3) == 0 {
                    shake(&fleet.kafka, &mut dice, false);
                }
                fleet.step(|_| dice(3) == 0).await;
            }
            shake(&fleet.kafka, &mut dice, true);
            // All make their main pass, and one more each for what moved while it was thought to stand still.
            for _ in 0..5 * INTERVAL_MS / STEP_MS {
                fleet.step(|_| false).await;
            }
            fleet.agree(&format!("seed {seed}, round {round}"));
        }
    }
}

/// Lays down who leads a topic's partitions, and where they end.
fn lead(fleet: &Fleet, topic: &str, rows: &[(Option<i32>, i64)]) {
    let mut world = fleet.kafka.world();
    let partitions = world.topics.get_mut(topic).unwrap().partitions.iter_mut();
    for (row, (leader, end)) in partitions.zip(rows) {
        (row.leader, row.offsets) = (leader.map(BrokerId), Ok((0, *end)));
    }
}

#[tokio::test(start_paused = true)]
async fn of_what_is_another_exporters_no_former_offset_is_shown() {
    for fixed in [true, false] {
        let mut fleet = Fleet::new(3, fixed);
        fleet.fill();
        fleet.kafka.world().topic("moving", &[(0, 10), (0, 10)]);
        lead(&fleet, "moving", &[(Some(1), 10), (Some(1), 10)]);
        fleet.pass().await;
        lead(&fleet, "moving", &[(Some(2), 1000), (Some(2), 1000)]);
        fleet.pass().await;
        assert!(fleet.beside[&1].topic("moving").ends.iter().all(|end| end.known().is_none()));
        // Its leader dies: it is the lowest broker's part, beside which only its end of long ago was ever read.
        lead(&fleet, "moving", &[(None, 1000), (Some(2), 1000)]);
        fleet.pass().await;
        let offline = "kafka_topic_partition_offline{topic=\"moving\",partition=\"0\"}";
        assert_eq!(fleet.owner(offline), 1);
        let end = "kafka_topic_partition_current_offset{topic=\"moving\",partition=\"0\"}";
        assert_eq!(fleet.beside[&1].series().get(end), None, "it was 10 and is 1000");
        let sum = "kafka_topic_current_offset_sum{topic=\"moving\"}";
        assert_eq!(fleet.beside[&2].series().get(sum).map(String::as_str), Some("2000"), "who read it last knows it");
        // While it stands still, what is known of it stays known, whose ever part it becomes.
        lead(&fleet, "moving", &[(None, 1000), (Some(3), 1000)]);
        fleet.pass().await;
        let known = fleet.beside[&2].topic("moving").ends.clone().into_iter().map(|end| end.known().is_some());
        assert_eq!(known.collect::<Vec<_>>(), [true, false]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_not_made_of_what_was_appended_while_the_topic_was_anothers() {
    for fixed in [true, false] {
        let mut fleet = Fleet::new(3, fixed);
        fleet.fill();
        fleet.kafka.world().topic("steady", &[(0, 0); 3]);
        // At home beside 2, then for ten minutes beside 3, while 2 goes on to lead one of its partitions.
        for pass in 0..60 {
            let first = if (10..50).contains(&pass) { 3 } else { 2 };
            let end = 150 * (pass + 1);
            lead(&fleet, "steady", &[(Some(first), end), (Some(2), end), (Some(3), end)]);
            fleet.pass().await;
            let home = &fleet.beside[&first];
            let rate = home.produce_rates.get("steady").copied();
            let is_new = [0, 10, 50].contains(&pass);
            assert_eq!(rate.is_none(), is_new, "pass {pass}: {rate:?}");
            assert!(rate.is_none_or(|rate| (rate - 30.0).abs() < 1e-6), "30 a second, not {rate:?}, in pass {pass}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_was_created_anew_while_it_was_anothers_is_another() {
    let mut fleet = Fleet::new(3, false);
    fleet.fill();
    fleet.kafka.world().topic("reborn", &[(0, 10)]);
    lead(&fleet, "reborn", &[(Some(2), 10)]);
    fleet.pass().await;
    let former = fleet.beside[&2].topic("reborn").history;
    lead(&fleet, "reborn", &[(Some(3), 10)]);
    fleet.pass().await;
    fleet.kafka.world().topics.get_mut("reborn").unwrap().id = 99;
    lead(&fleet, "reborn", &[(Some(3), 50)]);
    fleet.pass().await;
    lead(&fleet, "reborn", &[(Some(2), 70)]);
    fleet.pass().await;
    assert_ne!(fleet.beside[&2].topic("reborn").history, former);
    fleet.agree("when it is back");
}

/// Tells what the test lays down.
#[derive(Debug)]
struct Told(std::sync::Mutex<Located>);

impl Locate for Told {
    fn locate(&self, _: &[Broker]) -> Located {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn until_it_is_known_beside_which_broker_nothing_is_exported() {
    let mut fleet = Fleet::new(3, true);
    fleet.fill();
    let told = Arc::new(Told(std::sync::Mutex::new(Located::Nowhere("set local_broker".into()))));
    let mut one = One::new(&fleet.kafka, &fleet.clock, settings(ScopeRule::Local(told.clone()), true));
    fleet.pass().await;
    let report = one.pass(&fleet.kafka, &fleet.clock).await;
    assert_eq!(one.series(), BTreeMap::new());
    assert_eq!(report.outcome(CollectorName::Brokers).map(|(success, _)| success), Some(false));
    assert!(matches!(&one.poller.world().scope, Scope::Unplaced(Some(reason)) if reason.contains("set local_broker")));
    let questions = [Operation::ListGroups, Operation::OffsetFetch, Operation::ListOffsets, Operation::DescribeTopics];
    assert!(questions.iter().all(|question| one.asked(*question).is_empty()), "{:?}", one.calls);

    *told.0.lock().unwrap() = Located::Beside(BrokerId(2));
    fleet.pass().await;
    one.pass(&fleet.kafka, &fleet.clock).await;
    assert_eq!(one.series(), fleet.beside[&2].series());
    assert!(!one.series().is_empty());

    *told.0.lock().unwrap() = Located::Beside(BrokerId(3));
    fleet.pass().await;
    one.pass(&fleet.kafka, &fleet.clock).await;
    assert_eq!(one.series(), fleet.beside[&3].series(), "of the former part nothing is left");
}
