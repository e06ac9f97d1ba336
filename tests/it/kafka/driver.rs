//! Kafka's Java clients in one long-lived JVM, called from Rust.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::jars::{Version, compile_driver, java};
use super::truth::{BrokerTruth, Partition, Truth};
use crate::process::spawn;
use crate::tools::scratch;

/// Longer than any of the Java clients' own time-outs: they say better what was wrong.
const ANSWER: Duration = Duration::from_secs(90);

/// What Kafka's client answered when it did not do what it was asked; starts with the Java exception's name.
#[derive(Debug, thiserror::Error)]
#[error("{command}: {message}")]
pub(crate) struct DriverError {
    pub(crate) command: String,
    pub(crate) message: String,
}

type Waiting = Arc<Mutex<HashMap<u64, Sender<Value>>>>;

/// A JVM; it ends with its stdin, at the latest with the test process.
struct Jvm {
    child: Mutex<Child>,
    stdin: Mutex<ChildStdin>,
    waiting: Waiting,
    next: AtomicU64,
}

/// The driver's class files, compiled once.
fn classes() -> &'static Path {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES.get_or_init(|| {
        // Kept: they are read as long as a JVM lives.
        let classes = scratch("driver").keep();
        compile_driver(&classes, &Version::V4_3_1.class_path());
        classes
    })
}

impl Jvm {
    /// The one that all drivers share which are not apart.
    fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Jvm>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(Self::start))
    }

    fn start() -> Arc<Self> {
        let class_path = format!("{}:{}", classes().display(), Version::V4_3_1.class_path());
        let mut command = java(512, &class_path, "error");
        command.arg("Driver").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = spawn(command).expect("cannot start java: is a JDK installed?");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let waiting = Waiting::default();
        let answers = Arc::clone(&waiting);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let answer: Value = serde_json::from_str(&line).expect("a JSON line from the driver");
                let id = answer["id"].as_u64().expect("an id in the driver's answer");
                if let Some(caller) = answers.lock().expect("the waiting calls").remove(&id) {
                    let _gave_up = caller.send(answer);
                }
            }
            // Whoever still waits hears at once that nobody answers any more.
            answers.lock().expect("the waiting calls").clear();
        });
        Arc::new(Self { child: Mutex::new(child), stdin: Mutex::new(stdin), waiting, next: AtomicU64::new(1) })
    }

    fn kill(&self) {
        let mut child = self.child.lock().expect("the child");
        child.kill().expect("a signal to the driver");
        child.wait().expect("the driver's end");
    }
}

/// One way to connect to one cluster, with the clients opened through it; dropping it closes them.
pub(crate) struct Driver {
    jvm: Arc<Jvm>,
    session: String,
}

/// A partition with an offset, for commits.
pub(crate) fn at(topic: &str, partition: i32, offset: i64) -> Value {
    json!({"topic": topic, "partition": partition, "offset": offset})
}

/// How a consumer joins its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// JoinGroup and SyncGroup.
    Classic,
    /// KIP-848's heartbeats.
    Consumer,
}

/// What a consumer commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Commits {
    /// After each poll that brought something, what Kafka's client makes of it.
    Polled,
    /// After each poll that brought something, the last record's offset + 1.
    Records,
    /// Its position whenever that has moved, so past the markers of transactions, too.
    Position,
    /// Nothing ever.
    Nothing,
}

/// A permission (or its denial), in Kafka's words, such as "topic", "literal", "Describe", "Allow".
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Acl<'a> {
    pub(crate) principal: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) name: &'a str,
    pub(crate) pattern: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) permission: &'a str,
}

/// How much a background producer got through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Produced {
    pub(crate) acknowledged: i64,
    pub(crate) failed: i64,
}

/// What a consumer is doing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct ConsumerStatus {
    pub(crate) consumed: i64,
    pub(crate) assignment: Vec<Partition>,
    pub(crate) failure: Option<String>,
}

