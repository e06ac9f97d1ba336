//! What befalls a cluster, played on the simulated one: the exporter's promises hold in every scrape meanwhile, and
//! afterwards all is as before.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafkascope::sim::flow::Flow;
use kafkascope::sim::spec::TopicSpec;
use kafkascope::sim::{Api, Fault, Loading, Outage, World};

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::promises::{Watcher, coherent};
use crate::simulated::{BUSY, MOVING, PARKED, PARTITIONS, STILL, STOPPED, Simulated};
use crate::wait::eventually;

/// The exporter is told that nothing older may be served.
const MAX_AGE: Duration = Duration::from_secs(5);
/// A value may be shown older by this: what is too old is looked for once a second, and machines are busy.
const AGE_SLACK: Duration = Duration::from_secs(4);
/// For what takes some passes.
const SOON: Duration = Duration::from_secs(45);

/// What is known to be true at one moment.
struct Reading {
    at: Instant,
    ends: Vec<f64>,
    busy: Vec<[f64; PARTITIONS]>,
}

#[expect(clippy::cast_precision_loss, reason = "offsets in tests are small")]
fn number(offset: Option<i64>) -> f64 {
    offset.map_or(f64::NAN, |offset| offset as f64)
}

impl Reading {
    fn of(world: &World) -> Self {
        let busy = |group: &&str| std::array::from_fn(|partition| number(world.committed(group, MOVING, partition)));
        Self {
            at: Instant::now(),
            ends: (0..PARTITIONS).map(|partition| number(world.end_offset(MOVING, partition))).collect(),
            busy: BUSY.iter().map(busy).collect(),
        }
    }
}

/// The truth so far: every number shown must lie between what was true when it was as old as it may be, and now.
struct Bounds {
    simulated: Arc<Simulated>,
    past: VecDeque<Reading>,
}

impl Bounds {
    fn new(simulated: &Arc<Simulated>) -> Self {
        let past = VecDeque::from([Reading::of(&simulated.world())]);
        Self { simulated: Arc::clone(simulated), past }
    }

    fn check(&mut self, scrape: &Exposition) -> Result<(), String> {
        let now = Reading::of(&self.simulated.world());
        while self.past.get(1).is_some_and(|next| now.at - next.at > MAX_AGE + AGE_SLACK) {
            self.past.pop_front();
        }
        let old = &self.past[0];
        for partition in 0..PARTITIONS {
            let (first, last) = (old.ends[partition], now.ends[partition]);
            within(scrape, "kafka_topic_partition_current_offset", None, partition, (first, last))?;
            let parked = number(self.simulated.world().committed(STOPPED, MOVING, partition));
            within(scrape, "kafka_consumergroup_current_offset", Some(STOPPED), partition, (parked, parked))?;
            within(scrape, "kafka_consumergroup_lag", Some(STOPPED), partition, (first - parked, last - parked))?;
            for (place, group) in BUSY.iter().enumerate() {
                let (early, late) = (old.busy[place][partition], now.busy[place][partition]);
                within(scrape, "kafka_consumergroup_current_offset", Some(group), partition, (early, late))?;
                within(scrape, "kafka_consumergroup_lag", Some(group), partition, (first - late, last - early))?;
            }
        }
        self.past.push_back(now);
        still(scrape, &self.simulated)
    }
}

fn within(
    scrape: &Exposition,
    name: &str,
    group: Option<&str>,
    partition: usize,
    (least, most): (f64, f64),
) -> Result<(), String> {
    let partition = partition.to_string();
    let mut labels = vec![("topic", MOVING), ("partition", partition.as_str())];
    labels.extend(group.map(|group| ("consumergroup", group)));
    match scrape.get(name, &labels) {
        Some(value) if !(least..=most).contains(&value) => {
            Err(format!("{name}{labels:?} is {value}, which is not between {least} and {most}"))
        }
        _ => Ok(()),
    }
}

