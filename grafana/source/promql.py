"""PromQL that is right whatever exports: two replicas of the exporter, a sidecar beside each broker, a cluster without a name.

Two replicas export the same series with different `instance` labels, so a sum over raw series counts everything twice.
A cluster is (namespace, job, cluster_name); every query about Kafka first takes the maximum over what shares an identity
(`once`) and sums after that. A label that is not there counts as empty, so a nameless cluster needs nothing special.
"""

IDENTITY = ("namespace", "job", "cluster_name")
# The selection at the top of every dashboard. "All" is the regex `.*`, which also matches where the label is missing.
SELECTED = ('job=~"$job"', 'cluster_name=~"$cluster_name"')
GROUP = 'consumergroup=~"$group"'
TOPIC = 'topic=~"$topic"'
INSTANCE = 'instance=~"$instance"'
# The window of Grafana that holds at least four scrapes.
WINDOW = "$__rate_interval"


def series(metric: str, *matchers: str, window: str = "") -> str:
    """The selected clusters' series of a family; `window` makes it a range."""
    return f"{metric}{{{', '.join((*SELECTED, *matchers))}}}{window and f'[{window}]'}"


def labels(*names: str) -> str:
    """The identity of something in a cluster, as a list of labels."""
    return ", ".join((*IDENTITY, *names))


def once(expression: str, *names: str) -> str:
    """One series for each thing, however many replicas export it."""
    return f"max by ({labels(*names)}) ({expression})"


def total(expression: str, *names: str) -> str:
    """A sum for each thing; what is summed is there once."""
    return f"sum by ({labels(*names)}) ({expression})"


def all_in_one(expression: str) -> str:
    """One number for everything that is selected."""
    return f"sum({expression})"


def how_many(expression: str, condition: str) -> str:
    """How many series fulfil a condition: 0 when none does, and nothing when there is none to judge."""
    return f"sum({expression} {condition.replace(' ', ' bool ', 1)})"


def partitions_where(metric: str, *matchers: str, by: tuple[str, ...] = ()) -> str:
    """How many partitions of each thing a family of 0 and 1 is 1 for; 0 where it is for none. What is 0, nearly all, is left out
    before replicas are made one, which takes most of the time."""
    true = once(f"{series(metric, *matchers)} == 1", "topic", "partition")
    return f"({total(true, *by)} or {once(series(metric, *matchers), *by)})"


def or_zero(expression: str, known_by: str) -> str:
    """0 where a family has series only in trouble, as long as `known_by` tells that it would be known."""
    return f"{expression} or 0 * {known_by}"


def growth(metric: str, *matchers: str) -> str:
    """How fast log ends advance. As a counter: a topic that is created anew starts at 0, and that is not a loss."""
    return f"rate({series(metric, *matchers, window=WINDOW)})"


def movement(metric: str, *matchers: str) -> str:
    """How fast committed offsets move. As a gauge: a group that is rewound moves back, it does not read at full speed."""
    return f"deriv({series(metric, *matchers, window=WINDOW)})"


def per_second(metric: str, *matchers: str) -> str:
    """The rate of a counter of the exporter's own."""
    return f"rate({series(metric, *matchers, window=WINDOW)})"


def only(expression: str, chosen: str, *names: str) -> str:
    """Of an expression what is about the chosen things."""
    return f"{expression}\nand on ({labels(*names)}) {chosen}"


def largest(count: int, expression: str) -> str:
    """The largest series of now."""
    return f"topk({count}, {expression})"


def at_worst(metric: str, *matchers: str) -> str:
    """The largest value in the time that is shown, the same at each step: lines that are chosen by it do not flicker."""
    return f"max_over_time({series(metric, *matchers, window='$__range')} @ end())"


def fastest(metric: str, *matchers: str) -> str:
    """The growth over all of the time that is shown, the same at each step."""
    return f"rate({series(metric, *matchers, window='$__range')} @ end())"


def with_cluster_for_links(expression: str) -> str:
    """Adds the label `cluster`: the cluster's name as a link needs it, "All" where there is no name to choose."""
    nameless = f'label_replace({expression},\n"cluster", "All", "cluster_name", "")'
    return f'label_replace({nameless}, "cluster", "$1", "cluster_name", "(.+)")'
