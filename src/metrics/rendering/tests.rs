//! Whatever changes from rendering to rendering, the body is the one that is written from scratch; and what did not change
//! is not made again.

#![allow(clippy::unwrap_used, reason = "a broken fixture ends the test, as it should")]

use std::collections::HashMap;
use std::io::Read;
use std::num::NonZeroU64;
use std::sync::Arc;

use flate2::read::GzDecoder;
use proptest::collection::vec;
use proptest::prelude::*;

use super::lanes::{LANES, Of};
use super::{CompressedBody, Kind, Maker, Rendering, Work, needs_blocks};
use crate::derive::Snapshot;
use crate::metrics::catalogue::{ALL, Family};
use crate::metrics::exposition::{ClusterView, Exposition, Selection, View};
use crate::metrics::families::SOURCES;
use crate::metrics::pieces::{Assembly, Compressor, Encoding, Piece};
use crate::metrics::{ByPartition, ClusterSource, Shown};
use crate::model::{
    BrokerId, ClusterMetadata, CommittedOffsets, CommittedPartition, GroupDescription, GroupKind, GroupListing,
    GroupState, Instants, KafkaCode, ListedPartition, MaxAge, Moment, NamePredicate, Offset, OffsetSpec, PartitionId,
    PartitionMetadata, TopicAssignment, TopicMetadata, TopicRows, WallTime,
};
use crate::state::{Asked, Beside, Collectors, GroupLists, ReadAt, Scope, World};
use crate::track::{Named, TrackSettings, Tracker};

/// More topics and groups than a bucket holds in tests.
const TOPICS: usize = 16;
const GROUPS: usize = 12;
const PARTITIONS: usize = 2;
const MAX_AGE: MaxAge = MaxAge::from_secs(200);

/// What happens before something is published.
#[derive(Debug, Clone)]
enum Change {
    /// A topic comes or goes.
    Topic(usize),
    /// A group comes or goes.
    Group(usize),
    /// Records are appended.
    Produce(usize, i64),
    /// A group commits on a topic, so far from the end.
    Commit(usize, usize, i64),
    /// A group's members are another number.
    Describe(usize, u32),
    /// A partition of a topic loses its leader, or has it again.
    Leader(usize),
    /// Another part of the cluster is shown.
    Scope(usize),
}

/// What comes then.
#[derive(Debug, Clone)]
enum Then {
    /// What has changed is asked for and published, after so many seconds.
    Pass(u64),
    /// All is asked for.
    FullPass(u64),
    /// Nothing is asked for, but derived anew: values may have become too old.
    Derive(u64),
    /// A publishing tick; the clock may be set back.
    Tick(i64),
    /// The configuration changes: another label, and one of [`shown`].
    Reload(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => (0..TOPICS).prop_map(Change::Topic),
        1 => (0..GROUPS).prop_map(Change::Group),
        4 => (0..TOPICS, 1..50_i64).prop_map(|(topic, by)| Change::Produce(topic, by)),
        4 => (0..GROUPS, 0..TOPICS, 0..9_i64).prop_map(|(group, topic, behind)| Change::Commit(group, topic, behind)),
        1 => (0..GROUPS, 0..3_u32).prop_map(|(group, members)| Change::Describe(group, members)),
        1 => (0..TOPICS).prop_map(Change::Leader),
        1 => (0..4_usize).prop_map(Change::Scope),
    ]
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![
        6 => (1..60_u64).prop_map(Then::Pass),
        1 => (1..60_u64).prop_map(Then::FullPass),
        2 => (1..150_u64).prop_map(Then::Derive),
        3 => (-5..40_i64).prop_map(Then::Tick),
        1 => (0..5_usize).prop_map(Then::Reload),
    ]
}

/// A cluster, and what is known of it.
struct Told {
    world: World,
    tracker: Tracker,
    source: Arc<ClusterSource>,
    now: u64,
    topics: [bool; TOPICS],
    groups: [bool; GROUPS],
    ends: [i64; TOPICS],
    leaderless: [bool; TOPICS],
    commits: HashMap<(usize, usize), i64>,
    moved: Vec<usize>,
}