/// What a cluster says of itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Brokers {
    pub(crate) cluster_id: String,
    pub(crate) brokers: Vec<BrokerTruth>,
}

/// The answer of every call.
pub(crate) type Answer<T = ()> = Result<T, DriverError>;

impl Driver {
    /// Opens a session; `properties` are those of Kafka's Java clients and go over the defaults.
    pub(crate) fn open(bootstrap: &str, properties: &[(&str, &str)]) -> Self {
        Self::open_in(Jvm::shared(), bootstrap, properties)
    }

    /// Opens a session in a process of its own, which [`Driver::kill`] kills.
    pub(crate) fn open_apart(bootstrap: &str, properties: &[(&str, &str)]) -> Self {
        Self::open_in(Jvm::start(), bootstrap, properties)
    }

    /// Kills the process of a driver apart: its consumers vanish without leaving their groups.
    pub(crate) fn kill(self) {
        assert!(!Arc::ptr_eq(&self.jvm, &Jvm::shared()), "the shared driver is not killed");
        self.jvm.kill();
    }

    fn open_in(jvm: Arc<Jvm>, bootstrap: &str, properties: &[(&str, &str)]) -> Self {
        static SESSIONS: AtomicU64 = AtomicU64::new(1);
        let driver = Self { jvm, session: format!("session-{}", SESSIONS.fetch_add(1, Ordering::Relaxed)) };
        let mut all: HashMap<&str, &str> = properties.iter().copied().collect();
        all.insert("bootstrap.servers", bootstrap);
        driver.call::<()>("open", json!({"properties": all})).expect("a driver session");
        driver
    }

    fn call<T: DeserializeOwned>(&self, command: &str, arguments: Value) -> Answer<T> {
        let failed = |message: String| DriverError { command: format!("{command} {arguments}"), message };
        let jvm = &self.jvm;
        let id = jvm.next.fetch_add(1, Ordering::Relaxed);
        let mut line = arguments.clone();
        line["id"] = id.into();
        line["session"] = self.session.clone().into();
        line["do"] = command.into();
        let (answer, inbox) = channel();
        jvm.waiting.lock().expect("the waiting calls").insert(id, answer);
        writeln!(jvm.stdin.lock().expect("the driver's stdin"), "{line}")
            .map_err(|error| failed(format!("the driver has ended: {error}")))?;
        let reply = inbox.recv_timeout(ANSWER).map_err(|_| failed(format!("no answer in {ANSWER:?}")))?;
        if let Some(message) = reply["error"].as_str() {
            return Err(failed(message.to_owned()));
        }
        serde_json::from_value(reply["ok"].clone()).map_err(|error| failed(format!("{error} in {reply}")))
    }

    /// Who is there: the cheapest real request.
    pub(crate) fn brokers(&self) -> Answer<Brokers> {
        self.call("brokers", json!({}))
    }

    /// All that Kafka knows of the topics and groups whose names start with `prefix` ("" for all).
    pub(crate) fn truth(&self, prefix: &str) -> Answer<Truth> {
        self.call("truth", json!({"topics": prefix, "groups": prefix}))
    }

    /// Creates a topic with one replica a partition.
    pub(crate) fn create_topic(&self, topic: &str, partitions: u32) -> Answer {
        self.create_topic_with(topic, partitions, 1, &[])
    }

    /// Creates a topic.
    pub(crate) fn create_topic_with(
        &self,
        topic: &str,
        partitions: u32,
        replication: u16,
        configs: &[(&str, &str)],
    ) -> Answer {
        let configs: HashMap<_, _> = configs.iter().copied().collect();
        self.call(
            "createTopic",
            json!({"topic": topic, "partitions": partitions, "replication": replication, "configs": configs}),
        )
    }

