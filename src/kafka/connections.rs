//! Remembers why connections failed, for librdkafka's answer to a call says only that they did.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::model::BrokerId;

/// How long an error counts as the reason of a failed call. librdkafka leaves out identical errors for 30 s.
const FRESH: Duration = Duration::from_secs(90);
/// How many connections' errors are kept.
const MAX_CONNECTIONS: usize = 1024;

/// A connection that is lost this soon after it was up was not wanted.
const AT_ONCE: Duration = Duration::from_secs(2);

/// The last error of each connection.
#[derive(Debug, Default)]
pub(super) struct ConnectionErrors {
    /// By broker; `None` is a bootstrap address, whose broker is not known yet.
    errors: HashMap<(Option<BrokerId>, String), (String, Instant)>,
}

impl ConnectionErrors {
    /// Takes a line like `localhost:9092/1: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in
    /// state CONNECT)`; tells whether it is one.
    pub(super) fn remember(&mut self, line: &str, now: Instant) -> bool {
        let Some((name, reason)) = line.split_once(": ") else { return false };
        let Some((address, id)) = name.rsplit_once('/') else { return false };
        let broker = id.parse().ok().map(BrokerId);
        if broker.is_none() && id != "bootstrap" {
            return false;
        }
        if self.errors.len() >= MAX_CONNECTIONS {
            self.errors.retain(|_, (_, at)| now.saturating_duration_since(*at) < FRESH);
        }
        if self.errors.len() < MAX_CONNECTIONS {
            let (reason, circumstance) = reason.rsplit_once(" (after ").unwrap_or((reason, ""));
            let reason = plainly(reason);
            let hint = hint(&reason, circumstance).map(|hint| format!(" ({hint})")).unwrap_or_default();
            self.errors.insert((broker, address.to_owned()), (format!("{address}: {reason}{hint}"), now));
        }
        true
    }

    /// A broker is connected: what was wrong with it, or with reaching any broker at all, is over.
    pub(super) fn forget(&mut self, broker: BrokerId) {
        self.errors.retain(|(id, _), _| id.is_some_and(|id| id != broker));
    }

    /// The newest error of one broker, else of a bootstrap address: while none of those is connected, no broker is
    /// known. Without a broker the newest error of any connection.
    pub(super) fn newest(&self, broker: Option<BrokerId>, now: Instant) -> Option<&str> {
        let newest = |asked: &dyn Fn(Option<BrokerId>) -> bool| {
            let fresh = |at: &Instant| now.saturating_duration_since(*at) < FRESH;
            let matching = self.errors.iter().filter(|((id, _), (_, at))| asked(*id) && fresh(at));
            matching.max_by_key(|(_, (_, at))| *at).map(|(_, (reason, _))| reason.as_str())
        };
        match broker {
            Some(_) => newest(&|id| id == broker).or_else(|| newest(&|id| id.is_none())),
            None => newest(&|_| true),
        }
    }
}

/// What librdkafka says, without what misleads: a broker that accepts and does not answer is not one of before 0.10.
fn plainly(reason: &str) -> String {
    if reason.starts_with("ApiVersionRequest failed") && reason.contains("Timed out") {
        return "the connection is accepted, and nothing answers: is the broker hung, or is this not its port?"
            .to_owned();
    }
    reason.replace("Local: ", "")
}

/// What a person needs to know and librdkafka does not say. The circumstance is like `3ms in state UP)`.
fn hint(reason: &str, circumstance: &str) -> Option<&'static str> {
    if reason.contains("wrong version number") {
        return Some("what answers there speaks no TLS: a plaintext listener?");
    }
    if reason.contains("certificate verify failed") {
        return Some("tls.ca_file must hold the authority that signed the broker's certificate");
    }
    // Alerts 42 (bad_certificate) and 116 (certificate_required, TLS 1.3): a broker's answer to a client without one.
    if reason.contains("alert bad certificate") || reason.contains("alert certificate required") {
        return Some("does this listener want a client certificate, tls.cert_file and tls.key_file, that it trusts?");
    }
    // In the handshake librdkafka asks the same question itself, but not in every way in which it may end.
    if reason.ends_with("SSL connection closed by peer") && circumstance.contains("SSL_HANDSHAKE") {
        return Some("connecting to a PLAINTEXT broker listener?");
    }
    let (time, state) = circumstance.split_once("ms in state ")?;
    let hung_up = reason.starts_with("Disconnected");
    let at_once = time.parse().is_ok_and(|time| Duration::from_millis(time) < AT_ONCE);
    match state.split([')', ',']).next()? {
        "APIVERSION_QUERY" if hung_up => Some("does this listener want TLS?"),
        "UP" if hung_up && at_once => Some("does this listener want SASL?"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_belong_to_their_broker_and_grow_old() {
        let (mut errors, start) = (ConnectionErrors::default(), Instant::now());
        let second = Duration::from_secs(1);
        assert!(
            errors.remember("ssl://[::1]:9092/bootstrap: SSL handshake failed (after 3ms in state CONNECT)", start)
        );
        assert!(errors.remember("b7:9092/7: Connect to ipv4#10.0.0.7:9092 failed: Connection refused", start + second));
        assert!(!errors.remember("3/3 brokers are down", start + second));
        let bootstrap = "ssl://[::1]:9092: SSL handshake failed";
        assert_eq!(errors.newest(Some(BrokerId(8)), start), Some(bootstrap));
        let refused = "b7:9092: Connect to ipv4#10.0.0.7:9092 failed: Connection refused";
        assert_eq!(errors.newest(Some(BrokerId(7)), start + second), Some(refused));
        assert_eq!(errors.newest(None, start + second), Some(refused));
        assert_eq!(errors.newest(None, start + FRESH + second), None);
        errors.forget(BrokerId(8));
        assert_eq!(errors.newest(Some(BrokerId(8)), start), None, "a bootstrap error is over with any connection");
        assert_eq!(errors.newest(None, start + second), Some(refused));
        errors.forget(BrokerId(7));
        assert_eq!(errors.newest(None, start + second), None);
    }

    #[test]
    fn a_listener_that_hangs_up_gets_a_question() {
        let tells = |line: &str| {
            let (mut errors, now) = (ConnectionErrors::default(), Instant::now());
            errors.remember(line, now);
            errors.newest(None, now).map(str::to_owned)
        };
        let hung_up = "b:1/bootstrap: Disconnected: receive 0 after POLLIN (after 1ms in state";
        let told = tells(&format!("{hung_up} APIVERSION_QUERY, 4 identical error(s) suppressed)"));
        assert_eq!(told.as_deref(), Some("b:1: Disconnected: receive 0 after POLLIN (does this listener want TLS?)"));
        let told = tells(&format!("{hung_up} UP)"));
        assert_eq!(told.as_deref(), Some("b:1: Disconnected: receive 0 after POLLIN (does this listener want SASL?)"));
        let told = tells(
            "b:1/1: ApiVersionRequest failed: Local: Timed out: probably due to broker version < 0.10 \
             (see api.version.request configuration) (after 3000ms in state APIVERSION_QUERY)",
        );
        assert!(told.is_some_and(|told| told.starts_with("b:1: the connection is accepted, and nothing answers")));
        let told = tells("b:1/1: Disconnected (after 86400000ms in state UP)");
        assert_eq!(told.as_deref(), Some("b:1: Disconnected"));
    }
}
