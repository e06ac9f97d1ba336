//! Every query of every dashboard is asked of a real Prometheus that scrapes real exporters of a real Kafka: all return data,
//! two replicas count once, and what is chosen in a variable is what is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::dashboard_files::{self, Dashboard, Kind, Query, Selection};
use crate::exporter::Exporter;
use crate::kafka::{Driver, Protocol, at, shared};
use crate::known_metrics::KnownMetrics;
use crate::prometheus::{Prometheus, Series};
use crate::tools::scratch;
use crate::wait::eventually;

/// For groups to settle and for everything to have been scraped.
const SOON: Duration = Duration::from_secs(90);
/// So much is looked at, in seconds, and so often.
const RANGE: u64 = 60;
const STEP: u64 = 5;
/// The job of the two replicas, and that of one more exporter without a name for its cluster.
const PAIR: &str = "pair";
const SINGLE: &str = "single";
/// A name in which a regex would see signs of its own.
const LOST: &str = "dash.lost (eu)+[1]|x";
const STILL: &str = "dash.still";

#[test]
fn dashboards_name_only_metrics_and_labels_that_exist() {
    let known = KnownMetrics::new();
    for query in dashboard_files::all().iter().flat_map(|dashboard| &dashboard.queries) {
        assert_eq!(known.complaints(&query.text), Vec::<String>::new(), "{}: {}", query.place, query.text);
    }
}

/// Groups of all conditions: one that keeps up, one that catches up, one that has stopped and lost messages.
fn load(driver: &Driver) {
    driver.create_topic("dash-moving", 3).unwrap();
    driver.create_topic("dash-backlog", 1).unwrap();
    driver.create_topic(STILL, 2).unwrap();
    driver.produce("dash-backlog", 0, 60_000).unwrap();
    driver.produce(STILL, 0, 100).unwrap();
    driver.produce(STILL, 1, 30).unwrap();
    driver.start_producer("dash-producer", "dash-moving", 50).unwrap();
    driver.start_consumer("dash-reader", "dash-reader", &["dash-moving"], Protocol::Classic).unwrap();
    let slowly = [("auto.offset.reset", "earliest")];
    driver
        .start_consumer_with("dash-late", "dash-catching-up", &["dash-backlog"], Protocol::Classic, 200, &slowly)
        .unwrap();
    driver.commit(LOST, &[at(STILL, 0, 5), at(STILL, 1, 10)]).unwrap();
    driver.delete_records(STILL, 0, 20).unwrap();
}

/// An exporter of what [`load`] makes, from a file.
fn exporter(directory: &std::path::Path, name: &str, cluster: &str, more: &[&str]) -> Exporter {
    let file = directory.join(name);
    let text = format!(
        "polling: {{min_interval: 1s}}\nbudget: {{cpu: 100%}}\nclusters:\n- bootstrap_servers: ['{}']\n  \
         topics: {{include: ['^dash']}}\n  groups: {{include: ['^dash']}}\n{cluster}",
        shared().bootstrap()
    );
    std::fs::write(&file, text).unwrap();
    Exporter::builder().args(["--config", file.to_str().unwrap()]).args(more).start()
}

/// An alert as the shipped rules make them.
const RULES: &str = "groups:\n- name: dashboards\n  rules:\n  - alert: KafkaConsumerGroupStopped\n    \
    expr: max by (namespace, job, cluster_name, consumergroup, topic) (kafka_consumergroup_lag_sum{consumergroup=~\"dash.lost.*\"}) > 0\n    \
    labels: {severity: critical}\n";

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What a query answers at a time, as Grafana asks it.
fn answer(
    prometheus: &Prometheus,
    dashboard: &Dashboard,
    query: &Query,
    selection: &Selection,
    end: u64,
) -> Vec<Series> {
    let promql = query.promql(&dashboard.variables, selection);
    match query.kind {
        Kind::Range | Kind::Annotation => prometheus.query_range(&promql, (end - RANGE, end), STEP),
        Kind::Instant | Kind::Variable => prometheus.query_at(&promql, end),
    }
}

fn questions(dashboards: &[Dashboard]) -> Vec<(&Dashboard, &Query)> {
    dashboards.iter().flat_map(|dashboard| dashboard.queries.iter().map(move |query| (dashboard, query))).collect()
}