/// What does not move is exact whenever it is shown, and its groups never vanish.
fn still(scrape: &Exposition, simulated: &Simulated) -> Result<(), String> {
    let world = simulated.world();
    let same = |name: &str, labels: &[(&str, &str)], truth: Option<i64>| match scrape.get(name, labels) {
        Some(value) if value != number(truth) => Err(format!("{name}{labels:?} is {value}, not {truth:?}")),
        _ => Ok(()),
    };
    for partition in 0..PARTITIONS {
        let label = partition.to_string();
        let labels = [("topic", STILL), ("partition", label.as_str())];
        same("kafka_topic_partition_current_offset", &labels, world.end_offset(STILL, partition))?;
        same("kafka_topic_partition_oldest_offset", &labels, world.log_start_offset(STILL, partition))?;
        for group in PARKED {
            let labels = [("consumergroup", group), labels[0], labels[1]];
            same("kafka_consumergroup_current_offset", &labels, world.committed(group, STILL, partition))?;
            same("kafka_consumergroup_lag", &labels, world.lag(group, STILL, partition))?;
        }
    }
    for (group, topic) in committed() {
        if scrape.get("kafka_consumergroup_unknown_partitions", &[("consumergroup", group), ("topic", topic)]).is_none()
        {
            return Err(format!("group {group} has vanished"));
        }
    }
    Ok(())
}

/// Every group with the topic that it has committed on.
fn committed() -> impl Iterator<Item = (&'static str, &'static str)> {
    let moving = [STOPPED, BUSY[0], BUSY[1]].into_iter().map(|group| (group, MOVING));
    moving.chain(PARKED.into_iter().map(|group| (group, STILL)))
}

/// Everything is known, answers, and is where the cluster says that it is.
fn healthy(scrape: &Exposition, simulated: &Simulated) -> Result<(), String> {
    let expect = |name: &str, labels: &[(&str, &str)], wanted: f64| match scrape.get(name, labels) {
        Some(value) if value == wanted => Ok(()),
        other => Err(format!("{name}{labels:?} is {other:?}, not {wanted}")),
    };
    expect("kafka_up", &[], 1.0)?;
    expect("kafka_brokers", &[], 3.0)?;
    for broker in ["1", "2", "3"] {
        expect("kafka_broker_up", &[("id", broker)], 1.0)?;
    }
    for collector in ["brokers", "topics", "offsets", "groups", "commits"] {
        expect("kafkascope_collector_success", &[("collector", collector)], 1.0)?;
    }
    let world = simulated.world();
    for topic in [MOVING, STILL] {
        expect("kafka_topic_unknown_partitions", &[("topic", topic)], 0.0)?;
        for partition in 0..PARTITIONS {
            let label = partition.to_string();
            let labels = [("topic", topic), ("partition", label.as_str())];
            expect("kafka_topic_partition_leader", &labels, number(world.leader(topic, partition).map(i64::from)))?;
            scrape.get("kafka_topic_partition_current_offset", &labels).ok_or("an end is missing")?;
        }
    }
    for (group, topic) in committed() {
        let labels = [("consumergroup", group), ("topic", topic)];
        expect("kafka_consumergroup_unknown_partitions", &labels, 0.0)?;
        scrape.get("kafka_consumergroup_lag_sum", &labels).ok_or(format!("{group} has no lag_sum"))?;
        let coordinator = world.coordinator(group).map(|broker| broker.to_string()).unwrap_or_default();
        expect("kafka_consumergroup_info", &[("consumergroup", group), ("coordinator", &coordinator)], 1.0)?;
        let state = world.group(group).map_or("", |group| group.state().name());
        expect("kafka_consumergroup_state", &[("consumergroup", group), ("state", state)], 1.0)?;
    }
    // Asking twice at once would wait for the clock, which waits for the first to be done.
    drop(world);
    still(scrape, simulated)
}

/// A cluster, an exporter on it, and a watcher.
struct Stage {
    simulated: Arc<Simulated>,
    exporter: Exporter,
    watcher: Option<Watcher>,
}

fn start_exporter(simulated: &Simulated) -> Exporter {
    let age = format!("{}s", MAX_AGE.as_secs());
    let exporter = Exporter::start(
        &simulated.bootstrap(),
        &["--interval", "1s", "--request-timeout", "1s", "--max-age", &age, "--kafka", "reconnect.backoff.max.ms=500"],
    );
    exporter.ready();
    exporter
}

impl Stage {
    fn start() -> Self {
        let simulated = Arc::new(Simulated::cast());
        let mut bounds = Bounds::new(&simulated);
        let exporter = start_exporter(&simulated);
        let mut stage = Self { simulated, exporter, watcher: None };
        stage.recovers("the start");
        stage.watcher = Some(Watcher::start(stage.exporter.address(), move |scrape| bounds.check(scrape)));
        stage
    }

