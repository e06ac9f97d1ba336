//! The whole exposition in steps: family outermost, clusters inside, then topics or groups one at a time.

use std::ops::Range;
use std::sync::Arc;

use super::samples::Unwritten;
use super::{Digest, Format, Labels, RegistryFamilies, Samples};
use crate::derive::{Extent, Snapshot, Standing, Terms};
use crate::metrics::catalogue::Family;
use crate::metrics::families::{SOURCES, Source, TopicItem};
use crate::metrics::{ClusterSource, limit};
use crate::model::{ConnectionStats, WallTime};
use crate::schedule::Schedule;
use crate::state::{TopicIx, TopicTable};

/// One cluster as one scrape sees it: the handles are copied once, and what they hold never changes.
#[derive(Debug)]
pub struct ClusterView {
    /// The cluster.
    pub source: Arc<ClusterSource>,
    /// Its snapshot; `None` before the first.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Its connections.
    pub connections: Arc<ConnectionStats>,
    /// How often what is asked for.
    pub schedule: Arc<Schedule>,
    /// The time of this view: what grows with the clock is told as of it.
    pub now: WallTime,
    /// On what terms the snapshot is shown.
    pub terms: Terms,
    kafka_labels: Labels,
    exporter_labels: Labels,
}

impl ClusterView {
    /// Copies the handles of a cluster.
    #[must_use]
    pub fn of(source: &Arc<ClusterSource>) -> Self {
        Self::with(source, source.snapshot.load_full())
    }

    /// The same with another snapshot than the published one.
    pub(in crate::metrics) fn with(source: &Arc<ClusterSource>, snapshot: Option<Arc<Snapshot>>) -> Self {
        let now = source.told_at(snapshot.as_deref());
        Self::at(source, snapshot, now)
    }

    /// The view of a snapshot of a cluster at a time.
    #[must_use]
    pub fn at(source: &Arc<ClusterSource>, snapshot: Option<Arc<Snapshot>>, now: WallTime) -> Self {
        Self {
            source: source.clone(),
            now,
            terms: snapshot.as_deref().map(|snapshot| snapshot.detail.terms).unwrap_or_default(),
            snapshot,
            connections: source.connections.load_full(),
            schedule: source.schedule.load_full(),
            kafka_labels: Labels::new(source.name.as_deref(), &source.labels),
            exporter_labels: Labels::new(source.name.as_deref(), &[]),
        }
    }

    fn labels(&self, family: &Family) -> &Labels {
        if family.has_constant_labels() { &self.kafka_labels } else { &self.exporter_labels }
    }

    /// Writes a block: one family, by its place in [`SOURCES`], over a run of topics or groups, without a head.
    pub fn write_block(&self, block: &Block, format: Format, prefix: &mut Vec<u8>, out: &mut Vec<u8>) {
        self.block(block, format, prefix, out, None);
    }

    /// What tells a block from every other text that it might have. Much cheaper than writing it.
    #[must_use]
    pub fn digest_block(&self, block: &Block) -> Digest {
        let mut digest = Digest::default();
        self.block(block, Format::Text, &mut Vec::new(), &mut Vec::new(), Some(&mut digest));
        digest
    }

    fn block(
        &self,
        block: &Block,
        format: Format,
        prefix: &mut Vec<u8>,
        out: &mut Vec<u8>,
        digest: Option<&mut Digest>,
    ) {
        let Some((family, source)) = SOURCES.get(block.source).filter(|(family, _)| self.shows(family)) else { return };
        let mut no_head = false;
        let samples = Samples::new(family, format, &mut no_head, self.labels(family), prefix, out);
        let mut samples = match digest {
            Some(digest) => samples.digesting(digest),
            None => samples,
        };
        write_items(self, source, block.places.clone(), &mut samples);
    }

