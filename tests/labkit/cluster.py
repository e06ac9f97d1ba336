"""Three real brokers and a controller on loopback, filled through the Java program in tests/driver."""

import concurrent.futures
import dataclasses
import glob
import itertools
import json
import os
import queue
import socket
import subprocess
import threading
import time

from processes import Process, mortal, note, wait_for

BROKERS, PARTITIONS = 3, 10
CONTROLLER = 100
START_SECONDS = 90
ANSWER_SECONDS = 120
SIDE_BY_SIDE = 8
CLUSTER_UUID = "a2Fma2FzY29wZWxhYi0wMQ"


@dataclasses.dataclass(frozen=True)
class Size:
    """How much the cluster holds. A group has committed on `topics_per_group` topics, two further on than the one before."""

    topics: int = 100
    groups: int = 50
    topics_per_group: int = 20

    def topic_names(self):
        return [f"lab-topic-{i:03}" for i in range(self.topics)]

    def group_names(self):
        return [f"lab-group-{i:02}" for i in range(self.groups)]

    def topics_of(self, group):
        """Of the group with this number."""
        names = self.topic_names()
        return [names[(group * 2 + i) % self.topics] for i in range(self.topics_per_group)]


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def java(heap, class_path, level):
    return ["java", f"-Xms{heap}", f"-Xmx{heap}", f"-Dorg.slf4j.simpleLogger.defaultLogLevel={level}", "-cp", class_path]


class Driver:
    """Kafka's Java clients in one JVM: a JSON line for each command and each answer."""

    def __init__(self, class_path):
        command = mortal([*java("256m", class_path, "off"), "Driver"])
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ids, self.lock, self.waiting = itertools.count(1), threading.Lock(), {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            answer = json.loads(line)
            self.waiting.pop(answer["id"]).put(answer)

    def call(self, command, **arguments):
        inbox = queue.Queue()
        with self.lock:
            number = next(self.ids)
            self.waiting[number] = inbox
            line = json.dumps({"id": number, "session": "lab", "do": command, **arguments})
            self.child.stdin.write(line + "\n")
            self.child.stdin.flush()
        answer = inbox.get(timeout=ANSWER_SECONDS)
        if "error" in answer:
            raise RuntimeError(f"{command}: {answer['error']}")
        return answer["ok"]

    def stop(self):
        self.child.stdin.close()
        self.child.wait()


class Cluster:
    """The lab's Kafka, empty at first."""

    def __init__(self, jars, directory, size, brokers=BROKERS, heap="768m", properties=None):
        self.jars, self.directory, self.size, self.nodes, self.driver = jars, directory, size, [], None
        self.brokers, self.heap, self.more_properties = brokers, heap, properties or {}
        classes = os.path.join(directory, "classes")
        self.java_clients = f"{classes}:{jars}/*"
        self.ports = dict(zip([*range(1, brokers + 1), CONTROLLER], free_ports(brokers + 1)))
        self.bootstrap = ",".join(f"127.0.0.1:{self.ports[node]}" for node in range(1, brokers + 1))

    def start(self):
        note(f"starting {self.brokers} brokers")
        files = {node: self._properties(node) for node in self.ports}
        class_path = f"{self.jars}/*"
        tool = [*java("128m", class_path, "warn"), "kafka.tools.StorageTool", "format", "-t", CLUSTER_UUID, "-c"]
        for path in files.values():
            subprocess.run([*tool, path], check=True, stdout=subprocess.DEVNULL)
        for node, path in files.items():
            command = [*java(self.heap, class_path, "warn"), "kafka.Kafka", path]
            log = os.path.join(self.directory, f"node{node}.log")
            self.nodes.append(Process(f"Kafka node {node}", command, log))
        sources = sorted(glob.glob("tests/driver/*.java"))
        classes = self.java_clients.partition(":")[0]
        subprocess.run(["javac", "-encoding", "UTF-8", "-cp", class_path, "-d", classes, *sources], check=True)
        self.hire_driver()
        wait_for("the brokers", START_SECONDS, self._is_whole)

    def hire_driver(self):
        self.driver = Driver(self.java_clients)
        self.driver.call("open", properties={"bootstrap.servers": self.bootstrap})

    def truth(self):
        """What Kafka's own admin client sees, and the times before and after it looked."""
        self.hire_driver()
        before = time.time()
        try:
            return before, self.driver.call("truth", topics="lab-", groups="lab-"), time.time()
        finally:
            self.release_driver()

    def _properties(self, node):
        """server.properties of one node: Kafka's defaults, but for what three replicas on a small machine need."""
        is_controller = node == CONTROLLER
        listener = f"{'CONTROLLER' if is_controller else 'PLAINTEXT'}://127.0.0.1:{self.ports[node]}"
        lines = {
            "node.id": node,
            "process.roles": "controller" if is_controller else "broker",
            "listeners": listener,
            "controller.quorum.voters": f"{CONTROLLER}@127.0.0.1:{self.ports[CONTROLLER]}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": os.path.join(self.directory, f"data{node}"),
            "log.index.size.max.bytes": 65536,
            "group.initial.rebalance.delay.ms": 0,
            # A producer that asks for a topic which was just deleted would make one of another kind.
            "auto.create.topics.enable": "false",
        }
        if not is_controller:
            lines["advertised.listeners"] = listener
            lines.update(self.more_properties)
        path = os.path.join(self.directory, f"node{node}.properties")
        with open(path, "w") as file:
            file.writelines(f"{key}={value}\n" for key, value in lines.items())
        return path

    def _is_whole(self):
        for node in self.nodes:
            node.check()
        try:
            return True if len(self.driver.call("brokers")["brokers"]) == self.brokers else None
        except RuntimeError:
            return None

    def fill(self):
        """Topics with a few records in each partition, and groups without members that have committed."""
        note(f"creating {self.size.topics} topics of {PARTITIONS} partitions, a few records in each")
        names = self.size.topic_names()
        places = list(itertools.product(names, range(PARTITIONS)))
        call = self.driver.call
        with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            create = lambda name: call("createTopic", topic=name, partitions=PARTITIONS, replication=self.brokers)
            produce = lambda place: call("produce", topic=place[0], partition=place[1], count=10, bytes=10, keys=0)
            list(pool.map(create, names))
            list(pool.map(produce, places))
            note(f"committing offsets of {self.size.groups} groups, {self.size.topics_per_group * PARTITIONS} partitions each")
            list(pool.map(self._commit, range(self.size.groups)))

    def _commit(self, group):
        rows = [
            {"topic": topic, "partition": partition, "offset": (group + partition) % 11}
            for topic in self.size.topics_of(group)
            for partition in range(PARTITIONS)
        ]
        self.driver.call("commit", group=self.size.group_names()[group], offsets=rows)

    def broker_cpu_seconds(self):
        """Of all brokers together, without the controller."""
        return sum(node.cpu_seconds() for node in self.nodes[: self.brokers])

    def release_driver(self):
        """The driver costs the brokers heartbeats and metadata: it is not there while they are measured."""
        if self.driver:
            self.driver.stop()
            self.driver = None

    def stop(self):
        self.release_driver()
        for node in self.nodes:
            node.child.kill()
        for node in self.nodes:
            node.child.wait()
