"""What a pass costs: windows of whole passes at a fixed interval, with and without scrapes."""

import datetime
import os
import statistics
import time

from cluster import BROKERS, PARTITIONS
from exporter import Exporter
from figures import machine, milliseconds, verdict
from pass_windows import requests_per_pass, window
from processes import note

SETTLE_SECONDS = 30
BASELINE_SECONDS = 60
IDLE_SECONDS = 60
SLOW_INTERVAL = 15
FAST_INTERVAL = 5
IDLE_INTERVAL = 600
CPU_MARK, RSS_MARK = 0.1, 40.0


def measure(options, cluster, directory):
    """All windows, by name."""
    found = {}
    load = cluster.broker_cpu_seconds

    def exporter(interval):
        polling = f"{{mode: fixed, interval: {interval}s}}"
        return Exporter(os.path.abspath(options.binary), cluster.bootstrap, polling, directory)

    note("brokers settle")
    time.sleep(SETTLE_SECONDS)
    fast = exporter(FAST_INTERVAL)
    try:
        note("requests by API")
        found["requests"] = requests_per_pass(fast, ticks=4)
        for name, scrape in [("fast", None), ("identity", "identity"), ("gzip", "gzip")]:
            note(f"{options.passes} passes, every {FAST_INTERVAL} s, scrapes: {scrape or 'none'}")
            found[name] = window(fast, FAST_INTERVAL, options.passes, load, scrape)
            if name == "fast":
                found["rss_unscraped"] = fast.process.peak_rss_mb()
        found["rss"] = fast.process.peak_rss_mb()
    finally:
        fast.stop()
    slow = exporter(SLOW_INTERVAL)
    try:
        passes = max(1, options.passes // 2)
        note(f"{passes} passes, every {SLOW_INTERVAL} s")
        found["slow"] = window(slow, SLOW_INTERVAL, passes, load, "gzip")
        found["rss_slow"] = slow.process.peak_rss_mb()
    finally:
        slow.stop()
    resting = exporter(IDLE_INTERVAL)
    try:
        time.sleep(SETTLE_SECONDS / 3)
        note("between passes")
        cpu, switches = resting.process.cpu_seconds(), resting.process.switches()
        time.sleep(IDLE_SECONDS)
        found["idle_cpu"] = resting.process.cpu_seconds() - cpu
        found["idle_switches"] = resting.process.switches() - switches
    finally:
        resting.stop()
    note("brokers alone")
    broker = load()
    time.sleep(BASELINE_SECONDS)
    found["baseline"] = (load() - broker) / BASELINE_SECONDS
    return found


def report(options, size, found):
    """The report's lines."""
    fast, slow = found["fast"], found["slow"]
    passes, requests = found["requests"]
    yield f"- {machine()}"
    yield f"- Apache Kafka {options.kafka}: {BROKERS} brokers and a controller, Kafka's own settings; {size.topics} topics ×"
    yield f"  {PARTITIONS} partitions × {BROKERS} replicas, {size.groups} groups with {size.topics_per_group * PARTITIONS} committed partitions each"
    yield f"- kafkascope at its defaults but for the interval; {datetime.date.today()}"
    yield ""
    yield "| | each pass takes | exporter CPU a pass | broker CPU a pass, all three | a scrape takes |"
    yield "|---|---|---|---|---|"
    for name, cost in [
        (f"every {FAST_INTERVAL} s, no scrapes", fast),
        (f"every {FAST_INTERVAL} s, one scrape a pass", found["identity"]),
        (f"every {FAST_INTERVAL} s, one scrape a pass, gzip", found["gzip"]),
        (f"every {SLOW_INTERVAL} s, one scrape a pass, gzip", slow),
    ]:
        broker = max(0.0, cost.broker_cpu - found["baseline"] * cost.seconds) / cost.passes
        scrape = f"{milliseconds(statistics.median(cost.scrapes))}" if cost.scrapes else "–"
        yield f"| {name} | {milliseconds(cost.pass_seconds)} | {milliseconds(cost.cpu / cost.passes)} | {milliseconds(broker)} | {scrape} |"
    yield ""
    yield f"- First mark, under {CPU_MARK} s of CPU a pass: {verdict(fast.cpu / fast.passes < CPU_MARK)}; under {RSS_MARK:.0f} MB: {verdict(found['rss'] < RSS_MARK)}"
    yield f"- Peak memory (VmHWM): {found['rss_unscraped']:.1f} MB before the first full scrape, {found['rss']:.1f} MB in the end; {found['rss_slow']:.1f} MB every {SLOW_INTERVAL} s"
    yield f"- A scrape: {found['identity'].series:,} series, {found['identity'].scrape_bytes:,} bytes, {found['gzip'].scrape_bytes:,} with gzip"
    yield f"- At {SLOW_INTERVAL} s with a scrape a pass: {slow.cpu / slow.seconds:.2%} of a core"
    yield f"- Between passes: {milliseconds(found['idle_cpu'] * 60 / IDLE_SECONDS)} of CPU and {found['idle_switches'] * 60 / IDLE_SECONDS:,.0f} switches of threads a minute"
    yield f"- Brokers alone, all three: {found['baseline']:.2%} of a core, taken off above"
    yield ""
    yield f"Requests a pass, over {passes} passes: {sum(requests.values()):.1f} (DescribeTopics counts as Metadata: librdkafka asks so)"
    yield ""
    yield "| API | requests a pass |"
    yield "|---|---|"
    for api, count in sorted(requests.items(), key=lambda row: -row[1]):
        if count > 0:
            yield f"| {api} | {count:.2f} |"
