//! Finds out beside which broker the exporter runs: whose advertised address is here.
//!
//! Two things speak for a broker: that it is written as a bootstrap server, and that its host is this one. The latter
//! weighs more, for a list of bootstrap servers may be the same for all exporters; where several brokers share a host, as
//! on a machine for trials, the bootstrap server decides among them. An address is this host's when a socket can be bound to
//! it, which holds in a container too.
//!
//! Names are looked up beside the polling, one search at a time: a resolver that hangs holds nothing up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use sysinfo::System;
use tokio::net::lookup_host;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::collect::{Locate, Located};
use crate::model::{Broker, BrokerId};

/// How long looking up one name may take.
const LOOK_UP: Duration = Duration::from_secs(5);
/// Names that are looked up at once.
const LOOK_UPS_AT_ONCE: usize = 8;
/// How long a search may take altogether.
const SEARCH: Duration = Duration::from_secs(30);
/// Brokers that a message names.
const MAX_NAMED: usize = 10;
/// Addresses that belong to nobody (RFC 5737, RFC 3849): where they can be bound to, binding tells nothing.
const NOBODY: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

/// Looks for the broker of one cluster.
#[derive(Debug)]
pub(super) struct Locator {
    bootstrap_servers: Vec<String>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// The broker that was found, with its address.
    found: Option<Broker>,
    /// Why none was found the last time.
    reason: Option<Arc<str>>,
    /// The search that is under way, or the last one.
    search: Option<JoinHandle<()>>,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Plain data: still right after a panic.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Locator {
    /// For a cluster with these bootstrap servers, each `HOST:PORT`.
    pub(super) fn new(bootstrap_servers: &[String]) -> Self {
        Self { bootstrap_servers: bootstrap_servers.to_vec(), state: Arc::default() }
    }

    /// Searches among brokers and waits for the outcome, so that the next question for it is answered.
    pub(super) async fn search(&self, live: &[Broker]) {
        let outcome = search(&self.bootstrap_servers, live).await;
        lock(&self.state).settle(outcome);
    }
}

impl Locate for Locator {
    fn locate(&self, live: &[Broker]) -> Located {
        let mut state = lock(&self.state);
        if let Some(broker) = state.known(live) {
            return Located::Beside(broker);
        }
        if live.is_empty() {
            return Located::Searching;
        }
        if state.search.as_ref().is_none_or(JoinHandle::is_finished) {
            let (servers, live, shared) = (self.bootstrap_servers.clone(), live.to_vec(), self.state.clone());
            state.search = Some(tokio::spawn(async move {
                let outcome = search(&servers, &live).await;
                lock(&shared).settle(outcome);
            }));
        }
        state.reason.clone().map_or(Located::Searching, Located::Nowhere)
    }
}

impl State {
    /// The broker that was found, as long as nothing speaks against it: it may be away, or its address may have another
    /// broker's id by now; with another address it is to be looked for again.
    fn known(&self, live: &[Broker]) -> Option<BrokerId> {
        let found = self.found.as_ref()?;
        let is_there = |broker: &&Broker| (&broker.host, broker.port) == (&found.host, found.port);
        match live.iter().find(is_there) {
            Some(broker) => Some(broker.id),
            None => live.iter().all(|broker| broker.id != found.id).then_some(found.id),
        }
    }

    fn settle(&mut self, outcome: Result<Broker, String>) {
        match outcome {
            Ok(found) => (self.found, self.reason) = (Some(found), None),
            Err(reason) => self.reason = Some(reason.into()),
        }
    }
}

/// What speaks for a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Evidence {
    /// It is a bootstrap server.
    is_bootstrap: bool,
    /// Its host is this one.
    is_here: bool,
}

