//! What `kafkascope_state_bytes` says is what the allocator was asked for: worlds of several shapes are polled, derived and
//! remembered in a process of their own, in which nothing else allocates, and taken apart again.

use std::fmt;
use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafkascope::collect::{CallLimits, Clock, GroupScope, PollSettings, Poller, ScopeRule, TopicScope};
use kafkascope::derive::Snapshot;
use kafkascope::kafka::{
    CommitFeed, CommitKey, FeedHealth, GroupReply, KafkaApi, KafkaError, OffsetsRecord, PartitionHealth,
};
use kafkascope::metrics::ClusterSource;
use kafkascope::metrics::exposition::{ClusterView, View};
use kafkascope::metrics::pieces::Compressor;
use kafkascope::metrics::rendering::{CompressedBody, Kind, Maker};
use kafkascope::model::{
    Broker, BrokerId, Cleanup, ClusterDescription, ClusterMetadata, CommittedOffsets, CommittedPartition,
    DescribedSettings, GroupDescription, GroupKind, GroupListing, GroupState, Instants, KafkaCode, ListedPartition,
    Moment, NamePredicate, Offset, OffsetSpec, PartitionId, PartitionMetadata, Retention, StateBytes, StatePart,
    StreamState, TimedPartition, TopicAssignment, TopicDescription, TopicMetadata, TopicPartitions, TopicRows,
    TopicSettings, TopicTimes, WallTime,
};
use kafkascope::schedule::{BoundsRules, Budget, Rhythm, Rules};
use kafkascope::state::CollectorName;
use kafkascope::track::{Named, TrackSettings, Tracker};

use crate::HEAP;
use crate::process::mortal;

/// Set for the process that measures.
const MEASURES: &str = "KAFKASCOPE_TEST_STATE_BYTES";
/// A part of what was measured by which a figure may be off.
const TOLERANCE: f64 = 0.02;
/// The same where commits wait in trees: how full their nodes are cannot be told.
const TOLERANCE_OF_TREES: f64 = 0.1;
/// And bytes besides: what a structure takes that is there once.
const CONSTANT: usize = 4 * 1024;
const BROKER: BrokerId = BrokerId(1);
const PASSES: usize = 14;
const PERIOD_MS: u64 = 30_000;

/// A cluster's size and how it behaves.
#[derive(Debug, Clone, Copy)]
struct Shape {
    name: &'static str,
    topics: usize,
    partitions: i32,
    groups: usize,
    /// Topics that a group commits on.
    topics_of_a_group: usize,
    /// How far behind groups are.
    lag: i64,
    /// Of ten topics so many move.
    moving: usize,
    /// Whether members hold all that is committed on.
    members: bool,
    sample: Option<usize>,
    /// Whether commits are read from `__consumer_offsets`, too.
    streams: bool,
    /// Of the topics.
    long_names: bool,
}

const PLAIN: Shape = Shape {
    name: "few large groups, caught up",
    topics: 200,
    partitions: 10,
    groups: 10,
    topics_of_a_group: 150,
    lag: 0,
    moving: 1,
    members: false,
    sample: None,
    streams: false,
    long_names: false,
};

const SHAPES: [Shape; 8] = [
    PLAIN,
    Shape { name: "many small groups", groups: 1500, topics_of_a_group: 2, topics: 50, ..PLAIN },
    Shape { name: "all behind, everything moves", lag: 1000, moving: 10, ..PLAIN },
    Shape { name: "all behind, nothing moves", lag: 1000, moving: 0, ..PLAIN },
    Shape { name: "members", members: true, ..PLAIN },
    Shape { name: "sampled", sample: Some(3), ..PLAIN },
    Shape {
        name: "topics and hardly a group",
        groups: 1,
        topics_of_a_group: 1,
        topics: 3000,
        long_names: true,
        ..PLAIN
    },
    Shape { name: "streamed", streams: true, lag: 10, moving: 10, groups: 40, topics_of_a_group: 40, ..PLAIN },
];

/// The cluster, on a clock that the test turns.
struct Cluster {
    shape: Shape,
    topics: Vec<Arc<str>>,
    groups: Mutex<Vec<Arc<str>>>,
    now: AtomicU64,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shape.name)
    }
}

