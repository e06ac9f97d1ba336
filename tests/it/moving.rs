//! While producers write and consumers read: every scrape is whole and coherent, and Prometheus makes the right
//! rates of what it scrapes.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::compare::agrees;
use crate::exporter::Exporter;
use crate::exposition::{Exposition, Sample};
use crate::kafka::{Driver, Protocol, at, shared};
use crate::prometheus::{Prometheus, openmetrics_families, promtool_complaints};
use crate::truth::QUICK;
use crate::wait::eventually;

const TOPIC: &str = "flow-topic";
const PARTITIONS: i32 = 4;
const PER_SECOND: u32 = 2000;

/// Scrapes one after the other, and the pause between them.
const SCRAPES: usize = 300;
const PAUSE: Duration = Duration::from_millis(50);

/// The range of the dashboards' rates is a minute; Prometheus needs a sample from before it.
const RANGE: Duration = Duration::from_secs(64);

/// A rate is extrapolated to the edges of its range, by a scrape interval at most.
const TOLERANCE: f64 = 0.15;

const SOON: Duration = Duration::from_secs(60);

/// Members that read all that comes, by group.
const FAST: [(&str, &str, Protocol); 3] = [
    ("flow-classic-a", "flow-classic", Protocol::Classic),
    ("flow-classic-b", "flow-classic", Protocol::Classic),
    ("flow-848-a", "flow-848", Protocol::Consumer),
];

#[test]
fn scrapes_are_right_while_everything_moves() {
    let driver = shared().driver();
    driver.create_topic(TOPIC, PARTITIONS.unsigned_abs()).unwrap();
    driver.start_producer("flow-producer", TOPIC, PER_SECOND).unwrap();
    for (member, group, protocol) in FAST {
        driver.start_consumer(member, group, &[TOPIC], protocol).unwrap();
    }
    driver.start_consumer_with("flow-slow-a", "flow-slow", &[TOPIC], Protocol::Classic, 100, &[]).unwrap();
    driver.commit("flow-stopped", &[at(TOPIC, 0, 0), at(TOPIC, 1, 0)]).unwrap();
    // All in step: polled adaptively, the end of a bursty topic may be newer than the one in its lag.
    let exporter = Exporter::start(&shared().bootstrap(), &QUICK);
    exporter.ready();
    exporter.scrape_until("every group has committed on every partition", SOON, |exposition| {
        let commits = |group| exposition.all("kafka_consumergroup_current_offset", &[("consumergroup", group)]).len();
        let all = ["flow-classic", "flow-848", "flow-slow", "flow-stopped"].map(commits);
        if all == [4, 4, 4, 2] { Ok(()) } else { Err(format!("{all:?}")) }
    });
    let prometheus = Prometheus::start(exporter.address(), "2s");
    eventually("a first scrape", SOON, || prometheus.query("up == 1").pop().ok_or_else(|| "not yet".to_owned()));
    let (since, at_first) = (Instant::now(), written(driver));

    let mut watch = Watch::default();
    for number in 0..SCRAPES {
        watch.look(exporter.scrape());
        if number % 30 == 0 {
            truncate_behind_the_fast(driver);
        }
        sleep(PAUSE);
    }
    assert!(watch.moved > 5, "only {} scrapes showed something new", watch.moved);
    judged_by_prometheus(&exporter);
    while since.elapsed() < RANGE {
        watch.look(exporter.scrape());
        sleep(PAUSE * 10);
    }
    let moved = written(driver) - at_first;
    rates_are_right(&prometheus, moved, since.elapsed().as_secs_f64());
    nothing_was_dropped(&prometheus);

    driver.stop_producer("flow-producer").unwrap();
    driver.stop_consumer("flow-slow-a").unwrap();
    let (_, quiet) = agrees(&exporter, driver, "flow-");
    lag_panel_is_right(&prometheus, &quiet);
    for (member, ..) in FAST {
        driver.stop_consumer(member).unwrap();
    }
}

/// How many messages the topic has had.
fn written(driver: &Driver) -> f64 {
    let truth = driver.truth("flow-").unwrap();
    let ends = truth.topics[TOPIC].partitions.iter().map(|row| row.latest.unwrap());
    ends.map(|end| end.to_string().parse::<f64>().unwrap()).sum()
}