    /// Creates a topic whose partitions' replicas are given; the first of each is its preferred leader.
    pub(crate) fn create_topic_on(&self, topic: &str, replicas: &[&[i32]]) -> Answer {
        self.call("createTopic", json!({"topic": topic, "assignment": replicas}))
    }

    /// Deletes a topic.
    pub(crate) fn delete_topic(&self, topic: &str) -> Answer {
        self.call("deleteTopic", json!({"topic": topic}))
    }

    /// Brings a topic's partitions up to `total`.
    pub(crate) fn create_partitions(&self, topic: &str, total: u32) -> Answer {
        self.call("createPartitions", json!({"topic": topic, "total": total}))
    }

    /// Moves the log start: what lies before the offset is gone.
    pub(crate) fn delete_records(&self, topic: &str, partition: i32, before: i64) -> Answer {
        self.call("deleteRecords", json!({"topic": topic, "partition": partition, "before": before}))
    }

    /// Sets configs of a "topic", "broker" or "group"; the broker "" stands for all.
    pub(crate) fn alter_configs(&self, resource: &str, name: &str, configs: &[(&str, &str)]) -> Answer {
        let configs: HashMap<_, _> = configs.iter().copied().collect();
        self.call("alterConfigs", json!({"resource": resource, "name": name, "configs": configs}))
    }

    /// Commits offsets (see [`at`]) for a group without being a member of it.
    pub(crate) fn commit(&self, group: &str, offsets: &[Value]) -> Answer {
        self.call("commit", json!({"group": group, "offsets": offsets}))
    }

    /// Deletes a group that has no members.
    pub(crate) fn delete_group(&self, group: &str) -> Answer {
        self.call("deleteGroup", json!({"group": group}))
    }

    /// Deletes what a group has committed for a topic's partitions.
    pub(crate) fn delete_group_offsets(&self, group: &str, topic: &str, partitions: &[i32]) -> Answer {
        self.call("deleteGroupOffsets", json!({"group": group, "partitions": rows(topic, partitions)}))
    }

    /// Sets a password for "SCRAM-SHA-256" or "SCRAM-SHA-512".
    pub(crate) fn set_scram(&self, mechanism: &str, user: &str, password: &str) -> Answer {
        self.call("setScram", json!({"mechanism": mechanism, "user": user, "password": password}))
    }

