"""What alerts/ and grafana/ cost a Prometheus: a simulated cluster of a fair size, exporters, and a real server that
evaluates all rules, then none; and how long each query of the dashboards takes it."""

import json
import os
import re
import signal
import time
import urllib.parse
import urllib.request

import scale_clusters as clusters
from cluster import free_ports
from exporter import Exporter
from processes import Process, note, wait_for
from prometheus import is_ready

PERIOD = 15
START_SECONDS, FIRST_PASS_SECONDS, QUERY_SECONDS = 60, 300, 60
SHAPE = clusters.Shape("Rules", 12, 800, 9600, 300, 40_000, 4)
MOVING, BEHIND = 20, 5
# What a dashboard is asked to show: the last five minutes at the scrape interval.
RANGE = 300
REPEATS = 3
# The query that others are compared with: one series.
TRIVIAL = "kafka_up"


def add_arguments(parser):
    group = parser.add_argument_group("rules")
    group.add_argument("--replicas", type=int, default=1, help="exporters of the same cluster (1)")
    group.add_argument("--rules-warm", type=int, default=390, help="seconds until the rules have settled (390)")
    group.add_argument("--rules-window", type=int, default=120, help="seconds of each measured window (120)")


class Server:
    """A Prometheus with the shipped rules, or without."""

    def __init__(self, program, directory, targets, rules):
        self.port, self.targets, self.rules = free_ports(1)[0], targets, rules
        self.config = os.path.join(directory, "prometheus.yml")
        self._configure(rules)
        command = [program, f"--config.file={self.config}", f"--storage.tsdb.path={directory}/prometheus"]
        command.append(f"--web.listen-address=127.0.0.1:{self.port}")
        self.process = Process("prometheus", command, os.path.join(directory, "prometheus.log"))
        wait_for("Prometheus", START_SECONDS, lambda: is_ready(self.process, self.port))

    def _configure(self, rules):
        config = {
            "global": {"scrape_interval": f"{PERIOD}s", "evaluation_interval": f"{PERIOD}s"},
            "rule_files": rules,
            "scrape_configs": [{"job_name": "kafkascope", "static_configs": [{"targets": self.targets}]}],
        }
        with open(self.config, "w") as file:
            json.dump(config, file)

    def drop_rules(self):
        self._configure([])
        self.process.child.send_signal(signal.SIGHUP)
        wait_for("the reload", START_SECONDS, lambda: None if self.groups() else True)

    def ask(self, what, **parameters):
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/{what}?{query}", timeout=QUERY_SECONDS) as body:
            return json.load(body)["data"]

    def groups(self):
        return self.ask("rules")["groups"]

    def value(self, query):
        result = self.ask("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else 0.0

    def stop(self):
        self.process.stop()


def measure(options, directory):
    """A dictionary of figures."""
    simulated = clusters.Simulated(options.binary, directory, SHAPE, MOVING, BEHIND)
    exporters, server = [], None
    try:
        for _ in range(options.replicas):
            exporters.append(Exporter(options.binary, simulated.bootstrap, "{mode: adaptive}", directory, ready=FIRST_PASS_SECONDS))
        targets = [f"127.0.0.1:{exporter.port}" for exporter in exporters]
        server = Server(options.prometheus, directory, targets, _rule_files())
        note(f"warming up for {options.rules_warm} s")
        time.sleep(options.rules_warm)
        found = {"replicas": options.replicas, "scraped": server.value("sum(scrape_samples_scraped)")}
        found["recorded"] = server.value('count({__name__=~"kafkascope:.+"})')
        found["alerts"] = server.value("count(ALERTS) or vector(0)")
        note("with rules")
        found["with"], found["rules"], found["groups"] = _window(server, options.rules_window)
        found["rss_mb"] = server.process.rss_mb()
        note("dashboards")
        found["trivial"], found["queries"] = _dashboards(server)
        server.drop_rules()
        note("without rules")
        time.sleep(PERIOD)
        found["without"], _, _ = _window(server, options.rules_window)
        return found
    finally:
        for one in [server, *exporters, simulated]:
            if one is not None:
                one.stop()


def _rule_files():
    rules = [os.path.join("alerts/rules", name) for name in sorted(os.listdir("alerts/rules"))]
    return [os.path.abspath(path) for path in [*rules, "alerts/optional/service-levels.yml"]]


def _window(server, seconds):
    """Share of a core, and mean seconds that an evaluation of each rule and of each group took."""
    start, cpu = time.monotonic(), server.process.cpu_seconds()
    rules, groups, looks = {}, {}, 0
    while time.monotonic() < start + seconds:
        time.sleep(PERIOD)
        looks += 1
        for group in server.groups():
            groups[group["name"]] = groups.get(group["name"], 0) + group["evaluationTime"]
            for at, rule in enumerate(group["rules"]):
                key = (group["name"], f"{rule['name']} {rule.get('labels', {}).get('severity', '')}".strip(), at)
                rules[key] = rules.get(key, 0) + rule["evaluationTime"]
    share = (server.process.cpu_seconds() - cpu) / (time.monotonic() - start)
    return share, {key: spent / looks for key, spent in rules.items()}, {key: spent / looks for key, spent in groups.items()}


def _dashboards(server):
    """Seconds that the trivial query takes, and each query of each panel, at the best of some tries."""
    trivial = min(_timed(server, {"query": TRIVIAL}) for _ in range(10 * REPEATS))
    found = []
    for name in sorted(os.listdir("grafana/dashboards")):
        with open(os.path.join("grafana/dashboards", name)) as file:
            dashboard = json.load(file)
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                parameters = {"query": _filled_in(target["expr"])}
                if not target.get("instant"):
                    end = int(time.time())
                    parameters.update(start=end - RANGE, end=end, step=PERIOD)
                took = min(_timed(server, parameters) for _ in range(REPEATS))
                found.append({"dashboard": dashboard["title"], "panel": panel["title"], "ref": target["refId"], "seconds": took})
    return trivial, found


def _filled_in(expression):
    """With "All" chosen everywhere."""
    text = expression.replace("$__rate_interval", f"{4 * PERIOD}s").replace("$__range", f"{RANGE}s")
    return re.sub(r"\$(job|cluster_name|group|topic|instance)\b", ".*", text)


def _timed(server, parameters):
    began = time.monotonic()
    server.ask("query_range" if "start" in parameters else "query", **parameters)
    return time.monotonic() - began