impl Cluster {
    fn new(shape: Shape) -> Arc<Self> {
        let tail = if shape.long_names { "-of-the-department-of-long-names-that-nobody-can-remember" } else { "" };
        Arc::new(Self {
            shape,
            topics: (0..shape.topics).map(|topic| format!("topic-{topic:05}{tail}").into()).collect(),
            groups: Mutex::new((0..shape.groups).map(|group| format!("group-{group:05}").into()).collect()),
            now: AtomicU64::new(1_000_000),
        })
    }

    fn groups(&self) -> Vec<Arc<str>> {
        self.groups.lock().expect("the groups").clone()
    }

    fn place(&self, topic: &str) -> usize {
        self.topics.binary_search_by(|name| name.as_ref().cmp(topic)).expect("a topic of the cluster")
    }

    fn end(&self, topic: &str) -> i64 {
        let moves = self.place(topic) % 10 < self.shape.moving;
        let passed = i64::try_from(self.now.load(Ordering::Relaxed) / PERIOD_MS).expect("soon");
        10_000 + if moves { passed * 100 } else { 0 }
    }

    /// The topics that a group commits on.
    fn topics_of(&self, group: &str) -> Vec<Arc<str>> {
        let first: usize = group["group-".len()..].parse().expect("a group of the cluster");
        let mut topics: Vec<_> = (first..first + self.shape.topics_of_a_group)
            .map(|at| self.topics[at % self.topics.len()].clone())
            .collect();
        topics.sort();
        topics
    }

    fn ids(&self) -> impl Iterator<Item = PartitionId> + use<> {
        (0..self.shape.partitions).map(PartitionId)
    }

    fn committed(&self, topic: &str) -> Offset {
        offset(self.end(topic) - self.shape.lag)
    }
}

fn offset(value: i64) -> Offset {
    Offset::new(value).expect("a positive offset")
}

/// The text as an answer has it: a copy of its own.
fn copy(text: &Arc<str>) -> Arc<str> {
    Arc::from(text.as_ref())
}

type Told<T> = std::future::Ready<Result<T, KafkaError>>;

fn told<T>(answer: T) -> Told<T> {
    ready(Ok(answer))
}

impl KafkaApi for Cluster {
    fn metadata(&self) -> impl Future<Output = Result<ClusterMetadata, KafkaError>> + Send {
        let placed = |id| PartitionMetadata { id, leader: Some(BROKER), replicas: vec![BROKER], in_sync: 1 };
        let topic = |name: &Arc<str>| TopicMetadata {
            name: copy(name),
            error: KafkaCode::NONE,
            partitions: self.ids().map(placed).collect(),
        };
        told(ClusterMetadata {
            brokers: vec![Broker { id: BROKER, host: "broker".into(), port: 9092 }],
            topics: self.topics.iter().map(topic).collect(),
        })
    }

    fn describe_cluster(&self) -> impl Future<Output = Result<ClusterDescription, KafkaError>> + Send {
        told(ClusterDescription { cluster_id: Some("cluster".into()), racks: vec![(BROKER, "rack".into())] })
    }

    fn describe_topics(
        &self,
        topics: &[Arc<str>],
    ) -> impl Future<Output = Result<Vec<TopicDescription>, KafkaError>> + Send {
        told(topics.iter().map(|name| TopicDescription { name: copy(name), id: Ok(None) }).collect())
    }

    fn describe_configs(
        &self,
        topics: &[Arc<str>],
    ) -> impl Future<Output = Result<Vec<DescribedSettings>, KafkaError>> + Send {
        let settings = TopicSettings {
            retention: Retention::For(Duration::from_secs(3600)),
            retention_bytes: None,
            min_insync_replicas: 1,
            cleanup: Cleanup { delete: true, compact: false },
            is_tiered: false,
        };
        let of = |name: &Arc<str>| DescribedSettings { topic: copy(name), settings: Ok(settings.clone()) };
        told(topics.iter().map(of).collect())
    }

    fn list_groups(&self, _: BrokerId) -> impl Future<Output = Result<Vec<GroupListing>, KafkaError>> + Send {
        let state = if self.shape.members { GroupState::Stable } else { GroupState::Empty };
        let listing = |group: &Arc<str>| GroupListing { group: copy(group), state, kind: GroupKind::Classic };
        told(self.groups().iter().map(listing).collect())
    }