    /// Adds permissions.
    pub(crate) fn create_acls(&self, acls: &[Acl<'_>]) -> Answer {
        self.call("createAcls", json!({"acls": acls}))
    }

    /// Takes permissions away again.
    pub(crate) fn delete_acls(&self, acls: &[Acl<'_>]) -> Answer {
        self.call("deleteAcls", json!({"acls": acls}))
    }

    /// Makes the preferred replicas lead; `unclean`: any that is alive, where none is in sync.
    pub(crate) fn elect_leaders(&self, topic: &str, partitions: &[i32], unclean: bool) -> Answer {
        self.call("electLeaders", json!({"partitions": rows(topic, partitions), "unclean": unclean}))
    }

    /// Starts to move a partition to other brokers.
    pub(crate) fn reassign(&self, topic: &str, partition: i32, replicas: &[i32]) -> Answer {
        self.call("reassign", json!({"topic": topic, "partition": partition, "replicas": replicas}))
    }

    /// Writes records of 10 bytes and waits for them; the answer is the last one's offset.
    pub(crate) fn produce(&self, topic: &str, partition: i32, count: u32) -> Answer<i64> {
        self.produce_with(json!({"topic": topic, "partition": partition, "count": count}))
    }

    /// Writes records with `keys` different keys in turn, as a compacted topic needs them.
    pub(crate) fn produce_keyed(&self, topic: &str, partition: i32, count: u32, keys: u32) -> Answer<i64> {
        self.produce_with(json!({"topic": topic, "partition": partition, "count": count, "keys": keys}))
    }

    /// `topic`, `partition`, `count`; at will `bytes` of a value, `keys`, `timestamp` (ms), and `name` of a
    /// transaction begun before.
    pub(crate) fn produce_with(&self, mut arguments: Value) -> Answer<i64> {
        for (field, value) in [("bytes", 10), ("keys", 0)] {
            if arguments[field].is_null() {
                arguments[field] = value.into();
            }
        }
        self.call("produce", arguments)
    }

    /// Writes to all partitions of a topic in turn until [`Driver::stop_producer`].
    pub(crate) fn start_producer(&self, name: &str, topic: &str, per_second: u32) -> Answer {
        self.call("startProducer", json!({"name": name, "topic": topic, "per_second": per_second, "bytes": 100}))
    }

    /// Stops a background producer once everything sent is answered.
    pub(crate) fn stop_producer(&self, name: &str) -> Answer<Produced> {
        self.call("stopProducer", json!({"name": name}))
    }

    /// Begins a transaction; the first time under a name also opens its producer.
    pub(crate) fn begin_transaction(&self, name: &str) -> Answer {
        self.call("beginTransaction", json!({"name": name, "transactional_id": name}))
    }

    /// Commits offsets (see [`at`]) for a group as a part of the open transaction.
    pub(crate) fn send_offsets(&self, name: &str, group: &str, offsets: &[Value]) -> Answer {
        self.call("sendOffsets", json!({"name": name, "group": group, "offsets": offsets}))
    }

    /// Commits the open transaction.
    pub(crate) fn commit_transaction(&self, name: &str) -> Answer {
        self.call("commitTransaction", json!({"name": name}))
    }

    /// Aborts the open transaction.
    pub(crate) fn abort_transaction(&self, name: &str) -> Answer {
        self.call("abortTransaction", json!({"name": name}))
    }

    /// Starts a consumer as [`Driver::start_consumer_with`] does, as fast as it can, committing what it reads.
    pub(crate) fn start_consumer(&self, name: &str, group: &str, topics: &[&str], protocol: Protocol) -> Answer {
        self.start_consumer_with(name, group, topics, protocol, 0, &[])
    }

    /// Starts a consumer that commits what it polls; `per_second` 0 is without limit, `properties` are the
    /// Java client's.
    pub(crate) fn start_consumer_with(
        &self,
        name: &str,
        group: &str,
        topics: &[&str],
        protocol: Protocol,
        per_second: u32,
        properties: &[(&str, &str)],
    ) -> Answer {
        self.start_consumer_that(name, group, topics, protocol, per_second, Commits::Polled, properties)
    }

    /// As [`Driver::start_consumer_with`], and it commits as it is told.
    #[expect(clippy::too_many_arguments, reason = "one command with all its fields")]
    pub(crate) fn start_consumer_that(
        &self,
        name: &str,
        group: &str,
        topics: &[&str],
        protocol: Protocol,
        per_second: u32,
        commits: Commits,
        properties: &[(&str, &str)],
    ) -> Answer {
        let protocol = match protocol {
            Protocol::Classic => "classic",
            Protocol::Consumer => "consumer",
        };
        let properties: HashMap<_, _> = properties.iter().copied().collect();
        self.call(
            "startConsumer",
            json!({"name": name, "group": group, "topics": topics, "protocol": protocol,
                   "per_second": per_second, "commits": commits, "properties": properties}),
        )
    }

    /// What a consumer is doing.
    pub(crate) fn consumer(&self, name: &str) -> Answer<ConsumerStatus> {
        self.call("consumerStatus", json!({"name": name}))
    }

    /// Stops a consumer; it leaves its group.
    pub(crate) fn stop_consumer(&self, name: &str) -> Answer<ConsumerStatus> {
        self.call("stopConsumer", json!({"name": name}))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _its_process_has_ended = self.call::<()>("close", json!({}));
    }
}

fn rows(topic: &str, partitions: &[i32]) -> Vec<Value> {
    partitions.iter().map(|partition| json!({"topic": topic, "partition": partition})).collect()
}
