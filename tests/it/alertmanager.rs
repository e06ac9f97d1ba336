//! A real Alertmanager with the shipped configuration; its receivers are one webhook.

use std::net::SocketAddr;

use serde_json::Value;

use crate::http;
use crate::process::{Process, mortal};
use crate::prometheus::until_ready;
use crate::tools::{free_ports, installed, scratch};

/// A running Alertmanager; dropping it ends it.
pub(crate) struct Alertmanager {
    address: SocketAddr,
    process: Process,
    _dir: tempfile::TempDir,
}

/// An alert as Alertmanager holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) name: String,
    /// "active", "suppressed" (inhibited or silenced) or "unprocessed".
    pub(crate) state: String,
    /// How many alerts inhibit it.
    pub(crate) inhibited_by: usize,
}

impl Alertmanager {
    /// Starts one with a configuration whose receivers all send to `webhook`, each to a path of its own name.
    #[track_caller]
    pub(crate) fn start(configuration: &str, webhook: SocketAddr) -> Self {
        let dir = scratch("alertmanager");
        let config = dir.path().join("alertmanager.yml");
        std::fs::write(&config, received_by(configuration, webhook)).expect("alertmanager.yml");
        let address = SocketAddr::from(([127, 0, 0, 1], free_ports(1)[0]));
        let mut command = mortal(installed("KAFKASCOPE_TEST_ALERTMANAGER"));
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", dir.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        // No gossip with others: it would open a port on every interface.
        command.arg("--cluster.listen-address=");
        let process = Process::start("alertmanager", command, &dir.path().join("alertmanager.log"));
        let server = Self { address, process, _dir: dir };
        until_ready("Alertmanager", &server.process, address);
        server
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The alerts that it holds and that have not ended.
    #[track_caller]
    pub(crate) fn alerts(&self) -> Vec<Held> {
        let response = http::get(self.address, "/api/v2/alerts", &[]).unwrap_or_else(|fault| panic!("{fault}"));
        let rows: Vec<Value> = serde_json::from_str(&response.text()).expect("JSON from Alertmanager");
        rows.iter()
            .map(|row| Held {
                name: row["labels"]["alertname"].as_str().expect("a name").to_owned(),
                state: row["status"]["state"].as_str().expect("a state").to_owned(),
                inhibited_by: row["status"]["inhibitedBy"].as_array().map_or(0, Vec::len),
            })
            .collect()
    }
}

/// Replaces every receiver's integrations by one webhook that also hears of ends.
#[track_caller]
fn received_by(configuration: &str, webhook: SocketAddr) -> String {
    let mut document: Value = serde_yaml::from_str(configuration).expect("Alertmanager's configuration");
    let receivers = document["receivers"].as_array_mut().expect("receivers");
    assert!(!receivers.is_empty(), "no receivers");
    for receiver in receivers {
        let name = receiver["name"].as_str().expect("a receiver's name").to_owned();
        // One without integrations takes what nobody wants to hear of.
        if receiver.as_object().is_some_and(|fields| fields.len() > 1) {
            let hook = serde_json::json!({"url": format!("http://{webhook}/{name}"), "send_resolved": true});
            *receiver = serde_json::json!({"name": name, "webhook_configs": [hook]});
        }
    }
    serde_yaml::to_string(&document).expect("a configuration in YAML")
}

#[cfg(test)]
mod tests {
    use super::received_by;

    #[test]
    fn every_receiver_that_tells_somebody_tells_the_webhook() {
        let text = "route: {receiver: pager}\nreceivers:\n- name: pager\n  webhook_configs: [{url: 'http://elsewhere/'}]\n\
                    - name: nobody\n";
        let adapted = received_by(text, "127.0.0.1:4711".parse().unwrap());
        let document: serde_json::Value = serde_yaml::from_str(&adapted).unwrap();
        assert_eq!(document["receivers"][0]["webhook_configs"][0]["url"], "http://127.0.0.1:4711/pager");
        assert_eq!(document["receivers"][0]["webhook_configs"][0]["send_resolved"], true);
        assert_eq!(document["receivers"][1], serde_json::json!({"name": "nobody"}));
        assert_eq!(document["route"]["receiver"], "pager");
    }
}
