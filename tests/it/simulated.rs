//! The simulated cluster beside the test, on a runtime of its own: the exporter reaches it over TCP only.

use std::ops::Deref;
use std::time::Duration;

use kafkascope::sim::flow::{Flow, Rate};
use kafkascope::sim::spec::{GroupSpec, Position, TopicSpec};
use kafkascope::sim::{Cluster, GroupType, Outage, Spec};
use tokio::runtime::{Builder, Runtime};

/// The topic into which records come all the time.
pub(crate) const MOVING: &str = "moving";
/// The topic in which nothing happens: what is shown of it must be exact at any time.
pub(crate) const STILL: &str = "still";
/// Partitions of each of the two.
pub(crate) const PARTITIONS: usize = 6;
/// Groups that stopped on [`STILL`]; each broker coordinates some of them.
pub(crate) const PARKED: [&str; 6] = ["parked-0", "parked-1", "parked-2", "parked-3", "parked-4", "parked-5"];
/// The group that stopped on [`MOVING`].
pub(crate) const STOPPED: &str = "stopped";
/// Groups with members that follow [`MOVING`]: a classic one and one on KIP-848.
pub(crate) const BUSY: [&str; 2] = ["busy", "modern"];

/// How far the simulated clock jumps at a time.
const TICK: Duration = Duration::from_millis(50);

/// A running simulated cluster; dropping it ends it.
pub(crate) struct Simulated {
    runtime: Runtime,
    cluster: Cluster,
}

impl Deref for Simulated {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Simulated {
    /// Starts any cluster; its clock stands.
    pub(crate) fn start(spec: Spec) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let cluster = runtime.block_on(Cluster::start(spec)).expect("a simulated cluster");
        Self { runtime, cluster }
    }

    /// Three brokers with the topics and groups above; its clock runs.
    pub(crate) fn cast() -> Self {
        let mut spec = Spec::new(3, 3)
            .topic(TopicSpec::new(MOVING, PARTITIONS, Flow::steady(Rate::per_second(40))))
            .topic(TopicSpec::empty(STILL, PARTITIONS))
            .group(GroupSpec::stopped(STOPPED, &[MOVING], Position::Behind(100)))
            .group(GroupSpec { commit_every: Duration::from_secs(1), ..GroupSpec::new(BUSY[0], 2, &[MOVING]) })
            .group(GroupSpec { group_type: GroupType::Consumer, ..GroupSpec::new(BUSY[1], 3, &[MOVING]) });
        for group in PARKED {
            spec = spec.group(GroupSpec::stopped(group, &[STILL], Position::Nowhere));
        }
        let simulated = Self::start(spec);
        simulated.edit(|world| {
            for partition in 0..PARTITIONS {
                let number = i64::try_from(partition).expect("a small number");
                world.set_end_offset(STILL, partition, 100 + 10 * number).expect("an end");
                world.set_log_start_offset(STILL, partition, number).expect("a start");
                for group in PARKED {
                    world.set_commit(group, STILL, partition, Some(50 + number)).expect("a commit");
                }
            }
        });
        simulated.spread_groups();
        let _within = simulated.runtime.enter();
        simulated.run_clock(TICK);
        drop(_within);
        simulated
    }

    /// Gives every broker two of the parked groups, as preferred leaders of `__consumer_offsets` would.
    pub(crate) fn spread_groups(&self) {
        self.edit(|world| {
            for (group, broker) in PARKED.iter().zip([1, 2, 3].into_iter().cycle()) {
                world.move_coordinator(group, broker).expect("a move");
            }
        });
    }

    /// `host:port,…` of every broker.
    pub(crate) fn bootstrap(&self) -> String {
        self.bootstrap_servers().join(",")
    }

    /// Ends a broker.
    pub(crate) fn end(&self, broker: i32, outage: Outage) {
        self.runtime.block_on(self.kill(broker, outage)).expect("a kill");
    }

    /// Starts a broker again.
    pub(crate) fn back(&self, broker: i32) {
        self.runtime.block_on(self.restart(broker)).expect("a restart");
    }

    /// The partitions of a topic that a broker leads.
    pub(crate) fn led_by(&self, broker: i32, topic: &str) -> Vec<usize> {
        let world = self.world();
        (0..PARTITIONS).filter(|partition| world.leader(topic, *partition) == Some(broker)).collect()
    }
}
