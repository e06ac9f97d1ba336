"""Real Prometheus replicas, each behind a forwarder that gives it an address of its own, can hold it off and add jitter."""

import contextlib
import datetime
import json
import os
import random
import signal
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from cluster import free_ports
from processes import Process, wait_for

SCRAPE_SECONDS = 15
CANDIDATES = 24
START_SECONDS = 60
QUERY_SECONDS = 60


def is_ready(process, port):
    """Whether the server of a process answers; raises when it has ended."""
    process.check()
    with contextlib.suppress(OSError):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=2):
            return True
    return None


class Forwarder:
    """Passes connections on to a port of this machine, from an address of its own."""

    def __init__(self, address):
        self.address, self.target, self.jitter = address, None, 0.0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def aim(self, target, jitter=0.0):
        """To a port, or to none: then nobody gets through. Requests are held up by up to `jitter` seconds."""
        self.jitter = jitter
        if target == self.target:
            return
        self.target = target
        for one in list(self.open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                if self.target is None:
                    raise ConnectionRefusedError
                server = socket.create_connection(("127.0.0.1", self.target), source_address=(self.address, 0))
            except OSError:
                client.close()
                continue
            self.open |= {client, server}
            threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()

    def _pump(self, source, sink, requests):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if requests and self.jitter:
                    time.sleep(random.uniform(0, self.jitter))
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.open.discard(source)
        source.close()


class Prometheus:
    """One server with two scrape loops, `a` and `b`, half a period apart: to the exporter they are two replicas."""

    def __init__(self, program, directory):
        self.directory, self.port = directory, free_ports(1)[0]
        self.a, self.b = Forwarder("127.0.0.2"), Forwarder("127.0.0.3")
        self.config = os.path.join(directory, "prometheus.yml")
        self._configure({f"b{i}" for i in range(CANDIDATES)})
        command = [program, f"--config.file={self.config}", f"--storage.tsdb.path={directory}/prometheus"]
        command.append(f"--web.listen-address=127.0.0.1:{self.port}")
        self.process = Process("prometheus", command, os.path.join(directory, "prometheus.log"))
        wait_for("Prometheus", START_SECONDS, lambda: is_ready(self.process, self.port))
        self.apart = self._choose()

    def _configure(self, names):
        """When a target is scraped follows from a hash of its labels: of many candidates for `b`, one has the right phase."""
        targets = [("a", self.a.port)] + [(name, self.b.port) for name in sorted(names)]
        static = [{"targets": [f"127.0.0.1:{port}"], "labels": {"replica": name}} for name, port in targets]
        config = {
            "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": "10s"},
            "scrape_configs": [{"job_name": "kafkascope", "static_configs": static}],
        }
        with open(self.config, "w") as file:
            json.dump(config, file)

    def _choose(self):
        """Keeps the candidate whose phase is half a period from `a`'s; says how far it is, in seconds."""

        def phases():
            targets = self._ask("targets", {})["activeTargets"]
            times = {one["labels"]["replica"]: datetime.datetime.fromisoformat(one["lastScrape"]) for one in targets}
            if len(times) != CANDIDATES + 1 or min(times.values()).year < 2000:
                return None
            return {name: time.timestamp() % SCRAPE_SECONDS for name, time in times.items()}

        found = wait_for("first scrapes", START_SECONDS, phases)
        apart = {name: (phase - found["a"]) % SCRAPE_SECONDS for name, phase in found.items()}
        self.second = min(apart, key=lambda name: abs(apart[name] - SCRAPE_SECONDS / 2))
        self._configure({self.second})
        self.process.child.send_signal(signal.SIGHUP)
        return apart[self.second]

    def _ask(self, what, parameters):
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{what}?{query}", timeout=QUERY_SECONDS) as body:
                return json.load(body)["data"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"Prometheus: {error.read().decode()}") from error

    def samples(self, name, replica, begin, end):
        """Raw samples of a metric between two times: [(labels, [(time, value)])]."""
        selector = f'{name}{{replica="{replica}"}}[{int((end - begin) * 1000)}ms]'
        rows = self._ask("query", {"query": selector, "time": f"{end:.3f}"})["result"]
        return [(row["metric"], [(at, float(value)) for at, value in row["values"]]) for row in rows]

    def curve(self, expression, begin, end, step):
        """An expression's values at every `step` seconds: [(labels, [(time, value)])]."""
        parameters = {"query": expression, "start": f"{begin:.3f}", "end": f"{end:.3f}", "step": step}
        rows = self._ask("query_range", parameters)["result"]
        return [(row["metric"], [(at, float(value)) for at, value in row["values"]]) for row in rows]

    def stop(self):
        self.process.stop()
