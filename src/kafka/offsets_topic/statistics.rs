//! What librdkafka's statistics say of the partitions that are read (STATISTICS.md of librdkafka).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::OFFSETS_TOPIC;
use super::health::Observation;
use crate::model::Offset;

/// A leader whose last bytes came so long ago answers no fetches: it would at least every [`FETCH_WAIT`].
const SILENT: Duration = Duration::from_secs(3);
/// How long a broker may hold a fetch back for which there is nothing yet.
pub(super) const FETCH_WAIT: Duration = Duration::from_millis(500);
/// What librdkafka calls a broker that stands for the role of another one.
const LOGICAL: &str = "logical";
/// What an answer may take on its way beyond that.
const ON_ITS_WAY: Duration = Duration::from_millis(250);

/// The part of a statistics document that is read.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    topics: HashMap<String, Topic>,
}

#[derive(Debug, Deserialize)]
struct Broker {
    nodeid: i32,
    source: String,
    state: String,
    /// Microseconds since something came; negative: nothing yet.
    rxidle: i64,
}

#[derive(Debug, Deserialize)]
struct Topic {
    partitions: HashMap<i32, Partition>,
}

#[derive(Debug, Deserialize)]
struct Partition {
    /// Who is asked for its records; negative: nobody.
    broker: i32,
    fetch_state: String,
    /// How many records wait to be taken: those of all partitions, for they wait in one queue.
    #[serde(default)]
    fetchq_cnt: usize,
    next_offset: i64,
    hi_offset: i64,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is not the JSON that librdkafka describes.
    pub(super) fn read(document: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(document)
    }

    /// What it says of each partition, as of `now`.
    pub(super) fn observations(&self, now: Instant) -> impl Iterator<Item = (usize, Observation)> {
        let partitions = self.topics.get(OFFSETS_TOPIC).into_iter().flat_map(|topic| &topic.partitions);
        partitions.filter_map(move |(number, partition)| {
            let is_read = partition.fetch_state == "active";
            let seen = Observation {
                heard: self.heard(partition.broker, now).filter(|_| is_read),
                position: Offset::new(partition.next_offset),
                high_watermark: Offset::new(partition.hi_offset),
            };
            // librdkafka keeps things about no partition under -1.
            Some((usize::try_from(*number).ok()?, seen))
        })
    }

    /// How many records were read already and not handed on when it was written.
    pub(super) fn waiting(&self) -> usize {
        let partitions = self.topics.get(OFFSETS_TOPIC).into_iter().flat_map(|topic| topic.partitions.values());
        partitions.map(|partition| partition.fetchq_cnt).max().unwrap_or(0)
    }

    /// When the last answer of a broker to a fetch was true, at the latest.
    fn heard(&self, broker: i32, now: Instant) -> Option<Instant> {
        // The group's coordinator stands there a second time, with a connection that no records come by.
        let is_it = |known: &&Broker| known.nodeid == broker && broker >= 0 && known.source != LOGICAL;
        let broker = self.brokers.values().find(is_it)?;
        let idle = Duration::from_micros(u64::try_from(broker.rxidle).ok()?);
        let is_up = ["UP", "UPDATE"].contains(&broker.state.as_str());
        (is_up && idle < SILENT).then(|| now.checked_sub(idle + FETCH_WAIT + ON_ITS_WAY)).flatten()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn seen(state: &str, idle: i64, fetch_state: &str) -> (usize, Observation, Instant) {
        let text = format!(
            r#"{{"brokers":{{"GroupCoordinator":{{"nodeid":1,"source":"logical","state":"UP","rxidle":1000}},
            "b:1/1":{{"nodeid":1,"source":"learned","state":"{state}","rxidle":{idle}}}}},
            "topics":{{"__consumer_offsets":{{"partitions":{{
            "3":{{"broker":1,"fetch_state":"{fetch_state}","fetchq_cnt":4,"next_offset":7,"hi_offset":9,"ls_offset":7}},
            "-1":{{"broker":-1,"fetch_state":"none","next_offset":-1001,"hi_offset":-1001}}}}}}}}}}"#
        );
        let now = Instant::now() + Duration::from_secs(60);
        let document = Document::read(text.as_bytes()).unwrap();
        let seen: Vec<_> = document.observations(now).collect();
        assert_eq!(seen.len(), 1, "what is about no partition is left out");
        assert_eq!(document.waiting(), 4);
        (seen[0].0, seen[0].1, now)
    }

    #[test]
    fn position_end_and_time_are_read() {
        let (partition, seen, now) = seen("UP", 200_000, "active");
        assert_eq!((partition, seen.position, seen.high_watermark), (3, Offset::new(7), Offset::new(9)));
        let before = now - seen.heard.unwrap();
        assert_eq!(before, Duration::from_millis(200) + FETCH_WAIT + ON_ITS_WAY);
    }

    #[test]
    fn a_broker_that_says_nothing_tells_nothing() {
        for (state, idle, fetch_state) in
            [("DOWN", 200_000, "active"), ("UP", 3_000_000, "active"), ("UP", -1, "active"), ("UP", 0, "offset-query")]
        {
            assert!(seen(state, idle, fetch_state).1.heard.is_none(), "{state} {idle} {fetch_state}");
        }
    }

    #[test]
    fn before_anything_is_read_there_are_no_topics() {
        let document = Document::read(br#"{"brokers":{}}"#).unwrap();
        assert_eq!(document.observations(Instant::now()).count(), 0);
        assert!(Document::read(b"{").is_err());
    }
}
