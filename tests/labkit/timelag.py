"""Time lag against the truth: all scenarios at once, and three exporters that look on, two of which are started anew midway."""

import collections
import os
import re
import threading
import time

import timelag_scenes as scenes
from exporter import LABEL, Exporter
from processes import note
from timelag_truth import Sample, Verdict

SECONDS, LAG, COMMIT = "kafka_consumergroup_lag_seconds", "kafka_consumergroup_lag", "kafka_consumergroup_current_offset"
INTERVAL, EFFECTIVE = "kafkascope_interval_seconds", "kafkascope_effective_interval_seconds"
METHODS = "kafkascope_time_lag_partitions"
LINE = re.compile(rf"^({SECONDS}|{LAG}|{COMMIT}|{INTERVAL}|{EFFECTIVE}|{METHODS})(?:{{(.*)}})? (\S+)$", re.M)
WARM_SECONDS = 30
RESTART_AT = 0.5
# Before an exporter has intervals to tell of.
NO_INTERVAL = 60.0


def add_arguments(parser):
    group = parser.add_argument_group("time-lag")
    group.add_argument("--minutes", type=float, default=float(os.environ.get("LAB_MINUTES", 10)), metavar="N",
                       help="how long the scenarios take (10, or LAB_MINUTES)")
    group.add_argument("--every", type=float, default=1.0, metavar="SECONDS", help="between two scrapes (1)")


class Observer(threading.Thread):
    """An exporter at its defaults and one who scrapes it."""

    def __init__(self, title, options, cluster, state=None, address="127.0.0.11"):
        super().__init__(daemon=True)
        self.title, self.every, self.address = title, options.every, address
        more = f"state_file: '{state}'\n" if state else ""
        self.begin = lambda: Exporter(
            os.path.abspath(options.binary), cluster.bootstrap, "{mode: adaptive}", cluster.directory, more
        )
        self.over, self.failure, self.failed, self.restarted = threading.Event(), None, 0, 0.0
        self.samples, self.methods = collections.defaultdict(list), collections.Counter()
        self.lock, self.scrapes = threading.Lock(), []
        self.exporter = self.begin()

    def run(self):
        due = time.monotonic()
        try:
            while not self.over.is_set():
                self._scrape()
                due = max(due + self.every, time.monotonic())
                self.over.wait(due - time.monotonic())
        except Exception as failure:
            self.failure = failure

    def _scrape(self):
        begin = time.time()
        with self.lock:
            try:
                text = self.exporter.scrape(source=self.address)[2]
            except OSError:
                self.failed += 1
                return
        end = time.time()
        rows, interval, quiet = collections.defaultdict(dict), NO_INTERVAL, 0.0
        for name, labels, value in LINE.findall(text):
            label = dict(LABEL.findall(labels))
            if name == INTERVAL:
                interval = float(value)
            elif name == EFFECTIVE:
                quiet = max(quiet, float(value))
            elif name == METHODS:
                self.methods[label["method"]] += float(value)
            elif label["topic"].startswith("lab-"):
                rows[label["consumergroup"], label["topic"], int(label["partition"])][name] = float(value)
        if rows:
            self.scrapes.append(begin)
        for place, row in rows.items():
            sample = Sample(begin, end, row.get(SECONDS), row.get(LAG), row.get(COMMIT), interval, quiet or NO_INTERVAL)
            self.samples[place].append(sample)

    def restart(self):
        """Stops it as an operator does, and starts it anew."""
        with self.lock:
            self.exporter.stop()
            self.restarted = time.time()
            self.exporter = self.begin()

    def stop(self):
        self.over.set()
        self.join()
        self.exporter.stop()
        if self.failure:
            raise self.failure


class Found:
    """A run's verdicts: rows of (title, Verdict, whether it is held to the mark)."""

    def __init__(self):
        self.rows, self.notes = [], []


def measure(options, cluster):
    """Acts, looks on, and judges."""
    seconds, rest = options.minutes * 60, threading.Event()
    cluster.hire_driver()
    stage = scenes.Stage(cluster)
    actors = [kind(stage, seconds, rest) for kind in scenes.ACTORS]
    note("writing what is there before")
    for actor in actors:
        actor.prepare()
    flow = scenes.Flow(stage)
    state = os.path.join(cluster.directory, "state")
    observers = []
    try:
        note(f"three exporters look on for {options.minutes:g} minutes")
        for number, (title, file) in enumerate([("kept", None), ("state file", state), ("no state file", None)]):
            observers.append(Observer(title, options, cluster, file, f"127.0.0.{11 + number}"))
        for thread in [*observers, *actors]:
            thread.start()
        begun = time.time()
        time.sleep(seconds * RESTART_AT)
        note("two of them are started anew")
        for observer in observers[1:]:
            observer.restart()
        for actor in actors:
            actor.join()
        scenes.raise_failures(actors)
    finally:
        rest.set()
        for observer in observers:
            observer.stop()
        flow.stop()
    return judge(stage, observers, begun, options)


def judge(stage, observers, begun, options):
    """Every scenario with the exporter that was kept, and those after a restart that the restart touches."""
    found, kept = Found(), observers[0]
    flow = {"lab-keeps-up": "steady flow, keeps up", "lab-behind": "steady flow, 20 s behind", "lab-bursts": "bursts"}
    groups = {**flow, **{f"lab-{kind.name_}": kind.name_.replace("-", " ") for kind in scenes.ACTORS}}
    for group, title in groups.items():
        found.rows.append(row(title, [group], kept, stage, begun + WARM_SECONDS, begun))
    for observer in observers[1:]:
        for group in ("lab-behind", "lab-bursts", "lab-stopped-producer", "lab-stopped-consumer", "lab-truncated"):
            title = f"restart, {observer.title}: {groups[group]}"
            found.rows.append(row(title, [group], observer, stage, observer.restarted, begun))
    for observer in observers:
        ways = ", ".join(f"{count / sum(observer.methods.values()):.1%} {way}" for way, count in observer.methods.items())
        found.notes.append(f"{observer.title}: partitions behind, by method: {ways}; {observer.failed} scrapes failed")
    return found


def row(title, groups, observer, stage, since, begun):
    verdict = Verdict()
    scrapes = [at for at in observer.scrapes if at >= since]
    for place, known in sorted(stage.places.items()):
        if place[0] in groups:
            samples = [sample for sample in observer.samples[place] if sample.begin >= since]
            verdict.add(known, samples, begun)
            verdict.lack(known, samples, scrapes)
    return title, verdict
