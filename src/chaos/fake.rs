//! The cluster as the exporter meets it: the truth, late, cut short or not at all.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::appended;
use super::cluster::{Cluster, Condition};
use super::dice::Dice;
use super::history::Ms;
use super::storm::Trouble;
use super::told::{News, Received, Told};
use super::weather::Weather;
use crate::kafka::fake::default_settings;
use crate::kafka::{Cause, GroupReply, KafkaApi, KafkaError, Operation, Target};
use crate::model::{
    Broker, BrokerId, ClusterDescription, ClusterMetadata, CommittedOffsets, CommittedPartition, DescribedSettings,
    GroupDescription, GroupKind, GroupListing, KafkaCode, ListedPartition, NoSettings, Offset, OffsetSpec, PartitionId,
    PartitionMetadata, TimedPartition, TopicAssignment, TopicDescription, TopicId, TopicMetadata, TopicPartitions,
    TopicRows, TopicTimes,
};

/// A call without an answer ends after this, as the client's does.
pub(super) const TIMEOUT: Ms = 5_000;
/// The virtual clock's first instant: ages reach back behind it.
pub(super) const BEGINNING: Ms = 10_000_000;

/// The truth and what befalls it.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) cluster: Cluster,
    pub(super) weather: Weather,
    pub(super) received: Received,
    in_flight: BTreeMap<Option<BrokerId>, u64>,
    work_in_flight: u64,
    calls: HashMap<(Operation, Option<BrokerId>), u64>,
    /// Calls that were one too many.
    pub(super) overload: Option<String>,
}

/// How many calls may be out at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// To all brokers, beside signs of life and questions about the cluster as a whole.
    pub(super) in_all: u64,
    /// To one broker, beside signs of life.
    pub(super) per_broker: u64,
}

/// The fake.
pub(super) struct ChaosKafka {
    scene: Mutex<Scene>,
    seed: u64,
    started: Instant,
    load: Load,
    /// The number of the pass that is under way.
    pub(super) pass: AtomicU64,
}

impl fmt::Debug for ChaosKafka {
    /// The state of what holds it is measured by its length when printed; this is no part of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChaosKafka")
    }
}

/// What becomes of a call.
enum Fate {
    Answer { there: Ms, back: Ms },
    Nothing { after: Ms, code: KafkaCode },
}

/// A call that is out.
struct Flight<'a>(&'a ChaosKafka, Operation, Option<BrokerId>);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut scene = self.0.scene();
        if self.1 != Operation::ListGroups && self.2.is_some() {
            scene.work_in_flight -= 1;
            *scene.in_flight.entry(self.2).or_default() -= 1;
        }
    }
}

/// What an answer is made from.
pub(super) struct Asked<'a> {
    scene: &'a mut Scene,
    dice: Dice,
    now: Ms,
    pass: u64,
    trouble: Option<(Trouble, u64)>,
    news: Vec<News>,
}

impl Asked<'_> {
    /// What goes wrong with the next row, if anything.
    fn trouble(&mut self) -> Option<Trouble> {
        let (trouble, per_thousand) = self.trouble?;
        self.dice.chance(per_thousand).then_some(trouble)
    }

    /// The error of the next row: none, a code, or (`Err`) that the row is missing.
    fn row(&mut self) -> Result<Option<KafkaCode>, ()> {
        match self.trouble() {
            None | Some(Trouble::Silence) => Ok(None),
            Some(Trouble::Code(code)) => Ok(Some(code)),
            Some(Trouble::Missing) => Err(()),
        }
    }

    fn told(&self, topic: &str, value: i64) -> Told {
        let life = self.scene.cluster.life(topic).map_or(0, |life| life.id);
        Told { at: self.now, pass: self.pass, life, value }
    }
}

impl ChaosKafka {
    pub(super) fn new(seed: u64, brokers: i32, load: Load) -> Self {
        let mut weather = Weather::new(seed);
        let mut cluster = Cluster::new(BEGINNING, brokers);
        weather.settle(&mut cluster, BEGINNING);
        let scene = Scene {
            cluster,
            weather,
            received: Received::default(),
            in_flight: BTreeMap::new(),
            work_in_flight: 0,
            calls: HashMap::new(),
            overload: None,
        };
        Self { scene: Mutex::new(scene), seed, started: Instant::now(), load, pass: AtomicU64::new(0) }
    }