/// The one broker for which most speaks; `None`: it is none, or several.
fn decide(evidence: &[Evidence]) -> Option<usize> {
    let only = |is_meant: &dyn Fn(&Evidence) -> bool| {
        let mut meant = (0..evidence.len()).filter(|place| is_meant(&evidence[*place]));
        meant.next().filter(|_| meant.next().is_none())
    };
    let any_here = evidence.iter().any(|of_broker| of_broker.is_here);
    let bootstrap = only(&|of_broker| of_broker.is_bootstrap);
    match only(&|of_broker| of_broker.is_here && of_broker.is_bootstrap) {
        Some(both) => Some(both),
        None if !any_here => bootstrap,
        // The one bootstrap server is elsewhere: either that or the address is not what was meant.
        None if bootstrap.is_some() => None,
        None => only(&|of_broker| of_broker.is_here),
    }
}

async fn search(bootstrap_servers: &[String], live: &[Broker]) -> Result<Broker, String> {
    let is_bootstrap =
        |broker: &Broker| bootstrap_servers.iter().any(|server| server.eq_ignore_ascii_case(&broker.address()));
    let host_name = System::host_name().unwrap_or_default();
    let here = stream::iter(live.iter().cloned()).map(|broker| is_here(broker, &host_name)).buffered(LOOK_UPS_AT_ONCE);
    let here: Vec<bool> = timeout(SEARCH, here.collect()).await.unwrap_or_default();
    let evidence: Vec<Evidence> = live
        .iter()
        .enumerate()
        .map(|(place, broker)| Evidence {
            is_bootstrap: is_bootstrap(broker),
            is_here: here.get(place).copied().unwrap_or(false),
        })
        .collect();
    match decide(&evidence) {
        Some(place) => Ok(live[place].clone()),
        None => Err(complaint(bootstrap_servers, &host_name, live, &evidence)),
    }
}

/// Whether a broker's host is this one: by name, or by an address.
async fn is_here(broker: Broker, host_name: &str) -> bool {
    if broker.host.eq_ignore_ascii_case(host_name) {
        return true;
    }
    let found = timeout(LOOK_UP, lookup_host((broker.host.as_ref(), broker.port))).await;
    found.is_ok_and(|found| found.is_ok_and(|mut addresses| addresses.any(|address| is_ours(address.ip()))))
}

/// Whether an address is one of this host's.
fn is_ours(address: IpAddr) -> bool {
    let can_bind = |address: IpAddr| UdpSocket::bind((address, 0)).is_ok();
    let is_of_nobody = |nobody: &IpAddr| nobody.is_ipv4() == address.is_ipv4() && can_bind(*nobody);
    !address.is_unspecified() && can_bind(address) && !NOBODY.iter().any(is_of_nobody)
}