fn all_return_data(prometheus: &Prometheus, dashboards: &[Dashboard]) {
    let mut waiting = questions(dashboards);
    assert!(waiting.len() > 150, "{} queries", waiting.len());
    eventually("every query returns data", SOON, || {
        let end = now() - 1;
        waiting.retain(|(dashboard, query)| {
            let rows = answer(prometheus, dashboard, query, &Selection::default(), end);
            rows.iter().all(|(_, value)| value.is_nan())
        });
        let missing: Vec<_> = waiting.iter().map(|(_, query)| format!("{}\n{}", query.place, query.text)).collect();
        if missing.is_empty() { Ok(()) } else { Err(missing.join("\n\n")) }
    });
}

fn labels(rows: &[Series]) -> BTreeSet<BTreeMap<String, String>> {
    rows.iter().map(|(labels, _)| labels.clone()).collect()
}

/// Over time nothing else comes out than at once, and with everything chosen one by one nothing else than with All.
fn answers_agree(prometheus: &Prometheus, dashboards: &[Dashboard]) {
    let end = now() - 3;
    let pair = Selection::default().choose("job", [PAIR]);
    for dashboard in dashboards {
        let mut chosen = pair.clone();
        for query in dashboard.queries.iter().filter(|query| query.kind == Kind::Variable) {
            let rows = answer(prometheus, dashboard, query, &pair, end);
            let values: Vec<&String> = rows.iter().flat_map(|(labels, _)| labels.values()).collect();
            assert_eq!(values.len(), rows.len(), "{}: {rows:?}", query.place);
            let name = query.place.rsplit(' ').next().unwrap();
            chosen = chosen.choose(name, values.into_iter().map(String::as_str));
        }
        for query in dashboard.queries.iter().filter(|query| query.kind != Kind::Variable) {
            let rows = answer(prometheus, dashboard, query, &pair, end);
            let same = answer(prometheus, dashboard, query, &chosen, end);
            assert_eq!(labels(&rows), labels(&same), "{}: All is not everything", query.place);
            let at_once = prometheus.query_at(&query.promql(&dashboard.variables, &pair), end);
            assert_eq!(labels(&rows), labels(&at_once), "{}: over time and at once", query.place);
        }
    }
}

/// Rows without what tells the two jobs apart: their names, and the name that one of the clusters lacks.
fn anonymous(rows: Vec<Series>) -> Vec<(BTreeMap<String, String>, String)> {
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|(mut labels, value)| {
            labels.retain(|name, _| !matches!(name.as_str(), "job" | "cluster_name" | "cluster"));
            (labels, value.to_string())
        })
        .collect();
    rows.sort();
    rows
}

/// Whether a query tells only what every exporter sees alike once nothing moves: offsets, sums and counts. Times since and
/// verdicts depend on when an exporter was started, and what it says of itself is its own.
fn is_the_same_for_all(query: &Query) -> bool {
    // What only chooses rows may be anything.
    let told = query.text.split("\nand on").next().unwrap();
    let own =
        ["kafkascope_", "process_", "up{", "scrape_", "ALERTS", "_seconds", "velocity", "_rate{", "_status{", "$__"];
    !own.iter().any(|part| told.contains(part))
}

/// Two replicas show what one exporter shows, whether its cluster has a name or not.
fn replicas_count_once(prometheus: &Prometheus, dashboards: &[Dashboard]) {
    let still = |job| Selection::default().choose("job", [job]).choose("group", [LOST]).choose("topic", [STILL]);
    let all = questions(dashboards);
    let compared: Vec<_> = all
        .into_iter()
        .filter(|(_, query)| query.kind != Kind::Variable && is_the_same_for_all(query))
        // The overview has no variables for topics and groups, and these two are about all of them.
        .filter(|(dashboard, query)| {
            dashboard.uid != "kafkascope-overview" || query.text.contains("kafka_topic_partition_")
        })
        .collect();
    assert!(compared.len() > 40, "{} queries", compared.len());
    eventually("two replicas show what one exporter shows", SOON, || {
        let end = now() - 1;
        let differs = compared.iter().find_map(|(dashboard, query)| {
            let [pair, single] =
                [PAIR, SINGLE].map(|job| anonymous(answer(prometheus, dashboard, query, &still(job), end)));
            (pair != single).then(|| format!("{}: {pair:?}, not {single:?}", query.place))
        });
        differs.map_or(Ok(()), Err)
    });
}