/// Moves the start of a log to where the fast groups are, so that starts race with commits.
fn truncate_behind_the_fast(driver: &Driver) {
    let truth = driver.truth("flow-").unwrap();
    let reached = |group| truth.committed(group, TOPIC, 0).unwrap_or(0);
    driver.delete_records(TOPIC, 0, reached("flow-classic").min(reached("flow-848"))).unwrap();
}

/// One partition's values by group, topic and partition, as the labels say them.
type Rows = BTreeMap<(String, String, String), f64>;

fn rows(exposition: &Exposition, name: &str) -> Rows {
    let own = |sample: &&Sample| sample.name == name && sample.label("topic") == TOPIC;
    let key = |sample: &Sample| ["consumergroup", "topic", "partition"].map(|label| sample.label(label).to_owned());
    let all = exposition.samples.iter().filter(own);
    all.map(|sample| (key(sample).into(), sample.value)).collect()
}

/// What was seen of one scrape after the other.
#[derive(Default)]
struct Watch {
    ends: Rows,
    commits: Rows,
    moved: usize,
}

impl Watch {
    /// Coherent in itself, and nothing goes back.
    fn look(&mut self, exposition: Exposition) {
        let ends = rows(&exposition, "kafka_topic_partition_current_offset");
        let starts = rows(&exposition, "kafka_topic_partition_oldest_offset");
        let commits = rows(&exposition, "kafka_consumergroup_current_offset");
        let lags = rows(&exposition, "kafka_consumergroup_lag");
        assert_eq!((ends.len(), starts.len(), commits.len(), lags.len()), (4, 4, 14, 14));
        let mut sums = Rows::new();
        for (key, committed) in &commits {
            let (group, topic, partition) = key;
            let place = (String::new(), topic.clone(), partition.clone());
            let (start, end) = (starts[&place], ends[&place]);
            assert!(*committed <= end, "{key:?}: committed {committed}, the end is {end}");
            assert_eq!(lags[key], end - committed.max(start), "{key:?}: {committed}, {start} to {end}");
            *sums.entry((group.clone(), topic.clone(), String::new())).or_default() += lags[key];
        }
        assert_eq!(rows(&exposition, "kafka_consumergroup_lag_sum"), sums);
        let lost = rows(&exposition, "kafka_consumergroup_lost_messages_sum");
        for ((group, ..), lost) in &lost {
            let may_lose = ["flow-slow", "flow-stopped"].contains(&group.as_str());
            assert!(may_lose || *lost == 0.0, "{group} has lost {lost}: it had read them all");
        }
        let unknown = rows(&exposition, "kafka_consumergroup_unknown_partitions");
        assert!(unknown.len() == 4 && unknown.values().all(|count| *count == 0.0), "{unknown:?}");
        let states = exposition.all("kafka_consumergroup_state", &[]);
        let groups = exposition.all("kafka_consumergroup_members", &[]);
        let named = |samples: &[&Sample]| -> Vec<String> {
            samples.iter().map(|sample| sample.label("consumergroup").to_owned()).collect()
        };
        assert_eq!(named(&states), named(&groups), "one state a group");
        never_back(&self.ends, &ends);
        never_back(&self.commits, &commits);
        self.moved += usize::from(self.ends != ends);
        (self.ends, self.commits) = (ends, commits);
    }
}

fn never_back(before: &Rows, now: &Rows) {
    for (key, value) in before {
        assert!(now[key] >= *value, "{key:?} fell from {value} to {}", now[key]);
    }
}

/// promtool has no complaint but one about names that kafka_exporter's users depend on; the OpenMetrics parser has none.
fn judged_by_prometheus(exporter: &Exporter) {
    let response = exporter.get("/metrics");
    let gauges = Exposition::parse(&response.text()).unwrap().families;
    for complaint in promtool_complaints(&response.text()) {
        let family = complaint.split_whitespace().next().unwrap_or_default();
        let excused = family.ends_with("_sum") && complaint.contains("\"_sum\"") && gauges[family].kind == "gauge";
        assert!(excused, "{complaint}");
    }
    let accept = [("Accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")];
    let open = exporter.get_with("/metrics", &accept);
    assert_eq!(openmetrics_families(&open.text()), Ok(gauges.len()));
}