fn complaint(bootstrap_servers: &[String], host_name: &str, live: &[Broker], evidence: &[Evidence]) -> String {
    let name = |(broker, of_broker): (&Broker, &Evidence)| {
        let why = match of_broker {
            Evidence { is_bootstrap: true, is_here: true } => " (a bootstrap server, and its host is this one)",
            Evidence { is_bootstrap: true, .. } => " (a bootstrap server)",
            Evidence { is_here: true, .. } => " (its host is this one)",
            Evidence { .. } => "",
        };
        format!("{} at {}{why}", broker.id, broker.address())
    };
    let mut named: Vec<String> = live.iter().zip(evidence).take(MAX_NAMED).map(name).collect();
    if live.len() > MAX_NAMED {
        named.push(format!("{} more", live.len() - MAX_NAMED));
    }
    let speaks = evidence.iter().filter(|of_broker| of_broker.is_bootstrap || of_broker.is_here).count();
    let what = if speaks == 0 {
        "nothing says which broker this exporter is beside"
    } else {
        "several brokers may be the one that this exporter is beside"
    };
    format!(
        "{what}: the advertised addresses of brokers {} were compared with bootstrap_servers ({}), with this host's name \
         ({host_name}) and with the addresses of this machine; set local_broker to the broker's id",
        named.join(", "),
        bootstrap_servers.join(", "),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn broker(id: i32, host: &str, port: u16) -> Broker {
        Broker { id: BrokerId(id), host: host.into(), port }
    }

    /// One evidence a broker: `b`, a bootstrap server; `h`, here; `+`, both; `.`, neither.
    fn decided(brokers: &str) -> Option<usize> {
        let evidence = brokers
            .chars()
            .map(|of_broker| Evidence { is_bootstrap: "b+".contains(of_broker), is_here: "h+".contains(of_broker) });
        decide(&evidence.collect::<Vec<_>>())
    }

    #[test]
    fn one_broker_is_meant_or_none() {
        for (brokers, meant) in [
            (".b.", Some(1)),
            ("..h", Some(2)),
            (".+.", Some(1)),
            ("h+h", Some(1)),
            ("bb+", Some(2)),
            ("bbh", Some(2)),
            ("...", None),
            ("bb.", None),
            ("hh.", None),
            ("++.", None),
            // All exporters were given the same one bootstrap server: this is not its host.
            ("b.h", None),
        ] {
            assert_eq!(decided(brokers), meant, "{brokers}");
        }
    }

    #[test]
    fn loopback_is_here_and_what_belongs_to_nobody_is_not() {
        assert!(is_ours(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_ours(NOBODY[0]) && !is_ours(NOBODY[1]));
        assert!(!is_ours(Ipv4Addr::UNSPECIFIED.into()));
    }

    #[tokio::test]
    async fn a_broker_is_found_by_its_bootstrap_server_or_its_address() {
        let elsewhere = [broker(1, "192.0.2.7", 9092), broker(2, "192.0.2.8", 9092)];
        let found = |servers: &[&str], live: &[Broker]| {
            let servers: Vec<String> = servers.iter().map(|server| (*server).to_owned()).collect();
            let live = live.to_vec();
            async move { search(&servers, &live).await.map(|broker| broker.id.0) }
        };
        assert_eq!(found(&["192.0.2.8:9092"], &elsewhere).await, Ok(2));
        let here = [broker(1, "192.0.2.7", 9092), broker(5, "127.0.0.1", 9092)];
        assert_eq!(found(&["kafka:9092"], &here).await, Ok(5));
        let shared = [broker(1, "127.0.0.1", 9092), broker(2, "127.0.0.1", 9093)];
        assert_eq!(found(&["127.0.0.1:9093"], &shared).await, Ok(2));
        let unsure = found(&["localhost:9093"], &shared).await.unwrap_err();
        for told in
            ["several brokers", "1 at 127.0.0.1:9092 (its host is this one)", "localhost:9093", "set local_broker"]
        {
            assert!(unsure.contains(told), "{unsure}");
        }
        let nowhere = found(&["kafka:9092"], &elsewhere).await.unwrap_err();
        assert!(nowhere.starts_with("nothing says which broker"), "{nowhere}");
    }

    #[test]
    fn what_was_found_stays_until_it_is_elsewhere() {
        let state = State { found: Some(broker(2, "b2", 9092)), ..State::default() };
        let known = |live: &[Broker]| state.known(live).map(|id| id.0);
        assert_eq!(known(&[broker(1, "b1", 9092), broker(2, "b2", 9092)]), Some(2));
        assert_eq!(known(&[broker(1, "b1", 9092)]), Some(2), "it is away");
        assert_eq!(known(&[broker(7, "b2", 9092)]), Some(7), "set up anew with another id");
        assert_eq!(known(&[broker(2, "b9", 9092)]), None, "its id is another's");
    }

    #[tokio::test]
    async fn nobody_waits_for_a_search() {
        let locator = Locator::new(&["127.0.0.1:9092".to_owned()]);
        let live = [broker(1, "127.0.0.1", 9092), broker(2, "192.0.2.7", 9092)];
        assert_eq!(locator.locate(&[]), Located::Searching);
        assert_eq!(locator.locate(&live), Located::Searching);
        let mut found = locator.locate(&live);
        for _ in 0..500 {
            if found == Located::Beside(BrokerId(1)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            found = locator.locate(&live);
        }
        assert_eq!(found, Located::Beside(BrokerId(1)));
    }
}