    pub(super) fn scene(&self) -> MutexGuard<'_, Scene> {
        self.scene.lock().unwrap()
    }

    /// Now, on the virtual clock.
    pub(super) fn now(&self) -> Ms {
        BEGINNING + u64::try_from(self.started.elapsed().as_millis()).unwrap()
    }

    fn take_off(&self, operation: Operation, broker: Option<BrokerId>) -> Flight<'_> {
        let mut scene = self.scene();
        *scene.calls.entry((operation, broker)).or_default() += 1;
        if operation != Operation::ListGroups && broker.is_some() {
            scene.work_in_flight += 1;
            let there = scene.in_flight.entry(broker).or_default();
            *there += 1;
            let (there, all) = (*there, scene.work_in_flight);
            if there > self.load.per_broker || all > self.load.in_all {
                scene.overload.get_or_insert(format!("{operation:?}: {there} calls at {broker:?}, {all} in all"));
            }
        }
        Flight(self, operation, broker)
    }

    fn dice(&self, operation: Operation, broker: Option<BrokerId>) -> Dice {
        let count = self.scene().calls.get(&(operation, broker)).copied().unwrap_or(0);
        let whom = broker.map_or(0, |broker| u64::from(broker.0.unsigned_abs()));
        Dice::fork(self.seed, &[self.now(), operation as u64, whom, count])
    }

    fn fate(&self, operation: Operation, asked: BrokerId, dice: &mut Dice) -> Fate {
        let scene = self.scene();
        let silence = Fate::Nothing { after: TIMEOUT, code: KafkaCode::LOCAL_TIMED_OUT };
        let Some(broker) = scene.cluster.brokers.get(&asked) else { return silence };
        let storms = scene.weather.storms.iter().filter(|storm| storm.is_about(operation, Some(asked)));
        for storm in storms.filter(|storm| storm.trouble == Trouble::Silence) {
            if dice.chance(storm.per_thousand) {
                return silence;
            }
        }
        let latency = match broker.condition.now() {
            Condition::Well => dice.range(1, 30),
            Condition::Slow(most) => dice.range(most / 3, most),
            Condition::Flapping if dice.chance(300) => {
                return Fate::Nothing { after: dice.range(1, 800), code: KafkaCode::LOCAL_TRANSPORT };
            }
            Condition::Flapping => dice.range(1, 200),
            Condition::Dead if dice.chance(700) => {
                return Fate::Nothing { after: dice.range(1, 300), code: KafkaCode::LOCAL_TRANSPORT };
            }
            Condition::Dead | Condition::Hung => return silence,
        };
        if latency >= TIMEOUT {
            return silence;
        }
        let there = dice.range(0, latency);
        Fate::Answer { there, back: latency - there }
    }

    /// Puts a question to a broker: waits, looks at the truth when the broker does, waits, and takes note of what was told.
    async fn ask<T>(
        &self,
        operation: Operation,
        target: Target,
        answer: impl FnOnce(&mut Asked<'_>, BrokerId) -> Result<T, KafkaCode>,
    ) -> Result<T, KafkaError> {
        let named = target.broker();
        let _flight = self.take_off(operation, named);
        let mut dice = self.dice(operation, named);
        let fail = |code| {
            let cause = Cause::Code { code, text: "as the seed wants".to_owned() };
            KafkaError { operation, target: target.clone(), cause }
        };
        let broker = named.or_else(|| self.any_broker(&mut dice));
        let Some(broker) = broker else {
            sleep(Duration::from_millis(TIMEOUT)).await;
            return Err(fail(KafkaCode::LOCAL_ALL_BROKERS_DOWN));
        };
        match self.fate(operation, broker, &mut dice) {
            Fate::Nothing { after, code } => {
                sleep(Duration::from_millis(after)).await;
                Err(fail(code))
            }
            Fate::Answer { there, back } => {
                sleep(Duration::from_millis(there)).await;
                let (result, news) = self.look(operation, broker, dice, answer);
                sleep(Duration::from_millis(back)).await;
                self.scene().received.take(news);
                result.map_err(fail)
            }
        }
    }

    fn look<T>(
        &self,
        operation: Operation,
        broker: BrokerId,
        dice: Dice,
        answer: impl FnOnce(&mut Asked<'_>, BrokerId) -> Result<T, KafkaCode>,
    ) -> (Result<T, KafkaCode>, Vec<News>) {
        let (now, pass) = (self.now(), self.pass.load(Ordering::Relaxed));
        let mut scene = self.scene();
        let storm = scene.weather.storms.iter().find(|storm| storm.is_about(operation, Some(broker)));
        let trouble = storm.map(|storm| (storm.trouble, storm.per_thousand));
        let mut asked = Asked { scene: &mut scene, dice, now, pass, trouble, news: Vec::new() };
        let result = answer(&mut asked, broker);
        let news = if result.is_ok() { asked.news } else { Vec::new() };
        (result, news)
    }

    /// Who is asked when it does not matter: a client notices refused connections, but no silence.
    fn any_broker(&self, dice: &mut Dice) -> Option<BrokerId> {
        let scene = self.scene();
        let up = scene.cluster.brokers.iter().filter(|(_, broker)| broker.condition.now() != Condition::Dead);
        dice.pick(&up.map(|(id, _)| *id).collect::<Vec<_>>())
    }
}

fn metadata(asked: &mut Asked<'_>, broker: BrokerId) -> Result<ClusterMetadata, KafkaCode> {
    let lag = asked.scene.cluster.brokers.get(&broker).map_or(0, |broker| broker.lag);
    let then = asked.now - lag;
    if let Some(Trouble::Code(code @ KafkaCode(-1))) = asked.trouble() {
        return Err(code);
    }
    let listed = |(id, broker): (&BrokerId, &super::cluster::BrokerTruth)| {
        broker.listed.at(then).unwrap_or(true).then(|| Broker { id: *id, host: "b".into(), port: 9092 })
    };
    let brokers = asked.scene.cluster.brokers.iter().filter_map(listed).collect();
    let names: Vec<Arc<str>> = asked.scene.cluster.topics.keys().cloned().collect();
    let mut topics = Vec::new();
    for name in names {
        // Who does not show a topic says that there is none.
        asked.news.push(News::NoLeaders(name.clone(), asked.now));
        let Ok(error) = asked.row() else { continue };
        let Some(life) = asked.scene.cluster.life_at(&name, then) else { continue };
        asked.news.pop();
        let mut topic = TopicMetadata { name: name.clone(), error: KafkaCode::NONE, partitions: Vec::new() };
        match error {
            Some(code) => topic.error = code,
            None => {
                for (id, partition) in (0..).zip(&life.partitions).take(life.partitions_at(then)) {
                    let leader = partition.leader.at(then).flatten();
                    asked.news.push(News::Leader((name.clone(), id), asked.now, leader));
                    topic.partitions.push(PartitionMetadata {
                        id: PartitionId(id),
                        leader,
                        replicas: partition.replicas.clone(),
                        in_sync: 1,
                    });
                }
            }
        }
        topics.push(topic);
    }
    let named = topics.iter().map(|topic: &TopicMetadata| topic.name.clone()).collect();
    asked.news.push(News::Topics(named));
    Ok(ClusterMetadata { brokers, topics })
}

fn list(asked: &mut Asked<'_>, broker: BrokerId) -> Result<Vec<GroupListing>, KafkaCode> {
    let names = asked.scene.cluster.living_groups();
    let mut listings = Vec::new();
    for group in names {
        let Some(life) = asked.scene.cluster.group(&group) else { continue };
        if life.coordinator.now() != broker && life.also_listed.now() != Some(broker) {
            continue;
        }
        let state = life.about.now().state;
        match asked.row() {
            Err(()) => {}
            Ok(Some(code)) => return Err(code),
            Ok(None) => listings.push(GroupListing { group, state, kind: GroupKind::Classic }),
        }
    }
    let named = listings.iter().map(|listing: &GroupListing| listing.group.clone()).collect();
    asked.news.push(News::Groups(broker, named));
    Ok(listings)
}

fn describe(asked: &mut Asked<'_>, broker: BrokerId, groups: &[Arc<str>]) -> Vec<GroupReply> {
    let mut replies = Vec::new();
    for group in groups {
        let Ok(trouble) = asked.row() else { continue };
        let cluster = &asked.scene.cluster;
        let description = match (trouble, cluster.group(group)) {
            (Some(code), _) => Err(code),
            (None, _) if !cluster.coordinates(broker, group) => Err(KafkaCode::NOT_COORDINATOR),
            (None, None) => Err(KafkaCode::GROUP_ID_NOT_FOUND),
            (None, Some(life)) => {
                let about = life.about.now();
                let topics = life.commits.keys().map(|(topic, _)| topic).filter(|topic| cluster.life(topic).is_some());
                let mut topics: Vec<Arc<str>> = topics.cloned().collect();
                topics.dedup();
                let assigned = |topic| TopicAssignment { topic, members: 1, partitions: vec![PartitionId(0)] };
                Ok(GroupDescription {
                    group: group.clone(),
                    state: about.state,
                    kind: GroupKind::Classic,
                    protocol: "range".into(),
                    is_simple: false,
                    coordinator: broker,
                    members: about.members,
                    assignment: if about.members == 0 {
                        Vec::new()
                    } else {
                        topics.into_iter().map(assigned).collect()
                    },
                })
            }
        };
        let description = description.map_err(|code| KafkaError {
            operation: Operation::DescribeGroups,
            target: Target::Group(group.clone(), broker),
            cause: Cause::Code { code, text: "as the seed wants".to_owned() },
        });
        replies.push(GroupReply { group: group.clone(), description });
    }
    replies
}

fn commits(
    asked: &mut Asked<'_>,
    broker: BrokerId,
    group: &Arc<str>,
    named: Option<&[TopicPartitions]>,
) -> Result<CommittedOffsets, KafkaCode> {
    let cluster = &asked.scene.cluster;
    let life = cluster.group(group);
    if !cluster.coordinates(broker, group) {
        return Err(KafkaCode::NOT_COORDINATOR);
    }
    let known: BTreeMap<(Arc<str>, i32), Option<i64>> = life
        .map(|life| life.commits.iter().map(|(at, commit)| (at.clone(), commit.now())).collect())
        .unwrap_or_default();
    if let Some((Trouble::Code(code), _)) = asked.trouble
        && code.is_coordinator_moving()
        && asked.trouble().is_some()
    {
        return Err(code);
    }
    let wanted: Vec<(Arc<str>, i32)> = match named {
        None => known.iter().filter(|(_, commit)| commit.is_some()).map(|(at, _)| at.clone()).collect(),
        Some(named) => {
            let each =
                |of: &TopicPartitions| of.partitions.iter().map(|id| (of.topic.clone(), id.0)).collect::<Vec<_>>();
            named.iter().flat_map(each).collect()
        }
    };
    let mut topics: BTreeMap<Arc<str>, Vec<CommittedPartition>> = BTreeMap::new();
    for (topic, partition) in wanted {
        let offset = match asked.row() {
            // Only an answer to named partitions can be seen to be cut short; another one is whole or fails.
            Err(()) if named.is_some() => continue,
            Err(()) | Ok(None) => Ok(known.get(&(topic.clone(), partition)).copied().flatten()),
            Ok(Some(code)) => Err(code),
        };
        if let Ok(Some(value)) = offset {
            let told = asked.told(&topic, value);
            asked.news.push(News::Commit(group.clone(), (topic.clone(), partition), told));
        }
        let offset = offset.map(|offset| offset.and_then(Offset::new));
        topics.entry(topic).or_default().push(CommittedPartition { partition: PartitionId(partition), offset });
    }
    Ok(CommittedOffsets { topics: topics.into_iter().map(|(topic, rows)| TopicRows { topic, rows }).collect() })
}

fn offsets(
    asked: &mut Asked<'_>,
    broker: BrokerId,
    spec: OffsetSpec,
    partitions: &[TopicPartitions],
) -> Vec<TopicRows<ListedPartition>> {
    let mut answer = Vec::new();
    for TopicPartitions { topic, partitions } in partitions {
        let mut rows = Vec::new();
        for id in partitions {
            let Ok(trouble) = asked.row() else { continue };
            let offset = match (trouble, asked.scene.cluster.partition(topic, id.0)) {
                (Some(code), _) => Err(code),
                (None, None) => Err(KafkaCode::UNKNOWN_TOPIC_OR_PARTITION),
                (None, Some(known)) if known.leader.now() != Some(broker) => Err(KafkaCode::NOT_LEADER_OR_FOLLOWER),
                (None, Some(known)) => Ok(known.log.now()),
            };
            if let Ok(log) = offset {
                let place = (topic.clone(), id.0);
                match spec {
                    OffsetSpec::Earliest => asked.news.push(News::Start(place, asked.told(topic, log.start))),
                    OffsetSpec::Latest => asked.news.push(News::End(place, asked.told(topic, log.end))),
                    OffsetSpec::LastStable => asked.news.push(News::StableEnd(place, asked.told(topic, log.end))),
                }
            }
            let value = offset.map(|log| if spec == OffsetSpec::Earliest { log.start } else { log.end });
            let offset = value.and_then(|value| Offset::new(value).ok_or(KafkaCode::LOCAL_NO_OFFSET));
            rows.push(ListedPartition { partition: *id, offset });
        }
        answer.push(TopicRows { topic: topic.clone(), rows });
    }
    answer
}

fn times(asked: &mut Asked<'_>, broker: BrokerId, times: &[TopicTimes]) -> Vec<TopicRows<TimedPartition>> {
    let mut answer = Vec::new();
    for TopicTimes { topic, partitions } in times {
        let mut rows = Vec::new();
        for (id, time) in partitions {
            let Ok(trouble) = asked.row() else { continue };
            let found = match (trouble, asked.scene.cluster.partition(topic, id.0)) {
                (Some(code), _) => Err(code),
                (None, None) => Err(KafkaCode::UNKNOWN_TOPIC_OR_PARTITION),
                (None, Some(known)) if known.leader.now() != Some(broker) => Err(KafkaCode::NOT_LEADER_OR_FOLLOWER),
                (None, Some(known)) => Ok(appended::first_since(&known.log, *time)),
            };
            rows.push(TimedPartition { partition: *id, found });
        }
        answer.push(TopicRows { topic: topic.clone(), rows });
    }
    answer
}

impl KafkaApi for ChaosKafka {
    async fn metadata(&self) -> Result<ClusterMetadata, KafkaError> {
        self.ask(Operation::Metadata, Target::Cluster, metadata).await
    }

    async fn describe_cluster(&self) -> Result<ClusterDescription, KafkaError> {
        let answer = |asked: &mut Asked<'_>, _| match asked.trouble() {
            Some(Trouble::Code(code)) => Err(code),
            _ => Ok(ClusterDescription { cluster_id: Some("chaos".into()), racks: Vec::new() }),
        };
        self.ask(Operation::DescribeCluster, Target::Cluster, answer).await
    }

    async fn describe_topics(&self, topics: &[Arc<str>]) -> Result<Vec<TopicDescription>, KafkaError> {
        let answer = |asked: &mut Asked<'_>, _| {
            let mut rows = Vec::new();
            for name in topics {
                let Ok(trouble) = asked.row() else { continue };
                let id = asked.scene.cluster.life(name).map(|life| Some(TopicId(life.id)));
                let id = trouble.map_or(id.ok_or(KafkaCode::UNKNOWN_TOPIC_OR_PARTITION), Err);
                if id.is_ok() {
                    let told = asked.told(name, 0);
                    asked.news.push(News::Id(name.clone(), told));
                }
                rows.push(TopicDescription { name: name.clone(), id });
            }
            Ok(rows)
        };
        self.ask(Operation::DescribeTopics, Target::Cluster, answer).await
    }

    async fn describe_configs(&self, topics: &[Arc<str>]) -> Result<Vec<DescribedSettings>, KafkaError> {
        let answer = |asked: &mut Asked<'_>, _| {
            let mut rows = Vec::new();
            for topic in topics {
                let Ok(trouble) = asked.row() else { continue };
                let known = asked.scene.cluster.life(topic).map(|_| default_settings());
                let settings = trouble.map_or(known.ok_or(KafkaCode::UNKNOWN_TOPIC_OR_PARTITION), Err);
                rows.push(DescribedSettings { topic: topic.clone(), settings: settings.map_err(NoSettings::Code) });
            }
            Ok(rows)
        };
        self.ask(Operation::DescribeConfigs, Target::Cluster, answer).await
    }

    async fn list_groups(&self, broker: BrokerId) -> Result<Vec<GroupListing>, KafkaError> {
        self.ask(Operation::ListGroups, Target::Broker(broker), list).await
    }

    async fn describe_groups(&self, coordinator: BrokerId, groups: &[Arc<str>]) -> Result<Vec<GroupReply>, KafkaError> {
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let answer = |asked: &mut Asked<'_>, broker| Ok(describe(asked, broker, groups));
        self.ask(Operation::DescribeGroups, Target::Broker(coordinator), answer).await
    }

    async fn committed_offsets(
        &self,
        coordinator: BrokerId,
        group: &Arc<str>,
        partitions: Option<&[TopicPartitions]>,
    ) -> Result<CommittedOffsets, KafkaError> {
        let answer = |asked: &mut Asked<'_>, broker| commits(asked, broker, group, partitions);
        self.ask(Operation::OffsetFetch, Target::Group(group.clone(), coordinator), answer).await
    }

    async fn list_offsets(
        &self,
        leader: BrokerId,
        spec: OffsetSpec,
        partitions: &[TopicPartitions],
    ) -> Result<Vec<TopicRows<ListedPartition>>, KafkaError> {
        let answer = |asked: &mut Asked<'_>, broker| Ok(offsets(asked, broker, spec, partitions));
        self.ask(Operation::ListOffsets, Target::Broker(leader), answer).await
    }

    async fn offsets_at(
        &self,
        leader: BrokerId,
        times: &[TopicTimes],
    ) -> Result<Vec<TopicRows<TimedPartition>>, KafkaError> {
        let answer = |asked: &mut Asked<'_>, broker| Ok(self::times(asked, broker, times));
        self.ask(Operation::ListOffsets, Target::Broker(leader), answer).await
    }
}
