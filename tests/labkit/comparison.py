"""The windows of the comparison: a fixed interval and the adaptive engine, each between windows without exporter."""

import os
import statistics
import time

import checks
from exporter import Exporter, by_label
from prometheus import Prometheus
from processes import note
from traffic import Changes, Plan, Traffic
from truth import Truth
from watcher import Watcher

MODES = ("fixed", "adaptive")
SLICES = 6
JITTER_SECONDS = 0.5
# After the second replica has come, until both have a minute's worth of samples.
PAIR_LEAD_SECONDS = 75
LOG_SECONDS = 2
# The part of a window with two replicas in which quiet things are changed; in the rest of it what was changed must show.
CHANGING = 0.4


def add_arguments(parser):
    seconds = dict(type=int, metavar="SECONDS")
    group = parser.add_argument_group("adaptive")
    group.add_argument("--fixed", default="{mode: fixed, interval: 15s}", metavar="YAML", help="polling of the fixed run")
    group.add_argument("--adaptive", default="{mode: adaptive}", metavar="YAML", help="polling of the adaptive run")
    group.add_argument("--settle", default=60, help="before everything, with traffic", **seconds)
    group.add_argument("--baseline", default=45, help="each of the three windows without exporter", **seconds)
    group.add_argument("--warm-fixed", default=30, help="before the fixed run is measured", **seconds)
    group.add_argument("--warm-adaptive", default=240, help="before the adaptive run is: intervals grow", **seconds)
    group.add_argument("--window", default=90, help="what is measured with one Prometheus", **seconds)
    group.add_argument("--pair", default=105, help="what is measured with two", **seconds)
    group.add_argument("--max-age", default=120, help="a value that was last true longer ago is wrong", **seconds)
    group.add_argument("--quick", action="store_true", help="small and short: shows that it works, not what it costs")


def shorten(options):
    if options.quick:
        options.settle, options.baseline, options.window, options.pair = 5, 12, 60, 20
        options.warm_fixed = options.warm_adaptive = 20


class Slices:
    """CPU of the brokers, as shares of a core, in equal parts of a window."""

    def __init__(self, seconds, load):
        self.shares, self.begin = [], time.time()
        before, cpu = time.monotonic(), load()
        first = before
        for done in range(1, SLICES + 1):
            time.sleep(max(0, first + done * seconds / SLICES - time.monotonic()))
            now, used = time.monotonic(), load()
            self.shares.append((used - cpu) / (now - before))
            before, cpu = now, used
        self.end = time.time()

    def mean(self):
        return statistics.mean(self.shares)

    def error(self):
        """Standard error of the mean."""
        return statistics.stdev(self.shares) / len(self.shares) ** 0.5


class Run:
    """What was found of one mode."""


def measure(options, cluster, directory):
    """All windows, by name."""
    plan = Plan(cluster.size)
    _, seen, _ = cluster.truth()
    prometheus = Prometheus(options.prometheus, directory)
    note(f"two scrape loops, {prometheus.apart:.1f} s apart")
    traffic = Traffic(cluster, plan)
    try:
        truth = Truth(seen, traffic.log)
        lab = Lab(cluster, prometheus, traffic, truth, plan, directory)
        found = {"apart": prometheus.apart, "plan": plan}
        note("brokers settle")
        time.sleep(options.settle)
        before = alone(options, cluster)
        for mode in MODES:
            found[mode] = run(options, mode, lab)
            after = alone(options, cluster)
            # Brokers need less from minute to minute while they warm up: a run is compared with what is around it.
            found[mode].alone, before = (before, after), after
        return found
    finally:
        traffic.stop()
        prometheus.stop()


def alone(options, cluster):
    note(f"{options.baseline} s without exporter")
    return Slices(options.baseline, cluster.broker_cpu_seconds)


class Lab:
    """What every run works with."""

    def __init__(self, cluster, prometheus, traffic, truth, plan, directory):
        self.cluster, self.prometheus, self.traffic = cluster, prometheus, traffic
        self.truth, self.plan, self.directory = truth, plan, directory

    def catch_up(self):
        """The traffic's log reaches the file within a second."""
        time.sleep(LOG_SECONDS)
        self.truth.catch_up()


