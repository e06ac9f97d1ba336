"""What several dashboards show of partitions, brokers and throughput: from one place, so that they cannot drift apart."""

from .panels import NONE_IS_BEST, NONE_IS_GOOD, lines, stat
from .promql import all_in_one, fastest, growth, how_many, largest, movement, once, only, partitions_where, series, total

LINES = 15


def brokers_down(width: int = 3):
    """Brokers that are missing or silent."""
    return stat(
        "Brokers down",
        "Brokers that are in the metadata, or that a replica list names, and that are missing or did not answer in the last pass.",
        "none", how_many(once(series("kafka_broker_up"), "id"), "== 0"), limits=NONE_IS_GOOD, width=width,
    )  # fmt: skip


def partitions_that(title: str, description: str, metric: str, *matchers: str, limits=NONE_IS_GOOD, width: int = 3):
    """How many partitions are in a condition that a family tells as 1."""
    return stat(
        title, description, "none", all_in_one(partitions_where(metric, *matchers)), limits=limits, width=width,
    )  # fmt: skip


def offline(*matchers: str, width: int = 3):
    """Partitions without a leader."""
    return partitions_that(
        "Partitions offline", "Partitions without a leader: nobody can produce to them or consume from them.",
        "kafka_topic_partition_offline", *matchers, width=width,
    )  # fmt: skip


def under_replicated(*matchers: str, width: int = 3):
    """Partitions that have lost a replica."""
    return partitions_that(
        "Under-replicated partitions", "Partitions with fewer replicas in sync than they have: one more failure may lose data.",
        "kafka_topic_partition_under_replicated_partition", *matchers, limits=NONE_IS_BEST, width=width,
    )  # fmt: skip


def under_min_isr(*matchers: str, width: int = 3):
    """Partitions that refuse producers."""
    return partitions_that(
        "Under min ISR",
        "Partitions with fewer replicas in sync than min.insync.replicas: producers with acks=all are refused. Not known without "
        "the permission DescribeConfigs on the topics.",
        "kafka_topic_partition_under_min_isr", *matchers, width=width,
    )  # fmt: skip


def not_preferred(*matchers: str, width: int = 3):
    """Partitions led by another than their first replica."""
    return stat(
        "Leader not preferred",
        "Partitions that are led by another replica than the first of their list: load is not where it was planned. Normal for a "
        "while after a broker was away.",
        "none", how_many(once(series("kafka_topic_partition_leader_is_preferred", *matchers), "topic", "partition"), "== 0"),
        limits=NONE_IS_BEST, width=width,
    )  # fmt: skip


def values_unknown(*matchers: str, width: int = 3):
    """What the other panels cannot tell."""
    of_groups = once(series("kafka_consumergroup_unknown_partitions", *matchers), "consumergroup", "topic")
    of_topics = once(series("kafka_topic_unknown_partitions", *matchers), "topic")
    return stat(
        "Values not known",
        "Partitions of groups and of topics whose lag or offsets are not known now: a broker did not answer, or may not be asked. "
        "A sum by topic over one of them is left out, not shown too small; totals are of the others.",
        "none", f"{all_in_one(of_groups)} + {all_in_one(of_topics)}", limits=NONE_IS_BEST, width=width,
    )  # fmt: skip


def produced_now(*matchers: str, width: int = 3):
    """The throughput of all that is selected, in one number."""
    return stat("Produced", "Messages that all producers together append to the topics, over the last few scrapes.", "mps",
                all_in_one(once(growth("kafka_topic_current_offset_sum", *matchers), "topic")), width=width)  # fmt: skip


def produced_by_cluster(width: int = 12):
    """Throughput of the producers."""
    return lines(
        "Produced", "Messages that all producers together append to the topics, by cluster; internal topics are included.", "mps",
        (total(once(growth("kafka_topic_current_offset_sum"), "topic")), "{{cluster_name}} {{job}}"), width=width,
    )  # fmt: skip


def consumed_by_cluster(width: int = 12):
    """Throughput of the consumers."""
    return lines(
        "Consumed",
        "Messages by which all groups together move their committed offsets, by cluster: a message that three groups read counts "
        "three times. Negative while a group is rewound.", "mps",
        (total(once(movement("kafka_consumergroup_current_offset_sum"), "consumergroup", "topic")), "{{cluster_name}} {{job}}"),
        width=width, negative=True,
    )  # fmt: skip


def produced_by_topic(*matchers: str, width: int = 12):
    """Throughput of the producers, the busiest topics."""
    metric = "kafka_topic_current_offset_sum"
    busiest = largest(LINES, once(fastest(metric, *matchers), "topic"))
    return lines(
        f"Produced, the {LINES} busiest topics", "Messages that producers append, by topic.", "mps",
        (only(once(growth(metric, *matchers), "topic"), busiest, "topic"), "{{topic}} {{cluster_name}}"), width=width,
    )  # fmt: skip