fn topic_name(topic: usize) -> Arc<str> {
    format!("topic-{topic:02}").into()
}

fn group_name(group: usize) -> Arc<str> {
    format!("group \"{group:02}\"").into()
}

impl Told {
    fn new() -> Self {
        let mut told = Self {
            world: World::new(Collectors::new(|_| true)),
            tracker: Tracker::new(TrackSettings::default()),
            source: Arc::new(ClusterSource::new(Some("one"), Vec::new())),
            now: 1,
            topics: std::array::from_fn(|topic| topic % 3 > 0),
            groups: std::array::from_fn(|group| group % 3 > 0),
            ends: [100; TOPICS],
            leaderless: [false; TOPICS],
            commits: HashMap::new(),
            moved: Vec::new(),
        };
        told.world.metadata_max_age = MAX_AGE;
        for (group, topic) in (0..GROUPS).flat_map(|group| (0..4).map(move |nth| (group, (group * 5 + nth) % TOPICS))) {
            told.commits.insert((group, topic), if group % 2 == 0 { 100 } else { 93 });
        }
        told.shape();
        (0..GROUPS).for_each(|group| told.describe(group, 1));
        told.then(&Then::FullPass(1));
        told
    }

    fn instants(&self) -> Instants {
        let wall = WallTime(1_700_000_000_000 + i64::try_from(self.now).unwrap() * 1000);
        Instants { moment: Moment(self.now * 1000), wall }
    }

    fn change(&mut self, change: &Change) {
        match *change {
            Change::Topic(topic) => {
                self.topics[topic] = !self.topics[topic];
                self.shape();
                self.moved.push(topic);
            }
            Change::Group(group) => {
                self.groups[group] = !self.groups[group];
                self.shape();
                self.moved.extend(0..TOPICS);
            }
            Change::Produce(topic, by) => {
                self.ends[topic] += by;
                self.moved.push(topic);
            }
            Change::Commit(group, topic, behind) => {
                self.commits.insert((group, topic), self.ends[topic] - behind);
                self.moved.push(topic);
            }
            Change::Describe(group, members) => self.describe(group, members),
            Change::Leader(topic) => {
                self.leaderless[topic] = !self.leaderless[topic];
                self.shape();
            }
            Change::Scope(nth) => {
                let beside = |broker| Scope::Beside(Beside::new(BrokerId(broker), [BrokerId(1), BrokerId(2)]));
                let scopes = [Scope::Cluster, beside(1), beside(2), Scope::Unplaced(None)];
                self.world.set_scope(scopes[nth].clone());
            }
        }
    }

    /// Tells twice who there is: what is missing once may come from a broker that lags behind.
    fn shape(&mut self) {
        let partition = |leaderless: bool, id: usize| PartitionMetadata {
            id: PartitionId::from_index(id).unwrap(),
            leader: (!leaderless || id > 0).then_some(BrokerId(if id == 0 { 1 } else { 2 })),
            replicas: vec![BrokerId(1)],
            in_sync: 1,
        };
        let topic = |topic: usize| TopicMetadata {
            name: topic_name(topic),
            error: KafkaCode::NONE,
            partitions: (0..PARTITIONS).map(|id| partition(self.leaderless[topic], id)).collect(),
        };
        let topics: Vec<TopicMetadata> = (0..TOPICS).filter(|at| self.topics[*at]).map(topic).collect();
        let listing =
            |group| GroupListing { group: group_name(group), state: GroupState::Stable, kind: GroupKind::Classic };
        let listed: Vec<GroupListing> = (0..GROUPS).filter(|at| self.groups[*at]).map(listing).collect();
        for _ in 0..2 {
            let metadata = ClusterMetadata { brokers: Vec::new(), topics: topics.clone() };
            self.world.apply_metadata(&metadata, |_| true, self.instants().moment);
            let lists = GroupLists { lists: vec![(BrokerId(1), listed.clone())], complete: true };
            self.world.groups.apply_lists(&lists, |_| true);
        }
        self.world.sweep_names();
    }

