"""The report on scale: tables in markdown, and cost against rows as a drawing."""

import datetime
import math

from figures import machine, milliseconds

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 460, 80, 200, 30, 50
COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e"]


def report(options, found):
    cases = found["cases"]
    yield "## At scale"
    yield ""
    yield f"- {datetime.date.today()}; {machine()}"
    yield f"- CPU is that of the exporter's whole process; the simulated cluster is another one. An exporter without a cluster worth the name takes {milliseconds(found['empty']['cpu'])} and {found['empty']['rss_mb']:.1f} MB to start: the first is taken off the first pass"
    yield f"- First: from the start of the process until the first whole gzip scrape is served. Full: mode fixed, everything is asked for in each of {options.full_passes} passes, with one gzip scrape a pass. Steady: mode adaptive, intervals in proportion to the defaults ({options.period} s between gzip scrapes, three times that for the largest), without budgets of CPU and requests, after {options.warm} s"
    yield ""
    yield from _passes(cases)
    yield ""
    yield from _memory(cases)
    yield ""
    yield from _requests(cases)
    for case in cases:
        if case["scrapes"]:
            yield ""
            yield from _scrapes(case)


def _table(head, rows):
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _title(case):
    where = "real" if case["real"] else f"{case['moving']} % moving, {case['behind']} % behind"
    return f"{case['case']} ({where})"


def _seconds(value):
    return f"{value:.3f} s"


def _passes(cases):
    head = ["", "rows", "first: CPU", "wall of the pass", "full: CPU a pass", "wall", "cluster's CPU", "steady: CPU a pass", "passes", "CPU a scrape period", "stretch"]
    rows = (
        [
            _title(case), f"{case['rows']:,}", _seconds(case["first_cpu"]), _seconds(case["first_wall"]), _seconds(case["full_cpu"]),
            _seconds(case["full_wall"]), _seconds(case["full_cluster_cpu"]), _seconds(case["steady_cpu"]), f"{case['steady_passes']:.0f}",
            _seconds(case["steady_period_cpu"]), f"{case['steady_stretch']:.2f}",
        ]
        for case in cases
    )
    yield from _table(head, rows)


def _memory(cases):
    yield "Resident memory, in MB of 10⁶ bytes:"
    yield ""
    head = ["", "first pass and one scrape, peak", "steady, now", "peak", "full passes, now", "peak", "and scraped by ten, peak", "series", "identity bytes"]
    names = ["first_peak_rss_mb", "steady_rss_mb", "steady_peak_rss_mb", "full_rss_mb", "full_peak_rss_mb", "scraped_peak_rss_mb"]
    rows = ([_title(case), *(f"{case[name]:.0f}" for name in names), f"{case['series']:,}", f"{case['identity_bytes']:,}"] for case in cases)
    yield from _table(head, rows)


def _requests(cases):
    yield "Requests a pass (full; steady, which is good to a pass or two, for librdkafka tells them every ten seconds):"
    yield ""
    apis = sorted({api for case in cases for kind in ("full", "steady") for api in case[f"{kind}_requests_by_api"]})
    cell = lambda case, api: "; ".join(f"{case[f'{kind}_requests_by_api'].get(api, 0):.1f}" for kind in ("full", "steady"))
    both = lambda case: f"{case['full_requests']:.1f}; {case['steady_requests']:.1f}"
    yield from _table(["", "all", *apis], ([_title(case), both(case), *(cell(case, api) for api in apis)] for case in cases))


def _scrapes(case):
    yield f"Scrapes of {_title(case)}, while nothing is polled:"
    yield ""
    head = ["asked for", "came", "clients", "each", "scrapes", "failures", "bytes", "CPU a scrape", "p50", "p99", "at most", "peak RSS"]
    rows = []
    for row in case["scrapes"]:
        each = "once a second" if row["period_ms"] else "again and again"
        if row["scrapes"] == 0:
            rows.append([row["asked"], "–", str(row["clients"]), each, "0", str(row["failures"]), *["–"] * 6])
            continue
        times = [milliseconds(row[name] / 1000) for name in ("p50_ms", "p99_ms", "max_ms")]
        rows.append([
            row["asked"], row["encoding"], str(row["clients"]), each, f"{row['scrapes']:,}", str(row["failures"]), f"{row['bytes']:,}",
            f"{row['cpu'] * 1000:.2f} ms", *times, f"{row['peak_rss_mb']:.0f} MB",
        ])
    yield from _table(head, rows)


def lines_of(cases):
    """What is drawn: name → [(rows, CPU seconds)], simulated clusters only, smallest first."""
    moving = sorted((case for case in cases if not case["real"] and case["moving"] and not case["behind"]), key=lambda case: case["rows"])
    still = sorted((case for case in cases if not case["real"] and not case["moving"] and not case["behind"]), key=lambda case: case["rows"])
    scrape = lambda case: next((row["cpu"] for row in case["scrapes"] if row["asked"] == "gzip" and row["scrapes"]), None)
    lines = {
        "a full pass": [(case["rows"], case["full_cpu"]) for case in moving],
        "steady, 10 % moving": [(case["rows"], case["steady_cpu"]) for case in moving],
        "steady, nothing moving": [(case["rows"], case["steady_cpu"]) for case in still],
        "a gzip scrape": [(case["rows"], scrape(case)) for case in moving if scrape(case)],
    }
    return {name: points for name, points in lines.items() if points}


def plot(cases):
    """Cost against rows on two logarithmic axes: as steep as the dashed line is linear."""
    lines = lines_of(cases)
    points = [point for line in lines.values() for point in line]
    if not points:
        return None
    low_x, high_x = (f(math.log10(g(x for x, _ in points))) for f, g in ((math.floor, min), (math.ceil, max)))
    low_y, high_y = (f(math.log10(g(max(y, 1e-6) for _, y in points))) for f, g in ((math.floor, min), (math.ceil, max)))
    high_x, high_y = max(high_x, low_x + 1), max(high_y, low_y + 1)
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    x_of = lambda x: LEFT + (math.log10(x) - low_x) / (high_x - low_x) * across
    y_of = lambda y: HEIGHT - BOTTOM - (math.log10(max(y, 1e-6)) - low_y) / (high_y - low_y) * up
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18">CPU seconds, by committed group-partitions (dashed: linear)</text>',
    ]
    for power in range(low_x, high_x + 1):
        x = x_of(10**power)
        out.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{10**power:,}</text>')
    for power in range(low_y, high_y + 1):
        y = y_of(10**power)
        out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g} s</text>')
    decades = min(high_x - low_x, high_y - low_y)
    out.append(
        f'<line x1="{x_of(10**low_x):.1f}" y1="{y_of(10.0**low_y):.1f}" x2="{x_of(10**(low_x + decades)):.1f}" '
        f'y2="{y_of(10.0**(low_y + decades)):.1f}" stroke="#999" stroke-dasharray="4 4"/>'
    )
    for (name, line), colour in zip(lines.items(), COLOURS):
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in line)
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y in line:
            out.append(f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{colour}"><title>{name}: {x:,} rows, {y:.4f} s</title></circle>')
        out.append(f'<text x="{x_of(line[-1][0]) + 8:.1f}" y="{y_of(line[-1][1]) + 4:.1f}" fill="{colour}">{name}</text>')
    return "\n".join([*out, "</svg>", ""])
