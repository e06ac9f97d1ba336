"""Windows of whole passes: what so many passes at a fixed interval cost."""

import time

from exporter import by_label, total
from processes import wait_for

NEXT_PASS_SECONDS = 30
NEXT_STATISTICS_SECONDS = 60


class Cost:
    """What a window cost; seconds and bytes."""

    def __init__(self, passes):
        self.passes = passes
        self.cpu = self.broker_cpu = self.seconds = self.pass_seconds = 0.0
        self.switches = self.scrape_bytes = self.series = 0
        self.scrapes = []


def between_passes(exporter, interval):
    """Waits until the middle between two passes."""
    before = exporter.passes()
    wait_for("the next pass", 2 * interval + NEXT_PASS_SECONDS, lambda: True if exporter.passes() > before else None)
    time.sleep(interval / 2)


def window(exporter, interval, passes, load, scrape=None):
    """What `passes` passes cost; `scrape` is done once in each. `load` tells the brokers' CPU seconds."""
    between_passes(exporter, interval)
    start, cost, process, scraped = exporter.own(), Cost(passes), exporter.process, []
    cpu, broker, switches = process.cpu_seconds(), load(), process.switches()
    begun = time.monotonic()
    for done in range(1, passes + 1):
        if scrape:
            scraped.append(exporter.scrape(encoding=scrape))
        time.sleep(max(0, begun + done * interval - time.monotonic()))
    cost.cpu = process.cpu_seconds() - cpu
    cost.broker_cpu = load() - broker
    cost.seconds = time.monotonic() - begun
    cost.switches = process.switches() - switches
    end = exporter.own()
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


def requests_per_pass(exporter, ticks):
    """Requests by API, between statistics of librdkafka, which come every ten seconds."""
    first = _next_statistics(exporter)
    for _ in range(ticks):
        last = _next_statistics(exporter)
    passes = last[0] - first[0]
    return passes, {api: (count - first[1].get(api, 0)) / passes for api, count in last[1].items()}


def _next_statistics(exporter):
    def counts():
        families = exporter.own()
        passes = total(families, "kafkascope_pass_duration_seconds_count")
        return int(passes), by_label(families, "kafkascope_broker_requests_total", "api")

    before = counts()[1]

    def changed():
        now = counts()
        return now if now[1] != before else None

    return wait_for("statistics", NEXT_STATISTICS_SECONDS, changed)
