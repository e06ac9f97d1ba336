//! What befalls the cluster: records and commits that come all the time, and every now and then a fault or a change.
//!
//! It depends on the seed and on the time alone, never on what it is asked.

use std::sync::Arc;

use super::cluster::{About, BrokerTruth, Cluster, Condition, Flow, GroupLife, Habit, Life, Log, Partition};
use super::dice::Dice;
use super::history::{History, Ms};
use super::storm::{Storm, is_of_cluster};
use crate::model::{BrokerId, GroupState};

/// Names of topics and groups: so many may exist at once, and every name comes back.
const TOPICS: u64 = 9;
const GROUPS: u64 = 12;
/// With fewer, the next one is made at once.
const MIN_TOPICS: usize = 5;
const MIN_GROUPS: usize = 7;
/// Partitions of a topic at most.
const PARTITIONS: usize = 4;
/// Replicas of a partition at most.
const REPLICAS: u64 = 3;
/// How long a broker is dead until the controller fences it: `broker.session.timeout.ms`.
const SESSION: Ms = 9_000;
/// Longer than anything that is gone may be shown.
const FORGOTTEN: Ms = 2 * 3_600_000;

/// The weather.
#[derive(Debug)]
pub(super) struct Weather {
    dice: Dice,
    pub(super) storms: Vec<Storm>,
    /// Nothing goes wrong and nothing is made or deleted; records and commits go on.
    pub(super) is_calm: bool,
    /// Names made so far that do not come again.
    made: u64,
}