/// The one value of a panel that shows one.
fn shown(prometheus: &Prometheus, dashboards: &[Dashboard], panel: &str, selection: &Selection) -> f64 {
    let place = format!("kafkascope-groups: panel \"{panel}\", query \"A\"");
    let all = questions(dashboards);
    let (dashboard, query) = all.iter().find(|(_, query)| query.place == place).unwrap_or_else(|| panic!("no {place}"));
    let rows = answer(prometheus, dashboard, query, selection, now() - 1);
    assert_eq!(rows.len(), 1, "{panel}: {rows:?}");
    rows[0].1
}

/// The numbers are Kafka's.
fn numbers_are_right(prometheus: &Prometheus, dashboards: &[Dashboard]) {
    let lost = Selection::default().choose("job", [PAIR]).choose("group", [LOST]);
    // 100 − 20, for what was deleted is no lag, and 30 − 10.
    assert_eq!(shown(prometheus, dashboards, "Messages behind", &lost), 100.0);
    assert_eq!(shown(prometheus, dashboards, "Deleted unread", &lost), 15.0);
    assert_eq!(shown(prometheus, dashboards, "Values not known", &lost), 0.0);
}

/// What dashboards that were made for kafka_exporter ask for: 7589, and that of Strimzi.
fn others_return_data(prometheus: &Prometheus) {
    let of_all = "{job=\"single\", topic=~\"dash.*\"}";
    let asked = [
        "sum by (topic) (rate(kafka_topic_partition_current_offset{…}[1m]))",
        "sum by (topic) (delta(kafka_topic_partition_current_offset{…}[5m]) / 5)",
        "sum by (consumergroup, topic) (delta(kafka_consumergroup_current_offset{…}[5m]) / 5)",
        "sum by (consumergroup, topic) (kafka_consumergroup_lag{…})",
        "sum by (topic) (kafka_topic_partitions{…})",
        "group by (instance) (kafka_consumergroup_current_offset{…})",
        "group by (topic) (kafka_topic_partition_current_offset{…, topic!=\"__consumer_offsets\"})",
        "count(kafka_topic_partitions{…})",
        "sum(kafka_topic_partitions{…})",
        "sum(kafka_topic_partition_replicas{…})",
        "sum(kafka_topic_partition_in_sync_replica{…})",
        "sum(kafka_topic_partition_under_replicated_partition{…})",
        "count(kafka_topic_partition_leader_is_preferred{…} < bool 1)",
    ];
    for query in asked {
        let query = query.replace("{…", &of_all[..of_all.len() - 1]);
        assert!(!prometheus.query(&query).is_empty(), "{query}");
    }
    assert_eq!(prometheus.query(&format!("absent(kafka_topic_partitions{of_all})")), []);
}

#[test]
fn every_query_of_every_dashboard_returns_data() {
    let driver = shared().driver();
    load(driver);
    let directory = scratch("dashboards");
    let state = directory.path().join("state");
    let with_state = ["--state-file", state.to_str().unwrap()];
    let named = "  name: dash\n";
    let second = || exporter(directory.path(), "second.yml", &format!("{named}  commits: stream\n"), &with_state);
    let first = exporter(directory.path(), "first.yml", named, &[]);
    let single = exporter(directory.path(), "single.yml", "", &[]);
    // The file is there after a stop, and is read at a start.
    let before = second();
    before.ready();
    assert!(before.terminate().success());
    let second = second();
    let prometheus = Prometheus::builder("1s")
        .job(PAIR, &[first.address(), second.address()])
        .job(SINGLE, &[single.address()])
        .rules(&[("alerts.yml".to_owned(), RULES.to_owned())])
        .start();
    // Moved while it is looked at, so that it is known when.
    first.ready();
    driver.commit(LOST, &[at(STILL, 1, 9)]).unwrap();
    driver.commit(LOST, &[at(STILL, 1, 10)]).unwrap();

    let dashboards = dashboard_files::all();
    assert_eq!(dashboards.len(), 5);
    all_return_data(&prometheus, &dashboards);
    answers_agree(&prometheus, &dashboards);
    others_return_data(&prometheus);
    replicas_count_once(&prometheus, &dashboards);
    numbers_are_right(&prometheus, &dashboards);

    driver.stop_producer("dash-producer").unwrap();
    for consumer in ["dash-reader", "dash-late"] {
        driver.stop_consumer(consumer).unwrap();
    }
}
