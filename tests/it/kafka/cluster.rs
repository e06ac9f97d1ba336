//! A Kafka of one or several nodes on loopback, and what can befall it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use rustix::process::Signal;

use super::driver::Driver;
use super::jars::{Version, java};
use super::pki::Pki;
use super::properties::{Node, Role, SECURED};
use crate::process::Process;
use crate::tools::{free_ports, scratch};
use crate::wait::{eventually, within};

/// The controller's node id where it is not a broker too.
const CONTROLLER: i32 = 100;

/// How long a cluster may take until it answers.
const START: Duration = Duration::from_secs(90);

/// Another program may take a port between its choice and its use; then others are chosen.
const ATTEMPTS: u32 = 3;

/// What a cluster is to be like.
pub(crate) struct Builder {
    version: Version,
    brokers: usize,
    properties: Vec<(String, String)>,
    own: BTreeMap<i32, Vec<(String, String)>>,
    pki: Option<Arc<Pki>>,
    authorizer: bool,
    heap_mb: u32,
}

impl Builder {
    /// How many brokers (ids from 1); more than one get a controller of their own, which stays alive when
    /// they do not.
    pub(crate) fn brokers(mut self, count: usize) -> Self {
        self.brokers = count;
        self
    }

    /// A line of every node's `server.properties`.
    pub(crate) fn property(mut self, key: &str, value: &str) -> Self {
        self.properties.push((key.to_owned(), value.to_owned()));
        self
    }

    /// A line of one broker's `server.properties`.
    pub(crate) fn broker_property(mut self, broker: i32, key: &str, value: &str) -> Self {
        self.own.entry(broker).or_default().push((key.to_owned(), value.to_owned()));
        self
    }

    /// Adds the listeners SASL_SSL, SASL_PLAINTEXT (both PLAIN and SCRAM), SSL, and MTLS (a client
    /// certificate is required) to every broker; see [`Cluster::bootstrap_of`].
    pub(crate) fn secured(mut self, pki: &Arc<Pki>) -> Self {
        self.pki = Some(Arc::clone(pki));
        self
    }

    /// Switches the authorizer on: whoever comes without login (PLAINTEXT, SSL) may do everything, others
    /// what ACLs allow.
    pub(crate) fn authorized(mut self) -> Self {
        self.authorizer = true;
        self
    }

    /// The heap of each node.
    pub(crate) fn heap_mb(mut self, heap_mb: u32) -> Self {
        self.heap_mb = heap_mb;
        self
    }

    /// Starts it and waits until every broker is there; panics with the nodes' logs when one fails.
    #[track_caller]
    pub(crate) fn start(self) -> Cluster {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match self.attempt() {
                Ok(cluster) => return cluster,
                Err(failure) => last = failure,
            }
        }
        panic!("Kafka {} did not start in {ATTEMPTS} attempts: {last}", self.version.name());
    }

    fn attempt(&self) -> Result<Cluster, String> {
        let nodes = self.lay_out();
        let cluster = Cluster {
            version: self.version,
            heap_mb: self.heap_mb,
            driver: Driver::open(&bootstrap(&nodes, "PLAINTEXT"), &[]),
            nodes,
            running: Mutex::default(),
        };
        cluster.format()?;
        for id in cluster.nodes.keys() {
            cluster.launch(*id);
        }
        cluster.wait_for(self.brokers)?;
        Ok(cluster)
    }

    /// Chooses ports and writes each node's `server.properties`.
    fn lay_out(&self) -> BTreeMap<i32, NodeFiles> {
        let mut names = vec!["PLAINTEXT"];
        if self.pki.is_some() {
            names.extend(SECURED);
        }
        let mut ports = free_ports(1 + self.brokers * names.len()).into_iter();
        let controller_port = ports.next().expect("a port for the controller");
        let mut roles: Vec<(i32, Role)> = if self.brokers == 1 {
            vec![(1, Role::Combined)]
        } else {
            (1..).take(self.brokers).map(|id| (id, Role::Broker)).collect()
        };
        let controller = if self.brokers == 1 { 1 } else { CONTROLLER };
        if controller == CONTROLLER {
            roles.push((CONTROLLER, Role::Controller));
        }
        let mut nodes = BTreeMap::new();
        for (id, role) in roles {
            let dir = scratch(&format!("kafka{}-node{id}", self.version.name()));
            let listeners: Vec<(&'static str, u16)> = match role {
                Role::Controller => Vec::new(),
                _ => names.iter().copied().zip(ports.by_ref()).collect(),
            };
            let mut overrides = self.properties.clone();
            overrides.extend(self.own.get(&id).cloned().unwrap_or_default());
            let text = Node {
                id,
                role,
                brokers: self.brokers,
                controller: (controller, controller_port),
                listeners: &listeners,
                log_dir: &dir.path().join("data"),
                pki: self.pki.as_deref(),
                authorizer: self.authorizer,
                overrides: &overrides,
            }
            .text();
            std::fs::write(dir.path().join("server.properties"), text).expect("server.properties");
            nodes.insert(id, NodeFiles { dir, listeners, _pki: self.pki.clone() });
        }
        nodes
    }
}

/// What a node keeps while it is down.
struct NodeFiles {
    dir: tempfile::TempDir,
    listeners: Vec<(&'static str, u16)>,
    /// Its certificates are read again at every start.
    _pki: Option<Arc<Pki>>,
}

impl NodeFiles {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A running Kafka; dropping it ends every node.
pub(crate) struct Cluster {
    version: Version,
    heap_mb: u32,
    driver: Driver,
    // Before `nodes`, so that nothing runs any more when the directories are removed.
    running: Mutex<BTreeMap<i32, Process>>,
    nodes: BTreeMap<i32, NodeFiles>,
}

impl Drop for Cluster {
    /// What a failed test leaves is kept for whoever looks into it, until the next run sweeps it away.
    #[expect(clippy::print_stderr, reason = "shown with the failed test")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (id, node) in &mut self.nodes {
                node.dir.disable_cleanup(true);
                eprintln!("the log of Kafka node {id}: {}", node.path("node.log").display());
            }
        }
    }
}