    /// Whether a family is exported for this cluster: its collectors are on, and it is neither finer than asked for nor
    /// withheld.
    #[must_use]
    pub fn shows(&self, family: &Family) -> bool {
        let is_on = |collector| self.source.collectors.contains(&collector);
        let needed = [family.origin.collector, family.origin.also_needs];
        let extent = if family.is_of_groups() { self.terms.groups } else { self.terms.topics };
        let has_partitions = || extent != Extent::None && !limit::is_withheld(family, self.terms.withheld);
        needed.into_iter().flatten().all(is_on) && (!family.is_per_partition() || has_partitions())
    }
}

/// A part of the exposition: one family of one cluster over a run of topics or groups. It depends on nothing outside of
/// these.
#[derive(Debug, Clone)]
pub struct Block {
    /// The family's place in [`SOURCES`].
    pub source: usize,
    /// The places of the topics in the order of their names, or of the groups.
    pub places: Range<usize>,
}

/// Which collectors' families are asked for; empty: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Names of collectors, or `exporter`.
    pub collectors: Vec<&'static str>,
}

impl Selection {
    /// Whether a family is asked for.
    #[must_use]
    pub fn includes(&self, family: &Family) -> bool {
        self.collectors.is_empty() || self.collectors.contains(&family.collector())
    }
}

/// Everything that one scrape shows.
#[derive(Debug, Default)]
pub struct View {
    /// The clusters, in the order of the configuration.
    pub clusters: Vec<ClusterView>,
    /// The exporter's own families.
    pub own: RegistryFamilies,
    /// The values of `process_…`.
    pub process: Vec<(&'static Family, f64)>,
    /// What of all this was asked for.
    pub selection: Selection,
}

/// Where the next step begins.
#[derive(Debug, Clone, Copy, Default)]
struct Cursor {
    source: usize,
    cluster: usize,
    item: usize,
}

/// An exposition on its way out. Memory: one chunk and the one topic or group that ends it, whatever the size of the whole.
#[derive(Debug)]
pub struct Exposition {
    view: View,
    format: Format,
    at: Cursor,
    head_is_due: bool,
    prefix: Vec<u8>,
    no_labels: Labels,
    is_done: bool,
}

impl Exposition {
    /// The exposition of a view, from its beginning.
    #[must_use]
    pub fn new(view: View, format: Format) -> Self {
        Self {
            view,
            format,
            at: Cursor::default(),
            head_is_due: true,
            prefix: Vec::new(),
            no_labels: Labels::default(),
            is_done: false,
        }
    }

    /// Appends what comes next, until `out` holds `enough` bytes or a little more. Returns whether there is more.
    pub fn next_chunk(&mut self, out: &mut Vec<u8>, enough: usize) -> bool {
        while !self.is_done && out.len() < enough {
            self.step(out);
        }
        !self.is_done
    }

    /// Appends some families, by their places in [`SOURCES`]; what ends the body, where these are the last ones.
    pub fn write_families(&mut self, sources: Range<usize>, out: &mut Vec<u8>) {
        self.at = Cursor { source: sources.start, ..Cursor::default() };
        self.head_is_due = true;
        self.is_done = false;
        let is_end = sources.end == SOURCES.len();
        while !self.is_done && (is_end || self.at.source < sources.end) {
            self.step(out);
        }
    }

    /// All of it at once: for tests, `snapshot` and the like.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.next_chunk(&mut out, usize::MAX);
        out
    }

    /// Writes one topic or group of one family, or moves on to the next cluster or family.
    fn step(&mut self, out: &mut Vec<u8>) {
        let Some((family, source)) = SOURCES.get(self.at.source) else {
            out.extend_from_slice(self.format.trailer());
            self.is_done = true;
            return;
        };
        let clusters = if source.is_per_cluster() { self.view.clusters.len() } else { 1 };
        if self.at.cluster >= clusters || !self.view.selection.includes(family) {
            self.at = Cursor { source: self.at.source + 1, ..Cursor::default() };
            self.head_is_due = true;
            return;
        }
        let items = self.view.clusters.get(self.at.cluster).map_or(1, |cluster| items(cluster, family, source));
        let items = if source.is_per_cluster() { items } else { 1 };
        if self.at.item >= items {
            self.at = Cursor { cluster: self.at.cluster + 1, item: 0, ..self.at };
            return;
        }
        self.write(family, source, out);
        self.at.item += 1;
    }