def run(options, mode, lab):
    note(f"{mode}: {getattr(options, mode)}")
    exporter = Exporter(os.path.abspath(options.binary), lab.cluster.bootstrap, getattr(options, mode), lab.directory)
    one = Run()
    try:
        lab.prometheus.a.aim(exporter.port)
        started = time.time()
        time.sleep(options.warm_fixed if mode == "fixed" else options.warm_adaptive)
        note(f"{mode}: {options.window} s with one Prometheus")
        single(options, lab, exporter, one, started)
        note(f"{mode}: {options.pair} s with two, and single changes to quiet things")
        pair(options, lab, exporter, one)
        one.rss = exporter.process.peak_rss_mb()
        lab.truth.agree(*agreed(lab))
        checks.check_described(one.pair, exporter.families(), lab.truth)
    finally:
        lab.prometheus.a.aim(None)
        lab.prometheus.b.aim(None)
        exporter.stop()
    return one


def agreed(lab):
    """The admin client's view, and the log up to after it."""
    seen = lab.cluster.truth()
    lab.catch_up()
    return seen


def single(options, lab, exporter, one, started):
    """One Prometheus: what it costs, how old what it gets is, the rates that it computes."""
    own, cpu = exporter.own(), exporter.process.cpu_seconds()
    one.brokers = Slices(options.window, lab.cluster.broker_cpu_seconds)
    one.cpu = (exporter.process.cpu_seconds() - cpu) / options.window
    one.own = Difference(own, exporter.own())
    lab.catch_up()
    begin, end = one.brokers.begin, one.brokers.end
    one.rss_single = exporter.process.peak_rss_mb()
    one.single = checks.check(checks.Window(lab.prometheus, "a", begin, end), lab.truth, lab.plan, options.max_age)
    rated = max(begin, started + PAIR_LEAD_SECONDS)
    one.single_rates = rates(lab, ["a"], rated, end)


def pair(options, lab, exporter, one):
    """Two replicas with jitter; meanwhile quiet things change, one here, one there."""
    changes = Changes(lab.traffic, lab.plan, lab.truth, options.pair * CHANGING, seed=options.pair)
    watcher = Watcher(exporter, changes.orders, lab.truth)
    begin = time.time()
    lab.prometheus.a.aim(exporter.port, JITTER_SECONDS)
    lab.prometheus.b.aim(exporter.port, JITTER_SECONDS)
    changes.start()
    watcher.start()
    time.sleep(options.pair)
    end = time.time()
    changes.join()
    watcher.stop()
    lab.catch_up()
    one.quiet = watcher.delays(lab.truth)
    replicas = ["a", lab.prometheus.second]
    windows = [checks.Window(lab.prometheus, replica, begin, end) for replica in replicas]
    one.pair, other = (checks.check(window, lab.truth, lab.plan, options.max_age) for window in windows)
    one.pair.add(other)
    one.pair_rates = rates(lab, replicas, begin + PAIR_LEAD_SECONDS, end)


def rates(lab, replicas, begin, end):
    """Errors of the rates of steady topics, and of the bursty one."""
    return tuple(
        checks.rate_errors(lab.prometheus, lab.truth, topics, replicas, begin, end)
        for topics in (lab.plan.steady, [lab.plan.bursty])
    )


class Difference:
    """What the exporter counted of itself during a window; its gauges are those at the end."""

    def __init__(self, before, after):
        self.before, self.after = before, after

    def counted(self, name, label):
        before, after = by_label(self.before, name, label), by_label(self.after, name, label)
        return {key: value - before.get(key, 0) for key, value in after.items()}

    def buckets(self, name):
        return [(float(bound), count) for bound, count in self.counted(f"{name}_bucket", "le").items()]

    def gauges(self, *parts):
        """Those whose name has one of the parts in it: [(name, labels, value)]."""
        return [
            (name, labels, value)
            for name, rows in sorted(self.after.items())
            if any(part in name for part in parts)
            for labels, value in rows
        ]
