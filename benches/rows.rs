//! What the steps of a pass and of a scrape cost at 10,000, 100,000 and 1,000,000 group-partitions: first, with nothing
//! changed, with 10 % changed.
//!
//! `cargo bench --bench rows`, with a part of a name after `--` to measure less. After divan's figures a table tells how cost
//! grows with the rows. What Kafka, librdkafka and the network take is not in it. Only ratios within one run mean something.

#![allow(clippy::print_stdout, reason = "a bench tells its figures")]

mod cluster;

use std::cell::RefCell;
use std::time::{Duration, Instant};

use cluster::pipeline::{Change, Pipeline, Step};
use cluster::table;
use divan::Bencher;
use divan::counter::ItemsCount;

const ROWS: [usize; 3] = [10_000, 100_000, 1_000_000];
const SAMPLES: u32 = 15;
/// Of one figure, with what has to be prepared for it.
const MAX_SECONDS: u64 = 6;
/// So that histories are as they are in the long run, or nearly so.
const PASSES_BEFORE: u64 = 8;

/// A [`Change`] as a type, as divan wants it to make a line of it.
trait Case {
    const CHANGE: Change;
}

macro_rules! cases {
    ($($name:ident),*) => {
        $(
            struct $name;

            impl Case for $name {
                const CHANGE: Change = Change::$name;
            }
        )*
    };
}

cases!(First, Quiet, Behind, Same, Moved, Tenth);

macro_rules! benches {
    ($($step:ident: $variant:ident for $cases:tt;)*) => {
        $(
            #[divan::bench(types = $cases, args = ROWS, sample_size = 1, sample_count = SAMPLES, max_time = Duration::from_secs(MAX_SECONDS))]
            fn $step<C: Case>(bencher: Bencher<'_, '_>, rows: usize) {
                measure(bencher, Step::$variant, C::CHANGE, rows);
            }
        )*
    };
}

benches! {
    parse: Parse for [Quiet];
    apply: Apply for [First, Quiet, Behind, Same, Moved, Tenth];
    derive: Derive for [First, Quiet, Behind, Same, Moved, Tenth];
    track: Track for [First, Quiet, Behind, Same, Moved, Tenth];
    publish: Publish for [First, Quiet, Behind, Same, Moved, Tenth];
    gzip: Gzip for [First, Quiet, Behind, Same, Moved];
    zstd: Zstd for [First, Moved];
    scrape: Scrape for [Quiet];
    text: Text for [Quiet];
    openmetrics: OpenMetrics for [Quiet];
}

fn measure(bencher: Bencher<'_, '_>, step: Step, change: Change, rows: usize) {
    let pipeline = RefCell::new(Pipeline::new(rows, change));
    let of_a_scrape = if Step::OF_A_PASS.contains(&step) { &[][..] } else { &[step] };
    if change != Change::First {
        pipeline.borrow_mut().warm_up(PASSES_BEFORE, of_a_scrape);
    }
    let prepare = || {
        let mut pipeline = pipeline.borrow_mut();
        if change == Change::First {
            *pipeline = Pipeline::new(rows, change);
        }
        pipeline.prepare(step);
    };
    bencher.counter(ItemsCount::new(rows)).with_inputs(prepare).bench_local_values(|()| {
        let begun = Instant::now();
        pipeline.borrow_mut().run(step);
        table::record(step, change, rows, begun.elapsed());
    });
}

fn main() {
    divan::main();
    table::print(&ROWS);
}