    fn write(&mut self, family: &'static Family, source: &Source, out: &mut Vec<u8>) {
        let cluster = self.view.clusters.get(self.at.cluster).filter(|_| source.is_per_cluster());
        let labels = cluster.map_or(&self.no_labels, |cluster| cluster.labels(family));
        let mut samples = Samples::new(family, self.format, &mut self.head_is_due, labels, &mut self.prefix, out);
        match cluster {
            Some(cluster) => write_items(cluster, source, self.at.item..self.at.item + 1, &mut samples),
            None => write_own(&self.view, source, &mut samples),
        }
    }
}

/// How many steps a family has in a cluster.
fn items(cluster: &ClusterView, family: &Family, source: &Source) -> usize {
    if !cluster.shows(family) {
        return 0;
    }
    let snapshot = cluster.snapshot.as_deref();
    match source {
        Source::Cluster(_) => 1,
        Source::Topic(_) => snapshot.map_or(0, |snapshot| snapshot.world.topic_order.len()),
        Source::Group(_) | Source::Standing(_) | Source::Outlook(_) => {
            snapshot.map_or(0, |snapshot| snapshot.groups.len())
        }
        Source::Registry | Source::Process => 0,
    }
}

/// Writes what a run of topics or groups shows.
fn write_items(cluster: &ClusterView, source: &Source, items: Range<usize>, samples: &mut Samples<'_>) {
    let is_per_partition = samples.family().is_per_partition();
    match (source, cluster.snapshot.as_deref()) {
        (Source::Cluster(write), _) => write(cluster, samples),
        (Source::Topic(write), Some(snapshot)) => {
            // Which partitions are, their rows know.
            let is_shown = |ix: TopicIx, table: &Arc<TopicTable>| match is_per_partition {
                true => snapshot.detail.has_partitions_of_topic(ix),
                false => snapshot.world.scope.has_topic(table),
            };
            for ix in snapshot.world.topic_order.get(items).into_iter().flatten() {
                if let Some(table) = snapshot.world.topic(*ix).filter(|table| is_shown(*ix, table)) {
                    write(snapshot, &TopicItem { ix: *ix, table }, samples);
                }
            }
        }
        (Source::Group(write), Some(snapshot)) => {
            for place in items.filter(|place| !is_per_partition || snapshot.detail.has_partitions_of_group(*place)) {
                if let Some(group) = snapshot.groups.get(place) {
                    write(snapshot, group, samples);
                }
            }
        }
        (Source::Standing(write) | Source::Outlook(write), Some(snapshot)) => {
            let places = items.filter(|place| !is_per_partition || snapshot.detail.has_partitions_of_group(*place));
            for standing in places.filter_map(|place| Standing::of(snapshot, place, cluster.now)) {
                write(snapshot, &standing, samples);
            }
        }
        _ => {}
    }
}

/// How many samples a family has of a cluster's topics or groups at some places, or, where it has no such places, at all:
/// by the same functions that write them, which say that there is a sample and are not asked to write it.
pub(in crate::metrics) fn count(
    cluster: &ClusterView,
    family: &'static Family,
    source: &Source,
    places: Option<Range<usize>>,
) -> u64 {
    let all = items(cluster, family, source);
    let places = places.map_or(0..all, |places| places.start..places.end.min(all));
    if places.is_empty() {
        return 0;
    }
    let (mut counted, mut unwritten) = (0, Unwritten::default());
    write_items(cluster, source, places, &mut Samples::counting(family, &mut counted, &mut unwritten));
    counted
}

/// The exporter's own families.
fn write_own(view: &View, source: &Source, samples: &mut Samples<'_>) {
    if matches!(source, Source::Process) {
        let family = samples.family();
        for (_, value) in view.process.iter().filter(|(of, _)| of.name == family.name) {
            samples.sample(&[], *value);
        }
        return;
    }
    let shown = |name: &str| view.clusters.iter().any(|cluster| cluster.source.name.as_deref().unwrap_or("") == name);
    view.own.write(samples, shown);
}
