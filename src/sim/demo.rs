//! The demo's cluster: three brokers, a handful of topics, and a cast of groups that shows what the
//! exporter tells about each.

use std::time::Duration;

use super::cluster::Cluster;
use super::error::SimError;
use super::flow::{Flow, Rate, Retention};
use super::group::GroupType;
use super::model::Consumer;
use super::spec::{GroupSpec, Position, Spec, TopicSpec};

/// How often the demo's clock moves.
const TICK: Duration = Duration::from_millis(200);
/// The demo's consumers commit often, so that every scrape shows them move.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// One member of the cast: what to look at.
#[derive(Clone, Copy, Debug)]
pub struct Guide {
    /// The group's name, the label `consumergroup`.
    pub group: &'static str,
    /// What its story is, one line.
    pub story: &'static str,
    /// The metric that shows it.
    pub metric: &'static str,
}

/// The cast, in the order in which to tell it.
pub const GUIDE: &[Guide] = &[
    Guide { group: "checkout", story: "healthy: lag stays near zero", metric: "kafka_consumergroup_lag_sum" },
    Guide {
        group: "billing-slow",
        story: "slower than its producers: lag grows with every scrape",
        metric: "kafka_consumergroup_lag_sum",
    },
    Guide {
        group: "reports-stopped",
        story: "stopped two hours ago: Empty, no members, lag grows at the full rate",
        metric: "kafka_consumergroup_state",
    },
    Guide {
        group: "fraud-bursty",
        story: "clicks come in bursts: lag shoots up and drains again every minute",
        metric: "kafka_consumergroup_lag_sum",
    },
    Guide {
        group: "archive-losing-data",
        story: "so late that retention deletes records before they are read",
        metric: "kafka_consumergroup_lost_messages_sum",
    },
    Guide {
        group: "newsletter-empty",
        story: "exists, but never committed: a state and no lag at all, rather than a false 0",
        metric: "kafka_consumergroup_state",
    },
    Guide {
        group: "search-kip848",
        story: "healthy, on the new consumer protocol (KIP-848)",
        metric: "kafka_consumergroup_info",
    },
];

/// The running demo cluster.
#[derive(Debug)]
pub struct Demo {
    cluster: Cluster,
}

impl Demo {
    /// Starts brokers and clock. Must be called within a tokio runtime.
    pub async fn start() -> Result<Self, SimError> {
        let cluster = Cluster::start(spec()).await?;
        cluster.run_clock(TICK);
        Ok(Self { cluster })
    }

    /// `host:port` of the three brokers.
    pub fn bootstrap_servers(&self) -> Vec<String> {
        self.cluster.bootstrap_servers()
    }

    /// The cluster behind it.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Ends it, with open connections too.
    pub async fn stop(self) {
        self.cluster.stop().await;
    }
}

/// Three brokers in racks a, b and c, the topics, and the cast.
pub fn spec() -> Spec {
    let mut spec = Spec::new(3, 3);
    spec.cluster_id = "kafkascope-demo".to_owned();
    spec.topics = topics();
    spec.groups = groups();
    spec
}

fn topics() -> Vec<TopicSpec> {
    let week = Retention::Age { age: 7 * DAY, segment: HOUR };
    let days = |days, topic| TopicSpec { history: days * DAY, retention: week, min_insync: 2, ..topic };
    vec![
        days(3, TopicSpec::new("orders", 12, Flow::steady(Rate::per_second(4)))),
        days(3, TopicSpec::new("payments", 6, Flow::steady(Rate::per_second(5)))),
        days(1, TopicSpec::new("clicks", 12, Flow::bursts(Rate::per_second(90), 15 * SECOND, MINUTE))),
        days(2, TopicSpec::new("emails", 4, Flow::steady(Rate::per_minute(40)))),
        days(9, TopicSpec::new("audit", 3, Flow::steady(Rate::per_minute(6)))),
        TopicSpec {
            history: 2 * HOUR,
            retention: Retention::Age { age: 10 * MINUTE, segment: 15 * SECOND },
            first_offset: 5_000_000,
            ..TopicSpec::new("sensor-readings", 6, Flow::steady(Rate::per_second(30)))
        },
        // Compacted: the log start stays where it is, and nothing has come for long.
        TopicSpec {
            history: Duration::ZERO,
            first_offset: 12_345,
            is_compacted: true,
            ..TopicSpec::new("profiles", 3, Flow::IDLE)
        },
    ]
}

fn groups() -> Vec<GroupSpec> {
    let often = |group| GroupSpec { commit_every: COMMIT_EVERY, ..group };
    vec![
        often(GroupSpec::new("checkout", 3, &["orders", "payments"])),
        often(GroupSpec {
            position: Position::Ago(8 * MINUTE),
            consumer: Consumer::Paced { per_mille: 700 },
            ..GroupSpec::new("billing-slow", 2, &["payments"])
        }),
        GroupSpec::stopped("reports-stopped", &["orders", "audit"], Position::Ago(2 * HOUR)),
        often(GroupSpec {
            consumer: Consumer::Speed(Rate::per_second(40)),
            ..GroupSpec::new("fraud-bursty", 4, &["clicks"])
        }),
        often(GroupSpec {
            position: Position::Ago(11 * MINUTE),
            consumer: Consumer::Paced { per_mille: 300 },
            ..GroupSpec::new("archive-losing-data", 1, &["sensor-readings"])
        }),
        GroupSpec::stopped("newsletter-empty", &["emails"], Position::Nowhere),
        often(GroupSpec {
            group_type: GroupType::Consumer,
            ..GroupSpec::new("search-kip848", 3, &["orders", "clicks", "profiles"])
        }),
    ]
}
