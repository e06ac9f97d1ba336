"""Topics: throughput, what they hold, who reads them, and the health of their partitions."""

from .board import Board, link_of_row
from .clusterparts import LINES, not_preferred, offline, produced_by_topic, produced_now, under_min_isr, under_replicated, values_unknown
from .panels import TIME_LAG, Column, label, lines, stat, table
from .promql import TOPIC, all_in_one, at_worst, fastest, growth, largest, movement, once, only, partitions_where, series, total

# So many topics are in the table: the busiest.
ROWS = 200


def of_topics(metric: str) -> str:
    """A family by topic, of what is selected."""
    return once(series(metric, TOPIC), "topic")


def of_partitions(metric: str) -> str:
    """How many partitions of a topic are in a condition."""
    return partitions_where(metric, TOPIC, by=("topic",))


RETAINED = f"{of_topics('kafka_topic_current_offset_sum')} - {of_topics('kafka_topic_oldest_offset_sum')}"


def topic_count():
    """How many topics there are."""
    return stat("Topics", "Topics that are selected and that the exporter sees.", "none",
                f"count({of_topics('kafka_topic_partitions')})")  # fmt: skip


def all_topics():
    """A row a topic."""
    chosen = largest(ROWS, f"({once(growth('kafka_topic_current_offset_sum', TOPIC), 'topic')} or 0 * {of_topics('kafka_topic_partitions')})")

    def column(expression: str) -> str:
        return only(expression, chosen, "topic")

    trouble, warning = [(None, "text"), (1, "red")], [(None, "text"), (1, "orange")]
    return table(
        f"Topics, the busiest first (at most {ROWS})",
        "Each topic: what comes in, what it holds, how far behind its worst group is, what is wrong with its partitions. An empty cell is "
        "a value that is not known; no retention means that nothing is deleted for its age.",
        [
            label("Topic", "topic", link=link_of_row("This topic", "topics", topic="topic")),
            Column("Produced", column(once(growth("kafka_topic_current_offset_sum", TOPIC), "topic")), unit="mps"),
            Column("Partitions", column(of_topics("kafka_topic_partitions")),
                   link=link_of_row("Groups that read this topic", "groups", topic="topic")),
            Column("Offsets held", column(f"({RETAINED})"), unit="short"),
            Column("Worst time lag", column(once(series("kafka_consumergroup_topic_max_lag_seconds", TOPIC), "topic")), unit="s",
                   limits=TIME_LAG, link=link_of_row("Groups that read this topic", "groups", topic="topic")),
            Column("Retention", column(of_topics("kafka_topic_retention_seconds")), unit="s"),
            Column("Min ISR", column(of_topics("kafka_topic_min_insync_replicas"))),
            Column("Offline", column(of_partitions("kafka_topic_partition_offline")), limits=trouble),
            Column("Under min ISR", column(of_partitions("kafka_topic_partition_under_min_isr")), limits=trouble),
            Column("Under-replicated", column(of_partitions("kafka_topic_partition_under_replicated_partition")), limits=warning),
            Column("Not known", column(of_topics("kafka_topic_unknown_partitions")), limits=warning),
        ],
        sort="Produced", no_value="no topic is known",
    )  # fmt: skip


def consumed_by_group():
    """Who reads how fast."""
    names = ("consumergroup", "topic")
    return lines(
        "Consumed, by group",
        "Messages by which the groups move their committed offsets on the selected topics. Below what is produced, the lag grows; "
        "negative while a group is rewound.",
        "mps", (total(once(movement("kafka_consumergroup_current_offset_sum", TOPIC), *names), "consumergroup"),
                "{{consumergroup}} {{cluster_name}}"), negative=True,
    )  # fmt: skip


def produced_and_consumed():
    """In and out of the selected topics."""
    produced = once(growth("kafka_topic_current_offset_sum", TOPIC), "topic")
    slowest = once(series("kafka_consumergroup_lag_velocity", TOPIC), "consumergroup", "topic")
    return lines(
        "Produced, and growth of the lags",
        "Messages that come in, and by how much the lags of all groups on the selected topics grow together (below 0 they catch up). "
        "Where both are equal nobody reads.",
        "mps", (all_in_one(produced), "produced"), (all_in_one(slowest), "lags grow by"), negative=True,
    )  # fmt: skip