    fn describe(&mut self, group: usize, members: u32) {
        let assigned = |topic| TopicAssignment { topic: topic_name(topic), members, partitions: vec![PartitionId(0)] };
        let description = GroupDescription {
            group: group_name(group),
            state: GroupState::Stable,
            kind: GroupKind::Classic,
            protocol: "range".into(),
            is_simple: false,
            coordinator: BrokerId(0),
            members,
            assignment: (0..2).map(assigned).collect(),
        };
        self.world.apply_group_description(&description, MAX_AGE, self.instants().moment);
    }

    fn then(&mut self, then: &Then) {
        match *then {
            Then::Pass(after) => {
                self.now += after;
                let moved = std::mem::take(&mut self.moved);
                self.read(&moved);
            }
            Then::FullPass(after) => {
                self.now += after;
                self.shape();
                self.read(&(0..TOPICS).collect::<Vec<_>>());
            }
            Then::Derive(after) => {
                self.now += after;
                self.publish(false);
            }
            Then::Tick(after) => {
                let now = self.source.told_at(None);
                self.source.tick(WallTime(now.0.max(self.instants().wall.0) + after * 1000));
            }
            Then::Reload(nth) => {
                let mut source = ClusterSource::new(Some("one"), Vec::new());
                source.labels = vec![("shown".to_owned(), nth.to_string())];
                source.shown = shown(nth);
                let source = Arc::new(source);
                source.take_over(&self.source);
                self.source = source;
            }
        }
    }

    /// A pass over some topics.
    fn read(&mut self, topics: &[usize]) {
        self.world.round = self.world.round.next();
        let read = ReadAt { round: self.world.round, instants: self.instants() };
        let existing: Vec<usize> = topics.iter().copied().filter(|topic| self.topics[*topic]).collect();
        for (spec, is_end) in [(OffsetSpec::Earliest, false), (OffsetSpec::Latest, true)] {
            let rows = existing.iter().map(|topic| TopicRows {
                topic: topic_name(*topic),
                rows: (0..PARTITIONS)
                    .map(|id| ListedPartition {
                        partition: PartitionId::from_index(id).unwrap(),
                        offset: Offset::new(if is_end { self.ends[*topic] } else { 0 }).ok_or(KafkaCode::NONE),
                    })
                    .collect(),
            });
            let rows: Vec<_> = rows.collect();
            if is_end {
                self.read_commits(topics, read);
            }
            self.world.apply_offsets(spec, &rows, |_| MAX_AGE, read);
        }
        self.publish(true);
    }

    fn read_commits(&mut self, topics: &[usize], read: ReadAt) {
        for group in (0..GROUPS).filter(|group| self.groups[*group]) {
            let mut rows = Vec::new();
            for topic in 0..TOPICS {
                let Some(offset) = self.commits.get(&(group, topic)).filter(|_| topics.contains(&topic)) else {
                    continue;
                };
                let row = |id| CommittedPartition {
                    partition: PartitionId::from_index(id).unwrap(),
                    offset: Ok(Offset::new(*offset)),
                };
                rows.push(TopicRows { topic: topic_name(topic), rows: (0..PARTITIONS).map(row).collect() });
            }
            let answer = CommittedOffsets { topics: rows };
            let partitions: Vec<PartitionId> = (0..PARTITIONS).filter_map(PartitionId::from_index).collect();
            let named = topics
                .iter()
                .filter_map(|topic| Some((self.world.names.get(&topic_name(*topic))?, partitions.clone())));
            let mut named: Vec<_> = named.collect();
            named.sort_unstable();
            named.dedup();
            let asked = if topics.len() == TOPICS { Asked::Everything } else { Asked::Named(&named) };
            self.world.apply_commits(&group_name(group), &answer, asked, |_| true, &|_| MAX_AGE, read);
        }
    }

    fn views(&self) -> Vec<ClusterView> {
        views(std::slice::from_ref(&self.source))
    }

    fn publish(&mut self, observes: bool) {
        let previous = self.source.snapshot.load_full();
        let mut snapshot = Snapshot::derive(&self.world, previous.as_deref(), self.instants());
        if observes {
            snapshot.set_outlook(self.tracker.observe(&snapshot, &Named::Fresh));
        }
        self.source.publish(snapshot);
    }
}

