"""The clusters of the report on scale: simulated ones as processes of their own, and one real one of the same size."""

import dataclasses
import os
import subprocess

from cluster import PARTITIONS, Cluster, Size
from processes import Process, mortal, wait_for

START_SECONDS = 60
# Of five rows of a group one is behind, in the real cluster.
BEHIND_EACH, END, BEHIND_AT = 5, 10, 4


@dataclasses.dataclass(frozen=True)
class Shape:
    """How large a cluster is. Groups have no members but where it says so."""

    title: str
    brokers: int
    topics: int
    partitions: int
    groups: int
    rows: int
    members: int = 0

    def arguments(self):
        numbers = {
            "brokers": self.brokers, "topics": self.topics, "partitions": self.partitions, "groups": self.groups,
            "group-partitions": self.rows, "members": self.members,
        }
        return [f"--{name}={number}" for name, number in numbers.items()]


TINY = Shape("empty", 1, 1, 1, 1, 1)
LAB = Shape("Lab", 3, 100, 1000, 50, 10_000)
LARGE = Shape("Large", 1, 1000, 10_000, 200, 200_000)
HUGE = Shape("Huge", 100, 10_000, 100_000, 5000, 1_000_000, 4)


class Simulated:
    """`kafkascope simulate`, a process apart from the exporter's."""

    def __init__(self, binary, directory, shape, moving, behind, behind_by="topics", latency="0s"):
        self.log = os.path.join(directory, f"simulated-{shape.title}-{moving}-{behind}.log")
        flags = [f"--moving={moving}%", f"--behind={behind}%", f"--behind-by={behind_by}", f"--latency={latency}"]
        self.process = Process("simulate", [binary, "simulate", *shape.arguments(), *flags], self.log)
        try:
            self.bootstrap = wait_for("the simulated cluster", START_SECONDS, self._address)
        except BaseException:
            self.stop()
            raise

    def _address(self):
        self.process.check()
        with open(self.log) as log:
            line = log.readline()
        return line.strip() if line.endswith("\n") else None

    def cpu_seconds(self):
        return self.process.cpu_seconds()

    def peak_rss_mb(self):
        return self.process.peak_rss_mb()

    def stop(self):
        self.process.stop()


class Real(Cluster):
    """One real broker with as much as LARGE: nothing moves, and 20 % of what groups have committed on is behind."""

    def __init__(self, jars, directory, shape):
        size = Size(topics=shape.topics, groups=shape.groups, topics_per_group=shape.rows // shape.groups // PARTITIONS)
        properties = {
            "log.index.size.max.bytes": 16384,
            "log.segment.bytes": 1 << 20,
            "offsets.topic.replication.factor": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
        }
        super().__init__(jars, directory, size, brokers=1, heap="3g", properties=properties)
        self.start()
        self.fill()
        self.release_driver()

    def _commit(self, group):
        places = [(topic, partition) for topic in self.size.topics_of(group) for partition in range(PARTITIONS)]
        rows = [
            {"topic": topic, "partition": partition, "offset": BEHIND_AT if (group + at) % BEHIND_EACH == 0 else END}
            for at, (topic, partition) in enumerate(places)
        ]
        self.driver.call("commit", group=self.size.group_names()[group], offsets=rows)

    def cpu_seconds(self):
        return self.broker_cpu_seconds()

    def peak_rss_mb(self):
        return max(node.peak_rss_mb() for node in self.nodes)


def build_scrapers(directory):
    """The load, from its one file."""
    binary = os.path.join(directory, "scrapers")
    subprocess.run(["rustc", "--edition", "2024", "-O", "-o", binary, "tests/labkit/scrapers.rs"], check=True)
    return binary


def start_scrapers(binary, port, encoding, clients, seconds, period_ms):
    """Runs the load in the background; its answer is a line of JSON on its output."""
    command = [binary, f"127.0.0.1:{port}", encoding, str(clients), str(seconds), str(int(period_ms))]
    return subprocess.Popen(mortal(command), stdout=subprocess.PIPE, text=True)
