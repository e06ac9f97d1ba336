//! The one integration binary: the exporter against real Kafkas, a real Prometheus and strict parsers.
//!
//! `tests/run` installs what this needs and says where it is in `KAFKASCOPE_TEST_…`; without that the
//! tests fail and say so. What stands here first is the harness, then the tests by subject.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at the first thing that is not as it should be"
)]
#![allow(dead_code, reason = "the harness is a library: not every call of it is in use at every time")]

use peak_alloc::PeakAlloc;

/// Counts the heap, for who measures in a process of its own.
#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

mod alertmanager;
mod client;
mod exporter;
mod exposition;
mod http;
mod hurried;
mod kafka;
mod known_metrics;
mod process;
mod prometheus;
mod promises;
mod promql;
mod rule_files;
mod rule_tests;
mod simulated;
mod tools;
mod wait;
mod webhook;

mod compare;
mod dashboard_files;
mod harness;
mod witness;

mod adaptive;
mod alerts;
mod append_times;
mod bad_input;
mod cardinality;
mod commands;
mod dashboards;
mod docs;
mod faults;
mod faults_simulated;
mod golden;
mod incidents;
mod incidents_broker;
mod isolation;
mod leaks;
mod life;
mod local_broker;
mod matrix_groups;
mod matrix_topics;
mod moving;
mod pieces;
mod reload;
mod replay;
mod replicas;
mod rules_command;
mod sampling;
mod scale;
mod security;
mod state_bytes;
mod state_file;
mod status;
mod storm;
mod stream;
mod transactions;
mod truth;
mod unwell;
