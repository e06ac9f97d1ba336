//! kafkascope: a Prometheus exporter for Apache Kafka.
//!
//! This file is the map: one module per room, data flows one way,
//! `kafka → collect → state → derive → metrics → http`. ARCHITECTURE.md says why.

pub mod app;
#[cfg(test)]
mod chaos;
pub mod cli;
pub mod collect;
pub mod config;
pub mod derive;
pub mod http;
pub mod kafka;
pub mod metrics;
pub mod model;
pub mod replay;
pub mod report;
pub mod rules;
pub mod schedule;
pub mod sim;
pub mod state;
pub mod track;
