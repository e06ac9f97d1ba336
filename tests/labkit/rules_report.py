"""The report on rules and dashboards: tables in markdown."""

import datetime

from figures import machine, milliseconds
from rules import BEHIND, MOVING, PERIOD, RANGE, SHAPE

WORST = 8


def report(options, found):
    yield "## What alerts and dashboards cost Prometheus"
    yield ""
    yield f"- {datetime.date.today()}; {machine()}"
    yield (
        f"- {found['replicas']} exporter(s) of a simulated cluster: {SHAPE.topics} topics, {SHAPE.partitions:,} partitions, {SHAPE.groups} groups, "
        f"{SHAPE.rows:,} group-partitions; {MOVING} % moving, {BEHIND} % behind; scraped and evaluated every {PERIOD} s, service levels included"
    )
    yield f"- {found['scraped']:,.0f} series scraped, {found['recorded']:,.0f} recorded, {found['alerts']:,.0f} alerts"
    yield f"- CPU of Prometheus, of a core: {found['with']:.1%} with all rules, {found['without']:.1%} without"
    yield f"- Resident memory of Prometheus with them: {found['rss_mb']:.0f} MB"
    yield ""
    yield from _table(["group", "an evaluation takes"], ([name, milliseconds(took)] for name, took in found["groups"].items()))
    yield ""
    worst = sorted(found["rules"].items(), key=lambda pair: -pair[1])[:WORST]
    yield from _table(["dearest rules", "an evaluation takes"], ([name, milliseconds(took)] for (_, name, _), took in worst))
    yield ""
    yield f"A query for one series takes {milliseconds(found['trivial'])}. Panels show the last {RANGE // 60} minutes."
    yield ""
    by_board = {}
    for query in found["queries"]:
        by_board.setdefault(query["dashboard"], []).append(query["seconds"])
    rows = ([name, str(len(all)), milliseconds(sum(all)), milliseconds(max(all))] for name, all in by_board.items())
    yield from _table(["dashboard", "queries", "all together", "the dearest"], rows)
    yield ""
    dearest = sorted(found["queries"], key=lambda query: -query["seconds"])[:WORST]
    rows = ([f"{q['dashboard']}: {q['panel']} ({q['ref']})", milliseconds(q["seconds"]), f"{q['seconds'] / found['trivial']:.0f}"] for q in dearest)
    yield from _table(["dearest queries", "takes", "times the query for one series"], rows)


def _table(head, rows):
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
