//! Tests of the cluster over TCP: with the bare protocol, and with librdkafka.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

mod apis;
mod client;
mod demo;
mod exporter_client;
mod faults;
mod garbage;
mod librdkafka;

use std::time::Duration;

use super::cluster::Cluster;
use super::flow::{Flow, Rate};
use super::group::GroupType;
use super::model::Consumer;
use super::spec::{GroupSpec, Position, Spec, TopicSpec};

/// Three brokers; a topic that moves and one that does not; groups of every kind.
fn spec() -> Spec {
    Spec::new(3, 3)
        .topic(TopicSpec::new("moving", 6, Flow::steady(Rate::per_second(10))))
        .topic(TopicSpec { first_offset: 50, ..TopicSpec::empty("still", 2) })
        .group(GroupSpec::new("classic", 2, &["moving", "still"]))
        .group(GroupSpec {
            group_type: GroupType::Consumer,
            consumer: Consumer::Paced { per_mille: 500 },
            position: Position::Behind(20),
            ..GroupSpec::new("modern", 2, &["moving"])
        })
        .group(GroupSpec::stopped("stopped", &["moving"], Position::Behind(7)))
        .group(GroupSpec { simple: true, ..GroupSpec::new("simple", 0, &["still"]) })
        .group(GroupSpec::stopped("nothing", &["still"], Position::Nowhere))
}

async fn cluster() -> Cluster {
    Cluster::start(spec()).await.unwrap()
}

/// The address of the broker with an id.
fn address(cluster: &Cluster, broker: i32) -> String {
    let at = cluster.world().broker_ids().iter().position(|id| *id == broker).unwrap();
    cluster.bootstrap_servers()[at].clone()
}

fn coordinator(cluster: &Cluster, group: &str) -> i32 {
    cluster.world().coordinator(group).unwrap()
}

/// A broker that is not the one given.
fn other(cluster: &Cluster, broker: i32) -> i32 {
    cluster.world().broker_ids().into_iter().find(|id| *id != broker).unwrap()
}

/// For waits that must end, with room for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);
