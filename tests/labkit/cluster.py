"""Three real brokers and a controller on loopback, filled through the Java program in tests/driver."""

import concurrent.futures
import glob
import itertools
import json
import os
import queue
import socket
import subprocess
import threading

from processes import Process, mortal, note, wait_for

BROKERS, TOPICS, PARTITIONS, GROUPS, TOPICS_PER_GROUP = 3, 100, 10, 50, 20
CONTROLLER = 100
START_SECONDS = 90
ANSWER_SECONDS = 120
SIDE_BY_SIDE = 8
CLUSTER_UUID = "a2Fma2FzY29wZWxhYi0wMQ"


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

    def __init__(self, jars, directory):
        classes = os.path.join(directory, "classes")
        class_path = f"{jars}/*"
        sources = sorted(glob.glob("tests/driver/*.java"))
        subprocess.run(["javac", "-encoding", "UTF-8", "-cp", class_path, "-d", classes, *sources], check=True)
        command = mortal([*java("256m", f"{classes}:{class_path}", "off"), "Driver"])
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

    def __init__(self, jars, directory):
        self.jars, self.directory, self.nodes, self.driver = jars, directory, [], None
        self.ports = dict(zip([*range(1, BROKERS + 1), CONTROLLER], free_ports(BROKERS + 1)))
        self.bootstrap = ",".join(f"127.0.0.1:{self.ports[node]}" for node in range(1, BROKERS + 1))

    def start(self):
        note(f"starting {BROKERS} brokers")
        files = {node: self._properties(node) for node in self.ports}
        class_path = f"{self.jars}/*"
        tool = [*java("128m", class_path, "warn"), "kafka.tools.StorageTool", "format", "-t", CLUSTER_UUID, "-c"]
        for path in files.values():
            subprocess.run([*tool, path], check=True, stdout=subprocess.DEVNULL)
        for node, path in files.items():
            command = [*java("768m", class_path, "warn"), "kafka.Kafka", path]
            log = os.path.join(self.directory, f"node{node}.log")
            self.nodes.append(Process(f"Kafka node {node}", command, log))
        self.driver = Driver(self.jars, self.directory)
        self.driver.call("open", properties={"bootstrap.servers": self.bootstrap})
        wait_for("the brokers", START_SECONDS, self._is_whole)

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
        }
        if not is_controller:
            lines["advertised.listeners"] = listener
        path = os.path.join(self.directory, f"node{node}.properties")
        with open(path, "w") as file:
            file.writelines(f"{key}={value}\n" for key, value in lines.items())
        return path

    def _is_whole(self):
        for node in self.nodes:
            node.check()
        try:
            return True if len(self.driver.call("brokers")["brokers"]) == BROKERS else None
        except RuntimeError:
            return None

    def fill(self):
        """Topics with a few records in each partition, and groups without members that have committed."""
        note(f"creating {TOPICS} topics of {PARTITIONS} partitions, a few records in each")
        names = [f"lab-topic-{i:03}" for i in range(TOPICS)]
        places = list(itertools.product(names, range(PARTITIONS)))
        call = self.driver.call
        with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            create = lambda name: call("createTopic", topic=name, partitions=PARTITIONS, replication=BROKERS)
            produce = lambda place: call("produce", topic=place[0], partition=place[1], count=10, bytes=10, keys=0)
            list(pool.map(create, names))
            list(pool.map(produce, places))
            note(f"committing offsets of {GROUPS} groups, {TOPICS_PER_GROUP * PARTITIONS} partitions each")
            list(pool.map(lambda group: self._commit(group, names), range(GROUPS)))

    def _commit(self, group, names):
        mine = [names[(group * 2 + i) % TOPICS] for i in range(TOPICS_PER_GROUP)]
        rows = [
            {"topic": topic, "partition": partition, "offset": (group + partition) % 11}
            for topic in mine
            for partition in range(PARTITIONS)
        ]
        self.driver.call("commit", group=f"lab-group-{group:02}", offsets=rows)

    def broker_cpu_seconds(self):
        """Of all brokers together, without the controller."""
        return sum(node.cpu_seconds() for node in self.nodes[:BROKERS])

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