    #[track_caller]
    fn until<T>(&mut self, what: &str, mut probe: impl FnMut(&Exposition) -> Result<T, String>) -> T {
        eventually(what, SOON, || {
            if let Some(watcher) = &mut self.watcher {
                watcher.content();
            }
            probe(&self.exporter.scrape())
        })
    }

    #[track_caller]
    fn recovers(&mut self, from: &str) {
        let simulated = Arc::clone(&self.simulated);
        self.until(&format!("healthy after {from}"), |scrape| healthy(scrape, &simulated));
    }

    /// Waits until that many more passes are over.
    #[track_caller]
    fn passes(&mut self, count: u32) {
        let passes = |scrape: &Exposition| scrape.value("kafkascope_pass_duration_seconds_count", &[]);
        let goal = passes(&self.exporter.scrape()) + f64::from(count);
        self.until("passes go on", |scrape| (passes(scrape) >= goal).then_some(()).ok_or("not yet".to_owned()));
    }

    #[track_caller]
    fn broker_up(&mut self, expected: [f64; 3]) {
        self.until(&format!("kafka_broker_up is {expected:?}"), |scrape| {
            let shown = ["1", "2", "3"].map(|id| scrape.value("kafka_broker_up", &[("id", id)]));
            if shown == expected { Ok(()) } else { Err(format!("{shown:?}")) }
        });
    }

    /// What the healthy brokers lead goes on moving, seen three times, and snapshots go on.
    #[track_caller]
    fn others_are_fresh(&mut self, lost: i32) {
        let alive: Vec<usize> =
            [1, 2, 3].into_iter().filter(|id| *id != lost).flat_map(|id| self.simulated.led_by(id, MOVING)).collect();
        assert!(!alive.is_empty());
        let values = move |scrape: &Exposition| -> Vec<f64> {
            let mut values = vec![scrape.value("kafkascope_snapshot_timestamp_seconds", &[])];
            for partition in &alive {
                let labels = [("topic", MOVING), ("partition", &partition.to_string())];
                values.push(scrape.value("kafka_topic_partition_current_offset", &labels));
            }
            values
        };
        for _ in 0..3 {
            let before = values(&self.exporter.scrape());
            self.until("the others move", |scrape| {
                let after = values(scrape);
                let moved = before.iter().zip(&after).all(|(before, after)| after > before);
                moved.then_some(()).ok_or_else(|| format!("{before:?} then {after:?}"))
            });
        }
    }

    /// What only the lost broker could tell goes, is counted as unknown, and takes its sums with it.
    #[track_caller]
    fn lost_ones_go(&mut self, lost: i32) {
        let simulated = Arc::clone(&self.simulated);
        let led = simulated.led_by(lost, STILL);
        let (gone, kept): (Vec<&str>, Vec<&str>) =
            PARKED.into_iter().partition(|group| simulated.world().coordinator(group) == Some(lost));
        assert!(!led.is_empty() && !gone.is_empty() && !kept.is_empty());
        self.until("what the lost broker told is gone", |scrape| {
            let count = |value: usize| number(i64::try_from(value).ok());
            let check = |is_so: bool, what: &str| is_so.then_some(()).ok_or_else(|| what.to_owned());
            let unknown = scrape.value("kafka_topic_unknown_partitions", &[("topic", STILL)]);
            check(unknown == count(led.len()), "unknown partitions of the topic")?;
            check(scrape.get("kafka_topic_current_offset_sum", &[("topic", STILL)]).is_none(), "the topic's sum")?;
            for group in &gone {
                let labels = [("consumergroup", *group)];
                let unknown = scrape.value("kafka_consumergroup_unknown_partitions", &labels);
                check(unknown == count(PARTITIONS), "unknown partitions of a lost group")?;
                for name in ["current_offset", "current_offset_sum", "lag", "lag_sum", "max_lag", "members", "state"] {
                    let name = format!("kafka_consumergroup_{name}");
                    check(scrape.all(&name, &labels).is_empty(), &name)?;
                }
            }
            for group in &kept {
                let labels = [("consumergroup", *group)];
                let unknown = scrape.value("kafka_consumergroup_unknown_partitions", &labels);
                check(unknown == count(led.len()), "unknown partitions of a group that stays")?;
                let most = (0..PARTITIONS).filter(|partition| !led.contains(partition));
                let most = most.map(|partition| number(simulated.world().lag(group, STILL, partition)));
                let shown = scrape.value("kafka_consumergroup_max_lag", &labels);
                check(Some(shown) == most.reduce(f64::max), "the maximum of the known parts")?;
                let whole = scrape.get("kafka_consumergroup_current_offset_sum", &labels);
                check(whole.is_some(), "the sum of commits, which are all known")?;
            }
            Ok(())
        });
    }

