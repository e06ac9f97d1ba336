"""What scale costs: first pass, full passes, steady state and scrapes of one exporter process, at several sizes."""

import dataclasses
import json
import resource
import time

import scale_clusters as clusters
from exporter import Exporter, by_label, total
from pass_windows import requests_per_pass
from processes import note, wait_for

FIRST_PASS_SECONDS = 300
# So many intervals between statistics are looked at for the requests of a pass.
STATISTICS = 2
READ_BYTES = 1 << 20
# A line of the family that has one for each committed partition.
ROW = b"\nkafka_consumergroup_lag{"
# Otherwise intervals stretch: fewer and larger passes, whose number hangs on their cost.
NO_BUDGET = "budget: {cpu: 100%, requests_per_second_per_broker: 100000}\n"
SERIES_OF_A_ROW = "kafka_consumergroup_lag"


@dataclasses.dataclass(frozen=True)
class Case:
    """One cluster and what is measured on it."""

    name: str
    shape: clusters.Shape
    moving: int
    behind: int
    behind_by: str = "topics"
    real: bool = False
    # Full passes every so many seconds.
    interval: int = 5
    # Whether scrapes by many are measured, too, and identity by many.
    load: bool = True
    heavy: bool = False


CASES = [
    Case("lab", clusters.LAB, 10, 0),
    Case("lab-still", clusters.LAB, 0, 0, load=False),
    Case("large", clusters.LARGE, 10, 0),
    Case("large-still", clusters.LARGE, 0, 0, load=False),
    Case("large-behind", clusters.LARGE, 0, 20, load=False),
    Case("large-behind-groups", clusters.LARGE, 0, 20, "groups", load=False),
    Case("large-real", clusters.LARGE, 0, 20, real=True, load=False),
    Case("huge", clusters.HUGE, 10, 0, interval=20, heavy=True),
    Case("huge-still", clusters.HUGE, 0, 0, interval=20, load=False, heavy=True),
]


def add_arguments(parser):
    names = ", ".join(case.name for case in CASES)
    group = parser.add_argument_group("scale")
    group.add_argument("--cases", metavar="NAME,…", help=f"only these: {names}")
    group.add_argument("--simulated", action="store_true", help="leave out what needs a real Kafka")
    group.add_argument("--simulator", metavar="FILE", help="the build that simulates, if not the one that is measured")
    group.add_argument("--full-passes", type=int, default=6, help="full passes in the window of mode fixed (6)")
    group.add_argument("--period", type=int, default=5, help="seconds between the scrapes that mode adaptive follows (5)")
    group.add_argument("--warm", type=int, default=90, help="seconds until mode adaptive has settled (90)")
    group.add_argument("--steady", type=int, default=60, help="seconds of the window of mode adaptive (60)")
    group.add_argument("--load", type=int, default=6, help="seconds of scrapes by many, each kind (6)")
    group.add_argument("--json", metavar="FILE", help="write what was measured there, a line of JSON a case")
    group.add_argument("--plot", metavar="FILE", help="draw cost against rows there, as SVG")


def chosen(options):
    names = options.cases.split(",") if options.cases else None
    unknown = set(names or []) - {case.name for case in CASES}
    if unknown:
        raise SystemExit(f"no such cases: {', '.join(sorted(unknown))}")
    return [case for case in CASES if (names is None or case.name in names) and not (case.real and options.simulated)]


def measure(options, directory):
    """One dictionary a case."""
    # A hundred brokers take a few hundred file descriptors.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    scrapers = clusters.build_scrapers(directory)
    empty = _empty(options, directory)
    found = []
    for case in chosen(options):
        note(f"{case.name}: starting {case.shape.title}, {case.shape.rows:,} group-partitions")
        cluster = _cluster(options, directory, case)
        try:
            result = {"case": case.name, "rows": case.shape.rows, "moving": case.moving, "behind": case.behind, "real": case.real}
            result.update(_first_and_scrapes(options, directory, case, cluster, scrapers, empty))
            result.update(_full_passes(options, directory, case, cluster, scrapers))
            result.update(_steady(options, directory, case, cluster, scrapers))
            result["cluster_peak_rss_mb"] = cluster.peak_rss_mb()
        finally:
            cluster.stop()
        found.append(result)
        note(json.dumps(result))
        if options.json:
            with open(options.json, "a" if len(found) > 1 else "w") as file:
                file.write(json.dumps(result) + "\n")
    return {"empty": empty, "cases": found}