impl Weather {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Dice::fork(seed, &[1]), storms: Vec::new(), is_calm: false, made: 0 }
    }

    /// The first topics and groups.
    pub(super) fn settle(&mut self, cluster: &mut Cluster, now: Ms) {
        self.replenish(cluster, now);
    }

    fn replenish(&mut self, cluster: &mut Cluster, now: Ms) {
        while cluster.living_topics().len() < MIN_TOPICS {
            self.create_topic(cluster, now);
        }
        while cluster.living_groups().len() < MIN_GROUPS && !cluster.members().is_empty() {
            self.create_group(cluster, now);
        }
    }

    /// How long until something happens next.
    pub(super) fn pause(&mut self) -> Ms {
        self.dice.range(300, 2_500)
    }

    /// What happens now.
    pub(super) fn step(&mut self, cluster: &mut Cluster, now: Ms) {
        self.records(cluster, now);
        self.commits(cluster, now);
        if !self.is_calm {
            self.changes(cluster, now);
            self.faults(cluster, now);
        }
        self.pass_faults(cluster, now);
        self.note_health(cluster, now);
    }

    /// Ends every fault, and lets nothing begin until it is no longer calm.
    pub(super) fn calm_down(&mut self, cluster: &mut Cluster, now: Ms) {
        self.note_health(cluster, now);
        self.is_calm = true;
        self.storms.clear();
        cluster.brokers.values_mut().for_each(|broker| broker.until = now);
        self.pass_faults(cluster, now);
        for group in cluster.groups.values_mut().flatten() {
            group.also_listed.set(now, None);
        }
        // What has long been gone is in no answer and in nothing that may be shown.
        cluster
            .topics
            .retain(|_, lives| lives.last().is_some_and(|life| life.died.is_none_or(|died| died + FORGOTTEN > now)));
        cluster
            .groups
            .retain(|_, lives| lives.last().is_some_and(|life| life.died.is_none_or(|died| died + FORGOTTEN > now)));
        self.note_health(cluster, now);
    }

    fn records(&mut self, cluster: &mut Cluster, now: Ms) {
        let works: Vec<BrokerId> =
            cluster.brokers.iter().filter(|(_, broker)| broker.works()).map(|(id, _)| *id).collect();
        for life in cluster.topics.values_mut().filter_map(|lives| lives.last_mut()).filter(|life| life.died.is_none())
        {
            let most = match life.flow {
                Flow::Idle => continue,
                Flow::Steady => 40,
                Flow::Bursts if self.dice.chance(900) => continue,
                Flow::Bursts => 900,
            };
            for partition in &mut life.partitions {
                if partition.leader.now().is_some_and(|leader| works.contains(&leader)) {
                    let Log { start, end } = partition.log.now();
                    partition.log.set(now, Log { start, end: end + self.dice.offset(0, most) });
                }
            }
        }
    }

    fn commits(&mut self, cluster: &mut Cluster, now: Ms) {
        for name in cluster.living_groups() {
            let Some(group) = cluster.group(&name) else { continue };
            let works = cluster.brokers.get(&group.coordinator.now()).is_some_and(BrokerTruth::works);
            if !works || group.habit == Habit::Stopped || !self.dice.chance(400) {
                continue;
            }
            let habit = group.habit;
            let keys: Vec<(Arc<str>, i32)> = group.commits.keys().cloned().collect();
            for key in keys {
                let Some(log) = cluster.partition(&key.0, key.1).map(|partition| partition.log.now()) else { continue };
                let Some(commits) = cluster.group_mut(&name).and_then(|group| group.commits.get_mut(&key)) else {
                    continue;
                };
                let Some(committed) = commits.now() else { continue };
                let from = committed.clamp(log.start, log.end);
                let most = if habit == Habit::Follows { log.end } else { from + (log.end - from) / 4 };
                commits.set(now, Some(self.dice.offset(from, most)));
            }
        }
    }

    /// Topics and groups come, change and go.
    fn changes(&mut self, cluster: &mut Cluster, now: Ms) {
        if !self.dice.chance(60) {
            return;
        }
        self.replenish(cluster, now);
        match self.dice.range(0, 13) {
            0 => self.create_topic(cluster, now),
            1 => drop(self.delete_topic(cluster, now)),
            2 => {
                // Deleted and made again under the same name, at once or almost.
                if let Some(name) = self.delete_topic(cluster, now)
                    && self.dice.chance(700)
                {
                    self.create_named_topic(cluster, now, &name);
                }
            }
            3 => self.add_partition(cluster, now),
            4 => self.change_flow(cluster),
            5 => self.delete_records(cluster, now),
            6 => self.truncate(cluster, now),
            7 => self.create_group(cluster, now),
            8 => self.delete_group(cluster, now),
            9 => self.change_group(cluster, now),
            10 | 11 => self.reset_commits(cluster, now),
            _ => self.commit_more(cluster, now),
        }
    }

    /// A name that comes back again and again, or one that was never there and will not come again.
    fn name(&mut self, kind: &str, recurring: u64) -> Arc<str> {
        let number = self.dice.range(0, 2 * recurring);
        if number < recurring {
            return format!("{kind}-{number}").into();
        }
        self.made += 1;
        format!("{kind}-once-{}", self.made).into()
    }

    fn create_topic(&mut self, cluster: &mut Cluster, now: Ms) {
        if cluster.living_topics().len() as u64 >= TOPICS {
            return;
        }
        let name = self.name("topic", TOPICS);
        if cluster.life(&name).is_none() {
            self.create_named_topic(cluster, now, &name);
        }
    }

    fn create_named_topic(&mut self, cluster: &mut Cluster, now: Ms, name: &Arc<str>) {
        let id = cluster.next_id();
        let flow = self.dice.pick(&[Flow::Idle, Flow::Steady, Flow::Steady, Flow::Bursts]).unwrap();
        let count = self.dice.range(1, PARTITIONS as u64);
        // Some are filled at once, past the end of their former life.
        let end = if self.dice.chance(300) { self.dice.offset(0, 200_000) } else { 0 };
        let partitions = (0..count).map(|_| self.new_partition(cluster, now, end)).collect();
        let life = Life { id, born: now, died: None, flow, partitions };
        cluster.topics.entry(name.clone()).or_default().push(life);
    }

    fn new_partition(&mut self, cluster: &Cluster, now: Ms, end: i64) -> Partition {
        let all: Vec<BrokerId> = cluster.brokers.keys().copied().collect();
        let first = usize::try_from(self.dice.range(0, all.len() as u64 - 1)).unwrap();
        let count = usize::try_from(self.dice.range(1, REPLICAS)).unwrap();
        let replicas: Vec<BrokerId> = (0..count).map(|place| all[(first + place) % all.len()]).collect();
        let members = cluster.members();
        let leader = replicas.iter().copied().find(|replica| members.contains(replica));
        Partition {
            born: now,
            replicas,
            leader: History::new(now, leader),
            log: History::new(now, Log { start: 0, end }),
        }
    }

    fn delete_topic(&mut self, cluster: &mut Cluster, now: Ms) -> Option<Arc<str>> {
        let name = self.dice.pick(&cluster.living_topics())?;
        cluster.life_mut(&name)?.died = Some(now);
        // Its coordinators drop the commits on it; one that is away keeps them.
        for group in cluster.groups.values_mut().filter_map(|lives| lives.last_mut()) {
            let works = cluster.brokers.get(&group.coordinator.now()).is_some_and(BrokerTruth::works);
            if works && group.is_alive() {
                let of_topic = group.commits.iter_mut().filter(|((topic, _), _)| *topic == name);
                of_topic.for_each(|(_, commit)| commit.set(now, None));
            }
        }
        Some(name)
    }

    fn add_partition(&mut self, cluster: &mut Cluster, now: Ms) {
        let Some(name) = self.dice.pick(&cluster.living_topics()) else { return };
        let partition = self.new_partition(cluster, now, 0);
        if let Some(life) = cluster.life_mut(&name).filter(|life| life.partitions.len() < PARTITIONS) {
            life.partitions.push(partition);
        }
    }

    fn change_flow(&mut self, cluster: &mut Cluster) {
        let Some(name) = self.dice.pick(&cluster.living_topics()) else { return };
        let flow = self.dice.pick(&[Flow::Idle, Flow::Steady, Flow::Bursts]).unwrap();
        if let Some(life) = cluster.life_mut(&name) {
            life.flow = flow;
        }
    }

    fn any_log(&mut self, cluster: &mut Cluster, now: Ms, change: impl FnOnce(&mut Dice, Log) -> Log) {
        let Some(name) = self.dice.pick(&cluster.living_topics()) else { return };
        let Some(life) = cluster.life_mut(&name) else { return };
        let place = usize::try_from(self.dice.range(0, life.partitions.len() as u64 - 1)).unwrap();
        let partition = &mut life.partitions[place];
        if partition.leader.now().is_some() {
            let log = change(&mut self.dice, partition.log.now());
            partition.log.set(now, log);
        }
    }

    fn delete_records(&mut self, cluster: &mut Cluster, now: Ms) {
        self.any_log(cluster, now, |dice, log| Log { start: dice.offset(log.start, log.end), ..log });
    }

    /// An election of a replica that was not in sync: the log ends earlier than it did.
    fn truncate(&mut self, cluster: &mut Cluster, now: Ms) {
        self.any_log(cluster, now, |dice, log| Log { end: dice.offset(log.start, log.end), ..log });
    }

    fn create_group(&mut self, cluster: &mut Cluster, now: Ms) {
        let name = self.name("group", GROUPS);
        let Some(coordinator) = self.dice.pick(&cluster.members()) else { return };
        if cluster.group(&name).is_some() || cluster.living_groups().len() as u64 >= GROUPS {
            return;
        }
        let habit = self.dice.pick(&[Habit::Stopped, Habit::Follows, Habit::Follows, Habit::Lags]).unwrap();
        let about = self.about();
        let life = GroupLife {
            born: now,
            died: None,
            habit,
            coordinator: History::new(now, coordinator),
            also_listed: History::new(now, None),
            about: History::new(now, about),
            commits: std::collections::BTreeMap::new(),
        };
        cluster.groups.entry(name.clone()).or_default().push(life);
        for _ in 0..self.dice.range(0, 3) {
            self.commit_on_a_topic(cluster, now, &name);
        }
    }

    fn about(&mut self) -> About {
        let states = [GroupState::Stable, GroupState::Stable, GroupState::PreparingRebalance, GroupState::Empty];
        let state = self.dice.pick(&states).unwrap();
        let members = if state == GroupState::Empty { 0 } else { u32::try_from(self.dice.range(1, 5)).unwrap() };
        About { state, members }
    }

    /// A first commit on some partitions of a topic, which may even not exist.
    fn commit_on_a_topic(&mut self, cluster: &mut Cluster, now: Ms, group: &Arc<str>) {
        // Now and then one that does not exist.
        let living = cluster.living_topics();
        let any = format!("topic-{}", self.dice.range(0, TOPICS - 1)).into();
        let topic: Arc<str> = if self.dice.chance(150) { any } else { self.dice.pick(&living).unwrap_or(any) };
        let count = cluster.life(&topic).map_or(2, |life| life.partitions.len());
        for partition in (0..).take(count) {
            let end = cluster.partition(&topic, partition).map_or(50, |partition| partition.log.now().end);
            let offset = Some(self.dice.offset(0, end));
            let Some(group) = cluster.group_mut(group) else { return };
            let commits = group.commits.entry((topic.clone(), partition));
            commits.or_insert_with(|| History::new(now, None)).set(now, offset);
        }
    }

    fn delete_group(&mut self, cluster: &mut Cluster, now: Ms) {
        let Some(name) = self.dice.pick(&cluster.living_groups()) else { return };
        let works = |cluster: &Cluster| {
            let coordinator = cluster.group(&name)?.coordinator.now();
            cluster.brokers.get(&coordinator).map(BrokerTruth::works)
        };
        if works(cluster) == Some(true)
            && let Some(group) = cluster.group_mut(&name)
        {
            group.died = Some(now);
        }
    }

    fn change_group(&mut self, cluster: &mut Cluster, now: Ms) {
        let Some(name) = self.dice.pick(&cluster.living_groups()) else { return };
        let about = self.about();
        let habit = self.dice.pick(&[Habit::Stopped, Habit::Follows, Habit::Lags]).unwrap();
        if let Some(group) = cluster.group_mut(&name) {
            group.about.set(now, about);
            group.habit = habit;
        }
    }

    /// `kafka-consumer-groups.sh --reset-offsets`: back, ahead, past the end, or away.
    fn reset_commits(&mut self, cluster: &mut Cluster, now: Ms) {
        let Some(name) = self.dice.pick(&cluster.living_groups()) else { return };
        let Some(group) = cluster.group_mut(&name) else { return };
        let topics: Vec<Arc<str>> = group.commits.keys().map(|(topic, _)| topic.clone()).collect();
        let Some(topic) = self.dice.pick(&topics) else { return };
        let kind = self.dice.range(0, 3);
        for (_, commit) in group.commits.iter_mut().filter(|((of, _), _)| *of == topic) {
            let committed = commit.now().unwrap_or(0);
            let offset = match kind {
                0 => Some(0),
                1 => Some(self.dice.offset(0, committed)),
                2 => Some(committed + self.dice.offset(0, 5_000)),
                _ if self.dice.chance(500) => None,
                _ => continue,
            };
            commit.set(now, offset);
        }
    }

    fn commit_more(&mut self, cluster: &mut Cluster, now: Ms) {
        if let Some(name) = self.dice.pick(&cluster.living_groups()) {
            self.commit_on_a_topic(cluster, now, &name);
        }
    }

    /// Something goes wrong.
    fn faults(&mut self, cluster: &mut Cluster, now: Ms) {
        let brokers: Vec<BrokerId> = cluster.brokers.keys().copied().collect();
        if self.dice.chance(7) {
            self.storms.extend(Storm::begin(&mut self.dice, now, &brokers));
        }
        if self.dice.chance(7) {
            self.break_broker(cluster, now, &brokers);
        }
        if self.dice.chance(10) {
            self.move_coordinator(cluster, now);
        }
        if self.dice.chance(10) {
            self.elect(cluster, now);
        }
        if self.dice.chance(3)
            && let Some(broker) = self.dice.pick(&brokers).and_then(|id| cluster.brokers.get_mut(&id))
        {
            broker.lag = self.dice.range(1_000, 60_000);
        }
        if self.dice.chance(20) {
            cluster.brokers.values_mut().for_each(|broker| broker.lag = 0);
        }
    }

    fn break_broker(&mut self, cluster: &mut Cluster, now: Ms, brokers: &[BrokerId]) {
        let slow = self.dice.range(500, 7_000);
        let conditions =
            [Condition::Slow(slow), Condition::Dead, Condition::Dead, Condition::Hung, Condition::Flapping];
        let condition = self.dice.pick(&conditions).unwrap();
        let long = self.dice.chance(150);
        let until = now + self.dice.range(2_000, if long { 1_500_000 } else { 120_000 });
        // Once in a while it is all of them.
        let whom = if self.dice.chance(40) { brokers.to_vec() } else { self.dice.pick(brokers).into_iter().collect() };
        for id in whom {
            if let Some(broker) = cluster.brokers.get_mut(&id) {
                broker.condition.set(now, condition);
                broker.until = until;
            }
        }
    }

    fn move_coordinator(&mut self, cluster: &mut Cluster, now: Ms) {
        let (Some(name), Some(to)) = (self.dice.pick(&cluster.living_groups()), self.dice.pick(&cluster.members()))
        else {
            return;
        };
        let still_listed = self.dice.chance(300);
        if let Some(group) = cluster.group_mut(&name) {
            let from = group.coordinator.now();
            group.also_listed.set(now, still_listed.then_some(from).filter(|from| *from != to));
            group.coordinator.set(now, to);
        }
    }

    /// Another replica leads, or none.
    fn elect(&mut self, cluster: &mut Cluster, now: Ms) {
        let members = cluster.members();
        let Some(name) = self.dice.pick(&cluster.living_topics()) else { return };
        let Some(life) = cluster.life_mut(&name) else { return };
        for partition in &mut life.partitions {
            let able: Vec<BrokerId> = partition.replicas.iter().copied().filter(|id| members.contains(id)).collect();
            let leader = if self.dice.chance(250) { None } else { self.dice.pick(&able) };
            partition.leader.set(now, leader);
        }
    }

    /// Faults pass, and the controller takes note of who is there.
    fn pass_faults(&mut self, cluster: &mut Cluster, now: Ms) {
        self.storms.retain(|storm| storm.until > now);
        let mut changed = false;
        for broker in cluster.brokers.values_mut() {
            if broker.until <= now {
                broker.condition.set(now, Condition::Well);
                if self.is_calm {
                    broker.lag = 0;
                }
            }
            let gone = !broker.works() && broker.condition.since() + SESSION <= now;
            changed |= broker.listed.now() == gone;
            broker.listed.set(now, !gone);
        }
        let leaderless = || cluster.topics.values().flatten().flat_map(|life| &life.partitions);
        let heals = self.is_calm && leaderless().any(|partition| partition.leader.now().is_none());
        if changed || heals || self.dice.chance(15) {
            self.controller(cluster, now);
        }
    }

    /// Every partition and every group gets somebody who is there, where there is somebody.
    fn controller(&mut self, cluster: &mut Cluster, now: Ms) {
        let members = cluster.members();
        for partition in cluster.topics.values_mut().flatten().flat_map(|life| &mut life.partitions) {
            if !partition.leader.now().is_some_and(|leader| members.contains(&leader)) {
                let able = partition.replicas.iter().copied().find(|id| members.contains(id));
                partition.leader.set(now, able);
            }
        }
        for group in cluster.groups.values_mut().flatten().filter(|group| group.is_alive()) {
            if !members.contains(&group.coordinator.now())
                && let Some(next) = self.dice.pick(&members)
            {
                group.coordinator.set(now, next);
            }
        }
    }

    /// Notes who is not in order now.
    fn note_health(&mut self, cluster: &mut Cluster, now: Ms) {
        let cluster_sick = self.storms.iter().any(|storm| is_of_cluster(storm.operation));
        let mut any_lags = false;
        for (id, broker) in &mut cluster.brokers {
            let stormy = self
                .storms
                .iter()
                .any(|storm| !is_of_cluster(storm.operation) && storm.broker.is_none_or(|b| b == *id));
            if stormy || broker.condition.now() != Condition::Well || !broker.listed.now() {
                broker.last_sick = now;
            }
            any_lags |= broker.lag > 0;
        }
        // A broker that is hung or slow may be the one that is asked for the metadata.
        let any_sick = cluster.brokers.values().any(|broker| broker.last_sick == now);
        if cluster_sick || any_lags || any_sick {
            cluster.last_sick = now;
        }
    }
}
