"""All clusters on one page: is anything wrong, and where."""

from .board import Board, link_of_row
from .clusterparts import (
    brokers_down, consumed_by_cluster, offline, produced_by_cluster, produced_now, under_min_isr, under_replicated, values_unknown,
)  # fmt: skip
from .groupparts import (
    groups_in_error, groups_not_catching_up, lag_of_worst, messages_lost, time_lag_of_worst, total_lag, worst_groups,
    worst_time_lag,
)  # fmt: skip
from .panels import NONE_IS_GOOD, TIME_LAG, UP, Column, label, stat, table
from .promql import SELECTED, growth, labels, once, partitions_where, series, total

RUNBOOKS = "https://github.com/kafkascope/kafkascope/blob/main/alerts/runbooks"
TROUBLE = [(None, "text"), (1, "red")]


def unreachable():
    """Clusters that the exporter cannot reach."""
    return stat(
        "Clusters not reachable", "Clusters that the last polling pass did not reach. What is shown of them is the last that was known.",
        "none", f"sum({once(series('kafka_up'))} == bool 0)", limits=NONE_IS_GOOD,
    )  # fmt: skip


def clusters():
    """A row a cluster."""

    def per_cluster(metric: str, *names: str) -> str:
        return total(once(series(metric), *names))

    groups = f"count by ({labels()}) ({once(series('kafka_consumergroup_state'), 'consumergroup')})"
    topics = f"count by ({labels()}) ({once(series('kafka_topic_partitions'), 'topic')})"
    to = {name: link_of_row(f"{name.capitalize()} of this cluster", name) for name in ("brokers", "topics", "groups")}
    return table(
        "Clusters",
        "Each cluster with what is wrong in it. Click the number of brokers, topics or groups for more. An empty cell is a value "
        "that is not known.",
        [
            label("Cluster", "cluster_name"),
            Column("Reached", once(series("kafka_up")), mapping=UP),
            Column("Brokers", per_cluster("kafka_brokers"), link=to["brokers"]),
            Column("Brokers down", f"sum by ({labels()}) ({once(series('kafka_broker_up'), 'id')} == bool 0)", limits=TROUBLE),
            Column("Topics", topics, link=to["topics"]),
            Column("Offline", partitions_where("kafka_topic_partition_offline"), limits=TROUBLE),
            Column("Under-replicated", partitions_where("kafka_topic_partition_under_replicated_partition"),
                   limits=[(None, "text"), (1, "orange")]),
            Column("Groups", groups, link=to["groups"]),
            Column("Worst time lag", once(series("kafka_consumergroup_topic_max_lag_seconds")), unit="s", limits=TIME_LAG),
            Column("Messages behind", per_cluster("kafka_consumergroup_lag_sum", "consumergroup", "topic"), unit="short"),
            Column("Produced", total(once(growth("kafka_topic_current_offset_sum"), "topic")), unit="mps"),
        ],
        sort="Worst time lag", height=6, no_value="no cluster is known: is kafkascope scraped?",
    )  # fmt: skip


def alerts():
    """What fires now."""
    about = labels("alertname", "severity", "consumergroup", "topic")
    firing = ", ".join(('alertstate="firing"', 'alertname=~"Kafka.*"', *SELECTED))
    return table(
        "Alerts that fire",
        "Alerts of alerts/ that fire now, as Prometheus evaluates them. Nothing is shown when its rules are not loaded there. Click an "
        "alert for its runbook.",
        [
            label("Alert", "alertname", link=("Runbook", f"{RUNBOOKS}/${{__data.fields.alertname:percentencode}}.md")),
            Column("Severity", f"max by ({about}) (ALERTS{{{firing}}})", label="severity"),
            label("Group", "consumergroup"),
            label("Topic", "topic"),
        ],
        sort="Severity", descending=False, height=6, no_value="no alert fires, or the rules of alerts/ are not loaded",
    )  # fmt: skip


def board() -> Board:
    """The overview."""
    made = Board("overview", "Kafka / Overview", "Is anything wrong with any cluster or consumer group, and where?", ["job", "cluster_name"])
    made.row(
        "Is anything wrong?",
        unreachable(), brokers_down(), offline(), under_min_isr(), under_replicated(), groups_in_error(), worst_time_lag(),
        messages_lost(),
        groups_not_catching_up(width=6), total_lag(width=6), produced_now(width=6), values_unknown(width=6),
    )  # fmt: skip
    made.row("Where", alerts(), clusters(), worst_groups())
    made.row("Since when", time_lag_of_worst(), lag_of_worst(), produced_by_cluster(), consumed_by_cluster())
    return made
