//! What speaks against a handle. A suspicion replaces nothing: it only has the handle tried against a new one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{BrokerConnection, BrokerId, ConnectionStats};

/// How many brokers one handle is watched for.
pub(super) const WATCHED: usize = 1024;
/// Calls in a row to one broker that met silence.
pub(super) const SILENT_CALLS: u32 = 2;
/// Connection attempts within one statistics interval that make a connection one that comes and goes. After a broker's
/// restart librdkafka makes one or two.
const FLAPS: u64 = 3;
/// A round trip this many times as long as the shortest that was seen is slow …
const SLOW_FACTOR: u32 = 8;
/// … if it is longer than this, too: below, brokers differ by their work.
const SLOW_FLOOR: Duration = Duration::from_millis(500);
/// The pause after a handle was tried in vain, doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What may be wrong with a handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Suspect {
    /// Its poll thread does not turn: it delivers no answers at all.
    PollThread,
    /// Calls that any broker may answer.
    Cluster,
    /// The connection to one broker.
    Broker(BrokerId),
}

impl Suspect {
    /// The broker to ask for a proof; `None` is any.
    pub(super) fn broker(self) -> Option<BrokerId> {
        match self {
            Self::Broker(broker) => Some(broker),
            Self::PollThread | Self::Cluster => None,
        }
    }
}

/// What the statistics of one handle looked like, document by document.
#[derive(Debug, Default)]
pub(super) struct Watch {
    last: Arc<ConnectionStats>,
    shortest: BTreeMap<BrokerId, Duration>,
    /// What the last document made suspicious.
    suspects: BTreeSet<Suspect>,
    /// What the document before had that is suspicious when it lasts.
    standing: BTreeSet<BrokerId>,
}

impl Watch {
    /// Looks at the newest document; the same one is not judged twice.
    pub(super) fn look(&mut self, stats: &Arc<ConnectionStats>) -> &BTreeSet<Suspect> {
        if !Arc::ptr_eq(stats, &self.last) {
            let mut standing = BTreeSet::new();
            self.suspects.clear();
            for connection in stats.brokers.iter().take(WATCHED) {
                let before = self.last.brokers.iter().find(|known| known.broker == connection.broker);
                if let Some(before) = before
                    && has_failed(before, connection)
                {
                    self.suspects.insert(Suspect::Broker(connection.broker));
                }
                if before.is_some_and(|before| stands_still(before, connection)) {
                    standing.insert(connection.broker);
                }
                if is_slow(self.shortest.get(&connection.broker).copied(), connection.round_trip) {
                    self.suspects.insert(Suspect::Broker(connection.broker));
                }
            }
            // Requests that came just before a document was made are no reason; those that stay are.
            self.suspects.extend(standing.intersection(&self.standing).map(|broker| Suspect::Broker(*broker)));
            self.note_round_trips(stats);
            self.standing = standing;
            self.last = stats.clone();
        }
        &self.suspects
    }

    fn note_round_trips(&mut self, stats: &ConnectionStats) {
        self.shortest.retain(|broker, _| stats.brokers.iter().any(|known| known.broker == *broker));
        for connection in stats.brokers.iter().take(WATCHED) {
            if let Some(round_trip) = connection.round_trip {
                let shortest = self.shortest.entry(connection.broker).or_insert(round_trip);
                *shortest = round_trip.min(*shortest);
            }
        }
    }
}

/// Requests timed out, or the connection comes and goes.
fn has_failed(before: &BrokerConnection, now: &BrokerConnection) -> bool {
    let rose = |count: fn(&BrokerConnection) -> u64| count(now).saturating_sub(count(before));
    rose(|it| it.timeouts) > 0 || rose(|it| it.connects) >= FLAPS || rose(|it| it.disconnects) >= FLAPS
}

/// Requests wait, and none was sent since: nothing moves, or there is no connection to send them on.
fn stands_still(before: &BrokerConnection, now: &BrokerConnection) -> bool {
    let sent = |it: &BrokerConnection| it.requests.iter().map(|(_, count)| *count).fold(0, u64::saturating_add);
    now.in_flight > 0 && before.in_flight > 0 && (sent(now) == sent(before) || !now.is_up)
}

fn is_slow(shortest: Option<Duration>, round_trip: Option<Duration>) -> bool {
    let (Some(shortest), Some(round_trip)) = (shortest, round_trip) else { return false };
    round_trip > SLOW_FLOOR && round_trip > shortest.saturating_mul(SLOW_FACTOR)
}

