"""The scenarios of the time lag: what is written, committed, deleted and when, and the truth about it as it is done."""

import json
import os
import random
import subprocess
import threading
import time

from cluster import java
from processes import mortal, note
from timelag_truth import Log, Place

PARTITIONS, REPLICAS = 2, 3
TICK = 1.0
RECORDS = 5
CATCH_UP_TICKS = 60
BACKLOG_HOURS, BACKLOG_STEP, BACKLOG_READ = 6, 30, 0.7
OUT_OF_ORDER = 3600
STEADY_RECORDS, STEADY_MS = 10, 500
BURST_RECORDS, BURST_MS = 600, 23_000


class Stage:
    """The logs of all topics and the commits of all groups, filled by whoever acts."""

    def __init__(self, cluster):
        self.cluster, self.call = cluster, cluster.driver.call
        self.logs, self.places = {}, {}

    def create(self, topic):
        self.call("createTopic", topic=topic, partitions=PARTITIONS, replication=REPLICAS)
        for partition in range(PARTITIONS):
            self.logs[topic, partition] = Log()

    def log(self, topic, partition):
        return self.logs[topic, partition]

    def place(self, group, topic, partition):
        return self.places.setdefault((group, topic, partition), Place())


class Actor(threading.Thread):
    """Acts on a topic of its own with a group of its own, once a second, until the time is over."""

    name_ = "actor"

    def __init__(self, stage, seconds, rest):
        super().__init__(daemon=True)
        self.stage, self.seconds, self.rest, self.failure = stage, seconds, rest, None
        self.topic = self.group = f"lab-{self.name_}"
        self.done = set()
        stage.create(self.topic)

    def prepare(self):
        """Before exporters are there."""

    def act(self, share):
        """Once a second; `share` of the time has passed."""
        raise NotImplementedError

    def run(self):
        begun = time.monotonic()
        try:
            while (passed := time.monotonic() - begun) < self.seconds and not self.rest.is_set():
                self.act(passed / self.seconds)
                self.rest.wait(max(0.0, begun + passed + TICK - time.monotonic()))
        except Exception as failure:
            self.failure = failure

    def once(self, what):
        """Whether this is done for the first time."""
        first = what not in self.done
        self.done.add(what)
        return first

    def produce(self, count=RECORDS, timestamps=lambda: None, claimed=None):
        """Records to each partition. `claimed`: when they count as appended, if that is not now."""
        for partition in range(PARTITIONS):
            more = {} if (stamp := timestamps()) is None else {"timestamp": int(stamp * 1000)}
            since = time.time()
            last = self.stage.call(
                "produce", topic=self.topic, partition=partition, count=count, bytes=10, keys=0, **more
            )
            since, until = (claimed, claimed) if claimed else (since, time.time())
            self.stage.log(self.topic, partition).wrote(last - count + 1, count, since, until)

    def commit(self, offset_of):
        """What a function of the partition's log says."""
        logs = [self.stage.log(self.topic, partition) for partition in range(PARTITIONS)]
        offsets = [offset_of(log) for log in logs]
        rows = [{"topic": self.topic, "partition": n, "offset": offset} for n, offset in enumerate(offsets)]
        since = time.time()
        self.stage.call("commit", group=self.group, offsets=rows)
        until = time.time()
        for partition, (offset, log) in enumerate(zip(offsets, logs)):
            self.stage.place(self.group, self.topic, partition).committed(since, until, offset, log)

    def follow(self, seconds):
        """Commits, at every second tick, what was appended so long ago."""
        self.ticks = getattr(self, "ticks", 0) + 1
        if self.ticks % 2:
            self.commit(lambda log: log.surely(time.time() - seconds))

    def delete_before(self, offset_of):
        for partition in range(PARTITIONS):
            log = self.stage.log(self.topic, partition)
            before, since = offset_of(log), time.time()
            self.stage.call("deleteRecords", topic=self.topic, partition=partition, before=before)
            log.starts.append((since, time.time(), before))


class StoppedProducer(Actor):
    """Producer and consumer stop; after a while the consumer reads the rest."""

    name_ = "stopped-producer"

    def act(self, share):
        if share < 0.3:
            self.produce()
            self.follow(15)
        elif share > 0.75 and self.once("read"):
            self.commit(Log.end)


class StoppedConsumer(Actor):
    """The consumer stops, the producer does not; then the consumer catches up."""

    name_ = "stopped-consumer"

    def act(self, share):
        self.produce()
        if share < 0.25 or share > 0.7:
            self.follow(10)


