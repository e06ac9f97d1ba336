//! A minute of everything at once, played from a seed on the simulated cluster: whatever befalls it, each scrape is true or
//! silent, what one healthy broker tells stays, and afterwards all is well.
//!
//! A failure prints the seed; `STORM_SEED=… tests/run -- storm` plays it again (thread timing apart).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kafkascope::sim::spec::{GroupSpec, TopicSpec};
use kafkascope::sim::{Api, Fault, Loading, Outage, World};

use crate::exporter::Exporter;
use crate::exposition::{Exposition, Sample};
use crate::promises::Watcher;
use crate::simulated::{BUSY, MOVING, PARKED, PARTITIONS, STILL, STOPPED, Simulated};
use crate::wait::{eventually, within};

/// The exporter is told that nothing older may be served.
const MAX_AGE: Duration = Duration::from_secs(8);
/// A value may be shown older by this: what is too old is looked for once a second, answers take their time, and
/// machines are busy.
const AGE_SLACK: Duration = Duration::from_secs(6);
/// How long the storm lasts.
const STORM: Duration = Duration::from_secs(60);
/// For all to be well again.
const RECOVERY: Duration = Duration::from_secs(60);
/// Memory may grow by so much, and to twice what it was: allocators keep some of what they had.
const MEMORY_SLACK: u64 = 48 << 20;

/// The broker that nothing happens to.
const WELL: i32 = 1;
/// Those that it happens to.
const SICK: [i32; 2] = [2, 3];
/// A topic that is made, deleted and made again.
const REBORN: &str = "reborn";
/// A group that comes and goes.
const PASSING: &str = "passing";

const APIS: [Api; 7] = [
    Api::Metadata,
    Api::ListOffsets,
    Api::ListGroups,
    Api::DescribeGroups,
    Api::ConsumerGroupDescribe,
    Api::OffsetFetch,
    Api::FindCoordinator,
];

/// Chance from a seed (xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn place(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.place(from.len())]
    }
}

/// A topic and a partition.
type Place = (String, usize);

/// What is true at one moment.
struct Reading {
    at: Instant,
    /// Log start, end, and whether there is a leader.
    logs: BTreeMap<Place, (i64, i64, bool)>,
    commits: BTreeMap<(String, Place), i64>,
}

impl Reading {
    fn of(world: &World) -> Self {
        let (mut logs, mut commits) = (BTreeMap::new(), BTreeMap::new());
        for (name, topic) in world.topics() {
            for partition in 0..topic.partitions() {
                let start = world.log_start_offset(name, partition).unwrap();
                let end = world.end_offset(name, partition).unwrap();
                let has_leader = world.leader(name, partition).is_some();
                logs.insert((name.to_owned(), partition), (start, end, has_leader));
            }
        }
        for (name, group) in world.groups() {
            for (topic, partition, offset) in group.commits() {
                commits.insert((name.to_owned(), (topic.to_owned(), partition)), offset);
            }
        }
        Self { at: Instant::now(), logs, commits }
    }
}

/// What was true, all along.
#[derive(Default)]
struct Truth(Mutex<Vec<Reading>>);

/// The least and the most that something was.
type Bounds = Option<(i64, i64)>;

fn bounds(values: impl Iterator<Item = i64> + Clone) -> Bounds {
    Some((values.clone().min()?, values.max()?))
}

impl Truth {
    fn readings(&self) -> MutexGuard<'_, Vec<Reading>> {
        self.0.lock().unwrap()
    }

    fn note(&self, simulated: &Simulated) {
        let reading = Reading::of(&simulated.world());
        self.readings().push(reading);
    }

    /// Edits the facts; what was true just before and just after is noted.
    fn edit(&self, simulated: &Simulated, edit: impl FnOnce(&mut World)) {
        let (before, after) = simulated.edit(|world| {
            let before = Reading::of(world);
            edit(world);
            (before, Reading::of(world))
        });
        self.readings().extend([before, after]);
    }
}

/// The readings that a value shown now may come from: the last one before the time that it may be old, and all later.
fn lately(readings: &[Reading], place: Option<&Place>) -> usize {
    let now = readings.last().unwrap().at;
    let before = |at: Instant| {
        let old = at.checked_sub(MAX_AGE + AGE_SLACK).unwrap_or(at);
        readings.partition_point(|reading| reading.at < old).saturating_sub(1)
    };
    let mut first = before(now);
    let Some(place) = place else { return first };
    // The offsets of a partition without a leader stand for as long as it has none, and until metadata has told that it
    // has one again.
    loop {
        let reach = before(readings[first].at);
        let mut since_then = (reach..readings.len()).filter(|index| is_headless(&readings[*index], place));
        let Some(headless) = since_then.next() else { break };
        let last_with = readings[..headless].iter().rposition(|reading| !is_headless(reading, place)).unwrap_or(0);
        let earlier = before(readings[last_with].at);
        if earlier >= first {
            break;
        }
        first = earlier;
    }
    first
}