/// The value of the one series that has these labels.
fn the_one(prometheus: &Prometheus, expression: &str, labels: &[(&str, &str)]) -> f64 {
    let all = prometheus.query(expression);
    let fits = |found: &BTreeMap<String, String>| {
        labels.iter().all(|(name, value)| found.get(*name).is_some_and(|own| own == value))
    };
    let found: Vec<f64> = all.iter().filter(|(found, _)| fits(found)).map(|(_, value)| *value).collect();
    assert_eq!(found.len(), 1, "{expression}: {all:?}");
    found[0]
}

/// What Grafana's dashboard 7589 makes of the offsets: a rate over a minute, and differences over five divided by five.
fn rates_are_right(prometheus: &Prometheus, moved: f64, seconds: f64) {
    let topic = ("topic", TOPIC);
    let near = |expression: &str, labels: &[(&str, &str)], right: f64| {
        let value = the_one(prometheus, expression, labels);
        let off = (value / right - 1.0).abs();
        assert!(off < TOLERANCE, "{expression} is {value}, not {right}; {moved} messages in {seconds} s");
    };
    let all = "kafka_topic_partition_current_offset{topic!=\"__consumer_offsets\"}";
    near(&format!("sum by (topic) (rate({all}[1m]))"), &[topic], moved / seconds);
    near(&format!("sum by (topic) (delta({all}[5m]) / 5)"), &[topic], moved / 5.0);
    let read = "sum by (consumergroup, topic) (delta(kafka_consumergroup_current_offset[5m]) / 5)";
    for group in ["flow-classic", "flow-848"] {
        near(read, &[topic, ("consumergroup", group)], moved / 5.0);
    }
    assert_eq!(the_one(prometheus, read, &[topic, ("consumergroup", "flow-stopped")]), 0.0);
    assert_eq!(the_one(prometheus, "sum by (topic) (kafka_topic_partitions)", &[topic]), f64::from(PARTITIONS));
}

fn nothing_was_dropped(prometheus: &Prometheus) {
    let value = |expression: &str| the_one(prometheus, expression, &[]);
    assert_eq!(value("min_over_time(up[5m])"), 1.0);
    assert!(value("count_over_time(up[5m])") > 20.0);
    assert!(value("min_over_time(scrape_samples_scraped[5m])") > 100.0);
    let dropped = "max_over_time((scrape_samples_scraped - scrape_samples_post_metric_relabeling)[5m:2s])";
    assert_eq!(value(dropped), 0.0);
    let own = prometheus.own_metrics();
    for reason in ["duplicate_timestamp", "out_of_order", "out_of_bounds"] {
        let line = format!("prometheus_target_scrapes_sample_{reason}_total 0");
        assert!(own.lines().any(|own| own == line), "{line}: not in Prometheus's own metrics");
    }
}

/// The dashboard's lag by group and topic, once nothing moves any more.
fn lag_panel_is_right(prometheus: &Prometheus, quiet: &Exposition) {
    let right: Vec<(String, f64)> =
        rows(quiet, "kafka_consumergroup_lag_sum").into_iter().map(|((group, ..), lag)| (group, lag)).collect();
    assert_eq!(right.len(), 4);
    assert!(right.iter().any(|(group, lag)| group == "flow-slow" && *lag > 0.0), "{right:?}");
    eventually("Prometheus has scraped the last lags", SOON, || {
        let expression = format!("sum by (consumergroup, topic) (kafka_consumergroup_lag{{topic=\"{TOPIC}\"}})");
        let mut shown: Vec<_> = prometheus
            .query(&expression)
            .into_iter()
            .map(|(labels, lag)| (labels["consumergroup"].clone(), lag))
            .collect();
        shown.sort_by(|a, b| a.0.cmp(&b.0));
        if shown == right { Ok(()) } else { Err(format!("{shown:?}, not {right:?}")) }
    });
}
