//! Two replicas of the exporter on one cluster: every rule answers as with one, and one of them may die.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::incidents::{Duty, SOON, exporter, is_of_use, own_address, unread};
use crate::kafka::{Protocol, shared};
use crate::prometheus::Series;
use crate::wait::eventually;
use crate::webhook::told;

/// The jobs: of two replicas, and of one of them alone.
const PAIR: &str = "pair";
const SINGLE: &str = "single";

/// How far answers may be apart that depend on when they were asked for, in seconds or messages a second.
const APART: f64 = 5.0;

/// The same as a share of the value.
const APART_SHARE: f64 = 0.2;

/// What of a rule's name says that its value depends on the moment.
const OF_THE_MOMENT: [&str; 6] = ["seconds", "rate", "velocity", "ratio", "bytes", "rows"];

/// What counts the replicas themselves.
const COUNTS_REPLICAS: &str = "kafkascope:exporter_targets_up:count";

/// An answer by its labels.
type Answer = BTreeMap<BTreeMap<String, String>, f64>;

/// A job's part of an answer, without the label that says whose it is, and without what is told of `other` itself: the
/// replica that the single job has not.
fn of_job(answer: &[Series], job: &str, other: SocketAddr) -> Answer {
    let other = other.to_string();
    let own = answer.iter().filter(|(labels, _)| labels.get("job").is_some_and(|value| value == job));
    own.filter(|(labels, _)| labels.get("instance") != Some(&other))
        .map(|(labels, value)| {
            let mut labels = labels.clone();
            labels.remove("job");
            (labels, *value)
        })
        .collect()
}

/// How many series the jobs' answers have, or how they differ.
fn alike(rule: &str, answer: &[Series], other: SocketAddr) -> Result<usize, String> {
    let (pair, single) = (of_job(answer, PAIR, other), of_job(answer, SINGLE, other));
    let exact = !OF_THE_MOMENT.iter().any(|part| rule.contains(part));
    let near = |a: f64, b: f64| a == b || (!exact && (a - b).abs() <= APART.max(APART_SHARE * b.abs()));
    let same = pair.len() == single.len()
        && pair.iter().all(|(labels, value)| single.get(labels).is_some_and(|of_single| near(*value, *of_single)));
    // Where the job is no label both would be one; a limit that holds for all has no label but its name.
    let of_all = |labels: &BTreeMap<String, String>| rule.ends_with(":limit") && labels.keys().eq(["__name__"]);
    let told = answer.iter().all(|(labels, _)| labels.contains_key("job") || of_all(labels));
    if same && told { Ok(pair.len()) } else { Err(format!("{rule}: two replicas: {pair:#?}\none: {single:#?}")) }
}

/// Waits until every recorded rule and every alert's expression answers alike for both jobs; tells how many series of
/// each rule there are.
#[track_caller]
fn all_alike(duty: &Duty, other: SocketAddr) -> BTreeMap<String, usize> {
    let rules = duty.prometheus.rules();
    let questions: Vec<(String, String)> = rules
        .iter()
        .filter(|rule| rule["name"] != COUNTS_REPLICAS)
        .map(|rule| {
            let name = rule["name"].as_str().expect("a name").to_owned();
            let recorded = rule["type"] == "recording";
            let question = if recorded { name.clone() } else { rule["query"].as_str().expect("a query").to_owned() };
            (name, question)
        })
        .collect();
    eventually("two replicas answer as one", SOON, || {
        questions
            .iter()
            .map(|(name, question)| Ok((name.clone(), alike(question, &duty.prometheus.query(question), other)?)))
            .collect()
    })
}

/// Waits for a page of this job.
#[track_caller]
fn page_of(duty: &Duty, job: &str, name: &str, status: &str) {
    eventually(&format!("{name} of {job} is {status}"), SOON, || {
        let pages = duty.webhook.pages();
        let page = pages.iter().find(|page| page.name() == name && page.status == status && page.label("job") == job);
        page.map(is_of_use).ok_or_else(|| format!("{:#?}", told(&pages)))
    });
}

/// One group that reads all, and one whose consumer has gone, behind on two topics; nothing moves any more.
fn groups() {
    let driver = shared().driver();
    for topic in ["twice-orders", "twice-payments"] {
        driver.create_topic(topic, 3).unwrap();
        for partition in 0..3 {
            driver.produce(topic, partition, 100).unwrap();
        }
    }
    for (member, group) in [("twice-a", "twice-reading"), ("twice-b", "twice-stopped")] {
        driver.start_consumer(member, group, &["twice-orders", "twice-payments"], Protocol::Classic).unwrap();
        eventually("it has read all", SOON, || {
            let consumed = driver.consumer(member).map_err(|error| error.to_string())?.consumed;
            if consumed == 600 { Ok(()) } else { Err(format!("{consumed}")) }
        });
    }
}

/// Only now, after the exporters have seen its members.
fn one_stops() {
    let driver = shared().driver();
    driver.stop_consumer("twice-b").unwrap();
    for (topic, count) in [("twice-orders", 7), ("twice-payments", 11)] {
        for partition in 0..3 {
            driver.produce(topic, partition, count).unwrap();
        }
    }
}

#[test]
fn two_replicas_answer_as_one_and_one_may_die() {
    groups();
    let (first, second) = (own_address(), own_address());
    let _first = exporter("", "^twice-", first);
    let doomed = exporter("", "^twice-", second);
    let duty = Duty::start(|prometheus| prometheus.job(PAIR, &[first, second]).job(SINGLE, &[first]));
    duty.until("count(kafka_consumergroup_members == 1) == 6");
    one_stops();
    for job in [PAIR, SINGLE] {
        page_of(&duty, job, "KafkaConsumerGroupStopped", "firing");
    }

    let lag = |metric: &str| duty.until(&format!("sum({metric}{{job=\"{PAIR}\", consumergroup=\"twice-stopped\"}})"));
    let truth = unread(shared().driver(), "twice-stopped");
    assert_eq!(truth, 54.0);
    // The raw series are there twice, so what is summed is not.
    assert_eq!(lag("kafka_consumergroup_lag_sum"), 2.0 * truth);
    assert_eq!(lag("kafkascope:consumergroup_lag_messages:sum"), truth);
    let told_of = all_alike(&duty, second);
    for rule in ["kafkascope:consumergroup_lag_messages:sum", "kafkascope:consumergroup_lag_seconds:max"] {
        assert_eq!(told_of[rule], 4, "{told_of:#?}");
    }
    assert!(told_of["KafkaConsumerGroupStopped"] > 0, "{told_of:#?}");

    drop(doomed);
    page_of(&duty, PAIR, "KafkascopeReplicaDown", "firing");
    all_alike(&duty, second);
    let _second = exporter("", "^twice-", second);
    page_of(&duty, PAIR, "KafkascopeReplicaDown", "resolved");
    duty.was_told(&["KafkaConsumerGroupStopped", "KafkascopeReplicaDown"]);
    let over = duty.webhook.pages().into_iter().filter(|page| page.status == "resolved");
    assert!(over.clone().all(|page| page.name() == "KafkascopeReplicaDown"), "{:#?}", told(&over.collect::<Vec<_>>()));
    shared().driver().stop_consumer("twice-a").unwrap();
}
