"""Runs the lab and prints its report; started by tests/lab."""

import argparse
import datetime
import os
import platform
import signal
import statistics
import sys
import tempfile
import time

from cluster import BROKERS, GROUPS, PARTITIONS, TOPICS, TOPICS_PER_GROUP, Cluster
from exporter import Exporter
from processes import note

SETTLE_SECONDS = 30
BASELINE_SECONDS = 60
IDLE_SECONDS = 60
SLOW_INTERVAL = 15
FAST_INTERVAL = 5
IDLE_INTERVAL = 600
CPU_MARK, RSS_MARK = 0.1, 40.0


def arguments():
    parser = argparse.ArgumentParser(prog="tests/lab", description="what a pass costs, against three real brokers")
    parser.add_argument("--jars", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--kafka", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--passes", type=int, default=12, help="passes in each measured window")
    parser.add_argument("--binary", default="target/release/kafkascope", help="the build to measure")
    parser.add_argument("--hold", action="store_true", help="only start and fill the cluster, and keep it")
    return parser.parse_args()


def measure(options, cluster, directory):
    """All windows, by name."""
    found = {}
    load = cluster.broker_cpu_seconds

    def exporter(interval):
        return Exporter(os.path.abspath(options.binary), cluster.bootstrap, interval, directory)

    note("brokers settle")
    time.sleep(SETTLE_SECONDS)
    fast = exporter(FAST_INTERVAL)
    try:
        note("requests by API")
        found["requests"] = fast.requests_per_pass(ticks=4)
        for name, scrape in [("fast", None), ("identity", "identity"), ("gzip", "gzip")]:
            note(f"{options.passes} passes, every {FAST_INTERVAL} s, scrapes: {scrape or 'none'}")
            found[name] = fast.window(options.passes, load, scrape)
            if name == "fast":
                found["rss_unscraped"] = fast.process.peak_rss_mb()
        found["rss"] = fast.process.peak_rss_mb()
    finally:
        fast.stop()
    slow = exporter(SLOW_INTERVAL)
    try:
        passes = max(1, options.passes // 2)
        note(f"{passes} passes, every {SLOW_INTERVAL} s")
        found["slow"] = slow.window(passes, load, "gzip")
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


def report(options, found):
    """The report's lines."""
    fast, slow = found["fast"], found["slow"]
    passes, requests = found["requests"]
    yield f"- {machine()}"
    yield f"- Apache Kafka {options.kafka}: {BROKERS} brokers and a controller, Kafka's own settings; {TOPICS} topics ×"
    yield f"  {PARTITIONS} partitions × {BROKERS} replicas, {GROUPS} groups with {TOPICS_PER_GROUP * PARTITIONS} committed partitions each"
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


def milliseconds(seconds):
    return f"{seconds * 1000:.1f} ms"


def verdict(holds):
    return "met" if holds else "NOT met"


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = next((line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")), "unknown CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GB, Linux {platform.release()}; exporter and brokers share them"


def main():
    options = arguments()
    # So that what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="kafkascope-lab-") as directory:
        cluster = Cluster(options.jars, directory)
        try:
            cluster.start()
            cluster.fill()
            cluster.release_driver()
            if options.hold:
                print(cluster.bootstrap, flush=True)
                input()
                return
            found = measure(options, cluster, directory)
        finally:
            cluster.stop()
    print("\n".join(report(options, found)))


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, EOFError):
        sys.exit(130)
