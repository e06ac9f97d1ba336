//! Topics of which only some partitions are asked for: what is shown is true, what would be false is absent.

use std::time::Duration;

use serde_json::Value;

use crate::compare::{Series, agrees_on_sample, equal};
use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::truth::Truth;
use crate::kafka::{Driver, at, shared};
use crate::matrix_groups::{STATISTICS, requests_per_pass};
use crate::truth::QUICK;

const PREFIX: &str = "part-";

/// How many partitions of a topic are asked for.
const LIMIT: usize = 4;

const SAMPLED: [&str; 6] = ["--topic-sample-partitions", "4", "--topic-include", "^part-", "--group-include", "^part-"];

/// One pass over a few topics, on a busy machine.
const ONE_PASS: Duration = Duration::from_secs(60);

/// A topic that is sampled, one that is not, and groups that have committed inside the sample, outside of it, or both.
fn populate(driver: &Driver) {
    driver.create_topic("part-wide", 12).unwrap();
    driver.create_topic("part-narrow", 4).unwrap();
    for (topic, partition, messages) in [
        ("part-wide", 0, 10),
        ("part-wide", 1, 20),
        ("part-wide", 3, 5),
        ("part-wide", 7, 100),
        ("part-narrow", 0, 8),
        ("part-narrow", 3, 9),
    ] {
        driver.produce(topic, partition, messages).unwrap();
    }
    driver.delete_records("part-wide", 1, 5).unwrap();
    let both = [at("part-wide", 0, 4), at("part-wide", 1, 2), at("part-wide", 7, 60), at("part-narrow", 3, 2)];
    driver.commit("part-both", &both).unwrap();
    driver.commit("part-outside", &[at("part-wide", 7, 1), at("part-narrow", 0, 3)]).unwrap();
    driver.commit("part-narrow", &[at("part-narrow", 0, 1), at("part-narrow", 3, 2)]).unwrap();
}

fn of_group(exposition: &Exposition, name: &str, group: &str, topic: &str) -> Option<f64> {
    exposition.get(name, &[("consumergroup", group), ("topic", topic)])
}

/// The numbers by hand, so that two wrong sides cannot agree.
fn is_sampled(exposition: &Exposition) {
    let wide = |name| exposition.get(name, &[("topic", "part-wide")]);
    assert_eq!(wide("kafka_topic_partitions"), Some(12.0));
    assert_eq!(wide("kafka_topic_sampled_partitions"), Some(4.0));
    assert_eq!(wide("kafka_topic_current_offset_sampled_sum"), Some(35.0));
    assert_eq!(wide("kafka_topic_oldest_offset_sampled_sum"), Some(5.0));
    assert_eq!(wide("kafka_topic_current_offset_sum"), None);
    assert_eq!(wide("kafka_topic_oldest_offset_sum"), None);
    let series = |name| exposition.all(name, &[("topic", "part-wide")]).len();
    assert_eq!(series("kafka_topic_partition_leader"), 12);
    assert_eq!(series("kafka_topic_partition_current_offset"), 4);

    let both = |name: &str| of_group(exposition, name, "part-both", "part-wide");
    assert_eq!(both("kafka_consumergroup_current_offset_sampled_sum"), Some(6.0));
    assert_eq!(both("kafka_consumergroup_lag_sampled_sum"), Some(21.0));
    for absent in ["current_offset_sum", "lag_sum", "topic_max_lag", "lost_messages_sum"] {
        assert_eq!(both(&format!("kafka_consumergroup_{absent}")), None, "{absent}");
    }
    assert_eq!(of_group(exposition, "kafka_consumergroup_lag_sum", "part-both", "part-narrow"), Some(7.0));
    let max_lag = |group| exposition.get("kafka_consumergroup_max_lag", &[("consumergroup", group)]);
    assert_eq!(["part-both", "part-outside", "part-narrow"].map(max_lag), [None, None, Some(7.0)]);
}