class Drained(Actor):
    """What a stopped consumer has not read is deleted; later a little is written again."""

    name_ = "drained"

    def act(self, share):
        if share < 0.25:
            self.produce()
            self.follow(15)
        elif share > 0.5 and self.once("drain"):
            self.delete_before(Log.end)
        elif share > 0.75 and self.once("write"):
            self.produce()


class Recreated(Actor):
    """The topic is deleted and created anew; producer and consumer go on."""

    name_ = "recreated"

    def act(self, share):
        if share > 0.4 and self.once("recreate"):
            self.stage.call("deleteTopic", topic=self.topic)
            for partition in range(PARTITIONS):
                self.stage.place(self.group, self.topic, partition).ends(time.time())
            self._create()
        self.produce()
        self.follow(10)

    def _create(self):
        # The brokers delete a topic after the controller has said that it is gone.
        for _ in range(CATCH_UP_TICKS):
            try:
                return self.stage.create(self.topic)
            except RuntimeError as refused:
                last = refused
                time.sleep(TICK / 2)
        raise last


class Truncated(Actor):
    """Of what a stopped consumer has not read all but the youngest is deleted, again and again."""

    name_ = "truncated"

    def act(self, share):
        self.produce()
        if share < 0.2:
            self.follow(10)
        for turn in (0.4, 0.6, 0.8):
            if share > turn and self.once(turn):
                self.delete_before(lambda log: log.surely(time.time() - 20))


class Backlog(Actor):
    """Records of the last hours, by their own times, that a consumer reads: the exporter saw none of them come."""

    name_ = "backlog"

    def prepare(self):
        now = time.time()
        for ago in range(BACKLOG_HOURS * 3600, 0, -BACKLOG_STEP):
            self.produce(2, lambda: now - ago, now - ago)
        self.commit(lambda log: 0)

    def act(self, share):
        self.ticks = getattr(self, "ticks", 0) + 1
        if self.ticks % 2:
            self.commit(lambda log: int(log.end() * share * BACKLOG_READ))


class OutOfOrder(Actor):
    """Records that carry times of the last hour, in no order."""

    name_ = "out-of-order"

    def act(self, share):
        self.produce(timestamps=lambda: time.time() - random.uniform(0, OUT_OF_ORDER))
        self.follow(20)


ACTORS = (StoppedProducer, StoppedConsumer, Drained, Recreated, Truncated, Backlog, OutOfOrder)


class Flow:
    """Topics that tests/driver/Load.java writes to by the clock, with real members that read them."""

    STEADY, BURSTS = "lab-steady", "lab-bursts"
    GROUPS = (("lab-keeps-up", STEADY, 0), ("lab-behind", STEADY, 20), ("lab-bursts", BURSTS, 10))

    def __init__(self, stage):
        self.stage = stage
        for topic in (self.STEADY, self.BURSTS):
            stage.create(topic)
        directory = stage.cluster.directory
        self.log, plan = os.path.join(directory, "load.jsonl"), os.path.join(directory, "timetable.json")
        with open(plan, "w") as file:
            json.dump(self._plan(), file)
        with open(os.path.join(directory, "load.log"), "ab") as said:
            command = mortal([*java("256m", stage.cluster.java_clients, "warn"), "Load", plan])
            self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True)
        if self.child.stdout.readline() != "ready\n":
            raise RuntimeError(f"the traffic did not start; see {said.name}")

    def _plan(self):
        row = lambda topic, records, every: {
            "topic": topic, "partitions": PARTITIONS, "records": records, "every_ms": every
        }
        topics = [row(self.STEADY, STEADY_RECORDS, STEADY_MS), row(self.BURSTS, BURST_RECORDS, BURST_MS)]
        groups = [{"group": group, "topics": [topic], "behind_seconds": behind} for group, topic, behind in self.GROUPS]
        return {"bootstrap": self.stage.cluster.bootstrap, "log": self.log, "topics": topics, "groups": groups}

    def stop(self):
        """Takes the log over when all is written."""
        self.child.stdin.close()
        self.child.wait()
        with open(self.log) as file:
            lines = file.read().splitlines(keepends=True)
        rows = [json.loads(line) for line in lines if line.endswith("\n")]
        for row in rows:
            if "failed" in row:
                raise RuntimeError(f"the lab's traffic failed: {row['failed']}")
            since, until = row["from"] / 1000, row["to"] / 1000
            if "group" in row:
                for topic, partition, offset in row["committed"]:
                    log = self.stage.log(topic, partition)
                    self.stage.place(row["group"], topic, partition).committed(since, until, offset, log)
            else:
                self.stage.log(row["topic"], row["partition"]).wrote(row["end"] - 1, 1, since, until)


def raise_failures(actors):
    for actor in actors:
        if actor.failure:
            note(f"{actor.topic}: {actor.failure}")
            raise actor.failure
