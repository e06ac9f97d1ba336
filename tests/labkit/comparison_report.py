"""The comparison as markdown: tables, the marks, and how each figure came about."""

import collections
import datetime

from checks import COMMIT, END
from cluster import BROKERS, PARTITIONS
from comparison import JITTER_SECONDS, MODES, PAIR_LEAD_SECONDS
from figures import bucket_maximum, bucket_percentile, machine, milliseconds, percent, percentile, seconds, verdict
from prometheus import SCRAPE_SECONDS
from traffic import BURST_MS, LAG_SECONDS, RECORDS_A_BURST, RECORDS_A_TICK, TICK_MS

PASS_MARK, CPU_MARK, RSS_MARK, HIT_MARK = 5.0, 0.003, 30.0, 0.8
OFFSET_CACHES = ("end_offsets", "commits")
REQUESTS = "kafkascope_broker_requests_total"
PASS = "kafkascope_pass_duration_seconds"


def report(options, size, found):
    """The report's lines."""
    yield from setting(options, size, found)
    for part in (marks, costs, hits, requests, ages, rates, truths, intervals):
        yield ""
        yield from part(options, found)


def setting(options, size, found):
    plan = found["plan"]
    yield "# The adaptive engine beside a fixed interval"
    yield ""
    if options.quick:
        yield "**A quick run: small cluster, short windows. It shows that everything works; its figures mean little.**"
        yield ""
    yield f"- {datetime.date.today()}, {options.binary}; {machine()}"
    yield f"- Apache Kafka {options.kafka}: {BROKERS} brokers and a controller; {size.topics} topics × {PARTITIONS} partitions ×"
    yield f"  {BROKERS} replicas, {size.groups} groups with {size.topics_per_group * PARTITIONS} committed partitions each"
    yield f"- {len(plan.moving)} topics move: {len(plan.steady)} get {RECORDS_A_TICK * 1000 / TICK_MS:.0f} records a second, one {RECORDS_A_BURST} every {BURST_MS / 1000:.0f} s."
    yield f"  {len(plan.readers)} groups read and commit every two seconds, a third of them {LAG_SECONDS} s behind; the others are stopped, each with moving topics"
    yield f"- Polling: fixed `{options.fixed}`, adaptive `{options.adaptive}`; Prometheus scrapes every {SCRAPE_SECONDS} s, gzip"
    yield f"- {options.baseline} s without exporter before, between and after; {options.warm_fixed} s and {options.warm_adaptive} s to warm up, {options.window} s with one Prometheus"
    yield f"  (costs, ages), {options.pair} s with two replicas, {found['apart']:.1f} s apart and delayed by up to {JITTER_SECONDS} s at random"


def overhead(one):
    """What the exporter costs the brokers, and what cannot be told from nothing, as shares of a core."""
    (before, after), during = one.alone, one.brokers
    cost = during.mean() - (before.mean() + after.mean()) / 2
    error = ((before.error() ** 2 + after.error() ** 2) / 4 + during.error() ** 2) ** 0.5
    return cost, max(abs(before.mean() - after.mean()), 2 * error)


def hit_rate(one, *caches):
    """Of these caches, or of all."""
    hit, missed = (one.own.counted(f"kafkascope_cache_{what}_total", "cache") for what in ("hits", "misses"))
    caches = caches or sorted(hit.keys() | missed.keys())
    hits = sum(hit.get(name, 0) for name in caches)
    asked = hits + sum(missed.get(name, 0) for name in caches)
    return hits / asked if asked else None


