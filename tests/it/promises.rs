//! What every scrape must keep to, whatever has happened to Kafka, and a watcher that scrapes all the while.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use crate::exposition::{Exposition, Sample};
use crate::http;

/// The pause between two scrapes of a watcher.
const PAUSE: Duration = Duration::from_millis(100);

/// The collectors that are always there.
const COLLECTORS: [&str; 5] = ["brokers", "topics", "offsets", "groups", "commits"];

type Values<'a> = BTreeMap<Vec<&'a str>, Vec<&'a Sample>>;

/// The series of a name by some of their labels.
fn by<'a>(scrape: &'a Exposition, name: &str, labels: &[&str]) -> Values<'a> {
    let mut values = Values::new();
    for sample in scrape.all(name, &[]) {
        values.entry(labels.iter().map(|label| sample.label(label)).collect()).or_default().push(sample);
    }
    values
}

fn one(values: &Values<'_>, key: &[&str]) -> Option<f64> {
    values.get(key).and_then(|samples| samples.first()).map(|sample| sample.value)
}

fn parts(values: &Values<'_>, key: &[&str]) -> BTreeMap<String, f64> {
    let samples = values.get(key).into_iter().flatten();
    samples.map(|sample| (sample.label("partition").to_owned(), sample.value)).collect()
}

fn sum(parts: &BTreeMap<String, f64>) -> f64 {
    parts.values().sum()
}

fn largest(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.reduce(f64::max)
}

/// Checks that a scrape agrees with itself: sums are whole or absent, maxima cover what is known, what is missing is
/// counted, and what is always present is present.
pub(crate) fn coherent(scrape: &Exposition) -> Result<(), String> {
    if scrape.get("kafka_up", &[]).is_none() {
        return Err("there is no kafka_up".to_owned());
    }
    for collector in COLLECTORS {
        if scrape.get("kafkascope_collector_success", &[("collector", collector)]).is_none() {
            return Err(format!("there is no kafkascope_collector_success of {collector}"));
        }
    }
    groups_agree(scrape)?;
    topics_agree(scrape)
}

fn groups_agree(scrape: &Exposition) -> Result<(), String> {
    const KEY: [&str; 2] = ["consumergroup", "topic"];
    let unknown = by(scrape, "kafka_consumergroup_unknown_partitions", &KEY);
    let lags = by(scrape, "kafka_consumergroup_lag", &KEY);
    let sums = by(scrape, "kafka_consumergroup_lag_sum", &KEY);
    let maxima = by(scrape, "kafka_consumergroup_topic_max_lag", &KEY);
    if let Some(stray) = lags.keys().chain(sums.keys()).chain(maxima.keys()).find(|key| !unknown.contains_key(*key)) {
        return Err(format!("{stray:?} has a lag and no kafka_consumergroup_unknown_partitions"));
    }
    let mut whole = BTreeMap::<&str, Option<f64>>::new();
    for key in unknown.keys() {
        let (missing, known) = (one(&unknown, key), parts(&lags, key));
        let expected = (missing == Some(0.0) && !known.is_empty()).then(|| sum(&known));
        if one(&sums, key) != expected {
            return Err(format!("{key:?}: lag_sum {:?}, unknown {missing:?}, lags {known:?}", one(&sums, key)));
        }
        let most = largest(known.values().copied());
        if one(&maxima, key) != most {
            return Err(format!("{key:?}: topic_max_lag {:?}, lags {known:?}", one(&maxima, key)));
        }
        let group = whole.entry(key[0]).or_default();
        *group = largest(group.iter().copied().chain(most));
    }
    for (group, most) in whole {
        let shown = scrape.get("kafka_consumergroup_max_lag", &[("consumergroup", group)]);
        if shown != most {
            return Err(format!("{group}: max_lag {shown:?}, its topics' is {most:?}"));
        }
    }
    let states = by(scrape, "kafka_consumergroup_state", &["consumergroup"]);
    let twice = states.iter().find(|(_, states)| states.len() != 1);
    twice.map_or(Ok(()), |(group, states)| Err(format!("{group:?} is in {} states", states.len())))
}

