"""Watches how long changes to quiet things are not seen."""

import random
import threading
import time

from checks import COMMIT, END
from exporter import LABEL

QUESTION = "?collect[]=offsets&collect[]=commits"
# Scrapes at random gaps, from addresses by turns: the exporter must not find a period in them.
GAP_SECONDS = (0.5, 1.5)
ADDRESSES = [f"127.0.0.{last}" for last in range(20, 28)]


class Watcher:
    """Looks about once a second for the changes that were ordered."""

    def __init__(self, exporter, orders, truth):
        self.exporter, self.stopped, self.waiting, self.seen = exporter, threading.Event(), {}, {}
        for order in orders:
            place = (order["topic"], order["partition"])
            if order["do"] == "record":
                self.waiting[END, *place] = truth.ends[place].last() + 1
            else:
                self.waiting[COMMIT, order["group"], *place] = order["offset"]
        self.awaited = dict(self.waiting)
        self.failure = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()

    def _run(self):
        choice = random.Random()
        try:
            while self.waiting and not self.stopped.wait(choice.uniform(*GAP_SECONDS)):
                at = time.time()
                self._look(at, self.exporter.scrape(QUESTION, source=choice.choice(ADDRESSES))[2])
        except Exception as failure:
            self.failure = failure

    def _look(self, at, text):
        for line in text.splitlines():
            name, _, rest = line.partition("{")
            if name not in (END, COMMIT):
                continue
            labels, _, value = rest.rpartition("} ")
            label = dict(LABEL.findall(labels))
            group = (label["consumergroup"],) if name == COMMIT else ()
            key = (name, *group, label["topic"], int(label["partition"]))
            if key in self.waiting and float(value) >= self.waiting[key]:
                del self.waiting[key]
                self.seen[key] = at

    def stop(self):
        self.stopped.set()
        self.thread.join()
        if self.failure:
            raise self.failure

    def delays(self, truth):
        """Seconds until seen, by kind; infinite for what was not seen in the end."""
        delays = {name: [float("inf")] * sum(1 for key in self.waiting if key[0] == name) for name in (END, COMMIT)}
        for (name, *place), at in self.seen.items():
            steps = (truth.ends if name == END else truth.commits)[tuple(place)]
            delays[name].append(steps.age(self.awaited[name, *place] - 1, at))
        return delays
