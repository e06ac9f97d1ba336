"""Reads an OpenMetrics body from stdin with Prometheus's own Python client and prints how many families it has.

promtool reads the older text format only, so this is the second opinion on the other one.
"""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families


def main() -> int:
    """Exit code 1 with the parser's words where it refuses the body."""
    body = sys.stdin.buffer.read().decode("utf-8")
    try:
        families = list(text_string_to_metric_families(body))
    except ValueError as error:
        print(f"not OpenMetrics: {error}", file=sys.stderr)
        return 1
    print(len(families))
    return 0


if __name__ == "__main__":
    sys.exit(main())