/// How much is shown: everything, and less in several ways.
fn shown(nth: usize) -> Shown {
    let odd = || ByPartition::Named(NamePredicate::new(|name| name.contains(['1', '3', '5', '7', '9'])));
    match nth {
        0 => Shown { groups: ByPartition::None, ..Shown::default() },
        1 => Shown { groups: odd(), topics: odd(), ..Shown::default() },
        2 => Shown { drops_zero_lag: true, ..Shown::default() },
        // Some families are withheld, now more and now less.
        3 => Shown { max_series: NonZeroU64::new(700), ..Shown::default() },
        _ => Shown::default(),
    }
}

fn views(sources: &[Arc<ClusterSource>]) -> Vec<ClusterView> {
    sources.iter().map(ClusterView::of).collect()
}

/// The body that is written from scratch, of the very same snapshots and times.
fn whole(rendering: &Rendering, selection: &Selection) -> String {
    let view = View { clusters: rendering.views().collect(), selection: selection.clone(), ..View::default() };
    String::from_utf8(Exposition::new(view, rendering.kind().format).into_bytes()).unwrap()
}

fn body(rendering: &Arc<Rendering>, selection: &Selection) -> String {
    let kind = rendering.kind();
    let view = View { clusters: rendering.views().collect(), selection: selection.clone(), ..View::default() };
    let shown = (0..view.clusters.len()).collect();
    let mut compressor = Compressor::new(kind.encoding).unwrap();
    let mut body = CompressedBody::new(kind, view, Some(rendering.clone()), shown, &mut compressor).unwrap();
    let mut bytes = Vec::new();
    while let Some(next) = body.next_bytes().unwrap() {
        assert!(!next.is_empty());
        bytes.extend_from_slice(&next);
    }
    assert_eq!(body.next_bytes().unwrap(), None);
    plain(kind.encoding, &bytes)
}

fn plain(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Gzip => {
            let (mut text, mut rest) = (String::new(), bytes);
            GzDecoder::new(&mut rest).read_to_string(&mut text).unwrap();
            assert!(rest.is_empty());
            text
        }
        Encoding::Zstd => String::from_utf8(zstd::stream::decode_all(bytes).unwrap()).unwrap(),
    }
}

/// Every block's text and bytes, by cluster, lane, family and the first item of its bucket.
type Blocks = HashMap<(usize, usize, usize, Arc<str>), (String, Piece)>;

fn blocks(rendering: &Rendering) -> Blocks {
    let encoding = rendering.kind().encoding;
    let text = |piece: &Piece| {
        let mut assembly = Assembly::new(encoding);
        let head = assembly.head();
        assembly.push(piece).unwrap();
        plain(encoding, &[&head[..], piece.bytes(), &assembly.finish()].concat())
    };
    let mut found = HashMap::new();
    for (cluster, rendered) in rendering.clusters.iter().enumerate() {
        for (lane, buckets) in rendered.lanes.iter().enumerate() {
            for bucket in buckets.iter() {
                for (family, block) in bucket.content.blocks.iter().enumerate() {
                    let Some(block) = block else { continue };
                    let key = (cluster, lane, family, bucket.first.clone());
                    found.insert(key, (text(&block.piece), block.piece.clone()));
                }
            }
        }
    }
    found
}

fn is_same(one: &Piece, other: &Piece) -> bool {
    one.bytes().as_ptr() == other.bytes().as_ptr()
}

