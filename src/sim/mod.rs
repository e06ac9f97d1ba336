//! A simulated Kafka cluster that speaks Kafka's protocol over TCP, for `demo`, `simulate`, tests, benches and
//! fault injection; never part of the exporter's own path.
//!
//! From the inside out: [`flow`] says how records come and age as a function of time; [`topic`] and
//! [`group`] are the facts; [`world`] holds them all and is what tests edit; [`model`] moves the
//! consumers; [`spec`] and [`scale`] describe a cluster to start with. `wire`, `api` and `broker`
//! put the facts on the network, [`fault`] says what goes wrong there, [`cluster`] starts and
//! controls the brokers, and [`demo`] is the cast that `kafkascope demo` shows.
//!
//! Time is virtual: nothing moves but by [`world::World::advance`].

mod api;
mod broker;
pub mod cluster;
pub mod demo;
pub mod error;
pub mod fault;
pub mod flow;
pub mod group;
pub mod model;
pub mod scale;
pub mod spec;
#[cfg(test)]
mod tests;
pub mod topic;
mod wire;
pub mod world;

pub use api::Api;
pub use cluster::{Cluster, Outage};
pub use demo::Demo;
pub use error::SimError;
pub use fault::{Fault, Loading};
pub use group::{GroupState, GroupType};
pub use spec::Spec;
pub use world::World;