    fn describe_groups(
        &self,
        coordinator: BrokerId,
        groups: &[Arc<str>],
    ) -> impl Future<Output = Result<Vec<GroupReply>, KafkaError>> + Send {
        let is_held = self.shape.members;
        let describe = |group: &Arc<str>| {
            let held = |topic| TopicAssignment { topic, members: 1, partitions: self.ids().collect() };
            let assignment = if is_held { self.topics_of(group).into_iter().map(held).collect() } else { Vec::new() };
            let description = GroupDescription {
                group: copy(group),
                state: if is_held { GroupState::Stable } else { GroupState::Empty },
                kind: GroupKind::Classic,
                protocol: "range".into(),
                is_simple: false,
                coordinator,
                members: u32::from(is_held),
                assignment,
            };
            GroupReply { group: copy(group), description: Ok(description) }
        };
        told(groups.iter().map(describe).collect())
    }

    fn committed_offsets(
        &self,
        _: BrokerId,
        group: &Arc<str>,
        partitions: Option<&[TopicPartitions]>,
    ) -> impl Future<Output = Result<CommittedOffsets, KafkaError>> + Send {
        let asked: Vec<(Arc<str>, Vec<PartitionId>)> = match partitions {
            Some(named) => named.iter().map(|topic| (copy(&topic.topic), topic.partitions.clone())).collect(),
            None => self.topics_of(group).iter().map(|topic| (copy(topic), self.ids().collect())).collect(),
        };
        let rows = |(topic, ids): (Arc<str>, Vec<PartitionId>)| {
            let committed = Ok(Some(self.committed(&topic)));
            let rows = ids.into_iter().map(|partition| CommittedPartition { partition, offset: committed }).collect();
            TopicRows { topic, rows }
        };
        told(CommittedOffsets { topics: asked.into_iter().map(rows).collect() })
    }

    fn list_offsets(
        &self,
        _: BrokerId,
        spec: OffsetSpec,
        partitions: &[TopicPartitions],
    ) -> impl Future<Output = Result<Vec<TopicRows<ListedPartition>>, KafkaError>> + Send {
        let rows = |asked: &TopicPartitions| {
            let value = if spec == OffsetSpec::Earliest { 0 } else { self.end(&asked.topic) };
            let row = |partition: &PartitionId| ListedPartition { partition: *partition, offset: Ok(offset(value)) };
            TopicRows { topic: copy(&asked.topic), rows: asked.partitions.iter().map(row).collect() }
        };
        told(partitions.iter().map(rows).collect())
    }

    fn offsets_at(
        &self,
        _: BrokerId,
        _: &[TopicTimes],
    ) -> impl Future<Output = Result<Vec<TopicRows<TimedPartition>>, KafkaError>> + Send {
        told(Vec::new())
    }
}

/// The cluster's clock.
#[derive(Clone)]
struct Watch(Arc<Cluster>);

impl Clock for Watch {
    fn now(&self) -> Instants {
        let now = self.0.now.load(Ordering::Relaxed);
        let wall = WallTime(1_700_000_000_000 + i64::try_from(now).expect("soon"));
        Instants { moment: Moment(now), wall }
    }
}

/// Commits of all groups, again and again; reading them is never complete, so that they wait.
#[derive(Debug)]
struct Feed(Arc<Cluster>);

impl CommitFeed for Feed {
    fn health(&self) -> FeedHealth {
        let health = PartitionHealth {
            state: StreamState::Streaming,
            position: None,
            high_watermark: None,
            complete_age: None,
            stuck_for: None,
        };
        FeedHealth { life: 1, partitions: vec![health; 50], failure: None, undecodable: 0 }
    }

    fn take(&self) -> Vec<OffsetsRecord> {
        let cluster = &self.0;
        let mut records = Vec::new();
        for group in cluster.groups() {
            for topic in cluster.topics_of(&group) {
                records.extend(cluster.ids().map(|partition| OffsetsRecord::Commit {
                    key: CommitKey { group: copy(&group), topic: copy(&topic), partition },
                    offset: cluster.committed(&topic),
                    at: Watch(cluster.clone()).now().wall,
                }));
            }
        }
        records
    }
}