def _cluster(options, directory, case):
    if case.real:
        return clusters.Real(options.jars, directory, case.shape)
    binary = options.simulator or options.binary
    return clusters.Simulated(binary, directory, case.shape, case.moving, case.behind, case.behind_by)


def _empty(options, directory):
    """What a process costs until its first pass over a cluster with next to nothing in it."""
    cluster = clusters.Simulated(options.simulator or options.binary, directory, clusters.TINY, 0, 0)
    try:
        exporter = Exporter(options.binary, cluster.bootstrap, "{mode: fixed, interval: 1h}", directory)
        try:
            exporter.scrape(encoding="gzip")
            return {"cpu": exporter.process.cpu_seconds(), "rss_mb": exporter.process.peak_rss_mb()}
        finally:
            exporter.stop()
    finally:
        cluster.stop()


class Passes:
    """The counters of passes and requests at a moment, with the CPU clocks of exporter and cluster."""

    def __init__(self, exporter, cluster):
        own = exporter.own()
        self.count = total(own, "kafkascope_pass_duration_seconds_count")
        self.wall = total(own, "kafkascope_pass_duration_seconds_sum")
        self.requests = by_label(own, "kafkascope_broker_requests_total", "api")
        self.stretch = total(own, "kafkascope_interval_stretch_ratio")
        self.cpu, self.cluster_cpu, self.at = exporter.process.cpu_seconds(), cluster.cpu_seconds(), time.monotonic()


def _first_and_scrapes(options, directory, case, cluster, scrapers, empty):
    """The first pass until the first whole scrape; then, without any further pass, scrapes."""
    began = time.monotonic()
    exporter = Exporter(options.binary, cluster.bootstrap, "{mode: fixed, interval: 1h}", directory, ready=FIRST_PASS_SECONDS)
    try:
        wait_for("all rows", FIRST_PASS_SECONDS, lambda: True if _rows(exporter) == case.shape.rows else None)
        ready = time.monotonic() - began
        _drain(exporter, "gzip")
        cpu = exporter.process.cpu_seconds()
        result = {
            "first_cpu": cpu - empty["cpu"],
            "first_ready_seconds": ready,
            "first_wall": total(exporter.own(), "kafkascope_pass_duration_seconds_sum"),
            "first_peak_rss_mb": exporter.process.peak_rss_mb(),
            "scrapes": _scrapes(options, case, exporter, scrapers) if case.load else [],
        }
        result["identity_bytes"], rows, result["series"] = _drain(exporter, "identity")
        if rows != case.shape.rows:
            raise RuntimeError(f"{case.name}: {rows} series of {SERIES_OF_A_ROW}, and the cluster has {case.shape.rows} rows")
        return result
    finally:
        exporter.stop()


def _rows(exporter):
    """How many group-partitions are served: they come a moment after the pass is counted."""
    return by_label(exporter.own(), "kafkascope_snapshot_rows", "kind").get("group_partitions")


def _drain(exporter, encoding):
    """One scrape, whose body is not kept: bytes, rows in it, and lines that are no comments."""
    response = exporter.open_scrape(encoding)
    size, rows, lines, rest = 0, 0, 0, b"\n"
    while part := response.read(READ_BYTES):
        size += len(part)
        text = rest + part
        whole = text.rfind(b"\n")
        rows += text.count(ROW, 0, whole)
        lines += text.count(b"\n", 0, whole) - text.count(b"\n#", 0, whole)
        rest = text[whole:]
    return size, rows, lines


def _scrapes(options, case, exporter, scrapers):
    """By one and by fifty at once, and by fifty who come once a second each; nothing is polled meanwhile."""
    kinds = [("gzip", 1, 0), ("gzip", 50, 0), ("gzip", 50, 1000), ("zstd", 1, 0), ("zstd", 50, 0), ("identity", 1, 0)]
    if not case.heavy:
        kinds += [("identity", 50, 0), ("identity", 50, 1000)]
    rows = []
    for encoding, clients, period_ms in kinds:
        before = exporter.process.cpu_seconds()
        load = clusters.start_scrapers(scrapers, exporter.port, encoding, clients, options.load, period_ms)
        row = json.loads(load.communicate()[0])
        row["cpu"] = (exporter.process.cpu_seconds() - before) / max(1, row["scrapes"])
        row.update(asked=encoding, clients=clients, period_ms=period_ms, peak_rss_mb=exporter.process.peak_rss_mb())
        rows.append(row)
    return rows


