//! The description of a cluster to start: brokers, topics with their past, groups with theirs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_protocol::protocol::StrBytes;

use super::error::SimError;
use super::fault::Loading;
use super::flow::{Flow, Retention, hash_name, millis, mix};
use super::group::{Group, GroupState, GroupType, Member, TopicCommits};
use super::model::Consumer;
use super::topic::BrokerIndex;
use super::world::{BrokerFacts, World};

/// More brokers than any cluster that we know of.
pub const MAX_BROKERS: usize = 1_000;
/// Partitions of one topic.
pub const MAX_PARTITIONS: usize = 200_000;
/// Members of one group.
pub const MAX_MEMBERS: usize = 10_000;
/// Consumers commit this often unless they say otherwise: Kafka's `auto.commit.interval.ms`.
const COMMIT_EVERY: Duration = Duration::from_secs(5);

/// A whole cluster.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The id that Metadata carries.
    pub cluster_id: String,
    /// At least one.
    pub brokers: Vec<BrokerSpec>,
    /// Created in this order.
    pub topics: Vec<TopicSpec>,
    /// Created after the topics.
    pub groups: Vec<GroupSpec>,
    /// Where the virtual clock starts, in milliseconds since the Unix epoch.
    pub start_ms: i64,
}

/// One broker.
#[derive(Clone, Debug)]
pub struct BrokerSpec {
    /// Its `node.id`, unique and not negative.
    pub id: i32,
    /// Its `broker.rack`.
    pub rack: Option<String>,
}

/// One topic.
#[derive(Clone, Debug)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: usize,
    /// Replication factor; more than there are brokers means all of them.
    pub replication: u16,
    /// Marked as internal in Metadata.
    pub internal: bool,
    /// What comes in, now and in the past.
    pub flow: Flow,
    /// What is kept.
    pub retention: Retention,
    /// Its `min.insync.replicas`.
    pub min_insync: u16,
    /// Whether its `cleanup.policy` is compact, rather than delete.
    pub is_compacted: bool,
    /// For how long the flow has been running when the cluster starts.
    pub history: Duration,
    /// The first offset of every partition at the beginning of the history.
    pub first_offset: i64,
    /// The flow ended when the cluster started: what came is there, and nothing more comes.
    pub has_ended: bool,
}

/// Where a group's commits stand when the cluster starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// It never committed.
    Nowhere,
    /// At the end: caught up.
    End,
    /// At the end as it was so long ago.
    Ago(Duration),
    /// So many records before the end, on each partition.
    Behind(u32),
}

/// One group.
#[derive(Clone, Debug)]
pub struct GroupSpec {
    /// Its `group.id`.
    pub name: String,
    /// The protocol of its members.
    pub group_type: GroupType,
    /// It assigns partitions for itself: empty protocol type, never a member.
    pub simple: bool,
    /// How many members.
    pub members: usize,
    /// What it reads.
    pub topics: Vec<String>,
    /// Where it starts.
    pub position: Position,
    /// How it goes on.
    pub consumer: Consumer,
    /// How often it commits.
    pub commit_every: Duration,
    /// Those of its topics that it does not read, as when all that it gets from them fails: its commits on them stay.
    pub left: Vec<String>,
    /// Where its commits on those are: so many records before the end, on each partition.
    pub left_behind: u32,
}

impl Spec {
    /// Brokers 1 to `brokers`, in `racks` racks named a, b, c …, no topics and no groups; the clock
    /// starts at the present.
    pub fn new(brokers: usize, racks: usize) -> Self {
        let broker = |i: usize| BrokerSpec { id: i32::try_from(i + 1).unwrap_or(i32::MAX), rack: rack(i, racks) };
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            cluster_id: "kafkascope-simulated".to_owned(),
            brokers: (0..brokers).map(broker).collect(),
            topics: Vec::new(),
            groups: Vec::new(),
            start_ms: millis(since_epoch),
        }
    }

    /// Adds a topic.
    #[must_use]
    pub fn topic(mut self, topic: TopicSpec) -> Self {
        self.topics.push(topic);
        self
    }

    /// Adds a group.
    #[must_use]
    pub fn group(mut self, group: GroupSpec) -> Self {
        self.groups.push(group);
        self
    }

    /// The facts that the cluster starts from. `ports` are the brokers' ports, in their order.
    pub(super) fn build(&self, host: &str, ports: &[u16]) -> Result<World, SimError> {
        self.check()?;
        let host = StrBytes::from_string(host.to_owned());
        let brokers = self.brokers.iter().zip(ports).map(|(broker, port)| BrokerFacts {
            id: broker.id,
            host: host.clone(),
            port: *port,
            rack: broker.rack.clone().map(StrBytes::from_string),
            up: true,
            listed: true,
            loading: Loading::Done,
        });
        let mut world = World::new(StrBytes::from_string(self.cluster_id.clone()), self.start_ms, brokers.collect());
        for topic in &self.topics {
            world.create_topic(topic)?;
        }
        for group in &self.groups {
            world.create_group(group)?;
        }
        Ok(world)
    }

    /// What [`World::create_topic`] and [`World::create_group`] do not see.
    pub(super) fn check(&self) -> Result<(), SimError> {
        let wrong = |what: String| Err(SimError::Spec(what));
        if self.brokers.is_empty() || self.brokers.len() > MAX_BROKERS {
            return wrong(format!("there must be 1 to {MAX_BROKERS} brokers, not {}", self.brokers.len()));
        }
        let mut ids: Vec<i32> = self.brokers.iter().map(|broker| broker.id).collect();
        ids.sort_unstable();
        if ids.first().is_some_and(|id| *id < 0) || ids.windows(2).any(|pair| pair.first() == pair.last()) {
            return wrong(format!("broker ids must differ and not be negative: {ids:?}"));
        }
        if let Some(topic) = self.topics.iter().find(|t| t.partitions == 0 || t.partitions > MAX_PARTITIONS) {
            return wrong(format!("topic {:?} must have 1 to {MAX_PARTITIONS} partitions", topic.name));
        }
        Ok(())
    }
}

