//! The way from answers to bodies, step by step, as polling and scraping go it.

#![allow(clippy::expect_used, reason = "a bench that cannot go on stops")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use kafkascope::derive::{Outlook, Snapshot};
use kafkascope::metrics::ClusterSource;
use kafkascope::metrics::exposition::{ClusterView, Exposition, Format, View};
use kafkascope::metrics::pieces::{Compressor, Encoding};
use kafkascope::metrics::rendering::{CompressedBody, Kind, Maker, Rendering};
use kafkascope::track::{Named, TrackSettings, Tracker};

use super::records::Records;
use super::{Answers, Ask, Cluster, INTERVAL_MS, Scene, Size, now};

const GZIP: Kind = Kind { format: Format::Text, encoding: Encoding::Gzip };
const ZSTD: Kind = Kind { format: Format::Text, encoding: Encoding::Zstd };

/// Passes until a cluster has settled.
pub(crate) const SETTLING: u64 = 3;
/// Records; all partitions get more while the cluster settles.
const BACKLOG: u32 = 300;

/// What happens between one pass and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// There is no pass before.
    First,
    /// Nothing moves, all have caught up, and only the metadata is asked for.
    Quiet,
    /// Nothing moves, 20 % are behind, so that their time lag grows, and only the metadata is asked for.
    Behind,
    /// Nothing moves, and everything is asked for.
    Same,
    /// 10 % of the topics move, and only these are asked for.
    Moved,
    /// 10 % of the topics move, and everything is asked for.
    Tenth,
}

impl Change {
    /// All there are.
    pub(crate) const ALL: [Self; 6] = [Self::First, Self::Quiet, Self::Behind, Self::Same, Self::Moved, Self::Tenth];

    /// One word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Quiet => "quiet",
            Self::Behind => "behind",
            Self::Same => "same",
            Self::Moved => "moved",
            Self::Tenth => "tenth",
        }
    }

    fn scene(self) -> Scene {
        let (moving, behind) = match self {
            Self::Quiet => (0, 0),
            Self::Behind | Self::Same => (0, 2),
            Self::First | Self::Moved | Self::Tenth => (1, 2),
        };
        Scene { name: self.name(), moving, behind, backlog: BACKLOG, settling: SETTLING }
    }

    fn ask(self) -> Ask {
        match self {
            Self::Quiet | Self::Behind | Self::Moved => Ask::WhatMoves,
            Self::First | Self::Same | Self::Tenth => Ask::Everything,
        }
    }
}

/// A part of the way. Four are a pass; each of the others needs what was published, and of the others what `needs` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A record of `__consumer_offsets` for each row into commits.
    Parse,
    /// Answers into the world.
    Apply,
    /// The world into a snapshot.
    Derive,
    /// The snapshot into what is remembered.
    Track,
    /// What is remembered beside the snapshot, and that to the web.
    Publish,
    /// The rendering that gzip bodies consist of, from the one before.
    Gzip,
    /// The same for zstd.
    Zstd,
    /// A gzip body, piece by piece, from its rendering.
    Scrape,
    /// A body without compression in the text format, from the snapshot's values.
    Text,
    /// The same in OpenMetrics.
    OpenMetrics,
}

impl Step {
    /// All there are.
    pub(crate) const ALL: [Self; 10] = [
        Self::Parse,
        Self::Apply,
        Self::Derive,
        Self::Track,
        Self::Publish,
        Self::Gzip,
        Self::Zstd,
        Self::Scrape,
        Self::Text,
        Self::OpenMetrics,
    ];
    /// Those that a pass consists of.
    pub(crate) const OF_A_PASS: [Self; 4] = [Self::Apply, Self::Derive, Self::Track, Self::Publish];

    /// One word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Apply => "apply",
            Self::Derive => "derive",
            Self::Track => "track",
            Self::Publish => "publish",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Scrape => "scrape",
            Self::Text => "text",
            Self::OpenMetrics => "openmetrics",
        }
    }

    /// Whether it costs the same whatever the pass before has changed.
    pub(crate) fn is_always_the_same(self) -> bool {
        matches!(self, Self::Parse | Self::Scrape | Self::Text | Self::OpenMetrics)
    }

    /// What of a scrape has to be done first.
    fn needs(self) -> Option<Self> {
        (self == Self::Scrape).then_some(Self::Gzip)
    }
}

