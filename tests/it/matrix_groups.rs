//! Groups of every kind: odd names, few commits or many, commits on what is not there, filters, and groups that go.

use std::time::Duration;

use crate::compare::agrees;
use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::{Driver, Protocol, at, shared};
use crate::prometheus::openmetrics_families;
use crate::truth::QUICK;
use crate::wait::eventually;

/// For groups to settle and to be forgotten.
const SOON: Duration = Duration::from_secs(60);

/// librdkafka counts requests itself and tells now and then: for tests, often.
pub(crate) const STATISTICS: [&str; 2] = ["--kafka", "statistics.interval.ms=200"];

#[test]
fn groups_of_every_kind_and_name() {
    const PREFIX: &str = "kinds-";
    let driver = shared().driver();
    driver.create_topic("kinds-topic", 4).unwrap();
    driver.produce("kinds-topic", 0, 20).unwrap();
    driver.produce("kinds-topic", 3, 5).unwrap();
    let names = [
        "kinds-\"quoted\"",
        "kinds-back\\slash",
        "kinds-new\nline",
        "kinds-\\n is no new line",
        "kinds-{a=\"b\"} 1",
        "kinds-tab\tbell\u{7}",
        "kinds-\u{fc}\u{6f22}\u{1f600}",
        "kinds- spaces ",
    ];
    for (name, offset) in names.iter().zip(1..) {
        driver.commit(name, &[at("kinds-topic", 0, offset)]).unwrap();
    }
    // Ahead of the end of the log, as after an unclean election: not behind.
    driver.commit("kinds-ahead", &[at("kinds-topic", 0, 1000), at("kinds-topic", 3, 1)]).unwrap();
    let exporter = Exporter::start(&shared().bootstrap(), &QUICK);
    exporter.ready();
    let (truth, exposition) = agrees(&exporter, driver, PREFIX);
    assert_eq!(truth.groups.len(), names.len() + 1);
    for (name, offset) in names.iter().zip(1_i32..) {
        let labels = [("consumergroup", *name), ("topic", "kinds-topic"), ("partition", "0")];
        assert_eq!(exposition.value("kafka_consumergroup_lag", &labels), f64::from(20 - offset), "{name:?}");
    }
    let ahead = [("consumergroup", "kinds-ahead")];
    assert_eq!(exposition.value("kafka_consumergroup_lag_sum", &ahead), 4.0);
    let accept = [("Accept", "application/openmetrics-text;version=1.0.0")];
    let response = exporter.get_with("/metrics", &accept);
    assert!(response.header("content-type").is_some_and(|kind| kind.starts_with("application/openmetrics-text")));
    assert!(openmetrics_families(&response.text()).unwrap() > 40);
    kip_848_with_few_commits(driver, &exporter);
    groups_go(driver, &exporter, names[2]);
}

/// A member of KIP-848's protocol that committed on a part of what it holds.
fn kip_848_with_few_commits(driver: &Driver, exporter: &Exporter) {
    let never = [("auto.offset.reset", "latest")];
    let topics = ["kinds-topic"];
    driver.start_consumer_with("kinds-848-member", "kinds-848", &topics, Protocol::Consumer, 0, &never).unwrap();
    eventually("the member holds its partitions", SOON, || {
        let status = driver.consumer("kinds-848-member").map_err(|error| error.to_string())?;
        if status.assignment.len() == 4 { Ok(()) } else { Err(format!("{status:?}")) }
    });
    let (_, before) = agrees(exporter, driver, "kinds-");
    assert_eq!(before.all("kafka_consumergroup_current_offset", &[("consumergroup", "kinds-848")]), [] as [&_; 0]);
    assert_eq!(before.value("kafka_consumergroup_members", &[("consumergroup", "kinds-848")]), 1.0);
    driver.stop_consumer("kinds-848-member").unwrap();
}

/// Deleted, robbed of its last commit, and left by its last member without one: none of them stays.
fn groups_go(driver: &Driver, exporter: &Exporter, deleted: &str) {
    driver.start_consumer("kinds-visitor", "kinds-visited", &["kinds-topic"], Protocol::Classic).unwrap();
    let visited = [("consumergroup", "kinds-visited")];
    exporter.scrape_until("the visitor's group is seen", SOON, |exposition| {
        let members = exposition.get("kafka_consumergroup_members", &visited);
        if members == Some(1.0) { Ok(()) } else { Err(format!("{members:?}")) }
    });
    driver.stop_consumer("kinds-visitor").unwrap();
    driver.delete_group_offsets("kinds-visited", "kinds-topic", &[0, 1, 2, 3]).unwrap();
    driver.delete_group_offsets("kinds-ahead", "kinds-topic", &[0, 3]).unwrap();
    driver.delete_group(deleted).unwrap();
    exporter.scrape_until("the groups are gone", SOON, |exposition| {
        let known = ["kinds-visited", "kinds-ahead", deleted].map(|group| of_group(exposition, group));
        if known == [0; 3] { Ok(()) } else { Err(format!("their series: {known:?}")) }
    });
    agrees(exporter, driver, "kinds-");
}

/// How many series a group has.
fn of_group(exposition: &Exposition, group: &str) -> usize {
    exposition.samples.iter().filter(|sample| sample.label("consumergroup") == group).count()
}