#[test]
fn a_sampled_topic_shows_its_sample_and_nothing_false() {
    let driver = shared().driver();
    populate(driver);
    let exporter = Exporter::start(&shared().bootstrap(), &[&QUICK[..], &SAMPLED[..]].concat());
    exporter.ready();
    let (truth, exposition) = agrees_on_sample(&exporter, driver, PREFIX, LIMIT);
    assert_eq!((truth.topics.len(), truth.groups.len()), (2, 3), "{truth:#?}");
    is_sampled(&exposition);
    snapshot_says_the_same(&truth);
    drop(exporter);

    // Another exporter, that polls as often as things move, takes the same ones; a topic that grows is sampled then.
    let intervals = ["--min-interval", "1s", "--max-interval", "5s", "--request-timeout", "5s"];
    let exporter = Exporter::start(&shared().bootstrap(), &[&intervals[..], &SAMPLED[..]].concat());
    exporter.ready();
    is_sampled(&agrees_on_sample(&exporter, driver, PREFIX, LIMIT).1);
    driver.create_partitions("part-narrow", 6).unwrap();
    driver.produce("part-narrow", 5, 3).unwrap();
    driver.produce("part-wide", 3, 2).unwrap();
    driver.commit("part-both", &[at("part-wide", 3, 6), at("part-wide", 8, 0)]).unwrap();
    let (_, exposition) = agrees_on_sample(&exporter, driver, PREFIX, LIMIT);
    assert_eq!(of_group(&exposition, "kafka_consumergroup_lag_sum", "part-narrow", "part-narrow"), None);
    assert_eq!(of_group(&exposition, "kafka_consumergroup_lag_sampled_sum", "part-narrow", "part-narrow"), Some(14.0));
}

fn snapshot_says_the_same(truth: &Truth) {
    let bootstrap = shared().bootstrap();
    let snapshot = |form: &str| {
        let arguments = ["snapshot", "--output", form, "--bootstrap-servers", &bootstrap];
        let outcome = Exporter::builder().args(arguments).args(SAMPLED).run(ONE_PASS);
        assert!(outcome.status.success(), "{form}: {outcome:?}");
        outcome.stdout
    };
    let document: Value = serde_json::from_str(&snapshot("json")).unwrap();
    let said = Series::of_json(&document["clusters"][0], PREFIX);
    let names = said.names();
    assert!(names.contains("kafka_topic_sampled_partitions"), "{names:?}");
    equal(&said, &Series::of_sample(truth, LIMIT).only(|name| names.contains(name))).unwrap();
    let table = snapshot("table");
    let numbers = |group: &str| -> Vec<String> {
        let row = table.lines().find(|line| line.starts_with(group) && line.contains("part-wide"));
        let (_, numbers) = row.unwrap_or_default().split_once("part-wide (first 4 of 12 partitions)").expect(&table);
        numbers.split_whitespace().map(str::to_owned).collect()
    };
    // Status, members, committed, lag, time lag, worst partition, lost, unknown.
    assert_eq!(numbers("part-both"), ["OK", "0", "6", "21", "-", "-", "-", "0"]);
    assert_eq!(numbers("part-outside"), ["-", "0", "-", "-", "-", "-", "-", "0"]);
}

/// What is not in the sample is not asked of Kafka.
#[test]
fn sampling_spares_kafka_the_questions() {
    shared().driver().create_topic("spared-wide", 450).unwrap();
    let requests = |more: &[&str]| {
        let filter = ["--topic-include", "^spared-wide$", "--group-include", "^spared-"];
        let arguments = [&QUICK[..], &STATISTICS[..], &filter[..], more].concat();
        let exporter = Exporter::start(&shared().bootstrap(), &arguments);
        exporter.ready();
        requests_per_pass(&exporter, "ListOffsets")
    };
    // Three calls for the starts and three for the ends; a pass and its statistics may lie on different sides of the
    // stretch that is looked at.
    let (all, some) = (requests(&[]), requests(&["--topic-sample-partitions", "4"]));
    assert!(all > 4.0, "with all partitions: {all}");
    assert!(some < 3.0, "with four: {some}");
}