/// A cluster with all that is known, remembered and published of it.
pub(crate) struct Pipeline {
    change: Change,
    records: Records,
    cluster: Cluster,
    tracker: Tracker,
    source: Arc<ClusterSource>,
    pass: u64,
    /// The last step that was done of the pass.
    done: Option<Step>,
    answers: Option<Answers>,
    /// What comes after the last published one.
    snapshot: Option<Snapshot>,
    outlook: Arc<Outlook>,
    maker: Maker,
    gzip: Option<Arc<Rendering>>,
    zstd: Option<Arc<Rendering>>,
    compressor: Compressor,
    body: Vec<u8>,
}

impl Pipeline {
    /// Where there was no pass yet.
    pub(crate) fn new(rows: usize, change: Change) -> Self {
        let size = Size::of_rows(rows);
        let mut tracker = Tracker::new(TrackSettings::default());
        // So the history of ends tells when records were appended, without a question for the broker.
        tracker.set_period(Duration::from_millis(INTERVAL_MS));
        Self {
            change,
            records: Records::new(size),
            cluster: Cluster::new(size, change.scene()),
            tracker,
            source: Arc::new(ClusterSource::new(None, Vec::new())),
            pass: 0,
            done: None,
            answers: None,
            snapshot: None,
            outlook: Arc::default(),
            maker: Maker::default(),
            gzip: None,
            zstd: None,
            compressor: Compressor::new(Encoding::Gzip).expect("the compressor starts"),
            body: Vec::new(),
        }
    }

    /// Makes so many passes, each with these steps of a scrape, so that histories are as they are in the long run.
    pub(crate) fn warm_up(&mut self, passes: u64, of_a_scrape: &[Step]) {
        for _ in 0..passes {
            self.prepare(Step::Gzip);
            of_a_scrape.iter().for_each(|step| self.run(*step));
        }
    }

    /// Ends the pass that was begun, if any, begins the next, and goes on to where the step is what is left to do.
    pub(crate) fn prepare(&mut self, step: Step) {
        let done = self.done;
        Step::OF_A_PASS
            .into_iter()
            .filter(|next| done.is_some_and(|done| *next > done))
            .for_each(|next| self.run(next));
        self.answers = Some(self.cluster.answers(self.pass, self.change.ask()));
        self.pass += 1;
        self.done = None;
        let before = Step::OF_A_PASS.into_iter().filter(|next| *next < step).chain(step.needs());
        before.for_each(|next| self.run(next));
    }

    /// Does a step of the pass that was prepared last.
    pub(crate) fn run(&mut self, step: Step) {
        match step {
            Step::Parse => _ = black_box(self.records.read()),
            Step::Apply => self.apply(),
            Step::Derive => self.derive(),
            Step::Track => self.track(),
            Step::Publish => self.publish(),
            Step::Gzip => self.gzip = Some(self.rendering(GZIP, self.gzip.clone())),
            Step::Zstd => self.zstd = Some(self.rendering(ZSTD, self.zstd.clone())),
            Step::Scrape => self.scrape(),
            Step::Text => self.body(Format::Text),
            Step::OpenMetrics => self.body(Format::OpenMetrics),
        }
        self.done = Some(step);
    }

    fn apply(&mut self) {
        if let Some(answers) = &self.answers {
            self.cluster.apply(answers);
        }
    }

    fn derive(&mut self) {
        let previous = self.source.snapshot.load();
        self.snapshot = Some(Snapshot::derive(&self.cluster.world, previous.as_deref(), now(self.pass - 1)));
    }

    fn track(&mut self) {
        if let Some(snapshot) = &self.snapshot {
            self.outlook = self.tracker.observe(snapshot, &Named::Fresh);
        }
    }

    fn publish(&mut self) {
        if let Some(mut snapshot) = self.snapshot.take() {
            snapshot.set_outlook(self.outlook.clone());
            self.source.tick(snapshot.derived_at.wall);
            self.source.publish(snapshot);
        }
    }

    fn rendering(&mut self, kind: Kind, last: Option<Arc<Rendering>>) -> Arc<Rendering> {
        let views = [ClusterView::of(&self.source)];
        Arc::new(self.maker.make(kind, &views, last.as_deref()).expect("the text is compressed"))
    }

    fn scrape(&mut self) {
        let Some(rendering) = self.gzip.clone() else { return };
        let view = View { clusters: rendering.views().collect(), ..View::default() };
        let mut body = CompressedBody::new(GZIP, view, Some(rendering), vec![0], &mut self.compressor)
            .expect("what is of this scrape alone is compressed");
        while let Some(bytes) = body.next_bytes().expect("all pieces are gzip") {
            black_box(bytes);
        }
    }

    fn body(&mut self, format: Format) {
        let view = View { clusters: vec![ClusterView::of(&self.source)], ..View::default() };
        self.body.clear();
        Exposition::new(view, format).next_chunk(&mut self.body, usize::MAX);
        black_box(&self.body);
    }
}