def partitions_produced():
    """Skew among partitions."""
    names = ("topic", "partition")
    metric = "kafka_topic_partition_current_offset"
    busiest = largest(LINES, once(fastest(metric, TOPIC), *names))
    return lines(
        f"Produced, the {LINES} busiest partitions",
        "Messages that producers append, by partition: one that takes much more than the others of its topic is a hot key. Needs "
        "granularity: partition, the default.",
        "mps", (only(once(growth(metric, TOPIC), *names), busiest, *names), "{{topic}} {{partition}} {{cluster_name}}"),
    )  # fmt: skip


def worst(title: str, description: str, unit: str, metric: str):
    """A family by topic over time, the topics where it was highest."""
    highest = largest(LINES, once(at_worst(metric, TOPIC), "topic"))
    return lines(title, description, unit, (only(of_topics(metric), highest, "topic"), "{{topic}} {{cluster_name}}"))


def deleted():
    """How fast retention deletes."""
    metric = "kafka_topic_oldest_offset_sum"
    fast = largest(LINES, once(fastest(metric, TOPIC), "topic"))
    return lines(
        f"Deleted by retention, the {LINES} fastest topics", "Offsets by which the log starts advance, by topic. Retention works in steps: peaks are "
        "normal.", "mps", (only(once(growth(metric, TOPIC), "topic"), fast, "topic"), "{{topic}} {{cluster_name}}"),
    )  # fmt: skip


def held():
    """What topics hold."""
    most = largest(LINES, once(at_worst("kafka_topic_current_offset_sum", TOPIC), "topic"))
    return lines(
        "Offsets held", "Log ends minus log starts, by topic: the messages that the topic holds, or more where it is compacted or has "
        "transactions.", "short", (only(f"({RETAINED})", most, "topic"), "{{topic}} {{cluster_name}}"),
    )  # fmt: skip


def trouble(title: str, description: str, metric: str):
    """Partitions in a condition, over time."""
    affected = f"{largest(LINES, of_partitions(metric))} > 0"
    none = f'label_replace({once(series(metric, TOPIC))} == 0, "topic", "none", "", "")'
    return lines(title, description, "none", (f"{affected}\nor {none}", "{{topic}} {{cluster_name}}"), width=8)


def board() -> Board:
    """The dashboard of topics."""
    made = Board(
        "topics", "Kafka / Topics and throughput", "What comes in, what goes out, what do topics hold, and which partitions are in trouble?",
        ["job", "cluster_name", "topic"],
    )  # fmt: skip
    made.row(
        "Is anything wrong?",
        offline(TOPIC), under_min_isr(TOPIC), under_replicated(TOPIC), not_preferred(TOPIC), values_unknown(TOPIC), topic_count(),
        stat("Partitions", "Partitions of the selected topics.", "none", f"sum({of_topics('kafka_topic_partitions')})"), produced_now(TOPIC),
    )  # fmt: skip
    made.row("Topics", all_topics())
    made.row("Throughput", produced_by_topic(TOPIC), consumed_by_group(), produced_and_consumed(), partitions_produced())
    made.row(
        "What topics hold", held(), deleted(),
        worst(f"Worst time lag, the {LINES} worst topics", "Time lag of the group that is furthest behind on each topic.", "s",
              "kafka_consumergroup_topic_max_lag_seconds"),
        worst("Values not known", "Partitions of the topic whose log start or end is not known now.", "none", "kafka_topic_unknown_partitions"),
    )  # fmt: skip
    made.row(
        "Partitions in trouble",
        trouble("Offline, by topic", "Partitions without a leader. A line \"none\" at 0: there are none.", "kafka_topic_partition_offline"),
        trouble("Under min ISR, by topic", "Partitions that refuse producers with acks=all. A line \"none\" at 0: there are none.",
                "kafka_topic_partition_under_min_isr"),
        trouble("Under-replicated, by topic", "Partitions that lack a replica. A line \"none\" at 0: there are none.",
                "kafka_topic_partition_under_replicated_partition"),
    )  # fmt: skip
    return made