fn is_headless(reading: &Reading, place: &Place) -> bool {
    reading.logs.get(place).is_some_and(|(_, _, has_leader)| !has_leader)
}

fn place(sample: &Sample) -> Place {
    (sample.label("topic").to_owned(), sample.label("partition").parse().unwrap())
}

#[expect(clippy::cast_precision_loss, reason = "offsets in tests are small")]
fn check_within(sample: &Sample, bounds: Bounds) -> Result<(), String> {
    let within = bounds.is_some_and(|(least, most)| (least as f64..=most as f64).contains(&sample.value));
    if within { Ok(()) } else { Err(format!("{sample:?} is not within {bounds:?}")) }
}

/// Everything that is shown was true lately.
fn is_true(scrape: &Exposition, readings: &[Reading]) -> Result<(), String> {
    for sample in scrape.all("kafka_topic_partition_current_offset", &[]) {
        let at = place(sample);
        let logs = readings[lately(readings, Some(&at))..].iter().filter_map(|reading| reading.logs.get(&at));
        check_within(sample, bounds(logs.map(|(_, end, _)| *end)))?;
    }
    for sample in scrape.all("kafka_topic_partition_oldest_offset", &[]) {
        let at = place(sample);
        let logs = readings[lately(readings, Some(&at))..].iter().filter_map(|reading| reading.logs.get(&at));
        check_within(sample, bounds(logs.map(|(start, _, _)| *start)))?;
    }
    let recent = &readings[lately(readings, None)..];
    for sample in scrape.all("kafka_consumergroup_current_offset", &[]) {
        let key = (sample.label("consumergroup").to_owned(), place(sample));
        check_within(sample, bounds(recent.iter().filter_map(|reading| reading.commits.get(&key)).copied()))?;
    }
    for sample in scrape.all("kafka_consumergroup_lag", &[]) {
        let key = (sample.label("consumergroup").to_owned(), place(sample));
        let old = &readings[lately(readings, Some(&key.1))..];
        let logs = old.iter().filter_map(|reading| reading.logs.get(&key.1));
        let ends = bounds(logs.clone().map(|(_, end, _)| *end));
        let starts = bounds(logs.map(|(start, _, _)| *start));
        let commits = bounds(recent.iter().filter_map(|reading| reading.commits.get(&key)).copied());
        let lag = ends.zip(starts).zip(commits).map(|((ends, starts), commits)| {
            ((ends.0 - commits.1.max(starts.1)).max(0), (ends.1 - commits.0.max(starts.0)).max(0))
        });
        check_within(sample, lag)?;
    }
    Ok(())
}

/// The broker that nothing happens to answers, and what it leads is there.
fn the_well_one_is_shown(scrape: &Exposition, led: &[usize]) -> Result<(), String> {
    for partition in led {
        let labels = [("topic", MOVING), ("partition", &*partition.to_string())];
        scrape
            .get("kafka_topic_partition_current_offset", &labels)
            .ok_or_else(|| format!("the end of {MOVING}-{partition} is gone, although broker {WELL} is well"))?;
    }
    let up = scrape.get("kafka_broker_up", &[("id", &WELL.to_string())]);
    if up == Some(1.0) { Ok(()) } else { Err(format!("kafka_broker_up of {WELL} is {up:?}")) }
}

/// The storm.
struct Storm {
    simulated: Arc<Simulated>,
    truth: Arc<Truth>,
    dice: Dice,
    /// The partitions of [`MOVING`] that stay where they are.
    kept: Vec<usize>,
    lives: i64,
}

impl Storm {
    fn edit(&self, edit: impl FnOnce(&mut World)) {
        self.truth.edit(&self.simulated, edit);
    }

    /// One thing that happens.
    fn strike(&mut self) {
        let broker = self.dice.pick(&SICK);
        match self.dice.below(14) {
            0..=2 => self.fault(broker),
            3 => {
                let latency = Duration::from_millis(self.dice.pick(&[0, 50, 300, 700, 1_500]));
                self.simulated.set_latency(broker, latency).unwrap();
            }
            4 => self.simulated.freeze(broker).unwrap(),
            5 => self.simulated.thaw(broker).unwrap(),
            6 => self.kill(broker),
            7 => {
                self.simulated.back(broker);
                self.truth.note(&self.simulated);
            }
            8 => self.coordinators(),
            9 => self.leaders(broker),
            10 => {
                let loading = self.dice.pick(&[Loading::Refuses, Loading::ListsShort, Loading::Done, Loading::Done]);
                self.edit(|world| world.set_loading(broker, loading).unwrap());
            }
            11 => self.topics(),
            12 => self.groups(),
            _ => self.offsets(),
        }
    }