    fn finish(mut self) {
        self.recovers("everything");
        self.watcher.take().expect("a watcher").finish(50);
        assert!(self.exporter.terminate().success());
    }
}

#[test]
fn a_lost_broker_costs_only_its_own_numbers() {
    let mut stage = Stage::start();
    stage.simulated.end(3, Outage::UNNOTICED);
    stage.broker_up([1.0, 1.0, 0.0]);
    stage.others_are_fresh(3);
    stage.lost_ones_go(3);
    late_arrival(&stage.simulated);

    stage.simulated.end(3, Outage::NOTICED);
    stage.until("the others have taken over", |scrape| {
        let unknown = |name: &str| scrape.all(name, &[]).iter().map(|sample| sample.value).sum::<f64>();
        let topics = unknown("kafka_topic_unknown_partitions");
        let groups = unknown("kafka_consumergroup_unknown_partitions");
        let lost = scrape.all("kafka_consumergroup_info", &[("coordinator", "3")]).len();
        let done = (topics, groups, lost) == (0.0, 0.0, 0);
        done.then_some(()).ok_or_else(|| format!("unknown {topics}, {groups}; still at broker 3: {lost}"))
    });
    // Replica lists still name it.
    stage.broker_up([1.0, 1.0, 0.0]);
    assert_eq!(stage.exporter.scrape().get("kafka_brokers", &[]), Some(2.0));

    stage.simulated.back(3);
    stage.simulated.edit(World::elect_preferred_leaders);
    stage.simulated.spread_groups();
    stage.recovers("a kill");

    stage.simulated.freeze(2).unwrap();
    stage.broker_up([1.0, 0.0, 1.0]);
    stage.others_are_fresh(2);
    stage.lost_ones_go(2);
    stage.simulated.thaw(2).unwrap();
    stage.recovers("a freeze");
    stage.finish();
}

/// An exporter that is started while broker 3 is down has never heard of what that one knows.
fn late_arrival(simulated: &Simulated) {
    let exporter = start_exporter(simulated);
    let led = number(i64::try_from(simulated.led_by(3, STILL).len()).ok());
    exporter.scrape_until("a late exporter knows the others", SOON, |scrape| {
        coherent(scrape)?;
        still_is_exact_where_shown(scrape, simulated)?;
        let ups = ["1", "2", "3"].map(|id| scrape.get("kafka_broker_up", &[("id", id)]));
        let unknown = scrape.get("kafka_topic_unknown_partitions", &[("topic", STILL)]);
        let here = PARKED.into_iter().filter(|group| simulated.world().coordinator(group) != Some(3));
        let groups: Vec<_> = here
            .map(|group| scrape.get("kafka_consumergroup_unknown_partitions", &[("consumergroup", group)]))
            .collect();
        let known = ups == [Some(1.0), Some(1.0), Some(0.0)]
            && unknown == Some(led)
            && groups.iter().all(|unknown| *unknown == Some(led));
        known.then_some(()).ok_or_else(|| format!("{ups:?} {unknown:?} {groups:?}"))
    });
    assert!(exporter.terminate().success());
}

fn still_is_exact_where_shown(scrape: &Exposition, simulated: &Simulated) -> Result<(), String> {
    for sample in scrape.all("kafka_topic_partition_current_offset", &[("topic", STILL)]) {
        let partition: usize = sample.label("partition").parse().expect("a number");
        let truth = number(simulated.world().end_offset(STILL, partition));
        if sample.value != truth {
            return Err(format!("{STILL}-{partition} ends at {truth}, not {}", sample.value));
        }
    }
    Ok(())
}