def _full_passes(options, directory, case, cluster, scrapers):
    """Mode fixed: everything is asked for in every pass. One gzip scrape a pass, then ten scrapers for the memory."""
    polling = f"{{mode: fixed, interval: {case.interval}s}}"
    exporter = Exporter(options.binary, cluster.bootstrap, polling, directory, ready=FIRST_PASS_SECONDS)
    try:
        _after_passes(exporter, 1, case.interval)
        start = Passes(exporter, cluster)
        seconds = case.interval * options.full_passes
        load = clusters.start_scrapers(scrapers, exporter.port, "gzip", 1, seconds, case.interval * 1000)
        time.sleep(max(0, start.at + seconds - time.monotonic()))
        end = Passes(exporter, cluster)
        load.communicate()
        result = {f"full_{key}": value for key, value in _costs(start, end).items()}
        result["full_interval"] = case.interval
        result["full_rss_mb"], result["full_peak_rss_mb"] = exporter.process.rss_mb(), exporter.process.peak_rss_mb()
        # Half of them take identity, so that both kinds of bodies are on their way at the same time.
        seconds = 3 * case.interval
        loads = [
            clusters.start_scrapers(scrapers, exporter.port, encoding, 1 if case.heavy and encoding == "identity" else 5, seconds, case.interval * 1000)
            for encoding in ("gzip", "identity")
        ]
        # Statistics come every ten seconds: only between two of them passes and requests belong together.
        _, by_api = requests_per_pass(exporter, STATISTICS)
        result["full_requests"], result["full_requests_by_api"] = sum(by_api.values()), {api: n for api, n in by_api.items() if n > 0}
        for load in loads:
            load.communicate()
        result["scraped_peak_rss_mb"] = exporter.process.peak_rss_mb()
        return result
    finally:
        exporter.stop()


def _steady(options, directory, case, cluster, scrapers):
    """Mode adaptive with intervals as far apart as by default, all of them in proportion to the scrapes, and no budget."""
    period = options.period * (3 if case.heavy else 1)
    polling = f"{{mode: adaptive, min_interval: {max(1, period // 3)}s, max_interval: {4 * period}s}}"
    warm, steady = (options.warm, options.steady) if not case.heavy else (2 * options.warm, 2 * options.steady)
    exporter = Exporter(options.binary, cluster.bootstrap, polling, directory, NO_BUDGET, FIRST_PASS_SECONDS)
    try:
        load = clusters.start_scrapers(scrapers, exporter.port, "gzip", 1, warm + steady + period, period * 1000)
        time.sleep(warm)
        start = Passes(exporter, cluster)
        time.sleep(max(0, start.at + steady - time.monotonic()))
        end = Passes(exporter, cluster)
        load.kill()
        load.wait()
        result = {f"steady_{key}": value for key, value in _costs(start, end).items()}
        result.update(
            steady_period=period,
            steady_period_cpu=(end.cpu - start.cpu) / (end.at - start.at) * period,
            steady_stretch=end.stretch,
            steady_rss_mb=exporter.process.rss_mb(),
            steady_peak_rss_mb=exporter.process.peak_rss_mb(),
        )
        return result
    finally:
        exporter.stop()


def _after_passes(exporter, passes, interval):
    before = exporter.passes()
    wait_for("the next pass", FIRST_PASS_SECONDS, lambda: True if exporter.passes() >= before + passes else None)
    time.sleep(interval / 2)


def _costs(start, end):
    passes = end.count - start.count
    if passes <= 0:
        raise RuntimeError("no pass in the window: is the machine too busy?")
    requests = {api: count - start.requests.get(api, 0) for api, count in end.requests.items()}
    return {
        "passes": passes,
        "cpu": (end.cpu - start.cpu) / passes,
        "wall": (end.wall - start.wall) / passes,
        "cluster_cpu": (end.cluster_cpu - start.cluster_cpu) / passes,
        "requests": sum(requests.values()) / passes,
        "requests_by_api": {api: count / passes for api, count in requests.items() if count > 0},
    }