fn settings(cluster: &Arc<Cluster>) -> PollSettings {
    let shape = cluster.shape;
    PollSettings {
        scope_rule: ScopeRule::Cluster,
        topics: TopicScope {
            names: NamePredicate::everything(),
            sample_partitions: shape.sample.and_then(|sample| sample.try_into().ok()),
        },
        groups: GroupScope {
            names: NamePredicate::everything(),
            states: Vec::new(),
            read_committed: NamePredicate::nothing(),
        },
        collectors: CollectorName::ALL.to_vec(),
        limit: CallLimits::new(64).join(),
        breaker_seed: 1,
        cpu: Arc::default(),
        rules: Rules {
            fixed: None,
            bounds: BoundsRules::default(),
            budget: Budget { requests_per_second_per_broker: 1e9, cpu: 1.0 },
        },
        commit_feed: shape.streams.then(|| Arc::new(Feed(cluster.clone())) as Arc<dyn CommitFeed>),
    }
}

/// What is measured: a poller with its snapshot and its memory.
struct State {
    cluster: Arc<Cluster>,
    poller: Poller<Cluster, Watch>,
    tracker: Tracker,
    last: Option<Arc<Snapshot>>,
}

impl State {
    fn new(cluster: &Arc<Cluster>) -> Self {
        let poller = Poller::new(cluster.clone(), Watch(cluster.clone()), settings(cluster), None);
        Self { cluster: cluster.clone(), poller, tracker: Tracker::new(TrackSettings::default()), last: None }
    }

    async fn pass(&mut self) {
        self.cluster.now.fetch_add(PERIOD_MS, Ordering::Relaxed);
        let next = self.poller.next_tick(&Rhythm::default());
        self.cluster.now.fetch_max(next.0, Ordering::Relaxed);
        let report = self.poller.tick().await;
        assert_eq!(report.errors, [], "{}", self.cluster.shape.name);
        // Some come in while the pass lasts: they wait for the next one.
        self.poller.drain_stream();
        self.poller.take_commit_events();
        let now = Watch(self.cluster.clone()).now();
        let mut snapshot = Snapshot::derive(self.poller.world(), self.last.as_deref(), now);
        snapshot.set_outlook(self.tracker.observe(&snapshot, &Named::Fresh));
        self.last = Some(Arc::new(snapshot));
    }

    fn bytes(&self) -> StateBytes {
        let snapshot = self.last.as_ref().expect("a snapshot").state_bytes();
        self.poller.state_bytes().plus(snapshot).plus(self.tracker.state_bytes())
    }

    /// Lets go of everything, piece by piece, and compares what that gives back with what was said of it.
    fn take_apart(self, failures: &mut Vec<String>) {
        let (said, shape) = (self.bytes(), self.cluster.shape);
        let Self { poller, tracker, last, .. } = self;
        compare_rendering(shape, last.as_ref().expect("a snapshot"), failures);
        let own = poller.state_bytes();
        let full = HEAP.current_usage();
        drop(poller);
        let without_poller = HEAP.current_usage();
        drop(tracker);
        let without_tracker = HEAP.current_usage();
        let mut snapshot = Arc::into_inner(last.expect("a snapshot")).expect("nobody else has it");
        snapshot.set_outlook(Arc::default());
        let without_outlook = HEAP.current_usage();
        drop(snapshot);
        let parts = |parts: &[StatePart]| parts.iter().map(|part| said.get(*part)).sum::<usize>();
        let schedule = [StatePart::Schedule, StatePart::Stream];
        let lists = own.total() - own.get(StatePart::Schedule) - own.get(StatePart::Stream);
        compare(shape, "poller", parts(&schedule) + lists, full - without_poller, failures);
        let memory = [StatePart::History, StatePart::Verdicts];
        compare(shape, "tracker", parts(&memory), without_poller - without_tracker, failures);
        compare(shape, "outlook", parts(&[StatePart::Outlook]), without_tracker - without_outlook, failures);
        let facts = [StatePart::Names, StatePart::Topics, StatePart::Groups, StatePart::Lags];
        compare(shape, "snapshot", parts(&facts) - lists, without_outlook - HEAP.current_usage(), failures);
    }
}

