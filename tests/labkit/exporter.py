"""kafkascope under measurement: a process with a config file of its own, and what it says."""

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
# The lab's own questions come from another address than any Prometheus: they must not look like one more of its scrapes.
ASKS_FROM = "127.0.0.9"


class Exporter:
    """One running kafkascope. `polling` is that section of its config file, and `more` further ones, as YAML."""

    def __init__(self, binary, bootstrap, polling, directory, more="", ready=READY_SECONDS):
        self.port = free_ports(1)[0]
        config = os.path.join(directory, f"kafkascope-{self.port}.yml")
        with open(config, "w") as file:
            file.write(f"web: {{listen: '127.0.0.1:{self.port}'}}\npolling: {polling}\n")
            file.write(f"clusters: [{{bootstrap_servers: [{bootstrap.replace(',', ', ')}]}}]\n{more}")
        self.process = Process("kafkascope", [binary, "serve", "--config", config], os.path.join(directory, "kafkascope.log"))
        try:
            wait_for("the first pass", ready, self._is_ready)
        except BaseException:
            self.stop()
            raise

    def _is_ready(self):
        self.process.check()
        with contextlib.suppress(OSError):
            return True if self.passes() > 0 else None
        return None

    def scrape(self, query="", encoding="identity", source=ASKS_FROM):
        """Seconds that it took, bytes on the wire, text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10, source_address=(source, 0))
        started = time.monotonic()
        connection.request("GET", f"/metrics{query}", headers={"Accept-Encoding": encoding})
        body = connection.getresponse().read()
        took = time.monotonic() - started
        connection.close()
        text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        return took, len(body), text.decode()

    def open_scrape(self, encoding):
        """The response of a scrape, to be read by whoever asked for it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60, source_address=(ASKS_FROM, 0))
        connection.request("GET", "/metrics", headers={"Accept-Encoding": encoding})
        return connection.getresponse()

    def families(self, query=""):
        """What it shows, as name → [(labels, value)]."""
        families = {}
        for name, labels, value in SAMPLE.findall(self.scrape(query)[2]):
            families.setdefault(name, []).append((dict(LABEL.findall(labels)), float(value)))
        return families

    def own(self):
        """What it says of itself, as name → [(labels, value)]."""
        return self.families(OWN)

    def passes(self):
        return int(total(self.own(), "kafkascope_pass_duration_seconds_count"))

    def stop(self):
        self.process.stop()


def total(families, name):
    return sum(value for _, value in families.get(name, []))


def by_label(families, name, label):
    """The sum for each value of a label."""
    sums = {}
    for labels, value in families.get(name, []):
        key = labels.get(label, "")
        sums[key] = sums.get(key, 0) + value
    return sums
