//! What time lag and status cost beside the rest of a pass, and how much memory they take, on the Large cluster of the
//! peers' figures: 1000 topics × 10 partitions, 200 groups with 1000 committed partitions each.
//!
//! `cargo bench --bench time_lag`. What Kafka and librdkafka take is not in it: figures are of applying answers, deriving
//! and remembering. Only ratios within one run mean something.

#![allow(clippy::print_stdout, reason = "a bench tells its figures")]

mod cluster;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster::{Ask, Cluster, PARTITIONS, Scene, Size, now};
use kafkascope::derive::Snapshot;
use kafkascope::track::{Named, TrackSettings, Tracker};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Passes: enough to fill every history.
const PASSES: u64 = 60;

const SCENES: [Scene; 4] = [
    scene("nothing moves, all caught up", 0, 0),
    scene("nothing moves, 20 % behind", 0, 2),
    scene("10 % of the topics move, 20 % behind", 1, 2),
    scene("everything moves, 20 % behind", 10, 2),
];

/// Groups are behind by up to two hundred passes.
const fn scene(name: &'static str, moving: usize, behind: usize) -> Scene {
    Scene { name, moving, behind, backlog: 20_000, settling: 0 }
}

/// The middle of the second half of the passes, in which every history is full.
fn median(mut times: Vec<Duration>) -> Duration {
    times.drain(..times.len() / 2);
    times.sort();
    times[times.len() / 2]
}

fn run(scene: Scene) {
    let mut cluster = Cluster::new(Size::LARGE, scene);
    let mut tracker = Tracker::new(TrackSettings::default());
    let mut took: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut last: Option<Snapshot> = None;
    let before = HEAP.current_usage();
    for pass in 0..PASSES {
        let answers = cluster.answers(pass, Ask::Everything);
        let begun = Instant::now();
        cluster.apply(&answers);
        let applied = Instant::now();
        let mut snapshot = Snapshot::derive(&cluster.world, last.as_ref(), now(pass));
        let derived = Instant::now();
        snapshot.set_outlook(tracker.observe(&snapshot, &Named::Fresh));
        let remembered = Instant::now();
        took.entry("apply").or_default().push(applied - begun);
        took.entry("derive").or_default().push(derived - applied);
        took.entry("remember").or_default().push(remembered - derived);
        last = Some(snapshot);
    }
    let all = HEAP.current_usage();
    let behind = tracker.questions().len();
    drop(tracker);
    let tracked = all - HEAP.current_usage();
    if let Some(snapshot) = &mut last {
        snapshot.set_outlook(Arc::default());
    }
    let outlook = all - tracked - HEAP.current_usage();
    black_box(&last);
    let [apply, derive, remember] =
        ["apply", "derive", "remember"].map(|part| took.remove(part).map(median).unwrap_or_default());
    let rest = (apply + derive).as_secs_f64();
    println!("{}", scene.name);
    println!(
        "  a pass, everything asked: apply {apply:.1?}, derive {derive:.1?}, remember {remember:.1?} (+{:.0} %)",
        100.0 * remember.as_secs_f64() / rest
    );
    let partitions = Size::LARGE.topics * PARTITIONS.unsigned_abs() as usize;
    println!(
        "  heap: facts and meaning {} kB, memory {} kB, outlook {} kB; memory and outlook are {} bytes a partition and \
         group-partition ({partitions} and {}); questions for the broker: {behind}",
        (all - before - tracked - outlook) / 1024,
        tracked / 1024,
        outlook / 1024,
        (tracked + outlook) / (partitions + Size::LARGE.rows()),
        Size::LARGE.rows(),
    );
}

fn main() {
    SCENES.into_iter().for_each(run);
}