#[test]
fn a_partition_without_a_leader_keeps_its_offsets() {
    let mut stage = Stage::start();
    stage.simulated.edit(|world| world.set_flow(MOVING, Flow::IDLE).unwrap());
    stage.passes(2);
    let partition = stage.simulated.led_by(2, STILL)[0];
    let label = partition.to_string();
    let labels = [("topic", STILL), ("partition", label.as_str())];
    stage.simulated.edit(|world| world.set_leaderless(STILL, partition, true).unwrap());
    stage.until("the partition is offline", |scrape| {
        let offline = scrape.value("kafka_topic_partition_offline", &labels);
        (offline == 1.0).then_some(()).ok_or_else(|| "not yet".to_owned())
    });
    // Well past the age at which anything else would go.
    stage.passes(10);
    let scrape = stage.exporter.scrape();
    assert_eq!(scrape.value("kafka_topic_unknown_partitions", &[("topic", STILL)]), 0.0);
    for group in PARKED {
        assert_eq!(scrape.value("kafka_consumergroup_unknown_partitions", &[("consumergroup", group)]), 0.0);
        // A commit on it moves the lag, for the end stands.
        stage.simulated.edit(|world| world.set_commit(group, STILL, partition, Some(60)).unwrap());
    }
    let lag = number(stage.simulated.world().lag(PARKED[0], STILL, partition));
    drop(stage.watcher.take());
    stage.until("the lag follows the commit", |scrape| {
        let group = [("consumergroup", PARKED[0]), labels[0], labels[1]];
        let shown = scrape.value("kafka_consumergroup_lag", &group);
        (shown == lag).then_some(()).ok_or_else(|| format!("{shown}, not {lag}"))
    });
    stage.simulated.edit(|world| world.set_leaderless(STILL, partition, false).unwrap());
    stage.recovers("an offline partition");
}

#[test]
fn a_silent_cluster_is_told_and_its_values_go() {
    let mut stage = Stage::start();
    for broker in [1, 2, 3] {
        stage.simulated.set_latency(broker, Duration::from_millis(300)).unwrap();
    }
    stage.passes(3);
    stage.recovers("slow answers");
    for broker in [1, 2, 3] {
        stage.simulated.freeze(broker).unwrap();
    }
    stage.until("nothing is known any more", |scrape| {
        let left: usize = [
            "kafka_topic_partition_current_offset",
            "kafka_consumergroup_lag",
            "kafka_consumergroup_lag_sum",
            "kafka_consumergroup_members",
            "kafka_brokers",
        ]
        .iter()
        .map(|name| scrape.all(name, &[]).len())
        .sum();
        let up = scrape.value("kafka_up", &[]);
        let unknown = scrape.value("kafka_topic_unknown_partitions", &[("topic", STILL)]);
        let silent = (up, left, unknown) == (0.0, 0, number(i64::try_from(PARTITIONS).ok()));
        silent.then_some(()).ok_or_else(|| format!("kafka_up {up}, {left} values left, {unknown} unknown"))
    });
    stage.broker_up([0.0, 0.0, 0.0]);
    assert_eq!(stage.exporter.get("/-/healthy").status, 200);
    for broker in [1, 2, 3] {
        stage.simulated.thaw(broker).unwrap();
        stage.simulated.set_latency(broker, Duration::ZERO).unwrap();
    }
    stage.finish();
}

/// Error codes of Kafka's protocol that come and go.
const TRANSIENT: [i16; 6] = [-1, 6, 7, 14, 15, 16];
/// How many requests of each API at each broker meet a fault.
const TIMES: u32 = 4;

#[test]
fn storms_of_faults_leave_nothing_false_behind() {
    let mut stage = Stage::start();
    let asked = [
        Api::Metadata,
        Api::ListOffsets,
        Api::ListGroups,
        Api::DescribeGroups,
        Api::ConsumerGroupDescribe,
        Api::OffsetFetch,
        Api::FindCoordinator,
    ];
    let answers = TRANSIENT.map(Fault::Error);
    for fault in answers.into_iter().chain([Fault::HalfAnswer, Fault::Hangup, Fault::Silence]) {
        for api in asked {
            for broker in [1, 2, 3] {
                stage.simulated.inject(broker, api, fault, TIMES).unwrap();
            }
        }
        stage.passes(2);
        for broker in [1, 2, 3] {
            stage.simulated.clear_faults(broker).unwrap();
        }
        stage.recovers(&format!("{fault:?}"));
    }
    stage.finish();
}