fn rack(broker: usize, racks: usize) -> Option<String> {
    let letter = u8::try_from(broker.checked_rem(racks)?.min(25)).unwrap_or(0);
    Some(char::from(b'a' + letter).to_string())
}

impl TopicSpec {
    /// A topic with replication 3, an hour of history, everything kept, and first offset 0.
    pub fn new(name: &str, partitions: usize, flow: Flow) -> Self {
        Self {
            name: name.to_owned(),
            partitions,
            replication: 3,
            internal: false,
            flow,
            retention: Retention::Forever,
            min_insync: 1,
            is_compacted: false,
            history: Duration::from_secs(3_600),
            first_offset: 0,
            has_ended: false,
        }
    }

    /// An idle topic with nothing in it.
    pub fn empty(name: &str, partitions: usize) -> Self {
        Self { history: Duration::ZERO, ..Self::new(name, partitions, Flow::IDLE) }
    }
}

impl GroupSpec {
    /// A stable classic group that is caught up and follows a quarter of a second behind.
    pub fn new(name: &str, members: usize, topics: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            group_type: GroupType::Classic,
            simple: false,
            members,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            position: Position::End,
            consumer: Consumer::Follows { behind: Duration::from_millis(250) },
            commit_every: COMMIT_EVERY,
            left: Vec::new(),
            left_behind: 0,
        }
    }

    /// An empty group that stopped at `position`.
    pub fn stopped(name: &str, topics: &[&str], position: Position) -> Self {
        Self { position, consumer: Consumer::Stopped, ..Self::new(name, 0, topics) }
    }

    /// The group's facts in `world`.
    pub(super) fn build(&self, world: &World, coordinator: BrokerIndex) -> Result<Group, SimError> {
        if self.members > MAX_MEMBERS {
            return Err(SimError::Spec(format!("group {:?} may have {MAX_MEMBERS} members at most", self.name)));
        }
        let commits: Result<Vec<TopicCommits>, SimError> =
            self.topics.iter().filter_map(|topic| self.commits_on(world, topic).transpose()).collect();
        // Commits of different groups fall on different moments.
        let commit_every_ms = millis(self.commit_every).max(1);
        let spread = i64::try_from(hash_name(&self.name) >> 1).unwrap_or(0) % commit_every_ms;
        let with_members = self.members > 0 && !self.simple;
        Ok(Group {
            name: StrBytes::from_string(self.name.clone()),
            group_type: self.group_type,
            protocol_type: StrBytes::from_static_str(if self.simple { "" } else { "consumer" }),
            state: if with_members { GroupState::Stable } else { GroupState::Empty },
            assignor: StrBytes::from_static_str(match self.group_type {
                GroupType::Classic => "range",
                GroupType::Consumer => "uniform",
            }),
            generation: 1,
            coordinator,
            also_listed_by: Vec::new(),
            members: if with_members { members_of(&self.name, self.members) } else { Vec::new() },
            subscribed: self.topics.iter().map(|topic| interned(world, topic)).collect(),
            unassigned: Vec::new(),
            commits: commits?,
            consumer: self.consumer,
            commit_every_ms,
            last_commit_ms: world.now_ms() - spread,
        })
    }

    fn commits_on(&self, world: &World, name: &str) -> Result<Option<TopicCommits>, SimError> {
        let topic = world.topic(name).ok_or_else(|| SimError::NoTopic(name.to_owned()))?;
        let now_ms = world.now_ms();
        let is_left = self.left.iter().any(|left| left == name);
        let position = if is_left { Position::Behind(self.left_behind) } else { self.position };
        let offset = |partition: usize| {
            let end = topic.end_at(partition, now_ms);
            match position {
                Position::Ago(ago) => topic.end_at(partition, now_ms - millis(ago)),
                Position::Behind(records) => (end - i64::from(records)).max(0),
                Position::End | Position::Nowhere => end,
            }
        };
        let offsets = (0..topic.partitions()).map(offset).collect();
        let commits = TopicCommits { topic: topic.name.clone(), offsets, is_left };
        Ok((position != Position::Nowhere).then_some(commits))
    }
}

fn interned(world: &World, topic: &str) -> StrBytes {
    world.topic(topic).map_or_else(|| StrBytes::from_string(topic.to_owned()), |topic| topic.name.clone())
}

/// Members with ids, client ids and hosts that stay the same for a group and a number.
pub(super) fn members_of(group: &str, members: usize) -> Vec<Member> {
    let member = |i: usize| {
        let unique = mix(hash_name(group) ^ i as u64);
        Member {
            id: StrBytes::from_string(format!("{group}-{i}-{unique:016x}")),
            client_id: StrBytes::from_string(format!("{group}-{i}")),
            host: StrBytes::from_string(format!("/10.0.{}.{}", (unique >> 8) & 0xFF, i % 250 + 1)),
        }
    };
    (0..members.min(MAX_MEMBERS)).map(member).collect()
}
