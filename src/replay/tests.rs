//! A recording of a live cluster, replayed, shows the same as the cluster did.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::cluster::ReplayedCluster;
use super::input::Lines;
use super::{Recorder, TimedCommit};
use crate::collect::{Clock, PollSettings, Poller};
use crate::derive::Snapshot;
use crate::kafka::fake::{FakeKafka, World as Facts};
use crate::model::{GroupState, Instants, Moment, Offset, PartitionId, TopicAssignment, WallTime};
use crate::schedule::{BoundsRules, Budget, Rules};
use crate::state::{Collectors, World};
use crate::track::{CommitNote, Named, StatusSettings, TimeLag, TimeLagRule, TrackSettings, Tracker};

const INTERVAL: u64 = 15_000;

#[derive(Debug, Clone, Default)]
struct TestClock(Arc<AtomicU64>);

impl Clock for TestClock {
    fn now(&self) -> Instants {
        let now = self.0.load(Ordering::Relaxed);
        Instants { moment: Moment(now), wall: WallTime(i64::try_from(now).unwrap() + 1_700_000_000_000) }
    }
}

/// A cluster that is polled and recorded, and its recording, replayed line after line.
struct Bench {
    kafka: Arc<FakeKafka>,
    clock: TestClock,
    poller: Poller<FakeKafka, TestClock>,
    tracker: Tracker,
    live: Option<Snapshot>,
    recorder: Recorder,
    replayed: ReplayedCluster,
}

impl Bench {
    fn new(build: impl FnOnce(&mut Facts)) -> Self {
        let kafka = Arc::new(FakeKafka::new(3));
        build(&mut kafka.world());
        let clock = TestClock::default();
        let rules = Rules {
            fixed: Some(Duration::from_millis(INTERVAL)),
            bounds: BoundsRules { max_age: Some(Duration::from_secs(86_400)), ..BoundsRules::default() },
            budget: Budget { requests_per_second_per_broker: 50.0, cpu: 0.01 },
        };
        let poller = Poller::new(kafka.clone(), clock.clone(), PollSettings::of_everything(20, 1, rules), None);
        let track = || TrackSettings {
            status: StatusSettings { poll_distance: Duration::from_secs(10), ..StatusSettings::default() },
            time_lag: TimeLagRule::new(|_| TimeLag::History),
        };
        Self {
            kafka,
            poller,
            tracker: Tracker::new(track()),
            live: None,
            recorder: Recorder::new(None, World::new(Collectors::new(|_| true))),
            replayed: ReplayedCluster::new(track(), clock.now().wall.0),
            clock,
        }
    }

    /// One interval later: a pass, its record, and the replay of that.
    async fn pass(&mut self, commits: &[TimedCommit]) -> String {
        self.clock.0.fetch_add(INTERVAL, Ordering::Relaxed);
        self.poller.tick().await;
        let now = self.clock.now();
        let mut live = Snapshot::derive(self.poller.world(), self.live.as_ref(), now);
        for commit in commits {
            let topic = live.world.names.get(&commit.topic).unwrap();
            let note = CommitNote { topic, partition: commit.partition, offset: commit.offset, at: commit.at };
            self.tracker.note_commit(&commit.group, note);
        }
        live.set_outlook(self.tracker.observe(&live, &Named::Fresh));
        self.live = Some(live);
        let text = self.recorder.lines(self.poller.world(), commits, now.wall.0).unwrap();
        let mut lines = Lines::new(text.as_slice());
        while let Some(line) = lines.next_line().unwrap() {
            let touched = self.replayed.take_in(line);
            self.replayed.apply(&touched);
        }
        String::from_utf8(text).unwrap()
    }

    /// How both stand, row by row: committed, lag, time lag, verdict.
    fn compare(&self) -> usize {
        let now = self.clock.now().wall;
        let (live, replayed) = (rows(self.live.as_ref().unwrap(), now), rows(self.replayed.snapshot(), now));
        for (key, row) in &live {
            // What is not known for a moment of a live cluster stands in a replay as it was.
            if row.lag.is_some() {
                assert_eq!(replayed.get(key), Some(row), "{key:?} at {}", now.0);
            }
        }
        let is_known = |key: &&(String, String, i32)| live.contains_key(*key);
        assert_eq!(replayed.keys().find(|key| !is_known(key)), None);
        live.values().filter(|row| row.lag.is_some()).count()
    }
}

#[derive(Debug, PartialEq)]
struct Row {
    committed: Option<i64>,
    lag: Option<u64>,
    time_lag: Option<Duration>,
    status: Option<&'static str>,
}

fn rows(snapshot: &Snapshot, now: WallTime) -> BTreeMap<(String, String, i32), Row> {
    let mut rows = BTreeMap::new();
    for standing in snapshot.standings(now) {
        for topic in standing.topics() {
            let name = snapshot.world.names.name(topic.segment.topic).unwrap().to_string();
            for row in topic.segment.rows.clone() {
                let key = (standing.group.table.name.to_string(), name.clone(), topic.commits.partitions[row].0);
                let told = Row {
                    committed: topic.commits.offsets[row].get().map(Offset::get),
                    lag: standing.group.lag(row).map(|lag| lag.0),
                    time_lag: standing.time_lag(row),
                    status: standing.partition_status(row).map(|status| status.as_str()),
                };
                rows.insert(key, told);
            }
        }
    }
    rows
}