fn topics_agree(scrape: &Exposition) -> Result<(), String> {
    let ends = by(scrape, "kafka_topic_partition_current_offset", &["topic"]);
    let starts = by(scrape, "kafka_topic_partition_oldest_offset", &["topic"]);
    let offline = by(scrape, "kafka_topic_partition_offline", &["topic"]);
    let leaders = by(scrape, "kafka_topic_partition_leader", &["topic"]);
    for (key, missing) in by(scrape, "kafka_topic_unknown_partitions", &["topic"]) {
        let topic = [("topic", key[0])];
        let (ends, starts) = (parts(&ends, &key), parts(&starts, &key));
        let both = ends.keys().filter(|partition| starts.contains_key(*partition)).count();
        let count = scrape.get("kafka_topic_partitions", &topic);
        if let Some(count) = count {
            // Small whole numbers.
            #[expect(clippy::cast_precision_loss, reason = "counts of partitions")]
            let expected = count - both as f64;
            if missing[0].value != expected {
                return Err(format!("{key:?}: {count} partitions, {both} known, unknown {}", missing[0].value));
            }
        }
        for (name, known) in [("current", &ends), ("oldest", &starts)] {
            let shown = scrape.get(&format!("kafka_topic_{name}_offset_sum"), &topic);
            #[expect(clippy::cast_precision_loss, reason = "counts of partitions")]
            let complete = count == Some(known.len() as f64);
            if shown != complete.then(|| sum(known)) {
                return Err(format!("{key:?}: {name}_offset_sum {shown:?} of {count:?} partitions: {known:?}"));
            }
        }
        let headless: BTreeSet<_> = parts(&offline, &key)
            .into_iter()
            .filter(|(_, value)| *value == 1.0)
            .map(|(partition, _)| partition)
            .collect();
        if let Some(both) = headless.iter().find(|partition| parts(&leaders, &key).contains_key(*partition)) {
            return Err(format!("{key:?}-{both} is offline and has a leader"));
        }
    }
    Ok(())
}

/// Scrapes all the time on a thread of its own and keeps the first thing that is wrong.
pub(crate) struct Watcher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<usize, String>>>,
}

impl Watcher {
    /// Watches from now on; beside [`coherent`], each scrape must satisfy `check`.
    pub(crate) fn start(
        address: SocketAddr,
        mut check: impl FnMut(&Exposition) -> Result<(), String> + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = spawn(move || {
            let (mut scrapes, mut newest) = (0, 0.0);
            while !stopped.load(Ordering::Relaxed) {
                let scrape = scrape(address)?;
                let made = scrape.get("kafkascope_snapshot_timestamp_seconds", &[]).unwrap_or(0.0);
                if made < newest {
                    return Err(format!("scrape {scrapes}: the snapshot of {made} comes after that of {newest}"));
                }
                newest = made;
                coherent(&scrape)
                    .and_then(|()| check(&scrape))
                    .map_err(|fault| format!("scrape {scrapes}: {fault}"))?;
                scrapes += 1;
                sleep(PAUSE);
            }
            Ok(scrapes)
        });
        Self { stop, thread: Some(thread) }
    }

    /// Panics if a scrape was wrong so far.
    #[track_caller]
    pub(crate) fn content(&mut self) {
        if self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            let fault = self.end().expect_err("a watcher that nobody stopped ended without a fault");
            panic!("{fault}");
        }
    }

    /// Ends the watch: panics if a scrape was wrong, or if there were fewer than `at_least`.
    #[track_caller]
    pub(crate) fn finish(mut self, at_least: usize) {
        match self.end() {
            Ok(scrapes) => assert!(scrapes >= at_least, "only {scrapes} scrapes"),
            Err(fault) => panic!("{fault}"),
        }
    }

    fn end(&mut self) -> Result<usize, String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("a watcher ends once").join().unwrap_or_else(|_| Err("the watcher panicked".into()))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn scrape(address: SocketAddr) -> Result<Exposition, String> {
    let response = http::get(address, "/metrics", &[])?;
    if response.status != 200 {
        return Err(format!("/metrics: {} {}", response.status, response.text()));
    }
    Exposition::parse(&response.text())
}
