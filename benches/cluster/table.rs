//! The figures of one run beside each other: how cost grows with the rows.

#![allow(clippy::print_stdout, reason = "a bench tells its figures")]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::pipeline::{Change, Step};

/// divan keeps its figures to itself.
static TAKEN: Mutex<Vec<Taken>> = Mutex::new(Vec::new());

#[derive(Clone, Copy)]
struct Taken {
    step: Step,
    change: Change,
    rows: usize,
    time: Duration,
}

/// Takes note of how long a step took.
pub(crate) fn record(step: Step, change: Change, rows: usize, time: Duration) {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push(Taken { step, change, rows, time });
}

/// Prints the medians in markdown, with what that is for each row. Nothing when nothing was measured.
pub(crate) fn print(rows: &[usize]) {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if taken.is_empty() {
        return;
    }
    let heads: String = rows.iter().map(|rows| format!(" {rows} rows |")).collect();
    println!("\n| step | pass |{heads}\n|---|---|{}", "---:|".repeat(rows.len()));
    for step in Step::ALL {
        for change in Change::ALL {
            let of = |rows| {
                let times = taken.iter().filter(|one| (one.step, one.change, one.rows) == (step, change, rows));
                median(times.map(|one| one.time).collect())
            };
            let medians: Vec<Option<Duration>> = rows.iter().map(|rows| of(*rows)).collect();
            if medians.iter().any(Option::is_some) {
                let cell = |(median, rows): (&Option<Duration>, &usize)| {
                    median.map_or(" – |".to_owned(), |time| cell(time, *rows))
                };
                let cells: String = medians.iter().zip(rows).map(cell).collect();
                let change = if step.is_always_the_same() { "any" } else { change.name() };
                println!("| {} | {change} |{cells}", step.name());
            }
        }
    }
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort();
    times.get(times.len() / 2).copied()
}

/// A time, and what of it falls to a row.
fn cell(time: Duration, rows: usize) -> String {
    let nanoseconds = time.as_secs_f64() * 1e9;
    format!(" {:.3} ms, {:.1} ns |", nanoseconds / 1e6, nanoseconds / rows as f64)
}
