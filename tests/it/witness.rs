//! What Kafka said over a stretch of time, and whether what a scrape shows was true at some moment of it.
//!
//! While things move, no two clients see the same. But a value that was read within the allowed age lies between the
//! least and the most that Kafka said within that age, and what was there all that time must be shown.

use std::collections::{BTreeMap, VecDeque};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::exporter::Exporter;
use crate::exposition::Exposition;
use crate::kafka::Driver;
use crate::kafka::truth::Truth;
use crate::promises::coherent;

/// How old a shown value may be. A few times the longest interval of those who are watched: machines are busy.
const ALLOWED: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(200);

const END: &str = "kafka_topic_partition_current_offset";
const START: &str = "kafka_topic_partition_oldest_offset";
const COMMIT: &str = "kafka_consumergroup_current_offset";
const LAG: &str = "kafka_consumergroup_lag";

/// Group (none for a topic's own offsets), topic and partition.
type Place = (String, String, String);

/// The least and the most, how often it was there, and how many were told until it last was.
#[derive(Debug, Clone, Copy)]
struct Range {
    least: f64,
    most: f64,
    times: usize,
    until: usize,
}

/// The values of one stretch of time.
#[derive(Debug, Default)]
struct Stretch {
    told: usize,
    ranges: BTreeMap<(&'static str, Place), Range>,
    /// The ids that each topic had.
    lives: BTreeMap<String, Vec<String>>,
}

impl Stretch {
    fn over<'a>(truths: impl Iterator<Item = &'a Truth>) -> Self {
        let mut stretch = Self::default();
        for truth in truths {
            stretch.told += 1;
            stretch.add(truth);
        }
        stretch
    }

