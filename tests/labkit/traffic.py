"""The lab's steady traffic, the same in every window: which topics move, who reads them, and changes out of turn."""

import json
import os
import random
import subprocess
import threading
import time

from cluster import PARTITIONS, java
from processes import mortal, note

MOVING_EVERY = 10
READING_EVERY = 5
LAGGING_EVERY = 3
LAG_SECONDS = 10
TICK_MS, RECORDS_A_TICK = 500, 10
BURST_MS, RECORDS_A_BURST = 20_000, 200
CHANGES = 40


class Plan:
    """One topic in ten moves, the last of them in bursts; one group in five reads, a third of these with a steady lag."""

    def __init__(self, size):
        self.size = size
        self.moving = size.topic_names()[::MOVING_EVERY]
        self.bursty = self.moving[-1]
        self.steady = self.moving[:-1]
        self.readers = size.group_names()[::READING_EVERY]

    def timetable(self, bootstrap, log):
        """What tests/driver/Load.java reads."""
        topics = [self._row(topic, RECORDS_A_TICK, TICK_MS) for topic in self.steady]
        topics.append(self._row(self.bursty, RECORDS_A_BURST, BURST_MS))
        groups = []
        for place, group in enumerate(self.readers):
            behind = LAG_SECONDS if place % LAGGING_EVERY == LAGGING_EVERY - 1 else 0
            groups.append({"group": group, "topics": self.size.topics_of(place * READING_EVERY), "behind_seconds": behind})
        return {"bootstrap": bootstrap, "log": log, "topics": topics, "groups": groups}

    @staticmethod
    def _row(topic, records, every):
        return {"topic": topic, "partitions": PARTITIONS, "records": records, "every_ms": every}

    def quiet_topics(self):
        return [name for name in self.size.topic_names() if name not in self.moving]


class Traffic:
    """The traffic while it runs."""

    def __init__(self, cluster, plan):
        self.log = os.path.join(cluster.directory, "load.jsonl")
        timetable = os.path.join(cluster.directory, "timetable.json")
        with open(timetable, "w") as file:
            json.dump(plan.timetable(cluster.bootstrap, self.log), file)
        note(f"traffic: {len(plan.moving)} topics move, {len(plan.readers)} groups read")
        with open(os.path.join(cluster.directory, "load.log"), "ab") as said:
            command = mortal([*java("256m", cluster.java_clients, "warn"), "Load", timetable])
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True)
        if self.child.stdout.readline() != "ready\n":
            raise RuntimeError(f"the traffic did not start; see {said.name}")

    def order(self, **command):
        self.child.stdin.write(json.dumps(command) + "\n")
        self.child.stdin.flush()

    def stop(self):
        self.child.stdin.close()
        self.child.wait()


class Changes:
    """Single changes to quiet things, each at a random time: a record here, a commit there. How long such a change is not seen
    is how old what is served of quiet things is. Everything is changed once at most, and is quiet again afterwards only slowly."""

    def __init__(self, traffic, plan, truth, seconds, seed):
        self.traffic, self.seconds = traffic, seconds
        choice = random.Random(seed)
        topics = plan.quiet_topics()
        choice.shuffle(topics)
        half = min(CHANGES, len(topics) // 4)
        self.orders = [
            {"do": "record", "topic": topic, "partition": choice.randrange(PARTITIONS)} for topic in topics[:half]
        ]
        self.orders += self._commits(choice, plan, truth, topics[half : 2 * half])
        choice.shuffle(self.orders)
        self.times = sorted(choice.uniform(0, seconds) for _ in self.orders)
        self.thread = threading.Thread(target=self._run, daemon=True)

    @staticmethod
    def _commits(choice, plan, truth, topics):
        """One for each topic: a group without members gets on by one record."""
        for topic in topics:
            places = [
                (group, partition, steps.last())
                for (group, its_topic, partition), steps in truth.commits.items()
                if its_topic == topic and group not in plan.readers and steps.last() < truth.ends[topic, partition].last()
            ]
            if places:
                group, partition, offset = choice.choice(places)
                yield {"do": "commit", "group": group, "topic": topic, "partition": partition, "offset": offset + 1}

    def start(self):
        self.thread.start()

    def _run(self):
        begun = time.monotonic()
        for due, order in zip(self.times, self.orders):
            time.sleep(max(0, begun + due - time.monotonic()))
            self.traffic.order(**order)

    def join(self):
        self.thread.join()