/// What is kept ready of a snapshot's scrapes, once it was sent.
fn compare_rendering(shape: Shape, snapshot: &Arc<Snapshot>, failures: &mut Vec<String>) {
    let source = Arc::new(ClusterSource::new(None, Vec::new()));
    source.snapshot.store(Some(snapshot.clone()));
    for kind in [Kind::ALL[0], Kind::ALL[3]] {
        let mut maker = Maker::default();
        let mut make = || Arc::new(maker.make(kind, &[ClusterView::of(&source)], None).expect("a rendering"));
        // Once for what is set up once.
        drop(make());
        let rendering = make();
        let view = View { clusters: rendering.views().collect(), ..View::default() };
        let mut compressor = Compressor::new(kind.encoding).expect("a compressor");
        let body = CompressedBody::new(kind, view, Some(rendering.clone()), vec![0], &mut compressor);
        let mut body = body.expect("a body");
        while body.next_bytes().expect("of one encoding").is_some() {}
        drop((body, compressor));
        let (said, full) = (rendering.heap_bytes(), HEAP.current_usage());
        assert_eq!(rendering.heap_bytes_of(&source), said);
        drop(rendering);
        compare(shape, "rendering", said, full - HEAP.current_usage(), failures);
    }
}

#[expect(clippy::cast_precision_loss, reason = "megabytes")]
#[expect(clippy::print_stdout, reason = "the test above reads what was measured")]
fn compare(shape: Shape, what: &str, said: usize, measured: usize, failures: &mut Vec<String>) {
    let tolerance = if shape.streams { TOLERANCE_OF_TREES } else { TOLERANCE };
    let (allowed, shape) = (measured as f64 * tolerance + CONSTANT as f64, shape.name);
    println!("{shape}: {what}: {said} bytes, {measured} by the allocator");
    if said.abs_diff(measured) as f64 > allowed {
        failures.push(format!("{shape}: {what}: {said} bytes are said, the allocator gave {measured}"));
    }
}

async fn measure(shape: Shape, failures: &mut Vec<String>) {
    let cluster = Cluster::new(shape);
    let empty = HEAP.current_usage();
    let mut state = State::new(&cluster);
    for pass in 0..PASSES {
        state.pass().await;
        if [0, 1, PASSES - 1].contains(&pass) {
            let what = format!("after {} passes", pass + 1);
            compare(shape, &what, state.bytes().total(), HEAP.current_usage() - empty, failures);
        }
    }
    let before = state.bytes();
    let half = shape.groups / 2;
    cluster.groups.lock().expect("the groups").truncate(half);
    for _ in 0..6 {
        state.pass().await;
    }
    let left = state.last.as_ref().expect("a snapshot").groups.len();
    assert_eq!(left, half, "{}: the groups that are left", shape.name);
    let after = state.bytes();
    compare(shape, "half of the groups", after.total(), HEAP.current_usage() - empty, failures);
    for part in [StatePart::Groups, StatePart::Lags, StatePart::Verdicts, StatePart::Outlook] {
        // Of these half is gone, but for tables that keep their room.
        if shape.groups > 1 && after.get(part) * 10 > before.get(part) * 7 {
            failures.push(format!(
                "{}: {} takes {} bytes with half of the groups, and took {}",
                shape.name,
                part.as_str(),
                after.get(part),
                before.get(part)
            ));
        }
    }
    state.take_apart(failures);
}

#[test]
fn what_the_state_is_said_to_take_is_what_the_allocator_gave() {
    let mut command = mortal(std::env::current_exe().expect("this test"));
    command.args(["--exact", "state_bytes::measures", "--ignored", "--nocapture", "--test-threads=1"]);
    let output = command.env(MEASURES, "1").output().expect("a process that measures");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for shape in SHAPES {
        assert!(text.contains(&format!("{}: snapshot: ", shape.name)), "{} was not measured:\n{text}", shape.name);
    }
}

#[test]
#[ignore = "the test above runs this in a process of its own"]
fn measures() {
    std::env::var_os(MEASURES).expect("run by the test above: beside other tests nothing could be counted");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut failures = Vec::new();
    for shape in SHAPES {
        runtime.block_on(measure(shape, &mut failures));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
