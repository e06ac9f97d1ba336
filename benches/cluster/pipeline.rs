//! The way from answers to bodies, step by step, as polling and scraping go it.

use std::hint::black_box;
use std::sync::Arc;

use kafkascope::derive::{Outlook, Snapshot};
use kafkascope::metrics::ClusterSource;
use kafkascope::metrics::exposition::{ClusterView, Exposition, Format, View};
use kafkascope::track::{Named, TrackSettings, Tracker};

use super::{Answers, Ask, Cluster, Scene, Size, now};

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
        Scene { name: self.name(), moving, behind }
    }

    fn ask(self) -> Ask {
        match self {
            Self::Quiet | Self::Behind | Self::Moved => Ask::WhatMoves,
            Self::First | Self::Same | Self::Tenth => Ask::Everything,
        }
    }
}

/// A part of the way. The first four are a pass; each of the others takes what was published and needs only these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Answers into the world.
    Apply,
    /// The world into a snapshot.
    Derive,
    /// The snapshot into what is remembered.
    Track,
    /// What is remembered beside the snapshot, and that to the web.
    Publish,
    /// The whole exposition in the text format, from the snapshot's values.
    Text,
    /// The same in OpenMetrics.
    OpenMetrics,
}

impl Step {
    /// Those that a pass consists of.
    pub(crate) const OF_A_PASS: [Self; 4] = [Self::Apply, Self::Derive, Self::Track, Self::Publish];
    /// Those of a body that is made anew for each scrape: what has changed is of no matter.
    pub(crate) const OF_A_SCRAPE: [Self; 2] = [Self::Text, Self::OpenMetrics];

    /// One word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Derive => "derive",
            Self::Track => "track",
            Self::Publish => "publish",
            Self::Text => "text",
            Self::OpenMetrics => "openmetrics",
        }
    }
}

/// A cluster with all that is known, remembered and published of it.
pub(crate) struct Pipeline {
    change: Change,
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
    body: Vec<u8>,
}

impl Pipeline {
    /// Where there was no pass yet.
    pub(crate) fn new(rows: usize, change: Change) -> Self {
        Self {
            change,
            cluster: Cluster::new(Size::of_rows(rows), change.scene()),
            tracker: Tracker::new(TrackSettings::default()),
            source: Arc::new(ClusterSource::new(None, Vec::new())),
            pass: 0,
            done: None,
            answers: None,
            snapshot: None,
            outlook: Arc::default(),
            body: Vec::new(),
        }
    }

    /// Makes so many passes, each with the step if that is of a scrape, so that histories are as they are in the long run.
    pub(crate) fn warm_up(&mut self, passes: u64, step: Step) {
        for _ in 0..passes {
            self.ask();
            Step::OF_A_PASS.into_iter().for_each(|step| self.run(step));
            if step > Step::Publish {
                self.run(step);
            }
        }
    }

    /// Ends the pass that was begun, if any, begins the next, and goes on to where the step is what is left to do.
    pub(crate) fn prepare(&mut self, step: Step) {
        let done = self.done;
        Step::OF_A_PASS
            .into_iter()
            .filter(|next| done.is_some_and(|done| *next > done))
            .for_each(|next| self.run(next));
        self.ask();
        Step::OF_A_PASS.into_iter().filter(|next| *next < step).for_each(|next| self.run(next));
    }

    fn ask(&mut self) {
        self.answers = Some(self.cluster.answers(self.pass, self.change.ask()));
        self.pass += 1;
        self.done = None;
    }

    /// Does a step of the pass that was asked for last.
    pub(crate) fn run(&mut self, step: Step) {
        match step {
            Step::Apply => self.apply(),
            Step::Derive => self.derive(),
            Step::Track => self.track(),
            Step::Publish => self.publish(),
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

    fn body(&mut self, format: Format) {
        let view = View { clusters: vec![ClusterView::of(&self.source)], ..View::default() };
        self.body.clear();
        Exposition::new(view, format).next_chunk(&mut self.body, usize::MAX);
        black_box(&self.body);
    }
}
