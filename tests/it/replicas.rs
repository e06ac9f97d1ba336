//! Two replicas of the exporter on one cluster: every rule answers as with one.

use std::collections::BTreeMap;

use crate::incidents::{Duty, SOON, exporter, own_address};
use crate::kafka::{at, shared};
use crate::prometheus::Series;
use crate::wait::eventually;

/// The start of every name here.
const PREFIX: &str = "twice-";

/// The jobs: of two replicas, and of one alone.
const PAIR: &str = "pair";
const SINGLE: &str = "single";

/// Two scrapes of the same age are at most that far apart, in seconds.
const APART: f64 = 5.0;

/// A job's part of an answer: by labels without the job, in order.
fn of_job(answer: &[Series], job: &str) -> BTreeMap<BTreeMap<String, String>, f64> {
    let own = answer.iter().filter(|(labels, _)| labels.get("job").is_some_and(|value| value == job));
    own.map(|(labels, value)| {
        let mut labels = labels.clone();
        // Whose numbers they are is all that may differ.
        labels.remove("job");
        labels.remove("instance");
        (labels, *value)
    })
    .collect()
}

/// Nothing, or how the jobs' answers differ.
fn differ(answer: &[Series]) -> Result<usize, String> {
    let (pair, single) = (of_job(answer, PAIR), of_job(answer, SINGLE));
    let close = |name: &BTreeMap<String, String>, value: f64| {
        single.get(name).is_some_and(|other| (value - other).abs() <= APART)
    };
    let same = pair.len() == single.len() && pair.iter().all(|(name, value)| close(name, *value));
    if same { Ok(pair.len()) } else { Err(format!("two replicas: {pair:#?}\none: {single:#?}")) }
}

#[test]
fn two_replicas_answer_as_one() {
    let driver = shared().driver();
    let topic = "twice-orders";
    driver.create_topic(topic, 3).unwrap();
    for partition in 0..3 {
        driver.produce(topic, partition, 100).unwrap();
    }
    driver.commit("twice-behind", &[at(topic, 0, 10), at(topic, 1, 20), at(topic, 2, 100)]).unwrap();
    let (first, second) = (exporter("^twice-", own_address()), exporter("^twice-", own_address()));
    let duty = Duty::start(|prometheus| {
        prometheus.job(PAIR, &[first.address(), second.address()]).job(SINGLE, &[first.address()])
    });
    duty.until("count(kafka_consumergroup_lag_sum{consumergroup=\"twice-behind\"}) == 3");
    for job in [PAIR, SINGLE] {
        eventually("a page of each job", SOON, || {
            let pages = duty.webhook.pages();
            let there = pages.iter().any(|page| page.name() == "KafkaConsumerGroupStopped" && page.label("job") == job);
            there.then_some(()).ok_or_else(|| format!("{:#?}", duty.names()))
        });
    }
    let _ = second;
}
