//! A broker of three dies: one page for it, one for what users feel of it, and silence about all that follows from it.

use crate::exporter::Exporter;
use crate::incidents::{Duty, SOON, is_of_use};
use crate::kafka::{Cluster, Version};
use crate::truth::ADAPTIVE;
use crate::wait::eventually;
use crate::webhook::told;

/// What users feel of it: told all the same.
const FELT: [&str; 2] = ["KafkaTopicPartitionsOffline", "KafkaTopicUnderMinIsr"];

#[test]
fn a_killed_broker_pages_once_and_for_what_users_feel() {
    let cluster = Cluster::builder(Version::V4_3_1).brokers(3).heap_mb(384).start();
    let driver = cluster.driver();
    driver.create_topic_on("dead-spread", &[&[1, 2, 3], &[2, 3, 1], &[3, 1, 2]]).unwrap();
    driver.create_topic_on("dead-alone", &[&[3]]).unwrap();
    driver.create_topic_on("dead-strict", &[&[1, 2, 3]]).unwrap();
    driver.alter_configs("topic", "dead-strict", &[("min.insync.replicas", "3")]).unwrap();
    let exporter = Exporter::start(&cluster.bootstrap(), &ADAPTIVE);
    exporter.ready();
    let duty = Duty::start(|prometheus| prometheus.job("kafka", &[exporter.address()]));
    duty.until("sum(kafka_broker_up) == 3 and sum(kafka_topic_partition_under_replicated_partition) == 0");
    duty.was_told(&[]);

    cluster.kill(3);
    let page = duty.webhook.wait("KafkaBrokerDown", "firing", 0, SOON);
    is_of_use(&page);
    for name in FELT {
        is_of_use(&duty.webhook.wait(name, "firing", 0, SOON));
    }
    // A partition without a leader lacks in-sync replicas, too: Alertmanager keeps quiet about that.
    eventually("the lesser alert is inhibited", SOON, || {
        let alerts = duty.alertmanager.alerts();
        let held = alerts.iter().any(|alert| alert.name == "KafkaTopicUnderMinIsr" && alert.inhibited_by > 0);
        held.then_some(()).ok_or_else(|| format!("{alerts:#?}"))
    });
    // As long as all that follows from a dead broker would take to be told of.
    let replicas = "sum(kafka_topic_partition_under_replicated_partition) > 3";
    duty.until(&format!("count_over_time(({replicas})[18s:1s]) >= 17"));
    let mark = duty.webhook.count();

    cluster.restart(3);
    for name in FELT.iter().chain(&["KafkaBrokerDown"]) {
        duty.webhook.wait(name, "resolved", mark, SOON);
    }
    duty.until("sum(kafka_topic_partition_under_replicated_partition) == 0");
    let pages = duty.webhook.pages();
    let firing = pages.iter().filter(|page| page.name() == "KafkaBrokerDown" && page.status == "firing").count();
    assert_eq!(firing, 1, "{:#?}", told(&pages));
    duty.was_told(&[&FELT[..], &["KafkaBrokerDown"]].concat());
}