    fn fault(&mut self, broker: i32) {
        let codes = [-1, 6, 7, 14, 15, 16].map(Fault::Error);
        let other = self.dice.pick(&[Fault::HalfAnswer, Fault::Hangup, Fault::Silence]);
        let fault = if self.dice.below(3) == 0 { other } else { self.dice.pick(&codes) };
        let (api, times) = (self.dice.pick(&APIS), 1 + u32::try_from(self.dice.below(8)).unwrap());
        // Too many that wait are as good as enough.
        let _ = self.simulated.inject(broker, api, fault, times);
    }

    fn kill(&mut self, broker: i32) {
        let outage = self.dice.pick(&[Outage::UNNOTICED, Outage::NOTICED]);
        self.truth.note(&self.simulated);
        self.simulated.end(broker, outage);
        self.truth.note(&self.simulated);
    }

    fn coordinators(&mut self) {
        let (group, to) = (self.dice.pick(&PARKED), 1 + i32::try_from(self.dice.below(3)).unwrap());
        let (also, listed) = (self.dice.pick(&SICK), self.dice.below(2) == 0);
        self.edit(|world| {
            // Nobody moves to a broker that is down.
            let _ = world.move_coordinator(group, to);
            world.set_also_listed(group, also, listed).unwrap();
        });
    }

    fn leaders(&mut self, broker: i32) {
        let partition = self.dice.place(PARTITIONS);
        let (topic, headless) = (self.dice.pick(&[MOVING, STILL]), self.dice.below(3) == 0);
        if topic == MOVING && self.kept.contains(&partition) {
            return;
        }
        self.edit(|world| {
            let _ = world.set_leader(topic, partition, broker);
            world.set_leaderless(topic, partition, headless).unwrap();
        });
    }

    fn topics(&mut self) {
        let (partitions, end) = (1 + self.dice.place(4), self.dice.pick(&[0, 500, 100_000]));
        let is_gone = self.simulated.world().topic(REBORN).is_none();
        let at_once = is_gone || self.dice.below(2) == 0;
        self.lives += 1;
        let commit = 10 * self.lives;
        self.edit(|world| {
            if !is_gone {
                world.delete_topic(REBORN).unwrap();
            }
            if at_once {
                world.create_topic(&TopicSpec::empty(REBORN, partitions)).unwrap();
                for partition in 0..partitions {
                    world.set_end_offset(REBORN, partition, end).unwrap();
                    world.set_commit(STOPPED, REBORN, partition, Some(commit)).unwrap();
                }
            }
        });
    }

    fn groups(&mut self) {
        let exists = self.simulated.world().group(PASSING).is_some();
        self.edit(|world| {
            if exists {
                world.delete_group(PASSING).unwrap();
            } else {
                world.create_group(&GroupSpec::new(PASSING, 2, &[MOVING])).unwrap();
            }
        });
    }

    fn offsets(&mut self) {
        let (partition, group) = (self.dice.place(PARTITIONS), self.dice.pick(&PARKED));
        let offset = i64::try_from(self.dice.below(100)).unwrap();
        let what = self.dice.below(3);
        self.edit(|world| match what {
            0 => world.set_commit(group, STILL, partition, Some(offset)).unwrap(),
            1 => world.set_log_start_offset(STILL, partition, offset).unwrap(),
            _ => world.set_end_offset(STILL, partition, 100 + offset).unwrap(),
        });
    }

    /// All is well again.
    fn end(&self) {
        for broker in SICK {
            self.simulated.back(broker);
            self.simulated.thaw(broker).unwrap();
            self.simulated.set_latency(broker, Duration::ZERO).unwrap();
            self.simulated.clear_faults(broker).unwrap();
        }
        self.edit(|world| {
            for broker in SICK {
                world.set_loading(broker, Loading::Done).unwrap();
                for group in PARKED {
                    world.set_also_listed(group, broker, false).unwrap();
                }
            }
            for topic in [MOVING, STILL] {
                (0..PARTITIONS).for_each(|partition| world.set_leaderless(topic, partition, false).unwrap());
            }
            world.elect_preferred_leaders();
            // Of a group that went while its coordinator moved nobody says that it is gone: the exporter waits for some
            // minutes, longer than this test.
            if world.group(PASSING).is_none() {
                world.create_group(&GroupSpec::new(PASSING, 2, &[MOVING])).unwrap();
            }
        });
        self.simulated.spread_groups();
        self.truth.note(&self.simulated);
    }
}

