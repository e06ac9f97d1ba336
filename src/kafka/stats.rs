//! Health and load of the connections, from librdkafka's statistics (STATISTICS.md of librdkafka).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::model::BrokerId;

/// How many brokers' counters are kept, those that left the cluster included.
const MAX_BROKERS: usize = 4096;

/// The connections of one client when librdkafka last counted. Empty until then.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientStats {
    /// The brokers that the client knows, by id. Bootstrap addresses are not among them.
    pub brokers: Vec<BrokerStats>,
}

/// The connection to one broker. Counters never fall during the life of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerStats {
    /// The broker.
    pub id: BrokerId,
    /// Whether the connection is up.
    pub connected: bool,
    /// Connections begun, failed ones included.
    pub connects: u64,
    /// Connections lost or closed.
    pub disconnects: u64,
    /// Requests that were not answered in time.
    pub request_timeouts: u64,
    /// Requests that could not be sent.
    pub send_errors: u64,
    /// Answers that could not be received.
    pub receive_errors: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Requests that wait to be sent.
    pub queued: u64,
    /// Requests that wait for their answer.
    pub in_flight: u64,
    /// The round trips since the statistics before; `None` when there were none.
    pub round_trip: Option<RoundTrip>,
    /// Requests sent, by the name of the API; those never asked are left out.
    pub requests: BTreeMap<String, u64>,
}

/// How long answers took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundTrip {
    /// On average.
    pub mean: Duration,
    /// In the slowest hundredth.
    pub p99: Duration,
}

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
    pub(super) fn take(&mut self, document: &[u8]) -> Result<ClientStats, serde_json::Error> {
        let document: Document = serde_json::from_slice(document)?;
        let mut known: BTreeMap<BrokerId, RawBroker> = BTreeMap::new();
        // Bootstrap addresses and librdkafka's internal brokers have no id.
        for broker in document.brokers.into_values().filter(|broker| broker.nodeid >= 0).take(MAX_BROKERS) {
            known.insert(BrokerId(broker.nodeid), broker);
        }
        if self.brokers.len() + known.len() > 2 * MAX_BROKERS {
            self.brokers.retain(|id, _| known.contains_key(id));
        }
        let brokers = known.into_iter().map(|(id, broker)| broker.stats(id, self.brokers.entry(id).or_default()));
        Ok(ClientStats { brokers: brokers.collect() })
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
    txerrs: u64,
    rxerrs: u64,
    txbytes: u64,
    rxbytes: u64,
    outbuf_cnt: i64,
    waitresp_cnt: i64,
    rtt: Window,
    req: BTreeMap<String, u64>,
}

/// A window of measurements in microseconds.
#[derive(Debug, Deserialize)]
struct Window {
    cnt: u64,
    avg: i64,
    p99: i64,
}

impl RawBroker {
    fn stats(self, id: BrokerId, totals: &mut Totals) -> BrokerStats {
        let mut total = |name: &str, value| match totals.get_mut(name) {
            Some(total) => total.take(value),
            None => totals.entry(name.to_owned()).or_default().take(value),
        };
        let connected = ["UP", "UPDATE"].contains(&self.state.as_str());
        let asked = self.req.into_iter().map(|(api, count)| {
            let count = total(&api, count);
            (api, count)
        });
        let requests = asked.filter(|(_, count)| *count > 0).collect();
        BrokerStats {
            id,
            connected,
            requests,
            // Lower case, as no API's name is.
            connects: total("connects", self.connects),
            disconnects: total("disconnects", self.disconnects),
            request_timeouts: total("req_timeouts", self.req_timeouts),
            send_errors: total("txerrs", self.txerrs),
            receive_errors: total("rxerrs", self.rxerrs),
            sent_bytes: total("txbytes", self.txbytes),
            received_bytes: total("rxbytes", self.rxbytes),
            queued: u64::try_from(self.outbuf_cnt).unwrap_or_default(),
            in_flight: u64::try_from(self.waitresp_cnt).unwrap_or_default(),
            round_trip: (self.rtt.cnt > 0)
                .then(|| RoundTrip { mean: microseconds(self.rtt.avg), p99: microseconds(self.rtt.p99) }),
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
            "disconnects":0,"req_timeouts":0,"txerrs":0,"rxerrs":0,"txbytes":9,"rxbytes":8,"outbuf_cnt":-1,"waitresp_cnt":2,
            "rtt":{{"cnt":1,"avg":1500,"p99":2500}},"req":{{"ListOffsets":{list_offsets},"Fetch":0}}}}}}}}"#
        )
    }

    #[test]
    fn reads_a_real_broker() {
        let stats = Tally::default().take(document(3, "UP", 1, 7).as_bytes()).unwrap();
        let broker = &stats.brokers[0];
        assert_eq!((broker.id, broker.connected, broker.queued, broker.in_flight), (BrokerId(3), true, 0, 2));
        assert_eq!(
            broker.requests,
            BTreeMap::from([("ListOffsets".to_owned(), 7)]),
            "what was never asked is left out"
        );
        let round_trip = RoundTrip { mean: Duration::from_micros(1500), p99: Duration::from_micros(2500) };
        assert_eq!(broker.round_trip, Some(round_trip));
    }

    #[test]
    fn bootstrap_addresses_are_left_out() {
        let stats = Tally::default().take(document(-1, "UP", 1, 7).as_bytes()).unwrap();
        assert_eq!(stats, ClientStats::default());
    }

    #[test]
    fn counters_go_on_when_librdkafka_begins_anew() {
        let mut tally = Tally::default();
        tally.take(document(3, "UP", 4, 7).as_bytes()).unwrap();
        let stats = tally.take(document(3, "TRY_CONNECT", 1, 2).as_bytes()).unwrap();
        assert_eq!((stats.brokers[0].connects, stats.brokers[0].requests["ListOffsets"]), (5, 9));
        assert!(!stats.brokers[0].connected);
    }

    #[test]
    fn a_broken_document_is_an_error() {
        assert!(Tally::default().take(b"{").is_err());
    }
}