/// How many requests of a kind the exporter sent, per pass; once a pass or two are counted.
pub(crate) fn requests_per_pass(exporter: &Exporter, api: &str) -> f64 {
    const PASSES: f64 = 4.0;
    let passes = |exposition: &Exposition| exposition.value("kafkascope_pass_duration_seconds_count", &[]);
    let requests = |exposition: &Exposition| -> f64 {
        exposition.all("kafkascope_broker_requests_total", &[("api", api)]).iter().map(|sample| sample.value).sum()
    };
    // The counts come apart by the passes that librdkafka has not told yet, so a stretch of passes is looked at.
    let first = exporter.scrape_until("a pass", SOON, |exposition| {
        if requests(exposition) > 0.0 { Ok(exposition.clone()) } else { Err("no request yet".to_owned()) }
    });
    let last = exporter.scrape_until("some passes", SOON, |exposition| {
        let done = passes(exposition) >= passes(&first) + PASSES && requests(exposition) > requests(&first);
        if done { Ok(exposition.clone()) } else { Err("not enough passes yet".to_owned()) }
    });
    (requests(&last) - requests(&first)) / (passes(&last) - passes(&first))
}

/// What the filters leave out is not asked of Kafka.
#[test]
fn filters_spare_kafka_the_questions() {
    const GROUPS: i32 = 30;
    let driver = shared().driver();
    driver.create_topic("sift-keep", 2).unwrap();
    driver.create_topic("sift-wide", 450).unwrap();
    driver.commit("sift-kept", &[at("sift-keep", 0, 0), at("sift-wide", 1, 0)]).unwrap();
    for number in 0..GROUPS {
        driver.commit(&format!("sift-other-{number}"), &[at("sift-keep", 0, 0)]).unwrap();
    }
    let start = |more: &[&str]| {
        let exporter = Exporter::start(&shared().bootstrap(), &[&QUICK[..], &STATISTICS[..], more].concat());
        exporter.ready();
        exporter
    };
    let all = start(&[]);
    // A pass and its statistics may lie on different sides of the stretch that is looked at.
    assert!(requests_per_pass(&all, "OffsetFetch") > 15.0, "with all groups");
    assert!(requests_per_pass(&all, "ListOffsets") > 4.0, "with all topics");
    drop(all);

    let some = start(&["--topic-include", "^sift-", "--topic-exclude", "wide", "--group-include", "^sift-kept$"]);
    let exposition = some.scrape();
    for sample in &exposition.samples {
        let named = [sample.label("topic"), sample.label("consumergroup")];
        assert!(["", "sift-keep"].contains(&named[0]) && ["", "sift-kept"].contains(&named[1]), "{sample:?}");
    }
    let kept = [("consumergroup", "sift-kept"), ("topic", "sift-keep"), ("partition", "0")];
    assert_eq!(exposition.value("kafka_consumergroup_lag", &kept), 0.0);
    for (api, most) in [("OffsetFetch", 1.0), ("ListOffsets", 2.0), ("ConsumerGroupDescribe", 1.0)] {
        let asked = requests_per_pass(&some, api);
        assert!(asked <= most * 2.0, "{api}: {asked} a pass");
    }
}

#[test]
fn group_states_and_granularity_narrow_what_is_shown() {
    let driver = shared().driver();
    driver.create_topic("narrow-topic", 2).unwrap();
    driver.produce("narrow-topic", 1, 8).unwrap();
    driver.commit("narrow-empty", &[at("narrow-topic", 0, 0), at("narrow-topic", 1, 6)]).unwrap();
    driver.start_consumer("narrow-member", "narrow-stable", &["narrow-topic"], Protocol::Classic).unwrap();
    let start = |more: &[&str]| {
        let exporter = Exporter::start(&shared().bootstrap(), &[&QUICK[..], more].concat());
        exporter.ready();
        exporter
    };
    let topics = start(&["--topic-granularity", "topic", "--group-granularity", "topic"]);
    let exposition = topics.scrape_until("both groups are seen", SOON, |exposition| {
        let seen = ["narrow-empty", "narrow-stable"].map(|group| of_group(exposition, group));
        if seen.contains(&0) { Err(format!("{seen:?}")) } else { Ok(exposition.clone()) }
    });
    assert!(exposition.samples.iter().all(|sample| sample.label("partition").is_empty()));
    let labels = [("consumergroup", "narrow-empty"), ("topic", "narrow-topic")];
    assert_eq!(exposition.value("kafka_consumergroup_lag_sum", &labels), 2.0);
    assert_eq!(exposition.value("kafka_consumergroup_topic_max_lag", &labels), 2.0);
    assert_eq!(exposition.value("kafka_topic_current_offset_sum", &[("topic", "narrow-topic")]), 8.0);
    drop(topics);

    for (state, shown, hidden) in
        [("Empty", "narrow-empty", "narrow-stable"), ("Stable", "narrow-stable", "narrow-empty")]
    {
        let exporter = start(&["--group-states", state]);
        let exposition = exporter.scrape_until("the group is seen", SOON, |exposition| {
            if of_group(exposition, shown) > 0 { Ok(exposition.clone()) } else { Err(format!("no {shown}")) }
        });
        assert_eq!(of_group(&exposition, hidden), 0, "with {state} alone");
        let states = exposition.all("kafka_consumergroup_state", &[]);
        assert!(states.iter().all(|sample| sample.label("state") == state), "{states:?}");
    }
    driver.stop_consumer("narrow-member").unwrap();
}
