"""Starts and fills the lab's cluster, runs what was asked for and prints its report; started by tests/lab."""

import argparse
import signal
import sys
import tempfile

import comparison
import comparison_report
import passes
import rules
import rules_report
import scale
import scale_report
import timelag
import timelag_report
from cluster import Cluster, Size

SMALL, EMPTY = Size(topics=20, groups=10), Size(topics=0, groups=0)


def arguments():
    parser = argparse.ArgumentParser(prog="tests/lab", description="what kafkascope costs, against three real brokers")
    parser.add_argument("what", choices=["passes", "adaptive", "time-lag", "scale", "rules", "hold"], help="what to do with the cluster")
    parser.add_argument("--jars", help=argparse.SUPPRESS)
    parser.add_argument("--kafka", help=argparse.SUPPRESS)
    parser.add_argument("--prometheus", help=argparse.SUPPRESS)
    parser.add_argument("--binary", default="target/release/kafkascope", help="the build to measure")
    parser.add_argument("--report", metavar="FILE", help="write the report there, too")
    parser.add_argument("--passes", type=int, default=12, help="passes in each measured window (passes)")
    comparison.add_arguments(parser)
    timelag.add_arguments(parser)
    scale.add_arguments(parser)
    rules.add_arguments(parser)
    return parser.parse_args()


def run(options, size):
    """The report's lines."""
    with tempfile.TemporaryDirectory(prefix="kafkascope-lab-") as directory:
        if options.what == "scale":
            return at_scale(options, directory)
        if options.what == "rules":
            return list(rules_report.report(options, rules.measure(options, directory)))
        cluster = Cluster(options.jars, directory, size)
        try:
            cluster.start()
            if options.what == "time-lag":
                return list(timelag_report.report(options, timelag.measure(options, cluster)))
            cluster.fill()
            cluster.release_driver()
            if options.what == "hold":
                print(cluster.bootstrap, flush=True)
                input()
                return []
            if options.what == "passes":
                return list(passes.report(options, size, passes.measure(options, cluster, directory)))
            return list(comparison_report.report(options, size, comparison.measure(options, cluster, directory)))
        finally:
            cluster.stop()


def at_scale(options, directory):
    """The report's lines, of clusters of other sizes; the drawing goes to its file."""
    found = scale.measure(options, directory)
    drawing = scale_report.plot(found["cases"])
    if options.plot and drawing:
        with open(options.plot, "w") as file:
            file.write(drawing)
    return list(scale_report.report(options, found))


def main():
    options = arguments()
    comparison.shorten(options)
    # So that what was started is ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    size = EMPTY if options.what == "time-lag" else SMALL if options.quick else Size()
    lines = run(options, size)
    if lines:
        print("\n".join(lines))
    if options.report and lines:
        with open(options.report, "w") as file:
            file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, EOFError):
        sys.exit(130)