    fn add(&mut self, truth: &Truth) {
        for (name, topic) in &truth.topics {
            let lives = self.lives.entry(name.clone()).or_default();
            if lives.last() != Some(&topic.id) {
                lives.push(topic.id.clone());
            }
            for row in &topic.partitions {
                let place = || (String::new(), name.clone(), row.partition.to_string());
                self.put(END, place(), row.latest);
                self.put(START, place(), row.earliest);
            }
        }
        for (name, group) in &truth.groups {
            for row in &group.offsets {
                self.put(COMMIT, (name.clone(), row.topic.clone(), row.partition.to_string()), Some(row.offset));
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    fn put(&mut self, name: &'static str, place: Place, offset: Option<i64>) {
        let Some(value) = offset.map(|offset| offset as f64) else { return };
        let range = self.ranges.entry((name, place)).or_insert(Range { least: value, most: value, times: 0, until: 0 });
        range.least = range.least.min(value);
        range.most = range.most.max(value);
        (range.times, range.until) = (range.times + 1, self.told);
    }

    /// What came or went, or began anew, may have had other values between two tellings.
    fn known(&self, name: &'static str, place: Place) -> Option<Range> {
        let is_anew = self.lives.get(&place.1).is_none_or(|lives| lives.len() > 1);
        let mut range = *self.ranges.get(&(name, place))?;
        if range.times < self.told || is_anew {
            range.least = 0.0;
        }
        if range.until < self.told {
            range.most = f64::MAX;
        }
        Some(range)
    }

    /// The values that a series may have.
    fn range(&self, name: &'static str, place: &Place) -> Option<Range> {
        if name != LAG {
            return self.known(name, place.clone());
        }
        let of_topic = (String::new(), place.1.clone(), place.2.clone());
        let commit = self.known(COMMIT, place.clone())?;
        let start = self.known(START, of_topic.clone())?;
        let end = self.known(END, of_topic)?;
        Some(Range {
            least: (end.least - commit.most.max(start.most)).max(0.0),
            most: (end.most - commit.least.max(start.least)).max(0.0),
            times: commit.times.min(start.times).min(end.times),
            until: commit.until.min(start.until).min(end.until),
        })
    }

    /// Whether something of a topic was there, in the same life, all the time.
    fn is_lasting(&self, range: Range, topic: &str) -> bool {
        range.times == self.told && self.lives.get(topic).is_some_and(|lives| lives.len() == 1)
    }

    /// What a scrape shows that was never so, and what it lacks that was always there.
    fn faults(&self, scrape: &Exposition, prefix: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let mut shown: BTreeMap<(&str, Place), f64> = BTreeMap::new();
        for name in [END, START, COMMIT, LAG] {
            for sample in scrape.all(name, &[]).into_iter().filter(|sample| sample.label("topic").starts_with(prefix)) {
                let place = ["consumergroup", "topic", "partition"].map(|label| sample.label(label).to_owned()).into();
                match self.range(name, &place) {
                    Some(range) if (range.least..=range.most).contains(&sample.value) => {}
                    Some(range) => {
                        faults.push(format!("{name} of {place:?} is {}, not within {range:?}", sample.value))
                    }
                    None => faults.push(format!("{name} of {place:?} is {}: there was no such thing", sample.value)),
                }
                shown.insert((name, place), sample.value);
            }
        }
        for (name, place) in self.ranges.keys() {
            for name in [name, LAG] {
                let Some(range) = self.range(name, place) else { continue };
                let is_shown = shown.contains_key(&(name, place.clone()));
                if !is_shown && self.is_lasting(range, &place.1) {
                    faults.push(format!("{name} of {place:?} is missing: it was {range:?}"));
                }
            }
        }
        faults
    }
}

/// Compares scrapes with what Kafka says meanwhile.
pub(crate) struct Witness<'a> {
    exporter: &'a Exporter,
    driver: &'a Driver,
    prefix: &'a str,
    told: VecDeque<(Instant, Truth)>,
    looks: usize,
}

impl<'a> Witness<'a> {
    /// A witness to what follows; the exporter has just agreed with `truth` on the topics and groups of the prefix.
    pub(crate) fn new(exporter: &'a Exporter, driver: &'a Driver, prefix: &'a str, truth: Truth) -> Self {
        Self { exporter, driver, prefix, told: VecDeque::from([(Instant::now(), truth)]), looks: 0 }
    }

    /// Looks again and again for some time; panics at the first scrape that shows what was not so.
    #[track_caller]
    pub(crate) fn watch(&mut self, time: Duration) {
        let (until, looks) = (Instant::now() + time, self.looks);
        while Instant::now() < until {
            self.look();
            sleep(PAUSE);
        }
        assert!(self.looks > looks, "Kafka did not answer its own client once in {time:?}");
    }

    #[track_caller]
    fn look(&mut self) {
        let at = Instant::now();
        let scrape = self.exporter.scrape();
        if let Err(fault) = coherent(&scrape) {
            panic!("{fault}");
        }
        // What Kafka says after the scrape bounds what it can show.
        let Ok(truth) = self.driver.truth(self.prefix) else { return };
        self.told.push_back((Instant::now(), truth));
        while self.told.get(1).is_some_and(|(told, _)| *told + ALLOWED <= at) {
            self.told.pop_front();
        }
        let faults = Stretch::over(self.told.iter().map(|(_, truth)| truth)).faults(&scrape, self.prefix);
        assert!(faults.is_empty(), "{} faults:\n  {}", faults.len(), faults.join("\n  "));
        self.looks += 1;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{COMMIT, END, LAG, START, Stretch};
    use crate::exposition::{Exposition, Sample};
    use crate::kafka::truth::Truth;

    fn truth(end: i64, committed: Option<i64>) -> Truth {
        let offsets: Vec<_> =
            committed.iter().map(|offset| json!({"topic": "t", "partition": 0, "offset": offset})).collect();
        let partition = json!({"partition": 0, "leader": 1, "replicas": [1], "isr": [1], "earliest": 2, "latest": end});
        serde_json::from_value(json!({
            "cluster_id": "c", "brokers": [],
            "topics": {"t": {"id": "one", "internal": false, "configs": {}, "partitions": [partition]}},
            "groups": {"g": {"state": "Empty", "type": "Classic", "simple": true, "assignor": "", "members": [],
                             "offsets": offsets}},
        }))
        .unwrap()
    }

    fn scrape(values: &[(&str, f64)]) -> Exposition {
        let sample = |(name, value): &(&str, f64)| {
            let group = if [COMMIT, LAG].contains(name) { "g" } else { "" };
            let labels = [("consumergroup", group), ("topic", "t"), ("partition", "0")];
            let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            Sample { name: (*name).to_owned(), labels, value: *value }
        };
        Exposition { samples: values.iter().map(sample).collect(), ..Exposition::default() }
    }

    #[test]
    fn tells_what_was_so_from_what_was_not() {
        let truths = [truth(10, Some(1)), truth(20, Some(5))];
        let faults = |values: &[(&str, f64)]| Stretch::over(truths.iter()).faults(&scrape(values), "t").len();
        assert_eq!(faults(&[(END, 15.0), (START, 2.0), (COMMIT, 3.0), (LAG, 12.0)]), 0);
        assert_eq!(faults(&[(END, 9.0), (START, 2.0), (COMMIT, 6.0), (LAG, 19.0)]), 3);
        assert_eq!(faults(&[(END, 15.0)]), 3, "three are missing");
        let truths = [truth(10, None), truth(20, Some(5))];
        let faults = |values: &[(&str, f64)]| Stretch::over(truths.iter()).faults(&scrape(values), "t").len();
        assert_eq!(faults(&[(END, 15.0), (START, 2.0)]), 0, "it was not there all the time");
        assert_eq!(faults(&[(END, 15.0), (START, 2.0), (COMMIT, 4.0), (LAG, 15.0)]), 0, "it came a little before");
        assert_eq!(faults(&[(END, 15.0), (START, 2.0), (COMMIT, 6.0), (LAG, 15.0)]), 1, "nor was it ever so far");
    }
}
