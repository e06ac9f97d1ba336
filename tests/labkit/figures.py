"""Percentiles, and figures as people read them."""

import os
import platform


def percentile(values, share):
    """The smallest value that at least `share` of all are not above; None of nothing."""
    ranked = sorted(values)
    if not ranked:
        return None
    return ranked[min(len(ranked) - 1, max(0, -(-int(share * 1000) * len(ranked) // 1000) - 1))]


def bucket_percentile(buckets, share):
    """What histogram_quantile says: linear inside a bucket. `buckets` are [(upper bound, count so far)], +Inf included."""
    ranked = sorted(buckets)
    if not ranked or ranked[-1][1] == 0:
        return None
    rank, lower, before = share * ranked[-1][1], 0.0, 0
    for upper, count in ranked:
        if count >= rank and count > before:
            if upper == float("inf"):
                return lower
            return lower + (upper - lower) * (rank - before) / (count - before)
        lower, before = upper, count
    return lower


def bucket_maximum(buckets):
    """The upper bound of the highest bucket that holds something; None of nothing."""
    before, highest = 0, None
    for upper, count in sorted(buckets):
        if count > before:
            highest = upper
        before = count
    return highest


def milliseconds(seconds):
    return "–" if seconds is None else f"{seconds * 1000:.1f} ms"


def seconds(value):
    if value is None:
        return "–"
    return "unseen" if value == float("inf") else f"{value:.1f} s"


def percent(share, digits=2):
    return "–" if share is None else f"{share:.{digits}%}"


def verdict(holds):
    return "met" if holds else "NOT met"


def machine():
    with open("/proc/cpuinfo") as cpuinfo:
        model = next((line.split(":", 1)[1].strip() for line in cpuinfo if line.startswith("model name")), "unknown CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GB, Linux {platform.release()}; everything shares them"
