//! Health and load of the connections, from librdkafka's statistics (STATISTICS.md of librdkafka).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::model::{BrokerConnection, BrokerId, ConnectionStats};

/// How many brokers' counters are kept, those that left the cluster included.
const MAX_BROKERS: usize = 4096;

/// Keeps counters from falling when librdkafka begins anew with a broker.
#[derive(Debug, Default)]
pub(super) struct Tally {
    brokers: BTreeMap<BrokerId, Totals>,
}

/// A broker's counters by name.
type Totals = BTreeMap<String, Total>;

#[derive(Debug, Default)]
struct Total {
    last: u64,
    total: u64,
}

impl Total {
    /// Takes the counter's newest value; one that fell has begun anew.
    fn take(&mut self, value: u64) -> u64 {
        self.total = self.total.saturating_add(value.checked_sub(self.last).unwrap_or(value));
        self.last = value;
        self.total
    }
}

impl Tally {
    /// Reads one statistics document.
    ///
    /// # Errors
    /// When it is not the JSON that librdkafka describes.
    pub(super) fn take(&mut self, document: &[u8]) -> Result<ConnectionStats, serde_json::Error> {
        let document: Document = serde_json::from_slice(document)?;
        let mut known: BTreeMap<BrokerId, RawBroker> = BTreeMap::new();
        // Bootstrap addresses and librdkafka's internal brokers have no id.
        for broker in document.brokers.into_values().filter(|broker| broker.nodeid >= 0).take(MAX_BROKERS) {
            known.insert(BrokerId(broker.nodeid), broker);
        }
        if self.brokers.len() + known.len() > 2 * MAX_BROKERS {
            self.brokers.retain(|id, _| known.contains_key(id));
        }
        let brokers = known.into_iter().map(|(id, broker)| broker.connection(id, self.brokers.entry(id).or_default()));
        Ok(ConnectionStats { brokers: brokers.collect(), replacements: 0 })
    }
}

/// What is read of a statistics document.
#[derive(Debug, Deserialize)]
struct Document {
    brokers: BTreeMap<String, RawBroker>,
}

/// One broker of a statistics document, in librdkafka's names.
#[derive(Debug, Deserialize)]
struct RawBroker {
    nodeid: i32,
    state: String,
    connects: u64,
    disconnects: u64,
    req_timeouts: u64,
    waitresp_cnt: i64,
    rtt: Window,
    req: BTreeMap<String, u64>,
}

/// A window of measurements in microseconds.
#[derive(Debug, Deserialize)]
struct Window {
    cnt: u64,
    avg: i64,
}

impl RawBroker {
    fn connection(self, broker: BrokerId, totals: &mut Totals) -> BrokerConnection {
        let mut total = |name: &str, value| match totals.get_mut(name) {
            Some(total) => total.take(value),
            None => totals.entry(name.to_owned()).or_default().take(value),
        };
        let is_up = ["UP", "UPDATE"].contains(&self.state.as_str());
        let asked = self.req.into_iter().map(|(api, count)| {
            let count = total(&api, count);
            (Arc::from(api), count)
        });
        let requests = asked.filter(|(_, count)| *count > 0).collect();
        BrokerConnection {
            broker,
            is_up,
            requests,
            // Lower case, as no API's name is.
            connects: total("connects", self.connects),
            disconnects: total("disconnects", self.disconnects),
            timeouts: total("req_timeouts", self.req_timeouts),
            in_flight: u64::try_from(self.waitresp_cnt).unwrap_or_default(),
            round_trip: (self.rtt.cnt > 0).then(|| microseconds(self.rtt.avg)),
        }
    }
}

fn microseconds(count: i64) -> Duration {
    Duration::from_micros(u64::try_from(count).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

    use super::*;

    fn document(id: i32, state: &str, connects: u64, list_offsets: u64) -> String {
        format!(
            r#"{{"name":"x","brokers":{{"a:1/{id}":{{"name":"a:1/{id}","nodeid":{id},"state":"{state}","connects":{connects},
            "disconnects":0,"req_timeouts":0,"waitresp_cnt":2,
            "rtt":{{"cnt":1,"avg":1500,"p99":2500}},"req":{{"ListOffsets":{list_offsets},"Fetch":0}}}}}}}}"#
        )
    }

    #[test]
    fn reads_a_real_broker() {
        let stats = Tally::default().take(document(3, "UP", 1, 7).as_bytes()).unwrap();
        let broker = &stats.brokers[0];
        assert_eq!((broker.broker, broker.is_up, broker.in_flight), (BrokerId(3), true, 2));
        assert_eq!(broker.requests, [(Arc::from("ListOffsets"), 7)], "what was never asked is left out");
        assert_eq!(broker.round_trip, Some(Duration::from_micros(1500)));
    }

    #[test]
    fn bootstrap_addresses_are_left_out() {
        let stats = Tally::default().take(document(-1, "UP", 1, 7).as_bytes()).unwrap();
        assert_eq!(stats, ConnectionStats::default());
    }

    #[test]
    fn counters_go_on_when_librdkafka_begins_anew() {
        let mut tally = Tally::default();
        tally.take(document(3, "UP", 4, 7).as_bytes()).unwrap();
        let stats = tally.take(document(3, "TRY_CONNECT", 1, 2).as_bytes()).unwrap();
        assert_eq!((stats.brokers[0].connects, stats.brokers[0].requests[0].1), (5, 9));
        assert!(!stats.brokers[0].is_up);
    }

    #[test]
    fn a_broken_document_is_an_error() {
        assert!(Tally::default().take(b"{").is_err());
    }
}
