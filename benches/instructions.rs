//! Goes through the steps of a pass and of a scrape a few times, for tests/instructions, which counts what each executes.
//!
//! `instructions ROWS PASS`: how many group-partitions, and what happens between one pass and the next (`first`, `quiet` …).
//! The counts are found by the names of the functions below, so they are neither inlined nor called for anything else.

#![allow(clippy::print_stderr, reason = "a program for a script")]

mod cluster;

use std::process::ExitCode;

use cluster::pipeline::{Change, Pipeline, SETTLING, Step};

/// Before the one that is counted: after these everything has settled.
const PASSES_BEFORE: u64 = SETTLING + 1;

#[inline(never)]
fn counted_apply(pipeline: &mut Pipeline) {
    pipeline.run(Step::Apply);
}

#[inline(never)]
fn counted_derive(pipeline: &mut Pipeline) {
    pipeline.run(Step::Derive);
}

#[inline(never)]
fn counted_track(pipeline: &mut Pipeline) {
    pipeline.run(Step::Track);
}

#[inline(never)]
fn counted_publish(pipeline: &mut Pipeline) {
    pipeline.run(Step::Publish);
}

#[inline(never)]
fn counted_text(pipeline: &mut Pipeline) {
    pipeline.run(Step::Text);
}

#[inline(never)]
fn counted_openmetrics(pipeline: &mut Pipeline) {
    pipeline.run(Step::OpenMetrics);
}

#[inline(never)]
fn counted_parse(pipeline: &mut Pipeline) {
    pipeline.run(Step::Parse);
}

#[inline(never)]
fn counted_gzip(pipeline: &mut Pipeline) {
    pipeline.run(Step::Gzip);
}

#[inline(never)]
fn counted_zstd(pipeline: &mut Pipeline) {
    pipeline.run(Step::Zstd);
}

#[inline(never)]
fn counted_scrape(pipeline: &mut Pipeline) {
    pipeline.run(Step::Scrape);
}

fn count(rows: usize, change: Change) {
    let mut pipeline = Pipeline::new(rows, change);
    let zstd = matches!(change, Change::First | Change::Moved);
    if change != Change::First {
        pipeline.warm_up(PASSES_BEFORE, &[]);
        // What the next renderings are made from.
        pipeline.warm_up(1, if zstd { &[Step::Gzip, Step::Zstd] } else { &[Step::Gzip] });
    }
    pipeline.prepare(Step::Apply);
    counted_apply(&mut pipeline);
    counted_derive(&mut pipeline);
    counted_track(&mut pipeline);
    counted_publish(&mut pipeline);
    counted_gzip(&mut pipeline);
    if zstd {
        counted_zstd(&mut pipeline);
    }
    if change == Change::Quiet {
        // What of these matters is how much there is, not what has changed.
        counted_scrape(&mut pipeline);
        counted_text(&mut pipeline);
        counted_openmetrics(&mut pipeline);
        counted_parse(&mut pipeline);
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let rows = arguments.next().and_then(|rows| rows.parse().ok()).filter(|rows| *rows >= 2000);
    let change = arguments.next().and_then(|name| Change::ALL.into_iter().find(|change| change.name() == name));
    let (Some(rows), Some(change)) = (rows, change) else {
        eprintln!("usage: instructions ROWS PASS: at least 2000 rows; {:?}", Change::ALL.map(Change::name));
        return ExitCode::from(2);
    };
    count(rows, change);
    ExitCode::SUCCESS
}
