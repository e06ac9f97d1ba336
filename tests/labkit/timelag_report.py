"""The report on time lag: a table of the scenarios, and what is compared with what."""

import datetime

from cluster import BROKERS
from figures import machine, percentile, verdict

EXPLANATION = """\
A sample is right if an offset that stood as the group's commit, with a log start that stood, since the exporter may
have looked last explains it: the scrape's time less the time at which the first record from there on was appended, or
0 if the log ended there then. The exporter looks at every interval where the log has been moving all along, else at
least at its longest interval, which it tells itself. *error* is the distance from the nearest value so explained; *by
commit*, from what the commit and lag in the same scrape explain. A record counts as appended at any time between its
sending and its acknowledgement, an offset as committed between request and answer. *commit's age* tells how long ago
the commit that was shown had ceased to stand. *no lag* is the share of scrapes without any lag an interval after the
first commit in the topic's life; *absent*, of those with a lag and no time lag. *back* counts samples whose oldest
unread record was appended earlier than that of the sample before although the commit is not lower; *drops*, those
whose time lag fell though nothing was committed or deleted (by more than a second and a half: what grows with the
clock is derived anew once a second). The mark: p99 of both errors below the polling interval, no false 0, nothing
back, nothing unexplained. Samples of the first half minute do not count, but for those after a restart.""".splitlines()


def figure(value):
    return "–" if value is None else f"{value:.2f}"


def meets(row):
    """Whether a scenario meets the mark."""
    worst = max(percentile(row.errors, 0.99) or 0.0, percentile(row.errors_of_commit, 0.99) or 0.0)
    clean = not (row.false_zeros or row.backwards or row.unexplained)
    return row.samples > 0 and clean and worst < percentile(row.intervals, 0.5)


def table(rows):
    """Lines of the table."""
    yield "| scenario | samples | no lag | absent | error p50 | p90 | p99 | max | by commit p50 | p99 | max | commit's age p99 | interval | false 0 | back | drops | unexplained | mark |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for title, row in rows:
        errors = [figure(percentile(row.errors, share)) for share in (0.5, 0.9, 0.99, 1)]
        of_commit = [figure(percentile(row.errors_of_commit, share)) for share in (0.5, 0.99, 1)]
        shown = row.absent + row.samples
        absent, lacking = row.absent / max(1, shown), row.lacking / max(1, shown + row.lacking)
        cells = [title, f"{row.samples}", f"{lacking:.1%}", f"{absent:.1%}", *errors, *of_commit, figure(percentile(row.ages, 0.99))]
        cells += [figure(percentile(row.intervals, 0.5)), f"{row.false_zeros}", f"{row.backwards}", f"{row.drops}"]
        yield f"| {' | '.join([*cells, f'{row.unexplained}', verdict(meets(row))])} |"


def report(options, found):
    """The report's lines."""
    yield f"- {machine()}"
    yield f"- Apache Kafka {options.kafka}: {BROKERS} brokers and a controller, Kafka's own settings; {options.minutes:g} minutes,"
    yield f"  a scrape every {options.every:g} s of each of three exporters at their defaults; {datetime.date.today()}"
    yield from (f"- {one}" for one in found.notes)
    yield ""
    yield "All in seconds."
    yield ""
    yield from table(found.rows)
    yield ""
    yield from EXPLANATION
    examples = [(title, example) for title, row in found.rows for example in row.examples]
    if examples:
        yield ""
        yield "Of what was furthest off, the first of each scenario:"
        yield ""
        yield from (f"- {title}: {example}" for title, example in examples)