/// What did not change is the same bytes.
fn check_kept(before: &Rendering, after: &Rendering) {
    let before = blocks(before);
    for (key, (text, piece)) in blocks(after) {
        if let Some((_, same)) = before.get(&key).filter(|(was, _)| *was == text) {
            assert!(is_same(same, &piece), "{key:?} was compressed again: {text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn a_body_is_what_is_written_from_scratch(steps in vec((vec(change(), 0..4), then()), 1..14)) {
        let mut told = Told::new();
        let other = Told::new().source;
        let mut makers = Kind::ALL.map(|_| Maker::default());
        let mut last: [Option<Arc<Rendering>>; Kind::ALL.len()] = Default::default();
        for (changes, then) in [(Vec::new(), Then::Derive(0))].into_iter().chain(steps) {
            changes.iter().for_each(|change| told.change(change));
            told.then(&then);
            let sources = [told.source.clone(), other.clone()];
            for (kind, (maker, last)) in Kind::ALL.into_iter().zip(makers.iter_mut().zip(&mut last)) {
                let rendering = Arc::new(maker.make(kind, &views(&sources), last.as_deref()).unwrap());
                prop_assert!(rendering.is_of(&sources) && rendering.shows_the_latest() && rendering.is_told_now());
                let all = Selection::default();
                prop_assert_eq!(body(&rendering, &all), whole(&rendering, &all), "after {:?} and {:?}", changes, then);
                if let Some(last) = last.as_deref().filter(|last| last.is_of(&sources)) {
                    check_kept(last, &rendering);
                }
                *last = Some(rendering);
            }
        }
    }
}

const TEXT: Kind = Kind::ALL[0];

#[test]
fn where_nothing_moves_nothing_is_looked_at() {
    let mut told = Told::new();
    // Of a group that is behind the time lag would grow.
    told.commits.values_mut().for_each(|offset| *offset = 100);
    told.then(&Then::FullPass(15));
    let mut maker = Maker::default();
    let before = maker.make(TEXT, &told.views(), None).unwrap();
    assert!(maker.work().compressed > LANES.len());
    told.then(&Then::Derive(1));
    told.then(&Then::Tick(3));
    let after = maker.make(TEXT, &told.views(), Some(&before)).unwrap();
    assert_eq!(maker.work(), Work::default());
    let (before, after) = (blocks(&before), blocks(&after));
    assert_eq!(before.len(), after.len());
    assert!(before.iter().all(|(key, (_, piece))| is_same(piece, &after[key].1)));
}

#[test]
fn where_one_topic_moves_only_its_blocks_are_compressed() {
    let mut told = Told::new();
    told.then(&Then::FullPass(15));
    let mut maker = Maker::default();
    let before = maker.make(TEXT, &told.views(), None).unwrap();
    told.change(&Change::Produce(7, 5));
    told.then(&Then::Pass(15));
    let after = maker.make(TEXT, &told.views(), Some(&before)).unwrap();
    let compressed = maker.work().compressed;
    let (before, after) = (blocks(&before), blocks(&after));
    let changed: Vec<_> = after.iter().filter(|(key, (_, piece))| !is_same(piece, &before[*key].1)).collect();
    assert_eq!(changed.len(), compressed);
    let of_topics = changed.iter().filter(|((_, lane, ..), _)| LANES[*lane].of == Of::Topic);
    let names: Vec<&str> = of_topics
        .map(|((_, lane, family, _), (text, _))| {
            assert!(text.contains("\"topic-07\""), "{text}");
            SOURCES[LANES[*lane].sources[*family]].0.name
        })
        .collect();
    assert!(names.contains(&"kafka_topic_partition_current_offset"), "{names:?}");
    assert!(!names.contains(&"kafka_topic_partition_oldest_offset"), "{names:?}");
    assert!(changed.len() < after.len() / 2, "{} of {}", changed.len(), after.len());
}

#[test]
fn a_selection_takes_its_families_only_and_may_need_no_blocks() {
    let told = Told::new();
    let rendering = Arc::new(Maker::default().make(TEXT, &told.views(), None).unwrap());
    let mut names: Vec<&'static str> = ALL.iter().map(|family| Family::collector(family)).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let selection = Selection { collectors: vec![name] };
        assert_eq!(body(&rendering, &selection), whole(&rendering, &selection), "{name}");
        assert_eq!(needs_blocks(&selection), !matches!(name, "brokers" | "exporter"), "{name}");
    }
}

#[test]
fn before_the_first_snapshot_there_is_a_body() {
    let source = Arc::new(ClusterSource::new(None, Vec::new()));
    for kind in Kind::ALL {
        let rendering = Arc::new(Maker::default().make(kind, &views(std::slice::from_ref(&source)), None).unwrap());
        let all = Selection::default();
        assert_eq!(body(&rendering, &all), whole(&rendering, &all));
    }
}