def marks(options, found):
    def row(one):
        slowest, rate = bucket_maximum(one.own.buckets(PASS)), hit_rate(one)
        cost, noise = overhead(one)
        return [
            verdict(slowest is not None and slowest <= PASS_MARK),
            verdict(one.cpu < CPU_MARK),
            verdict(one.rss < RSS_MARK),
            verdict(rate is not None and rate > HIT_MARK),
            verdict(cost <= noise),
            verdict(one.single.checked > 0 and one.single.wrong + one.pair.wrong == 0),
            verdict(one.single.scrapes > 0 and one.single.missing + one.pair.missing + one.single.failed_scrapes + one.pair.failed_scrapes == 0),
        ]

    names = [
        f"every pass within {PASS_MARK:.0f} s",
        f"exporter CPU under {percent(CPU_MARK, 1)} of a core",
        f"peak RSS under {RSS_MARK:.0f} MB",
        f"hit rate over {percent(HIT_MARK, 0)}",
        "broker CPU overhead not above noise",
        "no value ever wrong",
        "none missing",
    ]
    yield "## Marks"
    yield ""
    yield "| | fixed | adaptive |"
    yield "|---|---|---|"
    for name, fixed, adaptive in zip(names, row(found["fixed"]), row(found["adaptive"])):
        yield f"| {name} | {fixed} | {adaptive} |"


def costs(options, found):
    yield "## Costs, with one Prometheus"
    yield ""
    yield "| | without exporter | fixed | adaptive |"
    yield "|---|---|---|---|"
    runs = [found[mode] for mode in MODES]

    def line(name, nothing, tell):
        return f"| {name} | {nothing} | {' | '.join(tell(one) for one in runs)} |"

    yield line("exporter CPU, of a core", "–", lambda one: percent(one.cpu))
    yield line("peak RSS, one Prometheus", "–", lambda one: f"{one.rss_single:.1f} MB")
    yield line("peak RSS, in the end", "–", lambda one: f"{one.rss:.1f} MB")
    windows = [*found["fixed"].alone, found["adaptive"].alone[1]]
    alone = ", ".join(percent(window.mean()) for window in windows)
    yield line("CPU of all brokers, of a core", alone, lambda one: percent(one.brokers.mean()))
    yield line("of that, the exporter's doing", "–", lambda one: "{} ± {}".format(*map(percent, overhead(one))))
    yield line("passes", "–", lambda one: f"{sum(one.own.counted(f'{PASS}_count', '').values()):.0f}")
    for share in (0.5, 0.99):
        yield line(f"a pass takes, p{share * 100:.0f}", "–", lambda one: milliseconds(bucket_percentile(one.own.buckets(PASS), share)))
    yield line("a pass takes, at most", "–", lambda one: milliseconds(bucket_maximum(one.own.buckets(PASS))))
    yield ""
    yield "The exporter's doing is what a run needed more than the windows before and after it. The noise (±) is the larger of these two's"
    yield "difference and twice the standard error of that figure, from six slices of each window. Pass times come from a histogram: p50 and p99 are"
    yield "linear inside a bucket, the maximum is the bound of the highest bucket in use."


def hits(options, found):
    yield "## Hit rate"
    yield ""
    yield "| cache | fixed | adaptive |"
    yield "|---|---|---|"
    caches = {name for mode in MODES for name in found[mode].own.counted("kafkascope_cache_misses_total", "cache")}
    for cache in sorted(caches):
        yield f"| {cache} | {' | '.join(percent(hit_rate(found[mode], cache), 1) for mode in MODES)} |"
    yield f"| {' and '.join(OFFSET_CACHES)} | {' | '.join(percent(hit_rate(found[mode], *OFFSET_CACHES), 1) for mode in MODES)} |"
    yield f"| all | {' | '.join(percent(hit_rate(found[mode]), 1) for mode in MODES)} |"


def requests(options, found):
    yield "## Requests a minute"
    yield ""
    yield "| | fixed | adaptive |"
    yield "|---|---|---|"
    for label in ("broker", "api"):
        counts = [found[mode].own.counted(REQUESTS, label) for mode in MODES]
        names = collections.Counter()
        for mode, count in zip(MODES, counts):
            names.update(count)
        for name, count in sorted(names.items()) if label == "broker" else names.most_common():
            if count:
                values = " | ".join(f"{one.get(name, 0) * 60 / options.window:.1f}" for one in counts)
                yield f"| {label} {name} | {values} |"
    yield ""
    yield "From librdkafka's statistics, which come every ten seconds: good to a pass."