fn bootstrap(nodes: &BTreeMap<i32, NodeFiles>, listener: &str) -> String {
    let addresses: Vec<String> = nodes
        .values()
        .flat_map(|node| &node.listeners)
        .filter(|(name, _)| *name == listener)
        .map(|(_, port)| format!("127.0.0.1:{port}"))
        .collect();
    assert!(!addresses.is_empty(), "this cluster has no listener {listener}");
    addresses.join(",")
}

impl Cluster {
    /// A Kafka of one broker without security, to start with.
    pub(crate) fn builder(version: Version) -> Builder {
        Builder {
            version,
            brokers: 1,
            properties: Vec::new(),
            own: BTreeMap::new(),
            pki: None,
            authorizer: false,
            heap_mb: 512,
        }
    }

    /// Its plaintext bootstrap servers.
    pub(crate) fn bootstrap(&self) -> String {
        bootstrap(&self.nodes, "PLAINTEXT")
    }

    /// Its bootstrap servers on another listener: "SASL_SSL", "SASL_PLAINTEXT", "SSL" or "MTLS".
    pub(crate) fn bootstrap_of(&self, listener: &str) -> String {
        bootstrap(&self.nodes, listener)
    }

    /// The plaintext address of one broker.
    pub(crate) fn address(&self, broker: i32) -> String {
        let node = &self.nodes[&broker];
        format!("127.0.0.1:{}", node.listeners[0].1)
    }

    /// The Java clients, on the plaintext listener.
    pub(crate) fn driver(&self) -> &Driver {
        &self.driver
    }

    /// The process id of a running node.
    pub(crate) fn process_id(&self, node: i32) -> u32 {
        self.running()[&node].id()
    }

    /// The end of a node's log, for messages.
    pub(crate) fn tail(&self, node: i32) -> String {
        self.running().get(&node).map_or_else(|| format!("node {node} is not running"), Process::tail)
    }

    /// Kills a broker; its directory stays.
    pub(crate) fn kill(&self, broker: i32) {
        let process = self.running().remove(&broker);
        process.unwrap_or_else(|| panic!("broker {broker} is not running")).kill();
    }

    /// Freezes a broker: its connections stay open and nobody answers on them.
    pub(crate) fn stop(&self, broker: i32) {
        self.signal(broker, Signal::STOP);
    }

    /// Lets a frozen broker go on.
    pub(crate) fn cont(&self, broker: i32) {
        self.signal(broker, Signal::CONT);
    }

    /// Starts a killed broker again, on the same port with the same data, and waits until the cluster
    /// counts it in.
    #[track_caller]
    pub(crate) fn restart(&self, broker: i32) {
        assert!(!self.running().contains_key(&broker), "broker {broker} is still running");
        self.launch(broker);
        eventually(&format!("broker {broker} is back"), START, || {
            let there = self.driver.brokers().map_err(|error| error.to_string())?;
            let back = there.brokers.iter().any(|row| row.id == broker);
            back.then_some(()).ok_or_else(|| self.tail(broker))
        });
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<i32, Process>> {
        // A test that panicked in between leaves the map as it is: still right.
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn signal(&self, broker: i32, signal: Signal) {
        match self.running().get(&broker) {
            Some(process) => process.signal(signal),
            None => panic!("broker {broker} is not running"),
        }
    }

    fn format(&self) -> Result<(), String> {
        // Any 22 characters of base64 are a Kafka UUID; these differ from cluster to cluster.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let uuid = format!("a2Fma2FzY29wZS{:06}cw", COUNT.fetch_add(1, Ordering::Relaxed) % 1_000_000);
        let tools: Vec<Process> = self
            .nodes
            .iter()
            .map(|(id, node)| {
                let mut format = java(128, &self.version.class_path(), "warn");
                format.args(["kafka.tools.StorageTool", "format", "-t", &uuid, "-c"]);
                format.arg(node.path("server.properties"));
                Process::start(&format!("formatting node {id}"), format, &node.path("format.log"))
            })
            .collect();
        for tool in tools {
            let status = tool.wait(START)?;
            if !status.success() {
                return Err(tool.tail());
            }
        }
        Ok(())
    }

    fn launch(&self, id: i32) {
        let node = &self.nodes[&id];
        let mut kafka: Command = java(self.heap_mb, &self.version.class_path(), "info");
        kafka.arg("kafka.Kafka").arg(node.path("server.properties"));
        let process = Process::start(&format!("Kafka node {id}"), kafka, &node.path("node.log"));
        self.running().insert(id, process);
    }

    fn wait_for(&self, brokers: usize) -> Result<(), String> {
        within(START, || {
            if let Some(dead) = self.running().values().find(|process| process.ended().is_some()) {
                return Ok(Err(dead.tail()));
            }
            match self.driver.brokers() {
                Ok(there) if there.brokers.len() == brokers => Ok(Ok(())),
                Ok(there) => Err(format!("{} of {brokers} brokers are there", there.brokers.len())),
                Err(error) => Err(error.to_string()),
            }
        })
        .and_then(|outcome| outcome)
        .map_err(|failure| {
            let tails: Vec<String> = self.running().values().map(Process::tail).collect();
            format!("{failure}\n{}", tails.join("\n"))
        })
    }
}