fn set_end(facts: &mut Facts, topic: &str, partition: usize, end: i64) {
    let offsets = &mut facts.topics.get_mut(topic).unwrap().partitions[partition].offsets;
    *offsets = Ok((offsets.unwrap().0.min(end), end));
}

fn set_commit(facts: &mut Facts, group: &str, topic: &str, partition: i32, offset: i64) {
    let group = facts.groups.get_mut(group).unwrap();
    group.commits.insert((topic.into(), PartitionId(partition)), Ok(offset));
}

fn build(facts: &mut Facts) {
    facts.topic("a", &[(0, 100), (10, 200), (0, 0)]);
    facts.topic("b", &[(0, 1000)]);
    facts.group("reads", 1, &[("a", 0, 90), ("a", 1, 5), ("b", 0, 1000)]);
    facts.group("stopped", 2, &[("b", 0, 10)]);
    let reads = &mut facts.groups.get_mut("reads").unwrap().description;
    (reads.state, reads.members) = (GroupState::Stable, 1);
    let all = (0..3).map(PartitionId).collect();
    reads.assignment = vec![TopicAssignment { topic: "a".into(), members: 1, partitions: all }];
}

#[tokio::test(start_paused = true)]
async fn what_a_live_cluster_shows_its_recording_shows() {
    let mut bench = Bench::new(build);
    let mut compared = 0;
    for pass in 0_i64..40 {
        {
            let mut facts = bench.kafka.world();
            set_end(&mut facts, "a", 0, 100 + 30 * pass);
            set_end(&mut facts, "b", 0, 1000 + 7 * (pass / 5));
            set_commit(&mut facts, "reads", "a", 0, 90 + 25 * pass);
            match pass {
                5 => drop(facts.topic("late", &[(0, 50)])),
                6 => drop(facts.group("late", 3, &[("late", 0, 20), ("a", 1, 150)])),
                9 => facts.topics.get_mut("a").unwrap().partitions[1].offsets = Ok((180, 220)),
                12 => drop(facts.topics.remove("late")),
                16 => drop(facts.groups.remove("late")),
                20 => facts.topics.get_mut("a").unwrap().partitions[1].offsets = Ok((0, 40)),
                22 => drop(facts.groups.get_mut("reads").unwrap().commits.remove(&("b".into(), PartitionId(0)))),
                25 => (facts.topics.get_mut("b").unwrap().id, _) = (77, ()),
                30 => facts.groups.get_mut("reads").unwrap().description.state = GroupState::PreparingRebalance,
                33 => {
                    let reads = &mut facts.groups.get_mut("reads").unwrap().description;
                    (reads.state, reads.members) = (GroupState::Empty, 0);
                    reads.assignment.clear();
                }
                _ => {}
            }
        }
        bench.pass(&[]).await;
        compared += bench.compare();
    }
    assert!(compared > 120, "only {compared} rows were compared");
}

#[tokio::test(start_paused = true)]
async fn commits_with_times_are_recorded_with_them_each_in_its_turn() {
    let mut bench = Bench::new(build);
    bench.pass(&[]).await;
    let mut text = String::new();
    for pass in 1_i64..8 {
        set_end(&mut bench.kafka.world(), "a", 0, 100 + 100 * pass);
        set_commit(&mut bench.kafka.world(), "reads", "a", 0, 90 + 20 * pass);
        let at = |ago: i64| WallTime(bench.clock.now().wall.0 + i64::try_from(INTERVAL).unwrap() - ago);
        let commit = |offset, ago| TimedCommit {
            group: "reads".into(),
            topic: "a".into(),
            partition: PartitionId(0),
            offset: Offset::new(offset).unwrap(),
            at: at(ago),
        };
        let commits = [commit(80 + 20 * pass, 9_000), commit(90 + 20 * pass, 1_000)];
        text = bench.pass(&commits).await;
        bench.compare();
    }
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "two commits on a partition take two lines: {text}");
    assert!(lines[0].contains(r#"{"offset":220,"time":"#) && lines[1].contains(r#"{"offset":230,"time":"#), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_change_is_not_told_again() {
    let mut bench = Bench::new(build);
    let first = bench.pass(&[]).await;
    assert!(first.contains(r#""state":"Stable","members":1,"assignment":{"a":[0,1,2]}"#), "{first}");
    assert!(first.contains(r#""start":10,"end":200"#), "{first}");
    let second = bench.pass(&[]).await;
    assert!(second.contains(r#""1":{"end":200}"#), "an end that was read is named, moved or not: {second}");
    assert!(!second.contains("state") && !second.contains("start"), "{second}");
}