def ages(options, found):
    yield "## Age of what is served, at scrape time"
    yield ""
    yield "| | fixed p50 | p95 | p99 | adaptive p50 | p95 | p99 |"
    yield "|---|---|---|---|---|---|---|"
    kinds = sorted({kind for mode in MODES for kind in found[mode].single.ages})
    for kind in kinds:
        yield f"| {kind} | {' | '.join(three(found[mode].single.ages[kind]) for mode in MODES)} |"
    for name, kind in [(END, "end offsets, quiet topics"), (COMMIT, "commits of stopped groups, quiet topics")]:
        yield f"| {kind} | {' | '.join(three(found[mode].quiet[name]) for mode in MODES)} |"
    yield ""
    for mode in MODES:
        for name, delays in found[mode].quiet.items():
            unseen = delays.count(float("inf"))
            yield f"- {mode}: {len(delays)} changes of {name} on quiet topics, {unseen} of them not seen before the window ended"
    yield "- Moving: for each sample that Prometheus stored, its time stamp less the last time at which the truth was no more than it."
    yield "- Quiet: at a random moment one record is written, or one offset committed, and the exporter is watched once a second until it"
    yield "  shows it. Such a wait is distributed as the age is at a random moment (it reaches as far into the future as the age into"
    yield "  the past). A percentile that falls on a change that was not seen in the end is called unseen."


def three(values):
    return " | ".join(seconds(percentile(values, share)) for share in (0.5, 0.95, 0.99))


def rates(options, found):
    yield "## rate(…[1m]) against the producers' true rate"
    yield ""
    yield "| | | fixed p50 | p95 | worst | adaptive p50 | p95 | worst |"
    yield "|---|---|---|---|---|---|---|---|"
    for clients, field in [("one Prometheus", "single_rates"), ("two replicas", "pair_rates")]:
        for kind, place in [("steady topics", 0), ("the bursty topic", 1)]:
            cells = []
            for mode in MODES:
                errors = [abs(error) for error in getattr(found[mode], field)[place]]
                cells += [percent(percentile(errors, share), 1) for share in (0.5, 0.95, 1)]
            yield f"| {clients} | {kind} | {' | '.join(cells)} |"
    yield ""
    yield f"Relative error of `sum by (topic) (rate({END}[1m]))`, evaluated every second, against what was"
    yield f"acknowledged in the same minute; from {PAIR_LEAD_SECONDS} s after a replica's first scrape. A burst can fall between the first sample of a"
    yield "minute and its beginning: the bursty topic's error is mostly Prometheus's own."


def truths(options, found):
    yield "## Against the truth"
    yield ""
    yield "| | fixed, one Prometheus | two | adaptive, one Prometheus | two |"
    yield "|---|---|---|---|---|"
    columns = [one for mode in MODES for one in (found[mode].single, found[mode].pair)]
    for name, field in [
        ("scrapes", "scrapes"),
        ("scrapes that failed", "failed_scrapes"),
        ("values checked", "checked"),
        ("wrong", "wrong"),
        ("missing", "missing"),
    ]:
        yield f"| {name} | {' | '.join(f'{getattr(one, field):,}' for one in columns)} |"
    yield ""
    for one in columns:
        for example in one.examples:
            yield f"- {example}"
    yield f"- An offset is wrong when it was not true at any moment in the {options.max_age} s before the scrape; a lag also when its end was not"
    yield "  read after its commit and within a pass; a sum when it is not that of its parts. The truth is Kafka's Java admin client at the"
    yield "  beginning, the producers' and consumers' log since, and the admin client again after each run, which the log must bear out."


def intervals(options, found):
    yield "## What the exporter says of its intervals, at the end of the adaptive window"
    yield ""
    rows = found["adaptive"].own.gauges("interval", "stretch", "period", "scheduled")
    yield "```"
    for name, labels, value in rows:
        if not name.endswith(("_bucket", "_count", "_sum")):
            label = ",".join(f'{key}="{text}"' for key, text in labels.items())
            yield f"{name}{{{label}}} {value:g}"
    yield "```"