/// Everything is known and answers, and nothing is shown that is not there.
fn all_is_well(scrape: &Exposition, world: &World) -> Result<(), String> {
    for name in ["kafka_up", "kafka_broker_up", "kafkascope_collector_success"] {
        let wrong = scrape.all(name, &[]).into_iter().find(|sample| sample.value != 1.0);
        wrong.map_or(Ok(()), |sample| Err(format!("{sample:?}")))?;
    }
    for name in ["kafka_topic_unknown_partitions", "kafka_consumergroup_unknown_partitions"] {
        let wrong = scrape.all(name, &[]).into_iter().find(|sample| sample.value != 0.0);
        wrong.map_or(Ok(()), |sample| Err(format!("{sample:?}")))?;
    }
    let lags = scrape.all("kafka_consumergroup_lag", &[]).len();
    let reading = Reading::of(world);
    let committed = reading.commits.keys().filter(|(_, place)| reading.logs.contains_key(place)).count();
    let ends = scrape.all("kafka_topic_partition_current_offset", &[]).len();
    if (lags, ends) != (committed, reading.logs.len()) {
        return Err(format!("{lags} lags of {committed}, {ends} ends of {}", reading.logs.len()));
    }
    for group in BUSY.iter().chain(&PARKED).chain([&STOPPED]) {
        let info = scrape.all("kafka_consumergroup_info", &[("consumergroup", group)]);
        let coordinator = world.coordinator(group).map(|id| id.to_string()).unwrap_or_default();
        if info.len() != 1 || info[0].label("coordinator") != coordinator {
            return Err(format!("{group} is coordinated by {coordinator}, not as {info:?} says"));
        }
    }
    Ok(())
}

fn start_exporter(simulated: &Simulated) -> Exporter {
    let age = format!("{}s", MAX_AGE.as_secs());
    let polling = ["--min-interval", "1s", "--max-interval", "2s", "--request-timeout", "1s", "--max-age", &age];
    // However slow the machine that this runs on: nothing is to be stretched.
    let budget = ["--budget-cpu", "100%", "--budget-requests-per-second-per-broker", "10000"];
    let client = ["--kafka", "reconnect.backoff.max.ms=500"];
    let exporter = Exporter::start(&simulated.bootstrap(), &[&polling[..], &budget, &client].concat());
    exporter.ready();
    exporter
}

#[test]
#[expect(clippy::print_stderr, reason = "how to see it again")]
fn a_storm_of_everything_leaves_every_promise_standing() {
    let fresh = || u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos());
    let seed = std::env::var("STORM_SEED").map_or_else(|_| fresh(), |seed| seed.parse().unwrap());
    eprintln!("STORM_SEED={seed}");
    let simulated = Arc::new(Simulated::cast());
    let truth = Arc::new(Truth::default());
    truth.note(&simulated);
    let exporter = start_exporter(&simulated);
    eventually("all is well before the storm", RECOVERY, || all_is_well(&exporter.scrape(), &simulated.world()));
    let before = exporter.resident_bytes();
    let kept = simulated.led_by(WELL, MOVING);
    assert!(!kept.is_empty());
    let mut watcher = {
        let (simulated, truth, kept) = (simulated.clone(), truth.clone(), kept.clone());
        Watcher::start(exporter.address(), move |scrape| {
            truth.note(&simulated);
            is_true(scrape, &truth.readings())?;
            the_well_one_is_shown(scrape, &kept)
        })
    };
    // An xorshift of zero stays zero.
    let mut storm = Storm { simulated, truth, dice: Dice(seed | 1 << 40), kept, lives: 0 };
    let end = Instant::now() + STORM;
    while Instant::now() < end {
        storm.strike();
        let pause = 100 + storm.dice.below(900);
        std::thread::sleep(Duration::from_millis(pause));
        watcher.content();
        assert_eq!(exporter.get("/-/healthy").status, 200, "never for Kafka's sake");
    }
    storm.end();
    let calm = within(RECOVERY, || {
        watcher.content();
        all_is_well(&exporter.scrape(), &storm.simulated.world())
    });
    if let Err(fault) = calm {
        let log = exporter.output();
        let tail = log.lines().rev().take(12).collect::<Vec<_>>().join("\n");
        let groups = exporter.get("/metrics").text();
        let groups: Vec<&str> = groups.lines().filter(|line| line.starts_with("kafka_consumergroup_info")).collect();
        panic!("not well {RECOVERY:?} after the storm: {fault}\n{groups:#?}\nthe log, newest line first:\n{tail}");
    }
    watcher.finish(50);
    let after = exporter.resident_bytes();
    assert!(after < 2 * before + MEMORY_SLACK, "{before} bytes before the storm, {after} after");
    assert!(exporter.terminate().success());
}