#[test]
fn groups_outlive_their_coordinators_moves() {
    let mut stage = Stage::start();
    for step in 0..40_usize {
        let (group, broker) = (PARKED[step % PARKED.len()], [2, 3, 1][step / 3 % 3]);
        stage.simulated.edit(|world| {
            world.move_coordinator(group, broker).unwrap();
            world.move_coordinator(BUSY[step % 2], broker).unwrap();
            world.set_leader(STILL, step % PARTITIONS, broker).unwrap();
        });
        std::thread::sleep(Duration::from_millis(100));
    }
    stage.recovers("moves");

    for loading in [Loading::Refuses, Loading::ListsShort] {
        for broker in [1, 2, 3] {
            stage.simulated.edit(|world| world.set_loading(broker, loading).unwrap());
        }
        stage.passes(4);
        for broker in [1, 2, 3] {
            stage.simulated.edit(|world| world.set_loading(broker, Loading::Done).unwrap());
        }
        stage.recovers(&format!("{loading:?}"));
    }

    for group in PARKED {
        for broker in [1, 2, 3] {
            stage.simulated.edit(|world| world.set_also_listed(group, broker, true).unwrap());
        }
    }
    stage.passes(2);
    stage.recovers("groups that every broker lists");
    stage.simulated.spread_groups();
    stage.recovers("moves of groups that every broker lists");
    for group in PARKED {
        for broker in [1, 2, 3] {
            stage.simulated.edit(|world| world.set_also_listed(group, broker, false).unwrap());
        }
    }
    stage.recovers("lists that are right again");
    stage.finish();
}

#[test]
fn topics_and_groups_come_back_as_others() {
    const REBORN: &str = "reborn";
    let mut stage = Stage::start();
    let make = |world: &mut World, partitions: usize, end: i64| {
        world.create_topic(&TopicSpec::empty(REBORN, partitions)).unwrap();
        for partition in 0..partitions {
            world.set_end_offset(REBORN, partition, end).unwrap();
        }
    };
    let commit = |world: &mut World, partitions: usize, offset: i64| {
        (0..partitions).for_each(|partition| world.set_commit(STOPPED, REBORN, partition, Some(offset)).unwrap());
    };
    let shows = |stage: &mut Stage, what: &str, partitions: usize, lag: i64| {
        stage.until(what, |scrape| {
            let lags: Vec<f64> = scrape
                .all("kafka_consumergroup_lag", &[("consumergroup", STOPPED), ("topic", REBORN)])
                .iter()
                .map(|sample| sample.value)
                .collect();
            let wanted = vec![number(Some(lag)); partitions];
            if lags == wanted { Ok(()) } else { Err(format!("{lags:?}, not {wanted:?}")) }
        });
    };
    stage.simulated.edit(|world| {
        make(world, 4, 1_000);
        commit(world, 4, 900);
    });
    shows(&mut stage, "the first life", 4, 100);
    // As many partitions, filled past the old end between two passes, and a commit as it was before.
    stage.simulated.edit(|world| {
        world.delete_topic(REBORN).unwrap();
        make(world, 4, 5_000);
        commit(world, 4, 900);
    });
    shows(&mut stage, "the second life", 4, 4_100);
    // Fewer partitions; one commit is on a partition that is no more.
    stage.simulated.edit(|world| {
        world.delete_topic(REBORN).unwrap();
        make(world, 2, 10);
        commit(world, 4, 20);
    });
    shows(&mut stage, "the third life", 2, 0);
    stage.simulated.edit(|world| world.delete_topic(REBORN).unwrap());
    stage.until("the topic is gone", |scrape| {
        let left = scrape.samples.iter().filter(|sample| sample.label("topic") == REBORN).count();
        if left == 0 { Ok(()) } else { Err(format!("{left} series")) }
    });

    let spec = kafkascope::sim::spec::GroupSpec::new("short-lived", 1, &[MOVING]);
    stage.simulated.edit(|world| world.create_group(&spec).unwrap());
    let there =
        |scrape: &Exposition| !scrape.all("kafka_consumergroup_lag", &[("consumergroup", "short-lived")]).is_empty();
    stage.until("a new group", |scrape| there(scrape).then_some(()).ok_or_else(|| "not there".to_owned()));
    stage.simulated.edit(|world| world.delete_group("short-lived").unwrap());
    stage.until("the group is gone", |scrape| {
        let left = scrape.samples.iter().filter(|sample| sample.label("consumergroup") == "short-lived").count();
        if left == 0 { Ok(()) } else { Err(format!("{left} series")) }
    });
    stage.finish();
}
