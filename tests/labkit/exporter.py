"""kafkascope under measurement: windows of whole passes, with and without scrapes."""

import contextlib
import gzip
import http.client
import os
import re
import time

from cluster import free_ports
from processes import Process, wait_for

READY_SECONDS = 30
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.M)
LABEL = re.compile(r'(\w+)="([^"]*)"')
OWN = "?collect[]=exporter"


class Exporter:
    """One running kafkascope."""

    def __init__(self, binary, bootstrap, interval, directory):
        self.interval = interval
        self.port = free_ports(1)[0]
        command = [binary, "serve", "--bootstrap-servers", bootstrap, "--listen", f"127.0.0.1:{self.port}"]
        command += ["--interval", f"{interval}s"]
        self.process = Process("kafkascope", command, os.path.join(directory, "kafkascope.log"))
        try:
            wait_for("the first pass", READY_SECONDS, self._is_ready)
        except RuntimeError:
            self.process.check()
            raise

    def _is_ready(self):
        self.process.check()
        with contextlib.suppress(OSError):
            return True if self.passes() > 0 else None
        return None

    def scrape(self, query="", encoding="identity"):
        """Seconds that it took, bytes on the wire, text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        started = time.monotonic()
        connection.request("GET", f"/metrics{query}", headers={"Accept-Encoding": encoding})
        body = connection.getresponse().read()
        took = time.monotonic() - started
        connection.close()
        text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        return took, len(body), text.decode()

    def own(self):
        """What it says of itself, as name → [(labels, value)]."""
        families = {}
        for name, labels, value in SAMPLE.findall(self.scrape(OWN)[2]):
            families.setdefault(name, []).append((dict(LABEL.findall(labels)), float(value)))
        return families

    def passes(self):
        families = self.own()
        return int(sum(value for _, value in families.get("kafkascope_pass_duration_seconds_count", [])))

    def between_passes(self):
        """Waits until the middle between two passes."""
        before = self.passes()
        wait_for("the next pass", 2 * self.interval + READY_SECONDS, lambda: True if self.passes() > before else None)
        time.sleep(self.interval / 2)

    def window(self, passes, load, scrape=None):
        """What `passes` passes cost; `scrape` is done once in each. `load` tells the brokers' CPU seconds."""
        self.between_passes()
        start, cost = self.own(), Cost(passes, self.interval)
        cpu, broker, switches, scraped = self.process.cpu_seconds(), load(), self.process.switches(), []
        begun = time.monotonic()
        for done in range(1, passes + 1):
            if scrape:
                scraped.append(self.scrape(encoding=scrape))
            time.sleep(max(0, begun + done * self.interval - time.monotonic()))
        cost.cpu = self.process.cpu_seconds() - cpu
        cost.broker_cpu = load() - broker
        cost.seconds = time.monotonic() - begun
        cost.switches = self.process.switches() - switches
        end = self.own()
        count, wall = (
            total(end, f"kafkascope_pass_duration_seconds_{part}") - total(start, f"kafkascope_pass_duration_seconds_{part}")
            for part in ("count", "sum")
        )
        if count != passes:
            raise RuntimeError(f"{count:.0f} passes in a window of {passes}: is the machine too busy?")
        cost.pass_seconds = wall / passes
        cost.scrapes = [took for took, _, _ in scraped]
        if scraped:
            cost.scrape_bytes = scraped[-1][1]
            cost.series = sum(1 for line in scraped[-1][2].splitlines() if not line.startswith("#"))
        return cost

    def requests_per_pass(self, ticks):
        """Requests by API, between statistics of librdkafka, which come every ten seconds."""
        first = self._next_statistics()
        for _ in range(ticks):
            last = self._next_statistics()
        passes = last[0] - first[0]
        return passes, {api: (count - first[1].get(api, 0)) / passes for api, count in last[1].items()}

    def _next_statistics(self):
        def counts():
            families = self.own()
            by_api = {}
            for labels, value in families.get("kafkascope_broker_requests_total", []):
                by_api[labels["api"]] = by_api.get(labels["api"], 0) + value
            return int(total(families, "kafkascope_pass_duration_seconds_count")), by_api

        before = counts()[1]

        def changed():
            now = counts()
            return now if now[1] != before else None

        return wait_for("statistics", 60, changed)

    def stop(self):
        self.process.stop()


def total(families, name):
    return sum(value for _, value in families.get(name, []))


class Cost:
    """What a window cost; seconds and bytes."""

    def __init__(self, passes, interval):
        self.passes, self.interval = passes, interval
        self.cpu = self.broker_cpu = self.seconds = self.pass_seconds = 0.0
        self.switches = self.scrape_bytes = self.series = 0
        self.scrapes = []