/// When a suspicion may be looked into again, after that was in vain: most often Kafka itself is down.
#[derive(Debug, Default)]
pub(super) struct Pauses(BTreeMap<Suspect, Pause>);

#[derive(Debug, Clone, Copy)]
struct Pause {
    failed: u32,
    until: Instant,
}

impl Pauses {
    /// Whether a suspicion is to be looked into now.
    pub(super) fn is_over(&self, suspect: Suspect, now: Instant) -> bool {
        self.0.get(&suspect).is_none_or(|pause| pause.until <= now)
    }

    /// Looking into it was in vain.
    pub(super) fn extend(&mut self, suspect: Suspect, now: Instant) {
        if self.0.len() >= WATCHED && !self.0.contains_key(&suspect) {
            return;
        }
        let pause = self.0.entry(suspect).or_insert(Pause { failed: 0, until: now });
        pause.until = now + FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(pause.failed)).min(LONGEST_PAUSE);
        pause.failed = pause.failed.saturating_add(1);
    }

    /// Forgets what is not suspected any more.
    pub(super) fn forget(&mut self, now: Instant, is_suspected: impl Fn(Suspect) -> bool) {
        self.0.retain(|suspect, pause| pause.until > now || is_suspected(*suspect));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(change: impl FnOnce(&mut BrokerConnection)) -> Arc<ConnectionStats> {
        let mut connection = BrokerConnection {
            broker: BrokerId(7),
            is_up: true,
            connects: 1,
            disconnects: 0,
            timeouts: 0,
            in_flight: 0,
            round_trip: Some(Duration::from_millis(20)),
            requests: vec![("Metadata".into(), 10)],
        };
        change(&mut connection);
        Arc::new(ConnectionStats { brokers: vec![connection], replacements: 0 })
    }

    /// Whether the last of some documents makes the connection suspicious.
    fn suspicious(documents: &[Arc<ConnectionStats>]) -> bool {
        let mut watch = Watch::default();
        documents.iter().map(|document| watch.look(document).contains(&Suspect::Broker(BrokerId(7)))).last()
            == Some(true)
    }

    #[test]
    fn time_outs_coming_and_going_and_slowness_are_suspicious() {
        let well = || stats(|_| ());
        assert!(!suspicious(&[well(), well()]));
        assert!(!suspicious(&[stats(|it| it.timeouts = 9)]), "of before it was watched");
        assert!(suspicious(&[well(), stats(|it| it.timeouts = 1)]));
        assert!(!suspicious(&[well(), stats(|it| (it.connects, it.disconnects) = (2, 1))]), "a broker restarted");
        assert!(suspicious(&[well(), stats(|it| it.connects = 4)]));
        assert!(suspicious(&[well(), stats(|it| it.disconnects = 3)]));
        assert!(suspicious(&[well(), stats(|it| it.round_trip = Some(Duration::from_millis(600)))]));
        assert!(!suspicious(&[well(), stats(|it| it.round_trip = Some(Duration::from_millis(400)))]));
        assert!(!suspicious(&[well(), stats(|it| it.timeouts = 1), stats(|it| it.timeouts = 1)]), "it passed");
    }

    #[test]
    fn requests_that_stay_where_they_are_for_two_documents_are_suspicious() {
        let waits = || stats(|it| it.in_flight = 2);
        assert!(!suspicious(&[waits(), waits()]), "one interval may be a slow answer");
        assert!(suspicious(&[waits(), waits(), waits()]));
        let sent = |count| stats(|it| (it.in_flight, it.requests[0].1) = (2, count));
        assert!(!suspicious(&[sent(1), sent(2), sent(3)]), "a busy connection");
        let down = |count| stats(|it| (it.is_up, it.in_flight, it.requests[0].1) = (false, 2, count));
        assert!(suspicious(&[down(1), down(2), down(3)]));
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_are_forgotten_with_the_suspicion() {
        let (mut pauses, start) = (Pauses::default(), Instant::now());
        let mut now = start;
        for expected in [5, 10, 20, 40, 80, 160, 300, 300] {
            assert!(pauses.is_over(Suspect::Cluster, now));
            pauses.extend(Suspect::Cluster, now);
            assert!(!pauses.is_over(Suspect::Cluster, now + Duration::from_secs(expected - 1)));
            now += Duration::from_secs(expected);
        }
        assert!(pauses.is_over(Suspect::PollThread, start), "each suspicion by itself");
        pauses.forget(now, |_| true);
        assert_eq!(pauses.0.len(), 1);
        pauses.forget(now, |_| false);
        assert!(pauses.0.is_empty());
    }
}
